//! What a search returns.

use schemars::JsonSchema;
use serde::Serialize;

use crate::airline::Cabin;

/// Result of `search_flights`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Found {
    /// `ok`, or `error` with code, message and hint.
    pub(super) status: &'static str,
    /// Airports that were searched from.
    pub(super) origins: Vec<Airport>,
    /// Airports that were searched to.
    pub(super) destinations: Vec<Airport>,
    /// Day of departure.
    pub(super) date: String,
    /// Who flies.
    pub(super) passengers: i64,
    /// Class of seats.
    pub(super) cabin: Cabin,
    /// How many there are, before the limit.
    pub(super) itineraries_available: usize,
    /// In the order that was asked for.
    pub(super) itineraries: Vec<Itinerary>,
    /// Why they are in this order.
    pub(super) sort_explanation: &'static str,
    /// What travellers have to know.
    pub(super) notices: [&'static str; 2],
}

/// An airport.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub(crate) struct Airport {
    /// IATA code.
    pub(super) iata: &'static str,
    /// City.
    pub(super) city: &'static str,
}

/// One way to get there.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Itinerary {
    /// Flights in order.
    pub(super) flights: Vec<Flight>,
    /// Changes of plane.
    pub(super) stops: usize,
    /// From the first departure to the last arrival.
    pub(super) duration_minutes: i64,
    /// Seats that are left on the fullest flight, in this cabin.
    pub(super) seats_left: i64,
    /// What all passengers pay, everything included.
    pub(super) total: Money,
    /// Whether somebody paid for its position.
    pub(super) sponsored: bool,
}

/// One flight.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Flight {
    /// Number.
    pub(super) flight_number: String,
    /// IATA code.
    pub(super) origin: String,
    /// IATA code.
    pub(super) destination: String,
    /// Eastern Standard Time (RFC 3339).
    pub(super) departure: String,
    /// Eastern Standard Time (RFC 3339).
    pub(super) arrival: String,
}

/// An amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Money {
    /// Integer of minor units: cents.
    pub(super) amount_minor: i64,
    /// ISO 4217 code.
    pub(super) currency: &'static str,
}

/// Returns the result for models that do not read structures, and for people.
pub(super) fn text(found: &Found) -> String {
    let mut lines = vec![format!(
        "{} itineraries on {} for {} in {:?}.",
        found.itineraries_available, found.date, found.passengers, found.cabin
    )];
    for itinerary in &found.itineraries {
        let flights = itinerary.flights.iter().map(|flight| {
            format!(
                "{} {} {} to {} {}",
                flight.flight_number,
                flight.origin,
                flight.departure,
                flight.destination,
                flight.arrival
            )
        });
        let flights: Vec<_> = flights.collect();
        let cents = itinerary.total.amount_minor;
        lines.push(format!(
            "- {}.{:02} {}, {} min, {} seats left: {}",
            cents / 100,
            cents % 100,
            itinerary.total.currency,
            itinerary.duration_minutes,
            itinerary.seats_left,
            flights.join("; ")
        ));
    }
    lines.push(found.sort_explanation.to_owned());
    lines.extend(found.notices.map(str::to_owned));
    lines.join("\n")
}
