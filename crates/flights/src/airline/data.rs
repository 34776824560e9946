//! The data of the airline: flights, reservations and users of tau-bench.

use std::{collections::BTreeMap, io::Read as _, sync::LazyLock};

use flate2::read::GzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The published tables as one JSON object, packed.
const PACKED: &[u8] = include_bytes!("../../assets/airline.json.gz");
/// Most bytes of it unpacked: 3,053,226 are expected.
const MAX_UNPACKED: u64 = 4 << 20;

/// Everything as it is published. Decoded by the first who asks.
pub(crate) static PUBLISHED: LazyLock<Tables> = LazyLock::new(|| {
    let mut json = Vec::new();
    GzDecoder::new(PACKED)
        .take(MAX_UNPACKED)
        .read_to_end(&mut json)
        .expect("the asset is a whole gzip file");
    serde_json::from_slice(&json).expect("the asset has the form of the tables")
});

/// The tables.
#[derive(Debug, Deserialize)]
pub(crate) struct Tables {
    pub(crate) flights: BTreeMap<String, Flight>,
    pub(crate) reservations: BTreeMap<String, Reservation>,
    pub(crate) users: BTreeMap<String, User>,
}

/// One flight number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flight {
    pub(crate) flight_number: String,
    pub(crate) origin: String,
    pub(crate) destination: String,
    pub(crate) scheduled_departure_time_est: String,
    pub(crate) scheduled_arrival_time_est: String,
    pub(crate) dates: BTreeMap<String, Day>,
}

/// One flight on one day.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Day {
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) available_seats: Option<Cabins>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) prices: Option<Cabins>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actual_departure_time_est: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actual_arrival_time_est: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    estimated_departure_time_est: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    estimated_arrival_time_est: Option<String>,
}

/// A number for each cabin: seats, or whole US dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cabins {
    pub(crate) basic_economy: i64,
    pub(crate) economy: i64,
    pub(crate) business: i64,
}

impl Cabins {
    pub(crate) fn of(&self, cabin: Cabin) -> i64 {
        match cabin {
            Cabin::BasicEconomy => self.basic_economy,
            Cabin::Economy => self.economy,
            Cabin::Business => self.business,
        }
    }

    pub(crate) fn of_mut(&mut self, cabin: Cabin) -> &mut i64 {
        match cabin {
            Cabin::BasicEconomy => &mut self.basic_economy,
            Cabin::Economy => &mut self.economy,
            Cabin::Business => &mut self.business,
        }
    }
}

/// A class of seats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cabin {
    BasicEconomy,
    Economy,
    Business,
}

/// There and back, or there only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trip {
    OneWay,
    RoundTrip,
}

/// Whether there is travel insurance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Insurance {
    Yes,
    No,
}

/// Somebody who flies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Passenger {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
    /// Date of birth, YYYY-MM-DD.
    pub(crate) dob: String,
}

/// A booked flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Segment {
    pub(crate) origin: String,
    pub(crate) destination: String,
    pub(crate) flight_number: String,
    pub(crate) date: String,
    /// Whole US dollars for one passenger.
    pub(crate) price: i64,
}

/// An amount from or to a payment method of the user's profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payment {
    /// Id of a payment method in the user's profile, such as `credit_card_7815826`.
    pub(crate) payment_id: String,
    /// Whole US dollars.
    pub(crate) amount: i64,
}

/// A booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reservation {
    pub(crate) reservation_id: String,
    pub(crate) user_id: String,
    pub(crate) origin: String,
    pub(crate) destination: String,
    pub(crate) flight_type: Trip,
    pub(crate) cabin: Cabin,
    pub(crate) flights: Vec<Segment>,
    pub(crate) passengers: Vec<Passenger>,
    pub(crate) payment_history: Vec<Payment>,
    pub(crate) created_at: String,
    pub(crate) total_baggages: u32,
    pub(crate) nonfree_baggages: u32,
    pub(crate) insurance: Insurance,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<String>,
}

/// Somebody with a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct User {
    pub(crate) name: Name,
    pub(crate) address: BTreeMap<String, String>,
    pub(crate) email: String,
    pub(crate) dob: String,
    pub(crate) payment_methods: BTreeMap<String, Method>,
    pub(crate) saved_passengers: Vec<Passenger>,
    pub(crate) membership: String,
    pub(crate) reservations: Vec<String>,
}

/// What somebody is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Name {
    pub(crate) first_name: String,
    pub(crate) last_name: String,
}

/// How somebody pays. A card is a brand and four digits here, never a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Method {
    CreditCard {
        brand: String,
        last_four: String,
        id: String,
    },
    GiftCard {
        amount: i64,
        id: String,
    },
    Certificate {
        amount: i64,
        id: String,
    },
}

/// The airports that the flights connect: IATA code and city, as tau-bench names it.
pub(crate) const AIRPORTS: [(&str, &str); 20] = [
    ("SFO", "San Francisco"),
    ("JFK", "New York"),
    ("LAX", "Los Angeles"),
    ("ORD", "Chicago"),
    ("DFW", "Dallas"),
    ("DEN", "Denver"),
    ("SEA", "Seattle"),
    ("ATL", "Atlanta"),
    ("MIA", "Miami"),
    ("BOS", "Boston"),
    ("PHX", "Phoenix"),
    ("IAH", "Houston"),
    ("LAS", "Las Vegas"),
    ("MCO", "Orlando"),
    ("EWR", "Newark"),
    ("CLT", "Charlotte"),
    ("MSP", "Minneapolis"),
    ("DTW", "Detroit"),
    ("PHL", "Philadelphia"),
    ("LGA", "LaGuardia"),
];
