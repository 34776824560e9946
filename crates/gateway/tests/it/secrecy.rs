//! What the firewall finds is told to nobody: not in the ledger, not in logs, not in errors.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use airside_base::TenantId;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use crate::harness::{Act, House, headers, request, within};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
/// A card number and credentials of several kinds, none of which exists.
const PLANTED: [&str; 5] = [
    "4012888888881881",
    "AKIAQ3EGRT2ZK4WJ7NPA",
    "ghp_a8Kd0s9Lm3Nq7Rt2Vw5Xz1Yb4Cf6Hj0Pk8Tq",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4fwpM",
    "q7Rt2Vw5Xz1Yb4Cf6Hj0",
];

fn planted() -> String {
    let [card, cloud, code, token, assigned] = PLANTED;
    format!("card {card} and {cloud}, {code}; {token} password={assigned} end")
}

/// Keeps what is logged.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn of_all_threads() -> Self {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        // The only test of this process, or the only one that sets it.
        tracing::subscriber::set_global_default(subscriber).unwrap();
        tracing::trace!("the log is kept");
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

fn holds_nothing(what: &str, text: &str) {
    let whole = text.replace(['\\', ' ', '\n'], "");
    for secret in PLANTED {
        let encoded = BASE64_STANDARD.encode(secret);
        for form in [secret, &secret[4..], encoded.trim_end_matches('=')] {
            if let Some(at) = whole.find(form) {
                let start = whole.floor_char_boundary(at.saturating_sub(200));
                panic!("{what}: {}", &whole[start..at + form.len()]);
            }
        }
    }
}

/// All requests that plant something, with the name that goes into the header.
fn requests() -> Vec<(&'static str, String, String)> {
    let all = planted();
    let tool = |arguments: Value| {
        let params = json!({"name": "search", "arguments": arguments}).to_string();
        let params = params[1..params.len() - 1].to_owned();
        ("tools/call", "search".to_owned(), params)
    };
    let encoded = BASE64_STANDARD.encode(&all);
    let mut requests = vec![
        tool(json!({ "note": all })),
        tool(json!({ "deep": [{ all.as_str(): [all] }] })),
        tool(json!({ "encoded": encoded })),
        tool(json!({ "number": 4_012_888_888_881_881_u64 })),
        tool(json!({ "nights": all })),
        tool(json!({ "parts": ["4012", "8888", "8888", "1881"] })),
        (
            "resources/read",
            format!("x://{all}"),
            format!("\"uri\":\"x://{all}\""),
        ),
    ];
    // By itself the last one is no more than a name.
    for secret in PLANTED.into_iter().take(4) {
        requests.push((
            "tools/call",
            secret.to_owned(),
            format!("\"name\":\"{secret}\""),
        ));
        requests.push((
            "prompts/get",
            secret.to_owned(),
            format!("\"name\":\"{secret}\""),
        ));
        let (method, name, params) = tool(json!({}));
        let info = format!(r#"{{"name":"{secret}","version":"{secret}"}}"#);
        let params = format!(
            r#"{params},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}},"io.modelcontextprotocol/clientInfo":{info}}}"#
        );
        requests.push((method, name, params));
    }
    requests
}

fn answers() -> Vec<Act> {
    let all = planted();
    let text = |text: &str| {
        json!({"jsonrpc": "2.0", "id": 7, "result": {
            "content": [{"type": "text", "text": text}], "structuredContent": {"a": {"b": text}}
        }})
        .to_string()
    };
    let error =
        json!({"jsonrpc": "2.0", "id": 7, "error": {"code": -32000, "message": all, "data": all}});
    let event = format!("event: message\ndata: {}\n\n", text(&all));
    vec![
        Act::Answer(200, JSON, text(&all).into()),
        Act::Answer(200, JSON, text(&BASE64_STANDARD.encode(&all)).into()),
        Act::Answer(200, JSON, error.to_string().into()),
        Act::Answer(200, EVENTS, event.into()),
        Act::Answer(500, JSON, error.to_string().into()),
        Act::Answer(500, "text/plain", all.clone().into()),
        Act::Answer(200, "text/html", all.clone().into()),
        Act::Answer(200, JSON, format!("{{\"broken\": \"{all}").into()),
    ]
}

/// Asks and answers everything. Returns how many calls it made.
async fn go_through(house: &House, redacted: bool) -> usize {
    let mut calls = 0;
    for (method, name, params) in requests() {
        let mut fields = headers(method, &name);
        let encoded = airside_mcp::header::encode(&name).into_owned();
        fields.retain(|(field, _)| *field != "mcp-name");
        fields.push(("mcp-name", &encoded));
        let reply = house.post(&fields, request(method, &params)).await;
        holds_nothing(method, &String::from_utf8_lossy(&reply.body));
        calls += 1;
    }
    for act in answers() {
        house.upstream.next("search", act);
        let reply = house.call("search").await;
        if redacted {
            let said = String::from_utf8_lossy(&reply.body).replace("q7Rt2Vw5Xz1Yb4Cf6Hj0", "");
            holds_nothing("an answer", &said);
        }
        calls += 1;
    }
    calls
}

#[tokio::test]
async fn what_is_found_is_in_no_entry_log_or_error() {
    let log = Log::of_all_threads();
    let house = House::open().await;
    let mut calls = go_through(&house, true).await;
    // Flagged only: callers and servers see it, records do not.
    house.guard(
        r#"{"requests": {"card": "flag", "secret": "flag", "personal": "flag", "instruction": "flag"},
            "answers": {"card": "flag", "secret": "flag", "hidden": "flag"}}"#,
        |_| {},
    );
    calls += go_through(&house, false).await;
    house.guard(
        r#"{"requests": {"secret": "block"}, "answers": {"card": "block", "secret": "block"}}"#,
        |_| {},
    );
    calls += go_through(&house, true).await;
    // The last record says that all others have been written.
    house.call("book").await;
    let mut follower = house.ledger.follow(TenantId::default(), 0);
    let (mut over, mut found) = (false, 0);
    let mut told = String::new();
    while !over {
        for entry in within(follower.next()).await.unwrap() {
            let kind = entry.kind.as_str();
            let body = String::from_utf8_lossy(&entry.body).into_owned();
            over |= kind == "call.completed" && body.contains("\"book\"");
            found += usize::from(kind.starts_with("firewall."));
            told.push_str(&format!("{kind} {} {body}\n", entry.subject));
        }
    }
    assert!(found * 4 > calls * 3, "{found} of {calls}");
    holds_nothing("the ledger", &told);
    for rule in [
        "card.number",
        "secret.cloud",
        "secret.code-host",
        "secret.jwt",
        "secret.assigned",
    ] {
        assert!(told.contains(rule), "{rule}");
    }
    let logged = log.text();
    assert!(logged.contains("the log is kept"), "{logged}");
    holds_nothing("the log", &logged);
}
