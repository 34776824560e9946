//! What a wrong call is told.

use airside_travel::Travel;
use serde_json::{Value, json};

use crate::{call, travel};

async fn check(travel: &Travel, tool: &str, arguments: Value, code: &str) {
    let result = call(travel, tool, arguments.clone()).await;
    let shown: String = arguments.to_string().chars().take(200).collect();
    assert_eq!(result["isError"], true, "{shown}");
    let content = &result["structuredContent"];
    assert_eq!(content["status"], "error");
    assert_eq!(content["code"], code, "{shown}: {content}");
    for text in [&content["message"], &content["hint"]] {
        assert!((10..400).contains(&text.as_str().unwrap().len()), "{text}");
    }
    let text = result["content"][0]["text"].as_str().unwrap();
    assert!(text.starts_with(code) && text.len() < 700, "{text}");
}

fn boston(more: &Value) -> Value {
    let mut arguments =
        json!({ "place": "Boston", "check_in": "2026-12-01", "check_out": "2026-12-03" });
    let more = more.as_object().unwrap().clone();
    arguments.as_object_mut().unwrap().extend(more);
    arguments
}

#[tokio::test]
async fn wrong_search_is_rejected_with_its_code() {
    let travel = travel();
    for (more, code) in [
        (json!({ "guests": 2 }), "TRV-001"),
        (json!({ "rooms": "two" }), "TRV-001"),
        (json!({ "place": null }), "TRV-001"),
        (json!({ "x".repeat(1_000_000): 1 }), "TRV-001"),
        (json!({ "rooms": [{ "adults": 1.5 }] }), "TRV-001"),
        (json!({ "check_in": "tomorrow" }), "TRV-002"),
        (json!({ "check_in": "2026-02-30" }), "TRV-002"),
        (json!({ "check_in": "01.12.2026" }), "TRV-002"),
        (json!({ "check_out": "2026-12-03T10:00" }), "TRV-002"),
        (json!({ "check_out": "９９９９-12-03" }), "TRV-002"),
        (json!({ "check_in": "2026-11-22" }), "TRV-003"),
        (json!({ "check_in": "-009999-01-01" }), "TRV-002"),
        (json!({ "check_out": "2026-12-01" }), "TRV-004"),
        (json!({ "check_out": "2026-11-30" }), "TRV-004"),
        (json!({ "check_out": "2028-01-05" }), "TRV-005"),
        (
            json!({ "check_in": "2028-12-01", "check_out": "2028-12-02" }),
            "TRV-006",
        ),
        (
            json!({ "check_in": "9999-12-30", "check_out": "9999-12-31" }),
            "TRV-006",
        ),
        (json!({ "rooms": [] }), "TRV-007"),
        (
            json!({ "rooms": vec![json!({ "adults": 2 }); 90] }),
            "TRV-007",
        ),
        (json!({ "rooms": [{ "adults": 0 }] }), "TRV-008"),
        (json!({ "rooms": [{ "adults": 400 }] }), "TRV-008"),
        (json!({ "rooms": [{ "adults": -1 }] }), "TRV-008"),
        (
            json!({ "rooms": [{ "adults": 1, "child_ages": [1, 1, 1, 1, 1, 1, 1] }] }),
            "TRV-008",
        ),
        (
            json!({ "rooms": [{ "adults": 2, "child_ages": [40] }] }),
            "TRV-009",
        ),
        (
            json!({ "rooms": [{ "adults": 2, "child_ages": [-1] }] }),
            "TRV-009",
        ),
        (json!({ "currency": "XYZ" }), "TRV-010"),
        (json!({ "currency": "💶" }), "TRV-010"),
        (json!({ "place": "Narnia" }), "TRV-011"),
        (json!({ "place": "🏨🏨🏨" }), "TRV-011"),
        (json!({ "place": "Boston\u{202e}\u{0}, Mars" }), "TRV-011"),
        (json!({ "place": "" }), "TRV-012"),
        (json!({ "place": "b".repeat(1_000_000) }), "TRV-012"),
        (json!({ "cursor": "AAAA" }), "TRV-014"),
        (
            json!({ "currency": "EUR", "max_price_per_night": 100 }),
            "TRV-015",
        ),
        (json!({ "limit": 0 }), "TRV-016"),
        (json!({ "limit": 1_000_000 }), "TRV-016"),
        (json!({ "min_stars": 6 }), "TRV-016"),
        (json!({ "max_price_per_night": i64::MAX }), "TRV-016"),
    ] {
        check(&travel, "search_hotels", boston(&more), code).await;
    }
}

#[tokio::test]
async fn unknown_property_is_rejected() {
    let travel = travel();
    for id in ["htl_4930956_60000", "htl_1_1", "", "🏨", "../../etc/passwd"] {
        check(
            &travel,
            "get_hotel",
            json!({ "property_id": id }),
            "TRV-013",
        )
        .await;
    }
    let stay =
        json!({ "property_id": "htl_1_1", "check_in": "2026-12-01", "check_out": "2026-12-02" });
    check(&travel, "check_availability", stay, "TRV-013").await;
    check(&travel, "check_availability", json!({}), "TRV-001").await;
}

#[tokio::test]
async fn misspelt_place_is_answered_with_similar_ones() {
    let result = call(&travel(), "search_hotels", json!({ "place": "Bosten" })).await;
    let near = &result["structuredContent"]["near_matches"];
    assert_eq!(near[0], "Boston, Massachusetts, United States");
}

#[tokio::test]
async fn check_out_without_check_in_is_rejected() {
    check(
        &travel(),
        "search_hotels",
        json!({ "place": "Boston", "check_out": "2026-12-02" }),
        "TRV-001",
    )
    .await;
}
