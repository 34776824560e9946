//! What is written down about lots, and what follows from it.
//!
//! # Invariants
//!
//! * A lot is a function of its entries. A second opening does not replace the plan: it
//!   marks the lot as one whose plan was changed, for which there is no statement.
//! * While a lot is not closed, its document does not tell planted changes from drawn
//!   ones.

use std::collections::BTreeSet;

use airside_base::Timestamp;
use airside_ledger::{Column, Fact, Kind, Schema};
use serde::{Deserialize, Serialize};

use super::{Change, Class, Closing, Identity, Outcome, Plan, Verdict};

/// A lot began.
pub(crate) const OPENED: Kind = Kind::new("review.lot_opened");
/// What a lot is drawn from, in parts.
pub(crate) const LISTED: Kind = Kind::new("review.changes_listed");
/// The sample was drawn.
pub(crate) const DRAWN: Kind = Kind::new("review.lot_drawn");
/// A reviewer gave a verdict.
pub(crate) const JUDGED: Kind = Kind::new("review.verdict_given");
/// A lot was looked at.
pub(crate) const CLOSED: Kind = Kind::new("review.lot_closed");
/// Something became of a change.
pub(crate) const OUTCOME: Kind = Kind::new("review.outcome_recorded");
/// Version of the bodies.
pub(crate) const VERSION: u16 = 1;

/// Whether reviews of a repository are tightened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// As planned.
    #[default]
    Normal,
    /// Half the limit and half the threshold; areas with critical defects in full.
    Tightened,
}

/// A lot began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) plan: Plan,
    pub(crate) digest: String,
    pub(crate) commitment: String,
    pub(crate) mode: Mode,
    pub(crate) areas: BTreeSet<String>,
    pub(crate) at: Timestamp,
}

/// A part of what a lot is drawn from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) changes: Vec<Change>,
}

/// The sample of a lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// When it was drawn.
    pub at: Timestamp,
    /// Digest of the plan that it follows.
    pub plan_digest: String,
    /// Public text that nobody could know beforehand.
    pub beacon: String,
    /// Ids of the random stratum, sorted.
    pub population: Vec<String>,
    /// How many of it were drawn.
    pub size: usize,
    /// Changes that the plan leaves out.
    pub excluded: usize,
    /// What is to be reviewed, in the order for reviewers.
    pub items: Vec<Item>,
    /// What tells the planted changes, once the key is known.
    pub planted: Vec<String>,
    /// When missing verdicts become overdue.
    pub due: Timestamp,
}

/// Why a change is reviewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stratum {
    /// All changes like it are.
    Mandatory,
    /// It was drawn, or planted.
    Sample,
}

/// A change that is reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: String,
    /// Which change.
    pub change: Identity,
    /// Folders that it touches.
    #[serde(default)]
    pub areas: Vec<String>,
    /// How it came here.
    pub stratum: Stratum,
    /// What makes it mandatory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// Verdicts, the last of which counts.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
}

/// A reviewer gave a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) change: String,
    pub(crate) verdict: Verdict,
    pub(crate) at: Timestamp,
}

/// A lot and everything about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lot {
    /// What was decided beforehand.
    pub plan: Plan,
    /// Digest of the plan as it was opened with.
    pub plan_digest: String,
    /// Whether somebody tried to replace the plan.
    pub plan_changed: bool,
    /// Digest of the key.
    pub commitment: String,
    /// Whether the review is tightened.
    pub mode: Mode,
    /// Folders of which every change is reviewed.
    pub areas: BTreeSet<String>,
    /// When it was opened.
    pub opened: Timestamp,
    /// The sample.
    pub draw: Option<Draw>,
    /// The one look.
    pub closing: Option<Closing>,
    /// What became of changes later.
    pub outcomes: Vec<Outcome>,
}

/// The lots of an installation, by name.
#[derive(Debug)]
pub struct Lots;

impl Schema for Lots {
    const NAME: &'static str = "review_lots";
    type Document = Lot;
    const COLUMNS: &'static [Column<Lot>] = &[];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [OPENED, DRAWN, JUDGED, CLOSED, OUTCOME];
        (known.contains(fact.kind) && fact.version == VERSION).then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Lot>, fact: Fact<'_>) -> Option<Lot> {
        match prior {
            None if *fact.kind == OPENED => fact.decode().ok().map(begin),
            None => None,
            Some(mut lot) => {
                apply(&mut lot, fact);
                Some(lot)
            }
        }
    }
}

fn begin(opened: Opened) -> Lot {
    Lot {
        plan: opened.plan,
        plan_digest: opened.digest,
        plan_changed: false,
        commitment: opened.commitment,
        mode: opened.mode,
        areas: opened.areas,
        opened: opened.at,
        draw: None,
        closing: None,
        outcomes: Vec::new(),
    }
}

fn apply(lot: &mut Lot, fact: Fact<'_>) {
    if *fact.kind == OPENED {
        lot.plan_changed = true;
    } else if *fact.kind == DRAWN {
        if let (None, Ok(draw)) = (&lot.draw, fact.decode::<Draw>()) {
            lot.draw = Some(draw);
        }
    } else if *fact.kind == JUDGED {
        let Ok(judged) = fact.decode::<Judged>() else {
            return;
        };
        // What is said after the look does not change what was seen.
        if let (Some(draw), None) = (&mut lot.draw, &lot.closing) {
            let item = draw.items.iter_mut().find(|item| item.id == judged.change);
            item.into_iter()
                .for_each(|item| item.verdicts.push(judged.verdict.clone()));
        }
    } else if *fact.kind == CLOSED {
        if let (None, Ok(closing)) = (&lot.closing, fact.decode::<Closing>()) {
            lot.closing = Some(closing);
        }
    } else if *fact.kind == OUTCOME
        && let Ok(outcome) = fact.decode::<Outcome>()
    {
        lot.outcomes.push(outcome);
    }
}

/// How strictly a repository is reviewed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Regime {
    /// The present mode.
    pub mode: Mode,
    /// Lots that passed in a row since it was tightened.
    pub passed: u32,
    /// Folders with critical defects.
    pub areas: BTreeSet<String>,
}

/// Lots that have to pass in a row before reviews are normal again.
pub(crate) const PASSES: u32 = 2;

/// The regimes of repositories, by repository.
#[derive(Debug)]
pub struct Regimes;

impl Schema for Regimes {
    const NAME: &'static str = "review_regimes";
    type Document = Regime;
    const COLUMNS: &'static [Column<Regime>] = &[];

    fn key(fact: Fact<'_>) -> Option<String> {
        if *fact.kind != CLOSED || fact.version != VERSION {
            return None;
        }
        let closing: Closing = fact.decode().ok()?;
        Some(closing.repository)
    }

    fn fold(prior: Option<Regime>, fact: Fact<'_>) -> Option<Regime> {
        let mut regime = prior.unwrap_or_default();
        let Ok(closing) = fact.decode::<Closing>() else {
            return Some(regime);
        };
        if closing.statement.passes {
            regime.passed += 1;
            if regime.passed >= PASSES {
                regime = Regime::default();
            }
        } else {
            regime.mode = Mode::Tightened;
            regime.passed = 0;
            regime.areas.extend(closing.areas);
        }
        Some(regime)
    }
}

impl Item {
    /// Returns the verdict that counts.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdicts.last()
    }

    /// Returns the class of the defect that was found, if one was.
    pub(crate) fn class(&self) -> Option<Class> {
        let verdict = self.verdict()?;
        match verdict.word {
            super::Word::Defect => verdict.class,
            super::Word::NoDefect | super::Word::CannotTell => None,
        }
    }
}
