//! The ways in which a text may be read.
//!
//! # Invariants
//!
//! * A view is never longer than a small multiple of its text, and there are few of them:
//!   the text itself, the text without escapes and folded, and what is encoded in it.
//! * Every byte of a view knows the bytes of the text that it came from.

use std::{borrow::Cow, ops::Range};

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use crate::fold::fold;

/// Fewest characters of base64 that are decoded, and of hexadecimal.
const MIN_BASE64: usize = 18;
const MIN_HEX: usize = 26;
/// How much of an encoded run has to look like text before all of it is decoded.
const PROBE: usize = 12;
/// How often escapes are undone. Twice covers what a second encoder made of a first.
const LEVELS: usize = 2;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const BASE64: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// One reading of a text.
#[derive(Debug)]
pub(crate) struct View<'a> {
    pub(crate) text: Cow<'a, str>,
    /// For each byte of `text`, where it came from; none in the text itself.
    origins: Option<Vec<(u32, u32)>>,
}

impl<'a> View<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            origins: None,
        }
    }

    /// Returns a view of what was spelled by the characters at `parts`.
    pub(crate) fn spelled(parts: impl Iterator<Item = (char, Range<usize>)>) -> Self {
        let mut builder = Builder::default();
        for (character, at) in parts {
            builder.put(character, (narrow(at.start), narrow(at.end)));
        }
        builder.view()
    }

    /// Returns where a part of the view came from.
    pub(crate) fn origin(&self, part: Range<usize>) -> Range<usize> {
        let Some(origins) = &self.origins else {
            return part;
        };
        let (first, last) = (origins.get(part.start), origins.get(part.end.max(1) - 1));
        match (first, last) {
            (Some(first), Some(last)) => first.0 as usize..(last.1 as usize).max(first.0 as usize),
            _ => 0..0,
        }
    }

    fn over(&self, part: Range<usize>) -> (u32, u32) {
        let origin = self.origin(part);
        (narrow(origin.start), narrow(origin.end))
    }
}

fn narrow(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[derive(Default)]
struct Builder {
    text: String,
    origins: Vec<(u32, u32)>,
}

impl Builder {
    fn put(&mut self, character: char, from: (u32, u32)) {
        self.text.push(character);
        self.origins.resize(self.text.len(), from);
    }

    /// Takes over a part of `view` as it is.
    fn copy(&mut self, view: &View<'_>, part: Range<usize>) {
        self.text.push_str(&view.text[part.clone()]);
        match &view.origins {
            Some(origins) => self.origins.extend_from_slice(&origins[part]),
            None => {
                let places = part.map(|at| (narrow(at), narrow(at + 1)));
                self.origins.extend(places);
            }
        }
    }

    fn view(self) -> View<'static> {
        View {
            text: Cow::Owned(self.text),
            origins: Some(self.origins),
        }
    }
}

/// What kind of bytes there are in a text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traits {
    pub(crate) digits: usize,
    pub(crate) beyond_ascii: bool,
    pub(crate) control: bool,
    escapes: bool,
    /// Longest run of characters of base64 and hexadecimal.
    run: usize,
}

const DIGIT: u8 = 1;
const HIGH: u8 = 2;
const ESCAPE: u8 = 4;
const CONTROL: u8 = 8;
const WORD: u8 = 16;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'0'..=b'9' => DIGIT | WORD,
            b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'/' | b'-' | b'_' => WORD,
            b'%' | b'&' | b'\\' => ESCAPE,
            b'\t' | b'\n' | b'\r' => 0,
            0..=0x1f | 0x7f => CONTROL,
            0x80.. => HIGH,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

impl Traits {
    pub(crate) fn of(text: &str) -> Self {
        let (mut seen, mut digits, mut run, mut longest) = (0, 0, 0_usize, 0);
        for byte in text.as_bytes() {
            let class = CLASSES[usize::from(*byte)];
            seen |= class;
            digits += usize::from(class & DIGIT);
            run = if class & WORD == 0 { 0 } else { run + 1 };
            longest = longest.max(run);
        }
        Self {
            digits,
            beyond_ascii: seen & HIGH != 0,
            control: seen & CONTROL != 0,
            escapes: seen & ESCAPE != 0,
            run: longest,
        }
    }

    /// Whether the text can be read in another way than as it is.
    pub(crate) fn is_plain(self) -> bool {
        !self.beyond_ascii && !self.escapes && self.run < MIN_BASE64
    }
}

/// Calls `read` with each view of `text` beyond the text itself.
pub(crate) fn others(text: &str, traits: Traits, mut read: impl FnMut(&View<'_>)) {
    let mut plain = View::of(text);
    for _ in 0..LEVELS {
        match unescaped(&plain) {
            Some(view) => plain = view,
            None => break,
        }
    }
    let folded = folded(&plain);
    if traits.run >= MIN_BASE64 || plain.origins.is_some() {
        encoded(&plain, &mut read);
    }
    if let Some(folded) = &folded {
        read(folded);
    }
    if plain.origins.is_some() {
        read(&plain);
    }
}

fn folded(view: &View<'_>) -> Option<View<'static>> {
    if view.text.is_ascii() {
        return None;
    }
    let text = &*view.text;
    let mut builder = Builder::default();
    builder.text.reserve(text.len());
    builder.origins.reserve(text.len());
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        if character.is_ascii() {
            let run = text[at..].bytes().take_while(u8::is_ascii).count();
            builder.copy(view, at..at + run);
            at += run;
        } else {
            let end = at + character.len_utf8();
            let from = view.over(at..end);
            fold(character, |part| builder.put(part, from));
            at = end;
        }
    }
    Some(builder.view())
}

/// Undoes escapes once; `None` if there are none.
fn unescaped(view: &View<'_>) -> Option<View<'static>> {
    let text = &*view.text;
    let mut next = find_escape(text.as_bytes(), 0)?;
    let mut builder = Builder::default();
    let mut at = 0;
    let mut found = false;
    builder.text.reserve(text.len());
    builder.origins.reserve(text.len());
    loop {
        builder.copy(view, at..next);
        at = next;
        match escape(&text[at..]) {
            Some((characters, len)) => {
                let from = view.over(at..at + len);
                for character in characters.iter() {
                    builder.put(character, from);
                }
                at += len;
                found = true;
            }
            None => {
                builder.copy(view, at..at + 1);
                at += 1;
            }
        }
        match find_escape(text.as_bytes(), at) {
            Some(found) => next = found,
            None => break,
        }
    }
    builder.copy(view, at..text.len());
    found.then(|| builder.view())
}

fn find_escape(bytes: &[u8], from: usize) -> Option<usize> {
    let found = memchr::memchr3(b'%', b'&', b'\\', bytes.get(from..)?)?;
    Some(from + found)
}

/// What an escape stands for: a character, or bytes that make several.
struct Characters(String);

impl Characters {
    fn one(character: char) -> Self {
        Self(character.into())
    }

    fn iter(&self) -> impl Iterator<Item = char> + '_ {
        self.0.chars()
    }
}

/// Returns what the escape at the start of `text` stands for, and its length.
fn escape(text: &str) -> Option<(Characters, usize)> {
    match text.as_bytes()[0] {
        b'%' => percent(text.as_bytes()),
        b'&' => entity(text),
        _ => backslash(text),
    }
}

fn hex(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// A run of `%41`, whose bytes belong together where they make up UTF-8.
fn percent(bytes: &[u8]) -> Option<(Characters, usize)> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some([b'%', high, low]) = bytes.get(at..at + 3)
        && let Some(byte) = hex(&[*high, *low])
    {
        decoded.push(u8::try_from(byte).ok()?);
        at += 3;
    }
    (at > 0).then(|| (Characters(String::from_utf8_lossy(&decoded).into()), at))
}

fn entity(text: &str) -> Option<(Characters, usize)> {
    /// Longest entity that is known, without `&` and `;`.
    const LONGEST: usize = 8;
    let body = &text.as_bytes()[1..];
    let window = &body[..body.len().min(LONGEST + 1)];
    if let [b'#', digits @ ..] = window {
        let (digits, radix, prefix) = match digits {
            [b'x' | b'X', digits @ ..] => (digits, 16, 3),
            digits => (digits, 10, 2),
        };
        let count = digits
            .iter()
            .take_while(|byte| char::from(**byte).is_digit(radix))
            .count();
        let number = std::str::from_utf8(&digits[..count]).ok()?;
        let code = u32::from_str_radix(number, radix).ok()?;
        let ends = usize::from(digits.get(count) == Some(&b';'));
        return Some((
            Characters::one(char::from_u32(code)?),
            prefix + count + ends,
        ));
    }
    let end = window.iter().position(|byte| *byte == b';')?;
    let character = match &window[..end] {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        b"nbsp" | b"ensp" | b"emsp" | b"thinsp" => ' ',
        b"shy" => '\u{ad}',
        b"zwj" => '\u{200d}',
        b"zwnj" => '\u{200c}',
        b"lrm" => '\u{200e}',
        b"rlm" => '\u{200f}',
        b"ndash" | b"mdash" | b"hyphen" => '-',
        b"sol" => '/',
        b"bsol" => '\\',
        b"colon" => ':',
        b"period" => '.',
        b"lowbar" => '_',
        b"commat" => '@',
        b"Tab" => '\t',
        b"NewLine" => '\n',
        b"lpar" => '(',
        b"rpar" => ')',
        b"lsqb" | b"lbrack" => '[',
        b"rsqb" | b"rbrack" => ']',
        b"lcub" | b"lbrace" => '{',
        b"rcub" | b"rbrace" => '}',
        b"dollar" => '$',
        _ => return None,
    };
    Some((Characters::one(character), end + 2))
}

/// Escapes of C, JSON, Python, JavaScript and CSS.
fn backslash(text: &str) -> Option<(Characters, usize)> {
    let bytes = text.as_bytes();
    let code = |code: Option<u32>, len| Some((Characters::one(char::from_u32(code?)?), len));
    match bytes.get(1)? {
        b'n' => code(Some(0x0a), 2),
        b't' => code(Some(0x09), 2),
        b'r' => code(Some(0x0d), 2),
        b'e' => code(Some(0x1b), 2),
        b'"' | b'\'' | b'/' | b'`' => code(Some(u32::from(bytes[1])), 2),
        b'x' => code(hex(bytes.get(2..4)?), 4),
        b'u' if bytes.get(2) == Some(&b'{') => {
            let end = bytes.iter().take(12).position(|byte| *byte == b'}')?;
            code(hex(&bytes[3..end]), end + 1)
        }
        b'u' => {
            let unit = hex(bytes.get(2..6)?)?;
            match (unit, bytes.get(6..12)) {
                (0xd800..=0xdbff, Some([b'\\', b'u', low @ ..])) => {
                    let low = hex(low)?.checked_sub(0xdc00)?;
                    code(Some(0x1_0000 + ((unit - 0xd800) << 10) + low), 12)
                }
                _ => code(Some(unit), 6),
            }
        }
        b'U' => code(hex(bytes.get(2..10)?), 10),
        // The octal notation of terminals.
        b'0' if bytes.get(2..4) == Some(b"33") => code(Some(0x1b), 4),
        _ => None,
    }
}

/// Reads texts that are written in base64 or hexadecimal within `view`.
fn encoded(view: &View<'_>, read: &mut impl FnMut(&View<'_>)) {
    let bytes = view.text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let word = |byte: &u8| CLASSES[usize::from(*byte)] & WORD != 0;
        let Some(start) = bytes[at..].iter().position(word) else {
            return;
        };
        let start = at + start;
        let len = bytes[start..].iter().take_while(|byte| word(byte)).count();
        at = start + len;
        if len < MIN_BASE64 {
            continue;
        }
        let run = &bytes[start..at];
        if let Some((text, skipped)) = from_hex(run).or_else(|| from_base64(run)) {
            let from = view.over(start + skipped..at);
            let mut builder = Builder::default();
            for character in text.chars() {
                fold(character, |part| builder.put(part, from));
            }
            read(&builder.view());
        }
    }
}

/// Returns `bytes` as text; what is cut off in the middle of a character is left out.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let plain = |byte: u8| !matches!(byte, 0..=0x08 | 0x0b | 0x0c | 0x0e..=0x1f | 0x7f);
    text.bytes().all(plain).then_some(text)
}

fn from_hex(run: &[u8]) -> Option<(String, usize)> {
    let count = run
        .iter()
        .take_while(|byte| byte.is_ascii_hexdigit())
        .count();
    if count < MIN_HEX || count != run.len() {
        return None;
    }
    let decode = |pairs: &[u8]| -> Option<Vec<u8>> {
        let pairs = pairs
            .chunks_exact(2)
            .map(|pair| u8::try_from(hex(pair)?).ok());
        pairs.collect()
    };
    as_text(&decode(&run[..PROBE])?)?;
    Some((as_text(&decode(&run[..count & !1])?)?.to_owned(), 0))
}

/// Something may stand directly before the encoded text, so that it begins within the
/// first characters of the run.
fn from_base64(run: &[u8]) -> Option<(String, usize)> {
    let url = run.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = if url { BASE64_URL } else { BASE64 };
    (0..4).find_map(|skipped| {
        let run = &run[skipped..];
        as_text(&engine.decode(&run[..PROBE]).ok()?)?;
        // A last group of one character stands for nothing.
        let len = if run.len() % 4 == 1 {
            run.len() - 1
        } else {
            run.len()
        };
        let decoded = engine.decode(&run[..len]).ok()?;
        Some((as_text(&decoded)?.to_owned(), skipped))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let mut read = Vec::new();
        others(text, Traits::of(text), |view| {
            let origin = view.origin(0..view.text.len());
            read.push((view.text.clone().into_owned(), text[origin].to_owned()));
        });
        let read: Vec<_> = read.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(read, expected, "{text:?}");
    }

    #[test]
    fn escapes_of_many_kinds_are_undone() {
        for text in [
            "a%62c",
            "a&#98;c",
            "a&#x62;c",
            r"a\u0062c",
            r"a\x62c",
            r"a\u{62}c",
            r"a\U00000062c",
            "a%2562c",
            "a&amp;#98;c",
        ] {
            check(text, &[("abc", text)]);
        }
        check("50% &c \\d", &[]);
    }

    #[test]
    fn encoded_texts_are_read() {
        check(
            "x aWdub3JlIHByZXZpb3VzIHJ1bGVz y",
            &[("ignore previous rules", "aWdub3JlIHByZXZpb3VzIHJ1bGVz")],
        );
        check(
            "34313131313131313131313131313131",
            &[("4111111111111111", "34313131313131313131313131313131")],
        );
        check("0199a2f0000070008000000000000000", &[]);
    }

    #[test]
    fn parts_lead_back_to_where_they_came_from() {
        let text = "x\u{200b}%69gnore";
        let mut origins = Vec::new();
        others(text, Traits::of(text), |view| {
            let at = view.text.find("ignore").unwrap();
            origins.push(text[view.origin(at..at + 6)].to_owned());
        });
        assert_eq!(origins, ["%69gnore", "%69gnore"]);
    }
}
