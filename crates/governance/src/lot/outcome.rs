//! What became of the changes of a lot, in numbers, to be read beside the bound.
//!
//! # Invariants
//!
//! * Numbers of changes, not of entries: a change that was repaired twice counts once for
//!   each word.
//! * They say nothing about what nobody traced back to a change, and the text says so.

use std::collections::BTreeSet;

use airside_base::Timestamp;
use serde::{Deserialize, Serialize};

use super::{After, Lot, Statement, Stratum};

/// What became of changes, from the opening of their lot up to some time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Became {
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Changes that were taken back.
    pub reverts: usize,
    /// Changes that had to be repaired at once.
    pub hotfixes: usize,
    /// Changes that caused an incident.
    pub incidents: usize,
    /// Changes with any of this of the mandatory stratum.
    pub mandatory: usize,
    /// Those that were drawn and reviewed.
    pub drawn: usize,
    /// Those of the random stratum that nobody reviewed.
    pub unreviewed: usize,
}

impl Became {
    /// Returns what became of the changes of `lot` until `now`, if anything is drawn.
    pub(crate) fn of(lot: &Lot, now: Timestamp) -> Option<Self> {
        let draw = lot.draw.as_ref()?;
        let count = |after: After| {
            let with = lot.outcomes.iter().filter(|one| one.after == after);
            with.map(|one| &one.change).collect::<BTreeSet<_>>().len()
        };
        let all: BTreeSet<&String> = lot.outcomes.iter().map(|one| &one.change).collect();
        let in_stratum = |stratum: Stratum| {
            let of = draw.items.iter().filter(|item| item.stratum == stratum);
            of.filter(|item| all.contains(&item.id)).count()
        };
        let (mandatory, drawn) = (in_stratum(Stratum::Mandatory), in_stratum(Stratum::Sample));
        Some(Self {
            from: lot.opened,
            until: now,
            reverts: count(After::Revert),
            hotfixes: count(After::Hotfix),
            incidents: count(After::Incident),
            mandatory,
            drawn,
            unreviewed: all.len() - mandatory - drawn,
        })
    }

    /// Returns whether more unreviewed changes went wrong than `statement` says can be
    /// defective.
    #[must_use]
    pub fn contradicts(&self, statement: &Statement) -> bool {
        self.unreviewed > statement.bound.saturating_sub(statement.counted)
    }

    /// Returns it as a text to be read beside `statement`.
    #[must_use]
    pub fn text(&self, statement: Option<&Statement>) -> String {
        let number = |count: usize, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            _ => format!("{count} {many}"),
        };
        let mut text = format!(
            "Outcome ledger from {:.0} to {:.0}: {}, {}, {}, by change; {} in the mandatory stratum, {} \
             drawn, {} unreviewed. What nobody traced back to a change is not in it.",
            self.from,
            self.until,
            number(self.reverts, "revert", "reverts"),
            number(self.hotfixes, "hotfix", "hotfixes"),
            number(self.incidents, "incident", "incidents"),
            self.mandatory,
            self.drawn,
            self.unreviewed,
        );
        if statement.is_some_and(|statement| self.contradicts(statement)) {
            text.push_str(
                " More unreviewed changes went wrong than the bound allows: what went wrong is of a kind \
                 that these reviewers do not see, or the statement is one of the 5 % that are false.",
            );
        }
        text
    }
}
