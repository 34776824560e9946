//! Many who want the last rooms, with a node that is killed in the middle of it.

use std::{collections::BTreeSet, sync::Arc};

use airside_base::{OnFailure, Supervisor};
use airside_identity::Digest;
use airside_mcp::client::{Client, Options};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use url::Url;

use crate::run::Place;

/// Clients that want a room.
const CLIENTS: usize = 9;
/// After so many bookings the node is killed.
const BOOKED_BEFORE: usize = 2;
/// Fewer than the clients, and more than are booked before the node is killed.
const ROOMS: std::ops::RangeInclusive<u64> = 3..=7;

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
}

/// Returns an offer in Boston of which a few rooms are left.
async fn scarce(door: &Door) -> (Value, u64) {
    for day in 10..28 {
        let arguments = json!({
            "place": "Boston", "limit": 25, "check_in": format!("2027-02-{day}"),
            "check_out": format!("2027-02-{}", day + 1),
        });
        let found = door.call("search_hotels", &arguments).await;
        let hotels = found["structuredContent"]["hotels"].as_array().cloned();
        for hotel in hotels.unwrap_or_default() {
            let offer = &hotel["best_offer"];
            let left = offer["rooms_left"].as_u64().expect("a number");
            if ROOMS.contains(&left) {
                return (offer["offer_ref"].clone(), left);
            }
        }
    }
    panic!("no hotel in Boston has few rooms");
}

/// Returns what the view makes of the consent of a person.
fn consent(result: &Value, key: &str) -> Option<Value> {
    let consent = &result["_meta"]["airside/consent"];
    let text = |name: &str| consent[name].as_str();
    let (nonce, id, terms) = (text("nonce")?, text("session_id")?, text("terms_digest")?);
    let token = format!("airside-consent-v1\n{nonce}\n{id}\n{terms}\n{key}");
    let token = Digest::of(token.as_bytes()).to_string();
    Some(json!({
        "session_id": id, "idempotency_key": key, "terms_digest": terms,
        "consent_token": token, "disclosure_shown": true,
    }))
}

fn key_of(number: usize, step: u8) -> String {
    format!("6f1d6a3e-0d6e-4a53-9a38-{step:04x}{number:08x}")
}

/// Wants a room until it has one or there is none; returns its booking.
async fn want(door: Door, offer: Value, number: usize) -> Option<String> {
    let booker = json!({
        "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
        "phone_number": "+14155550123",
    });
    let create = json!({
        "offer_ref": offer, "booker": booker, "idempotency_key": key_of(number, 1),
    });
    let created = door.call("create_booking_session", &create).await;
    let session = created["structuredContent"]["session"]["id"].clone();
    if session.is_null() {
        assert_eq!(created["isError"], true, "{created}");
        return None;
    }
    // What has been lost may have been done: the same key gets the first outcome.
    let key = key_of(number, 2);
    loop {
        let now = door
            .call("get_booking_session", &json!({ "session_id": session }))
            .await;
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
            // It was sold out before it was held, or the outcome is being found out.
            Some("incomplete" | "canceled") => return None,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn last_rooms_are_booked_once_although_the_node_is_killed() {
    let place = Place::new();
    let node = tokio::task::block_in_place(|| place.up());
    let key = std::fs::read_to_string(place.path("data").join("caller.key")).unwrap();
    let (moved, url) = watch::channel(node.url().clone());
    let door = Door {
        url,
        key: key.trim().into(),
    };
    let (offer, left) = scarce(&door).await;
    let tasks = Supervisor::new();
    let (sender, mut ended) = mpsc::channel(CLIENTS);
    for number in 0..CLIENTS {
        let (door, offer, sender) = (door.clone(), offer.clone(), sender.clone());
        tasks.spawn("client", OnFailure::Stop, async move {
            let booked = want(door, offer, number).await;
            let _ = sender.send(booked).await;
        });
    }
    drop(sender);
    let mut bookings = Vec::new();
    let (mut node, mut second) = (Some(node), None);
    while let Some(booked) = ended.recv().await {
        bookings.extend(booked);
        if bookings.len() >= BOOKED_BEFORE
            && let Some(node) = node.take()
        {
            let again = tokio::task::block_in_place(|| {
                node.kill().unwrap();
                place.up()
            });
            moved.send_replace(again.url().clone());
            second = Some(again);
        }
    }
    assert!(!tasks.has_failed(), "a client panicked");
    assert!(second.is_some(), "the node was killed in the middle");
    assert_eq!(bookings.len() as u64, left, "as many as there were rooms");
    let distinct: BTreeSet<_> = bookings.iter().collect();
    assert_eq!(distinct.len(), bookings.len(), "each client has its own");
    let mine = door.call("list_my_bookings", &json!({})).await;
    let mine = mine["structuredContent"]["bookings"].as_array().unwrap();
    let listed: BTreeSet<_> = mine
        .iter()
        .map(|b| b["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(listed, bookings.into_iter().collect::<BTreeSet<_>>());
}
