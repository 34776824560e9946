//! Values that are nearly right.

use jiff::{ToSpan as _, civil::Date};
use serde_json::{Value, json};

/// One value of an argument is another.
const ALTER: &str = "alter an argument";
/// A day is the next one: the slip that is made most easily.
const SHIFT: &str = "shift a day";

/// Returns a value's damaged forms, with the kind of damage and what is wrong with them.
pub(super) fn damaged(value: &Value) -> Vec<(&'static str, &'static str, Value)> {
    let alter = |how, other| vec![(ALTER, how, other)];
    match value {
        Value::String(text) => match day(text) {
            // A tool would refuse what is no date.
            Some((day, rest)) => [
                (ALTER, "a year later", day.saturating_add(1.year())),
                (SHIFT, "a day later", day.saturating_add(1.day())),
            ]
            .map(|(kind, how, other)| (kind, how, Value::String(format!("{other}{rest}"))))
            .into(),
            None => alter("another text", Value::String(format!("not {text}"))),
        },
        Value::Number(number) => {
            let more = match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => json!(whole.saturating_add(1)),
                (None, Some(float)) => json!(float + 1.0),
                (None, None) => return Vec::new(),
            };
            alter("one more", more)
        }
        Value::Bool(flag) => alter("the opposite", Value::Bool(!flag)),
        Value::Array(elements) if !elements.is_empty() => alter("emptied", json!([])),
        Value::Array(_) | Value::Object(_) | Value::Null => Vec::new(),
    }
}

/// The date that a text begins with, and what follows it.
fn day(text: &str) -> Option<(Date, &str)> {
    let (day, rest) = text.split_at_checked(10)?;
    Some((day.parse().ok()?, rest))
}

/// Returns the text with its first number changed.
pub(super) fn other_number(text: &str) -> Option<String> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let digit = text.as_bytes().get(start)?;
    let other = if *digit == b'9' { '1' } else { '9' };
    let rest = text.get(start + 1..)?;
    Some(format!("{}{other}{rest}", &text[..start]))
}

/// Replaces `old` by `new` in a value and what is in it. Systems write moments in other
/// forms than they are given: a day is replaced in them, too.
pub(super) fn replace(value: &mut Value, old: &Value, new: &Value) {
    if value == old {
        *value = new.clone();
        return;
    }
    match value {
        Value::Array(elements) => elements.iter_mut().for_each(|one| replace(one, old, new)),
        Value::Object(members) => members.values_mut().for_each(|one| replace(one, old, new)),
        Value::String(text) => {
            let days = [old, new].map(|value| value.as_str().and_then(day));
            if let ([Some((before, time)), Some((after, _))], Some((is, rest))) = (days, day(text))
                && is == before
                && same_time(time, rest)
            {
                *text = format!("{after}{rest}");
            }
        }
        _ => {}
    }
}

/// Whether `T08:00:00` is the time that was given as ` 08:00`, or no time was given.
fn same_time(given: &str, kept: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    digits(kept).starts_with(&digits(given))
}
