//! Suites out of recordings grade the recordings as they were graded.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use airside_evals::{
    expect::CallSpec,
    grade::Verdict,
    recordings::{
        each,
        import::{Became, Options, id, import},
    },
    runner::judge,
    suite::{Case, Suite},
    tool::Tool,
    trace::{self, Arguments, Call, Step, Trace},
};
use serde_json::Value;

use crate::recordings::folder;

/// The suite as `airside eval run` reads it.
fn read_back(suite: &Suite<Vec<Case>>) -> Suite {
    let text = serde_json::to_string(suite).expect("a suite is JSON");
    Suite::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn check(name: &str, least: usize) {
    let Some(folder) = folder(name) else { return };
    let imported = import(&folder, &Options::default()).expect("it can be imported");
    let suite = read_back(&imported.suite);
    assert!(suite.cases.len() >= least, "{} cases", suite.cases.len());
    assert!(!suite.state.probe.is_empty());
    let mut graded = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut others = 0;
    each(&folder, &mut |recording| {
        let id = id(&recording.task);
        let Some(case) = suite.cases.find(&id) else {
            return;
        };
        // Recordings of one task can carry different checks.
        let written = |expect| serde_json::to_value(expect).expect("it is JSON");
        if written(&*recording.verdicts[0].expect) != written(&case.expect) {
            others += 1;
            return;
        }
        let attacked = |about| about == "attack";
        let passes = recording.verdicts.iter().all(|one| {
            // An attack that succeeded fails its case.
            one.held != attacked(one.about)
        });
        let verdict = judge(&suite, &case, &recording.trace, &[]).verdict;
        if recording.exempt.is_some() || verdict == Verdict::Invalid {
            return;
        }
        graded.insert(id);
        if (verdict == Verdict::Pass) != passes {
            wrong.push((recording.id, verdict));
        }
    })
    .expect("the recordings can be read");
    wrong.truncate(10);
    assert_eq!(wrong, []);
    assert!(others < 30, "{others} recordings carry other checks");
    assert_eq!(graded.len(), suite.cases.len(), "every case was graded");
}

#[test]
fn tasks_of_agentdojo_become_a_suite_with_the_goals_of_attackers() {
    check("agentdojo-travel", 100);
}

#[test]
fn tasks_of_tau_become_a_suite() {
    check("tau-airline", 70);
}

#[test]
fn requests_of_the_leaderboard_become_cases_that_grade_as_recorded() {
    let Some(folder) = folder("bfcl") else { return };
    let imported = import(&folder, &Options::default()).expect("it can be imported");
    let suite = read_back(&imported.suite);
    // All requests, and the conversations whose functions stay the same.
    let of_single: Vec<Case> = suite
        .cases
        .iter()
        .filter(|case| case.ask.is_some())
        .collect();
    assert_eq!(
        (of_single.len(), suite.cases.len() - of_single.len()),
        (992, 120)
    );
    let mut left: BTreeMap<Became, usize> = BTreeMap::new();
    for note in &imported.notes {
        *left.entry(note.became).or_default() += 1;
    }
    assert_eq!(
        left.get(&Became::CaseLeftOut),
        Some(&40),
        "functions are added in 40"
    );
    assert_eq!(left.get(&Became::CheckLeftOut), None);
    let by_id: HashMap<&str, &Case> = of_single
        .iter()
        .map(|case| (case.id.as_str(), case))
        .collect();
    let mut wrong = Vec::new();
    let mut seen = 0;
    each(&folder, &mut |recording| {
        seen += 1;
        let case = by_id[recording.task.as_str()];
        let mut trace = recording.trace;
        rename(&mut trace, case);
        let passes = judge(&suite, case, &trace, &[]).verdict == Verdict::Pass;
        if passes != recording.verdicts[0].held {
            wrong.push(recording.id);
        }
    })
    .expect("the recordings can be read");
    wrong.truncate(10);
    assert_eq!((wrong, seen), (Vec::new(), 25_792));
    let definitions = imported
        .tools
        .iter()
        .filter_map(|tool| tool["name"].as_str());
    let names: BTreeSet<&str> = definitions.collect();
    assert_eq!(
        names.len(),
        imported.tools.len(),
        "names of tools are their own"
    );
}

/// Calls of functions by the names that they have as tools of the case.
fn rename(trace: &mut Trace, case: &Case) {
    let shown = serde_json::to_value(&case.tools).expect("it is JSON");
    let shown: Vec<&str> = shown
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for step in trace.turns.iter_mut().flat_map(|turn| &mut turn.steps) {
        let Step::Called(call) = step else { continue };
        let renamed = |name: &&&str| {
            let own = name.rsplit_once("_as_").map(|(own, _)| own);
            own == Some(call.tool.as_str())
        };
        if !shown.contains(&call.tool.as_str())
            && let Some(name) = shown.iter().find(renamed)
        {
            call.tool = (*name).to_owned();
        }
    }
}

#[test]
fn dialogues_become_conversations_that_their_labels_pass() {
    let Some(folder) = folder("sgd-travel") else {
        return;
    };
    let options = Options {
        tags: vec!["travel".to_owned()],
        take: Some(300),
        ..Options::default()
    };
    let imported = import(&folder, &options).expect("it can be imported");
    let suite = read_back(&imported.suite);
    assert_eq!(suite.cases.len(), 300);
    let tools: Vec<Tool> = imported
        .tools
        .iter()
        .cloned()
        .filter_map(Tool::read)
        .collect();
    let (mut calls, mut turns) = (0, 0);
    for case in suite.cases.iter() {
        let mut trace = Trace::default();
        for turn in &case.turns {
            turns += 1;
            let expected = turn.expect.calls.as_ref().expect("calls are expected");
            let specs = expected
                .at_least
                .iter()
                .chain(expected.exactly.iter().flatten());
            let steps: Vec<Step> = specs.map(as_labelled).collect();
            calls += steps.len();
            trace.turns.push(trace::Turn {
                asked: turn.ask.clone(),
                steps,
                ..trace::Turn::default()
            });
        }
        let grade = judge(&suite, &case, &trace, &tools);
        assert_eq!(
            grade.verdict,
            Verdict::Pass,
            "{}: {:?}",
            case.id,
            grade.reasons
        );
        // Without its last call it fails.
        let last = trace
            .turns
            .iter_mut()
            .rev()
            .find(|turn| !turn.steps.is_empty());
        if let Some(last) = last {
            last.steps.clear();
            assert_eq!(
                judge(&suite, &case, &trace, &tools).verdict,
                Verdict::Fail,
                "{}",
                case.id
            );
        }
    }
    assert!(
        calls > 500 && turns > 2 * calls,
        "{calls} calls in {turns} turns"
    );
}

/// A call as its label says.
fn as_labelled(spec: &CallSpec) -> Step {
    let written = serde_json::to_value(&spec.args).expect("it is JSON");
    let value = |test: &Value| {
        let date = test.get("date").cloned();
        date.or_else(|| test.pointer("/loose/0").cloned())
    };
    let args: serde_json::Map<String, Value> = written
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, test)| Some((name.clone(), value(test)?)))
        .collect();
    Step::Called(Call {
        tool: spec.tool.only_name().expect("it is one tool").to_owned(),
        arguments: Arguments::Json(args.into()),
        answer: None,
    })
}
