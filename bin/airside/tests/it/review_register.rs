//! Findings and lessons in the ledger, from the command line to a restored archive.

use airside_base::{Clock as _, SystemClock};
use serde_json::Value;

use crate::run::{Place, Ran};

const SERVER: &str = "import os

@mcp.tool()
def export(hotel: str) -> str:
    return os.system(\"export \" + hotel)
";

fn git(place: &Place, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"];
    let ran = std::process::Command::new("git")
        .args(identity)
        .args(arguments)
        .current_dir(place.path("code"))
        .output()
        .expect("git runs");
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout)
        .expect("it is text")
        .trim()
        .to_owned()
}

/// A place with a repository in `code`, and everything under it committed.
fn repository() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path("code")).expect("it can be made");
    git(&place, &["init", "-q"]);
    place.write("code/server.py", SERVER);
    commit(&place, "one");
    place
}

fn commit(place: &Place, message: &str) -> String {
    git(place, &["add", "."]);
    git(place, &["commit", "-qm", message]);
    git(place, &["rev-parse", "HEAD"])
}

fn review(place: &Place, arguments: &[&str]) -> Ran {
    let data = place.data();
    let all = [&["review"], arguments, &["--data-dir", &data]].concat();
    place.run(&all)
}

fn record(place: &Place) -> Ran {
    let record = ["code", "--record", "--repository", "hotels"];
    review(place, &record)
}

fn findings(place: &Place) -> Vec<Value> {
    let told = review(place, &["findings", "--all", "--json"]).json();
    told["findings"].as_array().expect("it is there").clone()
}

/// The life of a finding, with or without a node that runs on the ledger.
fn life(place: &Place) {
    let nothing = review(place, &["findings"]);
    assert!(
        nothing.stdout.contains("nothing is recorded") || nothing.code != Some(0),
        "{nothing:?}"
    );
    let first = record(place);
    assert_eq!(first.code, Some(5), "it counts: {first:?}");
    assert!(first.stdout.contains("1 opened"), "{first:?}");
    let all = findings(place);
    assert_eq!(all.len(), 1, "{all:?}");
    let id = all[0]["id"].as_str().expect("it has one").to_owned();
    let explained = review(place, &["explain", &id]).ok();
    for part in [
        "python-shell-command",
        "CWE-78",
        "server.py:4",
        "first seen",
        "nobody",
    ] {
        assert!(explained.contains(part), "{part}: {explained}");
    }
    review(place, &["assign", &id, "--owner", "pay"]).ok();
    let endless = ["except", &id, "--until", "2999-01-01", "--owner", "pay"];
    let endless = review(place, &[&endless[..], &["--reason", "x"]].concat());
    assert!(endless.stderr.contains("REV-051"), "{endless:?}");
    let today = SystemClock::new().now().to_zoned(jiff::tz::TimeZone::UTC);
    let until = today.date().saturating_add(jiff::ToSpan::days(7));
    let until = until.to_string();
    let except = ["except", &id, "--until", &until, "--owner", "pay"];
    let excepted = review(place, &[&except[..], &["--reason", "read only"]].concat()).ok();
    assert!(excepted.contains("read only"), "{excepted}");
    // It is known and accepted, for the tree and for a change.
    let again = record(place);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout.contains("1 the same; 1 excepted"), "{again:?}");
    let listed = review(place, &["findings", "--owner", "pay"]).ok();
    assert!(listed.contains("excepted until"), "{listed}");
    place.write("code/server.py", "x = 1\n");
    let revision = commit(place, "two");
    let ended = record(place);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("1 ended"), "{ended:?}");
    let shown = review(place, &["explain", &id, "--json"]).json();
    assert_eq!(shown["standing"], "ended");
    assert_eq!(shown["finding"]["ended"]["why"], "repaired");
    assert_eq!(shown["finding"]["ended"]["revision"], Value::from(revision));
    let late = review(place, &["assign", &id, "--owner", "ann"]);
    assert!(late.stderr.contains("REV-052"), "{late:?}");
    let unknown = review(place, &["explain", "R-000000000000"]);
    assert!(unknown.stderr.contains("REV-050"), "{unknown:?}");
}

#[test]
fn finding_lives_in_the_files_when_no_node_runs() {
    let place = repository();
    life(&place);
    let data = place.data();
    let owe = ["lessons", "owe", "4f2a91c", "--repository", "hotels"];
    let after = ["--after", "incident", "--reference", "INC-7"];
    review(&place, &[&owe[..], &after].concat()).ok();
    place.run(&["ledger", "verify", "--data-dir", &data]).ok();
    // What is folded from the entries again is the same.
    let restore = ["restore", "--to", "latest", "--into", "sqlite:restored"];
    place
        .run(&[&restore[..], &["--data-dir", &data]].concat())
        .ok();
    for list in [&["findings", "--all"][..], &["lessons"]] {
        let show = |data: &str| {
            let at = ["--json", "--data-dir", data];
            place.run(&[&["review"], list, &at].concat()).ok()
        };
        assert_eq!(show(&data), show("restored"));
    }
}

#[test]
fn finding_lives_in_the_node_that_runs() {
    let place = repository();
    let _node = place.up();
    life(&place);
}

#[test]
fn revert_owes_a_lesson_that_a_file_pays() {
    let place = repository();
    let bad = commit_change(&place);
    git(&place, &["revert", "--no-edit", &bad]);
    let collect = || {
        let collect = ["lessons", "collect", "code", "--repository", "hotels"];
        review(
            &place,
            &[&collect[..], &["--base", "HEAD~2", "--json"]].concat(),
        )
        .json()
    };
    let owed = collect();
    assert_eq!(owed[0]["standing"], "owed", "{owed}");
    assert_eq!(
        owed[0]["lesson"]["debt"]["change"],
        Value::from(bad.clone())
    );
    // A file that only cites the change does not pay.
    std::fs::create_dir_all(place.path("code/docs/lessons")).expect("it can be made");
    place.write("code/docs/lessons/a.md", &format!("# A\n\nCommit {bad}.\n"));
    assert_eq!(collect()[0]["standing"], "owed");
    let text = format!("# A\n\nCommit {}.\n\nTest: keeps_the_total\n", &bad[..10]);
    place.write("code/docs/lessons/a.md", &text);
    let paid = collect();
    assert_eq!(paid[0]["standing"], "learned", "{paid}");
    assert_eq!(
        paid[0]["lesson"]["paid"]["learned"]["file"],
        "docs/lessons/a.md"
    );
    let none = review(&place, &["lessons"]).ok();
    assert!(none.contains("no lesson is owed"), "{none}");
    let all = review(&place, &["lessons", "--all"]).ok();
    assert!(all.contains("test: keeps_the_total"), "{all}");
}

fn commit_change(place: &Place) -> String {
    place.write("code/total.py", "def total(a):\n    return a\n");
    commit(place, "Add a total")
}

#[test]
fn lesson_after_an_incident_is_waived_with_a_reason() {
    let place = repository();
    let commit = git(&place, &["rev-parse", "HEAD"]);
    let owe = |change: &str, word: &str| {
        let owe = ["lessons", "owe", change, "--repository", "hotels"];
        let after = ["--after", word, "--reference", "INC-7"];
        review(&place, &[&owe[..], &after].concat())
    };
    let short = owe("4f", "incident");
    assert!(short.stderr.contains("REV-055"), "{short:?}");
    assert_eq!(owe(&commit, "accident").code, Some(2));
    let owed = owe(&commit, "incident").ok();
    let id = owed
        .lines()
        .find_map(|line| line.split(' ').next().filter(|word| word.starts_with("L-")))
        .expect("it has an id")
        .to_owned();
    let fine = review(&place, &["lessons", "--fail-overdue"]);
    assert_eq!(fine.code, Some(0), "{fine:?}");
    review(&place, &["lessons", "waive", &id, "--reason", "not ours"]).ok();
    let twice = review(&place, &["lessons", "waive", &id, "--reason", "not ours"]);
    assert!(twice.stderr.contains("REV-057"), "{twice:?}");
    let unknown = review(&place, &["lessons", "waive", "L-1", "--reason", "x"]);
    assert!(unknown.stderr.contains("REV-054"), "{unknown:?}");
}

#[test]
fn recording_needs_a_whole_tree_and_a_version() {
    let place = Place::new();
    std::fs::create_dir(place.path("code")).expect("it can be made");
    place.write("code/server.py", SERVER);
    let nameless = review(&place, &["code", "--record"]);
    assert_eq!(nameless.code, Some(2), "{nameless:?}");
    // Without git somebody has to say which version this is.
    let bare = record(&place);
    assert!(bare.stderr.contains("--revision"), "{bare:?}");
    let named = [
        "code",
        "--record",
        "--repository",
        "hotels",
        "--revision",
        "v1",
    ];
    let named = review(&place, &named);
    assert!(
        named.stdout.contains("recorded hotels at v1: 1 opened"),
        "{named:?}"
    );
    let part = [
        "code",
        "--record",
        "--repository",
        "hotels",
        "--base",
        "HEAD",
    ];
    assert_eq!(review(&place, &part).code, Some(2));
}
