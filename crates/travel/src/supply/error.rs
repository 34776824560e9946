//! Why a supplier did not do what was asked.

use std::{fmt, time::Duration};

use airside_base::{Fault, Kind};
use jiff::civil::Date;

use super::{MAX_DAYS_AHEAD, MAX_NIGHTS, MAX_ROOMS};

/// Why a supplier did not do what was asked. A refusal says so at once; only after
/// [`Error::Unknown`] something may have been taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such hotel.
    #[error("there is no such hotel")]
    HotelUnknown,
    /// The hotel does not sell this.
    #[error("the hotel does not sell `{what}`")]
    NotSold {
        /// The room type or rate plan.
        what: String,
    },
    /// The stay or the number of rooms is outside of what is sold.
    #[error("{why}")]
    Range {
        /// What is wrong.
        why: &'static str,
    },
    /// Not enough rooms are left for one night.
    #[error("not enough rooms are left on {night}")]
    SoldOut {
        /// The first such night.
        night: Date,
    },
    /// The hotel does not take such stays.
    #[error("the hotel does not take this stay: {0}")]
    Restricted(Rule),
    /// The guests do not fit into the room.
    #[error("the guests do not fit into the room")]
    Occupancy,
    /// The price is not what the traveller has seen.
    #[error("the price has changed")]
    PriceChanged {
        /// What it is now, in minor units.
        now: i64,
    },
    /// The hold came to its end.
    #[error("the hold has expired")]
    Expired,
    /// Nothing is known under this reference.
    #[error("there is no reservation of this reference")]
    NotFound,
    /// The reference names something else already.
    #[error("the reference was used for something else")]
    Mismatch,
    /// The reservation is in a state in which this cannot be done.
    #[error("the reservation is {is}")]
    State {
        /// `held`, `booked`, `released`, `expired` or `cancelled`.
        is: &'static str,
    },
    /// It may have been done or not.
    #[error("whether it was done is not known")]
    Unknown,
    /// The supplier cannot answer at the moment; nothing was done.
    #[error("the supplier does not answer at the moment")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// An update cannot be applied.
    #[error("update {index} cannot be applied: {why}")]
    Update {
        /// Its position in the message, from 0.
        index: usize,
        /// What is wrong.
        why: &'static str,
    },
}

/// A restriction that a stay breaks (the names of the Open Travel messages).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Master stop sell of a night.
    Closed(Date),
    /// Closed to arrival on the arrival date (CTA).
    ClosedToArrival(Date),
    /// Closed to departure on the departure date (CTD).
    ClosedToDeparture(Date),
    /// Fewest nights.
    MinimumStay(u8),
    /// Most nights.
    MaximumStay(u8),
    /// Stays of this length are not sold from this arrival date (full-pattern LOS).
    LengthOfStay,
    /// Too early or too late before arrival, in days of the hotel's calendar.
    BookingWindow,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(date) => write!(f, "it is closed on {date}"),
            Self::ClosedToArrival(date) => write!(f, "no arrival on {date}"),
            Self::ClosedToDeparture(date) => write!(f, "no departure on {date}"),
            Self::MinimumStay(nights) => write!(f, "at least {nights} nights"),
            Self::MaximumStay(nights) => write!(f, "at most {nights} nights"),
            Self::LengthOfStay => f.write_str("not this number of nights from this arrival"),
            Self::BookingWindow => f.write_str("not this long before the arrival"),
        }
    }
}

impl Error {
    /// Returns whether the same call may be made again and could then succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unknown | Self::Unavailable { .. })
    }

    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let (kind, code, hint) = self.parts();
        let fault = Fault::new(kind, code, self.to_string()).with_hint(hint);
        match self {
            Self::Unavailable { retry_after } => fault.with_retry_after(*retry_after),
            _ => fault,
        }
    }

    fn parts(&self) -> (Kind, &'static str, String) {
        let (kind, code, hint) = match self {
            Self::HotelUnknown => (
                Kind::NotFound,
                "TRV-100",
                "use a property_id that search_hotels returned",
            ),
            Self::NotSold { .. } => (
                Kind::NotFound,
                "TRV-101",
                "use a room type and rate plan that check_availability returned",
            ),
            Self::SoldOut { .. } => (
                Kind::Conflict,
                "TRV-102",
                "offer the traveller other dates, another room type or another hotel",
            ),
            Self::Restricted(_) => (
                Kind::Conflict,
                "TRV-103",
                "offer the traveller other dates or another hotel",
            ),
            Self::Occupancy => (
                Kind::Invalid,
                "TRV-104",
                "choose a larger room type or spread the guests over more rooms",
            ),
            Self::PriceChanged { now } => {
                let hint =
                    format!("show the traveller the new total of {now} minor units and ask again");
                return (Kind::Conflict, "TRV-105", hint);
            }
            Self::Expired => (
                Kind::Conflict,
                "TRV-106",
                "check availability and begin again",
            ),
            Self::NotFound => (
                Kind::NotFound,
                "TRV-107",
                "use the reference that was given when the rooms were taken",
            ),
            Self::Mismatch => (
                Kind::Conflict,
                "TRV-108",
                "use a new reference for a new request",
            ),
            Self::State { .. } => (
                Kind::Conflict,
                "TRV-109",
                "read the reservation and decide again",
            ),
            Self::Unknown => (
                Kind::Internal,
                "TRV-110",
                "read the reservation again before anything else; do not book twice",
            ),
            Self::Unavailable { .. } => (Kind::Unavailable, "TRV-111", "try again later"),
            Self::Range { .. } => {
                let hint = format!(
                    "1 to {MAX_NIGHTS} nights, 1 to {MAX_ROOMS} rooms, arrival within {MAX_DAYS_AHEAD} days"
                );
                return (Kind::Invalid, "TRV-112", hint);
            }
            Self::Update { .. } => (
                Kind::Invalid,
                "TRV-113",
                "correct the update and send the message again",
            ),
        };
        (kind, code, hint.to_owned())
    }
}
