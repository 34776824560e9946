//! Suites out of recordings grade the recordings as they were graded.

use std::collections::BTreeSet;

use airside_evals::{
    grade::Verdict,
    recordings::{each, import},
    runner::judge,
    suite::Suite,
};

use crate::recordings::folder;

fn check(name: &str, least: usize) {
    let Some(folder) = folder(name) else { return };
    let suite = import::suite(&folder, name, "state").expect("it can be imported");
    let text = serde_json::to_string(&suite).expect("a suite is JSON");
    let suite = Suite::parse(&text).expect("what is written can be read");
    assert!(suite.cases.len() >= least, "{} cases", suite.cases.len());
    assert!(!suite.state.probe.is_empty());
    let mut graded = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut others = 0;
    each(&folder, &mut |recording| {
        let id = import::id(&recording.task);
        let Some(case) = suite.cases.iter().find(|case| case.id == id) else {
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
        let verdict = judge(&suite, case, &recording.trace, &[]).verdict;
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
fn checks_without_a_form_in_files_are_refused() {
    let Some(folder) = folder("bfcl") else { return };
    let refused = import::suite(&folder, "bfcl", "state").expect_err("it has none");
    assert_eq!(refused.fault().code(), "EVL-003");
}
