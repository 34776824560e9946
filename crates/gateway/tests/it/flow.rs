//! What passes, what is changed on the way, and what is recorded.

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::harness::{Act, House, call, headers, request};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

/// Numbers, blanks, escapes and members that a decoder would not give back as they were.
const ODD: &str = "{\r\n \"jsonrpc\":\"2.0\" ,\t\"x-unknown\":[10.10, 1e400, 0.1E+2, -0, 12345678901234567890123],\
 \"id\": 7,\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"\\u0041\\/\\ud83d\\ude00 \\u00e9 é\"}],\
 \"structuredContent\":{\"price\":10.10,\"b\":1,\"a\":2},\"b\":1,\"a\":1}}  \n";

#[tokio::test]
async fn bytes_pass_unchanged_both_ways() {
    let house = House::open().await;
    let odd = call("search").replace(r#""arguments":{}"#, "\"arguments\" : {\"p\":10.10,\t\"u\":\"\\u0041\\/\",\"big\":12345678901234567890123,\"p2\":1e300}, \"x\" :null");
    house
        .upstream
        .next("search", Act::Answer(200, JSON, ODD.into()));
    let reply = house
        .post(&headers("tools/call", "search"), odd.clone())
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body, ODD);
    assert_eq!(reply.headers["content-type"], JSON);
    assert_eq!(house.upstream.calls()[0].body, odd);
}

#[tokio::test]
async fn large_answers_and_streams_pass_unchanged() {
    let house = House::open().await;
    let text = "é\\u0041 ".repeat(200_000);
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":7,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
    );
    house
        .upstream
        .next("search", Act::Answer(200, JSON, large.clone().into()));
    assert_eq!(house.call("search").await.body, large);

    let events = format!(
        ": hello\r\n\r\nid: 1\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}}\n\nevent: message\ndata: {}\n\n",
        ODD.replace(['\r', '\n'], "")
    );
    house
        .upstream
        .next("search", Act::Answer(200, EVENTS, events.clone().into()));
    let reply = house.call("search").await;
    assert_eq!(reply.body, events);
    assert_eq!(reply.headers["content-type"], EVENTS);
    assert_eq!(house.ending(2).await, "call.completed ok -");
}

#[tokio::test]
async fn events_pass_as_they_come() {
    let house = House::open().await;
    let (sender, receiver) = mpsc::channel(1);
    house.upstream.next("search", Act::Stream(EVENTS, receiver));
    sender
        .send(Bytes::from_static(b"data: {\"one\":1}\n\n"))
        .await
        .unwrap();
    let fields = headers("tools/call", "search");
    let mut answer = house
        .start("POST", "/mcp", &fields, call("search").into())
        .await;
    assert_eq!(
        answer.piece().await.unwrap().unwrap(),
        "data: {\"one\":1}\n\n"
    );
    let last = r#"data: {"jsonrpc":"2.0","id":7,"result":{"isError":true,"content":[]}}"#;
    sender.send(format!("{last}\n\n").into()).await.unwrap();
    assert_eq!(
        answer.piece().await.unwrap().unwrap(),
        format!("{last}\n\n")
    );
    drop(sender);
    assert!(answer.piece().await.is_none());
    assert_eq!(house.ending(1).await, "call.completed tool_error -");
}

#[tokio::test]
async fn only_what_is_meant_for_the_other_side_passes() {
    let house = House::open().await;
    let mut fields = headers("tools/call", "search");
    fields.extend([
        ("cookie", "c=1"),
        ("x-api-key", "k"),
        ("origin", "http://localhost:1"),
        ("accept-encoding", "gzip"),
        ("mcp-param-market", "ch"),
        ("te", "trailers"),
    ]);
    let reply = house.post(&fields, call("search")).await;
    assert_eq!(reply.status, 200);
    assert!(!reply.headers.contains_key("set-cookie") && !reply.headers.contains_key("x-upstream"));
    let seen = &house.upstream.calls()[0];
    for name in [
        "cookie",
        "x-api-key",
        "origin",
        "accept-encoding",
        "te",
        "authorization",
    ] {
        assert!(!seen.headers.contains_key(name), "{name}");
    }
    assert_eq!(seen.headers["mcp-param-market"], "ch");
    assert_eq!(seen.method, http::Method::POST);
    assert_eq!(seen.headers["mcp-name"], "search");
    assert_eq!(seen.headers["host"], house.upstream.address.to_string());
}

#[tokio::test]
async fn connections_to_the_upstream_are_kept() {
    let house = House::open().await;
    for _ in 0..8 {
        assert_eq!(house.call("search").await.status, 200);
    }
    let made = house
        .upstream
        .connections
        .load(std::sync::atomic::Ordering::SeqCst);
    // One for each serving thread, and one for what the gateway itself asks.
    assert!(made <= 3, "{made}");
}

#[tokio::test]
async fn reads_are_recorded_once_they_have_ended() {
    let house = House::open().await;
    house.call("search").await;
    let entries = house.entries(1).await;
    let (kind, body) = &entries[0];
    assert_eq!(kind, "call.completed");
    let subject = &body["subject"];
    assert_eq!(subject["caller"]["kind"], "anonymous");
    assert_eq!(subject["client"], "tests/1");
    assert_eq!(subject["endpoint"], "/mcp");
    assert_eq!(subject["server"], "hotels");
    assert_eq!(subject["tool"], "search");
    assert_eq!(subject["revision"], "2026-07-28");
    assert_eq!(body["policies"], serde_json::json!(["test-all"]));
    assert_eq!(body["outcome"], "ok");
    assert_eq!(body["http_status"], 200);
    assert!(body["duration_us"].as_u64().unwrap() > 0);
    assert!(body["response_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn effects_are_recorded_before_they_are_sent() {
    let house = House::open().await;
    house.upstream.next("book", Act::Silent);
    let fields = headers("tools/call", "book");
    let client = house.start("POST", "/mcp", &fields, call("book").into());
    let called = house.upstream.called(1);
    tokio::select! {
        _ = client => panic!("nobody answers"),
        () = called => {}
    }
    let entries = house.entries(1).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].0, "call.intended");
    assert_eq!(entries[0].1["subject"]["tool"], "book");
}

#[tokio::test]
async fn refused_call_never_reaches_the_upstream() {
    let house = House::open().await;
    let reply = house.call("secret").await;
    assert_eq!(reply.verdict(), "403 40300 POL-002");
    assert_eq!(reply.json()["id"], 7);
    assert!(house.upstream.calls().is_empty());
    let entries = house.entries(1).await;
    assert_eq!(entries[0].0, "call.refused");
    assert_eq!(entries[0].1["policies"], serde_json::json!(["test-secret"]));
}

/// Under rules that permit only what is described, what nobody describes looks as
/// it does at a server that does not have it.
#[tokio::test]
async fn undescribed_tools_and_methods_look_absent() {
    const DESCRIBED: &str = r#"
@id("described") permit (principal, action == Action::"call_tool", resource is Tool)
  when { resource.known };
@id("reads") permit (principal, action in Action::"read", resource);
"#;
    let house = House::open().await;
    house.reload(DESCRIBED, |_| {});
    let unlisted = house.call("no-such-tool").await;
    assert_eq!(unlisted.verdict(), "200 -32602 POL-001");
    let vendor = request("vendor/method", "");
    let vendor = house.post(&headers("vendor/method", ""), vendor).await;
    assert_eq!(vendor.verdict(), "404 -32601 POL-001");
    assert!(house.upstream.calls().is_empty());
    let entries = house.entries(2).await;
    assert!(entries.iter().all(|entry| entry.0 == "call.refused"));
}

/// Says "now" from the beginning.
fn at_once() -> oneshot::Receiver<()> {
    oneshot::channel().1
}

#[tokio::test]
async fn endings_are_told_apart() {
    for (act, expected) in [
        (
            Act::Answer(200, JSON, r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true,"content":[]}}"#.into()),
            "call.completed tool_error -",
        ),
        (
            Act::Answer(200, JSON, r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"m"}}"#.into()),
            "call.completed rpc_error -32602",
        ),
        (
            Act::Answer(404, JSON, r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"m"}}"#.into()),
            "call.completed rpc_error -32601",
        ),
        (Act::Answer(500, "text/plain", "oops".into()), "call.completed http_error -"),
        (
            Act::Answer(200, JSON, r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"input_required","requestState":"s"}}"#.into()),
            "call.completed input_required -",
        ),
        (Act::Answer(401, JSON, "{}".into()), "call.completed broken GW-026"),
        (Act::Answer(307, JSON, "".into()), "call.completed broken GW-026"),
        (Act::Break(JSON, "{".into(), at_once()), "call.completed broken GW-024"),
        (Act::Answer(200, EVENTS, ": nothing\n\n".into()), "call.completed unanswered GW-090"),
        (Act::Answer(200, JSON, "".into()), "call.completed unanswered GW-090"),
        (Act::Answer(202, JSON, "".into()), "call.completed unanswered GW-090"),
        (Act::Answer(200, JSON, "<<< not json".into()), "call.completed unanswered GW-090"),
        (
            Act::Answer(200, JSON, r#"{"jsonrpc":"2.0","id":7,"result":{},"result":{"isError":true}}"#.into()),
            "call.completed unanswered GW-090",
        ),
        (
            Act::Answer(200, JSON, format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"a":{}{}}}}}"#, "[".repeat(5_000), "]".repeat(5_000)).into()),
            "call.completed unanswered GW-090",
        ),
        (Act::Answer(200, "text/html; charset=utf-8", "<html>log in</html>".into()), "call.completed broken GW-026"),
    ] {
        let house = House::open().await;
        house.upstream.next("search", act);
        house.call("search").await;
        assert_eq!(house.ending(1).await, expected);
    }
}

#[tokio::test]
async fn what_is_no_answer_to_the_call_is_an_error_with_a_code() {
    for (answer, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m"}}"#,
            "200 -32700 -",
        ),
        (
            r#"{"jsonrpc":"2.0","id":7,"result":{"content":[}"#,
            "502 50200 GW-090",
        ),
        (
            r#"{"jsonrpc":"2.0","id":8,"result":{"content":[]}}"#,
            "502 50200 GW-090",
        ),
        (
            r#"{"jsonrpc":"2.0","id":"7","result":{"content":[]}}"#,
            "502 50200 GW-090",
        ),
        (
            r#"{"jsonrpc":"2.0","id":null,"result":{"content":[]}}"#,
            "502 50200 GW-090",
        ),
        ("[]", "502 50200 GW-090"),
        ("", "502 50200 GW-090"),
    ] {
        for tool in ["search", "book"] {
            let house = House::open().await;
            let act = Act::Answer(200, JSON, answer.into());
            house.upstream.next(tool, act);
            let reply = house.call(tool).await;
            assert_eq!(reply.verdict(), expected, "{answer}");
            if reply.status == 502 {
                let json = reply.json();
                assert_eq!(json["id"], 7);
                let hint = json["error"]["data"]["hint"].as_str().unwrap();
                assert_eq!(hint.contains("may have happened"), tool == "book", "{hint}");
            }
        }
    }
}

#[tokio::test]
async fn what_turns_out_to_be_no_answer_breaks_off() {
    let house = House::open().await;
    for (end, broken) in [("}", false), ("", true)] {
        let (sender, receiver) = mpsc::channel(1);
        house.upstream.next("search", Act::Stream(JSON, receiver));
        sender
            .send(r#"{"jsonrpc":"2.0","id":7,"result":{}"#.into())
            .await
            .unwrap();
        let fields = headers("tools/call", "search");
        let answer = house
            .start("POST", "/mcp", &fields, call("search").into())
            .await;
        sender.send(end.into()).await.unwrap();
        drop(sender);
        assert_eq!(answer.whole().await.broken, broken, "{end}");
    }
    assert_eq!(house.ending(2).await, "call.completed unanswered GW-090");
}

#[tokio::test]
async fn statuses_and_errors_of_the_upstream_pass_through() {
    let house = House::open().await;
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32601,"message":"no such method"}}"#;
    house
        .upstream
        .next("", Act::Answer(404, JSON, error.into()));
    let body = request("future/method", "");
    let reply = house.post(&headers("future/method", ""), body).await;
    assert_eq!((reply.status, &reply.body[..]), (404, error.as_bytes()));
}

#[tokio::test]
async fn what_may_not_be_called_is_not_listed() {
    let house = House::open().await;
    let body = request("tools/list", "");
    let reply = house.post(&headers("tools/list", ""), body).await;
    let json = reply.json();
    let tools = json["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools
        .iter()
        .map(|tool| tool["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["search", "book"]);
}
