//! What a run says: for people, for programs, for CI.
//!
//! # Invariants
//!
//! * Whatever a model, a tool or a suite wrote is escaped where it is shown.
//! * Every share stands with its interval and its number of trials.

mod html;
mod junit;
mod matrix;

use std::collections::BTreeMap;

use serde::Serialize;

pub use self::{
    html::{HtmlError, html},
    junit::junit,
    matrix::Matrix,
};
use crate::{
    grade::{Reason, Verdict},
    rubric::{Opinions, Standing},
    runner::{KeptError, Record, Run, Sums},
    stats::{
        Comparison, Decision, Interval, Paired, Plan, Stability, Tally, clustered, compare, wilson,
    },
    suite::Suite,
    trace::Usage,
};

/// Seed of the comparison's shuffles.
const SEED: u64 = 0x5eed;

/// What a run says as a whole.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// The suite.
    pub suite: String,
    /// The model.
    pub model: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Mean share of trials that pass over cases, with the spread between cases.
    pub passing: Option<Interval>,
    /// What it cost.
    pub usage: Usage,
    /// The cases.
    pub cases: Vec<CaseSummary>,
    /// Shares of cases by tag.
    pub slices: BTreeMap<String, Slice>,
    /// Which tool was expected, and which was called.
    pub matrix: Matrix,
    /// How it compares with the baseline.
    pub comparison: Option<Comparison>,
    /// What the opinions of its judge count for, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<Standing>,
}

/// What a run says of one case.
#[derive(Debug, Clone, Serialize)]
pub struct CaseSummary {
    /// The case.
    pub id: String,
    /// The verdict.
    pub verdict: Verdict,
    /// How often it passed.
    pub tally: Tally,
    /// The interval of 95 %.
    pub interval: Option<Interval>,
    /// The chance that one of three trials passes.
    pub pass_at_3: Option<f64>,
    /// The chance that three of three trials pass.
    pub pass_all_3: Option<f64>,
    /// Whether it does the same each time.
    pub stability: Stability,
    /// Whether it is shown to be worse than its history, or than a good case.
    pub decision: Decision,
    /// How often it passed in the baseline.
    pub before: Option<Tally>,
    /// Why it did not pass, the last time.
    pub reasons: Vec<Reason>,
    /// Trials that showed nothing about the model.
    pub invalid: u64,
    /// What a judge thought of those that passed every check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opinions: Option<Opinions>,
}

/// Cases with one tag.
#[derive(Debug, Clone, Serialize)]
pub struct Slice {
    /// How many.
    pub cases: usize,
    /// Mean share of trials that pass.
    pub passing: Option<f64>,
}

/// Sums up a run of `suite`, compared with the baseline if there is one. `records` are its
/// trials, read again.
///
/// # Errors
///
/// The first error of `records`.
pub fn summarize(
    suite: &Suite,
    run: &Run,
    records: impl IntoIterator<Item = Result<Record, KeptError>>,
    baseline: Option<&Run>,
) -> Result<Summary, KeptError> {
    let mut cases = Vec::new();
    let mut paired = Vec::new();
    let mut slices: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for case in suite.cases.iter() {
        let Some(sums) = run.of(&case.id) else {
            continue;
        };
        let before = baseline.and_then(|baseline| baseline.of(&case.id));
        let before = before.map(|before| before.tally);
        paired.extend(before.map(|before| Paired {
            before,
            now: sums.screened,
        }));
        for tag in case.tags {
            slices.entry(tag).or_default().extend(sums.tally.rate());
        }
        cases.push(of_case(case.id, sums, before, &run.plan));
    }
    let comparison = compare(&paired, SEED);
    let all: Vec<Tally> = cases.iter().map(|case| case.tally).collect();
    Ok(Summary {
        suite: run.suite.clone(),
        model: run.model.clone(),
        verdict: overall(&cases, comparison.as_ref()),
        passing: clustered(&all),
        usage: run.usage,
        slices: slices.into_iter().map(slice).collect(),
        matrix: Matrix::of(suite, records)?,
        comparison,
        judge: run.judge.clone(),
        cases,
    })
}

fn of_case(id: String, sums: &Sums, before: Option<Tally>, plan: &Plan) -> CaseSummary {
    let tally = sums.tally;
    let decision = plan.decide(tally, before);
    let last = sums.last.as_ref();
    let verdict = match (tally.trials, decision) {
        (0, _) => last.map_or(Verdict::Inconclusive, |(verdict, _)| *verdict),
        (_, Decision::Good) => Verdict::Pass,
        (_, Decision::Damaged) => Verdict::Fail,
        // Without a sequential test a failure is one.
        (_, Decision::Unknown) if plan.confirm.is_none() => Verdict::Fail,
        (_, Decision::Unknown | Decision::More) => Verdict::Inconclusive,
    };
    CaseSummary {
        id,
        verdict,
        tally,
        interval: wilson(tally),
        pass_at_3: tally.pass_at(3),
        pass_all_3: tally.pass_all(3),
        stability: tally.stability(),
        decision,
        before,
        reasons: last.map(|(_, why)| why.clone()).unwrap_or_default(),
        invalid: sums.invalid,
        opinions: (sums.opinions != Opinions::default()).then_some(sums.opinions),
    }
}

/// A failure outweighs what is not known, and a regression is one.
fn overall(cases: &[CaseSummary], comparison: Option<&Comparison>) -> Verdict {
    let any = |verdict| cases.iter().any(|case| case.verdict == verdict);
    if any(Verdict::Fail) || comparison.is_some_and(|comparison| comparison.regressed) {
        Verdict::Fail
    } else if any(Verdict::Invalid) {
        Verdict::Invalid
    } else if any(Verdict::Inconclusive) || cases.is_empty() {
        // A limit was reached before the first conversation.
        Verdict::Inconclusive
    } else {
        Verdict::Pass
    }
}

fn slice((tag, rates): (String, Vec<f64>)) -> (String, Slice) {
    let slice = Slice {
        cases: rates.len(),
        passing: crate::stats::mean(&rates),
    };
    (tag, slice)
}
