//! Bookings through the gateway: whose they are, and what a kill leaves of them.

use std::{path::Path, time::Duration};

use airside_base::{Clock as _, OnFailure, Supervisor, SystemClock};
use airside_identity::{Digest, mint};
use airside_mcp::client::{Choice, Client, Options};
use airside_testkit::harness::Node;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use url::Url;

const AIRSIDE: &str = env!("CARGO_BIN_EXE_airside");
/// Travellers who book at once.
const TRAVELLERS: usize = 6;

/// A node with the travel server, in a folder of its own, and the keys of two callers.
struct Bench {
    folder: TempDir,
    ada: String,
    eve: String,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (ada, eve) = (mint(), mint());
        let config = format!(
            r#"data-dir = "data"

[listen]
address = "127.0.0.1:0"

[identity]
anonymous-loopback = true

[[identity.api-key]]
name = "ada"
sha256 = "{}"

[[identity.api-key]]
name = "eve"
sha256 = "{}"

[[upstream]]
name = "travel"
builtin = "travel"

[[endpoint]]
path = "/mcp"
upstreams = ["travel"]
"#,
            ada.sha256, eve.sha256
        );
        std::fs::write(folder.path().join("airside.toml"), config).unwrap();
        Self {
            folder,
            ada: ada.secret.expose().clone(),
            eve: eve.secret.expose().clone(),
        }
    }

    fn start(&self) -> Node {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let arguments = ["serve", "--config", &path("airside.toml")];
        Node::start(Path::new(AIRSIDE), &arguments, Path::new(&path("log"))).unwrap()
    }
}

/// A client of `url` that shows `key`, and other headers as well.
pub(crate) async fn client(
    url: &Url,
    key: Option<&str>,
    era: Choice,
    more: &[(&'static str, &str)],
) -> Client {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let value = HeaderValue::try_from(format!("Bearer {key}")).unwrap();
        headers.insert(header::AUTHORIZATION, value);
    }
    for (name, value) in more {
        headers.insert(*name, HeaderValue::try_from(*value).unwrap());
    }
    let options = Options {
        headers,
        era,
        ..Options::default()
    };
    Client::connect(url, options).await.unwrap()
}

pub(crate) async fn call(client: &Client, tool: &str, arguments: Value) -> Option<Value> {
    let reply = client.call_tool(tool, &arguments).await.ok()?;
    reply.read().ok()
}

/// Returns a session that is ready to be completed, as the view gets it.
pub(crate) async fn ready(client: &Client) -> Option<Value> {
    let search = json!({
        "place": "Boston", "check_in": later(30), "check_out": later(31), "limit": 25,
    });
    let found = call(client, "search_hotels", search).await?;
    let hotels = found["structuredContent"]["hotels"].as_array()?;
    let left = |hotel: &&Value| hotel["best_offer"]["rooms_left"].as_u64();
    let offer = &hotels.iter().max_by_key(left)?["best_offer"]["offer_ref"];
    let booker = json!({ "first_name": "Ada", "last_name": "L", "email": "a@example.com" });
    let create = json!({ "offer_ref": offer, "booker": booker });
    call(client, "create_booking_session", create).await
}

pub(crate) fn later(days: i64) -> String {
    let then = SystemClock::new().now().as_second() + days * 86_400;
    let then = airside_base::Timestamp::from_second(then)
        .unwrap()
        .to_string();
    then[..10].to_owned()
}

/// Consents as the view does.
pub(crate) fn consent(result: &Value, key: &str) -> Option<Value> {
    let consent = &result["_meta"]["airside/consent"];
    let nonce = consent["nonce"].as_str()?;
    let (id, terms) = (
        consent["session_id"].as_str()?,
        consent["terms_digest"].as_str()?,
    );
    let token = format!("airside-consent-v1\n{nonce}\n{id}\n{terms}\n{key}");
    Some(json!({
        "session_id": id, "idempotency_key": key, "terms_digest": terms,
        "consent_token": Digest::of(token.as_bytes()).to_string(), "disclosure_shown": true,
    }))
}

pub(crate) async fn bookings(client: &Client) -> Vec<Value> {
    let mine = call(client, "list_my_bookings", json!({})).await.unwrap();
    mine["structuredContent"]["bookings"]
        .as_array()
        .unwrap()
        .clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caller_is_who_the_gateway_identified_whatever_a_client_says() {
    let bench = Bench::new();
    let node = bench.start();
    let url = node.url();
    let ada = client(url, Some(&bench.ada), Choice::Modern, &[]).await;
    let ready = ready(&ada).await.unwrap();
    let complete = consent(&ready, "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11").unwrap();
    // Anonymous callers are told why not; others do not learn that the session exists.
    let nobody = client(url, None, Choice::Modern, &[]).await;
    assert!(
        nobody
            .call_tool("complete_booking_session", &complete)
            .await
            .is_err()
    );
    let claims = [
        ("x-airside-caller", "api_key:ada"),
        (
            "x-airside-principal",
            r#"{"tenant":"default","kind":"api_key","id":"ada","attestation":50}"#,
        ),
        ("x-forwarded-user", "ada"),
        ("x-user", "ada"),
    ];
    for era in [Choice::Modern, Choice::Legacy] {
        let eve = client(url, Some(&bench.eve), era, &claims).await;
        let stolen = call(&eve, "complete_booking_session", complete.clone())
            .await
            .unwrap();
        assert_eq!(stolen["structuredContent"]["code"], "TRV-202", "{stolen}");
        assert_eq!(bookings(&eve).await, Vec::<Value>::new());
    }
    let done = call(&ada, "complete_booking_session", complete)
        .await
        .unwrap();
    assert_eq!(
        done["structuredContent"]["session"]["status"], "completed",
        "{done}"
    );
    // The same traveller in the other era, on another connection.
    let legacy = client(url, Some(&bench.ada), Choice::Legacy, &[]).await;
    assert_eq!(bookings(&legacy).await.len(), 1);
    assert!(node.terminate().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conversation_goes_on_after_a_restart_and_in_the_other_era() {
    let bench = Bench::new();
    let node = bench.start();
    let modern = client(node.url(), None, Choice::Modern, &[]).await;
    let search = json!({
        "place": "Boston", "check_in": later(30), "check_out": later(32), "conversation": "new",
    });
    let found = call(&modern, "search_hotels", search).await.unwrap();
    let found = &found["structuredContent"];
    node.kill().unwrap();
    let node = bench.start();
    let legacy = client(node.url(), None, Choice::Legacy, &[]).await;
    let follow_up = json!({ "conversation": found["conversation"], "pick": 2, "nights_delta": 2 });
    let checked = call(&legacy, "check_availability", follow_up)
        .await
        .unwrap();
    let checked = &checked["structuredContent"];
    assert_eq!(
        checked["property_id"], found["hotels"][1]["property_id"],
        "{checked}"
    );
    assert_eq!(checked["stay"]["nights"], 4);
    assert!(node.terminate().unwrap().success());
}

/// One traveller: begins, consents, and tells the session before and after.
async fn travel(url: Url, key: String, sessions: mpsc::Sender<(String, bool)>) {
    let ada = client(&url, Some(&key), Choice::Modern, &[]).await;
    let Some(ready) = ready(&ada).await else {
        return;
    };
    let Some(complete) = consent(&ready, airside_base::secret_token().as_str()) else {
        return;
    };
    let id = complete["session_id"].as_str().unwrap().to_owned();
    if sessions.send((id.clone(), false)).await.is_err() {
        return;
    }
    let done = call(&ada, "complete_booking_session", complete).await;
    let booked =
        done.is_some_and(|done| done["structuredContent"]["session"]["status"] == "completed");
    if booked {
        let _ = sessions.send((id, true)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_node_leaves_each_consented_session_with_exactly_one_known_outcome() {
    let bench = Bench::new();
    let tasks = Supervisor::new();
    let node = bench.start();
    let (sender, mut told) = mpsc::channel(2 * TRAVELLERS);
    for _ in 0..TRAVELLERS {
        let traveller = travel(node.url().clone(), bench.ada.clone(), sender.clone());
        tasks.spawn("traveller", OnFailure::Stop, traveller);
    }
    drop(sender);
    let mut begun = Vec::new();
    let mut booked = Vec::new();
    while let Some((id, done)) = told.recv().await {
        match done {
            true => booked.push(id),
            false => begun.push(id),
        }
        // In the middle: some are booked, others are being booked.
        if booked.len() == 2 {
            break;
        }
    }
    node.kill().unwrap();
    while let Some((id, done)) = told.recv().await {
        match done {
            true => booked.push(id),
            false => begun.push(id),
        }
    }
    assert!(!tasks.has_failed(), "a traveller panicked");
    let node = bench.start();
    let ada = client(node.url(), Some(&bench.ada), Choice::Modern, &[]).await;
    let mut confirmed = Vec::new();
    for id in &begun {
        let status = settled(&ada, id).await;
        let known = &status["session"]["confirmation"]["id"];
        match status["session"]["status"].as_str().unwrap() {
            "completed" => confirmed.push(known.as_str().unwrap().to_owned()),
            other => assert!(!booked.contains(id), "{id} was acknowledged and is {other}"),
        }
    }
    let mut mine: Vec<_> = bookings(&ada)
        .await
        .iter()
        .map(|b| b["id"].as_str().unwrap().to_owned())
        .collect();
    confirmed.sort_unstable();
    mine.sort_unstable();
    assert_eq!(
        confirmed, mine,
        "each completed session has one booking, and there is no other"
    );
    assert!(mine.len() >= booked.len() && booked.len() >= 2);
    assert!(node.terminate().unwrap().success());
}

/// Asks for a session until the node has found out what became of it.
pub(crate) async fn settled(client: &Client, id: &str) -> Value {
    let clock = SystemClock::new();
    let begun = clock.monotonic();
    loop {
        let seen = call(client, "get_booking_session", json!({ "session_id": id }))
            .await
            .unwrap();
        let seen = seen["structuredContent"].clone();
        if seen["status"] != "outcome_unknown" {
            return seen;
        }
        assert!(
            clock.monotonic() - begun < Duration::from_secs(60),
            "{seen}"
        );
        // The job that finds out looks every three seconds.
        clock.sleep(Duration::from_millis(200)).await;
    }
}
