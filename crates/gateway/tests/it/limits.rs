//! Deadlines, the breaker, disconnects, and the end of the gateway.

use std::time::Duration;

use airside_gateway::{State, config::WhenFull};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};

use crate::harness::{Act, House, Setup, call, headers, request, within};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

async fn house(change: impl FnOnce(&mut airside_gateway::config::Upstream) + 'static) -> House {
    House::with(Setup {
        upstream: Box::new(change),
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn silent_upstream_is_a_timeout() {
    let house = house(|upstream| upstream.first_byte_timeout_ms = Some(100)).await;
    house.upstream.next("search", Act::Silent);
    assert_eq!(house.call("search").await.verdict(), "504 50400 GW-021");
    house.upstream.idle().await;
    assert_eq!(house.ending(1).await, "call.completed timeout GW-021");
}

#[tokio::test]
async fn deadline_covers_a_stalled_body() {
    let house = house(|upstream| upstream.deadline_ms = 100).await;
    house.upstream.next("search", Act::Stall(JSON, "{".into()));
    let reply = house.call("search").await;
    assert!(reply.broken, "{reply:?}");
    house.upstream.idle().await;
    assert_eq!(house.ending(1).await, "call.completed timeout GW-021");
}

#[tokio::test]
async fn silence_within_a_stream_has_a_limit_and_the_stream_has_none() {
    let house = house(|upstream| {
        upstream.first_byte_timeout_ms = Some(30_000);
        upstream.deadline_ms = 1;
        upstream.idle_timeout_ms = 200;
    })
    .await;
    house
        .upstream
        .next("search", Act::Stall(EVENTS, "data: {}\n\n".into()));
    let reply = house.call("search").await;
    assert!(reply.broken);
    assert_eq!(house.ending(1).await, "call.completed timeout GW-021");
}

#[tokio::test]
async fn answer_over_the_limit_is_broken_off() {
    let house = house(|upstream| upstream.max_response_bytes = 1000).await;
    let large = Bytes::from(vec![b' '; 1001]);
    house
        .upstream
        .next("search", Act::Answer(200, JSON, large.clone()));
    assert_eq!(house.call("search").await.verdict(), "502 50200 GW-025");
    let (sender, receiver) = mpsc::channel(1);
    house.upstream.next("search", Act::Stream(JSON, receiver));
    sender.send("{".into()).await.unwrap();
    let fields = headers("tools/call", "search");
    let mut answer = house
        .start("POST", "/mcp", &fields, call("search").into())
        .await;
    // Its head has come; what there is of the body is held until it can be read.
    sender.send(large).await.unwrap();
    assert!(answer.piece().await.unwrap().is_err());
    assert_eq!(house.ending(2).await, "call.completed broken GW-025");
}

#[tokio::test]
async fn server_that_was_never_reached_is_not_said_to_list_nothing() {
    let house = House::open().await;
    house.reload(airside_policy::DEFAULT, |upstream| {
        // Nobody listens there: the port was taken from the system and given back.
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/mcp", free.local_addr().unwrap());
        upstream.url = Some(url.parse().unwrap());
    });
    assert_eq!(house.call("search").await.verdict(), "502 50200 GW-020");
    assert_eq!(house.ending(1).await, "call.refused refused GW-020");
    // What is listed where nobody is asked again stays unknown.
    house.reload(airside_policy::DEFAULT, |_| {});
    house.upstream.lists(&["search"]);
    let verdict = house.call("nothing").await.verdict();
    assert!(verdict.ends_with("POL-001"), "{verdict}");
}

#[tokio::test]
async fn unreachable_upstream_opens_the_breaker() {
    let house = house(|upstream| {
        // Nobody listens there: the port was taken from the system and given back.
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}/mcp", free.local_addr().unwrap());
        upstream.url = Some(url.parse().unwrap());
        upstream.breaker_failures = 2;
        upstream.breaker_open_ms = 60_000;
    })
    .await;
    let mut verdicts = Vec::new();
    let last = loop {
        let reply = house.call("search").await;
        verdicts.push(reply.verdict());
        if reply.status == 503 || verdicts.len() > 3 {
            break reply;
        }
    };
    assert_eq!(last.verdict(), "503 50300 GW-023", "{verdicts:?}");
    let wait = last.json()["error"]["data"]["retry_after_ms"]
        .as_u64()
        .unwrap();
    assert!((1..=60_000).contains(&wait));
    let seconds: u64 = last.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&seconds));
    assert_eq!(house.breaker(), State::Open);
}

#[tokio::test]
async fn breaker_closes_when_the_upstream_is_well_again() {
    let house = house(|upstream| {
        upstream.breaker_failures = 1;
        upstream.breaker_open_ms = 50;
    })
    .await;
    assert_eq!(house.call("search").await.status, 200);
    house
        .upstream
        .next("search", Act::Answer(503, JSON, "{}".into()));
    assert_eq!(house.call("search").await.status, 503);
    let well = async {
        while house.call("search").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    within(well).await;
    assert_eq!(house.breaker(), State::Closed);
}

#[tokio::test]
async fn calls_over_the_connection_limit_wait_and_are_refused() {
    let house = house(|upstream| {
        upstream.max_connections = 1;
        upstream.queue_timeout_ms = 100;
    })
    .await;
    assert_eq!(house.call("search").await.status, 200);
    let (sender, receiver) = mpsc::channel(1);
    house.upstream.next("search", Act::Stream(EVENTS, receiver));
    sender.send("data: {}\n\n".into()).await.unwrap();
    let fields = headers("tools/call", "search");
    let mut first = house
        .start("POST", "/mcp", &fields, call("search").into())
        .await;
    first.piece().await.unwrap().unwrap();
    assert_eq!(house.call("search").await.verdict(), "503 50300 GW-022");
    drop(sender);
    assert!(first.piece().await.is_none());
    assert_eq!(house.call("search").await.status, 200);
}

#[tokio::test]
async fn client_that_goes_away_cancels_a_read() {
    let house = House::open().await;
    let (sender, receiver) = mpsc::channel(1);
    house.upstream.next("search", Act::Stream(EVENTS, receiver));
    sender.send("data: {}\n\n".into()).await.unwrap();
    let fields = headers("tools/call", "search");
    let mut answer = house
        .start("POST", "/mcp", &fields, call("search").into())
        .await;
    answer.piece().await.unwrap().unwrap();
    answer.hang_up().await;
    house.upstream.idle().await;
    assert_eq!(house.ending(1).await, "call.completed cancelled -");
}

#[tokio::test]
async fn effect_is_followed_to_its_end_when_the_client_goes_away() {
    let house = House::open().await;
    let (sender, receiver) = mpsc::channel(1);
    house.upstream.next("book", Act::Stream(JSON, receiver));
    sender
        .send(r#"{"jsonrpc":"2.0","id":7,"#.into())
        .await
        .unwrap();
    let fields = headers("tools/call", "book");
    let answer = house
        .start("POST", "/mcp", &fields, call("book").into())
        .await;
    answer.hang_up().await;
    sender
        .send(r#""result":{"isError":true}}"#.into())
        .await
        .unwrap();
    drop(sender);
    assert_eq!(house.ending(2).await, "call.completed tool_error -");
}

#[tokio::test]
async fn effect_is_followed_before_it_is_answered_too() {
    let house = House::open().await;
    let (sender, receiver) = mpsc::channel(1);
    let (gate, open) = tokio::sync::oneshot::channel::<()>();
    house.upstream.next(
        "book",
        Act::After(open, Box::new(Act::Stream(JSON, receiver))),
    );
    let fields = headers("tools/call", "book");
    {
        let client = std::pin::pin!(house.start("POST", "/mcp", &fields, call("book").into()));
        tokio::select! {
            _ = client => panic!("nobody answers"),
            () = house.upstream.called(1) => {}
        }
    }
    house.hang_up_clients();
    gate.send(()).unwrap();
    sender
        .send(r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.into())
        .await
        .unwrap();
    drop(sender);
    assert_eq!(house.ending(2).await, "call.completed ok -");
}

#[tokio::test]
async fn upstream_that_breaks_off_breaks_the_answer_visibly() {
    let house = House::open().await;
    let (breaks, said) = tokio::sync::oneshot::channel();
    let act = Act::Break(EVENTS, "data: {}\n\n".into(), said);
    house.upstream.next("search", act);
    let fields = headers("tools/call", "search");
    let mut answer = house
        .start("POST", "/mcp", &fields, call("search").into())
        .await;
    answer.piece().await.unwrap().unwrap();
    breaks.send(()).unwrap();
    assert!(answer.piece().await.unwrap().is_err());
    assert_eq!(house.ending(1).await, "call.completed broken GW-024");
}

#[tokio::test]
async fn nothing_happens_without_room_for_its_record() {
    for (when_full, expected) in [(WhenFull::Refuse, 503), (WhenFull::Serve, 200)] {
        let mut setup = Setup::default();
        setup.recording.when_full = when_full;
        setup.ledger.queue_requests = 0;
        let house = House::with(setup).await;
        assert_eq!(house.call("book").await.verdict(), "503 50300 GW-030");
        assert!(house.upstream.calls().is_empty());
        assert_eq!(house.call("search").await.status, expected);
    }
}

#[tokio::test]
async fn connections_over_the_limit_are_closed() {
    let mut setup = Setup::default();
    setup.listen.max_connections = 1;
    let house = House::with(setup).await;
    let first = TcpStream::connect(house.address).await.unwrap();
    // Accepted in order: when the second is closed, the first has been counted.
    assert_eq!(house.raw(b"").await, "");
    drop(first);
    let served = async {
        loop {
            let answer = house
                .raw(b"GET /mcp HTTP/1.0\r\nhost: localhost\r\n\r\n")
                .await;
            if answer.starts_with("HTTP/1.") {
                break;
            }
        }
    };
    within(served).await;
}

#[tokio::test]
async fn calls_in_flight_are_finished_when_the_gateway_stops() {
    let house = House::open().await;
    let (sender, receiver) = mpsc::channel(1);
    house.upstream.next("search", Act::Stream(JSON, receiver));
    sender
        .send(r#"{"jsonrpc":"2.0","id":7,"#.into())
        .await
        .unwrap();
    let fields = headers("tools/call", "search");
    let mut answer = house
        .start("POST", "/mcp", &fields, call("search").into())
        .await;
    house.supervisor.request_stop();
    let closed = async { while TcpStream::connect(house.address).await.is_ok() {} };
    within(closed).await;
    sender.send(r#""result":{}}"#.into()).await.unwrap();
    drop(sender);
    let piece = answer.piece().await.unwrap().unwrap();
    assert_eq!(piece, r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    assert!(answer.piece().await.is_none());
    assert_eq!(house.supervisor.stop(Duration::from_secs(10)).await, 0);
}

/// A gateway that waits for running calls a moment only.
async fn hasty() -> House {
    let mut setup = Setup::default();
    setup.listen.drain_ms = 100;
    House::with(setup).await
}

#[tokio::test]
async fn stream_that_does_not_end_gets_an_error_for_its_last_event() {
    let house = hasty().await;
    house
        .upstream
        .next("search", Act::Stall(EVENTS, "data: {}\n\n".into()));
    let fields = headers("tools/call", "search");
    let mut answer = house
        .start("POST", "/mcp", &fields, call("search").into())
        .await;
    assert_eq!(answer.piece().await.unwrap().unwrap(), "data: {}\n\n");
    house.supervisor.request_stop();
    let rest = answer.whole().await;
    let last = String::from_utf8_lossy(&rest.body).into_owned();
    let last: Value = serde_json::from_str(last.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        (&last["id"], &last["error"]["data"]["code"]),
        (&json!(7), &json!("GW-095"))
    );
    assert!(!rest.broken);
    assert_eq!(house.supervisor.stop(Duration::from_secs(10)).await, 0);
    assert_eq!(house.ending(1).await, "call.completed cancelled -");
}

#[tokio::test]
async fn answer_that_does_not_end_is_cut_off_visibly() {
    let house = hasty().await;
    house.upstream.next("book", Act::Stall(JSON, "{".into()));
    let fields = headers("tools/call", "book");
    let booking = house
        .start("POST", "/mcp", &fields, call("book").into())
        .await;
    house.supervisor.request_stop();
    assert!(booking.whole().await.broken);
    assert_eq!(house.supervisor.stop(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn what_is_not_answered_in_time_is_refused_when_the_gateway_stops() {
    for (tool, hint) in [
        ("search", "repeat it"),
        (
            "book",
            "what was asked for may have happened: look before you repeat it",
        ),
    ] {
        let house = hasty().await;
        house.upstream.next(tool, Act::Silent);
        let reply = async { house.call(tool).await };
        let stop = async {
            house.upstream.called(1).await;
            house.supervisor.request_stop();
        };
        let (reply, ()) = tokio::join!(reply, stop);
        assert_eq!(reply.verdict(), "503 50300 GW-095");
        let json = reply.json();
        assert_eq!(
            (&json["id"], &json["error"]["data"]["hint"]),
            (&json!(7), &json!(hint))
        );
        assert_eq!(reply.headers["retry-after"], "1");
        assert_eq!(house.supervisor.stop(Duration::from_secs(10)).await, 0);
    }
}

/// Resolves when the gateway takes no connections any more.
async fn closed(house: &House) {
    within(async { while TcpStream::connect(house.address).await.is_ok() {} }).await;
}

/// Returns the search that a client of 2026-07-28 sends.
fn search(house: &House) -> String {
    let mut text = format!("POST /mcp HTTP/1.1\r\nhost: {}\r\n", house.address);
    for (name, value) in headers("tools/call", "search") {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let body = call("search");
    text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
    text
}

/// Reads one answer and returns its head.
async fn answer(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&all);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if length.is_none_or(|length| body.len() >= length.parse().unwrap()) {
                break head.to_owned();
            }
        }
        let read = within(stream.read_buf(&mut all)).await.unwrap();
        assert_ne!(read, 0, "no answer: {:?}", String::from_utf8_lossy(&all));
    }
}

#[tokio::test]
async fn request_that_has_begun_is_answered_when_the_gateway_stops() {
    let house = House::open().await;
    let request = search(&house);
    let places = [1, request.find("\r\n\r\n").unwrap() + 5, request.len() - 1];
    let mut streams = Vec::new();
    for place in places {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream
            .write_all(&request.as_bytes()[..place])
            .await
            .unwrap();
        streams.push((stream, place));
    }
    // Accepted in order: once this one is answered, the others are being read.
    assert_eq!(house.call("search").await.status, 200);
    house.supervisor.request_stop();
    closed(&house).await;
    for (stream, place) in &mut streams {
        stream
            .write_all(&request.as_bytes()[*place..])
            .await
            .unwrap();
        let head = answer(stream).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{place}: {head}");
        assert!(head.contains("\r\nconnection: close"), "{place}: {head}");
        assert_eq!(within(stream.read(&mut [0])).await.unwrap(), 0);
    }
    assert_eq!(house.supervisor.stop(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn kept_connection_gets_one_more_answer_when_the_gateway_stops() {
    let mut setup = Setup::default();
    setup.listen.drain_idle_ms = 30_000;
    let house = House::with(setup).await;
    let request = search(&house);
    let mut kept = TcpStream::connect(house.address).await.unwrap();
    kept.write_all(request.as_bytes()).await.unwrap();
    let first = answer(&mut kept).await;
    assert!(!first.contains("connection: close"), "{first}");
    let mut fresh = TcpStream::connect(house.address).await.unwrap();
    house.supervisor.request_stop();
    closed(&house).await;
    for stream in [&mut kept, &mut fresh] {
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = answer(stream).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("\r\nconnection: close"), "{head}");
        assert_eq!(within(stream.read(&mut [0])).await.unwrap(), 0);
    }
    assert_eq!(house.supervisor.stop(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn connection_that_carries_nothing_does_not_hold_up_the_stop() {
    let house = House::open().await;
    let mut idle = TcpStream::connect(house.address).await.unwrap();
    idle.write_all(search(&house).as_bytes()).await.unwrap();
    answer(&mut idle).await;
    house.supervisor.request_stop();
    assert_eq!(within(idle.read(&mut [0])).await.unwrap(), 0);
    assert_eq!(house.supervisor.stop(Duration::from_secs(10)).await, 0);
}

#[tokio::test]
async fn subscription_ends_with_its_result_when_the_gateway_stops() {
    let house = House::open().await;
    let (sender, receiver) = mpsc::channel(1);
    house.upstream.next("", Act::Stream(EVENTS, receiver));
    let acknowledged = r#"data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{"notifications":{"toolsListChanged":true},"_meta":{"io.modelcontextprotocol/subscriptionId":7}}}"#;
    sender
        .send(format!("{acknowledged}\n\n").into())
        .await
        .unwrap();
    let fields = headers("subscriptions/listen", "");
    let body = request(
        "subscriptions/listen",
        r#""notifications":{"toolsListChanged":true}"#,
    );
    let mut answer = house.start("POST", "/mcp", &fields, body.into()).await;
    answer.piece().await.unwrap().unwrap();
    house.supervisor.request_stop();
    let rest = answer.whole().await;
    let text = String::from_utf8_lossy(&rest.body).into_owned();
    let event = text.trim_end().rsplit("data: ").next().unwrap();
    let last: serde_json::Value = serde_json::from_str(event).unwrap();
    assert_eq!(last["id"], 7);
    assert_eq!(last["result"]["resultType"], "complete");
    assert!(!rest.broken);
    house.upstream.idle().await;
}
