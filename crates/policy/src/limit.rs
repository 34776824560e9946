//! How much may happen: paces, quotas, budgets of looks, calls at the same time.
//!
//! A [`Rule`] says for whom it holds and what it counts; the gateway turns what it
//! knows of a call into [`Ask`]s and takes them from a [`Counter`].
//!
//! # Invariants
//!
//! * All asks of one take are granted or none: a call that one limit refuses costs
//!   the others nothing.
//! * Arithmetic is in whole nanoseconds. Nothing drifts, and two counters that see
//!   the same history decide alike.
//! * Memory is bounded by [`Memory::new`]: keys that came to rest are forgotten, and
//!   when there is no room left new keys of a rule share one cell. A flood of keys
//!   limits itself and nobody else.
//! * What a client says of its user or session never widens anything: such keys
//!   always stand beside those of tenant and client.
//! * No clock: time is an argument.

mod calendar;
pub mod contract;
mod excess;
mod gauge;
mod measure;
mod memory;
mod rule;
mod table;

use airside_base::{BoxFuture, Timestamp};

pub use calendar::{Calendar, Period};
pub use excess::Excess;
pub use gauge::{Gauges, Held};
pub use measure::{Cell, Level, Looks, MAX_SPAN, Measure, Pace, PaceError};
pub use memory::{Entry, Memory};
pub use rule::{Answer, Class, Kind, Rule, Selector, Subject, Target, Traits};
pub use table::{Guards, Table};

/// A moment, on the clock that never steps and on the one of calendars.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds since some origin; never goes back.
    pub monotonic_ns: u64,
    /// Wall time.
    pub wall: Timestamp,
}

/// Which key of which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key<'a> {
    /// Name of the rule.
    pub rule: &'a str,
    /// The key as operators see it, such as `client=ci tool=search_hotels`; empty
    /// where all calls share one cell.
    pub text: &'a str,
}

/// One thing that a call takes.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// From which key.
    pub key: Key<'a>,
    /// How the key is counted.
    pub measure: Measure,
    /// How many units. Zero only looks.
    pub cost: u32,
}

/// What a take came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// All asks were granted; what is left of each, in their order.
    Admitted(Vec<Level>),
    /// One ask was refused, and nothing was taken.
    Refused {
        /// The first that was refused, by its place.
        at: usize,
        /// What is left of it, and when to come back.
        level: Level,
    },
}

/// A decision, or the wait for one.
pub enum Taking<'a> {
    /// Decided without waiting.
    Ready(Decision),
    /// Somebody else has to be asked.
    Pending(BoxFuture<'a, Decision>),
}

impl Taking<'_> {
    /// Returns the decision.
    pub async fn decided(self) -> Decision {
        match self {
            Self::Ready(decision) => decision,
            Self::Pending(deciding) => deciding.await,
        }
    }
}

/// Counts what was taken. The contract is [`contract`], run against every
/// implementation.
pub trait Counter: Send + Sync + std::fmt::Debug {
    /// Takes all of `asks` or none.
    fn take<'a>(&'a self, asks: &'a [Ask<'a>], now: Now) -> Taking<'a>;

    /// Credits `books` bookings to a key that is measured in looks.
    fn earn<'a>(&'a self, key: Key<'a>, looks: Looks, books: u32, now: Now) -> BoxFuture<'a, ()>;

    /// Forgets what was taken from `key`, which is counted by `measure`. Returns whether
    /// anything was known of it.
    fn reset<'a>(&'a self, key: Key<'a>, measure: Measure) -> BoxFuture<'a, bool>;
}
