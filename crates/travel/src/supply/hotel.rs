//! What a hotel is, apart from what it has for sale.

use jiff::tz::TimeZone;

use super::{Collected, Currency, HotelId, Nature, PlanCode, RoomCode};

/// What a list of hotels says about one.
#[derive(Debug, Clone, PartialEq)]
pub struct Brief {
    /// The hotel.
    pub id: HotelId,
    /// Its name.
    pub name: String,
    /// One to five.
    pub stars: u8,
    /// What guests think of it, out of 100, where the supplier knows.
    pub rating: Option<u8>,
    /// Part of the city, where the supplier knows.
    pub district: Option<String>,
    /// Latitude in 1e-5 degrees.
    pub lat_e5: i32,
    /// Longitude in 1e-5 degrees.
    pub lon_e5: i32,
    /// Its clock: all dates are in it.
    pub zone: TimeZone,
    /// What it quotes and is paid in.
    pub currency: Currency,
}

/// Everything about a hotel that does not change with dates.
#[derive(Debug, Clone, PartialEq)]
pub struct Hotel {
    /// What lists say.
    pub brief: Brief,
    /// Street and number.
    pub street: String,
    /// The city.
    pub city: String,
    /// The country.
    pub country: String,
    /// Metres to the centre of the city.
    pub distance_m: u32,
    /// How many rooms there are, where the supplier knows.
    pub rooms: Option<u16>,
    /// The kinds of rooms.
    pub room_types: Vec<RoomType>,
    /// The ways in which they are sold.
    pub plans: Vec<Plan>,
    /// Words of our own list, such as `free_wifi`.
    pub amenities: Vec<String>,
    /// Wall time `HH:MM`.
    pub check_in_from: String,
    /// Wall time `HH:MM`.
    pub check_out_until: String,
    /// A sentence about children.
    pub children: String,
    /// A sentence about cancelling.
    pub cancellation: String,
    /// Taxes and fees that are part of every price.
    pub charges: Vec<Charge>,
}

/// A kind of room.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomType {
    /// The supplier's code.
    pub code: RoomCode,
    /// For travellers.
    pub name: String,
    /// For travellers; empty where the supplier does not say.
    pub beds: String,
    /// Most guests who count as adults.
    pub max_adults: u8,
    /// Most children.
    pub max_children: u8,
    /// Most guests in all.
    pub max_guests: u8,
}

/// A way in which rooms are sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The supplier's code.
    pub code: PlanCode,
    /// For travellers.
    pub name: String,
    /// Whether breakfast is part of it.
    pub breakfast: bool,
}

/// A tax or fee that is part of every price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// What it is called.
    pub label: String,
    /// Who it is for.
    pub nature: Nature,
    /// When it is paid.
    pub collected: Collected,
    /// How it is computed.
    pub basis: String,
}

impl Hotel {
    /// Returns the room type of this code.
    #[must_use]
    pub fn room_type(&self, code: &RoomCode) -> Option<&RoomType> {
        self.room_types.iter().find(|room| room.code == *code)
    }

    /// Returns the rate plan of this code.
    #[must_use]
    pub fn plan(&self, code: &PlanCode) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.code == *code)
    }
}
