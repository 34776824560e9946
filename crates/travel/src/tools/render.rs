//! From the domain to what is returned.

use jiff::{Timestamp, tz::TimeZone};

use super::output::{
    self, Cancellation, Charge, Collected, Guests, Line, LineType, Location, Money, Named, Nightly,
    Offer, Place, UnavailableRoom,
};
use crate::{
    levy,
    levy::{Basis, Levy, Nature},
    money::{Currency, scale},
    places::{Atlas, CityIndex},
    property::{Property, RoomKind, RoomType},
    quote,
    quote::Plan,
    reference, shop,
    shop::{Hotels, Wish},
    stay::{Party, Stay, Unavailable},
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

pub(crate) fn room_name(kind: RoomKind) -> Named {
    Named {
        code: kind.code().into(),
        name: kind.name().into(),
    }
}

pub(crate) fn plan_name(plan: Plan) -> Named {
    Named {
        code: plan.code().into(),
        name: plan.name().into(),
    }
}

pub(crate) fn offer(
    hotels: &Hotels,
    property: &Property,
    offer: &shop::Offer,
    wish: &Wish<'_>,
) -> Offer {
    let currency = property.currency;
    let quote = &offer.quote;
    let room_nights = (wish.stay.nights().len() * wish.parties.len()).max(1) as i64;
    let nightly = |(date, amount): &(jiff::civil::Date, i64)| Nightly {
        date: date.to_string(),
        amount: *amount,
    };
    Offer {
        offer_ref: reference::encode(hotels.world(), property, offer, wish),
        room_type: room_name(offer.room.kind),
        rate_plan: plan_name(offer.plan),
        breakfast_included: offer.plan == Plan::Breakfast,
        rooms_left: offer.left.min(MAX_LEFT),
        total: money(quote.total, currency),
        average_per_room_night: money(scale(quote.total, 1, room_nights), currency),
        pay_at_property: money(quote.at_property(), currency),
        nightly: quote.nightly.iter().map(nightly).collect(),
        totals: totals(quote, currency),
        cancellation: cancellation(offer.cancellation, currency, &wish.local.zone),
    }
}

fn totals(quote: &quote::Quote, currency: Currency) -> Vec<Line> {
    let room = Line {
        r#type: LineType::Room,
        label: "Rooms without taxes and fees".into(),
        amount: quote.room,
        collected: Some(Collected::AtBooking),
        basis: None,
    };
    let levies = quote.lines.iter().map(|(levy, amount)| Line {
        r#type: line_type(levy),
        label: levy.label.into(),
        amount: *amount,
        collected: Some(collected(levy)),
        basis: Some(basis(levy, currency)),
    });
    let total = Line {
        r#type: LineType::Total,
        label: "Total, all taxes and fees included".into(),
        amount: quote.total,
        collected: None,
        basis: None,
    };
    [room].into_iter().chain(levies).chain([total]).collect()
}

fn line_type(levy: &Levy) -> LineType {
    match levy.nature {
        Nature::Tax => LineType::Tax,
        Nature::Fee => LineType::Fee,
    }
}

fn collected(levy: &Levy) -> Collected {
    match levy.collected {
        levy::Collected::InRate => Collected::InRate,
        levy::Collected::AtBooking => Collected::AtBooking,
        levy::Collected::AtProperty => Collected::AtProperty,
    }
}

fn basis(levy: &Levy, currency: Currency) -> String {
    match levy.basis {
        Basis::Percent(hundredths) => {
            let (whole, rest) = (hundredths / 100, hundredths % 100);
            match rest {
                0 => format!("{whole} % of the room price"),
                _ => format!("{whole}.{rest:02} % of the room price"),
            }
        }
        Basis::Stay(amount) => format!("{} per room and stay", currency.money(amount)),
        Basis::Night(amount) => format!("{} per room and night", currency.money(amount)),
        Basis::PersonNight {
            amount,
            exempt_below,
            max_nights,
        } => {
            let mut text = format!("{} per guest and night", currency.money(amount));
            if exempt_below > 0 {
                text += &format!(", free below {exempt_below} years");
            }
            if max_nights < usize::MAX {
                text += &format!(", for at most {max_nights} nights");
            }
            text
        }
    }
}

pub(crate) fn charge(levy: &Levy, currency: Currency) -> Charge {
    Charge {
        r#type: line_type(levy),
        label: levy.label,
        basis: basis(levy, currency),
        collected: collected(levy),
    }
}

pub(crate) fn cancellation(
    terms: quote::Cancellation,
    currency: Currency,
    zone: &TimeZone,
) -> Cancellation {
    match terms {
        quote::Cancellation::FreeUntil { deadline, penalty } => {
            let local = local_time(deadline, zone);
            let penalty = money(penalty, currency);
            Cancellation {
                free_now: true,
                free_until: Some(deadline.to_string()),
                summary: format!(
                    "Free cancellation until {local} (hotel's time), then {}",
                    penalty.display
                ),
                free_until_local: Some(local),
                penalty,
            }
        }
        quote::Cancellation::Penalty(penalty) => {
            let penalty = money(penalty, currency);
            Cancellation {
                free_now: false,
                free_until: None,
                free_until_local: None,
                summary: format!("Cancellation costs {}", penalty.display),
                penalty,
            }
        }
    }
}

pub(crate) fn local_time(instant: Timestamp, zone: &TimeZone) -> String {
    let local = instant.to_zoned(zone.clone());
    local.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

pub(crate) fn unavailable(room: &RoomType, reason: Unavailable) -> UnavailableRoom {
    use output::Reason;
    let (reason, detail) = match reason {
        Unavailable::Occupancy => {
            let capacity = room.kind.capacity();
            let detail = format!(
                "takes {} adults and {} children, {} guests in all",
                capacity.adults, capacity.children, capacity.guests
            );
            (Reason::Occupancy, detail)
        }
        Unavailable::Closed(date) => (Reason::Closed, format!("not sold on {date}")),
        Unavailable::SoldOut(date) => (Reason::SoldOut, format!("too few rooms left on {date}")),
        Unavailable::ClosedToArrival(date) => {
            (Reason::ClosedToArrival, format!("no arrivals on {date}"))
        }
        Unavailable::ClosedToDeparture(date) => (
            Reason::ClosedToDeparture,
            format!("no departures on {date}"),
        ),
        Unavailable::MinimumStay(nights) => {
            (Reason::MinimumStay, format!("at least {nights} nights"))
        }
        Unavailable::MaximumStay(nights) => {
            (Reason::MaximumStay, format!("at most {nights} nights"))
        }
        Unavailable::LengthOfStay => (
            Reason::LengthOfStay,
            "this number of nights is not sold from this arrival date".to_owned(),
        ),
        Unavailable::BookingWindow => (
            Reason::BookingWindow,
            "not sold this long before the arrival".to_owned(),
        ),
    };
    UnavailableRoom {
        room_type: room_name(room.kind),
        reason,
        detail,
    }
}
