//! When a rate plan is sold, and for which stays.

use crate::alpinebits::{
    value::{Period, Reader},
    xml::Element,
};

const DAYS: [&str; 7] = ["Mon", "Tue", "Weds", "Thur", "Fri", "Sat", "Sun"];

/// Days of the week; bit 0 is Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Weekdays(pub u8);

impl Weekdays {
    /// Every day.
    pub const ALL: Self = Self(0x7f);

    /// Returns the other days.
    #[must_use]
    pub fn others(self) -> Self {
        Self(!self.0 & 0x7f)
    }
}

/// A rule for the stays of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookingRule {
    /// The nights.
    pub period: Period,
    /// The kind of rooms; without one, all of them.
    pub room_type: Option<String>,
    /// How long stays may be.
    pub lengths: Lengths,
    /// On which days stays begin.
    pub arrival: Option<Weekdays>,
    /// On which days stays end.
    pub departure: Option<Weekdays>,
    /// Whether nothing is sold.
    pub closed: Option<bool>,
}

/// How long stays may be, in nights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    /// Fewest, by the day of arrival.
    pub min_from_arrival: Option<u8>,
    /// Most, by the day of arrival.
    pub max_from_arrival: Option<u8>,
    /// Fewest, by every night of the stay.
    pub min_through: Option<u8>,
    /// Most, by every night of the stay.
    pub max_through: Option<u8>,
}

pub(super) fn read(plan: &Element, reader: &mut Reader) -> Vec<BookingRule> {
    let Some(list) = plan.child("BookingRules") else {
        return Vec::new();
    };
    reader.only_children(list, &["BookingRule"]);
    if list.children().is_empty() {
        reader.missing(list, "BookingRule");
    }
    let rules: Vec<_> = list
        .children()
        .iter()
        .filter_map(|rule| read_one(rule, reader))
        .collect();
    let mut sorted: Vec<_> = rules.iter().map(|r| (&r.room_type, r.period)).collect();
    sorted.sort_unstable();
    if !sorted.is_sorted_by(|a, b| a.0 != b.0 || !a.1.meets(b.1)) {
        reader.invalid("periods of `BookingRule` elements for the same rooms overlap");
    }
    rules
}

fn read_one(rule: &Element, reader: &mut Reader) -> Option<BookingRule> {
    let known = ["LengthsOfStay", "DOW_Restrictions", "RestrictionStatus"];
    reader.only_children(rule, &known);
    let context = reader.choice(rule, "CodeContext", &["ROOMTYPE"]);
    let room_type = reader.text(rule, "Code", 8);
    if context.is_some() != room_type.is_some() {
        reader.invalid("`Code` and `CodeContext` of a `BookingRule` come together");
    }
    let days = rule.child("DOW_Restrictions");
    let mut of = |name| {
        let days = days.and_then(|days| days.child(name))?;
        Some(weekdays(days, reader))
    };
    let arrival = of("ArrivalDaysOfWeek");
    let departure = of("DepartureDaysOfWeek");
    let lengths = lengths(rule, reader);
    let closed = rule.child("RestrictionStatus").and_then(|status| {
        reader.required(status, "Restriction");
        reader.choice(status, "Restriction", &["Master"]);
        reader.required(status, "Status");
        let status = reader.choice(status, "Status", &["Open", "Close"])?;
        Some(status == "Close")
    });
    Some(BookingRule {
        period: reader.needed_period(rule)?,
        room_type,
        lengths,
        arrival,
        departure,
        closed,
    })
}

/// Returns the days that are not ruled out.
pub(super) fn weekdays(element: &Element, reader: &mut Reader) -> Weekdays {
    let mut days = Weekdays::ALL;
    for (bit, name) in DAYS.iter().enumerate() {
        if reader.flag(element, name) == Some(false) {
            days.0 &= !(1 << bit);
        }
    }
    days
}

fn lengths(rule: &Element, reader: &mut Reader) -> Lengths {
    let mut lengths = Lengths::default();
    let list = rule.child("LengthsOfStay");
    for length in list.into_iter().flat_map(Element::children) {
        reader.required(length, "TimeUnit");
        reader.choice(length, "TimeUnit", &["Day"]);
        let nights = reader.needed_number(length, "Time");
        reader.required(length, "MinMaxMessageType");
        const KINDS: [&str; 4] = [
            "SetMinLOS",
            "SetMaxLOS",
            "SetForwardMinStay",
            "SetForwardMaxStay",
        ];
        let kind = reader.choice(length, "MinMaxMessageType", &KINDS);
        let (Some(nights), Some(kind)) = (nights, kind) else {
            continue;
        };
        let Ok(nights) = u8::try_from(nights) else {
            reader.invalid("stays of more than 255 nights are not sold");
            continue;
        };
        let slot = match kind {
            "SetMinLOS" => &mut lengths.min_from_arrival,
            "SetMaxLOS" => &mut lengths.max_from_arrival,
            "SetForwardMinStay" => &mut lengths.min_through,
            _ => &mut lengths.max_through,
        };
        if slot.replace(nights).is_some() {
            reader.invalid(format!("`{kind}` is there twice"));
        }
    }
    let crossed = |min: Option<u8>, max: Option<u8>| matches!((min, max), (Some(min), Some(max)) if max != 0 && min > max);
    if crossed(lengths.min_from_arrival, lengths.max_from_arrival)
        || crossed(lengths.min_through, lengths.max_through)
    {
        reader.invalid("the shortest stay is longer than the longest");
    }
    lengths
}
