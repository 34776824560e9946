//! What can be said about a suite from repeated conversations, and with which confidence.
//!
//! # Invariants
//!
//! * Trials of one case are not independent evidence about a suite: intervals over a
//!   suite come from the spread between cases (clusters), never from the number of trials.
//! * Comparisons stay within a case: successes are shuffled between two runs of the same
//!   case only.
//! * Every random choice has a seed, so a report can be made again.

mod draw;
mod interval;
mod plan;
mod regression;
mod simulation;

pub use self::{
    draw::Draw,
    interval::{Interval, clustered, wilson},
    plan::{Decision, Plan, Sprt},
    regression::{Comparison, Paired, compare},
    simulation::{Simulated, simulate},
};

use serde::{Deserialize, Serialize};

/// How often a case passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Graded trials.
    pub trials: u64,
    /// Trials that passed.
    pub passed: u64,
}

/// Whether a case does the same each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stability {
    /// Passed each time, often enough to say so.
    StablePass,
    /// Failed each time, often enough to say so.
    StableFail,
    /// Both.
    Flaky,
    /// Too few trials to say.
    Unknown,
}

/// Fewest trials that tell a stable case.
const ENOUGH: u64 = 5;

impl Tally {
    /// Counts one more trial.
    pub fn add(&mut self, passed: bool) {
        self.trials += 1;
        self.passed += u64::from(passed);
    }

    /// Returns the share that passed; none without trials.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.trials > 0).then(|| ratio(self.passed, self.trials))
    }

    /// Returns the chance that at least one of `k` trials passes: the unbiased estimate,
    /// none with fewer than `k` trials.
    #[must_use]
    pub fn pass_at(&self, k: u64) -> Option<f64> {
        let none = all_drawn(self.trials - self.passed, self.trials, k)?;
        Some(1.0 - none)
    }

    /// Returns the chance that all of `k` trials pass: the unbiased estimate, none with
    /// fewer than `k` trials.
    #[must_use]
    pub fn pass_all(&self, k: u64) -> Option<f64> {
        all_drawn(self.passed, self.trials, k)
    }

    /// Returns whether the case does the same each time.
    #[must_use]
    pub fn stability(&self) -> Stability {
        match self.passed {
            passed if passed > 0 && passed < self.trials => Stability::Flaky,
            _ if self.trials < ENOUGH => Stability::Unknown,
            0 => Stability::StableFail,
            _ => Stability::StablePass,
        }
    }
}

/// The chance that `k` drawn from `all` without putting back are all among `some`.
fn all_drawn(some: u64, all: u64, k: u64) -> Option<f64> {
    if k == 0 || k > all {
        return None;
    }
    let one = |drawn: u64| match some > drawn {
        true => ratio(some - drawn, all - drawn),
        false => 0.0,
    };
    Some((0..k).map(one).product())
}

/// A ratio of counts. Counts of trials are far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts of trials are small")]
pub(crate) fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// The mean of shares; none of nothing.
#[must_use]
pub fn mean(all: &[f64]) -> Option<f64> {
    let count = u64::try_from(all.len()).ok()?;
    (count > 0).then(|| all.iter().sum::<f64>() / ratio(count, 1))
}

#[cfg(test)]
mod tests;
