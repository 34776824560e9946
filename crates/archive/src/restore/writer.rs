//! Writing what belongs to the moment, in large commits. While one is on its way the
//! next entries are read.

use std::{collections::BTreeMap, mem, pin::pin, sync::Arc};

use airside_base::{TenantId, Timestamp};
use airside_ledger::{
    Entry, Head, Progress, Store, StoreError,
    failpoint::{self, Point},
    store::{Commit, MAX_READ, Segment, Tip, Unit},
};
use futures_util::future::BoxFuture;

use super::{Folds, Request, RestoreError, Restored, Until, tables};
use crate::archive::{Archive, snapshot::SnapshotRef};

/// Entries are written so many at a time, since every commit syncs the disk.
const BULK_ENTRIES: usize = 16 * 1024;
/// And at most with so many bytes of bodies.
const BULK_BYTES: usize = 16 * 1024 * 1024;
/// Fewer if documents change by them: those are held in memory together.
const FOLDED_ENTRIES: usize = 4 * MAX_READ;

/// Writes what belongs to the moment.
pub(super) struct Writer<'a> {
    target: &'a dyn Store,
    folds: &'a Folds,
    pub(super) request: &'a Request,
    /// Up to where the documents of each chain came from a snapshot.
    loaded: BTreeMap<TenantId, u64>,
    bulk: BTreeMap<TenantId, Vec<Entry>>,
    bulk_entries: usize,
    bulk_bytes: usize,
    /// Those whose documents are not in the snapshot.
    folded_entries: usize,
    /// The commit that is on its way.
    under_way: Option<BoxFuture<'a, Result<(), StoreError>>>,
    tips: BTreeMap<TenantId, Tip>,
    /// Time of the oldest entry that was seen.
    first: Option<Timestamp>,
    done: u64,
    from_snapshot: u64,
    pub(super) total: u64,
    progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        target: &'a dyn Store,
        folds: &'a Folds,
        request: &'a Request,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Self {
        Self {
            target,
            folds,
            request,
            loaded: BTreeMap::new(),
            bulk: BTreeMap::new(),
            bulk_entries: 0,
            bulk_bytes: 0,
            folded_entries: 0,
            under_way: None,
            tips: BTreeMap::new(),
            first: None,
            done: 0,
            from_snapshot: 0,
            total: 0,
            progress,
        }
    }

    /// Writes the documents of the newest of `snapshots` that lies within the
    /// moment and is intact.
    pub(super) async fn begin(
        &mut self,
        archive: &Archive,
        snapshots: &[SnapshotRef],
    ) -> Result<(), RestoreError> {
        let (until, tenant) = (self.request.until, self.request.tenant.as_ref());
        let usable = tables::usable(archive, snapshots, self.folds, until, tenant).await?;
        let Some(snapshot) = usable else {
            return Ok(());
        };
        tables::load(archive, snapshot, tenant, self.target, self.folds).await?;
        let chains = snapshot.chains.iter();
        let wanted = chains.filter(|chain| tenant.is_none_or(|only| *only == chain.tenant));
        self.loaded = wanted
            .map(|chain| (chain.tenant.clone(), chain.seq))
            .collect();
        Ok(())
    }

    pub(super) fn saw(&mut self, time: Timestamp) {
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
    }

    /// Takes consecutive, checked entries of one chain; tells whether later ones of
    /// it may be wanted.
    pub(super) async fn take(&mut self, mut entries: Vec<Entry>) -> Result<bool, RestoreError> {
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
        let loaded = self.loaded.get(&tenant).copied().unwrap_or(0);
        let behind = entries.partition_point(|entry| entry.seq <= loaded);
        self.from_snapshot += behind as u64;
        let mut entries = entries.into_iter();
        loop {
            let page: Vec<Entry> = entries.by_ref().take(MAX_READ).collect();
            let Some(last) = page.last() else {
                return Ok(wanted == seen);
            };
            self.folded_entries += usize::from(last.seq > loaded) * page.len();
            self.bulk_entries += page.len();
            self.bulk_bytes += page.iter().map(|entry| entry.body.len()).sum::<usize>();
            self.bulk.entry(tenant.clone()).or_default().extend(page);
            if self.bulk_entries >= BULK_ENTRIES
                || self.bulk_bytes >= BULK_BYTES
                || self.folded_entries >= FOLDED_ENTRIES
            {
                self.flush().await?;
            }
        }
    }

    /// Resolves with what `reading` does, and lets the commit that is on its way come
    /// further meanwhile.
    pub(super) async fn meanwhile<T>(
        &mut self,
        reading: impl Future<Output = T>,
    ) -> Result<T, RestoreError> {
        let mut reading = pin!(reading);
        while let Some(writing) = &mut self.under_way {
            tokio::select! {
                biased;
                written = writing => self.wrote(written)?,
                read = &mut reading => return Ok(read),
            }
        }
        Ok(reading.await)
    }

    /// Resolves when nothing is on its way any more.
    async fn settle(&mut self) -> Result<(), RestoreError> {
        match &mut self.under_way {
            Some(writing) => {
                let written = writing.await;
                self.wrote(written)
            }
            None => Ok(()),
        }
    }

    fn wrote(&mut self, written: Result<(), StoreError>) -> Result<(), RestoreError> {
        self.under_way = None;
        written.map_err(RestoreError::Target)?;
        self.tell();
        Ok(())
    }

    /// Sends off what was taken, with the documents that change by it.
    async fn flush(&mut self) -> Result<(), RestoreError> {
        // Folding begins with the documents of the commit before.
        self.settle().await?;
        (self.bulk_entries, self.bulk_bytes, self.folded_entries) = (0, 0, 0);
        let mut commit = Commit::default();
        for (tenant, entries) in mem::take(&mut self.bulk) {
            let loaded = self.loaded.get(&tenant).copied().unwrap_or(0);
            let Some(segment) = self.continued(&tenant, entries) else {
                continue;
            };
            let entries = segment.entries();
            let folded = &entries[entries.partition_point(|entry| entry.seq <= loaded)..];
            let writes = self.folds.writes(self.target, &tenant, folded).await?;
            if !writes.is_empty() {
                commit.units.push(Unit {
                    fence: None,
                    writes,
                });
            }
            commit.segments.push(segment);
        }
        if !commit.segments.is_empty() {
            self.under_way = Some(self.target.commit(Arc::new(commit)));
        }
        Ok(())
    }

    /// Places `entries` behind what the target has of their chain.
    fn continued(&mut self, tenant: &TenantId, entries: Vec<Entry>) -> Option<Segment> {
        let tip = self.tips.entry(tenant.clone()).or_default();
        let segment = Segment::new(tip.head, entries)?;
        *tip = segment.tip();
        self.done += segment.entries().len() as u64;
        Some(segment)
    }

    fn tell(&self) {
        failpoint::reach(Point::RestorePart);
        let (done, total) = (self.done, self.total.max(self.done));
        (self.progress)(Progress { done, total });
    }

    pub(super) async fn finish(mut self) -> Result<Restored, RestoreError> {
        self.flush().await?;
        self.settle().await?;
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
        let heads: Vec<(TenantId, Head)> = tips
            .into_iter()
            .map(|(tenant, tip)| (tenant, tip.head))
            .collect();
        Ok(Restored {
            entries: self.done,
            heads,
            time: time.unwrap_or(Timestamp::UNIX_EPOCH),
            from_snapshot: self.from_snapshot,
            erasures: 0,
        })
    }
}
