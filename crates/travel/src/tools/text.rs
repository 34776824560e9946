//! Results as text: for models that do not read `structuredContent` and for people.

use std::fmt::Write as _;

use super::output::{Availability, Details, Hotel, Offer, Place, Rejection, Search, Stay};

/// Writing to a `String` cannot fail, so the results of `write!` are dropped here
/// and nowhere else.
macro_rules! line {
    ($out:expr, $($format:tt)*) => {{
        let _ = writeln!($out, $($format)*);
    }};
}
pub(crate) use line;

pub(crate) fn search(result: &Search) -> String {
    let mut out = String::new();
    if let (Some(question), Some(candidates)) = (&result.question, &result.candidates) {
        line!(out, "{question}");
        for Place {
            label, place_id, ..
        } in candidates
        {
            line!(out, "- {label} (place_id {place_id})");
        }
        line!(
            out,
            "Ask the traveller, then search again with the place_id."
        );
        return out;
    }
    let (Some(place), Some(hotels)) = (&result.place, &result.hotels) else {
        return out;
    };
    let count = result.hotels_available.unwrap_or(hotels.len());
    let noun = if count == 1 { "hotel" } else { "hotels" };
    line!(
        out,
        "{count} {noun} available in {}{}.",
        place.label,
        during(result.stay.as_ref())
    );
    assumed(&mut out, result.assumptions.as_deref());
    for (i, hotel) in hotels.iter().enumerate() {
        hotel_line(&mut out, i + 1, hotel);
    }
    if hotels.is_empty() {
        line!(
            out,
            "Nothing fits: try other dates, fewer rooms or fewer filters."
        );
    }
    if let Some(cursor) = &result.next_cursor {
        line!(out, "More: repeat with cursor {cursor}");
    }
    if let Some(explanation) = &result.sort_explanation {
        line!(out, "Order: {explanation}");
    }
    if let Some(notices) = &result.notices {
        line!(
            out,
            "{} {} {}",
            notices.prices,
            notices.inventory,
            notices.attribution
        );
    }
    out
}

fn hotel_line(out: &mut String, position: usize, hotel: &Hotel) {
    let stars = "★".repeat(usize::from(hotel.stars));
    let offer = &hotel.best_offer;
    let district = hotel.district.as_deref();
    line!(
        out,
        "{position}. {} {stars},{}{} {} m from the centre (property_id {})",
        hotel.name,
        rated(hotel.guest_rating),
        district.map_or(String::new(), |name| format!(" {name} district,")),
        hotel.distance_to_centre_m,
        hotel.property_id
    );
    offer_line(out, "   ", offer);
    if let Some(as_of) = &hotel.price_as_of {
        line!(
            out,
            "   Price as of {as_of}; it is asked again before rooms are held."
        );
    }
}

fn rated(rating: Option<u8>) -> String {
    rating.map_or(String::new(), |rating| format!(" rated {rating}/100,"))
}

fn offer_line(out: &mut String, indent: &str, offer: &Offer) {
    let _ = write!(
        out,
        "{indent}{} total ({} per room and night): {}, {}. {}.",
        offer.total.display,
        offer.average_per_room_night.display,
        offer.room_type.name,
        offer.rate_plan.name,
        offer.cancellation.summary
    );
    if offer.pay_at_property.amount > 0 {
        let _ = write!(
            out,
            " Of it {} at the hotel.",
            offer.pay_at_property.display
        );
    }
    if let Some(before) = &offer.pay_before_booking {
        let _ = write!(out, " Of it {} before booking.", before.display);
    }
    if let Some(guarantee) = &offer.guarantee {
        let _ = write!(
            out,
            " The hotel asks for a guarantee of {} before booking.",
            guarantee.display
        );
    }
    line!(out, " [{}]", offer.offer_ref);
}

fn during(stay: Option<&Stay>) -> String {
    let Some(stay) = stay else {
        return String::new();
    };
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let adults: usize = stay.rooms.iter().map(|room| usize::from(room.adults)).sum();
    let children: usize = stay.rooms.iter().map(|room| room.child_ages.len()).sum();
    let mut text = format!(
        " from {} to {} ({} night{}), {} room{}, {adults} adult{}",
        stay.check_in,
        stay.check_out,
        stay.nights,
        plural(stay.nights),
        stay.rooms.len(),
        plural(stay.rooms.len()),
        plural(adults),
    );
    if children > 0 {
        let noun = if children == 1 { "child" } else { "children" };
        let _ = write!(text, ", {children} {noun}");
    }
    text
}

fn assumed(out: &mut String, assumptions: Option<&[String]>) {
    for assumption in assumptions.unwrap_or_default() {
        line!(out, "Note: {assumption}");
    }
}

pub(crate) fn details(result: &Details) -> String {
    let mut out = String::new();
    let Some(hotel) = &result.hotel else {
        return out;
    };
    let stars = "★".repeat(usize::from(hotel.stars));
    line!(
        out,
        "{} {stars},{} property_id {}",
        hotel.name,
        rated(hotel.guest_rating),
        hotel.property_id
    );
    let address = &hotel.address;
    line!(out, "{}", address.in_line());
    line!(
        out,
        "{}{} m from the centre. Check-in from {}, check-out until {} ({}).",
        hotel
            .rooms
            .map_or(String::new(), |rooms| format!("{rooms} rooms, ")),
        hotel.distance_to_centre_m,
        hotel.policies.check_in_from,
        hotel.policies.check_out_until,
        hotel.time_zone
    );
    for room in &hotel.room_types {
        line!(
            out,
            "- {}: {}up to {} adults and {} guests",
            room.name,
            match room.beds.as_str() {
                "" => String::new(),
                beds => format!("{beds}, "),
            },
            room.max_adults,
            room.max_guests
        );
    }
    line!(
        out,
        "Amenities: {}.",
        hotel.amenities.join(", ").replace('_', " ")
    );
    line!(
        out,
        "{} {}",
        hotel.policies.children,
        hotel.policies.cancellation
    );
    for charge in &hotel.taxes_and_fees {
        line!(out, "- {}: {}", charge.label, charge.basis);
    }
    if let Some(notices) = &result.notices {
        line!(out, "{} {}", notices.inventory, notices.attribution);
    }
    out
}

pub(crate) fn availability(result: &Availability) -> String {
    let mut out = String::new();
    let (Some(name), Some(offers)) = (&result.name, &result.offers) else {
        return out;
    };
    let during = during(result.stay.as_ref());
    match offers.len() {
        0 => line!(out, "{name} cannot take the stay{during}."),
        1 => line!(out, "{name} has 1 offer{during}."),
        count => line!(out, "{name} has {count} offers{during}."),
    }
    assumed(&mut out, result.assumptions.as_deref());
    for offer in offers {
        offer_line(&mut out, "- ", offer);
    }
    for room in result.unavailable.as_deref().unwrap_or_default() {
        line!(
            out,
            "- not available: {}: {}",
            room.room_type.name,
            room.detail
        );
    }
    if let Some(notices) = &result.notices {
        line!(out, "{} {}", notices.prices, notices.inventory);
    }
    out
}

pub(crate) fn rejection(rejection: &Rejection) -> String {
    let code = rejection.code.as_deref().unwrap_or_default();
    let message = rejection.message.as_deref().unwrap_or_default();
    let hint = rejection.hint.as_deref().unwrap_or_default();
    format!("{code}: {message}. {hint}.")
}
