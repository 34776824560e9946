//! Why a tool call cannot be answered.
//!
//! A rejection is part of the conversation: it is returned as a tool result with
//! a code, one sentence about what is wrong and one about what to do, so that a
//! model can correct its call or ask the traveller.

use std::borrow::Cow;

use airside_base::{Fault, Kind};
use airside_builtin::arguments;
use jiff::civil::Date;

use crate::stay::{MAX_DAYS_AHEAD, MAX_NIGHTS, MAX_ROOMS};

/// Why a call was rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error(transparent)]
    Unread(#[from] arguments::Error),
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
}

impl Rejection {
    /// Returns what the caller may know.
    pub(crate) fn fault(&self) -> Fault {
        let (kind, code) = match self {
            Self::Unread(error) => return error.fault(),
            Self::DatePast { .. } => (Kind::Invalid, "TRV-003"),
            Self::CheckOutNotAfter => (Kind::Invalid, "TRV-004"),
            Self::StayTooLong => (Kind::Invalid, "TRV-005"),
            Self::TooFarAhead { .. } => (Kind::Invalid, "TRV-006"),
            Self::Rooms { .. } => (Kind::Invalid, "TRV-007"),
            Self::Guests => (Kind::Invalid, "TRV-008"),
            Self::ChildAge { .. } => (Kind::Invalid, "TRV-009"),
            Self::CurrencyUnknown => (Kind::Invalid, "TRV-010"),
            Self::PlaceUnknown { .. } => (Kind::NotFound, "TRV-011"),
            Self::PlaceUnreadable => (Kind::Invalid, "TRV-012"),
            Self::PropertyUnknown => (Kind::NotFound, "TRV-013"),
            Self::Cursor => (Kind::Invalid, "TRV-014"),
            Self::CurrencyOther { .. } => (Kind::Invalid, "TRV-015"),
        };
        Fault::new(kind, code, self.to_string()).with_hint(self.hint())
    }

    /// What to do. What was not read says so itself.
    fn hint(&self) -> Cow<'static, str> {
        match self {
            Self::Unread(_) => "".into(),
            Self::DatePast { today, .. } => {
                format!("use a check-in date of {today} or later").into()
            }
            Self::CheckOutNotAfter => "check_out has to be at least one day after check_in".into(),
            Self::StayTooLong => {
                format!("split the stay into parts of at most {MAX_NIGHTS} nights").into()
            }
            Self::TooFarAhead { latest } => {
                format!("use a check-in date of {latest} or earlier").into()
            }
            Self::Rooms { .. } => format!(
                "ask for 1 to {MAX_ROOMS} rooms; larger groups book with the hotel's group desk"
            )
            .into(),
            Self::Guests => {
                "each room takes 1 to 8 adults and up to 6 children, at least one adult".into()
            }
            Self::ChildAge { .. } => "child_ages holds ages of 0 to 17 years on the day of \
                 check-in; count everybody older in adults"
                .into(),
            Self::CurrencyUnknown => {
                "use an ISO 4217 code such as USD, EUR or JPY, or leave currency out".into()
            }
            Self::CurrencyOther { quoted } => format!(
                "give max_price_per_night in {quoted} and leave currency out or set it to {quoted}"
            )
            .into(),
            Self::PlaceUnknown { near } if near.is_empty() => "name a city of at least 15,000 \
                 inhabitants, with its country if it is not well known"
                .into(),
            Self::PlaceUnknown { near } => {
                format!("did the traveller mean {}?", near.join(" or ")).into()
            }
            Self::PlaceUnreadable => {
                "place is the name of one city, for example `Boston` or `Portland, Maine`".into()
            }
            Self::PropertyUnknown => "use a property_id that search_hotels returned".into(),
            Self::Cursor => "repeat the search without a cursor, or send next_cursor with \
                 otherwise unchanged arguments"
                .into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_carry_what_the_caller_needs() {
        let past = Rejection::DatePast {
            check_in: jiff::civil::date(2026, 11, 22),
            today: jiff::civil::date(2026, 11, 23),
        };
        let fault = past.fault();
        assert_eq!(
            (fault.to_string().as_str(), fault.hint()),
            (
                "check-in 2026-11-22 is in the past; it is 2026-11-23 at the hotel [TRV-003]",
                Some("use a check-in date of 2026-11-23 or later"),
            )
        );
    }
}
