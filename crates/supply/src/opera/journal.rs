//! What was asked of OPERA, and what came of it.
//!
//! # Invariants
//!
//! * What may take or end something is durable here before OPERA is asked, and what it
//!   answered before the caller is told.
//! * A document changes only from the version that was read: of two nodes that do the
//!   same, one is told to read again.
//! * There is nothing about guests in it.

use std::time::Duration;

use airside_base::{TenantId, Timestamp};
use airside_ledger::{
    AppendError, Cell, Column, Draft, Fact, Hash, Kind, Ledger, Schema, Table, TableError,
    Versioned,
};
use airside_travel::supply::{
    Cancellation, Error, Price, Reference, Reservation, Selection, State,
};
use serde::{Deserialize, Serialize};

use super::terms::Rates;

/// A reservation is in another state than before. Holds the whole document.
pub(super) const NOTED: Kind = Kind::new("opera_reservation.noted");
/// It has been over for long enough.
pub(super) const FORGOTTEN: Kind = Kind::new("opera_reservation.forgotten");

/// The body of `opera_reservation.noted`, version 1, and the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub(super) reservation: Reservation,
    pub(super) rates: Rates,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) guarantee: Option<String>,
    /// OPERA's own number, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<String>,
    /// What was asked and has no answer yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<Asked>,
    /// How often rooms were asked for under this reference: each try has its own name
    /// at OPERA.
    pub(super) attempt: u32,
    /// Nothing was taken by the last try.
    #[serde(default)]
    pub(super) void: bool,
    /// When somebody has to look at it, in microseconds since the Unix epoch.
    pub(super) due: i64,
}

/// Something that was asked of OPERA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Asked {
    pub(super) what: What,
    pub(super) at: Timestamp,
}

/// What can be asked of OPERA.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub(super) enum What {
    /// Hold rooms.
    Hold,
    /// Make the hold a booking.
    Commit,
    /// Give the hold back.
    Ignore {
        /// Because its time was over.
        over: bool,
    },
    /// Change a booking.
    Change(Box<Change>),
    /// Cancel a booking.
    Cancel {
        /// What that costs in minor units.
        penalty: i64,
    },
}

/// Other terms for a booking.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) name: Reference,
    pub(super) selection: Selection,
    pub(super) price: Price,
    pub(super) cancellation: Cancellation,
    pub(super) rates: Rates,
}

/// The table of reservations, by the caller's reference.
#[derive(Debug)]
pub struct Reservations;

impl Schema for Reservations {
    const NAME: &'static str = "opera_reservations";
    type Document = Kept;
    const COLUMNS: &'static [Column<Kept>] = &[Column {
        name: "due",
        cell: |kept| Some(Cell::Integer(kept.due)),
    }];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [&NOTED, &FORGOTTEN].contains(&fact.kind) && fact.version == 1;
        known.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Kept>, fact: Fact<'_>) -> Option<Kept> {
        if *fact.kind == FORGOTTEN {
            return None;
        }
        fact.decode().ok().or(prior)
    }
}

/// A document as it was read.
pub(super) type Row = Versioned<Kept>;

/// Keeps the documents of one supplier.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    chain: TenantId,
    table: Table<Reservations>,
}

/// When to come again if the ledger does not answer or another node was first.
pub(super) const BUSY: Error = Error::Unavailable {
    retry_after: Duration::from_secs(1),
};

impl Journal {
    pub(super) fn new(chain: TenantId, ledger: Ledger) -> Self {
        Self {
            chain,
            table: Table::new(ledger),
        }
    }

    pub(super) async fn find(&self, reference: &Reference) -> Result<Option<Row>, Error> {
        let found = self.table.find(&self.chain, reference.as_str()).await;
        found.map_err(|error| unread(&error))
    }

    /// Returns what somebody has to look at.
    pub(super) async fn due(&self, now: Timestamp, most: usize) -> Result<Vec<Row>, Error> {
        let now = Cell::Integer(now.as_microsecond());
        let due = self.table.at_most(&self.chain, "due", now, most).await;
        due.map_err(|error| unread(&error))
    }

    /// Writes `kept` over what was read. `Err` is that nothing was written.
    pub(super) async fn note(&self, prior: Option<Row>, kept: &Kept) -> Result<(), Error> {
        let subject = kept.reservation.reference.as_str();
        let draft = Draft::new(self.chain.clone(), NOTED, 1, subject, kept);
        let draft = draft.map_err(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a reservation is too large to be kept"
            );
            BUSY
        })?;
        self.append(prior, draft).await
    }

    /// Drops a document.
    pub(super) async fn forget(&self, prior: Row) -> Result<(), Error> {
        let subject = prior.key.to_string();
        let body = serde_json::json!({});
        let draft = Draft::new(self.chain.clone(), FORGOTTEN, 1, &subject, &body);
        self.append(Some(prior), draft.map_err(|_| BUSY)?).await
    }

    async fn append(&self, prior: Option<Row>, draft: Draft) -> Result<(), Error> {
        match self.table.append(prior, vec![draft]).await {
            Ok(_) => Ok(()),
            Err(TableError::Append(AppendError::Stale { .. })) => Err(BUSY),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "what was asked of OPERA cannot be kept"
                );
                Err(BUSY)
            }
        }
    }
}

fn unread(error: &TableError) -> Error {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "what was asked of OPERA cannot be read"
    );
    BUSY
}

impl Kept {
    /// Returns the name of a try at OPERA: 40 letters and digits, always the same for
    /// the same reference.
    pub(super) fn external(&self) -> String {
        external(&self.reservation.reference, self.attempt)
    }

    /// Returns it with another state and nothing asked.
    pub(super) fn settled(mut self, state: State, due: Timestamp) -> Self {
        self.reservation.state = state;
        self.asked = None;
        self.due = due.as_microsecond();
        self
    }

    /// Returns it with something asked at `now`.
    pub(super) fn asking(mut self, what: What, now: Timestamp, due: Timestamp) -> Self {
        self.asked = Some(Asked { what, at: now });
        self.due = due.as_microsecond();
        self
    }
}

/// OPERA takes 50 characters at most, letters and digits.
pub(super) fn external(reference: &Reference, attempt: u32) -> String {
    let digest = Hash::of(format!("{reference}/{attempt}").as_bytes()).to_string();
    let plain = digest.chars().filter(char::is_ascii_alphanumeric);
    let tail: String = plain.take(38).collect();
    format!("AS{tail}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// What version 1 of `opera_reservation.noted` looks like, for ever.
    fn golden() -> Value {
        json!({
            "reservation": {
                "reference": "bks_1.0", "hotel": "BOSHARBOR",
                "stay": { "check_in": "2026-12-15", "check_out": "2026-12-17" },
                "units": [{ "room": "A1K", "plan": "XDAILY", "party": { "adults": 2, "child_ages": [4] } }],
                "price": {
                    "currency": "USD", "nightly": [["2026-12-15", 18000], ["2026-12-16", 18000]],
                    "room": 36000, "total": 39600,
                    "lines": [{
                        "label": "Tax", "nature": "tax", "collected": "at_booking", "amount": 3600,
                    }],
                },
                "cancellation": { "tiers": [
                    { "from": null, "penalty": 0 },
                    { "from": "2026-12-14T05:00:00Z", "penalty": 19800 },
                ] },
                "state": { "is": "held", "until": "2026-11-23T12:10:00Z" },
                "change": null,
            },
            "rates": { "inclusive": false, "ranges": [["2026-12-15", "2026-12-16", 18000]] },
            "guarantee": "CHANNEL",
            "number": "7000013",
            "asked": { "what": { "do": "ignore", "over": true }, "at": "2026-11-23T12:10:00Z" },
            "attempt": 1,
            "void": false,
            "due": 1_763_899_800_000_000_i64,
        })
    }

    #[test]
    fn version_1_of_a_reservation_is_read_and_written_as_ever() {
        let kept: Kept = serde_json::from_value(golden()).unwrap();
        assert_eq!(serde_json::to_value(&kept).unwrap(), golden());
        let over = What::Ignore { over: true };
        assert_eq!(kept.asked.map(|asked| asked.what), Some(over));
    }

    #[test]
    fn names_at_opera_are_letters_and_digits_and_differ_by_try() {
        let reference: Reference = "bks_abc-DEF.12:3".parse().unwrap();
        let (first, second) = (external(&reference, 1), external(&reference, 2));
        assert_eq!(first, external(&reference, 1));
        assert_ne!(first, second);
        for name in [first, second] {
            assert!(name.len() <= 50 && name.chars().all(|c| c.is_ascii_alphanumeric()));
        }
    }
}
