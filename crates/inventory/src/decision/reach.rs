//! Who really reaches a server: what the gateway recorded of calls that were answered.
//!
//! # Invariants
//!
//! * Calls only widen what is known of exposure. That nobody calls is told with its day
//!   and makes nothing safer: who has not called yet may call tomorrow.
//! * What is stored is the first day of each kind of caller in the present stretch, so
//!   that it changes when a kind comes or goes and not with every call.
//! * Bounded in servers and kinds.

use std::collections::BTreeMap;

use airside_ledger::Fact;
use jiff::{ToSpan as _, civil::Date};
use serde::{Deserialize, Serialize};

use super::derive::Reach;

/// Most servers that calls are followed of.
const MAX_SERVERS: usize = 10_000;
/// Most kinds of callers of one server. The gateway knows seven.
const MAX_KINDS: usize = 16;

/// Who has reached a server, as far as calls are on record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// Kinds of callers in the window, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callers: Vec<Since>,
    /// The day of the last call, where the window holds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_since: Option<Date>,
}

/// A kind of caller.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Since {
    /// What stands behind it, as the gateway records it, such as `token`.
    pub kind: String,
    /// The first day of the present stretch of calls.
    pub since: Date,
}

impl Reached {
    /// Returns whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.callers.is_empty() && self.quiet_since.is_none()
    }

    /// Returns the kind that shows the widest reach, with that reach; none where no call
    /// shows more than a process of this machine could do.
    #[must_use]
    pub fn widest(&self) -> Option<(&Since, Reach)> {
        let shown = self.callers.iter();
        let shown = shown.filter_map(|caller| Some((caller, shows(&caller.kind)?)));
        shown.min_by_key(|(caller, reach)| (*reach != Reach::Public, caller.since))
    }

    /// Returns it in words.
    #[must_use]
    pub fn words(&self) -> String {
        if let Some(day) = self.quiet_since {
            return format!("nobody has called it since {day}");
        }
        let callers = self.callers.iter();
        let callers =
            callers.map(|caller| format!("{} since {}", said(&caller.kind), caller.since));
        format!("called by {}", callers.collect::<Vec<_>>().join(", "))
    }
}

/// Returns what a call of this kind shows of who can reach its server.
fn shows(kind: &str) -> Option<Reach> {
    match kind {
        // Whoever uses the platform: an address is no proof of who that is.
        "ip_range" => Some(Reach::Public),
        // Tokens and signatures are what clients elsewhere have.
        "token" | "signed_agent" => Some(Reach::Identified),
        // Processes of this machine show these as well.
        _ => None,
    }
}

/// Returns what a kind is called.
fn said(kind: &str) -> &str {
    match kind {
        "ip_range" => "public AI clients (by their address)",
        "token" => "clients with a token",
        "signed_agent" => "agents that sign",
        "api_key" => "holders of a key",
        "workload" => "workloads",
        "certificate" => "platforms with a certificate",
        "anonymous" => "processes of this machine",
        other => other,
    }
}

/// First and last day of a kind of caller.
#[derive(Clone, Copy, Debug)]
struct Days {
    first: Date,
    last: Date,
}

/// Calls that were answered, folded from entries.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    of: BTreeMap<String, BTreeMap<String, Days>>,
    /// All calls since this day are in it; none: all there ever were.
    from: Option<Date>,
}

/// What is read of `call.completed`.
#[derive(Deserialize)]
struct Completed {
    subject: Subject,
}

#[derive(Deserialize)]
struct Subject {
    caller: Caller,
    #[serde(default)]
    server: Option<String>,
}

#[derive(Deserialize)]
struct Caller {
    kind: String,
}

impl Calls {
    /// Notes that calls from before `day` have not all been read.
    pub fn knows_all_since(&mut self, day: Date) {
        self.from = self.from.max(Some(day));
    }

    /// Takes an entry of `day` in. Returns whether its kind of caller is new for its
    /// server.
    pub fn take(&mut self, fact: Fact<'_>, day: Date) -> bool {
        if fact.kind.as_str() != "call.completed" || fact.version != 1 {
            return false;
        }
        let Ok(Completed { subject }) = fact.decode() else {
            return false;
        };
        let Some(server) = subject.server else {
            return false;
        };
        if !self.of.contains_key(&server) && self.of.len() >= MAX_SERVERS {
            return false;
        }
        let kinds = self.of.entry(server).or_default();
        if let Some(days) = kinds.get_mut(&subject.caller.kind) {
            days.first = days.first.min(day);
            days.last = days.last.max(day);
            return false;
        }
        if kinds.len() >= MAX_KINDS {
            return false;
        }
        let (first, last) = (day, day);
        kinds.insert(subject.caller.kind, Days { first, last });
        true
    }

    /// Returns who has reached `server` in the `window_days` up to `today`, all of them
    /// without a name. `before` is what was known of it: its days count, and what is in
    /// it stays where not all calls of the window have been read.
    #[must_use]
    pub fn reached(
        &self,
        server: Option<&str>,
        before: &Reached,
        today: Date,
        window_days: u16,
    ) -> Reached {
        let start = today.saturating_sub(i64::from(window_days).days());
        let mut kinds: BTreeMap<&str, Days> = BTreeMap::new();
        let of = self.of.iter();
        let of = of.filter(|(name, _)| server.is_none_or(|server| server == *name));
        for (kind, days) in of.flat_map(|(_, kinds)| kinds) {
            let all = kinds.entry(kind).or_insert(*days);
            all.first = all.first.min(days.first);
            all.last = all.last.max(days.last);
        }
        let last = kinds.values().map(|days| days.last).max();
        let known = |kind: &str| before.callers.iter().find(|caller| caller.kind == kind);
        let mut callers: Vec<Since> = kinds
            .iter()
            .filter(|(_, days)| days.last >= start)
            .map(|(kind, days)| Since {
                kind: (*kind).to_owned(),
                since: known(kind).map_or(days.first, |known| known.since),
            })
            .collect();
        if self.from.is_some_and(|from| from > start) {
            let unread = before.callers.iter();
            callers.extend(unread.filter(|c| !kinds.contains_key(&*c.kind)).cloned());
        }
        callers.sort();
        let quiet = callers.is_empty().then(|| last.max(before.quiet_since));
        Reached {
            callers,
            quiet_since: quiet.flatten(),
        }
    }
}

#[cfg(test)]
mod tests;
