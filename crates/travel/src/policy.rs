//! Cancellation terms as UCP Lodging writes them, and what a cancellation gives back.
//!
//! A schedule is an instant (the anchor) and tiers that hold until so long before it.
//!
//! # Invariants
//!
//! * Durations are elapsed time: `P1D` is 24 hours whatever the clocks do. The moment of
//!   a cutoff belongs to the tier behind it.
//! * A schedule is judged whole before anything is selected from it: what is malformed
//!   anywhere selects nothing.
//! * Instants are exact to the last digit that was written; no floating point takes part.
//! * Nothing is computed from symbolic terms without a monetary basis: a penalty in
//!   nights needs the amounts of the nights.

mod instant;
mod refund;

use serde_json::Value;

use self::instant::{Instant, elapsed};
pub(crate) use self::refund::{Basis, Outcome, refund};

/// What holds at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    pub outcome: Outcome,
    /// JSON Pointer to it, from the policy.
    pub pointer: String,
}

/// Why nothing can be said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unavailable {
    #[error("the policy has no schedule")]
    ScheduleAbsent,
    #[error("the schedule is malformed")]
    InvalidSchedule,
    #[error("the moment is not an RFC 3339 timestamp with an offset")]
    InvalidInstant,
    #[error("the outcome at {pointer} is of a kind that is not known")]
    UnsupportedKind { pointer: String },
}

/// Returns what `schedule` says about a cancellation at `at` (RFC 3339).
pub(crate) fn select(schedule: Option<&Value>, at: &str) -> Result<Selected, Unavailable> {
    let schedule = schedule.ok_or(Unavailable::ScheduleAbsent)?;
    let schedule = Schedule::parse(schedule).ok_or(Unavailable::InvalidSchedule)?;
    let at = Instant::parse(at).ok_or(Unavailable::InvalidInstant)?;
    let tiers = schedule.tiers.into_iter().enumerate();
    let mut open = tiers.filter(|(_, tier)| {
        let cutoff = schedule.anchor.checked_before(tier.until);
        // A cutoff before all time has passed.
        cutoff.is_some_and(|cutoff| at < cutoff)
    });
    let (outcome, pointer) = match open.next() {
        Some((index, tier)) => (tier.outcome, format!("/schedule/tiers/{index}/outcome")),
        None => (schedule.after, "/schedule/after_last_tier".to_owned()),
    };
    match outcome {
        Some(outcome) => Ok(Selected { outcome, pointer }),
        None => Err(Unavailable::UnsupportedKind { pointer }),
    }
}

/// A well-formed schedule. Outcomes of unknown kinds are `None`.
struct Schedule {
    anchor: Instant,
    tiers: Vec<Tier>,
    after: Option<Outcome>,
}

struct Tier {
    /// Seconds before the anchor.
    until: u128,
    outcome: Option<Outcome>,
}

impl Schedule {
    fn parse(value: &Value) -> Option<Self> {
        let anchor = Instant::parse(value.get("anchor")?.as_str()?)?;
        let tiers = value.get("tiers")?.as_array()?;
        let tiers: Vec<Tier> = tiers.iter().map(Tier::parse).collect::<Option<_>>()?;
        let ordered = tiers.windows(2).all(|pair| pair[0].until > pair[1].until);
        let after = Outcome::parse(value.get("after_last_tier")?)?;
        (ordered && !tiers.is_empty()).then_some(Self {
            anchor,
            tiers,
            after,
        })
    }
}

impl Tier {
    fn parse(value: &Value) -> Option<Self> {
        Some(Self {
            until: elapsed(value.get("until")?.as_str()?)?,
            outcome: Outcome::parse(value.get("outcome")?)?,
        })
    }
}

#[cfg(test)]
mod tests;
