use std::sync::OnceLock;

use airside_base::{NodeId, Supervisor, VirtualClock};
use airside_ledger::{Ledger, Options, stores::memory::Memory};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::{inventory::Inventory, property::Size, shop::Hotels};

/// The tools over our own hotels, and what they run on.
fn desk() -> &'static (Runtime, Desk) {
    static DESK: OnceLock<(Runtime, Desk)> = OnceLock::new();
    DESK.get_or_init(|| {
        let runtime = Builder::new_multi_thread().worker_threads(1).build();
        let runtime = runtime.unwrap();
        let desk = runtime.block_on(async {
            let now = "2026-11-23T12:00:00Z".parse().unwrap();
            let clock = Arc::new(VirtualClock::new(now));
            let supervisor = Supervisor::new();
            let store = Arc::new(Memory::new());
            let ledger = Ledger::open(store, clock.clone(), &supervisor, Options::default());
            let hotels = Arc::new(Hotels::new(
                7,
                Size::Demonstration,
                crate::house::Houses::default(),
            ));
            let (ledger, node) = (ledger.await.unwrap(), NodeId::generate(&*clock));
            let sold = Inventory::start(hotels, ledger, clock.clone(), node, None, &supervisor);
            Desk::new(Arc::new(sold), clock, false)
        });
        (runtime, desk)
    })
}

fn any_place() -> impl Strategy<Value = String> {
    let city = proptest::sample::select(vec![
        "Boston",
        "Portland",
        "Paris",
        "NYC",
        "Reykjavík",
        "Ulan Bator",
        "Suva",
        "Honolulu",
        "Longyearbyen",
        "Kuwait",
        "Seoul",
        "geonames:4930956",
        "São Paulo, BR",
        "saint louis",
    ]);
    prop_oneof![city.prop_map(str::to_owned), "\\PC{0,40}", any::<String>()]
}

fn any_date() -> impl Strategy<Value = String> {
    prop_oneof![
        "202[5-9]-[01][0-9]-[0-3][0-9]",
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        any::<String>(),
    ]
}

/// A sensible number most of the time, and any other.
fn any_number(sensible: std::ops::Range<i64>) -> impl Strategy<Value = i64> {
    prop_oneof![8 => sensible, 1 => any::<i64>()]
}

fn any_room() -> impl Strategy<Value = Value> {
    let ages = proptest::collection::vec(any_number(0..18), 0..4);
    (any_number(1..5), ages)
        .prop_map(|(adults, ages)| json!({ "adults": adults, "child_ages": ages }))
}

fn any_search() -> impl Strategy<Value = Value> {
    let stay = (
        any_date(),
        any_date(),
        proptest::collection::vec(any_room(), 0..4),
    );
    let more = (
        any_number(1..6),
        any_number(1..2_000),
        any::<bool>(),
        any_number(1..26),
        any::<String>(),
    );
    (any_place(), stay, more, any::<u16>()).prop_map(|(place, stay, more, keep)| {
        let all = json!({
            "check_in": stay.0, "check_out": stay.1, "rooms": stay.2, "min_stars": more.0,
            "max_price_per_night": more.1, "free_cancellation": more.2, "limit": more.3,
            "cursor": more.4, "sort": "distance",
        });
        let mut arguments = json!({ "place": place });
        for (i, (key, value)) in all.as_object().unwrap().iter().enumerate() {
            if keep & (1 << i) != 0 {
                arguments[key] = value.clone();
            }
        }
        arguments
    })
}

/// Calls a tool and returns its structured content. Fails unless the result is
/// either an answer or a rejection.
fn answer(tool: &str, arguments: &Value) -> Value {
    let arguments = arguments.as_object().cloned();
    let (runtime, desk) = desk();
    let called = runtime.block_on(desk.call(tool, arguments));
    let result = called.expect("the tool exists");
    let content = result
        .structured_content
        .expect("every result is structured");
    let rejected = content["status"] == "error";
    assert_eq!(result.is_error, Some(rejected));
    assert_eq!(content["code"].is_string(), rejected);
    content
}

fn check_prices(offer: &Value) {
    let lines = offer["totals"].as_array().unwrap();
    let amount = |line: &Value| line["amount"].as_i64().unwrap();
    let parts: i64 = lines
        .iter()
        .filter(|l| l["type"] != "total")
        .map(amount)
        .sum();
    assert_eq!(offer["total"]["amount"], parts);
    let inside = lines
        .iter()
        .filter(|l| l["collected"] == "in_rate")
        .map(amount)
        .sum::<i64>();
    let nightly: i64 = offer["nightly"]
        .as_array()
        .unwrap()
        .iter()
        .map(amount)
        .sum();
    assert_eq!(nightly, amount(&lines[0]) + inside);
    let later = lines
        .iter()
        .filter(|l| l["collected"] == "at_property")
        .map(amount)
        .sum::<i64>();
    assert_eq!(offer["pay_at_property"]["amount"], later);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn any_search_is_answered_or_rejected_and_prices_add_up(arguments in any_search()) {
        let found = answer(SEARCH, &arguments);
        for hotel in found["hotels"].as_array().into_iter().flatten() {
            check_prices(&hotel["best_offer"]);
        }
    }

    #[test]
    fn any_other_call_is_answered_or_rejected(
        index in 0_u32..20,
        id in prop_oneof![Just(None), any::<String>().prop_map(Some)],
        check_in in any_date(),
        check_out in any_date(),
    ) {
        let id = id.unwrap_or_else(|| format!("htl_4930956_{index}"));
        answer(DETAILS, &json!({ "property_id": id }));
        let checked = answer(CHECK, &json!({ "property_id": id, "check_in": check_in, "check_out": check_out }));
        for offer in checked["offers"].as_array().into_iter().flatten() {
            check_prices(offer);
        }
    }

    #[test]
    fn offers_are_those_of_every_room_type_that_is_not_refused(
        index in 0_u32..14,
        ahead in 0_i64..400,
        nights in 1_i64..10,
        rooms in proptest::collection::vec(1_i64..5, 1..3),
    ) {
        use jiff::ToSpan as _;
        let check_in = jiff::civil::date(2026, 11, 24) + ahead.days();
        let rooms: Vec<_> = rooms.into_iter().map(|adults| json!({ "adults": adults })).collect();
        let id = format!("htl_4930956_{index}");
        let checked = answer(CHECK, &json!({
            "property_id": id, "rooms": rooms,
            "check_in": check_in.to_string(), "check_out": (check_in + nights.days()).to_string(),
        }));
        let profile = answer(DETAILS, &json!({ "property_id": id }));
        let mut codes: Vec<_> = [&checked["offers"], &checked["unavailable"]]
            .into_iter()
            .flat_map(|list| list.as_array().unwrap())
            .map(|entry| entry["room_type"]["code"].as_str().unwrap())
            .collect();
        codes.sort_unstable();
        codes.dedup();
        let mut all: Vec<_> = profile["hotel"]["room_types"].as_array().unwrap()
            .iter().map(|room| room["code"].as_str().unwrap()).collect();
        all.sort_unstable();
        prop_assert_eq!(codes, all);
        let totals: Vec<_> = checked["offers"].as_array().unwrap()
            .iter().map(|offer| offer["total"]["amount"].as_i64().unwrap()).collect();
        prop_assert!(totals.is_sorted());
    }
}
