//! What OPERA is asked, and what it means when it offers nothing.

use airside_travel::supply::{Ask, Error, Rule};

use super::super::{
    ALIKE,
    calls::guests,
    client::{Failure, SOON},
    wire,
};

pub(super) const UNREADABLE: Error = Error::Unavailable { retry_after: SOON };

/// A question changes nothing: whatever became of it, it can be asked again.
pub(super) fn not_answered(failure: Failure) -> Error {
    match failure {
        Failure::NotDone { retry_after } => Error::Unavailable { retry_after },
        Failure::Lost => UNREADABLE,
        Failure::Refused(refusal) => {
            tracing::warn!(
                status = refusal.status,
                code = refusal.code,
                "OPERA refused a question"
            );
            match refusal.status {
                404 => Error::HotelUnknown,
                _ => UNREADABLE,
            }
        }
    }
}

/// Returns a query that says for whom, and `more`. All rooms have to be alike.
pub(super) fn query(ask: &Ask, more: &[(&str, &str)]) -> Result<String, Error> {
    let party = ask.parties.first().ok_or(Error::Range {
        why: "no room was asked for",
    })?;
    if ask.parties.iter().any(|other| other != party) {
        return Err(Error::NotSold {
            what: ALIKE.to_owned(),
        });
    }
    let counts = guests(party);
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("adults", &counts.adults.to_string());
    if let Some(children) = counts.children {
        let ages: Vec<_> = counts.child_ages.iter().map(u32::to_string).collect();
        query.append_pair("children", &children.to_string());
        query.append_pair("childrenAges", &ages.join(","));
    }
    query.append_pair("numberOfUnits", &ask.parties.len().to_string());
    query.extend_pairs(more);
    Ok(query.finish())
}

/// Returns a query that says for whom and when, and `more`.
pub(super) fn question(ask: &Ask, more: &[(&str, &str)]) -> Result<String, Error> {
    let (arrival, departure) = (ask.stay.check_in(), ask.stay.check_out());
    let (arrival, departure) = (arrival.to_string(), departure.to_string());
    let dates = [("arrivalDate", &*arrival), ("departureDate", &departure)];
    query(ask, &[&dates, more].concat())
}

pub(super) fn left_of(units: Option<i64>, ask: &Ask) -> u16 {
    let asked = u16::try_from(ask.parties.len()).unwrap_or(u16::MAX);
    let units = units.and_then(|units| u16::try_from(units).ok());
    units.map_or(asked, |units| units.max(asked))
}

/// Returns why a room type has no offer.
pub(super) fn reason(
    kind: &wire::RoomType,
    restrictions: &[wire::Restriction],
    ask: &Ask,
) -> Error {
    if kind.adult_occupancy_match == Some(false) || kind.child_occupancy_match == Some(false) {
        return Error::Occupancy;
    }
    let (arrival, departure) = (ask.stay.check_in(), ask.stay.check_out());
    if kind.availability_status.as_deref() != Some("AvailableForSale") {
        return Error::SoldOut { night: arrival };
    }
    let rule = restrictions.iter().find_map(|restriction| {
        let nights = || {
            restriction
                .restriction_value
                .and_then(|n| u8::try_from(n).ok())
        };
        Some(match restriction.restriction_type.as_deref()? {
            "Closed" => Rule::Closed(arrival),
            "ClosedForArrival" => Rule::ClosedToArrival(arrival),
            "ClosedForDeparture" => Rule::ClosedToDeparture(departure),
            "MinimumStayThrough" | "MinimumLengthOfStay" => Rule::MinimumStay(nights()?),
            "MaximumStayThrough" | "MaximumLengthOfStay" => Rule::MaximumStay(nights()?),
            "MinimumAdvancedBooking" | "MaximumAdvancedBooking" => Rule::BookingWindow,
            "LOSNotAvailable" => Rule::LengthOfStay,
            _ => return None,
        })
    });
    match rule {
        Some(rule) => Error::Restricted(rule),
        None => Error::SoldOut { night: arrival },
    }
}
