//! Who reaches a server is what the gateway recorded, and a decision follows it at once.

use std::{path::Path, sync::Arc};

use airside_base::{Supervisor, SystemClock};
use airside_mcp::client::Choice;
use airside_testkit::{harness::Node, idp::Idp};
use serde_json::{Value, json};

use crate::{
    booking::{call, client},
    run::{BINARY, Place},
};

const AUDIENCE: &str = "https://mcp.example.com/mcp";
const OSV: &str = r#"{"id":"GHSA-1","aliases":["CVE-2026-1"],"modified":"2026-11-01T00:00:00Z","published":"2026-11-01T00:00:00Z","summary":"Left padding runs commands","affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.3.1"}]}]}]}"#;

struct World {
    place: Place,
    idp: Idp,
}

impl World {
    async fn new(tasks: &Supervisor) -> Self {
        let place = Place::new();
        let idp = Idp::start(tasks, Arc::new(SystemClock::new())).await;
        for folder in ["feeds", "back"] {
            std::fs::create_dir(place.path(folder)).expect("a folder");
        }
        place.write("feeds/osv.ndjson", OSV);
        place.write(
            "back/package-lock.json",
            r#"{"packages":{"node_modules/left-pad":{"version":"1.0.0"}}}"#,
        );
        let world = Self { place, idp };
        world.configure("");
        world
    }

    /// A round comes once a day, so that whatever comes sooner was woken by an event.
    fn configure(&self, rest: &str) {
        let config = format!(
            "data-dir = \"data\"\n[listen]\naddress = \"127.0.0.1:0\"\n\
             [identity.resource]\nurl = \"https://mcp.example.com\"\n\
             [[identity.issuer]]\nname = \"corp\"\nurl = \"{}\"\n\
             [[upstream]]\nname = \"back\"\nbuiltin = \"flights\"\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"back\"]\n\
             [inventory]\nfeeds = \"feeds\"\nevery-s = 86400\n\
             [[inventory.server]]\nupstream = \"back\"\nsources = [\"back\"]\n\
             tier = \"internal\"\n{rest}",
            self.idp.issuer()
        );
        self.place.write("airside.toml", &config);
    }

    fn start(&self) -> Node {
        let config = self.place.path("airside.toml").display().to_string();
        let serve = ["serve", "--config", &config];
        Node::start(Path::new(BINARY), &serve, &self.place.log()).expect("the node starts")
    }

    fn run(&self, command: &[&str]) -> crate::run::Ran {
        let data = self.place.data();
        self.place.run(&[command, &["--data-dir", &data]].concat())
    }

    /// Asks until the exposure of the finding is `wanted`. Bounded by the limit that the
    /// test runner sets.
    fn until(&self, wanted: &str) -> Value {
        loop {
            let listed = self.run(&["vulns", "list", "--server", "back", "--json"]);
            let found = listed.json()["findings"][0]["judged"].clone();
            if found["decision"]["inputs"]["exposure"]["value"] == wanted {
                return found;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exposure_follows_recorded_calls_and_configuration_as_they_change() {
    let tasks = Supervisor::new();
    let world = World::new(&tasks).await;
    let node = world.start();
    let found = world.until("small");
    let source = found["decision"]["inputs"]["exposure"]["source"].clone();
    assert_eq!(source, "gateway: listens on 127.0.0.1:0");

    // Somebody with a token calls: the listener on this machine has a way in from elsewhere.
    let claims = json!({ "sub": "ada", "client_id": "assistant" });
    let token = world.idp.token(AUDIENCE, claims);
    let ada = client(node.url(), Some(&token), Choice::Modern, &[]).await;
    let search = json!({ "origin": "BOS", "destination": "SEA", "date": "2027-01-10" });
    call(&ada, "search_flights", search)
        .await
        .expect("an answer");
    let found = world.until("controlled");
    let exposure = &found["decision"]["inputs"]["exposure"];
    let day = exposure["date"].as_str().expect("the day of the fact");
    assert_eq!(
        exposure["source"],
        format!("recorded calls: called by clients with a token since {day}")
    );
    let id = found["id"].as_str().expect("an id");
    let told = world.run(&["vulns", "explain", id]).ok();
    for part in [
        &format!(
            "exposure: controlled (recorded calls: called by clients with a token since {day}, {day})"
        ),
        "exposure small → controlled",
        &format!("its server, by recorded calls: called by clients with a token since {day}"),
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }

    // It is known after a restart, without another call.
    assert_eq!(node.terminate().expect("it ends").code(), Some(0));
    let _node = world.start();
    world.until("controlled");

    // What persons say of ways around the gateway counts at once, and so does its end.
    world.configure("reach = \"public\"\n");
    world.run(&["config", "reload"]).ok();
    let found = world.until("open");
    let due = found["clock"]["due"].clone();
    world.configure("");
    world.run(&["config", "reload"]).ok();
    let found = world.until("controlled");
    assert_eq!(
        found["clock"]["due"], due,
        "less exposure moves no deadline"
    );
}
