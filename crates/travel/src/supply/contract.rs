//! What every [`HotelSupply`] must do, as code.
//!
//! Each function takes a fresh supplier, or at least references that it does not know
//! yet: `name` makes them unique.

use std::time::Duration;

use super::{Error, Guest, HotelSupply, Reference, Reservation, Selection, State};

const TTL: Duration = Duration::from_secs(600);

fn reference(name: &str, part: &str) -> Reference {
    let text = format!("{name}-{part}");
    text.parse().expect("the test's name is a reference")
}

fn guest() -> Guest {
    Guest {
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        email: "ada@example.com".to_owned(),
        phone_number: None,
    }
}

async fn held(supply: &dyn HotelSupply, reference: &Reference, wanted: &Selection) -> Reservation {
    let held = supply.hold(reference, wanted, TTL).await;
    held.expect("the rooms of the test are free")
}

/// Runs all of it. `wanted` is a selection of one room that can be sold at least
/// twice; `longer` is another one of the same hotel.
pub async fn all(supply: &dyn HotelSupply, name: &str, wanted: &Selection, longer: &Selection) {
    repeated_hold_is_one_hold(supply, &format!("{name}-a"), wanted, longer).await;
    booking_is_what_was_held(supply, &format!("{name}-b"), wanted).await;
    released_hold_cannot_be_booked(supply, &format!("{name}-c"), wanted).await;
    seen_price_is_the_price(supply, &format!("{name}-d"), wanted).await;
    cancellation_costs_what_was_accepted(supply, &format!("{name}-e"), wanted).await;
    repeated_change_is_one_change(supply, &format!("{name}-f"), wanted, longer).await;
    unknown_reference_has_nothing(supply, &format!("{name}-g")).await;
}

/// A repeated hold returns the first, and its reference names nothing else.
pub async fn repeated_hold_is_one_hold(
    supply: &dyn HotelSupply,
    name: &str,
    wanted: &Selection,
    other: &Selection,
) {
    let id = reference(name, "1");
    let first = held(supply, &id, wanted).await;
    assert!(first.is_of(wanted) && matches!(first.state, State::Held { .. }));
    assert_eq!(supply.hold(&id, wanted, TTL).await, Ok(first.clone()));
    assert_eq!(supply.hold(&id, other, TTL).await, Err(Error::Mismatch));
    assert_eq!(supply.find(&id).await, Ok(Some(first)));
    let released = supply.release(&id).await.expect("a hold can be released");
    assert!(matches!(released.state, State::Released { .. }));
    assert_eq!(supply.release(&id).await, Ok(released));
}

/// A booking has the price of its hold and is confirmed once.
pub async fn booking_is_what_was_held(supply: &dyn HotelSupply, name: &str, wanted: &Selection) {
    let id = reference(name, "1");
    let hold = held(supply, &id, wanted).await;
    let booked = supply
        .commit(&id, &guest())
        .await
        .expect("a hold can be booked");
    assert_eq!(booked.price, hold.price);
    assert!(booked.confirmation().is_some_and(|name| !name.is_empty()));
    assert_eq!(supply.commit(&id, &guest()).await, Ok(booked.clone()));
    assert_eq!(supply.find(&id).await, Ok(Some(booked.clone())));
    let released = supply.release(&id).await;
    assert_eq!(released, Err(Error::State { is: "booked" }));
    let cancelled = supply.cancel(&id, booked.price.total).await;
    assert!(cancelled.is_ok(), "{cancelled:?}");
}

/// What was given back is not sold.
pub async fn released_hold_cannot_be_booked(
    supply: &dyn HotelSupply,
    name: &str,
    wanted: &Selection,
) {
    let id = reference(name, "1");
    held(supply, &id, wanted).await;
    supply.release(&id).await.expect("a hold can be released");
    let booked = supply.commit(&id, &guest()).await;
    assert_eq!(booked, Err(Error::State { is: "released" }));
}

/// A hold at another price than the traveller has seen takes nothing.
pub async fn seen_price_is_the_price(supply: &dyn HotelSupply, name: &str, wanted: &Selection) {
    let quoted = supply.quote(wanted, None).await.expect("it can be sold");
    let total = quoted.price.total;
    let id = reference(name, "1");
    let seen = Selection {
        expected_total: Some(total + 1),
        ..wanted.clone()
    };
    let refused = supply.hold(&id, &seen, TTL).await;
    assert_eq!(refused, Err(Error::PriceChanged { now: total }));
    assert_eq!(supply.find(&id).await, Ok(None));
    let seen = Selection {
        expected_total: Some(total),
        ..wanted.clone()
    };
    let id = reference(name, "2");
    assert_eq!(held(supply, &id, &seen).await.price.total, total);
    supply.release(&id).await.expect("a hold can be released");
}

/// Cancelling costs no more than was accepted, and happens once.
pub async fn cancellation_costs_what_was_accepted(
    supply: &dyn HotelSupply,
    name: &str,
    wanted: &Selection,
) {
    let id = reference(name, "1");
    held(supply, &id, wanted).await;
    let early = supply.cancel(&id, i64::MAX).await;
    assert_eq!(early, Err(Error::State { is: "held" }));
    let booked = supply
        .commit(&id, &guest())
        .await
        .expect("a hold can be booked");
    let refused = supply.cancel(&id, -1).await;
    assert!(
        matches!(refused, Err(Error::PriceChanged { .. })),
        "{refused:?}"
    );
    let cancelled = supply.cancel(&id, booked.price.total).await;
    let cancelled = cancelled.expect("no penalty is above the total");
    assert!(matches!(cancelled.state, State::Cancelled { .. }));
    assert_eq!(supply.cancel(&id, -1).await, Ok(cancelled.clone()));
    assert_eq!(supply.find(&id).await, Ok(Some(cancelled)));
}

/// A repeated change returns the first.
pub async fn repeated_change_is_one_change(
    supply: &dyn HotelSupply,
    name: &str,
    wanted: &Selection,
    other: &Selection,
) {
    let (id, change) = (reference(name, "1"), reference(name, "2"));
    held(supply, &id, wanted).await;
    let early = supply.modify(&id, &change, other).await;
    assert_eq!(early, Err(Error::State { is: "held" }));
    supply
        .commit(&id, &guest())
        .await
        .expect("a hold can be booked");
    let quoted = supply.quote(other, Some(&id)).await;
    let quoted = quoted.expect("the other stay can be sold");
    let changed = supply.modify(&id, &change, other).await;
    let changed = changed.expect("a booking can be changed");
    assert!(changed.is_of(other) && changed.price == quoted.price);
    assert_eq!(
        supply.modify(&id, &change, other).await,
        Ok(changed.clone())
    );
    let reused = supply.modify(&id, &change, wanted).await;
    assert_eq!(reused, Err(Error::Mismatch));
    assert_eq!(supply.find(&id).await, Ok(Some(changed.clone())));
    let cancelled = supply.cancel(&id, changed.price.total).await;
    assert!(cancelled.is_ok(), "{cancelled:?}");
}

/// Nothing is known of what was never asked for.
pub async fn unknown_reference_has_nothing(supply: &dyn HotelSupply, name: &str) {
    let id = reference(name, "1");
    assert_eq!(supply.find(&id).await, Ok(None));
    assert_eq!(supply.commit(&id, &guest()).await, Err(Error::NotFound));
    assert_eq!(supply.release(&id).await, Err(Error::NotFound));
    assert_eq!(supply.cancel(&id, 0).await, Err(Error::NotFound));
}
