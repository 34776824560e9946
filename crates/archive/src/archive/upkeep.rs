//! The task that keeps an archive quick to read and no larger than it has to be.
//!
//! # Invariants
//!
//! * It works on what is in the archive and hands its result to the archiver, which
//!   alone writes manifests: it never delays an append.
//! * It may stop at any point. What no manifest names is not part of the archive and is
//!   made again.
//! * What is deleted is recorded in the ledger.

use std::{path::PathBuf, sync::Arc, time::Duration};

use airside_base::{Clock, Fault, Kind as FaultKind, OnFailure, Supervisor, TenantId, Timestamp};
use airside_ledger::{
    AppendError, Draft, Kind, Ledger,
    failpoint::{self, Point},
};
use serde::Serialize;

use super::{
    Archive,
    archiver::{Archiver, Link, State, Watch},
    error::Error,
    index::Index,
    merge::{self, Seal},
    snapshot::SnapshotRef,
    sweep,
};
use crate::restore::{Folds, Rehearsal, RehearsalError, RestoreError};

/// Superseded objects of the archive have been deleted.
pub const SWEPT: Kind = Kind::new("archive.swept");
/// How often is looked whether something is due.
const LOOK: Duration = Duration::from_secs(10);
/// How long the archiver may take to name a new index.
const NAMED: Duration = Duration::from_secs(60);
/// Of the newest snapshots so many are kept; of older ones one for each day of a month,
/// and one for each month.
const NEWEST: usize = 8;
const DAY_S: i64 = 24 * 3600;
const MONTH_DAYS: i64 = 30;

/// When something is due.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// A new index, with small segments merged, after so many manifests.
    pub manifests: u64,
    /// A snapshot after so many entries.
    pub entries: u64,
    /// Both after this time, if there is anything new.
    pub age: Duration,
    /// How long superseded objects are kept.
    pub keep: Duration,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            manifests: 256,
            entries: 50_000,
            age: Duration::from_secs(3600),
            keep: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// What one run has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The last manifest that the new index covers.
    pub covers: u64,
    /// Segments that were merged.
    pub merged: usize,
    /// Whether a snapshot was made.
    pub snapshot: bool,
    /// What was deleted.
    pub swept: Option<Swept>,
}

/// What was deleted: the body of [`SWEPT`], version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// The first manifest.
    pub from: u64,
    /// The last manifest.
    pub to: u64,
    /// Objects, manifests included.
    pub objects: u64,
}

/// Why the archive was not tended to. It stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// It cannot be read or written.
    #[error("cannot read or write the archive")]
    Archive(#[from] Error),
    /// The tables cannot be folded.
    #[error("cannot fold the tables for a snapshot")]
    Fold(#[from] RestoreError),
    /// There is no place to fold in.
    #[error("cannot use the scratch folder")]
    Scratch(#[from] RehearsalError),
    /// The archiver has not named the new index.
    #[error("the archiver has not named the new index")]
    Unnamed,
    /// The deletion cannot be recorded in the ledger.
    #[error("cannot record what was deleted")]
    Record(#[from] AppendError),
}

impl UpkeepError {
    /// What the operator may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Archive(error) => error.fault(),
            Self::Fold(error) => error.fault(),
            Self::Scratch(error) => error.fault(),
            Self::Unnamed => Fault::new(
                FaultKind::Timeout,
                "LED-101",
                "the archiver has not named the new index",
            ),
            Self::Record(error) => error.fault(),
        }
    }
}

/// Tends to the archive that an archiver of this process writes.
#[derive(Debug)]
pub struct Upkeep {
    ledger: Ledger,
    archive: Archive,
    folds: Arc<Folds>,
    /// Where tables are folded for a snapshot.
    folder: PathBuf,
    clock: Arc<dyn Clock>,
    watch: Watch,
    link: Link,
    seal: Seal,
    schedule: Schedule,
    begun: Timestamp,
    /// The present index, and the manifest that names it.
    present: Option<(u64, Index)>,
}

impl Upkeep {
    /// Returns what tends to the archive of `archiver`, with a scratch `folder` of its own.
    ///
    /// # Errors
    ///
    /// When the vault makes no data key.
    pub async fn new(
        archiver: &Archiver,
        folds: Arc<Folds>,
        folder: PathBuf,
        schedule: Schedule,
    ) -> Result<Self, Error> {
        let (ledger, archive, clock) = archiver.parts();
        let (header, key) = archive.data_key().await?;
        let begun = clock.now();
        Ok(Self {
            ledger,
            archive,
            folds,
            folder,
            clock,
            watch: archiver.watch(),
            link: archiver.link(),
            seal: Seal { header, key },
            schedule,
            begun,
            present: None,
        })
    }

    /// Looks again and again until `supervisor` stops.
    pub fn start(mut self, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("ledger-archive-upkeep", OnFailure::Log, async move {
            loop {
                tokio::select! {
                    () = self.clock.sleep(LOOK) => {}
                    () = stop.stopping() => return,
                }
                tokio::select! {
                    done = self.run() => self.tell(done),
                    () = stop.stopping() => return,
                }
            }
        });
    }

    fn tell(&mut self, done: Result<Option<Done>, UpkeepError>) {
        match done {
            Ok(None) => {}
            Ok(Some(done)) => tracing::info!(
                covers = done.covers,
                merged = done.merged,
                snapshot = done.snapshot,
                "the archive has a new index"
            ),
            Err(error) => {
                self.present = None;
                let code = error.fault().code();
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, code, "the archive was not tended to; trying again");
            }
        }
    }

    /// Does what is due, if this node writes the archive.
    ///
    /// # Errors
    ///
    /// See [`UpkeepError`]; the archive is as good as before.
    pub async fn run(&mut self) -> Result<Option<Done>, UpkeepError> {
        let status = self.watch.status();
        if status.state != State::Shipping || status.manifest == 0 {
            return Ok(None);
        }
        if self.present.as_ref().map(|(base, _)| *base) != Some(status.index) {
            let index = self.archive.index_for(status.manifest).await?;
            self.present = Some((status.index, index));
        }
        let Some((previous, old)) = &self.present else {
            return Ok(None);
        };
        let previous = *previous;
        let now = self.clock.now();
        let many = status.manifest - old.covers.min(status.manifest) >= self.schedule.manifests;
        let last = if old.covers == 0 {
            self.begun
        } else {
            old.time
        };
        let late = old.covers < status.manifest && passed(now, last) >= self.schedule.age;
        if !many && !late {
            return Ok(None);
        }
        let mut index = old.clone();
        let swept = index.swept;
        merge::extend(&self.archive, &mut index, status.manifest).await?;
        let merged = merge::merge(&self.archive, &mut index, &self.seal).await?;
        let snapshot = self.snapshot(&mut index, now).await?;
        let floor = sweep::floor(&self.archive, previous, now, self.schedule.keep).await?;
        index.floor = index.floor.max(floor);
        index.swept = old.floor.max(swept);
        let mut done = Done {
            covers: index.covers,
            merged,
            snapshot,
            swept: None,
        };
        // What the last index gave up is deleted before one says that it is gone.
        if old.floor > swept {
            done.swept = Some(self.sweep(swept + 1, old.floor).await?);
        }
        self.name(index, previous).await?;
        Ok(Some(done))
    }

    /// Adds a snapshot to `index` if one is due.
    async fn snapshot(&self, index: &mut Index, now: Timestamp) -> Result<bool, UpkeepError> {
        let entries: u64 = index.chains.iter().map(|end| end.seq).sum();
        let tables = self.folds.fingerprint();
        let mut usable = index.snapshots.iter().rev();
        let last = usable.find(|snapshot| snapshot.tables == tables);
        let due = last.is_none_or(|last| {
            let new = entries - last.entries().min(entries);
            let late = passed(now, last.made) >= self.schedule.age;
            new >= self.schedule.entries || new > 0 && late
        });
        if !due || entries == 0 {
            return Ok(false);
        }
        let scratch = Rehearsal::open(&self.folder)?;
        let (archive, folds, store) = (&self.archive, &self.folds, scratch.store());
        let made = merge::snapshot(archive, index, &self.seal, folds, store, now).await;
        scratch.end().await?;
        index.snapshots.push(made?);
        thin(&mut index.snapshots, now);
        Ok(true)
    }

    /// Writes `index` and waits until a manifest names it.
    async fn name(&mut self, index: Index, previous: u64) -> Result<(), UpkeepError> {
        let (named, bytes) = merge::sealed(&index, previous);
        self.archive
            .inner
            .objects
            .add(&named.object, &bytes)
            .await?;
        failpoint::reach(Point::IndexPut);
        self.link.offer(named);
        let base = self.watch.index_after(previous);
        let base = tokio::select! {
            base = base => base,
            () = self.clock.sleep(NAMED) => None,
        };
        self.present = None;
        match base {
            Some(base) => self.present = Some((base, index)),
            None => return Err(UpkeepError::Unnamed),
        }
        Ok(())
    }

    async fn sweep(&self, first: u64, last: u64) -> Result<Swept, UpkeepError> {
        let swept = sweep::sweep(&self.archive, first, last).await?;
        let draft = Draft::new(TenantId::default(), SWEPT, 1, "", &swept);
        let draft = draft.expect("three numbers are a small object");
        self.ledger.append(vec![draft]).await?;
        Ok(swept)
    }
}

/// Returns how long `since` is past; nothing if the clock was set back behind it.
fn passed(now: Timestamp, since: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// Leaves out snapshots that others stand for.
fn thin(snapshots: &mut Vec<SnapshotRef>, now: Timestamp) {
    let newest = snapshots.len().saturating_sub(NEWEST);
    let today = now.as_second() / DAY_S;
    let mut place = 0;
    let mut seen = None;
    snapshots.retain(|snapshot| {
        let day = snapshot.made.as_second() / DAY_S;
        let month = today - day > MONTH_DAYS;
        let period = (month, if month { day / MONTH_DAYS } else { day });
        let first = seen.replace(period) != Some(period);
        place += 1;
        first || place > newest
    });
}
