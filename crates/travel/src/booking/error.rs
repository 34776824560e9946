//! Why a booking tool did not do what was asked.

use std::borrow::Cow;

use airside_base::{Fault, Kind};
use airside_builtin::arguments;
use airside_ledger::{
    AppendError, DraftError, LeaseError, ReadError, TableError, conversation,
    erasure::EraseError,
    keys::{OpenError, SealError},
};

use crate::{error::Rejection, supply};

/// Why a booking tool did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the arguments hold what looks like the number of a payment card")]
    CardNumber,
    #[error("the caller is not identified")]
    Unidentified,
    #[error("there is no such booking session")]
    SessionUnknown,
    #[error("there is no such booking")]
    BookingUnknown,
    #[error("the offer_ref cannot be read")]
    OfferUnknown,
    #[error("the terms have expired")]
    Expired,
    #[error("the session is not ready: {missing}")]
    NotReady { missing: &'static str },
    #[error("the session is not paid or guaranteed yet")]
    Unpaid,
    #[error("`payment_token` is not a network token")]
    Token,
    #[error("the hotel has been asked and its answer is not known yet")]
    InProgress,
    #[error("the session has ended in booking {booking}")]
    AlreadyCompleted { booking: String },
    #[error("the session has been canceled")]
    Canceled,
    #[error("`idempotency_key` is not a key")]
    Key,
    #[error("the idempotency_key names another request")]
    KeyReused,
    #[error("the terms are not those of the session")]
    TermsChanged,
    #[error("there is no consent of the traveller")]
    Consent,
    #[error("the AI disclosure was not shown")]
    Disclosure,
    #[error("`booker.{field}` cannot be used")]
    Guest { field: &'static str },
    #[error("{open} booking sessions are open")]
    TooManySessions { open: usize },
    #[error("the booking is cancelled")]
    BookingCancelled,
    #[error("nothing would change")]
    NothingToChange,
    #[error("`{field}` is too long")]
    TooLong { field: &'static str, max: usize },
    #[error("forgetting was not confirmed")]
    NotConfirmed,
    #[error("there is no such conversation")]
    ConversationUnknown,
    #[error("there is no number {pick} in what was shown last")]
    Pick { pick: i64, shown: usize },
    #[error("the conversation was changed by another call meanwhile")]
    ConversationBusy,
    #[error(transparent)]
    Arguments(#[from] Rejection),
    #[error(transparent)]
    Supply(#[from] supply::Error),
    #[error("another call changed the same thing")]
    Race,
    /// The ledger or the keys.
    #[error("it cannot be kept at the moment")]
    Kept(#[source] Box<dyn std::error::Error + Send + Sync>),
}

macro_rules! kept {
    ($($error:ty),*) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::Kept(Box::new(error))
            }
        }
    )*};
}

kept!(
    ReadError, LeaseError, DraftError, SealError, OpenError, EraseError
);

impl From<arguments::Error> for Refusal {
    fn from(error: arguments::Error) -> Self {
        Self::Arguments(error.into())
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Stale { .. } => Self::Race,
            error => Self::Kept(Box::new(error)),
        }
    }
}

impl From<TableError> for Refusal {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Append(error) => error.into(),
            error => Self::Kept(Box::new(error)),
        }
    }
}

impl From<conversation::Error> for Refusal {
    fn from(error: conversation::Error) -> Self {
        use conversation::Error;
        match error {
            // Pinned elsewhere or erased: from here it does not exist.
            Error::Missing | Error::Erased | Error::OtherRegion { .. } => Self::ConversationUnknown,
            Error::Stale { .. } => Self::ConversationBusy,
            error => Self::Kept(Box::new(error)),
        }
    }
}

impl Refusal {
    /// Returns what the caller may know.
    pub(crate) fn fault(&self) -> Fault {
        let (kind, code, hint): (Kind, &'static str, Cow<'static, str>) = match self {
            Self::Arguments(rejection) => return rejection.fault(),
            Self::Supply(error) => return error.fault(),
            Self::CardNumber => (Kind::Invalid, "TRV-200", "never send card numbers: the traveller pays at the hotel or on the hotel's payment page; remove the number and call again".into()),
            Self::Unidentified => (Kind::Unauthenticated, "TRV-201", "call with the API key of the traveller's platform; searching needs none".into()),
            Self::SessionUnknown => (Kind::NotFound, "TRV-202", "use a session_id or quote_id of this caller, or create a new session from an offer_ref".into()),
            Self::BookingUnknown => (Kind::NotFound, "TRV-203", "use a booking_id that list_my_bookings returned".into()),
            Self::OfferUnknown => (Kind::Invalid, "TRV-204", "use an offer_ref that search_hotels or check_availability returned".into()),
            Self::Expired => (Kind::Conflict, "TRV-205", "begin again with create_booking_session or a new quote, and show the traveller the terms it returns".into()),
            Self::NotReady { .. } => (Kind::Conflict, "TRV-206", "add what is missing with update_booking_session, then let the traveller review the terms".into()),
            Self::Unpaid => (Kind::Conflict, "TRV-320", "show the traveller the session: they pay on the page at continue_url, then read it again".into()),
            Self::Token => (Kind::Invalid, "TRV-325", "send the token that a card network or wallet made, never a card number, or leave payment_token out".into()),
            Self::InProgress => (Kind::Conflict, "TRV-207", "do not book again: ask get_booking_session in a few seconds".into()),
            Self::AlreadyCompleted { .. } => (Kind::Conflict, "TRV-208", "use get_booking to show it; to book more, create a new session".into()),
            Self::Canceled => (Kind::Conflict, "TRV-209", "create a new session from an offer_ref".into()),
            Self::Key => (Kind::Invalid, "TRV-210", "use a fresh UUID for each new request and repeat it only with the same arguments".into()),
            Self::KeyReused => (Kind::Conflict, "TRV-211", "use a fresh UUID: a key may be repeated only with the same arguments".into()),
            Self::TermsChanged => (Kind::Conflict, "TRV-212", "read the session again and let the traveller review the terms it has now".into()),
            Self::Consent => (Kind::Forbidden, "TRV-213", "only the traveller can consent, in the booking view or with `airside call` at a terminal; show the session and wait".into()),
            Self::Disclosure => (Kind::Invalid, "TRV-214", "show the traveller that an AI assists, then send disclosure_shown as true".into()),
            Self::Guest { .. } => (Kind::Invalid, "TRV-215", "send first_name, last_name and email of the lead guest, phone_number as +14155550123".into()),
            Self::TooManySessions { .. } => (Kind::Exhausted, "TRV-216", "complete or cancel open sessions first".into()),
            Self::BookingCancelled => (Kind::Conflict, "TRV-217", "a cancelled booking cannot be changed; make a new one".into()),
            Self::NothingToChange => (Kind::Invalid, "TRV-218", "send new dates, nights_delta or another offer_ref".into()),
            Self::ConversationUnknown => (Kind::NotFound, "TRV-219", "send conversation as `new` with the next search, and use the handle that it returns".into()),
            Self::Pick { shown, .. } if *shown == 0 => (Kind::Invalid, "TRV-220", "search with this conversation first, then pick from the results".into()),
            Self::Pick { shown, .. } => (Kind::Invalid, "TRV-220", format!("pick is 1 to {shown} in the order of the last result").into()),
            Self::ConversationBusy => (Kind::Conflict, "TRV-221", "repeat the call".into()),
            Self::TooLong { max, .. } => (Kind::Invalid, "TRV-222", format!("use at most {max} characters").into()),
            Self::NotConfirmed => (Kind::Invalid, "TRV-223", "ask the traveller, then send confirm as true".into()),
            Self::Race => (Kind::Conflict, "TRV-230", "read it again and repeat the call".into()),
            Self::Kept(_) => (Kind::Unavailable, "TRV-231", "nothing was done; try again in a moment".into()),
        };
        Fault::new(kind, code, self.to_string()).with_hint(hint)
    }
}
