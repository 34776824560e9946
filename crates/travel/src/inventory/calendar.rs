//! The price calendar: one pass over the nights of a hotel, not a search per day.

use jiff::{Timestamp, ToSpan as _};

use super::sell;
use crate::{
    quote::Plan,
    shop::{Hotels, Wish, all_offers, cheapest},
    stay::{Stay, StayError},
    supply::{Arrival, Calendar, Error, Filter, HotelId, MAX_CALENDAR_DAYS, PlanCode, RoomCode},
};

/// Returns the cheapest stay of a hotel for each arrival day.
pub(super) fn arrivals(
    hotels: &Hotels,
    hotel: &HotelId,
    calendar: &Calendar,
    now: Timestamp,
) -> Result<Vec<Arrival>, Error> {
    if !(1..=MAX_CALENDAR_DAYS).contains(&calendar.days) {
        let why = "a calendar has 1 to 62 arrival days";
        return Err(Error::Range { why });
    }
    let property = sell::property(hotels, hotel)?;
    let local = hotels.local_of(&property, now);
    hotels.look(&property, now, |block| {
        let mut nights = Vec::new();
        let days = 0..calendar.days as i64;
        let arrivals = days.map(|day| {
            let date = calendar.from.saturating_add(day.days());
            let departure = date.saturating_add((calendar.nights as i64).days());
            let stay = Stay::new(date, departure).map_err(|error| Error::Range {
                why: match error {
                    StayError::NotAfter => "a stay has at least one night",
                    StayError::TooLong => "the stay has too many nights",
                },
            })?;
            let wish = Wish {
                stay: &stay,
                parties: &calendar.parties,
                local: &local,
            };
            let cheapest = sell::check_range(&wish).and_then(|()| {
                let best = cheapest(block, &wish, Filter::default(), &mut nights);
                if let Some((total, room, plan)) = best {
                    let kind = block.property.room_types()[room].kind;
                    return Ok((total, Some(codes(kind.code(), plan))));
                }
                let reasons = all_offers(block, &wish).unavailable;
                let reason = reasons.first().map(|(_, reason)| sell::refusal(*reason));
                Err(reason.unwrap_or(Error::Occupancy))
            });
            Ok(Arrival { date, cheapest })
        });
        arrivals.collect()
    })
}

fn codes(room: &str, plan: Plan) -> (RoomCode, PlanCode) {
    let room = room.parse().expect("room codes are short and plain");
    let plan = plan.code().parse().expect("plan codes are short and plain");
    (room, plan)
}
