//! What the model said.

use std::borrow::Cow;

use serde_json::Value;

use super::{Context, Reason};
use crate::expect::Text;

/// Checks messages: what has to be said is said in one of them, what must not be said
/// in none.
pub(super) fn check(
    expect: &Text,
    messages: &[&str],
    context: Context<'_>,
    reasons: &mut Vec<Reason>,
) {
    let fold = |text: &str| match expect.fold {
        true => Cow::Owned(text.to_lowercase().replace(',', "")),
        false => Cow::Owned(text.to_owned()),
    };
    let messages: Vec<Cow<'_, str>> = messages.iter().map(|text| fold(text)).collect();
    // Commas within a wanted text are the author's.
    let wanted = |text: &str| match expect.fold {
        true => text.to_lowercase(),
        false => text.to_owned(),
    };
    let said = |text: &String| {
        let text = wanted(text);
        messages.iter().any(|message| message.contains(&text))
    };
    let missing = expect.contains_all.iter().filter(|text| !said(text));
    reasons.extend(missing.map(|text| Reason::new("answer", text, "not said")));
    if !expect.contains_any.is_empty() && !expect.contains_any.iter().any(said) {
        reasons.push(Reason::new(
            "answer",
            expect.contains_any.join(" | "),
            "none is said",
        ));
    }
    let forbidden = expect.contains_none.iter().filter(|text| said(text));
    reasons.extend(forbidden.map(|text| Reason::new("answer", text, "said")));
    if expect.not_empty && messages.iter().all(|message| message.trim().is_empty()) {
        reasons.push(Reason::new("answer", "", "nothing is said"));
    }
    let scope = context.scope();
    for matcher in expect.regex.iter().chain(&expect.is) {
        let holds = |message: &Cow<'_, str>| {
            let text = Value::String(message.clone().into_owned());
            let read = || serde_json::from_str::<Value>(message).ok();
            matcher.holds(Some(&text), &scope)
                || read().is_some_and(|value| matcher.holds(Some(&value), &scope))
        };
        if !messages.iter().any(holds) {
            reasons.push(Reason::new("answer", "", matcher.written().to_string()));
        }
    }
    for mention in &expect.mentions {
        let value = scope.find_saved(&mention.from);
        let states = |message: &Cow<'_, str>| value.is_some_and(|value| states(message, value));
        if !messages.iter().any(states) {
            reasons.push(Reason::new("answer", &mention.from, "not mentioned"));
        }
    }
}

/// Whether a message states a value: its text, or its number however it is set.
fn states(message: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => message.to_lowercase().contains(&text.to_lowercase()),
        Value::Number(number) => {
            let Some(number) = number.as_f64() else {
                return false;
            };
            let plain = message.replace(',', "");
            let figures = plain.split(|c: char| !c.is_ascii_digit() && c != '.');
            figures
                .filter_map(|figure| figure.trim_end_matches('.').parse::<f64>().ok())
                .any(|figure| (figure - number).abs() < 0.005)
        }
        Value::Object(_) => match crate::matcher::money(value) {
            Some((amount, _)) => states(message, &Value::from(amount)),
            None => false,
        },
        Value::Array(all) => all.iter().all(|one| states(message, one)),
        Value::Bool(_) | Value::Null => false,
    }
}
