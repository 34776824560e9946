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

/// A request with the functions that may be called for it.
#[derive(Deserialize)]
pub(super) struct Prompt {
    pub(super) id: String,
    pub(super) category: String,
    pub(super) question: Value,
    #[serde(alias = "function")]
    pub(super) functions: Vec<Function>,
    /// Functions with the values that each argument may have: an object or, where one
    /// function is expected several times, a list of them.
    #[serde(alias = "ground_truth")]
    pub(super) accepted: Option<Value>,
}

#[derive(Deserialize)]
pub(super) struct Function {
    pub(super) name: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) parameters: Parameters,
}

#[derive(Deserialize)]
pub(super) struct Parameters {
    #[serde(default)]
    pub(super) properties: Map<String, Value>,
    #[serde(default)]
    pub(super) required: Vec<String>,
}

#[derive(Deserialize)]
struct Run {
    id: String,
    model: String,
    calls: Value,
    valid: bool,
}

/// The category in which no function helps.
pub(super) const NO_CALL: &str = "relevance";

pub(super) fn each(folder: &Path, take: &mut dyn FnMut(Recording)) -> Result<(), Error> {
    let mut prompts: HashMap<String, (String, Arc<Expect>)> = HashMap::new();
    lines::<Prompt>(&folder.join("prompts.jsonl.gz"), &mut |prompt| {
        let asked = match &prompt.question {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let expect = Arc::new(prompt.expect(&|function| plain(&function.name)));
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
pub(super) fn plain(name: &str) -> String {
    name.replace('.', "_")
}

impl Prompt {
    /// The accepted answers in our words; `name` is what a function is called there.
    pub(super) fn expect(&self, name: &dyn Fn(&Function) -> String) -> Expect {
        let calls = match &self.accepted {
            Some(accepted) if self.category != NO_CALL => {
                let specs: Vec<CallSpec> = expected(accepted)
                    .filter_map(|(key, arguments)| self.spec(key, arguments.as_object()?, name))
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

    fn spec(
        &self,
        key: &str,
        arguments: &Map<String, Value>,
        name: &dyn Fn(&Function) -> String,
    ) -> Option<CallSpec> {
        // Where a function is expected several times, its keys carry `_1`, `_2`, ….
        let named = |function: &&Function| key.contains(&function.name);
        let exact = self.functions.iter().find(|function| function.name == key);
        let function = match self.functions.as_slice() {
            [only] => only,
            several => exact.or_else(|| several.iter().find(named))?,
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
            tool: Selector::name(&name(function)),
            args,
            unknown_args: Unknown::Forbid,
            status: None,
            result: None,
        })
    }
}

/// The functions that are expected, with the values of their arguments.
fn expected(accepted: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let several = accepted.as_array().into_iter().flatten();
    let all = several.chain(std::iter::once(accepted));
    all.filter_map(Value::as_object).flatten()
}
