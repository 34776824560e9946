//! The entries, and what they fold to.

use std::collections::BTreeMap;

use airside_base::Timestamp;
use airside_ledger::{Column, Fact, Kind, Schema};
use serde::{Deserialize, Serialize};

use super::{Evaluation, Results};

/// A suite was run.
pub(super) const COMPLETED: Kind = Kind::new("eval.completed");
/// A change has made results stale.
pub(super) const STALE: Kind = Kind::new("eval.stale");
/// Version of the bodies.
pub(super) const VERSION: u16 = 1;

/// `eval.completed`, version 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Completed {
    pub(super) results: Results,
    /// Who ran it.
    pub(super) by: String,
    /// The head of the chain when it was recorded.
    pub(super) seen: u64,
    pub(super) at: Timestamp,
}

/// `eval.stale`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stale {
    /// The cases, and what changed.
    pub(super) cases: BTreeMap<String, Vec<String>>,
    /// Kind of the entry that is the cause.
    pub(super) cause: String,
    /// Its sequence number.
    pub(super) seen: u64,
    pub(super) at: Timestamp,
}

/// What is known of suites, by suite and model.
#[derive(Debug)]
pub struct Evaluations;

impl Schema for Evaluations {
    const NAME: &'static str = "evaluations";
    type Document = Evaluation;
    const COLUMNS: &'static [Column<Evaluation>] = &[];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = *fact.kind == COMPLETED || *fact.kind == STALE;
        (known && fact.version == VERSION).then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Evaluation>, fact: Fact<'_>) -> Option<Evaluation> {
        if *fact.kind == COMPLETED {
            return match fact.decode::<Completed>() {
                Ok(completed) => Some(after(prior, completed)),
                Err(_) => prior,
            };
        }
        let mut evaluation = prior?;
        if let Ok(stale) = fact.decode::<Stale>() {
            for (case, changes) in stale.cases {
                let known = evaluation.stale.entry(case).or_default();
                for change in changes {
                    if !known.contains(&change) {
                        known.push(change);
                    }
                }
            }
            evaluation.seen = evaluation.seen.max(stale.seen);
        }
        Some(evaluation)
    }
}

fn after(prior: Option<Evaluation>, completed: Completed) -> Evaluation {
    let mut results = completed.results;
    let mut stale = BTreeMap::new();
    if let Some(prior) = prior {
        stale = prior.stale;
        stale.retain(|case, _| !results.cases.contains_key(case));
        results.keep(prior.results);
    }
    Evaluation {
        results,
        by: completed.by,
        at: completed.at,
        stale,
        seen: completed.seen,
    }
}

/// What callers see of a tool has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ToolChange {
    pub(super) server: String,
    pub(super) tool: String,
    /// Whether callers did not see it before.
    pub(super) is_new: bool,
}

/// What entries about contracts have in common.
#[derive(Deserialize)]
struct Contract {
    of: Of,
    #[serde(default)]
    state: Option<String>,
}

#[derive(Deserialize)]
struct Of {
    server: String,
    tool: String,
}

impl ToolChange {
    /// Reads an entry about the contract of a tool; none if callers see what they saw.
    pub(super) fn read(fact: Fact<'_>) -> Option<Self> {
        let kind = fact.kind.as_str();
        let decided = match kind {
            "contract.observed" | "contract.changed" => false,
            "contract.accepted" | "contract.quarantined" => true,
            _ => return None,
        };
        let contract: Contract = fact.decode().ok()?;
        let state = contract.state.as_deref();
        let unseen = match kind {
            // A new tool that is not accepted is not listed.
            "contract.observed" => state != Some("accepted"),
            // A change that is held is not shown.
            "contract.changed" => state == Some("held"),
            _ => false,
        };
        (decided || !unseen).then_some(Self {
            server: contract.of.server,
            tool: contract.of.tool,
            is_new: matches!(kind, "contract.observed" | "contract.accepted"),
        })
    }
}
