//! What is told of findings: in the record of the call, and as entries of their own.
//!
//! # Invariants
//!
//! * Never what was found: see [`Hit`].
//! * A flood of findings does not become a flood of entries: above a rate they are
//!   counted, and the counts are one entry.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use airside_base::TenantId;
use airside_firewall::{Findings, Hit, MAX_TOLD};
use airside_ledger::{Draft, DraftError, Kind};
use serde::{Deserialize, Serialize};

use crate::event::Caller;

/// Entries that may follow each other at once, and how many a second for long.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 20.0;
/// How long findings are counted before the counts are written.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
/// Most different counts that are kept.
const MAX_COUNTS: usize = 256;

/// Adds `more` to the findings of a record, which keeps a bounded number.
pub(crate) fn note(kept: &mut Vec<Hit<'static>>, more: Vec<Hit<'static>>) {
    let room = MAX_TOLD.saturating_sub(kept.len());
    kept.extend(more.into_iter().take(room));
}

/// `firewall.blocked`, `firewall.redacted` and `firewall.flagged`, version 1: what was
/// found in one message. The kind says what was done at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Found<'a> {
    /// The call that it belongs to; absent where a message belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Who called.
    pub caller: Caller<'a>,
    /// Path of the endpoint.
    pub endpoint: String,
    /// The upstream server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The tool or prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// `request` or `answer`.
    pub direction: String,
    /// What was found.
    pub hits: Vec<Hit<'a>>,
    /// How much more was found.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
}

/// `firewall.counted`, version 1: what was found while too much was found for entries of
/// its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Messages with findings, by the strongest action.
    pub messages: u64,
    /// How often each rule was met with which action.
    pub rules: Vec<Count>,
}

/// How often a rule was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Count {
    /// The rule.
    pub rule: String,
    /// What was done.
    pub action: String,
    /// How often.
    pub times: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

const BLOCKED: Kind = Kind::new("firewall.blocked");
const REDACTED: Kind = Kind::new("firewall.redacted");
const FLAGGED: Kind = Kind::new("firewall.flagged");
const COUNTED: Kind = Kind::new("firewall.counted");

impl<'a> Found<'a> {
    /// Adds what was found.
    pub(crate) fn with(mut self, findings: &Findings) -> Self {
        self.hits = findings.hits();
        self.more = findings.more();
        self
    }

    fn kind(&self) -> Kind {
        let done = |action: &str| self.hits.iter().any(|hit| hit.action == action);
        match (done("block"), done("redact")) {
            (true, _) => BLOCKED,
            (false, true) => REDACTED,
            (false, false) => FLAGGED,
        }
    }

    /// Returns the entry in the chain of `tenant`.
    ///
    /// # Errors
    ///
    /// When the body is over the ledger's limits, which bounded names exclude.
    pub(crate) fn draft(&self, tenant: &TenantId) -> Result<Draft, DraftError> {
        let subject = self.call.as_deref().unwrap_or(&self.endpoint);
        Draft::new(tenant.clone(), self.kind(), 1, subject, self)
    }
}

impl Counted {
    /// Returns the entry in the chain of `tenant`.
    ///
    /// # Errors
    ///
    /// When the body is over the ledger's limits, which bounded counts exclude.
    pub(crate) fn draft(&self, tenant: &TenantId) -> Result<Draft, DraftError> {
        Draft::new(tenant.clone(), COUNTED, 1, "firewall", self)
    }
}

/// Keeps a flood of findings out of the ledger.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    /// Entries that have been spent of [`BURST`].
    spent: f64,
    /// On the monotonic clock.
    last: Duration,
    waiting: BTreeMap<TenantId, Waiting>,
}

/// Messages, and how often each rule was met with which action.
type Waiting = (u64, BTreeMap<(String, String), u64>);

/// What becomes of a finding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// It is written.
    Write,
    /// It is counted, and the counts are being waited for.
    Count,
    /// It is counted, and the counts have to be written after [`WINDOW`].
    CountFirst,
}

impl Throttle {
    /// Decides whether `found` becomes an entry at `now`, on the monotonic clock.
    pub(crate) fn pass(&self, tenant: &TenantId, found: &Found<'_>, now: Duration) -> Passage {
        let mut counts = self.0.lock().expect("the lock is not poisoned");
        let passed = now.saturating_sub(counts.last).as_secs_f64();
        counts.last = now;
        counts.spent = (counts.spent - passed * PER_SECOND).max(0.0);
        if counts.spent < BURST {
            counts.spent += 1.0;
            return Passage::Write;
        }
        let first = counts.waiting.is_empty();
        let (messages, rules) = counts.waiting.entry(tenant.clone()).or_default();
        *messages += 1;
        for hit in &found.hits {
            let key = (hit.rule.to_string(), hit.action.to_string());
            if rules.len() < MAX_COUNTS || rules.contains_key(&key) {
                *rules.entry(key).or_default() += 1;
            }
        }
        if first {
            Passage::CountFirst
        } else {
            Passage::Count
        }
    }

    /// Takes what was counted.
    pub(crate) fn take(&self) -> Vec<(TenantId, Counted)> {
        let mut counts = self.0.lock().expect("the lock is not poisoned");
        let waiting = std::mem::take(&mut counts.waiting);
        let counted = waiting.into_iter().map(|(tenant, (messages, rules))| {
            let count = |((rule, action), times)| Count {
                rule,
                action,
                times,
            };
            let rules = rules.into_iter().map(count).collect();
            (tenant, Counted { messages, rules })
        });
        counted.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found<'static> {
        Found {
            call: Some("0199a2f0-0000-7000-8000-000000000000".into()),
            caller: Caller {
                id: "ci".into(),
                kind: "api_key".into(),
                attestation: "api_key".into(),
            },
            endpoint: "/mcp".into(),
            server: Some("hotels".into()),
            tool: Some("book".into()),
            direction: "request".into(),
            hits: vec![Hit {
                rule: "card.number".into(),
                action: "block".into(),
                place: "/arguments/note".into(),
                fingerprint: "8d5a3cf01b2e".into(),
            }],
            more: 2,
        }
    }

    #[test]
    fn found_1_decodes_for_ever() {
        let golden = include_str!("../event/golden/firewall.blocked.1.json");
        assert_eq!(serde_json::to_string(&found()).unwrap(), golden.trim_end());
        assert_eq!(serde_json::from_str::<Found<'_>>(golden).unwrap(), found());
        let draft = found().draft(&TenantId::default()).unwrap();
        assert!(format!("{draft:?}").contains("firewall.blocked"));
    }

    #[test]
    fn counted_1_decodes_for_ever() {
        let counted = Counted {
            messages: 7,
            rules: vec![Count {
                rule: "hidden.tags".into(),
                action: "redact".into(),
                times: 9,
            }],
        };
        let golden = include_str!("../event/golden/firewall.counted.1.json");
        assert_eq!(serde_json::to_string(&counted).unwrap(), golden.trim_end());
        assert_eq!(serde_json::from_str::<Counted>(golden).unwrap(), counted);
    }

    #[test]
    fn a_flood_is_counted() {
        let throttle = Throttle::default();
        let tenant = TenantId::default();
        let now = Duration::from_secs(1);
        let mut written = 0;
        let mut first = 0;
        for _ in 0..1000 {
            match throttle.pass(&tenant, &found(), now) {
                Passage::Write => written += 1,
                Passage::CountFirst => first += 1,
                Passage::Count => {}
            }
        }
        assert_eq!((written, first), (200, 1));
        let [(_, counted)] = &throttle.take()[..] else {
            panic!("one tenant")
        };
        assert_eq!((counted.messages, counted.rules[0].times), (800, 800));
        let later = now + Duration::from_secs(1);
        assert_eq!(throttle.pass(&tenant, &found(), later), Passage::Write);
    }
}
