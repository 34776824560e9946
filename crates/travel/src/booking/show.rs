//! From what is kept to what is returned.

use airside_base::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{
    arguments::Booker,
    instant, output,
    record::{Guest, Session, Task},
    state,
};
use crate::{
    money::{Currency, scale},
    property::{RoomKind, address, name},
    quote::{self, Plan},
    reference,
    shop::Hotels,
    supply::{Cancellation, Collected, HotelId, Nature, Price, Selection},
    tools::{
        output::{Line, LineType, Money, Named, Nightly, Offer},
        render,
    },
    ucp,
};

/// Wall time at the hotel to which cancellation schedules are anchored.
const ARRIVAL_HOUR: i8 = 15;
/// Most rooms that a result says are left.
const MAX_LEFT: u16 = 9;

/// A hotel with its place in time.
pub(super) struct Place {
    pub property: output::Property,
    pub zone: TimeZone,
}

/// Finds a hotel.
pub(super) fn place(hotels: &Hotels, hotel: &HotelId, now: Timestamp) -> Option<Place> {
    let property = hotels.find(hotel.as_str().parse().ok()?)?;
    let atlas = hotels.atlas();
    let address = address(property.key);
    let city = atlas.name(property.city);
    let country = atlas.city(property.city).country().name;
    Some(Place {
        zone: hotels.local(property.city, now).zone,
        property: output::Property {
            property_id: hotel.to_string(),
            name: name(hotels.world(), atlas, &property),
            stars: property.stars,
            address: format!(
                "{}, {}, {city}, {country}",
                address.street, address.district
            ),
            time_zone: atlas.zone(property.city).to_owned(),
        },
    })
}

/// What was or would be agreed.
#[derive(Clone, Copy)]
pub(super) struct Deal<'a> {
    pub selection: &'a Selection,
    pub price: &'a Price,
    pub cancellation: &'a Cancellation,
}

impl Deal<'_> {
    /// Returns the deal as an offer, as searches show them.
    pub(super) fn offer(&self, hotels: &Hotels, zone: &TimeZone, now: Timestamp) -> Offer {
        let price = self.price;
        let currency = price.currency;
        let units = &self.selection.units;
        let room_nights = (self.selection.stay.nights().len() * units.len()).max(1) as i64;
        let first = units.first();
        let (room, plan) = first.map_or(("", ""), |unit| (unit.room.as_str(), unit.plan.as_str()));
        let nightly = |(date, amount): &(jiff::civil::Date, i64)| Nightly {
            date: date.to_string(),
            amount: *amount,
        };
        let total = price.total;
        Offer {
            offer_ref: reference::of_selection(hotels.world(), self.selection, total)
                .unwrap_or_default(),
            room_type: named(room, RoomKind::find(room).map(RoomKind::name)),
            rate_plan: named(plan, Plan::find(plan).map(Plan::name)),
            breakfast_included: plan == Plan::Breakfast.code(),
            rooms_left: u16::try_from(units.len()).unwrap_or(MAX_LEFT).min(MAX_LEFT),
            total: render::money(total, currency),
            average_per_room_night: render::money(scale(total, 1, room_nights), currency),
            pay_at_property: render::money(price.at_property(), currency),
            nightly: price.nightly.iter().map(nightly).collect(),
            totals: totals(price),
            cancellation: self.cancelling(zone, now),
        }
    }

    /// Returns what cancelling means at `now`.
    pub(super) fn cancelling(
        &self,
        zone: &TimeZone,
        now: Timestamp,
    ) -> crate::tools::output::Cancellation {
        let penalty = self.cancellation.penalty(now);
        let terms = match self.cancellation.free_until() {
            Some(deadline) if deadline > now => quote::Cancellation::FreeUntil {
                deadline,
                penalty: self.cancellation.penalty(deadline),
            },
            _ => quote::Cancellation::Penalty(penalty),
        };
        render::cancellation(terms, self.price.currency, zone)
    }

    pub(super) fn stay(&self) -> crate::tools::output::Stay {
        let parties: Vec<_> = self
            .selection
            .units
            .iter()
            .map(|u| u.party.clone())
            .collect();
        render::stay(&self.selection.stay, &parties)
    }

    /// Returns the terms in sentences.
    pub(super) fn terms(&self, place: &Place, now: Timestamp) -> Vec<output::Term> {
        let stay = &self.selection.stay;
        let (nights, rooms) = (stay.nights().len(), self.selection.units.len());
        let currency = self.price.currency;
        let at_property = self.price.at_property();
        let rooms = self.selection.units.first().map(|unit| {
            let (room, plan) = (unit.room.as_str(), unit.plan.as_str());
            let room = RoomKind::find(room).map_or(room.to_owned(), |kind| kind.name().to_owned());
            let plan = Plan::find(plan).map_or(plan.to_owned(), |plan| plan.name().to_owned());
            format!("{rooms} × {room}, {plan}")
        });
        let mut price = format!(
            "{} in all, every mandatory tax and fee included",
            currency.money(self.price.total)
        );
        if at_property > 0 {
            price += &format!(
                "; {} of it is collected by the hotel",
                currency.money(at_property)
            );
        }
        vec![
            term(
                "Hotel",
                format!("{}, {}", place.property.name, place.property.address),
            ),
            term(
                "Stay",
                format!(
                    "{} to {} ({nights} night{}), dates of the hotel's calendar ({})",
                    stay.check_in(),
                    stay.check_out(),
                    plural(nights),
                    place.property.time_zone
                ),
            ),
            term("Room", rooms.unwrap_or_default()),
            term("Price", price),
            term("Cancellation", self.cancelling(&place.zone, now).summary),
            term("Payment", payment().summary),
        ]
    }

    /// Returns the cancellation terms as UCP writes them.
    pub(super) fn policy(&self, zone: &TimeZone) -> Value {
        let schedule = schedule(self.cancellation, &self.selection.stay, zone);
        let (first, last) = match self.cancellation.tiers.as_slice() {
            [] => (0, 0),
            [only] => (only.penalty, only.penalty),
            [first, .., last] => (first.penalty, last.penalty),
        };
        let refundability = match (first, last) {
            (0, 0) => "refundable",
            (first, _) if first >= self.price.total => "non_refundable",
            (0, _) => "refundable",
            _ => "partially_refundable",
        };
        let mut policy = json!({ "type": ucp::CANCELLATION, "refundability": refundability });
        if let Some(schedule) = schedule {
            policy["schedule"] = schedule;
        }
        policy
    }
}

/// Returns penalties by time as a UCP schedule: amounts that hold until so long before
/// the arrival. `None` where one penalty holds for ever, which a schedule cannot say.
pub(super) fn schedule(
    cancellation: &Cancellation,
    stay: &crate::supply::Stay,
    zone: &TimeZone,
) -> Option<Value> {
    let (last, before) = cancellation.tiers.split_last()?;
    let arrival = stay.check_in().at(ARRIVAL_HOUR, 0, 0, 0);
    let arrival = zone.to_ambiguous_timestamp(arrival).compatible().ok()?;
    // No cutoff lies behind the anchor.
    let cutoffs = cancellation.tiers.iter().filter_map(|tier| tier.from);
    let anchor = cutoffs.fold(arrival, Ord::max);
    let outcome = |penalty: i64| match penalty {
        0 => json!({ "kind": "percentage", "buyer_bps": 10_000 }),
        fee => json!({ "kind": "fixed_fee", "penalty": { "amount": fee } }),
    };
    let ends = cancellation.tiers.iter().skip(1);
    let tiers: Option<Vec<Value>> = before
        .iter()
        .zip(ends)
        .map(|(tier, next)| {
            let until = anchor.as_second() - next.from?.as_second();
            Some(json!({ "until": format!("PT{until}S"), "outcome": outcome(tier.penalty) }))
        })
        .collect();
    let tiers = tiers.filter(|tiers| !tiers.is_empty())?;
    Some(json!({
        "anchor": anchor.to_string(),
        "tiers": tiers,
        "after_last_tier": outcome(last.penalty),
    }))
}

fn totals(price: &Price) -> Vec<Line> {
    let room = Line {
        r#type: LineType::Room,
        label: "Rooms without taxes and fees".into(),
        amount: price.room,
        collected: Some(crate::tools::output::Collected::AtBooking),
        basis: None,
    };
    let levies = price.lines.iter().map(|line| Line {
        r#type: match line.nature {
            Nature::Tax => LineType::Tax,
            Nature::Fee => LineType::Fee,
        },
        label: line.label.clone().into(),
        amount: line.amount,
        collected: Some(match line.collected {
            Collected::InRate => crate::tools::output::Collected::InRate,
            Collected::AtBooking => crate::tools::output::Collected::AtBooking,
            Collected::AtProperty => crate::tools::output::Collected::AtProperty,
        }),
        basis: None,
    });
    let total = Line {
        r#type: LineType::Total,
        label: "Total, all taxes and fees included".into(),
        amount: price.total,
        collected: None,
        basis: None,
    };
    [room].into_iter().chain(levies).chain([total]).collect()
}

/// Returns a session as it is at `now`.
pub(super) fn session(
    hotels: &Hotels,
    place: &Place,
    id: &str,
    session: &Session,
    guest: Option<Guest>,
    now: Timestamp,
) -> output::Session {
    let deal = Deal {
        selection: &session.selection,
        price: &session.price,
        cancellation: &session.cancellation,
    };
    let booked = session.outcome.as_ref().and_then(|outcome| {
        let id = outcome.booking.clone()?;
        let label = outcome.answer.get("label").and_then(Value::as_str);
        let label = label.unwrap_or(&id).to_owned();
        Some(output::Confirmation { id, label })
    });
    output::Session {
        ucp: output::Ucp {
            version: ucp::VERSION,
            capability: ucp::CAPABILITY,
        },
        id: id.to_owned(),
        status: state::shown(session, now.as_microsecond()),
        expires_at: instant(session.expires),
        property: place.property.clone(),
        stay: deal.stay(),
        offer: deal.offer(hotels, &place.zone, now),
        booker: guest.map(booker),
        payment: payment(),
        terms: deal.terms(place, now),
        terms_digest: session.digest.clone(),
        policies: vec![deal.policy(&place.zone)],
        messages: messages(session, now),
        confirmation: booked,
    }
}

fn messages(session: &Session, now: Timestamp) -> Vec<output::Message> {
    let mut messages = Vec::new();
    let mut say = |code, severity, content: &str| {
        messages.push(output::Message {
            code,
            severity,
            content: content.to_owned(),
        });
    };
    let status = state::shown(session, now.as_microsecond());
    match status {
        ucp::Status::Incomplete if session.guest.is_none() => say(
            "booker_missing",
            "requires_buyer_input",
            "The lead guest is missing: first and last name and e-mail.",
        ),
        ucp::Status::CompleteInProgress if session.unknown => say(
            "outcome_unknown",
            "recoverable",
            "The hotel has been asked and its answer is not known yet. Do not book again.",
        ),
        ucp::Status::Canceled if session.status != ucp::Status::Canceled => say(
            "expired",
            "unrecoverable",
            "The rooms and the price were held until the session expired. Nothing was booked.",
        ),
        _ => {}
    }
    if status == ucp::Status::ReadyForComplete
        && let Some(answer) = session.outcome.as_ref().map(|outcome| &outcome.answer)
    {
        let text = answer.get("message").and_then(Value::as_str);
        say(
            "not_booked",
            "requires_buyer_review",
            text.unwrap_or("Nothing was booked."),
        );
    }
    messages
}

/// Returns the quote that a session is, unless it is for a booking.
pub(super) fn quote(
    hotels: &Hotels,
    place: &Place,
    id: &str,
    session: &Session,
    now: Timestamp,
) -> Option<output::Quote> {
    let currency = session.price.currency;
    let money = |amount| Some(render::money(amount, currency));
    let deal = Deal {
        selection: &session.selection,
        price: &session.price,
        cancellation: &session.cancellation,
    };
    let mut terms = deal.terms(place, now);
    let total = session.price.total;
    let common = |kind, booking: &str, before, terms| output::Quote {
        id: id.to_owned(),
        kind,
        booking_id: booking.to_owned(),
        expires_at: instant(session.expires),
        property: place.property.clone(),
        terms,
        terms_digest: session.digest.clone(),
        before: render::money(before, currency),
        after: None,
        difference: None,
        penalty: None,
        refund: None,
        stay: None,
        offer: None,
    };
    match &session.task {
        Task::Book => None,
        Task::Change {
            booking, before, ..
        } => {
            terms.push(term("Price before", currency.money(*before).to_string()));
            Some(output::Quote {
                after: money(total),
                difference: money(total - before),
                stay: Some(deal.stay()),
                offer: Some(deal.offer(hotels, &place.zone, now)),
                ..common(output::QuoteKind::Change, booking, *before, terms)
            })
        }
        Task::Cancel { booking, penalty } => {
            terms.retain(|term| !matches!(term.label, "Cancellation" | "Payment"));
            terms.push(term(
                "Cancellation fee",
                currency.money(*penalty).to_string(),
            ));
            terms.push(term(
                "No longer owed",
                currency.money(total - penalty).to_string(),
            ));
            Some(output::Quote {
                penalty: money(*penalty),
                refund: money(total - penalty),
                ..common(output::QuoteKind::Cancellation, booking, total, terms)
            })
        }
    }
}

/// Returns a booking as it is at `now`.
pub(super) fn booking(
    hotels: &Hotels,
    place: &Place,
    id: &str,
    booking: &super::record::Booking,
    guest: Option<Guest>,
    now: Timestamp,
) -> output::Booking {
    let deal = Deal {
        selection: &booking.selection,
        price: &booking.price,
        cancellation: &booking.cancellation,
    };
    let stands = booking.standing == super::record::Standing::Confirmed;
    output::Booking {
        id: id.to_owned(),
        label: booking.confirmation.clone(),
        status: booking.standing,
        confirmed_at: instant(booking.confirmed),
        property: place.property.clone(),
        stay: deal.stay(),
        offer: deal.offer(hotels, &place.zone, now),
        booker: guest.map(booker),
        payment: payment(),
        cancellation_now: stands.then(|| deal.cancelling(&place.zone, now)),
        policies: vec![deal.policy(&place.zone)],
        history: booking.history.clone(),
    }
}

pub(super) fn change(before: i64, after: i64, currency: Currency) -> output::Change {
    let money = |amount| -> Money { render::money(amount, currency) };
    let word = if after > before { "more" } else { "less" };
    let difference = currency.money((after - before).abs());
    output::Change {
        before: money(before),
        after: money(after),
        summary: format!("The price is {difference} {word} than the offer said."),
    }
}

fn booker(guest: Guest) -> Booker {
    Booker {
        first_name: guest.first_name,
        last_name: guest.last_name,
        email: guest.email,
        phone_number: guest.phone_number,
    }
}

fn payment() -> output::Payment {
    output::Payment {
        kind: output::PaymentKind::AtProperty,
        summary: "The traveller pays at the hotel; no card number is needed or accepted here."
            .to_owned(),
    }
}

fn term(label: &'static str, text: String) -> output::Term {
    output::Term { label, text }
}

fn named(code: &str, name: Option<&'static str>) -> Named {
    Named {
        code: code.to_owned().into(),
        name: match name {
            Some(name) => name.into(),
            None => code.to_owned().into(),
        },
    }
}

fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::{
        policy,
        supply::{Stay, Tier},
    };

    #[test]
    fn schedule_says_what_the_supplier_says() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let stay = Stay::new(date(2027, 3, 29), date(2027, 3, 31)).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let tier = |from: Option<&str>, penalty| Tier {
            from: from.map(at),
            penalty,
        };
        // Clocks change on 28 March 2027.
        let cancellation = Cancellation {
            tiers: vec![
                tier(None, 0),
                tier(Some("2027-03-22T17:00:00Z"), 5_000),
                tier(Some("2027-03-27T17:00:00Z"), 20_000),
            ],
        };
        let schedule = schedule(&cancellation, &stay, &zone).unwrap();
        let nights = [10_000, 10_000];
        for moment in [
            "2027-01-01T00:00:00Z",
            "2027-03-22T16:59:59Z",
            "2027-03-22T17:00:00Z",
            "2027-03-27T16:59:59.999Z",
            "2027-03-27T17:00:00Z",
            "2027-04-02T00:00:00Z",
        ] {
            let selected = policy::select(Some(&schedule), moment).unwrap();
            let basis = policy::Basis {
                total: 20_000,
                nights: &nights,
            };
            let refund = policy::refund(&selected.outcome, basis).unwrap();
            assert_eq!(refund.penalty, cancellation.penalty(at(moment)), "{moment}");
        }
    }
}
