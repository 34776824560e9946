//! Sampling of human review, from plan to statement.

use std::fmt::Write as _;

use airside_base::{Clock as _, SystemClock, Timestamp};
use airside_codereview::lot::Identity;
use serde_json::{Value, json};

use crate::run::{Place, Ran};

fn now() -> Timestamp {
    SystemClock::new().now()
}

/// Lots of one installation, with or without a node that runs on it.
struct Office<'a> {
    place: &'a Place,
    data: String,
}

impl Office<'_> {
    fn lot(&self, arguments: &[&str]) -> Ran {
        let mut all = vec!["review", "lot"];
        all.extend(arguments);
        all.extend(["--data-dir", &self.data]);
        self.place.run(&all)
    }

    fn report(&self, lot: &str) -> Value {
        self.lot(&["report", lot, "--json"]).json()[0].clone()
    }

    /// Opens a lot that ends at once, and waits for its end by drawing.
    fn drawn(&self, lot: &str, count: usize) {
        let until = now() + std::time::Duration::from_millis(1500);
        let until = until.to_string();
        let open = ["open", lot, "--repository", "hotels", "--until", &until];
        let open = [&open[..], &["--draw-key", "lot.key"]].concat();
        self.lot(&open).ok();
        let mut text = String::new();
        for n in 0..count {
            let change = json!({
                "identity": identity(n),
                "merged": now(),
                "risk": {"score": n % 40},
            });
            writeln!(text, "{change}").expect("it is there");
        }
        self.place.write("changes.jsonl", &text);
        let draw = [
            "draw",
            lot,
            "--draw-key",
            "lot.key",
            "--changes",
            "changes.jsonl",
        ];
        loop {
            let ran = self.lot(&draw);
            if !ran.stderr.contains("takes changes until its end") {
                ran.ok();
                return;
            }
        }
    }

    fn judge(&self, lot: &str, change: &str, words: &[&str]) -> Ran {
        let verdict = ["verdict", lot, change, "--reviewer", "r7", "--minutes", "9"];
        let revision = ["--revision", "4f2a"];
        self.lot(&[&verdict[..], &revision, words].concat())
    }
}

fn identity(n: usize) -> Value {
    json!({"repository": "hotels", "commit": format!("{n:040x}"), "patch": format!("p{n}")})
}

fn procedure(office: &Office<'_>) {
    office.drawn("2026-11", 30);
    let drawn = office.report("2026-11");
    assert_eq!(drawn["population"], 30);
    assert_eq!(drawn["statement"], Value::Null);
    assert_eq!(drawn["key"], Value::Null);
    let early = office.lot(&["close", "2026-11", "--draw-key", "lot.key"]);
    assert!(early.stderr.contains("REV-008"), "{early:?}");
    let items = drawn["items"].as_array().expect("it is there");
    let id = |n: usize| items[n]["id"].as_str().expect("it is there");
    let unknown = office.judge("2026-11", id(0), &["--word", "lgtm"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let bare = office.judge("2026-11", id(0), &["--word", "defect"]);
    assert!(bare.stderr.contains("REV-007"), "{bare:?}");
    let found = [
        "--word",
        "defect",
        "--class",
        "major",
        "--sort",
        "injection",
    ];
    let found = [&found[..], &["--evidence", "a.py:3"]].concat();
    office.judge("2026-11", id(0), &found).ok();
    for n in 1..items.len() {
        office
            .judge("2026-11", id(n), &["--word", "no-defect"])
            .ok();
    }
    let again = office.judge("2026-11", id(1), &["--word", "cannot-tell"]);
    assert!(again.stderr.contains("REV-007"), "{again:?}");
    let report = office
        .lot(&["close", "2026-11", "--draw-key", "lot.key"])
        .ok();
    for part in [
        "With 95 % confidence at most",
        "Not covered:",
        "miss nothing",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    let second = office.lot(&["close", "2026-11", "--draw-key", "lot.key"]);
    assert!(second.stderr.contains("REV-008"), "{second:?}");
    let closed = office.report("2026-11");
    assert_eq!(closed["statement"]["counted"], 1);
    let key = std::fs::read_to_string(office.place.path("lot.key")).expect("it is there");
    assert_eq!(closed["key"], key.trim());
    let parsed: Identity = serde_json::from_value(items[0]["change"].clone()).expect("it is there");
    assert_eq!(parsed.id(), id(0));
}

#[test]
fn lot_is_kept_in_the_files_when_no_node_runs() {
    let place = Place::new();
    let data = place.data();
    let absent = place.run(&["review", "lot", "report", "--data-dir", &data]);
    assert_ne!(absent.code, Some(0), "{absent:?}");
    let office = Office {
        place: &place,
        data,
    };
    procedure(&office);
    place
        .run(&["ledger", "verify", "--data-dir", &office.data])
        .ok();
}

#[test]
fn lot_is_kept_by_the_node_that_runs() {
    let place = Place::new();
    let _node = place.up();
    procedure(&Office {
        place: &place,
        data: place.data(),
    });
}
