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
    manifest::{self, Manifest},
};

/// Steps that are fetched at the same time.
const AHEAD: usize = 8;

/// What a verified archive holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Contents {
    /// Manifests.
    pub manifests: u64,
    /// Entries.
    pub entries: u64,
    /// When the last manifest was written.
    pub time: Timestamp,
}

/// Which segments are opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    /// The last manifest to read.
    pub(crate) manifest: u64,
    /// Segments without any entry up to this time are left out.
    pub(crate) time: Timestamp,
}

/// One step on the way: the entries that one manifest adds.
pub(crate) struct Step {
    pub(crate) number: u64,
    pub(crate) entries: Vec<Entry>,
    /// Time of the oldest entry that it adds, also if the segment was left out.
    pub(crate) since: Option<Timestamp>,
}

struct Fetched {
    manifest: Manifest,
    hash: Hash,
    /// `None` if the segment was left out.
    entries: Option<Vec<Entry>>,
}

/// Goes through an archive.
pub(crate) struct Walk {
    steps: BoxStream<'static, Result<Fetched, Error>>,
    last: u64,
    number: u64,
    prev: Hash,
    epoch: u64,
    chains: BTreeMap<TenantId, Tip>,
}

impl Walk {
    pub(crate) fn new(archive: &Archive, until: Until) -> Self {
        let archive = archive.clone();
        let fetch = move |number| {
            let archive = archive.clone();
            async move {
                let (manifest, hash) = archive.manifest(number).await?;
                let entries = match &manifest.segment {
                    None => Some(Vec::new()),
                    Some(segment) if segment.since > until.time => None,
                    Some(segment) => Some(archive.entries(segment).await?),
                };
                Ok(Fetched {
                    manifest,
                    hash,
                    entries,
                })
            }
        };
        let numbers = stream::iter(1..=until.manifest);
        Self {
            steps: numbers.map(fetch).buffered(AHEAD).boxed(),
            last: until.manifest,
            number: 0,
            prev: Hash::default(),
            epoch: 0,
            chains: BTreeMap::new(),
        }
    }

    /// Returns the next step, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Step>, Error> {
        if self.number == self.last {
            return Ok(None);
        }
        let step = match self.steps.next().await {
            Some(Ok(fetched)) => self.take(fetched),
            Some(Err(error)) => Err(error),
            None => return Ok(None),
        };
        match step {
            Ok(step) => {
                self.number += 1;
                Ok(Some(step))
            }
            Err(
                source @ (Error::Missing { .. } | Error::Damaged { .. } | Error::Version { .. }),
            ) => Err(Error::Broken {
                intact: self.number,
                source: Box::new(source),
            }),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, fetched: Fetched) -> Result<Step, Error> {
        let Fetched {
            manifest,
            hash,
            entries,
        } = fetched;
        let number = manifest.number;
        let name = manifest::name(number);
        if manifest.prev != self.prev {
            let what = "it does not name the manifest in front of it";
            return Err(Error::damaged(&name, what));
        }
        if manifest.epoch < self.epoch {
            return Err(Error::damaged(&name, "its epoch is a former one"));
        }
        let skipped = entries.is_none();
        let entries = entries.unwrap_or_default();
        let segment = manifest.segment.as_ref();
        let since = segment.map(|segment| segment.since);
        let segment = segment.map_or(&*name, |segment| &segment.object);
        for entry in &entries {
            let tip = self.chains.entry(entry.tenant.clone()).or_default();
            let first = tip.head.seq == 0;
            if entry.seq != tip.head.seq + 1
                || entry.prev != tip.head.hash
                || (!first && entry.time < tip.time)
            {
                let (tenant, seq) = (&entry.tenant, entry.seq);
                let what = format!("entry {seq} of `{tenant}` does not continue its chain");
                return Err(Error::damaged(segment, what));
            }
            *tip = Tip {
                head: entry.head(),
                time: entry.time,
            };
        }
        for end in manifest.chains {
            if skipped {
                self.chains.insert(end.tenant.clone(), end.tip());
            } else if self.chains.get(&end.tenant) != Some(&end.tip()) {
                let what = format!("the chain of `{}` does not end as it says", end.tenant);
                return Err(Error::damaged(&name, what));
            }
        }
        self.prev = hash;
        self.epoch = manifest.epoch;
        Ok(Step {
            number,
            entries,
            since,
        })
    }
}

impl Archive {
    /// Reads everything and checks it: codes, hashes, keys, chains.
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
        let until = Until {
            manifest: last,
            time: Timestamp::MAX,
        };
        let mut walk = Walk::new(self, until);
        let mut entries = 0;
        while let Some(step) = walk.next().await? {
            entries += step.entries.len() as u64;
            progress(Progress {
                done: step.number,
                total: last,
            });
        }
        let tail = tail?;
        if walk.chains != tail.chains {
            let what = "it does not name the chains that the archive holds";
            return Err(Error::damaged(&manifest::name(last), what));
        }
        Ok(Contents {
            manifests: last,
            entries,
            time: tail.time,
        })
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
