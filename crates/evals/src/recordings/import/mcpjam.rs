//! Suites of MCPJam: its suite files, and the lists of tests of its first command line.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Map, Value, json};

use super::{
    Became, ImportError, Imported, Options, case_id,
    checks::{Checks, Nested, literal, of_text, pattern},
};
use crate::suite::{Case, Turn};

/// Returns whether a document is of MCPJam.
pub(super) fn is_it(document: &Value) -> bool {
    let is_suite = document.get("schemaVersion").is_some() && document["cases"].is_array();
    is_suite || tests(document).is_some()
}

/// The tests of the older form: a list, or an object with one.
fn tests(document: &Value) -> Option<&Vec<Value>> {
    let all = document
        .as_array()
        .or_else(|| document["tests"].as_array())?;
    let first = all.first()?;
    let asks = first.get("query").or_else(|| first.get("prompt"))?;
    let expects = first
        .get("expectedToolCalls")
        .or_else(|| first.get("expectedTools"));
    (asks.is_string() && expects.is_some()).then_some(all)
}

pub(super) fn import(
    path: &Path,
    document: &Value,
    options: &Options,
) -> Result<Imported, ImportError> {
    let mut import = Import {
        imported: Imported::new(options, "Imported from MCPJam."),
        taken: BTreeSet::new(),
        system: None,
    };
    if let Some(tests) = tests(document) {
        tests.iter().for_each(|test| import.test(test));
    } else {
        match document["schemaVersion"].as_str() {
            Some("1" | "2") => {}
            _ => return Err(super::form(path, "versions 1 and 2 of its suites are read")),
        }
        import.general(document);
        let tools = shown(&document["defaults"]["toolPolicy"]);
        for case in document["cases"].as_array().into_iter().flatten() {
            import.case(case, &tools);
        }
    }
    import.imported.suite.system = import.system.unwrap_or_default();
    Ok(import.imported)
}

struct Import {
    imported: Imported,
    taken: BTreeSet<String>,
    system: Option<String>,
}

/// The tools that a policy lets a model call, as a selector.
fn shown(policy: &Value) -> Option<Value> {
    let mut all = Vec::new();
    if policy["mode"] == "readOnly" {
        all.push(json!({ "where": { "annotations.readOnlyHint": true } }));
    }
    if let Some(allowed) = policy["allow"].as_array() {
        all.push(json!(allowed));
    }
    if let Some(denied) = policy["deny"]
        .as_array()
        .filter(|denied| !denied.is_empty())
    {
        all.push(json!({ "not": denied }));
    }
    (!all.is_empty()).then(|| json!({ "all_of": all }))
}

/// The turns of a case while they are put together.
#[derive(Default)]
struct Turns {
    all: Vec<(Turn, Checks)>,
}

impl Turns {
    fn ask(&mut self, ask: &str) {
        let turn = Turn {
            ask: ask.to_owned(),
            ..Turn::default()
        };
        self.all.push((turn, Checks::default()));
    }

    /// Adds what a person does to the view that is used, or begins to use one.
    fn deed(&mut self, deed: Value) -> Result<(), String> {
        let deed = serde_json::from_value(deed).map_err(|error| error.to_string())?;
        match self.all.last_mut() {
            None => return Err("a view is used before anything is asked".to_owned()),
            Some((turn, _)) if !turn.view.is_empty() => turn.view.push(deed),
            Some(_) => {
                let turn = Turn {
                    view: vec![deed],
                    ..Turn::default()
                };
                self.all.push((turn, Checks::default()));
            }
        }
        Ok(())
    }
}

impl Import {
    fn general(&mut self, document: &Value) {
        let defaults = &document["defaults"];
        self.system = defaults["systemPrompt"].as_str().map(str::to_owned);
        for (name, why) in [
            (
                "model",
                "the model is named by `airside eval run --model … --base-url …`",
            ),
            (
                "temperature",
                "parameters are named by `airside eval run --params …`",
            ),
            (
                "repetitions",
                "trials are named by `airside eval run --trials …`",
            ),
            (
                "iterations",
                "trials are named by `airside eval run --trials …`",
            ),
            (
                "passThreshold",
                "a case is judged by a sequential test of its trials",
            ),
        ] {
            if defaults.get(name).is_some() {
                self.imported.note(Became::Differs, "", name, why);
            }
        }
        if defaults["judge"]["enabled"] == true {
            let why = "it is judged by a model";
            self.imported.note(Became::CheckLeftOut, "", "judge", why);
        }
        let standard = document
            .get("suiteStandardChecks")
            .or_else(|| defaults.get("assertions"));
        if standard.is_some() {
            let why = "checks of all cases are not read";
            self.imported
                .note(Became::CheckLeftOut, "", "checks of the suite", why);
        }
    }

    /// A test of the older form: tools that have to be called, each so often, and no others.
    fn test(&mut self, test: &Value) {
        let text = |name: &str| test[name].as_str().map(str::to_owned);
        let title = text("title").unwrap_or_default();
        let id = case_id(&title, self.taken.len(), &mut self.taken);
        let ask = text("query").or_else(|| text("prompt")).unwrap_or_default();
        let config = &test["advancedConfig"];
        let system = ["system", "instructions"]
            .iter()
            .find_map(|name| config[*name].as_str());
        let system = system.unwrap_or_default().to_owned();
        let known = self.system.get_or_insert_with(|| system.clone());
        if *known != system {
            let why = "its system prompt is not that of the first case, and a suite has one";
            return self
                .imported
                .note(Became::CaseLeftOut, &id, "the case", why);
        }
        if test["judgeRequirement"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
        {
            let why = "it is judged by a model";
            self.imported
                .note(Became::CheckLeftOut, &id, "judgeRequirement", why);
        }
        let expected = test
            .get("expectedToolCalls")
            .or_else(|| test.get("expectedTools"));
        let mut checks = Checks::default();
        let mut names: Vec<&str> = Vec::new();
        for call in expected.and_then(Value::as_array).into_iter().flatten() {
            let name = call.as_str().or_else(|| call["toolName"].as_str());
            let Some(name) = name.filter(|name| is_name(name)) else {
                let why = "the name of a tool cannot be read";
                return self
                    .imported
                    .note(Became::CaseLeftOut, &id, "expectedToolCalls", why);
            };
            names.push(name);
            match arguments(&call["arguments"], Nested::Open) {
                Some(args) => checks.at_least.push(json!({ "tool": name, "args": args })),
                None => checks.at_least.push(json!({ "tool": name })),
            }
        }
        match names.is_empty() {
            true => checks.none = true,
            false => {
                checks.only.push(json!(names));
                let why = "calls of other tools fail here";
                self.imported
                    .note(Became::Differs, &id, "expectedToolCalls", why);
            }
        }
        let case = Case {
            id,
            ask: Some(ask),
            ..Case::default()
        };
        self.finish(case, checks);
    }

    fn finish(&mut self, mut case: Case, checks: Checks) {
        match checks.expect() {
            Ok(expect) => {
                case.expect = expect;
                self.imported.add(case);
            }
            Err(why) => self
                .imported
                .note(Became::CaseLeftOut, &case.id, "the case", why),
        }
    }

    fn case(&mut self, written: &Value, tools: &Option<Value>) {
        let text = |name: &str| written[name].as_str();
        let title = text("id").or_else(|| text("title")).unwrap_or_default();
        let id = case_id(title, self.taken.len(), &mut self.taken);
        let status = written["import"]["status"].as_str().unwrap_or("exact");
        let why = match status {
            _ if written["disabled"] == true => Some("it is disabled there"),
            "unsupported" | "unresolved" => {
                Some("it does not run there either: its own import was not finished")
            }
            _ => None,
        };
        if let Some(why) = why {
            return self
                .imported
                .note(Became::CaseLeftOut, &id, "the case", why);
        }
        let mut turns = Turns::default();
        let steps = written["steps"].as_array().into_iter().flatten();
        for step in steps {
            if let Err(why) = self.step(&id, step, &mut turns) {
                let what = step["kind"].as_str().unwrap_or("a step").to_owned();
                return self.imported.note(Became::CaseLeftOut, &id, what, why);
            }
        }
        let mut whole = Checks::default();
        for assertion in written["assertions"].as_array().into_iter().flatten() {
            self.assertion(&id, assertion, &mut whole);
        }
        if written.get("expectedOutput").is_some_and(|text| text != "") {
            let why = "it is judged by a model";
            self.imported
                .note(Became::CheckLeftOut, &id, "expectedOutput", why);
        }
        if written
            .get("isNegativeTest")
            .is_some_and(|negative| negative == true)
        {
            whole.none = true;
        }
        let mut made = Vec::new();
        for (mut turn, checks) in turns.all {
            match checks.expect() {
                Ok(expect) => turn.expect = expect,
                Err(why) => {
                    return self
                        .imported
                        .note(Became::CaseLeftOut, &id, "the case", why);
                }
            }
            made.push(turn);
        }
        let mut case = Case {
            id,
            tools: tools
                .clone()
                .and_then(|tools| serde_json::from_value(tools).ok()),
            ..Case::default()
        };
        match made.as_slice() {
            [one] if one.expect.is_empty() => case.ask = Some(one.ask.clone()),
            _ => case.turns = made,
        }
        self.finish(case, whole);
    }

    /// One step of a conversation.
    ///
    /// # Errors
    ///
    /// Why the case cannot be had without it.
    fn step(&mut self, id: &str, step: &Value, turns: &mut Turns) -> Result<(), String> {
        match step["kind"].as_str() {
            Some("prompt") => {
                turns.ask(step["prompt"].as_str().unwrap_or_default());
                Ok(())
            }
            Some("interact") => turns.deed(deed(&step["action"])?),
            Some("assert") => self.inline(id, &step["assertion"], turns),
            Some("toolCall") => Err("a tool is called without the model".to_owned()),
            _ => Err("there is no such kind of step".to_owned()),
        }
    }

    /// A check that stands between steps.
    fn inline(&mut self, id: &str, assertion: &Value, turns: &mut Turns) -> Result<(), String> {
        if let Some(kind) = assertion["kind"].as_str() {
            return match kind {
                "elementVisible" => turns.deed(json!({ "see": locator(&assertion["target"])? })),
                _ => {
                    let why = "views are looked at by role and name";
                    self.imported.note(Became::CheckLeftOut, id, kind, why);
                    Ok(())
                }
            };
        }
        // What must not happen must not have happened before either.
        let kind = assertion["type"].as_str().unwrap_or_default();
        let forbids = matches!(kind, "toolNeverCalled" | "onlyToolsCalled" | "noToolErrors");
        let count = turns.all.len();
        if count == 0 {
            return Err("a check stands before the first request".to_owned());
        }
        let first = if forbids { 0 } else { count - 1 };
        let noted = self.imported.notes.len();
        for (_, checks) in &mut turns.all[first..] {
            self.imported.notes.truncate(noted);
            self.assertion(id, assertion, checks);
        }
        Ok(())
    }

    fn assertion(&mut self, id: &str, assertion: &Value, checks: &mut Checks) {
        let kind = assertion["type"]
            .as_str()
            .unwrap_or("an assertion without a type");
        if assertion["role"] == "advisory" {
            let why = "it is advisory, so it decides nothing there";
            return self.imported.note(Became::Differs, id, kind, why);
        }
        match add(kind, assertion, checks) {
            Some(Ok(())) => {}
            Some(Err(why)) => self.imported.note(Became::CheckLeftOut, id, kind, why),
            None => {
                let why = "it has no counterpart, or its form is not the one that it takes";
                self.imported.note(Became::CheckLeftOut, id, kind, why);
            }
        }
    }
}

/// Whether a text is the name of one tool, and no pattern or set.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('*') && !name.starts_with('$')
}

/// Adds what a predicate expects.
fn add(kind: &str, assertion: &Value, checks: &mut Checks) -> Option<Result<(), String>> {
    let tool = || assertion["toolName"].as_str().filter(|name| is_name(name));
    let whole = |name: &str| assertion[name].as_u64().filter(|count| *count > 0);
    match kind {
        "toolCalledWith" => {
            let mode = assertion["args"]["argumentMatching"]
                .as_str()
                .unwrap_or("partial");
            let args = match mode {
                "ignore" => Map::new(),
                "partial" => arguments(&assertion["args"]["args"], Nested::Open)?,
                "exact" => arguments(&assertion["args"]["args"], Nested::Closed)?,
                _ => return None,
            };
            let unknown = if mode == "exact" { "forbid" } else { "allow" };
            let times = match assertion.get("minCount") {
                None => 1,
                Some(_) => usize::try_from(whole("minCount")?).ok()?.min(1000),
            };
            let spec = json!({ "tool": tool()?, "args": args, "unknown_args": unknown });
            checks.at_least.extend(vec![spec; times]);
        }
        "toolCalledAtLeastOnce" => checks.count(tool()?, &json!([1, null])),
        "toolNeverCalled" => checks.never.push(tool()?.into()),
        "onlyToolsCalled" => {
            let names = assertion["toolNames"].as_array()?;
            match names.is_empty() {
                true => checks.none = true,
                false if names.iter().all(|name| name.as_str().is_some_and(is_name)) => {
                    checks.only.push(json!(names));
                }
                false => return None,
            }
        }
        "firstToolWas" => checks.first.push(tool()?.into()),
        "responseContains" => {
            let needle = assertion["needle"]
                .as_str()
                .filter(|text| !text.is_empty())?;
            match assertion["caseSensitive"] == true {
                true => checks.contains.push(needle.to_owned()),
                false => checks.is.push(of_text(&json!({ "icontains": needle }))),
            }
        }
        "responseMatches" => match pattern(assertion["pattern"].as_str()?) {
            Ok(test) => checks.is.push(of_text(&test)),
            Err(why) => return Some(Err(why)),
        },
        "noToolErrors" => checks.no_errors = true,
        "finalAssistantMessageNonEmpty" => checks.not_empty = true,
        // Fewer than, there.
        "tokenBudgetUnder" => checks.limit("tokens", &json!(whole("tokens")? - 1)),
        "widgetNoConsoleErrors" => {
            return Some(Err(
                "every view that a case uses is held to it here, and only those".to_owned(),
            ));
        }
        _ => return None,
    }
    Some(Ok(()))
}

/// Arguments of a call. Words for types stand for any value of them where others may be
/// there; members of a member are compared as they are.
fn arguments(args: &Value, nested: Nested) -> Option<Map<String, Value>> {
    let of = |(name, value): (&String, &Value)| {
        let kind = value.as_str().filter(|_| nested == Nested::Open);
        let test = match kind {
            Some("any") => json!({ "any": true }),
            Some("array") => json!({ "type": "list" }),
            Some(kind @ ("string" | "number" | "boolean" | "object" | "null")) => {
                json!({ "type": kind })
            }
            _ => literal(value, Nested::Closed)?,
        };
        Some((name.clone(), test))
    };
    args.as_object()?.iter().map(of).collect()
}

/// What a person does in a view.
fn deed(action: &Value) -> Result<Value, String> {
    let target = locator(&action["target"]);
    match action["kind"].as_str() {
        Some("click") if action["clickType"].as_str().unwrap_or("left") == "left" => {
            Ok(json!({ "click": target? }))
        }
        Some("type" | "fill") => {
            let target = target?;
            let text = action["text"].as_str().or_else(|| action["value"].as_str());
            match (target["role"].as_str(), target["name"].as_str(), text) {
                (Some("textbox"), Some(name), Some(text)) if !name.is_empty() => {
                    Ok(json!({ "fill": { "name": name, "text": text } }))
                }
                _ => Err("text is written into a textbox with a name".to_owned()),
            }
        }
        _ => Err("views are clicked, filled in and looked at".to_owned()),
    }
}

fn locator(target: &Value) -> Result<Value, String> {
    let why = "what is meant in a view is told by its role and name";
    if target.get("nth").is_some() {
        return Err(why.to_owned());
    }
    let role = target["role"]["role"].as_str().ok_or(why)?;
    let name = match (target["role"]["name"].as_str(), &target["role"]["exact"]) {
        (None, _) => String::new(),
        (Some(name), _) if name.contains('*') => return Err(why.to_owned()),
        (Some(name), Value::Bool(true)) => name.to_owned(),
        (Some(name), _) => format!("*{name}*"),
    };
    Ok(json!({ "role": role, "name": name }))
}
