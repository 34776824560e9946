//! The tools' contracts and the protocol around them, in both eras.

use airside_mcp::{Local as _, body};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use crate::{call, read, send, travel};

const ERAS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

async fn tools() -> Vec<Value> {
    let (_, message) = send(&travel(), "2026-07-28", "tools/list", json!({})).await;
    message["result"]["tools"].as_array().unwrap().clone()
}

/// Name, then readOnly, destructive, idempotent and openWorld hint, then who sees it:
/// `b` model and view, `v` the view alone, `m` no view.
pub(crate) const TOOLS: [(&str, &str); 19] = [
    ("search_hotels", "tftt b"),
    ("get_hotel", "tftt b"),
    ("check_availability", "tftt b"),
    ("get_price_calendar", "tftt m"),
    ("create_booking_session", "ffft b"),
    ("get_booking_session", "tftf b"),
    ("update_booking_session", "fftf b"),
    ("complete_booking_session", "fttt v"),
    ("cancel_booking_session", "fttf m"),
    ("get_booking", "tftf b"),
    ("list_my_bookings", "tftf b"),
    ("quote_booking_change", "ffft b"),
    ("confirm_booking_change", "fttt v"),
    ("quote_cancellation", "ffff b"),
    ("confirm_cancellation", "fttt v"),
    ("get_preferences", "tftf m"),
    ("save_preferences", "fftf m"),
    ("forget_me", "fttf m"),
    ("send_feedback", "ffff m"),
];

#[tokio::test]
async fn tools_are_honestly_described() {
    let tools = tools().await;
    let described = tools.iter().map(|tool| {
        let hint = |name: &str| match &tool["annotations"][name] {
            Value::Bool(true) => "t",
            Value::Bool(false) => "f",
            other => panic!("{name} of {} is {other}", tool["name"]),
        };
        assert_eq!(tool["annotations"]["title"], tool["title"]);
        let hints = [
            "readOnlyHint",
            "destructiveHint",
            "idempotentHint",
            "openWorldHint",
        ];
        let seen = match &tool["_meta"]["ui"]["visibility"] {
            Value::Null => "m",
            seen if *seen == json!(["app"]) => "v",
            _ => "b",
        };
        (
            tool["name"].as_str().unwrap().to_owned(),
            format!("{} {seen}", hints.map(hint).concat()),
        )
    });
    let described: Vec<_> = described.collect();
    let expected = TOOLS.map(|(name, hints)| (name.to_owned(), hints.to_owned()));
    assert_eq!(described, expected);
    for tool in &tools {
        assert_eq!(
            tool["inputSchema"]["additionalProperties"], false,
            "{}",
            tool["name"]
        );
        for (name, property) in tool["inputSchema"]["properties"]
            .as_object()
            .into_iter()
            .flatten()
        {
            assert!(
                property["description"].is_string(),
                "{name} of {}",
                tool["name"]
            );
        }
    }
    assert!(!json!(tools).to_string().contains("$ref"));
}

/// A model that reads "find available hotels in Boston" must find a search.
#[tokio::test]
async fn sentence_about_boston_leads_to_the_search() {
    let wanted = ["find", "available", "hotels", "in", "boston"];
    let tools = tools().await;
    let score = |tool: &Value| {
        let text = format!("{} {} {}", tool["name"], tool["title"], tool["description"]);
        let text = text.to_lowercase();
        let words: Vec<_> = text.split(|c: char| !c.is_alphanumeric()).collect();
        wanted.iter().filter(|word| words.contains(word)).count()
    };
    let mut ranked: Vec<_> = tools
        .iter()
        .map(|tool| (score(tool), tool["name"].as_str().unwrap()))
        .collect();
    ranked.sort_unstable();
    let (best, next) = (ranked[ranked.len() - 1], ranked[ranked.len() - 2]);
    assert_eq!(best, (5, "search_hotels"));
    assert!(next.0 <= 3, "{ranked:?}");
    // None of those that act on a booking sounds like it.
    for tool in &tools {
        if tool["name"].as_str().unwrap().contains("booking") {
            assert!(score(tool) <= 2, "{}", tool["name"]);
        }
    }
}

#[tokio::test]
async fn contracts_of_the_tools_stay_the_same() {
    let mut text = String::new();
    for tool in tools().await {
        let output = tool["outputSchema"].to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, output.as_bytes());
        let digest: String = digest.as_ref()[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let (name, about) = (&tool["name"], &tool["description"]);
        let line = format!(
            "{name} {}\n  {about}\n  {}\n  result {digest}\n",
            tool["title"], tool["inputSchema"]
        );
        text.push_str(&line);
    }
    insta::assert_snapshot!("tools", text);
}

/// Every client reads the whole list, and most models pay for it.
#[tokio::test]
async fn contracts_are_not_longer_than_they_have_to_be() {
    let tools = tools().await;
    for tool in &tools {
        for (schema, most) in [("inputSchema", 4 * 1024), ("outputSchema", 8 * 1024)] {
            let bytes = tool[schema].to_string().len();
            assert!(bytes <= most, "{schema} of {}: {bytes} bytes", tool["name"]);
        }
    }
    let all = json!(tools).to_string().len();
    assert!(all < 128 * 1024, "{all} bytes");
}

#[tokio::test]
async fn results_fit_their_output_schema() {
    let travel = travel();
    let tools = tools().await;
    let id = call(&travel, "search_hotels", json!({ "place": "Boston" })).await["structuredContent"]
        ["hotels"][0]["property_id"]
        .clone();
    let stay = |rooms: Value| json!({ "property_id": id, "check_in": "2026-12-05", "check_out": "2026-12-06", "rooms": rooms });
    for (tool, arguments) in [
        (
            "search_hotels",
            json!({ "place": "Tokyo", "check_in": "2026-12-05" }),
        ),
        (
            "search_hotels",
            json!({ "place": "Rome", "rooms": [{ "adults": 2, "child_ages": [1, 9] }] }),
        ),
        ("search_hotels", json!({ "place": "Portland" })),
        ("search_hotels", json!({ "place": "Narnia" })),
        ("search_hotels", json!({})),
        ("get_hotel", json!({ "property_id": id })),
        ("get_hotel", json!({ "property_id": "htl_0_0" })),
        ("check_availability", stay(json!([{ "adults": 2 }]))),
        (
            "check_availability",
            stay(json!([{ "adults": 8 }, { "adults": 1 }])),
        ),
        ("check_availability", stay(json!([]))),
    ] {
        let contract = tools
            .iter()
            .find(|contract| contract["name"] == tool)
            .unwrap();
        let schema = jsonschema::validator_for(&contract["outputSchema"]).unwrap();
        let result = call(&travel, tool, arguments.clone()).await;
        let errors: Vec<_> = schema
            .iter_errors(&result["structuredContent"])
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{tool} {arguments}: {errors:?}");
        assert!(result["content"][0]["text"].as_str().unwrap().len() > 20);
    }
}

#[tokio::test]
async fn accepted_arguments_fit_the_input_schema() {
    let tools = tools().await;
    let schema = jsonschema::validator_for(&tools[0]["inputSchema"]).unwrap();
    let full = json!({
        "place": "Boston", "check_in": "2026-12-01", "check_out": "2026-12-03",
        "rooms": [{ "adults": 2, "child_ages": [4, 17] }], "currency": "USD", "min_stars": 3,
        "max_price_per_night": 400, "free_cancellation": true, "sort": "price", "limit": 5,
    });
    assert!(schema.is_valid(&full) && schema.is_valid(&json!({ "place": "Boston" })));
    assert_eq!(
        call(&travel(), "search_hotels", full).await["isError"],
        false
    );
    for wrong in [
        json!({}),
        json!({ "place": "Boston", "limit": 99 }),
        json!({ "place": "Boston", "pets": 1 }),
    ] {
        assert!(!schema.is_valid(&wrong), "{wrong}");
    }
}

#[tokio::test]
async fn every_revision_is_answered_without_a_session() {
    let travel = travel();
    let mut seen = Vec::new();
    for revision in ERAS {
        if revision < "2026-07-28" {
            let hello = json!({
                "protocolVersion": revision, "capabilities": {},
                "clientInfo": { "name": "test", "version": "1" },
            });
            let (status, message) = send(&travel, revision, "initialize", hello).await;
            assert_eq!(status, StatusCode::OK);
            assert_eq!(message["result"]["protocolVersion"], revision);
            assert!(
                message["result"]["instructions"]
                    .as_str()
                    .unwrap()
                    .contains("search_hotels")
            );
        }
        let params = json!({ "name": "search_hotels", "arguments": { "place": "Boston" } });
        let (status, message) = send(&travel, revision, "tools/call", params).await;
        assert_eq!(status, StatusCode::OK, "{revision}: {message}");
        seen.push(message["result"]["structuredContent"].clone());
    }
    assert!(
        seen.iter()
            .all(|result| *result == seen[0] && result["status"] == "ok")
    );
}

#[tokio::test]
async fn discovery_and_lists_may_be_cached_by_everybody() {
    let travel = travel();
    let notice = json!({ "uri": "airside://travel/notice" });
    for (method, params) in [
        ("server/discover", json!({})),
        ("tools/list", json!({})),
        ("prompts/list", json!({})),
        ("resources/list", json!({})),
        ("resources/read", notice),
    ] {
        let (status, message) = send(&travel, "2026-07-28", method, params).await;
        assert_eq!(status, StatusCode::OK, "{method}: {message}");
        let result = &message["result"];
        assert_eq!(
            (&result["ttlMs"], &result["cacheScope"]),
            (&json!(3_600_000), &json!("public")),
            "{method}"
        );
    }
    let (_, message) = send(&travel, "2026-07-28", "server/discover", json!({})).await;
    assert_eq!(message["result"]["supportedVersions"], json!(ERAS));
}

#[tokio::test]
async fn protocol_errors_have_the_codes_of_the_specification() {
    let travel = travel();
    for (method, params, status, code) in [
        (
            "tools/call",
            json!({ "name": "book_hotel", "arguments": {} }),
            200,
            -32602,
        ),
        (
            "resources/read",
            json!({ "uri": "airside://travel/none" }),
            200,
            -32602,
        ),
        ("prompts/get", json!({ "name": "book" }), 200, -32602),
        ("completion/complete", json!({}), 404, -32601),
        ("hotels/list", json!({}), 404, -32601),
    ] {
        let (seen, message) = send(&travel, "2026-07-28", method, params).await;
        assert_eq!(
            (seen.as_u16(), &message["error"]["code"]),
            (status, &json!(code)),
            "{method}: {message}"
        );
    }
    let get = Request::builder()
        .method(Method::GET)
        .uri("http://travel.internal/mcp");
    let response = travel.call(get.body(body::empty()).unwrap()).await;
    assert_eq!(read(response).await.0, StatusCode::METHOD_NOT_ALLOWED);
}
