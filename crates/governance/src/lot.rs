//! Sampling of human review: what is drawn, what reviewers said, and the one statement
//! that follows.
//!
//! A *unit* is one merged change. A *lot* is all changes of a repository merged between
//! the opening of the lot and a stated time. Changes at or above the risk threshold, with
//! a trigger, or whose risk is not known are all reviewed (the mandatory stratum); of the
//! rest a simple random sample is.
//!
//! # Invariants
//!
//! * Plan and commitment to the key are written before the first change is merged.
//! * Words of a verdict come from closed sets. A verdict is superseded, never edited.
//! * There is one look: closing. Until then no outcome leaves this module, only counts.
//! * `cannot-tell` and verdicts that are missing count as defects.
//! * A statement is generated from the ledger; nothing takes a bound as an argument.

mod bound;
mod desk;
mod draw;
pub(crate) mod event;
mod outcome;
mod statement;
mod strata;

use std::{collections::BTreeSet, fmt, str::FromStr};

use airside_base::{Fault, Kind, Timestamp};
use airside_codereview::change::Attribution;
use airside_ledger::TableError;
use serde::{Deserialize, Serialize};

pub use bound::{Sample, Tables, WHOLE, too_many};
pub use desk::Desk;
pub use draw::{Identity, Key};
pub use event::{Draw, Item, Lot, Lots, Mode, Regime, Regimes, Stratum};
pub use outcome::Became;
pub use statement::{Closing, Statement};

/// Most changes in the random stratum of a lot.
pub const MAX_CHANGES: usize = 15_000;

/// What is decided before a lot begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The repository whose changes are sampled.
    pub repository: String,
    /// When the lot closes to further changes.
    pub until: Timestamp,
    /// The sample shall be able to show that fewer than this many ten-thousandths of the
    /// random stratum carry a defect, with 95 % confidence.
    pub limit: u32,
    /// Defects of the sample with which it still shows that.
    pub accept: usize,
    /// Defects of this class and worse count.
    pub counts: Class,
    /// Changes with this risk score and more are all reviewed.
    pub threshold: u32,
    /// Kinds of changes that are left out of the lot.
    pub exclude: BTreeSet<Exclusion>,
    /// Days after the draw at which verdicts that are missing are overdue.
    pub due_days: u32,
    /// Version of what reviewers look for.
    pub checklist: String,
}

/// How bad a defect is, the harmless first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Untidy; nobody is harmed.
    Minor,
    /// Wrong for some users, or a weakness.
    Major,
    /// Harms users, money or secrets.
    Critical,
}

/// Why a change is left out, by the written rule of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exclusion {
    /// It changes nothing.
    Empty,
    /// Every file of it is generated.
    Generated,
    /// Every file of it comes from elsewhere.
    Vendored,
}

/// One merged change, as it is offered to a lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Which change.
    pub identity: Identity,
    /// When it was merged.
    pub merged: Timestamp,
    /// Which tools had a part in it, as far as that is declared.
    #[serde(default)]
    pub attribution: Attribution,
    /// Folders that it touches.
    #[serde(default)]
    pub areas: Vec<String>,
    /// What speaks for a closer look; none if it could not be computed.
    #[serde(default)]
    pub risk: Option<Risk>,
    /// Which rule leaves it out, if one does.
    #[serde(default)]
    pub exclusion: Option<Exclusion>,
}

/// A score that adds up what it names. It is no probability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Risk {
    /// Sum of the points.
    pub score: u32,
    /// What alone makes a review mandatory.
    #[serde(default)]
    pub triggers: Vec<String>,
}

macro_rules! words {
    ($name:ty, $($variant:path = $word:literal),+) => {
        impl $name {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Returns the word for it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                match text {
                    $($word => Ok($variant),)+
                    _ => Err(Error::Word { given: text.to_owned(), known: Self::WORDS }),
                }
            }
        }
    };
}

words!(
    Class,
    Class::Minor = "minor",
    Class::Major = "major",
    Class::Critical = "critical"
);
words!(
    Exclusion,
    Exclusion::Empty = "empty",
    Exclusion::Generated = "generated",
    Exclusion::Vendored = "vendored"
);
words!(
    Word,
    Word::NoDefect = "no-defect",
    Word::Defect = "defect",
    Word::CannotTell = "cannot-tell"
);
words!(
    After,
    After::Revert = "revert",
    After::Hotfix = "hotfix",
    After::Incident = "incident"
);

/// What a reviewer can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// The checklist shows nothing.
    NoDefect,
    /// Something is wrong.
    Defect,
    /// It cannot be judged. Counts as a defect.
    CannotTell,
}

/// What became of a change later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum After {
    /// It was taken back.
    Revert,
    /// It had to be repaired at once.
    Hotfix,
    /// It caused an incident.
    Incident,
}

/// A verdict on one change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verdict {
    /// What was said.
    pub word: Word,
    /// How bad it is; for a defect.
    #[serde(default)]
    pub class: Option<Class>,
    /// What sort of defect it is; for a defect.
    #[serde(default)]
    pub sort: Option<String>,
    /// What shows it; for a defect.
    #[serde(default)]
    pub evidence: Option<String>,
    /// Who says so.
    pub reviewer: String,
    /// How long it took.
    pub minutes: u32,
    /// The version that was read.
    pub revision: String,
    /// The version of the checklist.
    pub checklist: String,
}

/// Days until a lesson is due, unless somebody says otherwise.
pub const LESSON_DAYS: u32 = 14;

fn lesson_days() -> u32 {
    LESSON_DAYS
}

/// What can be asked of the desk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Opens a lot.
    Open {
        /// Its name.
        lot: String,
        /// What is decided beforehand.
        plan: Box<Plan>,
        /// [`Key::commitment`].
        commitment: String,
    },
    /// Draws the sample.
    Draw {
        /// Which lot.
        lot: String,
        /// The key of the commitment; it stays here until the lot is closed.
        key: String,
        /// A public text that nobody could know beforehand.
        beacon: String,
        /// All changes of the lot.
        changes: Vec<Change>,
        /// Ids of changes with a known defect, to be shown to reviewers among the drawn.
        planted: Vec<Identity>,
    },
    /// Records a verdict.
    Judge {
        /// Which lot.
        lot: String,
        /// Id of the change.
        change: String,
        /// What was said.
        verdict: Box<Verdict>,
        /// Whether it replaces an earlier one.
        supersede: bool,
    },
    /// Closes a lot: the one look.
    Close {
        /// Which lot.
        lot: String,
        /// The key, which is revealed by this.
        key: String,
    },
    /// Records what became of a change.
    Outcome {
        /// Which lot.
        lot: String,
        /// Id of the change.
        change: String,
        /// What happened.
        after: After,
        /// Where it is described.
        reference: String,
        /// Days until the lesson is due that it owes.
        #[serde(default = "lesson_days")]
        lesson_days: u32,
    },
    /// Sorts changes, merged or not: which are reviewed in any case, which can be drawn.
    Sort {
        /// Which lot.
        lot: String,
        /// The changes.
        changes: Vec<Change>,
    },
    /// Returns a lot.
    Show {
        /// Which lot.
        lot: String,
    },
    /// Returns all lots.
    List,
}

impl Request {
    /// Returns whether it changes nothing.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::Sort { .. } | Self::Show { .. } | Self::List)
    }
}

/// A lot, as it may be shown: before it is closed without any outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shown {
    /// Its name.
    pub lot: String,
    /// `open`, `drawn` or `closed`.
    pub state: String,
    /// What was decided beforehand.
    pub plan: Plan,
    /// Digest of the plan.
    pub plan_digest: String,
    /// Digest of the key.
    pub commitment: String,
    /// Whether the review was tightened.
    pub mode: Mode,
    /// When it was opened.
    pub opened: Timestamp,
    /// Changes in the random stratum.
    pub population: usize,
    /// Changes of it that were drawn.
    pub drawn: usize,
    /// Changes that were all to be reviewed.
    pub mandatory: usize,
    /// Changes that the plan leaves out.
    pub excluded: usize,
    /// What has to be reviewed, in the order for reviewers.
    pub items: Vec<ShownItem>,
    /// When missing verdicts become overdue.
    pub due: Option<Timestamp>,
    /// The statement, once the lot is closed.
    pub statement: Option<Statement>,
    /// The key, once the lot is closed.
    pub key: Option<String>,
    /// What became of changes later.
    pub outcomes: Vec<Outcome>,
    /// The same up to now, in numbers and beside the bound; once something is drawn.
    pub became: Option<Became>,
    /// Changes that somebody asked about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sorted: Vec<Sorted>,
}

/// Where a change would go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sorted {
    /// Its id.
    pub id: String,
    /// Its commit.
    pub commit: String,
    /// Whether the plan leaves it out.
    pub excluded: bool,
    /// Why it is reviewed in any case; nothing if it can be drawn.
    pub why: Vec<String>,
}

/// A change that has to be reviewed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownItem {
    /// Its id.
    pub id: String,
    /// Which change.
    pub change: Identity,
    /// Whether every change like it is reviewed.
    pub mandatory: bool,
    /// Why, if so.
    #[serde(default)]
    pub why: Vec<String>,
    /// Verdicts so far, the superseded ones too.
    pub verdicts: usize,
}

/// What became of a change, and when that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Id of the change.
    pub change: String,
    /// What happened.
    pub after: After,
    /// Where it is described.
    pub reference: String,
    /// When it was recorded.
    pub at: Timestamp,
}

/// Why the desk did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No lot has this name.
    #[error("there is no lot `{lot}`")]
    Missing {
        /// The name.
        lot: String,
    },
    /// The lot is not in the state that this needs.
    #[error("lot `{lot}` is {state}: {reason}")]
    State {
        /// The lot.
        lot: String,
        /// Its state.
        state: &'static str,
        /// What that excludes.
        reason: &'static str,
    },
    /// The key is malformed or another one.
    #[error("the key is not the one that the lot was opened with")]
    Key,
    /// The plan cannot be carried out.
    #[error("the plan cannot be carried out: {0}")]
    Plan(&'static str),
    /// A change does not belong to the lot.
    #[error("change {commit} does not belong to the lot: {reason}")]
    Change {
        /// Its commit.
        commit: String,
        /// Why.
        reason: &'static str,
    },
    /// More changes than a lot holds.
    #[error("a lot holds at most {MAX_CHANGES} changes")]
    TooMany,
    /// A word that is not in the closed set.
    #[error("`{given}` is none of {}", known.join(", "))]
    Word {
        /// What was given.
        given: String,
        /// What there is.
        known: &'static [&'static str],
    },
    /// The verdict is incomplete or about another change.
    #[error("the verdict is refused: {0}")]
    Verdict(&'static str),
    /// The statement is refused.
    #[error("there is no statement: {0}")]
    Look(&'static str),
    /// The lesson that an outcome owes cannot be written down.
    #[error("a lesson is due after 1 to 366 days")]
    Lesson,
    /// The ledger did not do it.
    #[error("cannot keep the lot")]
    Ledger(#[from] TableError),
    /// An entry could not be made.
    #[error("cannot write the lot down")]
    Draft(#[from] airside_ledger::DraftError),
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let of = |kind, code| Fault::new(kind, code, self.to_string());
        match self {
            Self::Missing { .. } => of(Kind::NotFound, "REV-001")
                .with_hint("`airside review lot report` lists the lots"),
            Self::State { .. } => of(Kind::Conflict, "REV-002")
                .with_hint("a lot is opened, drawn and closed once, in this order"),
            Self::Key => of(Kind::Forbidden, "REV-003")
                .with_hint("name the key file that `airside review lot open` made"),
            Self::Plan(_) => of(Kind::Invalid, "REV-004"),
            Self::Change { .. } => of(Kind::Invalid, "REV-005").with_hint(
                "offer what was merged into this repository between opening and end of the lot",
            ),
            Self::TooMany => of(Kind::TooLarge, "REV-005").with_hint("close lots more often"),
            Self::Word { .. } => of(Kind::Invalid, "REV-006"),
            Self::Verdict(_) => of(Kind::Invalid, "REV-007"),
            Self::Look(_) => of(Kind::Conflict, "REV-008"),
            Self::Lesson => of(Kind::Invalid, "REV-055"),
            Self::Ledger(error) => error.fault(),
            Self::Draft(error) => error.fault(),
        }
    }
}
