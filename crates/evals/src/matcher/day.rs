//! Days, written in the ways that models and people write them.

use airside_base::month;
use jiff::{
    ToSpan as _,
    civil::{Date, Weekday},
};
use serde_json::Value;

use super::equal;

/// A day, or what stands for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    Day(Date),
    /// Days from today.
    In(i64),
    /// The first such day after today.
    First(Weekday),
    /// The same, or the one of the next calendar week: people mean either.
    Next(Weekday),
}

impl When {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        if let Some(day) = parse_day(&text) {
            return Some(Self::Day(day));
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        Some(match words.as_slice() {
            ["today"] => Self::In(0),
            ["tomorrow"] => Self::In(1),
            ["yesterday"] => Self::In(-1),
            ["in", count, "day" | "days"] => Self::In(count.parse().ok()?),
            ["in", count, "week" | "weeks"] => Self::In(count.parse::<i64>().ok()?.checked_mul(7)?),
            ["next", day] => Self::Next(weekday(day)?),
            [day] | ["this" | "on", day] => Self::First(weekday(day)?),
            _ => return None,
        })
    }

    pub(super) fn holds(self, value: &Value, today: Option<Date>) -> bool {
        let Some(is) = parse_day(&equal::text(value)) else {
            return false;
        };
        let Some(today) = today else {
            return self == Self::Day(is);
        };
        let first = |weekday| today.nth_weekday(1, weekday).ok();
        match self {
            Self::Day(day) => is == day,
            Self::In(days) => today.checked_add(days.days()).ok() == Some(is),
            Self::First(weekday) => first(weekday) == Some(is),
            Self::Next(weekday) => {
                let monday = first(Weekday::Monday);
                let of_next_week = monday.and_then(|monday| {
                    let since = i64::from(weekday.since(Weekday::Monday));
                    monday.checked_add(since.days()).ok()
                });
                first(weekday) == Some(is) || of_next_week == Some(is)
            }
        }
    }
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "monday" => Weekday::Monday,
        "tuesday" => Weekday::Tuesday,
        "wednesday" => Weekday::Wednesday,
        "thursday" => Weekday::Thursday,
        "friday" => Weekday::Friday,
        "saturday" => Weekday::Saturday,
        "sunday" => Weekday::Sunday,
        _ => return None,
    })
}

/// Reads a day from ISO 8601 (a time may follow) or from words such as
/// `December 5, 2026` and `5 Dec 2026`. Days in figures of unclear order are not read.
#[must_use]
pub fn parse_day(text: &str) -> Option<Date> {
    let text = text.trim();
    if let Some(day) = text.get(..10).and_then(|head| head.parse::<Date>().ok()) {
        return Some(day);
    }
    let words: Vec<String> = text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|word| !word.is_empty() && *word != "of")
        .map(str::to_lowercase)
        .collect();
    let [a, b, year] = words.as_slice() else {
        return None;
    };
    let (name, day) = match a.starts_with(|c: char| c.is_ascii_digit()) {
        true => (b, a),
        false => (a, b),
    };
    let day = day.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    Date::new(
        year.parse().ok()?,
        month(name.trim_end_matches('.'))?,
        day.parse().ok()?,
    )
    .ok()
}

/// Whether `value` is a day after `than`: a day, or the name of what is beside it.
pub(super) fn is_after(
    value: &Value,
    than: &str,
    max_days: Option<i64>,
    beside: Option<&Value>,
    today: Option<Date>,
) -> bool {
    let sibling = beside.and_then(|beside| beside.get(than)).map(equal::text);
    let earlier = match (sibling, When::parse(than)) {
        (Some(text), _) => parse_day(&text),
        (None, Some(When::Day(day))) => Some(day),
        (None, Some(When::In(days))) => today.and_then(|today| today.checked_add(days.days()).ok()),
        _ => None,
    };
    let (Some(earlier), Some(is)) = (earlier, parse_day(&equal::text(value))) else {
        return false;
    };
    let days = (is - earlier).get_days();
    days > 0 && max_days.is_none_or(|max| i64::from(days) <= max)
}
