use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::draw::mix64;

fn found(arguments: &Value) -> bool {
    is_in(arguments.as_object().unwrap())
}

/// Test numbers of the networks.
const CARDS: [&str; 11] = [
    "4111111111111111",
    "4012888888881881",
    "5555555555554444",
    "2223003122003222",
    "378282246310005",
    "371449635398431",
    "6011111111111117",
    "30569309025904",
    "3530111333300000",
    "6205500000000000004",
    "4000000000000000006",
];

#[test]
fn card_numbers_are_found_wherever_they_are() {
    for card in CARDS {
        for arguments in [
            json!({ "note": card }),
            json!({ "note": format!("pay with {card}, thanks") }),
            json!({ "booker": { "names": [{ "last": card }] } }),
            json!({ "number": card.parse::<u64>().unwrap() }),
            json!({ card: true }),
            json!({ "list": ["a", ["b", card]] }),
        ] {
            assert!(found(&arguments), "{arguments}");
        }
    }
}

#[test]
fn card_numbers_are_found_however_they_are_written() {
    for text in [
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "4111 - 1111 - 1111 - 1111",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        "4111\u{200b}1111\u{200b}1111\u{200b}1111",
        "4111–1111–1111–1111",
        "４１１１１１１１１１１１１１１１",
        "٤١١١ ١١١١ ١١١١ ١١١١",
        "४१११११११११११११११",
        "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
        "4111%201111%201111%201111",
        "%34111111111111111",
        "4111%25201111%25201111%25201111",
        "4111 1111 1111 1111 12/27 123",
        "booking 77 4111 1111 1111 1111",
    ] {
        assert!(found(&json!({ "note": text })), "{text}");
    }
    assert!(found(&json!({ "parts": ["4111", "1111", "1111", "1111"] })));
    assert!(found(&json!({ "a": "41111111", "b": "11111111" })));
    // An old Visa number looks like an EAN: only words tell them apart.
    assert!(found(&json!({ "card": "4222222222222" })));
    assert!(!found(&json!({ "article": "4222222222222" })));
}

#[test]
fn what_bookings_are_made_of_is_not_a_card_number() {
    for text in [
        "+49 89 1234 5678 9012",
        "+44 20 7946 0958",
        "+36305555555555",
        "2026-12-01 2026-12-03",
        "2026-12-01T18:00:00.123456789Z",
        "htl_4930956_9",
        "RES-2026-0000123456789",
        "550e8400-e29b-41d4-a716-446655440000",
        "42.3601 -71.0589",
        "4111111111111112",
        "411111111111",
        "00000000000000000000",
        "0000000000000000",
        "9780306406157",
    ] {
        assert!(!found(&json!({ "note": text })), "{text}");
    }
}

/// How many of `count` texts are taken for card numbers, in ten thousandths.
fn per_ten_thousand(count: u64, text: impl Fn(u64) -> String) -> u64 {
    let hits = (0..count).filter(|i| found(&json!({ "reference": text(*i) })));
    hits.count() as u64 * 10_000 / count
}

#[test]
fn false_alarms_are_rare_and_counted() {
    const COUNT: u64 = 20_000;
    let draw = |i: u64, digits: u32| mix64(i) % 10_u64.pow(digits);
    // Booking references of our kind and of others, phones with country code, EAN-13
    // with a right check digit, UUIDs.
    let ean = |i: u64| {
        let body = format!("{:012}", draw(i, 12));
        let weighted = body
            .bytes()
            .enumerate()
            .map(|(place, byte)| u64::from(byte - b'0') * if place % 2 == 0 { 1 } else { 3 });
        format!("{body}{}", (10 - weighted.sum::<u64>() % 10) % 10)
    };
    let uuid = |i: u64| {
        let (a, b) = (mix64(i), mix64(i ^ 0xabcd));
        let hex = format!("{a:016x}{b:016x}");
        format!(
            "{}-{}-4{}-a{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[13..16],
            &hex[17..20],
            &hex[20..]
        )
    };
    assert_eq!(
        per_ten_thousand(COUNT, |i| format!("{:010}", draw(i, 10))),
        0
    );
    assert_eq!(
        per_ten_thousand(COUNT, |i| format!("+{}", 10_u64.pow(12) + draw(i, 12))),
        0
    );
    assert_eq!(per_ten_thousand(COUNT, ean), 0);
    assert_eq!(
        per_ten_thousand(COUNT, |i| format!("AS-{:016x}", mix64(i))),
        0
    );
    assert_eq!(per_ten_thousand(COUNT, uuid), 0);
    // Bare numbers of sixteen digits are the worst case: prefix and check digit alone
    // decide. One in ten has a right check digit, one in four of them a known prefix.
    let bare = per_ten_thousand(COUNT, |i| format!("{:016}", draw(i, 16)));
    assert!((100..400).contains(&bare), "{bare}");
}

proptest! {
    #[test]
    fn reading_never_panics(text in any::<String>()) {
        found(&json!({ "text": text.clone(), text: 1 }));
    }

    #[test]
    fn a_card_number_is_found_with_any_separators(index in 0..CARDS.len(), gaps in proptest::collection::vec("[ .\\-]{0,2}", 20)) {
        let spread: String = CARDS[index].chars().zip(gaps).map(|(c, gap)| format!("{c}{gap}")).collect();
        prop_assert!(found(&json!({ "text": spread })), "{spread}");
    }
}
