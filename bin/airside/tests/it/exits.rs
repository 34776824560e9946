//! The documented exit codes are the ones that commands end with.

use std::collections::BTreeMap;

use crate::run::{Place, Ran};

/// Returns the codes of the table in `docs/exit-codes.md`.
fn documented() -> Vec<i32> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exit-codes.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    page.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" |").next()?.parse().ok())
        .collect()
}

#[test]
fn every_documented_code_occurs() {
    let place = Place::new();
    let data = place.data();
    let mut seen: BTreeMap<i32, Ran> = BTreeMap::new();
    let mut note = |ran: Ran| {
        if let Some(code) = ran.code {
            let hinted = ran
                .stderr
                .lines()
                .last()
                .is_some_and(|line| line.starts_with("hint: "));
            assert!(code == 0 || hinted, "{ran:?}");
            seen.insert(code, ran);
        }
    };
    note(place.run(&["explain", "CLI-001"]));
    note(place.run(&["explain", "CLI-999"]));
    note(place.run(&["config", "check", "absent.toml"]));
    note(place.run(&["status", "--data-dir", &data]));
    note(place.run(&["up", "--data-dir", "/proc/none", "--port", "0"]));
    let node = place.up();
    note(place.run(&["up", "--data-dir", &data, "--port", "0"]));
    let bad = [
        "call",
        "search_hotels",
        "place=Boston",
        "check_in=x",
        "--data-dir",
        &data,
    ];
    note(place.run(&bad));
    place.write("none.cedar", "");
    note(place.run(&["policy", "simulate", "none.cedar", "--data-dir", &data]));
    std::fs::create_dir(place.path("tape")).unwrap();
    place.write("tape/cassette.jsonl", "");
    let eval = [
        "eval",
        "run",
        "travel",
        "--model",
        "m",
        "--replay-model",
        "tape",
        "--data-dir",
        &data,
    ];
    note(place.run(&eval));
    note(place.run(&[&eval[..], &["--max-seconds", "0"]].concat()));
    node.terminate().unwrap();
    damage(&place);
    note(place.run(&["ledger", "verify", "--data-dir", &data]));
    assert_eq!(
        seen.keys().copied().collect::<Vec<_>>(),
        documented(),
        "{seen:#?}"
    );
}

/// Changes one letter of a recorded entry.
fn damage(place: &Place) {
    let file = place.path("data").join("ledger.db");
    let mut bytes = std::fs::read(&file).expect("the ledger is there");
    let word = b"\"source\":\"airside up\"";
    let found: Vec<usize> = (0..bytes.len() - word.len())
        .filter(|at| bytes[*at..].starts_with(word))
        .collect();
    assert!(!found.is_empty(), "the entry is in the file");
    for at in found {
        bytes[at + word.len() - 2] = b'q';
    }
    std::fs::write(&file, bytes).expect("the folder can be written");
}

#[test]
fn wrong_usage_is_exit_2_and_help_is_0() {
    let place = Place::new();
    assert_eq!(place.run(&["call"]).code, Some(2));
    assert_eq!(place.run(&["nonsense"]).code, Some(2));
    let help = place.run(&["call", "--help"]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Examples:"), "{help:?}");
}
