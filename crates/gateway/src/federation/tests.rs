//! Endpoints in front of scripted servers of every era, driven as the pipeline does.

mod script;

use airside_base::TenantId;
use airside_identity::{Attestation, CallerKind};
use http::{HeaderValue, Method};
use serde_json::{Value, json};

use self::script::{Bench, Speaks, meta};
use super::*;
use crate::cache::Key;

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn names(list: &Value, kind: &str, key: &str) -> Vec<String> {
    let items = list["result"][kind].as_array().unwrap();
    items
        .iter()
        .map(|item| text(&item[key]).to_owned())
        .collect()
}

#[tokio::test]
async fn only_server_gets_and_gives_the_bytes_as_they_are() {
    let bench = Bench::new(&[("a", Speaks::Both)]);
    let body = format!(
        "{{ \"id\" : \"\\u0041\",\n\"params\":{{\"name\":\"get\",\"arguments\":{{\"p\":10.10,\"n\":12345678901234567890}},{} }},\"jsonrpc\":\"2.0\", \"method\":\"tools/call\"}}",
        meta()
    );
    let answer = bench.modern(&body).await;
    assert_eq!(
        answer.text,
        "{\"jsonrpc\":\"2.0\",\"id\":\"\\u0041\",\"result\":{\"content\":[{\"type\":\"resource_link\",\"uri\":\"x://1\",\"name\":\"get@a\"}],\"price\":10.10}}"
    );
    assert_eq!(bench.server("a").last("tools/call").body, body);
}

#[tokio::test]
async fn merged_names_lead_back_to_their_servers() {
    let bench = Bench::new(&[("b", Speaks::Both), ("a", Speaks::Both)]);
    let list = bench.ask("tools/list", "").await;
    assert_eq!(
        names(&list, "tools", "name"),
        ["b_get", "b_put", "a_get", "a_put"]
    );
    assert_eq!(
        list["result"]["tools"][0]["_meta"]["ui"]["resourceUri"],
        "ui://b_m/v"
    );
    assert_eq!(list["result"]["ttlMs"], 60_000);

    let call = bench
        .ask("tools/call", r#""name":"a_get","arguments":{},"#)
        .await;
    assert_eq!(call["result"]["content"][0]["name"], "get@a");
    let seen = bench.server("a").last("tools/call");
    assert_eq!(seen.headers["mcp-name"], "get");
    assert!(seen.body.contains(r#""name":"get""#), "{}", seen.body);

    let uri = text(&call["result"]["content"][0]["uri"]);
    assert_eq!(uri, "mcp.a+x://1");
    for uri in [uri, "ui://b_m/v"] {
        let read = bench
            .ask("resources/read", &format!(r#""uri":"{uri}","#))
            .await;
        assert_eq!(read["result"]["contents"][0]["uri"], uri);
    }
    assert!(
        bench
            .server("b")
            .last("resources/read")
            .body
            .contains("\"ui://m/v\"")
    );

    let resources = bench.ask("resources/list", "").await;
    assert_eq!(
        names(&resources, "resources", "uri"),
        ["mcp.b+x://1", "mcp.a+x://1"]
    );
    let complete =
        r#""ref":{"type":"ref/prompt","name":"b_greet"},"argument":{"name":"n","value":"v"},"#;
    bench.ask("completion/complete", complete).await;
    assert!(
        bench
            .server("b")
            .last("completion/complete")
            .body
            .contains("\"greet\"")
    );
}

#[tokio::test]
async fn name_that_leads_nowhere_is_a_wrong_parameter() {
    let bench = Bench::new(&[("a", Speaks::Both), ("b", Speaks::Both)]);
    for (method, params) in [
        ("tools/call", r#""name":"get","#),
        ("tools/call", r#""name":"c_get","#),
        ("resources/read", r#""uri":"x://1","#),
        ("tasks/get", r#""taskId":"7","#),
    ] {
        let answer = bench.ask(method, params).await;
        assert_eq!(answer["error"]["code"], -32602, "{method} {params}");
        assert_eq!(answer["error"]["data"]["code"], "GW-042");
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_server_costs_the_others_only_its_deadline() {
    let bench = Bench::new(&[
        ("a", Speaks::Both),
        ("slow", Speaks::Nothing),
        ("b", Speaks::Both),
    ]);
    let list = bench.ask("tools/list", "").await;
    assert_eq!(names(&list, "tools", "name").len(), 4);
    assert_eq!(
        list["result"]["_meta"]["airside/unavailable"],
        json!(["slow"])
    );
    assert_eq!(list["result"]["ttlMs"], 0, "an incomplete list is not kept");
    let discover = bench.ask("server/discover", "").await;
    assert_eq!(
        discover["result"]["_meta"]["airside/unavailable"],
        json!(["slow"])
    );

    let alone = Bench::new(&[("slow", Speaks::Nothing), ("slow2", Speaks::Nothing)]);
    let answer = alone.ask("tools/list", "").await;
    assert_eq!(answer["error"]["data"]["code"], "GW-041");
}

#[tokio::test]
async fn every_item_is_on_exactly_one_page() {
    let bench = Bench::new(&[("a", Speaks::Both), ("b", Speaks::Both)]);
    bench.server("a").paged(true);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bench.ask("tools/list", &cursor).await;
        seen.extend(names(&page, "tools", "name"));
        match page["result"]["nextCursor"].as_str() {
            Some(next) => cursor = format!(r#""cursor":"{next}","#),
            None => break,
        }
    }
    assert_eq!(seen, ["a_get", "b_get", "b_put", "a_put"]);
    let forged = bench.ask("tools/list", r#""cursor":"p2","#).await;
    assert_eq!(forged["error"]["data"]["code"], "GW-044");
}

#[tokio::test]
async fn caller_sees_what_it_may_use() {
    for servers in [
        &[("a", Speaks::Both)][..],
        &[("a", Speaks::Both), ("b", Speaks::Modern)],
    ] {
        let mut bench = Bench::new(servers);
        bench.audience = Audience::of(Key::of(&[b"1"]), Arc::new(|item| item.facts.read_only));
        let list = bench.ask("tools/list", "").await;
        let seen = names(&list, "tools", "name");
        assert!(seen.iter().all(|name| name.ends_with("get")), "{seen:?}");
        assert_eq!(seen.len(), servers.len());
        assert_eq!(list["result"]["cacheScope"], "private");
        bench.audience = Audience::everyone();
        let list = bench.ask("tools/list", "").await;
        assert_eq!(names(&list, "tools", "name").len(), 2 * servers.len());
        assert_eq!(list["result"]["cacheScope"], "public");
    }
}

#[tokio::test]
async fn kept_list_is_not_asked_for_again_until_it_changes() {
    let bench = Bench::new(&[("a", Speaks::Both)]);
    bench.ask("tools/list", "").await;
    bench.clock.advance(Duration::from_secs(20));
    let again = bench.request("ann", r#""seven""#, "tools/list", "").await;
    assert!(
        again
            .text
            .starts_with(r#"{"jsonrpc":"2.0","id":"seven","result":{"tools":["#)
    );
    assert!(again.text.contains(r#""ttlMs":40000"#), "{}", again.text);
    // Once for the client, once for the gateway itself.
    assert_eq!(bench.server("a").count("tools/list"), 2);

    let mut stream = bench
        .open(
            "subscriptions/listen",
            r#""notifications":{"toolsListChanged":true},"#,
        )
        .await;
    stream.next().await;
    bench
        .server("a")
        .announce(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
    stream.next().await;
    bench.ask("tools/list", "").await;
    assert_eq!(bench.server("a").count("tools/list"), 3);
}

#[tokio::test]
async fn tool_is_known_by_what_its_server_says_of_it() {
    let bench = Bench::new(&[("a", Speaks::Both), ("b", Speaks::Legacy)]);
    for (name, known, read_only) in [
        ("a_get", true, true),
        ("a_put", true, false),
        ("b_get", true, true),
        ("a_none", false, false),
    ] {
        let call = script::call(&script::body(
            "1",
            "tools/call",
            &format!(r#""name":"{name}","#),
        ));
        let route = bench.route(&call).await.unwrap();
        assert_eq!(
            (route.facts.known, route.facts.read_only),
            (known, read_only),
            "{name}"
        );
    }
    let asked = bench.server("a").count("tools/list");
    let call = script::call(&script::body("1", "tools/call", r#""name":"a_other","#));
    bench.route(&call).await.unwrap();
    assert_eq!(
        bench.server("a").count("tools/list"),
        asked,
        "not again at once"
    );
    bench.clock.advance(Duration::from_secs(6));
    bench.route(&call).await.unwrap();
    assert_eq!(bench.server("a").count("tools/list"), asked + 1);
}

#[tokio::test]
async fn server_that_finds_other_headers_is_asked_again_what_it_has() {
    let bench = Bench::new(&[("a", Speaks::Both)]);
    bench.ask("tools/list", "").await;
    for (pause, lists) in [(0, 2), (6, 3)] {
        bench.clock.advance(Duration::from_secs(pause));
        let refused = bench
            .ask("tools/call", r#""name":"put","arguments":{"moved":true},"#)
            .await;
        assert_eq!(refused["error"]["code"], -32020);
        bench.ask("tools/call", r#""name":"get","#).await;
        assert_eq!(
            bench.server("a").count("tools/list"),
            lists,
            "after {pause} s"
        );
    }
    bench.ask("tools/list", "").await;
    assert_eq!(
        bench.server("a").count("tools/list"),
        4,
        "nothing is kept of it"
    );
}

#[tokio::test]
async fn rounds_of_a_call_and_tasks_pass_through() {
    let bench = Bench::new(&[("a", Speaks::Modern), ("b", Speaks::Modern)]);
    let first = bench.ask("tools/call", r#""name":"a_ask","#).await;
    assert_eq!(first["result"]["resultType"], "input_required");
    assert_eq!(first["result"]["requestState"], "sealed \"uri\"");
    assert_eq!(
        first["result"]["inputRequests"]["k"]["params"]["uri"],
        "x://1"
    );
    let again = r#""name":"a_ask","requestState":"sealed \"uri\"","inputResponses":{"k":{"action":"accept"}},"#;
    bench.ask("tools/call", again).await;
    let seen = bench.server("a").last("tools/call").body;
    assert!(seen.contains(&again[13..again.len() - 1]), "{seen}");

    let task = bench.ask("tools/call", r#""name":"b_work","#).await;
    assert_eq!(task["result"]["taskId"], "b_t1");
    let done = bench.ask("tasks/get", r#""taskId":"b_t1","#).await;
    assert_eq!(done["result"]["taskId"], "b_t1");
    assert_eq!(
        bench.server("b").last("tasks/get").headers["mcp-name"],
        "t1"
    );
}

#[tokio::test]
async fn subscriptions_are_merged() {
    let bench = Bench::new(&[("a", Speaks::Modern), ("b", Speaks::Modern)]);
    let wanted =
        r#""notifications":{"toolsListChanged":true,"resourceSubscriptions":["mcp.b+x://1"]},"#;
    let mut stream = bench.open("subscriptions/listen", wanted).await;
    let first = stream.next().await.unwrap();
    assert_eq!(
        first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        1
    );
    assert_eq!(
        first["params"]["notifications"],
        json!({"toolsListChanged": true, "resourceSubscriptions": ["mcp.b+x://1"]})
    );
    assert!(
        !bench
            .server("a")
            .last("subscriptions/listen")
            .body
            .contains("x://1")
    );
    bench.server("b").announce(
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://1","_meta":{"io.modelcontextprotocol/subscriptionId":"?"}}}"#,
    );
    let note = stream.next().await.unwrap();
    assert_eq!(note["params"]["uri"], "mcp.b+x://1");
    assert_eq!(
        note["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"],
        1
    );
    bench.server("a").hang_up();
    let end = stream.next().await.unwrap();
    assert_eq!(
        (&end["id"], &end["result"]["resultType"]),
        (&json!(1), &json!("complete"))
    );
    assert_eq!(stream.next().await, None);
    let nothing = bench
        .open("subscriptions/listen", r#""notifications":{},"#)
        .await
        .next()
        .await;
    assert_eq!(nothing.unwrap()["params"]["notifications"], json!({}));
}

#[tokio::test]
async fn slow_client_loses_its_stream_and_holds_up_nobody() {
    let bench = Bench::new(&[("a", Speaks::Modern), ("b", Speaks::Modern)]);
    let wanted = r#""notifications":{"toolsListChanged":true},"#;
    let mut stream = bench.open("subscriptions/listen", wanted).await;
    stream.next().await;
    let note = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
    for _ in 0..2_000 {
        bench.server("a").announce(note);
        tokio::task::yield_now().await;
    }
    let mut received = 0;
    while stream.next().await.is_some() {
        received += 1;
    }
    assert!(received < 2_000, "{received}");
    assert_eq!(
        bench.server("a").listeners(),
        0,
        "the server is not listened to any more"
    );
}

#[tokio::test]
async fn session_belongs_to_its_caller() {
    let bench = Bench::new(&[("a", Speaks::Both)]);
    let session = bench.initialize("ann").await;
    assert_ne!(session, "up-1");
    let call = |caller, session| bench.in_session(caller, session, "tools/call", r#""name":"get""#);
    let answer = call("ann", &session).await;
    assert_eq!(answer.json()["result"]["content"][0]["uri"], "x://1");
    let seen = bench.server("a").last("tools/call");
    assert_eq!(seen.headers["mcp-session-id"], "up-1");
    for (caller, session) in [("bob", session.as_str()), ("ann", "up-1")] {
        assert_eq!(
            call(caller, session).await.status,
            404,
            "{caller} {session}"
        );
    }
    assert_eq!(bench.delete("bob", &session).await, 404);
    assert_eq!(bench.delete("ann", &session).await, 204);
    assert_eq!(bench.server("a").count("DELETE"), 1);
    assert_eq!(call("ann", &session).await.status, 404);
}

#[tokio::test]
async fn session_ends_when_its_server_forgets_it() {
    let bench = Bench::new(&[("a", Speaks::Legacy)]);
    let session = bench.initialize("ann").await;
    bench.server("a").forget_sessions();
    for _ in 0..2 {
        let answer = bench.in_session("ann", &session, "ping", "").await;
        assert_eq!(answer.status, 404);
    }
    assert_eq!(bench.server("a").count("ping"), 1);
}

#[tokio::test]
async fn idle_sessions_end_here_and_at_the_server() {
    let bench = Bench::new(&[("a", Speaks::Legacy)]);
    let session = bench.initialize("ann").await;
    assert_eq!(bench.shared.sessions(), 1);
    bench.clock.advance(SESSION_IDLE);
    assert_eq!(
        bench.in_session("ann", &session, "ping", "").await.status,
        404
    );
    assert_eq!(bench.shared.sessions(), 0);
    bench.server("a").until("DELETE").await;
}

#[tokio::test]
async fn one_session_stands_for_those_at_several_servers() {
    let bench = Bench::new(&[
        ("a", Speaks::Both),
        ("b", Speaks::Legacy),
        ("c", Speaks::Modern),
    ]);
    let session = bench.initialize("ann").await;
    let list = bench
        .in_session("ann", &session, "tools/list", "")
        .await
        .json();
    assert_eq!(names(&list, "tools", "name").len(), 6);
    assert_eq!(list["result"].get("ttlMs"), None);
    for server in ["a", "b", "c"] {
        let params = format!(r#""name":"{server}_get""#);
        let answer = bench
            .in_session("ann", &session, "tools/call", &params)
            .await
            .json();
        assert_eq!(
            answer["result"]["content"][0]["uri"],
            format!("mcp.{server}+x://1")
        );
    }
    let told = bench.server("b").bodies("initialize");
    let hello = |body: &String| body.contains(r#""elicitation":{}"#) && body.contains("conformist");
    assert_eq!(
        told.iter().filter(|body| hello(body)).count(),
        1,
        "{told:?}"
    );
    assert_eq!(
        bench.in_session("ann", &session, "ping", "").await.json()["result"],
        json!({})
    );
    assert_eq!(bench.delete("ann", &session).await, 204);
    assert_eq!(bench.server("b").sessions(), 0);
}

#[tokio::test]
async fn request_of_a_server_is_answered_by_the_client() {
    let bench = Bench::new(&[("a", Speaks::Legacy), ("b", Speaks::Legacy)]);
    let session = bench.initialize("ann").await;
    let mut stream = bench
        .open_in_session(&session, "tools/call", r#""name":"b_ask""#)
        .await;
    let asked = stream.next().await.unwrap();
    assert_eq!(
        (&asked["method"], &asked["id"]),
        (&json!("elicitation/create"), &json!("b_5"))
    );
    let answer = r#"{"jsonrpc":"2.0","id":"b_5","result":{"action":"accept","n":1.0}}"#;
    assert_eq!(bench.tell(&session, answer).await, 202);
    assert_eq!(
        bench.server("b").last("").body,
        answer.replace("\"b_5\"", "5")
    );
    let forged = answer.replace("b_5", "c_5");
    assert_eq!(
        bench.tell(&session, &forged).await,
        200,
        "an error, to nobody"
    );
    assert_eq!(bench.server("a").count(""), 0);
}

#[tokio::test]
async fn streams_of_a_session_are_merged() {
    let bench = Bench::new(&[("a", Speaks::Legacy), ("b", Speaks::Legacy)]);
    let session = bench.initialize("ann").await;
    let mut stream = bench.get(&session).await;
    bench.server("b").announce(
        r#"{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://1"}}"#,
    );
    let note = stream.next().await.unwrap();
    assert_eq!(note["params"]["uri"], "mcp.b+x://1");
}

#[tokio::test]
async fn stateless_client_reaches_a_server_with_a_handshake() {
    let bench = Bench::new(&[("a", Speaks::Legacy)]);
    let discover = bench.ask("server/discover", "").await;
    assert_eq!(
        discover["result"]["supportedVersions"],
        json!(["2026-07-28"])
    );
    let list = bench.ask("tools/list", "").await;
    assert_eq!(list["result"]["resultType"], "complete");
    assert_eq!(list["result"]["ttlMs"], 0);
    let call = bench.ask("tools/call", r#""name":"get","#).await;
    assert_eq!(call["result"]["content"][0]["name"], "get@a");
    let seen = bench.server("a").last("tools/call");
    assert_eq!(seen.headers["mcp-protocol-version"], "2025-11-25");
    assert!(!seen.headers.contains_key("mcp-method"));
    let missing = bench.ask("resources/read", r#""uri":"x://none","#).await;
    assert_eq!(missing["error"]["code"], -32602);
    assert_eq!(
        bench.server("a").sessions(),
        1,
        "one session for the calls of a caller"
    );
}

#[tokio::test]
async fn what_a_bridge_cannot_carry_is_named() {
    let bench = Bench::new(&[("a", Speaks::Legacy)]);
    for (method, params, what) in [
        ("tools/call", r#""name":"ask","#, "elicitation/create"),
        (
            "subscriptions/listen",
            r#""notifications":{},"#,
            "subscriptions/listen",
        ),
        (
            "tools/call",
            r#""name":"x","requestState":"s","#,
            "requestState",
        ),
    ] {
        let answer = bench.ask(method, params).await;
        assert_eq!(answer["error"]["code"], 50_100, "{method} {answer}");
        assert!(text(&answer["error"]["message"]).contains(what), "{answer}");
    }
    let bench = Bench::new(&[("a", Speaks::Modern)]);
    let session = bench.initialize("ann").await;
    for (method, params, what) in [
        ("tools/call", r#""name":"ask""#, "input_required"),
        ("logging/setLevel", r#""level":"debug""#, "logging/setLevel"),
        (
            "resources/subscribe",
            r#""uri":"x://1""#,
            "resources/subscribe",
        ),
    ] {
        let answer = bench.in_session("ann", &session, method, params).await;
        assert_eq!(answer.status, 200);
        let answer = answer.json();
        assert_eq!(answer["error"]["code"], 50_100, "{method} {answer}");
        assert!(text(&answer["error"]["message"]).contains(what), "{answer}");
    }
}

#[tokio::test]
async fn session_client_reaches_a_stateless_server() {
    let bench = Bench::new(&[("a", Speaks::Modern)]);
    let session = bench.initialize("ann").await;
    let call = bench
        .in_session("ann", &session, "tools/call", r#""name":"get""#)
        .await;
    assert_eq!(call.json()["result"]["content"][0]["name"], "get@a");
    let seen = bench.server("a").last("tools/call");
    assert_eq!(seen.headers["mcp-name"], "get");
    assert!(
        seen.body.contains(r#"clientInfo":{"name":"conformist""#),
        "{}",
        seen.body
    );
    assert!(
        seen.body.contains(r#"clientCapabilities":{}"#),
        "{}",
        seen.body
    );
    let unknown = bench
        .in_session("ann", &session, "tools/call", r#""name":"none""#)
        .await;
    assert_eq!(
        (unknown.status, &unknown.json()["error"]["code"]),
        (200, &json!(-32602))
    );
    assert_eq!(
        bench.in_session("ann", &session, "ping", "").await.status,
        200
    );
    let stream = bench.try_get(&session).await;
    assert_eq!(stream.err().unwrap().failure().status(), 405);
}

#[tokio::test]
async fn cancelled_call_over_the_bridge_is_given_up() {
    let bench = Bench::new(&[("a", Speaks::Modern)]);
    let session = bench.initialize("ann").await;
    let call = bench.in_session("ann", &session, "tools/call", r#""name":"hang""#);
    let cancel = async {
        bench.server("a").until("tools/call").await;
        let note =
            r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
        bench.tell(&session, note).await
    };
    let (answer, told) = tokio::join!(call, cancel);
    assert_eq!((answer.status, told), (202, 202));
}

#[test]
fn open_session_takes_less_than_four_kibibytes() {
    // The introduction is bounded by MAX_HELLO; an id, a caller and a link or two are
    // some hundred bytes.
    assert!(size_of::<Session>() + crate::session::MAX_HELLO < 3 << 10);
}
