//! What the gateway does not let itself be told.

use bytes::Bytes;

use crate::harness::{Act, House, Setup, call, headers, request};

/// Posts each body with the fields of a call of `search` and compares the verdicts;
/// afterwards the gateway serves on and the upstream has seen none of it.
async fn check_bodies(cases: &[(Bytes, &str)]) {
    let house = House::open().await;
    for (body, expected) in cases {
        let reply = house
            .post(&headers("tools/call", "search"), body.clone())
            .await;
        assert_eq!(
            reply.verdict(),
            *expected,
            "{:?}",
            &body[..body.len().min(120)]
        );
    }
    assert!(house.upstream.calls().is_empty());
    assert_eq!(house.call("search").await.status, 200);
}

#[tokio::test]
async fn malformed_bodies_are_refused() {
    let call = call("search");
    let duplicate = call.replace(r#""name":"search""#, r#""name":"book","name":"search""#);
    let deep = call.replace(
        r#""arguments":{}"#,
        &format!(r#""arguments":{}{}"#, "[".repeat(5000), "]".repeat(5000)),
    );
    let mut invalid = call.clone().into_bytes();
    invalid[30] = 0xff;
    check_bodies(&[
        ("".into(), "400 -32700 MCP-001"),
        ("{".into(), "400 -32700 MCP-001"),
        ("[]".into(), "400 -32600 MCP-007"),
        ("null".into(), "400 -32600 MCP-005"),
        (duplicate.into(), "400 -32600 MCP-004"),
        (deep.into(), "400 -32600 MCP-003"),
        (invalid.into(), "400 -32700 MCP-001"),
        (call.replace("2.0", "1.0").into(), "400 -32600 MCP-005"),
    ])
    .await;
}

#[tokio::test]
async fn body_over_the_limit_is_refused_before_it_has_arrived() {
    let house = House::open().await;
    let reply = house
        .post(&headers("tools/call", "search"), vec![b' '; 10_000_000])
        .await;
    assert_eq!(reply.verdict(), "413 -32600 GW-007");
    let chunked = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n500000\r\n";
    let mut bytes = chunked.as_bytes().to_vec();
    bytes.extend(std::iter::repeat_n(b' ', 0x500_000));
    let answer = house.raw(&bytes).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert_eq!(house.call("search").await.status, 200);
}

#[tokio::test]
async fn headers_that_contradict_the_body_are_refused() {
    let house = House::open().await;
    for (name, value) in [
        ("mcp-method", "tools/list"),
        ("mcp-name", "book"),
        ("mcp-name", "=?base64?!!?="),
        ("mcp-protocol-version", "2025-11-25"),
    ] {
        let mut fields = headers("tools/call", "search");
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
        let reply = house.post(&fields, call("search")).await;
        assert_eq!(
            (reply.status, &reply.json()["error"]["code"]),
            (400, &(-32020).into()),
            "{name}: {value}"
        );
        assert_eq!(reply.json()["id"], 7);
    }
    let mut fields = headers("tools/call", "search");
    fields.retain(|(known, _)| *known != "mcp-name");
    assert_eq!(
        house.post(&fields, call("search")).await.json()["error"]["code"],
        -32020
    );
    assert!(house.upstream.calls().is_empty());
}

#[tokio::test]
async fn unknown_version_is_told_the_known_ones() {
    let house = House::open().await;
    let body = call("search").replace("2026-07-28", "2031-01-01");
    let mut fields = headers("tools/call", "search");
    fields[2].1 = "2031-01-01";
    let reply = house.post(&fields, body).await;
    assert_eq!(
        (reply.status, &reply.json()["error"]["code"]),
        (400, &(-32022).into())
    );
    assert_eq!(reply.json()["error"]["data"]["supported"][0], "2026-07-28");
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let house = House::open().await;
    for (field, value, expected) in [
        ("host", "evil.example", "403 -32600 GW-001"),
        ("origin", "https://evil.example", "403 -32600 GW-002"),
        ("origin", "null", "403 -32600 GW-002"),
    ] {
        let mut fields = headers("tools/call", "search");
        fields.push((field, value));
        assert_eq!(
            house.post(&fields, call("search")).await.verdict(),
            expected,
            "{value}"
        );
    }
    assert!(house.upstream.calls().is_empty());
}

#[tokio::test]
async fn requests_that_are_none_are_refused() {
    let house = House::open().await;
    let fields = headers("tools/call", "search");
    for (method, path, fields, expected) in [
        ("POST", "/", &fields[..], "404 -32600 GW-003"),
        ("POST", "/mcp/", &fields[..], "404 -32600 GW-003"),
        ("PUT", "/mcp", &fields[..], "405 -32600 GW-004"),
        ("OPTIONS", "/mcp", &[][..], "405 -32600 GW-004"),
        ("POST", "/mcp", &[][..], "415 -32600 GW-005"),
        (
            "POST",
            "/mcp",
            &[fields[0], ("accept", "text/html")][..],
            "406 -32600 GW-006",
        ),
        (
            "GET",
            "/mcp",
            &[("accept", "text/event-stream")][..],
            "405 -32600 MCP-018",
        ),
        ("DELETE", "/mcp", &[][..], "405 -32600 MCP-018"),
    ] {
        let reply = house
            .send(method, path, fields, call("search").into())
            .await;
        assert_eq!(reply.verdict(), expected, "{method} {path}");
        assert_eq!(reply.headers.contains_key("allow"), reply.status == 405);
    }
    assert!(house.upstream.calls().is_empty());
}

#[tokio::test]
async fn slow_heads_and_bodies_are_cut_off() {
    let mut setup = Setup::default();
    setup.listen.header_timeout_ms = 150;
    setup.listen.body_timeout_ms = 150;
    let house = House::with(setup).await;
    let answer = house.raw(b"POST /mcp HTTP/1.1\r\nhost: local").await;
    assert_eq!(answer, "");
    let head = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    let answer = house.raw(head.as_bytes()).await;
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("GW-008"),
        "{answer}"
    );
    assert_eq!(house.call("search").await.status, 200);
}

#[tokio::test]
async fn oversized_heads_are_refused() {
    let house = House::open().await;
    let large = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "y".repeat(40_000)
    );
    let many = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
        "x: y\r\n".repeat(100)
    );
    for head in [large, many] {
        let answer = house.raw(head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    assert!(
        house
            .raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            .await
            .starts_with("HTTP/1.1 400 ")
    );
    assert!(
        house
            .raw(b"GARBAGE\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 400 ")
    );
    assert_eq!(house.call("search").await.status, 200);
}

#[tokio::test]
async fn client_that_closes_its_side_cancels_the_call() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let house = House::open().await;
    house.upstream.next("search", Act::Silent);
    let body = call("search");
    let mut head = format!(
        "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers("tools/call", "search") {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
    stream
        .write_all(format!("{head}\r\n{body}").as_bytes())
        .await
        .unwrap();
    house.upstream.called(1).await;
    stream.shutdown().await.unwrap();
    house.upstream.idle().await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(house.ending(1).await, "call.completed cancelled -");
    assert_eq!(house.call("search").await.status, 200);
}

#[tokio::test]
async fn names_in_records_are_short_and_printable() {
    let house = House::open().await;
    let name = format!("a\\u0007{}", "b".repeat(5000));
    let mut fields = headers("tools/call", "x");
    let decoded = format!("a\u{7}{}", "b".repeat(5000));
    let value = airside_mcp::header::encode(&decoded);
    fields.retain(|(name, _)| *name != "mcp-name");
    fields.push(("mcp-name", &value));
    house
        .post(
            &fields,
            request("tools/call", &format!(r#""name":"{name}""#)),
        )
        .await;
    // The control character is a finding, which has an entry of its own.
    let entries = house.entries(2).await;
    assert_eq!(entries[0].0, "firewall.flagged");
    let tool = entries[1].1["subject"]["tool"].as_str().unwrap();
    assert!(
        tool.chars().count() == 128 && !tool.contains('\u{7}'),
        "{tool}"
    );
}

#[tokio::test]
async fn nobody_is_answered_before_the_body_is_read() {
    let house = House::with(Setup {
        anonymous: false,
        ..Setup::default()
    })
    .await;
    let reply = house.post(&headers("tools/call", "search"), "{").await;
    assert_eq!(reply.verdict(), "401 40100 ID-001");
    assert_eq!(
        reply.headers["www-authenticate"],
        "Bearer realm=\"airside\""
    );
    let waiting = "POST /mcp HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
    let answer = house.raw(waiting.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(house.upstream.calls().is_empty());
}
