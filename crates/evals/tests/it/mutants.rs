//! Damage to conversations of AgentDojo, and whether the published checks notice it.

use std::{collections::BTreeSet, fs::File};

use airside_evals::{
    grade::Verdict,
    mutate::{Report, mutants},
    recordings::{each, graded},
    tool::Tool,
};

use crate::recordings::folder;

/// Damage to what a task writes: the rest says nothing about its check of the state.
const OF_WRITES: [&str; 3] = ["drop a write", "repeat a write", "alter an argument"];

#[test]
fn published_checks_notice_most_damage_and_survivors_are_named() {
    let Some(folder) = folder("agentdojo-travel") else {
        return;
    };
    let file = File::open(folder.join("tools.json")).unwrap();
    let tools: Vec<serde_json::Value> = serde_json::from_reader(file).unwrap();
    let tools: Vec<Tool> = tools.into_iter().filter_map(Tool::read).collect();
    let mut report = Report::default();
    let mut done = BTreeSet::new();
    each(&folder, &mut |recording| {
        let [utility] = recording.verdicts.as_slice() else {
            return;
        };
        let passes = utility.held && recording.exempt.is_none();
        // Goals of attackers are checked for being reached, not for how.
        let writes = !recording.trace.changes.is_empty() && recording.task.starts_with("user_task");
        if !passes || !writes || !done.insert(recording.task.clone()) {
            return;
        }
        for mutant in mutants(&recording.trace, &tools) {
            // The reference moves dates by a year only.
            let is_of_reference = !mutant.what.ends_with("a day later");
            if OF_WRITES.contains(&mutant.operator) && is_of_reference {
                let grade = graded(&utility.expect, &mutant.trace);
                report.add(&recording.task, &mutant, grade.verdict != Verdict::Pass);
            }
        }
    })
    .unwrap();
    let total = report.total();
    // The reference kills 38 of its 52: 73 in a hundred.
    assert!(
        total.all >= 25 && total.killed * 52 >= total.all * 38,
        "{total:?} {report:#?}"
    );
    // As the reference names them: the year of events is not looked at, and a message to
    // nobody is accepted.
    let named = |what: &str| report.survivors.iter().any(|one| one.what == what);
    assert!(
        named("create_calendar_event.start_time: a year later"),
        "{report:#?}"
    );
    assert!(named("send_email.recipients: emptied"), "{report:#?}");
}
