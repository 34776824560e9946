use std::collections::BTreeMap;

use tempfile::tempdir;

use super::*;

fn fingerprint(case: &str, tool: &str) -> Fingerprint {
    let tools: BTreeMap<String, String> = [(tool.to_owned(), "digest".to_owned())].into();
    Fingerprint {
        model: "m".into(),
        case: case.into(),
        tools: tools.into(),
        ..Fingerprint::default()
    }
}

fn record(case: &str, trial: u64, verdict: Verdict, tool: &str) -> Record {
    Record {
        case: case.to_owned(),
        trial,
        verdict,
        reasons: vec![Reason::new("answer", format!("{case} {trial}"), "")],
        fingerprint: fingerprint(case, tool),
        trace: Trace {
            usage: Usage {
                requests: 1,
                ..Usage::default()
            },
            ..Trace::default()
        },
        judged: Vec::new(),
    }
}

const PLAN: Plan = Plan {
    screen: 2,
    confirm: None,
};

/// Keeps trials of one case, and returns its sums as the keeper and a reader have them.
#[track_caller]
fn check(trials: &[(Verdict, &str)], expected: &str) {
    let folder = tempdir().unwrap();
    let mut keeper = Keeper::open(folder.path(), "s", "m", PLAN, None).unwrap();
    for (trial, (verdict, tool)) in (0..).zip(trials) {
        keeper.add(&record("a", trial, *verdict, tool)).unwrap();
    }
    let (_, tool) = trials.last().unwrap();
    let of_case = keeper.tally("a", &fingerprint("a", tool));
    let run = keeper.finish();
    assert_eq!(load(folder.path()).unwrap(), run);
    let sums = run.of("a").unwrap();
    assert_eq!(of_case, (sums.tally, trials.len() as u64));
    let last = sums.last.as_ref();
    let shown = format!(
        "{}/{}, first {}/{}, {} invalid, last {}",
        sums.tally.passed,
        sums.tally.trials,
        sums.screened.passed,
        sums.screened.trials,
        sums.invalid,
        last.map_or("none".to_owned(), |(_, why)| why[0].at.clone()),
    );
    assert_eq!(shown, expected);
    assert_eq!(run.usage.requests, trials.len() as u64);
}

#[test]
fn sums_are_those_of_the_latest_result_and_its_first_trials() {
    use Verdict::{Fail, Invalid, Pass};
    check(
        &[(Pass, "x"), (Pass, "x")],
        "2/2, first 2/2, 0 invalid, last none",
    );
    check(
        &[(Fail, "x"), (Invalid, "x"), (Pass, "x"), (Pass, "x")],
        "2/3, first 1/2, 1 invalid, last a 1",
    );
    // What was shown has changed: what it did before is another result.
    check(
        &[(Pass, "x"), (Pass, "x"), (Fail, "y")],
        "0/1, first 0/1, 0 invalid, last a 2",
    );
    check(
        &[(Pass, "x"), (Fail, "y"), (Pass, "x")],
        "1/1, first 1/1, 0 invalid, last a 1",
    );
}

#[test]
fn a_run_goes_on_behind_a_line_that_was_cut_off() {
    let folder = tempdir().unwrap();
    let mut keeper = Keeper::open(folder.path(), "s", "m", PLAN, None).unwrap();
    keeper.add(&record("a", 0, Verdict::Pass, "x")).unwrap();
    drop(keeper);
    let path = folder.path().join(TRIALS);
    let mut text = std::fs::read_to_string(&path).unwrap();
    text.push_str("{\"case\": \"a\", \"tri");
    std::fs::write(&path, text).unwrap();
    let mut keeper = Keeper::open(folder.path(), "s", "m", PLAN, None).unwrap();
    keeper.add(&record("a", 1, Verdict::Pass, "x")).unwrap();
    let run = load(folder.path()).unwrap();
    assert_eq!(run.of("a").unwrap().tally.trials, 2);
    let other = Keeper::open(folder.path(), "other", "m", PLAN, None);
    assert!(matches!(other, Err(KeptError::Other { .. })));
}

#[test]
fn trials_share_what_they_have_in_common() {
    let mut run = Run::default();
    for trial in 0..3 {
        run.add(&record("a", trial, Verdict::Pass, "x"));
        run.add(&record("b", trial, Verdict::Pass, "x"));
    }
    let tools = |case: &str| &run.of(case).unwrap().fingerprint.tools;
    assert!(Arc::ptr_eq(tools("a"), tools("b")));
    assert_eq!((run.lists.len(), run.cases.len()), (1, 2));
}
