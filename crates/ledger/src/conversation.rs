//! State of conversations, so that the servers that hold them need none.
//!
//! It lives in this crate because the built-in server and the control API both need
//! it, and they meet only here.
//!
//! # Invariants
//!
//! * A conversation is known by its [`Handle`], 256 random bits that travel as an
//!   argument of a call, not as a session of the protocol. The ledger holds a hash of
//!   it, so neither a backup nor a log gives it away.
//! * The whole state is sealed under a key of the conversation's own, which is
//!   destroyed with it: what the ledger and its archive keep of an ended conversation
//!   cannot be read. Tenant, region, times and the pseudonym of its person are in clear.
//! * A change names the version that it was made from; a lost race is an error.
//! * After its end (by time, wish or erasure of its person) nobody reads the state.
//! * A server that looks at conversations as their owner ([`Conversations::of`]) finds
//!   those that it began and no others, whatever handle it has.
//! * An earlier state comes back as a further change, never by taking one away.
//! * State has at most 64 KiB and 32 levels, a lifetime at most 30 days.

use std::{fmt, sync::Arc, time::Duration};

use airside_base::{
    Clock, Fault, Kind as FaultKind, NodeId, OnFailure, Supervisor, TenantId, Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    batch::Batch,
    entry::{Draft, DraftError, Kind},
    error::{AppendError, LeaseError, ReadError},
    failpoint::{self, Point},
    keys::{Grave, KeyStoreError, Keys, OpenError, SealError},
    ledger::Ledger,
    personal::{Opened, Personal, Purpose, SubjectId},
    store::Cell,
    table::{Column, Fact, Schema, Table, TableError, Versioned},
};

mod name;
mod past;
mod patch;

pub use self::{
    name::{Handle, HandleError, Id, Region, RegionError},
    past::{Moment, Past, Preview, Restored, Step},
};

/// A conversation has begun.
pub const CREATED: Kind = Kind::new("conversation.created");
/// Its state has changed.
pub const PATCHED: Kind = Kind::new("conversation.patched");
/// It has ended and its key has been destroyed.
pub const ENDED: Kind = Kind::new("conversation.ended");
/// Where the state stands in the bodies of the first two.
const STATE: &str = "/state";

/// Largest state, in bytes of JSON; also the largest patch.
pub const MAX_STATE_BYTES: usize = 64 * 1024;
/// Longest lifetime without a change.
pub const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);
/// How often ended conversations are looked for.
pub const INTERVAL: Duration = Duration::from_secs(30);
/// The lease of the node that ends conversations.
const LEASE: &str = "conversation-expiry";
/// How long it is held without renewal.
const LEASE_TTL: Duration = Duration::from_secs(60);
/// Conversations that are ended in one go.
const SWEPT: usize = 100;

/// State: a JSON object.
pub type State = Map<String, Value>;

/// The body of [`CREATED`], version 1, and the document of the table. Times are
/// microseconds since the Unix epoch.
#[derive(Debug, Serialize, Deserialize)]
pub struct Created {
    subject: SubjectId,
    region: Option<Region>,
    /// The server that began it, which alone may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Arc<str>>,
    created: i64,
    expires: i64,
    lifetime_s: u64,
    state: Personal<State>,
}

/// The body of [`PATCHED`], version 1.
#[derive(Serialize, Deserialize)]
struct Patched {
    expires: i64,
    /// Which earlier state this is, if it was brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restored: Option<Restored>,
    state: Personal<State>,
}

/// Why a conversation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Asked,
    Expired,
}

/// The body of [`ENDED`], version 1.
#[derive(Serialize, Deserialize)]
struct Ended {
    reason: Reason,
}

/// The table of conversations, by the hash of their handle.
#[derive(Debug)]
pub struct Rows;

/// Name of the table, for an export.
pub const TABLE: &str = Rows::NAME;

impl Schema for Rows {
    const NAME: &'static str = "conversations";
    type Document = Created;
    const COLUMNS: &'static [Column<Created>] = &[
        Column {
            name: "expires",
            cell: |row| Some(Cell::Integer(row.expires)),
        },
        Column {
            name: "subject",
            cell: |row| Some(Cell::Text(row.subject.as_str().to_owned())),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        let known = [&CREATED, &PATCHED, &ENDED].contains(&fact.kind) && fact.version == 1;
        known.then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Created>, fact: Fact<'_>) -> Option<Created> {
        if *fact.kind == CREATED {
            return fact.decode().ok().or(prior);
        }
        if *fact.kind == ENDED {
            return None;
        }
        let prior = prior?;
        match fact.decode::<Patched>() {
            Ok(patched) => Some(Created {
                expires: patched.expires,
                state: patched.state,
                ..prior
            }),
            Err(_) => Some(prior),
        }
    }
}

/// What a conversation begins with.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// The person it is with, if that is known. Erasing the person makes the state
    /// unreadable.
    pub subject: Option<SubjectId>,
    /// How long it lives after its last change; `None` for a day.
    pub lifetime: Option<Duration>,
}

/// A conversation as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// To be named by the next change.
    pub version: u64,
    /// When it began.
    pub created: Timestamp,
    /// When it ends unless it is changed before.
    pub expires: Timestamp,
    /// Where it has to stay.
    pub region: Option<Region>,
    /// The server that began it.
    pub owner: Option<Arc<str>>,
    /// The person it is with; a pseudonym of its own if none was named.
    pub subject: SubjectId,
    /// Its state, unless its person has been erased.
    pub state: Opened<State>,
}

/// Why a conversation was not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none with this handle, not any more, or not for this tenant.
    #[error("there is no such conversation")]
    Missing,
    /// It has to stay in another region than this node's.
    #[error("the conversation is pinned to region `{region}`")]
    OtherRegion {
        /// Where it has to stay.
        region: Region,
    },
    /// It was changed by another; nothing was written.
    #[error("the conversation has version {found}, not {expected}")]
    Stale {
        /// What the caller named.
        expected: u64,
        /// What it has, as far as is known.
        found: u64,
    },
    /// State or patch are over their limits.
    #[error(
        "the state would exceed {MAX_STATE_BYTES} bytes or {} levels",
        patch::MAX_DEPTH
    )]
    TooLarge,
    /// The lifetime is zero or over its limit.
    #[error("the lifetime is not between a second and {} days", MAX_LIFETIME.as_secs() / 86_400)]
    Lifetime,
    /// The state has been erased with its person.
    #[error("the state of the conversation has been erased")]
    Erased,
    /// It had no state at that moment.
    #[error("the conversation had no state at that moment")]
    NotThen,
    /// The reason for a change is empty, too long or not plain text.
    #[error(
        "the reason is not 1 to {} bytes of plain text",
        past::MAX_REASON_BYTES
    )]
    Reason,
    /// The state cannot be sealed.
    #[error("cannot seal the state")]
    Seal(#[source] SealError),
    /// The state cannot be opened.
    #[error("cannot open the state")]
    Open(#[source] OpenError),
    /// The key cannot be destroyed.
    #[error("cannot destroy the key of the conversation")]
    Keys(#[source] KeyStoreError),
    /// The entry is malformed.
    #[error("cannot draft the entry")]
    Draft(#[source] DraftError),
    /// It cannot be read or written.
    #[error("cannot use the table of conversations")]
    Table(#[source] TableError),
    /// The chains cannot be listed.
    #[error("cannot list the chains")]
    Read(#[source] ReadError),
    /// The lease of the sweeper could not be had.
    #[error("cannot take the lease")]
    Lease(#[source] LeaseError),
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing => Fault::new(
                FaultKind::NotFound,
                "LED-090",
                "there is no such conversation",
            ),
            Self::OtherRegion { .. } => Fault::new(
                FaultKind::Forbidden,
                "LED-091",
                "the conversation has to stay in another region",
            )
            .with_private(self),
            Self::Stale { .. } => Fault::new(
                FaultKind::Conflict,
                "LED-008",
                "the document has been changed by another",
            )
            .with_hint("read it again and repeat the change"),
            Self::TooLarge => Fault::new(
                FaultKind::TooLarge,
                "LED-092",
                "the state of the conversation is too large",
            ),
            Self::Lifetime => Fault::new(
                FaultKind::Invalid,
                "LED-094",
                "the lifetime of the conversation is out of range",
            ),
            Self::Erased => Fault::new(
                FaultKind::Conflict,
                "LED-093",
                "the state of the conversation has been erased",
            ),
            Self::NotThen => Fault::new(
                FaultKind::NotFound,
                "LED-123",
                "the conversation had no state at that moment",
            ),
            Self::Reason => Fault::new(
                FaultKind::Invalid,
                "LED-124",
                "the reason has to be 1 to 200 bytes of plain text",
            ),
            Self::Seal(error) => error.fault(),
            Self::Open(error) => error.fault(),
            Self::Keys(error) => error.fault(),
            Self::Draft(error) => error.fault(),
            Self::Table(error) => error.fault(),
            Self::Read(error) => error.fault(),
            Self::Lease(error) => error.fault(),
        }
    }
}

/// The conversations of one node. Clones share them.
#[derive(Clone)]
pub struct Conversations {
    ledger: Ledger,
    table: Table<Rows>,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    region: Option<Region>,
    owner: Option<Arc<str>>,
}

impl fmt::Debug for Conversations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conversations")
            .field("region", &self.region)
            .field("owner", &self.owner)
            .finish_non_exhaustive()
    }
}

impl Conversations {
    /// Returns the conversations in `ledger`, as a node in `region` sees them: it pins
    /// new ones to its region and leaves those of other regions alone.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        keys: Arc<Keys>,
        clock: Arc<dyn Clock>,
        region: Option<Region>,
    ) -> Self {
        Self {
            table: Table::new(ledger.clone()),
            ledger,
            keys,
            clock,
            region,
            owner: None,
        }
    }

    /// Returns the same conversations as the server `owner` sees them: it finds those
    /// that it began, and no others.
    #[must_use]
    pub fn of(&self, owner: &str) -> Self {
        Self {
            owner: Some(owner.into()),
            ..self.clone()
        }
    }

    /// Begins a conversation. The handle is not kept anywhere else.
    ///
    /// # Errors
    ///
    /// When a limit is exceeded, or it cannot be sealed or written.
    pub async fn create(
        &self,
        tenant: &TenantId,
        opening: Opening,
        state: State,
    ) -> Result<(Handle, Conversation), Error> {
        let lifetime = opening.lifetime.unwrap_or(Duration::from_secs(24 * 3600));
        if lifetime < Duration::from_secs(1) || lifetime > MAX_LIFETIME {
            return Err(Error::Lifetime);
        }
        check(&state)?;
        let handle = Handle::generate();
        let id = handle.id(tenant);
        let own = || id.as_str().parse().expect("43 characters of base64url");
        let subject = opening.subject.unwrap_or_else(own);
        let now = self.clock.now();
        let created = Created {
            region: self.region.clone(),
            owner: self.owner.clone(),
            created: now.as_microsecond(),
            expires: after(now, lifetime.as_secs()).as_microsecond(),
            lifetime_s: lifetime.as_secs(),
            state: sealable(&subject, id.as_str(), state.clone()),
            subject,
        };
        let draft = self
            .keys
            .draft(tenant, CREATED, 1, id.as_str(), &created)
            .await;
        let draft = draft.map_err(Error::Seal)?;
        let version = self.append(None, draft, 0).await?;
        let conversation = created.read(version, Opened::Clear(state));
        Ok((handle, conversation))
    }

    /// Returns a conversation.
    ///
    /// # Errors
    ///
    /// When there is none, it belongs to another region, or it cannot be read.
    pub async fn get(&self, tenant: &TenantId, handle: &Handle) -> Result<Conversation, Error> {
        self.show(tenant, &handle.id(tenant)).await
    }

    /// As [`Conversations::get`], for whoever has no handle of it.
    ///
    /// # Errors
    ///
    /// As [`Conversations::get`].
    pub async fn show(&self, tenant: &TenantId, id: &Id) -> Result<Conversation, Error> {
        let row = self.find(tenant, id).await?;
        let state = self.open(tenant, &row.document).await?;
        Ok(row.document.read(row.version, state))
    }

    /// Applies `patch` (JSON Merge Patch, RFC 7396) to the state of `version`, and
    /// starts the lifetime anew.
    ///
    /// # Errors
    ///
    /// [`Error::Stale`] when it has another version, otherwise as
    /// [`Conversations::create`] and [`Conversations::get`].
    pub async fn patch(
        &self,
        tenant: &TenantId,
        handle: &Handle,
        version: u64,
        patch: State,
    ) -> Result<Conversation, Error> {
        check(&patch)?;
        let id = handle.id(tenant);
        let row = self.find(tenant, &id).await?;
        if row.version != version {
            return Err(Error::Stale {
                expected: version,
                found: row.version,
            });
        }
        let Opened::Clear(mut state) = self.open(tenant, &row.document).await? else {
            return Err(Error::Erased);
        };
        patch::merge(&mut state, patch);
        check(&state)?;
        self.write(tenant, row, state, None).await
    }

    /// Makes `state` the state of `row`, and starts its lifetime anew.
    async fn write(
        &self,
        tenant: &TenantId,
        row: Versioned<Created>,
        state: State,
        restored: Option<Restored>,
    ) -> Result<Conversation, Error> {
        let version = row.version;
        let expires = after(self.clock.now(), row.document.lifetime_s);
        let subject = &row.document.subject;
        let patched = Patched {
            expires: expires.as_microsecond(),
            restored,
            state: sealable(subject, &row.key, state.clone()),
        };
        let draft = self.keys.draft(tenant, PATCHED, 1, &row.key, &patched);
        let draft = draft.await.map_err(Error::Seal)?;
        // An erasure in between must not let the old state live on under a new key.
        let sealed: Option<Patched> = serde_json::from_slice(draft.body()).ok();
        let sealed = sealed.as_ref().and_then(|patched| patched.state.sealed());
        if sealed.map(|sealed| &sealed.key) != row.document.state.sealed().map(|s| &s.key) {
            return Err(Error::Erased);
        }
        let mut conversation = row.document.read(version, Opened::Clear(state));
        conversation.version = self.append(Some(row), draft, version).await?;
        conversation.expires = expires;
        Ok(conversation)
    }

    /// Ends a conversation and destroys its key.
    ///
    /// # Errors
    ///
    /// When there is none, it belongs to another region, or it cannot be ended.
    pub async fn end(&self, tenant: &TenantId, handle: &Handle) -> Result<(), Error> {
        let row = self.find(tenant, &handle.id(tenant)).await?;
        let mut batch = Batch::new();
        self.finish(&mut batch, tenant, row, Reason::Asked).await?;
        let ended = self.ledger.commit(batch).await;
        ended.map(drop).map_err(lost_race)
    }

    /// Ends the conversations whose time has come; returns how many.
    ///
    /// # Errors
    ///
    /// When another node does it, or the ledger does not answer.
    pub async fn sweep(&self, node: NodeId) -> Result<usize, Error> {
        let mut swept = 0;
        for (tenant, _) in self.ledger.heads().await.map_err(Error::Read)? {
            loop {
                let now = Cell::Integer(self.clock.now().as_microsecond());
                let due = self.table.at_most(&tenant, "expires", now, SWEPT).await;
                let due = due.map_err(Error::Table)?;
                if due.is_empty() {
                    break;
                }
                let lease = self.ledger.lease(LEASE, node, LEASE_TTL).await;
                let lease = lease.map_err(Error::Lease)?;
                let count = due.len();
                let mut batch = Batch::new();
                batch.fence(&lease);
                for row in due {
                    self.finish(&mut batch, &tenant, row, Reason::Expired)
                        .await?;
                }
                // A change that was under way makes this fail; the next sweep ends the
                // others, and that conversation when its time comes again.
                self.ledger.commit(batch).await.map_err(lost_race)?;
                swept += count;
            }
        }
        Ok(swept)
    }

    /// Sweeps every [`INTERVAL`] until `supervisor` stops.
    pub fn start(self, node: NodeId, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("ledger-conversations", OnFailure::Log, async move {
            loop {
                let rest = self.clock.sleep(INTERVAL);
                futures_util::future::select(std::pin::pin!(stop.stopping()), rest).await;
                if stop.is_stopping() {
                    return;
                }
                match self.sweep(node).await {
                    Ok(_) | Err(Error::Lease(LeaseError::Taken { .. })) => {}
                    Err(error) => tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "cannot end conversations whose time has come"
                    ),
                }
            }
        });
    }

    async fn find(&self, tenant: &TenantId, id: &Id) -> Result<Versioned<Created>, Error> {
        let row = self.table.find(tenant, id.as_str()).await;
        let row = row.map_err(Error::Table)?.ok_or(Error::Missing)?;
        if self.owner.is_some() && row.document.owner != self.owner {
            return Err(Error::Missing);
        }
        if row.document.expires <= self.clock.now().as_microsecond() {
            return Err(Error::Missing);
        }
        match &row.document.region {
            Some(region) if Some(region) != self.region.as_ref() => Err(Error::OtherRegion {
                region: region.clone(),
            }),
            Some(_) | None => Ok(row),
        }
    }

    async fn open(&self, tenant: &TenantId, row: &Created) -> Result<Opened<State>, Error> {
        // It was sealed by the entry that wrote it last.
        let kind = match row.state.sealed() {
            Some(sealed) if sealed.at.starts_with(PATCHED.as_str()) => PATCHED,
            Some(_) | None => CREATED,
        };
        let state = self.keys.open(tenant, &kind, STATE, &row.state).await;
        state.map_err(Error::Open)
    }

    async fn append(
        &self,
        prior: Option<Versioned<Created>>,
        draft: Draft,
        expected: u64,
    ) -> Result<u64, Error> {
        match self.table.append(prior, vec![draft]).await {
            Ok(receipt) => Ok(receipt.entries[0].seq),
            Err(TableError::Append(AppendError::Stale { .. })) => Err(Error::Stale {
                expected,
                found: expected + 1,
            }),
            Err(error) => Err(Error::Table(error)),
        }
    }

    /// Destroys the key of `row` and adds its end to `batch`. The key goes first: what
    /// is promised must not depend on a later write.
    async fn finish(
        &self,
        batch: &mut Batch,
        tenant: &TenantId,
        row: Versioned<Created>,
        reason: Reason,
    ) -> Result<(), Error> {
        if let Some(sealed) = row.document.state.sealed() {
            let grave = Grave {
                purpose: sealed.purpose,
                key: sealed.key.clone(),
            };
            let subject = &row.document.subject;
            let buried = self.keys.bury(tenant, subject, vec![grave]).await;
            buried.map_err(Error::Keys)?;
            failpoint::reach(Point::ConversationDestroyed);
        }
        let ended = Ended { reason };
        let draft = Draft::new(tenant.clone(), ENDED, 1, &row.key, &ended);
        let drafts = vec![draft.map_err(Error::Draft)?];
        let changed = self.table.change(batch, Some(row), drafts);
        changed.map_err(Error::Table)
    }
}

impl Created {
    fn read(&self, version: u64, state: Opened<State>) -> Conversation {
        let time = |micros| Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX);
        Conversation {
            version,
            created: time(self.created),
            expires: time(self.expires),
            region: self.region.clone(),
            owner: self.owner.clone(),
            subject: self.subject.clone(),
            state,
        }
    }
}

/// The whole state is personal: a model writes into it what a person said.
fn sealable(subject: &SubjectId, id: &str, state: State) -> Personal<State> {
    Personal::scoped(subject.clone(), Purpose::Service, id.into(), state)
}

fn check(state: &State) -> Result<(), Error> {
    let mut size = Size(0);
    let fits = patch::is_within(state, patch::MAX_DEPTH - 1)
        && serde_json::to_writer(&mut size, state).is_ok();
    if fits { Ok(()) } else { Err(Error::TooLarge) }
}

/// Counts bytes up to the limit.
struct Size(usize);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > MAX_STATE_BYTES {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn after(now: Timestamp, lifetime_s: u64) -> Timestamp {
    let lifetime = Duration::from_secs(lifetime_s);
    now.checked_add(lifetime).unwrap_or(Timestamp::MAX)
}

fn lost_race(error: AppendError) -> Error {
    Error::Table(TableError::Append(error))
}
