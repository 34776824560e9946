//! Personal data that has a form of its own.

use std::{ops::Range, sync::LazyLock};

use regex::bytes::Regex;

use crate::rule::{Group, Rule};

static EMAIL: Rule = Rule::new("personal.email", Group::Personal, "an e-mail address");
static PHONE: Rule = Rule::new(
    "personal.phone",
    Group::Personal,
    "a phone number with its country code",
);
static IBAN: Rule = Rule::new(
    "personal.iban",
    Group::Personal,
    "an account number (IBAN) with right check digits",
);
static PASSPORT: Rule = Rule::new(
    "personal.passport",
    Group::Personal,
    "the machine-readable line of a passport with right check digits",
);

pub(crate) const RULES: [&Rule; 4] = [&EMAIL, &PHONE, &IBAN, &PASSPORT];

static ADDRESSES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}";
    Regex::new(&format!("(?-u){pattern}")).expect("a constant")
});
static PHONES: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\+[1-9][0-9]{0,2}(?:[ ./()-]{0,2}[0-9]){6,13}";
    Regex::new(&format!("(?-u){pattern}")).expect("a constant")
});

/// Compiles what is looked for.
pub(crate) fn prepare() {
    LazyLock::force(&ADDRESSES);
    LazyLock::force(&PHONES);
}

/// Calls `hit` with all personal data in `text`.
pub(crate) fn find(text: &str, mut hit: impl FnMut(&'static Rule, Range<usize>)) {
    let bytes = text.as_bytes();
    if memchr::memchr(b'@', bytes).is_some() {
        for found in ADDRESSES.find_iter(bytes) {
            hit(&EMAIL, found.range());
        }
    }
    if memchr::memchr(b'+', bytes).is_some() {
        for found in PHONES.find_iter(bytes) {
            let before = bytes[..found.start()].last();
            let after = bytes.get(found.end());
            let word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            let digits = found.as_bytes().iter().filter(|byte| byte.is_ascii_digit());
            if !word(before) && !word(after) && digits.count() >= 8 {
                hit(&PHONE, found.range());
            }
        }
    }
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(u8::is_ascii_uppercase) {
        let start = at + found;
        at = match iban_at(bytes, start) {
            Some(iban) => {
                hit(&IBAN, iban.clone());
                iban.end
            }
            None => start + 1,
        };
    }
    if memchr::memchr(b'<', bytes).is_some() {
        passports(bytes, &mut hit);
    }
}

/// Returns the IBAN that begins at `at` and is not part of a word.
pub(crate) fn iban_at(bytes: &[u8], at: usize) -> Option<Range<usize>> {
    const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;
    let [a, b, c, d, ..] = bytes.get(at..)? else {
        return None;
    };
    let head = a.is_ascii_uppercase()
        && b.is_ascii_uppercase()
        && c.is_ascii_digit()
        && d.is_ascii_digit();
    let in_word = bytes[..at].last().is_some_and(u8::is_ascii_alphanumeric);
    if !head || in_word {
        return None;
    }
    let mut compact = [0; 34];
    let mut len = 0;
    let mut end = None;
    for (offset, byte) in bytes[at..].iter().enumerate() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' if len < compact.len() => {
                compact[len] = *byte;
                len += 1;
            }
            b' ' | b'-' if len >= 4 => continue,
            _ => break,
        }
        // Words may follow after a blank: every end of a group may be the end.
        let next = bytes.get(at + offset + 1);
        let group = next.is_none_or(|next| !next.is_ascii_alphanumeric());
        if group && LENGTHS.contains(&len) && mod_97(&compact[..len]) == 1 {
            end = Some(at + offset + 1);
        }
    }
    end.map(|end| at..end)
}

/// ISO 7064, MOD 97-10, with the first four characters moved to the end.
fn mod_97(iban: &[u8]) -> u32 {
    let (head, rest) = iban.split_at(4);
    rest.iter().chain(head).fold(0, |sum, byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        letter => (sum * 100 + u32::from(letter - b'A') + 10) % 97,
    })
}

/// The second line of a passport (ICAO 9303-4, TD3): 44 characters with check digits
/// over number, date of birth and date of expiry.
fn passports(bytes: &[u8], hit: &mut impl FnMut(&'static Rule, Range<usize>)) {
    const LEN: usize = 44;
    let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'<');
    let mut at = 0;
    while at + LEN <= bytes.len() {
        let line = &bytes[at..at + LEN];
        match line.iter().rposition(|byte| !part(byte)) {
            Some(stop) => at += stop + 1,
            None if is_passport(line) => {
                hit(&PASSPORT, at..at + LEN);
                at += LEN;
            }
            None => at += 1,
        }
    }
}

fn is_passport(line: &[u8]) -> bool {
    let checked = |part: Range<usize>, at: usize| line[at] == check_digit(&line[part]);
    line[..9].iter().any(u8::is_ascii_digit)
        && line[10..13].iter().all(|byte| !byte.is_ascii_digit())
        && checked(0..9, 9)
        && checked(13..19, 19)
        && checked(21..27, 27)
}

fn check_digit(part: &[u8]) -> u8 {
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'Z' => u32::from(byte - b'A') + 10,
        _ => 0,
    };
    let weights = [7, 3, 1].iter().cycle();
    let sum: u32 = part
        .iter()
        .zip(weights)
        .map(|(byte, weight)| value(*byte) * weight)
        .sum();
    b'0' + u8::try_from(sum % 10).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let mut found = Vec::new();
        find(text, |rule, span| found.push((rule.id, &text[span])));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn personal_data_is_found_by_form_and_check_digits() {
        check(
            "write to ada@example.org or call +49 30 1234567.",
            &[
                ("personal.email", "ada@example.org"),
                ("personal.phone", "+49 30 1234567"),
            ],
        );
        check(
            "pay to DE89 3704 0044 0532 0130 00 OR GB29NWBK60161331926819",
            &[
                ("personal.iban", "DE89 3704 0044 0532 0130 00"),
                ("personal.iban", "GB29NWBK60161331926819"),
            ],
        );
        // The example of ICAO 9303-4.
        check(
            "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
            &[(
                "personal.passport",
                "L898902C36UTO7408122F1204159ZE184226B<<<<<10",
            )],
        );
    }

    #[test]
    fn wrong_check_digits_and_other_numbers_are_not_personal() {
        check("DE88370400440532013000 XDE89370400440532013000", &[]);
        check("L898902C37UTO7408122F1204159ZE184226B<<<<<10", &[]);
        check("1+2345678 a@b @c +1 234 room+12345678901234567", &[]);
    }
}
