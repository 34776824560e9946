//! From an offer of OPERA to a price and what it costs to cancel.
//!
//! # Invariants
//!
//! * Nothing is sold whose whole price is not known, or that needs a card here.
//! * The lines of a price add up to its total, to the minor unit.
//! * A deadline is a wall time at the hotel, turned into an instant once, at the quote.
//!   Where OPERA names a day without a time, the day's first moment counts: the
//!   traveller is never told that cancelling is free for longer than it is.

use airside_base::Timestamp;
use airside_travel::supply::{
    Ask, Cancellation, Collected, Currency, Line, Nature, Price, Stay, Tier,
};
use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, Time},
    tz::TimeZone,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{amount, wire};

/// Longest label of a tax.
const MAX_LABEL: usize = 60;
/// Most cancellation rules and taxes of one offer that are read.
const MAX_RULES: usize = 20;

/// What can be held, as OPERA says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sold {
    pub(super) price: Price,
    pub(super) cancellation: Cancellation,
    pub(super) rates: Rates,
    /// Code of a guarantee that needs no card; without one none is asked for.
    pub(super) guarantee: Option<String>,
}

/// The rates that a request has to name, for one room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rates {
    /// Whether the amounts are with taxes.
    pub(super) inclusive: bool,
    /// First night, last night, minor units.
    pub(super) ranges: Vec<(Date, Date, i64)>,
}

/// Where and when an offer is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) zone: &'a TimeZone,
    pub(super) currency: Currency,
    pub(super) now: Timestamp,
}

/// Reads an offer; `None` if it is not one that can be sold here.
pub(super) fn sold(offer: &wire::Offer, ask: &Ask, scene: Scene<'_>) -> Option<Sold> {
    let info = offer.rate_information.as_ref()?;
    let guarantee = guarantee(info)?;
    let (price, rates) = price(offer.total.as_ref()?, &info.base, ask, scene.currency)?;
    let cancellation = cancellation(&info.cancellation_policies, &price, &ask.stay, scene)?;
    Some(Sold {
        price,
        cancellation,
        rates,
        guarantee,
    })
}

/// Returns the guarantee to name, which needs nothing that we do not have.
fn guarantee(info: &wire::RateInformation) -> Option<Option<String>> {
    let free = |policy: &&wire::PaymentPolicy| {
        let needs = policy.policy_requirements.as_ref();
        needs.is_some_and(|n| !(n.travel_agent || n.company || n.credit_card || n.deposit))
    };
    let code = info.payment_policies.iter().find(free);
    let code = code.and_then(|policy| policy.guarantee_code.clone());
    match info.guarantee_requirement.as_deref() {
        None | Some("None") => Some(code),
        Some(_) => code.map(Some),
    }
}

fn price(
    total: &wire::Total,
    base: &[wire::RateRange],
    ask: &Ask,
    currency: Currency,
) -> Option<(Price, Rates)> {
    let rooms = i64::try_from(ask.parties.len()).ok()?;
    if total.currency_code.as_deref() != Some(currency.code) {
        return None;
    }
    let read = |number: &Option<Box<RawValue>>| match number {
        Some(number) => amount::minor(number, currency.exponent).map(Some),
        None => Some(None),
    };
    let before = read(&total.amount_before_tax)?;
    let after = read(&total.amount_after_tax)?;
    // Without the amount after tax the whole price is not known.
    let after = after.filter(|amount| *amount > 0)?;
    let before = before.unwrap_or(after);
    let nights = |inclusive: bool| {
        let ranges = ranges(base, currency, inclusive)?;
        let nightly = nightly(&ranges, &ask.stay)?;
        let sum: i64 = nightly.iter().map(|(_, amount)| amount).sum();
        Some((ranges, nightly, sum))
    };
    // Which of the two the nights are in, and whether the total is for all rooms.
    let candidates = [(false, before), (true, after)];
    let found = candidates.into_iter().find_map(|(inclusive, whole)| {
        let (ranges, nightly, sum) = nights(inclusive)?;
        let times = match whole {
            whole if whole == sum.checked_mul(rooms)? => 1,
            whole if whole == sum => rooms,
            _ => return None,
        };
        Some((inclusive, ranges, nightly, times))
    });
    let (inclusive, ranges, nightly, times) = found?;
    let taxes = after.checked_sub(before)?.checked_mul(times)?;
    let collected = match inclusive {
        true => Collected::InRate,
        false => Collected::AtBooking,
    };
    let nightly = nightly.into_iter().map(|(date, one)| (date, one * rooms));
    let price = Price {
        currency,
        nightly: nightly.collect(),
        room: before.checked_mul(times)?,
        lines: lines(total.taxes.as_ref(), taxes, (times, collected), currency),
        total: after.checked_mul(times)?,
    };
    Some((price, Rates { inclusive, ranges }))
}

fn ranges(
    base: &[wire::RateRange],
    currency: Currency,
    inclusive: bool,
) -> Option<Vec<(Date, Date, i64)>> {
    let range = |range: &wire::RateRange| {
        let other = range.currency_code.as_deref();
        if other.is_some_and(|code| code != currency.code) {
            return None;
        }
        let number = match inclusive {
            true => range.amount_after_tax.as_ref(),
            false => range.amount_before_tax.as_ref(),
        };
        let amount = amount::minor(number?, currency.exponent)?;
        Some((range.start?, range.end?, amount))
    };
    base.iter().take(wire::MAX_LIST).map(range).collect()
}

/// Returns what each night of a stay costs, if the ranges say it for every night once.
fn nightly(ranges: &[(Date, Date, i64)], stay: &Stay) -> Option<Vec<(Date, i64)>> {
    let nights = stay.check_in().series(1.day());
    let nights = nights.take_while(|night| *night < stay.check_out());
    let cost = |night: Date| {
        let mut fits = ranges
            .iter()
            .filter(|(start, end, _)| (*start..=*end).contains(&night));
        match (fits.next(), fits.next()) {
            (Some((.., amount)), None) => Some((night, *amount)),
            _ => None,
        }
    };
    nights.map(cost).collect()
}

/// Returns the taxes one by one, where they add up, and else as one line.
fn lines(
    taxes: Option<&wire::Taxes>,
    sum: i64,
    (times, collected): (i64, Collected),
    currency: Currency,
) -> Vec<Line> {
    let line = |label: String, amount| Line {
        label,
        nature: Nature::Tax,
        collected,
        amount,
        basis: None,
    };
    if sum == 0 {
        return Vec::new();
    }
    let named = |tax: &wire::Tax| {
        let amount = amount::minor(tax.amount.as_ref()?, currency.exponent)?;
        let label = plain(tax.description.as_deref()?, MAX_LABEL);
        Some(line(label, amount.checked_mul(times)?))
    };
    let taxes = taxes.map_or(&[][..], |taxes| &taxes.tax);
    let named: Option<Vec<_>> = taxes.iter().take(MAX_RULES).map(named).collect();
    match named {
        Some(named) if named.iter().map(|line| line.amount).sum::<i64>() == sum => named,
        _ => vec![line("Taxes and fees".to_owned(), sum)],
    }
}

/// Returns text from outside short and without control characters.
pub(super) fn plain(text: &str, most: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(most)
        .collect()
}

/// Returns what cancelling costs, from when on.
pub(super) fn cancellation(
    rules: &[wire::Penalty],
    price: &Price,
    stay: &Stay,
    scene: Scene<'_>,
) -> Option<Cancellation> {
    let mut tiers = Vec::new();
    for rule in rules.iter().take(MAX_RULES) {
        let policy = rule.policy.as_ref()?;
        let penalty = penalty(policy.amount_percent.as_ref()?, price)?;
        let from = match &policy.deadline {
            Some(deadline) => from(deadline, stay, scene)?,
            None => None,
        };
        tiers.push((from.filter(|from| *from > scene.now), penalty));
    }
    // The dearest of what holds from the beginning, then the others by time.
    let now = tiers.iter().filter(|(from, _)| from.is_none());
    let now = now.map(|(_, penalty)| *penalty).max().unwrap_or(0);
    let mut later: Vec<_> = tiers
        .into_iter()
        .filter_map(|(from, penalty)| Some((from?, penalty)))
        .collect();
    later.sort_unstable();
    let mut all = vec![Tier {
        from: None,
        penalty: now,
    }];
    for (from, penalty) in later {
        let dearest = all.last().map_or(0, |tier| tier.penalty);
        // One that is cheaper than an earlier one does not make it cheaper again.
        if penalty > dearest {
            all.retain(|tier| tier.from != Some(from));
            all.push(Tier {
                from: Some(from),
                penalty,
            });
        }
    }
    Some(Cancellation { tiers: all })
}

/// Returns from when on a rule holds; `None` within is from the beginning.
#[expect(
    clippy::option_option,
    reason = "unreadable and from the beginning are different"
)]
fn from(deadline: &wire::Deadline, stay: &Stay, scene: Scene<'_>) -> Option<Option<Timestamp>> {
    let instant = |wall: DateTime| scene.zone.to_ambiguous_timestamp(wall).compatible().ok();
    let drop_time = match &deadline.offset_drop_time {
        Some(text) => text.parse().ok()?,
        None => Time::midnight(),
    };
    if let Some(text) = &deadline.absolute_deadline {
        let named: Option<Timestamp> = text.parse().ok();
        // Without an offset it is a wall time at the hotel.
        return Some(Some(named.or_else(|| instant(text.parse().ok()?))?));
    }
    if let Some(days) = deadline.offset_from_arrival {
        let date = stay.check_in().checked_sub(small(days)?.days()).ok()?;
        return Some(Some(instant(date.to_datetime(drop_time))?));
    }
    if let Some(days) = deadline.offset_from_booking_date {
        let today = scene.now.to_zoned(scene.zone.clone()).date();
        let date = today.checked_add(small(days)?.days()).ok()?;
        return Some(Some(instant(date.to_datetime(drop_time))?));
    }
    Some(None)
}

fn small(days: i64) -> Option<i64> {
    (0..=1_000).contains(&days).then_some(days)
}

/// Returns a penalty in minor units, never above the total; parts are rounded up.
fn penalty(basis: &wire::AmountPercent, price: &Price) -> Option<i64> {
    let total = price.total;
    // The part of the total that falls on the first nights, taxes included.
    let first = |nights: i64| {
        let nights = usize::try_from(nights.max(1)).ok()?;
        let of = |(_, amount): &(Date, i64)| i128::from(*amount);
        let all: i128 = price.nightly.iter().map(of).sum();
        let some: i128 = price.nightly.iter().take(nights).map(of).sum();
        share(total, some, all)
    };
    let percent = |number: &Option<Box<RawValue>>| {
        let hundredths = amount::scaled(number.as_ref()?.get(), 4)?;
        (0..=1_000_000).contains(&hundredths).then_some(hundredths)
    };
    let cost = match basis.basis_type.as_deref()? {
        "Nights" => first(basis.nights?)?,
        "Percentage" => share(total, percent(&basis.percent)?.into(), 1_000_000)?,
        "NightPercentage" => {
            let part = percent(&basis.night_percent).or_else(|| percent(&basis.percent))?;
            share(first(basis.nights.unwrap_or(1))?, part.into(), 1_000_000)?
        }
        "FlatAmount" => amount::minor(basis.amount.as_ref()?, price.currency.exponent)?,
        "FullAmount" | "NonCancelable" => total,
        _ => return None,
    };
    (cost >= 0).then(|| cost.min(total))
}

/// Returns `amount · part / whole`, rounded up.
fn share(amount: i64, part: i128, whole: i128) -> Option<i64> {
    if whole <= 0 {
        return None;
    }
    let product = i128::from(amount).checked_mul(part)?;
    i64::try_from((product + whole - 1) / whole).ok()
}

#[cfg(test)]
mod tests;
