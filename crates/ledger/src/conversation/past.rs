//! What a conversation was, and bringing it back.
//!
//! # Invariants
//!
//! * An earlier state is written as a further entry, which names the entry that it
//!   comes from and why. Nothing is taken out of the ledger.
//! * It opens only under the key that the conversation still has: what was erased or
//!   ended does not come back, and the state of one conversation does not become that
//!   of another, wherever the earlier entry was read.

use airside_base::{TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    CREATED, Conversation, Conversations, ENDED, Error, Id, PATCHED, Patched, STATE, State, patch,
};
use crate::{
    entry::Entry,
    personal::{Opened, Personal},
    store::{Query, Store},
};

/// All kinds of conversations lie below it.
const PREFIX: &str = "conversation";
/// Longest reason for bringing a state back, in bytes.
pub(super) const MAX_REASON_BYTES: usize = 200;

/// A moment in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A time.
    Time(Timestamp),
    /// The number of an entry.
    Seq(u64),
}

impl Moment {
    fn includes(self, entry: &Entry) -> bool {
        match self {
            Self::Time(time) => entry.time <= time,
            Self::Seq(seq) => entry.seq <= seq,
        }
    }
}

/// Which earlier state was brought back, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The number of the entry that it comes from.
    pub seq: u64,
    /// Why. In clear and for ever: it should name no person.
    pub reason: String,
}

/// One entry about a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its number: the version of the conversation from then on.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// `created`, `patched`, `restored` or `ended`.
    pub what: &'static str,
    /// Which state was brought back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

/// The entry that holds the state of some moment.
#[derive(Clone, Debug)]
pub struct Past(Entry);

impl Past {
    /// Returns `entry` as the state of a moment, if it is an entry of a conversation
    /// that holds one.
    #[must_use]
    pub fn of(entry: Entry) -> Option<Self> {
        let holds = (entry.kind == CREATED || entry.kind == PATCHED) && entry.version == 1;
        holds.then_some(Self(entry))
    }

    /// Returns the entry in `store` that holds the state of `moment`.
    ///
    /// # Errors
    ///
    /// [`Error::NotThen`] when there is none.
    pub async fn find(
        store: &dyn Store,
        tenant: &TenantId,
        id: &Id,
        moment: Moment,
    ) -> Result<Self, Error> {
        let mut found = None;
        let mut after = 0;
        loop {
            let entries = store.read(about(tenant, id, after)).await;
            let entries = entries.map_err(|error| Error::Read(error.into()))?;
            let Some(last) = entries.last() else { break };
            after = last.seq;
            let later = entries.iter().any(|entry| !moment.includes(entry));
            let within = entries.into_iter().filter(|entry| moment.includes(entry));
            found = within.filter_map(Self::of).last().or(found);
            if later {
                break;
            }
        }
        found.ok_or(Error::NotThen)
    }

    /// Returns the entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.0
    }

    /// Returns the number of the entry.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.0.seq
    }

    /// Returns when it was written.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.0.time
    }
}

/// What bringing a state back would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Preview {
    /// The conversation as it is, without its state.
    pub version: u64,
    /// JSON Merge Patch (RFC 7396) from the present state to the earlier one.
    pub patch: State,
}

/// What is read of the body of an entry that holds a state.
#[derive(Deserialize)]
struct Holding {
    state: Personal<State>,
}

impl Conversations {
    /// Returns up to a page of the entries about a conversation behind entry `after`,
    /// also when it has ended.
    ///
    /// # Errors
    ///
    /// When there is none, or the ledger cannot be read.
    pub async fn history(
        &self,
        tenant: &TenantId,
        id: &Id,
        after: u64,
    ) -> Result<Vec<Step>, Error> {
        let entries = self.entries(tenant, id, after).await?;
        if entries.is_empty() && after == 0 {
            return Err(Error::Missing);
        }
        Ok(entries.iter().filter_map(step).collect())
    }

    /// Returns the entry that holds the state of `moment`.
    ///
    /// # Errors
    ///
    /// [`Error::NotThen`] when there is none.
    pub async fn past(&self, tenant: &TenantId, id: &Id, moment: Moment) -> Result<Past, Error> {
        Past::find(self.ledger.store(), tenant, id, moment).await
    }

    /// Returns what [`Conversations::restore`] would change.
    ///
    /// # Errors
    ///
    /// As [`Conversations::restore`].
    pub async fn preview(&self, tenant: &TenantId, id: &Id, past: &Past) -> Result<Preview, Error> {
        let (row, earlier) = self.both(tenant, id, past).await?;
        let Opened::Clear(present) = self.open(tenant, &row.document).await? else {
            return Err(Error::Erased);
        };
        Ok(Preview {
            version: row.version,
            patch: patch::difference(&present, &earlier),
        })
    }

    /// Makes the state of `past` the present one, as a change of `version` for `reason`.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] when it has another version, [`Error::Erased`] when the person
    /// was erased since, [`Error::NotThen`] when `past` is of another conversation,
    /// otherwise as [`Conversations::patch`].
    pub async fn restore(
        &self,
        tenant: &TenantId,
        id: &Id,
        past: &Past,
        version: u64,
        reason: &str,
    ) -> Result<Conversation, Error> {
        if !(1..=MAX_REASON_BYTES).contains(&reason.len()) || reason.chars().any(char::is_control) {
            return Err(Error::Reason);
        }
        let (row, state) = self.both(tenant, id, past).await?;
        if row.version != version {
            return Err(Error::Stale {
                expected: version,
                found: row.version,
            });
        }
        let restored = Restored {
            seq: past.seq(),
            reason: reason.to_owned(),
        };
        self.write(tenant, row, state, Some(restored)).await
    }

    /// Returns the present document and the earlier state.
    async fn both(
        &self,
        tenant: &TenantId,
        id: &Id,
        Past(entry): &Past,
    ) -> Result<(crate::Versioned<super::Created>, State), Error> {
        let row = self.find(tenant, id).await?;
        if entry.tenant != *tenant || *entry.subject != *id.as_str() {
            return Err(Error::NotThen);
        }
        let earlier: Holding = entry.decode().map_err(|_| Error::NotThen)?;
        // A conversation has one key from its beginning to its end.
        let key = |state: &Personal<State>| state.sealed().map(|sealed| sealed.key.clone());
        if key(&earlier.state) != key(&row.document.state) {
            return Err(Error::Erased);
        }
        let state = self.keys.open(tenant, &entry.kind, STATE, &earlier.state);
        match state.await.map_err(Error::Open)? {
            Opened::Clear(state) => Ok((row, state)),
            Opened::Erased => Err(Error::Erased),
        }
    }

    async fn entries(&self, tenant: &TenantId, id: &Id, after: u64) -> Result<Vec<Entry>, Error> {
        let entries = self.ledger.read(about(tenant, id, after)).await;
        entries.map_err(Error::Read)
    }
}

/// Returns the query for the entries about a conversation.
fn about(tenant: &TenantId, id: &Id, after: u64) -> Query {
    let query = Query::new(tenant.clone()).after(after);
    query.kind(PREFIX).subject(id.as_str())
}

fn step(entry: &Entry) -> Option<Step> {
    let restored = match entry.kind == PATCHED {
        true => entry.decode::<Patched>().ok()?.restored,
        false => None,
    };
    let what = match &restored {
        Some(_) => "restored",
        None if entry.kind == CREATED => "created",
        None if entry.kind == PATCHED => "patched",
        None if entry.kind == ENDED => "ended",
        None => return None,
    };
    Some(Step {
        seq: entry.seq,
        time: entry.time,
        what,
        restored,
    })
}
