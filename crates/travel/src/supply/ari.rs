//! Availability, rates and inventory (ARI) that hotels send.
//!
//! # Invariants
//!
//! * A value that was sent later replaces one that was sent earlier, whatever order
//!   they arrive in; of two of the same second the one that arrives later counts.
//!   A duplicate therefore changes nothing.
//! * A message is applied to a hotel as a whole or not at all.

use airside_base::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{HotelId, PlanCode, RoomCode};

/// Most changes of one message.
pub const MAX_CHANGES: usize = 10_000;
/// Longest pattern of lengths of stay.
pub const MAX_PATTERN: usize = 63;

/// One message about one hotel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updates {
    /// Which hotel.
    pub hotel: HotelId,
    /// When the hotel sent it: decides which of two values counts.
    pub sent: Timestamp,
    /// What changes, in order. A complete set begins with [`What::Reset`].
    pub changes: Vec<Change>,
}

/// One value for some nights. Without room type or rate plan it holds for all of them,
/// beside the values that are set for a narrower choice: the strictest restriction
/// counts, and a hotel, room type, plan or product that is closed is closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which room type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomCode>,
    /// Which rate plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanCode>,
    /// First date.
    pub from: Date,
    /// Last date, included.
    pub to: Date,
    /// On which days of the week.
    #[serde(default, skip_serializing_if = "Weekdays::is_all")]
    pub days: Weekdays,
    /// The value.
    pub what: What,
}

/// Days of the week; bit 0 is Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weekdays(pub u8);

impl Default for Weekdays {
    fn default() -> Self {
        Self(0x7f)
    }
}

impl Weekdays {
    /// Returns whether every day is among them.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.0 & 0x7f == 0x7f
    }
}

/// What a change sets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "set", content = "to", rename_all = "snake_case")]
pub enum What {
    /// Rooms that may still be sold, beyond those that are sold or held here.
    /// Needs a room type and no rate plan: plans share the rooms.
    Free(u16),
    /// Rooms that may be sold beyond those that exist. Same level as [`What::Free`].
    Allowance(u16),
    /// Master stop sell.
    Closed(bool),
    /// CTA.
    ClosedToArrival(bool),
    /// CTD: tested on the departure date.
    ClosedToDeparture(bool),
    /// Fewest nights of a stay that begins on the date; 0 is no limit.
    MinimumFromArrival(u8),
    /// Most nights of a stay that begins on the date; 0 is no limit.
    MaximumFromArrival(u8),
    /// Fewest nights of a stay that includes the night; 0 is no limit.
    MinimumThrough(u8),
    /// Most nights of a stay that includes the night; 0 is no limit.
    MaximumThrough(u8),
    /// Which lengths of a stay that begins on the date are sold, one night first.
    /// Longer stays inherit the last value; an empty pattern is no limit.
    Lengths(Vec<bool>),
    /// Fewest and most days between booking and arrival; `None` is no limit.
    BookingWindow {
        /// Fewest.
        min_days: Option<u16>,
        /// Most.
        max_days: Option<u16>,
    },
    /// Best available rate for two adults in minor units, from which the prices of
    /// other guests and of derived plans follow. Needs a room type and no rate plan.
    BaseRate(i64),
    /// Prices by guests. Needs a room type and a rate plan.
    Rate(RateCard),
    /// Back to what holds without any message, at this level and for every value.
    Reset,
}

/// What a night costs by who sleeps in the room, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RateCard {
    /// For one adult, two adults, and so on.
    pub adults: Vec<i64>,
    /// For each adult beyond the end of `adults`; without it so many do not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_adult: Option<i64>,
    /// For children. One outside of every band pays as an adult.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Band>,
}

/// What a child of some age costs a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Band {
    /// First age in completed years.
    pub from: u8,
    /// First age that is not in the band.
    pub below: u8,
    /// Minor units.
    pub amount: i64,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Values of single nights that were set.
    pub cells: u64,
    /// Values that a later message had set already.
    pub superseded: u64,
    /// Values for nights that are not kept: past or too far ahead.
    pub outside: u64,
}
