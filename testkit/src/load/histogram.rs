//! Durations by logarithm: 128 steps per power of two, so that a quantile is at
//! most 0.8 % too high.

use std::time::Duration;

const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();

/// Counts durations.
#[derive(Debug, Clone, Default)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    sum_ns: u128,
}

impl Histogram {
    /// Counts `duration`.
    pub fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let index = index(ns);
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        self.counts[index] += 1;
        self.total += 1;
        self.sum_ns += u128::from(ns);
    }

    /// Counts everything that `other` counted.
    pub fn add(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
        self.sum_ns += other.sum_ns;
    }

    /// Returns how many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total
    }

    /// Returns the duration that `quantile` (0 to 1) of all do not exceed, or
    /// zero if there are none.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a count of calls is far below 2^52"
    )]
    pub fn quantile(&self, quantile: f64) -> Duration {
        let rank = (self.total as f64 * quantile.clamp(0.0, 1.0)).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank.max(1) {
                return Duration::from_nanos(highest(index));
            }
        }
        Duration::ZERO
    }
}

fn index(ns: u64) -> usize {
    if ns < STEPS {
        return usize::try_from(ns).unwrap_or(0);
    }
    let shift = 63 - ns.leading_zeros() - STEP_BITS;
    let step = (ns >> shift) - STEPS;
    usize::try_from(u64::from(shift + 1) * STEPS + step).unwrap_or(usize::MAX)
}

/// Returns the largest value that is counted at `index`.
fn highest(index: usize) -> u64 {
    let index = index as u64;
    if index < STEPS {
        return index;
    }
    let shift = index / STEPS - 1;
    let step = index % STEPS + STEPS;
    ((u128::from(step) + 1) << shift)
        .saturating_sub(1)
        .try_into()
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn value_lies_in_its_step(ns: u64) {
            let highest = highest(index(ns));
            prop_assert!(highest >= ns);
            prop_assert!(highest - ns <= ns / STEPS);
        }

        #[test]
        fn quantiles_agree_with_the_sorted_list(
            mut list in prop::collection::vec(0_u64..10_000_000, 1..200),
            quantile in 0.0_f64..=1.0,
        ) {
            let mut histogram = Histogram::default();
            for ns in &list {
                histogram.record(Duration::from_nanos(*ns));
            }
            list.sort_unstable();
            let rank = ((list.len() as f64 * quantile).ceil() as usize).max(1);
            let exact = list[rank - 1];
            let told = u64::try_from(histogram.quantile(quantile).as_nanos()).unwrap();
            prop_assert!(told >= exact && told - exact <= exact / STEPS, "{told} {exact}");
        }

        #[test]
        fn sum_of_two_counts_both(
            one in prop::collection::vec(any::<u64>(), 0..50),
            other in prop::collection::vec(any::<u64>(), 0..50),
        ) {
            let fill = |list: &[u64]| {
                let mut histogram = Histogram::default();
                list.iter().for_each(|ns| histogram.record(Duration::from_nanos(*ns)));
                histogram
            };
            let mut sum = fill(&one);
            sum.add(&fill(&other));
            let whole = fill(&[one, other].concat());
            prop_assert_eq!(sum.counts, whole.counts);
            prop_assert_eq!(sum.total, whole.total);
        }
    }
}
