//! From an offer to a booking, and what comes after: sessions, consent, bookings,
//! changes, cancellations, preferences.
//!
//! # Invariants
//!
//! * Everything belongs to one caller, as the gateway identified it. What belongs to
//!   another does not exist: the answer is the same.
//! * Nothing that costs money happens without the traveller's consent to exactly the
//!   terms that it happens at: a digest of them, and a token that only the booking view
//!   can make of a nonce which models do not see.
//! * Consent is durable before the supplier is asked. Whatever is lost after that, the
//!   outcome is found out by reading back; it is never shown as failed before it is known.
//! * A repetition with the same key is answered with the first outcome.

mod accuracy;
pub(crate) mod arguments;
mod bill;
mod changes;
mod complete;
mod contracts;
mod error;
mod idempotency;
pub(crate) mod output;
mod paying;
mod reconcile;
pub(crate) mod record;
mod sessions;
mod settlement;
mod show;
mod state;
mod stays;
mod terms;
mod text;
mod traveller;

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, NodeId, Supervisor, TenantId, Timestamp};
use airside_builtin::model::{CallToolResult, JsonObject};
use airside_ledger::{Ledger, Table, keys::Keys, personal::SubjectId};
use airside_mcp::Principal;
use serde_json::Value;

use self::record::{PROPOSED, Session};
pub use self::{
    accuracy::Prices,
    record::{Bookings, KeyUses, Sessions},
    settlement::Settlements,
    traveller::Travellers,
};
pub(crate) use self::{
    contracts::{QUOTE_CHANGE, tools},
    error::Refusal,
};
use crate::{
    server::Parts,
    supply::{self, HotelId, HotelSupply},
    tools::output::{Notices, notices},
};

/// How long rooms and price are held for a session unless the operator says otherwise.
pub const HOLD: Duration = Duration::from_secs(15 * 60);
/// How long a quote for a change or a cancellation holds.
const QUOTE: Duration = Duration::from_secs(10 * 60);
/// How long an attempt may take before somebody else looks at it.
const ATTEMPT: Duration = Duration::from_secs(10);
/// How long the outcome of a session can be asked for. Longer than 30 days.
const KEPT: Duration = Duration::from_secs(31 * 24 * 3_600);
/// Most sessions that one traveller may have open.
const MAX_OPEN: usize = 10;

/// The tools that book.
#[derive(Debug)]
pub(crate) struct Desk {
    supply: Arc<dyn HotelSupply>,
    clock: Arc<dyn Clock>,
    ledger: Ledger,
    keys: Arc<Keys>,
    node: NodeId,
    /// How long rooms and price are held for a session.
    hold: Duration,
    accuracy: accuracy::Accuracy,
    sessions: Table<Sessions>,
    bookings: Table<Bookings>,
    uses: Table<KeyUses>,
    travellers: Table<Travellers>,
    settlements: Table<Settlements>,
    /// Who takes payments; without one everything is paid at the hotel.
    cashier: Option<paying::Cashier>,
}

/// Who asks.
#[derive(Debug, Clone)]
struct Traveller {
    tenant: airside_base::TenantId,
    /// Key of the document in [`Travellers`].
    key: String,
    subject: SubjectId,
}

impl Desk {
    pub(crate) fn new(supply: Arc<dyn HotelSupply>, parts: &Parts) -> Self {
        let ledger = parts.ledger.clone();
        Self {
            supply,
            clock: parts.clock.clone(),
            keys: parts.keys.clone(),
            node: parts.node,
            hold: parts.hold,
            accuracy: accuracy::Accuracy::default(),
            sessions: Table::new(ledger.clone()),
            bookings: Table::new(ledger.clone()),
            uses: Table::new(ledger.clone()),
            travellers: Table::new(ledger.clone()),
            settlements: Table::new(ledger.clone()),
            cashier: parts.payments.clone().map(paying::Cashier::new),
            ledger,
        }
    }

    /// Finds out what is not known and ends what is over, until `supervisor` stops.
    pub(crate) fn start(self: Arc<Self>, supervisor: &Supervisor) {
        reconcile::start(self, supervisor);
    }

    /// Calls a tool for `principal`. Returns `None` if there is none of this name.
    pub(crate) async fn call(
        &self,
        name: &str,
        arguments: Option<JsonObject>,
        principal: Option<&Principal>,
    ) -> Option<CallToolResult> {
        use airside_builtin::arguments::read;

        use crate::ucp::tool;
        let raw = arguments.clone().unwrap_or_default();
        let answered = match name {
            contracts::CALENDAR => self.calendar(arguments).await,
            tool::CREATE => self.create(raw, principal).await,
            tool::GET => self.session(arguments, principal).await,
            tool::UPDATE => self.update(arguments, principal).await,
            tool::COMPLETE => match read(arguments) {
                Ok(asked) => self.complete(tool::COMPLETE, asked, principal).await,
                Err(rejection) => Err(rejection.into()),
            },
            contracts::CONFIRM_CHANGE => {
                self.confirm(contracts::CONFIRM_CHANGE, arguments, principal)
                    .await
            }
            contracts::CONFIRM_CANCELLATION => {
                self.confirm(contracts::CONFIRM_CANCELLATION, arguments, principal)
                    .await
            }
            tool::CANCEL => self.cancel(arguments, principal).await,
            contracts::BOOKING => self.booking(arguments, principal).await,
            contracts::BOOKINGS => self.bookings(arguments, principal).await,
            contracts::QUOTE_CHANGE => self.quote_change(arguments, principal).await,
            contracts::QUOTE_CANCELLATION => self.quote_cancellation(arguments, principal).await,
            contracts::PREFERENCES => self.preferences(arguments, principal).await,
            contracts::SAVE_PREFERENCES => self.save_preferences(arguments, principal).await,
            contracts::FORGET => self.forget(arguments, principal).await,
            contracts::FEEDBACK => self.feedback(arguments, principal).await,
            _ => return None,
        };
        Some(answered.unwrap_or_else(|refusal| refuse(&refusal)))
    }

    /// Looks at a payment of which its provider says that something happened.
    pub(crate) async fn notice(&self, tenant: &TenantId, payment: &str) -> Result<(), Refusal> {
        self.advance(tenant, payment).await
    }

    /// Returns how often the total that a traveller saw was still right.
    pub(crate) fn prices(&self) -> Prices {
        self.accuracy.so_far()
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn notices(&self) -> Option<Notices> {
        Some(notices(self.supply.about()))
    }

    /// Returns the hotel of a session or booking.
    async fn place(&self, hotel: &HotelId) -> Result<show::Place, Refusal> {
        let described = match self.supply.describe(hotel).await {
            // Bookings outlive the contract with a hotel.
            Err(supply::Error::HotelUnknown) => Arc::new(show::forgotten(hotel)),
            described => described?,
        };
        Ok(show::Place::new(described, self.supply.about().fingerprint))
    }

    /// Returns what the nonces of a session are made of, unless it was erased.
    async fn secret(
        &self,
        traveller: &Traveller,
        session: &Session,
    ) -> Result<Option<String>, Refusal> {
        let opened = self
            .keys
            .open(&traveller.tenant, &PROPOSED, "/nonce", &session.nonce)
            .await?;
        Ok(opened.clear())
    }
}

/// Returns a rejection as a result that fits the output schema of every tool.
pub(crate) fn refuse(refusal: &Refusal) -> CallToolResult {
    if let Refusal::Kept(source) = refusal {
        tracing::error!(error = %source, "what a booking tool needs cannot be read or kept");
    }
    crate::tools::refused(&refusal.fault())
}

/// Returns a result with what only the view may see.
fn with_meta(mut result: CallToolResult, consent: Option<Value>) -> CallToolResult {
    if let Some(consent) = consent {
        let mut members = JsonObject::new();
        members.insert("airside/consent".to_owned(), consent);
        result.meta = Some(airside_builtin::model::MetaObject(members));
    }
    result
}

/// Returns a moment `after` from `now` in microseconds since the Unix epoch.
fn later(now: Timestamp, after: Duration) -> i64 {
    let then = now.saturating_add(after).unwrap_or(Timestamp::MAX);
    then.as_microsecond()
}

/// Returns microseconds since the Unix epoch as text (RFC 3339, whole seconds).
fn instant(micros: i64) -> String {
    let at = Timestamp::from_second(micros.div_euclid(1_000_000)).unwrap_or(Timestamp::MAX);
    at.to_string()
}

#[cfg(test)]
mod tests;
