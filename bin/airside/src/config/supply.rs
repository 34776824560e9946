//! Where rooms and rates come from.

use std::collections::BTreeMap;

use airside_supply::intake::Hotel;
use airside_travel::supply::{HotelId, PlanCode, RoomCode};
use schemars::JsonSchema;
use serde::Deserialize;

/// Hotels whose own systems send rooms and rates to `POST /v1/supply/alpinebits` of the
/// control API, in AlpineBits 2018-10 to 2024-10.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Supply {
    /// Such hotels, each `[[supply.hotel]]`.
    pub(crate) hotel: Vec<HotelSystem>,
}

/// A hotel whose own system sends rooms and rates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct HotelSystem {
    /// The sender's `HotelCode`, 1 to 16 characters.
    pub(crate) code: String,
    /// Who may send for it: the name of an API key of a group with the role `supplier`.
    pub(crate) sender: String,
    /// The hotel of the travel server, by its `property_id`.
    #[schemars(with = "String")]
    pub(crate) property: HotelId,
    /// ISO 4217 code of its prices. Rates in another currency are refused.
    pub(crate) currency: String,
    /// The travel server's room types by the sender's codes: `double = "DBL"`. Others
    /// are refused.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) rooms: BTreeMap<String, RoomCode>,
    /// The travel server's rate plans by the sender's codes: `HalfBoard = "FLEX"`.
    /// Others are refused.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(crate) plans: BTreeMap<String, PlanCode>,
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
