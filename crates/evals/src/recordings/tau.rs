//! Recordings of tau-bench and tau2-bench, airline: is the data afterwards what it is
//! after the reference calls, and was said what had to be said?

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::Arc,
};

use serde::Deserialize;

use super::{Error, Message, Recorded, Recording, changes, json, lines, turns};
use crate::{
    expect::{Expect, State, StateFields, Text},
    state::Change,
    trace::{End, Trace},
};

#[derive(Deserialize)]
struct Task {
    id: u64,
    expected_outputs: Vec<String>,
    expected_state_diff: Vec<Change>,
}

#[derive(Deserialize)]
struct Run {
    #[serde(alias = "agent_model")]
    agent: String,
    task_id: u64,
    #[serde(default)]
    recorded_task_id: Option<u64>,
    trial: u64,
    reward: f64,
    termination: String,
    messages: Vec<Message>,
    final_state_diff: Option<Vec<Change>>,
    #[serde(default)]
    expected_state_diff: Option<Vec<Change>>,
    #[serde(default)]
    expected_communicate: Option<Vec<String>>,
    #[serde(default = "yes")]
    verdict_reproduced_by_replay: bool,
}

fn yes() -> bool {
    true
}

/// How a conversation has to end.
const ENDED_BY_USER: &str = "user_stop";
/// Reward from which a task is done.
const DONE: f64 = 1.0 - 1e-6;

pub(super) fn each(folder: &Path, take: &mut dyn FnMut(Recording)) -> Result<(), Error> {
    let first = folder.join("tau1_runs.jsonl.gz");
    if first.is_file() {
        let tasks: Vec<Task> = json(&folder.join("tau1_tasks.json"))?;
        let read = |task: Task| {
            (
                task.id,
                reference(task.expected_state_diff, task.expected_outputs),
            )
        };
        let tasks: HashMap<u64, Arc<Expect>> = tasks.into_iter().map(read).collect();
        lines::<Run>(&first, &mut |run| {
            let expect = tasks
                .get(&run.task_id)
                .cloned()
                .ok_or_else(|| Error::Task {
                    path: first.clone(),
                    task: run.task_id.to_string(),
                })?;
            take(run.recording("tau", expect, &BTreeSet::new()));
            Ok(())
        })?;
    }
    let second = folder.join("tau2_runs.jsonl.gz");
    if !second.is_file() {
        return Ok(());
    }
    let mut runs: Vec<Run> = Vec::new();
    lines::<Run>(&second, &mut |run| {
        runs.push(run);
        Ok(())
    })?;
    let scrambled: BTreeSet<String> = runs
        .iter()
        .filter(|run| run.recorded_task_id.is_some_and(|id| id != run.task_id))
        .map(|run| run.agent.clone())
        .collect();
    for mut run in runs {
        let changes = run.expected_state_diff.take().unwrap_or_default();
        let said = run.expected_communicate.take().unwrap_or_default();
        take(run.recording("tau2", reference(changes, said), &scrambled));
    }
    Ok(())
}

/// What has to be there after the reference calls, and what has to be said.
fn reference(changes: Vec<Change>, said: Vec<String>) -> Arc<Expect> {
    let state = State(StateFields {
        same_as: Some(changes),
        ..StateFields::default()
    });
    let said = Text {
        contains_all: said,
        fold: true,
        ..Text::default()
    };
    Arc::new(Expect {
        state: Some(state),
        said: Some(said),
        ..Expect::default()
    })
}

impl Run {
    fn recording(
        self,
        source: &str,
        expect: Arc<Expect>,
        scrambled: &BTreeSet<String>,
    ) -> Recording {
        let end = if scrambled.contains(&self.agent) {
            End::Invalid("the recording names other tasks than it is of".to_owned())
        } else if self.termination == ENDED_BY_USER {
            End::Done
        } else {
            End::Unfinished(self.termination)
        };
        let task = format!("{source}/{}", self.task_id);
        Recording {
            id: format!("{}/{task}/{}", self.agent, self.trial),
            task,
            agent: self.agent,
            trace: Trace {
                turns: turns(self.messages),
                changes: changes(self.final_state_diff),
                end,
                ..Trace::default()
            },
            verdicts: vec![Recorded {
                about: "reward",
                expect,
                held: self.reward >= DONE,
                inverted: false,
            }],
            exempt: (!self.verdict_reproduced_by_replay)
                .then_some("re-executing the recorded calls does not give the recorded reward"),
        }
    }
}
