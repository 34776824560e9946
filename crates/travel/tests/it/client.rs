//! Through our own MCP client, in both eras.

use std::sync::Arc;

use airside_mcp::{
    Client,
    client::{Choice, Options},
    reply::List,
};
use serde_json::{Value, json};

use crate::travel;

async fn check(era: Choice, revision: &str) {
    let options = Options {
        era,
        ..Options::default()
    };
    let client = Client::connect_local(Arc::new(travel()), options)
        .await
        .unwrap();
    assert_eq!(client.revision().as_str(), revision);
    let tools = client.list(List::Tools).await.unwrap();
    let names: Vec<_> = tools.iter().map(|tool| tool.key()).collect();
    assert_eq!(names, crate::contract::TOOLS.map(|(name, _)| name));

    // The currency is mirrored into a header and compared with the body.
    let arguments = json!({ "place": "Boston", "currency": "USD", "sort": "price" });
    let reply = client.call_tool("search_hotels", &arguments).await.unwrap();
    assert!(!reply.is_error());
    let content = reply.structured_content().unwrap().unwrap();
    let content: Value = serde_json::from_str(content.get()).unwrap();
    assert_eq!(content["status"], "ok");
    assert!(reply.text().unwrap()[0].contains("available in Boston, Massachusetts"));

    let reply = client
        .call_tool("get_hotel", &json!({ "property_id": "none" }))
        .await
        .unwrap();
    assert!(reply.is_error());
    assert!(reply.text().unwrap()[0].starts_with("TRV-013"));
    assert!(client.call_tool("book_hotel", &json!({})).await.is_err());
    client.close().await;
}

#[tokio::test]
async fn modern_client_is_served() {
    check(Choice::Modern, "2026-07-28").await;
}

#[tokio::test]
async fn handshake_client_is_served() {
    check(Choice::Legacy, "2025-11-25").await;
}

#[tokio::test]
async fn undecided_client_finds_the_newest_revision() {
    check(Choice::Auto, "2026-07-28").await;
}
