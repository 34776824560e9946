//! Which itineraries there are. Pure: the day arrives as an argument.

use jiff::{
    Span, ToSpan as _,
    civil::{Date, DateTime, Time, date},
    tz::Offset,
};

use super::{
    Asked, Refusal, Sort, Wanted,
    answer::{Airport, Flight, Found, Itinerary, Money},
};
use crate::airline::{AIRPORTS, PUBLISHED};

/// All times of the published flights are Eastern Standard Time.
pub(super) const EASTERN: Offset = Offset::constant(-5);
/// The published days on which flights can be booked, 2024-05-16 to 2024-05-30: they
/// repeat for ever.
const FIRST_DAY: Date = date(2024, 5, 16);
const DAYS: i32 = 15;
/// Farthest day of departure.
const MAX_DAYS_AHEAD: i64 = 330;
/// Shortest and longest change of planes, in minutes.
const CHANGE: std::ops::RangeInclusive<i64> = 45..=360;
/// Cities with more than one airport: metropolitan codes and what people call them.
const METROPOLITAN: [(&str, &[&str]); 4] = [
    ("nyc", &["JFK", "EWR", "LGA"]),
    ("new york", &["JFK", "EWR", "LGA"]),
    ("new york city", &["JFK", "EWR", "LGA"]),
    ("chi", &["ORD"]),
];
const NOTICES: [&str; 2] = [
    "Flights and fares are a demonstration and cannot be booked.",
    "You are talking to an AI system.",
];

/// A flight on a day.
struct Seat {
    flight: Flight,
    departure: DateTime,
    arrival: DateTime,
    seats: i64,
    /// Whole dollars for one passenger.
    price: i64,
}

/// Returns the itineraries of a day.
pub(super) fn search(asked: &Asked, wanted: &Wanted, today: Date) -> Result<Found, Refusal> {
    let origins = airports(&asked.origin)?;
    let destinations = airports(&asked.destination)?;
    if origins
        .iter()
        .any(|a| destinations.iter().any(|b| a.iata == b.iata))
    {
        return Err(Refusal::SamePlace);
    }
    let last = today.saturating_add(MAX_DAYS_AHEAD.days());
    if wanted.date < today || wanted.date > last {
        return Err(Refusal::Date {
            date: wanted.date,
            first: today,
            last,
        });
    }
    let mut itineraries = Vec::new();
    for origin in &origins {
        for destination in &destinations {
            between(origin.iata, destination.iata, wanted, &mut itineraries);
        }
    }
    sort(&mut itineraries, wanted.sort);
    let available = itineraries.len();
    itineraries.truncate(wanted.limit);
    Ok(Found {
        status: "ok",
        origins,
        destinations,
        date: wanted.date.to_string(),
        passengers: wanted.passengers,
        cabin: wanted.cabin,
        itineraries_available: available,
        itineraries,
        sort_explanation: match wanted.sort {
            Sort::Price => {
                "The lowest fare first, then the shortest. No airline paid for its position."
            }
            Sort::Duration => {
                "The shortest first, then the lowest fare. No airline paid for its position."
            }
            Sort::Departure => "The earliest departure first. No airline paid for its position.",
        },
        notices: NOTICES,
    })
}

/// Returns the airports that a text means.
fn airports(text: &str) -> Result<Vec<Airport>, Refusal> {
    let folded = text.trim().to_lowercase();
    let airport = |(iata, city): &(&'static str, &'static str)| Airport { iata, city };
    let metropolitan = METROPOLITAN.iter().find(|(name, _)| *name == folded);
    let found: Vec<_> = AIRPORTS
        .iter()
        .filter(|(iata, city)| match metropolitan {
            Some((_, codes)) => codes.contains(iata),
            None => iata.to_lowercase() == folded || city.to_lowercase() == folded,
        })
        .map(airport)
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let near = |(_, city): &&(&str, &str)| {
        let distance = strsim::damerau_levenshtein(&city.to_lowercase(), &folded);
        folded.len() < 40 && distance <= 2
    };
    Err(Refusal::AirportUnknown {
        text: text.chars().filter(|c| !c.is_control()).take(40).collect(),
        near: AIRPORTS
            .iter()
            .find(near)
            .map(|(_, city)| (*city).to_owned()),
    })
}

fn between(origin: &str, destination: &str, wanted: &Wanted, found: &mut Vec<Itinerary>) {
    for first in flights(origin, wanted.date, wanted) {
        if first.flight.destination == destination {
            found.push(itinerary(vec![first], wanted));
            continue;
        }
        if wanted.stops == 0 {
            continue;
        }
        let stop = first.flight.destination.clone();
        let days = [Some(wanted.date), wanted.date.tomorrow().ok()];
        for date in days.into_iter().flatten() {
            for second in flights(&stop, date, wanted) {
                let change = minutes(first.arrival, second.departure);
                if second.flight.destination == destination && CHANGE.contains(&change) {
                    found.push(itinerary(vec![first.again(), second], wanted));
                }
            }
        }
    }
}

impl Seat {
    fn again(&self) -> Self {
        let flight = &self.flight;
        Self {
            flight: Flight {
                flight_number: flight.flight_number.clone(),
                origin: flight.origin.clone(),
                destination: flight.destination.clone(),
                departure: flight.departure.clone(),
                arrival: flight.arrival.clone(),
            },
            ..*self
        }
    }
}

/// Returns the flights that leave an airport on a day with seats for everybody.
fn flights<'a>(origin: &'a str, date: Date, wanted: &'a Wanted) -> impl Iterator<Item = Seat> + 'a {
    let day = published(date).to_string();
    let from = PUBLISHED
        .flights
        .values()
        .filter(move |flight| flight.origin == origin);
    from.filter_map(move |flight| {
        let at = flight.dates.get(&day)?;
        let seats = at.available_seats?.of(wanted.cabin);
        let price = at.prices?.of(wanted.cabin);
        let departure = moment(date, &flight.scheduled_departure_time_est)?;
        let arrival = moment(date, &flight.scheduled_arrival_time_est)?;
        (seats >= wanted.passengers).then(|| Seat {
            flight: Flight {
                flight_number: flight.flight_number.clone(),
                origin: flight.origin.clone(),
                destination: flight.destination.clone(),
                departure: format!("{departure}-05:00"),
                arrival: format!("{arrival}-05:00"),
            },
            departure,
            arrival,
            seats,
            price,
        })
    })
}

/// Returns the published day that stands for `date`.
fn published(date: Date) -> Date {
    let days = (date - FIRST_DAY).get_days().rem_euclid(DAYS);
    FIRST_DAY.saturating_add(Span::new().days(days))
}

/// Reads a time of a day, `01:30:00+1` being one of the next.
fn moment(date: Date, text: &str) -> Option<DateTime> {
    let (time, next) = match text.strip_suffix("+1") {
        Some(time) => (time, true),
        None => (text, false),
    };
    let time: Time = time.parse().ok()?;
    let date = if next { date.tomorrow().ok()? } else { date };
    Some(date.to_datetime(time))
}

fn minutes(from: DateTime, to: DateTime) -> i64 {
    to.duration_since(from).as_mins()
}

fn itinerary(flights: Vec<Seat>, wanted: &Wanted) -> Itinerary {
    let duration = match (flights.first(), flights.last()) {
        (Some(first), Some(last)) => minutes(first.departure, last.arrival),
        _ => 0,
    };
    let dollars: i64 = flights.iter().map(|flight| flight.price).sum();
    Itinerary {
        stops: flights.len().saturating_sub(1),
        duration_minutes: duration,
        seats_left: flights.iter().map(|flight| flight.seats).min().unwrap_or(0),
        total: Money {
            amount_minor: dollars * wanted.passengers * 100,
            currency: "USD",
        },
        flights: flights.into_iter().map(|flight| flight.flight).collect(),
        sponsored: false,
    }
}

fn sort(itineraries: &mut [Itinerary], sort: Sort) {
    let departure = |one: &Itinerary| one.flights.first().map(|f| f.departure.clone());
    let numbers = |one: &Itinerary| -> Vec<String> {
        one.flights
            .iter()
            .map(|f| f.flight_number.clone())
            .collect()
    };
    itineraries.sort_by_cached_key(|one| {
        let (price, duration) = (one.total.amount_minor, one.duration_minutes);
        let first = match sort {
            Sort::Price => (price, duration, None),
            Sort::Duration => (duration, price, None),
            Sort::Departure => (0, 0, departure(one)),
        };
        // Equal ones are told apart by their numbers: the order is always the same.
        (first, price, numbers(one))
    });
}
