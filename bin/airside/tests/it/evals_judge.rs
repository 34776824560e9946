//! Models that judge, played by the scripted model: what they say, what it counts for,
//! and what it never does.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use airside_testkit::harness::Node;
use serde_json::{Value, json};

use crate::{
    evals::serve,
    run::{Place, Ran},
};

/// Finds a total where the answer says `in total`.
const SCRIPT: &str = r#"
rules:
  - { when: { model: judge, user: { contains: in total } }, say: '{"verdict": "met", "quote": "in total"}' }
  - { when: { model: judge }, say: '{"verdict": "not-met", "quote": ""}' }
  - { when: { user: { contains: at once } }, say: It is 210 USD in total. }
  - { say: It is cheap. }
tools:
  - { name: search_hotels, description: Finds hotels that are free in a place., inputSchema: { type: object }, annotations: { readOnlyHint: true } }
"#;

const SUITE: &str = r"
suite: judged
schema: 1
judge: { model: judge, votes: 3 }
cases:
  - { id: full, ask: 'The price, at once', expect: { answer: { contains_all: [USD] } }, judge: [States what it costs.] }
  - { id: vague, ask: 'The price, please', expect: { answer: { not_empty: true } }, judge: [States what it costs.] }
  - { id: wrong, ask: 'The price in euros, at once', expect: { answer: { contains_all: [EUR] } }, judge: [States what it costs.] }
";

struct Stage {
    place: Place,
    model: Node,
    suite: String,
}

impl Stage {
    fn new() -> Self {
        let place = Place::new();
        let model = serve(&place, SCRIPT);
        let suite = place.write("suite.yaml", SUITE).display().to_string();
        Self {
            place,
            model,
            suite,
        }
    }

    fn run(&self, more: &[&str]) -> Ran {
        let base = self.model.url().to_string();
        let tools = self.model.url().join("/mcp").unwrap().to_string();
        let all = ["eval", "run", &self.suite, "--trials", "1", "--no-confirm"];
        let live = ["--model", "scripted", "--base-url", &base, "--url", &tools];
        match more.contains(&"--replay") {
            true => self.place.run(&[&all[..], more].concat()),
            false => self.place.run(&[&all[..], &live, more].concat()),
        }
    }

    /// Calibrates with labels of which the judge gets `wrong` wrong.
    fn calibrate(&self, labels: usize, wrong: usize) -> (Ran, String) {
        let label = |number: usize| {
            let (answer, label) = match number % 2 {
                0 => ("210 USD in total", "met"),
                _ => ("not much", "not-met"),
            };
            let answer = if number < wrong {
                "that is in total dark"
            } else {
                answer
            };
            let label = if number < wrong { "not-met" } else { label };
            json!({ "rubric": "States what it costs.", "label": label, "asked": "?", "answer": answer })
        };
        let labels: Vec<Value> = (0..labels).map(label).collect();
        let labels = json!({ "labels": labels }).to_string();
        let labels = self
            .place
            .write("labels.yaml", &labels)
            .display()
            .to_string();
        let kept = self.place.path("judge.json").display().to_string();
        let base = self.model.url().to_string();
        let calibrate = ["eval", "calibrate", &self.suite, &labels, "--out", &kept];
        let ran = self
            .place
            .run(&[&calibrate[..], &["--base-url", &base]].concat());
        (ran, kept)
    }
}

/// Verdicts of the cases, with the codes of their reasons.
#[track_caller]
fn check(ran: &Ran, expected: &[(&str, &str, &str)]) {
    let summary = ran.json();
    let cases = summary["cases"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let found: Vec<(String, String, String)> = cases
        .iter()
        .map(|case| {
            let reason = text(&case["reasons"][0]["code"]);
            (text(&case["id"]), text(&case["verdict"]), reason)
        })
        .collect();
    let expected: Vec<(String, String, String)> = expected
        .iter()
        .map(|(id, verdict, reason)| {
            (
                (*id).to_owned(),
                (*verdict).to_owned(),
                (*reason).to_owned(),
            )
        })
        .collect();
    assert_eq!(found, expected, "{ran:?}");
}

#[test]
fn a_judge_advises_until_it_agrees_with_people_and_never_rescues() {
    let stage = Stage::new();
    let ran = stage.run(&["--json"]);
    let as_advised = [
        ("full", "pass", ""),
        ("vague", "pass", ""),
        ("wrong", "fail", "answer"),
    ];
    check(&ran, &as_advised);
    let summary = ran.json();
    assert_eq!(summary["judge"]["is_calibrated"], false);
    assert_eq!(summary["cases"][0]["opinions"]["met"], 1);
    assert_eq!(summary["cases"][1]["opinions"]["not_met"], 1);
    assert_eq!(
        summary["cases"][2]["opinions"],
        Value::Null,
        "it is not asked"
    );
    assert_eq!(summary["usage"]["requests"], 3 + 2 * 3);
    let shown = stage.run(&[]).stdout;
    assert!(
        shown.contains("only advises: it was not compared"),
        "{shown}"
    );
    assert!(shown.contains("vague: rubrics met 0, not met 1"), "{shown}");

    let (few, kept) = stage.calibrate(10, 0);
    assert_eq!(few.code, Some(1), "{few:?}");
    assert!(few.stderr.contains("EVL-066"), "{few:?}");
    check(&stage.run(&["--json", "--calibration", &kept]), &as_advised);
    let (poor, _) = stage.calibrate(40, 12);
    assert_eq!(poor.code, Some(1), "{poor:?}");
    let (good, kept) = stage.calibrate(40, 1);
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(
        good.stdout.contains("40 labels, agreement 0.97"),
        "{good:?}"
    );

    let tape = stage.place.path("tape").display().to_string();
    let calibrated = ["--json", "--calibration", &kept];
    let counted = [
        ("full", "pass", ""),
        ("vague", "fail", "judge"),
        ("wrong", "fail", "answer"),
    ];
    let ran = stage.run(&[&calibrated[..], &["--record", &tape]].concat());
    check(&ran, &counted);
    // What a judge said is in the recording, too.
    check(
        &stage.run(&[&calibrated[..], &["--replay", &tape]].concat()),
        &counted,
    );
    let capped = stage.run(&[&calibrated[..], &["--max-tokens", "1", "--case", "vague"]].concat());
    check(&capped, &[("vague", "inconclusive", "capped")]);
}

#[test]
fn a_suite_that_cannot_be_judged_says_so() {
    let place = Place::new();
    let suite = |text: &str| place.write("suite.yaml", text).display().to_string();
    let none = suite(&SUITE.replace("judge: { model: judge, votes: 3 }\n", ""));
    let refused = place.run(&["eval", "check", &none]);
    assert!(
        refused.stderr.contains("a rubric without a judge"),
        "{refused:?}"
    );
    let even = suite(&SUITE.replace("votes: 3", "votes: 2"));
    let refused = place.run(&["eval", "check", &even]);
    assert!(
        refused.stderr.contains("1, 3, 5, 7 or 9 votes"),
        "{refused:?}"
    );
    let bare = suite(&SUITE.replace("expect: { answer: { not_empty: true } }, ", ""));
    let refused = place.run(&["eval", "check", &bare]);
    assert!(
        refused.stderr.contains("could only pass"),
        "an opinion is no check: {refused:?}"
    );
    let suite = suite(SUITE);
    let labels = place.write("labels.yaml", "labels: [{ rubric: x, label: maybe }]\n");
    let labels = labels.display().to_string();
    let refused = place.run(&["eval", "calibrate", &suite, &labels, "--out", "x.json"]);
    assert!(refused.stderr.contains("EVL-065"), "{refused:?}");
}
