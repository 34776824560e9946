//! Finds payment card numbers, so that none gets into arguments, results, logs or state.
//!
//! # Invariants
//!
//! * What is found is never repeated: the answer is yes or no.
//! * Luhn alone passes one number in ten. A card number has a known issuer prefix, a
//!   length that goes with it and a right check digit; the short and the rare kinds also
//!   need a word about cards beside them, or goods (EAN) and phones would be taken for
//!   cards.
//! * The work is linear in the length of what is read.

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization as _;

/// Longest and shortest card number (ISO/IEC 7812-1).
const DIGITS: std::ops::RangeInclusive<usize> = 13..=19;
/// Most characters between two groups of digits of one number.
const MAX_GAP: usize = 3;
/// How often a text is percent-decoded.
const DECODINGS: usize = 2;
/// Deepest nesting that is read. Arguments are bounded before.
const MAX_DEPTH: usize = 64;

/// Returns whether there is a card number anywhere in `arguments`.
pub(crate) fn is_in(arguments: &Map<String, Value>) -> bool {
    let mut texts = Texts::default();
    texts.object(arguments, 0);
    let mut all = texts.all;
    // A number may be spread over members: what stands beside each other is also read
    // as one text.
    all.extend(texts.joined);
    let about_cards = all.iter().any(|text| has_context(text));
    all.iter().any(|text| is_in_text(text, about_cards))
}

#[derive(Default)]
struct Texts {
    all: Vec<String>,
    joined: Vec<String>,
}

impl Texts {
    fn object(&mut self, members: &Map<String, Value>, depth: usize) {
        let keys = members.keys().cloned();
        self.all.extend(keys);
        self.siblings(members.values(), depth);
    }

    fn siblings<'a>(&mut self, values: impl Iterator<Item = &'a Value>, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        let mut joined = String::new();
        for value in values {
            match value {
                Value::String(text) => {
                    if is_piece(text) {
                        joined.push_str(text);
                        joined.push(' ');
                    }
                    self.all.push(text.clone());
                }
                Value::Number(number) => self.all.push(number.to_string()),
                Value::Object(members) => self.object(members, depth + 1),
                Value::Array(items) => self.siblings(items.iter(), depth + 1),
                Value::Null | Value::Bool(_) => {}
            }
        }
        self.joined.push(joined);
    }
}

/// A few digits and nothing else: maybe a part of a card number.
fn is_piece(text: &str) -> bool {
    (2..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_in_text(text: &str, about_cards: bool) -> bool {
    let mut text = text.to_owned();
    for _ in 0..=DECODINGS {
        if is_in_plain(&text, about_cards) {
            return true;
        }
        match percent_decoded(&text) {
            Some(decoded) => text = decoded,
            None => return false,
        }
    }
    false
}

fn is_in_plain(text: &str, about_cards: bool) -> bool {
    let mut run = Run::default();
    let mut previous: Option<char> = None;
    for character in text.nfkc() {
        match digit(character) {
            Some(digit) => run.push(digit, previous),
            None if is_separator(character) => run.gap(character),
            None => {
                // A digit that a letter follows belongs to a word, such as an id.
                if run.ends(character.is_alphabetic()).is_card(about_cards) {
                    return true;
                }
                run = Run::default();
            }
        }
        previous = Some(character);
    }
    run.ends(false).is_card(about_cards)
}

/// Groups of digits with at most a few separators between them.
#[derive(Default)]
struct Run {
    groups: Vec<Vec<u8>>,
    gap: usize,
    /// It begins with `+`, as phone numbers do.
    international: bool,
    /// A letter stands directly before it.
    in_word: bool,
}

impl Run {
    fn push(&mut self, digit: u8, previous: Option<char>) {
        if self.groups.is_empty() {
            self.international = previous == Some('+');
            self.in_word = previous.is_some_and(char::is_alphabetic);
        }
        match self.groups.last_mut() {
            Some(group) if self.gap == 0 => group.push(digit),
            _ => self.groups.push(vec![digit]),
        }
        self.gap = 0;
    }

    fn gap(&mut self, character: char) {
        if self.groups.is_empty() {
            return;
        }
        self.gap += usize::from(!is_invisible(character));
        if self.gap > MAX_GAP {
            // Too far apart for one number; what is there stays to be judged.
            self.groups.push(Vec::new());
            self.gap = 0;
        }
    }

    /// Leaves out the groups that are parts of words.
    fn ends(mut self, before_letter: bool) -> Self {
        if before_letter && self.gap == 0 {
            self.groups.pop();
        }
        if self.in_word && !self.groups.is_empty() {
            self.groups.remove(0);
        }
        self
    }

    fn is_card(&self, about_cards: bool) -> bool {
        (0..self.groups.len()).any(|first| {
            let mut digits = Vec::new();
            for group in &self.groups[first..] {
                digits.extend_from_slice(group);
                if group.is_empty() || digits.len() > *DIGITS.end() {
                    return false;
                }
                let phone = self.international && first == 0;
                if is_card_number(&digits, about_cards, phone) {
                    return true;
                }
            }
            false
        })
    }
}

/// How sure an issuer prefix and a length make a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sure {
    /// Nobody else uses such numbers.
    Yes,
    /// Others do: goods, phones, accounts.
    WithContext,
}

fn is_card_number(digits: &[u8], about_cards: bool, phone: bool) -> bool {
    if !DIGITS.contains(&digits.len()) || !luhn(digits) || digits.iter().all(|d| *d == digits[0]) {
        return false;
    }
    match issuer(digits) {
        Some(Sure::Yes) => !phone || about_cards,
        Some(Sure::WithContext) => about_cards,
        None => false,
    }
}

/// Issuer identification ranges with their lengths (ISO/IEC 7812, as the networks
/// publish them).
fn issuer(digits: &[u8]) -> Option<Sure> {
    let prefix = |count: usize| {
        digits[..count]
            .iter()
            .fold(0, |n, d| n * 10 + u32::from(*d))
    };
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    let sure = |lengths: &[usize]| lengths.contains(&digits.len()).then_some(Sure::Yes);
    let long = |from: usize| (digits.len() >= from).then_some(Sure::Yes);
    match digits[0] {
        4 if digits.len() == 13 => Some(Sure::WithContext),
        4 => sure(&[16, 19]),
        5 if (51..=55).contains(&two) => sure(&[16]),
        2 if (2221..=2720).contains(&four) => sure(&[16]),
        3 if matches!(two, 34 | 37) => sure(&[15]),
        3 if (300..=305).contains(&three) || four == 3095 || matches!(two, 36 | 38 | 39) => {
            long(14)
        }
        3 if (3528..=3589).contains(&four) => long(16),
        6 if four == 6011 || (644..=649).contains(&three) || matches!(two, 62 | 65) => long(16),
        5 | 6 if matches!(two, 50 | 56..=58 | 60 | 63 | 67..=69) => Some(Sure::WithContext),
        8 if two == 81 => Some(Sure::WithContext),
        _ => None,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, u32::from(*digit)) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => digit * 2 - 9,
            (_, digit) => digit * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Returns whether somebody speaks about payment cards.
fn has_context(text: &str) -> bool {
    const WORDS: [&str; 14] = [
        "card",
        "visa",
        "mastercard",
        "amex",
        "maestro",
        "cvv",
        "cvc",
        "karte",
        "carte",
        "tarjeta",
        "carta",
        "expiry",
        "pan",
        "cc_number",
    ];
    let text: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.any(|word| {
        WORDS.iter().any(|known| match *known {
            // Short ones are parts of many other words.
            "pan" | "carta" | "carte" => word == *known,
            known => word.contains(known),
        })
    })
}

fn is_separator(character: char) -> bool {
    character.is_whitespace()
        || is_invisible(character)
        || matches!(
            character,
            '-' | '.' | '_' | '/' | '\\' | '*' | '|' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '·'
        )
}

fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// Zeros of the scripts that have digits of their own (Unicode, general category Nd).
const ZEROS: [u32; 38] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66,
    0xde6, 0xe50, 0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90,
    0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10,
    0x104a0,
];

fn digit(character: char) -> Option<u8> {
    let code = u32::from(character);
    let zero = ZEROS
        .iter()
        .find(|zero| (**zero..**zero + 10).contains(&code))?;
    u8::try_from(code - zero).ok()
}

/// Decodes `%34%31`; `None` if there is nothing to decode.
fn percent_decoded(text: &str) -> Option<String> {
    if !text.contains('%') {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut found = false;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = behind.get(..2).and_then(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        match (first, escaped) {
            (b'%', Some(byte)) => {
                found = true;
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    found.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
