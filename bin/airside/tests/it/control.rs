//! The control API over TCP, with keys.

use std::path::Path;

use airside_testkit::harness::Node;

use crate::run::{BINARY, Place};

#[test]
fn keys_do_what_their_role_allows() {
    let place = Place::new();
    let mint = |name: &str, group: &str| {
        let minted = place.run(&["key", "new", "--name", name, "--group", group, "--json"]);
        let minted = minted.json();
        let secret = minted["key"].as_str().unwrap().to_owned();
        place.write(&format!("{name}.key"), &secret);
        (secret, minted["toml"].as_str().unwrap().to_owned())
    };
    let (auditor, auditor_block) = mint("audrey", "audit");
    let (_, viewer_block) = mint("victor", "view");
    let file = place.write(
        "airside.toml",
        &format!(
            "data-dir = \"data\"\n\
             {auditor_block}\n{viewer_block}\n\
             [listen]\naddress = \"127.0.0.1:0\"\n\
             [control]\naddress = \"127.0.0.1:0\"\n\
             [[control.grant]]\ngroup = \"audit\"\nrole = \"auditor\"\n\
             [[control.grant]]\ngroup = \"view\"\nrole = \"viewer\"\n\
             [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n"
        ),
    );
    let arguments = ["serve", "--config", file.to_str().unwrap()];
    let node = Node::start(Path::new(BINARY), &arguments, &place.log()).unwrap();
    let status = place
        .run(&["status", "--json", "--data-dir", &place.data()])
        .json();
    let control = status["control"].as_str().unwrap().to_owned();

    let remote = |arguments: &[&str], key: &str| {
        let mut all = arguments.to_vec();
        all.extend(["--control", &control, "--key-file", key]);
        place.run(&all)
    };
    remote(&["status"], "victor.key").ok();
    remote(&["ledger", "verify"], "audrey.key").ok();
    let refused = remote(&["ledger", "tail"], "victor.key");
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("API-002"), "{refused:?}");
    let refused = remote(&["config", "reload"], "audrey.key");
    assert!(refused.stderr.contains("API-002"), "{refused:?}");
    place.write(
        "wrong.key",
        "airside_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    );
    let refused = remote(&["status"], "wrong.key");
    assert!(refused.stderr.contains("ID-003"), "{refused:?}");

    // Without anonymous access the endpoint wants a key, from standard input too.
    let data = place.data();
    let refused = place.run(&["tools", "--data-dir", &data]);
    assert_eq!(refused.code, Some(5), "{refused:?}");
    let tools = place.run_with(&["tools", "--data-dir", &data, "--key-file", "-"], &auditor);
    tools.ok();
    node.terminate().unwrap();
    let log = std::fs::read_to_string(place.log()).unwrap();
    assert!(!log.contains(&auditor[8..]), "a key was logged");
}
