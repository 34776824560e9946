//! The exact bound on what a sample without replacement did not show.
//!
//! # Invariants
//!
//! * Pure. Nothing is approximated by another distribution: tails are sums of exact
//!   probabilities, computed from logarithms of factorials (relative error below 1e-9
//!   for populations of a million).

/// Logarithms of factorials up to some population.
#[derive(Debug, Clone)]
pub struct Tables {
    ln_factorial: Vec<f64>,
}

/// What the sum of a tail may be off by. A tail can equal the level exactly (95 of 100
/// drawn, one defective: 0.05), and has to be on the right side of it then.
const SLACK: f64 = 1e-11;

/// One part in ten thousand, for shares that have to be exact.
pub const WHOLE: u32 = 10_000;

impl Tables {
    /// Returns tables for populations up to `most`.
    #[must_use]
    pub fn up_to(most: usize) -> Self {
        let mut ln_factorial = Vec::with_capacity(most + 1);
        let mut sum = 0.0_f64;
        ln_factorial.push(sum);
        for n in 1..=most {
            sum += (n as f64).ln();
            ln_factorial.push(sum);
        }
        Self { ln_factorial }
    }

    fn ln_choose(&self, n: usize, k: usize) -> f64 {
        if k > n {
            return f64::NEG_INFINITY;
        }
        self.ln_factorial[n] - self.ln_factorial[k] - self.ln_factorial[n - k]
    }

    /// Returns the probability that `drawn` of `population`, `defective` of them
    /// defective, hold exactly `seen` defective ones.
    fn exactly(&self, population: usize, defective: usize, drawn: usize, seen: usize) -> f64 {
        if seen > defective || seen > drawn || drawn - seen > population - defective {
            return 0.0;
        }
        let ways = self.ln_choose(defective, seen)
            + self.ln_choose(population - defective, drawn - seen)
            - self.ln_choose(population, drawn);
        ways.exp()
    }

    /// Returns the probability that a reviewer who catches each defective change with
    /// probability `sensitivity` reports at most `seen`.
    fn at_most(&self, sample: Sample, defective: usize, sensitivity: f64) -> f64 {
        let Sample {
            population,
            drawn,
            seen,
        } = sample;
        if sensitivity >= 1.0 {
            let exact = (0..=seen).map(|k| self.exactly(population, defective, drawn, k));
            return exact.sum();
        }
        (0..=drawn.min(defective))
            .map(|held| {
                self.exactly(population, defective, drawn, held)
                    * self.binomial_at_most(held, seen, sensitivity)
            })
            .sum()
    }

    fn binomial_at_most(&self, trials: usize, most: usize, p: f64) -> f64 {
        if most >= trials {
            return 1.0;
        }
        (0..=most)
            .map(|k| self.binomial_exactly(trials, k, p))
            .sum()
    }

    fn binomial_exactly(&self, trials: usize, k: usize, p: f64) -> f64 {
        let miss = trials - k;
        if p <= 0.0 {
            return f64::from(u8::from(k == 0));
        }
        if p >= 1.0 {
            return f64::from(u8::from(miss == 0));
        }
        (self.ln_choose(trials, k) + k as f64 * p.ln() + miss as f64 * (-p).ln_1p()).exp()
    }

    /// Returns the largest number of defective changes in the population under which a
    /// sample like this one still has a probability above `alpha`: with confidence
    /// `1 - alpha` there are not more.
    ///
    /// # Panics
    ///
    /// When the tables are smaller than the population, or the sample does not fit it.
    #[must_use]
    pub fn upper(&self, sample: Sample, sensitivity: f64, alpha: f64) -> usize {
        let Sample {
            population,
            drawn,
            seen,
        } = sample;
        assert!(seen <= drawn && drawn <= population && population < self.ln_factorial.len());
        // The tail falls with the number of defective changes.
        let (mut low, mut high) = (seen, population);
        while low < high {
            let middle = low + (high - low).div_ceil(2);
            if self.at_most(sample, middle, sensitivity) > alpha + SLACK {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    /// Returns how many of `population` to draw so that at most `accept` defective ones
    /// among them show, at level `alpha`, that fewer than `limit` ten-thousandths are.
    #[must_use]
    pub fn size(&self, population: usize, limit: u32, accept: usize, alpha: f64) -> usize {
        let too_many = too_many(population, limit);
        if population == 0 || too_many > population {
            return population;
        }
        let (mut low, mut high) = (0, population);
        while low < high {
            let drawn = low + (high - low) / 2;
            let sample = Sample {
                population,
                drawn,
                seen: accept.min(drawn),
            };
            if self.at_most(sample, too_many, 1.0) <= alpha + SLACK {
                high = drawn;
            } else {
                low = drawn + 1;
            }
        }
        low
    }

    /// Returns the lower bound at level `alpha` on how many of a hundred percent reviewers
    /// catch, `caught` of `known` defective changes having been caught (Clopper and
    /// Pearson, 1934).
    #[must_use]
    pub fn sensitivity(&self, known: usize, caught: usize, alpha: f64) -> f64 {
        if caught == 0 {
            return 0.0;
        }
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            let tail: f64 = (caught..=known)
                .map(|k| self.binomial_exactly(known, k, middle))
                .sum();
            if tail < alpha {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Returns the smallest number of `population` that is not fewer than `limit`
/// ten-thousandths of it.
#[must_use]
pub fn too_many(population: usize, limit: u32) -> usize {
    let (population, limit, whole) = (population as u128, u128::from(limit), u128::from(WHOLE));
    usize::try_from((population * limit).div_ceil(whole)).unwrap_or(usize::MAX)
}

/// What was drawn and what it showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// All changes that could be drawn.
    pub population: usize,
    /// Those that were.
    pub drawn: usize,
    /// Those that were counted as defective.
    pub seen: usize,
}

#[cfg(test)]
pub(super) mod tests;
