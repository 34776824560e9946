//! Many who want the last rooms over HTTP, while holds come to their end and the node is
//! killed in the middle of it.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use airside_base::{Clock as _, OnFailure, Supervisor, SystemClock};
use airside_identity::mint;
use airside_mcp::client::{Client, Options};
use airside_testkit::harness::Node;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use url::Url;

use crate::{
    booking::{consent, later},
    opera::confirm,
    run::{BINARY, Place},
};

/// Clients that want a room, each with a key of its own.
const CLIENTS: usize = 12;
/// Fewer than the clients.
const ROOMS: std::ops::RangeInclusive<u64> = 4..=8;
/// Rooms that nobody holds when the race begins. The others are held by somebody who
/// never books, until their time is over.
const FREE: u64 = 2;
/// How long a room is held. A client who takes longer to book loses it and asks again,
/// so on a busy machine a shorter time makes a longer race.
const HOLD_SECONDS: u64 = 10;
/// Pause of a client who saw that all rooms are taken.
const PAUSE: Duration = Duration::from_millis(500);

/// A node with the travel server and many callers.
struct Bench {
    place: Place,
    keys: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        let place = Place::new();
        // The last one holds rooms and goes away.
        let keys: Vec<_> = (0..=CLIENTS).map(|_| mint()).collect();
        let mut config = format!(
            "data-dir = \"data\"\n[listen]\naddress = \"127.0.0.1:0\"\n\
             [travel]\nhold-seconds = {HOLD_SECONDS}\n\
             [[upstream]]\nname = \"travel\"\nbuiltin = \"travel\"\n\
             [[endpoint]]\npath = \"/mcp\"\nupstreams = [\"travel\"]\n"
        );
        for (number, key) in keys.iter().enumerate() {
            let sha256 = &key.sha256;
            config.push_str(&format!(
                "[[identity.api-key]]\nname = \"client-{number}\"\nsha256 = \"{sha256}\"\n"
            ));
        }
        place.write("airside.toml", &config);
        let keys = keys.iter().map(|key| key.secret.expose().clone());
        Self {
            keys: keys.collect(),
            place,
        }
    }

    fn start(&self) -> Node {
        let file = self.place.path("airside.toml").display().to_string();
        let serve = ["serve", "--config", &file];
        Node::start(Path::new(BINARY), &serve, &self.place.log()).expect("the node starts")
    }

    fn door(&self, number: usize, url: &watch::Receiver<Url>) -> Door {
        Door {
            url: url.clone(),
            key: self.keys[number].as_str().into(),
        }
    }
}

/// Where the node is, and what proves who calls. Another node has another address.
#[derive(Clone)]
struct Door {
    url: watch::Receiver<Url>,
    key: Arc<str>,
}

impl Door {
    async fn connect(&self) -> Option<Client> {
        let mut options = Options::default();
        let bearer = format!("Bearer {}", self.key).parse();
        options
            .headers
            .insert("authorization", bearer.expect("a key is plain text"));
        let url = self.url.borrow().clone();
        Client::connect(&url, options).await.ok()
    }

    /// Calls a tool until a node answers: whatever was lost is asked for again.
    async fn call(&self, tool: &str, arguments: &Value) -> Value {
        let mut moved = self.url.clone();
        loop {
            moved.borrow_and_update();
            if let Some(client) = self.connect().await
                && let Ok(reply) = client.call_tool(tool, arguments).await
            {
                return serde_json::from_slice(&reply.result()).expect("a result is JSON");
            }
            moved.changed().await.expect("another node is started");
        }
    }

    /// Holds a room; returns the session, or nothing if all rooms are taken or what this
    /// key held has come to its end while the answer was lost.
    async fn hold(&self, offer: &Value, key: &str) -> Option<String> {
        let booker = json!({
            "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
            "phone_number": "+14155550123",
        });
        let create = json!({ "offer_ref": offer, "booker": booker, "idempotency_key": key });
        let created = self.call("create_booking_session", &create).await;
        let content = &created["structuredContent"];
        if [SOLD_OUT, EXPIRED]
            .iter()
            .any(|code| content["code"] == *code)
        {
            return None;
        }
        let id = content["session"]["id"].as_str();
        Some(id.unwrap_or_else(|| panic!("{created}")).to_owned())
    }

    async fn bookings(&self) -> Vec<String> {
        let mine = self.call("list_my_bookings", &json!({})).await;
        let mine = mine["structuredContent"]["bookings"].as_array().unwrap();
        let ids = mine.iter().map(|booking| booking["id"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    }

    /// Returns how many rooms of an offer are left.
    async fn left(&self, scarce: &Scarce) -> u64 {
        let checked = self.call("check_availability", &scarce.check).await;
        let offers = checked["structuredContent"]["offers"].as_array().unwrap();
        let same = offers.iter().find(|offer| {
            offer["room_type"]["code"] == scarce.room && offer["rate_plan"]["code"] == scarce.plan
        });
        same.map_or(0, |offer| offer["rooms_left"].as_u64().unwrap())
    }
}

/// The code of a hold for which no rooms are left.
const SOLD_OUT: &str = "TRV-102";
/// The code of a hold whose time is over.
const EXPIRED: &str = "TRV-106";

/// An offer of which a few rooms are left.
struct Scarce {
    offer: Value,
    left: u64,
    check: Value,
    room: Value,
    plan: Value,
}

async fn scarce(door: &Door) -> Scarce {
    for day in 60..90 {
        let (check_in, check_out) = (later(day), later(day + 1));
        let arguments = json!({
            "place": "Boston", "limit": 25, "check_in": check_in, "check_out": check_out,
        });
        let found = door.call("search_hotels", &arguments).await;
        let hotels = found["structuredContent"]["hotels"].as_array().cloned();
        for hotel in hotels.unwrap_or_default() {
            let offer = &hotel["best_offer"];
            let left = offer["rooms_left"].as_u64().expect("a number");
            if ROOMS.contains(&left) {
                return Scarce {
                    left,
                    offer: offer["offer_ref"].clone(),
                    room: offer["room_type"]["code"].clone(),
                    plan: offer["rate_plan"]["code"].clone(),
                    check: json!({
                        "property_id": hotel["property_id"], "check_in": check_in,
                        "check_out": check_out,
                    }),
                };
            }
        }
    }
    panic!("no hotel in Boston has few rooms");
}

fn key_of(number: usize, step: usize) -> String {
    format!("6f1d6a3e-0d6e-4a53-9a38-{step:04x}{number:08x}")
}

/// Wants a room until it has one or `over`; returns its booking.
async fn want(
    door: Door,
    offer: Value,
    number: usize,
    over: watch::Receiver<bool>,
) -> Option<String> {
    let clock = SystemClock::new();
    for attempt in 0.. {
        let Some(session) = door.hold(&offer, &key_of(number, 2 * attempt)).await else {
            if *over.borrow() {
                return None;
            }
            clock.sleep(PAUSE).await;
            continue;
        };
        // What has been lost may have been done: the same key gets the first outcome.
        let key = key_of(number, 2 * attempt + 1);
        loop {
            let get = json!({ "session_id": session });
            let now = door.call("get_booking_session", &get).await;
            let content = &now["structuredContent"];
            match content["session"]["status"].as_str() {
                Some("completed") => {
                    let id = &content["session"]["confirmation"]["id"];
                    return Some(id.as_str().expect("a booking has an id").to_owned());
                }
                Some("ready_for_complete") => {
                    let arguments = consent(&now, &key).unwrap_or_else(|| panic!("{now}"));
                    door.call("complete_booking_session", &arguments).await;
                }
                // Its time was over before it was booked.
                Some("canceled") => break,
                // Its outcome is being found out.
                Some("complete_in_progress") => clock.sleep(PAUSE).await,
                _ => panic!("{now}"),
            }
        }
    }
    None
}

/// Gives a booking back.
async fn cancel(door: &Door, booking: &str, number: usize) {
    let of = json!({ "booking_id": booking });
    let quoted = door.call("quote_cancellation", &of).await;
    let confirm = confirm(&quoted, &key_of(number, 0xffff));
    let done = door.call("confirm_cancellation", &confirm).await;
    let status = &done["structuredContent"]["booking"]["status"];
    assert_eq!(status, "cancelled", "{done}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_rooms_are_booked_once_although_holds_end_and_the_node_is_killed() {
    let bench = Bench::new();
    let node = tokio::task::block_in_place(|| bench.start());
    let (moved, url) = watch::channel(node.url().clone());
    let idle = bench.door(CLIENTS, &url);
    let scarce = scarce(&idle).await;
    let mut held = Vec::new();
    for number in 0..(scarce.left - FREE) as usize {
        let session = idle.hold(&scarce.offer, &key_of(CLIENTS, number)).await;
        held.push(session.expect("a room is left"));
    }
    let tasks = Supervisor::new();
    let (over, ended) = watch::channel(false);
    let (sender, mut wanted) = mpsc::channel(CLIENTS);
    for number in 0..CLIENTS {
        let door = bench.door(number, &url);
        let (offer, sender, ended) = (scarce.offer.clone(), sender.clone(), ended.clone());
        tasks.spawn("client", OnFailure::Stop, async move {
            let booked = want(door, offer, number, ended).await;
            let _ = sender.send((number, booked)).await;
        });
    }
    drop(sender);
    let mut bookings = Vec::new();
    let mut node = Some(node);
    while let Some((number, booked)) = wanted.recv().await {
        bookings.push((number, booked));
        let accepted = bookings.iter().filter(|(_, booked)| booked.is_some());
        match accepted.count() as u64 {
            // In the middle: others are about to book the other free room.
            1 => {
                let node_now = node.take().expect("nobody was accepted before");
                node = Some(tokio::task::block_in_place(|| {
                    node_now.kill().unwrap();
                    bench.start()
                }));
                moved.send_replace(node.as_ref().expect("it was started").url().clone());
            }
            accepted if accepted == scarce.left => drop(over.send_replace(true)),
            _ => {}
        }
    }
    assert!(!tasks.has_failed(), "a client panicked");

    // As many as there were rooms, those included whose holds came to their end.
    let accepted: Vec<_> = bookings
        .iter()
        .filter_map(|(_, booked)| booked.as_ref())
        .collect();
    assert_eq!(accepted.len() as u64, scarce.left);
    let distinct: BTreeSet<_> = accepted.iter().collect();
    assert_eq!(distinct.len(), accepted.len(), "each is another one");
    for (number, booked) in &bookings {
        let has = bench.door(*number, &url).bookings().await;
        assert_eq!(
            has,
            booked.iter().cloned().collect::<Vec<_>>(),
            "client {number}"
        );
    }
    assert_eq!(idle.bookings().await, Vec::<String>::new());
    for session in held {
        let get = json!({ "session_id": session });
        let seen = idle.call("get_booking_session", &get).await;
        assert_eq!(
            seen["structuredContent"]["session"]["status"], "canceled",
            "{seen}"
        );
    }
    assert_eq!(idle.left(&scarce).await, 0);

    // No room was lost either: given back, all of them are for sale again.
    for (number, booked) in &bookings {
        if let Some(booking) = booked {
            cancel(&bench.door(*number, &url), booking, *number).await;
        }
    }
    assert_eq!(idle.left(&scarce).await, scarce.left);
    let node = node.expect("a node runs");
    assert!(node.terminate().unwrap().success());
    let data = bench.place.data();
    let verified = bench.place.run(&["ledger", "verify", "--data-dir", &data]);
    assert!(verified.ok().starts_with("verified: "));
}
