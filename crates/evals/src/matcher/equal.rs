//! Comparisons of values.

use std::borrow::Cow;

use serde_json::Value;

use super::{Case, Quantity, place};

/// Whether two values are the same; a number with a decimal point equals one without.
pub(super) fn same(wanted: &Value, is: &Value) -> bool {
    match (wanted, is) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let equal = |(name, value): (&String, &Value)| {
                b.get(name).is_some_and(|other| same(value, other))
            };
            a.len() == b.len() && a.iter().all(equal)
        }
        _ => wanted == is,
    }
}

/// As [`same`], but texts, also directly within a list, are compared without regard to
/// case, blanks and punctuation.
pub(super) fn loose(wanted: &Value, is: &Value) -> bool {
    match (wanted, is) {
        (Value::String(a), Value::String(b)) => bare(a) == bare(b),
        (Value::Array(a), Value::Array(b)) => {
            let equal = |(a, b): (&Value, &Value)| match (a, b) {
                (Value::String(a), Value::String(b)) => bare(a) == bare(b),
                _ => same(a, b),
            };
            a.len() == b.len() && a.iter().zip(b).all(equal)
        }
        _ => same(wanted, is),
    }
}

/// The text without case, blanks and the punctuation that models set as they like.
fn bare(text: &str) -> String {
    let kept = text
        .chars()
        .filter(|c| !matches!(c, ' ' | ',' | '.' | '/' | '-' | '_' | '*' | '^'));
    let quoted = kept.map(|c| if c == '\'' { '"' } else { c });
    quoted.flat_map(char::to_lowercase).collect()
}

/// The value as text: a string without its quotes, anything else as JSON.
pub(super) fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::Borrowed(text),
        other => Cow::Owned(other.to_string()),
    }
}

/// The number that a value is or spells.
pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let text = text.trim().replace(',', "");
            text.parse::<f64>().ok().filter(|number| number.is_finite())
        }
        _ => None,
    }
}

/// The number of elements, members or characters.
pub(super) fn length(value: &Value) -> Option<f64> {
    let length = match value {
        Value::Array(elements) => elements.len(),
        Value::Object(members) => members.len(),
        Value::String(text) => text.chars().count(),
        _ => return None,
    };
    u32::try_from(length).ok().map(f64::from)
}

/// Whether texts are parts of a text or elements of a list.
pub(super) fn contains(value: &Value, parts: &[String], quantity: Quantity, case: Case) -> bool {
    let has = |part: &String| match value {
        Value::Array(elements) => elements.iter().any(|one| match case {
            Case::Kept => text(one) == part.as_str(),
            Case::Ignored => text(one).to_lowercase() == *part,
        }),
        other => match case {
            Case::Kept => text(other).contains(part.as_str()),
            Case::Ignored => text(other).to_lowercase().contains(part.as_str()),
        },
    };
    match quantity {
        Quantity::All => parts.iter().all(has),
        Quantity::Any => parts.iter().any(has),
        Quantity::None => !parts.iter().any(has),
    }
}

/// An amount with its currency, from a number, a text such as `$1,250.00` or an object
/// with `amount` (or `amount_minor`) and `currency`.
pub(crate) fn money(value: &Value) -> Option<(f64, Option<String>)> {
    match value {
        Value::Number(number) => Some((number.as_f64()?, None)),
        Value::Object(fields) => {
            let currency = fields.get("currency").and_then(Value::as_str);
            let minor = fields.get("amount_minor").and_then(Value::as_f64);
            let amount = match minor {
                Some(minor) => minor / place::minor_units(currency.unwrap_or("USD")),
                None => number(fields.get("amount").or_else(|| fields.get("value"))?)?,
            };
            Some((amount, currency.map(place::currency)))
        }
        Value::String(text) => {
            let digits: String = text
                .chars()
                .filter(|c| c.is_ascii_digit() || matches!(c, '.' | '-'))
                .collect();
            let around: String = text
                .chars()
                .filter(|c| !c.is_ascii_digit() && !matches!(c, '.' | ',' | '-' | ' '))
                .collect();
            let currency = (!around.is_empty()).then(|| place::currency(&around));
            Some((digits.parse().ok()?, currency))
        }
        _ => None,
    }
}

/// Whether a value is this amount. A currency is compared where both sides name one;
/// an argument `currency` beside a bare number counts as naming it.
pub(super) fn is_money(
    value: &Value,
    amount: f64,
    currency: Option<&str>,
    beside: Option<&Value>,
) -> bool {
    let Some((is, named)) = money(value) else {
        return false;
    };
    let beside = beside
        .and_then(|beside| beside.get("currency"))
        .and_then(Value::as_str)
        .map(place::currency);
    let same_currency = match (currency, named.or(beside)) {
        (Some(wanted), Some(is)) => wanted == is,
        _ => true,
    };
    same_currency && (is - amount).abs() < 0.005
}

/// Whether a value, or a text within it, occurs in `source`.
pub(super) fn stems(value: Option<&Value>, source: &Value) -> bool {
    let Some(value) = value else { return false };
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Array(all) => all.iter().any(|one| stems(Some(one), source)),
        Value::Object(fields) => fields.values().any(|one| stems(Some(one), source)),
        leaf => is_leaf(leaf, source),
    }
}

fn is_leaf(leaf: &Value, source: &Value) -> bool {
    match source {
        Value::Array(all) => all.iter().any(|one| is_leaf(leaf, one)),
        Value::Object(fields) => fields.values().any(|one| is_leaf(leaf, one)),
        Value::String(within) => {
            let leaf = text(leaf);
            // Shorter texts are in any other text by chance.
            leaf.chars().count() >= 4 && within.contains(leaf.as_ref()) || within == leaf.as_ref()
        }
        other => same(leaf, other),
    }
}
