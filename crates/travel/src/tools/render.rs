//! From the domain to what is returned.

use jiff::{Timestamp, tz::TimeZone};

use super::output::{
    self, Charge, Collected, Guests, Line, LineType, Location, Money, Named, Nightly, Offer, Place,
    UnavailableRoom,
};
use crate::{
    money::{Currency, scale},
    places::{Atlas, CityIndex},
    reference,
    stay::{Party, Stay},
    supply::{self, Cancellation, Hotel, Nature, NotOffered, Prepay, Price, RoomCode, Rule},
};

/// Most rooms that a result says are left: exact stock is the hotel's business.
const MAX_LEFT: u16 = 9;

pub(crate) fn money(amount: i64, currency: Currency) -> Money {
    Money {
        amount,
        currency: currency.code,
        exponent: currency.exponent,
        display: currency.money(amount).to_string(),
    }
}

pub(crate) fn location(lat_e5: i32, lon_e5: i32) -> Location {
    Location {
        latitude: f64::from(lat_e5) / 1e5,
        longitude: f64::from(lon_e5) / 1e5,
    }
}

pub(crate) fn place(atlas: &Atlas, index: CityIndex) -> Place {
    let city = atlas.city(index);
    Place {
        place_id: atlas.place_id(index),
        label: atlas.label(index),
        country: city.country().code,
        population: city.population,
        time_zone: atlas.zone(index).to_owned(),
        location: location(city.lat_e5, city.lon_e5),
    }
}

pub(crate) fn stay(stay: &Stay, parties: &[Party]) -> output::Stay {
    let guests = |party: &Party| Guests {
        adults: party.adults,
        child_ages: party.child_ages.clone(),
    };
    output::Stay {
        check_in: stay.check_in().to_string(),
        check_out: stay.check_out().to_string(),
        nights: stay.nights().len(),
        rooms: parties.iter().map(guests).collect(),
    }
}

/// Where and when offers are shown.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    /// Of the supplier: its references are no others.
    pub fingerprint: u64,
    pub zone: &'a TimeZone,
    pub now: Timestamp,
    /// Without payments every rate is paid at the hotel.
    pub takes_payments: bool,
}

/// Returns an offer of one room type and plan for all parties of `ask`.
pub(crate) fn offer(
    hotel: &supply::HotelId,
    offer: &supply::Offer,
    ask: &supply::Ask,
    setting: &Setting<'_>,
) -> Offer {
    let what = (hotel, &offer.room, &offer.plan);
    let (stay, total) = (&ask.stay, offer.price.total);
    let named = |code: &str, name: &str| Named {
        code: code.to_owned().into(),
        name: name.to_owned().into(),
    };
    let price = &offer.price;
    let currency = price.currency;
    let prepay = match setting.takes_payments {
        true => offer.prepay,
        false => Prepay::None,
    };
    let (before, guarantee) = match prepay {
        Prepay::None => (None, None),
        Prepay::Now { amount } => (Some(money(amount, currency)), None),
        Prepay::Guarantee { amount } => (None, Some(money(amount, currency))),
    };
    let room_nights = (stay.length() * ask.parties.len()).max(1) as i64;
    Offer {
        offer_ref: reference::encode(setting.fingerprint, what, stay, &ask.parties, total),
        room_type: named(offer.room.as_str(), &offer.room_name),
        rate_plan: named(offer.plan.as_str(), &offer.plan_name),
        breakfast_included: offer.breakfast,
        rooms_left: offer.left.min(MAX_LEFT),
        total: money(total, currency),
        average_per_room_night: money(scale(total, 1, room_nights), currency),
        pay_at_property: money(price.at_property(), currency),
        pay_before_booking: before,
        guarantee,
        nightly: nightly(price),
        totals: totals(price),
        cancellation: cancellation(&offer.cancellation, currency, setting),
    }
}

fn nightly(price: &Price) -> Vec<Nightly> {
    let nights = price.nightly.iter().map(|(date, amount)| Nightly {
        date: date.to_string(),
        amount: *amount,
    });
    nights.collect()
}

fn totals(price: &Price) -> Vec<Line> {
    let room = Line {
        r#type: LineType::Room,
        label: "Rooms without taxes and fees".into(),
        amount: price.room,
        collected: Some(Collected::AtBooking),
        basis: None,
    };
    let levies = price.lines.iter().map(|line| Line {
        r#type: line_type(line.nature),
        label: line.label.clone().into(),
        amount: line.amount,
        collected: Some(collected(line.collected)),
        basis: line.basis.clone(),
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

fn line_type(nature: Nature) -> LineType {
    match nature {
        Nature::Tax => LineType::Tax,
        Nature::Fee => LineType::Fee,
    }
}

fn collected(when: supply::Collected) -> Collected {
    match when {
        supply::Collected::InRate => Collected::InRate,
        supply::Collected::AtBooking => Collected::AtBooking,
        supply::Collected::AtProperty => Collected::AtProperty,
    }
}

/// Returns what cancelling means at the moment of `setting`.
pub(crate) fn cancellation(
    terms: &Cancellation,
    currency: Currency,
    setting: &Setting<'_>,
) -> output::Cancellation {
    let penalty = terms.penalty(setting.now);
    let later = || {
        let tiers = terms.tiers.iter();
        tiers.filter_map(|tier| Some((tier.from.filter(|from| *from > setting.now)?, tier.penalty)))
    };
    let cost = |amount| money(amount, currency);
    let steps: String = later()
        .skip(1)
        .map(|(from, penalty)| {
            let local = local_time(from, setting.zone);
            format!(", {} from {local}", cost(penalty).display)
        })
        .collect();
    match later().next() {
        Some((deadline, then)) if penalty == 0 => {
            let local = local_time(deadline, setting.zone);
            let penalty = cost(then);
            output::Cancellation {
                free_now: true,
                free_until: Some(deadline.to_string()),
                summary: format!(
                    "Free cancellation until {local} (hotel's time), then {}{steps}",
                    penalty.display
                ),
                free_until_local: Some(local),
                penalty,
            }
        }
        next => {
            let first = next.map(|(from, then)| {
                let local = local_time(from, setting.zone);
                format!(", {} from {local}", cost(then).display)
            });
            let penalty = cost(penalty);
            let summary = match penalty.amount {
                0 => "Free cancellation".to_owned(),
                _ => format!(
                    "Cancellation costs {}{}{steps}",
                    penalty.display,
                    first.unwrap_or_default()
                ),
            };
            output::Cancellation {
                free_now: penalty.amount == 0,
                free_until: None,
                free_until_local: None,
                summary,
                penalty,
            }
        }
    }
}

pub(crate) fn local_time(instant: Timestamp, zone: &TimeZone) -> String {
    let local = instant.to_zoned(zone.clone());
    local.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// Returns what does not change with dates.
pub(crate) fn profile(hotel: &Hotel) -> output::Profile {
    let brief = &hotel.brief;
    let room = |room: &supply::RoomType| output::RoomType {
        code: room.code.to_string(),
        name: room.name.clone(),
        beds: room.beds.clone(),
        max_adults: room.max_adults,
        max_children: room.max_children,
        max_guests: room.max_guests,
    };
    let plan = |plan: &supply::Plan| Named {
        code: plan.code.to_string().into(),
        name: plan.name.clone().into(),
    };
    let charge = |charge: &supply::Charge| Charge {
        r#type: line_type(charge.nature),
        label: charge.label.clone(),
        basis: charge.basis.clone(),
        collected: collected(charge.collected),
    };
    output::Profile {
        property_id: brief.id.to_string(),
        name: brief.name.clone(),
        stars: brief.stars,
        guest_rating: brief.rating,
        address: output::Address {
            street: hotel.street.clone(),
            district: brief.district.clone(),
            city: hotel.city.clone(),
            country: hotel.country.clone(),
        },
        location: location(brief.lat_e5, brief.lon_e5),
        distance_to_centre_m: hotel.distance_m,
        time_zone: zone_name(&brief.zone),
        currency: brief.currency.code,
        rooms: hotel.rooms,
        room_types: hotel.room_types.iter().map(room).collect(),
        rate_plans: hotel.plans.iter().map(plan).collect(),
        amenities: hotel.amenities.clone(),
        policies: output::Policies {
            check_in_from: hotel.check_in_from.clone(),
            check_out_until: hotel.check_out_until.clone(),
            children: hotel.children.clone(),
            cancellation: hotel.cancellation.clone(),
        },
        taxes_and_fees: hotel.charges.iter().map(charge).collect(),
    }
}

/// Returns the IANA name of a zone.
pub(crate) fn zone_name(zone: &TimeZone) -> String {
    zone.iana_name().unwrap_or("UTC").to_owned()
}

pub(crate) fn unavailable(hotel: &Hotel, not_offered: &NotOffered) -> UnavailableRoom {
    let (reason, detail) = reason(hotel, &not_offered.room, &not_offered.reason);
    let known = hotel.room_type(&not_offered.room);
    let code = not_offered.room.to_string();
    UnavailableRoom {
        room_type: Named {
            name: known.map_or(code.clone(), |room| room.name.clone()).into(),
            code: code.into(),
        },
        reason,
        detail,
    }
}

fn reason(hotel: &Hotel, room: &RoomCode, error: &supply::Error) -> (output::Reason, String) {
    use output::Reason;
    let rule = match error {
        supply::Error::Restricted(rule) => rule,
        supply::Error::SoldOut { night } => {
            return (Reason::SoldOut, format!("too few rooms left on {night}"));
        }
        supply::Error::Occupancy => {
            let takes = hotel.room_type(room).map(|room| {
                format!(
                    "takes {} adults and {} children, {} guests in all",
                    room.max_adults, room.max_children, room.max_guests
                )
            });
            let detail = takes.unwrap_or_else(|| "takes fewer guests".to_owned());
            return (Reason::Occupancy, detail);
        }
        other => return (Reason::Closed, other.to_string()),
    };
    match rule {
        Rule::Closed(date) => (Reason::Closed, format!("not sold on {date}")),
        Rule::ClosedToArrival(date) => (Reason::ClosedToArrival, format!("no arrivals on {date}")),
        Rule::ClosedToDeparture(date) => (
            Reason::ClosedToDeparture,
            format!("no departures on {date}"),
        ),
        Rule::MinimumStay(nights) => (Reason::MinimumStay, format!("at least {nights} nights")),
        Rule::MaximumStay(nights) => (Reason::MaximumStay, format!("at most {nights} nights")),
        Rule::LengthOfStay => (
            Reason::LengthOfStay,
            "this number of nights is not sold from this arrival date".to_owned(),
        ),
        Rule::BookingWindow => (
            Reason::BookingWindow,
            "not sold this long before the arrival".to_owned(),
        ),
    }
}
