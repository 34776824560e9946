//! What changed in the systems behind the tools.

use super::{Context, Reason};
use crate::{
    assignment::assign,
    expect::{Added, StateFields},
    state::{Change, covers, names},
};

pub(super) fn check(
    expect: &StateFields,
    changes: &[Change],
    context: Context<'_>,
    reasons: &mut Vec<Reason>,
) {
    let changes: Vec<&Change> = changes
        .iter()
        .filter(|change| !expect.ignore.iter().any(|one| covers(one, change.path())))
        .collect();
    if expect.unchanged {
        let first = changes.first();
        reasons.extend(first.map(|change| Reason::new("state", change.path(), "changed")));
    }
    if let Some(wanted) = &expect.same_as {
        same(wanted, &changes, reasons);
    }
    let mut explained = vec![false; changes.len()];
    changed(expect, &changes, context, &mut explained, reasons);
    added(&expect.added, &changes, context, &mut explained, reasons);
    removed(expect, &changes, context, &mut explained, reasons);
    if !expect.nothing_else {
        return;
    }
    for pattern in &expect.also_added {
        let is =
            |change: &Change| matches!(change, Change::Add { .. }) && names(pattern, change.path());
        let mut left = changes.iter().zip(explained.iter_mut());
        if let Some((_, explained)) = left.find(|(change, explained)| !**explained && is(change)) {
            *explained = true;
        }
    }
    for (change, explained) in changes.iter().zip(&explained) {
        let allowed = expect
            .also_changed
            .iter()
            .any(|one| covers(one, change.path()));
        if !explained && !allowed {
            reasons.push(Reason::new("state", change.path(), "nothing else"));
        }
    }
}

/// Whether the changes are those that are wanted, in any order.
fn same(wanted: &[Change], changes: &[&Change], reasons: &mut Vec<Reason>) {
    let is = |wanted: &Change, is: &Change| match (wanted, is) {
        (Change::Remove { path: a, .. }, Change::Remove { path: b, .. }) => a == b,
        (Change::Remove { .. }, _) | (_, Change::Remove { .. }) => false,
        _ => wanted.path() == is.path() && wanted.value() == is.value(),
    };
    for one in wanted {
        if !changes.iter().any(|change| is(one, change)) {
            reasons.push(Reason::new(
                "state",
                one.path(),
                "not as after the reference",
            ));
        }
    }
    for change in changes {
        if !wanted.iter().any(|one| is(one, change)) {
            reasons.push(Reason::new(
                "state",
                change.path(),
                "not after the reference",
            ));
        }
    }
}

fn changed(
    expect: &StateFields,
    changes: &[&Change],
    context: Context<'_>,
    explained: &mut [bool],
    reasons: &mut Vec<Reason>,
) {
    let scope = context.scope();
    for (pattern, wanted) in &expect.changed {
        let mut met = false;
        for (change, explained) in changes.iter().zip(explained.iter_mut()) {
            let value = change.value();
            if value.is_some() && names(pattern, change.path()) && wanted.holds(value, &scope) {
                met = true;
                *explained = true;
            }
        }
        if !met {
            reasons.push(Reason::new("state", pattern, wanted.written().to_string()));
        }
    }
}

fn added(
    expect: &[Added],
    changes: &[&Change],
    context: Context<'_>,
    explained: &mut [bool],
    reasons: &mut Vec<Reason>,
) {
    let scope = context.scope();
    let is_meant = |one: &Added, change: &Change| {
        matches!(change, Change::Add { .. })
            && names(&one.path, change.path())
            && one
                .among
                .as_ref()
                .is_none_or(|among| among.holds(change.value(), &scope))
    };
    let first = |one: &Added| changes.iter().position(|change| is_meant(one, change));
    let fits = |one: usize, at: usize| {
        let one = &expect[one];
        is_meant(one, changes[at])
            && (!one.first || first(one) == Some(at))
            && one
                .is
                .as_ref()
                .is_none_or(|is| is.holds(changes[at].value(), &scope))
    };
    let met = assign(expect.len(), changes.len(), fits);
    for (index, (one, met)) in expect.iter().zip(&met).enumerate() {
        let meant = changes
            .iter()
            .filter(|change| is_meant(one, change))
            .count();
        if let Some(exactly) = one.exactly.filter(|exactly| *exactly != meant) {
            let detail = format!("{meant} new, wanted {exactly}");
            reasons.push(Reason::new("state", &one.path, detail));
        } else if met.is_none() && one.exactly != Some(0) {
            reasons.push(Reason::new("state", &one.path, "nothing new as wanted"));
        }
        // One expectation explains one new thing, unless it says how many there are.
        for (at, explained) in explained.iter_mut().enumerate() {
            *explained |= *met == Some(at) || one.exactly.is_some() && fits(index, at);
        }
    }
}

fn removed(
    expect: &StateFields,
    changes: &[&Change],
    context: Context<'_>,
    explained: &mut [bool],
    reasons: &mut Vec<Reason>,
) {
    let scope = context.scope();
    for one in &expect.removed {
        let mut met = false;
        for (change, explained) in changes.iter().zip(explained.iter_mut()) {
            let Change::Remove { path, old } = change else {
                continue;
            };
            let was = one
                .was
                .as_ref()
                .is_none_or(|was| was.holds(Some(old), &scope));
            if names(&one.path, path) && was {
                met = true;
                *explained = true;
            }
        }
        if !met {
            reasons.push(Reason::new("state", &one.path, "still there"));
        }
    }
}
