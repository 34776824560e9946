//! The control API over its own sockets.

use std::{net::SocketAddr, sync::Arc};

use airside_api::{
    Access, Callers, Client, Delivery, Grant, Needs, Node, Persons, Pushed, Receipt, Review, Role,
    State, UpstreamKey, approvals, client, endpoints, findings, limits, serve_socket, serve_tcp,
    socket, wire,
};
use airside_base::{BoxFuture, Clock, Fault, Kind, Redacted, Supervisor, SystemClock, TenantId};
use airside_identity::{ApiKeyConfig, Config, Identity, Outside, mint};
use airside_ledger::{
    Draft, Kind as EntryKind, Ledger, Options,
    conversation::Conversations,
    keys::{Keys, memory::MemoryKeys},
    stores::memory::Memory,
    vault::memory::MemoryVault,
};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

mod conversations;
mod persons;

/// A node whose configuration is always bad.
struct Broken;

fn approval(state: &str) -> approvals::Approval {
    approvals::Approval {
        id: "apr_1".into(),
        state: state.into(),
        asked: "operator".into(),
        caller: "api_key/ci".into(),
        server: "hotels".into(),
        method: "tools/call".into(),
        name: "book".into(),
        arguments_sha256: "aa".into(),
        shown: Vec::new(),
        policy: "v".into(),
        policies: vec!["big".into()],
        hint: None,
        expires: "2026-11-23T12:00:00Z".parse().expect("a time"),
    }
}

impl Node for Broken {
    fn status(&self) -> wire::Status {
        wire::Status {
            version: "0".into(),
            node: "n".into(),
            pid: 1,
            started: "2026-11-23T12:00:00Z".parse().expect("a time"),
            data_dir: "d".into(),
            endpoints: vec![],
            upstreams: vec![],
            control: None,
            config_digest: "c".into(),
            seal_key: "k".into(),
            writer_nice: None,
            prices: wire::Prices::default(),
        }
    }

    fn reload(&self) -> BoxFuture<'_, Result<wire::Reloaded, Fault>> {
        let fault = Fault::new(Kind::Invalid, "CFG-003", "unknown key `adress`");
        Box::pin(async { Err(fault.with_hint("did you mean `address`?")) })
    }

    fn approvals(
        &self,
        _tenant: TenantId,
        _all: bool,
    ) -> BoxFuture<'_, Result<Vec<approvals::Approval>, Fault>> {
        Box::pin(async { Ok(vec![approval("open")]) })
    }

    fn decide_approval(
        &self,
        decide: approvals::Decide,
        by: String,
    ) -> BoxFuture<'_, Result<approvals::Approval, Fault>> {
        Box::pin(async move {
            let state = if decide.approve { "approved" } else { "denied" };
            Ok(approvals::Approval {
                hint: Some(by),
                ..approval(state)
            })
        })
    }

    fn decide_finding(
        &self,
        decide: findings::Decide,
        _by: String,
    ) -> BoxFuture<'_, Result<(), Fault>> {
        Box::pin(async move {
            match decide.finding.as_str() {
                "F-1" => Ok(()),
                _ => Err(Fault::new(Kind::NotFound, "INV-012", "no such finding")),
            }
        })
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn limits(&self, most: usize) -> limits::Limits {
        let usage = limits::Usage {
            limit: "pace".into(),
            kind: "rate".into(),
            key: "tenant=default".into(),
            used: 3,
            most: 4,
            reset_s: 5,
        };
        limits::Limits {
            store: "memory".into(),
            keys: vec![usage; most.min(1)],
        }
    }

    fn reset_limit(&self, reset: limits::Reset) -> BoxFuture<'_, Result<(), Fault>> {
        let known = reset.limit == "pace";
        let fault = Fault::new(Kind::NotFound, "GW-070", "nothing is known of this key");
        Box::pin(async move { if known { Ok(()) } else { Err(fault) } })
    }

    fn review(
        &self,
        asked: Review,
        request: bytes::Bytes,
    ) -> BoxFuture<'_, Result<serde_json::Value, Fault>> {
        let text = format!("{asked:?} {} bytes", request.len());
        Box::pin(async move { Ok(serde_json::Value::String(text)) })
    }

    fn evals(&self, tenant: TenantId) -> BoxFuture<'_, Result<serde_json::Value, Fault>> {
        let text = format!("evaluations of {tenant}");
        Box::pin(async move { Ok(serde_json::Value::String(text)) })
    }

    fn record_eval(
        &self,
        tenant: TenantId,
        by: String,
        results: bytes::Bytes,
    ) -> BoxFuture<'_, Result<serde_json::Value, Fault>> {
        let text = format!("{tenant} {by} {} bytes", results.len());
        Box::pin(async move { Ok(serde_json::Value::String(text)) })
    }

    fn pushed(&self, pushed: Pushed) -> BoxFuture<'_, Result<(), Fault>> {
        let Pushed {
            sender,
            topic,
            body,
        } = pushed;
        let text = format!("{sender:?} {topic} {} bytes", body.len());
        Box::pin(async { Err(Fault::new(Kind::Invalid, "TRV-404", text)) })
    }

    fn receive(&self, delivery: Delivery) -> BoxFuture<'_, Receipt> {
        let Delivery {
            sender,
            version,
            action,
            document,
        } = delivery;
        let text = format!("{sender:?} {version:?} {action:?} {} bytes", document.len());
        Box::pin(async { Receipt::Wrong(text) })
    }

    fn notice(&self, signature: String, body: bytes::Bytes) -> BoxFuture<'_, Result<(), Fault>> {
        let right = signature == format!("signed {}", body.len());
        let wrong = || Fault::new(airside_base::Kind::Unauthenticated, "TRV-326", "not signed");
        Box::pin(async move { if right { Ok(()) } else { Err(wrong()) } })
    }

    fn contracts(&self) -> Vec<wire::ContractRow> {
        Vec::new()
    }

    fn contract(&self, of: &wire::ContractOf) -> Result<wire::Contract, Fault> {
        let text = format!("{} {} {}", of.server, of.class, of.tool);
        Err(Fault::new(Kind::NotFound, "GW-082", text))
    }

    fn decide_contract(
        &self,
        decision: wire::ContractDecision,
        by: String,
    ) -> BoxFuture<'_, Result<wire::ContractRow, Fault>> {
        let text = format!("{by} {:?} {}", decision.verdict, decision.of.tool);
        Box::pin(async { Err(Fault::new(Kind::Conflict, "GW-083", text)) })
    }
}

async fn memory(supervisor: &Supervisor) -> Ledger {
    let (store, clock) = (Arc::new(Memory::new()), Arc::new(SystemClock::new()));
    let ledger = Ledger::open(store, clock, supervisor, Options::default());
    ledger.await.expect("the test set-up works")
}

fn persons(ledger: &Ledger, region: Option<&str>) -> Persons {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let (store, vault) = (Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()));
    let keys = Arc::new(Keys::new(store, vault, clock.clone()));
    let region = region.map(|region| region.parse().expect("a region"));
    Persons {
        conversations: Conversations::new(ledger.clone(), keys.clone(), clock.clone(), region),
        keys,
        tables: ["conversations"].into(),
        clock,
    }
}

async fn state(supervisor: &Supervisor, entries: usize) -> State {
    let ledger = memory(supervisor).await;
    for _ in 0..entries {
        ledger
            .append(vec![entry()])
            .await
            .expect("the test set-up works");
    }
    let persons = persons(&ledger, None);
    State::new(Arc::new(Broken), ledger, persons, supervisor.clone())
}

fn entry() -> Draft {
    let body = serde_json::json!({"digest": "ab"});
    let kind = EntryKind::new("config.loaded");
    Draft::new(TenantId::default(), kind, 1, "test", &body).expect("the test set-up works")
}

/// Serves over TCP; returns where, and a key for each of `roles` in its own group.
async fn over_tcp(supervisor: &Supervisor, roles: &[Role]) -> (SocketAddr, Vec<String>) {
    let (mut keys, mut api_key, mut grants) = (vec![], vec![], vec![]);
    for (index, role) in roles.iter().enumerate() {
        let minted = mint();
        keys.push(minted.secret.expose().clone());
        let group = format!("g{index}");
        api_key.push(ApiKeyConfig {
            name: format!("k{index}"),
            sha256: minted.sha256,
            tenant: TenantId::default(),
            groups: vec![group.clone()],
            not_after: None,
            previous: Vec::new(),
        });
        grants.push(Grant { group, role: *role });
    }
    let outsider = mint();
    keys.push(outsider.secret.expose().clone());
    api_key.push(ApiKeyConfig {
        name: "outsider".into(),
        sha256: outsider.sha256,
        tenant: TenantId::default(),
        groups: vec![],
        not_after: None,
        previous: Vec::new(),
    });
    let config = Config {
        anonymous_loopback: true,
        api_key,
        ..Config::default()
    };
    let clock = Arc::new(SystemClock::new());
    let identity =
        Identity::new(&config, &Outside::offline(clock.clone())).expect("the test set-up works");
    let control = airside_api::Config {
        grant: grants,
        ..airside_api::Config::default()
    };
    let callers = Callers::new(identity, &control, clock);
    let access = Access::Keys(Arc::new(move || callers.clone()));
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("the test set-up works");
    let address = listener.local_addr().expect("the test set-up works");
    serve_tcp(listener, state(supervisor, 3).await, &access, supervisor);
    (address, keys)
}

async fn ask(
    address: SocketAddr,
    method: &http::Method,
    path: &str,
    headers: &[(http::HeaderName, String)],
) -> (StatusCode, String) {
    let response = send(address, (method, path), headers, "").await;
    let status = response.status();
    if status == StatusCode::OK {
        // A stream may not end.
        return (status, String::new());
    }
    (status, text(response).await)
}

async fn send(
    address: SocketAddr,
    (method, path): (&http::Method, &str),
    headers: &[(http::HeaderName, String)],
    body: &str,
) -> http::Response<hyper::body::Incoming> {
    let stream = TcpStream::connect(address)
        .await
        .expect("the test set-up works");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("the test set-up works");
    let supervisor = Supervisor::new();
    supervisor.spawn("connection", airside_base::OnFailure::Log, async {
        let _ = connection.await;
    });
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let request = request
        .header(header::HOST, "127.0.0.1")
        .body(Full::<bytes::Bytes>::from(body.to_owned()))
        .expect("the test set-up works");
    let response = sender.send_request(request).await;
    response.expect("the test set-up works")
}

async fn text(response: http::Response<hyper::body::Incoming>) -> String {
    let body = response.into_body().collect().await;
    let body = body.expect("the test set-up works").to_bytes();
    String::from_utf8_lossy(&body).into_owned()
}

fn bearer(key: &str) -> Vec<(http::HeaderName, String)> {
    vec![(header::AUTHORIZATION, format!("Bearer {key}"))]
}

#[tokio::test]
async fn every_route_needs_its_role() {
    let supervisor = Supervisor::new();
    let roles = [Role::Supplier, Role::Viewer, Role::Auditor, Role::Operator];
    let (address, keys) = over_tcp(&supervisor, &roles).await;
    let listed: Vec<String> = endpoints()
        .iter()
        .map(|route| format!("{} {} {:?}", route.method, route.path, route.needs))
        .collect();
    // The whole interface: a new route is added here together with its role.
    let expected = [
        "GET /v1/status Role(Viewer)",
        "GET /v1/ledger/head Role(Viewer)",
        "GET /v1/ledger/entries Role(Auditor)",
        "GET /v1/ledger/follow Role(Auditor)",
        "GET /v1/ledger/proof Role(Auditor)",
        "POST /v1/ledger/verify Role(Auditor)",
        "POST /v1/config/reload Role(Operator)",
        "GET /v1/approvals Role(Auditor)",
        "POST /v1/approvals/decide Role(Operator)",
        "POST /v1/findings/decide Role(Operator)",
        "GET /metrics Role(Viewer)",
        "GET /v1/limits Role(Viewer)",
        "POST /v1/limits/reset Role(Operator)",
        "GET /v1/contracts Role(Viewer)",
        "GET /v1/contracts/show Role(Auditor)",
        "POST /v1/contracts/decide Role(Operator)",
        "POST /v1/subjects/erase Role(Operator)",
        "GET /v1/subjects/export Role(Operator)",
        "POST /v1/conversations Upstream",
        "GET /v1/conversations Upstream",
        "PATCH /v1/conversations Upstream",
        "DELETE /v1/conversations Upstream",
        "GET /v1/conversations/show Role(Operator)",
        "GET /v1/conversations/history Role(Auditor)",
        "POST /v1/conversations/restore Role(Operator)",
        "POST /v1/review/lots/read Role(Auditor)",
        "POST /v1/review/lots Role(Operator)",
        "POST /v1/review/findings/read Role(Auditor)",
        "POST /v1/review/findings Role(Operator)",
        "POST /v1/review/lessons/read Role(Auditor)",
        "POST /v1/review/lessons Role(Operator)",
        "GET /v1/evals Role(Viewer)",
        "POST /v1/evals Role(Operator)",
        "POST /v1/supply/alpinebits Supplier",
        "POST /v1/supply/opera/inventory Supplier",
        "POST /v1/supply/opera/rates Supplier",
        "POST /v1/supply/opera/restrictions Supplier",
        "POST /v1/payments/webhook Signature",
    ];
    assert_eq!(listed, expected);
    for route in endpoints() {
        let lowest = match route.needs {
            Needs::Role(role) => role,
            Needs::Upstream | Needs::Supplier => Role::Operator,
            // It is about what is signed, whoever sends it: see below.
            Needs::Signature => continue,
        };
        for (role, key) in roles.iter().zip(&keys) {
            let (status, body) = ask(address, &route.method, route.path, &bearer(key)).await;
            let refused = status == StatusCode::FORBIDDEN;
            let supplies = route.needs == Needs::Supplier && *role == Role::Supplier;
            assert_eq!(
                refused,
                *role < lowest && !supplies,
                "{route:?} as {role:?}: {body}"
            );
        }
        let outsider = bearer(&keys[4]);
        let (status, body) = ask(address, &route.method, route.path, &outsider).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{route:?}");
        assert!(body.contains("API-002"), "{body}");
        // On this machine and anonymous is somebody, but nobody with a role.
        let (status, _) = ask(address, &route.method, route.path, &[]).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{route:?}");
        let wrong = bearer("airside_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
        let (status, body) = ask(address, &route.method, route.path, &wrong).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{route:?} {body}");
    }
}

#[tokio::test]
async fn message_of_a_payment_provider_is_judged_by_its_signature() {
    let supervisor = Supervisor::new();
    let (address, keys) = over_tcp(&supervisor, &[Role::Operator]).await;
    let route = (&http::Method::POST, "/v1/payments/webhook");
    let name = http::HeaderName::from_static("stripe-signature");
    for (signature, status) in [("signed 4", 204), ("signed 5", 401), ("", 401)] {
        let headers = [(name.clone(), signature.to_owned())];
        let response = send(address, route, &headers, "body").await;
        assert_eq!(response.status().as_u16(), status, "{signature}");
    }
    // A key says nothing here, and a page may not send at all.
    let response = send(address, route, &bearer(&keys[0]), "body").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let origin = [(header::ORIGIN, "https://evil.example".to_owned())];
    assert_eq!(
        send(address, route, &origin, "body").await.status(),
        StatusCode::FORBIDDEN
    );
    let long = "x".repeat((256 << 10) + 1);
    let response = send(address, route, &[], &long).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn hotel_system_shows_its_key_as_alpinebits_has_it() {
    let supervisor = Supervisor::new();
    let (address, keys) = over_tcp(&supervisor, &[Role::Supplier]).await;
    let basic = |user: &str, key: &str| {
        let credentials = base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            format!("{user}:{key}"),
        );
        format!("Basic {credentials}")
    };
    let form = "--b\r\nContent-Disposition: form-data; name=\"action\"\r\n\r\nOTA_Ping:Handshaking\r\n\
                --b\r\nContent-Disposition: form-data; name=\"request\"; filename=\"r.xml\"\r\n\r\n<a/>\r\n--b--\r\n";
    let kind = "multipart/form-data; boundary=b";
    for (authorization, kind, status, expected) in [
        (
            basic("k0", &keys[0]),
            kind,
            400,
            "Some(\"k0\") Some(\"2024-10\") Some(\"OTA_Ping:Handshaking\") 4 bytes",
        ),
        (basic("k1", &keys[0]), kind, 403, "API-002"),
        (basic("outsider", &keys[1]), kind, 403, "API-002"),
        (basic("k0", "wrong"), kind, 401, "ID-001"),
        (
            format!("Bearer {}", keys[0]),
            "text/xml",
            400,
            "ERROR:the request is not",
        ),
    ] {
        let headers = [
            (header::AUTHORIZATION, authorization),
            (header::CONTENT_TYPE, kind.to_owned()),
            (
                http::HeaderName::from_static("x-alpinebits-clientprotocolversion"),
                "2024-10".to_owned(),
            ),
        ];
        let route = (&http::Method::POST, "/v1/supply/alpinebits");
        let response = send(address, route, &headers, form).await;
        let found = response.status().as_u16();
        let body = text(response).await;
        assert_eq!(found, status, "{body}");
        assert!(body.contains(expected), "{body}, not {expected}");
    }
}

#[tokio::test]
async fn pages_unknown_routes_and_wrong_parameters_are_refused() {
    let supervisor = Supervisor::new();
    let (address, keys) = over_tcp(&supervisor, &[Role::Operator]).await;
    let key = bearer(&keys[0]);
    let mut from_page = key.clone();
    from_page.push((header::ORIGIN, "http://localhost".into()));
    let get = http::Method::GET;
    for (path, headers, status, code) in [
        ("/v1/status", &from_page, StatusCode::FORBIDDEN, "API-005"),
        ("/v1/nothing", &key, StatusCode::NOT_FOUND, "API-001"),
        (
            "/v1/ledger/entries?after=x",
            &key,
            StatusCode::BAD_REQUEST,
            "API-003",
        ),
        (
            "/v1/ledger/head?tenant=A%20B",
            &key,
            StatusCode::BAD_REQUEST,
            "API-003",
        ),
        (
            "/v1/ledger/entries?limt=1",
            &key,
            StatusCode::BAD_REQUEST,
            "API-003",
        ),
    ] {
        let (found, body) = ask(address, &get, path, headers).await;
        assert_eq!(found, status, "{path}: {body}");
        assert!(body.contains(code), "{path}: {body}");
    }
    let (status, _) = ask(address, &http::Method::DELETE, "/v1/status", &key).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn metrics_are_open_metrics_text() {
    let supervisor = Supervisor::new();
    let (address, keys) = over_tcp(&supervisor, &[Role::Viewer]).await;
    let route = (&http::Method::GET, "/metrics");
    let response = send(address, route, &bearer(&keys[0]), "").await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(text(response).await, "# EOF\n");
}

#[tokio::test]
async fn owner_reads_follows_and_verifies_over_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::new();
    let ledger = memory(&supervisor).await;
    ledger.append(vec![entry(), entry()]).await.unwrap();
    let persons = persons(&ledger, None);
    let state = State::new(
        Arc::new(Broken),
        ledger.clone(),
        persons,
        supervisor.clone(),
    );
    serve_socket(socket::bind(folder.path()).unwrap(), state, &supervisor);
    let client = Client::local(folder.path(), &supervisor);
    let tenant = TenantId::default();

    assert_eq!(client.status().await.unwrap().node, "n");
    assert_eq!(client.head(&tenant).await.unwrap().seq, 2);
    let page = client.entries(&tenant, 1, 10).await.unwrap();
    assert_eq!(page.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [2]);
    assert_eq!(page[0].body.get(), r#"{"digest":"ab"}"#);

    let mut followed = client.follow(&tenant, 1).await.unwrap();
    let second: wire::Entry = followed.next().await.unwrap().unwrap();
    ledger.append(vec![entry()]).await.unwrap();
    let third: wire::Entry = followed.next().await.unwrap().unwrap();
    assert_eq!((second.seq, third.seq), (2, 3));
    assert_eq!(third.prev, second.hash);

    let mut lines = client.verify().await.unwrap();
    let mut last = None;
    while let Some(event) = lines.next::<wire::Verify>().await.unwrap() {
        last = Some(event);
    }
    assert!(
        matches!(last, Some(wire::Verify::Verified { entries: 3, .. })),
        "{last:?}"
    );

    let refused = client.reload().await.unwrap_err();
    let client::Error::Refused(problem) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problem.code, "CFG-003");
    assert_eq!(problem.hint.as_deref(), Some("did you mean `address`?"));

    // A follower does not keep the node from stopping.
    supervisor.request_stop();
    assert!(followed.next::<wire::Entry>().await.unwrap().is_none());
}

#[tokio::test]
async fn absent_node_is_told_from_a_broken_one() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::new();
    let client = Client::local(folder.path(), &supervisor);
    let error = client.status().await.unwrap_err();
    assert!(
        matches!(error, client::Error::NotRunning { .. }),
        "{error:?}"
    );

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let answers = std::thread::Builder::new().spawn(move || {
        // The first caller is hung up on, the second gets nonsense.
        drop(listener.accept());
        let (mut stream, _) = listener.accept().unwrap();
        // What is not read would break the connection before the answer is there.
        let mut request = [0; 4096];
        assert_ne!(std::io::Read::read(&mut stream, &mut request).unwrap(), 0);
        std::io::Write::write_all(&mut stream, b"nonsense\r\n\r\n").unwrap();
    });
    let client = Client::remote(address, Redacted::new("airside_x".into()), &supervisor);
    let error = client.status().await.unwrap_err();
    assert!(
        matches!(error, client::Error::NotRunning { .. }),
        "{error:?}"
    );
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, client::Error::Unreadable(_)), "{error:?}");
    answers.unwrap().join().unwrap();
}

#[tokio::test]
async fn an_approval_is_decided_in_the_name_of_who_asks() {
    let supervisor = Supervisor::new();
    let (address, keys) = over_tcp(&supervisor, &[Role::Operator]).await;
    let key = Redacted::new(keys[0].clone());
    let client = Client::remote(address, key, &supervisor);
    let tenant = TenantId::default();
    let open = client.approvals(&tenant, false).await.expect("listed");
    assert_eq!(open.approvals, [approval("open")]);
    let decide = approvals::Decide {
        tenant,
        id: "apr_1".into(),
        approve: false,
        reason: Some("no".into()),
    };
    let decided = client.decide_approval(&decide).await.expect("decided");
    assert_eq!(decided.state, "denied");
    assert!(decided.hint.is_some_and(|by| by.starts_with("api_key/")));
}

#[tokio::test]
async fn decision_about_a_tool_names_its_digest_and_who_decides() {
    let supervisor = Supervisor::new();
    let (address, keys) = over_tcp(&supervisor, &[Role::Operator]).await;
    let route = (&http::Method::POST, "/v1/contracts/decide");
    let digest = "ab".repeat(32);
    for (body, status, expected) in [
        (
            format!(
                r#"{{"of":{{"server":"crm","tool":"find"}},"verdict":"accept","digest":"{digest}","reason":"r"}}"#
            ),
            409,
            "api_key/k0 Accept find",
        ),
        (
            r#"{"of":{"server":"crm","tool":"find"},"verdict":"accept","reason":"r"}"#.to_owned(),
            400,
            "API-020",
        ),
        (
            r#"{"of":{"server":"crm","tool":"find"},"verdict":"quarantine","reason":"r"}"#
                .to_owned(),
            409,
            "api_key/k0 Quarantine find",
        ),
        (r#"{"verdict":"accept"}"#.to_owned(), 400, "missing field"),
    ] {
        let response = send(address, route, &bearer(&keys[0]), &body).await;
        let found = response.status().as_u16();
        let text = text(response).await;
        assert_eq!(found, status, "{text}");
        assert!(text.contains(expected), "{text}, not {expected}");
    }
}
