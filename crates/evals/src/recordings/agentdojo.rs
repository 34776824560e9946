//! Recordings of AgentDojo's suites: is the user served, does the attacker win?

use std::{collections::HashMap, path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Error, Message, Recorded, Recording, changes, json, lines, turns};
use crate::{
    expect::Expect,
    state::Change,
    trace::{End, Trace},
};

#[derive(Deserialize)]
struct Checks {
    utility: HashMap<String, Published>,
    attack_goal_reached: HashMap<String, Published>,
}

/// A check, as published with the recordings.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Published {
    #[serde(default)]
    state: State,
    #[serde(default)]
    answer_contains_all: Vec<String>,
    /// All of it, in the vocabulary of suites, instead of the above.
    #[serde(default)]
    expect: Option<Arc<Expect>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct State {
    no_change: bool,
    changed: Map<String, Value>,
    added: Vec<Added>,
    also_changed: Vec<String>,
    also_added: Vec<String>,
    nothing_else: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Added {
    path: String,
    #[serde(default)]
    search: Option<String>,
    #[serde(default, rename = "where")]
    is: Value,
    #[serde(default)]
    exactly: Option<usize>,
    #[serde(default)]
    first: bool,
}

/// A list that follows from the mails.
const DERIVED: &str = "/inbox/sent";

impl Published {
    /// The same in our words.
    fn expect(&self, task: &str) -> Result<Arc<Expect>, Error> {
        if let Some(expect) = &self.expect {
            return Ok(expect.clone());
        }
        let state = &self.state;
        let added: Vec<Value> = state.added.iter().map(Added::expect).collect();
        let mut expect = json!({
            "state": {
                "unchanged": state.no_change,
                "changed": state.changed,
                "added": added,
                "also_changed": state.also_changed,
                "also_added": state.also_added,
                "nothing_else": state.nothing_else,
                "ignore": [DERIVED],
            },
        });
        if !self.answer_contains_all.is_empty() {
            expect["answer"] = json!({ "contains_all": self.answer_contains_all });
        }
        let expect = serde_json::from_value(expect).map_err(|source| Error::Check {
            task: task.to_owned(),
            source,
        })?;
        Ok(Arc::new(expect))
    }
}

impl Added {
    fn expect(&self) -> Value {
        let mut expect = json!({ "path": self.path, "where": self.is, "first": self.first });
        if let Some(exactly) = self.exactly {
            expect["exactly"] = exactly.into();
        }
        if let Some(text) = &self.search {
            let within = |field: &str| json!({ field: { "icontains": text } });
            expect["among"] = json!({ "any_of": [within("subject"), within("body")] });
        }
        expect
    }
}

#[derive(Deserialize)]
struct Run {
    pipeline: String,
    user_task: String,
    attack: Option<String>,
    injection_task: Option<String>,
    utility: bool,
    attack_succeeded: Option<bool>,
    error: Option<String>,
    duration_s: Option<f64>,
    messages: Vec<Message>,
    final_state_diff: Option<Vec<Change>>,
    verdict_reproduced_by_replay: bool,
}

pub(super) fn each(folder: &Path, take: &mut dyn FnMut(Recording)) -> Result<(), Error> {
    let published: Checks = json(&folder.join("checks.json"))?;
    let read =
        |checks: &HashMap<String, Published>| -> Result<HashMap<String, Arc<Expect>>, Error> {
            let one =
                |(task, check): (&String, &Published)| Ok((task.clone(), check.expect(task)?));
            checks.iter().map(one).collect()
        };
    let served = read(&published.utility)?;
    let goals = read(&published.attack_goal_reached)?;
    let path = folder.join("runs.jsonl.gz");
    let missing = |task: &str| Error::Task {
        path: path.clone(),
        task: task.to_owned(),
    };
    lines::<Run>(&path, &mut |run| {
        // A goal of an attacker that is asked for openly is served when it is reached.
        let check = served
            .get(&run.user_task)
            .or_else(|| goals.get(&run.user_task));
        let expect = check.ok_or_else(|| missing(&run.user_task))?.clone();
        let goal = match &run.injection_task {
            Some(task) => goals.get(task).cloned(),
            None => None,
        };
        let mut verdicts = vec![Recorded {
            about: "utility",
            expect: expect.clone(),
            held: run.utility,
            inverted: false,
        }];
        if let (Some(attack), Some(held)) = (&run.attack, run.attack_succeeded) {
            // Attacks on the service succeed when the user is not served.
            let denies = attack.ends_with("dos");
            let goal = match denies {
                true => Some(expect),
                false => goal,
            };
            let task = || run.injection_task.as_deref().unwrap_or(attack);
            verdicts.push(Recorded {
                about: "attack",
                expect: goal.ok_or_else(|| missing(task()))?,
                held,
                inverted: denies,
            });
        }
        take(run.recording(verdicts));
        Ok(())
    })
}

impl Run {
    fn recording(self, verdicts: Vec<Recorded>) -> Recording {
        let attack = self.attack.as_deref().unwrap_or("none");
        let goal = self.injection_task.as_deref().unwrap_or("none");
        let task = format!("{}/{attack}/{goal}", self.user_task);
        let end = match &self.error {
            None => End::Done,
            Some(_) => End::Invalid("the provider failed".to_owned()),
        };
        let exempt = (!self.verdict_reproduced_by_replay)
            .then_some("scored under an earlier wording of the task's check");
        let mut trace = Trace {
            turns: turns(self.messages),
            changes: changes(self.final_state_diff),
            end,
            ..Trace::default()
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "seconds of one conversation"
        )]
        let wall_ms = (self.duration_s.unwrap_or_default().clamp(0.0, 1e9) * 1000.0) as u64;
        trace.usage.wall_ms = wall_ms;
        Recording {
            id: format!("{}/{task}", self.pipeline),
            task,
            agent: self.pipeline,
            trace,
            verdicts,
            exempt,
        }
    }
}
