//! Conversations of a server that is not ours, over restarts, nodes and regions.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{net::SocketAddr, path::Path};

use airside_base::{Clock as _, SystemClock};
use airside_ledger::keys::CACHE_TTL;
use airside_testkit::{
    harness::Node,
    postgres::{ROLE, Server},
};
use serde_json::{Value, json};

use crate::{
    control_api::{Request, by_tcp},
    run::{BINARY, Place},
};

const CONFIG: &str = r#"
data-dir = "NAME"

[listen]
address = "127.0.0.1:0"

[identity]
anonymous-loopback = true

[control]
address = "127.0.0.1:0"

[keys]
vault-file = "vault.key"

[[upstream]]
name = "hotel"
url = "http://127.0.0.1:9/mcp"

[[upstream]]
name = "flights"
url = "http://127.0.0.1:9/mcp"

[[endpoint]]
path = "/mcp"
upstreams = ["hotel", "flights"]

"#;

/// Nodes in one folder, and the keys of two upstream servers.
struct Rig {
    place: Place,
    hotel: String,
    flights: String,
    /// What the configuration holds of the keys.
    blocks: [String; 2],
}

/// One node of it.
struct Desk {
    node: Node,
    control: SocketAddr,
}

impl Rig {
    fn new() -> Self {
        let place = Place::new();
        let mint = |upstream: &str| {
            let mint = [
                "key",
                "new",
                "--upstream",
                upstream,
                "--tenant",
                "acme",
                "--json",
            ];
            let minted = place.run(&mint).json();
            let text = |name: &str| minted[name].as_str().unwrap().to_owned();
            (text("key"), text("toml"))
        };
        let ((hotel, one), (flights, other)) = (mint("hotel"), mint("flights"));
        Self {
            place,
            hotel,
            flights,
            blocks: [one, other],
        }
    }

    fn start(&self, name: &str, more: &str) -> Desk {
        let [one, other] = &self.blocks;
        let config = CONFIG.replace("NAME", name);
        let config = format!("{config}{one}\n{other}\n{more}");
        let file = self.place.write(&format!("{name}.toml"), &config);
        let serve = ["serve", "--config", &file.display().to_string()];
        let log = self.place.path(&format!("{name}.log"));
        let node = Node::start(Path::new(BINARY), &serve, &log).unwrap();
        let status = self.run(name, &["status", "--json"]).json();
        let control = status["control"].as_str().unwrap().parse().unwrap();
        Desk { node, control }
    }

    fn run(&self, name: &str, arguments: &[&str]) -> crate::run::Ran {
        let folder = self.place.path(name).display().to_string();
        let folder = ["--data-dir", &folder];
        self.place.run(&[arguments, &folder].concat())
    }
}

impl Desk {
    fn call(&self, method: &str, (key, handle): (&str, &str), body: &Value) -> (u16, Value) {
        let request = Request {
            method,
            path: "/v1/conversations",
            key: Some(key),
            handle: Some(handle).filter(|handle| !handle.is_empty()),
            body,
        };
        by_tcp(self.control, request)
    }

    fn get(&self, key: &str, handle: &str) -> (u16, Value) {
        self.call("GET", (key, handle), &json!({}))
    }

    fn begin(&self, key: &str, body: &Value) -> (String, u64) {
        let (status, begun) = self.call("POST", (key, ""), body);
        assert_eq!(status, 200, "{begun}");
        let handle = begun["conversation"].as_str().unwrap().to_owned();
        (handle, begun["version"].as_u64().unwrap())
    }
}

#[test]
fn state_outlives_its_node_and_stays_with_its_server() {
    let rig = Rig::new();
    let desk = rig.start("one", "");
    let body = json!({ "state": { "cart": ["htl_1"] } });
    let (handle, version) = desk.begin(&rig.hotel, &body);
    let (status, refused) = desk.get(&rig.flights, &handle);
    assert_eq!((status, &refused["code"]), (404, &json!("LED-090")));
    desk.node.kill().unwrap();
    let desk = rig.start("one", "");
    let change = json!({ "version": version, "patch": { "cart": [] } });
    let (status, changed) = desk.call("PATCH", (&rig.hotel, &handle), &change);
    assert_eq!(status, 200, "{changed}");
    let (status, late) = desk.call("PATCH", (&rig.hotel, &handle), &change);
    assert_eq!((status, &late["version"]), (409, &changed["version"]));

    // A key that is taken out of the configuration is refused from the reload on.
    let file = rig.place.path("one.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace(&rig.blocks[0], "")).unwrap();
    rig.run("one", &["config", "reload"]).ok();
    let (status, refused) = desk.get(&rig.hotel, &handle);
    assert_eq!((status, &refused["code"]), (401, &json!("ID-003")));
    std::fs::write(&file, config).unwrap();
    rig.run("one", &["config", "reload"]).ok();
    assert_eq!(desk.get(&rig.hotel, &handle).0, 200);
    desk.node.terminate().unwrap();
    let log = std::fs::read_to_string(rig.place.path("one.log")).unwrap();
    assert!(!log.contains(&handle) && !log.contains(&rig.hotel[8..]));
}

#[test]
fn earlier_state_is_brought_back_with_and_without_a_node() {
    let rig = Rig::new();
    let desk = rig.start("one", "");
    let body = json!({ "subject": "traveller-1", "state": { "cart": ["htl_1"], "step": 1 } });
    let (handle, version) = desk.begin(&rig.hotel, &body);
    let change = json!({ "version": version, "patch": { "cart": null, "step": 2 } });
    let (_, damaged) = desk.call("PATCH", (&rig.hotel, &handle), &change);
    let acme = ["--tenant", "acme", "--json", "--vault-file"];
    let vault = rig.place.path("vault.key").display().to_string();
    let run = |arguments: &[&str]| rig.run("one", &[arguments, &acme, &[&vault]].concat());
    let to = version.to_string();
    let restore = |more: &[&str]| {
        let restore = ["conversation", "restore", &handle, "--to", &to];
        run(&[&restore, more].concat())
    };
    let preview = restore(&["--preview"]).json();
    let patch = json!({ "cart": ["htl_1"], "step": 1 });
    assert_eq!(preview["restored"]["patch"], patch);
    assert_eq!(preview["restored"]["version"], damaged["version"]);
    let stale = restore(&["--reason", "emptied", "--version", &to]);
    assert!(stale.stderr.contains("LED-008"), "{stale:?}");
    let brought = restore(&["--reason", "emptied"]).json();
    let (_, shown) = desk.get(&rig.hotel, &handle);
    assert_eq!(shown["state"], body["state"]);
    assert_eq!(shown["version"], brought["restored"]["version"]);
    let id = run(&["conversation", "show", &handle]).json()["id"].clone();
    let id = id.as_str().unwrap();
    assert_ne!(id, handle);
    let history = run(&["conversation", "history", id]).ok();
    let what = |line: &str| serde_json::from_str::<Value>(line).unwrap()["what"].clone();
    let steps: Vec<Value> = history.lines().map(what).collect();
    assert_eq!(steps, ["created", "patched", "restored"]);
    desk.node.terminate().unwrap();

    // The same on the files, now that no node runs.
    let shown = run(&["conversation", "show", id]).json();
    assert_eq!(shown["conversation"]["state"], body["state"]);
    let seq = damaged["version"].as_u64().unwrap().to_string();
    let again = [
        "conversation",
        "restore",
        id,
        "--to",
        &seq,
        "--reason",
        "after all",
    ];
    run(&again).ok();
    let shown = run(&["conversation", "show", id]).json();
    assert_eq!(shown["conversation"]["state"], json!({ "step": 2 }));

    let erase = ["erase", "traveller-1"];
    run(&erase).ok();
    let refused = restore(&["--reason", "emptied"]);
    assert!(refused.stderr.contains("LED-093"), "{refused:?}");
    let missing = run(&["conversation", "show", &"A".repeat(43)]);
    assert!(missing.stderr.contains("LED-090"), "{missing:?}");
}

/// The archive knows states that the ledger has lost, here because the ledger was itself
/// restored to an earlier moment.
#[test]
fn state_that_only_the_archive_has_is_brought_back() {
    let rig = Rig::new();
    let url = format!("file://{}", rig.place.path("archive").display());
    let archive = format!("[archive]\nurl = \"{url}\"\n");
    let desk = rig.start("one", &archive);
    let (handle, version) = desk.begin(&rig.hotel, &json!({ "state": { "step": 1 } }));
    let change = json!({ "version": version, "patch": { "step": 2 } });
    let (_, changed) = desk.call("PATCH", (&rig.hotel, &handle), &change);
    desk.node.terminate().unwrap();
    let seq = version.to_string();
    let into = format!("sqlite:{}", rig.place.path("two").display());
    let restore = ["restore", "--to", &seq, "--tenant", "acme", "--into", &into];
    rig.run("one", &restore).ok();
    for file in ["keys.db", "archive.key"] {
        let (from, to) = (
            rig.place.path("one").join(file),
            rig.place.path("two").join(file),
        );
        std::fs::copy(from, to).unwrap();
    }
    let desk = rig.start("two", "");
    assert_eq!(
        desk.get(&rig.hotel, &handle).1["state"],
        json!({ "step": 1 })
    );
    let to = changed["version"].as_u64().unwrap().to_string();
    let restore = |more: &[&str]| {
        let restore = ["conversation", "restore", &handle, "--to", &to, "--json"];
        let from = ["--tenant", "acme", "--archive", &url];
        rig.run("two", &[&restore[..], &from, more].concat())
    };
    let preview = restore(&["--preview"]).json();
    assert_eq!(preview["restored"]["patch"], json!({ "step": 2 }));
    assert_eq!(
        desk.get(&rig.hotel, &handle).1["state"],
        json!({ "step": 1 })
    );
    restore(&["--reason", "lost with the ledger"]).ok();
    assert_eq!(
        desk.get(&rig.hotel, &handle).1["state"],
        json!({ "step": 2 })
    );
    // The state of another conversation does not get in.
    let (other, _) = desk.begin(&rig.hotel, &json!({ "state": {} }));
    let foreign = [
        "conversation",
        "restore",
        &other,
        "--to",
        &to,
        "--tenant",
        "acme",
    ];
    let foreign = [&foreign[..], &["--archive", &url, "--preview"]].concat();
    let refused = rig.run("two", &foreign);
    assert!(refused.stderr.contains("LED-123"), "{refused:?}");
    desk.node.terminate().unwrap();
}

/// Two nodes on one database: what one keeps the other changes, what one erases the
/// other forgets, and a node of another region leaves it alone.
#[test]
fn nodes_share_conversations_and_their_end() {
    let server = Server::start().unwrap();
    let database = server.database("conversations").unwrap();
    let rig = Rig::new();
    rig.place.write("database.url", &database.url);
    let owner = rig.place.write("owner.url", &database.owner_url);
    let owner = owner.display().to_string();
    let init = ["ledger", "init", "--url-file", &owner, "--role", ROLE];
    rig.place.run(&init).ok();
    let ledger = "[ledger]\nurl-file = \"database.url\"\n\n";
    let region = |name: &str| format!("{ledger}[conversation]\nregion = \"{name}\"\n");
    let one = rig.start("one", &region("eu-1"));
    let two = rig.start("two", &region("eu-1"));
    let far = rig.start("far", &region("us-1"));
    let body = json!({ "subject": "traveller-1", "state": { "step": 1 } });
    let (handle, version) = one.begin(&rig.hotel, &body);
    let change = json!({ "version": version, "patch": { "step": 2 } });
    let (status, changed) = two.call("PATCH", (&rig.hotel, &handle), &change);
    assert_eq!(status, 200, "{changed}");
    let (_, read) = one.get(&rig.hotel, &handle);
    assert_eq!(
        (&read["state"], &read["region"]),
        (&json!({ "step": 2 }), &json!("eu-1"))
    );
    let (status, refused) = far.get(&rig.hotel, &handle);
    assert_eq!((status, &refused["code"]), (403, &json!("LED-091")));

    // Both have the key in memory by now.
    let erase = ["erase", "traveller-1", "--tenant", "acme"];
    rig.run("one", &erase).ok();
    assert_eq!(one.get(&rig.hotel, &handle).1["state"], Value::Null);
    let clock = SystemClock::new();
    let limit = clock.monotonic() + CACHE_TTL / 2;
    while two.get(&rig.hotel, &handle).1["state"] != Value::Null {
        // Without being told it would read on for as long as keys stay in memory.
        assert!(clock.monotonic() < limit);
    }
    for desk in [one, two, far] {
        desk.node.terminate().unwrap();
    }

    // A node with a vault key of its own is refused before it seals anything.
    let config = std::fs::read_to_string(rig.place.path("one.toml")).unwrap();
    let config = config
        .replace("\"one\"", "\"three\"")
        .replace("\"vault.key\"", "\"own.key\"");
    let file = rig.place.write("three.toml", &config);
    let serve = ["serve", "--config", &file.display().to_string()];
    let refused = rig.place.run(&serve);
    assert!(refused.stderr.contains("LED-083"), "{refused:?}");
    drop(airside_ledger::vault::file::FileVault::load_or_create(
        &rig.place.path("own.key"),
    ));
    let refused = rig.place.run(&serve);
    assert!(refused.stderr.contains("LED-120"), "{refused:?}");
}
