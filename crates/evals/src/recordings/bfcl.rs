//! Recordings of the Berkeley function-calling leaderboard: are the calls the right ones?

use std::{collections::HashMap, path::Path, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Error, Recorded, Recording, bfcl_accepted as accepted, lines};
use crate::{
    expect::{CallSpec, Calls, Expect, Unknown},
    tool::Selector,
    trace::{Arguments, Call, Step, Trace, Turn},
};

#[derive(Deserialize)]
struct Prompt {
    id: String,
    category: String,
    question: Value,
    functions: Vec<Function>,
    accepted: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    parameters: Parameters,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(default)]
    properties: Map<String, Value>,
    #[serde(default)]
    required: Vec<String>,
}

#[derive(Deserialize)]
struct Run {
    id: String,
    model: String,
    calls: Value,
    valid: bool,
}

/// The category in which no function helps.
const NO_CALL: &str = "relevance";

pub(super) fn each(folder: &Path, take: &mut dyn FnMut(Recording)) -> Result<(), Error> {
    let mut prompts: HashMap<String, (String, Arc<Expect>)> = HashMap::new();
    lines::<Prompt>(&folder.join("prompts.jsonl.gz"), &mut |prompt| {
        let asked = match &prompt.question {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let expect = Arc::new(prompt.expect());
        prompts.insert(prompt.id, (asked, expect));
        Ok(())
    })?;
    let path = folder.join("recorded_calls.jsonl.gz");
    lines::<Run>(&path, &mut |run| {
        let (asked, expect) = prompts.get(&run.id).ok_or_else(|| Error::Task {
            path: path.clone(),
            task: run.id.clone(),
        })?;
        let turn = Turn {
            asked: asked.clone(),
            steps: steps(run.calls),
            ..Turn::default()
        };
        take(Recording {
            id: format!("{}/{}", run.model, run.id),
            task: run.id,
            agent: run.model,
            trace: Trace {
                turns: vec![turn],
                ..Trace::default()
            },
            verdicts: vec![Recorded {
                about: "calls",
                expect: expect.clone(),
                held: run.valid,
                inverted: false,
            }],
            exempt: None,
        });
        Ok(())
    })
}

/// What the model did. An answer in which one call cannot be read counts as text, as
/// the leaderboard's decoder takes it.
fn steps(calls: Value) -> Vec<Step> {
    let text = |calls: &Value| vec![Step::Said(calls.to_string())];
    let Value::Array(all) = &calls else {
        return match calls {
            Value::String(said) => vec![Step::Said(said)],
            other => text(&other),
        };
    };
    let mut steps = Vec::new();
    for (name, arguments) in all.iter().filter_map(Value::as_object).flatten() {
        let arguments = match arguments {
            Value::String(written) => match serde_json::from_str(written) {
                Ok(read) => read,
                Err(_) => return text(&calls),
            },
            other => other.clone(),
        };
        steps.push(Step::Called(Call {
            tool: plain(name),
            arguments: Arguments::Json(arguments),
            answer: None,
        }));
    }
    steps
}

/// A name as wire formats allow it.
fn plain(name: &str) -> String {
    name.replace('.', "_")
}

impl Prompt {
    /// The accepted answers in our words.
    fn expect(&self) -> Expect {
        let calls = match &self.accepted {
            Some(accepted) if self.category != NO_CALL => {
                let specs: Vec<CallSpec> = accepted
                    .iter()
                    .filter_map(|(name, arguments)| self.spec(name, arguments.as_object()?))
                    .collect();
                let names: Vec<String> = specs.iter().map(|spec| spec.tool.shown()).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                Calls {
                    only: Some(Selector::any_of(&names)),
                    exactly: Some(specs),
                    ..Calls::default()
                }
            }
            _ => Calls {
                none: true,
                ..Calls::default()
            },
        };
        Expect {
            calls: Some(calls),
            ..Expect::default()
        }
    }

    fn spec(&self, name: &str, arguments: &Map<String, Value>) -> Option<CallSpec> {
        // Where a function is expected several times, its keys carry `_1`, `_2`, ….
        let named = |function: &&Function| name.contains(&function.name);
        let function = match self.functions.as_slice() {
            [only] => only,
            several => several.iter().find(named)?,
        };
        let args = arguments.iter().filter_map(|(name, values)| {
            let schema = function.parameters.properties.get(name)?;
            let required = function.parameters.required.contains(name);
            Some((
                name.clone(),
                accepted::argument(schema, values.as_array()?, required),
            ))
        });
        let mut args: std::collections::BTreeMap<_, _> = args.collect();
        for name in &function.parameters.required {
            args.entry(name.clone()).or_insert_with(accepted::never);
        }
        Some(CallSpec {
            tool: Selector::name(&plain(&function.name)),
            args,
            unknown_args: Unknown::Forbid,
            status: None,
            result: None,
        })
    }
}
