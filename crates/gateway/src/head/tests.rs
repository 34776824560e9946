use http::{HeaderValue, Request};

use super::*;

const ACCEPT: (&str, &str) = ("accept", "application/json, text/event-stream");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

fn check(method: &str, fields: &[(&str, &str)], expected: Result<Verb, Rejection>) {
    check_on("127.0.0.1:7400", "http://x/", method, fields, expected);
}

fn check_on(
    address: &str,
    uri: &str,
    method: &str,
    fields: &[(&str, &str)],
    expected: Result<Verb, Rejection>,
) {
    let gate = Gate::new(&config::Listen {
        address: address.parse().unwrap(),
        allowed_hosts: vec!["mcp.Example".to_owned()],
        allowed_origins: vec!["https://app.example".to_owned()],
        ..config::Listen::default()
    })
    .unwrap();
    let uri = uri.strip_prefix("http://x").unwrap_or(uri);
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (head, ()) = request.body(()).unwrap().into_parts();
    let local = IpAddr::from([192, 0, 2, 7]);
    assert_eq!(
        gate.admit(&head, local),
        expected,
        "{method} {uri} {fields:?}"
    );
}

#[test]
fn own_hosts_are_admitted() {
    for host in [
        "localhost",
        "LOCALHOST:7400",
        "127.0.0.1:1",
        "[::1]:7400",
        "MCP.example",
    ] {
        check("POST", &[("host", host), JSON, ACCEPT], Ok(Verb::Post));
    }
    let own = [("host", "192.0.2.7:80"), JSON, ACCEPT];
    check_on("0.0.0.0:80", "/", "POST", &own, Ok(Verb::Post));
}

#[test]
fn foreign_hosts_are_refused() {
    for host in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.2",
        "192.0.2.8",
    ] {
        check(
            "POST",
            &[("host", host), JSON, ACCEPT],
            Err(Rejection::HostForeign),
        );
    }
    for fields in [
        &[JSON, ACCEPT][..],
        &[("host", "localhost"), ("host", "localhost")],
    ] {
        check("POST", fields, Err(Rejection::HostMissing));
    }
    let loopback = [("host", "localhost"), JSON, ACCEPT];
    check_on(
        "0.0.0.0:80",
        "/",
        "POST",
        &loopback,
        Err(Rejection::HostForeign),
    );
    check_on(
        "127.0.0.1:80",
        "http://evil.example/",
        "POST",
        &loopback,
        Err(Rejection::HostForeign),
    );
}

#[test]
fn foreign_origins_are_refused() {
    for (origin, ours) in [
        ("http://localhost:5173", true),
        ("https://127.0.0.1", true),
        ("https://app.example", true),
        ("https://app.example:443", true),
        ("https://app.example:444", false),
        ("http://app.example", false),
        ("https://evil.example", false),
        ("ftp://localhost", false),
        ("null", false),
        ("", false),
    ] {
        let expected = if ours {
            Ok(Verb::Post)
        } else {
            Err(Rejection::OriginForeign)
        };
        check(
            "POST",
            &[("host", "localhost"), ("origin", origin), JSON, ACCEPT],
            expected,
        );
    }
}

#[test]
fn method_and_media_types_are_checked() {
    let host = ("host", "localhost");
    check("PUT", &[host], Err(Rejection::Method));
    check("OPTIONS", &[host], Err(Rejection::Method));
    check("DELETE", &[host], Ok(Verb::Delete));
    check(
        "GET",
        &[host, ("accept", "text/event-stream")],
        Ok(Verb::Get),
    );
    check(
        "GET",
        &[host, ("accept", "text/html")],
        Err(Rejection::NotAcceptable),
    );
    check("POST", &[host, ACCEPT], Err(Rejection::ContentType));
    check(
        "POST",
        &[host, ("content-type", "text/plain")],
        Err(Rejection::ContentType),
    );
    check("POST", &[host, JSON, JSON], Err(Rejection::ContentType));
    check("POST", &[host, JSON], Ok(Verb::Post));
    check(
        "POST",
        &[host, JSON, ("accept", "text/*;q=0.1")],
        Ok(Verb::Post),
    );
    check(
        "POST",
        &[host, JSON, ("accept", "text/html")],
        Err(Rejection::NotAcceptable),
    );
}

#[test]
fn credentials_and_sessions_stay_here() {
    let mut headers = HeaderMap::new();
    for name in [
        "authorization",
        "cookie",
        "x-api-key",
        "proxy-authorization",
        "mcp-session-id",
        "origin",
        "host",
        "accept-encoding",
        "connection",
        "forwarded",
        "content-type",
        "mcp-param-market",
        "mcp-name",
    ] {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    let kept = forwarded(&headers);
    let mut names: Vec<_> = kept.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-type", "mcp-name", "mcp-param-market"]);
}
