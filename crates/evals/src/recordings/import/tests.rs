//! Files of others, and what becomes of them.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use super::*;
use crate::{
    grade::Verdict,
    runner::judge,
    trace::{Answer, Arguments, Call, Step, Trace, Turn},
};

/// A conversation of one request: calls with whether they fail, and an answer.
fn had(calls: &[(&str, Value, bool)], answer: &str) -> Trace {
    let call = |(tool, arguments, is_error): &(&str, Value, bool)| {
        Step::Called(Call {
            tool: (*tool).to_owned(),
            arguments: Arguments::Json(arguments.clone()),
            answer: Some(Answer {
                is_error: *is_error,
                ..Answer::default()
            }),
        })
    };
    let mut steps: Vec<Step> = calls.iter().map(call).collect();
    steps.push(Step::Said(answer.to_owned()));
    Trace {
        turns: vec![Turn {
            asked: "?".to_owned(),
            steps,
            ..Turn::default()
        }],
        ..Trace::default()
    }
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    path
}

/// Imports, and reads what was made as `airside eval run` would.
fn imported(path: &Path) -> Imported {
    let imported = import(path, &Options::default()).unwrap_or_else(|error| panic!("{error:?}"));
    let text = serde_json::to_string(&imported.suite).unwrap();
    Suite::parse(&text).unwrap_or_else(|problems| panic!("{problems:?}"));
    imported
}

fn passes(imported: &Imported, case: &str, trace: &Trace) -> bool {
    let text = serde_json::to_string(&imported.suite).unwrap();
    let suite = Suite::parse(&text).unwrap();
    let case = &suite.cases.find(case).unwrap();
    judge(&suite, case, trace, &[]).verdict == Verdict::Pass
}

fn notes(imported: &Imported) -> Vec<(Became, &str, &str)> {
    imported
        .notes
        .iter()
        .map(|note| (note.became, note.case.as_str(), note.what.as_str()))
        .collect()
}

/// A configuration with one test of this assertion.
fn promptfoo(assertion: &Value) -> Result<Imported, ImportError> {
    let folder = tempfile::tempdir().unwrap();
    let document = json!({
        "prompts": ["{{query}}"], "providers": ["openai:gpt-4o-mini"],
        "tests": [
            { "description": "one", "vars": { "query": "Hotels in Boston?" }, "assert": [assertion] },
            { "description": "other", "vars": { "query": "?" }, "assert": [{ "type": "contains", "value": "x" }] },
        ],
    });
    let path = written(folder.path(), "promptfooconfig.json", &document.to_string());
    import(&path, &Options::default())
}

fn carries(assertion: impl Into<Value>, good: &[Trace], bad: &[Trace]) {
    let assertion = assertion.into();
    let imported = promptfoo(&assertion).unwrap();
    let lost = |note: &&Note| note.case == "one" && note.became != Became::Differs;
    assert_eq!(imported.notes.iter().find(lost), None, "{assertion}");
    for trace in good {
        assert!(passes(&imported, "one", trace), "{assertion}: {trace:?}");
    }
    for trace in bad {
        assert!(!passes(&imported, "one", trace), "{assertion}: {trace:?}");
    }
}

fn search() -> (&'static str, Value, bool) {
    ("search", json!({ "city": "Boston", "nights": 2 }), false)
}

fn book() -> (&'static str, Value, bool) {
    ("book", json!({ "id": "h1" }), false)
}

/// An assertion by its kind and value, without a value where it has none.
fn assertion(kind: &str, value: &Value) -> Value {
    match value {
        Value::Null => json!({ "type": kind }),
        value => json!({ "type": kind, "value": value }),
    }
}

#[test]
fn assertions_about_answers_mean_what_they_meant() {
    let object = r#"{"text": "Sorry"}"#;
    let rows: [(&str, Value, &[&str], &[&str]); 10] = [
        (
            "contains",
            json!("Boston"),
            &["In Boston."],
            &["In boston."],
        ),
        ("icontains", json!("BOSTON"), &["In Boston."], &["none"]),
        ("contains-all", json!("a, b"), &["ab"], &["a"]),
        ("not-contains", json!("sorry"), &["Here."], &["I am sorry."]),
        (
            "not-icontains",
            json!("sorry"),
            &["Here."],
            &["Sorry", object],
        ),
        ("equals", json!("yes"), &["yes"], &["yes!"]),
        (
            "equals",
            json!({ "a": 1 }),
            &[r#"{"a":1}"#],
            &[r#"{"a":1,"b":2}"#],
        ),
        (
            "starts-with",
            json!("In B."),
            &["In B. then"],
            &["In Bo", "x In B."],
        ),
        ("regex", json!("^H-\\d+$"), &["H-12"], &["H-x"]),
        ("is-json", Value::Null, &["[1]", "{}"], &["text", ""]),
    ];
    let said = |all: &[&str]| -> Vec<Trace> { all.iter().map(|text| had(&[], text)).collect() };
    for (kind, value, good, bad) in rows {
        carries(assertion(kind, &value), &said(good), &said(bad));
    }
}

#[test]
fn assertions_about_calls_mean_what_they_meant() {
    let args = |mode: &str| json!({ "name": "search", "args": { "city": "Boston" }, "mode": mode });
    let ordered = |mode: &str| json!({ "steps": ["search", "book"], "mode": mode });
    let (once, twice) = (
        json!({ "name": "search", "min": 1, "max": 1 }),
        json!({ "type": "tool", "min": 2, "max": 2 }),
    );
    let failed = ("search", json!({}), true);
    // Each conversation by its calls: s(earch), b(ook), l(ist), f(ailed search).
    let of = |calls: &&str| {
        let call = |c: char| match c {
            's' => search(),
            'b' => book(),
            'l' => ("list", json!({}), false),
            _ => failed.clone(),
        };
        had(&calls.chars().map(call).collect::<Vec<_>>(), "x")
    };
    let rows: [(&str, Value, &[&str], &[&str]); 10] = [
        (
            "is-valid-openai-tools-call",
            Value::Null,
            &["s"],
            &["", "f"],
        ),
        ("tool-call-f1", json!(["search"]), &["s"], &["", "sb"]),
        (
            "trajectory:tool-used",
            json!(["search", "book"]),
            &["sb"],
            &["s"],
        ),
        ("not-trajectory:tool-used", json!("book"), &["s"], &["sb"]),
        ("trajectory:tool-used", once, &["s"], &["ss"]),
        ("trajectory:tool-args-match", args("partial"), &["s"], &[""]),
        ("trajectory:tool-args-match", args("exact"), &[], &["s"]),
        (
            "trajectory:tool-sequence",
            ordered("in_order"),
            &["sb", "slb"],
            &["bs"],
        ),
        (
            "trajectory:tool-sequence",
            ordered("exact"),
            &["sb"],
            &["slb", "s"],
        ),
        ("trajectory:step-count", twice, &["sb"], &["s", "slb"]),
    ];
    let all = |calls: &[&str]| -> Vec<Trace> { calls.iter().map(of).collect() };
    for (kind, value, good, bad) in rows {
        carries(assertion(kind, &value), &all(good), &all(bad));
    }
    let part = json!({ "type": "tool-call-f1", "value": "search, book", "threshold": 0.5 });
    carries(part, &all(&["sb"]), &all(&["", "s"]));
}

#[test]
fn what_runs_code_or_is_judged_is_left_out_with_the_reason() {
    let plain = [
        ("javascript", json!("output.length > 1"), "runs code"),
        ("python", json!("file://check.py"), "runs code"),
        ("llm-rubric", json!("is kind"), "judged by a model"),
        (
            "trajectory:goal-success",
            json!("booked"),
            "judged by a model",
        ),
        ("regex", json!("(?=x)"), "looking around"),
        ("contains", json!("{{ missing }}"), "not given"),
        ("contains", json!("{% if x %}"), "logic"),
        ("contains", json!("file://answer.txt"), "another file"),
        ("trajectory:tool-sequence", json!(["a", "b", "a"]), "twice"),
        ("rouge-n", json!("x"), "no counterpart"),
    ];
    let plain = plain.map(|(kind, value, reason)| (assertion(kind, &value), reason));
    let others = [
        (
            json!({ "type": "contains", "value": "x", "transform": "output" }),
            "by code",
        ),
        (json!({ "value": "x" }), "no counterpart"),
    ];
    for (assertion, reason) in plain.into_iter().chain(others) {
        let imported = promptfoo(&assertion).unwrap();
        let note = imported
            .notes
            .iter()
            .find(|note| note.became == Became::CheckLeftOut);
        let note = note.unwrap_or_else(|| panic!("{assertion}"));
        assert!(note.why.contains(reason), "{assertion}: {note:?}");
        // A case that could only pass is none.
        let ids: Vec<&str> = imported
            .suite
            .cases
            .iter()
            .map(|case| case.id.as_str())
            .collect();
        assert_eq!(ids, ["other"], "{assertion}");
    }
}

#[test]
fn a_case_that_lost_a_check_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(
        folder.path(),
        "promptfooconfig.yaml",
        "prompts: ['{{q}}']\ntests:\n  - vars: { q: [Hotels?, Flights?] }\n    assert:\n      - { type: contains, value: free }\n      - { type: javascript, value: 'true' }\n",
    );
    let imported = imported(&path);
    let cases: Vec<(&str, &[String])> = imported
        .suite
        .cases
        .iter()
        .map(|case| (case.id.as_str(), case.tags.as_slice()))
        .collect();
    let tags = [INCOMPLETE.to_owned()];
    assert_eq!(cases, [("hotels", &tags[..]), ("flights", &tags[..])]);
    assert_eq!(
        notes(&imported),
        [
            (Became::CheckLeftOut, "hotels", "javascript"),
            (Became::CheckLeftOut, "flights", "javascript")
        ]
    );
}

#[test]
fn chats_files_defaults_and_tools_of_a_configuration_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    written(
        at,
        "prompts/chat.json",
        r#"[{"role": "system", "content": "You book."}, {"role": "user", "content": "{{q}} for {{who.name}}"}]"#,
    );
    written(
        at,
        "more.yaml",
        "- { description: second, vars: { q: B }, assert: [{ type: contains, value: b }] }\n",
    );
    written(
        at,
        "promptfooconfig.yaml",
        "prompts: ['file://prompts/chat.json']\nproviders:\n  - id: openai:x\n    config: { tools: [{ type: function, function: { name: search, description: Finds., parameters: { type: object } } }] }\n\
         defaultTest: { vars: { who: { name: Ada } }, assert: [{ type: not-contains, value: sorry }] }\n\
         tests:\n  - { description: first, vars: { q: A }, assert: [{ type: contains, value: a }] }\n  - file://more.yaml\n  - file://../outside.yaml\n  - file://tests.py\n",
    );
    let imported = imported(at);
    assert_eq!(imported.suite.system, "You book.");
    let asks: Vec<&str> = imported
        .suite
        .cases
        .iter()
        .filter_map(|case| case.ask.as_deref())
        .collect();
    assert_eq!(asks, ["A for Ada", "B for Ada"]);
    assert!(!passes(&imported, "first", &had(&[], "a sorry")));
    assert_eq!(imported.tools.len(), 1);
    let left: BTreeSet<&str> = imported
        .notes
        .iter()
        .filter(|note| note.became == Became::CaseLeftOut)
        .map(|note| note.what.as_str())
        .collect();
    assert_eq!(left, ["file://../outside.yaml", "file://tests.py"].into());
}

#[test]
fn a_file_outside_the_folder_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "secret.txt", "secret");
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::os::unix::fs::symlink("../secret.txt", inner.join("link.txt")).unwrap();
    for name in ["../secret.txt", "link.txt", "/etc/hosts.txt"] {
        let text = format!(
            "prompts: ['file://{name}']\ntests: [{{ assert: [{{ type: contains, value: x }}] }}]\n"
        );
        let path = written(&inner, "promptfooconfig.yaml", &text);
        let refused = import(&path, &Options::default()).unwrap_err();
        assert_eq!(refused.fault().code(), "EVL-061", "{name}");
        assert!(!format!("{refused:?}").contains("\"secret\""), "{name}");
    }
}

#[test]
fn a_configuration_that_multiplies_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let list: Vec<u32> = (0..200).collect();
    let document = json!({
        "prompts": ["{{a}}{{b}}{{c}}"],
        "tests": [{ "vars": { "a": list, "b": list, "c": list }, "assert": [{ "type": "contains", "value": "x" }] }],
    });
    let path = written(folder.path(), "x.json", &document.to_string());
    assert_eq!(
        import(&path, &Options::default())
            .unwrap_err()
            .fault()
            .code(),
        "EVL-060"
    );
}

#[test]
fn suites_of_mcpjam_become_conversations_with_checks_and_views() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(
        folder.path(),
        "suite.yaml",
        r#"
schemaVersion: "1"
mode: agentWorkflow
reportingMode: standard
suite: { id: s_hotels, name: Hotels }
target: { servers: [{ name: hotels }] }
defaults: { model: anthropic/x, repetitions: 3, passThreshold: 0.8, validity: {}, systemPrompt: Be brief., toolPolicy: { mode: default, deny: [wipe] } }
cases:
  - id: c_search
    title: finds
    steps:
      - { id: s1, kind: prompt, prompt: Hotels in Boston? }
      - { id: s2, kind: assert, assertion: { type: firstToolWas, toolName: search } }
      - { id: s3, kind: prompt, prompt: The first. }
      - { id: s4, kind: assert, assertion: { type: toolNeverCalled, toolName: book } }
    assertions:
      - { type: toolCalledWith, toolName: search, args: { args: { city: Boston, nights: number } } }
      - { type: responseContains, needle: FREE }
      - { type: toolLatencyUnder, ms: 100 }
  - id: c_view
    title: clicks
    steps:
      - { id: s1, kind: prompt, prompt: Show them. }
      - { id: s2, kind: interact, toolName: search, action: { kind: click, target: { role: { role: button, name: Select } } } }
      - { id: s3, kind: assert, assertion: { type: toolCalledAtLeastOnce, toolName: select } }
  - { id: c_css, title: x, steps: [{ id: a, kind: prompt, prompt: x }, { id: b, kind: interact, toolName: y, action: { kind: click, target: { css: '.x' } } }], assertions: [{ type: noToolErrors }] }
  - { id: c_call, title: x, steps: [{ id: a, kind: toolCall, serverName: s, toolName: t, arguments: {} }], assertions: [{ type: noToolErrors }] }
  - { id: c_off, title: x, disabled: true, steps: [{ id: a, kind: prompt, prompt: x }] }
"#,
    );
    let imported = imported(&path);
    assert_eq!(imported.suite.system, "Be brief.");
    let cases: Vec<&str> = imported
        .suite
        .cases
        .iter()
        .map(|case| case.id.as_str())
        .collect();
    assert_eq!(cases, ["c_search", "c_view"]);
    let mut trace = had(&[search()], "Two are free.");
    trace.turns.push(had(&[], "It is free.").turns.remove(0));
    assert!(passes(&imported, "c_search", &trace));
    // What must not happen in the second turn must not have happened in the first.
    let mut early = had(&[search(), book()], "free");
    early.turns.push(trace.turns[1].clone());
    assert!(!passes(&imported, "c_search", &early));
    let view = &imported.suite.cases[1].turns[1].view;
    assert_eq!(
        serde_json::to_value(view).unwrap(),
        json!([{ "click": { "role": "button", "name": "*Select*" } }])
    );
    let left: BTreeSet<(&str, &str)> = imported
        .notes
        .iter()
        .filter(|note| note.became != Became::Differs)
        .map(|note| (note.case.as_str(), note.what.as_str()))
        .collect();
    assert_eq!(
        left,
        [
            ("c_search", "toolLatencyUnder"),
            ("c_css", "interact"),
            ("c_call", "toolCall"),
            ("c_off", "the case")
        ]
        .into()
    );
}

#[test]
fn tests_of_mcpjams_command_line_become_cases() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(
        folder.path(),
        "tests.json",
        r#"[{"title": "Two tools", "query": "Who?", "runs": 1, "model": "x", "provider": "y", "expectedToolCalls": ["search", "book"], "judgeRequirement": "polite"},
            {"title": "None", "query": "Hello", "runs": 1, "model": "x", "provider": "y", "expectedToolCalls": []}]"#,
    );
    let imported = imported(&path);
    assert!(passes(
        &imported,
        "two-tools",
        &had(&[search(), book()], "x")
    ));
    assert!(!passes(&imported, "two-tools", &had(&[search()], "x")));
    assert!(!passes(&imported, "none", &had(&[search()], "x")));
    assert_eq!(imported.suite.cases[0].tags, [INCOMPLETE]);
}

/// A folder as the leaderboard has it.
fn leaderboard(at: &Path) {
    let function = |kind: &str| json!({ "name": "math.area", "description": "Area.", "parameters": { "type": "dict", "properties": { "base": { "type": kind }, "unit": { "type": "string" } }, "required": ["base"] } });
    let question = |id: &str, kind: &str| {
        json!({ "id": id, "question": [[{ "role": "user", "content": "Area?" }]], "function": [function(kind)] }).to_string()
    };
    written(
        at,
        "BFCL_v4_simple_python.json",
        &format!(
            "{}\n{}\n",
            question("simple_python_0", "integer"),
            question("simple_python_1", "float")
        ),
    );
    let answer = |id: &str| {
        json!({ "id": id, "ground_truth": [{ "math.area": { "base": [10], "unit": ["m", ""] } }] })
            .to_string()
    };
    written(
        at,
        "possible_answer/BFCL_v4_simple_python.json",
        &format!(
            "{}\n{}\n",
            answer("simple_python_0"),
            answer("simple_python_1")
        ),
    );
    written(
        at,
        "BFCL_v4_irrelevance.json",
        &question("irrelevance_0", "integer"),
    );
    written(
        at,
        "BFCL_v4_simple_java.json",
        &question("java_0", "integer"),
    );
    let turn = |text: &str| json!([{ "role": "user", "content": text }]);
    let talk = json!({ "id": "multi_turn_base_0", "question": [turn("Go"), turn("Say")], "initial_config": {}, "involved_classes": ["MessageAPI"] });
    written(at, "BFCL_v4_multi_turn_base.json", &talk.to_string());
    let answer = json!({ "id": "multi_turn_base_0", "ground_truth": [["send(to='Bob', tags=['a', 1], loud=True)"], []] });
    written(
        at,
        "possible_answer/BFCL_v4_multi_turn_base.json",
        &answer.to_string(),
    );
    written(at, "multi_turn_func_doc/message_api.json", &json!({ "name": "send", "description": "Sends.", "parameters": { "type": "dict", "properties": {}, "required": [] } }).to_string());
}

#[test]
fn own_files_of_the_leaderboard_become_cases_and_tools() {
    let folder = tempfile::tempdir().unwrap();
    leaderboard(folder.path());
    let imported = imported(folder.path());
    let ids: Vec<&str> = imported
        .suite
        .cases
        .iter()
        .map(|case| case.id.as_str())
        .collect();
    assert_eq!(
        ids,
        [
            "irrelevance_0",
            "multi_turn_base_0",
            "simple_python_0",
            "simple_python_1"
        ]
    );
    let names: Vec<&str> = imported
        .tools
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!(names, ["math_area", "send", "math_area_as_2"]);
    let area = |tool, base: Value| had(&[(tool, json!({ "base": base }), false)], "x");
    assert!(passes(
        &imported,
        "simple_python_0",
        &area("math_area", json!(10))
    ));
    assert!(!passes(
        &imported,
        "simple_python_0",
        &area("math_area", json!(10.0))
    ));
    assert!(passes(
        &imported,
        "simple_python_1",
        &area("math_area_as_2", json!(10.0))
    ));
    assert!(!passes(
        &imported,
        "irrelevance_0",
        &area("math_area", json!(10))
    ));
    let why = &imported
        .notes
        .iter()
        .find(|note| note.what == "all of simple_java")
        .unwrap()
        .why;
    assert!(why.contains("Java"), "{why}");
}

#[test]
fn conversations_of_the_leaderboard_expect_their_calls_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    leaderboard(folder.path());
    let imported = imported(folder.path());
    let mut talk = had(
        &[(
            "send",
            json!({ "to": "Bob", "tags": ["a", 1], "loud": true }),
            false,
        )],
        "x",
    );
    talk.turns.push(had(&[], "x").turns.remove(0));
    assert!(passes(&imported, "multi_turn_base_0", &talk));
    talk.turns[1] = talk.turns[0].clone();
    assert!(!passes(&imported, "multi_turn_base_0", &talk));
}

#[test]
fn own_files_of_schema_guided_dialogues_become_conversations() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let intent = |name: &str, writes: bool| json!({ "name": name, "description": name, "is_transactional": writes, "required_slots": ["city"], "optional_slots": { "rooms": "1" }, "result_slots": [] });
    let slots = json!([{ "name": "city", "description": "City", "is_categorical": false, "possible_values": [] }, { "name": "rooms", "description": "Rooms", "is_categorical": true, "possible_values": ["1", "2"] }]);
    written(at, "schema.json", &json!([{ "service_name": "Hotels_1", "description": "Hotels", "slots": slots, "intents": [intent("Search", false), intent("Reserve", true)] }]).to_string());
    let user = |text: &str| json!({ "speaker": "USER", "utterance": text, "frames": [] });
    let system = |call: Value| json!({ "speaker": "SYSTEM", "utterance": "…", "frames": [{ "service": "Hotels_1", "service_call": call }] });
    let call = |method: &str| json!({ "method": method, "parameters": { "city": "New York", "date": "2019-03-08" } });
    written(at, "dialogues_001.json", &json!([{ "dialogue_id": "1_00000", "services": ["Hotels_1"], "turns": [
        user("A hotel."), system(Value::Null), user("In New York."), system(call("Search")), user("Book it."), system(call("Reserve")),
    ] }]).to_string());
    let imported = imported(at);
    let args = json!({ "city": "new york", "date": "March 8, 2019" });
    let search = ("Hotels_1_Search", args.clone(), false);
    let reserve = ("Hotels_1_Reserve", args, false);
    let turns = |all: [&[(&'static str, Value, bool)]; 3]| Trace {
        turns: all
            .into_iter()
            .map(|calls| had(calls, "x").turns.remove(0))
            .collect(),
        ..Trace::default()
    };
    let passes = |trace: &Trace| {
        let all: Vec<Tool> = imported
            .tools
            .iter()
            .cloned()
            .filter_map(Tool::read)
            .collect();
        judge(&imported.suite, &imported.suite.cases[0], trace, &all).verdict == Verdict::Pass
    };
    let (search, reserve) = (&[search][..], &[reserve][..]);
    assert!(passes(&turns([&[], search, reserve])));
    assert!(passes(&turns([search, search, reserve])), "reading is free");
    assert!(!passes(&turns([&[], search, &[]])));
    assert!(
        !passes(&turns([reserve, search, reserve])),
        "booked before it was asked for"
    );
    let twice = [reserve, reserve].concat();
    assert!(!passes(&turns([&[], search, &twice])));
    let more = (
        "Hotels_1_Search",
        json!({ "city": "New York", "date": "2019-03-08", "rooms": "2" }),
        false,
    );
    assert!(
        !passes(&turns([&[], &[more], reserve])),
        "nobody asked for two rooms"
    );
}

#[test]
fn what_is_no_file_of_a_known_kind_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (text, reason) in [
        ("{}", "neither"),
        ("[1, 2]", "neither"),
        ("a: [", "line"),
        ("schemaVersion: \"9\"\ncases: []\n", "versions 1 and 2"),
        ("a: &a [*a]", "alias"),
        ("", "empty"),
        ("a: !!js/function 'x'", "tags"),
    ] {
        let path = written(folder.path(), "x.yaml", text);
        let refused = import(&path, &Options::default()).unwrap_err();
        assert_eq!(refused.fault().code(), "EVL-060", "{text}");
        assert!(refused.to_string().contains(reason), "{text}: {refused}");
    }
    let refused = import(folder.path(), &Options::default()).unwrap_err();
    assert_eq!(refused.fault().code(), "EVL-003");
}

#[test]
fn a_part_of_the_cases_is_taken_evenly_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let test = |n: u32| json!({ "description": format!("n{n}"), "vars": { "prompt": "x" }, "assert": [{ "type": "contains", "value": "x" }] });
    let document =
        json!({ "prompts": ["{{prompt}}"], "tests": (0..10).map(test).collect::<Vec<_>>() });
    let path = written(folder.path(), "x.json", &document.to_string());
    let options = Options {
        take: Some(3),
        ..Options::default()
    };
    let imported = import(&path, &options).unwrap();
    let ids: Vec<&str> = imported
        .suite
        .cases
        .iter()
        .map(|case| case.id.as_str())
        .collect();
    assert_eq!(ids, ["n3", "n6", "n9"]);
    let said = imported
        .notes
        .iter()
        .find(|note| note.what == "7 cases")
        .unwrap();
    assert!(said.why.contains("3 of 10"), "{said:?}");
    // Nothing that was asked for is missing.
    assert_eq!(said.became, Became::NotChosen);
}

#[test]
fn calls_of_python_are_read_and_nothing_else() {
    let read = |text: &str| python::call(text).map(|(name, args)| (name, Value::from(args)));
    assert_eq!(
        read(r#"a.b(x='it\'s', y=[1, -2.5], z={'k': None}, t=(True,))"#),
        Some((
            "a.b".to_owned(),
            json!({ "x": "it's", "y": [1, -2.5], "z": { "k": null }, "t": [true] })
        ))
    );
    for text in [
        "f(1)",
        "f(x=g())",
        "f(x='a",
        "f(x=1, x=2)",
        "f(x=1) or g()",
        "",
        "f",
        "__import__('os')",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
    let deep = format!("f(x={}1{})", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(read(&deep), None);
}
