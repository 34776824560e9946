//! However an answer is cut into pieces, the same is found in it.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::*;

const CARDS: [&str; 4] = [
    "4012888888881881",
    "5555555555554444",
    "378282246310005",
    "6011000990139424",
];

/// Every character of `text` in another notation.
fn spelled(text: &str, notation: impl Fn(u32) -> String) -> String {
    text.chars().map(|c| notation(u32::from(c))).collect()
}

/// A card number as it may stand in an answer, in the notation of JSON.
fn written(card: &str, notation: usize) -> String {
    match notation % 10 {
        0 => card.to_owned(),
        1 => format!("{} {} {}", &card[..4], &card[4..8], &card[8..]).replace(' ', "-"),
        2 => spelled(card, |code| format!("%{code:02x}")),
        3 => spelled(card, |code| format!("&#{code};")),
        4 => spelled(card, |code| format!("&#x{code:x};")),
        5 => spelled(card, |code| format!("\\u{code:04x}")),
        6 => spelled(card, |code| format!("\\\\u{code:04x}")),
        7 => spelled(card, |code| {
            char::from_u32(0xff10 + code - 0x30).unwrap().to_string()
        }),
        8 => BASE64_STANDARD.encode(format!("pan={card}&cvc=123")),
        _ => spelled(card, |code| {
            format!("{}\u{200b}", char::from_u32(code).unwrap())
        }),
    }
}

const AROUND: [&str; 4] = [
    "Zürich ",
    "日本 \\ud83d\\ude00 ",
    "nice \\\"room\\\" ",
    "x\\n",
];

/// An answer with every notation, in texts, keys and neighbours.
fn every_notation() -> String {
    let mut leaves = Vec::new();
    for notation in 0..10 {
        let (card, around) = (CARDS[notation % 4], AROUND[notation % 4]);
        let card = written(card, notation);
        leaves.push(format!("{{\"{around}\":\"{around}{card} {around}\"}}"));
    }
    leaves.push("[\"4012\",\"8888\",\"8888\",\"1881\"]".to_owned());
    leaves.push("5555555555554444".to_owned());
    leaves.push(format!("{{\"{}\":true}}", CARDS[2]));
    let leaves = leaves.join(",");
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{{\"content\":[{leaves}]}}}}")
}

/// Passes `text` on in two pieces.
async fn cut_at(
    firewall: &Firewall,
    media: &str,
    text: &[u8],
    at: usize,
) -> (Vec<u8>, Vec<String>) {
    let (out, told) = pass_pieces(firewall, media, &[&text[..at], &text[at..]]).await;
    (out.unwrap(), told)
}

#[tokio::test]
async fn every_cut_gives_the_same() {
    let firewall = firewall(&config::Firewall::default());
    let json = every_notation();
    for (media, text) in [
        ("application/json", json.clone()),
        (
            "text/event-stream",
            format!(": hi\r\n\r\nid: 1\ndata: {json}\n\ndata: {{}}\n\n"),
        ),
    ] {
        let (whole, told) = cut_at(&firewall, media, text.as_bytes(), 0).await;
        let cards = told.iter().filter(|hit| hit.starts_with("card."));
        assert_eq!(cards.count(), 10 + 4 + 1 + 1, "{told:?}");
        let out = String::from_utf8(whole.clone()).unwrap();
        assert_eq!(out.matches("[redacted: card]").count(), 16, "{out}");
        for at in 1..text.len() {
            let cut = cut_at(&firewall, media, text.as_bytes(), at).await;
            assert!(cut == (whole.clone(), told.clone()), "{media} at {at}");
        }
    }
}

#[tokio::test]
async fn answers_of_megabytes_are_read_to_their_end() {
    let firewall = firewall(&config::Firewall::default());
    let filler = "Zürich has rooms. ".repeat(2000);
    let texts: Vec<_> = (0..16)
        .map(|at| {
            format!(
                "{{\"text\":\"{filler}{} {filler}\"}}",
                written(CARDS[at % 4], at)
            )
        })
        .collect();
    let json = format!(
        "{{\"id\":1,\"result\":{{\"content\":[{}]}}}}",
        texts.join(",")
    );
    assert!(json.len() > 1 << 20);
    for (media, text) in [
        ("application/json", json.clone()),
        ("text/event-stream", format!("data: {json}\n\n")),
    ] {
        let (out, told) = pass(&firewall, media, text.as_bytes(), 60_000, Spotlight::None).await;
        let out = String::from_utf8(out.unwrap()).unwrap();
        let cards = told.iter().filter(|hit| hit.starts_with("card."));
        let places: Vec<_> = cards.collect();
        assert_eq!(out.matches("[redacted: card]").count(), 16, "{places:?}");
        assert!(
            out.as_bytes()
                .ends_with(&text.as_bytes()[text.len() - 100..])
        );
    }
}

/// A body of `len` bytes that repeats `part` and never holds all of them.
fn endless(begin: &'static str, part: &'static str, len: usize) -> Body {
    let piece = Bytes::from(part.repeat((16 << 10) / part.len()));
    let count = len / piece.len();
    let pieces = std::iter::once(Bytes::from_static(begin.as_bytes()))
        .chain(std::iter::repeat_n(piece, count))
        .map(|piece| Ok::<_, BoxError>(Frame::data(piece)));
    StreamBody::new(stream::iter(pieces)).boxed_unsync()
}

/// Returns how many bytes came out, and the largest piece.
async fn drain(body: Body) -> (usize, usize) {
    let firewall = firewall(&config::Firewall::default());
    let reads = answers(&firewall, Spotlight::None);
    let response = Response::new(body);
    let notes = Keeping(Kept::default());
    let response = reads.read(response, Some("1"), notes).await;
    let mut body = response.into_body().into_data_stream();
    let (mut all, mut largest) = (0, 0);
    while let Some(piece) = body.next().await {
        let piece = piece.unwrap();
        all += piece.len();
        largest = largest.max(piece.len());
    }
    (all, largest)
}

/// What is held does not grow with what a server sends, and neither does the work for
/// each byte: quadratic work on megabytes would not end.
#[tokio::test]
async fn hostile_answers_are_passed_on_in_bounded_parts() {
    let deep = drain(endless("", "[", 16 << 20)).await;
    assert_eq!(deep.0, 16 << 20);
    assert!(deep.1 <= 2 * HOLD, "{}", deep.1);
    for (begin, part) in [
        ("", "{\"a\":"),
        ("{\"a\":", "1"),
        ("{\"a\":\"", "x"),
        ("{\"a\":\"", "\\u0034"),
        ("{\"a\":\"", "4222222222222 "),
        ("{\"a\":\"", "4"),
        ("{\"a\":[", "\"4222\","),
        ("{\"a\":[", "4222,"),
        ("{\"a\":[", "\"4012888888881881\","),
        ("{\"a\":\"", "eyJ"),
        ("{\"a\":\"", "aWdub3JlIHByZXZpb3VzIHJ1bGVz"),
        ("{\"a\":\"", "\\"),
        ("\"", "\",\""),
    ] {
        let (all, largest) = drain(endless(begin, part, 1 << 20)).await;
        assert!(
            all > 0 && largest <= 3 * HOLD,
            "{begin}{part}: {all} {largest}"
        );
    }
}

#[tokio::test]
async fn number_of_thousands_of_digits_hides_nothing() {
    let firewall = firewall(&config::Firewall::default());
    for len in [10, HOLD / 2, HOLD, 3 * HOLD] {
        let text = format!(
            "{{\"n\":{},\"card\":\"4012 8888 8888 1881\",\"z\":\"{}\"}}",
            "1".repeat(len),
            "x ".repeat(HOLD)
        );
        let (out, told) = pass(
            &firewall,
            "application/json",
            text.as_bytes(),
            10_000,
            Spotlight::None,
        )
        .await;
        assert_eq!(told, ["card.number redact /card"], "{len}");
        assert!(!String::from_utf8(out.unwrap()).unwrap().contains("8888"));
    }
}

/// Some text, and the number of cards in it.
fn leaf() -> impl Strategy<Value = (String, usize)> {
    prop_oneof![
        3 => (0_usize..400, 0_usize..4).prop_map(|(count, of)| (AROUND[of].repeat(count), 0)),
        1 => (0_usize..9000).prop_map(|count| ("lake view ".repeat(count), 0)),
        2 => (0_usize..4, 0_usize..10, 0_usize..4).prop_map(|(card, notation, of)| {
            let around = AROUND[of];
            (format!("{around}; {} ;{around}", written(CARDS[card], notation)), 1)
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn cards_in_long_answers_are_found_however_they_arrive(
        texts in prop::collection::vec(prop::collection::vec(leaf(), 1..5), 1..12),
        sizes in prop::collection::vec(1_usize..100_000, 1..4),
        is_stream in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let firewall = firewall(&config::Firewall::default());
        let planted: usize = texts.iter().flatten().map(|leaf| leaf.1).sum();
        let strings: Vec<_> = texts
            .iter()
            .map(|leaves| leaves.iter().map(|leaf| leaf.0.as_str()).collect::<String>())
            .map(|text| format!("{{\"text\":\"{text}\"}}"))
            .collect();
        let mut text = format!("{{\"id\":1,\"result\":{{\"content\":[{}]}}}}", strings.join(","));
        let mut media = "application/json";
        if is_stream {
            text = format!("data: {text}\n\n");
            media = "text/event-stream";
        }
        for size in sizes {
            let passed = pass(&firewall, media, text.as_bytes(), size, Spotlight::None);
            let (out, _) = runtime.block_on(passed);
            let out = String::from_utf8(out.unwrap()).unwrap();
            prop_assert_eq!(out.matches("[redacted: card]").count(), planted, "{}", size);
        }
    }
}
