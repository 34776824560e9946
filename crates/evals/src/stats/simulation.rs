//! Error rates of the whole procedure, by simulation: what is claimed is measured.

use serde::Serialize;

use super::{Decision, Draw, Paired, Plan, Tally, ratio, regression::shuffle};

/// Shuffles of one comparison: as many as its level needs.
const SHUFFLES: u64 = 399;

/// What many simulated runs gave.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Simulated {
    /// Share of runs in which the damaged case was named.
    pub found: f64,
    /// Share of runs in which a case that was not damaged was named.
    pub false_alarms: f64,
    /// Share of runs in which the suite as a whole was called worse.
    pub regressed: f64,
    /// Trials of a run, on average.
    pub trials: f64,
}

/// Simulates `runs` runs of a suite whose cases pass with `rates`, one of them with
/// `damaged` = (case, rate) instead. Histories have `history` trials.
#[must_use]
pub fn simulate(
    plan: &Plan,
    rates: &[f64],
    damaged: Option<(usize, f64)>,
    history: u64,
    runs: u64,
    seed: u64,
) -> Simulated {
    let mut draw = Draw::new(seed);
    let (mut found, mut wrong, mut regressed, mut trials) = (0_u64, 0_u64, 0_u64, 0_u64);
    for _ in 0..runs {
        let (mut named, mut named_wrongly) = (false, false);
        let mut paired = Vec::with_capacity(rates.len());
        for (index, rate) in rates.iter().enumerate() {
            let before = tally(*rate, history, &mut draw);
            let damage = damaged.filter(|(case, _)| *case == index);
            let rate = damage.map_or(*rate, |(_, rate)| rate);
            let now = run(plan, rate, before, &mut draw);
            trials += now.trials;
            if plan.decide(now, Some(before)) == Decision::Damaged {
                named |= damage.is_some();
                named_wrongly |= damage.is_none();
            }
            // The screening alone: what confirms is chosen by its failures.
            let screened = tally(rate, plan.screen, &mut draw);
            paired.push(Paired {
                before,
                now: screened,
            });
        }
        found += u64::from(named);
        wrong += u64::from(named_wrongly);
        let comparison = shuffle(&paired, draw.bits(), SHUFFLES);
        regressed += u64::from(comparison.is_some_and(|comparison| comparison.regressed));
    }
    Simulated {
        found: ratio(found, runs),
        false_alarms: ratio(wrong, runs),
        regressed: ratio(regressed, runs),
        trials: ratio(trials, runs),
    }
}

fn tally(rate: f64, trials: u64, draw: &mut Draw) -> Tally {
    let mut tally = Tally::default();
    (0..trials).for_each(|_| tally.add(draw.happens(rate)));
    tally
}

fn run(plan: &Plan, rate: f64, history: Tally, draw: &mut Draw) -> Tally {
    let mut tally = Tally::default();
    let history = (history.trials > 0).then_some(history);
    while plan.wants_more(tally, history) {
        tally.add(draw.happens(rate));
    }
    tally
}
