//! Policies, approvals and explanations, as operators use them.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
    path::Path,
};

use airside_testkit::harness::Node;
use serde_json::{Value, json};

use crate::run::{BINARY, Place, Ran};

const CONFIG: &str = r#"
[listen]
address = "127.0.0.1:0"

[identity]
anonymous-loopback = true

[policy]
files = ["rules.cedar"]
zone = "Europe/Zurich"

[[upstream]]
name = "travel"
builtin = "travel"

[[endpoint]]
path = "/mcp"
upstreams = ["travel"]

[[tool]]
upstream = "travel"
name = "get_hotel"
labels = ["approval"]
sensitivity = "confidential"

[[tool]]
upstream = "travel"
name = "search_hotels"

[[tool.argument]]
name = "place"
pointer = "/place"
type = "text"

[[tool.argument]]
name = "limit"
pointer = "/limit"
type = "integer"
"#;

const ALL: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

fn serve(place: &Place) -> Node {
    place.write("airside.toml", &format!("data-dir = \"data\"\n{CONFIG}"));
    place.write("rules.cedar", ALL);
    let config = place.path("airside.toml").display().to_string();
    let arguments = ["serve", "--config", &config];
    Node::start(Path::new(BINARY), &arguments, &place.log()).expect("the node starts")
}

/// Runs a command about the node of `place`.
fn ask(place: &Place, arguments: &[&str]) -> Ran {
    let data = place.data();
    place.run(&[arguments, &["--data-dir", &data]].concat())
}

/// Ends a node once it has written down what it answered: a read is answered before its
/// entry is durable.
fn stop(node: Node) {
    let ended = node.terminate().expect("the node ends");
    assert!(ended.success(), "{ended}");
}

/// Returns the ids of the calls of a tool, oldest first, once all `count` are recorded.
fn calls(place: &Place, tool: &str, count: usize) -> Vec<String> {
    for _ in 0..100 {
        let found = recorded(place, tool);
        if found.len() >= count {
            assert_eq!(found.len(), count);
            return found;
        }
    }
    panic!("fewer than {count} calls of {tool} are recorded")
}

fn recorded(place: &Place, tool: &str) -> Vec<String> {
    let tail = ask(place, &["ledger", "tail", "-n", "100", "--json"]).ok();
    let entries = tail
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let ended = entries.filter(|entry| {
        let kind = entry["kind"].as_str().unwrap_or_default();
        ["call.completed", "call.refused"].contains(&kind)
            && entry["body"]["subject"]["tool"] == tool
    });
    ended
        .map(|entry| entry["subject"].as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn an_operator_approves_a_call_and_the_ledger_explains_it() {
    let place = Place::new();
    let node = serve(&place);
    let id = "property_id=htl_4930956_9";
    let waits = ask(&place, &["call", "get_hotel", id]);
    assert_eq!(waits.code, Some(5), "{waits:?}");
    assert!(waits.stderr.contains("POL-042"), "{waits:?}");
    let listed = ask(&place, &["approvals", "list", "--json"]).ok();
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    let approval = &listed["approvals"][0];
    assert_eq!(approval["caller"], "anonymous/loopback");
    assert_eq!(approval["name"], "get_hotel");
    let ticket = approval["id"].as_str().expect("an id");
    let table = ask(&place, &["approvals", "list"]).ok();
    assert!(
        table.contains(ticket) && table.contains("travel/get_hotel"),
        "{table}"
    );
    let approved = ask(
        &place,
        &["approvals", "approve", ticket, "--reason", "known guest"],
    );
    assert!(approved.ok().starts_with("approved: get_hotel"));
    let twice = ask(&place, &["approvals", "deny", ticket]);
    assert!(twice.stderr.contains("POL-046"), "{twice:?}");
    ask(&place, &["call", "get_hotel", id]).ok();
    let again = ask(&place, &["call", "get_hotel", id]);
    assert_eq!(again.code, Some(5), "one call for one approval: {again:?}");
    let ids = calls(&place, "get_hotel", 3);
    let told = ask(&place, &["explain", "call", &ids[1]]).ok();
    for part in [
        "anonymous/loopback (none)",
        "permitted by all",
        "labels approval",
        "by operator",
        "asks       client",
        "approval.used",
        "approval.decided",
        "approved by owner: known guest",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let denied = ask(&place, &["approvals", "list", "--json"]).json();
    let ticket = denied["approvals"][0]["id"].as_str().expect("an id");
    let told = ask(&place, &["approvals", "deny", ticket]).ok();
    assert!(told.starts_with("denied: get_hotel"), "{told}");
    let refused = ask(&place, &["call", "get_hotel", id]);
    assert!(refused.stderr.contains("POL-044"), "{refused:?}");
    assert!(
        ask(&place, &["approvals", "list"])
            .ok()
            .contains("nothing waits")
    );
    stop(node);
    // The same from the files, when no node runs.
    let told = ask(&place, &["explain", "call", &ids[0], "--json"]).json();
    assert_eq!(told["entries"][0]["body"]["error_code"], "POL-042");
    let nothing = ask(&place, &["explain", "call", "nothing"]);
    assert!(nothing.stderr.contains("CLI-042"), "{nothing:?}");
}

/// Posts `body` to a node; what comes back is read as it comes.
fn post(node: &Node, more: &[(&str, &str)], body: &Value) -> BufReader<TcpStream> {
    let port = node.url().port().expect("a port");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the node listens");
    let body = body.to_string();
    let mut head = format!(
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in more {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    write!(stream, "{head}\r\n{body}").expect("the node reads");
    BufReader::new(stream)
}

/// Returns the next line of an answer that `pick` takes.
fn next<T>(answer: &mut BufReader<TcpStream>, pick: impl Fn(&str) -> Option<T>) -> T {
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(answer.read_line(&mut line).expect("the node answers"), 0);
        if let Some(found) = pick(line.trim_end()) {
            return found;
        }
    }
}

/// Returns the next message of an answer, as one line of a body or of a stream.
fn message(answer: &mut BufReader<TcpStream>) -> Value {
    next(answer, |line| {
        serde_json::from_str(line.strip_prefix("data:").unwrap_or(line))
            .ok()
            .filter(Value::is_object)
    })
}

#[test]
fn the_person_behind_a_client_is_asked_in_the_way_of_its_revision() {
    let place = Place::new();
    let node = serve(&place);
    let yes = json!({ "action": "accept", "content": { "confirm": true } });
    let hotel = json!({ "property_id": "htl_4930956_9" });
    // 2026-07-28: the answer asks, and the call comes again with what the person said.
    let fields = [
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", "tools/call"),
        ("mcp-name", "get_hotel"),
    ];
    let round = |more: &Value| {
        let mut params = json!({
            "name": "get_hotel", "arguments": hotel,
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": { "elicitation": { "form": {} } },
            }
        });
        for (name, value) in more.as_object().expect("members") {
            params[name] = value.clone();
        }
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        message(&mut post(&node, &fields, &call))
    };
    let asked = round(&json!({}));
    assert_eq!(asked["result"]["resultType"], "input_required", "{asked}");
    let again = json!({
        "requestState": asked["result"]["requestState"],
        "inputResponses": { "airside.approval": yes }
    });
    let told = round(&again);
    assert_eq!(told["result"]["structuredContent"]["status"], "ok");
    assert_eq!(round(&again)["error"]["data"]["code"], "POL-045");
    // 2025-11-25: a request comes on the stream of the call, which goes on with its answer.
    let hello = json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} },
            "clientInfo": { "name": "old", "version": "1" }
        }
    });
    let session = next(&mut post(&node, &[], &hello), |line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("mcp-session-id")
            .then(|| value.to_owned())
    });
    let fields = [
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-session-id", &*session),
    ];
    let call = json!({
        "jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": { "name": "get_hotel", "arguments": hotel }
    });
    let mut answer = post(&node, &fields, &call);
    let asked = message(&mut answer);
    assert_eq!(asked["method"], "elicitation/create", "{asked}");
    let said = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": yes });
    let status = next(&mut post(&node, &fields, &said), |line| {
        Some(line.to_owned())
    });
    assert!(status.starts_with("HTTP/1.1 202"), "{status}");
    let told = message(&mut answer);
    assert_eq!(told["id"], 2, "{told}");
    assert_eq!(told["result"]["structuredContent"]["status"], "ok");
    stop(node);
    let tail = ask(&place, &["ledger", "tail", "-n", "100", "--json"]).ok();
    let entries = tail
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let kinds: Vec<_> = entries
        .filter_map(|entry| Some(entry["kind"].as_str()?.to_owned()))
        .filter(|kind| kind.starts_with("approval."))
        .collect();
    let each = ["approval.requested", "approval.decided", "approval.used"];
    assert_eq!(kinds, [each, each].concat());
}

#[test]
fn the_ledger_explains_what_each_part_of_the_checkpoint_found() {
    let place = Place::new();
    let made = place
        .run(&["key", "new", "--name", "desk", "--group", "staff", "--json"])
        .json();
    let text = |name: &str| made[name].as_str().expect("a text").to_owned();
    let key = place.write("desk.key", &text("key"));
    let config = CONFIG.replace("anonymous-loopback = true", "");
    let parts = format!(
        "data-dir = \"data\"\n{}\n{}\n[firewall.requests]\npersonal = \"flag\"\n\n\
         [[limit]]\nname = \"plan\"\nquota = {{ daily = 2 }}\nper = [\"tenant\"]\ntools = [\"search_hotels\"]\n",
        config.replace("[identity]\n", ""),
        text("toml")
    );
    let config = place.write("airside.toml", &parts);
    let rules = format!(
        "{ALL}@id(\"lost-towns\")\nforbid (principal, action, resource)\nwhen {{ context.arguments has place && context.arguments.place == \"Atlantis\" }};"
    );
    place.write("rules.cedar", &rules);
    let config = config.display().to_string();
    let arguments = ["serve", "--config", &config];
    let node = Node::start(Path::new(BINARY), &arguments, &place.log()).expect("the node starts");
    let key = key.display().to_string();
    let search = |town: &str| {
        let town = format!("place={town}");
        ask(
            &place,
            &["call", "search_hotels", &town, "--key-file", &key],
        )
    };
    search("Boston ann@example.org");
    let blocked = search("4111 1111 1111 1111");
    assert!(blocked.stderr.contains("GW-076"), "{blocked:?}");
    search("Boston").ok();
    let limited = search("Boston");
    assert!(limited.stderr.contains("POL-022"), "{limited:?}");
    let lost = search("Atlantis");
    assert!(lost.stderr.contains("POL-002"), "{lost:?}");
    stop(node);
    let ids = calls(&place, "search_hotels", 5);
    let told = |id: &str| ask(&place, &["explain", "call", id]).ok();
    let all = [
        // One call that shows all of it.
        (
            0,
            vec![
                "caller     api_key/desk (api_key)",
                "identity   api_key\n             api_key: digest ",
                "limit      plan: cost 1 of tenant, 1 left",
                "decision   permitted by all",
                "groups     staff",
                "firewall   personal.",
                "contract   accepted ",
            ],
        ),
        (1, vec!["GW-076", "firewall   card.", "block at"]),
        (
            2,
            vec!["limit      plan: cost 1 of tenant, 0 left", "outcome    ok"],
        ),
        (3, vec!["decision   permitted by all", "code       POL-022"]),
        (
            4,
            vec!["decision   refused by lost-towns", "withheld   place"],
        ),
    ];
    for (at, parts) in all {
        let told = told(&ids[at]);
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("4111") && !told.contains("ann@"), "{told}");
    }
}

#[test]
fn a_candidate_is_tried_on_recorded_calls() {
    let place = Place::new();
    let node = serve(&place);
    for limit in ["limit=1", "limit=2", "limit=4"] {
        ask(&place, &["call", "search_hotels", "place=Boston", limit]).ok();
    }
    stop(node);
    let config = ["--config", "airside.toml"];
    let simulate = |name: &str, text: &str, more: &[&str]| {
        place.write(name, text);
        ask(
            &place,
            &[&["policy", "simulate", name], &config[..], more].concat(),
        )
    };
    let same = simulate("same.cedar", ALL, &[]).ok();
    assert!(
        same.contains(" 0 otherwise, 0 cannot be decided again"),
        "{same}"
    );
    let small = format!(
        "{ALL}@id(\"small\")\nforbid (principal, action == Action::\"call_tool\", resource)\nwhen {{ context.arguments has limit && context.arguments.limit > 3 }};"
    );
    let flips = simulate("small.cedar", &small, &["--json"]);
    assert_eq!(flips.code, Some(8), "{flips:?}");
    let told = flips.json();
    assert_eq!(told["flipped"], 1);
    assert_eq!(told["flips"][0]["what"], "travel/search_hotels");
    assert_eq!(told["flips"][0]["policies"], "small");
    assert_eq!(told["flips"][0]["after"], "refused");
    let example = told["flips"][0]["examples"][0]
        .as_str()
        .expect("an example");
    assert!(calls(&place, "search_hotels", 3).contains(&example.to_owned()));
    let private = format!(
        "{ALL}@id(\"no-boston\")\nforbid (principal, action == Action::\"call_tool\", resource)\nwhen {{ context.arguments has place && context.arguments.place == \"Boston\" }};"
    );
    let unknown = simulate("private.cedar", &private, &[]).ok();
    assert!(
        unknown.contains("3 cannot be decided again: the argument `place` is read"),
        "{unknown}"
    );
    let later = simulate("small.cedar", &small, &["--since", "2999-01-01T00:00:00Z"]).ok();
    assert!(later.contains("0 calls"), "{later}");
}

#[test]
fn policies_are_checked_and_explained() {
    let place = Place::new();
    place.write("airside.toml", CONFIG);
    place.write("rules.cedar", ALL);
    let good = place
        .run(&["policy", "check", "--config", "airside.toml"])
        .ok();
    assert!(good.starts_with("good: 1 rule, version "), "{good}");
    place.write(
        "bad.cedar",
        "@id(\"a\")\npermit (principal, action, resource) when { principal.shoe > 3 };",
    );
    let bad = place.run(&["policy", "check", "bad.cedar"]);
    assert_eq!(bad.code, Some(3), "{bad:?}");
    assert!(bad.stderr.contains("bad.cedar:2:"), "{bad:?}");
    place.write(
        "lost.cedar",
        "@id(\"lost\")\npermit (principal, action, resource in Server::\"travl\");",
    );
    let lost = place
        .run(&["policy", "check", "lost.cedar", "--config", "airside.toml"])
        .ok();
    assert!(
        lost.contains("lost.cedar:1:1: `lost`: the rule is about the server `travl`"),
        "{lost}"
    );
    let builtin = place.run(&["policy", "check"]).ok();
    assert!(builtin.starts_with("good: 10 rules"), "{builtin}");
    let call = [
        "policy",
        "explain",
        "--server",
        "travel",
        "--tool",
        "send",
        "--label",
        "external-sink",
        "--at",
        "2026-11-23T12:00:00Z",
    ];
    insta::assert_snapshot!("explained", place.run(&call).ok());
    let toxic = [&call[..], &["--seen", "untrusted,private", "--json"]].concat();
    let toxic = place.run(&toxic).json();
    assert_eq!(toxic["decision"], "a person has to agree");
    assert_eq!(toxic["code"], "POL-042");
    let agreed = [
        &call[..],
        &["--seen", "untrusted,private", "--agreed", "client"],
    ]
    .concat();
    assert!(place.run(&agreed).ok().starts_with("permitted"));
    let configured = [
        "policy",
        "explain",
        "--config",
        "airside.toml",
        "--server",
        "travel",
        "--tool",
        "get_hotel",
    ];
    assert!(
        place
            .run(&configured)
            .ok()
            .starts_with("a person has to agree [POL-042]")
    );
}
