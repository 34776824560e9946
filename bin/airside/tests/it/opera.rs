//! The travel server over OPERA: from a search to a cancellation through the gateway,
//! and what lost answers and kills leave of bookings.

use std::{
    io::Write as _, net::TcpStream, os::unix::fs::PermissionsExt as _, path::Path, sync::Arc,
};

use airside_base::{Clock, OnFailure, Supervisor, SystemClock};
use airside_identity::mint;
use airside_mcp::client::{Choice, Client};
use airside_testkit::{
    harness::Node,
    opera::{self, Options, Simulator, Sold, Status, Step, Trouble},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::booking::{bookings, call, client, consent, later, settled};

const AIRSIDE: &str = env!("CARGO_BIN_EXE_airside");

/// A node that sells over a simulator of OPERA.
struct Bench {
    folder: TempDir,
    simulator: Simulator,
    tasks: Supervisor,
    ada: String,
    pms: String,
}

impl Bench {
    async fn new(timeout_ms: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Supervisor::new();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let address = "127.0.0.1:0".parse().unwrap();
        let simulator = Simulator::start(address, Options::default(), clock, &tasks);
        let simulator = simulator.await.unwrap();
        let (ada, pms) = (mint(), mint());
        let password = folder.path().join("opera.password");
        std::fs::write(&password, opera::USER.1).unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            r#"data-dir = "data"

[listen]
address = "127.0.0.1:0"

[control]
address = "127.0.0.1:0"

[[control.grant]]
group = "pms"
role = "supplier"

[identity]
anonymous-loopback = true

[[identity.api-key]]
name = "ada"
sha256 = "{ada}"

[[identity.api-key]]
name = "opera"
sha256 = "{pms}"
groups = ["pms"]

[[upstream]]
name = "travel"
builtin = "travel"

[[endpoint]]
path = "/mcp"
upstreams = ["travel"]

{supply}
"#,
            ada = ada.sha256,
            pms = pms.sha256,
            supply = example(&simulator.url(), timeout_ms),
        );
        std::fs::write(folder.path().join("airside.toml"), config).unwrap();
        Self {
            ada: ada.secret.expose().clone(),
            pms: pms.secret.expose().clone(),
            folder,
            simulator,
            tasks,
        }
    }

    fn start(&self) -> Node {
        let path = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let arguments = ["serve", "--config", &path("airside.toml")];
        Node::start(Path::new(AIRSIDE), &arguments, Path::new(&path("log"))).unwrap()
    }

    async fn ada(&self, node: &Node) -> Client {
        client(node.url(), Some(&self.ada), Choice::Modern, &[]).await
    }

    /// Returns what stands at OPERA.
    fn standing(&self) -> Vec<Sold> {
        let all = self.simulator.reservations().into_iter();
        all.filter(|sold| sold.status != Status::Ignored).collect()
    }
}

/// Returns `[travel.supply]` as docs/opera.md shows it, for another address.
fn example(url: &str, timeout_ms: u64) -> String {
    let page = include_str!("../../../../docs/opera.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (block, _) = rest.split_once("```").unwrap();
    assert!(block.contains(opera::CHANNEL) && block.contains(opera::USER.0));
    let address = format!("{url}\"\ntimeout-ms = {timeout_ms} # \"");
    let here = block.replace("http://127.0.0.1:8443\"", &address);
    assert_ne!(here, block);
    here
}

async fn content(client: &Client, tool: &str, arguments: Value) -> Value {
    let result = call(client, tool, arguments).await.unwrap();
    result["structuredContent"].clone()
}

/// Returns a session that is ready to be completed, as the view gets it.
async fn ready(ada: &Client, room: &str) -> Value {
    let (check_in, check_out) = (later(40), later(42));
    let asked = json!({ "place": "Boston", "check_in": check_in, "check_out": check_out });
    let found = content(ada, "search_hotels", asked).await;
    assert_eq!(found["hotels_available"], 2, "{found}");
    let asked = json!({
        "property_id": "BOSHARBOR", "check_in": check_in, "check_out": check_out,
    });
    let checked = content(ada, "check_availability", asked).await;
    let offers = checked["offers"].as_array().unwrap().iter();
    let offer = offers
        .filter(|offer| offer["room_type"]["code"] == room)
        .find(|offer| offer["rate_plan"]["code"] == "XDAILY")
        .unwrap_or_else(|| panic!("{room} in {checked}"));
    let booker = json!({ "first_name": "Ada", "last_name": "Lovelace", "email": "a@example.com" });
    let create = json!({ "offer_ref": offer["offer_ref"], "booker": booker });
    let ready = call(ada, "create_booking_session", create).await.unwrap();
    let session = &ready["structuredContent"]["session"];
    assert_eq!(session["status"], "ready_for_complete", "{ready}");
    assert_eq!(session["offer"]["total"], offer["total"]);
    ready
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stay_is_found_booked_changed_and_cancelled_at_opera() {
    let bench = Bench::new(10_000).await;
    let node = bench.start();
    let ada = bench.ada(&node).await;
    let described = content(&ada, "get_hotel", json!({ "property_id": "BOSHARBOR" })).await;
    assert_eq!(
        described["hotel"]["address"]["city"], "Boston",
        "{described}"
    );
    assert_eq!(described["hotel"]["time_zone"], "America/New_York");
    let asked = json!({ "property_id": "BOSHARBOR", "from": later(40), "days": 62, "nights": 2 });
    let calendar = content(&ada, "get_price_calendar", asked).await;
    assert_eq!(
        calendar["arrivals"].as_array().unwrap().len(),
        62,
        "{calendar}"
    );
    let ready = ready(&ada, "A1K").await;
    assert_eq!(bench.standing()[0].status, Status::OnHold);
    assert_eq!(bench.standing()[0].guest, "Hold");
    let complete = consent(&ready, "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11").unwrap();
    let done = content(&ada, "complete_booking_session", complete.clone()).await;
    let booked = &done["session"]["confirmation"];
    assert_eq!(done["session"]["status"], "completed", "{done}");
    let [sold] = bench.standing().try_into().unwrap();
    assert_eq!((sold.status, &*sold.guest), (Status::Reserved, "Lovelace"));
    assert_eq!(booked["label"], sold.number);
    // A repetition is the same booking.
    let again = content(&ada, "complete_booking_session", complete).await;
    assert_eq!(again["session"]["confirmation"], *booked);
    let change = json!({ "booking_id": booked["id"], "nights_delta": 1 });
    let quoted = call(&ada, "quote_booking_change", change).await.unwrap();
    assert_eq!(quoted["structuredContent"]["status"], "ok", "{quoted}");
    let confirm = confirm(&quoted, "8f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    let changed = content(&ada, "confirm_booking_change", confirm).await;
    assert_eq!(changed["booking"]["stay"]["nights"], 3, "{changed}");
    let [sold] = bench.standing().try_into().unwrap();
    assert_eq!(sold.status, Status::ReservedChanged);
    assert_eq!(
        (sold.stay.1.to_string(), &*sold.guest),
        (later(43), "Lovelace")
    );
    let cancel = json!({ "booking_id": booked["id"] });
    let quoted = call(&ada, "quote_cancellation", cancel).await.unwrap();
    let fee = &quoted["structuredContent"]["quote"]["penalty"]["amount"];
    assert_eq!(*fee, 0, "{quoted}");
    let confirm = self::confirm(&quoted, "9f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    let cancelled = content(&ada, "confirm_cancellation", confirm).await;
    assert_eq!(cancelled["booking"]["status"], "cancelled", "{cancelled}");
    assert_eq!(bench.standing()[0].status, Status::Cancelled);
    assert!(node.terminate().unwrap().success());
    bench.tasks.stop(std::time::Duration::from_secs(1)).await;
}

/// Consents to a quote as the view does.
pub(crate) fn confirm(quoted: &Value, key: &str) -> Value {
    let mut confirm = consent(quoted, key).unwrap();
    let id = confirm.as_object_mut().unwrap().remove("session_id");
    confirm["quote_id"] = id.unwrap();
    confirm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_after_the_effect_lead_to_exactly_one_reservation() {
    let bench = Bench::new(700).await;
    let node = bench.start();
    let ada = bench.ada(&node).await;
    bench.simulator.trouble(Step::Create, Trouble::SilentAfter);
    let ready = ready(&ada, "SUITE").await;
    bench.simulator.trouble(Step::Status, Trouble::SilentAfter);
    let complete = consent(&ready, "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11").unwrap();
    let done = call(&ada, "complete_booking_session", complete.clone()).await;
    let id = complete["session_id"].as_str().unwrap();
    let known = settled(&ada, id).await;
    assert_eq!(known["session"]["status"], "completed", "{done:?} {known}");
    let [sold] = bench.standing().try_into().unwrap();
    assert_eq!(sold.status, Status::Reserved);
    assert_eq!(known["session"]["confirmation"]["label"], sold.number);
    assert_eq!(
        (bookings(&ada).await.len(), bench.simulator.troubles_left()),
        (1, 0)
    );
    assert!(node.terminate().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_that_is_killed_while_opera_commits_books_once() {
    for trouble in [Trouble::SilentAfter, Trouble::SilentBefore] {
        let bench = Bench::new(60_000).await;
        let node = bench.start();
        let ada = bench.ada(&node).await;
        let ready = ready(&ada, "SUITE").await;
        let complete = consent(&ready, "6f1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11").unwrap();
        let id = complete["session_id"].as_str().unwrap().to_owned();
        bench.simulator.trouble(Step::Status, trouble);
        bench.tasks.spawn("traveller", OnFailure::Stop, async move {
            // The node is killed before it can answer.
            let _ = call(&ada, "complete_booking_session", complete).await;
        });
        let clock = SystemClock::new();
        let reached = || {
            let done = bench.standing()[0].status == Status::Reserved;
            bench.simulator.troubles_left() == 0 && (done || trouble == Trouble::SilentBefore)
        };
        while !reached() {
            clock.sleep(std::time::Duration::from_millis(10)).await;
        }
        node.kill().unwrap();
        let node = bench.start();
        let ada = bench.ada(&node).await;
        let known = settled(&ada, &id).await;
        assert_eq!(
            known["session"]["status"], "completed",
            "{trouble:?}: {known}"
        );
        let [sold] = bench.standing().try_into().unwrap();
        assert_eq!(sold.status, Status::Reserved, "{trouble:?}");
        assert_eq!(bookings(&ada).await.len(), 1);
        assert!(node.terminate().unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_opera_pushes_is_what_searches_show() {
    let bench = Bench::new(10_000).await;
    let node = bench.start();
    let ada = bench.ada(&node).await;
    let control = control(&bench);
    let now = SystemClock::new().now();
    let today = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    for (topic, message) in opera::messages("BOSHARBOR", today, 120, now) {
        let (wrong, right) = (post(&control, topic, "wrong", &message), &bench.pms);
        assert!(!wrong.starts_with("HTTP/1.1 20"), "{wrong}");
        let taken = post(&control, topic, right, &message);
        assert!(taken.starts_with("HTTP/1.1 201 "), "{taken}");
        let garbled = post(&control, topic, right, &json!({}));
        assert!(garbled.contains("TRV-404"), "{garbled}");
    }
    let stranger = opera::messages("BOSCOMMON", today, 2, now).remove(0).1;
    let refused = post(&control, "inventory", &bench.pms, &stranger);
    assert!(refused.contains("TRV-405"), "{refused}");
    let asked = json!({ "place": "Boston", "check_in": later(40), "check_out": later(42) });
    let clock = SystemClock::new();
    let begun = clock.monotonic();
    let shown = loop {
        let found = content(&ada, "search_hotels", asked.clone()).await;
        let hotels = found["hotels"].as_array().unwrap().clone();
        let pushed = |hotel: &&Value| {
            hotel["property_id"] == "BOSHARBOR" && hotel["price_as_of"].is_string()
        };
        if let Some(hotel) = hotels.iter().find(pushed) {
            break hotel.clone();
        }
        // The rules of rate plans are read from OPERA beside.
        let waited = clock.monotonic() - begun;
        assert!(waited < std::time::Duration::from_secs(30), "{found}");
        clock.sleep(std::time::Duration::from_millis(50)).await;
    };
    let mut asked = asked;
    asked["property_id"] = "BOSHARBOR".into();
    asked.as_object_mut().unwrap().remove("place");
    let checked = content(&ada, "check_availability", asked).await;
    assert_eq!(
        shown["best_offer"]["total"], checked["offers"][0]["total"],
        "{checked}"
    );
    assert!(node.terminate().unwrap().success());
}

/// Returns where the control API is.
fn control(bench: &Bench) -> String {
    let data = bench.folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut command = crate::run::command(
        bench.folder.path(),
        &["status", "--data-dir", data, "--json"],
    );
    let status = command.output().unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["control"].as_str().unwrap().to_owned()
}

fn post(control: &str, topic: &str, key: &str, message: &Value) -> String {
    let body = message.to_string();
    let mut stream = TcpStream::connect(control).unwrap();
    write!(
        stream,
        "POST /v1/supply/opera/{topic} HTTP/1.1\r\nHost: {control}\r\nConnection: close\r\n\
         Authorization: Bearer {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    // A refusal may come before the body was read.
    let _ = std::io::Read::read_to_string(&mut stream, &mut answer);
    answer
}
