use super::*;
use crate::{Groups, arguments, text};
use serde_json::json;

/// SplitMix64: draws that are the same every time.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count)
            .map(|_| char::from(b'0' + self.below(10) as u8))
            .collect()
    }

    /// A number of an issuer's range with a right check digit.
    fn card(&mut self) -> String {
        const RANGES: [(&str, usize); 19] = [
            ("4", 16),
            ("4", 19),
            ("51", 16),
            ("55", 16),
            ("2221", 16),
            ("2720", 16),
            ("34", 15),
            ("37", 15),
            ("300", 14),
            ("36", 14),
            ("3095", 16),
            ("3528", 16),
            ("3589", 19),
            ("6011", 16),
            ("6011", 19),
            ("644", 16),
            ("65", 16),
            ("62", 16),
            ("62", 19),
        ];
        let (prefix, len) = RANGES[self.below(RANGES.len() as u64) as usize];
        loop {
            let body = format!("{prefix}{}", self.digits(len - prefix.len() - 1));
            let right = |digit: &u8| luhn(format!("{body}{digit}").as_bytes());
            let digit = (0..10).find(right).unwrap();
            let number = format!("{body}{digit}");
            if number.bytes().any(|byte| byte != number.as_bytes()[0]) {
                return number;
            }
        }
    }
}

fn found(input: &str) -> bool {
    !text(input, Groups::NONE.with(Group::Card), &|| About::Nothing).is_empty()
}

fn found_in(value: &serde_json::Value) -> bool {
    !arguments(value.as_object().unwrap(), Groups::NONE.with(Group::Card)).is_empty()
}

/// The groups in which a number of this length stands on cards.
fn groups(card: &str) -> Vec<&str> {
    let sizes: &[usize] = match card.len() {
        14 => &[4, 6, 4],
        15 => &[4, 6, 5],
        16 => &[4, 4, 4, 4],
        _ => &[4, 4, 4, 4, 3],
    };
    let mut rest = card;
    let mut parts = Vec::new();
    for size in sizes {
        let (part, behind) = rest.split_at(*size);
        parts.push(part);
        rest = behind;
    }
    parts
}

fn mapped(text: &str, map: impl Fn(char) -> String) -> String {
    text.chars().map(map).collect()
}

/// A card number in every notation of the corpus.
fn notations(card: &str) -> Vec<String> {
    use base64::Engine as _;
    let parts = groups(card);
    let mut all = vec![card.to_owned()];
    for separator in [
        " ", "-", ".", "_", "/", "\\", "*", "|", "\n", "\t", " - ", "  ", "\u{a0}", "\u{2009}",
        "\u{200b}", "\u{2013}", "\u{2014}", "\u{2011}", "\u{b7}", "\u{ad}", "\u{feff}", "%20",
        "%2D", "&nbsp;", "&#32;", r"\u0020", r"\x20", r"\n", "\u{2060}",
    ] {
        all.push(parts.join(separator));
    }
    for zero in [
        0x660, 0x6f0, 0x966, 0x9e6, 0xff10, 0x1d7ce, 0x1d7d8, 0x1d7ec,
    ] {
        let spelled = mapped(card, |c| match c {
            '0'..='9' => char::from_u32(zero + (c as u32 - 0x30))
                .unwrap()
                .to_string(),
            other => other.to_string(),
        });
        all.push(spelled);
    }
    all.push(mapped(card, |c| format!("%{:02x}", c as u32)));
    all.push(mapped(card, |c| format!("%25{:02x}", c as u32)));
    all.push(mapped(card, |c| format!("&#{};", c as u32)));
    all.push(mapped(card, |c| format!("&#x{:x};", c as u32)));
    all.push(mapped(card, |c| format!("\\u{:04x}", c as u32)));
    all.push(mapped(card, |c| format!("\\x{:02x}", c as u32)));
    all.push(mapped(card, |c| format!("{c}\u{200d}")));
    all.push(mapped(card, |c| format!("{c} ")));
    all.push(mapped(card, |c| format!("{:02x}", c as u32)));
    all.push(base64::prelude::BASE64_STANDARD.encode(card));
    all.push(base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!("pan={card}&cvc=123")));
    all
}

#[test]
fn every_card_number_is_found_in_every_notation() {
    let mut draw = Draw(1);
    let mut count = 0;
    for _ in 0..400 {
        let card = draw.card();
        for written in notations(&card) {
            assert!(found(&written), "{card} as {written:?}");
            count += 1;
            for around in [
                format!("please charge {written}, thanks"),
                format!("({written})"),
                format!("PAN: {written} 12/27 123"),
                format!("{{\"number\":\"{written}\"}}"),
                format!("2 rooms, 3 nights; {written}"),
            ] {
                assert!(found(&around), "{card} in {around:?}");
                count += 1;
            }
        }
    }
    assert!(count > 100_000, "{count}");
}

#[test]
fn numbers_spread_over_fields_are_found() {
    let mut draw = Draw(2);
    for _ in 0..500 {
        let card = draw.card();
        let parts = groups(&card);
        assert!(found_in(&json!({ "parts": parts })), "{parts:?}");
        let named: serde_json::Map<_, _> = (parts.iter().enumerate())
            .map(|(index, part)| (format!("p{index}"), json!(part)))
            .collect();
        assert!(found_in(&json!({ "x": named, "y": 1 })), "{parts:?}");
        let (first, rest) = card.split_at(6);
        assert!(
            found_in(&json!({"card_start": first, "card_rest": rest})),
            "{card}"
        );
        if card.len() < 19 {
            assert!(
                found_in(&json!({"n": card.parse::<u64>().unwrap()})),
                "{card}"
            );
        }
        assert!(found_in(&json!({ card.as_str(): true })), "{card}");
    }
}

#[test]
fn kinds_that_others_use_too_need_a_word() {
    for number in ["4222222222222", "6304000000000000", "5018000000000009"] {
        assert!(!found(&format!("article {number}")), "{number}");
        assert!(found(&format!("card {number}")), "{number}");
        assert!(found_in(&json!({"debit_card": {"no": number}})), "{number}");
    }
}

/// How many of `count` texts are taken for card numbers: by themselves, and where the
/// message says that cards are accepted, before them and elsewhere.
fn alarms(count: u64, mut draw_text: impl FnMut(&mut Draw) -> String) -> u64 {
    let mut draw = Draw(3);
    let mut alarms = 0;
    for turn in 0..count {
        let drawn = draw_text(&mut draw);
        let value = match turn % 3 {
            0 => json!({ "reference": drawn }),
            1 => json!({ "text": format!("We accept credit cards. Your reference: {drawn}.") }),
            _ => json!({ "desk": "All major cards are accepted.", "reference": drawn }),
        };
        alarms += u64::from(found_in(&value));
    }
    alarms
}

fn ean(draw: &mut Draw, len: usize) -> String {
    let body = draw.digits(len - 1);
    let weighted = body
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| u64::from(byte - b'0') * if place % 2 == 0 { 3 } else { 1 });
    let check = (10 - weighted.sum::<u64>() % 10) % 10;
    format!("{body}{check}")
}

fn uuid(draw: &mut Draw) -> String {
    let (a, b) = (draw.next(), draw.next());
    let hex = format!("{a:016x}{b:016x}");
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

fn phone(draw: &mut Draw) -> String {
    let codes = [
        "1", "44", "49", "33", "34", "36", "39", "380", "52", "55", "62", "65", "81", "86",
    ];
    let code = codes[draw.below(14) as usize];
    let (a, b, c) = (draw.digits(3), draw.digits(3), draw.digits(4));
    match draw.below(6) {
        0 => format!("+{code}{a}{b}{c}"),
        1 => format!("+{code} {a} {b} {c}"),
        2 => format!("00{code} {a} {b}{c}"),
        3 => format!("({a}) {b}-{c}"),
        4 => format!("{code} {a} {b} {c}"),
        _ => format!("+{code} ({a}) {b}-{c} ext. {}", draw.digits(3)),
    }
}

fn moment(draw: &mut Draw) -> String {
    let seconds = 1_600_000_000 + draw.below(400_000_000);
    let (month, day, hour) = (1 + draw.below(12), 1 + draw.below(28), draw.below(24));
    let (minute, fraction) = (draw.below(60), draw.digits(9));
    let year = 2020 + draw.below(12);
    match draw.below(7) {
        0 => format!("{seconds}"),
        1 => format!("{seconds}{}", &fraction[..3]),
        2 => format!("{seconds}{}", &fraction[..6]),
        3 => format!("{seconds}{fraction}"),
        4 => format!(
            "{year}{month:02}{day:02}{hour:02}{minute:02}{}",
            &fraction[..2]
        ),
        5 => format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:00.{fraction}Z"),
        _ => format!(
            "{year}-{month:02}-{day:02} {hour:02}.{minute:02}.{}",
            &fraction[..6]
        ),
    }
}

fn id(draw: &mut Draw) -> String {
    let number = draw.next();
    match draw.below(8) {
        // Snowflakes: milliseconds since an epoch, then node and counter.
        0 => format!(
            "{}",
            (200_000_000_000 + draw.below(300_000_000_000)) << 22 | number & 0x3f_ffff
        ),
        1 => format!("{number:016x}"),
        2 => format!("{number:016x}{:016x}", draw.next()),
        3 => format!("htl_{}_{}", draw.digits(7), draw.digits(1)),
        4 => format!("RES-{}-{}", 2020 + draw.below(9), draw.digits(10)),
        // Tickets of airlines: three digits, then ten.
        5 => draw.digits(13),
        6 => format!("{:03}-{}", draw.below(1000), draw.digits(10)),
        // Devices: their numbers have a check digit of Luhn's too.
        _ => format!("35{}", draw.digits(13)),
    }
}

fn account(draw: &mut Draw) -> String {
    let (country, len) = [("DE", 18), ("ES", 20), ("AT", 16), ("NL", 10)][draw.below(4) as usize];
    let body = draw.digits(len);
    let text = |check: u64| format!("{country}{check:02}{body}");
    let right = |check: &u64| iban_at(text(*check).as_bytes(), 0).is_some();
    let whole = (2..99).find(right).map(text).unwrap_or_default();
    let groups: Vec<_> = (0..whole.len())
        .step_by(4)
        .map(|at| &whole[at..(at + 4).min(whole.len())])
        .collect();
    match draw.below(2) {
        0 => whole,
        _ => groups.join(" "),
    }
}

#[test]
fn what_is_written_in_travel_is_hardly_ever_taken_for_a_card() {
    const COUNT: u64 = 40_000;
    let reference = |draw: &mut Draw| match draw.below(4) {
        0 => draw.digits(8),
        1 => draw.digits(10),
        2 => draw.digits(12),
        _ => {
            let letters = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
            (0..6)
                .map(|_| char::from(letters[draw.below(32) as usize]))
                .collect()
        }
    };
    for (what, alarms) in [
        ("booking references", alarms(COUNT, reference)),
        ("phone numbers", alarms(COUNT, phone)),
        ("EAN-13", alarms(COUNT, |draw| ean(draw, 13))),
        ("EAN-8", alarms(COUNT, |draw| ean(draw, 8))),
        ("moments", alarms(COUNT, moment)),
        ("ids", alarms(COUNT, id)),
        ("UUIDs", alarms(COUNT, uuid)),
        ("account numbers", alarms(COUNT, account)),
        ("tickets", alarms(COUNT, |draw| draw.digits(13))),
    ] {
        assert!(alarms * 10_000 <= COUNT, "{what}: {alarms} of {COUNT}");
    }
    // Bare numbers of sixteen digits are the worst case: prefix and check digit alone
    // decide. One in ten has a right check digit, one in four of them a known prefix.
    let bare = alarms(COUNT, |draw| draw.digits(16)) * 10_000 / COUNT;
    assert!((100..400).contains(&bare), "{bare}");
}

#[test]
fn prices_in_a_row_are_not_a_card_number() {
    let mut draw = Draw(4);
    let mut alarms = 0;
    for _ in 0..4_000 {
        let prices: Vec<_> = (0..20).map(|_| 40 + draw.below(900)).collect();
        let rooms: serde_json::Map<_, _> = (0..20)
            .map(|room| (format!("r{room}"), json!(40 + draw.below(2_000))))
            .collect();
        let value = json!({"desk": "Cards are accepted.", "prices": prices, "rooms": rooms});
        alarms += u64::from(found_in(&value));
    }
    assert_eq!(alarms, 0);
}

#[test]
fn word_about_cards_has_to_stand_right_before_short_numbers() {
    let number = "4222222222222";
    for before in [
        "card ",
        "Visa: ",
        "card number: ",
        "(PAN ",
        "card no. ",
        "my visa card is ",
    ] {
        assert!(found(&format!("pay with {before}{number}")), "{before}");
    }
    for before in [
        "We accept cards. Article ",
        "paid by card, booking reference ",
        "card accepted? EAN ",
        "Visa, Mastercard and so on for all our guests, article ",
        "+",
    ] {
        assert!(!found(&format!("{before}{number}")), "{before}");
    }
}

#[test]
fn what_bookings_are_made_of_is_not_a_card_number() {
    for text in [
        "+49 89 1234 5678 9012",
        "+36305555555555",
        "2026-12-01 2026-12-03",
        "2026-12-01T18:00:00.123456789Z",
        "550e8400-e29b-41d4-a716-446655440000",
        "42.3601 -71.0589",
        "4111111111111112",
        "411111111111",
        "0000000000000000",
        "9780306406157",
        "41 25 30 12 55 41 25 30 12 55 41 25 30 12 55 41 25 30",
        "Cardiff 4222222222222",
    ] {
        assert!(!found(text), "{text}");
    }
}
