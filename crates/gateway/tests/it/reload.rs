//! A new configuration while the gateway serves.

use airside_gateway::State;

use crate::harness::{Act, House, Setup, headers, request};

const JSON: &str = "application/json";

const NO_SEARCH: &str = r#"
@id("test-all") permit (principal, action, resource);
@id("no-search") forbid (principal, action == Action::"call_tool", resource is Tool)
  when { resource == Tool::"hotels/search" };
"#;

#[tokio::test]
async fn new_rules_count_from_the_next_call_on() {
    let house = House::open().await;
    assert_eq!(house.call("search").await.status, 200);
    house.reload(NO_SEARCH, |_| {});
    assert_eq!(house.call("search").await.verdict(), "403 40300 POL-002");
    let body = request("tools/list", "");
    let listed = house.post(&headers("tools/list", ""), body).await;
    assert!(!listed.json().to_string().contains("search"), "{listed:?}");
}

#[tokio::test]
async fn upstream_that_stays_the_same_keeps_its_connections_and_its_breaker() {
    let house = House::with(Setup {
        upstream: Box::new(|upstream| upstream.breaker_failures = 1),
        ..Setup::default()
    })
    .await;
    house
        .upstream
        .next("search", Act::Answer(503, JSON, "{}".into()));
    assert_eq!(house.call("search").await.status, 503);
    house.reload(NO_SEARCH, |upstream| upstream.breaker_failures = 1);
    assert_eq!(house.breaker(), State::Open);
    house.reload(NO_SEARCH, |upstream| upstream.breaker_failures = 2);
    assert_eq!(house.breaker(), State::Closed, "it is another upstream now");
}

#[tokio::test]
async fn call_in_flight_ends_under_the_rules_it_began_with() {
    let house = House::open().await;
    let (gate, said) = tokio::sync::oneshot::channel();
    let answer = Act::Answer(200, JSON, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.into());
    house
        .upstream
        .next("search", Act::After(said, Box::new(answer)));
    let (reply, ()) = tokio::join!(house.call("search"), async {
        house.upstream.called(1).await;
        house.reload(NO_SEARCH, |_| {});
        gate.send(()).unwrap();
    });
    assert_eq!(reply.status, 200);
    assert_eq!(house.ending(1).await, "call.completed ok -");
}
