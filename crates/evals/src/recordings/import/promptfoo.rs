//! Configurations of promptfoo: prompts, tests with variables, assertions.
//!
//! # Invariants
//!
//! * Templates are filled in as far as they only name variables. One with logic or
//!   filters leaves its case out.
//! * Files that are named have to be below the configuration's own folder.

mod assertions;
mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use self::assertions::Outcome;
use super::{Became, ImportError, Imported, MAX_CASES, Options, case_id, checks::Checks, text};
use crate::suite::Case;

/// Names of configurations in a folder.
pub(super) const NAMES: [&str; 3] = [
    "promptfooconfig.yaml",
    "promptfooconfig.yml",
    "promptfooconfig.json",
];
/// What stands before the name of a file.
const FILE: &str = "file://";
/// Parts that say how a run is made, which the command line of a run does here.
const OF_RUNS: [&str; 13] = [
    "description",
    "prompts",
    "tests",
    "defaultTest",
    "scenarios",
    "providers",
    "targets",
    "outputPath",
    "sharing",
    "commandLineOptions",
    "evaluateOptions",
    "tags",
    "$schema",
];
/// Parts of tests that are read, or that concern only how results are shown.
const OF_TESTS: [&str; 5] = [
    "vars",
    "assert",
    "description",
    "metadata",
    "assertScoringFunction",
];

/// Returns whether a document is a configuration.
pub(super) fn is_it(document: &Value) -> bool {
    let has = |name: &str| document.get(name).is_some();
    (has("tests") || has("scenarios")) && (has("prompts") || has("providers") || has("targets"))
        || has("tests")
            && document["tests"]
                .get(0)
                .is_some_and(|test| test.get("assert").is_some())
}

/// A prompt, before its variables are filled in.
#[derive(Debug, Clone)]
struct Prompt {
    label: String,
    text: String,
}

/// A test with its variables.
struct Test<'a> {
    title: String,
    vars: Map<String, Value>,
    asserts: Vec<&'a Value>,
    parts: Vec<&'a Map<String, Value>>,
}

struct Import<'a> {
    folder: PathBuf,
    imported: Imported,
    taken: BTreeSet<String>,
    defaults: Map<String, Value>,
    prompts: Vec<Prompt>,
    system: Option<String>,
    path: &'a Path,
}

pub(super) fn import(
    path: &Path,
    document: &Value,
    options: &Options,
) -> Result<Imported, ImportError> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize();
    let mut import = Import {
        folder: folder.map_err(|error| super::form(path, error.to_string()))?,
        imported: Imported::new(options, "Imported from promptfoo."),
        taken: BTreeSet::new(),
        defaults: Map::new(),
        prompts: Vec::new(),
        system: None,
        path,
    };
    import.general(document);
    import.prompts(document.get("prompts").unwrap_or(&json!("{{prompt}}")));
    let tests = import.listed(document.get("tests").unwrap_or(&Value::Null));
    let none = Map::new();
    for test in &tests {
        import.test(test, &[&none])?;
    }
    for scenario in import.listed(document.get("scenarios").unwrap_or(&Value::Null)) {
        let of = |name: &str| scenario.get(name).cloned().unwrap_or_default();
        let tests = import.listed(&of("tests"));
        for config in import.listed(&of("config")) {
            let Some(config) = config.as_object() else {
                continue;
            };
            for test in &tests {
                import.test(test, &[config])?;
            }
        }
    }
    import.imported.suite.system = import.system.take().unwrap_or_default();
    Ok(import.imported)
}

impl Import<'_> {
    /// What concerns the whole configuration.
    fn general(&mut self, document: &Value) {
        let members = document.as_object().into_iter().flatten();
        for (name, _) in members.filter(|(name, _)| !OF_RUNS.contains(&name.as_str())) {
            let why = match name.as_str() {
                "extensions" => "it runs code, which is never done",
                "redteam" => "its attacks are made by a model",
                _ => "it has no counterpart",
            };
            self.imported
                .note(Became::CheckLeftOut, "", name.clone(), why);
        }
        for provider in ["providers", "targets"] {
            let Some(providers) = document.get(provider) else {
                continue;
            };
            let why = "the model is named by `airside eval run --model … --base-url …`";
            self.imported.note(Became::Differs, "", provider, why);
            let all = providers.as_array().into_iter().flatten();
            for tool in all.filter_map(|one| one.pointer("/config/tools")) {
                self.tools(tool);
            }
        }
        match document.get("defaultTest") {
            None => {}
            Some(Value::Object(defaults)) => self.defaults = defaults.clone(),
            Some(_) => {
                let why = "only a default that is written out is read";
                self.imported
                    .note(Became::CheckLeftOut, "", "defaultTest", why);
            }
        }
    }

    /// Tools that a provider is given, in the form of chat completions.
    fn tools(&mut self, tools: &Value) {
        for tool in tools.as_array().into_iter().flatten() {
            let function = tool.get("function").unwrap_or(tool);
            let Some(name) = function["name"].as_str() else {
                continue;
            };
            if self
                .imported
                .tools
                .iter()
                .any(|known| known["name"] == name)
            {
                continue;
            }
            let schema = ["parameters", "input_schema", "inputSchema"];
            let schema = schema.iter().find_map(|name| function.get(*name));
            let schema = schema.filter(|schema| schema.is_object()).cloned();
            self.imported.tools.push(json!({
                "name": name,
                "description": function["description"].as_str().unwrap_or_default(),
                "inputSchema": schema.unwrap_or_else(|| json!({ "type": "object" })),
            }));
        }
    }

    /// The elements of a list, those of files that it names included.
    fn listed(&mut self, list: &Value) -> Vec<Value> {
        let elements = match list {
            Value::Array(all) => all.clone(),
            Value::Null => Vec::new(),
            one => vec![one.clone()],
        };
        let mut all = Vec::new();
        for element in elements {
            match element.as_str() {
                None => all.push(element),
                Some(name) => match self.named(name).and_then(|text| read(&text)) {
                    Ok(Value::Array(of_file)) => all.extend(of_file),
                    Ok(one) => all.push(one),
                    Err(why) => {
                        self.imported.note(Became::CaseLeftOut, "", name, why);
                    }
                },
            }
        }
        all
    }

    /// The text of a file that the configuration names.
    fn named(&self, name: &str) -> Result<String, String> {
        let name = name.strip_prefix(FILE).unwrap_or(name);
        let end = Path::new(name).extension().and_then(|end| end.to_str());
        match end {
            Some("txt" | "md" | "json" | "yaml" | "yml" | "j2") => {}
            Some("js" | "cjs" | "mjs" | "ts" | "py" | "rb") => {
                return Err("it is code, which is never run".to_owned());
            }
            _ => return Err("files of this kind are not read".to_owned()),
        }
        let path = self.folder.join(name).canonicalize();
        let path = path.map_err(|error| error.to_string())?;
        if !path.starts_with(&self.folder) {
            return Err("it is outside the folder of the configuration".to_owned());
        }
        text(&path).map_err(|error| error.to_string())
    }

    fn prompts(&mut self, written: &Value) {
        let all = match written {
            Value::Array(all) => all.clone(),
            one => vec![one.clone()],
        };
        for (number, prompt) in all.iter().enumerate() {
            let raw = prompt
                .get("raw")
                .or_else(|| prompt.get("id"))
                .unwrap_or(prompt);
            let label = prompt["label"].as_str().map(str::to_owned);
            let label = label.unwrap_or_else(|| format!("prompt {}", number + 1));
            let text = match raw.as_str() {
                None => Err("it is not a text".to_owned()),
                Some(raw) if raw.starts_with(FILE) => self.named(raw),
                Some(raw) if raw.ends_with(".txt") && !raw.contains(['\n', '{']) => self.named(raw),
                Some(raw) => Ok(raw.to_owned()),
            };
            match text {
                // A file of texts may hold several, parted by lines of hyphens.
                Ok(text) => self
                    .prompts
                    .extend(text.split("\n---\n").map(|text| Prompt {
                        label: label.clone(),
                        text: text.trim_end_matches('\n').to_owned(),
                    })),
                Err(why) => self.imported.note(Became::CaseLeftOut, "", label, why),
            }
        }
    }

    /// Adds the cases of one test: for every prompt and every choice of its variables.
    fn test(&mut self, test: &Value, before: &[&Map<String, Value>]) -> Result<(), ImportError> {
        let Some(members) = test.as_object() else {
            self.imported
                .note(Became::CaseLeftOut, "", "a test", "it is not an object");
            return Ok(());
        };
        let defaults = self.defaults.clone();
        let mut parts: Vec<&Map<String, Value>> = vec![&defaults];
        parts.extend(before);
        parts.push(members);
        let mut vars = Map::new();
        for part in &parts {
            if let Some(of_part) = part.get("vars").and_then(Value::as_object) {
                vars.extend(of_part.clone());
            }
        }
        let asserts = parts
            .iter()
            .filter_map(|part| part.get("assert")?.as_array());
        let asserts: Vec<&Value> = asserts.flatten().collect();
        let description = members.get("description").and_then(Value::as_str);
        for vars in choices(&vars).map_err(|why| super::form(self.path, why))? {
            for prompt in self.prompts.clone() {
                if self.taken.len() >= MAX_CASES {
                    return Err(super::form(
                        self.path,
                        format!("it makes more than {MAX_CASES} cases"),
                    ));
                }
                let test = Test {
                    title: description.map_or_else(|| title(&vars), str::to_owned),
                    vars: vars.clone(),
                    asserts: asserts.clone(),
                    parts: parts.clone(),
                };
                self.case(&test, &prompt);
            }
        }
        Ok(())
    }

    fn case(&mut self, test: &Test<'_>, prompt: &Prompt) {
        let id = case_id(&test.title, self.taken.len(), &mut self.taken);
        let asked = self.asked(prompt, &test.vars);
        let (system, ask) = match asked {
            Ok(asked) => asked,
            Err(why) => {
                return self
                    .imported
                    .note(Became::CaseLeftOut, &id, prompt.label.clone(), why);
            }
        };
        let known = self.system.get_or_insert_with(|| system.clone());
        if *known != system {
            let why = "its system prompt is not that of the first case, and a suite has one";
            return self
                .imported
                .note(Became::CaseLeftOut, &id, prompt.label.clone(), why);
        }
        for part in &test.parts {
            self.besides(&id, part);
        }
        let mut checks = Checks::default();
        for assertion in &test.asserts {
            self.assertion(&id, assertion, &test.vars, &mut checks);
        }
        match checks.expect() {
            Ok(expect) => self.imported.add(Case {
                id,
                ask: Some(ask),
                expect,
                ..Case::default()
            }),
            Err(why) => self
                .imported
                .note(Became::CaseLeftOut, &id, "the case", why),
        }
    }

    /// Parts of a test besides its variables and assertions.
    fn besides(&mut self, id: &str, part: &Map<String, Value>) {
        for (name, value) in part {
            let (became, why) = match name.as_str() {
                known if OF_TESTS.contains(&known) => continue,
                "threshold" => (
                    Became::Differs,
                    "every check has to hold here, whatever the score",
                ),
                "provider" | "providers" => (Became::Differs, "a run has one model"),
                "options" if value.get("transform").is_none() => {
                    (Became::Differs, "how a run is made is said when it is run")
                }
                "options" => (
                    Became::CheckLeftOut,
                    "it changes answers by code before they are checked",
                ),
                "transform" => (
                    Became::CheckLeftOut,
                    "it changes answers by code before they are checked",
                ),
                _ => (Became::CheckLeftOut, "it has no counterpart"),
            };
            self.imported.note(became, id, name.clone(), why);
        }
    }

    fn assertion(
        &mut self,
        id: &str,
        assertion: &Value,
        vars: &Map<String, Value>,
        checks: &mut Checks,
    ) {
        let kind = assertion["type"]
            .as_str()
            .unwrap_or("an assertion without a type");
        if kind == "assert-set" {
            if assertion.get("threshold").is_some() {
                let why = "every check has to hold here, whatever the score";
                self.imported.note(Became::Differs, id, "assert-set", why);
            }
            // Sets do not nest.
            let all = assertion["assert"].as_array().into_iter().flatten();
            let flat: Vec<&Value> = all.filter(|one| one["type"] != "assert-set").collect();
            for one in flat {
                self.assertion(id, one, vars, checks);
            }
            return;
        }
        let rendered = template::fill_value(assertion.get("value"), vars);
        let outcome = match rendered {
            Ok(value) => assertions::add(kind, assertion, &value, checks),
            Err(why) => Outcome::LeftOut(why),
        };
        match outcome {
            Outcome::Carried => {}
            Outcome::Differs(why) => self.imported.note(Became::Differs, id, kind, why),
            Outcome::LeftOut(why) => self.imported.note(Became::CheckLeftOut, id, kind, why),
        }
    }

    /// What is said before and by the user.
    fn asked(
        &self,
        prompt: &Prompt,
        vars: &Map<String, Value>,
    ) -> Result<(String, String), String> {
        let mut vars = vars.clone();
        for value in vars.values_mut() {
            if let Some(name) = value.as_str().filter(|text| text.starts_with(FILE)) {
                *value = self.named(name)?.into();
            }
        }
        let text = template::fill(&prompt.text, &vars)?;
        let chat = match text.trim_start().starts_with(['[', '-']) {
            true => read(&text).ok(),
            false => None,
        };
        let Some(Value::Array(messages)) = chat else {
            return Ok((String::new(), text));
        };
        if !messages.iter().all(|message| message["role"].is_string()) {
            return Ok((String::new(), text));
        }
        let (mut system, mut user) = (Vec::new(), Vec::new());
        for message in &messages {
            let content = message["content"]
                .as_str()
                .ok_or("a message is not a text")?;
            match message["role"].as_str() {
                Some("system" | "developer") if user.is_empty() => system.push(content),
                Some("user") if user.is_empty() => user.push(content),
                _ => return Err("it begins in the middle of a conversation".to_owned()),
            }
        }
        match user.pop() {
            Some(user) => Ok((system.join("\n\n"), user.to_owned())),
            None => Err("the user says nothing in it".to_owned()),
        }
    }
}

fn read(text: &str) -> Result<Value, String> {
    let document = crate::yaml::read(text);
    document
        .map(|document| document.value)
        .map_err(|error| format!("line {}: {}", error.line, error.what))
}

/// A name for a test that has none: what its first text says.
fn title(vars: &Map<String, Value>) -> String {
    let mut texts = vars.values().filter_map(Value::as_str);
    texts.next().unwrap_or_default().to_owned()
}

/// Every choice of variables: a variable that is a list has each of its values in turn.
fn choices(vars: &Map<String, Value>) -> Result<Vec<Map<String, Value>>, String> {
    let mut all: Vec<BTreeMap<String, Value>> = vec![BTreeMap::new()];
    for (name, value) in vars {
        let values = match value {
            Value::Array(values) if !values.is_empty() => values.clone(),
            one => vec![one.clone()],
        };
        if all.len().saturating_mul(values.len()) > MAX_CASES {
            return Err(format!("it makes more than {MAX_CASES} cases"));
        }
        let with = |chosen: &BTreeMap<String, Value>| {
            let one = |value: &Value| {
                let mut chosen = chosen.clone();
                chosen.insert(name.clone(), value.clone());
                chosen
            };
            values.iter().map(one).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    Ok(all
        .into_iter()
        .map(|vars| vars.into_iter().collect())
        .collect())
}
