//! What models send by mistake, through the gateway: answered with a code and a sentence
//! to act on, by the tool, or by the gateway where it does not fit the tool's schema.

use airside_mcp::client::Choice;
use serde_json::{Value, json};

use crate::{
    booking::{call, client, later},
    run::Place,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_answered_with_a_code_and_a_sentence() {
    let place = Place::new();
    let node = tokio::task::block_in_place(|| place.up());
    let key = std::fs::read_to_string(place.path("data").join("caller.key")).unwrap();
    let search = |more: Value| {
        let mut arguments =
            json!({ "place": "Boston", "check_in": later(30), "check_out": later(32) });
        let more = more.as_object().unwrap().clone();
        arguments.as_object_mut().unwrap().extend(more);
        ("search_hotels", arguments)
    };
    let mb = "x".repeat(1_000_000);
    let cases = [
        (search(json!({ "check_in": "2020-01-01" })), "TRV-003"),
        (search(json!({ "check_out": later(29) })), "TRV-004"),
        (search(json!({ "check_out": later(430) })), "TRV-005"),
        (
            search(json!({ "rooms": vec![json!({ "adults": 2 }); 90] })),
            "GW-075",
        ),
        (
            search(json!({ "rooms": [{ "adults": 2, "child_ages": [40] }] })),
            "GW-075",
        ),
        (search(json!({ "currency": "XYZ" })), "TRV-010"),
        (search(json!({ "place": "Narnia" })), "TRV-011"),
        (search(json!({ "place": "🏨🏨🏨" })), "TRV-011"),
        (search(json!({ "currency": "💶" })), "GW-075"),
        (search(json!({ "place": mb })), "GW-075"),
        (search(json!({ "sort": mb })), "GW-075"),
        (("get_hotel", json!({ "property_id": mb })), "GW-075"),
        (
            ("create_booking_session", json!({ "offer_ref": mb })),
            "GW-075",
        ),
        (
            ("create_booking_session", json!({ "offer_ref": "🏨" })),
            "TRV-204",
        ),
        (("get_booking", json!({ "booking_id": mb })), "GW-075"),
    ];
    for era in [Choice::Modern, Choice::Legacy] {
        let client = client(node.url(), Some(key.trim()), era, &[]).await;
        for ((tool, arguments), code) in &cases {
            let said: String = arguments.to_string().chars().take(120).collect();
            let refused = call(&client, tool, arguments.clone()).await;
            let refused = refused.unwrap_or_else(|| panic!("{tool} {said}: not answered"));
            assert_eq!(refused["isError"], true, "{tool} {said}");
            let text = refused["content"][0]["text"].as_str().unwrap();
            assert!(text.contains(code), "{tool} {said}: {text}");
            assert!((40..700).contains(&text.len()), "{tool} {said}: {text}");
            // What breaks the schema of a tool does not get as far as the tool.
            if !code.starts_with("TRV-") {
                let told = &refused["_meta"]["airside/refusal"]["code"];
                assert_eq!(told, code, "{tool} {said}: {refused}");
            } else {
                let content = &refused["structuredContent"];
                assert_eq!(content["code"], *code, "{tool} {said}: {content}");
                assert!(
                    content["hint"].as_str().unwrap().len() > 10,
                    "{tool} {said}"
                );
            }
            assert!(refused.to_string().len() < 2_000, "{tool} {said}");
        }
    }
    assert!(node.terminate().unwrap().success());
}
