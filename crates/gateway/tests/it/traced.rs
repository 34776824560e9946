//! The trace of a request: continued, begun, passed on, told.

use http::HeaderMap;
use serde_json::Value;

use crate::harness::{House, call, headers};

const TOLD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// Calls `tool` with these further fields and `traceparent` in `_meta`. Returns what the
/// server saw, if it was asked, and the trace id in an answer that is an error.
async fn check(
    house: &House,
    tool: &str,
    fields: &[(&str, &str)],
    meta: Option<&str>,
) -> (Option<HeaderMap>, Option<String>) {
    let mut all = headers("tools/call", tool);
    all.extend(fields);
    let body = match meta {
        Some(meta) => call(tool).replace(
            "\"_meta\":{",
            &format!("\"_meta\":{{\"traceparent\":\"{meta}\","),
        ),
        None => call(tool),
    };
    let before = house.upstream.calls().len();
    let reply = house.post(&all, body.clone()).await;
    let json = reply.json();
    let id = json["error"]["data"]["trace_id"].as_str();
    let seen = house.upstream.calls().into_iter().nth(before);
    if let Some(seen) = &seen {
        assert_eq!(seen.body, body, "the message passes as it came");
    }
    (seen.map(|seen| seen.headers), id.map(str::to_owned))
}

#[tokio::test]
async fn trace_of_a_client_reaches_the_server_the_answer_and_the_ledger() {
    let house = House::open().await;
    let named = [
        ("traceparent", TOLD),
        ("tracestate", "a=1"),
        ("baggage", "user=ada"),
    ];
    let (seen, _) = check(&house, "search", &named, None).await;
    let seen = seen.unwrap();
    assert_eq!(
        (&seen["traceparent"], &seen["tracestate"]),
        (&TOLD.parse().unwrap(), &"a=1".parse().unwrap())
    );
    assert!(!seen.contains_key("baggage"));
    let (_, id) = check(&house, "secret", &named, None).await;
    assert_eq!(id.unwrap(), TOLD[3..35]);
    for (kind, body) in house.entries(2).await {
        assert_eq!(body["subject"]["trace"], TOLD[3..35], "{kind}");
    }
}

#[tokio::test]
async fn trace_of_a_message_counts_before_that_of_its_request() {
    let house = House::open().await;
    let (_, id) = check(&house, "secret", &[("traceparent", TOLD)], Some(OTHER)).await;
    assert_eq!(id.unwrap(), OTHER[3..35]);
    let (seen, _) = check(&house, "search", &[("traceparent", TOLD)], Some(OTHER)).await;
    assert_eq!(seen.unwrap()["traceparent"], TOLD);
    let (seen, _) = check(&house, "search", &[], Some(OTHER)).await;
    assert_eq!(seen.unwrap()["traceparent"], OTHER);
    let (seen, _) = check(&house, "search", &[("traceparent", TOLD)], Some("nonsense")).await;
    assert_eq!(seen.unwrap()["traceparent"], TOLD);
}

#[tokio::test]
async fn trace_that_is_none_is_replaced_and_refuses_nothing() {
    let house = House::open().await;
    for fields in [
        &[][..],
        &[("traceparent", "00-1"), ("tracestate", "a=1")],
        &[("traceparent", TOLD), ("traceparent", OTHER)],
    ] {
        let (seen, _) = check(&house, "search", fields, None).await;
        let seen = seen.unwrap();
        let begun: Vec<_> = seen.get_all("traceparent").iter().collect();
        assert_eq!(begun.len(), 1, "{fields:?}");
        let begun = begun[0].to_str().unwrap();
        assert!(
            begun.starts_with("00-") && begun.ends_with("-00"),
            "{begun}"
        );
        assert!(!begun.contains(&TOLD[3..35]) && !begun.contains(&OTHER[3..35]));
        assert!(!seen.contains_key("tracestate"));
        let (_, id) = check(&house, "secret", fields, None).await;
        assert_eq!(id.unwrap().len(), 32);
    }
    // Whose trace begins here is told by its call: the id is the same.
    let (_, body) = house.entries(1).await.remove(0);
    assert_eq!(body["subject"]["trace"], Value::Null);
    let call = body["subject"]["call"].as_str().unwrap().replace('-', "");
    let seen = house.upstream.calls().remove(0);
    assert!(
        seen.headers["traceparent"]
            .to_str()
            .unwrap()
            .contains(&call)
    );
}

#[tokio::test]
async fn what_is_refused_before_it_is_a_call_has_its_trace_too() {
    let house = House::open().await;
    let reply = house
        .post(
            &[("traceparent", TOLD), ("content-type", "text/plain")],
            "x",
        )
        .await;
    assert_eq!(reply.json()["error"]["data"]["trace_id"], TOLD[3..35]);
}
