//! Whether a selection can be sold, and for how much.

use jiff::{Timestamp, ToSpan as _};

use super::{block::Block, event::Claim};
use crate::{
    house::PaymentAsked,
    night::Night,
    property::Property,
    quote::{Plan, Terms, quote_together},
    shop::{Hotels, Local, Sale, Wish, days_ahead},
    stay::{MAX_DAYS_AHEAD, MAX_ROOMS, Party, Unavailable},
    supply::{Cancellation, Error, Line, Prepay, Price, Quoted, Rule, Selection, Tier, Unit},
};

/// Rooms of one type under one plan.
struct Part {
    room: usize,
    plan: Plan,
    parties: Vec<Party>,
    nights: Vec<Night>,
}

/// Returns the price of a selection if all of it can be sold now. The rooms of `own`
/// count as free.
pub(super) fn quote(
    block: &Block,
    local: &Local,
    selection: &Selection,
    own: Option<&Claim>,
) -> Result<Quoted, Error> {
    let parties: Vec<_> = selection
        .units
        .iter()
        .map(|unit| unit.party.clone())
        .collect();
    let wish = Wish {
        stay: &selection.stay,
        parties: &parties,
        local,
    };
    check_range(&wish)?;
    let mut parts = parts(block, &selection.units)?;
    let mut left = u16::MAX;
    for at in 0..parts.len() {
        let room = parts[at].room;
        let same = parts.iter().filter(|part| part.room == room);
        let quantity = same.map(|part| part.parties.len()).sum();
        let part = &mut parts[at];
        if !part.plan.is_sold(&block.property, days_ahead(&wish)) {
            let what = part.plan.code().to_owned();
            return Err(Error::NotSold { what });
        }
        let wish = Wish {
            parties: &part.parties,
            ..wish.clone()
        };
        let sale = Sale {
            block,
            room,
            plan: part.plan,
            own,
        };
        let judged = sale.judge(&wish, quantity, &mut part.nights);
        left = left.min(judged.map_err(refusal)?);
    }
    let terms: Vec<_> = parts.iter().map(|part| part.terms(block)).collect();
    let price = price(&terms, &parties, selection);
    let cancellation = cancellation(&terms, &parties, selection, local);
    Ok(Quoted {
        prepay: prepay(&terms, selection, &cancellation),
        price,
        cancellation,
        left,
    })
}

impl Part {
    fn terms<'a>(&'a self, block: &'a Block) -> Terms<'a> {
        Terms {
            property: &block.property,
            levies: &block.levies,
            nights: &self.nights,
            parties: &self.parties,
            plan: self.plan,
            cards: block.cards(),
        }
    }
}

pub(super) fn check_range(wish: &Wish<'_>) -> Result<(), Error> {
    let latest = wish.local.today.saturating_add(MAX_DAYS_AHEAD.days());
    let why = match wish.stay.check_in() {
        date if date < wish.local.today => "the arrival is in the past",
        date if date > latest => "the arrival is too far ahead",
        _ if wish.parties.is_empty() => "no room was asked for",
        _ if wish.parties.len() > MAX_ROOMS => "too many rooms were asked for",
        _ => return Ok(()),
    };
    Err(Error::Range { why })
}

/// Returns the units by room type and plan, in the order in which they come.
fn parts(block: &Block, units: &[Unit]) -> Result<Vec<Part>, Error> {
    let unknown = |what: &str| Error::NotSold {
        what: what.to_owned(),
    };
    let mut parts: Vec<Part> = Vec::new();
    for unit in units {
        let (room, plan) = (unit.room.as_str(), unit.plan.as_str());
        let room = block.room(room).ok_or_else(|| unknown(room))?;
        let plan = block.property.plan(plan).ok_or_else(|| unknown(plan))?;
        match parts
            .iter_mut()
            .find(|part| (part.room, part.plan) == (room, plan))
        {
            Some(part) => part.parties.push(unit.party.clone()),
            None => parts.push(Part {
                room,
                plan,
                parties: vec![unit.party.clone()],
                nights: Vec::new(),
            }),
        }
    }
    Ok(parts)
}

fn price(terms: &[Terms<'_>], parties: &[Party], selection: &Selection) -> Price {
    let quote = quote_together(terms, parties, &selection.stay);
    let currency = terms[0].property.currency;
    price_of(quote, currency)
}

pub(super) fn price_of(quote: crate::quote::Quote, currency: crate::money::Currency) -> Price {
    let lines = quote.lines.iter().map(|(levy, amount)| Line {
        label: levy.label.to_owned(),
        nature: levy.nature,
        collected: levy.collected,
        amount: *amount,
        basis: None,
    });
    Price {
        currency,
        lines: lines.collect(),
        nightly: quote.nightly,
        room: quote.room,
        total: quote.total,
    }
}

/// Returns what the hotel asks for before it books. What is collected at the hotel is
/// never paid before.
fn prepay(terms: &[Terms<'_>], selection: &Selection, cancellation: &Cancellation) -> Prepay {
    let part = |asked| -> Option<i64> {
        let parts = terms.iter().filter(|part| part.plan.payment() == asked);
        let parts: Vec<_> = parts.copied().collect();
        let parties: Vec<_> = parts.iter().flat_map(|p| p.parties.to_vec()).collect();
        let price = (!parts.is_empty()).then(|| price(&parts, &parties, selection))?;
        Some(price.total - price.at_property())
    };
    if let Some(amount) = part(PaymentAsked::Full) {
        return Prepay::Now { amount };
    }
    match part(PaymentAsked::Guarantee) {
        Some(_) => guarantee(cancellation),
        None => Prepay::None,
    }
}

/// Returns what a rate asks for before it is booked, at this price and these terms.
pub(super) fn asked(plan: Plan, price: &Price, cancellation: &Cancellation) -> Prepay {
    match plan.payment() {
        PaymentAsked::AtHotel => Prepay::None,
        PaymentAsked::Guarantee => guarantee(cancellation),
        PaymentAsked::Full => Prepay::Now {
            amount: price.total - price.at_property(),
        },
    }
}

/// Returns a guarantee of the most that cancelling can cost.
fn guarantee(cancellation: &Cancellation) -> Prepay {
    let penalties = cancellation.tiers.iter().map(|tier| tier.penalty);
    Prepay::Guarantee {
        amount: penalties.max().unwrap_or(0),
    }
}

/// Returns what cancelling costs: what cannot be refunded at once, and from the
/// deadline on the first night of the rest.
fn cancellation(
    terms: &[Terms<'_>],
    parties: &[Party],
    selection: &Selection,
    local: &Local,
) -> Cancellation {
    let stay = &selection.stay;
    let total = quote_together(terms, parties, stay).total;
    let (kept, rest): (Vec<_>, Vec<_>) = terms.iter().partition(|part| part.plan.refundable());
    let lost = match kept.is_empty() {
        true => total,
        false => {
            let alone: Vec<_> = rest.into_iter().copied().collect();
            let parties: Vec<_> = alone.iter().flat_map(|p| p.parties.to_vec()).collect();
            match alone.is_empty() {
                true => 0,
                false => quote_together(&alone, &parties, stay).total.min(total),
            }
        }
    };
    let fees = kept.iter().map(|part| {
        let alone = quote_together(std::slice::from_ref(*part), part.parties, stay);
        part.late_fee(alone.total)
    });
    let late = (lost + fees.sum::<i64>()).min(total);
    let deadline = kept
        .first()
        .and_then(|part| part.free_until(stay, &local.zone));
    cancellation_tiers(
        lost,
        late,
        deadline.filter(|deadline| *deadline > local.now),
    )
}

pub(super) fn cancellation_tiers(
    early: i64,
    late: i64,
    deadline: Option<Timestamp>,
) -> Cancellation {
    let tier = |from, penalty| Tier { from, penalty };
    let tiers = match deadline {
        Some(_) if early == late => vec![tier(None, early)],
        Some(deadline) => vec![tier(None, early), tier(Some(deadline), late)],
        None => vec![tier(None, late)],
    };
    Cancellation { tiers }
}

/// Returns the reason in the words of the port.
pub(crate) fn refusal(reason: Unavailable) -> Error {
    let rule = match reason {
        Unavailable::Occupancy => return Error::Occupancy,
        Unavailable::SoldOut(night) => return Error::SoldOut { night },
        Unavailable::Closed(date) => Rule::Closed(date),
        Unavailable::ClosedToArrival(date) => Rule::ClosedToArrival(date),
        Unavailable::ClosedToDeparture(date) => Rule::ClosedToDeparture(date),
        Unavailable::MinimumStay(nights) => Rule::MinimumStay(nights),
        Unavailable::MaximumStay(nights) => Rule::MaximumStay(nights),
        Unavailable::LengthOfStay => Rule::LengthOfStay,
        Unavailable::BookingWindow => Rule::BookingWindow,
    };
    Error::Restricted(rule)
}

/// Finds a hotel of ours by its public id.
pub(super) fn property(hotels: &Hotels, hotel: &crate::supply::HotelId) -> Result<Property, Error> {
    hotels.find(hotel.as_str()).ok_or(Error::HotelUnknown)
}
