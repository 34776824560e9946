//! The agreement of a person to one exact call.
//!
//! # Invariants
//!
//! * An agreement is bound to everything that makes the call what it is: tenant, caller,
//!   server, method, name, the SHA-256 of its canonical arguments and the version of the
//!   policies. It holds for one call and until its end; then the answer is no.
//! * Everything is in the ledger before it is acted on: what was asked, who decided, and
//!   that it was used. A race for the same agreement has one winner, whatever the number
//!   of nodes, since a change names the version it was made from.
//! * An agreement is used up last ([`Agreement::spend`]): a call that a limit stops keeps
//!   it. Nobody approves a call of their own.
//! * Arguments do not stand in the ledger; an operator sees those that the configuration
//!   lets stand there.
//! * Bounded: so many open questions of a tenant and of a caller, and no more.

mod canonical;
mod event;

use std::{fmt, sync::Arc, time::Duration};

use airside_base::{Clock, Fault, TenantId, Timestamp, secret_token};
use airside_ledger::{
    AppendError, Cell, Column, Draft, DraftError, Fact, Ledger, Schema, Table, TableError,
    Versioned,
};
use airside_policy::{Asked, Objection};

pub(crate) use self::canonical::{digest, joined};
use self::event::{Decided, Requested, Used};
pub use self::event::{Decision, Document, State};

/// Most open questions of one tenant.
pub const MAX_OPEN: usize = 1000;
/// Most open questions of one caller.
pub const MAX_OPEN_OF_CALLER: usize = 20;
/// How long an agreement is waited for and holds.
pub const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// Ended questions that are put away in one go.
const SWEPT: usize = 50;

/// The table of questions, by their id.
#[derive(Debug)]
pub struct Approvals;

impl Schema for Approvals {
    const NAME: &'static str = "approvals";
    type Document = Document;
    const COLUMNS: &'static [Column<Document>] = &[
        Column {
            name: "binding",
            cell: |row| Some(Cell::Text(row.binding.clone())),
        },
        Column {
            name: "state",
            cell: |row| Some(Cell::Text(row.state.as_str().to_owned())),
        },
        Column {
            name: "expires",
            cell: |row| Some(Cell::Integer(row.expires_us)),
        },
        Column {
            name: "caller",
            cell: |row| Some(Cell::Text(row.caller())),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        event::is_known(&fact).then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Document>, fact: Fact<'_>) -> Option<Document> {
        event::fold(prior, fact)
    }
}

/// Everything that an agreement is bound to, and what is shown to who decides.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    pub(crate) tenant: TenantId,
    pub(crate) kind: &'static str,
    pub(crate) caller: String,
    /// Digest over who vouches for the caller, its client and its person.
    pub(crate) claims: String,
    pub(crate) server: String,
    pub(crate) method: String,
    pub(crate) name: String,
    /// SHA-256 of the canonical arguments, in hexadecimal digits.
    pub(crate) arguments: String,
    pub(crate) policy: String,
}

impl Bound {
    /// Returns the digest over all of it.
    fn digest(&self) -> String {
        let Self {
            tenant,
            kind,
            caller,
            claims,
            server,
            method,
            name,
            arguments,
            policy,
        } = self;
        let parts = [
            tenant.as_str(),
            kind,
            caller,
            claims,
            server,
            method,
            name,
            arguments,
            policy,
        ];
        joined(&parts)
    }
}

/// What is to be agreed to.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) bound: &'a Bound,
    pub(crate) asked: Asked,
    /// The policies that ask.
    pub(crate) policies: Vec<String>,
    pub(crate) hint: Option<String>,
    /// Arguments of interest that may stand in the ledger, as text.
    pub(crate) shown: Vec<(String, String)>,
}

/// Where the question about a call stands.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Somebody agreed.
    Agreed(Box<Agreement>),
    /// Somebody said no.
    Denied,
    /// It is asked.
    Open,
}

/// That somebody agreed to one exact call, and nobody has used it yet.
#[must_use = "a call that is sent uses the agreement up"]
pub(crate) struct Agreement {
    table: Table<Approvals>,
    row: Versioned<Document>,
    /// What is written when it is used.
    drafts: Vec<Draft>,
    by: Asked,
}

impl Agreement {
    /// Returns who agreed.
    pub(crate) const fn by(&self) -> Asked {
        self.by
    }

    /// Uses it up, durably, before the call is sent.
    ///
    /// # Errors
    ///
    /// When another call was faster, or it cannot be kept.
    pub(crate) async fn spend(self) -> Result<(), Error> {
        let id = self.row.key.to_string();
        match self.table.append(Some(self.row), self.drafts).await {
            Ok(_) => Ok(()),
            Err(error) if is_stale(&error) => Err(Objection::NotOpen { id }.into()),
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Debug for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agreement")
            .field("id", &self.row.key)
            .field("by", &self.by)
            .finish_non_exhaustive()
    }
}

/// What the person behind a client said to the gateway's own question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// The call may happen.
    Yes,
    /// It may not.
    No,
    /// The question was put away: an operator may still decide.
    Nothing,
}

/// Why a question could not be asked or decided.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not accepted.
    #[error(transparent)]
    Objection(#[from] Objection),
    /// The ledger did not take or give it.
    #[error("the approval could not be kept")]
    Table(#[from] TableError),
    /// What is asked does not fit an entry.
    #[error("the question cannot be written")]
    Draft(#[from] DraftError),
    /// The arguments have no canonical form, since a name in them occurs twice.
    #[error("the arguments of the call are ambiguous")]
    Ambiguous,
}

impl Error {
    /// What may be told.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Objection(objection) => objection.fault(),
            Self::Ambiguous => Objection::Argument.fault(),
            Self::Table(error) => error.fault(),
            Self::Draft(error) => error.fault(),
        }
        .with_private(self)
    }
}

/// Longest reason of a decision, in bytes.
pub const MAX_REASON: usize = 1024;

/// Where questions are asked and decided.
#[derive(Debug, Clone)]
pub struct Desk {
    table: Table<Approvals>,
    clock: Arc<dyn Clock>,
}

impl Desk {
    /// Returns the desk of `ledger`.
    #[must_use]
    pub fn new(ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self {
            table: Table::new(ledger),
            clock,
        }
    }

    /// Returns up to `limit` questions of `tenant` that are open, oldest first, and with
    /// `all` those that were decided and not put away yet.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn list(
        &self,
        tenant: &TenantId,
        all: bool,
        limit: usize,
    ) -> Result<Vec<(String, Document)>, Error> {
        let now = self.clock.now();
        self.put_away(tenant, now).await?;
        let found = match all {
            true => self.table.all(tenant, "", limit).await?,
            false => {
                let state = Cell::Text(State::Open.as_str().to_owned());
                self.table.equal(tenant, "state", state, "", limit).await?
            }
        };
        let found = found.into_iter().filter(|row| row.document.holds_at(now));
        Ok(found
            .map(|row| (row.key.to_string(), row.document))
            .collect())
    }

    /// Decides an open question in the name of `by`, which is `kind/id` of a key.
    ///
    /// # Errors
    ///
    /// When it is not open, or cannot be kept.
    pub async fn decide(
        &self,
        tenant: &TenantId,
        id: &str,
        decision: Decision,
        (by, reason): (&str, Option<&str>),
    ) -> Result<Document, Error> {
        if reason.is_some_and(|reason| reason.len() > MAX_REASON) {
            let limit_bytes = MAX_REASON;
            return Err(Objection::LongReason { limit_bytes }.into());
        }
        let unknown = || Objection::NotOpen { id: id.to_owned() };
        let row = self.table.find(tenant, id).await?;
        let row = row.filter(|row| row.document.holds_at(self.clock.now()));
        let row = row.ok_or_else(unknown)?;
        if row.document.state != State::Open {
            return Err(Objection::Decided.into());
        }
        if decision == Decision::Approved && row.document.caller() == by {
            return Err(Objection::OwnCall.into());
        }
        let decided = Decided {
            decision,
            by: Asked::Operator.as_str().to_owned(),
            name: Some(by.to_owned()),
            reason: reason.map(str::to_owned),
            expires_us: end(self.clock.now()),
        };
        let mut document = row.document.clone();
        let draft = decided.draft(tenant, id)?;
        match self.table.append(Some(row), vec![draft]).await {
            Ok(_) => {
                document.state = decision.state();
                Ok(document)
            }
            Err(error) if is_stale(&error) => Err(Objection::Decided.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks whether somebody has decided about exactly this call, and asks if nobody was
    /// asked yet. Returns the id of the question.
    pub(crate) async fn settle(
        &self,
        question: &Question<'_>,
        call: &str,
    ) -> Result<(String, Answer), Error> {
        let tenant = &question.bound.tenant;
        let now = self.clock.now();
        let binding = question.bound.digest();
        let known = self
            .table
            .equal(tenant, "binding", Cell::Text(binding.clone()), "", 64)
            .await?;
        let mut known: Vec<_> = known
            .into_iter()
            .filter(|row| row.document.holds_at(now))
            .collect();
        // What was decided before what waits; a refusal stands until it ends.
        known.sort_by_key(|row| row.document.state);
        for row in known {
            let id = row.key.to_string();
            match row.document.state {
                State::Denied => return Ok((id, Answer::Denied)),
                State::Approved => {
                    let by = row.document.by();
                    if by < Some(question.asked) {
                        continue;
                    }
                    let by = by.unwrap_or(question.asked);
                    let used = used(tenant, &id, call)?;
                    let agreement = self.agreement(row, vec![used], by);
                    return Ok((id, Answer::Agreed(agreement)));
                }
                State::Open if row.document.asked() >= Some(question.asked) => {
                    return Ok((id, Answer::Open));
                }
                State::Open => {}
            }
        }
        self.put_away(tenant, now).await?;
        Ok((self.ask(question, binding, now).await?, Answer::Open))
    }

    /// The client's own person has answered the question `id` about exactly this call.
    pub(crate) async fn answered(
        &self,
        question: &Question<'_>,
        (id, yes): (&str, bool),
        call: &str,
    ) -> Result<Answer, Error> {
        let tenant = &question.bound.tenant;
        let unknown = || Objection::NotOpen { id: id.to_owned() };
        let now = self.clock.now();
        let row = self.table.find(tenant, id).await?;
        let binding = question.bound.digest();
        let is_this = |row: &Versioned<Document>| {
            let is_open = row.document.state == State::Open;
            // An operator may have been faster, and a person who says yes as well.
            let is_settled = yes && row.document.state == State::Approved;
            row.document.binding == binding
                && row.document.holds_at(now)
                && row.document.asked() == Some(Asked::Client)
                && question.asked == Asked::Client
                && (is_open || is_settled)
        };
        let row = row.filter(is_this).ok_or_else(unknown)?;
        if row.document.state == State::Approved {
            let by = row.document.by().unwrap_or(Asked::Client);
            let used = used(tenant, id, call)?;
            return Ok(Answer::Agreed(self.agreement(row, vec![used], by)));
        }
        let decision = match yes {
            true => Decision::Approved,
            false => Decision::Denied,
        };
        let decided = Decided {
            decision,
            by: Asked::Client.as_str().to_owned(),
            name: None,
            reason: None,
            expires_us: end(now),
        };
        let decided = decided.draft(tenant, id)?;
        if yes {
            let drafts = vec![decided, used(tenant, id, call)?];
            return Ok(Answer::Agreed(self.agreement(row, drafts, Asked::Client)));
        }
        match self.table.append(Some(row), vec![decided]).await {
            Ok(_) => Ok(Answer::Denied),
            Err(error) if is_stale(&error) => Err(unknown().into()),
            Err(error) => Err(error.into()),
        }
    }

    fn agreement(&self, row: Versioned<Document>, drafts: Vec<Draft>, by: Asked) -> Box<Agreement> {
        Box::new(Agreement {
            table: self.table.clone(),
            row,
            drafts,
            by,
        })
    }

    async fn ask(
        &self,
        question: &Question<'_>,
        binding: String,
        now: Timestamp,
    ) -> Result<String, Error> {
        let Bound {
            tenant,
            kind,
            caller,
            ..
        } = question.bound;
        let open = |column, value: String, limit: usize| async move {
            let cell = Cell::Text(value);
            let found = self.table.equal(tenant, column, cell, "", limit).await?;
            match found.len() < limit {
                true => Ok(()),
                false => Err(Error::from(Objection::TooMany { open: found.len() })),
            }
        };
        open("state", State::Open.as_str().to_owned(), MAX_OPEN).await?;
        open("caller", format!("{kind}/{caller}"), MAX_OPEN_OF_CALLER).await?;
        let id = format!("apr_{}", secret_token());
        let draft = Requested::of(question, binding, end(now)).draft(tenant, &id)?;
        self.table.append(None, vec![draft]).await?;
        Ok(id)
    }

    /// Ends what nobody decided, and forgets what has ended: the answer is no.
    async fn put_away(&self, tenant: &TenantId, now: Timestamp) -> Result<(), Error> {
        let until = Cell::Integer(now.as_microsecond());
        for row in self.table.at_most(tenant, "expires", until, SWEPT).await? {
            let draft = event::expired(tenant, &row.key)?;
            match self.table.append(Some(row), vec![draft]).await {
                Ok(_) => {}
                Err(error) if is_stale(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn used(tenant: &TenantId, id: &str, call: &str) -> Result<Draft, DraftError> {
    let call = call.to_owned();
    Used { call }.draft(tenant, id)
}

/// Returns when what begins now ends, in microseconds since the Unix epoch.
fn end(now: Timestamp) -> i64 {
    const LIFETIME_US: i64 = LIFETIME.as_micros() as i64;
    now.as_microsecond().saturating_add(LIFETIME_US)
}

fn is_stale(error: &TableError) -> bool {
    matches!(error, TableError::Append(AppendError::Stale { .. }))
}

#[cfg(test)]
mod tests;
