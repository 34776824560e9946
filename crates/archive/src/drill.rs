//! Restoring as an exercise, so that it works on the day it is needed.
//!
//! A drill brings the whole archive back into a scratch store, as on the day it is
//! needed: with the newest snapshot, checking every object and every entry, and compares
//! the result with the present ledger. Then it folds all documents again from the entries
//! alone: a snapshot or a fold that depends on more than its entries shows there.
//!
//! # Invariants
//!
//! * Whatever keeps the archive from coming back is a failed drill, an unreachable
//!   storage included.
//! * What has changed in the ledger since the archive was written is no difference;
//!   everything else is.
//! * One node drills at a time.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airside_base::{Clock, Fault, Kind as FaultKind, NodeId, OnFailure, Supervisor, TenantId};
use airside_ledger::{
    Draft, Entry, Hash, Kind, LeaseError, Ledger, Query, Store, StoreError,
    failpoint::{self, Point},
};
use serde::Serialize;

use crate::{
    archive::Archive,
    restore::{
        Change, Digest, Folds, Rehearsal, RehearsalError, Request, RestoreError, Restored, Source,
        Until, changes_since, digest, documents, tables,
    },
};

/// The archive came back and equals the ledger.
pub const PASSED: Kind = Kind::new("drill.passed");
/// The archive did not come back, or is not what the ledger is.
pub const FAILED: Kind = Kind::new("drill.failed");
/// How often a node drills.
pub const INTERVAL: Duration = Duration::from_secs(3600);
/// When it does so for the first time.
const FIRST: Duration = Duration::from_secs(60);
const LEASE: &str = "drill";
/// A drill that takes longer may meet another, which does no harm.
const LEASE_TTL: Duration = Duration::from_secs(600);

/// What a drill has brought back: the body of [`PASSED`], version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passed {
    /// Entries.
    pub entries: u64,
    /// The restored state.
    pub digest: Digest,
    /// How many of the entries are in the snapshot that the documents came from.
    pub from_snapshot: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// Why a drill failed.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The archive does not come back.
    #[error("the archive does not come back")]
    Restore(#[source] RestoreError),
    /// The ledger or the scratch store cannot be read.
    #[error("cannot compare the restored state")]
    Read(#[source] StoreError),
    /// There is no place to restore in.
    #[error("cannot use the scratch folder")]
    Scratch(#[from] RehearsalError),
    /// The snapshot leads to other documents than the entries.
    #[error(
        "the documents of the snapshot are not what the entries say: {from_snapshot} instead of {folded}"
    )]
    Snapshot {
        /// Digest of the state with the snapshot.
        from_snapshot: Hash,
        /// Digest of the state that was folded from the entries alone.
        folded: Hash,
    },
    /// A chain came back with another entry.
    #[error("the archive has another entry {seq} of `{tenant}` than the ledger")]
    Chain {
        /// Whose chain.
        tenant: TenantId,
        /// Its last entry in the archive.
        seq: u64,
    },
    /// A document is not what its entries say.
    #[error("document `{}` of `{}` is not what the entries of `{}` say", .0.key, .0.table, .0.tenant)]
    Document(Change),
}

impl DrillError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Restore(error) => return error.fault(),
            Self::Read(error) => return error.fault(),
            Self::Scratch(error) => return error.fault(),
            Self::Snapshot { .. } => Fault::new(FaultKind::Internal, "LED-103", self.to_string())
                .with_hint("entries are not affected; the next snapshot is made without this one"),
            Self::Chain { .. } | Self::Document(_) => {
                Fault::new(FaultKind::Internal, "LED-062", self.to_string()).with_hint(
                    "keep the files as they are and run `airside ledger verify`; if the \
                         archive is that of another ledger, name this one's",
                )
            }
        }
        .with_private(self)
    }
}

/// The body of [`FAILED`], version 1.
#[derive(Serialize)]
struct Failure<'a> {
    code: &'a str,
    message: &'a str,
}

/// Brings `archive` back into a scratch store in `folder`, which is cleared before and
/// after, and compares it with the `live` store.
///
/// # Errors
///
/// Says what does not come back or differs; see [`DrillError`].
pub async fn drill(
    archive: &Archive,
    live: &dyn Store,
    folds: &Folds,
    folder: &Path,
    clock: &dyn Clock,
) -> Result<Passed, DrillError> {
    let begin = clock.monotonic();
    let scratch = Rehearsal::open(folder)?;
    let drilled = in_scratch(archive, live, folds, &scratch, clock).await;
    scratch.end().await?;
    let (restored, digest) = drilled?;
    let taken = clock.monotonic().saturating_sub(begin);
    if restored.from_snapshot > 0 {
        let again = Rehearsal::open(folder)?;
        let folded = folded(archive, &again, &restored, folds).await;
        again.end().await?;
        let folded = folded?;
        if folded != digest.tables {
            return Err(DrillError::Snapshot {
                from_snapshot: digest.tables,
                folded,
            });
        }
    }
    Ok(Passed {
        entries: restored.entries,
        digest,
        from_snapshot: restored.from_snapshot,
        duration_ms: u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
    })
}

async fn in_scratch(
    archive: &Archive,
    live: &dyn Store,
    folds: &Folds,
    scratch: &Rehearsal,
    clock: &dyn Clock,
) -> Result<(Restored, Digest), DrillError> {
    let request = Request {
        until: Until::Latest,
        tenant: None,
        now: clock.now(),
    };
    let source = Source::Archive(archive);
    let restored = scratch.run(source, &request, folds, &|_| {}).await;
    let restored = restored.map_err(DrillError::Restore)?;
    compare(live, scratch.store(), folds).await?;
    let state = digest(scratch.store(), folds).await;
    Ok((restored, state.map_err(DrillError::Read)?))
}

/// Returns the digest of the documents that the entries of `restored` alone lead to.
async fn folded(
    archive: &Archive,
    scratch: &Rehearsal,
    restored: &Restored,
    folds: &Folds,
) -> Result<Hash, DrillError> {
    let ends = restored.heads.iter().cloned().collect();
    let folded = tables::fold_all(archive, &ends, scratch.store(), folds).await;
    folded.map_err(DrillError::Restore)?;
    let tenants = restored.heads.iter().map(|(tenant, _)| tenant);
    let digest = documents(scratch.store(), tenants, folds).await;
    digest.map(|(hash, _)| hash).map_err(DrillError::Read)
}

async fn compare(live: &dyn Store, scratch: &dyn Store, folds: &Folds) -> Result<(), DrillError> {
    let mut ends = BTreeMap::new();
    for (tenant, tip) in scratch.chains().await.map_err(DrillError::Read)? {
        let head = tip.head;
        let query = Query::new(tenant.clone()).after(head.seq - 1).limit(1);
        let found = live.read(query).await.map_err(DrillError::Read)?;
        if found.first().map(Entry::head) != Some(head) {
            let seq = head.seq;
            return Err(DrillError::Chain { tenant, seq });
        }
        ends.insert(tenant, head.seq);
    }
    let changes = changes_since(&ends, live, scratch, folds).await;
    for change in changes.map_err(DrillError::Read)? {
        let end = ends.get(&change.tenant).copied().unwrap_or_default();
        // Gone since then, or never to have been there.
        let gone = change.present.is_none();
        if !gone || !is_changed_behind(live, folds, &change, end).await? {
            return Err(DrillError::Document(change));
        }
    }
    Ok(())
}

/// Returns whether an entry behind `end` changes the document.
async fn is_changed_behind(
    live: &dyn Store,
    folds: &Folds,
    change: &Change,
    end: u64,
) -> Result<bool, DrillError> {
    let mut after = end;
    loop {
        let query = Query::new(change.tenant.clone()).after(after);
        let entries = live.read(query).await.map_err(DrillError::Read)?;
        let Some(last) = entries.last() else {
            return Ok(false);
        };
        after = last.seq;
        let concerns = |entry: &Entry| folds.concerns(change.table, &change.key, entry);
        if entries.iter().any(concerns) {
            return Ok(true);
        }
    }
}

/// Drills on one node, again and again.
#[derive(Debug)]
pub struct Driller {
    ledger: Ledger,
    archive: Archive,
    folds: Folds,
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    node: NodeId,
}

impl Driller {
    /// Returns a driller of `archive` whose scratch store is in `folder`.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        archive: Archive,
        folds: Folds,
        folder: PathBuf,
        clock: Arc<dyn Clock>,
        node: NodeId,
    ) -> Self {
        Self {
            ledger,
            archive,
            folds,
            folder,
            clock,
            node,
        }
    }

    /// Drills every [`INTERVAL`] until `supervisor` stops.
    pub fn start(self, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("ledger-drill", OnFailure::Log, async move {
            let mut rest = FIRST;
            loop {
                tokio::select! {
                    () = self.clock.sleep(rest) => {}
                    () = stop.stopping() => return,
                }
                tokio::select! {
                    () = self.run() => {}
                    () = stop.stopping() => return,
                }
                rest = INTERVAL;
            }
        });
    }

    /// Drills once if no other node does, and records the outcome.
    pub async fn run(&self) {
        match self.ledger.lease(LEASE, self.node, LEASE_TTL).await {
            Ok(_) => {}
            Err(LeaseError::Taken { .. }) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "cannot take the lease to drill");
                return;
            }
        }
        let (live, clock) = (self.ledger.store(), &*self.clock);
        let outcome = drill(&self.archive, live, &self.folds, &self.folder, clock).await;
        let tenant = TenantId::default();
        let draft = match &outcome {
            Ok(passed) => Draft::new(tenant, PASSED, 1, "", passed),
            Err(error) => {
                let fault = error.fault();
                let (code, message) = (fault.code(), fault.public());
                let error = error as &dyn std::error::Error;
                tracing::error!(error, code, "the archive did not pass its drill");
                Draft::new(tenant, FAILED, 1, "", &Failure { code, message })
            }
        };
        let draft = draft.expect("the outcome is a small object");
        failpoint::reach(Point::DrillOver);
        if let Err(error) = self.ledger.append(vec![draft]).await {
            let error = &error as &dyn std::error::Error;
            tracing::error!(error, "the outcome of a drill could not be recorded");
        }
    }
}
