//! Where rooms and rates come from.

use std::collections::BTreeMap;

use airside_supply::intake::Hotel;
use airside_travel::{
    house::Houses,
    supply::{HotelId, PlanCode, RoomCode},
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Hotels whose own systems send rooms and rates to `POST /v1/supply/alpinebits` of the
/// control API, in AlpineBits 2018-10 to 2024-10.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Supply {
    /// Such hotels, each `[[supply.hotel]]`.
    pub hotel: Vec<HotelSystem>,
}

/// A hotel whose own system sends rooms and rates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HotelSystem {
    /// The sender's `HotelCode`, 1 to 16 characters.
    pub code: String,
    /// Who may send for it: the name of an API key of a group with the role `supplier`.
    pub sender: String,
    /// The hotel of the travel server, by its `property_id`.
    #[schemars(with = "String")]
    pub property: HotelId,
    /// ISO 4217 code of its prices. Rates in another currency are refused.
    pub currency: String,
    /// The travel server's room types by the sender's codes: `double = "DBL"`. Others
    /// are refused. A hotel of `travel.properties` knows its own codes without it.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub rooms: BTreeMap<String, RoomCode>,
    /// The travel server's rate plans by the sender's codes: `HalfBoard = "FLEX"`.
    /// Others are refused. A hotel of `travel.properties` knows its own codes without it.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub plans: BTreeMap<String, PlanCode>,
}

impl HotelSystem {
    /// Returns how messages are read. A hotel of `travel.properties` knows its own codes;
    /// what is said here stands beside them.
    pub fn with_own_codes(&self, houses: &Houses) -> Hotel {
        let mut hotel = Hotel::from(self);
        if let Some((rooms, plans)) = houses.codes(&self.property) {
            for code in rooms {
                hotel.rooms.entry(code.to_string()).or_insert(code);
            }
            for code in plans {
                hotel.plans.entry(code.to_string()).or_insert(code);
            }
        }
        hotel
    }
}

impl From<&HotelSystem> for Hotel {
    fn from(hotel: &HotelSystem) -> Self {
        Self {
            code: hotel.code.clone(),
            sender: hotel.sender.clone(),
            property: hotel.property.clone(),
            currency: hotel.currency.clone(),
            rooms: hotel.rooms.clone(),
            plans: hotel.plans.clone(),
        }
    }
}
