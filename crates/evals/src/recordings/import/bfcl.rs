//! Tasks of the Berkeley function-calling leaderboard, in its own files or as they are
//! packed with recordings.
//!
//! The functions of every task are tools of one server here. Two that share a name and
//! are not the same get names of their own.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{
        bfcl::{Function, NO_CALL, Prompt, plain},
        json, lines,
    },
    Became, ImportError, Imported, Options,
    checks::{Checks, Nested, literal},
    python,
};
use crate::{
    expect::{Calls, Expect},
    suite::{Case, Turn},
};

/// Requests, packed.
const PROMPTS: &str = "prompts.jsonl.gz";
/// Conversations, packed.
const CONVERSATIONS: &str = "multi_turn_travel.jsonl.gz";
/// Functions of conversations, packed.
const FUNCTIONS: &str = "multi_turn_functions.json";
/// Folder of the leaderboard's answers.
const ANSWERS: &str = "possible_answer";
/// Folder of the leaderboard's functions of conversations.
const DOCUMENTS: &str = "multi_turn_func_doc";
/// Kinds whose values are written in another language, or whose systems are not in files.
const UNREAD: [(&str, &str); 5] = [
    ("java", "its values are written as Java or JavaScript"),
    ("memory", "what is remembered is not in the files"),
    ("web_search", "what is found is not in the files"),
    ("format_sensitivity", "it compares ways to write prompts"),
    ("rest", "it calls services of others"),
];
/// The classes of the leaderboard with the files of their functions.
const CLASSES: [(&str, &str); 8] = [
    ("GorillaFileSystem", "gorilla_file_system"),
    ("MathAPI", "math_api"),
    ("MessageAPI", "message_api"),
    ("TwitterAPI", "posting_api"),
    ("TicketAPI", "ticket_api"),
    ("TradingBot", "trading_bot"),
    ("TravelAPI", "travel_booking"),
    ("VehicleControlAPI", "vehicle_control"),
];

/// Returns whether tasks of the leaderboard are in this folder.
pub(super) fn is_here(folder: &Path) -> bool {
    folder.join(PROMPTS).is_file() || !files(folder).is_empty()
}

/// The leaderboard's own files with their kinds, such as `simple_python`.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files: Vec<(PathBuf, String)> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            let name = name.strip_prefix("BFCL_v")?.strip_suffix(".json")?;
            let kind = name.split_once('_')?.1.to_owned();
            Some((path, kind))
        })
        .collect();
    files.sort();
    files
}

/// A conversation with the calls that lead to its end.
#[derive(Deserialize)]
struct Task {
    id: String,
    #[serde(alias = "question")]
    turns: Vec<Vec<Message>>,
    #[serde(alias = "involved_classes")]
    involved: Vec<String>,
    #[serde(default)]
    withheld_functions: Option<Value>,
    #[serde(default, alias = "missed_function")]
    missed: Option<Value>,
    #[serde(default)]
    expected_calls: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

/// Answers of the leaderboard, by task.
#[derive(Deserialize)]
struct Answer {
    id: String,
    ground_truth: Value,
}

/// The tools of all tasks, each definition under a name of its own.
#[derive(Default)]
struct Offered {
    names: BTreeMap<String, Vec<(Value, String)>>,
    tools: Vec<Value>,
}

impl Offered {
    /// Returns the name of a function as a tool, and whether it is not its own.
    fn name(&mut self, function: &Function) -> (String, bool) {
        let own = plain(&function.name);
        let schema = json!({
            "type": "object",
            "properties": properties(&function.parameters.properties),
            "required": function.parameters.required,
        });
        let definition = json!({ "description": function.description, "inputSchema": schema });
        let same = self.names.entry(own.clone()).or_default();
        if let Some((_, name)) = same.iter().find(|(known, _)| *known == definition) {
            return (name.clone(), *name != own);
        }
        let name = match same.len() {
            0 => own.clone(),
            others => format!("{own}_as_{}", others + 1),
        };
        same.push((definition.clone(), name.clone()));
        let mut tool = definition;
        tool["name"] = name.clone().into();
        self.tools.push(tool);
        let renamed = name != own;
        (name, renamed)
    }
}

/// Schemas of JSON for those of Python.
fn properties(properties: &Map<String, Value>) -> Map<String, Value> {
    let of = |(name, schema): (&String, &Value)| (name.clone(), schema_of(schema, 0));
    properties.iter().map(of).collect()
}

fn schema_of(schema: &Value, depth: usize) -> Value {
    const DEEPEST: usize = 16;
    let Some(members) = schema.as_object().filter(|_| depth < DEEPEST) else {
        return json!({});
    };
    let mut schema = Map::new();
    for (name, value) in members {
        match (name.as_str(), value) {
            ("type", Value::String(kind)) => {
                let kind = match kind.as_str() {
                    "dict" => "object",
                    "float" => "number",
                    "tuple" => "array",
                    "any" => continue,
                    other => other,
                };
                schema.insert(name.clone(), kind.into());
            }
            ("properties", Value::Object(members)) => {
                let of = |(name, one): (&String, &Value)| (name.clone(), schema_of(one, depth + 1));
                let members: Map<String, Value> = members.iter().map(of).collect();
                schema.insert(name.clone(), members.into());
            }
            ("items", one) => {
                schema.insert(name.clone(), schema_of(one, depth + 1));
            }
            // What is not a keyword of schemas is left to the description.
            ("description" | "enum" | "default" | "required", value) => {
                schema.insert(name.clone(), value.clone());
            }
            _ => {}
        }
    }
    schema.into()
}

pub(super) fn import(folder: &Path, options: &Options) -> Result<Imported, ImportError> {
    let about = "Imported from the Berkeley function-calling leaderboard.";
    let mut imported = Imported::new(options, about);
    let mut offered = Offered::default();
    if folder.join(PROMPTS).is_file() {
        lines::<Prompt>(&folder.join(PROMPTS), &mut |prompt| {
            single(&mut imported, &mut offered, prompt);
            Ok(())
        })?;
    }
    if folder.join(CONVERSATIONS).is_file() {
        let functions: HashMap<String, Vec<Function>> = json(&folder.join(FUNCTIONS))?;
        lines::<Task>(&folder.join(CONVERSATIONS), &mut |task| {
            conversation(&mut imported, &mut offered, &task, &functions);
            Ok(())
        })?;
    }
    for (path, kind) in files(folder) {
        published(&mut imported, &mut offered, folder, (&path, &kind))?;
    }
    imported.tools = offered.tools;
    Ok(imported)
}

/// Reads one of the leaderboard's own files.
fn published(
    imported: &mut Imported,
    offered: &mut Offered,
    folder: &Path,
    (path, kind): (&Path, &str),
) -> Result<(), ImportError> {
    if let Some((_, why)) = UNREAD.iter().find(|(name, _)| kind.contains(name)) {
        imported.note(Became::CaseLeftOut, "", format!("all of {kind}"), *why);
        return Ok(());
    }
    let mut answers: HashMap<String, Value> = HashMap::new();
    let name = path.file_name().unwrap_or_default();
    let of_answers = folder.join(ANSWERS).join(name);
    if of_answers.is_file() {
        lines::<Answer>(&of_answers, &mut |answer| {
            answers.insert(answer.id, answer.ground_truth);
            Ok(())
        })?;
    }
    if kind.starts_with("multi_turn") {
        let functions = documents(folder)?;
        lines::<Task>(path, &mut |mut task| {
            let calls = answers.get(&task.id).cloned().unwrap_or_default();
            task.expected_calls = serde_json::from_value(calls).unwrap_or_default();
            conversation(imported, offered, &task, &functions);
            Ok(())
        })?;
        return Ok(());
    }
    lines::<Map<String, Value>>(path, &mut |mut fields| {
        let id = fields.get("id").and_then(Value::as_str).unwrap_or_default();
        let id = id.to_owned();
        let category = match kind.contains("irrelevance") {
            true => NO_CALL,
            false => kind,
        };
        fields.insert("category".to_owned(), category.into());
        fields.insert(
            "accepted".to_owned(),
            answers.get(&id).cloned().unwrap_or_default(),
        );
        match serde_json::from_value::<Prompt>(fields.into()) {
            Ok(prompt) => single(imported, offered, prompt),
            Err(error) => {
                imported.note(Became::CaseLeftOut, &id, "the case", error.to_string());
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// The functions of conversations, by the class that has them.
fn documents(folder: &Path) -> Result<HashMap<String, Vec<Function>>, ImportError> {
    let mut functions: HashMap<String, Vec<Function>> = HashMap::new();
    for (class, file) in CLASSES {
        let path = folder.join(DOCUMENTS).join(format!("{file}.json"));
        if path.is_file() {
            let all = functions.entry(class.to_owned()).or_default();
            lines::<Function>(&path, &mut |function| {
                all.push(function);
                Ok(())
            })?;
        }
    }
    Ok(functions)
}

/// One request.
fn single(imported: &mut Imported, offered: &mut Offered, mut prompt: Prompt) {
    let ask = match asked(&prompt.question) {
        Ok(ask) => ask,
        Err(why) => return imported.note(Became::CaseLeftOut, &prompt.id, "the case", why),
    };
    let names = names(imported, offered, &prompt.id, &prompt.functions);
    let wants_any = prompt.category.ends_with("live_relevance");
    let answered = prompt.category == NO_CALL || wants_any || has_answer(&prompt);
    if !answered {
        let why = "the files hold no answer to it";
        return imported.note(Became::CaseLeftOut, &prompt.id, "the case", why);
    }
    let expect = match wants_any {
        true => Checks {
            min: 1,
            ..Checks::default()
        }
        .expect()
        .unwrap_or_default(),
        false => {
            let name = |function: &Function| names[&function.name].clone();
            let expect = prompt.expect(&name);
            if let Some(why) = misses(&expect, &prompt) {
                return imported.note(Became::CaseLeftOut, &prompt.id, "the case", why);
            }
            expect
        }
    };
    let tools: Vec<&String> = names.values().collect();
    let case = Case {
        tags: vec![prompt.category.clone()],
        tools: serde_json::from_value(json!(tools)).ok(),
        ask: Some(ask),
        expect,
        id: std::mem::take(&mut prompt.id),
        ..Case::default()
    };
    imported.add(case);
}

fn has_answer(prompt: &Prompt) -> bool {
    match &prompt.accepted {
        Some(Value::Object(members)) => !members.is_empty(),
        Some(Value::Array(all)) => !all.is_empty(),
        _ => false,
    }
}

/// Why not every accepted call is expected: it is of a function that there is not.
fn misses(expect: &Expect, prompt: &Prompt) -> Option<&'static str> {
    let calls = expect.calls.as_ref()?;
    let wanted = match prompt.accepted.as_ref()? {
        Value::Object(members) => members.len(),
        Value::Array(all) => all.len(),
        _ => 0,
    };
    let expected = calls.exactly.as_ref().map_or(0, Vec::len);
    (!calls.none && expected < wanted)
        .then_some("its answer calls a function that it does not have")
}

/// The names of functions as tools.
fn names(
    imported: &mut Imported,
    offered: &mut Offered,
    id: &str,
    functions: &[Function],
) -> HashMap<String, String> {
    let mut names = HashMap::new();
    for function in functions {
        let (name, renamed) = offered.name(function);
        if renamed {
            let why = "another case has a function of this name that is not the same";
            let what = format!("the name of {}", function.name);
            imported.note(
                Became::Differs,
                id,
                what,
                format!("{why}: it is {name} here"),
            );
        }
        names.insert(function.name.clone(), name);
    }
    names
}

/// What the user asks.
fn asked(question: &Value) -> Result<String, String> {
    let messages = match question {
        Value::String(text) => return Ok(text.clone()),
        Value::Array(turns) => match turns.as_slice() {
            [Value::Array(messages)] => messages,
            _ => return Err("it is not one request".to_owned()),
        },
        _ => return Err("nothing is asked".to_owned()),
    };
    let mut texts = Vec::new();
    for message in messages {
        if message["role"] != "user" {
            let role = message["role"].as_str().unwrap_or("somebody");
            return Err(format!(
                "a message of the {role} belongs to it, and cases begin with the user"
            ));
        }
        texts.extend(message["content"].as_str());
    }
    Ok(texts.join("\n\n"))
}

/// A conversation: after each request the calls that lead to the published state.
fn conversation(
    imported: &mut Imported,
    offered: &mut Offered,
    task: &Task,
    functions: &HashMap<String, Vec<Function>>,
) {
    let refused = |imported: &mut Imported, why: &str| {
        imported.note(Became::CaseLeftOut, &task.id, "the case", why);
    };
    let withheld = |held: &Option<Value>| held.as_ref().is_some_and(|held| !held.is_null());
    if withheld(&task.withheld_functions) || withheld(&task.missed) {
        let why = "functions are added while it goes on, and tools are the same for a whole case";
        return refused(imported, why);
    }
    if task.expected_calls.len() != task.turns.len() {
        return refused(imported, "the files hold no answer to it");
    }
    let mut names_of = HashMap::new();
    for class in &task.involved {
        let Some(of_class) = functions.get(class) else {
            return refused(
                imported,
                "the functions of one of its systems are not in the files",
            );
        };
        names_of.extend(names(imported, offered, &task.id, of_class));
    }
    let mut turns = Vec::new();
    for (messages, calls) in task.turns.iter().zip(&task.expected_calls) {
        let said = |message: &Message| message.role == "user";
        if !messages.iter().all(said) {
            return refused(imported, "a message that is not the user's belongs to it");
        }
        let ask: Vec<&str> = messages
            .iter()
            .map(|message| message.content.as_str())
            .collect();
        let Some(expect) = of_calls(calls, &names_of) else {
            return refused(imported, "a call of its answer cannot be read");
        };
        turns.push(Turn {
            ask: ask.join("\n\n"),
            expect,
            ..Turn::default()
        });
    }
    let why = "calls are compared with those of the answer; other calls with the same effect fail";
    imported.note(Became::Differs, &task.id, "the state after each turn", why);
    let kind = task
        .id
        .rsplit_once('_')
        .map_or("multi_turn", |(kind, _)| kind);
    let tools: BTreeSet<&String> = names_of.values().collect();
    imported.add(Case {
        id: task.id.clone(),
        tags: vec![kind.to_owned()],
        tools: serde_json::from_value(json!(tools)).ok(),
        turns,
        ..Case::default()
    });
}

/// The calls of one turn, and no others.
fn of_calls(calls: &[String], names: &HashMap<String, String>) -> Option<Expect> {
    if calls.is_empty() {
        let calls = Calls {
            none: true,
            ..Calls::default()
        };
        return Some(Expect {
            calls: Some(calls),
            ..Expect::default()
        });
    }
    let mut checks = Checks::default();
    let mut only: BTreeSet<&String> = BTreeSet::new();
    for call in calls {
        let (name, arguments) = python::call(call)?;
        let tool = names.get(&name)?;
        only.insert(tool);
        let of = |(name, value): (&String, &Value)| {
            Some((name.clone(), literal(value, Nested::Closed)?))
        };
        let args: Map<String, Value> = arguments.iter().map(of).collect::<Option<_>>()?;
        checks
            .exactly
            .push(json!({ "tool": tool, "args": args, "unknown_args": "forbid" }));
    }
    checks.only.push(json!(only));
    checks.expect().ok()
}
