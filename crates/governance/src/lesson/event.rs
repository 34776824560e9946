//! What is written down about lessons, and what follows from it.

use airside_base::{TenantId, Timestamp};
use airside_ledger::{Cell, Column, Draft, DraftError, Fact, Kind, Schema};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Cause, Debt, due, id};

/// A lesson is owed.
pub(crate) const OWED: Kind = Kind::new("review.lesson_owed");
/// A file pays a lesson.
pub(crate) const LEARNED: Kind = Kind::new("review.lesson_learned");
/// There is nothing to learn.
pub(crate) const WAIVED: Kind = Kind::new("review.lesson_waived");
/// Version of the bodies.
pub(crate) const VERSION: u16 = 1;

/// Body of [`OWED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owed {
    pub(crate) debt: Debt,
    pub(crate) due: Date,
    pub(crate) by: String,
    pub(crate) at: Timestamp,
}

/// How a lesson was paid. Body of [`LEARNED`] and [`WAIVED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Paid {
    /// By a file.
    Learned {
        /// Its path.
        file: String,
        /// SHA-256 of its content.
        digest: String,
        /// Rules, tests and decisions that it names.
        named: Vec<String>,
        /// Who offered it.
        by: String,
        /// When.
        at: Timestamp,
    },
    /// By the reason why there is nothing to learn.
    Waived {
        /// The reason.
        reason: String,
        /// Who gave it.
        by: String,
        /// When.
        at: Timestamp,
    },
}

/// A lesson.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lesson {
    /// What is owed.
    pub debt: Debt,
    /// The last day.
    pub due: Date,
    /// Who wrote it down.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How it was paid.
    pub paid: Option<Paid>,
}

/// The lessons of an installation, by id.
#[derive(Debug)]
pub struct Lessons;

impl Schema for Lessons {
    const NAME: &'static str = "review_lessons";
    type Document = Lesson;
    const COLUMNS: &'static [Column<Lesson>] = &[Column {
        name: "repository",
        cell: |lesson| Some(Cell::Text(lesson.debt.repository.clone())),
    }];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [OWED, LEARNED, WAIVED];
        (known.contains(fact.kind) && fact.version == VERSION).then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Lesson>, fact: Fact<'_>) -> Option<Lesson> {
        let Some(mut lesson) = prior else {
            let owed: Owed = fact.decode().ok().filter(|_| *fact.kind == OWED)?;
            return Some(Lesson {
                debt: owed.debt,
                due: owed.due,
                by: owed.by,
                at: owed.at,
                paid: None,
            });
        };
        if *fact.kind != OWED && lesson.paid.is_none() {
            lesson.paid = fact.decode().ok();
        }
        Some(lesson)
    }
}

/// Returns the entry by which `debt` is owed from `at` on.
pub(crate) fn owe(
    tenant: &TenantId,
    debt: Debt,
    by: &str,
    at: Timestamp,
) -> Result<Draft, DraftError> {
    let key = id(&debt.repository, &debt.change, debt.cause);
    let owed = Owed {
        due: due(at, debt.days),
        debt,
        by: by.to_owned(),
        at,
    };
    Draft::new(tenant.clone(), OWED, VERSION, &key, &owed)
}

impl Cause {
    /// Returns what owes a lesson after what became of a change.
    #[must_use]
    pub fn of(after: crate::lot::After) -> Self {
        match after {
            crate::lot::After::Revert => Self::Revert,
            crate::lot::After::Hotfix => Self::Hotfix,
            crate::lot::After::Incident => Self::Incident,
        }
    }
}
