//! What is written down about findings, and what follows from it.

use std::collections::BTreeMap;

use airside_base::Timestamp;
use airside_ledger::{Cell, Column, Fact, Kind, Schema};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{Changes, Seen, Why};
use airside_codereview::source::Skip;

/// A finding was seen for the first time, or again after it had ended.
pub(crate) const OPENED: Kind = Kind::new("review.finding_opened");
/// A finding is judged otherwise than before.
pub(crate) const CHANGED: Kind = Kind::new("review.finding_changed");
/// A finding is no longer there.
pub(crate) const CLOSED: Kind = Kind::new("review.finding_closed");
/// Somebody accepts a finding for a while.
pub(crate) const EXCEPTED: Kind = Kind::new("review.finding_excepted");
/// An exception has ended, and the finding is still there.
pub(crate) const RESUMED: Kind = Kind::new("review.finding_resumed");
/// Somebody has to look after a finding.
pub(crate) const ASSIGNED: Kind = Kind::new("review.finding_assigned");
/// A whole tree was reviewed.
pub(crate) const RECORDED: Kind = Kind::new("review.tree_recorded");
/// Version of the bodies.
pub(crate) const VERSION: u16 = 1;

/// Most events that are kept of one finding.
const MAX_HISTORY: usize = 200;

/// Body of [`OPENED`] and [`CHANGED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) repository: String,
    pub(crate) revision: String,
    /// What made this entry, for people.
    pub(crate) because: String,
    pub(crate) seen: Seen,
    pub(crate) at: Timestamp,
}

/// Body of [`CLOSED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    pub(crate) why: Why,
    pub(crate) evidence: String,
    pub(crate) revision: String,
    pub(crate) at: Timestamp,
}

/// Body of [`EXCEPTED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Excepted {
    pub(crate) by: String,
    pub(crate) owner: String,
    pub(crate) reason: String,
    pub(crate) until: Date,
    pub(crate) at: Timestamp,
}

/// Body of [`RESUMED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Resumed {
    pub(crate) until: Date,
    pub(crate) at: Timestamp,
}

/// Body of [`ASSIGNED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assigned {
    pub(crate) by: String,
    pub(crate) owner: String,
    pub(crate) at: Timestamp,
}

/// A finding with its history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The repository.
    pub repository: String,
    /// The version in which it was judged last.
    pub revision: String,
    /// As it was judged last.
    pub seen: Seen,
    /// When it began, the last time.
    pub opened: Timestamp,
    /// Who was named to look after it.
    pub assigned: Option<String>,
    /// The exception that was made, whether or not it has ended by now.
    pub exception: Option<Exception>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// What happened, in words.
    pub history: Vec<(Timestamp, String)>,
}

/// A finding that somebody accepts for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Who wrote it down.
    pub by: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it may stay.
    pub reason: String,
    /// The last day.
    pub until: Date,
}

/// How a finding ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When that was written down.
    pub at: Timestamp,
    /// Why.
    pub why: Why,
    /// What shows it.
    pub evidence: String,
    /// The version that was reviewed.
    pub revision: String,
}

impl Finding {
    fn note(&mut self, at: Timestamp, what: String) {
        if self.history.len() < MAX_HISTORY {
            self.history.push((at, what));
        }
    }

    fn apply(&mut self, fact: Fact<'_>) {
        let kind = fact.kind;
        if (*kind == OPENED || *kind == CHANGED)
            && let Ok(judged) = fact.decode::<Judged>()
        {
            if *kind == OPENED {
                self.opened = judged.at;
                self.ended = None;
            }
            let revision = &judged.revision;
            self.note(judged.at, format!("{} in {revision}", judged.because));
            self.revision = judged.revision;
            self.seen = judged.seen;
        } else if *kind == CLOSED
            && let Ok(closed) = fact.decode::<Closed>()
        {
            let text = format!("ended, {}: {}", closed.why.words(), closed.evidence);
            self.note(closed.at, text);
            // An exception was for what was there.
            self.exception = None;
            self.ended = Some(Ended {
                at: closed.at,
                why: closed.why,
                evidence: closed.evidence,
                revision: closed.revision,
            });
        } else if *kind == EXCEPTED
            && let Ok(made) = fact.decode::<Excepted>()
        {
            let (until, by) = (made.until, &made.by);
            let text = format!(
                "accepted until {until} by {} ({by}): {}",
                made.owner, made.reason
            );
            self.note(made.at, text);
            self.exception = Some(Exception {
                by: made.by,
                owner: made.owner,
                reason: made.reason,
                until,
            });
        } else if *kind == RESUMED
            && let Ok(resumed) = fact.decode::<Resumed>()
        {
            let text = format!("the exception until {} has ended", resumed.until);
            self.note(resumed.at, text);
            self.exception = None;
        } else if *kind == ASSIGNED
            && let Ok(named) = fact.decode::<Assigned>()
        {
            let text = format!("{} looks after it, says {}", named.owner, named.by);
            self.note(named.at, text);
            self.assigned = Some(named.owner);
        }
    }
}

/// The findings of an installation, by id.
#[derive(Debug)]
pub struct Findings;

impl Schema for Findings {
    const NAME: &'static str = "review_findings";
    type Document = Finding;
    const COLUMNS: &'static [Column<Finding>] = &[Column {
        name: "repository",
        cell: |finding| Some(Cell::Text(finding.repository.clone())),
    }];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [OPENED, CHANGED, CLOSED, EXCEPTED, RESUMED, ASSIGNED];
        (known.contains(fact.kind) && fact.version == VERSION).then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Finding>, fact: Fact<'_>) -> Option<Finding> {
        if let Some(mut finding) = prior {
            finding.apply(fact);
            return Some(finding);
        }
        if *fact.kind != OPENED {
            return None;
        }
        let judged: Judged = fact.decode().ok()?;
        let mut finding = Finding {
            repository: judged.repository,
            revision: judged.revision,
            seen: judged.seen,
            opened: judged.at,
            assigned: None,
            exception: None,
            ended: None,
            history: Vec::new(),
        };
        let text = format!("{} in {}", judged.because, finding.revision);
        finding.note(judged.at, text);
        Some(finding)
    }
}

/// What was recorded last of a repository. Body of [`RECORDED`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// When.
    pub at: Timestamp,
    /// The version that was reviewed.
    pub revision: String,
    /// The program that did it.
    pub by: String,
    /// Files that were read.
    pub files: usize,
    /// Their lines.
    pub lines: usize,
    /// Files that were left out, by reason.
    pub left_out: BTreeMap<Skip, usize>,
    /// Findings that were recorded.
    pub found: usize,
    /// Known findings about which nothing could be said.
    pub unjudged: usize,
    /// What that changed.
    pub changes: Changes,
}

/// What was recorded last, by repository.
#[derive(Debug)]
pub struct Trees;

impl Schema for Trees {
    const NAME: &'static str = "review_trees";
    type Document = Tree;
    const COLUMNS: &'static [Column<Tree>] = &[];

    fn key(fact: Fact<'_>) -> Option<String> {
        let is_one = *fact.kind == RECORDED && fact.version == VERSION;
        is_one.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Tree>, fact: Fact<'_>) -> Option<Tree> {
        fact.decode().ok().or(prior)
    }
}
