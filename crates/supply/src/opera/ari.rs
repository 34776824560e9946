//! Availability, rates and restrictions as OPERA pushes them
//! (`distributionaripublication`: inventory, rates, restrictions).
//!
//! # Invariants
//!
//! * A message is read whole or refused with the place that is wrong.
//! * What it says is bounded before it is kept: lists, dates, counts, lengths.

use airside_base::Timestamp;
use airside_travel::supply::{
    Currency, PlanCode, RoomCode,
    ari::{Band, MAX_PATTERN, Weekdays},
};
use jiff::{civil::Date, civil::DateTime, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::amount;

/// Most values of one message.
pub const MAX_SETS: usize = 10_000;
/// Most guests that a price is for.
const MAX_GUESTS: u8 = 10;

/// Which of the three messages it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Rooms to sell (`OTA_HotelInvCountNotifRQ`).
    Inventory,
    /// Prices (`OTA_HotelRateAmountNotifRQ`).
    Rates,
    /// Restrictions (`OTA_HotelRestrictionsNotifRQ`).
    Restrictions,
}

impl Topic {
    /// Returns the topic with this name in the path of a request.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Some(match name {
            "inventory" => Self::Inventory,
            "rates" => Self::Rates,
            "restrictions" => Self::Restrictions,
            _ => return None,
        })
    }

    const fn member(self) -> &'static str {
        match self {
            Self::Inventory => "/hotelInventories",
            Self::Rates => "/hotelRatePlans",
            Self::Restrictions => "/hotelRestrictions",
        }
    }

    const fn list(self) -> &'static str {
        match self {
            Self::Inventory => "inventories",
            Self::Rates => "ratePlans",
            Self::Restrictions => "availStatusMessages",
        }
    }
}

/// Why a message cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {why}")]
pub struct Wrong {
    /// JSON pointer to what is wrong.
    pub path: String,
    /// What is wrong.
    pub why: &'static str,
}

/// A message, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) hotel: String,
    pub(super) channel: Option<String>,
    pub(super) sent: Option<Timestamp>,
    pub(super) sets: Vec<Set>,
    /// The money of its amounts.
    pub(super) currency: Option<String>,
}

/// One value for some nights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Set {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) room: Option<RoomCode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plan: Option<PlanCode>,
    pub(super) from: Date,
    pub(super) to: Date,
    #[serde(default, skip_serializing_if = "Weekdays::is_all")]
    pub(super) days: Weekdays,
    pub(super) value: Value,
}

/// What is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "set", content = "to", rename_all = "snake_case")]
pub(super) enum Value {
    /// Rooms that may be sold.
    Free(u16),
    Closed(bool),
    ClosedToArrival(bool),
    ClosedToDeparture(bool),
    MinimumFromArrival(u8),
    MaximumFromArrival(u8),
    MinimumThrough(u8),
    MaximumThrough(u8),
    /// Which lengths are sold, one night first.
    Lengths(Vec<bool>),
    Window {
        min_days: Option<u16>,
        max_days: Option<u16>,
    },
    Rates(Rates),
}

/// Prices of a night, taxes included, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rates {
    /// Whether they replace what was there, or are added to it.
    pub(super) replace: bool,
    /// By number of adults.
    pub(super) base: Vec<(u8, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) extra_adult: Option<i64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) children: Vec<Band>,
}

/// A place in a message.
#[derive(Clone)]
struct At<'a> {
    json: &'a Json,
    path: String,
}

impl<'a> At<'a> {
    fn wrong(&self, why: &'static str) -> Wrong {
        let path = match self.path.len() {
            0..=200 => self.path.clone(),
            _ => "/".to_owned(),
        };
        Wrong { path, why }
    }

    fn member(&self, name: &str) -> Option<At<'a>> {
        let json = self.json.get(name).filter(|json| !json.is_null())?;
        let path = format!("{}/{name}", self.path);
        Some(At { json, path })
    }

    fn needed(&self, name: &str) -> Result<At<'a>, Wrong> {
        self.member(name).ok_or_else(|| {
            At {
                json: self.json,
                path: format!("{}/{name}", self.path),
            }
            .wrong("is missing")
        })
    }

    fn list(&self, name: &str) -> Result<Vec<At<'a>>, Wrong> {
        let Some(list) = self.member(name) else {
            return Ok(Vec::new());
        };
        let items = list
            .json
            .as_array()
            .ok_or_else(|| list.wrong("is no list"))?;
        if items.len() > MAX_SETS {
            return Err(list.wrong("is too long"));
        }
        let item = |(at, json)| At {
            json,
            path: format!("{}/{at}", list.path),
        };
        Ok(items.iter().enumerate().map(item).collect())
    }

    fn text(&self) -> Result<&'a str, Wrong> {
        self.json.as_str().ok_or_else(|| self.wrong("is no text"))
    }

    /// Reads a number that may be written as text.
    fn number(&self) -> Result<i64, Wrong> {
        let read = match self.json {
            Json::String(text) => text.trim().parse().ok(),
            other => other.as_i64(),
        };
        read.ok_or_else(|| self.wrong("is no whole number"))
    }

    fn small(&self) -> Result<u16, Wrong> {
        u16::try_from(self.number()?).map_err(|_| self.wrong("is out of range"))
    }

    fn date(&self) -> Result<Date, Wrong> {
        let date = self.text()?.parse();
        date.map_err(|_| self.wrong("is no date"))
    }

    /// Reads a code; an empty one, or `*`, is every code.
    fn code<T: std::str::FromStr>(&self) -> Result<Option<T>, Wrong> {
        match self.text()?.trim() {
            "" | "*" => Ok(None),
            code => (code.parse().map(Some)).map_err(|_| self.wrong("is no code")),
        }
    }
}

/// Reads a message. Amounts are in the money of `currency_of` the hotel.
pub(super) fn read(
    topic: Topic,
    body: &[u8],
    currency_of: impl Fn(&str) -> Option<Currency>,
) -> Result<Message, Wrong> {
    let json: Json = serde_json::from_slice(body).map_err(|_| Wrong {
        path: "/".to_owned(),
        why: "is no JSON",
    })?;
    let head = At {
        json: json.pointer(topic.member()).unwrap_or(&Json::Null),
        path: topic.member().to_owned(),
    };
    let hotel = head.needed("hotelCode")?.text()?.to_owned();
    let channel = head.member("channelCode");
    let channel = channel.map(|at| at.text().map(str::to_owned)).transpose()?;
    let sent = head.member("timeStamp").map(|at| time(&at)).transpose()?;
    let mut message = Message {
        sets: Vec::new(),
        channel,
        sent,
        currency: None,
        hotel,
    };
    let currency = currency_of(&message.hotel);
    for item in head.list(topic.list())? {
        match topic {
            Topic::Inventory => message.sets.push(inventory(&item)?),
            Topic::Rates => {
                // An unknown hotel is refused by who asked; its amounts are not read.
                let Some(currency) = currency else { continue };
                rate_plan(&item, currency, &mut message)?;
            }
            Topic::Restrictions => restrictions(&item, &mut message.sets)?,
        }
        if message.sets.len() > MAX_SETS {
            return Err(head.wrong("sets too many values"));
        }
    }
    Ok(message)
}

/// Reads a time in UTC, which is written without an offset.
fn time(at: &At<'_>) -> Result<Timestamp, Wrong> {
    let text = at.text()?;
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let wall: Result<DateTime, _> = text.parse();
    let instant = wall.ok().and_then(|wall| wall.to_zoned(TimeZone::UTC).ok());
    let instant = instant.ok_or_else(|| at.wrong("is no time"))?;
    Ok(instant.timestamp())
}

fn inventory(at: &At<'_>) -> Result<Set, Wrong> {
    let control = at.needed("statusApplicationControl")?;
    let room = control.needed("invTypeCode")?;
    let counts = at.needed("invCounts")?;
    let count = counts.needed("count")?;
    // What is oversold is not for sale.
    let free = u16::try_from(count.number()?.max(0)).map_err(|_| count.wrong("is out of range"))?;
    let (from, to) = range(&control)?;
    let code = room.code()?.ok_or_else(|| room.wrong("is no code"))?;
    Ok(Set {
        room: Some(code),
        plan: None,
        from,
        to,
        days: Weekdays::default(),
        value: Value::Free(free),
    })
}

fn range(control: &At<'_>) -> Result<(Date, Date), Wrong> {
    let (from, to) = (control.needed("start")?, control.needed("end")?);
    let (from, to) = (from.date()?, to.date()?);
    if to < from {
        return Err(control.wrong("ends before it starts"));
    }
    Ok((from, to))
}

fn weekdays(at: &At<'_>) -> Weekdays {
    const DAYS: [&str; 7] = ["mon", "tue", "weds", "thur", "fri", "sat", "sun"];
    let said = |day: &str| at.member(day).and_then(|at| at.json.as_bool());
    // Where nothing is said of days, every day is meant.
    if DAYS.iter().all(|day| said(day).is_none()) {
        return Weekdays::default();
    }
    let bits = DAYS.iter().enumerate();
    Weekdays(bits.fold(0, |bits, (at, day)| {
        bits | u8::from(said(day) == Some(true)) << at
    }))
}

fn rate_plan(at: &At<'_>, currency: Currency, message: &mut Message) -> Result<(), Wrong> {
    let plan = at.needed("ratePlanCode")?;
    let plan: PlanCode = plan.code()?.ok_or_else(|| plan.wrong("is no code"))?;
    if let Some(code) = at.member("currencyCode") {
        if code.text()? != currency.code {
            return Err(code.wrong("is not the money of the hotel"));
        }
        message.currency = Some(currency.code.to_owned());
    }
    let kind = at.member("ratePlanNotifType");
    let kind = kind.as_ref().map_or(Ok("Delta"), At::text)?;
    for rate in at.list("rates")? {
        let room = rate.needed("invTypeCode")?;
        let room: RoomCode = room.code()?.ok_or_else(|| room.wrong("is no code"))?;
        let (from, to) = range(&rate)?;
        let mut rates = Rates {
            replace: matches!(kind, "Overlay" | "Remove" | "New"),
            base: Vec::new(),
            extra_adult: None,
            children: Vec::new(),
        };
        if kind != "Remove" {
            for amounts in rate.list("ratesAmounts")? {
                prices(&amounts, currency, &mut rates)?;
            }
        }
        message.sets.push(Set {
            room: Some(room),
            plan: Some(plan.clone()),
            from,
            to,
            days: weekdays(&rate),
            value: Value::Rates(rates),
        });
    }
    Ok(())
}

fn prices(at: &At<'_>, currency: Currency, rates: &mut Rates) -> Result<(), Wrong> {
    let money = |at: At<'_>| {
        let text = match at.json {
            Json::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        };
        let amount = amount::scaled(&text, currency.exponent).filter(|amount| *amount >= 0);
        amount.ok_or_else(|| at.wrong("is no amount of the hotel's money"))
    };
    for base in at.list("baseByGuestAmts")? {
        if is_child(&base)? {
            continue;
        }
        // Only the amount with taxes is a price that may be shown.
        let Some(amount) = base.member("amountAfterTax") else {
            continue;
        };
        let guests = match base.member("numberOfGuests") {
            Some(guests) => guests.small()?,
            None => 1,
        };
        let guests = u8::try_from(guests)
            .ok()
            .filter(|n| (1..=MAX_GUESTS).contains(n));
        let guests = guests.ok_or_else(|| base.wrong("is for too many guests"))?;
        rates.base.retain(|(known, _)| *known != guests);
        rates.base.push((guests, money(amount)?));
    }
    for extra in at.list("additionalGuestAmounts")? {
        let amount = money(extra.needed("amount")?)?;
        if !is_child(&extra)? {
            rates.extra_adult = Some(amount);
            continue;
        }
        let age = |name, otherwise: u8| match extra.member(name) {
            Some(age) => u8::try_from(age.small()?).map_err(|_| age.wrong("is no age")),
            None => Ok(otherwise),
        };
        let band = Band {
            from: age("minAge", 0)?,
            below: age("maxAge", 17)?.saturating_add(1),
            amount,
        };
        rates.children.push(band);
    }
    Ok(())
}

/// Reads an age qualifying code of OTA: 10 is an adult, 8 a child.
fn is_child(at: &At<'_>) -> Result<bool, Wrong> {
    let Some(code) = at.member("ageQualifyingCode") else {
        return Ok(false);
    };
    match code.number()? {
        10 => Ok(false),
        8 => Ok(true),
        _ => Err(code.wrong("is neither 8 nor 10")),
    }
}

fn restrictions(at: &At<'_>, sets: &mut Vec<Set>) -> Result<(), Wrong> {
    let control = at.needed("statusApplicationControl")?;
    let (from, to) = range(&control)?;
    let set = Set {
        room: control.needed("invTypeCode")?.code()?,
        plan: control.needed("ratePlanCode")?.code()?,
        from,
        to,
        days: weekdays(&control),
        value: Value::Closed(false),
    };
    let mut push = |value| {
        sets.push(Set {
            value,
            ..set.clone()
        });
    };
    for length in at.list("lengthsOfStay")? {
        push(length_of_stay(&length)?);
    }
    let Some(status) = at.member("restrictionStatus") else {
        return Ok(());
    };
    if let (Some(is), Some(what)) = (status.member("status"), status.member("restriction")) {
        let closed = match is.text()? {
            "Open" => false,
            "Close" => true,
            _ => return Err(is.wrong("is neither Open nor Close")),
        };
        push(match what.text()? {
            "Master" => Value::Closed(closed),
            "Arrival" => Value::ClosedToArrival(closed),
            "Departure" => Value::ClosedToDeparture(closed),
            _ => return Err(what.wrong("is no restriction")),
        });
    }
    let offset = |name| status.member(name).map(|at| at.small()).transpose();
    let (min, max) = (
        offset("minAdvancedBookingOffset")?,
        offset("maxAdvancedBookingOffset")?,
    );
    if min.is_some() || max.is_some() {
        // Zero is no limit.
        push(Value::Window {
            min_days: min.filter(|days| *days > 0),
            max_days: max.filter(|days| *days > 0),
        });
    }
    Ok(())
}

fn length_of_stay(at: &At<'_>) -> Result<Value, Wrong> {
    let kind = at.needed("minMaxMessageType")?;
    let name = kind.text()?;
    if name == "FullPatternLOS" {
        let pattern = at.needed("losPattern")?;
        let letters = pattern.text()?;
        let known = letters.chars().all(|letter| matches!(letter, 'Y' | 'N'));
        if !known || letters.len() > MAX_PATTERN {
            return Err(pattern.wrong("is no pattern of Y and N"));
        }
        return Ok(Value::Lengths(
            letters.chars().map(|letter| letter == 'Y').collect(),
        ));
    }
    let nights = || {
        let time = at.needed("time")?;
        let unit = at.member("timeUnit");
        if let Some(unit) = unit.filter(|unit| unit.json.as_str() != Some("Day")) {
            return Err(unit.wrong("is not Day"));
        }
        // More than a stay may have is as good as 255.
        Ok(u8::try_from(time.small()?).unwrap_or(u8::MAX))
    };
    Ok(match name {
        "MinLOS" => Value::MinimumFromArrival(nights()?),
        "MaxLOS" => Value::MaximumFromArrival(nights()?),
        "ForwardMinStay" => Value::MinimumThrough(nights()?),
        "ForwardMaxStay" => Value::MaximumThrough(nights()?),
        "RemoveMinLOS" => Value::MinimumFromArrival(0),
        "RemoveMaxLOS" => Value::MaximumFromArrival(0),
        "RemoveForwardMinStay" => Value::MinimumThrough(0),
        "RemoveForwardMaxStay" => Value::MaximumThrough(0),
        _ => return Err(kind.wrong("is no kind of length of stay")),
    })
}
