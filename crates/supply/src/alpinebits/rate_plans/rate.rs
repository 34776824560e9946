//! What a night costs.

use super::rule::{Weekdays, weekdays};
use crate::alpinebits::{
    value::{Period, Reader},
    xml::{self, Element},
};

/// Most guests of one room that a rate is given for.
const MAX_GUESTS: u16 = 16;

/// Prices of the nights of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// The nights.
    pub period: Period,
    /// On which days of the week.
    pub days: Weekdays,
    /// The kind of rooms; without one, all of them.
    pub room_type: Option<String>,
    /// What a night costs.
    pub price: Price,
}

/// What a night costs by who sleeps in the room, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Price {
    /// The room for so many adults, by their number.
    pub adults: Vec<(u8, i64)>,
    /// Each adult beyond the largest number.
    pub extra_adult: Option<i64>,
    /// Children by age.
    pub children: Vec<AgeBand>,
}

/// What a child of some age costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeBand {
    /// First age in completed years.
    pub from: u8,
    /// First age that is not in the band.
    pub below: u8,
    /// Minor units.
    pub amount: i64,
}

/// Something that is paid besides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Supplement {
    /// The hotel's code of it.
    pub code: String,
    /// Whether every guest pays it.
    pub mandatory: bool,
    /// When; without a period it is described only.
    pub period: Option<Period>,
    /// Minor units.
    pub amount: Option<i64>,
}

/// How amounts are meant: what the first rate of a plan says for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Basis {
    PerPerson,
    PerRoom,
}

pub(super) fn read(plan: &Element, digits: u32, reader: &mut Reader) -> Vec<Rate> {
    let Some(list) = plan.child("Rates") else {
        return Vec::new();
    };
    reader.only_children(list, &["Rate"]);
    let Some((first, rest)) = list.children().split_first() else {
        reader.missing(list, "Rate");
        return Vec::new();
    };
    let fixed = first.attribute("Start").is_none() && first.attribute("End").is_none();
    if !fixed {
        reader.missing(
            first,
            "a first rate without `Start` and `End`, for all the others",
        );
        return Vec::new();
    }
    let basis = basis(first, reader);
    let rates: Vec<_> = rest
        .iter()
        .filter_map(|rate| read_one(rate, basis, digits, reader))
        .collect();
    let mut sorted: Vec<_> = rates
        .iter()
        .map(|r| (&r.room_type, r.days.0, r.period))
        .collect();
    sorted.sort_unstable();
    if !sorted.is_sorted_by(|a, b| a.0 != b.0 || a.1 & b.1 == 0 || !a.2.meets(b.2)) {
        reader.invalid("periods of `Rate` elements for the same rooms overlap");
    }
    rates
}

/// Reads what holds for every rate of a plan.
fn basis(fixed: &Element, reader: &mut Reader) -> Basis {
    let amounts = fixed.child("BaseByGuestAmts");
    let amount = amounts.and_then(|amounts| amounts.child("BaseByGuestAmt"));
    let Some(amount) = amount else {
        reader.missing(fixed, "BaseByGuestAmt with `Type`");
        return Basis::PerRoom;
    };
    reader.required(amount, "Type");
    let unit = reader.number(fixed, "UnitMultiplier").unwrap_or(1);
    reader.choice(fixed, "RateTimeUnit", &["Day"]);
    if unit != 1 {
        reader
            .invalid("rates for several days in one amount are not sold here: `UnitMultiplier` 1");
    }
    match reader.choice(amount, "Type", &["7", "25"]) {
        Some("7") => Basis::PerPerson,
        _ => Basis::PerRoom,
    }
}

fn read_one(rate: &Element, basis: Basis, digits: u32, reader: &mut Reader) -> Option<Rate> {
    let known = [
        "BaseByGuestAmts",
        "AdditionalGuestAmounts",
        "RateDescription",
        "MealsIncluded",
    ];
    reader.only_children(rate, &known);
    if rate.attribute("Duration").is_some() || rate.attribute("MinGuestApplicable").is_some() {
        reader.advise("`Duration` and `MinGuestApplicable` are not used: use booking rules");
    }
    let days = weekdays(rate, reader);
    let room_type = reader.text(rate, "InvTypeCode", 8);
    let price = Price {
        adults: adults(rate, basis, digits, reader),
        extra_adult: extra_adult(rate, digits, reader),
        children: children(rate, digits, reader),
    };
    Some(Rate {
        period: reader.needed_period(rate)?,
        days,
        room_type,
        price,
    })
}

fn adults(rate: &Element, basis: Basis, digits: u32, reader: &mut Reader) -> Vec<(u8, i64)> {
    let list = rate.child("BaseByGuestAmts");
    let mut adults = Vec::new();
    for amount in list.into_iter().flat_map(Element::children) {
        reader.choice(amount, "AgeQualifyingCode", &["10"]);
        let guests = reader.needed_number(amount, "NumberOfGuests");
        let each = money(amount, "AmountAfterTax", digits, reader);
        let (Some(guests), Some(each)) = (guests, each) else {
            continue;
        };
        if !(1..=MAX_GUESTS).contains(&guests) || each == 0 {
            reader.invalid(format!(
                "`NumberOfGuests` is 1 to {MAX_GUESTS} and `AmountAfterTax` above 0"
            ));
            continue;
        }
        let guests = u8::try_from(guests).unwrap_or(u8::MAX);
        let night = match basis {
            Basis::PerPerson => each * i64::from(guests),
            Basis::PerRoom => each,
        };
        adults.push((guests, night));
    }
    adults.sort_unstable();
    if adults.is_empty() {
        reader.missing(rate, "BaseByGuestAmt");
    }
    if !adults.is_sorted_by(|a, b| a.0 < b.0) {
        reader.invalid("a `NumberOfGuests` is there twice");
    }
    adults
}

fn additional<'a>(rate: &'a Element, age: &'a str) -> impl Iterator<Item = &'a Element> {
    let list = rate.child("AdditionalGuestAmounts").into_iter();
    list.flat_map(Element::children)
        .filter(move |amount| amount.attribute("AgeQualifyingCode") == Some(age))
}

fn extra_adult(rate: &Element, digits: u32, reader: &mut Reader) -> Option<i64> {
    let mut all = additional(rate, "10");
    let amount = all.next()?;
    if all.next().is_some() {
        reader.invalid("the amount of an additional adult is there twice");
    }
    money(amount, "Amount", digits, reader)
}

fn children(rate: &Element, digits: u32, reader: &mut Reader) -> Vec<AgeBand> {
    let mut bands: Vec<AgeBand> = Vec::new();
    for amount in additional(rate, "8") {
        let from = reader.number(amount, "MinAge").unwrap_or(0);
        // `MaxAge` is the first age above the band (AlpineBits, section 4.5).
        let below = reader.number(amount, "MaxAge").unwrap_or(18);
        let Some(amount) = money(amount, "Amount", digits, reader) else {
            continue;
        };
        match (u8::try_from(from), u8::try_from(below)) {
            (Ok(from), Ok(below)) if from < below => bands.push(AgeBand {
                from,
                below,
                amount,
            }),
            _ => reader.invalid("`MinAge` is below `MaxAge`, and both are ages"),
        }
    }
    bands.sort_unstable_by_key(|band| band.from);
    if !bands.is_sorted_by(|a, b| a.below <= b.from) {
        reader.invalid("ages of `AdditionalGuestAmount` elements overlap");
    }
    bands
}

pub(super) fn supplements(plan: &Element, digits: u32, reader: &mut Reader) -> Vec<Supplement> {
    let Some(list) = plan.child("Supplements") else {
        return Vec::new();
    };
    reader.only_children(list, &["Supplement"]);
    let mut found: Vec<Supplement> = Vec::new();
    for supplement in list.children() {
        reader.required(supplement, "InvType");
        reader.choice(supplement, "InvType", &["EXTRA", "ALPINEBITSEXTRA"]);
        reader.required(supplement, "InvCode");
        let Some(code) = reader.text(supplement, "InvCode", 16) else {
            continue;
        };
        let stated = reader.flag(supplement, "MandatoryIndicator");
        // Lines with a period take over what the first line of the code says.
        let first = found.iter().find(|known| known.code == code);
        let mandatory = stated.unwrap_or_else(|| first.is_some_and(|first| first.mandatory));
        let amount = supplement.attribute("Amount");
        let amount = amount.and_then(|_| money(supplement, "Amount", digits, reader));
        found.push(Supplement {
            mandatory,
            period: reader.period(supplement),
            amount,
            code,
        });
    }
    found
}

/// Returns an amount that has to be there in minor units.
fn money(element: &Element, name: &str, digits: u32, reader: &mut Reader) -> Option<i64> {
    let text = reader.required(element, name);
    let amount = minor_units(text, digits);
    if amount.is_none() && !text.is_empty() {
        reader.invalid(format!(
            "`{name}` is `{}` and has to be an amount with up to {digits} digits after the point",
            xml::shown(text)
        ));
    }
    amount
}

/// Reads a decimal number as minor units. Zeros after the last digit of the currency
/// change nothing; other digits do, so they are not read.
fn minor_units(text: &str, digits: u32) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = digits as usize;
    let kept = part.get(..digits.min(part.len()))?;
    let rest = part.get(kept.len()..)?;
    let is_number = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(part) || rest.bytes().any(|b| b != b'0')
    {
        return None;
    }
    let padded = format!("{whole}{kept:0<digits$}");
    // Amounts of a trillion are mistakes, and sums of smaller ones stay in range.
    padded
        .parse()
        .ok()
        .filter(|amount| *amount < 1_000_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        for (text, digits, expected) in [
            ("106", 2, Some(10_600)),
            ("76.8", 2, Some(7_680)),
            ("0.05", 2, Some(5)),
            ("9000", 0, Some(9_000)),
            ("9000.00", 0, Some(9_000)),
            ("1.2345", 3, None),
            ("1.2340", 3, Some(1_234)),
            ("9000.5", 0, None),
            ("-1", 2, None),
            ("1e3", 2, None),
            (".5", 2, None),
            ("", 2, None),
            ("99999999999999999999", 2, None),
            ("1,5", 2, None),
            ("1.\u{e9}", 2, None),
        ] {
            assert_eq!(minor_units(text, digits), expected, "{text}");
        }
    }
}
