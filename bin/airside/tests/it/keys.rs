//! Keys of callers: made, replaced, ended.

use std::path::Path;

use airside_testkit::harness::Node;

use crate::run::{BINARY, Place};

/// A node whose callers are those in `keys`.
fn config(keys: &str) -> String {
    format!(
        "data-dir = \"data\"\n\n[listen]\naddress = \"127.0.0.1:0\"\n\n{keys}\n\
         [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n"
    )
}

/// A key, its block in the configuration, and everything that was printed with it.
struct Made {
    secret: String,
    block: String,
}

impl Place {
    fn key(&self, arguments: &[&str]) -> Made {
        let mut all = vec!["key"];
        all.extend_from_slice(arguments);
        all.push("--json");
        let made = self.run(&all).json();
        let text = |name: &str| made[name].as_str().expect("a text").to_owned();
        Made {
            secret: text("key"),
            block: text("toml"),
        }
    }

    /// Puts `keys` in force.
    fn reload(&self, keys: &str) {
        self.write("airside.toml", &config(keys));
        let data = self.data();
        self.run(&["config", "reload", "--data-dir", &data]).ok();
    }

    /// Returns how a call with `key` ends: `ok` or the code.
    fn judge(&self, key: &Made) -> String {
        let file = self.write("shown.key", &key.secret);
        let ran = self.run(&[
            "tools",
            "--json",
            "--data-dir",
            &self.data(),
            "--key-file",
            file.to_str().expect("the path is UTF-8"),
        ]);
        let printed = format!("{}{}", ran.stdout, ran.stderr);
        assert!(!printed.contains(&key.secret), "{printed}");
        match ran.code {
            Some(0) => "ok".to_owned(),
            _ => ["ID-003", "ID-004"]
                .into_iter()
                .find(|code| ran.stderr.contains(code))
                .unwrap_or(&ran.stderr)
                .to_owned(),
        }
    }
}

fn serve(place: &Place, keys: &str) -> Node {
    let file = place.write("airside.toml", &config(keys));
    let file = file.to_str().expect("the path is UTF-8");
    let arguments = ["serve", "--config", file];
    Node::start(Path::new(BINARY), &arguments, &place.log()).expect("the node starts")
}

/// Returns `block` with the end of its previous key replaced.
fn ending(block: &str, end: &str) -> String {
    let (before, rest) = block.split_once("not-after = \"").expect("it has an end");
    let (_, after) = rest.split_once('"').expect("the text is closed");
    format!("{before}not-after = \"{end}\"{after}")
}

#[test]
fn replaced_key_is_good_until_its_end_and_not_after() {
    let place = Place::new();
    let old = place.key(&["new", "--name", "desk", "--group", "booking"]);
    let node = serve(&place, &old.block);
    assert_eq!(place.judge(&old), "ok");

    let new = place.key(&["rotate", "desk", "--overlap-hours", "1"]);
    assert!(
        new.block.contains("groups = [\"booking\"]"),
        "{}",
        new.block
    );
    assert_eq!(place.judge(&new), "ID-003", "nothing is in force yet");
    place.reload(&new.block);
    assert_eq!((place.judge(&new), place.judge(&old)), both("ok", "ok"));

    // The same with an end that has come.
    place.reload(&ending(&new.block, "2026-01-01T00:00:00Z"));
    assert_eq!((place.judge(&new), place.judge(&old)), both("ok", "ID-004"));
    let listed = place.run(&["key", "list", "--json"]).json();
    let states: Vec<_> = listed.as_array().unwrap().iter().collect();
    assert_eq!(
        (&states[0]["state"], &states[1]["state"]),
        (&"good".into(), &"expired".into())
    );

    // Nothing that lasts holds a secret.
    node.terminate().unwrap();
    let tail = place
        .run(&["ledger", "tail", "--json", "--data-dir", &place.data()])
        .ok();
    let log = std::fs::read_to_string(place.log()).unwrap();
    for secret in [&old.secret, &new.secret] {
        assert!(!tail.contains(secret) && !log.contains(secret));
    }
    // Which of the keys was shown is in the evidence.
    let shown = format!(
        "digest of a previous key {}",
        states[1]["key"].as_str().unwrap()
    );
    assert!(tail.contains(&shown), "{shown}: {tail}");
}

fn both(new: &str, old: &str) -> (String, String) {
    (new.to_owned(), old.to_owned())
}

#[test]
fn keys_are_listed_without_what_they_open() {
    let place = Place::new();
    let caller = place.key(&[
        "new", "--name", "desk", "--group", "booking", "--days", "30",
    ]);
    let mut hotel = place.key(&["new", "--upstream", "travel"]);
    // Upstream servers come over TCP.
    hotel.block = format!("[control]\naddress = \"127.0.0.1:0\"\n\n{}", hotel.block);
    place.write(
        "airside.toml",
        &config(&format!("{}{}", caller.block, hotel.block)),
    );
    let renewed = place.key(&["rotate", "desk"]);
    // A key with an end is replaced by one with an end.
    assert_eq!(
        renewed.block.matches("not-after").count(),
        2,
        "{}",
        renewed.block
    );
    place.write(
        "airside.toml",
        &config(&format!("{}{}", renewed.block, hotel.block)),
    );
    let listed = place.run(&["key", "list"]).ok();
    for expected in ["desk", "upstream", "good", "replaced", "booking"] {
        assert!(listed.contains(expected), "{expected}: {listed}");
    }
    for made in [&caller, &hotel, &renewed] {
        let mut quoted = made.block.split('"');
        let digest = quoted.find(|text| text.len() == 64).expect("the digest");
        assert!(
            listed.contains(&digest[..8]) && !listed.contains(digest),
            "{listed}"
        );
        assert!(!listed.contains(&made.secret));
    }
}

#[test]
fn rotation_of_what_is_not_there_is_refused() {
    let place = Place::new();
    let made = place.key(&["new", "--name", "desk"]);
    place.write("airside.toml", &config(&made.block));
    for arguments in [
        &["rotate", "dusk"][..],
        &["rotate", "desk", "--tenant", "acme"],
    ] {
        let mut all = vec!["key"];
        all.extend_from_slice(arguments);
        let ran = place.run(&all);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(
            ran.stderr.contains("CLI-033") && ran.stdout.is_empty(),
            "{ran:?}"
        );
    }
    // A fifth former key is refused before anybody has the new one.
    for _ in 0..4 {
        let next = place.key(&["rotate", "desk"]);
        place.write("airside.toml", &config(&next.block));
    }
    let ran = place.run(&["key", "rotate", "desk"]);
    assert!(
        ran.stderr.contains("ID-070") && ran.stdout.is_empty(),
        "{ran:?}"
    );
}
