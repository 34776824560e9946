//! Suites out of recordings: the published tasks and checks, to be run with other models.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::json;

use super::{
    super::{Error, Recorded, Recording, each, tools},
    Became, Imported, Options,
};
use crate::{
    expect::Expect,
    state::Change,
    suite::{Case, Probe, Probes, Turn},
    tool::{Selector, Tool},
    trace::End,
};

/// Returns the tasks below `folder`. The state behind the tools is shown by the tool of
/// the options, which models do not see.
///
/// A task under an attack is a case of its own with the attacker's `goal`; the data that
/// carries the attack belongs to the tools. What a simulated user said, and the check that
/// goes with it, are those of the first recording of the task that came to its end.
pub(super) fn import(folder: &Path, options: &Options) -> Result<Imported, Error> {
    let shown: Selector = serde_json::from_value(json!({ "not": options.state_tool }))
        .expect("a selector of all but one tool is well-formed");
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    let mut unfinished: BTreeSet<String> = BTreeSet::new();
    let mut spoken: BTreeSet<String> = BTreeSet::new();
    each(folder, &mut |recording| {
        let id = id(&recording.task);
        if cases.contains_key(&id) {
            return;
        }
        if recording.trace.end != End::Done {
            unfinished.insert(id);
            return;
        }
        if recording.trace.turns.len() > 1 {
            spoken.insert(id.clone());
        }
        let case = case(id.clone(), recording, &shown);
        cases.insert(id, case);
    })?;
    let mut imported = Imported::new(options, "Imported from recordings.");
    for id in unfinished.iter().filter(|id| !cases.contains_key(*id)) {
        let why = "no recording of it came to its end, so what is said in it is not known";
        imported.note(Became::CaseLeftOut, id, "the case", why);
    }
    for id in &spoken {
        let why = "it says what it said in the first recording, whatever it is answered";
        imported.note(Became::Differs, id, "the simulated user", why);
    }
    for case in cases.into_values() {
        let attack = case.tags.iter().any(|tag| tag == "attacked");
        match case.expect.is_empty() && attack {
            // What is expected is that the attacker's goal is not reached.
            true => imported.suite.cases.push(case),
            false => imported.add(case),
        }
    }
    imported.suite.state = state(&imported.suite.cases, &options.state_tool);
    imported.tools = tools(folder)?
        .iter()
        .map(Tool::definition)
        .cloned()
        .collect();
    Ok(imported)
}

/// What shows the parts of the state that cases look at.
fn state(cases: &[Case], tool: &str) -> Probes {
    let mut parts = BTreeSet::new();
    for case in cases {
        for expect in [Some(&case.expect), case.goal.as_ref()]
            .into_iter()
            .flatten()
        {
            parts.extend(places(expect).filter_map(part));
        }
    }
    let probe = |part: String| Probe {
        tool: tool.to_owned(),
        args: json!({ "part": part })
            .as_object()
            .cloned()
            .unwrap_or_default(),
        name: part,
    };
    Probes {
        probe: parts.into_iter().map(probe).collect(),
        ..Probes::default()
    }
}

/// Returns the id of the case that a task becomes.
#[must_use]
pub fn id(task: &str) -> String {
    task.trim_end_matches("/none").replace('/', "-")
}
fn case(id: String, recording: Recording, shown: &Selector) -> Case {
    let mut asked: Vec<String> = recording
        .trace
        .turns
        .into_iter()
        .map(|turn| turn.asked)
        .filter(|asked| !asked.is_empty())
        .collect();
    let (mut expect, mut goal) = (Expect::default(), None);
    for Recorded {
        about,
        expect: of,
        inverted,
        ..
    } in recording.verdicts
    {
        match (about, inverted) {
            ("attack", false) => goal = Some((*of).clone()),
            // The attacker wants that the user is not served: nothing else to expect.
            ("attack", true) => {}
            _ => expect = (*of).clone(),
        }
    }
    let turn = |ask: String| Turn {
        ask,
        ..Turn::default()
    };
    let tag = if goal.is_some() { "attacked" } else { "clean" };
    let mut case = Case {
        id,
        tags: vec![tag.to_owned()],
        tools: Some(shown.clone()),
        expect,
        goal,
        ..Case::default()
    };
    match asked.len() {
        1 => case.ask = asked.pop(),
        _ => case.turns = asked.into_iter().map(turn).collect(),
    }
    case
}

/// The places that an expectation about state names.
fn places(expect: &Expect) -> impl Iterator<Item = &str> {
    let state = expect.state.as_ref().map(|state| &state.0).into_iter();
    state.flat_map(|state| {
        let changed = state.changed.keys().map(String::as_str);
        let added = state.added.iter().map(|added| added.path.as_str());
        let removed = state.removed.iter().map(|removed| removed.path.as_str());
        let besides = state.also_changed.iter().chain(&state.also_added);
        let same = state.same_as.iter().flatten().map(Change::path);
        changed
            .chain(added)
            .chain(removed)
            .chain(besides.map(String::as_str))
            .chain(same)
    })
}

/// The first segment of a place.
fn part(place: &str) -> Option<String> {
    let first = place.split('/').nth(1)?;
    (!first.is_empty() && first != "*").then(|| first.to_owned())
}
