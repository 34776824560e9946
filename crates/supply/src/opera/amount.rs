//! Decimal amounts as OPERA writes them, and minor units.
//!
//! # Invariants
//!
//! * An amount is read digit by digit: no floating point takes part.
//! * What is no whole number of minor units is no amount.

use serde_json::value::RawValue;

/// Longest number that is read.
const MAX_DIGITS: usize = 18;

/// Reads a JSON number, or text of the same form, as so many decimal places.
pub(super) fn scaled(text: &str, places: u8) -> Option<i64> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat();
    let plain = !whole.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain || digits.len() > 2 * MAX_DIGITS || exponent.abs() > 40 {
        return None;
    }
    // The digits stand for their value times ten to the power of `shift`.
    let shift = exponent - i32::try_from(fraction.len()).ok()? + i32::from(places);
    let mut digits = digits.trim_start_matches('0').to_owned();
    for _ in 0..shift.unsigned_abs() {
        match shift > 0 {
            true if digits.is_empty() => {}
            true => digits.push('0'),
            false if digits.is_empty() => {}
            false if digits.ends_with('0') => {
                digits.pop();
            }
            false => return None,
        }
    }
    if digits.len() > MAX_DIGITS {
        return None;
    }
    let value: i64 = match digits.as_str() {
        "" => 0,
        digits => digits.parse().ok()?,
    };
    Some(if negative { -value } else { value })
}

/// Reads a JSON number as minor units of a currency of so many decimal places.
pub(super) fn minor(number: &RawValue, places: u8) -> Option<i64> {
    scaled(number.get(), places)
}

/// Writes minor units as a JSON number.
pub(super) fn number(amount: i64, places: u8) -> Box<RawValue> {
    let places = usize::from(places);
    let sign = if amount < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", amount.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let text = match places {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{fraction}"),
    };
    RawValue::from_string(text).expect("digits and a point are a number")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_exact_or_none() {
        for (text, places, expected) in [
            ("214.5", 2, Some(21_450)),
            ("200", 2, Some(20_000)),
            ("0.1", 2, Some(10)),
            ("0", 2, Some(0)),
            ("-12.34", 2, Some(-1_234)),
            ("1.10", 2, Some(110)),
            ("1.100", 2, Some(110)),
            ("1.005", 2, None),
            ("1.234", 3, Some(1_234)),
            ("12000", 0, Some(12_000)),
            ("12000.00", 0, Some(12_000)),
            ("12000.50", 0, None),
            ("1.05E2", 2, Some(10_500)),
            ("1e-2", 2, Some(1)),
            ("1e-3", 2, None),
            ("0e40", 2, Some(0)),
            ("99999999999999999999", 2, None),
            ("1e30", 2, None),
            ("1e99999999999", 2, None),
            (".5", 2, None),
            ("", 2, None),
            ("NaN", 2, None),
            ("1,5", 2, None),
        ] {
            assert_eq!(scaled(text, places), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(amount in -1_000_000_000_000_i64..1_000_000_000_000, places in 0_u8..5) {
            prop_assert_eq!(minor(&number(amount, places), places), Some(amount));
        }
    }
}
