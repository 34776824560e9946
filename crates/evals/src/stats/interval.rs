//! Intervals of shares.

use serde::{Deserialize, Serialize};

use super::{Tally, mean, ratio};

/// The 97.5 % point of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// A share with its interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The estimate.
    pub at: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Returns the interval of Wilson (1927) for one case.
#[must_use]
pub fn wilson(tally: Tally) -> Option<Interval> {
    within(tally, Z)
}

/// Returns Wilson's interval of `z` standard errors.
pub(super) fn within(tally: Tally, z: f64) -> Option<Interval> {
    let at = tally.rate()?;
    let n = ratio(tally.trials, 1);
    let centre = (at + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (at * (1.0 - at) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Interval {
        at,
        low: (centre - half).max(0.0),
        high: (centre + half).min(1.0),
    })
}

/// Returns the interval of the mean share of a suite, from the spread between cases.
/// None with fewer than two cases.
#[must_use]
pub fn clustered(cases: &[Tally]) -> Option<Interval> {
    let rates: Vec<f64> = cases.iter().filter_map(Tally::rate).collect();
    let count = u64::try_from(rates.len()).ok().filter(|count| *count > 1)?;
    let at = mean(&rates)?;
    let squares: f64 = rates.iter().map(|rate| (rate - at).powi(2)).sum();
    let error = (squares / ratio(count - 1, 1) / ratio(count, 1)).sqrt();
    Some(Interval {
        at,
        low: (at - Z * error).max(0.0),
        high: (at + Z * error).min(1.0),
    })
}
