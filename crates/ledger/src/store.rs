//! The port to the durable home of the ledger.
//!
//! # Invariants that every implementation keeps
//!
//! * [`Store::commit`] is atomic and durable: when it returns `Ok`, entries and
//!   documents survive the loss of the process and of the machine's memory; when
//!   it returns an error they are absent, except after [`StoreError::Failed`],
//!   where the outcome is unknown until the store is read again.
//! * A chain never forks: a segment names the head it continues, and a commit
//!   whose expectation is stale changes nothing.
//! * Entries are never updated or deleted through this port.
//!
//! [`contract`] is these sentences as code; each implementation runs it.

use std::{borrow::Cow, error::Error as StdError, fmt::Debug, sync::Arc, time::Duration};

use airside_base::{BoxFuture, TenantId, Timestamp};
use bytes::Bytes;
use tokio::sync::watch;

use crate::entry::{Entry, Hash, Head};

pub mod contract;

/// Most entries or rows that one read returns.
pub const MAX_READ: usize = 1000;
/// Most hashes that one read returns.
pub const MAX_HASHES: usize = 4096;
/// A read stops after this many bytes, so that its memory is bounded. It
/// returns at least one entry if there is one.
pub const MAX_READ_BYTES: usize = 4 * 1024 * 1024;
/// Most index columns of one table.
pub const MAX_COLUMNS: usize = 4;

/// The end of a chain, with the time that the next entry may not precede.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// The last entry.
    pub head: Head,
    /// Its time; the Unix epoch for an empty chain.
    pub time: Timestamp,
}

impl Default for Tip {
    fn default() -> Self {
        Self {
            head: Head::default(),
            time: Timestamp::UNIX_EPOCH,
        }
    }
}

/// Entries that continue one chain: not empty, without gaps, each naming the
/// hash of the one in front of it.
#[derive(Clone, Debug)]
pub struct Segment {
    expected: Head,
    entries: Vec<Entry>,
}

impl Segment {
    /// Returns `entries` as a continuation of `expected`, unless they are none.
    #[must_use]
    pub fn new(expected: Head, entries: Vec<Entry>) -> Option<Self> {
        let tenant = &entries.first()?.tenant;
        let mut head = expected;
        for entry in &entries {
            if entry.seq != head.seq + 1 || entry.prev != head.hash || entry.tenant != *tenant {
                return None;
            }
            head = entry.head();
        }
        Some(Self { expected, entries })
    }

    /// Returns whose chain it continues.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.entries[0].tenant
    }

    /// Returns the head that the chain must have.
    #[must_use]
    pub fn expected(&self) -> Head {
        self.expected
    }

    /// Returns the entries.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the end of the chain after it.
    #[must_use]
    pub fn tip(&self) -> Tip {
        let last = &self.entries[self.entries.len() - 1];
        Tip {
            head: last.head(),
            time: last.time,
        }
    }
}

/// Everything that becomes durable together.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// Continued chains, at most one segment for each.
    pub segments: Vec<Segment>,
    /// What was asked for, one unit per request, so that a refusal can name it.
    pub units: Vec<Unit>,
}

impl Commit {
    /// Returns about how many bytes it makes the store write.
    pub(crate) fn weight(&self) -> usize {
        let entries = self.segments.iter().flat_map(Segment::entries);
        let writes = self.units.iter().flat_map(|unit| &unit.writes);
        let documents = writes.filter_map(|write| write.document.as_ref());
        entries.map(Entry::weight).sum::<usize>()
            + documents.map(|document| document.body.len()).sum::<usize>()
    }
}

/// The conditions and documents of one request within a [`Commit`].
#[derive(Clone, Debug, Default)]
pub struct Unit {
    /// The lease that must still be held.
    pub fence: Option<Fence>,
    /// Documents to change.
    pub writes: Vec<Write>,
}

/// Proof of holding a lease, checked in the transaction that relies on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The lease.
    pub name: Arc<str>,
    /// Grows with every new holder; a stale one is refused.
    pub token: u64,
}

/// One change of one document.
#[derive(Clone, Debug)]
pub struct Write {
    /// The table.
    pub table: &'static str,
    /// Whose document.
    pub tenant: TenantId,
    /// Which document.
    pub key: Arc<str>,
    /// The version that it must have; `None` if it must not exist.
    pub expected: Option<u64>,
    /// Its new version: the sequence number of the entry that explains the
    /// change. It therefore grows and is never used twice, even after a deletion.
    pub version: u64,
    /// Its new content; `None` deletes it.
    pub document: Option<Document>,
}

/// The content of a document and what it can be found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// One JSON value.
    pub body: Bytes,
    /// Values of the declared index columns, in their order.
    pub cells: [Option<Cell>; MAX_COLUMNS],
}

/// One indexed value. All values of one column are of the same sort.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// A number.
    Integer(i64),
    /// A text, ordered by its UTF-8 bytes.
    Text(String),
}

/// A stored document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which document.
    pub key: Arc<str>,
    /// Its version, to be named by the next write.
    pub version: u64,
    /// One JSON value.
    pub body: Bytes,
}

/// Which documents to read.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The table.
    pub table: &'static str,
    /// Whose documents.
    pub tenant: TenantId,
    /// Which of them.
    pub filter: Filter,
    /// Most rows to return; [`MAX_READ`] caps it.
    pub limit: usize,
}

/// Selects documents of one table.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All behind key `after`, by key.
    All {
        /// Empty to start.
        after: String,
    },
    /// Those whose column has this value, behind key `after`, by key.
    Equal {
        /// Number of the declared column.
        column: usize,
        /// Its value.
        value: Cell,
        /// Empty to start.
        after: String,
    },
    /// Those whose column is at most this value, by value: the smallest first.
    AtMost {
        /// Number of the declared column.
        column: usize,
        /// Its highest value.
        value: Cell,
    },
}

/// Which entries of one chain to read.
#[derive(Clone, Debug)]
pub struct Query {
    pub(crate) tenant: TenantId,
    pub(crate) after: u64,
    pub(crate) limit: usize,
    pub(crate) kind: Option<Cow<'static, str>>,
    pub(crate) subject: Option<String>,
}

impl Query {
    /// Returns the query for the first entries of the chain of `tenant`.
    #[must_use]
    pub fn new(tenant: TenantId) -> Self {
        Self {
            tenant,
            after: 0,
            limit: MAX_READ,
            kind: None,
            subject: None,
        }
    }

    /// Keeps only entries behind sequence number `seq`.
    #[must_use]
    pub fn after(mut self, seq: u64) -> Self {
        self.after = seq;
        self
    }

    /// Returns at most `limit` entries ([`MAX_READ`] caps it), and fewer when
    /// they are large; only an empty answer means that there are none.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, MAX_READ);
        self
    }

    /// Keeps only entries whose kind is `prefix` or lies below it (`call` holds
    /// `call.completed`).
    #[must_use]
    pub fn kind(mut self, prefix: impl Into<Cow<'static, str>>) -> Self {
        self.kind = Some(prefix.into());
        self
    }

    /// Keeps only entries about `subject`; an empty one keeps all.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into()).filter(|subject| !subject.is_empty());
        self
    }

    /// Returns whether `entry` of the right chain is asked for.
    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        entry.seq > self.after
            && self.kind.as_ref().is_none_or(|k| entry.kind.is_under(k))
            && self.subject.as_ref().is_none_or(|s| *entry.subject == **s)
    }
}

/// Hashes that lie side by side in the Merkle tree of one chain, as in the tiles of
/// C2SP `tlog-tiles`: number `i` of all hashes of level `l` is the root over the
/// `256^l` entries behind entry `i * 256^l`. The lowest level, the hashes of the
/// entries themselves, is not kept twice.
///
/// Tiles are computed from entries and hold nothing that is not in them: a missing
/// one is made again, and whoever reads one checks what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// From 1 on.
    pub level: u8,
    /// Its place among the tiles of its level: its first hash has this number times
    /// [`TILE_HASHES`].
    pub number: u64,
    /// One to [`TILE_HASHES`] of them; only the last tile of a level has fewer.
    pub hashes: Vec<Hash>,
}

/// Hashes of a full [`Tile`].
pub const TILE_HASHES: usize = 256;

impl Tile {
    /// Returns its hashes as they are stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let hashes = self.hashes.iter();
        hashes.flat_map(|hash| *hash.as_bytes()).collect()
    }

    /// Reads stored hashes; `None` if they are none or too many.
    pub(crate) fn hashes(bytes: &[u8]) -> Option<Vec<Hash>> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        let whole = rest.is_empty() && (1..=TILE_HASHES).contains(&hashes.len());
        whole.then(|| hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect())
    }
}

/// A wish to hold a lease.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The lease.
    pub name: Arc<str>,
    /// Who wants it; the present holder renews.
    pub holder: Arc<str>,
    /// The present time.
    pub now: Timestamp,
    /// How long it is to be held without renewal.
    pub ttl: Duration,
}

/// The state of a lease after a [`Claim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The claimant holds it.
    Held {
        /// To be named by commits that rely on it.
        fence: Fence,
        /// When it ends without renewal.
        until: Timestamp,
    },
    /// Another holds it.
    Taken {
        /// When that ends without renewal.
        until: Timestamp,
    },
}

/// Why one unit of a commit was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The document has another version than expected.
    Stale {
        /// The table.
        table: &'static str,
        /// The document.
        key: Arc<str>,
    },
    /// The lease is held by another or by nobody.
    Fenced {
        /// The lease.
        name: Arc<str>,
    },
}

/// What a store reports of the system below it.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// Why a store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A chain has another head than expected; nothing was written.
    #[error("the chain of `{tenant}` continues at {} and not where expected", found.seq)]
    Conflict {
        /// Whose chain.
        tenant: TenantId,
        /// Its present head.
        found: Head,
    },
    /// Some units do not hold; nothing was written.
    #[error("{} requests of the commit no longer hold", .0.len())]
    Refused(Vec<(usize, Refusal)>),
    /// There is no room; nothing was written.
    #[error("the ledger's storage is full")]
    Full(#[source] Cause),
    /// A stored entry or document cannot be what was written.
    #[error("entry {seq} of `{tenant}` is damaged: {what}")]
    Corrupt {
        /// Whose chain.
        tenant: TenantId,
        /// Which entry.
        seq: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The store has been closed, or was opened for reading only.
    #[error("the ledger's storage is closed")]
    Closed,
    /// The system below failed.
    #[error("cannot {doing}")]
    Failed {
        /// What was attempted.
        doing: &'static str,
        /// What went wrong.
        source: Cause,
    },
}

/// Durable home of the ledger.
pub trait Store: Send + Sync + Debug {
    /// Makes `commit` durable: all of it or nothing.
    fn commit(&self, commit: Arc<Commit>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Returns the end of the chain of `tenant`.
    fn tip(&self, tenant: TenantId) -> BoxFuture<'_, Result<Tip, StoreError>>;

    /// Returns all chains, by tenant.
    fn chains(&self) -> BoxFuture<'_, Result<Vec<(TenantId, Tip)>, StoreError>>;

    /// Returns entries of one chain in order.
    fn read(&self, query: Query) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>>;

    /// Returns the hashes of the entries of `tenant` behind `after`, at most `limit` and
    /// [`MAX_HASHES`], and none behind an entry that is missing.
    fn hashes(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Hash>, StoreError>>;

    /// Returns the hashes of one tile of the tree of `tenant`, if there is one. What
    /// is stored in a form that is none has no hashes.
    fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        number: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<Hash>>, StoreError>>;

    /// Keeps `tiles` of the tree of `tenant`, whose entries are durable, in the place of
    /// those that were there.
    fn put_tiles(
        &self,
        tenant: TenantId,
        tiles: Vec<Tile>,
    ) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Returns one document.
    fn find(
        &self,
        table: &'static str,
        tenant: TenantId,
        key: Arc<str>,
    ) -> BoxFuture<'_, Result<Option<Row>, StoreError>>;

    /// Returns documents.
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>, StoreError>>;

    /// Takes or renews a lease that is free, has ended or is the claimant's own.
    /// A new holder gets a higher token than every holder before.
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>>;

    /// Gives a lease back if it is still held under `fence`.
    fn release(&self, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Returns a counter that changes after every commit that became visible,
    /// whoever made it. It may change without one: whoever is woken looks.
    fn commits(&self) -> watch::Receiver<u64>;

    /// Returns the priority of the thread that writes, as a nice value from -20
    /// (first) to 19, where there is such a thread and the system tells.
    fn writer_nice(&self) -> Option<i32> {
        None
    }

    /// Finishes what is under way and refuses what comes later with
    /// [`StoreError::Closed`]. Reading goes on.
    fn close(&self) -> BoxFuture<'_, ()>;
}

impl Claim {
    /// Returns when the lease ends without renewal.
    pub(crate) fn until(&self) -> Timestamp {
        self.now.checked_add(self.ttl).unwrap_or(Timestamp::MAX)
    }
}

impl Unit {
    /// Returns whether it asks for nothing beyond its entries.
    pub(crate) fn is_empty(&self) -> bool {
        self.fence.is_none() && self.writes.is_empty()
    }
}
