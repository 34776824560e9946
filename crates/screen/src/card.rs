//! Payment card numbers.
//!
//! # Invariants
//!
//! * Luhn alone passes one number in ten. A card number has a known issuer prefix, a
//!   length that goes with it, a right check digit, and a shape in which cards are
//!   written. The kinds whose numbers others use too (goods, accounts, tickets) also
//!   need a word about cards: the short ones right before them or in their key, since
//!   whoever sells rooms says somewhere that cards are accepted.
//! * The work is linear in the length of the text: a number has at most 19 digits.

use std::ops::Range;

use crate::{
    personal::iban_at,
    rule::{Group, Rule},
};

/// The only rule.
pub static NUMBER: Rule = Rule::new(
    "card.number",
    Group::Card,
    "a payment card number: issuer range, length and check digit are right",
);

pub(crate) const RULES: [&Rule; 1] = [&NUMBER];

/// Longest and shortest card number (ISO/IEC 7812-1).
pub(crate) const DIGITS: std::ops::RangeInclusive<usize> = 12..=19;
/// Most bytes between two groups of digits of one number.
const MAX_GAP: usize = 3;
/// Fewest digits of a number that a word anywhere in the message is enough for, where
/// others use such numbers too. What shops, airlines and phones write is shorter.
const LONG: usize = 16;
/// Longest text that may be a part of a number that is spread over several.
const LONGEST_PIECE: usize = 15;
/// Groups in which numbers stand on cards.
const SHAPES: [&[usize]; 9] = [
    &[4, 4, 4, 4],
    &[4, 4, 4, 4, 3],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 2],
    &[4, 4, 4, 3],
    &[4, 4, 4, 4, 1],
    &[4, 4, 4, 4, 2],
    &[6, 13],
];

/// Where somebody speaks about payment cards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum About {
    /// Nowhere in the message.
    Nothing,
    /// Somewhere in the message.
    Somewhere,
    /// In the name of what is read.
    Here,
}

impl About {
    /// Returns `Somewhere` where it is so.
    #[must_use]
    pub const fn somewhere(speaks: bool) -> Self {
        match speaks {
            true => Self::Somewhere,
            false => Self::Nothing,
        }
    }
}

/// Calls `hit` with every card number in `text`, whose digits are ASCII. Where somebody
/// speaks about cards is asked where that decides.
pub(crate) fn find(text: &str, about_cards: &dyn Fn() -> About, mut hit: impl FnMut(Range<usize>)) {
    let bytes = text.as_bytes();
    let mut run = Run::default();
    let mut at = 0;
    while let Some(start) = next_digit(bytes, at) {
        if run.end().is_some_and(|end| !joins(&bytes[end..start])) {
            run.judge(bytes, about_cards, &mut hit);
            run.groups.clear();
        }
        let len = bytes[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        at = start + len;
        run.groups.push(start..at);
    }
    run.judge(bytes, about_cards, &mut hit);
}

fn next_digit(bytes: &[u8], from: usize) -> Option<usize> {
    let found = bytes[from..].iter().position(u8::is_ascii_digit)?;
    Some(from + found)
}

/// Whether what stands between two groups of digits may stand within one number.
fn joins(gap: &[u8]) -> bool {
    let separator = |byte: &u8| byte.is_ascii_whitespace() || b"-._/\\*|".contains(byte);
    gap.len() <= MAX_GAP && gap.iter().all(separator)
}

/// Groups of digits with at most a few separators between them.
#[derive(Default)]
struct Run {
    groups: Vec<Range<usize>>,
}

impl Run {
    fn end(&self) -> Option<usize> {
        self.groups.last().map(|group| group.end)
    }

    fn judge(
        &self,
        bytes: &[u8],
        about_cards: &dyn Fn() -> About,
        hit: &mut impl FnMut(Range<usize>),
    ) {
        let mut first = 0;
        while first < self.groups.len() {
            match self.number_at(first, bytes, about_cards) {
                Some(last) => {
                    hit(self.groups[first].start..self.groups[last].end);
                    first = last + 1;
                }
                None => first += 1,
            }
        }
    }

    /// Returns the last group of the card number that begins with group `first`.
    fn number_at(
        &self,
        first: usize,
        bytes: &[u8],
        about_cards: &dyn Fn() -> About,
    ) -> Option<usize> {
        let mut digits = [0; 19];
        let mut len = 0;
        for last in first..self.groups.len() {
            let group = &bytes[self.groups[last].clone()];
            if len + group.len() > digits.len() {
                return None;
            }
            digits[len..len + group.len()].copy_from_slice(group);
            len += group.len();
            let digits = &digits[..len];
            if let Some(sure) = number(digits)
                && self.is_shaped(first..last + 1, sure, bytes, about_cards)
                && !self.is_something_else(first..last + 1, bytes)
            {
                return Some(last);
            }
        }
        None
    }

    /// Whether these groups look like a number of their own, for how `sure` it is.
    fn is_shaped(
        &self,
        groups: Range<usize>,
        sure: Sure,
        bytes: &[u8],
        about_cards: &dyn Fn() -> About,
    ) -> bool {
        let (opens, closes) = (groups.start == 0, groups.end == self.groups.len());
        let before = bytes[..self.groups[groups.start].start].last();
        let after = bytes.get(self.groups[groups.end - 1].end);
        let letter = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphabetic);
        let in_word = opens && letter(before) || closes && letter(after);
        let international = opens && before == Some(&b'+');
        let sizes = self.groups[groups.clone()].iter().map(Range::len);
        let canonical = groups.len() == 1
            || SHAPES
                .iter()
                .any(|shape| shape.iter().copied().eq(sizes.clone()));
        // In other groups it stands alone: a table of numbers has many windows.
        let alone = opens && closes && matches!(sizes.sum(), 14 | 15 | 16 | 19);
        let plain = sure == Sure::Yes && !in_word && !international;
        let shaped = canonical || alone && !self.is_attached(bytes);
        if plain && shaped {
            return true;
        }
        let least = match international {
            true => About::Here,
            false => sure.least(self.groups[groups.clone()].iter().map(Range::len).sum()),
        };
        let start = self.groups[groups.start].start;
        (canonical || opens || closes)
            && (about_cards() >= least || speaks_right_before(bytes, start))
    }

    /// Whether the run hangs on a word, as the digits of an id do.
    fn is_attached(&self, bytes: &[u8]) -> bool {
        let (Some(first), Some(last)) = (self.groups.first(), self.groups.last()) else {
            return false;
        };
        let hangs = |near: Option<&u8>, far: Option<&u8>| {
            near.is_some_and(|near| b"-_./#".contains(near))
                && far.is_some_and(u8::is_ascii_alphanumeric)
        };
        let mut before = bytes[..first.start].iter().rev();
        let mut after = bytes[last.end..].iter();
        hangs(before.next(), before.next()) || hangs(after.next(), after.next())
    }

    /// Whether the digits belong to a UUID or an account number (IBAN).
    fn is_something_else(&self, groups: Range<usize>, bytes: &[u8]) -> bool {
        let span = self.groups[groups.start].start..self.groups[groups.end - 1].end;
        is_in_uuid(bytes, &span) || is_in_iban(bytes, &span)
    }
}

fn is_in_uuid(bytes: &[u8], span: &Range<usize>) -> bool {
    const LEN: usize = 36;
    let part = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b'-';
    // No further than to see that it is longer: a text may be one long run of them.
    let before = bytes[..span.start].iter().rev().take(LEN);
    let before = before.take_while(part).count();
    let after = bytes[span.end..].iter().take(LEN).take_while(part).count();
    let token = &bytes[span.start - before..span.end + after];
    token.len() == LEN && [8, 13, 18, 23].iter().all(|at| token[*at] == b'-')
}

fn is_in_iban(bytes: &[u8], span: &Range<usize>) -> bool {
    /// Longest IBAN written in groups of four.
    const LONGEST: usize = 42;
    (span.start.saturating_sub(LONGEST)..span.start)
        .filter_map(|at| iban_at(bytes, at))
        .any(|iban| iban.end >= span.end)
}

/// How sure an issuer prefix and a length make a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sure {
    /// Nobody else uses such numbers.
    Yes,
    /// Others do: goods, tickets, accounts.
    WithContext,
}

impl Sure {
    /// Returns where a word about cards has to be, for a number of `len` digits that is
    /// not written as cards are.
    const fn least(self, len: usize) -> About {
        match self {
            Self::WithContext if len < LONG => About::Here,
            Self::Yes | Self::WithContext => About::Somewhere,
        }
    }
}

/// Returns whether ASCII digits are a card number.
fn number(digits: &[u8]) -> Option<Sure> {
    if !DIGITS.contains(&digits.len()) || digits.iter().all(|digit| *digit == digits[0]) {
        return None;
    }
    let sure = issuer(digits)?;
    luhn(digits).then_some(sure)
}

/// Issuer identification ranges with their lengths (ISO/IEC 7812, as the networks
/// publish them).
fn issuer(digits: &[u8]) -> Option<Sure> {
    let prefix = |count: usize| {
        digits[..count]
            .iter()
            .fold(0, |n, digit| n * 10 + u32::from(digit - b'0'))
    };
    let (two, three, four) = (prefix(2), prefix(3), prefix(4));
    let sure = |lengths: &[usize]| lengths.contains(&digits.len()).then_some(Sure::Yes);
    let long = |from: usize| (digits.len() >= from).then_some(Sure::Yes);
    match digits[0] {
        b'4' if digits.len() == 13 => Some(Sure::WithContext),
        b'4' => sure(&[16, 19]),
        b'5' if (51..=55).contains(&two) => sure(&[16]),
        b'2' if (2221..=2720).contains(&four) => sure(&[16]),
        b'3' if matches!(two, 34 | 37) => sure(&[15]),
        b'3' if (300..=305).contains(&three) || four == 3095 || matches!(two, 36 | 38 | 39) => {
            match digits.len() {
                14 | 16 | 19 => Some(Sure::Yes),
                15.. => Some(Sure::WithContext),
                _ => None,
            }
        }
        b'3' if (3528..=3589).contains(&four) => long(16),
        b'6' if four == 6011 || (644..=649).contains(&three) || matches!(two, 62 | 65) => long(16),
        b'5' | b'6' if matches!(two, 50 | 56..=58 | 60 | 63 | 67..=69) => Some(Sure::WithContext),
        b'8' if two == 81 && digits.len() == 16 => Some(Sure::WithContext),
        _ => None,
    }
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(
            |(place, digit)| match (place % 2, u32::from(digit - b'0')) {
                (0, digit) => digit,
                (_, digit) if digit > 4 => digit * 2 - 9,
                (_, digit) => digit * 2,
            },
        )
        .sum();
    sum.is_multiple_of(10)
}

/// Finds numbers that are spread over texts that stand beside each other, such as the
/// members of an object. It remembers no more than one number has digits.
#[derive(Debug, Default)]
pub struct Neighbours {
    pieces: Vec<Piece>,
}

#[derive(Debug)]
struct Piece {
    digits: [u8; LONGEST_PIECE],
    len: usize,
    is_text: bool,
    /// Whether its key speaks about cards.
    named: bool,
}

impl Neighbours {
    /// Returns a memory without pieces.
    #[must_use]
    pub const fn new() -> Self {
        Self { pieces: Vec::new() }
    }

    /// Takes the next text, which stands under `key`; `is_text` says that it is a string
    /// and not a number. Returns how many pieces, this one included, make up a card
    /// number. What is not a piece is passed over.
    pub fn push(
        &mut self,
        text: &str,
        is_text: bool,
        key: &str,
        about_cards: &dyn Fn() -> About,
    ) -> Option<usize> {
        if !Self::is_piece(text) {
            return None;
        }
        let text = text.trim().as_bytes();
        let mut piece = Piece {
            digits: [0; LONGEST_PIECE],
            len: text.len(),
            is_text,
            named: is_about_cards(key),
        };
        piece.digits[..text.len()].copy_from_slice(text);
        self.pieces.push(piece);
        let found = self.number_at_end(about_cards);
        match found {
            Some(_) => self.pieces.clear(),
            None if self.pieces.len() > *DIGITS.end() => drop(self.pieces.remove(0)),
            None => {}
        }
        found
    }

    /// Returns whether [`Self::push`] would remember `text`.
    #[must_use]
    pub fn is_piece(text: &str) -> bool {
        let text = text.trim();
        (1..=LONGEST_PIECE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    }

    fn number_at_end(&self, about_cards: &dyn Fn() -> About) -> Option<usize> {
        let mut digits = Vec::with_capacity(*DIGITS.end());
        for first in (0..self.pieces.len().checked_sub(1)?).rev() {
            let pieces = &self.pieces[first..];
            let len: usize = pieces.iter().map(|piece| piece.len).sum();
            if len > *DIGITS.end() {
                return None;
            }
            digits.clear();
            for piece in pieces {
                digits.extend_from_slice(&piece.digits[..piece.len]);
            }
            let Some(sure) = number(&digits) else {
                continue;
            };
            let sizes = pieces.iter().map(|piece| piece.len);
            let canonical = SHAPES[..4]
                .iter()
                .any(|shape| shape.iter().copied().eq(sizes.clone()));
            let texts = pieces.iter().all(|piece| piece.is_text);
            let plain = sure == Sure::Yes && canonical && texts;
            // Prices in a row make up any number: only their names tell.
            let named = || pieces.iter().any(|piece| piece.named) || about_cards() == About::Here;
            if plain || named() {
                return Some(pieces.len());
            }
        }
        None
    }
}

/// Words about payment cards, in order.
const WORDS: [&str; 34] = [
    "amex",
    "bankcard",
    "card",
    "cardholder",
    "cardno",
    "cardnum",
    "cardnumber",
    "cards",
    "carta",
    "carte",
    "cc",
    "ccnum",
    "ccnumber",
    "creditcard",
    "cvc",
    "cvv",
    "cvv2",
    "debitcard",
    "diners",
    "expiry",
    "jcb",
    "kaart",
    "karte",
    "kartennummer",
    "kreditkarte",
    "maestro",
    "mastercard",
    "pan",
    "paymentcard",
    "primaryaccountnumber",
    "tarjeta",
    "unionpay",
    "visa",
    "visacard",
];
/// Words that say that a number is something else, in order.
const OTHERS: [&str; 30] = [
    "account",
    "booking",
    "buchung",
    "call",
    "code",
    "confirmation",
    "customer",
    "ean",
    "fax",
    "gtin",
    "iban",
    "id",
    "imei",
    "invoice",
    "isbn",
    "mobile",
    "order",
    "phone",
    "pnr",
    "ref",
    "reference",
    "reservation",
    "serial",
    "sku",
    "tel",
    "telephone",
    "ticket",
    "tracking",
    "upc",
    "voucher",
];
/// Longest of the words.
const LONGEST: usize = 20;

fn is_one_of(words: &[&str], word: &[u8]) -> bool {
    let mut lower = [0; LONGEST];
    let Some(lower) = lower.get_mut(..word.len()) else {
        return false;
    };
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    let lower = &*lower;
    let found = words.binary_search_by(|known| known.as_bytes().cmp(lower));
    found.is_ok()
}

/// Returns whether `text` speaks about payment cards.
#[must_use]
pub fn is_about_cards(text: impl AsRef<[u8]>) -> bool {
    text.as_ref()
        .split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|word| word.len() >= 2)
        .any(|word| is_one_of(&WORDS, word))
}

/// Whether one of the last words before `at` is about cards, within the sentence and
/// before one that says that it is something else.
fn speaks_right_before(bytes: &[u8], at: usize) -> bool {
    const REACH: usize = 40;
    const WORDS_BACK: usize = 3;
    let near = &bytes[at.saturating_sub(REACH)..at];
    let letter = |byte: &u8| byte.is_ascii_alphanumeric();
    let mut end = near.len();
    for _ in 0..WORDS_BACK {
        let Some(last) = near[..end].iter().rposition(letter) else {
            return false;
        };
        let gap = &near[last + 1..end];
        let next = near.get(end).is_some_and(u8::is_ascii_uppercase);
        if gap.iter().any(|byte| b"!?;\n".contains(byte)) || gap.contains(&b'.') && next {
            return false;
        }
        let start = near[..last].iter().rposition(|byte| !letter(byte));
        end = start.map_or(0, |start| start + 1);
        let word = &near[end..=last];
        if is_one_of(&OTHERS, word) {
            return false;
        }
        if is_one_of(&WORDS, word) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests;
