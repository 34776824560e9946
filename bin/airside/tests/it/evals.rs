//! Suites against a scripted model, through the gateway of a running node.

use std::path::Path;

use airside_testkit::harness::Node;
use serde_json::{Value, json};

use crate::run::{BINARY, Place, Ran};

/// A node and a scripted model.
struct Stage {
    place: Place,
    _node: Node,
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
        Self {
            place,
            _node: node,
            model,
        }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let data = self.place.data();
        let base = self.model.url().to_string();
        let mut all = vec!["eval"];
        all.extend(arguments);
        all.extend(["--model", "scripted", "--data-dir", &data]);
        if !arguments.contains(&"--replay") {
            all.extend(["--base-url", &base]);
        }
        self.place.run(&all)
    }

    fn suite(&self, text: &str) -> String {
        self.place.write("suite.yaml", text).display().to_string()
    }
}

fn serve(place: &Place, script: &str) -> Node {
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

#[test]
fn broken_models_end_a_case_with_a_name_and_never_the_run() {
    let named = [
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
            "say: Half of this never comes., fault: stall",
            "broken:stalled",
        ),
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
        let ran = stage.run(&[
            "run",
            &suite,
            "--api",
            api,
            "--trials",
            "1",
            "--no-confirm",
            "--idle",
            "4",
            "--steps",
            "5",
            "--json",
        ]);
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
    let again = stage.run(&["run", &suite, "--replay", &tape, "--json"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    let suite = stage.suite(&one.replace("capital", "largest city"));
    let miss = stage.run(&["run", &suite, "--replay", &tape, "--json"]);
    assert_eq!(miss.code, Some(10), "{miss:?}");
    let reason = miss.json()["cases"][0]["reasons"][0]["at"].to_string();
    assert!(reason.contains("/messages/0/user"), "{reason}");
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
