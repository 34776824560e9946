//! The hotel server, driven as the gateway drives it: HTTP requests in process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod booking;
mod client;
mod contract;
mod rejections;
mod replays;
mod rules;
mod search;
mod view;

use std::sync::Arc;

use airside_base::{Clock, NodeId, Supervisor, VirtualClock};
use airside_ledger::{
    Ledger,
    conversation::Conversations,
    keys::{Keys, memory::MemoryKeys},
    stores::memory::Memory,
    vault::memory::MemoryVault,
};
use airside_mcp::{Local as _, body};
use airside_travel::{Options, Parts, Travel};
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

/// Where the clock of every test stands: a Monday noon in London.
const NOW: &str = "2026-11-23T12:00:00Z";

fn travel() -> Travel {
    travel_at(NOW)
}

fn travel_at(now: &str) -> Travel {
    let options = Options {
        seed: 7,
        ..Options::default()
    };
    let clock = Arc::new(VirtualClock::new(now.parse().unwrap()));
    Travel::new(options, parts(clock))
}

/// A ledger in memory, with what belongs to it.
fn parts(clock: Arc<VirtualClock>) -> Parts {
    let supervisor = Supervisor::new();
    let clock: Arc<dyn Clock> = clock;
    let store = Arc::new(Memory::new());
    let opening = Ledger::open(store, clock.clone(), &supervisor, Default::default());
    let ledger = opening
        .now_or_never()
        .expect("a store in memory answers at once");
    let (keys, vault) = (Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()));
    let keys = Arc::new(Keys::new(keys, vault, clock.clone()));
    let ledger = ledger.unwrap();
    let all = Conversations::new(ledger.clone(), keys.clone(), clock.clone(), None);
    Parts {
        keys,
        conversations: all.of("builtin:travel"),
        payments: None,
        hold: airside_travel::HOLD,
        node: NodeId::generate(&*clock),
        ledger,
        supervisor,
        clock,
    }
}

/// Sends one JSON-RPC request of the revision and returns status and message.
async fn send(travel: &Travel, revision: &str, method: &str, params: Value) -> (StatusCode, Value) {
    let mut params = params;
    let mut request = Request::post("http://travel.internal/mcp")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream");
    if method != "initialize" {
        request = request.header("mcp-protocol-version", revision);
    }
    if revision >= "2026-07-28" {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        request = request.header("mcp-method", method);
        if let Some(name) = params.get("name").or_else(|| params.get("uri")) {
            request = request.header("mcp-name", name.as_str().unwrap());
        }
        if let Some(Value::String(currency)) = params.pointer("/arguments/currency") {
            let mirrored = airside_mcp::header::encode(currency).into_owned();
            request = request.header("mcp-param-currency", mirrored);
        }
    }
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let request = request.body(body::full(message.to_string())).unwrap();
    read(travel.call(request).await).await
}

async fn read(response: Response<airside_mcp::Body>) -> (StatusCode, Value) {
    let (head, body) = response.into_parts();
    let bytes = body::collect(body, 8 * 1024 * 1024).await.unwrap();
    let message = serde_json::from_slice(&bytes)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    (head.status, message)
}

/// Calls a tool and returns its result.
async fn call(travel: &Travel, tool: &str, arguments: Value) -> Value {
    let params = json!({ "name": tool, "arguments": arguments });
    let (status, message) = send(travel, "2026-07-28", "tools/call", params).await;
    assert_eq!(status, StatusCode::OK, "{message}");
    message["result"].clone()
}

/// Searches and returns `structuredContent`.
async fn search(travel: &Travel, arguments: Value) -> Value {
    call(travel, "search_hotels", arguments).await["structuredContent"].clone()
}
