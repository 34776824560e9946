//! Conversations kept by upstream servers.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::Mutex;

use airside_base::Timestamp;
use serde_json::{Value, json};

use super::*;

const GET: http::Method = http::Method::GET;
const POST: http::Method = http::Method::POST;
const PATCH: http::Method = http::Method::PATCH;
const DELETE: http::Method = http::Method::DELETE;
const OWN: &str = "/v1/conversations";

/// A node in a region, and who is known to it.
struct Desk {
    address: SocketAddr,
    callers: Arc<Mutex<Callers>>,
}

fn never() -> Timestamp {
    "2999-01-01T00:00:00Z".parse().unwrap()
}

/// Returns a key of `upstream` for `tenant`, and what the configuration holds of it.
fn key(upstream: &str, tenant: &str, not_after: Timestamp) -> (String, UpstreamKey) {
    let minted = mint();
    let key = UpstreamKey {
        upstream: upstream.parse().unwrap(),
        sha256: minted.sha256,
        tenant: tenant.parse().unwrap(),
        not_after,
    };
    (minted.secret.expose().clone(), key)
}

fn callers(upstream: Vec<UpstreamKey>) -> Callers {
    let clock = Arc::new(SystemClock::new());
    let identity = Identity::new(&Config::default(), &Outside::offline(clock.clone())).unwrap();
    let config = airside_api::Config {
        upstream,
        ..airside_api::Config::default()
    };
    Callers::new(identity, &config, clock)
}

impl Desk {
    async fn start(
        supervisor: &Supervisor,
        persons: Persons,
        ledger: Ledger,
        keys: Vec<UpstreamKey>,
    ) -> Self {
        let callers = Arc::new(Mutex::new(callers(keys)));
        let known = callers.clone();
        let access = Access::Keys(Arc::new(move || known.lock().unwrap().clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = State::new(Arc::new(Broken), ledger, persons, supervisor.clone());
        serve_tcp(listener, state, &access, supervisor);
        Self { address, callers }
    }

    /// Sends a request with a key and a handle; returns what it came to.
    async fn call(
        &self,
        method: &http::Method,
        (key, handle): (&str, &str),
        body: &Value,
    ) -> (u16, Value) {
        self.call_at(method, OWN, (key, handle), &body.to_string())
            .await
    }

    async fn call_at(
        &self,
        method: &http::Method,
        path: &str,
        (key, handle): (&str, &str),
        body: &str,
    ) -> (u16, Value) {
        let mut headers = bearer(key);
        if !handle.is_empty() {
            let name = http::HeaderName::from_static("airside-conversation");
            headers.push((name, handle.to_owned()));
        }
        let response = send(self.address, (method, path), &headers, body).await;
        let status = response.status().as_u16();
        let text = text(response).await;
        (status, serde_json::from_str(&text).expect(&text))
    }

    async fn begin(&self, key: &str, opening: &Value) -> Value {
        let (status, begun) = self.call(&POST, (key, ""), opening).await;
        assert_eq!(status, 200, "{begun}");
        begun
    }
}

async fn check(desk: &Desk, key: &str, handle: &str, status: u16, code: &str) {
    let change = json!({ "version": 1, "patch": {} });
    for (method, body) in [(&GET, json!({})), (&PATCH, change), (&DELETE, json!({}))] {
        let (found, problem) = desk.call(method, (key, handle), &body).await;
        assert_eq!(
            (found, &problem["code"]),
            (status, &json!(code)),
            "{method}"
        );
    }
}

#[tokio::test]
async fn server_keeps_state_over_calls_and_learns_of_lost_races() {
    let supervisor = Supervisor::new();
    let ledger = memory(&supervisor).await;
    let persons = persons(&ledger, Some("eu-1"));
    let (secret, known) = key("hotel", "acme", never());
    let desk = Desk::start(&supervisor, persons, ledger.clone(), vec![known]).await;
    let opening = json!({ "lifetime_s": 60, "state": { "a": 1, "said": "something" } });
    let begun = desk.begin(&secret, &opening).await;
    assert_eq!(
        (&begun["region"], &begun["owner"]),
        (&json!("eu-1"), &json!("hotel"))
    );
    let handle = begun["conversation"].as_str().unwrap();
    let version = begun["version"].as_u64().unwrap();

    let change = json!({ "version": version, "patch": { "a": null, "b": 2 } });
    let (status, changed) = desk.call(&PATCH, (&secret, handle), &change).await;
    assert_eq!(
        (status, &changed["state"]),
        (200, &json!({ "said": "something", "b": 2 }))
    );
    let (status, lost) = desk.call(&PATCH, (&secret, handle), &change).await;
    assert_eq!((status, &lost["code"]), (409, &json!("LED-008")));
    assert_eq!(
        lost["version"], changed["version"],
        "the one to try again with"
    );
    let (_, read) = desk.call(&GET, (&secret, handle), &json!({})).await;
    assert_eq!(read["state"], changed["state"]);
    assert_eq!(read["conversation"], Value::Null, "the handle is told once");

    let entries = ledger.read(airside_ledger::Query::new("acme".parse().unwrap()));
    for entry in entries.await.unwrap() {
        let text = String::from_utf8_lossy(&entry.body).into_owned();
        assert!(
            !text.contains("something") && !text.contains(handle),
            "{text}"
        );
    }
    let (status, _) = desk.call(&DELETE, (&secret, handle), &json!({})).await;
    assert_eq!(status, 200);
    check(&desk, &secret, handle, 404, "LED-090").await;
}

#[tokio::test]
async fn server_reaches_its_own_conversations_and_nothing_else() {
    let supervisor = Supervisor::new();
    let ledger = memory(&supervisor).await;
    let here = persons(&ledger, Some("eu-1"));
    let mut there = here.clone();
    let region = Some("us-1".parse().unwrap());
    there.conversations = Conversations::new(
        ledger.clone(),
        here.keys.clone(),
        here.clock.clone(),
        region,
    );
    let past: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let (own, own_known) = key("hotel", "acme", never());
    let (fresh, fresh_known) = key("hotel", "acme", never());
    let (other, other_known) = key("flights", "acme", never());
    let (tenant, tenant_known) = key("hotel", "globex", never());
    let (expired, expired_known) = key("hotel", "acme", past);
    let known = vec![
        own_known,
        fresh_known.clone(),
        other_known,
        tenant_known,
        expired_known,
    ];
    let desk = Desk::start(&supervisor, here, ledger.clone(), known.clone()).await;
    let elsewhere = Desk::start(&supervisor, there, ledger.clone(), known).await;
    let begun = desk.begin(&own, &json!({ "state": { "a": 1 } })).await;
    let handle = begun["conversation"].as_str().unwrap();

    check(&desk, &other, handle, 404, "LED-090").await;
    check(&desk, &tenant, handle, 404, "LED-090").await;
    check(&desk, &own, &"A".repeat(43), 404, "LED-090").await;
    check(&desk, &own, "short", 400, "API-007").await;
    check(&desk, &own, "", 400, "API-007").await;
    check(&desk, &expired, handle, 401, "ID-004").await;
    check(
        &desk,
        &mint().secret.expose().clone(),
        handle,
        401,
        "ID-003",
    )
    .await;
    check(&elsewhere, &own, handle, 403, "LED-091").await;
    check(&elsewhere, &other, handle, 404, "LED-090").await;
    let (status, _) = desk.call(&GET, (&fresh, handle), &json!({})).await;
    assert_eq!(
        status, 200,
        "two keys of one server, while one replaces the other"
    );

    let named = format!("{OWN}?tenant=globex");
    let (status, problem) = desk.call_at(&GET, &named, (&own, handle), "").await;
    assert_eq!((status, &problem["code"]), (400, &json!("API-003")));
    for route in endpoints() {
        if route.needs == Needs::Upstream {
            continue;
        }
        let (status, _) = desk
            .call_at(&route.method, route.path, (&own, ""), "")
            .await;
        assert_eq!(status, 401, "{route:?}: the key says nothing there");
    }

    *desk.callers.lock().unwrap() = callers(vec![fresh_known]);
    check(&desk, &own, handle, 401, "ID-003").await;
    let (status, _) = desk.call(&GET, (&fresh, handle), &json!({})).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_is_not_a_change_is_refused_without_being_quoted() {
    let supervisor = Supervisor::new();
    let ledger = memory(&supervisor).await;
    let persons = persons(&ledger, None);
    let (secret, known) = key("hotel", "acme", never());
    let desk = Desk::start(&supervisor, persons, ledger, vec![known]).await;
    let large = json!({ "state": { "a": "x".repeat(70 * 1024) } }).to_string();
    let huge = "[".repeat(200_000);
    for (body, status, code) in [
        ("", 400, "API-006"),
        ("{\"state\": \"secret\"}", 400, "API-006"),
        ("{\"stat\": {}, \"secret\": 1}", 400, "API-006"),
        ("{\"subject\": \"secret@example.com\"}", 400, "API-006"),
        ("{\"lifetime_s\": 0}", 400, "LED-094"),
        ("{\"lifetime_s\": 2592001}", 400, "LED-094"),
        (large.as_str(), 413, "LED-092"),
        (huge.as_str(), 413, "LED-092"),
    ] {
        let (found, problem) = desk.call_at(&POST, OWN, (&secret, ""), body).await;
        assert_eq!(
            (found, &problem["code"]),
            (status, &json!(code)),
            "{problem}"
        );
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}
