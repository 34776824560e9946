//! Limits in front of an upstream: what is refused, what is told, what is on record.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use airside_limits::Counters;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use airside_limits::{StoreOptions, Time};
use airside_testkit::redis::Server;

use crate::harness::{Act, House, call, headers, request};

const JSON: &str = "application/json";
/// Units come back long after the test.
const SLOW: &str = r#""rate":"1/h","burst":2"#;

async fn house(limits: &[&str]) -> (House, Arc<Counters>) {
    let house = House::open().await;
    let counters = house.counters().await;
    house.limit(limits, &counters);
    (house, counters)
}

fn named(name: &str, rest: &str) -> String {
    format!(r#"{{"name":"{name}",{rest}}}"#)
}

#[tokio::test]
async fn caller_over_the_rate_is_told_when_to_come_back() {
    let limit = named("pace", &format!(r#"{SLOW},"per":["client"]"#));
    let (house, _) = house(&[&limit]).await;
    let first = house.call("search").await;
    assert_eq!(first.status, 200);
    assert_eq!(first.headers["ratelimit-policy"], "\"pace\";q=2;w=7200");
    assert_eq!(first.headers["ratelimit"], "\"pace\";r=1;t=3600");
    assert_eq!(house.call("search").await.status, 200);

    let refused = house.call("search").await;
    assert_eq!(refused.verdict(), "429 42900 POL-020");
    assert_eq!(refused.headers["ratelimit-policy"], "\"pace\";q=2;w=7200");
    assert_eq!(refused.headers["ratelimit"], "\"pace\";r=0;t=7200");
    assert_eq!(refused.headers["retry-after"], "3600");
    let data = &refused.json()["error"]["data"];
    assert_eq!(
        (&data["limit"], &data["quota"], &data["remaining"]),
        (&json!("pace"), &json!(2), &json!(0))
    );
    let calls = house.upstream.calls();
    assert_eq!(calls.len(), 2, "nothing was sent");
    // What the call took is on its record.
    let entries = house.entries(2).await;
    assert_eq!(
        entries[0].1["limits"],
        json!([{"limit":"pace","key":"tenant client","cost":1,"remaining":1}])
    );
    // Whoever comes back when it was told to is served, and not a second before.
    house.time.advance(Duration::from_secs(3_599));
    let early = house.call("search").await;
    assert_eq!(early.headers["retry-after"], "1");
    house.time.advance(Duration::from_secs(1));
    assert_eq!(house.call("search").await.status, 200);
}

#[tokio::test]
async fn limits_on_the_head_are_asked_before_the_body() {
    let limit = named("pace", r#""rate":"1/h""#);
    let (house, _) = house(&[&limit]).await;
    assert_eq!(house.call("search").await.status, 200);
    // Of the body nothing has come, and nothing is waited for.
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nexpect: 100-continue\r\n\
         content-length: 1000000\r\nconnection: close\r\n\r\n",
        house.address
    );
    let answer = house.raw(head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
    // Lists cost as much as calls do.
    let fields = headers("tools/list", "");
    let list = house.post(&fields, request("tools/list", ""));
    assert_eq!(list.await.verdict(), "429 42900 POL-020");
}

#[tokio::test]
async fn model_is_told_in_a_sentence_where_a_limit_says_so() {
    let limit = named("pace", &format!(r#"{SLOW},"answer":"tool-result""#));
    let (house, _) = house(&[&limit]).await;
    for _ in 0..2 {
        assert_eq!(house.call("search").await.status, 200);
    }
    let refused = house.call("search").await;
    assert_eq!(refused.status, 200);
    let answer = refused.json();
    let result = &answer["result"];
    assert_eq!(
        (&answer["id"], &result["isError"]),
        (&json!(7), &json!(true))
    );
    assert_eq!(
        result["content"][0]["text"],
        "The rate limit `pace` is reached: wait 60 minutes, then repeat the call."
    );
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["_meta"]["airside/limit"]["code"], "POL-020");
    assert_eq!(refused.headers["ratelimit"], "\"pace\";r=0;t=7200");
    assert_eq!(house.ending(3).await, "call.refused permitted POL-020");
    assert_eq!(house.upstream.calls().len(), 2);
}

#[tokio::test]
async fn proposed_code_is_sent_where_a_limit_says_so() {
    let limit = named("pace", r#""rate":"1/h","answer":"rate-limited""#);
    let (house, _) = house(&[&limit]).await;
    assert_eq!(house.call("search").await.status, 200);
    let refused = house.call("search").await;
    assert_eq!(refused.verdict(), "429 -32023 POL-020");
    assert!(refused.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn tools_have_budgets_and_weights_of_their_own() {
    let weighed = named(
        "tools",
        r#""rate":"1/h","burst":5,"per":["tool"],"costs":{"search":3}"#,
    );
    let acts = named("acts", r#""rate":"1/h","burst":1,"tools-that":"act""#);
    let (house, _) = house(&[&weighed, &acts]).await;
    let searched = house.call("search").await;
    assert_eq!(searched.headers["ratelimit"], "\"tools\";r=2;t=10800");
    assert_eq!(house.call("search").await.verdict(), "429 42900 POL-020");
    let booked = house.call("book").await;
    assert_eq!(booked.headers["ratelimit"], "\"acts\";r=0;t=3600");
    let refused = house.call("book").await;
    assert_eq!(refused.json()["error"]["data"]["limit"], "acts");
}

#[tokio::test]
async fn one_limit_that_refuses_costs_the_others_nothing() {
    let wide = named("wide", r#""rate":"1/h","burst":9,"tools":["search"]"#);
    let tight = named("tight", r#""rate":"1/h","burst":1,"tools":["sea*"]"#);
    let (house, _) = house(&[&wide, &tight]).await;
    // Of several budgets the one is told that is nearest to its end.
    assert_eq!(
        house.call("search").await.headers["ratelimit"],
        "\"tight\";r=0;t=3600"
    );
    for _ in 0..5 {
        assert_eq!(house.call("search").await.status, 429);
    }
    let snapshot = house.snapshot.load();
    let usage = snapshot.limits().unwrap().usage(10);
    let of = |name: &str| usage.iter().find(|usage| usage.limit == name).unwrap();
    assert_eq!((of("wide").used, of("tight").used), (1, 1));
    assert_eq!(usage[0].limit, "tight", "the furthest first");
}

#[tokio::test]
async fn users_and_markets_are_told_apart() {
    let users = named("users", r#""rate":"1/h","per":["user"]"#);
    let markets = named(
        "markets",
        r#""rate":"1/h","burst":3,"per":["market"],"market-argument":"country""#,
    );
    let (house, _) = house(&[&users, &markets]).await;
    let by = |user: &str, country: &str| {
        call("search")
            .replace(
                "\"arguments\":{}",
                &format!(r#""arguments":{{"country":"{country}"}}"#),
            )
            .replace(
                "\"_meta\":{",
                &format!(r#""_meta":{{"openai/subject":"{user}","#),
            )
    };
    let post = async |user: &str, country: &str| {
        let body = by(user, country);
        house
            .post(&headers("tools/call", "search"), body)
            .await
            .status
    };
    assert_eq!(post("ann", "DE").await, 200);
    assert_eq!(post("ann", "FR").await, 429);
    assert_eq!(post("bob", "de").await, 200);
    assert_eq!(post("eve", "De").await, 200);
    assert_eq!(post("mallory", "DE").await, 429, "the market is used up");
    assert_eq!(post("mallory", "FR").await, 200);
    // Who does not say who is behind them is one user.
    assert_eq!(house.call("search").await.status, 200);
    assert_eq!(house.call("search").await.status, 429);
}

#[tokio::test]
async fn calls_under_way_hold_their_places_to_the_end() {
    let limit = named("slots", r#""concurrent":1,"per":["client"]"#);
    let (house, _) = house(&[&limit]).await;
    let (go, waits) = oneshot::channel();
    let answer = Act::Answer(
        200,
        JSON,
        Bytes::from_static(b"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{}}"),
    );
    house
        .upstream
        .next("search", Act::After(waits, Box::new(answer)));
    let (search, second) = tokio::join!(house.call("search"), async {
        house.upstream.called(1).await;
        let refused = house.call("search").await;
        go.send(()).unwrap();
        refused
    });
    assert_eq!(search.status, 200);
    assert_eq!(second.verdict(), "429 42900 POL-021");
    assert_eq!(
        second.headers["ratelimit-policy"],
        "\"slots\";q=1;qu=\"concurrent-requests\""
    );
    house.entries(1).await;
    assert_eq!(house.call("search").await.status, 200);
}

#[tokio::test]
async fn bookings_earn_searches() {
    let budget = r#""look-to-book":{"ratio":2,"floor":1,"books":["book"]},"per":["session"],"answer":"tool-result""#;
    let (house, _) = house(&[&named("looks", budget)]).await;
    let is_refused = |answer: Value| answer["result"]["isError"] == json!(true);
    assert!(!is_refused(house.call("search").await.json()));
    let refused = house.call("search").await.json();
    assert!(is_refused(refused.clone()));
    assert_eq!(
        refused["result"]["_meta"]["airside/limit"]["code"],
        "POL-023"
    );
    let text = refused["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.contains("help the user to decide"), "{text}");
    // A booking that fails earns nothing.
    let failed = r#"{"jsonrpc":"2.0","id":7,"result":{"content":[],"isError":true}}"#;
    house
        .upstream
        .next("book", Act::Answer(200, JSON, failed.into()));
    house.call("book").await;
    house.entries(4).await;
    assert!(is_refused(house.call("search").await.json()));
    house.call("book").await;
    house.entries(6).await;
    assert!(!is_refused(house.call("search").await.json()));
    assert!(!is_refused(house.call("search").await.json()));
    assert!(is_refused(house.call("search").await.json()));
}

#[tokio::test]
async fn quota_survives_a_restart() {
    let limit = named("day", r#""quota":{"daily":3},"per":["tenant"]"#);
    let (house, counters) = house(&[&limit]).await;
    for _ in 0..2 {
        assert_eq!(house.call("search").await.status, 200);
    }
    counters.save().await;
    let entries = house.entries(3).await;
    let counted = entries.iter().find(|(kind, _)| kind == "quota.counted");
    assert_eq!(counted.unwrap().1["added"], 2);
    // Another process begins with the same ledger.
    let next = house.counters().await;
    house.limit(&[&limit], &next);
    assert_eq!(house.call("search").await.status, 200);
    let refused = house.call("search").await;
    assert_eq!(refused.verdict(), "429 42900 POL-022");
    // A node of the same ledger learns what the other has used.
    next.save().await;
    assert_eq!(house.call("search").await.status, 429);

    // An operator gives the units back, on record.
    let snapshot = house.snapshot.load_full();
    let plan = snapshot.limits().unwrap();
    plan.reset("day", "tenant=default", "ticket 7")
        .await
        .unwrap();
    assert_eq!(house.call("search").await.status, 200);
    for (limit, key) in [("day", "tenant=other"), ("other", "tenant=default")] {
        let unknown = plan.reset(limit, key, "x").await.unwrap_err();
        assert_eq!(unknown.code(), "GW-070");
    }
    next.save().await;
    let last = house.counters().await;
    house.limit(&[&limit], &last);
    let snapshot = house.snapshot.load();
    assert_eq!(snapshot.limits().unwrap().usage(10)[0].used, 1);
}

#[tokio::test]
async fn flood_of_refusals_is_counted_and_fills_nothing() {
    let early = named("early", r#""rate":"1/h","burst":60"#);
    let late = named("late", r#""rate":"1/h","per":["tool"]"#);
    let (house, counters) = house(&[&early, &late]).await;
    for _ in 0..100 {
        house.call("search").await;
    }
    counters.save().await;
    // One was served, 59 were refused by the late limit and 40 by the early one.
    let entries = house.entries(4).await;
    let kinds: Vec<&str> = entries.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds[..2], ["call.completed", "call.refused"]);
    let mut counted: Vec<(String, u64)> = entries[2..]
        .iter()
        .map(|(kind, body)| {
            assert_eq!(kind, "limit.reached");
            let limit = body["limit"].as_str().unwrap().to_owned();
            (limit, body["refused"].as_u64().unwrap())
        })
        .collect();
    counted.sort();
    assert_eq!(counted, [("early".to_owned(), 40), ("late".to_owned(), 58)]);
    let head = house.ledger.head(&airside_base::TenantId::default()).await;
    assert_eq!(head.unwrap().seq, 4, "a hundred calls, four entries");
}

#[tokio::test]
async fn two_gateways_share_one_budget_and_lose_the_store_together() {
    let mut server = Server::start().unwrap();
    let store = StoreOptions {
        url: airside_base::Redacted::new(server.url()),
        timeout: Duration::from_secs(5),
        nodes: NonZeroU32::new(2).unwrap(),
        prefix: "it".to_owned(),
        time: Time::Server,
    };
    let limit = named("pace", r#""rate":"1/h","burst":6,"per":["client"]"#);
    let houses = [House::open().await, House::open().await];
    let mut counters = Vec::new();
    for house in &houses {
        let own = house.counters_in(&store).await;
        own.start();
        until_store(&own, "shared").await;
        house.limit(&[&limit], &own);
        counters.push(own);
    }
    let mut served = [0, 0];
    for turn in 0..12 {
        let status = houses[turn % 2].call("search").await.status;
        served[turn % 2] += usize::from(status == 200);
    }
    assert_eq!(served, [3, 3]);
    server.kill();
    for (house, own) in houses.iter().zip(&counters) {
        // The first call finds out at the latest; nobody waits for a store that is away.
        house.call("search").await;
        until_store(own, "away").await;
        let statuses = [house.call("search").await, house.call("search").await];
        assert!(statuses.iter().any(|reply| reply.status == 200));
        let mut follower = house.ledger.follow(airside_base::TenantId::default(), 0);
        let mut kinds = Vec::new();
        while !kinds.contains(&"limit.store_away".to_owned()) {
            let entries = crate::harness::within(follower.next()).await.unwrap();
            kinds.extend(entries.iter().map(|entry| entry.kind.as_str().to_owned()));
        }
    }
    server.start_again().unwrap();
    for own in &counters {
        until_store(own, "shared").await;
    }
}

async fn until_store(counters: &Counters, state: &str) {
    let waiting = async {
        while counters.store() != state {
            tokio::task::yield_now().await;
        }
    };
    crate::harness::within(waiting).await;
}
