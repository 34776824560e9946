//! The clock of one finding: when it started, when it has to be gone, and what moved it.
//!
//! # Invariants
//!
//! * Evidence only brings the deadline nearer: the new one is the earlier of the old one
//!   and the event plus the new window. A window that is no shorter than the one that
//!   counts already moves nothing, so that scanning again is without effect.
//! * A later deadline takes a person and a reason ([`Clock::extend`]).
//! * Days are calendar days in UTC: a deadline is the end of a day.
//! * A mitigation stops the time of exposure, never the deadline.
//! * Where no fix is known, attackers have to be kept away by a deadline of its own, never
//!   later than the other one.

use airside_base::Timestamp;
use jiff::{Span, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{Decision, Priority};

/// The clock of one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// When vulnerability and component were both known to us.
    pub started: Timestamp,
    /// The newest day of the feeds that told us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed_day: Option<Date>,
    /// The deadline; none while the next upgrade is soon enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Until when attackers have to be kept away; none where a fix is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigate_by: Option<Timestamp>,
    /// Days of the window that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u16>,
    /// Last day of the cap that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Date>,
    /// The mitigation in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<Mitigation>,
    /// Seconds of exposure before the present stretch.
    #[serde(default)]
    pub exposed_s: i64,
    /// Start of the present stretch of exposure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposed_since: Option<Timestamp>,
    /// Deadlines that persons moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<Extension>,
}

/// Something that keeps attackers away while the vulnerability is still there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mitigation {
    /// What was done: `block-tool`, `quarantine-server`, `deny-egress`, `force-approval`.
    pub what: String,
    /// The tool, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Who did it.
    pub by: String,
    /// Since when.
    pub since: Timestamp,
}

impl Mitigation {
    /// Returns it in words.
    #[must_use]
    pub fn words(&self) -> String {
        words(&self.what, self.tool.as_deref())
    }
}

/// Returns a measure in words.
pub(crate) fn words(what: &str, tool: Option<&str>) -> String {
    match tool {
        Some(tool) => format!("{what} {tool}"),
        None => what.to_owned(),
    }
}

/// A deadline that a person moved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// The deadline before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The deadline after.
    pub to: Timestamp,
}

/// Why a deadline was not moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody takes it on.
    #[error("a later deadline needs a person")]
    NoPerson,
    /// Nobody says why.
    #[error("a later deadline needs a reason")]
    NoReason,
    /// It would not be later.
    #[error("the new deadline is not later than the present one")]
    NotLater,
}

impl Clock {
    /// Starts the clock.
    #[must_use]
    pub fn start(now: Timestamp, feed_day: Option<Date>, decision: &Decision) -> Self {
        let due = deadline(now, decision.days, decision.until);
        Self {
            started: now,
            feed_day,
            due,
            mitigate_by: mitigation(now, due, decision),
            days: decision.days,
            until: decision.until,
            mitigation: None,
            exposed_s: 0,
            exposed_since: Some(now),
            extensions: Vec::new(),
        }
    }

    /// Takes a new decision in. Returns whether the deadline came nearer.
    pub fn tighten(&mut self, now: Timestamp, decision: &Decision) -> bool {
        let nearer = self.tighten_due(now, decision);
        let by = mitigation(now.max(self.started), self.due, decision);
        // Scanning again gives a later day, which does not count.
        self.mitigate_by = match by {
            Some(by) => Some(self.mitigate_by.map_or(by, |old| old.min(by))),
            None => None,
        };
        nearer
    }

    fn tighten_due(&mut self, now: Timestamp, decision: &Decision) -> bool {
        let shorter = |new: Option<u16>, old: Option<u16>| {
            new.is_some_and(|new| old.is_none_or(|old| new < old))
        };
        let sooner = |new: Option<Date>, old: Option<Date>| {
            new.is_some_and(|new| old.is_none_or(|old| new < old))
        };
        let days = decision.days.filter(|_| shorter(decision.days, self.days));
        let until = decision
            .until
            .filter(|_| sooner(decision.until, self.until));
        if days.is_none() && until.is_none() {
            return false;
        }
        self.days = days.or(self.days);
        self.until = until.or(self.until);
        // A clock that was set back does not make a deadline of the past.
        let new = deadline(now.max(self.started), days, until);
        let before = self.due;
        self.due = [self.due, new].into_iter().flatten().min();
        self.due != before
    }

    /// Moves the deadline to the end of the day `to`.
    ///
    /// # Errors
    ///
    /// When nobody takes it on, nobody says why, or it would not be later.
    pub fn extend(
        &mut self,
        now: Timestamp,
        by: &str,
        reason: &str,
        to: Date,
    ) -> Result<(), Refused> {
        if by.trim().is_empty() {
            return Err(Refused::NoPerson);
        }
        if reason.trim().is_empty() {
            return Err(Refused::NoReason);
        }
        let to = end_of(to);
        if self.due.is_none_or(|due| to <= due) {
            return Err(Refused::NotLater);
        }
        self.extensions.push(Extension {
            by: by.to_owned(),
            reason: reason.to_owned(),
            at: now,
            from: self.due,
            to,
        });
        self.due = Some(to);
        Ok(())
    }

    /// Stops the time of exposure.
    pub fn mitigate(&mut self, now: Timestamp, what: &str, tool: Option<&str>, by: &str) {
        self.exposed_s = self.exposed_s(now);
        self.exposed_since = None;
        self.mitigation = Some(Mitigation {
            what: what.to_owned(),
            tool: tool.map(str::to_owned),
            by: by.to_owned(),
            since: now,
        });
    }

    /// Lets the time of exposure run again.
    pub fn expose(&mut self, now: Timestamp) {
        if self.mitigation.take().is_some() {
            self.exposed_since = Some(now);
        }
    }

    /// Ends the time of exposure with the finding, and what was done against it.
    pub fn end(&mut self, now: Timestamp) {
        self.exposed_s = self.exposed_s(now);
        self.exposed_since = None;
        self.mitigation = None;
    }

    /// Returns the clock of a later judgement, `judged`, that may have been made without
    /// knowing what persons decided meanwhile: what is theirs stays. An extension that it
    /// did not know counts, unless what it knew brought the deadline nearer.
    #[must_use]
    pub fn judged_again(self, judged: &Self) -> Self {
        let unknown = self.extensions.get(judged.extensions.len());
        let due = match unknown {
            Some(extension) if extension.from == judged.due => self.due,
            _ => judged.due,
        };
        Self {
            due,
            mitigation: self.mitigation,
            exposed_s: self.exposed_s,
            exposed_since: self.exposed_since,
            extensions: self.extensions,
            ..judged.clone()
        }
    }

    /// Returns the seconds of exposure so far.
    #[must_use]
    pub fn exposed_s(&self, now: Timestamp) -> i64 {
        let running = self
            .exposed_since
            .map_or(0, |since| (now.as_second() - since.as_second()).max(0));
        self.exposed_s + running
    }

    /// Joins the clocks of findings that turned out to be one: the earliest start and
    /// the earliest deadline count.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        self.started = self.started.min(other.started);
        self.due = [self.due, other.due].into_iter().flatten().min();
        self.days = [self.days, other.days].into_iter().flatten().min();
        self.until = [self.until, other.until].into_iter().flatten().min();
        self.mitigate_by = [self.mitigate_by, other.mitigate_by]
            .into_iter()
            .flatten()
            .min();
        self.exposed_s = self.exposed_s.max(other.exposed_s);
        self.exposed_since = [self.exposed_since, other.exposed_since]
            .into_iter()
            .flatten()
            .min();
        // It is the same weakness of the same server: what keeps attackers from one keeps
        // them from the other.
        self.mitigation = self.mitigation.or(other.mitigation);
        if self.mitigation.is_some() {
            self.exposed_since = None;
        }
        self.extensions.extend(other.extensions);
        self
    }

    /// Returns the clock of a finding that is back: a new one after a fix that was
    /// seen, the old one after any other end.
    #[must_use]
    pub fn reopened(self, now: Timestamp, fix_seen: bool, decision: &Decision) -> Self {
        if fix_seen {
            return Self::start(now, self.feed_day, decision);
        }
        let mut clock = self;
        clock.exposed_since = Some(now);
        clock.tighten(now, decision);
        clock
    }

    /// Returns the deadline that has passed: the one of the fix, or the one by which
    /// attackers had to be kept away and are not.
    #[must_use]
    pub fn passed(&self, now: Timestamp) -> Option<Timestamp> {
        let unmitigated = self.mitigate_by.filter(|_| self.mitigation.is_none());
        let passed = |by: &Timestamp| now > *by;
        self.due.filter(passed).or(unmitigated.filter(passed))
    }

    /// Returns whether a deadline has passed.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.passed(now).is_some()
    }
}

/// Returns the deadline that a window and a cap give from `start` on.
fn deadline(start: Timestamp, days: Option<u16>, until: Option<Date>) -> Option<Timestamp> {
    let day = start.to_zoned(TimeZone::UTC).date();
    let by_days = days.map(|days| end_of(day.saturating_add(Span::new().days(i64::from(days)))));
    // A cap that has passed already is due at once: today.
    let by_cap = until.map(|until| end_of(until.max(day)));
    [by_days, by_cap].into_iter().flatten().min()
}

/// Returns until when attackers have to be kept away that no fix is known against. The
/// days are ours: those of the directive for exploited and exposed, for exposed, and for
/// all others.
fn mitigation(start: Timestamp, due: Option<Timestamp>, decision: &Decision) -> Option<Timestamp> {
    if decision.inputs.fixable {
        return None;
    }
    let days = match decision.priority {
        Priority::Immediate | Priority::OutOfCycle => 3,
        Priority::Scheduled => 14,
        Priority::Defer => 60,
    };
    let by = deadline(start, Some(days), None);
    [by, due].into_iter().flatten().min()
}

/// Returns the last second of a day in UTC.
#[must_use]
pub fn end_of(day: Date) -> Timestamp {
    let end = day.at(23, 59, 59, 0).to_zoned(TimeZone::UTC);
    end.map_or(Timestamp::MAX, |end| end.timestamp())
}

#[cfg(test)]
mod tests;
