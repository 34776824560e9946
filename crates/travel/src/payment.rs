//! The port to whoever takes payments.
//!
//! # Invariants that every implementation keeps
//!
//! * **No card number passes.** The traveller types it into the provider's page, or a
//!   network holds it behind a token; what is kept here is a reference.
//! * **Idempotent by our own reference.** [`Payments::open`] and [`Payments::refund`]
//!   repeated with the same reference and content are the first one.
//! * **Money moves once it is told to.** An open payment that the traveller finishes is
//!   authorised: reserved, not taken. [`Payments::capture`] takes it.
//! * **Unknown is a state.** After [`Error::Unknown`] the caller asks the same again or
//!   reads back; it never asks for another payment instead.
//! * **Bound to the terms.** A payment that is read back is of the amount, the currency
//!   and the terms that it was opened for, or it is [`Error::Foreign`].
//!
//! [`contract`] is these sentences as code; each implementation runs it.

pub mod contract;
mod token;

use std::fmt;

use airside_base::{BoxFuture, Fault, Kind, Redacted, TenantId, Timestamp};

pub use self::token::Tokens;
use crate::supply::{Currency, Reference};

/// Somebody who takes payments.
pub trait Payments: Send + Sync + fmt::Debug {
    /// How travellers pay here.
    fn method(&self) -> Method;

    /// Opens a payment of `order`, or returns the one that it opened before.
    fn open<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>>;

    /// Reads a payment back. `id` is the provider's name of it.
    fn find<'a>(&'a self, id: &'a str, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>>;

    /// Takes `amount` minor units of what is authorised, which is all of it or less.
    /// Repeated, it is taken once.
    fn capture<'a>(
        &'a self,
        id: &'a str,
        order: &'a Order,
        amount: i64,
    ) -> BoxFuture<'a, Result<Payment, Error>>;

    /// Ends a payment of which nothing is taken. One that has ended so is returned.
    fn void<'a>(&'a self, id: &'a str, order: &'a Order) -> BoxFuture<'a, Result<Payment, Error>>;

    /// Gives `amount` minor units of what was taken back, once for each `refund`.
    fn refund<'a>(
        &'a self,
        id: &'a str,
        order: &'a Order,
        refund: &'a Reference,
        amount: i64,
    ) -> BoxFuture<'a, Result<Payment, Error>>;
}

/// How travellers pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// On a page of the provider's.
    HostedPage,
    /// By a token that a card network or a wallet made, which the hotel charges.
    NetworkToken,
}

/// What a payment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is taken with the booking.
    Charge,
    /// The hotel may take it under the terms of the booking.
    Guarantee,
}

/// What is to be paid.
#[derive(Debug, Clone)]
pub struct Order {
    /// Our name of the payment. It cannot be guessed.
    pub reference: Reference,
    /// Whose ledger it belongs to.
    pub tenant: TenantId,
    /// Whether it is taken or only a guarantee.
    pub purpose: Purpose,
    /// Minor units.
    pub amount: i64,
    /// The money of `amount`.
    pub currency: Currency,
    /// Digest of the terms that it is paid for.
    pub terms_digest: String,
    /// What the page says that it is for. No names of persons.
    pub summary: String,
    /// When the rooms are no longer held.
    pub expires: Timestamp,
    /// The traveller's token, where [`Method::NetworkToken`] asks for one.
    pub token: Option<Redacted<String>>,
}

/// A payment as its provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The provider's name of it.
    pub id: String,
    /// Where it stands.
    pub state: State,
    /// The page on which the traveller goes on, while it is open.
    pub page: Option<String>,
    /// Minor units that were taken.
    pub captured: i64,
    /// Minor units that were given back.
    pub refunded: i64,
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The traveller has not paid yet.
    Open,
    /// The amount is reserved, or the token is there to be charged.
    Authorized,
    /// It was taken, all or a part.
    Captured,
    /// It has ended and nothing was taken.
    Voided,
}

/// Why a payment cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The answer was lost: it may have been done.
    #[error("the payment provider's answer was lost")]
    Unknown,
    /// It was not asked, or it says so.
    #[error("the payment provider cannot be reached")]
    Unavailable,
    /// It said no. `reason` is the provider's word, bounded and plain.
    #[error("the payment provider refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// What was read is not what was asked for.
    #[error("the payment provider's answer is not about this payment")]
    Foreign,
}

impl Error {
    /// Returns what the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let (kind, code, hint) = match self {
            Self::Unknown => (
                Kind::Unavailable,
                "TRV-321",
                "nothing is lost: ask get_booking_session again in a few seconds",
            ),
            Self::Unavailable => (
                Kind::Unavailable,
                "TRV-322",
                "ask get_booking_session again in a few seconds, or choose a rate that is paid at the hotel",
            ),
            Self::Refused { .. } => (
                Kind::Conflict,
                "TRV-323",
                "let the traveller choose another way to pay or a rate that is paid at the hotel",
            ),
            Self::Foreign => (
                Kind::Internal,
                "TRV-324",
                "begin again with create_booking_session",
            ),
        };
        Fault::new(kind, code, self.to_string()).with_hint(hint)
    }

    /// Returns whether asking again may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unknown | Self::Unavailable)
    }
}
