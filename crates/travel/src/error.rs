//! Why a tool call cannot be answered.
//!
//! A rejection is part of the conversation: it is returned as a tool result with
//! a code, one sentence about what is wrong and one about what to do, so that a
//! model can correct its call or ask the traveller.

use airside_base::{Fault, Kind};
use jiff::civil::Date;

use crate::stay::{MAX_DAYS_AHEAD, MAX_NIGHTS, MAX_ROOMS};

/// Why a call was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    /// The arguments do not have the form of the input schema. `reason` is bounded.
    #[error("the arguments do not fit the input schema at `{path}`: {reason}")]
    Arguments { path: String, reason: String },
    #[error("`{field}` is not a date")]
    DateUnreadable { field: &'static str },
    #[error("check-in {check_in} is in the past; it is {today} at the hotel")]
    DatePast { check_in: Date, today: Date },
    #[error("check-out is not after check-in")]
    CheckOutNotAfter,
    #[error("the stay is longer than {MAX_NIGHTS} nights")]
    StayTooLong,
    #[error("check-in is more than {MAX_DAYS_AHEAD} days ahead")]
    TooFarAhead { latest: Date },
    #[error("{rooms} rooms were asked for")]
    Rooms { rooms: usize },
    #[error("a room has an impossible number of guests")]
    Guests,
    #[error("{age} is not the age of a child")]
    ChildAge { age: i64 },
    #[error("the currency is unknown")]
    CurrencyUnknown,
    #[error("prices there are in {quoted}")]
    CurrencyOther { quoted: &'static str },
    #[error("no city of that name is known")]
    PlaceUnknown { near: Vec<String> },
    #[error("the place is empty or too long")]
    PlaceUnreadable,
    #[error("there is no such property")]
    PropertyUnknown,
    #[error("the cursor does not belong to this search")]
    Cursor,
    #[error("`{field}` is outside its range")]
    Range { field: &'static str, range: &'static str },
}

impl Rejection {
    /// Returns what the caller may know.
    pub(crate) fn fault(&self) -> Fault {
        let invalid = |code, text: String, hint: &str| {
            Fault::new(Kind::Invalid, code, text).with_hint(hint.to_owned())
        };
        let text = self.to_string();
        match self {
            Self::Arguments { .. } => invalid("TRV-001", text, "send the arguments that the input schema describes"),
            Self::DateUnreadable { .. } => invalid("TRV-002", text, "write dates as YYYY-MM-DD, for example 2026-12-24"),
            Self::DatePast { today, .. } => invalid("TRV-003", text, &format!("use a check-in date of {today} or later")),
            Self::CheckOutNotAfter => invalid("TRV-004", text, "check_out has to be at least one day after check_in"),
            Self::StayTooLong => invalid("TRV-005", text, &format!("split the stay into parts of at most {MAX_NIGHTS} nights")),
            Self::TooFarAhead { latest } => invalid("TRV-006", text, &format!("use a check-in date of {latest} or earlier")),
            Self::Rooms { .. } => invalid("TRV-007", text, &format!("ask for 1 to {MAX_ROOMS} rooms; larger groups book with the hotel's group desk")),
            Self::Guests => invalid("TRV-008", text, "each room takes 1 to 8 adults and up to 6 children, at least one adult"),
            Self::ChildAge { .. } => invalid("TRV-009", text, "child_ages holds ages of 0 to 17 years on the day of check-in; count everybody older in adults"),
            Self::CurrencyUnknown => invalid("TRV-010", text, "use an ISO 4217 code such as USD, EUR or JPY, or leave currency out"),
            Self::CurrencyOther { quoted } => invalid("TRV-015", text, &format!("give max_price_per_night in {quoted} and leave currency out or set it to {quoted}")),
            Self::PlaceUnknown { near } if near.is_empty() => Fault::new(Kind::NotFound, "TRV-011", text)
                .with_hint("name a city of at least 15,000 inhabitants, with its country if it is not well known"),
            Self::PlaceUnknown { near } => Fault::new(Kind::NotFound, "TRV-011", text)
                .with_hint(format!("did the traveller mean {}?", near.join(" or "))),
            Self::PlaceUnreadable => invalid("TRV-012", text, "place is the name of one city, for example `Boston` or `Portland, Maine`"),
            Self::PropertyUnknown => Fault::new(Kind::NotFound, "TRV-013", text)
                .with_hint("use a property_id that search_hotels returned"),
            Self::Cursor => invalid("TRV-014", text, "repeat the search without a cursor, or send next_cursor with otherwise unchanged arguments"),
            Self::Range { range, .. } => invalid("TRV-016", text, range),
        }
    }
}
