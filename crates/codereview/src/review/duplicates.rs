//! Copies as findings: classes of them, and functions that are nearly the same.

use airside_base::Severity;

use crate::{
    change::Change,
    copies::{Class, Copies, Likeness, Place, near::Near},
    finding::{Certainty, Draft, NEAR_DUPLICATION},
    source::is_test,
};

/// Returns a finding for each class; with a change only for those with a place in added
/// lines, at that place, naming the older one.
pub(super) fn drafts(copies: &Copies, change: Option<&Change>) -> Vec<Draft> {
    let found = copies.classes.iter().filter_map(|class| match change {
        Some(change) => added(class, change),
        None => Some(draft(class, 0, 1)),
    });
    found.collect()
}

fn added(class: &Class, change: &Change) -> Option<Draft> {
    let is_added = |place: &Place| change.touches(&place.path, (place.from, place.to));
    let new = class.places.iter().position(is_added)?;
    let older = class.places.iter().enumerate().filter(|(at, _)| *at != new);
    let rank = |place: &Place| (is_added(place), is_test(&place.path));
    let (older, _) = older.min_by_key(|(_, place)| rank(place))?;
    Some(draft(class, new, older))
}

fn draft(class: &Class, at: usize, older: usize) -> Draft {
    let place = class.places[at].clone();
    let other = &class.places[older];
    let (rule, how) = match class.likeness {
        Likeness::Exact => ("copy-exact", "the same code"),
        Likeness::Renamed => ("copy-renamed", "the same code under other names"),
    };
    let mut message = format!(
        "{how} ({} tokens, {} places) is at {}:{}-{}",
        class.tokens,
        class.places.len(),
        other.path,
        other.from,
        other.to,
    );
    if !is_test(&place.path) && !is_test(&other.path) {
        message.push_str("; call it instead");
    }
    let related = class.places.iter().enumerate();
    let related = related
        .filter(|(n, _)| *n != at)
        .map(|(_, place)| place.clone());
    Draft {
        rule: rule.to_owned(),
        class: "duplication".to_owned(),
        cwe: None,
        severity: Severity::Low,
        certainty: Certainty::Advice,
        message,
        trace: Vec::new(),
        related: related.collect(),
        text: class.content.clone().into_bytes(),
        place,
    }
}

/// Returns a finding for each function that is nearly the same as another one. Their class
/// is one of its own: no gate stops at them.
pub(super) fn near(near: Vec<Near>) -> impl Iterator<Item = Draft> {
    near.into_iter().map(|one| Draft {
        rule: "copy-near".to_owned(),
        class: NEAR_DUPLICATION.to_owned(),
        cwe: None,
        severity: Severity::Low,
        certainty: Certainty::Advice,
        message: format!(
            "`{}` is a near copy of function `{}` at {}:{}, {} of {} statements alike",
            one.name, one.other, one.at.path, one.at.from, one.statements, one.of
        ),
        trace: Vec::new(),
        text: format!("{} {} {}", one.name, one.at.path, one.other).into_bytes(),
        place: one.place,
        related: vec![one.at],
    })
}
