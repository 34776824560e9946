//! What has been taken, and under which terms.

use airside_base::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cancellation, HotelId, Party, PlanCode, Prepay, Price, Reference, RoomCode, Stay};

/// What a traveller has chosen. Units may be of different room types and rate plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// The hotel.
    pub hotel: HotelId,
    /// The nights.
    pub stay: Stay,
    /// The rooms.
    pub units: Vec<Unit>,
    /// The all-in total in minor units that the traveller has seen. Another one is
    /// refused with [`super::Error::PriceChanged`].
    pub expected_total: Option<i64>,
}

/// One room of a selection.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Unit {
    /// Its type.
    pub room: RoomCode,
    /// How it is sold.
    pub plan: PlanCode,
    /// Who sleeps in it.
    pub party: Party,
}

/// Who stays, and how the hotel reaches them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// Given name.
    pub first_name: String,
    /// Family name.
    pub last_name: String,
    /// E-mail address.
    pub email: String,
    /// As +14155550123.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
}

/// A selection that could be held now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// What it costs.
    pub price: Price,
    /// What it would cost to cancel it.
    pub cancellation: Cancellation,
    /// What the hotel asks for before it books.
    pub prepay: Prepay,
    /// Rooms that are left of the scarcest type in the scarcest night.
    pub left: u16,
}

/// Rooms that are held or booked, or were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// The caller's name of it.
    pub reference: Reference,
    /// The hotel.
    pub hotel: HotelId,
    /// The nights.
    pub stay: Stay,
    /// The rooms.
    pub units: Vec<Unit>,
    /// What was agreed.
    pub price: Price,
    /// What it costs to cancel.
    pub cancellation: Cancellation,
    /// What the hotel asks for before it books.
    #[serde(default, skip_serializing_if = "Prepay::is_none")]
    pub prepay: Prepay,
    /// Where it stands.
    pub state: State,
    /// The last change that was made, by the caller's name of it.
    pub change: Option<Reference>,
}

/// Where a reservation stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum State {
    /// The rooms are kept until an instant.
    Held {
        /// When the hold ends.
        until: Timestamp,
    },
    /// The rooms are booked.
    Booked {
        /// What the hotel calls the booking.
        confirmation: String,
        /// When it was confirmed.
        at: Timestamp,
    },
    /// The hold was given back.
    Released {
        /// When.
        at: Timestamp,
    },
    /// The hold came to its end.
    Expired {
        /// When it was ended.
        at: Timestamp,
    },
    /// The booking was cancelled.
    Cancelled {
        /// What the hotel called it.
        confirmation: String,
        /// When.
        at: Timestamp,
        /// What it cost in minor units.
        penalty: i64,
    },
}

impl Reservation {
    /// Returns whether this is what `selection` asks for.
    #[must_use]
    pub fn is_of(&self, selection: &Selection) -> bool {
        self.hotel == selection.hotel
            && self.stay == selection.stay
            && self.units == selection.units
    }

    /// Returns whether rooms are kept for it.
    #[must_use]
    pub fn takes_rooms(&self) -> bool {
        matches!(self.state, State::Held { .. } | State::Booked { .. })
    }

    /// Returns the hotel's name of the booking.
    #[must_use]
    pub fn confirmation(&self) -> Option<&str> {
        match &self.state {
            State::Booked { confirmation, .. } | State::Cancelled { confirmation, .. } => {
                Some(confirmation)
            }
            State::Held { .. } | State::Released { .. } | State::Expired { .. } => None,
        }
    }
}
