//! Calls are held to what was decided against a vulnerability, as its operators see it.

use std::{
    io::{BufRead as _, Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use airside_testkit::{
    harness::Node,
    postgres::{ROLE, Server},
};
use serde_json::{Value, json};

use crate::run::{BINARY, Place, Ran};

/// Tells this program to be the server below.
const SERVER: &str = "AIRSIDE_TEST_VULNERABLE";
const OSV: &str = r#"{"id":"GHSA-1","aliases":["CVE-2026-1"],"modified":"2026-11-01T00:00:00Z","published":"2026-11-01T00:00:00Z","summary":"Left padding runs commands","severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],"affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.3.1"}]}]}]}"#;

/// Not a test by itself: a server whose tools tell in which network they run.
#[test]
fn vulnerable_server() {
    if std::env::var_os(SERVER).is_none() {
        return;
    }
    for line in std::io::stdin().lock().lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let (id, method) = (
            &message["id"],
            message["method"].as_str().unwrap_or_default(),
        );
        let tool = |name: &str| {
            json!({
                "name": name, "inputSchema": {"type": "object"},
                "annotations": {"readOnlyHint": true},
            })
        };
        let result = match method {
            "initialize" => json!({
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}, "resources": {}},
                "serverInfo": {"name": "crm", "version": "1.0"},
            }),
            "tools/list" => json!({ "tools": [tool("find"), tool("count")] }),
            "tools/call" => json!({"content": [{"type": "text", "text": network()}]}),
            "resources/list" => json!({"resources": [{"uri": "crm://all", "name": "all"}]}),
            "resources/read" => json!({"contents": [{"uri": "crm://all", "text": "all guests"}]}),
            _ if id.is_null() => continue,
            _ => json!({}),
        };
        println!("{}", json!({"jsonrpc": "2.0", "id": id, "result": result}));
        std::io::stdout().flush().unwrap();
    }
}

/// Names the network that this process is in.
fn network() -> String {
    let link = std::fs::read_link("/proc/self/ns/net").expect("a network namespace");
    link.display().to_string()
}

struct World {
    place: Place,
    node: Option<Node>,
    /// Sections of the configuration that say where the ledger is.
    ledger: &'static str,
    finding: String,
}

impl World {
    fn new() -> Self {
        Self::over(Place::new(), "")
    }

    fn over(place: Place, ledger: &'static str) -> Self {
        for folder in ["feeds", "crm"] {
            std::fs::create_dir(place.path(folder)).expect("a folder");
        }
        place.write("feeds/osv.ndjson", OSV);
        let mut world = Self {
            place,
            node: None,
            ledger,
            finding: String::new(),
        };
        world.deploy("1.0.0");
        world.configure("[inventory]\nfeeds = \"feeds\"\nevery-s = 1\n");
        world.start();
        world.finding = world.until_found();
        world
    }

    fn configure(&self, inventory: &str) {
        let config = self.config("data", inventory);
        self.place.write("airside.toml", &config);
    }

    fn config(&self, data: &str, inventory: &str) -> String {
        let ledger = self.ledger;
        let program = std::env::current_exe().unwrap().display().to_string();
        let command = [
            &*program,
            "--exact",
            "--nocapture",
            "mitigations::vulnerable_server",
        ];
        let command = serde_json::to_string(&command).unwrap();
        format!(
            "data-dir = \"{data}\"\n{ledger}[listen]\naddress = \"127.0.0.1:0\"\n\
             [identity]\nanonymous-loopback = true\n\
             [[upstream]]\nname = \"crm\"\ncommand = {command}\nenv = {{ {SERVER} = \"yes\" }}\n\
             [[upstream]]\nname = \"flights\"\nbuiltin = \"flights\"\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"crm\"]\n\
             [[endpoint]]\npath = \"/all\"\nupstreams = [\"crm\", \"flights\"]\n\
             {inventory}\
             [[inventory.server]]\nupstream = \"crm\"\nsources = [\"crm\"]\ntier = \"internal\"\n"
        )
    }

    fn start(&mut self) {
        let node = self.serve("airside.toml", &self.place.log());
        self.node = Some(node);
    }

    fn serve(&self, config: &str, log: &Path) -> Node {
        let config = self.place.path(config).display().to_string();
        let serve = ["serve", "--config", &config];
        Node::start(Path::new(BINARY), &serve, log).expect("the node starts")
    }

    fn restart(&mut self) {
        let node = self.node.take().expect("a node");
        assert_eq!(node.terminate().expect("it ends").code(), Some(0));
        self.start();
    }

    fn deploy(&self, version: &str) {
        let lock =
            format!(r#"{{"packages":{{"node_modules/left-pad":{{"version":"{version}"}}}}}}"#);
        self.place.write("crm/package-lock.json", &lock);
    }

    fn run(&self, command: &[&str]) -> Ran {
        let data = self.place.data();
        self.place.run(&[command, &["--data-dir", &data]].concat())
    }

    fn findings(&self) -> Vec<Value> {
        let listed = self.run(&["vulns", "list", "--all", "--server", "crm", "--json"]);
        let listed = listed.json();
        listed["findings"].as_array().cloned().unwrap_or_default()
    }

    /// Asks until there is a finding: a round comes every second. Bounded by the limit
    /// that the test runner sets.
    fn until_found(&self) -> String {
        loop {
            if let Some(found) = self.findings().first() {
                return found["judged"]["id"].as_str().expect("an id").to_owned();
            }
        }
    }

    fn until_closed(&self) -> Value {
        loop {
            let found = self.findings().swap_remove(0);
            if found["closed"].is_array() {
                return found;
            }
        }
    }

    fn mitigate(&self, with: &[&str]) -> Ran {
        let start = ["vulns", "mitigate", &self.finding, "--with"];
        self.run(&[&start, with, &["--reason", "until 2.4 is out"]].concat())
    }

    fn expose(&self) {
        let expose = ["vulns", "expose", &self.finding, "--reason", "done"];
        self.run(&expose).ok();
    }

    fn post(&self, path: &str, method: &str, name: &str) -> String {
        post(self.node.as_ref().expect("a node"), path, method, name)
    }

    fn call(&self, tool: &str) -> String {
        self.post("/mcp", "tools/call", tool)
    }

    fn passes(&self, tool: &str) {
        let answer = self.call(tool);
        assert!(answer.contains("net:["), "{tool}: {answer}");
    }

    fn refuses(&self, tool: &str, code: &str) {
        let answer = self.call(tool);
        for part in ["HTTP/1.1 403", code, &self.finding, "airside vulns explain"] {
            assert!(answer.contains(part), "{part} of {tool} in {answer}");
        }
    }
}

/// Posts one request of a client without sessions. Returns the whole answer.
fn post(node: &Node, path: &str, method: &str, name: &str) -> String {
    let mut params = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }});
    if method == "resources/read" {
        params["uri"] = name.into();
    } else if !name.is_empty() {
        params["name"] = name.into();
        params["arguments"] = json!({});
    }
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let body = body.to_string();
    let url = node.url();
    let address = format!("127.0.0.1:{}", url.port().unwrap());
    let mut stream = TcpStream::connect(&address).unwrap();
    let named = match name {
        "" => String::new(),
        name => format!("Mcp-Name: {name}\r\n"),
    };
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{named}\
         Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn blocked_tool_stays_blocked_until_somebody_ends_it() {
    let mut world = World::new();
    world.passes("find");
    world.mitigate(&["block-tool", "--tool", "find"]).ok();
    world.refuses("find", "GW-088");
    world.passes("count");
    let listed = world.post("/mcp", "tools/list", "");
    assert!(
        !listed.contains("\"find\"") && listed.contains("\"count\""),
        "{listed}"
    );
    let told = world.run(&["vulns", "list"]).ok();
    assert!(told.contains("mitigated (block-tool find)"), "{told}");
    let entries = world.run(&["ledger", "tail", "-n", "50", "--json"]).ok();
    assert!(entries.contains("\"GW-088\""), "the refusal is on record");

    // A restart, another configuration and a node without feeds change nothing.
    world.restart();
    world.refuses("find", "GW-088");
    world.configure("");
    world.run(&["config", "reload"]).ok();
    world.refuses("find", "GW-088");
    world.restart();
    world.refuses("find", "GW-088");
    world.expose();
    world.passes("find");
    let listed = world.post("/mcp", "tools/list", "");
    assert!(listed.contains("\"find\""), "{listed}");
    world.restart();
    world.passes("find");
}

#[test]
fn quarantined_server_is_reached_by_nobody_until_the_fix_is_deployed() {
    let mut world = World::new();
    world.mitigate(&["quarantine-server"]).ok();
    for tool in ["find", "count"] {
        world.refuses(tool, "GW-087");
    }
    let all = |method: &str, name: &str| world.post("/all", method, name);
    for (path, method, name) in [
        ("/mcp", "resources/read", "crm://all"),
        ("/mcp", "server/discover", ""),
        ("/all", "tools/call", "crm_find"),
    ] {
        let answer = world.post(path, method, name);
        assert!(answer.contains("GW-087"), "{method}: {answer}");
    }
    let listed = all("tools/list", "");
    assert!(
        listed.contains("\"flights_") && !listed.contains("\"crm_"),
        "the others stay: {listed}"
    );

    // Production shows the fix: what was done against the vulnerability goes with it.
    world.deploy("1.3.1");
    let found = world.until_closed();
    assert_eq!(found["closed"][1], "fixed");
    assert!(found["judged"]["clock"]["mitigation"].is_null());
    // Calls are held to the entry a moment after it is written.
    while !world.call("find").contains("net:[") {}
    world.restart();
    world.passes("find");
}

#[test]
fn forced_approval_lets_one_call_pass_for_each_agreement() {
    let world = World::new();
    world.mitigate(&["force-approval"]).ok();
    let asked = world.call("find");
    assert!(asked.contains("POL-043"), "{asked}");
    let read = world.post("/mcp", "resources/read", "crm://all");
    assert!(read.contains("GW-089"), "nobody can agree to it: {read}");
    let open = world.run(&["approvals", "list", "--json"]).json();
    let ticket = open["approvals"][0]["id"].as_str().expect("an approval");
    let agree = ["approvals", "approve", ticket, "--reason", "known guest"];
    world.run(&agree).ok();
    world.passes("find");
    assert!(world.call("find").contains("POL-043"), "it holds once");
    world.expose();
    world.passes("find");
    let read = world.post("/mcp", "resources/read", "crm://all");
    assert!(read.contains("all guests"), "{read}");
}

#[test]
fn denied_egress_runs_the_server_without_a_network() {
    let mut world = World::new();
    let here = network();
    let told = world.call("find");
    assert!(told.contains(&here), "{told}");
    world.mitigate(&["deny-egress"]).ok();
    let without = world.call("find");
    assert!(
        without.contains("net:[") && !without.contains(&here),
        "{without}"
    );
    world.restart();
    let without = world.call("find");
    assert!(
        without.contains("net:[") && !without.contains(&here),
        "{without}"
    );
    world.expose();
    let told = world.call("find");
    assert!(told.contains(&here), "{told}");
}

#[test]
fn what_would_protect_nothing_is_refused() {
    let world = World::new();
    world.passes("find");
    let refused = |with: &[&str], code: &str| {
        let ran = world.mitigate(with);
        let code = format!("[{code}]");
        assert!(ran.stderr.contains(&code), "{with:?}: {ran:?}");
    };
    refused(&["block-tool"], "INV-051");
    refused(&["quarantine-server", "--tool", "find"], "INV-051");
    refused(&["block-tool", "--tool", "fnid"], "INV-052");
    world.passes("find");
    let ended = ["vulns", "expose", &world.finding, "--reason", "x"];
    let nothing = world.run(&ended);
    assert!(nothing.stderr.contains("[INV-013]"), "{nothing:?}");
}

#[test]
fn every_node_holds_calls_to_what_one_of_them_decided() {
    let server = Server::start().expect("a server");
    let database = server.database("mitigations").expect("a database");
    let place = Place::new();
    place.write("database.url", &database.url);
    let owner = place.write("owner.url", &database.owner_url);
    let owner = owner.display().to_string();
    place
        .run(&["ledger", "init", "--url-file", &owner, "--role", ROLE])
        .ok();
    let ledger = "[ledger]\nurl-file = \"database.url\"\n[keys]\nvault-file = \"vault.key\"\n";
    let world = World::over(place, ledger);
    world.place.write("two.toml", &world.config("two", ""));
    let other = world.serve("two.toml", &world.place.path("two.log"));
    let find = || post(&other, "/mcp", "tools/call", "find");
    let told = find();
    assert!(told.contains("net:["), "{told}");

    world.mitigate(&["block-tool", "--tool", "find"]).ok();
    // The others hear of the entry a moment after it is written.
    while !find().contains("GW-088") {}
    let count = post(&other, "/mcp", "tools/call", "count");
    assert!(count.contains("net:["), "{count}");
    world.expose();
    while !find().contains("net:[") {}
    assert_eq!(other.terminate().expect("it ends").code(), Some(0));
}

#[test]
fn inventory_and_mitigations_come_back_from_the_archive() {
    let mut world = World::new();
    let url = format!("file://{}", world.place.path("archive").display());
    world.configure(&format!(
        "[archive]\nurl = {url:?}\n[inventory]\nfeeds = \"feeds\"\nevery-s = 1\n"
    ));
    // Decided by the node that has compared already: one that starts folds first.
    world.mitigate(&["block-tool", "--tool", "find"]).ok();
    world.restart();
    world.refuses("find", "GW-088");
    let told = |world: &World| {
        let listed = world.run(&["vulns", "list", "--all", "--json"]).json();
        let servers = world.run(&["inventory", "--json"]).json();
        (listed["findings"].clone(), servers["state"].clone())
    };
    let before = told(&world);
    let node = world.node.take().expect("a node");
    assert_eq!(node.terminate().expect("it ends").code(), Some(0));

    // The folder is lost, but for the key that is kept elsewhere.
    let data = world.place.path("data");
    let key = world.place.path("copy.key");
    std::fs::copy(data.join("archive.key"), &key).unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    let into = format!("sqlite:{}", data.display());
    let key_file = key.display().to_string();
    let restore = ["restore", "--to", "latest", "--into", &into];
    let source = ["--archive", &url, "--archive-key", &key_file];
    world.place.run(&[&restore[..], &source].concat()).ok();
    std::fs::copy(&key, data.join("archive.key")).unwrap();
    assert_eq!(told(&world), before, "findings and components are back");
    world.start();
    world.refuses("find", "GW-088");
    world.expose();
    world.passes("find");
}
