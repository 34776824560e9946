//! Moments and durations, exact to the last digit.

use std::cmp::Ordering;

use jiff::civil::Date;

/// Longest duration text, in bytes (`maxLength` of the draft).
const MAX_DURATION: usize = 64;
/// Longest timestamp text, in bytes: what is longer is not a timestamp of anybody.
const MAX_TIMESTAMP: usize = 128;

/// A moment: seconds since the Unix epoch on the POSIX scale (leap seconds have no
/// place of their own), and a fraction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instant {
    seconds: i128,
    /// Decimal digits behind the point, without zeros at the end.
    fraction: String,
}

impl Instant {
    /// Reads RFC 3339 with an offset; a second of 60 is refused.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TIMESTAMP || !text.is_ascii() {
            return None;
        }
        let bytes = text.as_bytes();
        let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
        let separated = separators
            .iter()
            .all(|(at, byte)| bytes.get(*at) == Some(byte));
        if !separated || !matches!(bytes.get(10), Some(b'T' | b't')) {
            return None;
        }
        let date = Date::new(
            number(text.get(0..4)?)?.try_into().ok()?,
            number(text.get(5..7)?)?.try_into().ok()?,
            number(text.get(8..10)?)?.try_into().ok()?,
        );
        let (hour, minute, second) = (
            below(text.get(11..13)?, 24)?,
            below(text.get(14..16)?, 60)?,
            below(text.get(17..19)?, 60)?,
        );
        let (fraction, offset) = split_fraction(text.get(19..)?)?;
        let days = (date.ok()? - Date::constant(1970, 1, 1)).get_days();
        let of_day = hour * 3_600 + minute * 60 + second;
        Some(Self {
            seconds: i128::from(days) * 86_400 + i128::from(of_day) - offset_seconds(offset)?,
            fraction: fraction.trim_end_matches('0').to_owned(),
        })
    }

    /// Returns the moment `seconds` before this one.
    pub(super) fn checked_before(&self, seconds: u128) -> Option<Self> {
        let seconds = i128::try_from(seconds).ok()?;
        Some(Self {
            seconds: self.seconds.checked_sub(seconds)?,
            fraction: self.fraction.clone(),
        })
    }
}

impl PartialOrd for Instant {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Instant {
    fn cmp(&self, other: &Self) -> Ordering {
        // Without zeros at the end, fractions are ordered as their digits are.
        let fraction = || self.fraction.cmp(&other.fraction);
        self.seconds.cmp(&other.seconds).then_with(fraction)
    }
}

/// Reads a duration of days, hours, minutes and seconds (`P1DT2H3M4S`), all elapsed
/// time. Returns seconds.
pub(super) fn elapsed(text: &str) -> Option<u128> {
    if text.len() > MAX_DURATION {
        return None;
    }
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let mut total = 0_u128;
    if !days.is_empty() {
        total = scaled(days.strip_suffix('D')?, 86_400)?;
    }
    let mut rest = time;
    for (unit, seconds) in [('H', 3_600), ('M', 60), ('S', 1)] {
        if let Some((digits, behind)) = rest.split_once(unit) {
            total = total.checked_add(scaled(digits, seconds)?)?;
            rest = behind;
        }
    }
    rest.is_empty().then_some(total)
}

fn scaled(digits: &str, seconds: u128) -> Option<u128> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: u128 = plain.then(|| digits.parse().ok())??;
    value.checked_mul(seconds)
}

fn number(text: &str) -> Option<u16> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

fn below(text: &str, limit: u16) -> Option<u32> {
    let value = number(text)?;
    (value < limit).then_some(u32::from(value))
}

/// Splits `.25Z` into the digits and what follows them.
fn split_fraction(rest: &str) -> Option<(&str, &str)> {
    let Some(rest) = rest.strip_prefix('.') else {
        return Some(("", rest));
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| rest.split_at(digits))
}

fn offset_seconds(text: &str) -> Option<i128> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let bytes = text.as_bytes();
    if bytes.len() != 6 || bytes[3] != b':' {
        return None;
    }
    let sign = match bytes[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = (below(text.get(1..3)?, 24)?, below(text.get(4..6)?, 60)?);
    Some(sign * i128::from(hours * 3_600 + minutes * 60))
}
