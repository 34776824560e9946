//! What the ledger keeps of payments.
//!
//! # Invariants
//!
//! * What is asked of the provider is in the ledger before it is asked (`…_requested`),
//!   and its answer after: intent and outcome.
//! * A payment belongs to the terms whose digest it names and is never used for others.
//! * Nothing here is a card number, and a token is sealed.

use airside_base::{Redacted, TenantId, Timestamp};
use airside_ledger::{
    Cell, Column, Fact, Kind, Schema,
    personal::{Personal, SubjectId},
};
use serde::{Deserialize, Serialize};

use crate::{
    payment::{Order, Purpose},
    supply::{Currency, Prepay, Reference},
};

/// The provider is asked to open a payment. Holds the whole document.
pub(crate) const REQUESTED: Kind = Kind::new("payment.requested");
/// The traveller can pay.
pub(crate) const OPENED: Kind = Kind::new("payment.opened");
/// The amount is reserved.
pub(crate) const AUTHORIZED: Kind = Kind::new("payment.authorized");
/// It cannot be paid this way.
pub(crate) const FAILED: Kind = Kind::new("payment.failed");
/// The provider is asked to take the amount.
pub(crate) const CAPTURE_REQUESTED: Kind = Kind::new("payment.capture_requested");
/// It was taken, or the hotel has what it may charge.
pub(crate) const CAPTURED: Kind = Kind::new("payment.captured");
/// The provider is asked to end it.
pub(crate) const VOID_REQUESTED: Kind = Kind::new("payment.void_requested");
/// It has ended and nothing was taken.
pub(crate) const VOIDED: Kind = Kind::new("payment.voided");
/// The provider is asked to give an amount back.
pub(crate) const REFUND_REQUESTED: Kind = Kind::new("payment.refund_requested");
/// It was given back.
pub(crate) const REFUNDED: Kind = Kind::new("payment.refunded");
/// The provider's answer was lost; it is asked again.
pub(crate) const UNKNOWN: Kind = Kind::new("payment.outcome_unknown");

/// All of them lie below.
const PREFIX: &str = "payment";

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// The payment page is being prepared.
    Requested,
    /// The traveller can pay.
    Open,
    /// The amount is reserved and not taken.
    Authorized,
    /// The amount is being taken.
    Capturing,
    /// Paid.
    Captured,
    /// A part is being given back.
    Refunding,
    /// It is being ended.
    Voiding,
    /// Nothing was taken.
    Voided,
    /// It could not be paid this way.
    Failed,
}

/// An amount that is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub(crate) reference: Reference,
    /// Minor units.
    pub(crate) amount: i64,
    #[serde(default)]
    pub(crate) done: bool,
}

/// The body of [`REQUESTED`], version 1, and the document. Times are microseconds since
/// the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
pub struct Settlement {
    pub(crate) traveller: String,
    pub(crate) subject: SubjectId,
    pub(crate) session: String,
    pub(crate) terms_digest: String,
    pub(crate) prepay: Prepay,
    pub(crate) amount: i64,
    pub(crate) currency: Currency,
    pub(crate) summary: String,
    /// When the rooms are no longer held.
    pub(crate) expires: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Personal<String>>,
    pub(crate) state: State,
    /// The provider's answer was lost.
    #[serde(default)]
    pub(crate) unknown: bool,
    /// The provider's name of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Where the traveller pays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<String>,
    /// Minor units that were taken.
    #[serde(default)]
    pub(crate) captured: i64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refunds: Vec<Refund>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// When somebody has to look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<i64>,
}

impl Settlement {
    /// Returns what the provider is asked for.
    pub(crate) fn order(&self, name: &str, tenant: &TenantId, token: Option<String>) -> Order {
        Order {
            reference: name.parse().expect("names of payments are short and plain"),
            tenant: tenant.clone(),
            purpose: match self.prepay {
                Prepay::Now { .. } => Purpose::Charge,
                Prepay::Guarantee { .. } | Prepay::None => Purpose::Guarantee,
            },
            amount: self.amount,
            currency: self.currency,
            terms_digest: self.terms_digest.clone(),
            summary: self.summary.clone(),
            expires: Timestamp::from_microsecond(self.expires).unwrap_or(Timestamp::MAX),
            token: token.map(Redacted::new),
        }
    }

    /// Returns the minor units that are taken or will be, without what is given back.
    pub(crate) fn kept(&self) -> i64 {
        let paid = match (self.state, self.prepay) {
            (State::Capturing, Prepay::Now { amount }) => amount,
            _ => self.captured,
        };
        let back: i64 = self.refunds.iter().map(|refund| refund.amount).sum();
        paid - back
    }

    /// Returns the minor units that were given back.
    pub(crate) fn refunded(&self) -> i64 {
        let done = self.refunds.iter().filter(|refund| refund.done);
        done.map(|refund| refund.amount).sum()
    }

    /// Returns the next amount that has to be given back.
    pub(crate) fn owed(&self) -> Option<&Refund> {
        self.refunds.iter().find(|refund| !refund.done)
    }
}

/// The body of every other kind, version 1: what is known after it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Moved {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) page: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) captured: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refund: Option<Refund>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<i64>,
}

impl Settlement {
    /// Applies an entry.
    fn follow(&mut self, kind: &Kind, moved: Moved) {
        self.due = moved.due;
        self.unknown = *kind == UNKNOWN;
        if *kind == UNKNOWN {
            return;
        }
        self.id = moved.id.or(self.id.take());
        self.page = moved.page.or(self.page.take());
        self.captured = moved.captured.unwrap_or(self.captured);
        self.reason = moved.reason.or(self.reason.take());
        if let Some(refund) = moved.refund {
            self.refunds
                .retain(|known| known.reference != refund.reference);
            self.refunds.push(refund);
        }
        self.state = match kind {
            kind if *kind == OPENED => State::Open,
            kind if *kind == AUTHORIZED => State::Authorized,
            kind if *kind == FAILED => State::Failed,
            kind if *kind == CAPTURE_REQUESTED => State::Capturing,
            kind if *kind == VOID_REQUESTED => State::Voiding,
            kind if *kind == VOIDED => State::Voided,
            // Giving back waits for taking.
            kind if *kind == REFUND_REQUESTED && self.state == State::Capturing => State::Capturing,
            _ if self.owed().is_some() => State::Refunding,
            _ => State::Captured,
        };
    }
}

/// The table of payments, by our name of them.
#[derive(Debug)]
pub struct Settlements;

impl Schema for Settlements {
    const NAME: &'static str = "travel_payments";
    type Document = Settlement;
    const COLUMNS: &'static [Column<Settlement>] = &[
        Column {
            name: "due",
            cell: |payment| payment.due.map(Cell::Integer),
        },
        Column {
            name: "subject",
            cell: |payment| Some(Cell::Text(payment.subject.as_str().to_owned())),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = fact.kind.is_under(PREFIX) && fact.version == 1;
        known.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Settlement>, fact: Fact<'_>) -> Option<Settlement> {
        if *fact.kind == REQUESTED {
            return fact.decode().ok().or(prior);
        }
        let mut payment = prior?;
        if let Ok(moved) = fact.decode::<Moved>() {
            payment.follow(fact.kind, moved);
        }
        Some(payment)
    }
}
