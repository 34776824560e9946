//! Schema-guided dialogues: what users say, and the calls that belong to it.
//!
//! A turn after which the service is called expects this call, with these arguments and no
//! others but their defaults. A turn after which it is not expects that nothing is
//! written: what is booked there was not asked for yet.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    super::{json, lines},
    Became, ImportError, Imported, Options,
    checks::Checks,
};
use crate::{
    expect::Expect,
    suite::{Case, Moment, Turn},
};

/// Dialogues and services, packed.
const DIALOGUES: &str = "dialogues.jsonl.gz";
const SERVICES: &str = "services.json";
/// The data set's own file of services, beside files of dialogues.
const SCHEMA: &str = "schema.json";
/// The day on which the dialogues take place: their "tomorrow" is the second of March.
const TODAY: &str = "2019-03-01T09:00:00Z";
/// What stands for any value.
const ANY: &str = "dontcare";
/// The name of the set of tools that write.
const WRITES: &str = "writes";

/// Returns whether dialogues are in this folder.
pub(super) fn is_here(folder: &Path) -> bool {
    let packed = folder.join(DIALOGUES).is_file() && folder.join(SERVICES).is_file();
    packed || folder.join(SCHEMA).is_file() && !files(folder).is_empty()
}

/// The data set's own files of dialogues.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?;
            (name.starts_with("dialogues_") && name.ends_with(".json")).then_some(path)
        })
        .collect();
    files.sort();
    files
}

#[derive(Debug, Deserialize)]
struct Dialogue {
    id: String,
    services: Vec<String>,
    turns: Vec<Said>,
}

#[derive(Debug, Deserialize)]
struct Said {
    s: Speaker,
    t: String,
    #[serde(default)]
    call: Option<ServiceCall>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Speaker {
    #[serde(alias = "USER")]
    U,
    #[serde(alias = "SYSTEM")]
    S,
}

#[derive(Debug, Deserialize)]
struct ServiceCall {
    #[serde(default)]
    service: String,
    method: String,
    #[serde(alias = "parameters")]
    params: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
struct Service {
    service: String,
    #[serde(default)]
    core_travel: bool,
    tools: Vec<Value>,
}

/// A dialogue as the data set has it.
#[derive(Debug, Deserialize)]
struct Published {
    dialogue_id: String,
    services: Vec<String>,
    turns: Vec<PublishedTurn>,
}

#[derive(Debug, Deserialize)]
struct PublishedTurn {
    speaker: Speaker,
    utterance: String,
    #[serde(default)]
    frames: Vec<Frame>,
}

#[derive(Debug, Deserialize)]
struct Frame {
    service: String,
    #[serde(default)]
    service_call: Option<ServiceCall>,
}

/// A service as the data set has it.
#[derive(Debug, Deserialize)]
struct PublishedService {
    service_name: String,
    #[serde(default)]
    slots: Vec<Slot>,
    intents: Vec<Intent>,
}

#[derive(Debug, Deserialize)]
struct Slot {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    is_categorical: bool,
    #[serde(default)]
    possible_values: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Intent {
    name: String,
    #[serde(default)]
    description: String,
    is_transactional: bool,
    #[serde(default)]
    required_slots: Vec<String>,
    #[serde(default)]
    optional_slots: BTreeMap<String, Value>,
}

impl From<Published> for Dialogue {
    fn from(published: Published) -> Self {
        let said = |turn: PublishedTurn| {
            let call = |frame: Frame| {
                let mut call = frame.service_call?;
                call.service = frame.service;
                Some(call)
            };
            Said {
                s: turn.speaker,
                t: turn.utterance,
                call: turn.frames.into_iter().find_map(call),
            }
        };
        Self {
            id: published.dialogue_id,
            services: published.services,
            turns: published.turns.into_iter().map(said).collect(),
        }
    }
}

impl From<PublishedService> for Service {
    fn from(published: PublishedService) -> Self {
        let tool = |intent: &Intent| {
            let slot = |(name, default): (&String, Option<&Value>)| {
                let slot = published.slots.iter().find(|slot| slot.name == *name);
                let mut schema = json!({ "type": "string" });
                if let Some(slot) = slot {
                    schema["description"] = slot.description.clone().into();
                    if slot.is_categorical && !slot.possible_values.is_empty() {
                        schema["enum"] = json!(slot.possible_values);
                    }
                }
                if let Some(default) = default {
                    schema["default"] = default.clone();
                }
                (name.clone(), schema)
            };
            let required = intent.required_slots.iter().map(|name| (name, None));
            let optional = intent.optional_slots.iter();
            let all = required.chain(optional.map(|(name, default)| (name, Some(default))));
            let properties: Map<String, Value> = all.map(slot).collect();
            json!({
                "name": intent.name,
                "description": intent.description,
                "inputSchema": {
                    "type": "object",
                    "properties": properties,
                    "required": intent.required_slots,
                },
                "annotations": { "readOnlyHint": !intent.is_transactional },
            })
        };
        Self {
            service: published.service_name.clone(),
            core_travel: false,
            tools: published.intents.iter().map(tool).collect(),
        }
    }
}

/// What services offer: tools by their names here.
#[derive(Default)]
struct Offered {
    tools: Vec<Value>,
    by_name: HashMap<String, usize>,
    travel: HashSet<String>,
    services: HashSet<String>,
}

impl Offered {
    fn of(services: impl Iterator<Item = Service>) -> Self {
        let mut offered = Self::default();
        for service in services {
            for mut tool in service.tools {
                let name = tool["name"].as_str().unwrap_or_default();
                let name = tool_name(&service.service, name);
                tool["name"] = name.clone().into();
                offered.by_name.insert(name, offered.tools.len());
                offered.tools.push(tool);
            }
            if service.core_travel {
                offered.travel.insert(service.service.clone());
            }
            offered.services.insert(service.service);
        }
        offered
    }
}

/// The name of an intent as a tool: that of its service comes first.
fn tool_name(service: &str, intent: &str) -> String {
    format!("{service}_{intent}")
}

pub(super) fn import(folder: &Path, options: &Options) -> Result<Imported, ImportError> {
    let about = "Imported from schema-guided dialogues.";
    let mut imported = Imported::new(options, about);
    imported.suite.clock = Moment::try_from(TODAY.to_owned()).ok();
    let writes = json!({ "where": { "annotations.readOnlyHint": false } });
    let writes =
        serde_json::from_value(writes).expect("a selector by an annotation is well-formed");
    imported.suite.sets.insert(WRITES.to_owned(), writes);
    if folder.join(DIALOGUES).is_file() {
        let services: Vec<Service> = json(&folder.join(SERVICES))?;
        let offered = Offered::of(services.into_iter());
        lines::<Dialogue>(&folder.join(DIALOGUES), &mut |dialogue| {
            case(&mut imported, &offered, &dialogue);
            Ok(())
        })?;
        imported.tools = offered.tools;
    } else {
        let services: Vec<PublishedService> = json(&folder.join(SCHEMA))?;
        let offered = Offered::of(services.into_iter().map(Service::from));
        for file in files(folder) {
            let dialogues: Vec<Published> = json(&file)?;
            for dialogue in dialogues {
                case(&mut imported, &offered, &dialogue.into());
            }
        }
        imported.tools = offered.tools;
    }
    let why = "users say what they said in the recorded dialogue, whatever they are answered";
    imported.note(Became::Differs, "", "the users", why);
    let why = "results are not in the files, so what the assistant says of them is not compared";
    imported.note(Became::CheckLeftOut, "", "the answers", why);
    Ok(imported)
}

fn case(imported: &mut Imported, offered: &Offered, dialogue: &Dialogue) {
    let id = dialogue.id.replace('/', "-");
    let known = |service: &&String| offered.services.contains(*service);
    if let Some(service) = dialogue.services.iter().find(|service| !known(service)) {
        let why = format!("its service {service} is not in the files");
        return imported.note(Became::CaseLeftOut, &id, "the case", why);
    }
    let mut turns: Vec<Turn> = Vec::new();
    let mut said = dialogue.turns.iter().peekable();
    while let Some(turn) = said.next() {
        if turn.s != Speaker::U {
            continue;
        }
        let answer = said.peek().filter(|next| next.s == Speaker::S);
        let call = answer.and_then(|answer| answer.call.as_ref());
        let expect = match call {
            None => unasked(),
            Some(call) => match called(offered, call) {
                Ok(expect) => expect,
                Err(why) => return imported.note(Became::CaseLeftOut, &id, "the case", why),
            },
        };
        turns.push(Turn {
            ask: turn.t.clone(),
            expect,
            ..Turn::default()
        });
    }
    let mut tags = dialogue.services.clone();
    let is_travel = |service: &String| offered.travel.contains(service);
    if !tags.is_empty() && tags.iter().all(is_travel) {
        tags.push("travel".to_owned());
    }
    let tools: Vec<String> = dialogue
        .services
        .iter()
        .map(|service| tool_name(service, "*"))
        .collect();
    imported.add(Case {
        id,
        tags,
        turns,
        tools: serde_json::from_value(json!(tools)).ok(),
        ..Case::default()
    });
}

/// Nothing is written.
fn unasked() -> Expect {
    let checks = Checks {
        never: vec![json!(format!("${WRITES}"))],
        ..Checks::default()
    };
    checks.expect().unwrap_or_default()
}

/// This call is made, and nothing else is written.
fn called(offered: &Offered, call: &ServiceCall) -> Result<Expect, String> {
    let name = tool_name(&call.service, &call.method);
    let tool = offered.by_name.get(&name).map(|at| &offered.tools[*at]);
    let tool = tool.ok_or_else(|| format!("it calls {name}, which is not in the files"))?;
    let mut args: Map<String, Value> = call
        .params
        .iter()
        .map(|(name, value)| (name.clone(), argument(value)))
        .collect();
    let properties = tool["inputSchema"]["properties"].as_object();
    for (name, schema) in properties.into_iter().flatten() {
        let default = schema.get("default").filter(|_| !args.contains_key(name));
        if let Some(default) = default {
            let default = json!({ "optional": { "in": [default, ANY] } });
            args.insert(name.clone(), default);
        }
    }
    let spec = json!({ "tool": name, "args": args, "unknown_args": "forbid" });
    let is_write = tool["annotations"]["readOnlyHint"] != true;
    let mut checks = Checks::default();
    match is_write {
        true => {
            checks.exactly.push(spec);
            let others = json!({ "all_of": [format!("${WRITES}"), { "not": name }] });
            checks.never.push(others);
        }
        false => {
            checks.at_least.push(spec);
            checks.never.push(json!(format!("${WRITES}")));
        }
    }
    checks.expect()
}

/// What an argument has to be: a day under any of its names, a text however it is set.
fn argument(value: &Value) -> Value {
    let day = value.as_str().and_then(crate::matcher::parse_day);
    match (day, value) {
        (Some(day), _) => json!({ "date": day.to_string() }),
        (None, Value::String(text)) if text == ANY => json!({ "optional": { "eq": ANY } }),
        (None, value) => json!({ "loose": [value] }),
    }
}
