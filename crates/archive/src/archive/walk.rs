//! Reading an archive from its start, checking everything on the way.

use std::collections::BTreeMap;

use airside_base::{TenantId, Timestamp};
use airside_ledger::{Entry, Hash, Progress, store::Tip};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::{
    Archive,
    error::Error,
    index::{Index, Piece},
    manifest::{self, ChainEnd, Manifest, SegmentRef},
    snapshot::{Digests, SnapshotRef},
};

/// Steps that are fetched at the same time. Each holds up to 10 MiB: a merged segment
/// sealed, opened and as entries.
pub(super) const AHEAD: usize = 3;

/// What a verified archive holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Contents {
    /// Manifests that were written.
    pub manifests: u64,
    /// Entries.
    pub entries: u64,
    /// Snapshots of the tables.
    pub snapshots: u64,
    /// When the last manifest was written.
    pub time: Timestamp,
}

/// Which segments are opened.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Those with an entry up to this time, of this chain if one is named.
    UpTo(Timestamp, Option<TenantId>),
    /// Those with entries about erasures.
    Erasures,
}

impl Wanted {
    fn has(&self, segment: &SegmentRef, ends: &[ChainEnd]) -> bool {
        match self {
            Self::UpTo(time, tenant) => {
                let of = |only: &TenantId| ends.iter().any(|end| end.tenant == *only);
                segment.since <= *time && tenant.as_ref().is_none_or(of)
            }
            Self::Erasures => segment.erasures,
        }
    }
}

/// One step on the way: the entries of one segment.
pub(crate) struct Step {
    pub(crate) entries: Vec<Entry>,
    /// Time of its oldest entry, also if the segment was left out.
    pub(crate) since: Option<Timestamp>,
    /// If it was left out, where its chains end.
    pub(crate) skipped: Vec<(TenantId, Tip)>,
}

/// What is read for one step.
enum Stage {
    Piece(Piece),
    Manifest(u64),
}

struct Fetched {
    /// `None` for a segment that the index names.
    manifest: Option<(Manifest, Hash)>,
    segment: Option<SegmentRef>,
    ends: Vec<ChainEnd>,
    /// `None` if the segment was left out.
    entries: Option<Vec<Entry>>,
}

/// Goes through an archive.
pub(crate) struct Walk {
    steps: BoxStream<'static, (Mark, Result<Fetched, Error>)>,
    pub(super) index: Index,
    last: u64,
    wanted: Wanted,
    pub(crate) total: u64,
    prev: Hash,
    epoch: u64,
    chains: BTreeMap<TenantId, Tip>,
}

/// What is known of a step before it is read.
#[derive(Clone, Copy)]
struct Mark {
    /// The last intact manifest in front of it.
    intact: u64,
    /// Nothing in front of this time is lost with it.
    before: Option<Timestamp>,
}

impl Walk {
    /// Returns the way to manifest `last`.
    pub(crate) async fn new(archive: &Archive, last: u64, wanted: Wanted) -> Result<Self, Error> {
        let index = archive.index_for(last).await.map_err(|source| {
            // Every manifest in front of the last one leads to another index or to none.
            let intact = last.saturating_sub(1);
            let mark = Mark {
                intact,
                before: None,
            };
            broken(mark, None, source)
        })?;
        Ok(Self::over(archive, index, last, wanted, 0))
    }

    /// Returns the way to manifest `last` over `index`, whose first segments are left out.
    pub(super) fn over(
        archive: &Archive,
        index: Index,
        last: u64,
        wanted: Wanted,
        left_out: usize,
    ) -> Self {
        let first = index.segments.first();
        let begin = first.map(|piece| piece.segment.since);
        let pieces = index.segments[left_out..].iter().cloned().map(Stage::Piece);
        let manifests = (index.covers + 1..=last).map(Stage::Manifest);
        let stages: Vec<Stage> = pieces.chain(manifests).collect();
        let total = stages.len() as u64;
        let (archive, named) = (archive.clone(), wanted.clone());
        let fetch = move |stage| {
            let (archive, wanted) = (archive.clone(), named.clone());
            async move {
                let mark = match &stage {
                    Stage::Piece(piece) => Mark {
                        intact: 0,
                        before: Some(piece.segment.since).filter(|since| Some(*since) > begin),
                    },
                    Stage::Manifest(number) => Mark {
                        intact: number - 1,
                        before: None,
                    },
                };
                (mark, archive.stage(stage, &wanted).await)
            }
        };
        let mut chains = BTreeMap::new();
        for piece in &index.segments[..left_out] {
            chains.extend(piece.ends.iter().map(ChainEnd::named));
        }
        Self {
            steps: stream::iter(stages).map(fetch).buffered(AHEAD).boxed(),
            last,
            wanted,
            total,
            prev: index.hash,
            epoch: index.epoch,
            chains,
            index,
        }
    }

    /// Returns the snapshots of the archive, by what they cover.
    pub(crate) fn snapshots(&self) -> &[SnapshotRef] {
        &self.index.snapshots
    }

    /// Returns the same way without the segments whose entries are all in `snapshot`.
    pub(crate) fn behind(self, archive: &Archive, snapshot: &SnapshotRef) -> Self {
        let in_it = |end: &ChainEnd| {
            let mut chains = snapshot.chains.iter();
            chains.any(|chain| chain.tenant == end.tenant && end.seq <= chain.seq)
        };
        let mut pieces = self.index.segments.iter();
        let left_out = pieces.position(|piece| !piece.ends.iter().all(in_it));
        let left_out = left_out.unwrap_or(self.index.segments.len());
        Self::over(archive, self.index, self.last, self.wanted, left_out)
    }

    /// Returns the next step, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>, Error> {
        let Some((mark, fetched)) = self.steps.next().await else {
            return Ok(None);
        };
        let step = fetched.and_then(|fetched| self.take(fetched));
        step.map(Some)
            .map_err(|error| broken(mark, self.held(), error))
    }

    /// Returns how many entries have come by, and when the last of them was written.
    fn held(&self) -> Option<(u64, Timestamp)> {
        let last = self.chains.values().map(|tip| tip.time).max()?;
        let entries = self.chains.values().map(|tip| tip.head.seq).sum();
        Some((entries, last)).filter(|(entries, _)| *entries > 0)
    }

    fn take(&mut self, fetched: Fetched) -> Result<Step, Error> {
        let Fetched {
            manifest,
            segment,
            ends,
            entries,
        } = fetched;
        let name = manifest.as_ref().map(|(m, _)| manifest::name(m.number));
        if let (Some((manifest, hash)), Some(name)) = (&manifest, &name) {
            if manifest.prev != self.prev {
                let what = "it does not name the manifest in front of it";
                return Err(Error::damaged(name, what));
            }
            if manifest.epoch < self.epoch {
                return Err(Error::damaged(name, "its epoch is a former one"));
            }
            (self.prev, self.epoch) = (*hash, manifest.epoch);
        }
        let object = segment.as_ref().map(|segment| segment.object.clone());
        let object = object.or_else(|| name.clone()).unwrap_or_default();
        let mut skipped = Vec::new();
        if entries.is_none() {
            skipped.extend(ends.iter().map(ChainEnd::named));
        }
        for entry in entries.iter().flatten() {
            self.continues(entry, &object)?;
        }
        for end in ends {
            if entries.is_none() {
                self.chains.insert(end.tenant.clone(), end.tip());
            } else if self.chains.get(&end.tenant) != Some(&end.tip()) {
                let what = format!("the chain of `{}` does not end as it says", end.tenant);
                return Err(Error::damaged(name.as_ref().unwrap_or(&object), what));
            }
        }
        Ok(Step {
            entries: entries.unwrap_or_default(),
            since: segment.map(|segment| segment.since),
            skipped,
        })
    }

    /// Checks that `entry` of `object` continues its chain.
    fn continues(&mut self, entry: &Entry, object: &str) -> Result<(), Error> {
        let tip = self.chains.entry(entry.tenant.clone()).or_default();
        let first = tip.head.seq == 0;
        if entry.seq != tip.head.seq + 1
            || entry.prev != tip.head.hash
            || (!first && entry.time < tip.time)
        {
            let (tenant, seq) = (&entry.tenant, entry.seq);
            let what = format!("entry {seq} of `{tenant}` does not continue its chain");
            return Err(Error::damaged(object, what));
        }
        *tip = Tip {
            head: entry.head(),
            time: entry.time,
        };
        Ok(())
    }
}

/// Says how far the archive is intact, if `error` is about an object.
fn broken(mark: Mark, held: Option<(u64, Timestamp)>, error: Error) -> Error {
    match error {
        Error::Missing { .. } | Error::Damaged { .. } | Error::Version { .. } => Error::Broken {
            intact: mark.intact,
            held,
            before: mark.before,
            source: Box::new(error),
        },
        error => error,
    }
}

impl Archive {
    async fn stage(&self, stage: Stage, wanted: &Wanted) -> Result<Fetched, Error> {
        let (manifest, segment, ends) = match stage {
            Stage::Piece(piece) => (None, Some(piece.segment), piece.ends),
            Stage::Manifest(number) => {
                let (mut manifest, hash) = self.manifest(number).await?;
                let (segment, ends) = (
                    manifest.segment.take(),
                    std::mem::take(&mut manifest.chains),
                );
                (Some((manifest, hash)), segment, ends)
            }
        };
        let entries = match &segment {
            None => Some(Vec::new()),
            Some(segment) if wanted.has(segment, &ends) => Some(self.entries(segment).await?),
            Some(_) => None,
        };
        Ok(Fetched {
            manifest,
            segment,
            ends,
            entries,
        })
    }

    /// Reads everything and checks it: codes, hashes, keys, chains, snapshots, and what
    /// has been superseded but is still there.
    ///
    /// # Errors
    ///
    /// Names the first object that is missing or damaged, and how far the archive is
    /// intact.
    pub async fn verify(
        &self,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Contents, Error> {
        let tail = self.tail().await;
        // The walk says more of what is wrong than the end alone.
        let last = match &tail {
            Ok(tail) => tail.number,
            Err(_) => self.last_listed().await?,
        };
        let wanted = Wanted::UpTo(Timestamp::MAX, None);
        let mut walk = Walk::new(self, last, wanted).await?;
        let mut entries = 0;
        let mut done = 0;
        while let Some(step) = walk.next().await? {
            entries += step.entries.len() as u64;
            done += 1;
            let total = walk.total;
            progress(Progress { done, total });
        }
        let tail = tail?;
        if walk.chains != tail.chains {
            let what = "it does not name the chains that the archive holds";
            return Err(Error::damaged(&manifest::name(last), what));
        }
        for snapshot in &walk.index.snapshots {
            self.check(snapshot, None).await?;
        }
        self.check_superseded(&walk.index).await?;
        Ok(Contents {
            manifests: last,
            entries,
            snapshots: walk.index.snapshots.len() as u64,
            time: tail.time,
        })
    }

    /// Reads a snapshot, or the part of one tenant, and compares it with its digests.
    pub(crate) async fn check(
        &self,
        snapshot: &SnapshotRef,
        tenant: Option<&TenantId>,
    ) -> Result<(), Error> {
        let wanted = |of: &TenantId| tenant.is_none_or(|only| only == of);
        let mut digests = Digests::default();
        let mut object = String::new();
        for part in snapshot.parts_of(tenant) {
            object.clone_from(&part.object);
            for row in self.rows(part).await? {
                if wanted(&row.tenant) && digests.take(&row).is_none() {
                    return Err(Error::damaged(&object, "its rows are not in order"));
                }
            }
        }
        let found = digests.finish();
        let stated = snapshot.chains.iter();
        let stated = stated.filter(|chain| chain.documents > 0 && wanted(&chain.tenant));
        let stated = stated.map(|chain| (chain.tenant.clone(), chain.documents, chain.digest));
        if !stated.eq(found) {
            let what = "its rows do not have the digest of their snapshot";
            return Err(Error::damaged(&object, what));
        }
        Ok(())
    }

    /// Checks the manifests in front of `index` that are still there, with what they name.
    async fn check_superseded(&self, index: &Index) -> Result<(), Error> {
        let mut prev = None;
        for number in index.floor + 1..=index.covers {
            let (manifest, hash) = self.manifest(number).await?;
            if prev.is_some_and(|prev| manifest.prev != prev) {
                let what = "it does not name the manifest in front of it";
                return Err(Error::damaged(&manifest::name(number), what));
            }
            prev = Some(hash);
            if let Some(segment) = &manifest.segment {
                let (name, length) = (&segment.object, segment.bytes);
                let max = super::MAX_OBJECT;
                self.object(name, length, &segment.sha256, max).await?;
            }
            if let Some(named) = &manifest.index {
                self.index(named).await?;
            }
        }
        if prev.is_some_and(|prev| prev != index.hash) {
            let name = manifest::name(index.covers);
            return Err(Error::damaged(&name, "the index names another"));
        }
        Ok(())
    }

    /// Returns the highest number that the storage lists.
    pub(crate) async fn last_listed(&self) -> Result<u64, Error> {
        let listed = self.inner.objects.list("manifest").await?;
        let numbers = listed.iter().filter_map(|name| manifest::number(name));
        Ok(numbers.max().unwrap_or(0))
    }
}

impl Step {
    /// Takes the entries apart by chain.
    pub(crate) fn chains(self) -> BTreeMap<TenantId, Vec<Entry>> {
        let mut chains: BTreeMap<TenantId, Vec<Entry>> = BTreeMap::new();
        for entry in self.entries {
            chains.entry(entry.tenant.clone()).or_default().push(entry);
        }
        chains
    }
}
