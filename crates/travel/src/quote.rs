//! What a stay costs under a rate plan, to the last fee.
//!
//! # Invariants
//!
//! * [`Quote::total`] is everything that the traveller has to pay, wherever it is
//!   collected. The net room price and the levies sum to it exactly.
//! * The nightly amounts sum to the room price with what is inside the rate.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    house::{LateFee, OwnPlan, PaymentAsked},
    levy::{Bill, Levy, charge},
    money::scale,
    night::Night,
    property::Property,
    stay::{Party, Stay},
    supply::ari::RateCard,
};

/// How a room is sold. The derived plans share the rooms of the flexible one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plan {
    Flexible,
    NonRefundable,
    Breakfast,
    AdvancePurchase,
    /// One of a hotel group's own.
    Own(&'static OwnPlan),
}

/// Fewest days between booking and arrival for the advance purchase rate.
const ADVANCE_DAYS: i64 = 21;
/// Wall time at the property at which free cancellation ends.
const DEADLINE_HOUR: i8 = 18;

impl Plan {
    /// Those of generated hotels.
    pub(crate) const GENERATED: [Self; 4] = [
        Self::Flexible,
        Self::NonRefundable,
        Self::Breakfast,
        Self::AdvancePurchase,
    ];

    /// Returns its place among the plans of its hotel.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Flexible => 0,
            Self::NonRefundable => 1,
            Self::Breakfast => 2,
            Self::AdvancePurchase => 3,
            Self::Own(plan) => plan.index,
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Own(plan) => &plan.code,
            Self::Flexible => "FLEX",
            Self::NonRefundable => "NRF",
            Self::Breakfast => "BB",
            Self::AdvancePurchase => "ADV",
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Own(plan) => &plan.name,
            Self::Flexible => "Flexible rate",
            Self::NonRefundable => "Non-refundable rate",
            Self::Breakfast => "Flexible rate with breakfast",
            Self::AdvancePurchase => "Advance purchase rate, non-refundable",
        }
    }

    pub(crate) const fn refundable(self) -> bool {
        match self {
            Self::Flexible | Self::Breakfast => true,
            Self::NonRefundable | Self::AdvancePurchase => false,
            Self::Own(plan) => plan.free.is_some(),
        }
    }

    /// Returns whether breakfast is part of it.
    pub(crate) const fn breakfast(self) -> bool {
        match self {
            Self::Breakfast => true,
            Self::Flexible | Self::NonRefundable | Self::AdvancePurchase => false,
            Self::Own(plan) => plan.breakfast.is_some(),
        }
    }

    /// Returns what is asked for before booking.
    pub(crate) const fn payment(self) -> PaymentAsked {
        match self {
            Self::Flexible | Self::Breakfast => PaymentAsked::AtHotel,
            Self::NonRefundable | Self::AdvancePurchase => PaymentAsked::Full,
            Self::Own(plan) => plan.payment,
        }
    }

    /// Returns whether the property sells the plan `days_ahead` days before arrival,
    /// counted in its own calendar.
    pub(crate) fn is_sold(self, property: &Property, days_ahead: i64) -> bool {
        match self {
            Self::Flexible | Self::NonRefundable => true,
            Self::Breakfast => property.breakfast.is_some(),
            Self::AdvancePurchase => property.advance_purchase && days_ahead >= ADVANCE_DAYS,
            Self::Own(plan) => !plan.closed && days_ahead >= i64::from(plan.advance_days),
        }
    }

    const fn permille(self) -> i64 {
        match self {
            Self::Flexible | Self::Breakfast => 1_000,
            Self::NonRefundable => 900,
            Self::AdvancePurchase => 850,
            Self::Own(plan) => plan.permille,
        }
    }
}

/// What is asked to be priced: a room type on the nights of a stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub property: &'a Property,
    pub levies: &'a [Levy],
    pub nights: &'a [Night],
    pub parties: &'a [Party],
    pub plan: Plan,
    /// Prices by guests that the hotel has set; nights refer to them.
    pub cards: &'a [RateCard],
}

/// Returns what a night costs by a hotel's own prices, unless so many do not fit.
fn priced_by(card: &RateCard, party: &Party) -> Option<i64> {
    let mut adults = usize::from(party.adults);
    let mut amount = 0;
    for age in &party.child_ages {
        let mut bands = card.children.iter();
        match bands.find(|band| (band.from..band.below).contains(age)) {
            Some(band) => amount += band.amount,
            None => adults += 1,
        }
    }
    let listed = adults.clamp(1, card.adults.len());
    amount += card.adults.get(listed - 1)?;
    match adults - listed.min(adults) {
        0 => Some(amount),
        more => Some(amount + card.extra_adult? * more as i64),
    }
}

impl Terms<'_> {
    /// Returns the prices by guests of a night, where the hotel has set some.
    fn card(&self, night: &Night) -> Option<&RateCard> {
        self.cards.get(usize::from(night.card).checked_sub(1)?)
    }

    /// Returns whether the hotel has a price for so many guests.
    pub(crate) fn has_price(&self) -> bool {
        let mut cards = self.nights.iter().filter_map(|night| self.card(night));
        cards.all(|card| {
            let mut parties = self.parties.iter();
            parties.all(|party| priced_by(card, party).is_some())
        })
    }

    /// Returns the price of one night for all parties, with what is inside the rate.
    fn night(&self, night: &Night) -> i64 {
        if let Some(card) = self.card(night) {
            let parties = self.parties.iter();
            return parties.filter_map(|party| priced_by(card, party)).sum();
        }
        if let (Some(house), Plan::Own(plan)) = (self.property.own, self.plan) {
            let room = |party: &Party| {
                let rate = scale(house.night(night.rate, party), plan.permille, 1_000);
                rate + plan
                    .breakfast
                    .map_or(0, |prices| house.breakfast(prices, party))
            };
            return self.parties.iter().map(room).sum();
        }
        let breakfast = match self.plan {
            Plan::Breakfast => self.property.breakfast.unwrap_or(0),
            _ => 0,
        };
        let room = |party: &Party| {
            let (adults, children) = (i64::from(party.adults()), i64::from(party.children()));
            // A rate is for two: one guest pays 8 % less, each further adult 25 %
            // and each child 15 % more.
            let guests_permille = match adults {
                0 | 1 => 920,
                more => 1_000 + 250 * (more - 2),
            } + 150 * children;
            let rate = scale(
                night.rate,
                guests_permille * self.plan.permille(),
                1_000_000,
            );
            // A child's breakfast costs half.
            rate + breakfast * adults + scale(breakfast * children, 1, 2)
        };
        self.parties.iter().map(room).sum()
    }

    fn rates(&self) -> i64 {
        self.nights.iter().map(|night| self.night(night)).sum()
    }

    fn bill(&self, rates: i64) -> Bill<'_> {
        Bill {
            rates,
            nights: self.nights.len(),
            parties: self.parties,
        }
    }

    /// Returns [`Quote::total`] without the lines that lead to it.
    pub(crate) fn total(&self) -> i64 {
        let mut levied = 0;
        let net = charge(self.levies, self.bill(self.rates()), &mut |_, amount| {
            levied += amount;
        });
        net + levied
    }

    /// Returns until when the plan is cancelled free of charge, if it can be at all.
    pub(crate) fn free_until(&self, stay: &Stay, zone: &TimeZone) -> Option<Timestamp> {
        let (days, at) = match self.plan {
            Plan::Own(plan) => plan.free?,
            _ if self.plan.refundable() => {
                let at = jiff::civil::Time::constant(DEADLINE_HOUR, 0, 0, 0);
                (self.property.cancel_days.into(), at)
            }
            _ => return None,
        };
        deadline(stay.check_in(), days, at, zone)
    }

    /// Returns what cancelling after that costs, of `total` for all of it.
    pub(crate) fn late_fee(&self, total: i64) -> i64 {
        match self.plan {
            Plan::Own(plan) if plan.late_fee == LateFee::Full => total,
            _ => self.first_night().min(total),
        }
    }

    /// Returns the price of the first night for all parties.
    pub(crate) fn first_night(&self) -> i64 {
        self.nights.first().map_or(0, |night| self.night(night))
    }

    /// Prices the stay.
    pub(crate) fn quote(&self, stay: &Stay) -> Quote {
        quote_together(std::slice::from_ref(self), self.parties, stay)
    }
}

/// Prices rooms of several types or plans of one hotel together: `parties` are all
/// guests of all `parts`. Each levy is one line that is rounded once.
pub(crate) fn quote_together(parts: &[Terms<'_>], parties: &[Party], stay: &Stay) -> Quote {
    let nights = stay.nights().iter().enumerate();
    let nightly: Vec<_> = nights
        .map(|(at, day)| {
            let parts = parts.iter();
            (
                day.date,
                parts.map(|part| part.night(&part.nights[at])).sum(),
            )
        })
        .collect();
    let rates = nightly.iter().map(|(_, amount): &(Date, i64)| amount).sum();
    let levies = parts.first().map_or(&[][..], |part| part.levies);
    let bill = Bill {
        rates,
        nights: stay.length(),
        parties,
    };
    let mut lines = Vec::with_capacity(levies.len());
    let room = charge(levies, bill, &mut |levy, amount| {
        lines.push((*levy, amount));
    });
    let levied: i64 = lines.iter().map(|(_, amount)| amount).sum();
    Quote {
        nightly,
        room,
        total: room + levied,
        lines,
    }
}

/// A priced stay, in minor units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quote {
    /// Each night for all rooms, with what is inside the rate.
    pub nightly: Vec<(Date, i64)>,
    /// The rooms without any levy.
    pub room: i64,
    pub lines: Vec<(Levy, i64)>,
    pub total: i64,
}

/// What it costs to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancellation {
    /// Nothing until the instant; the penalty (minor units) from it on.
    FreeUntil { deadline: Timestamp, penalty: i64 },
    /// The penalty at once: the free period is over or there is none.
    Penalty(i64),
}

/// Returns the terms under which a booking made at `now` could be cancelled.
///
/// The deadline is a wall time at the property, turned into an instant here and
/// once. A wall time that a change of the clocks skips or repeats is taken as
/// RFC 5545 does: in a gap with the offset before it, in a fold the first one.
pub(crate) fn cancellation(
    terms: &Terms<'_>,
    quote: &Quote,
    stay: &Stay,
    zone: &TimeZone,
    now: Timestamp,
) -> Cancellation {
    if !terms.plan.refundable() {
        return Cancellation::Penalty(quote.total);
    }
    let penalty = terms.late_fee(quote.total);
    match terms.free_until(stay, zone) {
        Some(deadline) if deadline > now => Cancellation::FreeUntil { deadline, penalty },
        _ => Cancellation::Penalty(penalty),
    }
}

fn deadline(
    check_in: Date,
    days: u16,
    at: jiff::civil::Time,
    zone: &TimeZone,
) -> Option<Timestamp> {
    let date = check_in
        .checked_sub(jiff::Span::new().days(i64::from(days)))
        .ok()?;
    let wall = date.to_datetime(at);
    zone.to_ambiguous_timestamp(wall).compatible().ok()
}

#[cfg(test)]
mod tests;
