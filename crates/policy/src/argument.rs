//! Arguments of interest: named values that policies may compare.
//!
//! # Invariants
//!
//! * A value has the configured kind or the call is refused: what policies would not
//!   see, a server might still act on.
//! * Bounded: texts in bytes, lists in items.

use serde_json::Value as Json;

/// Longest text that policies compare, in bytes.
pub const MAX_TEXT_BYTES: usize = 512;
/// Longest list of texts.
pub const MAX_ITEMS: usize = 64;

/// What kind of value an argument has in policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArgumentKind {
    /// A whole number (`Long`).
    Integer,
    /// A decimal number times a power of ten (`Long`): 10.50 with 2 is 1050.
    Decimal {
        /// Digits after the point; a value with more is refused.
        digits: u8,
    },
    /// A text (`String`).
    Text,
    /// True or false (`Bool`).
    Flag,
    /// A list of texts (`Set<String>`).
    Texts,
}

impl ArgumentKind {
    /// Returns the type in Cedar's schema.
    #[must_use]
    pub const fn cedar(self) -> &'static str {
        match self {
            Self::Integer | Self::Decimal { .. } => "Long",
            Self::Text => "String",
            Self::Flag => "Bool",
            Self::Texts => "Set<String>",
        }
    }
}

/// An argument as policies know it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Declared {
    /// Its name: `context.arguments.<name>`.
    pub name: String,
    /// Its kind.
    pub kind: ArgumentKind,
}

/// One argument of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Its name in policies.
    pub name: String,
    /// Its value.
    pub value: Value,
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
    /// True or false.
    Flag(bool),
    /// A list of texts.
    Texts(Vec<String>),
}

/// A value is not of the kind that is configured, or is over a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is not what is configured for this argument")]
pub struct Unreadable;

impl Value {
    /// Reads a value of `kind`; none where `json` is null.
    ///
    /// # Errors
    ///
    /// When it is of another kind or over a bound.
    pub fn read(kind: ArgumentKind, json: &Json) -> Result<Option<Self>, Unreadable> {
        let text = |text: &str| match text.len() <= MAX_TEXT_BYTES {
            true => Ok(text.to_owned()),
            false => Err(Unreadable),
        };
        let value = match (kind, json) {
            (_, Json::Null) => return Ok(None),
            (ArgumentKind::Integer, Json::Number(number)) => decimal(&number.to_string(), 0)?,
            (ArgumentKind::Decimal { digits }, Json::Number(number)) => {
                decimal(&number.to_string(), digits)?
            }
            // Amounts often travel as texts, so that no reader rounds them.
            (ArgumentKind::Decimal { digits }, Json::String(number)) => decimal(number, digits)?,
            (ArgumentKind::Text, Json::String(found)) => Self::Text(text(found)?),
            (ArgumentKind::Flag, Json::Bool(flag)) => Self::Flag(*flag),
            (ArgumentKind::Texts, Json::Array(items)) if items.len() <= MAX_ITEMS => {
                let items = items.iter().map(|item| match item {
                    Json::String(found) => text(found),
                    _ => Err(Unreadable),
                });
                let mut items = items.collect::<Result<Vec<_>, _>>()?;
                items.sort_unstable();
                items.dedup();
                Self::Texts(items)
            }
            _ => return Err(Unreadable),
        };
        Ok(Some(value))
    }
}

/// Reads `text` as a decimal number with at most `digits` behind the point.
fn decimal(text: &str, digits: u8) -> Result<Value, Unreadable> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let fraction = fraction.trim_end_matches('0');
    let only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let missing = usize::from(digits).checked_sub(fraction.len());
    let missing =
        missing.filter(|_| !whole.is_empty() && only_digits(whole) && only_digits(fraction));
    let scaled = format!(
        "{whole}{fraction}{}",
        "0".repeat(missing.ok_or(Unreadable)?)
    );
    let number: i64 = scaled.parse().map_err(|_| Unreadable)?;
    Ok(Value::Integer(if negative { -number } else { number }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(
        kind: ArgumentKind,
        json: &Json,
        expected: impl Into<Result<Option<Value>, Unreadable>>,
    ) {
        assert_eq!(Value::read(kind, json), expected.into(), "{kind:?} {json}");
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        let money = ArgumentKind::Decimal { digits: 2 };
        let number = |n| Ok(Some(Value::Integer(n)));
        check(money, &json!(10.5), number(1050));
        check(money, &json!("10.50"), number(1050));
        check(money, &json!("-0.010"), number(-1));
        check(money, &json!(10), number(1000));
        check(ArgumentKind::Integer, &json!(-7), number(-7));
        for odd in [
            json!("10.505"),
            json!("1e3"),
            json!(""),
            json!("."),
            json!("+1"),
            json!(true),
        ] {
            check(money, &odd, Err(Unreadable));
        }
        check(ArgumentKind::Integer, &json!("7"), Err(Unreadable));
        check(ArgumentKind::Integer, &json!(1.5), Err(Unreadable));
        check(ArgumentKind::Integer, &json!(u64::MAX), Err(Unreadable));
    }

    #[test]
    fn texts_are_bounded_and_lists_are_sets() {
        check(
            ArgumentKind::Text,
            &json!("CH"),
            Ok(Some(Value::Text("CH".into()))),
        );
        check(
            ArgumentKind::Text,
            &json!("x".repeat(MAX_TEXT_BYTES + 1)),
            Err(Unreadable),
        );
        check(ArgumentKind::Text, &json!(["CH"]), Err(Unreadable));
        check(
            ArgumentKind::Texts,
            &json!(["b", "a", "b"]),
            Ok(Some(Value::Texts(vec!["a".into(), "b".into()]))),
        );
        check(
            ArgumentKind::Texts,
            &json!(vec!["x"; MAX_ITEMS + 1]),
            Err(Unreadable),
        );
        check(ArgumentKind::Flag, &json!(null), Ok(None));
        check(ArgumentKind::Flag, &json!("true"), Err(Unreadable));
    }
}
