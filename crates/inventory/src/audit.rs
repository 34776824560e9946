//! What ran, what was known about it, when, and what was done: a report over a period.
//!
//! # Invariants
//!
//! * Made of the ledger's entries alone. The same entries give the same report for ever.
//! * Numbers are counted from the lists beside them.

use airside_base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    decision::sla::words,
    event::{Closed, Event},
    feeds::Feed,
    state::{Finding, State},
};

/// One entry of the inventory in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Its position.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// The report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// The start of the period.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
    /// Servers at the end.
    pub servers: Vec<Ran>,
    /// What was known at the end, and since when.
    pub known_since: Option<Timestamp>,
    /// The feeds in use at the end.
    pub feeds: Vec<Feed>,
    /// Numbers.
    pub summary: Summary,
    /// Findings that were there at some moment of the period, by id.
    pub findings: Vec<Told>,
    /// What persons decided.
    pub persons: Vec<Done>,
    /// Deadlines and exceptions that passed, and trouble with feeds.
    pub alerts: Vec<Done>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ran {
    /// Its name.
    pub server: String,
    /// Its version.
    pub version: String,
    /// Where it ran.
    pub region: String,
    /// Since when it was made of this.
    pub since: Timestamp,
    /// Number of components.
    pub components: usize,
    /// Components that were not assessed.
    pub unassessed: usize,
    /// Files and entries that were not read.
    pub gaps: usize,
    /// Digest of the observation.
    pub digest: String,
}

/// Numbers of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Open before it.
    pub open_before: usize,
    /// Opened in it.
    pub opened: usize,
    /// Closed in it since production showed the fix.
    pub fixed: usize,
    /// Of these, by their deadline.
    pub fixed_in_time: usize,
    /// Closed in it for another reason.
    pub closed_otherwise: usize,
    /// Open at its end.
    pub open_after: usize,
    /// Of these, past their deadline.
    pub overdue: usize,
    /// Of these, taken on by a person.
    pub excepted: usize,
    /// Decisions that are not the same when made again from what was stored.
    pub not_reproduced: usize,
}

/// A finding in the period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its id.
    pub id: String,
    /// The server.
    pub server: String,
    /// The vulnerability.
    pub vulnerability: String,
    /// The package.
    pub package: String,
    /// When it was known first.
    pub opened: Timestamp,
    /// The deadline at the end.
    pub due: Option<Timestamp>,
    /// Priority and timeline at the end.
    pub decided: String,
    /// The lane at the end.
    pub lane: String,
    /// How and when it ended.
    pub closed: Option<(Timestamp, Closed, String)>,
    /// The same decision comes of the stored inputs.
    pub reproduced: bool,
}

/// Something that was done or that passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Position of its entry.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: String,
}

/// Reports the time after `from` up to `to` from all entries up to `to`.
#[must_use]
pub fn audit(entries: &[Entered], from: Timestamp, to: Timestamp) -> Audit {
    let mut before = State::default();
    let mut after = State::default();
    let (mut persons, mut alerts) = (Vec::new(), Vec::new());
    for entered in entries.iter().filter(|entered| entered.at <= to) {
        if entered.at <= from {
            before.apply_event(entered.at, entered.event.clone());
        } else {
            note(entered, &mut persons, &mut alerts);
        }
        after.apply_event(entered.at, entered.event.clone());
    }
    let was_open = |id: &str| before.findings.get(id).is_some_and(|f| f.closed.is_none());
    let findings: Vec<(&Finding, bool)> = after
        .findings
        .values()
        .map(|finding| (finding, was_open(&finding.judged.id)))
        .filter(|(f, open)| *open || f.closed.as_ref().is_none_or(|(at, ..)| *at > from))
        .collect();
    let mut summary = Summary {
        open_before: before.open().len(),
        ..Summary::default()
    };
    for (finding, was_open) in &findings {
        summary.count(finding, *was_open, to);
    }
    let ran = |(name, server): (&String, &crate::state::Server)| Ran {
        server: name.clone(),
        version: server.version.clone(),
        region: server.region.clone(),
        since: server.since,
        components: crate::component::distinct(&server.components),
        unassessed: server.unassessed,
        gaps: server.gaps.len(),
        digest: server.digest.clone(),
    };
    Audit {
        from,
        to,
        servers: after.servers.iter().map(ran).collect(),
        known_since: after.feeds.as_ref().map(|known| known.at),
        feeds: after
            .feeds
            .iter()
            .flat_map(|known| known.feeds.clone())
            .collect(),
        summary,
        findings: findings.iter().map(|(finding, _)| told(finding)).collect(),
        persons,
        alerts,
    }
}

impl Summary {
    fn count(&mut self, finding: &Finding, was_open: bool, to: Timestamp) {
        let clock = &finding.judged.clock;
        self.opened += usize::from(!was_open);
        self.not_reproduced += usize::from(!finding.judged.decision.holds());
        match &finding.closed {
            Some((at, Closed::Fixed, _)) => {
                self.fixed += 1;
                self.fixed_in_time += usize::from(!clock.is_overdue(*at));
            }
            Some(_) => self.closed_otherwise += 1,
            None => {
                self.open_after += 1;
                self.overdue += usize::from(clock.is_overdue(to));
                self.excepted += usize::from(finding.excepted(to).is_some());
            }
        }
    }
}

fn told(finding: &Finding) -> Told {
    let judged = &finding.judged;
    let decision = &judged.decision;
    Told {
        id: judged.id.clone(),
        server: judged.server.clone(),
        vulnerability: judged.vulnerability.clone(),
        package: judged.package.clone(),
        opened: finding.opened,
        due: judged.clock.due,
        decided: format!("{}, {}", decision.priority.name(), decision.timeline.name()),
        lane: judged.lane.name().to_owned(),
        closed: finding.closed.clone(),
        reproduced: decision.holds(),
    }
}

fn note(entered: &Entered, persons: &mut Vec<Done>, alerts: &mut Vec<Done>) {
    let done = |what: String| Done {
        seq: entered.seq,
        at: entered.at,
        what,
    };
    match &entered.event {
        Event::Extended { id, by, reason, to } => {
            persons.push(done(format!(
                "{by} moved the deadline of {id} to {to}: {reason}"
            )));
        }
        Event::Excepted {
            id,
            by,
            reason,
            until,
        } => persons.push(done(format!("{by} took {id} on until {until}: {reason}"))),
        Event::Mitigated {
            id,
            what,
            by,
            reason,
            ..
        } if what.is_empty() => {
            persons.push(done(format!(
                "{by} took the mitigation of {id} back: {reason}"
            )));
        }
        Event::Mitigated {
            id,
            what,
            tool,
            by,
            reason,
            ..
        } => {
            let words = words(what, tool.as_deref());
            persons.push(done(format!("{by} mitigated {id} ({words}): {reason}")));
        }
        Event::Overdue { id, server, due } => {
            alerts.push(done(format!("{id} of {server} is overdue since {due:.0}")));
        }
        Event::Resumed { id, until } => {
            alerts.push(done(format!(
                "the exception of {id} until {until} has ended"
            )));
        }
        Event::Warned(warning) => {
            let mut words = warning.stale.clone();
            words.extend(warning.refused.clone());
            alerts.push(done(match words.is_empty() {
                true => "the feeds are as they should be again".to_owned(),
                false => format!("trouble with feeds: {}", words.join(", ")),
            }));
        }
        Event::Observed(_)
        | Event::Retired { .. }
        | Event::Feeds { .. }
        | Event::Opened(_)
        | Event::Changed(_)
        | Event::Closed { .. } => {}
    }
}

#[cfg(test)]
mod tests;
