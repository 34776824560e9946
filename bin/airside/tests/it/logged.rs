//! What the log of a node says of requests that were refused.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
};

use airside_testkit::harness::Node;
use serde_json::Value;

use crate::run::{BINARY, Place};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Posts `body` with further `fields` and returns the answer.
fn post(node: &Node, fields: &str, body: &str) -> String {
    let url = node.url();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap());
    let mut stream = TcpStream::connect((host, port)).unwrap();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n\
         content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
         content-length: {}\r\n{fields}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn call(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{{"place":"Zanzibar-7f3a"}},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    )
}

#[test]
fn refusals_are_told_with_code_cause_hint_and_trace_and_few_times() {
    let place = Place::new();
    let config = place.write(
        "airside.toml",
        "data-dir = \"data\"\n[listen]\naddress = \"127.0.0.1:0\"\n\
         [identity]\nanonymous-loopback = true\n\
         [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
         [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n",
    );
    let arguments = [
        "serve",
        "--config",
        config.to_str().unwrap(),
        "--log-format",
        "json",
    ];
    let node = Node::start(Path::new(BINARY), &arguments, &place.log()).unwrap();
    let trace = format!("traceparent: 00-{TRACE}-b7ad6b7169203331-01\r\n");
    let modern = |tool: &str| {
        format!(
            "{trace}mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n"
        )
    };
    let secret = "Bearer airside_k1_0000000000000000000000000000000000000000000";
    let token = format!("{trace}authorization: {secret}\r\n");
    for _ in 0..50 {
        let refused = post(&node, &token, "{}");
        assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    }
    let nobody = "no\u{202e}such-tool";
    let absent = post(
        &node,
        &modern("=?base64?bm/igK5zdWNoLXRvb2w=?="),
        &call(nobody),
    );
    assert!(absent.contains(TRACE), "{absent}");
    post(&node, &trace, "{ broken");
    assert_eq!(node.terminate().unwrap().code(), Some(0));

    let log = std::fs::read_to_string(place.log()).unwrap();
    assert!(
        !log.contains("Zanzibar-7f3a") && !log.contains(&secret[7..]),
        "{log}"
    );
    assert!(!log.contains('\u{202e}'), "{log}");
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    let of =
        |code: &str| -> Vec<&Value> { lines.iter().filter(|line| line["code"] == code).collect() };
    let refused: Vec<_> = lines.iter().filter(|line| line["status"] == 401).collect();
    assert!((1..50).contains(&refused.len()), "{log}");
    let code = refused[0]["code"].as_str().unwrap();
    let told = |line: &&Value| 1 + line["unlogged"].as_u64().unwrap_or_default();
    let counted = of(code)
        .into_iter()
        .filter_map(|line| line["times"].as_u64());
    assert_eq!(
        refused.iter().map(told).sum::<u64>() + counted.sum::<u64>(),
        50,
        "{log}"
    );
    let absent = of("POL-001");
    for line in refused
        .into_iter()
        .chain(absent.clone())
        .chain(of("MCP-001"))
    {
        assert_eq!(line["message"], "a request was refused", "{line}");
        assert_eq!(line["trace.id"], TRACE, "{line}");
        assert!(
            line["cause"].is_string() && line["endpoint"] == "/mcp",
            "{line}"
        );
    }
    assert_eq!(
        (absent[0]["tool"].as_str(), of("MCP-001").len()),
        (Some("no\u{fffd}such-tool"), 1)
    );
    assert!(absent[0]["hint"].is_string() && absent[0]["call.id"].is_string());
}
