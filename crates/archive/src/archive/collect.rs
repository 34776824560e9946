//! What the archiver takes into the next segment.
//!
//! # Invariants
//!
//! * The chains of the store say what there is, and are asked as often as entries may
//!   wait. Commits that this process has just made are taken from memory; what is missing
//!   in front of them, and what others have written, is read.
//! * Wherever it comes from, an entry has to follow the last one and to have its hash.

use std::{collections::BTreeMap, mem, sync::Arc};

use airside_base::TenantId;
use airside_ledger::{
    Entry, Head, Query, ReadError, Recent, StoreError,
    store::{Commit, Store, Tip},
};

use super::{Tail, error::Error, hand::Hand, segment::Builder};

/// Entries on their way into a segment.
pub(super) struct Collector<'a> {
    store: &'a dyn Store,
    hand: &'a Hand,
    builder: Builder,
    /// Where each chain has come with them.
    heads: BTreeMap<TenantId, Head>,
}

/// Entries of one chain, of which those behind `head` are wanted.
struct Run {
    head: Head,
    source: Source,
}

enum Source {
    /// Read from the store.
    Page(Vec<Entry>),
    /// A segment of a commit that this process has made.
    Commit(Arc<Commit>, usize),
}

impl Run {
    fn entries(&self) -> &[Entry] {
        match &self.source {
            Source::Page(entries) => entries,
            Source::Commit(commit, index) => commit.segments[*index].entries(),
        }
    }
}

impl<'a> Collector<'a> {
    /// Returns one that has nothing yet and goes on behind `tail`; the entries go into
    /// `memory`.
    pub(super) fn new(store: &'a dyn Store, hand: &'a Hand, tail: &Tail, memory: Vec<u8>) -> Self {
        let heads = tail.chains.iter();
        Self {
            store,
            hand,
            builder: Builder::reuse(memory),
            heads: heads
                .map(|(tenant, tip)| (tenant.clone(), tip.head))
                .collect(),
        }
    }

    /// Takes entries, up to a full segment; tells whether there may be more. Those of
    /// `chains` that commits do not have are read.
    pub(super) async fn collect(
        mut self,
        recent: &mut Recent,
        chains: Vec<(TenantId, Tip)>,
    ) -> Result<(Builder, bool), Error> {
        while !self.builder.is_full() {
            let commits = recent.fetch(self.builder.room());
            if commits.is_empty() {
                break;
            }
            self.take(commits).await?;
        }
        for (tenant, tip) in chains {
            self.read(&tenant, tip.head.seq).await?;
        }
        let more = self.builder.is_full();
        Ok((self.builder, more))
    }

    async fn take(&mut self, commits: Vec<Arc<Commit>>) -> Result<(), Error> {
        let mut runs = Vec::new();
        for commit in commits {
            for (index, segment) in commit.segments.iter().enumerate() {
                let (tenant, expected) = (segment.tenant(), segment.expected().seq);
                if self.head(tenant).seq < expected {
                    self.add(mem::take(&mut runs)).await?;
                    self.read(tenant, expected).await?;
                }
                let (head, tip) = (self.head(tenant), segment.tip().head);
                // Of a full segment the rest is read the next time.
                if (expected..tip.seq).contains(&head.seq) {
                    self.heads.insert(tenant.clone(), tip);
                    let source = Source::Commit(commit.clone(), index);
                    runs.push(Run { head, source });
                }
            }
        }
        self.add(runs).await
    }

    /// Reads `tenant` up to entry `last`, or until the segment is full.
    async fn read(&mut self, tenant: &TenantId, last: u64) -> Result<(), Error> {
        while self.head(tenant).seq < last && !self.builder.is_full() {
            let head = self.head(tenant);
            let query = Query::new(tenant.clone()).after(head.seq);
            let entries = self.store.read(query).await.map_err(read)?;
            let Some(end) = entries.last().map(Entry::head) else {
                return Err(forked(tenant, head.seq + 1));
            };
            self.heads.insert(tenant.clone(), end);
            let source = Source::Page(entries);
            self.add(vec![Run { head, source }]).await?;
        }
        Ok(())
    }

    fn head(&self, tenant: &TenantId) -> Head {
        self.heads.get(tenant).copied().unwrap_or_default()
    }

    async fn add(&mut self, runs: Vec<Run>) -> Result<(), Error> {
        let builder = mem::take(&mut self.builder);
        self.builder = self.hand.run(move || fill(builder, &runs)).await??;
        Ok(())
    }
}

fn fill(mut builder: Builder, runs: &[Run]) -> Result<Builder, Error> {
    for run in runs {
        let mut head = run.head;
        let known = |entry: &&Entry| entry.seq <= run.head.seq;
        for entry in run.entries().iter().skip_while(known) {
            if entry.seq != head.seq + 1 || entry.prev != head.hash {
                return Err(forked(&entry.tenant, entry.seq));
            }
            if !builder.push(entry) {
                return Err(damaged(entry));
            }
            head = entry.head();
        }
    }
    Ok(builder)
}

pub(super) fn read(error: StoreError) -> Error {
    Error::Read(ReadError::Store(error))
}

pub(super) fn forked(tenant: &TenantId, seq: u64) -> Error {
    let tenant = tenant.clone();
    Error::Forked { tenant, seq }
}

fn damaged(entry: &Entry) -> Error {
    read(StoreError::Corrupt {
        tenant: entry.tenant.clone(),
        seq: entry.seq,
        what: "its content does not have its hash".to_owned(),
    })
}
