//! What has to be done about payment before rooms are booked.

use serde::{Deserialize, Serialize};

/// What the hotel asks for before it books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Prepay {
    /// Nothing: the traveller pays at the hotel.
    #[default]
    None,
    /// Something that it can charge if nobody comes or somebody cancels late.
    Guarantee {
        /// The most that it may charge, in minor units.
        amount: i64,
    },
    /// A part of the price or all of it.
    Now {
        /// Minor units. What is collected at the hotel is never part of it.
        amount: i64,
    },
}

impl Prepay {
    /// Returns whether the traveller pays at the hotel.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Returns the amount that a payment has to be able to give, in minor units.
    #[must_use]
    pub const fn amount(self) -> Option<i64> {
        match self {
            Self::None => None,
            Self::Guarantee { amount } | Self::Now { amount } => Some(amount),
        }
    }
}
