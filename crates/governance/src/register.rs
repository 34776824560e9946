//! Findings of repositories in the ledger: who owns them, which of them are accepted until
//! when, and what showed that they are gone.
//!
//! # Invariants
//!
//! * A finding is known by repository and fingerprint. It is never removed: it ends, with
//!   what showed that, and begins again if it is seen again.
//! * Nothing ends because nobody looked. [`judge`] ends a finding only if its rule was
//!   applied and its file was read to the end or is gone.
//! * An exception has a reason, an owner and a last day, at most a year away. Behind that
//!   day the finding counts again, and the next recording writes so down.

mod desk;
pub(crate) mod event;

use std::collections::{BTreeMap, BTreeSet};

use airside_base::{Fault, Finding as Told, Kind};
use airside_ledger::TableError;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use airside_codereview::{
    copies::Place,
    finding::{self, Certainty, Report, Step},
    house::House,
    rules::Rules,
    source::Skip,
};

pub use desk::Register;
pub use event::{Finding, Findings, Tree, Trees};

/// Most findings of one recording.
pub const MAX_FINDINGS: usize = 5_000;
/// Steps of a trace, and related places, that are kept.
const MAX_STEPS: usize = 30;
/// Most characters of a text of the scanned tree that are kept.
const MAX_TEXT: usize = 1_000;
/// Rules that need no rule file.
const OWN: [&str; 2] = ["copy-exact", "copy-renamed"];

/// A finding as a review has seen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Rule, severity, message, first line and fingerprint.
    pub what: Told,
    /// What sort of weakness it is.
    pub class: String,
    /// Number of the weakness in the common list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwe: Option<String>,
    /// How sure it is.
    pub certainty: Certainty,
    /// Where it is.
    pub place: Place,
    /// The way of the value, from where it enters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<Step>,
    /// Other places that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Place>,
    /// Whom the house names for the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Whether its rule comes with this program.
    pub shipped: bool,
}

/// Why a finding has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Its file was read, and it is not in it.
    Repaired,
    /// Its file is gone.
    FileGone,
    /// This program no longer has its rule.
    RuleGone,
}

impl Why {
    /// Returns it in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Repaired => "repaired",
            Self::FileGone => "file gone",
            Self::RuleGone => "rule gone",
        }
    }
}

/// The end of a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Id of the finding.
    pub finding: String,
    /// Why.
    pub why: Why,
    /// What shows it.
    pub evidence: String,
}

/// What a review of a whole tree has to say about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// Name of the repository.
    pub repository: String,
    /// The version that was reviewed.
    pub revision: String,
    /// The program that did it, with its version.
    pub by: String,
    /// What was found.
    pub seen: Vec<Seen>,
    /// What was known and is no longer there.
    pub ended: Vec<End>,
    /// Known findings about which nothing can be said: nobody looked there.
    pub unjudged: usize,
    /// Files that were read.
    pub files: usize,
    /// Their lines.
    pub lines: usize,
    /// Files that were left out, by reason.
    pub left_out: BTreeMap<Skip, usize>,
}

/// What can be asked of the register.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Writes down what a review has found.
    Record {
        /// What that is.
        recording: Box<Recording>,
    },
    /// Accepts a finding for a while.
    Except {
        /// Id of the finding.
        finding: String,
        /// Who answers for that.
        owner: String,
        /// Why it may stay.
        reason: String,
        /// The last day.
        until: Date,
    },
    /// Says who has to look after a finding.
    Assign {
        /// Id of the finding.
        finding: String,
        /// Who.
        owner: String,
    },
    /// Returns one finding in full.
    Show {
        /// Id of the finding, or the beginning of its fingerprint.
        finding: String,
    },
    /// Returns findings without their traces and histories.
    List {
        /// Those of one repository; of all unless given.
        #[serde(default)]
        repository: Option<String>,
        /// Also those that have ended.
        #[serde(default)]
        ended: bool,
    },
}

impl Request {
    /// Returns whether it changes nothing.
    #[must_use]
    pub fn only_reads(&self) -> bool {
        matches!(self, Self::Show { .. } | Self::List { .. })
    }
}

/// How a finding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Somebody has to do something.
    Open,
    /// Accepted for a while.
    Excepted,
    /// It is no longer there.
    Ended,
}

impl Standing {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Excepted => "excepted",
            Self::Ended => "ended",
        }
    }
}

/// A finding as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// How it stands now.
    pub standing: Standing,
    /// Who has to look after it.
    pub owner: Option<String>,
    /// Everything else.
    pub finding: Finding,
}

/// What a recording has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Findings that were not known, or had ended.
    pub opened: usize,
    /// Those that are judged otherwise than before.
    pub changed: usize,
    /// Those that have ended.
    pub ended: usize,
    /// Exceptions that have ended.
    pub resumed: usize,
    /// Those that were known and are the same.
    pub same: usize,
}

/// What the register answers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Findings, the worst first.
    pub findings: Vec<Shown>,
    /// Repositories, with what was recorded last.
    pub trees: BTreeMap<String, Tree>,
    /// What a recording has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Whether there are more than are listed.
    #[serde(default)]
    pub more: bool,
}

/// Why the register did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No finding has this id.
    #[error("there is no finding `{finding}`")]
    Missing {
        /// What was given.
        finding: String,
    },
    /// Several findings begin like this.
    #[error("{count} findings begin with `{finding}`")]
    Ambiguous {
        /// What was given.
        finding: String,
        /// How many.
        count: usize,
    },
    /// The decision is incomplete.
    #[error("the decision is refused: {0}")]
    Decision(&'static str),
    /// The finding has ended.
    #[error("finding {finding} has ended; there is nothing to decide")]
    Ended {
        /// Its id.
        finding: String,
    },
    /// The recording cannot be taken.
    #[error("the recording is refused: {0}")]
    Recording(&'static str),
    /// The ledger did not do it.
    #[error("cannot keep the findings")]
    Ledger(#[from] TableError),
    /// An entry could not be made.
    #[error("cannot write the findings down")]
    Draft(#[from] airside_ledger::DraftError),
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let of = |kind, code| Fault::new(kind, code, self.to_string());
        match self {
            Self::Missing { .. } => of(Kind::NotFound, "REV-050")
                .with_hint("`airside review findings --all` lists them"),
            Self::Ambiguous { .. } => {
                of(Kind::Invalid, "REV-050").with_hint("write more of the fingerprint, or the id")
            }
            Self::Decision(_) => of(Kind::Invalid, "REV-051"),
            Self::Ended { .. } => of(Kind::Conflict, "REV-052")
                .with_hint("it begins again by itself if a review sees it again"),
            Self::Recording(_) => of(Kind::Invalid, "REV-053"),
            Self::Ledger(error) => error.fault(),
            Self::Draft(error) => error.fault(),
        }
    }
}

/// Returns the id of a finding: `R-` and 12 digits of SHA-256 over repository and
/// fingerprint.
#[must_use]
pub fn id(repository: &str, fingerprint: &str) -> String {
    crate::mark::mark('R', &[repository, fingerprint])
}

/// Where a tree was read, for [`judge`].
#[derive(Debug, Clone, Copy)]
pub struct Where<'a> {
    /// Name of the repository.
    pub repository: &'a str,
    /// The version that was reviewed.
    pub revision: &'a str,
    /// The program that did it, with its version.
    pub by: &'a str,
}

/// Compares `report`, of a whole tree, with what is `known` of the repository. Findings
/// that `named` picks are recorded; `is_gone` tells whether a path is no longer there.
#[must_use]
pub fn judge(
    at: Where<'_>,
    report: &Report,
    (rules, house): (&Rules, &House),
    known: &[Shown],
    named: &dyn Fn(&finding::Finding) -> bool,
    is_gone: &dyn Fn(&str) -> bool,
) -> Recording {
    let shipped: BTreeSet<String> = ids(&Rules::builtin());
    let applied = ids(rules);
    let prints: BTreeSet<&str> = report
        .findings
        .iter()
        .map(|finding| finding.what.fingerprint.as_str())
        .collect();
    let mut recording = Recording {
        repository: at.repository.to_owned(),
        revision: at.revision.to_owned(),
        by: at.by.to_owned(),
        seen: report
            .findings
            .iter()
            .filter(|finding| named(finding))
            .map(|finding| seen(finding, house, &shipped))
            .collect(),
        ended: Vec::new(),
        unjudged: 0,
        files: report.files,
        lines: report.lines,
        left_out: report.skipped.count.clone(),
    };
    for shown in known {
        let of = &shown.finding;
        let was = &of.seen;
        let is_known = of.repository == at.repository && shown.standing != Standing::Ended;
        if !is_known || prints.contains(was.what.fingerprint.as_str()) {
            continue;
        }
        let path = was.place.path.as_str();
        let rule = &*was.what.rule;
        let end = if !applied.contains(rule) {
            // Whether another file of rules has it, nobody knows.
            (was.shipped && !shipped.contains(rule))
                .then(|| (Why::RuleGone, format!("{} has no rule `{rule}`", at.by)))
        } else if is_gone(path) {
            Some((Why::FileGone, format!("{} has no file {path}", at.revision)))
        } else if report.looked.contains(path) {
            let text = format!("{} read {path} of {}", at.by, at.revision);
            Some((
                Why::Repaired,
                format!("{text}: rule `{rule}` finds no such text"),
            ))
        } else {
            None
        };
        match end {
            Some((why, evidence)) => recording.ended.push(End {
                finding: shown.id.clone(),
                why,
                evidence,
            }),
            None => recording.unjudged += 1,
        }
    }
    recording
}

fn ids(rules: &Rules) -> BTreeSet<String> {
    let named = rules.list().map(|(id, ..)| id.to_owned());
    named.chain(OWN.map(str::to_owned)).collect()
}

fn seen(finding: &finding::Finding, house: &House, shipped: &BTreeSet<String>) -> Seen {
    let mut what = finding.what.clone();
    what.message = cut(&what.message);
    let trace = finding.trace.iter().take(MAX_STEPS).map(|step| Step {
        path: step.path.clone(),
        line: step.line,
        what: cut(&step.what),
    });
    Seen {
        shipped: shipped.contains(&*what.rule),
        class: finding.class.clone(),
        cwe: finding.cwe.clone(),
        certainty: finding.certainty,
        place: finding.place.clone(),
        trace: trace.collect(),
        related: finding.related.iter().take(MAX_STEPS).cloned().collect(),
        owner: house.owner_of(&finding.place.path).map(str::to_owned),
        what,
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests;
