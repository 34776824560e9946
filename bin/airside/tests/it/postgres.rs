//! Nodes that share a ledger in PostgreSQL.

use std::path::Path;

use airside_testkit::{
    harness::Node,
    postgres::{ROLE, Server},
};

use crate::run::{BINARY, Place};

const CONFIG: &str = r#"
data-dir = "NAME"

[ledger]
url-file = "database.url"

[keys]
vault-file = "vault.key"

[listen]
address = "127.0.0.1:0"

[identity]
anonymous-loopback = true

[[upstream]]
name = "travel"
builtin = "travel"

[[endpoint]]
path = "/mcp"
upstreams = ["travel"]
"#;

fn serve(place: &Place, name: &str) -> Node {
    let file = place.write(&format!("{name}.toml"), &CONFIG.replace("NAME", name));
    let arguments = ["serve", "--config", &file.display().to_string()];
    Node::start(
        Path::new(BINARY),
        &arguments,
        &place.path(&format!("{name}.log")),
    )
    .expect("the node starts")
}

#[test]
fn two_nodes_write_one_ledger() {
    let server = Server::start().unwrap();
    let database = server.database("nodes").unwrap();
    let place = Place::new();
    place.write("database.url", &database.url);
    let owner = place.write("owner.url", &database.owner_url);
    let owner = owner.display().to_string();
    let init = ["ledger", "init", "--url-file", &owner, "--role", ROLE];
    assert!(place.run(&init).ok().contains("ready"));

    let nodes = [serve(&place, "one"), serve(&place, "two")];
    for name in ["one", "two"] {
        let folder = place.path(name).display().to_string();
        place.run(&["tools", "--data-dir", &folder]).ok();
    }
    let folder = place.path("one").display().to_string();
    let verified = place.run(&["ledger", "verify", "--json", "--data-dir", &folder]);
    assert_eq!(verified.json()["ok"], true);
    let tail = [
        "ledger",
        "tail",
        "-n",
        "100",
        "--json",
        "--data-dir",
        &folder,
    ];
    let tail = place.run(&tail).ok();
    let started = tail.lines().filter(|line| line.contains("node.started"));
    assert_eq!(started.count(), 2, "{tail}");
    for node in nodes {
        assert_eq!(node.terminate().unwrap().code(), Some(0));
    }
}

#[test]
fn database_that_cannot_be_used_is_named_without_its_password() {
    let server = Server::start().unwrap();
    let database = server.database("unusable").unwrap();
    let place = Place::new();
    let file = place.write("one.toml", &CONFIG.replace("NAME", "one"));
    let file = file.display().to_string();
    for (url, code) in [
        (database.url.as_str(), "LED-032"),
        ("postgres://u:hunter2@127.0.0.1:1/x", "LED-031"),
        ("nonsense hunter2", "LED-030"),
    ] {
        place.write("database.url", url);
        let refused = place.run(&["serve", "--config", &file]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.stderr.contains(code), "{refused:?}");
        assert!(refused.stderr.contains("database.url"), "{refused:?}");
        assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    }
    std::fs::remove_file(place.path("database.url")).unwrap();
    let refused = place.run(&["serve", "--config", &file]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("CLI-020"), "{refused:?}");
    assert!(refused.stderr.contains("the URL file"), "{refused:?}");
    assert!(!refused.stderr.contains("key file"), "{refused:?}");
}
