//! Bringing the ledger back as it was at some moment, into any store.
//!
//! # Invariants
//!
//! * The target is empty before; nothing is ever overwritten.
//! * Of each chain all entries up to the moment come back and none behind it. Since
//!   entries of one append share their time, appends come back whole.
//! * Every entry is checked against the one in front of it before it is written.
//! * Documents are folded again from the entries, in bounded memory.

use std::collections::BTreeMap;

use airside_base::{Fault, Kind, TenantId, Timestamp};
use airside_ledger::{
    Entry, Hash, Head, Progress, Query, Store, StoreError,
    erasure::{Collector, List, ListError},
    failpoint::{self, Point},
    store::{MAX_READ, Segment, Tip},
};

use crate::archive::{Archive, Error as ArchiveError, walk};

mod difference;
mod folds;
mod until;

pub(crate) use self::difference::changes_since;
pub use self::{
    difference::{ChainChange, Change, Difference, Digest, difference, digest},
    folds::Folds,
    until::{ParseUntilError, Until},
};

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
}

/// Why nothing, or not everything, was brought back.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The target holds entries; it was left as it is.
    #[error("the target is not empty")]
    NotEmpty,
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
            Self::Absent { .. } => told(Kind::NotFound, "LED-066"),
            Self::Unclear { .. } => told(Kind::Invalid, "LED-067"),
            Self::Archive(error) => return error.fault(),
            Self::Erasures(error) => return error.fault(),
            Self::Source(error) | Self::Target(error) => return error.fault(),
            Self::Broken { intact, .. } => {
                let fault = told(Kind::Internal, "LED-100");
                match intact {
                    0 => fault,
                    _ => fault.with_hint(format!(
                        "`--tenant` with `--to {intact}` restores what is in front of it"
                    )),
                }
            }
            Self::Fold { .. } => told(Kind::Internal, "LED-068"),
        }
        .with_private(self)
    }
}

/// Brings the ledger in `source` back into `target`, which has to be empty.
///
/// # Errors
///
/// See [`RestoreError`]. After an error the target may hold a part: throw it away.
pub async fn restore(
    source: Source<'_>,
    request: &Request,
    target: &dyn Store,
    folds: &Folds,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Restored, RestoreError> {
    let present = target.chains().await.map_err(RestoreError::Target)?;
    if !present.is_empty() {
        return Err(RestoreError::NotEmpty);
    }
    failpoint::reach(Point::RestoreBegun);
    if let Until::Time(time) = request.until
        && time > request.now
    {
        let reaches = request.now;
        return Err(RestoreError::Beyond { time, reaches });
    }
    if matches!(request.until, Until::Seq(_)) && request.tenant.is_none() {
        let what = "an entry's number needs the tenant whose chain it is in";
        return Err(RestoreError::Unclear { what });
    }
    let mut writer = Writer {
        target,
        folds,
        request,
        tips: BTreeMap::new(),
        first: None,
        done: 0,
        total: 0,
        progress,
    };
    match source {
        Source::Archive(archive) => from_archive(archive, &mut writer).await?,
        Source::Store(store) => from_store(store, &mut writer).await?,
    }
    let restored = writer.finish()?;
    failpoint::reach(Point::RestoreDone);
    Ok(restored)
}

/// Returns the erasures of `source` up to its end, whatever moment is restored. They
/// have to be recorded in the target ([`List::record`]) before a node uses it.
///
/// A restore to a manifest is for an archive whose end is damaged: the list then ends
/// with this manifest, and a warning is logged.
///
/// # Errors
///
/// When the source cannot be read to its end.
pub async fn erasures(source: Source<'_>, until: Until) -> Result<List, RestoreError> {
    let archive = match source {
        Source::Store(store) => {
            return List::read(store).await.map_err(RestoreError::Erasures);
        }
        Source::Archive(archive) => archive,
    };
    let whole = match archive.tail().await {
        Ok(tail) => {
            let ends = tail.chains.iter();
            let ends: Vec<_> = ends
                .map(|(tenant, tip)| (tenant.clone(), tip.head))
                .collect();
            erasures_in(archive, tail.number, &ends).await
        }
        Err(error) => Err(RestoreError::Archive(error)),
    };
    match (whole, until) {
        (Err(error), Until::Manifest(number)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                number,
                "the archive cannot be read to its end: erasures behind the manifest are not \
                 known and have to be repeated"
            );
            erasures_in(archive, number, &[]).await
        }
        (whole, _) => whole,
    }
}

async fn erasures_in(
    archive: &Archive,
    manifest: u64,
    ends: &[(TenantId, Head)],
) -> Result<List, RestoreError> {
    let time = Timestamp::MAX;
    let mut walk = walk::Walk::new(archive, walk::Until { manifest, time });
    let mut collector = Collector::new();
    while let Some(step) = walk.next().await.map_err(RestoreError::Archive)? {
        for entry in step.chains().values().flatten() {
            collector.take(entry).map_err(RestoreError::Erasures)?;
        }
    }
    collector.finish(ends).map_err(RestoreError::Erasures)
}

async fn from_archive(archive: &Archive, writer: &mut Writer<'_>) -> Result<(), RestoreError> {
    let request = writer.request;
    let mut until = walk::Until {
        manifest: 0,
        time: Timestamp::MAX,
    };
    if let Until::Manifest(number) = request.until {
        // The end of the archive may be what is damaged.
        until.manifest = number;
        let listed = archive.last_listed().await;
        let listed = listed.map_err(RestoreError::Archive)?;
        if number == 0 || number > listed {
            let what = format!("manifest {number}; the last one is {listed}");
            return Err(RestoreError::Absent { what });
        }
    } else {
        let tail = archive.tail().await;
        let tail = match tail {
            Ok(tail) => tail,
            Err(error) => {
                // Going through it from the start tells how far it is intact.
                archive
                    .verify(&|_| {})
                    .await
                    .map_err(RestoreError::Archive)?;
                return Err(RestoreError::Archive(error));
            }
        };
        until.manifest = tail.number;
        writer.total = match &request.tenant {
            Some(tenant) => tail.chains.get(tenant).map_or(0, |tip| tip.head.seq),
            None => tail.entries(),
        };
        if let Until::Time(time) = request.until {
            if time > tail.time {
                let reaches = tail.time;
                return Err(RestoreError::Beyond { time, reaches });
            }
            // The first entry of one chain may be in any segment.
            if request.tenant.is_none() {
                until.time = time;
            }
        }
    }
    let mut walk = walk::Walk::new(archive, until);
    while let Some(step) = walk.next().await.map_err(RestoreError::Archive)? {
        if request.tenant.is_none()
            && let Some(since) = step.since
        {
            writer.saw(since);
        }
        for (_, entries) in step.chains() {
            writer.take(entries).await?;
        }
    }
    Ok(())
}

async fn from_store(store: &dyn Store, writer: &mut Writer<'_>) -> Result<(), RestoreError> {
    let request = writer.request;
    if matches!(request.until, Until::Manifest(_)) {
        let what = "only an archive has manifests";
        return Err(RestoreError::Unclear { what });
    }
    let mut chains = store.chains().await.map_err(RestoreError::Source)?;
    chains.retain(|(tenant, _)| request.tenant.as_ref().is_none_or(|only| only == tenant));
    writer.total = chains.iter().map(|(_, tip)| tip.head.seq).sum();
    let mut buffer = Vec::new();
    for (tenant, end) in chains {
        let mut tip = Tip::default();
        while tip.head.seq < end.head.seq {
            let query = Query::new(tenant.clone()).after(tip.head.seq);
            let mut entries = store.read(query).await.map_err(RestoreError::Source)?;
            entries.retain(|entry| entry.seq <= end.head.seq);
            let broken = |intact: u64| RestoreError::Broken {
                tenant: tenant.clone(),
                seq: intact + 1,
                intact,
            };
            if entries.is_empty() {
                return Err(broken(tip.head.seq));
            }
            for entry in &entries {
                if entry.seq != tip.head.seq + 1
                    || entry.prev != tip.head.hash
                    || (tip.head.seq > 0 && entry.time < tip.time)
                    || hash(entry, &mut buffer) != entry.hash
                {
                    return Err(broken(tip.head.seq));
                }
                tip = Tip {
                    head: entry.head(),
                    time: entry.time,
                };
            }
            if !writer.take(entries).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Recomputes the hash of `entry`. `buffer` only saves an allocation.
fn hash(entry: &Entry, buffer: &mut Vec<u8>) -> Hash {
    entry.encode(buffer);
    Hash::of(buffer)
}

/// Writes what belongs to the moment.
struct Writer<'a> {
    target: &'a dyn Store,
    folds: &'a Folds,
    request: &'a Request,
    tips: BTreeMap<TenantId, Tip>,
    /// Time of the oldest entry that was seen.
    first: Option<Timestamp>,
    done: u64,
    total: u64,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl Writer<'_> {
    fn saw(&mut self, time: Timestamp) {
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
    }

    /// Takes consecutive, checked entries of one chain; tells whether later ones of
    /// it may be wanted.
    async fn take(&mut self, mut entries: Vec<Entry>) -> Result<bool, RestoreError> {
        let Some(tenant) = entries.first().map(|entry| entry.tenant.clone()) else {
            return Ok(true);
        };
        if self
            .request
            .tenant
            .as_ref()
            .is_some_and(|only| *only != tenant)
        {
            return Ok(false);
        }
        self.saw(entries[0].time);
        let seen = entries.len();
        let until = self.request.until;
        let wanted = entries.partition_point(|entry| until.includes(entry));
        entries.truncate(wanted);
        let mut entries = entries.into_iter();
        loop {
            let page: Vec<Entry> = entries.by_ref().take(MAX_READ).collect();
            let tip = self.tips.entry(tenant.clone()).or_default();
            let expected = tip.head;
            let Some(segment) = Segment::new(expected, page) else {
                break;
            };
            *tip = segment.tip();
            self.done += segment.entries().len() as u64;
            self.folds.write(self.target, segment).await?;
            failpoint::reach(Point::RestorePart);
            let (done, total) = (self.done, self.total.max(self.done));
            (self.progress)(Progress { done, total });
        }
        Ok(wanted == seen)
    }

    fn finish(self) -> Result<Restored, RestoreError> {
        let tips: Vec<_> = self
            .tips
            .into_iter()
            .filter(|(_, t)| t.head.seq > 0)
            .collect();
        if let Until::Time(time) = self.request.until
            && tips.is_empty()
            && let Some(first) = self.first
        {
            return Err(RestoreError::BeforeFirst { time, first });
        }
        let named = self.request.tenant.as_ref();
        if let (Some(tenant), None) = (named, self.first) {
            let what = format!("chain of `{tenant}`");
            return Err(RestoreError::Absent { what });
        }
        if let (Until::Seq(seq), Some(tenant)) = (self.request.until, named) {
            let end = tips.first().map_or(0, |(_, tip)| tip.head.seq);
            if end < seq || seq == 0 {
                let what = format!("entry {seq} of `{tenant}`, whose last one is {end}");
                return Err(RestoreError::Absent { what });
            }
        }
        let time = tips.iter().map(|(_, tip)| tip.time).max();
        Ok(Restored {
            entries: self.done,
            heads: tips
                .into_iter()
                .map(|(tenant, tip)| (tenant, tip.head))
                .collect(),
            time: time.unwrap_or(Timestamp::UNIX_EPOCH),
        })
    }
}
