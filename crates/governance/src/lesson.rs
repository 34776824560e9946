//! Lessons that reverts, incidents and defects owe, with the day on which they are due.
//!
//! # Invariants
//!
//! * A lesson is owed once for each change and cause. Time does not pay it, and nobody
//!   edits it: it is learned by a file, or waived with a reason that stays.
//! * A file pays only if it cites the change and names the rule, the test or the decision
//!   that follows from it. Its digest is written down.

mod desk;
pub(crate) mod event;

use std::fmt;

use airside_base::{Fault, Kind, Timestamp};
use airside_codereview::change::day;
use airside_ledger::TableError;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use desk::Desk;
pub(crate) use event::owe;
pub use event::{Lesson, Lessons, Paid};

/// Largest file of a lesson, in bytes.
pub const MAX_FILE: usize = 64 << 10;

/// What owes a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The change was taken back.
    Revert,
    /// It had to be repaired at once.
    Hotfix,
    /// It caused an incident.
    Incident,
    /// Reviewers found a defect in it.
    Defect,
    /// A lot of changes did not pass.
    Lot,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Revert,
        Self::Hotfix,
        Self::Incident,
        Self::Defect,
        Self::Lot,
    ];

    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revert => "revert",
            Self::Hotfix => "hotfix",
            Self::Incident => "incident",
            Self::Defect => "defect",
            Self::Lot => "lot",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Cause {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.as_str() == text)
            .ok_or("write revert, hotfix, incident, defect or lot")
    }
}

/// A lesson that is owed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debt {
    /// The repository.
    pub repository: String,
    /// What a file has to cite: the id of a commit, or the name of a lot.
    pub change: String,
    /// What owes it.
    pub cause: Cause,
    /// Where that is described.
    pub reference: String,
    /// Days until it is due.
    pub days: u32,
}

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Writes down what is owed. What is known already stays as it is.
    Owe {
        /// What that is.
        debts: Vec<Debt>,
    },
    /// Offers a file.
    Learn {
        /// Id of the lesson.
        lesson: String,
        /// Path of the file.
        file: String,
        /// Its content.
        text: String,
    },
    /// Says why there is nothing to learn.
    Waive {
        /// Id of the lesson.
        lesson: String,
        /// Why.
        reason: String,
    },
    /// Returns lessons.
    List {
        /// Those of one repository; of all unless given.
        #[serde(default)]
        repository: Option<String>,
        /// Also those that are learned or waived.
        #[serde(default)]
        paid: bool,
    },
}

impl Request {
    /// Returns whether it changes nothing.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::List { .. })
    }
}

/// How a lesson stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Its day has passed.
    Overdue,
    /// It is owed.
    Owed,
    /// A file pays it.
    Learned,
    /// Somebody said why there is nothing to learn.
    Waived,
}

impl Standing {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Overdue => "overdue",
            Self::Owed => "owed",
            Self::Learned => "learned",
            Self::Waived => "waived",
        }
    }
}

/// A lesson as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// How it stands now.
    pub standing: Standing,
    /// Everything else.
    pub lesson: Lesson,
}

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No lesson has this id.
    #[error("no lesson `{lesson}` is owed")]
    Missing {
        /// What was given.
        lesson: String,
    },
    /// The debt cannot be written down.
    #[error("the lesson is refused: {0}")]
    Debt(&'static str),
    /// The file does not pay.
    #[error("{file} does not pay: it {lacks}")]
    File {
        /// The file.
        file: String,
        /// What is missing.
        lacks: &'static str,
    },
    /// It is paid.
    #[error("lesson {lesson} is {standing} already")]
    Paid {
        /// Its id.
        lesson: String,
        /// How.
        standing: &'static str,
    },
    /// The ledger did not do it.
    #[error("cannot keep the lessons")]
    Ledger(#[from] TableError),
    /// An entry could not be made.
    #[error("cannot write the lesson down")]
    Draft(#[from] airside_ledger::DraftError),
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let of = |kind, code| Fault::new(kind, code, self.to_string());
        match self {
            Self::Missing { .. } => of(Kind::NotFound, "REV-054")
                .with_hint("`airside review lessons --all` lists them"),
            Self::Debt(_) => of(Kind::Invalid, "REV-055"),
            Self::File { .. } => of(Kind::Invalid, "REV-056").with_hint(
                "cite the change, and write a line such as `Rule: no-shell`, `Test: name` or `Decision: ADR 12`",
            ),
            Self::Paid { .. } => of(Kind::Conflict, "REV-057"),
            Self::Ledger(error) => error.fault(),
            Self::Draft(error) => error.fault(),
        }
    }
}

/// Returns the id of a lesson: `L-` and 12 digits of SHA-256 over what owes it.
#[must_use]
pub fn id(repository: &str, change: &str, cause: Cause) -> String {
    crate::mark::mark('L', &[repository, change, cause.as_str()])
}

/// Returns how a lesson that is due at `due` stands at `now`.
fn standing(lesson: &Lesson, now: Timestamp) -> Standing {
    match &lesson.paid {
        Some(Paid::Learned { .. }) => Standing::Learned,
        Some(Paid::Waived { .. }) => Standing::Waived,
        None if day(now) > lesson.due => Standing::Overdue,
        None => Standing::Owed,
    }
}

/// Returns the last day of a debt of `days` that begins at `now`.
fn due(now: Timestamp, days: u32) -> Date {
    let wait = jiff::SignedDuration::from_hours(24 * i64::from(days));
    day(now + wait)
}

#[cfg(test)]
mod tests;
