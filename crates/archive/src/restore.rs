//! Bringing the ledger back as it was at some moment, into any store.
//!
//! # Invariants
//!
//! * The target is empty before; nothing is ever overwritten.
//! * Of each chain all entries up to the moment come back and none behind it. Since
//!   entries of one append share their time, appends come back whole.
//! * Every entry is checked against the one in front of it before it is written.
//! * Documents come from the newest snapshot that lies within the moment, whose digests
//!   are recomputed, and are folded from the entries behind it; without a usable snapshot
//!   all of them are folded. Memory is bounded.
//! * Whoever has been erased up to the end of the source stays erased: the list is known
//!   before anything is written, and is in the target before [`restore()`] returns.
//! * A target carries a mark until then: a node refuses what a crash left half made.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, Fault, Kind, NodeId, Supervisor, TenantId, Timestamp};
use airside_ledger::{
    Head, Ledger, OpenError, Options, Progress, Store, StoreError,
    erasure::{EraseError, List, ListError},
    failpoint::{self, Point},
    store::{Claim, Claimed, Fence},
};

use self::writer::Writer;
use crate::archive::{Archive, Error as ArchiveError};

mod difference;
mod extract;
mod folds;
mod rehearsal;
mod source;
pub(crate) mod tables;
mod until;
mod writer;

pub(crate) use self::difference::{Rows, changes_since, documents};
pub use self::{
    difference::{ChainChange, Change, Difference, Digest, difference, difference_about, digest},
    extract::{EXTRACTED, restore_subject},
    folds::Folds,
    rehearsal::{Rehearsal, RehearsalError},
    until::{ParseUntilError, Until},
};

/// The lease that is held in a target until everything is there.
const MARK: &str = "restore";
/// Nobody comes back to a restore that was interrupted: it does not end by itself.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Longest wait for what writes the erasures to end.
const CLOSE: Duration = Duration::from_secs(30);

/// Where the entries come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// An archive.
    Archive(&'a Archive),
    /// Another store, which is only read.
    Store(&'a dyn Store),
}

/// What to bring back.
#[derive(Clone, Debug)]
pub struct Request {
    /// Up to where.
    pub until: Until,
    /// Whose chain; `None` for all.
    pub tenant: Option<TenantId>,
    /// The present time: nothing later can be asked for.
    pub now: Timestamp,
}

/// What has been brought back.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Restored {
    /// Entries.
    pub entries: u64,
    /// The end of each chain.
    pub heads: Vec<(TenantId, Head)>,
    /// Time of the last entry.
    pub time: Timestamp,
    /// How many of these entries are in the snapshot that the documents came from; the
    /// documents of the others were folded.
    pub from_snapshot: u64,
    /// How many erasures were recorded that came after the moment.
    pub erasures: usize,
}

/// Why nothing, or not everything, was brought back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The target holds entries; it was left as it is.
    #[error("the target is not empty")]
    NotEmpty,
    /// The target holds a part of what an earlier restore was to bring back.
    #[error("the target holds a part of a restore that did not come to its end")]
    Unfinished,
    /// The marker of a restore under way cannot be set in the target.
    #[error("cannot mark the target")]
    Mark(#[source] StoreError),
    /// The moment is in front of the first entry.
    #[error("{time} is before the first entry, of {first}")]
    BeforeFirst {
        /// What was asked for.
        time: Timestamp,
        /// When the first entry was written.
        first: Timestamp,
    },
    /// The source does not reach as far.
    #[error("{time} is later than the source reaches, {reaches}")]
    Beyond {
        /// What was asked for.
        time: Timestamp,
        /// How far it reaches.
        reaches: Timestamp,
    },
    /// The source has no such entry or manifest.
    #[error("the source has no {what}")]
    Absent {
        /// What was asked for.
        what: String,
    },
    /// A number says nothing without its chain, a manifest nothing without an archive.
    #[error("{what}")]
    Unclear {
        /// What is missing.
        what: &'static str,
    },
    /// The archive cannot be read.
    #[error("cannot read the archive")]
    Archive(#[source] ArchiveError),
    /// The source store cannot be read.
    #[error("cannot read the source")]
    Source(#[source] StoreError),
    /// An entry of the source store does not continue its chain.
    #[error("entry {seq} of `{tenant}` does not continue its chain; {intact} in front of it do")]
    Broken {
        /// Whose chain.
        tenant: TenantId,
        /// Which entry.
        seq: u64,
        /// How many entries in front of it are intact.
        intact: u64,
    },
    /// What has been erased since cannot be told.
    #[error("cannot list the erasures of the source")]
    Erasures(#[source] ListError),
    /// The target cannot be opened to record the erasures in it.
    #[error("cannot open the target to record who has been erased")]
    Reopen(#[source] OpenError),
    /// What has been erased since cannot be recorded in the target.
    #[error("cannot record in the target who has been erased")]
    Record(#[source] EraseError),
    /// The target cannot be written.
    #[error("cannot write to the target")]
    Target(#[source] StoreError),
    /// A document does not fit its table.
    #[error("cannot fold document `{key}` of `{table}`")]
    Fold {
        /// The table.
        table: &'static str,
        /// The document.
        key: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

impl RestoreError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let told = |kind, code| Fault::new(kind, code, self.to_string());
        match self {
            Self::NotEmpty => told(Kind::Conflict, "LED-063")
                .with_hint("name a new folder or an empty database; nothing was changed"),
            Self::BeforeFirst { first, .. } => {
                told(Kind::NotFound, "LED-064").with_hint(format!("the earliest is `--to {first}`"))
            }
            Self::Beyond { reaches, .. } => told(Kind::NotFound, "LED-065")
                .with_hint(format!("`--to latest` restores everything up to {reaches}")),
            Self::Absent { .. } => told(Kind::NotFound, "LED-066")
                .with_hint("`--to latest` without `--tenant` restores everything that is there"),
            Self::Unclear { .. } => told(Kind::Invalid, "LED-067").with_hint(
                "write a time, the number of an entry with `--tenant NAME`, or a manifest with \
                 `--archive URL`",
            ),
            Self::Archive(error) => error.fault(),
            Self::Erasures(error) => error.fault(),
            Self::Reopen(error) => error.fault(),
            Self::Record(error) => error.fault(),
            Self::Source(error) | Self::Target(error) | Self::Mark(error) => error.fault(),
            Self::Broken { intact, .. } => {
                let fault = told(Kind::Internal, "LED-100");
                match intact {
                    0 => fault,
                    _ => fault.with_hint(format!(
                        "`--tenant` with `--to {intact}` restores what is in front of it"
                    )),
                }
            }
            Self::Fold { source, .. } => told(Kind::Internal, "LED-068").with_private(source),
            Self::Unfinished => told(Kind::Conflict, "LED-108")
                .with_hint("make an empty database, or an empty folder, and restore into that"),
        }
    }
}

/// Brings the ledger in `source` back into `target`, which has to be empty, and records
/// there who has been erased since. If there is anybody, the target is closed for writing
/// afterwards: whoever goes on with it opens it anew.
///
/// # Errors
///
/// See [`RestoreError`]. After an error the target may hold a part: throw it away.
pub async fn restore(
    source: Source<'_>,
    request: &Request,
    target: &Arc<dyn Store>,
    folds: &Folds,
    clock: Arc<dyn Clock>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Restored, RestoreError> {
    is_possible(source, request, &**target).await?;
    let mark = mark(&**target, &*clock).await?;
    // First of all: without it nothing may be brought back.
    let erasures = match source::erasures(source, request.until).await {
        Ok(erasures) => erasures,
        Err(error) => return Err(unmark(&**target, mark, error).await),
    };
    failpoint::reach(Point::RestoreBegun);
    let mut restored = match replay(source, request, &**target, folds, progress).await {
        Ok(restored) => restored,
        Err(error) if is_untouched(&**target, &error).await => {
            return Err(unmark(&**target, mark, error).await);
        }
        Err(error) => return Err(error),
    };
    failpoint::reach(Point::RestoreReplayed);
    restored.erasures = conclude(&erasures, target, clock, mark).await?;
    failpoint::reach(Point::RestoreDone);
    Ok(restored)
}

/// Marks `target`, so that what a crash leaves of it is not taken for a ledger.
async fn mark(target: &dyn Store, clock: &dyn Clock) -> Result<Fence, RestoreError> {
    let claim = Claim {
        name: MARK.into(),
        holder: NodeId::generate(clock).to_string().into(),
        now: clock.now(),
        ttl: FOR_EVER,
    };
    match target.claim(claim).await.map_err(RestoreError::Mark)? {
        Claimed::Held { fence, .. } => Ok(fence),
        Claimed::Taken { .. } => Err(RestoreError::Unfinished),
    }
}

/// Returns whether nothing was written to `target` before `error`: then another moment can
/// be restored into it.
async fn is_untouched(target: &dyn Store, error: &RestoreError) -> bool {
    let of_the_moment = matches!(
        error,
        RestoreError::Beyond { .. }
            | RestoreError::BeforeFirst { .. }
            | RestoreError::Absent { .. }
            | RestoreError::Unclear { .. }
    );
    // The documents of a snapshot come first, but only those of a moment that there is.
    of_the_moment && target.chains().await.is_ok_and(|chains| chains.is_empty())
}

/// Takes the mark away from a `target` that is as it was before, and returns `error`.
async fn unmark(target: &dyn Store, mark: Fence, error: RestoreError) -> RestoreError {
    if let Err(kept) = target.release(mark).await {
        let kept = &kept as &dyn std::error::Error;
        tracing::warn!(error = kept, "the target stays marked as half restored");
    }
    error
}

/// Refuses a `store` that a restore has not been brought to its end in. Belongs to every
/// start of a node.
///
/// # Errors
///
/// [`RestoreError::Unfinished`], or when the store does not answer.
pub async fn check_finished(store: &dyn Store, clock: &dyn Clock) -> Result<(), RestoreError> {
    let claim = Claim {
        name: MARK.into(),
        holder: NodeId::generate(clock).to_string().into(),
        now: clock.now(),
        ttl: Duration::ZERO,
    };
    let horizon = clock
        .now()
        .checked_add(FOR_EVER / 2)
        .unwrap_or(Timestamp::MAX);
    match store.claim(claim).await.map_err(RestoreError::Mark)? {
        Claimed::Held { fence, .. } => store.release(fence).await.map_err(RestoreError::Mark),
        Claimed::Taken { until } if until > horizon => Err(RestoreError::Unfinished),
        // Another node is looking at this moment.
        Claimed::Taken { .. } => Ok(()),
    }
}

/// Records `erasures` in `target`, whose content is there, and takes the mark away;
/// returns how many were recorded.
async fn conclude(
    erasures: &List,
    target: &Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    mark: Fence,
) -> Result<usize, RestoreError> {
    if erasures.is_empty() {
        target.release(mark).await.map_err(RestoreError::Mark)?;
        return Ok(0);
    }
    let tasks = Supervisor::new();
    let ledger = Ledger::open(target.clone(), clock, &tasks, Options::default()).await;
    let recorded = match ledger {
        Ok(ledger) => erasures.record(&ledger).await.map_err(RestoreError::Record),
        Err(error) => Err(RestoreError::Reopen(error)),
    };
    let recorded = match recorded {
        Ok(recorded) => {
            let released = target.release(mark).await;
            released.map(|()| recorded).map_err(RestoreError::Mark)
        }
        Err(error) => Err(error),
    };
    tasks.stop(CLOSE).await;
    recorded
}

/// Refuses what cannot be, before anything is read or written.
async fn is_possible(
    source: Source<'_>,
    request: &Request,
    target: &dyn Store,
) -> Result<(), RestoreError> {
    let present = target.chains().await.map_err(RestoreError::Target)?;
    if !present.is_empty() {
        return Err(RestoreError::NotEmpty);
    }
    // An archive itself tells how far it reaches.
    if let (Until::Time(time), Source::Store(_)) = (request.until, source)
        && time > request.now
    {
        let reaches = request.now;
        return Err(RestoreError::Beyond { time, reaches });
    }
    if matches!(request.until, Until::Seq(_)) && request.tenant.is_none() {
        let what = "an entry's number needs the tenant whose chain it is in";
        return Err(RestoreError::Unclear { what });
    }
    Ok(())
}

/// Brings back entries and documents as they were at the moment, whoever has been erased
/// since: for a target that nobody uses as a ledger.
pub(crate) async fn replay(
    source: Source<'_>,
    request: &Request,
    target: &dyn Store,
    folds: &Folds,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Restored, RestoreError> {
    is_possible(source, request, target).await?;
    let mut writer = Writer::new(target, folds, request, progress);
    match source {
        Source::Archive(archive) => source::from_archive(archive, &mut writer).await?,
        Source::Store(store) => source::from_store(store, &mut writer).await?,
    }
    writer.finish().await
}
