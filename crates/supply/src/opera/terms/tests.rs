use airside_travel::supply::Party;
use jiff::civil::date;
use serde_json::{Value, json};

use super::*;

fn ask(rooms: usize, nights: i64) -> Ask {
    let check_in = date(2027, 3, 27);
    let party = Party {
        adults: 2,
        child_ages: vec![],
    };
    Ask {
        stay: Stay::new(check_in, check_in.saturating_add(nights.days())).unwrap(),
        parties: vec![party; rooms],
    }
}

fn read(offer: &Value, rooms: usize, nights: i64) -> Option<Sold> {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let text = offer.to_string();
    let offer: wire::Offer = serde_json::from_str(&text).unwrap();
    let scene = Scene {
        zone: &zone,
        currency: Currency::find("EUR").unwrap(),
        now: "2027-03-01T12:00:00Z".parse().unwrap(),
    };
    sold(&offer, &ask(rooms, nights), scene)
}

/// Two nights of 100.00 and 120.50, ten per cent of tax on top.
fn offer() -> Value {
    json!({
        "availabilityStatus": "AvailableForSale",
        "roomType": "A1K",
        "ratePlanCode": "XDAILY",
        "total": {
            "amountBeforeTax": 220.5, "amountAfterTax": 242.55, "currencyCode": "EUR",
            "taxes": { "tax": [{ "description": "VAT", "amount": 22.05 }] },
        },
        "rateInformation": {
            "guaranteeRequirement": "None",
            "base": [
                { "start": "2027-03-27", "end": "2027-03-27", "amountBeforeTax": 100, "currencyCode": "EUR" },
                { "start": "2027-03-28", "end": "2027-03-28", "amountBeforeTax": 120.50, "currencyCode": "EUR" },
            ],
        },
    })
}

fn with(path: &str, value: Value) -> Value {
    let mut offer = offer();
    *offer.pointer_mut(path).unwrap() = value;
    offer
}

fn rule(deadline: &Value, amount: &Value) -> Value {
    let mut offer = offer();
    let policy = json!({ "policy": {
        "policyCode": "P", "penaltyDescription": "", "deadline": deadline, "amountPercent": amount,
    } });
    offer["rateInformation"]["cancellationPolicies"] = json!([policy]);
    offer
}

#[test]
fn prices_add_up_for_one_and_several_rooms() {
    let one = read(&offer(), 1, 2).unwrap().price;
    assert_eq!((one.room, one.total), (22_050, 24_255));
    assert_eq!(one.nightly[1], (date(2027, 3, 28), 12_050));
    assert_eq!(one.lines[0].label, "VAT");
    assert_eq!(one.room + one.lines[0].amount, one.total);
    // A total for one room, and one for both.
    let per_room = read(&offer(), 2, 2).unwrap().price;
    let mut both = with("/total/amountBeforeTax", json!(441));
    both["total"]["amountAfterTax"] = json!(485.1);
    let both = read(&both, 2, 2).unwrap().price;
    assert_eq!((per_room.total, both.total), (48_510, 48_510));
    assert_eq!(per_room.nightly, both.nightly);
    assert_eq!(both.lines[0].label, "Taxes and fees");
}

#[test]
fn taxes_inside_the_rate_are_not_added_to_it() {
    let mut inclusive = offer();
    for night in inclusive["rateInformation"]["base"].as_array_mut().unwrap() {
        let amount = night["amountBeforeTax"].take();
        night["amountAfterTax"] = amount;
        night.as_object_mut().unwrap().remove("amountBeforeTax");
    }
    inclusive["total"] = json!({
        "amountBeforeTax": 200.45, "amountAfterTax": 220.5, "currencyCode": "EUR",
    });
    let sold = read(&inclusive, 1, 2).unwrap();
    assert!(sold.rates.inclusive);
    assert_eq!((sold.price.room, sold.price.total), (20_045, 22_050));
    assert_eq!(sold.price.lines[0].collected, Collected::InRate);
    assert_eq!(sold.price.lines[0].amount, 2_005);
}

#[test]
fn what_is_not_the_whole_price_or_needs_a_card_is_not_sold() {
    for (path, value) in [
        ("/total/amountAfterTax", Value::Null),
        ("/total/amountAfterTax", json!(242.555)),
        ("/total/amountAfterTax", json!(0)),
        ("/total/amountBeforeTax", json!(220.49)),
        ("/total/currencyCode", json!("USD")),
        ("/rateInformation/base/1/start", json!("2027-03-29")),
        ("/rateInformation/base/1/start", json!("2027-03-27")),
        ("/rateInformation/base", json!([])),
        (
            "/rateInformation/guaranteeRequirement",
            json!("GuaranteeRequired"),
        ),
        ("/rateInformation/guaranteeRequirement", json!("Deposit")),
    ] {
        assert_eq!(read(&with(path, value), 1, 2), None, "{path}");
    }
    let mut channel = with(
        "/rateInformation/guaranteeRequirement",
        json!("GuaranteeRequired"),
    );
    channel["rateInformation"]["paymentPolicies"] = json!([
        { "guaranteeCode": "CC", "policyRequirements": { "creditCard": true } },
        { "guaranteeCode": "CHANNEL", "policyRequirements": { "creditCard": false } },
    ]);
    let sold = read(&channel, 1, 2).unwrap();
    assert_eq!(sold.guarantee.as_deref(), Some("CHANNEL"));
}

#[test]
fn deadlines_are_instants_of_the_hotels_clock() {
    // The clocks go forward on 28 March 2027 at 02:00.
    for (deadline, expected) in [
        (
            json!({ "absoluteDeadline": "2027-03-26T16:00:00Z" }),
            "2027-03-26T16:00:00Z",
        ),
        (
            json!({ "absoluteDeadline": "2027-03-26T18:00:00" }),
            "2027-03-26T17:00:00Z",
        ),
        (
            json!({ "absoluteDeadline": "2027-03-28T02:30:00" }),
            "2027-03-28T01:30:00Z",
        ),
        (json!({ "offsetFromArrival": 2 }), "2027-03-24T23:00:00Z"),
        (
            json!({ "offsetFromArrival": 1, "offsetDropTime": "18:00" }),
            "2027-03-26T17:00:00Z",
        ),
        (
            json!({ "offsetFromBookingDate": 3 }),
            "2027-03-03T23:00:00Z",
        ),
    ] {
        let rule = rule(&deadline, &json!({ "basisType": "FullAmount" }));
        let terms = read(&rule, 1, 2).unwrap().cancellation;
        let until = terms.free_until().map(|at| at.to_string());
        assert_eq!(until.as_deref(), Some(expected), "{deadline}");
    }
    let over = rule(
        &json!({ "offsetFromArrival": 90 }),
        &json!({ "basisType": "FullAmount" }),
    );
    let terms = read(&over, 1, 2).unwrap();
    assert_eq!(terms.cancellation.free_until(), None);
    assert_eq!(terms.cancellation.tiers[0].penalty, terms.price.total);
}

#[test]
fn penalties_are_of_the_whole_price_and_rounded_up() {
    for (amount, expected) in [
        // 100.00 of 220.50 of 242.55
        (json!({ "basisType": "Nights", "nights": 1 }), Some(11_000)),
        (json!({ "basisType": "Nights", "nights": 9 }), Some(24_255)),
        (
            json!({ "basisType": "Percentage", "percent": 50 }),
            Some(12_128),
        ),
        (
            json!({ "basisType": "Percentage", "percent": 33.3333 }),
            Some(8_085),
        ),
        (
            json!({ "basisType": "NightPercentage", "percent": 90, "nights": 1 }),
            Some(9_900),
        ),
        (
            json!({ "basisType": "FlatAmount", "amount": 25.5 }),
            Some(2_550),
        ),
        (
            json!({ "basisType": "FlatAmount", "amount": 9999 }),
            Some(24_255),
        ),
        (json!({ "basisType": "FullAmount" }), Some(24_255)),
        (json!({ "basisType": "Percentage", "percent": 101 }), None),
        (json!({ "basisType": "FlatAmount", "amount": -1 }), None),
        (json!({ "basisType": "Mood" }), None),
    ] {
        let rule = rule(&json!({ "offsetFromArrival": 1 }), &amount);
        let sold = read(&rule, 1, 2);
        let last = sold.map(|sold| sold.cancellation.tiers.last().unwrap().penalty);
        assert_eq!(last, expected, "{amount}");
    }
}

#[test]
fn later_rules_never_make_cancelling_cheaper() {
    let mut offer = offer();
    let policy = |days: i64, percent: i64| {
        json!({ "policy": {
        "deadline": { "offsetFromArrival": days },
        "amountPercent": { "basisType": "Percentage", "percent": percent },
    } })
    };
    offer["rateInformation"]["cancellationPolicies"] =
        json!([policy(1, 100), policy(7, 20), policy(3, 10)]);
    let terms = read(&offer, 1, 2).unwrap().cancellation;
    let penalties: Vec<_> = terms.tiers.iter().map(|tier| tier.penalty).collect();
    assert_eq!(penalties, [0, 4_851, 24_255]);
}
