//! The same request again: in flight, after success, with another body, after a timeout.

use serde_json::{Value, json};

use crate::booking::{Rig, consent};

const OTHER: &str = "af1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11";

/// Returns what was done, if the result says it.
fn outcome(result: &Value) -> Option<&str> {
    result["structuredContent"]["outcome"].as_str()
}

fn code(result: &Value) -> &Value {
    &result["structuredContent"]["code"]
}

/// Confirms a quote of `quote` by `confirm`, twice at once, again, and with another body.
async fn check(rig: &Rig, quote: Value, confirm: &str, key: &str) -> Value {
    let agreed = consent(&quote, key);
    let (first, second) = tokio::join!(
        rig.ada(confirm, agreed.clone()),
        rig.ada(confirm, agreed.clone()),
    );
    // One of two in flight may learn only that it is under way.
    let settled = rig.ada(confirm, agreed.clone()).await;
    let done = outcome(&settled).unwrap_or_else(|| panic!("{settled}"));
    let known: Vec<_> = [&first, &second].into_iter().filter_map(outcome).collect();
    assert!(!known.is_empty(), "{first} {second}");
    assert!(known.iter().all(|known| *known == done), "{first} {second}");
    // In another process, on the same ledger: the answer had been lost.
    let elsewhere = rig.again().ada(confirm, agreed.clone()).await;
    assert_eq!(outcome(&elsewhere), Some(done));
    let mut reworded = agreed.clone();
    reworded["terms_digest"] = json!("0".repeat(64));
    assert_eq!(code(&rig.ada(confirm, reworded).await), "TRV-211");
    // Another key for what has been done is another wish, and there is nothing to agree to.
    let mut anew = agreed;
    anew["idempotency_key"] = json!("ff1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    let refused = rig.ada(confirm, anew).await;
    assert_eq!(refused["isError"], true, "{refused}");
    settled
}

#[tokio::test]
async fn changes_and_cancellations_are_repeated_like_bookings() {
    let rig = Rig::new();
    let id = rig.booked().await;
    let change = json!({ "booking_id": id, "nights_delta": 1 });
    let quote = rig.ada("quote_booking_change", change).await;
    let changed = check(&rig, quote, "confirm_booking_change", OTHER).await;
    let booking = &changed["structuredContent"]["booking"];
    assert_eq!(booking["history"].as_array().unwrap().len(), 1, "{changed}");

    let quote = rig
        .ada("quote_cancellation", json!({ "booking_id": id }))
        .await;
    let key = "bf1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11";
    check(&rig, quote, "confirm_cancellation", key).await;
    let kinds = rig.kinds().await;
    let count = |kind: &str| kinds.iter().filter(|known| *known == kind).count();
    let once = ["booking.confirmed", "booking.changed", "booking.cancelled"];
    assert_eq!(once.map(count), [1, 1, 1], "{kinds:?}");
}

#[tokio::test]
async fn change_that_has_become_dearer_asks_for_new_consent() {
    let rig = Rig::new();
    let id = rig.booked().await;
    let change = json!({ "booking_id": id, "nights_delta": 1 });
    let quote = rig.ada("quote_booking_change", change.clone()).await;
    let agreed = consent(&quote, OTHER);
    let quoted = &quote["structuredContent"]["quote"];
    // The hotel raises its rate while the traveller thinks.
    let booking = rig.ada("get_booking", json!({ "booking_id": id })).await;
    let booking = &booking["structuredContent"]["booking"];
    let updates: airside_travel::supply::Updates = serde_json::from_value(json!({
        "hotel": booking["property"]["property_id"], "sent": "2026-11-23T12:00:00Z",
        "changes": [{
            "room": booking["offer"]["room_type"]["code"],
            "from": "2026-12-15", "to": "2026-12-17",
            "what": { "set": "base_rate", "to": 199_900 },
        }],
    }))
    .unwrap();
    rig.travel.supply().apply(&updates).await.unwrap();
    let refused = rig.ada("confirm_booking_change", agreed.clone()).await;
    assert_eq!(code(&refused), "TRV-105", "{refused}");
    let same = rig.ada("get_booking", json!({ "booking_id": id })).await;
    assert_eq!(
        same["structuredContent"]["booking"]["stay"],
        booking["stay"]
    );

    let dearer = rig.ada("quote_booking_change", change).await;
    let now = &dearer["structuredContent"]["quote"];
    let amount = |quote: &Value| quote["after"]["amount"].as_i64().unwrap();
    assert!(amount(now) > amount(quoted), "{dearer}");
    assert_ne!(now["terms_digest"], quoted["terms_digest"]);
    // The old consent is to the old terms, whichever quote it is sent for.
    let mut old = agreed;
    old["quote_id"] = now["id"].clone();
    old["idempotency_key"] = json!("cf1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    let refused = rig.ada("confirm_booking_change", old).await;
    assert_eq!(refused["isError"], true, "{refused}");
    let fresh = consent(&dearer, "df1d6a3e-0d6e-4a53-9a38-5b0f6f1f2c11");
    let done = rig.ada("confirm_booking_change", fresh).await;
    let total = &done["structuredContent"]["booking"]["offer"]["total"];
    assert_eq!(*total, now["after"], "{done}");
}

/// The share of prices that had changed is counted where rooms are held.
#[tokio::test]
async fn prices_that_changed_before_rooms_were_held_are_counted() {
    let rig = Rig::new();
    let offer = rig.offer("2026-12-15", "2026-12-17").await;
    let create = json!({ "offer_ref": offer["offer_ref"] });
    rig.ada("create_booking_session", create.clone()).await;
    let prices = rig.travel.prices();
    assert_eq!((prices.held, prices.changed), (1, 0));
    let checked = rig.ada(
        "search_hotels",
        json!({
            "place": "Boston", "check_in": "2026-12-15", "check_out": "2026-12-17", "limit": 25,
            "free_cancellation": true,
        }),
    );
    let checked = checked.await;
    let hotels = checked["structuredContent"]["hotels"].as_array().unwrap();
    let room = &offer["room_type"]["code"];
    let hotel = hotels
        .iter()
        .find(|hotel| hotel["best_offer"]["offer_ref"] == offer["offer_ref"]);
    let updates: airside_travel::supply::Updates = serde_json::from_value(json!({
        "hotel": hotel.unwrap()["property_id"], "sent": "2026-11-23T12:00:00Z",
        "changes": [{
            "room": room, "from": "2026-12-15", "to": "2026-12-17",
            "what": { "set": "base_rate", "to": 199_900 },
        }],
    }))
    .unwrap();
    rig.travel.supply().apply(&updates).await.unwrap();
    let told = rig.ada("create_booking_session", create).await;
    assert_eq!(
        told["structuredContent"]["status"], "totals_changed",
        "{told}"
    );
    let prices = rig.travel.prices();
    assert_eq!((prices.held, prices.changed), (2, 1));
}
