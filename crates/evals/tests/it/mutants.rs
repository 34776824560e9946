//! Damage to conversations of AgentDojo, and whether the published checks notice it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
};

use airside_evals::{
    grade::Verdict,
    mutate::{Report, is_sound, mutants},
    recordings::{Recording, each, graded, tools},
    trace::{Arguments, Call},
};
use serde_json::Value;

use crate::recordings::folder;

/// The damage that the reference does: each write is left out, each of its arguments is
/// wrong (a date by a year, a list empty), and a restaurant is booked that nobody asked
/// for.
fn is_of_reference(operator: &str, what: &str) -> bool {
    match operator {
        "drop a write" | "alter an argument" => true,
        "add a write" => what == "reserve_restaurant",
        _ => false,
    }
}

/// The calls of the reference solution of each task.
fn solutions(folder: &Path) -> BTreeMap<String, Vec<(String, BTreeSet<String>)>> {
    let file = File::open(folder.join("user_tasks.json")).unwrap();
    let tasks: Vec<Value> = serde_json::from_reader(file).unwrap();
    let call = |call: &Value| {
        let names = call["args"].as_object().unwrap().keys().cloned();
        (call["name"].as_str().unwrap().to_owned(), names.collect())
    };
    let task = |task: &Value| {
        let calls = task["reference_calls"].as_array().unwrap();
        let id = format!("{}/none/none", task["id"].as_str().unwrap());
        (id, calls.iter().map(call).collect())
    };
    tasks.iter().map(task).collect()
}

/// How a conversation writes: the tools, and the arguments that say something.
fn written(
    recording: &Recording,
    writes: &dyn Fn(&str) -> bool,
) -> Vec<(String, BTreeSet<String>)> {
    let calls = recording.trace.calls().filter(|call| writes(&call.tool));
    let shape = |call: &Call| {
        let names = match &call.arguments {
            Arguments::Json(Value::Object(members)) => {
                let said = |value: &Value| *value != Value::Null && *value != serde_json::json!([]);
                let said = members.iter().filter(|(_, value)| said(value));
                said.map(|(name, _)| name.clone()).collect()
            }
            _ => BTreeSet::new(),
        };
        (call.tool.clone(), names)
    };
    calls.map(shape).collect()
}

#[test]
fn published_checks_notice_the_damage_that_the_reference_says_and_survivors_are_named() {
    let Some(folder) = folder("agentdojo-travel") else {
        return;
    };
    let tools = tools(&folder).unwrap();
    let writes = |name: &str| {
        let tool = tools.iter().find(|tool| tool.name() == name);
        tool.is_some_and(|tool| !tool.is_read_only())
    };
    let solutions = solutions(&folder);
    let mut report = Report::default();
    let mut done = BTreeSet::new();
    each(&folder, &mut |recording| {
        let Some(solution) = solutions.get(&recording.task) else {
            return;
        };
        // A run that wrote as the reference does.
        let wanted: Vec<_> = solution.iter().filter(|(tool, _)| writes(tool)).collect();
        let alike = written(&recording, &writes).iter().eq(wanted);
        if !alike || !is_sound(&recording) || !done.insert(recording.task.clone()) {
            return;
        }
        for mutant in mutants(&recording.trace, &tools) {
            let tool = mutant.what.split('.').next().unwrap_or_default();
            if is_of_reference(mutant.operator, &mutant.what) && writes(tool) {
                let grade = graded(&recording.verdicts[0].expect, &mutant.trace);
                report.add(&recording.task, &mutant, grade.verdict != Verdict::Pass);
            }
        }
    })
    .unwrap();
    let missing: Vec<&String> = solutions
        .keys()
        .filter(|task| !done.contains(*task))
        .collect();
    assert_eq!(
        missing,
        Vec::<&String>::new(),
        "no run wrote as the reference does"
    );
    let total = report.total();
    // The reference kills 38 of the 52 of its 20 tasks: 73 in a hundred.
    assert!(total.all >= 2 * solutions.len(), "{report:#?}");
    assert!(total.killed * 52 >= total.all * 38, "{total:?} {report:#?}");
    // What survives is what the reference names: years and descriptions of events are not
    // looked at, a message to nobody and a restaurant besides hotels are accepted.
    let survivors: BTreeSet<&str> = report
        .survivors
        .iter()
        .map(|one| one.what.as_str())
        .collect();
    let named = [
        "create_calendar_event.description: another text",
        "create_calendar_event.end_time: a year later",
        "create_calendar_event.start_time: a year later",
        "reserve_restaurant",
        "send_email.recipients: emptied",
    ];
    assert_eq!(survivors, BTreeSet::from(named), "{report:#?}");
}
