//! The fixture over HTTP, as far as the conformance suite does not judge it.

use std::net::SocketAddr;

use airside_base::Supervisor;
use airside_testkit::fixture::{self, Answers};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tokio::net::TcpListener;

async fn start() -> (SocketAddr, Supervisor) {
    let supervisor = Supervisor::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = fixture::serve(listener, &supervisor, Answers::Json).unwrap();
    (address, supervisor)
}

/// Calls a tool in the 2026-07-28 era.
async fn call(address: SocketAddr, mut params: Value) -> Value {
    let name = params["name"].as_str().unwrap().to_owned();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let request = http::Request::post(format!("http://{address}/mcp"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "tools/call")
        .header("mcp-name", name)
        .body(Full::<Bytes>::from(body.to_string()))
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

/// Takes the state of one tool to another and returns the outcome.
async fn carry_state(from: &str, to: &str) -> Value {
    let (address, supervisor) = start().await;
    let first = call(address, json!({"name": from})).await;
    let answer = json!({"action": "accept", "content": {"ok": true}});
    let retry = json!({
        "name": to,
        "inputResponses": {"confirm": answer},
        "requestState": first["result"]["requestState"],
    });
    let second = call(address, retry).await;
    supervisor.stop(std::time::Duration::from_secs(5)).await;
    second
}

const STATE: &str = "test_input_required_result_request_state";
const TAMPERED: &str = "test_input_required_result_tampered_state";

#[tokio::test]
async fn sealed_state_opens_where_it_was_sealed() {
    let outcome = carry_state(STATE, STATE).await;
    assert_eq!(outcome["result"]["content"][0]["text"], "state-ok");
}

#[tokio::test]
async fn sealed_state_of_another_tool_is_refused() {
    let outcome = carry_state(STATE, TAMPERED).await;
    assert_eq!(outcome["error"]["code"], -32602, "{outcome}");
}

#[tokio::test]
async fn client_without_roots_is_not_asked_for_them() {
    let (address, supervisor) = start().await;
    let tool = json!({"name": "test_input_required_result_list_roots"});
    let outcome = call(address, tool).await;
    supervisor.stop(std::time::Duration::from_secs(5)).await;
    assert_eq!(outcome["error"]["code"], -32021, "{outcome}");
    let missing = &outcome["error"]["data"]["requiredCapabilities"];
    assert_eq!(missing, &json!({"roots": {}}));
}
