//! Erasing and exporting persons from the command line.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{fs, sync::Arc};

use airside_base::{Supervisor, SystemClock, TenantId};
use airside_ledger::{
    Kind, Ledger, Options,
    keys::{Keys, sqlite::SqliteKeys},
    personal::{Personal, Purpose},
    stores::sqlite::Sqlite,
    vault::file::FileVault,
};
use serde_json::{Value, json};

use crate::run::Place;

const KIND: Kind = Kind::new("stay.booked");

/// Books for a person, as a feature would.
fn booked(place: &Place) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let folder = place.path("data");
        let (supervisor, clock) = (Supervisor::new(), Arc::new(SystemClock::new()));
        let store = Sqlite::open(&folder, &supervisor).unwrap();
        let ledger = Ledger::open(
            Arc::new(store),
            clock.clone(),
            &supervisor,
            Options::default(),
        );
        let ledger = ledger.await.unwrap();
        let vault = FileVault::load_or_create(&folder.join("vault.key")).unwrap();
        let store = SqliteKeys::open(&folder.join("keys.db")).unwrap();
        let keys = Keys::new(Arc::new(store), Arc::new(vault), clock);
        let subject = "subject-1".parse().unwrap();
        let guest = Personal::new(subject, Purpose::Service, "Ada Lovelace");
        let body = std::collections::BTreeMap::from([("guest", guest)]);
        let tenant = TenantId::default();
        let draft = keys.draft(&tenant, KIND, 1, "b-1", &body).await.unwrap();
        ledger.append(vec![draft]).await.unwrap();
        supervisor.stop(std::time::Duration::from_secs(20)).await;
    });
}

fn guest(export: &Value) -> &Value {
    &export["entries"][0]["body"]["guest"]
}

#[test]
fn erased_person_is_gone_also_from_the_past_and_an_old_copy_of_the_keys() {
    let place = Place::new();
    booked(&place);
    let (data, file) = (place.data(), place.path("subject.json"));
    let output = file.display().to_string();
    let export = ["export", "subject-1", "--data-dir", &data, "-o", &output];
    place.run(&export).ok();
    let exported: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(guest(&exported), "Ada Lovelace");
    let again = place.run(&export);
    assert_eq!(again.code, Some(1), "no file is replaced");
    fs::copy(place.path("data/keys.db"), place.path("old-keys.db")).unwrap();

    let erase = ["erase", "subject-1", "--data-dir", &data, "--json"];
    let erased = place.run(&erase).json();
    assert_eq!(erased["erased"]["keys"], 1);
    assert_eq!(erased["erased"]["repeated"], false);
    assert_eq!(place.run(&erase).json()["erased"]["repeated"], true);
    let export = ["export", "subject-1", "--data-dir", &data];
    let gone = json!({ "erased": true, "purpose": "service" });
    assert_eq!(*guest(&place.run(&export).json()), gone);
    place.run(&["ledger", "verify", "--data-dir", &data]).ok();

    // The moment before the erasure, and the keys as they were then.
    let into = format!("sqlite:{}", place.path("past").display());
    let time = exported["entries"][0]["time"].as_str().unwrap();
    let restore = [
        "restore",
        "--to",
        time,
        "--into",
        &into,
        "--data-dir",
        &data,
        "--json",
    ];
    assert_eq!(place.run(&restore).json()["erasures"], 1);
    fs::copy(place.path("old-keys.db"), place.path("past/keys.db")).unwrap();
    fs::copy(place.path("data/vault.key"), place.path("past/vault.key")).unwrap();
    let past = place.path("past").display().to_string();
    let node = ["up", "--port", "0", "--data-dir", &past];
    let node = airside_testkit::harness::Node::start(
        std::path::Path::new(crate::run::BINARY),
        &node,
        &place.log(),
    );
    node.expect("the node starts")
        .terminate()
        .expect("and ends");
    let export = ["export", "subject-1", "--data-dir", &past];
    assert_eq!(*guest(&place.run(&export).json()), gone);
}

/// Returns whether any file below `folder` holds `text`.
fn is_below(folder: &std::path::Path, text: &str) -> bool {
    fs::read_dir(folder).unwrap().any(|found| {
        let found = found.unwrap();
        if found.file_type().unwrap().is_dir() {
            return is_below(&found.path(), text);
        }
        // A socket is no file.
        let bytes = fs::read(found.path()).unwrap_or_default();
        let text = text.as_bytes();
        bytes.windows(text.len()).any(|part| part == text)
    })
}

/// What a traveller has told the built-in server: once it is erased, no tool, export,
/// listing, log, file or restore shows it.
#[test]
fn what_a_traveller_said_is_gone_from_every_way_of_reading() {
    let (place, said) = (Place::new(), "a-quiet-room-to-the-yard");
    let node = place.up();
    let data = place.data();
    let run = |arguments: &[&str]| place.run(&[arguments, &["--data-dir", &data]].concat());
    let notes = format!("notes={said}");
    run(&["call", "save_preferences", &notes]).ok();
    let text = format!("text={said}");
    run(&["call", "send_feedback", "about=other", &text]).ok();
    let tail = run(&["ledger", "tail", "-n", "1000", "--json"]).ok();
    let entries: Vec<Value> = tail
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let known = |entry: &&Value| entry["kind"] == "traveller.known";
    let known = entries.iter().find(known).unwrap();
    let subject = known["body"]["subject"].as_str().unwrap();
    let moment = entries.last().unwrap()["time"].as_str().unwrap();
    assert!(run(&["export", subject]).ok().contains(said));
    assert!(
        run(&["call", "get_preferences", "--json"])
            .ok()
            .contains(said)
    );

    run(&["erase", subject]).ok();
    for arguments in [
        &["call", "get_preferences", "--json"][..],
        &["export", subject],
        &["ledger", "tail", "-n", "1000", "--json"],
    ] {
        let shown = run(arguments).ok();
        assert!(!shown.contains(said), "{arguments:?}: {shown}");
    }
    node.terminate().unwrap();
    let into = format!("sqlite:{}", place.path("past").display());
    run(&["restore", "--to", moment, "--into", &into]).ok();
    for file in ["keys.db", "vault.key"] {
        let (from, to) = (place.path("data").join(file), place.path("past").join(file));
        fs::copy(from, to).unwrap();
    }
    let past = place.path("past").display().to_string();
    let export = place.run(&["export", subject, "--data-dir", &past]).ok();
    assert!(export.contains("preferences.saved") && !export.contains(said));
    assert!(!is_below(&place.path(""), said), "in clear on the disk");
    run(&["ledger", "verify"]).ok();
}

#[test]
fn pseudonyms_and_purposes_are_checked_and_a_wrong_vault_key_is_named() {
    let place = Place::new();
    booked(&place);
    let data = place.data();
    let erase = |more: &[&str]| {
        let erase = [&["erase"], more, &["--data-dir", &data]].concat();
        place.run(&erase)
    };
    assert_eq!(erase(&["ada@example.com"]).code, Some(2));
    assert_eq!(erase(&["subject-1", "--purpose", "fun"]).code, Some(2));
    fs::remove_file(place.path("data/vault.key")).unwrap();
    let missing = erase(&["subject-1"]);
    assert!(missing.stderr.contains("LED-083"), "{}", missing.stderr);
    drop(FileVault::load_or_create(&place.path("data/vault.key")).unwrap());
    let export = place.run(&["export", "subject-1", "--data-dir", &data]);
    assert!(export.stderr.contains("LED-080"), "{}", export.stderr);
}
