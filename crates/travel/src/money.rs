//! Amounts and currencies.
//!
//! # Invariants
//!
//! * An amount is a whole number of minor units; no floating point takes part.
//! * One rounding rule everywhere: half away from zero, once per printed line
//!   ([`scale`]).

use std::{borrow::Cow, fmt, sync::LazyLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A currency of ISO 4217.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Currency {
    /// Three letters.
    pub code: &'static str,
    /// Digits after the decimal point (0 for JPY, 3 for KWD).
    pub exponent: u8,
    /// Thousandths of a major unit that a price of one unit of the generator
    /// becomes: a price level, so that amounts look at home, not an exchange rate.
    pub(crate) level_milli: u32,
}

static CURRENCIES: LazyLock<Vec<Currency>> = LazyLock::new(|| {
    include_str!("../assets/currencies.tsv")
        .lines()
        .map(|line| {
            let mut column = line.split('\t');
            let mut next = || column.next().expect("currencies.tsv has three columns");
            Currency {
                code: next(),
                exponent: next().parse().expect("the exponent is a digit"),
                level_milli: next().parse().expect("the level is a number"),
            }
        })
        .collect()
});

impl Currency {
    /// Finds the currency with this code, in any case.
    #[must_use]
    pub fn find(code: &str) -> Option<Self> {
        let known = |currency: &&Self| currency.code.eq_ignore_ascii_case(code);
        CURRENCIES.iter().find(known).copied()
    }

    /// Returns how many minor units one major unit has.
    #[must_use]
    pub const fn minor_per_major(self) -> i64 {
        10_i64.pow(self.exponent as u32)
    }

    /// Returns `amount` minor units for display.
    #[must_use]
    pub const fn money(self, amount: i64) -> Money {
        Money {
            amount,
            currency: self,
        }
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = Cow::<'de, str>::deserialize(deserializer)?;
        Self::find(&code).ok_or_else(|| D::Error::custom("not the code of a currency"))
    }
}

/// An amount in minor units of a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// Minor units (cents).
    pub amount: i64,
    /// The currency.
    pub currency: Currency,
}

impl fmt::Display for Money {
    /// Writes `1,234.50 USD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_major = self.currency.minor_per_major().unsigned_abs();
        let (whole, fraction) = (
            self.amount.unsigned_abs() / per_major,
            self.amount.unsigned_abs() % per_major,
        );
        if self.amount < 0 {
            f.write_str("-")?;
        }
        let digits = whole.to_string();
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i) % 3 == 0 {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        let width = usize::from(self.currency.exponent);
        if width > 0 {
            write!(f, ".{fraction:0width$}")?;
        }
        write!(f, " {}", self.currency.code)
    }
}

/// Returns `amount · numerator / denominator`, rounded half away from zero.
///
/// `denominator` is positive. The product is taken in 128 bits; a quotient that
/// does not fit is a broken invariant of the price tables.
pub(crate) fn scale(amount: i64, numerator: i64, denominator: i64) -> i64 {
    debug_assert!(denominator > 0);
    // Divisions of 128 bits take ten times as long, and prices rarely need them.
    let half = denominator / 2;
    if let Some(product) = amount.checked_mul(numerator)
        && let Some(magnitude) = product.checked_abs().and_then(|p| p.checked_add(half))
    {
        return magnitude / denominator * product.signum();
    }
    let product = i128::from(amount) * i128::from(numerator);
    let half = i128::from(denominator) / 2;
    let rounded = (product.abs() + half) / i128::from(denominator) * product.signum();
    i64::try_from(rounded).expect("prices stay far below the range of 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_digits_of_their_currency() {
        for (code, amount, text) in [
            ("USD", 61_240, "612.40 USD"),
            ("USD", 5, "0.05 USD"),
            ("USD", -123_456_789, "-1,234,567.89 USD"),
            ("JPY", 24_800, "24,800 JPY"),
            ("KWD", 12_345, "12.345 KWD"),
        ] {
            assert_eq!(
                Currency::find(code).unwrap().money(amount).to_string(),
                text
            );
        }
    }

    #[test]
    fn halves_round_away_from_zero() {
        assert_eq!(
            [
                scale(5, 1, 2),
                scale(-5, 1, 2),
                scale(4, 1, 3),
                scale(7, 1450, 10_000)
            ],
            [3, -3, 1, 1]
        );
    }

    #[test]
    fn code_is_found_in_any_case_and_only_if_it_exists() {
        assert_eq!(Currency::find("chf").unwrap().code, "CHF");
        assert!(Currency::find("XXX").is_none() && Currency::find("💶").is_none());
    }

    proptest::proptest! {
        #[test]
        fn scaling_is_never_off_by_more_than_half(amount in -1_000_000_000_000_i64..1_000_000_000_000, n in 1_i64..200_000, d in 1_i64..200_000) {
            let error = i128::from(scale(amount, n, d)) * i128::from(d) - i128::from(amount) * i128::from(n);
            proptest::prop_assert!(2 * error.abs() <= i128::from(d));
        }
    }
}
