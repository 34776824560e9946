//! From what is kept to what is returned.

use std::sync::Arc;

use airside_base::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{
    arguments::Booker,
    bill::Bill,
    instant, output,
    record::{Session, Task},
    state,
};
use crate::{
    money::Currency,
    reference,
    supply::{self, Ask, Brief, Cancellation, Guest, Hotel, HotelId, Prepay, Price, Selection},
    tools::{
        output::{Money, Offer},
        render::{self, Setting},
    },
    ucp,
};

/// Wall time at the hotel to which cancellation schedules are anchored.
const ARRIVAL_HOUR: i8 = 15;
/// A hotel with its place in time.
pub(super) struct Place {
    pub property: output::Property,
    pub hotel: Arc<Hotel>,
    fingerprint: u64,
}

impl Place {
    pub(super) fn new(hotel: Arc<Hotel>, fingerprint: u64) -> Self {
        let brief = &hotel.brief;
        let parts = [
            Some(hotel.street.as_str()),
            brief.district.as_deref(),
            Some(hotel.city.as_str()),
            Some(hotel.country.as_str()),
        ];
        let parts = parts.into_iter().flatten().filter(|part| !part.is_empty());
        Self {
            property: output::Property {
                property_id: brief.id.to_string(),
                name: brief.name.clone(),
                stars: brief.stars,
                address: parts.collect::<Vec<_>>().join(", "),
                time_zone: render::zone_name(&brief.zone),
            },
            fingerprint,
            hotel,
        }
    }

    pub(super) fn zone(&self) -> &TimeZone {
        &self.hotel.brief.zone
    }

    fn setting(&self, now: Timestamp) -> Setting<'_> {
        Setting {
            fingerprint: self.fingerprint,
            zone: self.zone(),
            now,
            takes_payments: false,
        }
    }
}

/// Returns what can be said of a hotel that the supplier no longer knows.
pub(super) fn forgotten(id: &HotelId) -> Hotel {
    Hotel {
        brief: Brief {
            id: id.clone(),
            name: format!("Hotel {id}"),
            stars: 0,
            rating: None,
            district: None,
            lat_e5: 0,
            lon_e5: 0,
            zone: TimeZone::UTC,
            currency: Currency::find("EUR").expect("the euro is in the table"),
        },
        street: String::new(),
        city: String::new(),
        country: String::new(),
        distance_m: 0,
        rooms: None,
        room_types: Vec::new(),
        plans: Vec::new(),
        amenities: Vec::new(),
        check_in_from: String::new(),
        check_out_until: String::new(),
        children: String::new(),
        cancellation: String::new(),
        charges: Vec::new(),
    }
}

/// What was or would be agreed.
#[derive(Clone, Copy)]
pub(super) struct Deal<'a> {
    pub selection: &'a Selection,
    pub price: &'a Price,
    pub cancellation: &'a Cancellation,
    pub bill: Bill<'a>,
}

impl Deal<'_> {
    /// Returns the deal as an offer, as searches show them.
    pub(super) fn offer(&self, place: &Place, now: Timestamp) -> Offer {
        let Selection { stay, units, .. } = self.selection;
        let hotel = &place.hotel;
        let first = units.first();
        let room = first.and_then(|unit| hotel.room_type(&unit.room));
        let plan = first.and_then(|unit| hotel.plan(&unit.plan));
        let ask = Ask {
            stay: stay.clone(),
            parties: units.iter().map(|unit| unit.party.clone()).collect(),
        };
        let first = first.expect("whoever takes rooms takes one at least");
        let (room_code, plan_code) = (first.room.clone(), first.plan.clone());
        let offer = supply::Offer {
            room_name: room.map_or(room_code.to_string(), |room| room.name.clone()),
            plan_name: plan.map_or(plan_code.to_string(), |plan| plan.name.clone()),
            breakfast: plan.is_some_and(|plan| plan.breakfast),
            left: u16::try_from(units.len()).unwrap_or(u16::MAX),
            price: self.price.clone(),
            cancellation: self.cancellation.clone(),
            // Sessions and bookings say more about it than offers.
            prepay: Prepay::None,
            room: room_code,
            plan: plan_code,
        };
        let shown = render::offer(&self.selection.hotel, &offer, &ask, &place.setting(now));
        Offer {
            offer_ref: reference::of_selection(place.fingerprint, self.selection, self.price.total)
                .unwrap_or_default(),
            ..shown
        }
    }

    /// Returns what cancelling means at `now`.
    pub(super) fn cancelling(
        &self,
        place: &Place,
        now: Timestamp,
    ) -> crate::tools::output::Cancellation {
        render::cancellation(self.cancellation, self.price.currency, &place.setting(now))
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
            let room = place.hotel.room_type(&unit.room);
            let room = room.map_or(unit.room.as_str(), |room| &room.name);
            let plan = place.hotel.plan(&unit.plan);
            let plan = plan.map_or(unit.plan.as_str(), |plan| &plan.name);
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
            term("Cancellation", self.cancelling(place, now).summary),
            term("Payment", self.bill.payment().summary),
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

/// Returns a session as it is at `now`.
pub(super) fn session(
    place: &Place,
    id: &str,
    session: &Session,
    guest: Option<Guest>,
    bill: Bill<'_>,
    now: Timestamp,
) -> output::Session {
    let deal = Deal {
        selection: &session.selection,
        price: &session.price,
        cancellation: &session.cancellation,
        bill,
    };
    let booked = session.outcome.as_ref().and_then(|outcome| {
        let id = outcome.booking.clone()?;
        let label = outcome.answer.get("label").and_then(Value::as_str);
        let label = label.unwrap_or(&id).to_owned();
        Some(output::Confirmation { id, label })
    });
    let mut shown = output::Session {
        ucp: output::Ucp {
            version: ucp::VERSION,
            capability: ucp::CAPABILITY,
        },
        id: id.to_owned(),
        status: state::shown(session, now.as_microsecond()),
        expires_at: instant(session.expires),
        property: place.property.clone(),
        stay: deal.stay(),
        offer: deal.offer(place, now),
        booker: guest.map(booker),
        payment: deal.bill.payment(),
        continue_url: None,
        terms: deal.terms(place, now),
        terms_digest: session.digest.clone(),
        policies: vec![deal.policy(place.zone())],
        messages: messages(session, now),
        confirmation: booked,
    };
    bill.add_to(&mut shown, session, now.as_microsecond());
    shown
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
    place: &Place,
    id: &str,
    session: &Session,
    bill: Bill<'_>,
    now: Timestamp,
) -> Option<output::Quote> {
    let currency = session.price.currency;
    let money = |amount| Some(render::money(amount, currency));
    let deal = Deal {
        selection: &session.selection,
        price: &session.price,
        cancellation: &session.cancellation,
        bill,
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
                offer: Some(deal.offer(place, now)),
                ..common(output::QuoteKind::Change, booking, *before, terms)
            })
        }
        Task::Cancel { booking, penalty } => {
            terms.retain(|term| !matches!(term.label, "Cancellation" | "Payment"));
            terms.push(term(
                "Cancellation fee",
                currency.money(*penalty).to_string(),
            ));
            let (label, refund) = match bill.paid() {
                Some(paid) => ("Given back", (paid - penalty).max(0)),
                None => ("No longer owed", total - penalty),
            };
            terms.push(term(label, currency.money(refund).to_string()));
            Some(output::Quote {
                penalty: money(*penalty),
                refund: money(refund),
                ..common(output::QuoteKind::Cancellation, booking, total, terms)
            })
        }
    }
}

/// Returns a booking as it is at `now`.
pub(super) fn booking(
    place: &Place,
    id: &str,
    booking: &super::record::Booking,
    guest: Option<Guest>,
    bill: Bill<'_>,
    now: Timestamp,
) -> output::Booking {
    let deal = Deal {
        selection: &booking.selection,
        price: &booking.price,
        cancellation: &booking.cancellation,
        bill,
    };
    let stands = booking.standing == super::record::Standing::Confirmed;
    output::Booking {
        id: id.to_owned(),
        label: booking.confirmation.clone(),
        status: booking.standing,
        confirmed_at: instant(booking.confirmed),
        property: place.property.clone(),
        stay: deal.stay(),
        offer: deal.offer(place, now),
        booker: guest.map(booker),
        payment: deal.bill.payment(),
        cancellation_now: stands.then(|| deal.cancelling(place, now)),
        policies: vec![deal.policy(place.zone())],
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

fn term(label: &'static str, text: String) -> output::Term {
    output::Term { label, text }
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
