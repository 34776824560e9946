//! What runs and what is wrong with it, folded from the ledger.
//!
//! # Invariants
//!
//! * The state after an entry depends on the entries up to it and on nothing else, so
//!   that "what ran then" and "what did we know then" have one answer for ever.
//! * A finding is never removed: it ends, and its history stays.

use std::collections::BTreeMap;

use airside_base::Timestamp;
use airside_ledger::{Entry, Fold};
use jiff::{civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use crate::{
    component::{Component, Gap},
    decision::{
        derive::Setting,
        sla::{end_of, words},
    },
    event::{Closed, Event, Judged, Observed, Warning},
    feeds::Feed,
};

/// Most events that are kept of one finding.
const MAX_HISTORY: usize = 200;

/// The whole state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Servers by name.
    pub servers: BTreeMap<String, Server>,
    /// Findings by id, those that ended included.
    pub findings: BTreeMap<String, Finding>,
    /// The feeds that were read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feeds: Option<Known>,
    /// What is not as it should be with the feeds.
    #[serde(default)]
    pub warning: Warning,
}

/// Feeds that were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// When.
    pub at: Timestamp,
    /// Digest of all of them together.
    pub digest: String,
    /// The files.
    pub feeds: Vec<Feed>,
}

/// A server as it was observed last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// Its version.
    pub version: String,
    /// Where it runs.
    pub region: String,
    /// What is known of its place.
    pub setting: Setting,
    /// Digest of the observation.
    pub digest: String,
    /// The product that the components make up.
    pub product: Option<String>,
    /// When this was first so.
    pub since: Timestamp,
    /// Its components.
    pub components: Vec<Component>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// How many components could not be compared.
    pub unassessed: usize,
}

/// A finding with its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// As it was judged last.
    pub judged: Judged,
    /// When it was opened first.
    pub opened: Timestamp,
    /// Why and when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<(Timestamp, Closed, String)>,
    /// The exception in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Exception>,
    /// The deadline that was told to have passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue: Option<Timestamp>,
    /// What happened, in words.
    pub history: Vec<(Timestamp, String)>,
}

/// A risk that a person took on for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The last day.
    pub until: Date,
}

impl Finding {
    /// Returns the exception that holds at `now`.
    #[must_use]
    pub fn excepted(&self, now: Timestamp) -> Option<&Exception> {
        let holds = |e: &&Exception| now <= end_of(e.until);
        self.exception.as_ref().filter(holds)
    }

    fn note(&mut self, at: Timestamp, what: String) {
        if self.history.len() < MAX_HISTORY {
            self.history.push((at, what));
        }
    }
}

impl State {
    /// Takes an event in.
    pub fn apply_event(&mut self, at: Timestamp, event: Event) {
        match event {
            Event::Observed(observed) => self.observe(at, observed),
            Event::Retired { server } => {
                self.servers.remove(&server);
            }
            Event::Feeds { digest, feeds } => self.feeds = Some(Known { at, digest, feeds }),
            Event::Warned(warning) => self.warning = warning,
            Event::Overdue { id, due, .. } => {
                if let Some(finding) = self.findings.get_mut(&id) {
                    let late = match finding.judged.clock.mitigate_by == Some(due) {
                        true => "attackers are not kept away",
                        false => "overdue",
                    };
                    finding.note(at, format!("{late} since {due:.0}"));
                    finding.overdue = Some(due);
                }
            }
            Event::Resumed { id, until } => {
                if let Some(finding) = self.findings.get_mut(&id) {
                    finding.note(at, format!("the exception until {until} has ended"));
                    finding.exception = None;
                }
            }
            Event::Opened(judged) => {
                let what = format!("opened: {}", judged.because);
                let finding = self.findings.entry(judged.id.clone());
                let finding = finding.or_insert_with(|| Finding {
                    judged: (*judged).clone(),
                    opened: at,
                    closed: None,
                    exception: None,
                    overdue: None,
                    history: Vec::new(),
                });
                finding.judged = *judged;
                finding.closed = None;
                finding.overdue = None;
                finding.note(at, what);
            }
            Event::Changed(judged) => {
                if let Some(finding) = self.findings.get_mut(&judged.id) {
                    finding.note(at, format!("changed: {}", judged.because));
                    let clock = finding.judged.clock.clone();
                    finding.judged = *judged;
                    let judged = &mut finding.judged.clock;
                    *judged = clock.judged_again(judged);
                }
            }
            Event::Closed { id, why, evidence } => {
                if let Some(finding) = self.findings.get_mut(&id) {
                    finding.note(at, format!("closed: {}, {evidence}", why.words()));
                    finding.judged.clock.end(at);
                    finding.closed = Some((at, why, evidence));
                }
            }
            decided => self.decide(at, decided),
        }
    }

    /// Takes in what a person decided.
    fn decide(&mut self, at: Timestamp, event: Event) {
        match event {
            Event::Extended { id, by, reason, to } => {
                if let Some(finding) = self.findings.get_mut(&id) {
                    finding.note(at, format!("deadline moved to {to} by {by}: {reason}"));
                    // What the clock refuses was refused before it was appended.
                    let _ = finding.judged.clock.extend(at, &by, &reason, to);
                }
            }
            Event::Excepted {
                id,
                by,
                reason,
                until,
            } => {
                if let Some(finding) = self.findings.get_mut(&id) {
                    finding.note(at, format!("accepted until {until} by {by}: {reason}"));
                    finding.exception = Some(Exception { by, reason, until });
                }
            }
            Event::Mitigated {
                id,
                what,
                tool,
                by,
                reason,
                ..
            } => {
                let open = |finding: &&mut Finding| finding.closed.is_none();
                if let Some(finding) = self.findings.get_mut(&id).filter(open) {
                    if what.is_empty() {
                        finding.note(at, format!("mitigation taken back by {by}: {reason}"));
                        finding.judged.clock.expose(at);
                    } else {
                        let tool = tool.as_deref();
                        let words = words(&what, tool);
                        finding.note(at, format!("mitigated ({words}) by {by}: {reason}"));
                        finding.judged.clock.mitigate(at, &what, tool, &by);
                    }
                }
            }
            _ => {}
        }
    }

    fn observe(&mut self, at: Timestamp, observed: Observed) {
        let same = self
            .servers
            .get(&observed.server)
            .is_some_and(|s| s.digest == observed.digest);
        if observed.part > 0 && same {
            if let Some(server) = self.servers.get_mut(&observed.server) {
                server.components.extend(observed.components);
            }
            return;
        }
        let server = Server {
            version: observed.version,
            region: observed.region,
            setting: observed.setting,
            digest: observed.digest,
            product: observed.product,
            since: at,
            components: observed.components,
            gaps: observed.gaps,
            unassessed: observed.unassessed,
        };
        self.servers.insert(observed.server, server);
    }

    /// Returns the findings that have not ended, the most urgent first.
    #[must_use]
    pub fn open(&self) -> Vec<&Finding> {
        let mut open: Vec<&Finding> = self
            .findings
            .values()
            .filter(|f| f.closed.is_none())
            .collect();
        open.sort_by(|a, b| {
            let key = |f: &Finding| {
                let due = f.judged.clock.due.unwrap_or(Timestamp::MAX);
                (std::cmp::Reverse(f.judged.lane), due)
            };
            key(a)
                .cmp(&key(b))
                .then_with(|| b.judged.decision.rank().cmp(&a.judged.decision.rank()))
                .then_with(|| a.judged.id.cmp(&b.judged.id))
        });
        open
    }
}

impl Fold for State {
    fn apply(&mut self, entry: &Entry) {
        if let Some(event) = Event::read(entry.kind.as_str(), entry.version, &entry.body) {
            self.apply_event(entry.time, event);
        }
    }
}

/// Returns the day of a moment in UTC.
#[must_use]
pub fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}
