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
    runner::Run,
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
}

/// Cases with one tag.
#[derive(Debug, Clone, Serialize)]
pub struct Slice {
    /// How many.
    pub cases: usize,
    /// Mean share of trials that pass.
    pub passing: Option<f64>,
}

/// Sums up a run of `suite`, compared with the baseline if there is one.
#[must_use]
pub fn summarize(suite: &Suite, run: &Run, baseline: Option<&Run>, plan: &Plan) -> Summary {
    let before = baseline.map(Run::tallies).unwrap_or_default();
    let tallies = run.tallies();
    let cases: Vec<CaseSummary> = suite
        .cases
        .iter()
        .filter(|case| run.records.iter().any(|record| record.case == case.id))
        .map(|case| {
            let tally = tallies.get(&case.id).copied().unwrap_or_default();
            of_case(&case.id, tally, before.get(&case.id).copied(), run, plan)
        })
        .collect();
    let paired: Vec<Paired> = cases
        .iter()
        .filter_map(|case| {
            Some(Paired {
                before: case.before?,
                now: screened(run, &case.id, plan),
            })
        })
        .collect();
    let comparison = compare(&paired, SEED);
    let mut usage = Usage::default();
    run.records
        .iter()
        .for_each(|record| usage.add(&record.usage));
    let all: Vec<Tally> = cases.iter().map(|case| case.tally).collect();
    Summary {
        suite: run.suite.clone(),
        model: run.model.clone(),
        verdict: overall(&cases, comparison.as_ref()),
        passing: clustered(&all),
        usage,
        slices: slices(suite, &cases),
        matrix: Matrix::of(suite, run),
        comparison,
        cases,
    }
}

/// The first trials of a case: later ones were chosen because of a failure.
fn screened(run: &Run, case: &str, plan: &Plan) -> Tally {
    let mut tally = Tally::default();
    let of_case = || run.records.iter().filter(|record| record.case == case);
    let latest = of_case().next_back().map(|record| &record.fingerprint);
    // Trials under what was shown before belong to the earlier result.
    let graded = of_case()
        .filter(|record| Some(&record.fingerprint) == latest)
        .filter(|record| matches!(record.verdict, Verdict::Pass | Verdict::Fail));
    for record in graded.take(usize::try_from(plan.screen).unwrap_or(usize::MAX)) {
        tally.add(record.verdict == Verdict::Pass);
    }
    tally
}

fn of_case(id: &str, tally: Tally, before: Option<Tally>, run: &Run, plan: &Plan) -> CaseSummary {
    let records = || run.records.iter().filter(|record| record.case == id);
    let nothing = |verdict| matches!(verdict, Verdict::Invalid | Verdict::Inconclusive);
    let invalid = records().filter(|record| nothing(record.verdict)).count();
    let last = records()
        .rev()
        .find(|record| record.verdict != Verdict::Pass);
    let decision = plan.decide(tally, before);
    let verdict = match (tally.trials, decision) {
        (0, _) => last.map_or(Verdict::Inconclusive, |record| record.verdict),
        (_, Decision::Good) => Verdict::Pass,
        (_, Decision::Damaged) => Verdict::Fail,
        // Without a sequential test a failure is one.
        (_, Decision::Unknown) if plan.confirm.is_none() => Verdict::Fail,
        (_, Decision::Unknown | Decision::More) => Verdict::Inconclusive,
    };
    CaseSummary {
        id: id.to_owned(),
        verdict,
        tally,
        interval: wilson(tally),
        pass_at_3: tally.pass_at(3),
        pass_all_3: tally.pass_all(3),
        stability: tally.stability(),
        decision,
        before,
        reasons: last
            .map(|record| record.reasons.clone())
            .unwrap_or_default(),
        invalid: u64::try_from(invalid).unwrap_or(u64::MAX),
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

fn slices(suite: &Suite, cases: &[CaseSummary]) -> BTreeMap<String, Slice> {
    let mut rates: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for case in cases {
        let of_suite = suite.cases.iter().find(|one| one.id == case.id);
        for tag in of_suite.into_iter().flat_map(|case| &case.tags) {
            let rates = rates.entry(tag.clone()).or_default();
            rates.extend(case.tally.rate());
        }
    }
    let slice = |(tag, rates): (String, Vec<f64>)| {
        let passing = crate::stats::mean(&rates);
        (
            tag,
            Slice {
                cases: rates.len(),
                passing,
            },
        )
    };
    rates.into_iter().map(slice).collect()
}
