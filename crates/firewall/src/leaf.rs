//! Finds the texts of a JSON message as its bytes pass.
//!
//! # Invariants
//!
//! * It can stop anywhere and go on with more bytes, so a message of any size is read
//!   within a bounded buffer.
//! * It does not judge. Every string and number of what a JSON parser would accept is
//!   found; what stands where JSON has nothing is a text, so that nothing is passed over
//!   because it is malformed.

use std::{borrow::Cow, ops::Range};

/// Deepest container whose place is told. Deeper texts are found all the same.
const MAX_PATH: usize = 32;
/// Longest key that is told.
const MAX_KEY: usize = 40;

/// Something in a message. Ranges are of the bytes that were read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// The key of a member, without quotes.
    Key(Range<usize>),
    /// A string, without quotes.
    Text(Range<usize>),
    /// A number.
    Number(Range<usize>),
    /// A container begins, or ends.
    Open,
    Close,
}

#[derive(Debug, Default)]
struct Frame {
    object: bool,
    key: String,
    index: usize,
}

/// Where in a message it is.
#[derive(Debug, Default)]
pub(crate) struct Lexer {
    stack: Vec<Frame>,
    /// Containers that are open.
    depth: usize,
    expects_key: bool,
    /// The first part of a string has been read.
    inside: bool,
    /// All of it is one text.
    plain: bool,
}

impl Lexer {
    /// Returns one that reads what is no JSON at all.
    pub(crate) fn of_text() -> Self {
        Self {
            inside: true,
            plain: true,
            ..Self::default()
        }
    }

    /// Returns one for another message of the same kind.
    pub(crate) fn again(&self) -> Self {
        match self.plain {
            true => Self::of_text(),
            false => Self::default(),
        }
    }

    /// Returns the next leaf from `at` on and moves behind it; none if `bytes` end
    /// first. Where they end within a leaf, `at` stays at its beginning.
    pub(crate) fn next(&mut self, bytes: &[u8], at: &mut usize, all: bool) -> Option<Leaf> {
        while let Some(byte) = bytes.get(*at) {
            match byte {
                b'"' if !self.inside => return self.text_from(bytes, *at + 1, at, all),
                _ if self.inside => return self.text_from(bytes, *at, at, all),
                b'{' | b'[' => {
                    self.open(*byte == b'{');
                    *at += 1;
                    return Some(Leaf::Open);
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.expects_key = false;
                    *at += 1;
                    return Some(Leaf::Close);
                }
                b',' => {
                    if let Some(frame) = self.top() {
                        frame.index += 1;
                        self.expects_key = frame.object;
                    }
                }
                b':' => self.expects_key = false,
                b'0'..=b'9' | b'-' => {
                    let part =
                        |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
                    let len = bytes[*at..].iter().take_while(|byte| part(byte)).count();
                    let end = *at + len;
                    if end == bytes.len() && !all {
                        return None;
                    }
                    let number = *at..end;
                    *at = end;
                    return Some(Leaf::Number(number));
                }
                byte if byte.is_ascii_whitespace() => {}
                _ => {
                    let end = *at + stray(&bytes[*at..]);
                    if end == bytes.len() && !all {
                        return None;
                    }
                    let text = *at..end;
                    *at = end;
                    if !matches!(&bytes[text.clone()], b"true" | b"false" | b"null") {
                        return Some(Leaf::Text(text));
                    }
                    continue;
                }
            }
            *at += 1;
        }
        None
    }

    fn text_from(&mut self, bytes: &[u8], start: usize, at: &mut usize, all: bool) -> Option<Leaf> {
        let end = match string_end(bytes, start).filter(|_| !self.plain) {
            Some(end) => end,
            // Cut off: what is there is read.
            None if all => bytes.len(),
            None => return None,
        };
        *at = (end + 1).min(bytes.len());
        self.inside = false;
        Some(self.string(bytes, start..end))
    }

    /// Whether the first part of the string at hand has been read.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside
    }

    /// Goes on within the string at hand: a part of it has been read.
    pub(crate) fn stay_inside(&mut self) {
        self.inside = true;
        self.expects_key = false;
    }

    fn top(&mut self) -> Option<&mut Frame> {
        self.stack.get_mut(self.depth.checked_sub(1)?)
    }

    fn open(&mut self, object: bool) {
        if self.depth < MAX_PATH {
            if self.stack.len() == self.depth {
                self.stack.push(Frame::default());
            }
            let frame = &mut self.stack[self.depth];
            frame.object = object;
            frame.key.clear();
            frame.index = 0;
        }
        self.depth += 1;
        self.expects_key = object;
    }

    fn string(&mut self, bytes: &[u8], range: Range<usize>) -> Leaf {
        if !std::mem::take(&mut self.expects_key) {
            return Leaf::Text(range);
        }
        if let Some(frame) = self.top() {
            frame.key.clear();
            let key = &bytes[range.clone()];
            // A key may be data of its own; only names are told.
            let name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.$".contains(byte);
            let digits = key.iter().filter(|byte| byte.is_ascii_digit()).count();
            if key.len() <= MAX_KEY && digits < 6 && key.iter().all(name) {
                frame.key.extend(key.iter().map(|byte| char::from(*byte)));
            } else {
                frame.key.push('*');
            }
        }
        Leaf::Key(range)
    }

    /// Hides the last key: something was found in it.
    pub(crate) fn hide_key(&mut self) {
        if let Some(frame) = self.top() {
            frame.key.replace_range(.., "*");
        }
    }

    /// Returns how many containers are open.
    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Returns the keys of the open objects whose path is told, outermost first; none
    /// for an array.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Option<&str>> {
        let open = self.stack.iter().take(self.depth);
        open.map(|frame| frame.object.then_some(frame.key.as_str()))
    }

    /// Returns where it stands (RFC 6901), without data: what may be data is `*`.
    pub(crate) fn pointer(&self) -> String {
        let mut pointer = String::new();
        for frame in self.stack.iter().take(self.depth) {
            pointer.push('/');
            match frame.object {
                true => pointer.push_str(&frame.key),
                false => pointer.push_str(&frame.index.to_string()),
            }
        }
        pointer
    }
}

/// Returns how long what stands outside of strings is at the start of `bytes`.
fn stray(bytes: &[u8]) -> usize {
    let ends = |byte: &u8| b"\"{}[],:".contains(byte) || byte.is_ascii_whitespace();
    bytes.iter().position(ends).unwrap_or(bytes.len())
}

/// Returns where the string that begins at `start` ends.
fn string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let found = memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        at += found;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Returns the last place up to `limit` at which the string that is being read from
/// `start` can be cut: between characters and outside of escapes.
pub(crate) fn cut(bytes: &[u8], start: usize, limit: usize) -> usize {
    let mut at = start;
    while let Some(found) = bytes
        .get(at..limit)
        .and_then(|rest| memchr::memchr(b'\\', rest))
    {
        let (_, len) = escape(&bytes[at + found..]);
        if at + found + len > limit {
            return at + found;
        }
        at += found + len;
    }
    let follows = |byte: &u8| byte & 0xc0 == 0x80;
    let last = bytes[at..limit].iter().rev().take(3);
    let last = last.take_while(|byte| follows(byte)).count();
    let Some(lead) = (limit - last).checked_sub(1).filter(|lead| *lead >= at) else {
        return limit;
    };
    let len = match bytes[lead] {
        0xf0.. => 4,
        0xe0.. => 3,
        0xc0.. => 2,
        _ => 1,
    };
    // A character of which not all is there stays whole behind the cut.
    if lead + len > limit { lead } else { limit }
}

/// What a string says, and where each byte of it stands in the notation.
#[derive(Debug)]
pub(crate) struct Spoken<'a> {
    pub(crate) text: Cow<'a, str>,
    /// For each byte of the text and its end, a byte of the notation; none if they are
    /// the same.
    places: Option<Vec<u32>>,
}

impl<'a> Spoken<'a> {
    /// Reads `raw`, what stands between the quotes of a string.
    pub(crate) fn read(raw: &'a [u8]) -> Self {
        match std::str::from_utf8(raw) {
            Ok(text) if memchr::memchr(b'\\', raw).is_none() => Self {
                text: Cow::Borrowed(text),
                places: None,
            },
            _ => unescaped(raw),
        }
    }

    /// Returns where a part of the text stands in the notation.
    pub(crate) fn place(&self, part: &Range<usize>) -> Range<usize> {
        match &self.places {
            None => part.clone(),
            Some(places) => {
                let at = |index: usize| places.get(index).map_or(0, |place| *place as usize);
                let (start, end) = (at(part.start), at(part.end));
                start.min(end)..end
            }
        }
    }
}

/// Bytes that are no characters are read as U+FFFD, as clients do.
fn unescaped(raw: &[u8]) -> Spoken<'_> {
    let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let mut text = String::with_capacity(raw.len());
    let mut places = Vec::with_capacity(raw.len() + 1);
    let mut at = 0;
    while at < raw.len() {
        if raw[at] == b'\\' {
            let (character, len) = escape(&raw[at..]);
            text.push(character);
            places.resize(text.len(), narrow(at));
            // An escape at the very end may be cut off.
            at = (at + len).min(raw.len());
            continue;
        }
        let next = memchr::memchr(b'\\', &raw[at..]).map_or(raw.len(), |next| at + next);
        for chunk in raw[at..next].utf8_chunks() {
            let valid = chunk.valid();
            text.push_str(valid);
            places.extend((at..at + valid.len()).map(narrow));
            at += valid.len();
            if !chunk.invalid().is_empty() {
                text.push('\u{fffd}');
                places.resize(text.len(), narrow(at));
                at += chunk.invalid().len();
            }
        }
    }
    places.push(narrow(raw.len()));
    Spoken {
        text: Cow::Owned(text),
        places: Some(places),
    }
}

/// Returns what the escape at the start of `bytes` stands for, and its length.
fn escape(bytes: &[u8]) -> (char, usize) {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(bytes.get(at..at + 4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    match bytes.get(1) {
        Some(b'n') => ('\n', 2),
        Some(b't') => ('\t', 2),
        Some(b'r') => ('\r', 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'u') => match unit(2) {
            Some(high @ 0xd800..=0xdbff) if bytes.get(6..8) == Some(br"\u") => {
                let low = unit(8).and_then(|low| low.checked_sub(0xdc00)).unwrap_or(0);
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low & 0x3ff);
                (char::from_u32(code).unwrap_or('\u{fffd}'), 12)
            }
            Some(code) => (char::from_u32(code).unwrap_or('\u{fffd}'), 6),
            None => ('u', 2),
        },
        Some(other) if other.is_ascii() => (char::from(*other), 2),
        _ => ('\\', 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `text` cut into pieces of `size` bytes, as a body arrives.
    fn leaves(text: &str, size: usize) -> Vec<(String, String)> {
        let bytes = text.as_bytes();
        let (mut lexer, mut at, mut seen) = (Lexer::default(), 0, size.min(bytes.len()));
        let mut found = Vec::new();
        loop {
            let all = seen == bytes.len();
            while let Some(leaf) = lexer.next(&bytes[..seen], &mut at, all) {
                let range = match leaf {
                    Leaf::Key(range) | Leaf::Text(range) | Leaf::Number(range) => range,
                    Leaf::Open | Leaf::Close => continue,
                };
                let said = Spoken::read(&bytes[range]).text.into_owned();
                found.push((lexer.pointer(), said));
            }
            if all {
                return found;
            }
            seen = (seen + size).min(bytes.len());
        }
    }

    #[test]
    fn texts_are_found_with_their_places_however_they_are_cut() {
        let text =
            r#"{"a":[1,{"b\"":"x\u00e4\n"},"y"],"card-411111":-2.5e3,"":[[]],"z":"\ud83d\ude00"}"#;
        let expected = [
            ("/a", "a"),
            ("/a/0", "1"),
            ("/a/1/*", "b\""),
            ("/a/1/*", "xä\n"),
            ("/a/2", "y"),
            ("/*", "card-411111"),
            ("/*", "-2.5e3"),
            ("/", ""),
            ("/z", "z"),
            ("/z", "😀"),
        ];
        for size in 1..=text.len() {
            let found = leaves(text, size);
            let found: Vec<_> = found
                .iter()
                .map(|(a, b)| (a.as_str(), b.as_str()))
                .collect();
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn parts_of_what_is_said_lead_back_to_the_notation() {
        let raw = r#"a\u00e4 \"4111\" b"#;
        let spoken = Spoken::read(raw.as_bytes());
        let at = spoken.text.find("4111").unwrap();
        assert_eq!(&raw[spoken.place(&(at..at + 4))], "4111");
        assert_eq!(&raw[spoken.place(&(1..3))], r"\u00e4");
        assert_eq!(spoken.place(&(0..spoken.text.len())), 0..raw.len());
        let broken = Spoken::read(b"\xff4111\xc3 x");
        let at = broken.text.find("4111").unwrap();
        assert_eq!(broken.place(&(at..at + 4)), 1..5);
    }

    #[test]
    fn cuts_are_between_characters_and_outside_of_escapes() {
        let text = r#"aä日😀\n\u00e4\""#.as_bytes();
        let cuts: Vec<_> = (1..text.len()).map(|limit| cut(text, 0, limit)).collect();
        let mut different = cuts.clone();
        different.dedup();
        assert_eq!(different, [1, 3, 6, 10, 12, 18]);
        for at in different {
            assert!(
                Spoken::read(&text[..at])
                    .text
                    .chars()
                    .all(|c| c != '\u{fffd}')
            );
        }
        // What is no text at all can be cut anywhere.
        assert_eq!(cut(&[0x80; 9], 0, 7), 7);
    }

    #[test]
    fn what_stands_where_json_has_nothing_is_a_text() {
        for size in 1..20 {
            let found = leaves("{a:true, b=c null \"d\" x]}", size);
            let texts: Vec<_> = found.iter().map(|(_, text)| text.as_str()).collect();
            assert_eq!(texts, ["a", "b=c", "d", "x"], "{size}");
        }
    }

    #[test]
    fn nothing_that_is_not_json_stops_it() {
        for text in [
            "",
            "}}]],:,",
            "\"",
            "\"\\",
            "{\"a\":\"b",
            "nul",
            "-",
            "\"\\u12",
        ] {
            for size in 1..=text.len().max(1) {
                leaves(text, size);
            }
        }
    }
}
