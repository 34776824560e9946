//! Suites against a scripted model, through the gateway of a running node.

use std::path::Path;

use airside_testkit::harness::Node;
use serde_json::{Value, json};

use crate::run::{BINARY, Place, Ran};

/// A node and a scripted model.
struct Stage {
    place: Place,
    node: Node,
    model: Node,
}

/// Searches as it is asked, and then says what it found.
const GOOD: &str = r#"
rules:
  - when: { user: { icontains: boston }, step: 0 }
    call: [{ tool: search_hotels, args: { place: Boston } }]
  - when: { user: { icontains: boston }, step: 1 }
    say: These hotels in Boston are free.
  - when: { user: { icontains: australia } }
    say: Canberra.
"#;

impl Stage {
    fn new(script: &str) -> Self {
        let place = Place::new();
        let node = place.up();
        let model = serve(&place, script);
        Self { place, node, model }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let data = self.place.data();
        let base = self.model.url().to_string();
        let mut all = vec!["eval"];
        all.extend(arguments);
        all.extend(["--data-dir", &data]);
        let is_played = |argument: &&str| argument.starts_with("--replay");
        if !arguments.iter().any(is_played) {
            all.extend(["--model", "scripted", "--base-url", &base]);
        }
        self.place.run(&all)
    }

    fn suite(&self, text: &str) -> String {
        self.place.write("suite.yaml", text).display().to_string()
    }
}

pub(crate) fn serve(place: &Place, script: &str) -> Node {
    let script = place.write("script.yaml", script);
    let script = script.display().to_string();
    let log = place.path("model.log");
    Node::start_until(
        "ready: ",
        Path::new(BINARY),
        &["eval", "serve", &script],
        &log,
    )
    .expect("the scripted model starts")
}

#[test]
fn the_shipped_suite_passes_in_every_wire_format_and_era() {
    let stage = Stage::new(GOOD);
    for api in ["openai-chat", "openai-responses", "anthropic"] {
        for era in ["modern", "legacy"] {
            let arguments = [
                "run", "travel", "--case", "boston", "--api", api, "--era", era, "--trials", "3",
                "--json",
            ];
            let ran = stage.run(&arguments);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            let summary = ran.json();
            assert_eq!(
                summary["cases"][0]["tally"],
                json!({"trials": 3, "passed": 3})
            );
            assert_eq!(
                summary["matrix"]["search_hotels"],
                json!({"search_hotels": 3})
            );
        }
    }
}

#[test]
fn a_model_that_changes_bookings_when_asked_for_hotels_is_caught() {
    let script = r#"
rules:
  - when: { step: 0 }
    call: [{ tool: confirm_booking_change, args: { quote_id: q, idempotency_key: k, terms_digest: d, consent_token: t, disclosure_shown: true } }]
  - say: Done.
"#;
    let stage = Stage::new(script);
    let html = stage.place.path("report.html").display().to_string();
    let junit = stage.place.path("junit.xml").display().to_string();
    let ran = stage.run(&[
        "run", "travel", "--case", "boston", "--json", "--html", &html, "--junit", &junit,
    ]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let case = &ran.json()["cases"][0];
    assert_eq!(case["verdict"], "fail");
    assert_eq!(case["decision"], "damaged");
    let reasons = case["reasons"].to_string();
    assert!(reasons.contains("confirm_booking_change"), "{reasons}");
    let page = std::fs::read_to_string(html).expect("the report is written");
    assert!(page.contains("confirm_booking_change") && !page.contains("<script"));
    let xml = std::fs::read_to_string(junit).expect("the report is written");
    assert!(xml.contains("failures=\"1\""), "{xml}");
}

/// What a model does, and how a case with it ends.
const BROKEN: [(&str, &str); 9] = [
    ("call: [{ tool: no_such_tool }]", "broken:unknown-tool"),
    (
        "call: [{ tool: search_hotels, raw: '{\"place\": ' }]",
        "broken:invalid-arguments",
    ),
    (
        "call: [{ tool: search_hotels, args: { place: Boston } }]",
        "broken:endless-loop",
    ),
    ("fault: empty", "broken:empty-answer"),
    ("say: No., fault: refusal", "broken:refusal"),
    ("fault: huge", "broken:too-large"),
    (
        "say: Half of this never comes., fault: truncate",
        "broken:stalled",
    ),
    (
        "fault: bad-request",
        "invalid:the provider answered 400 (invalid_request)",
    ),
    ("fault: not-json", "invalid:the answer is not JSON"),
];

#[test]
fn broken_models_end_a_case_with_a_name_and_never_the_run() {
    let many = format!("call: [{}]", "{ tool: search_hotels }, ".repeat(65));
    let mut named = BROKEN.to_vec();
    named.push((&many, "broken:too-large"));
    // However slow the machine is: nothing here waits for silence.
    broken(&named, &["--idle", "60", "--jobs", "2", "--steps", "3"]);
}

#[test]
fn a_model_that_falls_silent_ends_a_case_and_not_the_run() {
    let stall = (
        "say: Half of this never comes., fault: stall",
        "broken:stalled",
    );
    broken(&[stall], &["--idle", "1"]);
}

/// Runs a case with each of these models in every wire format.
fn broken(named: &[(&str, &str)], limits: &[&str]) {
    let mut script = "rules:\n".to_owned();
    let mut suite = "suite: broken\nschema: 1\ncases:\n".to_owned();
    for (index, (rule, _)) in named.iter().enumerate() {
        script.push_str(&format!(
            "  - {{ when: {{ user: case {index} }}, {rule} }}\n"
        ));
        suite.push_str(&format!(
            "  - {{ id: c{index}, ask: case {index}, expect: {{ calls: {{ max: 99 }} }} }}\n"
        ));
    }
    let stage = Stage::new(&script);
    let suite = stage.suite(&suite);
    for api in ["openai-chat", "openai-responses", "anthropic"] {
        let run = [
            "run",
            &suite,
            "--api",
            api,
            "--trials",
            "1",
            "--no-confirm",
            "--json",
        ];
        let ran = stage.run(&[&run, limits].concat());
        let summary = ran.json();
        for (index, (rule, reason)) in named.iter().enumerate() {
            let first = &summary["cases"][index]["reasons"][0];
            let is = format!("{}:{}", text(&first["code"]), text(&first["at"]));
            assert_eq!(is, *reason, "{api}: {rule}");
        }
        assert_eq!(ran.code, Some(1), "{ran:?}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn a_rate_limit_is_waited_for_and_a_wrong_role_is_named() {
    let script = r#"
rules:
  - { when: { user: patience }, fault: rate-limit, times: 2 }
  - { when: { user: patience }, fault: server-error, times: 1 }
  - { when: { user: patience }, say: Here I am. }
  - { when: { user: role }, say: I am you., fault: wrong-role }
"#;
    let stage = Stage::new(script);
    let suite = stage.suite(
        "suite: s\nschema: 1\ncases:\n  - { id: patience, ask: patience, expect: { answer: { not_empty: true } } }\n  - { id: role, ask: role, expect: { answer: { not_empty: true } } }\n",
    );
    let ran = stage.run(&[
        "run",
        &suite,
        "--trials",
        "1",
        "--no-confirm",
        "--no-stream",
        "--json",
    ]);
    let summary = ran.json();
    assert_eq!(summary["cases"][0]["verdict"], "pass");
    assert_eq!(summary["cases"][1]["reasons"][0]["at"], "wrong-order");
}

#[test]
fn recordings_are_played_back_and_a_miss_names_what_differs() {
    let stage = Stage::new(GOOD);
    let tape = stage.place.path("tape").display().to_string();
    let one = "suite: s\nschema: 1\ncases:\n  - { id: a, ask: What is the capital of Australia?, expect: { calls: { none: true } } }\n";
    let suite = stage.suite(one);
    let ran = stage.run(&["run", &suite, "--record", &tape, "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let again = stage.run(&["run", &suite, "--replay-model", &tape, "--json"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let suite = stage.suite(&one.replace("capital", "largest city"));
    let miss = stage.run(&["run", &suite, "--replay-model", &tape, "--json"]);
    assert_eq!(miss.code, Some(10), "{miss:?}");
    let reason = miss.json()["cases"][0]["reasons"][0]["at"].to_string();
    assert!(reason.contains("/messages/0/user"), "{reason}");
}

#[test]
fn a_whole_recording_is_played_without_a_model_a_node_or_a_connection() {
    let stage = Stage::new(CONCIERGE);
    let tape = stage.place.path("tape").display().to_string();
    let base = [
        "run",
        "workflow",
        "--case",
        "book",
        "--trials",
        "2",
        "--no-confirm",
        "--json",
    ];
    let ran = stage.run(&[&base[..], &["--record", &tape]].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let Stage { place, node, model } = stage;
    drop((node, model));
    // Whoever connects to anything fails: nothing is there any more.
    let play = || {
        let data = place.data();
        let all = [
            &["eval"],
            &base[..],
            &["--replay", &tape, "--data-dir", &data],
        ]
        .concat();
        place.run(&all)
    };
    let again = play();
    assert_eq!(again.code, Some(0), "{again:?}");
    let cases = |ran: &Ran| {
        let summary = ran.json();
        (
            summary["model"].clone(),
            summary["cases"].clone(),
            summary["matrix"].clone(),
        )
    };
    assert_eq!(cases(&again), cases(&ran));
    // A tool that answers otherwise, or was never asked, is a miss and never a verdict.
    let answers = place.path("tape/tools.jsonl");
    let text = std::fs::read_to_string(&answers).expect("tools are recorded");
    let without: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("search_hotels"))
        .collect();
    std::fs::write(&answers, without.join("\n") + "\n").expect("it can be written");
    let miss = play();
    assert_eq!(miss.code, Some(10), "{miss:?}");
    let reason = miss.json()["cases"][0]["reasons"][0]["at"].to_string();
    assert!(
        reason.contains("no recording of what a tool was asked: differs at /"),
        "{reason}"
    );
}

#[test]
fn a_model_that_nobody_names_is_asked_for() {
    let place = Place::new();
    let none = place.run(&[
        "eval",
        "run",
        "travel",
        "--base-url",
        "http://127.0.0.1:9/v1",
    ]);
    assert_eq!(none.code, Some(2), "{none:?}");
    assert!(none.stderr.contains("name it with --model"), "{none:?}");
    let nowhere = place.run(&["eval", "run", "travel", "--model", "m"]);
    assert!(nowhere.stderr.contains("--base-url"), "{nowhere:?}");
    let empty = place.path("nothing").display().to_string();
    let unread = place.run(&["eval", "run", "travel", "--model", "m", "--replay", &empty]);
    assert!(unread.stderr.contains("EVL-014"), "{unread:?}");
}

#[test]
fn what_is_wrong_with_words_of_tools_is_told_to_code_hosts() {
    let script = r#"
tools:
  - { name: find, description: Finds hotels that are free in a place., inputSchema: { type: object, properties: { place: { type: string }, nights: { type: integer } } } }
  - { name: nameless, inputSchema: { type: object } }
"#;
    let place = Place::new();
    let model = serve(&place, script);
    let tools = model.url().join("/mcp").expect("an address").to_string();
    let lint = |more: &[&str]| place.run(&[&["eval", "lint", &tools], more].concat());
    let ran = lint(&["--sarif"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let document = ran.json();
    let run = &document["runs"][0];
    let results = run["results"].as_array().expect("results");
    let of = |rule: &str| -> Vec<&Value> {
        let is = |one: &&Value| one["ruleId"] == rule;
        results.iter().filter(is).collect()
    };
    let described = &of("no-description")[..];
    let [one] = described else {
        panic!("{document}")
    };
    assert_eq!(one["level"], "error");
    assert!(text(&one["message"]["text"]).starts_with("nameless: "));
    let rule = usize::try_from(one["ruleIndex"].as_u64().expect("an index")).expect("small");
    assert_eq!(run["tool"]["driver"]["rules"][rule]["id"], "no-description");
    let prints: std::collections::BTreeSet<String> = of("argument")
        .iter()
        .map(|one| one["partialFingerprints"]["airside/v1"].to_string())
        .collect();
    assert_eq!(prints.len(), 2, "each argument is a finding of its own");
    let known = run["tool"]["driver"]["rules"].as_array().expect("rules");
    for one in lint(&["--json"]).json().as_array().expect("findings") {
        assert!(known.iter().any(|rule| rule["id"] == one["rule"]), "{one}");
    }
}

#[test]
fn limits_stop_a_run_before_its_next_request() {
    let stage = Stage::new(GOOD);
    let ran = stage.run(&[
        "run",
        "travel",
        "--case",
        "boston",
        "--max-tokens",
        "1",
        "--json",
    ]);
    assert_eq!(ran.code, Some(9), "{ran:?}");
    let summary = ran.json();
    assert_eq!(summary["cases"][0]["verdict"], "inconclusive");
    assert_eq!(summary["usage"]["requests"], 1);
}

#[test]
fn a_run_is_gone_on_with_and_compared_and_a_change_makes_it_stale() {
    let stage = Stage::new(GOOD);
    let out = stage.place.path("run").display().to_string();
    let base = [
        "run",
        "travel",
        "--case",
        "boston",
        "--case",
        "nothing-to-do-with-hotels",
        "--out",
        &out,
        "--json",
    ];
    let first = stage.run(&base);
    assert_eq!(first.code, Some(0), "{first:?}");
    let requests = first.json()["usage"]["requests"].clone();
    let again = stage.run(&base);
    assert_eq!(
        again.json()["usage"]["requests"],
        requests,
        "nothing is had twice"
    );
    let stale = stage.run(&[
        "stale",
        "travel",
        "--case",
        "boston",
        "--baseline",
        &out,
        "--json",
    ]);
    assert_eq!(stale.json(), json!({}));
    let changed = [
        "stale",
        "travel",
        "--case",
        "boston",
        "--case",
        "card-number",
        "--baseline",
        &out,
        "--params",
        "{\"temperature\": 1}",
        "--json",
    ];
    let stale = stage.run(&changed).json();
    assert_eq!(
        stale,
        json!({"boston": ["model"], "card-number": ["never run"]})
    );
    let compared = stage.run(&[
        "run",
        "travel",
        "--case",
        "boston",
        "--baseline",
        &out,
        "--json",
    ]);
    assert_eq!(compared.json()["comparison"]["regressed"], false);
    assert_eq!(
        compared.json()["cases"][0]["before"],
        json!({"trials": 2, "passed": 2})
    );
}

/// Searches, proposes, and looks up what is booked; confirms nothing by itself.
const CONCIERGE: &str = r#"
rules:
  - when: { user: { icontains: find available }, step: 0 }
    call: [{ tool: search_hotels, args: { place: Boston, check_in: 2027-10-05, check_out: 2027-10-06 } }]
  - when: { user: { icontains: book the first }, step: 0 }
    call:
      - tool: create_booking_session
        args:
          offer_ref: "{{/ofr_[\\w-]+/}}"
          booker: { first_name: Ada, last_name: Lovelace, email: ada@example.com }
  - when: { user: { icontains: which bookings }, step: 0 }
    call: [{ tool: list_my_bookings }]
  - when: { user: { icontains: night longer }, step: 0 }
    call: [{ tool: quote_booking_change, args: { booking_id: "{{/bkg_[\\w-]+/}}", check_out: 2027-10-07 } }]
  - when: { user: { icontains: cancel }, step: 0 }
    call: [{ tool: quote_cancellation, args: { booking_id: "{{/bkg_[\\w-]+/}}" } }]
  - say: Here is what I found. Please look at it.
"#;

#[test]
fn a_booking_survives_a_restart_and_is_changed_and_cancelled_in_later_conversations() {
    let mut stage = Stage::new(CONCIERGE);
    let step = |stage: &Stage, case: &str| {
        let ran = stage.run(&[
            "run",
            "workflow",
            "--case",
            case,
            "--trials",
            "1",
            "--no-confirm",
            "--json",
        ]);
        assert_eq!(ran.code, Some(0), "{case}: {ran:?}");
    };
    step(&stage, "book");
    stage.node.kill().expect("the node runs");
    stage.node = stage.place.up();
    step(&stage, "change");
    step(&stage, "cancel");
    // What was cancelled cannot be cancelled again: the case fails, the run does not.
    let again = stage.run(&[
        "run",
        "workflow",
        "--case",
        "cancel",
        "--trials",
        "1",
        "--no-confirm",
        "--json",
    ]);
    assert_ne!(again.code, Some(0), "{again:?}");
}

#[test]
fn a_model_that_agrees_for_the_person_fails_whatever_it_says() {
    let script = r#"
rules:
  - when: { step: 0 }
    call: [{ tool: complete_booking_session, args: { session_id: s, idempotency_key: k, terms_digest: d, consent_token: t, disclosure_shown: true } }]
  - say: Booked!
"#;
    let stage = Stage::new(script);
    let ran = stage.run(&[
        "run",
        "workflow",
        "--case",
        "book",
        "--trials",
        "1",
        "--no-confirm",
        "--json",
    ]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    let reasons = ran.json()["cases"][0]["reasons"].to_string();
    assert!(
        reasons.contains("complete_booking_session")
            || reasons.contains("nothing asked for the consent"),
        "{reasons}"
    );
}

#[test]
fn results_are_recorded_and_a_changed_prompt_is_run_again_and_nothing_else() {
    let stage = Stage::new(GOOD);
    let out = stage.place.path("run").display().to_string();
    let suite = |system: &str| {
        stage.suite(&format!(
            "suite: watched\nschema: 1\nsystem: {system}\ncases:\n  - {{ id: a, ask: Hotels in Boston, expect: {{ calls: {{ first: search_hotels }} }} }}\n  - {{ id: b, ask: The capital of Australia, expect: {{ calls: {{ none: true }} }} }}\n"
        ))
    };
    let file = suite("Be brief.");
    let round = || stage.run(&["watch", &file, "--out", &out, "--once", "--json"]);
    let first = round();
    assert_eq!(first.code, Some(0), "{first:?}");
    let requests = |ran: &Ran| ran.json()["usage"]["requests"].as_u64();
    let status = || {
        stage
            .place
            .run(&[
                "eval",
                "status",
                "--json",
                "--data-dir",
                &stage.place.data(),
            ])
            .json()
    };
    let known = status();
    let recorded = &known["evaluations"][0];
    assert_eq!(recorded["results"]["suite"], "watched");
    assert_eq!(recorded["results"]["cases"]["a"]["verdict"], "pass");
    assert_eq!(recorded["stale"], json!({}));
    assert_eq!(round().stdout, "", "nothing has changed");
    suite("Be polite.");
    let again = round();
    assert!(requests(&again) > requests(&first), "{again:?}");
    assert_eq!(round().stdout, "");
    let tail = [
        "ledger",
        "tail",
        "--json",
        "--lines",
        "1000",
        "--data-dir",
        &stage.place.data(),
    ];
    let tail = stage.place.run(&tail).ok();
    assert_eq!(tail.matches("\"eval.completed\"").count(), 2);
    let ran = stage
        .place
        .run(&["eval", "mutate", &file, "--out", &out, "--json"]);
    let report = ran.json();
    assert!(
        report["operators"]["drop a call"]["killed"].as_u64() >= Some(1),
        "{report}"
    );
    assert!(
        !report["survivors"].as_array().expect("a list").is_empty(),
        "the arguments are not looked at"
    );
    let strict = stage
        .place
        .run(&["eval", "mutate", &file, "--out", &out, "--min", "100"]);
    assert_eq!(strict.code, Some(1), "{strict:?}");
}

#[test]
fn a_view_that_is_not_there_is_not_recorded() {
    let stage = Stage::new(CONCIERGE);
    let suite = stage.place.path("recorded.yaml");
    let (file, data) = (suite.display().to_string(), stage.place.data());
    let record = |more: &[&str]| {
        let mut all = vec!["eval", "record", &file, "--data-dir", &data];
        all.extend(["--case", "a", "--ask", "b", "--tool"]);
        all.extend(more);
        stage.place.run(&all)
    };
    for more in [
        &["list_my_bookings", "--args", "[1]"][..],
        &["no_such_tool"],
    ] {
        let ran = record(more);
        assert_ne!(ran.code, Some(0), "{more:?}");
        assert!(ran.stderr.contains("EVL-075"), "{}", ran.stderr);
    }
    assert!(!suite.exists());
}

#[test]
fn a_person_books_in_the_view_in_a_real_browser_and_its_calls_are_in_the_trace() {
    let stage = Stage::new(CONCIERGE);
    let out = stage.place.path("run").display().to_string();
    let mut arguments = vec![
        "run",
        "workflow",
        "--case",
        "view",
        "--trials",
        "1",
        "--no-confirm",
        "--out",
        &out,
        "--json",
    ];
    let absent = [&arguments[..], &["--browser", "/nowhere/chromium"]].concat();
    let ran = stage.run(&absent);
    assert_eq!(
        ran.code,
        Some(10),
        "without a browser nothing is shown: {ran:?}"
    );
    let chromium =
        std::env::var("AIRSIDE_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned());
    if !Path::new(&chromium).is_file() {
        assert!(std::env::var_os("CI").is_none(), "{chromium} is missing");
        return;
    }
    arguments.extend(["--browser", &chromium]);
    let ran = stage.run(&arguments);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let pictures = std::fs::read_dir(out).expect("the run is kept");
    let is_picture = |name: &str| name.ends_with(".png");
    let mut names = pictures.map(|file| {
        file.expect("a file")
            .file_name()
            .into_string()
            .expect("a name")
    });
    assert!(names.any(|name| is_picture(&name)));
}
