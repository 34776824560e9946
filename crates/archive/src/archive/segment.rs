//! One object with entries, in the form of `sealed`: each record is the canonical
//! encoding of an entry. Hashes are not stored but computed.

use std::collections::BTreeMap;

use airside_base::{TenantId, Timestamp};
use airside_ledger::{Entry, Hash, erasure, store::Tip, vault::DataKey};
use bytes::Bytes;

use super::{
    manifest::SegmentRef,
    sealed::{Content, Effort, Header, Records, SEGMENT_BYTES},
};

/// Entries on their way into a segment.
#[derive(Debug, Default)]
pub(super) struct Builder {
    records: Records,
    /// Times of the oldest and the newest entry.
    span: Option<(Timestamp, Timestamp)>,
    erasures: bool,
    /// Where each chain ends.
    ends: BTreeMap<TenantId, Tip>,
    buffer: Vec<u8>,
}

impl Builder {
    /// Returns one without entries, for which memory is there already.
    pub(super) fn reuse(memory: Vec<u8>) -> Self {
        Self {
            records: Records::reuse(memory),
            ..Self::default()
        }
    }

    /// Adds `entry`. Returns `false` if its content does not have its hash.
    pub(super) fn push(&mut self, entry: &Entry) -> bool {
        entry.encode(&mut self.buffer);
        if Hash::of(&self.buffer) != entry.hash {
            return false;
        }
        self.records.push(&self.buffer);
        let (since, until) = self.span.unwrap_or((entry.time, entry.time));
        self.span = Some((since.min(entry.time), until.max(entry.time)));
        self.erasures |= erasure::concerns(entry);
        let tip = Tip {
            head: entry.head(),
            time: entry.time,
        };
        self.ends.insert(entry.tenant.clone(), tip);
        true
    }

    pub(super) fn entries(&self) -> usize {
        self.records.count()
    }

    /// Returns how many bytes it should grow by at most; the last entries may take more.
    pub(super) fn room(&self) -> usize {
        SEGMENT_BYTES.saturating_sub(self.records.bytes())
    }

    pub(super) fn is_full(&self) -> bool {
        self.room() == 0
    }

    pub(super) fn ends(&self) -> &BTreeMap<TenantId, Tip> {
        &self.ends
    }

    /// Returns the object of manifest `number` with what a manifest says of it, and the
    /// memory to use again; nothing without entries. Takes some milliseconds.
    pub(super) fn seal(
        self,
        number: u64,
        effort: Effort,
        header: Header,
        key: &DataKey,
    ) -> Option<(SegmentRef, Bytes, Vec<u8>)> {
        let (since, until) = self.span?;
        let (entries, plain) = (self.records.count(), self.records.bytes());
        let (bytes, memory) = self.records.seal(Content::Segment, effort, header, key);
        let hash = Hash::of(&bytes);
        let segment = SegmentRef {
            object: format!("segment/{number:020}-{}", &hash.to_string()[..16]),
            bytes: bytes.len(),
            plain,
            sha256: hash,
            entries: entries as u64,
            since,
            until,
            erasures: self.erasures,
        };
        Some((segment, bytes, memory))
    }
}
