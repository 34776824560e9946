//! Flight search.

use std::sync::Arc;

use airside_base::VirtualClock;
use airside_flights::Flights;
use serde_json::{Value, json};

use crate::ask;

/// Where the clock of every test stands.
const NOW: &str = "2026-11-23T12:00:00Z";

fn flights() -> Flights {
    let now = NOW.parse().unwrap();
    Flights::new(Arc::new(VirtualClock::new(now)))
}

async fn search(arguments: Value) -> Value {
    let params = json!({ "name": "search_flights", "arguments": arguments });
    let result = ask(&flights(), ("acme", ""), "tools/call", params).await;
    result["structuredContent"].clone()
}

#[tokio::test]
async fn itineraries_connect_and_are_in_order() {
    let found = search(json!({
        "origin": "boston", "destination": "LAX", "date": "2026-12-20", "passengers": 2, "limit": 50,
    }))
    .await;
    let itineraries = found["itineraries"].as_array().unwrap();
    assert_eq!(itineraries.len(), 5, "{found}");
    let mut before = 0;
    for itinerary in itineraries {
        let total = itinerary["total"]["amount_minor"].as_i64().unwrap();
        assert!(total >= before && total % 200 == 0, "{itinerary}");
        before = total;
        let flights = itinerary["flights"].as_array().unwrap();
        assert_eq!(flights[0]["origin"], "BOS");
        assert_eq!(flights.last().unwrap()["destination"], "LAX");
        let time = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        for pair in flights.windows(2) {
            assert_eq!(pair[0]["destination"], pair[1]["origin"]);
            let change = time(&pair[0]["arrival"]).duration_until(time(&pair[1]["departure"]));
            assert!((45..=360).contains(&change.as_mins()), "{itinerary}");
        }
        let whole = time(&flights[0]["departure"])
            .duration_until(time(&flights.last().unwrap()["arrival"]));
        assert_eq!(itinerary["duration_minutes"], whole.as_mins());
        assert!(itinerary["seats_left"].as_i64().unwrap() >= 2);
    }
}

#[tokio::test]
async fn cities_with_several_airports_are_searched_whole() {
    let found = search(
        json!({ "origin": "New York", "destination": "ORD", "date": "2027-01-05", "max_stops": 0 }),
    )
    .await;
    assert_eq!(found["origins"].as_array().unwrap().len(), 3);
    let direct = found["itineraries"].as_array().unwrap();
    assert!(direct.iter().all(|one| one["stops"] == 0) && !direct.is_empty());
}

#[tokio::test]
async fn same_question_has_the_same_answer() {
    let ask = json!({ "origin": "MIA", "destination": "LAX", "date": "2026-12-24", "sort": "duration", "cabin": "business" });
    assert_eq!(search(ask.clone()).await, search(ask).await);
}

#[tokio::test]
async fn what_cannot_be_searched_is_refused_with_a_way_out() {
    let base = json!({ "origin": "BOS", "destination": "SEA", "date": "2026-12-20" });
    for (key, value, code, says) in [
        ("origin", json!("Bostn"), "TRV-300", "Boston"),
        (
            "origin",
            json!("🛫".repeat(200_000)),
            "TRV-300",
            "20 airports",
        ),
        (
            "destination",
            json!("boston"),
            "TRV-301",
            "ask the traveller",
        ),
        ("date", json!("2026-11-22"), "TRV-302", "2026-11-23"),
        ("date", json!("2028-01-01"), "TRV-302", "2027-10-19"),
        ("date", json!("tomorrow"), "TRV-002", "YYYY-MM-DD"),
        ("passengers", json!(90), "TRV-016", "1 to 9"),
        ("max_stops", json!(4), "TRV-016", "0 or 1"),
        ("limit", json!(0), "TRV-016", "1 to 50"),
        ("cabin", json!("first"), "TRV-001", "schema"),
    ] {
        let mut arguments = base.clone();
        arguments[key] = value;
        let refused = search(arguments).await;
        assert_eq!(refused["code"], code, "{key}: {refused}");
        assert!(
            refused["hint"].as_str().unwrap().contains(says),
            "{key}: {refused}"
        );
    }
}

#[tokio::test]
async fn result_fits_its_schema() {
    let tools = ask(&flights(), ("acme", ""), "tools/list", json!({})).await;
    let schema = jsonschema::validator_for(&tools["tools"][0]["outputSchema"]).unwrap();
    let found =
        search(json!({ "origin": "JFK", "destination": "DEN", "date": "2026-12-01" })).await;
    let errors: Vec<_> = schema
        .iter_errors(&found)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors, Vec::<String>::new());
    assert!(found["itineraries_available"].as_u64().unwrap() > 0);
}
