//! The documents of all tables at one moment, so that a restore need not fold every
//! entry.
//!
//! # Invariants
//!
//! * A snapshot is made by folding entries of the archive, never from live tables: what
//!   was written past the log is not in it.
//! * Rows are in one order (tenant, table, key) and each tenant's have a digest of their
//!   own, which a restore recomputes before it uses them.
//! * It names the tables it was made with; a restore with other tables ignores it.
//! * Sealed values stay sealed: an erased person is not in a snapshot either.

use airside_base::{TenantId, Timestamp};
use airside_ledger::{Hash, store::Tip, vault::DataKey};
use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    error::Error,
    sealed::{Content, Effort, FULL_BYTES, Header, Records},
};
use crate::restore::Until;

/// A snapshot as the index names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SnapshotRef {
    /// The last manifest whose entries are in it.
    pub(crate) covers: u64,
    /// When it was made.
    pub(crate) made: Timestamp,
    /// The tables, their form and the version that folded them.
    pub(crate) tables: Hash,
    pub(crate) chains: Vec<ChainState>,
    pub(super) parts: Vec<Part>,
}

/// The documents of one tenant in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainState {
    pub(crate) tenant: TenantId,
    /// The last entry that is in them.
    pub(crate) seq: u64,
    hash: Hash,
    time: Timestamp,
    pub(crate) documents: u64,
    /// SHA-256 over its rows.
    pub(crate) digest: Hash,
}

/// One object of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    pub(super) object: String,
    pub(super) bytes: usize,
    pub(super) sha256: Hash,
    first: TenantId,
    last: TenantId,
}

impl SnapshotRef {
    /// Returns the parts with rows of `tenant`, or all.
    pub(crate) fn parts_of<'a>(
        &'a self,
        tenant: Option<&'a TenantId>,
    ) -> impl Iterator<Item = &'a Part> {
        let has = move |part: &&Part| {
            tenant.is_none_or(|tenant| part.first <= *tenant && *tenant <= part.last)
        };
        self.parts.iter().filter(has)
    }

    pub(crate) fn entries(&self) -> u64 {
        self.chains.iter().map(|chain| chain.seq).sum()
    }

    /// Returns whether everything of the wanted chains that is in it belongs to `until`.
    pub(crate) fn is_within(&self, until: Until, tenant: Option<&TenantId>) -> bool {
        let wanted = |chain: &&ChainState| tenant.is_none_or(|only| chain.tenant == *only);
        self.chains.iter().filter(wanted).all(|chain| match until {
            Until::Latest => true,
            Until::Time(time) => chain.time <= time,
            Until::Seq(seq) => chain.seq <= seq,
            Until::Manifest(number) => self.covers <= number,
        })
    }
}

/// One document as a snapshot holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) table: String,
    pub(crate) tenant: TenantId,
    pub(crate) key: String,
    pub(crate) version: u64,
    pub(crate) body: Bytes,
}

impl Held {
    fn encode(&self, buffer: &mut Vec<u8>) {
        buffer.clear();
        for field in [
            self.tenant.as_str().as_bytes(),
            self.table.as_bytes(),
            self.key.as_bytes(),
            &self.version.to_be_bytes(),
            &self.body,
        ] {
            let length = u32::try_from(field.len()).expect("documents are far below 4 GiB");
            buffer.extend_from_slice(&length.to_be_bytes());
            buffer.extend_from_slice(field);
        }
    }

    pub(super) fn decode(record: &Bytes) -> Option<Self> {
        let mut rest = record.clone();
        let mut field = || {
            let length = rest.split_first_chunk::<4>()?.0;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            let end = length.checked_add(4).filter(|end| *end <= rest.len())?;
            Some(rest.split_to(end).slice(4..))
        };
        let text = |bytes: &Bytes| std::str::from_utf8(bytes).ok().map(str::to_owned);
        let held = Self {
            tenant: text(&field()?)?.parse().ok()?,
            table: text(&field()?)?,
            key: text(&field()?)?,
            version: u64::from_be_bytes(field()?[..].try_into().ok()?),
            body: field()?,
        };
        rest.is_empty().then_some(held)
    }

    fn place(&self) -> (&TenantId, &str, &str) {
        (&self.tenant, &self.table, &self.key)
    }
}

/// Digests of the rows of each tenant, taken in their order.
#[derive(Default)]
pub(crate) struct Digests {
    done: Vec<(TenantId, u64, Hash)>,
    open: Option<(Held, u64, Context)>,
    buffer: Vec<u8>,
}

impl Digests {
    /// Takes the next row; returns its encoding, or nothing if it is out of order.
    pub(crate) fn take(&mut self, row: &Held) -> Option<&[u8]> {
        if let Some((last, ..)) = &self.open {
            if last.place() >= row.place() {
                return None;
            }
            if last.tenant != row.tenant {
                self.close();
            }
        }
        row.encode(&mut self.buffer);
        let key = Held {
            body: Bytes::new(),
            ..row.clone()
        };
        let (last, documents, context) = self
            .open
            .get_or_insert_with(|| (key.clone(), 0, Context::new(&SHA256)));
        *last = key;
        *documents += 1;
        context.update(&(self.buffer.len() as u64).to_be_bytes());
        context.update(&self.buffer);
        Some(&self.buffer)
    }

    fn close(&mut self) {
        if let Some((last, documents, context)) = self.open.take() {
            self.done.push((last.tenant, documents, finish(context)));
        }
    }

    /// Returns the number of documents and the digest of each tenant that has some.
    pub(crate) fn finish(mut self) -> Vec<(TenantId, u64, Hash)> {
        self.close();
        self.done
    }
}

/// The digest of no rows.
pub(crate) fn empty() -> Hash {
    finish(Context::new(&SHA256))
}

fn finish(context: Context) -> Hash {
    let digest = context.finish();
    Hash::from_bytes(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// Rows on their way into the parts of a snapshot.
#[derive(Default)]
pub(super) struct Rows {
    records: Records,
    first: Option<TenantId>,
    last: Option<TenantId>,
    digests: Digests,
}

impl Rows {
    /// Adds a row. Returns `false` if it is out of order.
    pub(super) fn push(&mut self, row: &Held) -> bool {
        let Some(record) = self.digests.take(row) else {
            return false;
        };
        self.records.push(record);
        self.first.get_or_insert_with(|| row.tenant.clone());
        self.last = Some(row.tenant.clone());
        true
    }

    pub(super) fn is_full(&self) -> bool {
        self.records.bytes() >= FULL_BYTES
    }

    /// Returns the next part of the snapshot at manifest `covers`, if there are rows.
    pub(super) fn seal(
        &mut self,
        covers: u64,
        header: Header,
        key: &DataKey,
    ) -> Option<(Part, Bytes)> {
        let (first, last) = (self.first.take()?, self.last.take()?);
        let records = std::mem::take(&mut self.records);
        let (bytes, _) = records.seal(Content::Snapshot, Effort::Thorough, header, key);
        let hash = Hash::of(&bytes);
        let part = Part {
            object: format!("snapshot/{covers:020}-{}", &hash.to_string()[..16]),
            bytes: bytes.len(),
            sha256: hash,
            first,
            last,
        };
        Some((part, bytes))
    }

    /// Returns the state of each of `chains`.
    pub(super) fn finish(
        self,
        chains: impl IntoIterator<Item = (TenantId, Tip)>,
    ) -> Result<Vec<ChainState>, Error> {
        let mut found = self.digests.finish().into_iter().peekable();
        let mut states = Vec::new();
        for (tenant, tip) in chains {
            let own = found.next_if(|(of, ..)| *of == tenant);
            let (documents, digest) = own.map_or_else(
                || (0, empty()),
                |(_, documents, digest)| (documents, digest),
            );
            states.push(ChainState {
                tenant,
                seq: tip.head.seq,
                hash: tip.head.hash,
                time: tip.time,
                documents,
                digest,
            });
        }
        match found.next() {
            None => Ok(states),
            Some((tenant, ..)) => {
                let what = format!("there are documents of `{tenant}`, but no entries");
                Err(Error::damaged("snapshot", what))
            }
        }
    }
}
