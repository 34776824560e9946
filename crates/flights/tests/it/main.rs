//! The servers, driven as the gateway drives them: HTTP requests in process.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod airline;
mod flights;

use airside_base::TenantId;
use airside_mcp::{Local, Principal, body};
use http::{Request, StatusCode};
use serde_json::{Value, json};

/// Sends one request for a tenant and a sandbox; returns the result.
async fn ask(
    server: &dyn Local,
    (tenant, sandbox): (&str, &str),
    method: &str,
    mut params: Value,
) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "airside/sandbox": sandbox,
    });
    let name = params.get("name").or_else(|| params.get("uri"));
    let name = name.and_then(Value::as_str).unwrap_or_default().to_owned();
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let tenant: TenantId = tenant.parse().unwrap();
    let request = Request::post("http://airline.internal/mcp")
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", method)
        .header("mcp-name", name)
        .extension(Principal {
            tenant,
            kind: "api_key",
            id: "tester".into(),
            attestation: 20,
        })
        .body(body::full(message.to_string()))
        .unwrap();
    let (head, body) = server.call(request).await.into_parts();
    let bytes = body::collect(body, 8 * 1024 * 1024).await.unwrap();
    let message: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(head.status, StatusCode::OK, "{message}");
    message["result"].clone()
}
