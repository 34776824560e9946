//! The one look at a lot, and what may be said after it.
//!
//! # Invariants
//!
//! * [`look`] is the only maker of a [`Statement`], and it refuses a lot that is open, is
//!   looked at already, misses verdicts that are not overdue, or whose plan was changed.
//! * Verdicts that are missing or `cannot-tell` count as defects.
//! * The draw is repeated with the revealed key before anything is said.

use std::collections::BTreeSet;

use airside_base::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Became, Class, Error, Key, Lot, Mode, Sample, Stratum, Tables, Word,
    event::{Draw, Item},
    too_many,
};

/// One minus the confidence of every statement.
const ALPHA: f64 = 0.05;

/// What is written down by the one look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closing {
    /// When it was looked at.
    pub at: Timestamp,
    /// The key, from now on known to everybody.
    pub key: String,
    /// The repository of the lot.
    pub repository: String,
    /// Folders with critical defects.
    pub areas: BTreeSet<String>,
    /// What may be said.
    pub statement: Statement,
}

/// What may be said about a lot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// The text, never edited by hand.
    pub text: String,
    /// Changes in the random stratum.
    pub population: usize,
    /// Changes of it that were drawn.
    pub drawn: usize,
    /// Drawn changes that count as defective.
    pub counted: usize,
    /// Of these, `cannot-tell`.
    pub cannot_tell: usize,
    /// Of these, without verdict.
    pub missing: usize,
    /// With 95 % confidence at most so many of the random stratum are defective, if
    /// reviewers miss nothing.
    pub bound: usize,
    /// The same, allowing for what reviewers miss.
    pub allowing: Option<Allowing>,
    /// Whether the bound keeps the limit of the plan and no critical defect was found.
    pub passes: bool,
    /// What had become of changes until the look; none in statements of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub became: Option<Became>,
}

/// A bound that allows for imperfect reviewers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Allowing {
    /// Known defective changes that were shown to reviewers.
    pub planted: usize,
    /// Those that they caught.
    pub caught: usize,
    /// The least part of defects that they catch, with 97.5 % confidence.
    pub sensitivity: f64,
    /// The bound that follows, with 95 % confidence in all.
    pub bound: usize,
}

/// What the verdicts add up to.
struct Count {
    counted: usize,
    cannot_tell: usize,
    missing: usize,
    critical: bool,
}

/// Looks at `lot`.
///
/// # Errors
///
/// [`Error::Look`], [`Error::State`] and [`Error::Key`], each for what it says.
pub(crate) fn look(name: &str, lot: &Lot, key: &Key, now: Timestamp) -> Result<Closing, Error> {
    let draw = ready(name, lot, key, now)?;
    let planted: Vec<&Item> = planted(draw, key);
    let drawn: Vec<&Item> = draw
        .items
        .iter()
        .filter(|item| item.stratum == Stratum::Sample && !planted.contains(item))
        .collect();
    let again = key.draw(&draw.beacon, &draw.population, draw.size);
    let kept: BTreeSet<&str> = drawn.iter().map(|item| item.id.as_str()).collect();
    if kept.len() != again.len() || !again.iter().all(|id| kept.contains(id.as_str())) {
        return Err(Error::Look("the sample is not the one that the key draws"));
    }
    let count = count(lot.plan.counts, &drawn);
    let sample = Sample {
        population: draw.population.len(),
        drawn: drawn.len(),
        seen: count.counted,
    };
    let tables = Tables::up_to(sample.population.max(planted.len()));
    let allowing = (!planted.is_empty()).then(|| {
        let caught = planted
            .iter()
            .filter(|item| item.class() >= Some(lot.plan.counts))
            .count();
        let sensitivity = tables.sensitivity(planted.len(), caught, ALPHA / 2.0);
        Allowing {
            planted: planted.len(),
            caught,
            sensitivity,
            bound: tables.upper(sample, sensitivity, ALPHA / 2.0),
        }
    });
    let bound = tables.upper(sample, 1.0, ALPHA);
    let limit = too_many(sample.population, limit(lot));
    let mut statement = Statement {
        text: String::new(),
        population: sample.population,
        drawn: sample.drawn,
        counted: count.counted,
        cannot_tell: count.cannot_tell,
        missing: count.missing,
        bound,
        allowing,
        passes: !count.critical && bound < limit.max(1),
        became: Became::of(lot, now),
    };
    statement.text = text(name, lot, draw, &statement, key);
    Ok(Closing {
        at: now,
        key: key.reveal(),
        repository: lot.plan.repository.clone(),
        areas: critical_areas(draw),
        statement,
    })
}

/// Returns the limit that applies, in ten-thousandths.
pub(crate) fn limit(lot: &Lot) -> u32 {
    match lot.mode {
        Mode::Normal => lot.plan.limit,
        Mode::Tightened => (lot.plan.limit / 2).max(1),
    }
}

/// Returns the risk score from which on every change is reviewed.
pub(crate) fn threshold(lot: &Lot) -> u32 {
    match lot.mode {
        Mode::Normal => lot.plan.threshold,
        Mode::Tightened => lot.plan.threshold / 2,
    }
}

fn ready<'a>(name: &str, lot: &'a Lot, key: &Key, now: Timestamp) -> Result<&'a Draw, Error> {
    if lot.closing.is_some() {
        return Err(Error::Look(
            "this lot was looked at before, and there is one look",
        ));
    }
    let Some(draw) = &lot.draw else {
        return Err(Error::State {
            lot: name.to_owned(),
            state: "open",
            reason: "nothing is drawn yet",
        });
    };
    let digest = lot.plan.digest();
    if lot.plan_changed || digest != lot.plan_digest || digest != draw.plan_digest {
        return Err(Error::Look("the plan was changed after the lot was opened"));
    }
    if !key.is(&lot.commitment) {
        return Err(Error::Key);
    }
    let missing = draw.items.iter().any(|item| item.verdict().is_none());
    if missing && now < draw.due {
        return Err(Error::Look("verdicts are missing that are not overdue yet"));
    }
    Ok(draw)
}

fn planted<'a>(draw: &'a Draw, key: &Key) -> Vec<&'a Item> {
    let sample = draw.items.iter().filter(|i| i.stratum == Stratum::Sample);
    sample
        .filter(|item| draw.planted.contains(&key.planted(&draw.beacon, &item.id)))
        .collect()
}

fn count(counts: Class, drawn: &[&Item]) -> Count {
    let mut count = Count {
        counted: 0,
        cannot_tell: 0,
        missing: 0,
        critical: false,
    };
    for item in drawn {
        match item.verdict().map(|verdict| verdict.word) {
            None => count.missing += 1,
            Some(Word::CannotTell) => count.cannot_tell += 1,
            Some(Word::NoDefect) => continue,
            Some(Word::Defect) if item.class() < Some(counts) => continue,
            Some(Word::Defect) => count.critical |= item.class() == Some(Class::Critical),
        }
        count.counted += 1;
    }
    count
}

fn critical_areas(draw: &Draw) -> BTreeSet<String> {
    let critical = draw
        .items
        .iter()
        .filter(|item| item.class() == Some(Class::Critical));
    critical.flat_map(|item| item.areas.clone()).collect()
}

fn text(name: &str, lot: &Lot, draw: &Draw, s: &Statement, key: &Key) -> String {
    let plan = &lot.plan;
    let mandatory: Vec<&Item> = draw
        .items
        .iter()
        .filter(|item| item.stratum == Stratum::Mandatory)
        .collect();
    let unread = mandatory.iter().filter(|i| i.verdict().is_none()).count();
    let found = mandatory.iter().filter(|i| i.class() >= Some(plan.counts));
    let mut text = format!(
        "Lot {name} of repository {}: {} changes, {} in the mandatory stratum, {} in the random \
         one, {} left out by rule. {} drawn (key {}, beacon `{}`), {} verdicts, {} counted as \
         defects of class {} or worse ({} of them `cannot-tell`, {} overdue). In the mandatory \
         stratum {} such defects were found and {unread} changes have no verdict.",
        plan.repository,
        mandatory.len() + s.population + draw.excluded,
        mandatory.len(),
        s.population,
        draw.excluded,
        s.drawn,
        key.reveal(),
        draw.beacon,
        s.drawn - s.missing,
        s.counted,
        plan.counts,
        s.cannot_tell,
        s.missing,
        found.count(),
    );
    let unreviewed = s.population - s.drawn;
    text.push_str(&format!(
        "\nWith 95 % confidence at most {} of the {unreviewed} unreviewed changes carry a defect of \
         class {} or worse of the kind that checklist `{}` would show to these reviewers.",
        s.bound - s.counted,
        plan.counts,
        plan.checklist,
    ));
    text.push_str(&match s.allowing {
        None => {
            " This assumes that reviewers miss nothing: no known defect was planted.".to_owned()
        }
        Some(allowing) => format!(
            " Reviewers caught {} of {} planted defects, so at least {:.2} of all with 97.5 % \
             confidence; allowing for that, with 95 % confidence in all, at most {} of the {} \
             changes of the random stratum do, those that reviewers read and passed included.",
            allowing.caught, allowing.planted, allowing.sensitivity, allowing.bound, s.population,
        ),
    });
    if let Some(became) = &s.became {
        text.push('\n');
        text.push_str(&became.text(Some(s)));
    }
    text.push_str(
        "\nNot covered: defects that these reviewers cannot see, interaction between changes, later \
         edits, changes left out by rule, and the mandatory stratum.",
    );
    text
}

#[cfg(test)]
mod tests;
