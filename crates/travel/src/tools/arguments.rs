//! What a model sends, and its way into types that cannot be wrong.
//!
//! Integers are read wide and checked here, so that `400` adults get an answer
//! about adults and not about the width of a number.

use airside_builtin::arguments;
use jiff::{ToSpan as _, civil::Date};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    error::Rejection,
    places::{Atlas, CityIndex, Lookup},
    shop::Local,
    stay::{MAX_DAYS_AHEAD, MAX_ROOMS, Party, Stay, StayError},
    supply::{HotelId, Order},
};

/// Longest place text in bytes.
const MAX_PLACE: usize = 120;
const MAX_ADULTS: i64 = 8;
const MAX_CHILDREN: usize = 6;
const MAX_CHILD_AGE: i64 = 17;
pub(crate) const DEFAULT_LIMIT: usize = 8;
const MAX_LIMIT: i64 = 25;

/// Arguments of `search_hotels`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// City to stay in, as the traveller names it: "Boston", "Portland, Maine", "Paris, FR", an IATA city code such as "BOS", or the place_id of a candidate from an earlier result.
    #[schemars(length(min = 1, max = 120))]
    pub place: String,
    /// First night, YYYY-MM-DD, in the hotel's calendar. Ask the traveller if unknown; left out together with check_out, tomorrow for one night is assumed and said so in the result.
    #[schemars(extend("format" = "date"))]
    pub check_in: Option<String>,
    /// Day of departure, YYYY-MM-DD, 1 to 30 nights after check_in. Left out, one night is assumed.
    #[schemars(extend("format" = "date"))]
    pub check_out: Option<String>,
    /// One entry for each room wanted. Left out, one room for two adults is assumed.
    #[schemars(length(min = 1, max = 9))]
    pub rooms: Option<Vec<Room>>,
    /// ISO 4217 code the traveller thinks in. Prices are always quoted in the hotel's currency and are never converted.
    #[schemars(length(equal = 3), extend("x-mcp-header" = "Currency"))]
    pub currency: Option<String>,
    /// Least number of stars.
    #[schemars(range(min = 1, max = 5))]
    pub min_stars: Option<i64>,
    /// Highest all-in price of one room and night in whole units of the hotel's currency (200 means 200.00 USD).
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub max_price_per_night: Option<i64>,
    /// true: only offers that can still be cancelled free of charge.
    pub free_cancellation: Option<bool>,
    /// Order of the hotels; recommended if left out.
    pub sort: Option<Sort>,
    /// Most hotels in one result, 1 to 25; 8 if left out.
    #[schemars(range(min = 1, max = 25))]
    pub limit: Option<i64>,
    /// next_cursor of the previous page, with all other arguments unchanged.
    #[schemars(length(max = 64))]
    pub cursor: Option<String>,
}

/// Guests of one room.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Room {
    /// Guests of 18 years and older.
    #[schemars(range(min = 1, max = 8))]
    pub adults: i64,
    /// Age of each child in completed years on the day of check-in.
    #[schemars(length(max = 6), inner(range(min = 0, max = 17)))]
    pub child_ages: Option<Vec<i64>>,
}

/// Order of search results.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sort {
    /// Guest rating, price and distance together.
    Recommended,
    /// Cheapest total first.
    Price,
    /// Most stars first, then cheapest.
    Stars,
    /// Nearest to the centre first.
    Distance,
}

impl From<Sort> for Order {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Recommended => Self::Recommended,
            Sort::Price => Self::Price,
            Sort::Stars => Self::Stars,
            Sort::Distance => Self::Distance,
        }
    }
}

/// Arguments of `get_hotel`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Hotel {
    /// property_id of a hotel from search_hotels.
    #[schemars(length(min = 1, max = 64))]
    pub property_id: String,
}

/// Arguments of `check_availability`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Check {
    /// property_id of a hotel from search_hotels.
    #[schemars(length(min = 1, max = 64))]
    pub property_id: String,
    /// First night, YYYY-MM-DD, in the hotel's calendar.
    #[schemars(extend("format" = "date"))]
    pub check_in: String,
    /// Day of departure, YYYY-MM-DD, 1 to 30 nights after check_in.
    #[schemars(extend("format" = "date"))]
    pub check_out: String,
    /// One entry for each room wanted. Left out, one room for two adults is assumed.
    #[schemars(length(min = 1, max = 9))]
    pub rooms: Option<Vec<Room>>,
    /// ISO 4217 code the traveller thinks in. Prices are always quoted in the hotel's currency and are never converted.
    #[schemars(length(equal = 3), extend("x-mcp-header" = "Currency"))]
    pub currency: Option<String>,
}

/// What a readable place means.
#[derive(Debug)]
pub(crate) enum Found {
    /// One city, and less prominent ones of the same name.
    City(CityIndex, Vec<CityIndex>),
    /// The traveller has to choose.
    Several(Vec<CityIndex>),
}

/// Finds the city of `place`.
pub(crate) fn place(atlas: &Atlas, text: &str) -> Result<Found, Rejection> {
    if text.trim().is_empty() || text.len() > MAX_PLACE {
        return Err(Rejection::PlaceUnreadable);
    }
    match atlas.resolve(text) {
        Lookup::Found(city, also) => Ok(Found::City(city, also)),
        Lookup::Ambiguous(cities) => Ok(Found::Several(cities)),
        Lookup::Unknown(near) => Err(Rejection::PlaceUnknown {
            near: near.into_iter().map(|city| atlas.label(city)).collect(),
        }),
    }
}

/// Reads the id of a property.
pub(crate) fn property(id: &str) -> Result<HotelId, Rejection> {
    id.parse().map_err(|_| Rejection::PropertyUnknown)
}

/// Reads the dates of a stay that can still be booked. What had to be assumed is
/// added to `assumptions`.
pub(crate) fn stay(
    check_in: Option<&str>,
    check_out: Option<&str>,
    local: &Local,
    assumptions: &mut Vec<String>,
) -> Result<Stay, Rejection> {
    let arrival = match check_in {
        Some(text) => date(text, "check_in")?,
        None if check_out.is_some() => {
            let path = "check_in".to_owned();
            let reason = "check_out without check_in".to_owned();
            return Err(arguments::Error::Form { path, reason }.into());
        }
        None => {
            assumptions.push("No dates were given: tomorrow for one night is assumed. Ask the traveller for the dates.".to_owned());
            local.today.saturating_add(1.day())
        }
    };
    let departure = match check_out {
        Some(text) => date(text, "check_out")?,
        None => {
            if check_in.is_some() {
                assumptions.push("No check_out was given: one night is assumed.".to_owned());
            }
            arrival.saturating_add(1.day())
        }
    };
    if arrival < local.today {
        return Err(Rejection::DatePast {
            check_in: arrival,
            today: local.today,
        });
    }
    let latest = local.today.saturating_add(MAX_DAYS_AHEAD.days());
    if arrival > latest {
        return Err(Rejection::TooFarAhead { latest });
    }
    Stay::new(arrival, departure).map_err(|error| match error {
        StayError::NotAfter => Rejection::CheckOutNotAfter,
        StayError::TooLong => Rejection::StayTooLong,
    })
}

/// Reads `YYYY-MM-DD` and nothing else: jiff would also take a date with a time.
pub(crate) fn date(text: &str, field: &'static str) -> Result<Date, Rejection> {
    let unreadable = Rejection::from(arguments::Error::Date { field });
    if text.len() != 10 {
        return Err(unreadable);
    }
    text.parse().map_err(|_| unreadable)
}

/// Reads the guests.
pub(crate) fn parties(
    rooms: Option<&[Room]>,
    assumptions: &mut Vec<String>,
) -> Result<Vec<Party>, Rejection> {
    let Some(rooms) = rooms else {
        assumptions.push("No guests were given: one room for two adults is assumed.".to_owned());
        return Ok(vec![Party {
            adults: 2,
            child_ages: Vec::new(),
        }]);
    };
    if rooms.is_empty() || rooms.len() > MAX_ROOMS {
        return Err(Rejection::Rooms { rooms: rooms.len() });
    }
    rooms.iter().map(party).collect()
}

fn party(room: &Room) -> Result<Party, Rejection> {
    let ages = room.child_ages.as_deref().unwrap_or_default();
    if !(1..=MAX_ADULTS).contains(&room.adults) || ages.len() > MAX_CHILDREN {
        return Err(Rejection::Guests);
    }
    let child_ages = ages.iter().map(|age| match u8::try_from(*age) {
        Ok(years) if *age <= MAX_CHILD_AGE => Ok(years),
        _ => Err(Rejection::ChildAge { age: *age }),
    });
    Ok(Party {
        adults: room.adults as u8,
        child_ages: child_ages.collect::<Result<_, _>>()?,
    })
}

/// Reads how many hotels a page has.
pub(crate) fn limit(limit: Option<i64>) -> Result<usize, Rejection> {
    let Some(limit) = limit else {
        return Ok(DEFAULT_LIMIT);
    };
    in_range(limit, 1, MAX_LIMIT, "limit", "use a limit of 1 to 25").map(|limit| limit as usize)
}

/// Reads a number of stars.
pub(crate) fn stars(stars: Option<i64>) -> Result<u8, Rejection> {
    let Some(stars) = stars else {
        return Ok(0);
    };
    in_range(stars, 1, 5, "min_stars", "use min_stars of 1 to 5").map(|stars| stars as u8)
}

/// Reads a price in whole units of a currency as minor units.
pub(crate) fn price(price: Option<i64>, minor_per_major: i64) -> Result<Option<i64>, Rejection> {
    let hint = "use max_price_per_night of 1 to 1000000000, in whole units of the hotel's currency";
    price
        .map(|price| in_range(price, 1, 1_000_000_000, "max_price_per_night", hint))
        .transpose()
        .map(|price| price.map(|price| price * minor_per_major))
}

fn in_range(
    value: i64,
    low: i64,
    high: i64,
    field: &'static str,
    range: &'static str,
) -> Result<i64, Rejection> {
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(arguments::Error::Range { field, range }.into())
    }
}
