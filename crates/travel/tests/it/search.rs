//! What travellers find.

use serde_json::{Value, json};

use crate::{call, search, travel, travel_at};

fn boston() -> Value {
    json!({ "place": "Boston", "check_in": "2026-12-01", "check_out": "2026-12-03" })
}

#[tokio::test]
async fn boston_has_hotels_with_an_all_in_price() {
    let found = search(&travel(), boston()).await;
    assert_eq!(found["status"], "ok");
    assert_eq!(
        found["place"]["label"],
        "Boston, Massachusetts, United States"
    );
    let hotels = found["hotels"].as_array().unwrap();
    assert_eq!(hotels.len(), 8);
    for hotel in hotels {
        let offer = &hotel["best_offer"];
        let lines = offer["totals"].as_array().unwrap();
        let (totals, parts): (Vec<_>, Vec<_>) = lines.iter().partition(|l| l["type"] == "total");
        let sum: i64 = parts
            .iter()
            .map(|line| line["amount"].as_i64().unwrap())
            .sum();
        assert_eq!(totals.len(), 1);
        assert_eq!(totals[0]["amount"], sum);
        assert_eq!(offer["total"]["amount"], sum);
        assert_eq!(offer["total"]["currency"], "USD");
        assert_eq!(hotel["sponsored"], false);
    }
}

#[tokio::test]
async fn golden_search_stays_the_same() {
    let mut arguments = boston();
    arguments["limit"] = json!(1);
    arguments["rooms"] = json!([{ "adults": 2, "child_ages": [4] }]);
    let result = call(&travel(), "search_hotels", arguments).await;
    insta::assert_json_snapshot!("boston_json", result["structuredContent"]);
    insta::assert_snapshot!(
        "boston_text",
        result["content"][0]["text"].as_str().unwrap()
    );
}

#[tokio::test]
async fn ambiguous_place_asks_back() {
    let found = search(&travel(), json!({ "place": "Portland" })).await;
    assert_eq!(found["status"], "place_ambiguous");
    let question = found["question"].as_str().unwrap();
    assert!(question.contains("Portland, Oregon") && question.contains("Portland, Maine"));
    let chosen = found["candidates"][1]["place_id"].clone();
    let found = search(&travel(), json!({ "place": chosen })).await;
    assert_eq!(found["place"]["label"], "Portland, Maine, United States");
}

#[tokio::test]
async fn pages_do_not_overlap_and_cover_everything() {
    let travel = travel();
    let mut arguments = boston();
    arguments["limit"] = json!(25);
    let all = ids(&search(&travel, arguments.clone()).await);
    arguments["limit"] = json!(5);
    let mut paged = Vec::new();
    loop {
        let page = search(&travel, arguments.clone()).await;
        paged.extend(ids(&page));
        match page.get("next_cursor") {
            Some(cursor) => arguments["cursor"] = cursor.clone(),
            None => break,
        }
    }
    assert_eq!(paged, all);
    assert!(all.len() > 5);
}

fn ids(result: &Value) -> Vec<String> {
    let hotels = result["hotels"].as_array().unwrap();
    let id = |hotel: &Value| hotel["property_id"].as_str().unwrap().to_owned();
    hotels.iter().map(id).collect()
}

#[tokio::test]
async fn filters_and_orders_hold() {
    let travel = travel();
    let with = |more: Value| {
        let mut arguments = boston();
        let more = more.as_object().unwrap().clone();
        arguments.as_object_mut().unwrap().extend(more);
        arguments
    };
    let found = search(
        &travel,
        with(json!({ "min_stars": 4, "sort": "price", "limit": 25 })),
    )
    .await;
    let hotels = found["hotels"].as_array().unwrap();
    assert!(
        !hotels.is_empty()
            && hotels
                .iter()
                .all(|hotel| hotel["stars"].as_i64() >= Some(4))
    );
    let total = |hotel: &Value| hotel["best_offer"]["total"]["amount"].as_i64().unwrap();
    assert!(hotels.is_sorted_by_key(total));

    let dear = total(hotels.last().unwrap());
    let limit = dear / 2 / 100 - 1;
    let found = search(
        &travel,
        with(json!({ "max_price_per_night": limit, "limit": 25 })),
    )
    .await;
    let hotels = found["hotels"].as_array().unwrap();
    assert!(!hotels.is_empty() && hotels.iter().all(|hotel| total(hotel) <= 2 * limit * 100));

    let found = search(
        &travel,
        with(json!({ "free_cancellation": true, "limit": 25 })),
    )
    .await;
    let free = |hotel: &Value| hotel["best_offer"]["cancellation"]["free_now"] == true;
    assert!(found["hotels"].as_array().unwrap().iter().all(free));
}

#[tokio::test]
async fn checked_price_is_the_searched_price() {
    let travel = travel();
    let found = search(&travel, boston()).await;
    for hotel in found["hotels"].as_array().unwrap() {
        let mut arguments = boston();
        arguments["property_id"] = hotel["property_id"].clone();
        arguments.as_object_mut().unwrap().remove("place");
        let checked = call(&travel, "check_availability", arguments).await;
        let offers = &checked["structuredContent"]["offers"];
        assert_eq!(offers[0], hotel["best_offer"], "{}", hotel["name"]);
    }
}

#[tokio::test]
async fn large_party_is_told_which_rooms_are_too_small() {
    let travel = travel();
    let found = search(&travel, boston()).await;
    let arguments = json!({
        "property_id": found["hotels"][0]["property_id"],
        "check_in": "2026-12-01",
        "check_out": "2026-12-02",
        "rooms": [{ "adults": 8 }],
    });
    let checked = call(&travel, "check_availability", arguments).await;
    let content = &checked["structuredContent"];
    assert_eq!(content["available"], false);
    assert_eq!(content["unavailable"][0]["reason"], "occupancy");
}

#[tokio::test]
async fn hotel_is_described() {
    let travel = travel();
    let found = search(&travel, boston()).await;
    let id = &found["hotels"][0]["property_id"];
    let hotel = call(&travel, "get_hotel", json!({ "property_id": id })).await;
    let profile = &hotel["structuredContent"]["hotel"];
    assert_eq!(profile["name"], found["hotels"][0]["name"]);
    assert_eq!(profile["time_zone"], "America/New_York");
    assert_eq!(profile["currency"], "USD");
    assert!(profile["room_types"].as_array().unwrap().len() >= 2);
}

#[tokio::test]
async fn today_is_the_hotels_today() {
    // 2026-11-24 has begun in Auckland and Tokyo, not in Honolulu.
    let travel = travel_at("2026-11-23T20:00:00Z");
    let tonight = |place: &str, date: &str| json!({ "place": place, "check_in": date });
    let found = search(&travel, tonight("Honolulu", "2026-11-23")).await;
    assert_eq!(found["status"], "ok");
    let found = search(&travel, tonight("Auckland", "2026-11-23")).await;
    assert_eq!(
        (&found["status"], &found["code"]),
        (&json!("error"), &json!("TRV-003"))
    );
}

#[tokio::test]
async fn what_was_assumed_is_said() {
    let found = search(&travel(), json!({ "place": "Boston", "currency": "EUR" })).await;
    let assumptions = found["assumptions"].to_string();
    for part in [
        "No dates",
        "two adults",
        "paid in USD",
        "not Boston, England",
    ] {
        assert!(assumptions.contains(part), "{part}: {assumptions}");
    }
    assert_eq!(found["stay"]["check_in"], "2026-11-24");
}
