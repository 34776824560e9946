//! The view for hosts of MCP Apps.

use http::StatusCode;
use serde_json::json;

use crate::{send, travel};

const URI: &str = "ui://airside/hotels.html";

#[tokio::test]
async fn tools_with_a_view_lead_to_one_that_may_nothing() {
    let travel = travel();
    let (_, message) = send(&travel, "2026-07-28", "tools/list", json!({})).await;
    for tool in message["result"]["tools"].as_array().unwrap() {
        let seen = crate::contract::TOOLS
            .iter()
            .find(|(name, _)| tool["name"] == *name);
        let view = seen.is_some_and(|(_, seen)| !seen.ends_with('m'));
        let expected = if view { json!(URI) } else { json!(null) };
        assert_eq!(tool["_meta"]["ui"]["resourceUri"], expected, "{tool}");
    }
    let (_, message) = send(&travel, "2026-07-28", "resources/list", json!({})).await;
    let listed = &message["result"]["resources"][0];
    let (status, message) = send(
        &travel,
        "2026-07-28",
        "resources/read",
        json!({ "uri": URI }),
    )
    .await;
    assert_eq!(status, StatusCode::OK, "{message}");
    let read = &message["result"]["contents"][0];
    for view in [listed, read] {
        assert_eq!(view["uri"], URI);
        assert_eq!(view["mimeType"], "text/html;profile=mcp-app");
        let nothing = json!({
            "connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": [],
        });
        assert_eq!(view["_meta"]["ui"]["csp"], nothing);
        assert_eq!(view["_meta"]["ui"]["permissions"], json!({}));
    }
    let page = read["text"].as_str().unwrap();
    assert!(page.starts_with("<!doctype html>"));
    assert_eq!(listed["size"], page.len());
}
