use proptest::prelude::*;

use super::*;

fn decode(pieces: &[&[u8]], max_bytes: usize) -> Result<Vec<Event>, TooLarge> {
    let mut decoder = Decoder::new(max_bytes);
    let mut out = Vec::new();
    for piece in pieces {
        decoder.decode(piece, &mut out)?;
    }
    Ok(out)
}

/// Renders events in one line each: `name|data|id|retry`.
fn check(stream: &str, expected: &[&str]) {
    let events = decode(&[stream.as_bytes()], 1000).unwrap();
    let rendered: Vec<String> = events
        .iter()
        .map(|event| {
            format!(
                "{}|{}|{}|{}",
                event.name.as_deref().unwrap_or("-"),
                String::from_utf8_lossy(&event.data),
                event.id.as_deref().unwrap_or("-"),
                event.retry_ms.map_or("-".to_owned(), |ms| ms.to_string()),
            )
        })
        .collect();
    assert_eq!(rendered, expected, "{stream:?}");
}

#[test]
fn fields_are_read_as_the_standard_says() {
    check("data: a\n\n", &["-|a|-|-"]);
    check(
        "event: message\ndata:a\nid: 7\nretry: 100\n\n",
        &["message|a|7|100"],
    );
    check("data: a\ndata:  b\ndata\n\n", &["-|a\n b\n|-|-"]);
    check(": comment\n\n\n", &[]);
    check("data: a\nunknown: x\n\n", &["-|a|-|-"]);
    check("retry: 1x\ndata: a\nid: a\0b\n\n", &["-|a|-|-"]);
    check("id: 1\ndata:\n\n", &["-||1|-"]);
    check("data: cut off", &[]);
}

#[test]
fn every_line_ending_ends_a_line() {
    for end in ["\n", "\r", "\r\n"] {
        let stream = format!("data: a{end}data: b{end}{end}data: c{end}{end}");
        check(&stream, &["-|a\nb|-|-", "-|c|-|-"]);
    }
}

#[test]
fn byte_order_mark_counts_only_at_the_start() {
    check("\u{FEFF}data: a\n\n", &["-|a|-|-"]);
    check("data: a\n\n\u{FEFF}data: b\n\n", &["-|a|-|-"]);
}

#[test]
fn event_over_the_limit_is_refused_and_many_small_ones_are_not() {
    assert_eq!(
        decode(&[b"data: 12345"], 10),
        Err(TooLarge { max_bytes: 10 })
    );
    assert_eq!(
        decode(&[b"data: 1\n", b"data: 2\n"], 10),
        Err(TooLarge { max_bytes: 10 })
    );
    assert_eq!(
        decode(&[b"data: 1\n\n".repeat(100).as_slice()], 10)
            .unwrap()
            .len(),
        100
    );
}

fn stream() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "data",
        "event",
        "id",
        "retry",
        ":",
        ": ",
        " ",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "7",
        "x",
        "{\"a\":1}",
        "\u{FEFF}",
        "é",
        "\0",
    ]);
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_events(
        stream in stream(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = stream.as_bytes();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut at = 0;
        for cut in cuts {
            pieces.push(&bytes[at..cut]);
            at = cut;
        }
        pieces.push(&bytes[at..]);
        prop_assert_eq!(decode(&pieces, 1000), decode(&[bytes], 1000));
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(decode(&single, 1000), decode(&[bytes], 1000));
    }

    #[test]
    fn encoded_event_is_decoded_again(
        name in prop::option::of("[a-z/]{1,8}"),
        lines in prop::collection::vec("[ -~é]{0,12}", 0..4),
        id in prop::option::of("[!-~]{1,8}"),
        retry_ms in prop::option::of(0_u64..100_000),
    ) {
        let event = Event { name, data: lines.join("\n").into(), id, retry_ms };
        prop_assert_eq!(decode(&[&event.encode()], 1000).unwrap(), vec![event]);
    }
}
