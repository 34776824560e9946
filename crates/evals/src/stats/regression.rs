//! Has a suite become worse?

use serde::{Deserialize, Serialize};

use super::{Draw, Tally, ratio};

/// Shuffles of one comparison: the p-value then has a standard error below 0.0016 at
/// 2.5 %.
const SHUFFLES: u64 = 10_000;
/// Rate of false alarms.
pub(super) const LEVEL: f64 = 0.025;

/// One case in two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paired {
    /// In the earlier run.
    pub before: Tally,
    /// In the present run.
    pub now: Tally,
}

/// Two runs compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Mean change of the share that passes, over cases.
    pub change: f64,
    /// Chance of so great a loss if nothing had changed.
    pub p: f64,
    /// Whether the suite has become worse, at a rate of false alarms of 2.5 %.
    pub regressed: bool,
    /// Cases that both runs have.
    pub cases: u64,
}

/// Compares two runs by shuffling successes within each case. None where no case is in
/// both.
#[must_use]
pub fn compare(cases: &[Paired], seed: u64) -> Option<Comparison> {
    shuffle(cases, seed, SHUFFLES)
}

/// Compares two runs by so many shuffles.
pub(super) fn shuffle(cases: &[Paired], seed: u64, shuffles: u64) -> Option<Comparison> {
    let cases: Vec<Paired> = cases
        .iter()
        .filter(|case| case.before.trials > 0 && case.now.trials > 0)
        .copied()
        .collect();
    let count = u64::try_from(cases.len()).ok().filter(|count| *count > 0)?;
    let loss = |now: &dyn Fn(usize, &Paired) -> u64| -> f64 {
        let one = |(index, case): (usize, &Paired)| {
            let passed = case.before.passed + case.now.passed;
            let now = now(index, case);
            ratio(passed - now, case.before.trials) - ratio(now, case.now.trials)
        };
        cases.iter().enumerate().map(one).sum()
    };
    let observed = loss(&|_, case| case.now.passed);
    let mut draw = Draw::new(seed);
    let mut as_great = 0_u64;
    let mut shuffled = vec![0_u64; cases.len()];
    for _ in 0..shuffles {
        for (now, case) in shuffled.iter_mut().zip(&cases) {
            *now = hypergeometric(case, &mut draw);
        }
        let by_chance = loss(&|index, _| shuffled[index]);
        as_great += u64::from(by_chance >= observed - 1e-12);
    }
    let p = ratio(as_great + 1, shuffles + 1);
    Some(Comparison {
        change: -observed / ratio(count, 1),
        p,
        regressed: p <= LEVEL,
        cases: count,
    })
}

/// How many of the successes of a case fall into the present run if they are dealt out
/// by chance.
fn hypergeometric(case: &Paired, draw: &mut Draw) -> u64 {
    let mut all = case.before.trials + case.now.trials;
    let mut successes = case.before.passed + case.now.passed;
    if successes == 0 || successes == all {
        return case.now.trials.min(successes);
    }
    let mut now = 0;
    for _ in 0..case.now.trials {
        if draw.below(all) < successes {
            now += 1;
            successes -= 1;
        }
        all -= 1;
    }
    now
}
