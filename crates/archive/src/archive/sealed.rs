//! The outer form of an object with content: compressed, encrypted, authenticated.
//!
//! ```text
//! magic:7 version:1 | length of header:4 | header (JSON) | nonce:12 | sealed
//! ```
//!
//! `sealed` is AES-256-GCM, with everything in front of the nonce as associated
//! data, over a zstd frame of the records: each its length (4 bytes, big-endian) and
//! its bytes.

use airside_ledger::vault::{DataKey, Wrapped};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::Error;

const MAGIC_BYTES: usize = 7;
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// A part of a snapshot is closed when it has this many bytes before compression.
pub(super) const FULL_BYTES: usize = 1024 * 1024;
/// A segment is closed when it has this many: each costs the disk of a local archive four
/// syncs. One that is full need not be merged.
pub(super) const SEGMENT_BYTES: usize = 2 * FULL_BYTES;
/// Merged segments are at most so large: few requests at a restore, and still a bounded
/// amount of memory for each.
pub(super) const MERGED_BYTES: usize = 4 * FULL_BYTES;
/// Most bytes of an object before compression: a full one and the largest commit.
const MAX_PLAIN: usize = MERGED_BYTES + 4 * FULL_BYTES;
/// Most bytes of an object. What cannot be compressed grows by less than this.
pub(super) const MAX_OBJECT: usize = MAX_PLAIN + FULL_BYTES;
const MAX_HEADER: usize = 4096;

/// How hard an object is compressed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effort {
    /// For what is merged soon: the ledger's callers need the processor.
    Quick,
    /// For what is kept.
    Thorough,
}

impl Effort {
    fn level(self) -> i32 {
        match self {
            Self::Quick => 1,
            Self::Thorough => 3,
        }
    }
}

/// What an object holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Entries.
    Segment,
    /// Rows of tables.
    Snapshot,
}

impl Content {
    fn magic(self) -> &'static [u8; MAGIC_BYTES] {
        match self {
            Self::Segment => b"AIRSSEG",
            Self::Snapshot => b"AIRSSNP",
        }
    }
}

/// What stands in clear in front of the content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// The archive.
    pub(super) archive: String,
    /// The data key.
    pub(super) key: Wrapped,
    /// Bytes before compression.
    pub(super) plain: usize,
    /// Records.
    pub(super) records: usize,
}

/// Records on their way into an object.
#[derive(Debug, Default)]
pub(super) struct Records {
    plain: Vec<u8>,
    count: usize,
}

impl Records {
    /// Returns none yet, for which memory is there already.
    pub(super) fn reuse(mut memory: Vec<u8>) -> Self {
        memory.clear();
        Self {
            plain: memory,
            count: 0,
        }
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        let length = u32::try_from(record.len()).expect("records are far below 4 GiB");
        self.plain.extend_from_slice(&length.to_be_bytes());
        self.plain.extend_from_slice(record);
        self.count += 1;
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.plain.len()
    }

    /// Returns the object, and the memory to use again. Takes some milliseconds.
    pub(super) fn seal(
        self,
        content: Content,
        effort: Effort,
        mut header: Header,
        key: &DataKey,
    ) -> (Bytes, Vec<u8>) {
        header.plain = self.plain.len();
        header.records = self.count;
        let header = serde_json::to_vec(&header).expect("a header serializes");
        let length = u32::try_from(header.len()).expect("a header is short");
        let mut object = content.magic().to_vec();
        object.push(VERSION);
        object.extend_from_slice(&length.to_be_bytes());
        object.extend_from_slice(&header);
        let from = object.len();
        let text = from + NONCE_BYTES;
        let bound = zstd::zstd_safe::compress_bound(self.plain.len());
        object.reserve_exact(NONCE_BYTES + bound + TAG_BYTES);
        object.resize(text + bound, 0);
        let packed =
            zstd::bulk::compress_to_buffer(&self.plain, &mut object[text..], effort.level());
        object.truncate(text + packed.expect("there is room for the worst case"));
        key.seal_behind(&mut object, from);
        (object.into(), self.plain)
    }
}

/// An object as it was read, not opened yet.
pub(super) struct Sealed<'a> {
    name: &'a str,
    pub(super) header: Header,
    front: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Reads the header of the object `name`.
    pub(super) fn parse(content: Content, name: &'a str, object: &'a [u8]) -> Result<Self, Error> {
        let cut = || Error::damaged(name, "it is cut");
        let rest = object
            .strip_prefix(content.magic())
            .ok_or_else(|| Error::damaged(name, "it is of another kind"))?;
        let (version, rest) = rest.split_first().ok_or_else(cut)?;
        if *version != VERSION {
            let object = name.to_owned();
            return Err(Error::Version { object });
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_HEADER {
            return Err(Error::damaged(name, "its header is too long"));
        }
        let (header, sealed) = rest.split_at_checked(length).ok_or_else(cut)?;
        let header: Header = serde_json::from_slice(header)
            .map_err(|error| Error::damaged(name, format!("its header: {error}")))?;
        if header.plain > MAX_PLAIN {
            return Err(Error::damaged(name, "its content is too large"));
        }
        Ok(Self {
            name,
            header,
            front: &object[..MAGIC_BYTES + 5 + length],
            sealed,
        })
    }

    /// Returns what `read` makes of the records. Takes some milliseconds.
    pub(super) fn open<T>(
        &self,
        key: &DataKey,
        read: impl Fn(&Bytes) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let damaged = |what| Error::damaged(self.name, what);
        let packed = key
            .open(self.front, self.sealed.to_vec())
            .map_err(|_| damaged("its content is not what was sealed with this key"))?;
        let plain = zstd::bulk::decompress(&packed, self.header.plain)
            .map_err(|_| damaged("its content cannot be decompressed"))?;
        let mut plain = Bytes::from(plain);
        let mut records = Vec::new();
        while !plain.is_empty() {
            let record = next(&mut plain).and_then(|record| read(&record));
            records.push(record.ok_or_else(|| damaged("it holds no proper record"))?);
        }
        if records.len() != self.header.records {
            return Err(damaged("it has not as many records as it says"));
        }
        Ok(records)
    }
}

fn next(plain: &mut Bytes) -> Option<Bytes> {
    let length = plain.split_first_chunk::<4>()?.0;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let end = length.checked_add(4).filter(|end| *end <= plain.len())?;
    Some(plain.split_to(end).slice(4..))
}
