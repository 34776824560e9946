//! What the ledger keeps of booking sessions and bookings.
//!
//! # Invariants
//!
//! * A document is what its entries fold to; nothing else changes one.
//! * Names, addresses and consent nonces are sealed where they stand. A session's are
//!   kept to serve the traveller, a booking's because the law asks for it: forgetting the
//!   traveller spares the booking.
//! * A session that asked the supplier names its reference before the supplier is asked.

use airside_ledger::{
    Cell, Column, Fact, Kind, Schema,
    personal::{Personal, SubjectId},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    supply::{Cancellation, Guest, Prepay, Price, Reference, Selection},
    ucp::Status,
};

/// Terms were put together, for the first time or anew. Holds the whole document.
pub(crate) const PROPOSED: Kind = Kind::new("booking_session.proposed");
/// The traveller has consented; the supplier is asked next.
pub(crate) const COMPLETING: Kind = Kind::new("booking_session.completing");
/// Whether the supplier did it is not known.
pub(crate) const UNKNOWN: Kind = Kind::new("booking_session.outcome_unknown");
/// It is known how it ended.
pub(crate) const SETTLED: Kind = Kind::new("booking_session.settled");
/// Its payment is authorised, or cannot be.
pub(crate) const PAID: Kind = Kind::new("booking_session.paid");
/// It ended without a booking.
pub(crate) const CANCELED: Kind = Kind::new("booking_session.canceled");
/// Its time has come: the document goes.
pub(crate) const FORGOTTEN: Kind = Kind::new("booking_session.forgotten");
/// A booking exists.
pub(crate) const CONFIRMED: Kind = Kind::new("booking.confirmed");
/// It has other terms now.
pub(crate) const CHANGED: Kind = Kind::new("booking.changed");
/// It has been cancelled.
pub(crate) const CANCELLED: Kind = Kind::new("booking.cancelled");
/// A key of the caller names a request.
pub(crate) const KEY_USED: Kind = Kind::new("booking_key.used");
/// It may name another one.
pub(crate) const KEY_FREED: Kind = Kind::new("booking_key.freed");

/// What a session is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(crate) enum Task {
    /// Book what is held.
    Book,
    /// Give a booking other terms.
    Change {
        booking: String,
        /// The supplier's reference of the change.
        change: Reference,
        /// The price before, in minor units.
        before: i64,
    },
    /// Cancel a booking.
    Cancel {
        booking: String,
        /// What it costs, in minor units.
        penalty: i64,
    },
}

/// One try to complete a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Digest of the caller's key.
    pub(crate) key: String,
    /// Microseconds since the Unix epoch.
    pub(crate) at: i64,
}

/// The body of [`PROPOSED`], version 1, and the document. Times are microseconds since
/// the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
pub struct Session {
    /// Key of the traveller in [`super::traveller`].
    pub(crate) traveller: String,
    pub(crate) subject: SubjectId,
    pub(crate) task: Task,
    pub(crate) status: Status,
    /// The supplier may have done it.
    #[serde(default)]
    pub(crate) unknown: bool,
    pub(crate) created: i64,
    pub(crate) expires: i64,
    /// The supplier's reference of the hold or the booking.
    pub(crate) reference: Reference,
    /// How often terms were put together.
    pub(crate) revision: u32,
    pub(crate) selection: Selection,
    pub(crate) price: Price,
    pub(crate) cancellation: Cancellation,
    /// What has to be paid or guaranteed before it can be completed.
    #[serde(default, skip_serializing_if = "Prepay::is_none")]
    pub(crate) prepay: Prepay,
    /// Our name of the payment, once one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payment: Option<String>,
    /// How the payment ended: authorised or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) paid: Option<bool>,
    pub(crate) digest: String,
    /// What consent nonces are made of.
    pub(crate) nonce: Personal<String>,
    /// How often consent was given: each makes another nonce.
    #[serde(default)]
    pub(crate) uses: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) guest: Option<Personal<Guest>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attempt: Option<Attempt>,
    /// How the last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<Outcome>,
    /// When somebody has to look at it.
    pub(crate) due: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Digest of the key of the attempt.
    pub(crate) key: String,
    /// The booking, unless the supplier refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) booking: Option<String>,
    /// What the caller was answered: no personal data.
    pub(crate) answer: Value,
}

/// The body of [`COMPLETING`], version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Completing {
    pub(crate) attempt: Attempt,
    /// Digest of the terms that the traveller consented to.
    pub(crate) terms_digest: String,
    /// The AI disclosure was shown with them.
    pub(crate) disclosure_shown: bool,
    pub(crate) due: i64,
}

/// The body of [`UNKNOWN`], version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unknown {
    pub(crate) due: i64,
}

/// The body of [`SETTLED`], version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Settled {
    pub(crate) status: Status,
    pub(crate) outcome: Outcome,
    pub(crate) due: i64,
}

/// The body of [`PAID`], version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Paid {
    pub(crate) payment: String,
    /// Whether it is authorised.
    pub(crate) done: bool,
}

/// The body of [`CANCELED`], version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Canceled {
    pub(crate) reason: Reason,
    pub(crate) due: i64,
}

/// Why a session ended without a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reason {
    Asked,
    Expired,
}

/// The table of sessions, by their id.
#[derive(Debug)]
pub struct Sessions;

impl Schema for Sessions {
    const NAME: &'static str = "travel_sessions";
    type Document = Session;
    const COLUMNS: &'static [Column<Session>] = &[
        Column {
            name: "due",
            cell: |session| Some(Cell::Integer(session.due)),
        },
        Column {
            name: "traveller",
            cell: |session| Some(Cell::Text(session.traveller.clone())),
        },
        Column {
            name: "subject",
            cell: |session| Some(Cell::Text(session.subject.as_str().to_owned())),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        let kinds = [
            &PROPOSED,
            &COMPLETING,
            &UNKNOWN,
            &SETTLED,
            &PAID,
            &CANCELED,
            &FORGOTTEN,
        ];
        let known = kinds.contains(&fact.kind) && fact.version == 1;
        known.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Session>, fact: Fact<'_>) -> Option<Session> {
        if *fact.kind == PROPOSED {
            return fact.decode().ok().or(prior);
        }
        if *fact.kind == FORGOTTEN {
            return None;
        }
        let mut session = prior?;
        if *fact.kind == COMPLETING {
            if let Ok(begun) = fact.decode::<Completing>() {
                session.status = Status::CompleteInProgress;
                session.attempt = Some(begun.attempt);
                session.uses += 1;
                session.due = begun.due;
            }
        } else if *fact.kind == UNKNOWN {
            if let Ok(unknown) = fact.decode::<Unknown>() {
                session.unknown = true;
                session.due = unknown.due;
            }
        } else if *fact.kind == SETTLED {
            if let Ok(settled) = fact.decode::<Settled>() {
                session.unknown = false;
                session.status = settled.status;
                session.outcome = Some(settled.outcome);
                session.due = settled.due;
            }
        } else if *fact.kind == PAID {
            if let Ok(paid) = fact.decode::<Paid>() {
                session.status = match paid.done {
                    true => Status::ReadyForComplete,
                    false => Status::Incomplete,
                };
                session.paid = Some(paid.done);
            }
        } else if let Ok(canceled) = fact.decode::<Canceled>() {
            session.status = Status::Canceled;
            session.due = canceled.due;
        }
        Some(session)
    }
}

/// Where a booking stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// The hotel expects the guests.
    Confirmed,
    /// It has been cancelled.
    Cancelled,
}

/// The body of [`CONFIRMED`], version 1, and the document.
#[derive(Debug, Serialize, Deserialize)]
pub struct Booking {
    pub(crate) traveller: String,
    pub(crate) subject: SubjectId,
    pub(crate) session: String,
    pub(crate) reference: Reference,
    /// The hotel's name of the booking.
    pub(crate) confirmation: String,
    pub(crate) standing: Standing,
    pub(crate) selection: Selection,
    pub(crate) price: Price,
    pub(crate) cancellation: Cancellation,
    pub(crate) guest: Personal<Guest>,
    /// Our name of its payment, unless it is paid at the hotel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) payment: Option<String>,
    pub(crate) confirmed: i64,
    /// What was changed and cancelled, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<Step>,
}

/// A step in the life of a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Step {
    /// What happened: changed or cancelled.
    pub(crate) what: String,
    /// Instant (UTC).
    pub(crate) at: String,
    /// Price before, in minor units.
    pub(crate) total_before: i64,
    /// Price or cancellation fee after, in minor units.
    pub(crate) total_after: i64,
}

/// The body of [`CHANGED`], version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Changed {
    pub(crate) session: String,
    pub(crate) confirmation: String,
    pub(crate) selection: Selection,
    pub(crate) price: Price,
    pub(crate) cancellation: Cancellation,
    pub(crate) step: Step,
}

/// The body of [`CANCELLED`], version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Cancelled {
    pub(crate) session: String,
    pub(crate) step: Step,
}

/// The table of bookings, by their id.
#[derive(Debug)]
pub struct Bookings;

impl Schema for Bookings {
    const NAME: &'static str = "travel_bookings";
    type Document = Booking;
    const COLUMNS: &'static [Column<Booking>] = &[
        Column {
            name: "traveller",
            cell: |booking| Some(Cell::Text(booking.traveller.clone())),
        },
        Column {
            name: "subject",
            cell: |booking| Some(Cell::Text(booking.subject.as_str().to_owned())),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [&CONFIRMED, &CHANGED, &CANCELLED].contains(&fact.kind) && fact.version == 1;
        known.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Booking>, fact: Fact<'_>) -> Option<Booking> {
        if *fact.kind == CONFIRMED {
            return fact.decode().ok().or(prior);
        }
        let mut booking = prior?;
        if *fact.kind == CHANGED {
            if let Ok(changed) = fact.decode::<Changed>() {
                booking.confirmation = changed.confirmation;
                booking.selection = changed.selection;
                booking.price = changed.price;
                booking.cancellation = changed.cancellation;
                booking.history.push(changed.step);
            }
        } else if let Ok(cancelled) = fact.decode::<Cancelled>() {
            booking.standing = Standing::Cancelled;
            booking.history.push(cancelled.step);
        }
        Some(booking)
    }
}

/// The body of [`KEY_USED`], version 1, and the document: which request a key names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Use {
    /// The tool.
    pub(crate) tool: String,
    /// Digest of the arguments.
    pub(crate) body: String,
    pub(crate) session: String,
    /// Until when a repetition is recognised.
    pub(crate) until: i64,
}

/// The body of [`KEY_FREED`], version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Freed {}

/// The table of idempotency keys, by traveller and digest.
#[derive(Debug)]
pub struct KeyUses;

impl Schema for KeyUses {
    const NAME: &'static str = "travel_keys";
    type Document = Use;
    const COLUMNS: &'static [Column<Use>] = &[Column {
        name: "until",
        cell: |used| Some(Cell::Integer(used.until)),
    }];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [&KEY_USED, &KEY_FREED].contains(&fact.kind) && fact.version == 1;
        known.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Use>, fact: Fact<'_>) -> Option<Use> {
        if *fact.kind == KEY_FREED {
            return None;
        }
        fact.decode().ok().or(prior)
    }
}
