//! One object with entries: compressed, encrypted, authenticated.
//!
//! ```text
//! "AIRSSEG" version:1 | length of header:4 | header (JSON) | nonce:12 | sealed
//! ```
//!
//! `sealed` is AES-256-GCM, with everything in front of the nonce as associated
//! data, over a zstd frame of the entries: each its length (4 bytes, big-endian) and
//! its canonical encoding. Hashes are not stored but computed.

use std::collections::BTreeMap;

use airside_base::{TenantId, Timestamp};
use airside_ledger::{
    Entry, Hash, Head,
    vault::{DataKey, Wrapped},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::Error;

const MAGIC: &[u8; 7] = b"AIRSSEG";
const VERSION: u8 = 1;
/// A segment is closed when it has this many bytes before compression.
pub(super) const FULL_BYTES: usize = 1024 * 1024;
/// Most bytes of a segment before compression: a full one and the largest entry.
const MAX_PLAIN: usize = 4 * FULL_BYTES;
/// Most bytes of an object. What cannot be compressed grows by less than this.
pub(super) const MAX_OBJECT: usize = MAX_PLAIN + FULL_BYTES;
const MAX_HEADER: usize = 4096;
const LEVEL: i32 = 3;

/// What stands in clear in front of a segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// The archive.
    pub(super) archive: String,
    /// The data key.
    pub(super) key: Wrapped,
    /// Bytes before compression.
    pub(super) plain: usize,
    /// Entries.
    pub(super) entries: usize,
}

/// Entries on their way into a segment.
#[derive(Debug, Default)]
pub(super) struct Builder {
    plain: Vec<u8>,
    entries: usize,
    since: Option<Timestamp>,
    /// Where each chain ends, and when.
    ends: BTreeMap<TenantId, (Head, Timestamp)>,
    buffer: Vec<u8>,
}

impl Builder {
    /// Adds `entry`. Returns `false` if its content does not have its hash.
    pub(super) fn push(&mut self, entry: &Entry) -> bool {
        entry.encode(&mut self.buffer);
        if Hash::of(&self.buffer) != entry.hash {
            return false;
        }
        let length = u32::try_from(self.buffer.len()).expect("entries are far below 4 GiB");
        self.plain.extend_from_slice(&length.to_be_bytes());
        self.plain.extend_from_slice(&self.buffer);
        self.entries += 1;
        self.since = Some(self.since.map_or(entry.time, |since| since.min(entry.time)));
        let end = (entry.head(), entry.time);
        self.ends.insert(entry.tenant.clone(), end);
        true
    }

    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    pub(super) fn is_full(&self) -> bool {
        self.plain.len() >= FULL_BYTES
    }

    /// Returns the time of the oldest entry.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    pub(super) fn ends(&self) -> &BTreeMap<TenantId, (Head, Timestamp)> {
        &self.ends
    }

    /// Returns the object. Takes some milliseconds.
    pub(super) fn seal(self, mut header: Header, key: &DataKey) -> Bytes {
        header.plain = self.plain.len();
        header.entries = self.entries;
        let packed = zstd::bulk::compress(&self.plain, LEVEL).expect("memory can be compressed");
        let header = serde_json::to_vec(&header).expect("a header serializes");
        let length = u32::try_from(header.len()).expect("a header is short");
        let mut object = MAGIC.to_vec();
        object.push(VERSION);
        object.extend_from_slice(&length.to_be_bytes());
        object.extend_from_slice(&header);
        let sealed = key.seal(&object, packed);
        object.extend_from_slice(&sealed);
        object.into()
    }
}

/// A segment as it was read, not opened yet.
pub(super) struct Sealed<'a> {
    name: &'a str,
    pub(super) header: Header,
    front: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// Reads the header of the object `name`.
    pub(super) fn parse(name: &'a str, object: &'a [u8]) -> Result<Self, Error> {
        let cut = || Error::damaged(name, "it is cut");
        let rest = object
            .strip_prefix(MAGIC)
            .ok_or_else(|| Error::damaged(name, "it is not a segment"))?;
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
            front: &object[..MAGIC.len() + 5 + length],
            sealed,
        })
    }

    /// Returns the entries. Takes some milliseconds.
    pub(super) fn open(&self, key: &DataKey) -> Result<Vec<Entry>, Error> {
        let damaged = |what| Error::damaged(self.name, what);
        let packed = key
            .open(self.front, self.sealed.to_vec())
            .map_err(|_| damaged("its content is not what was sealed with this key"))?;
        let plain = zstd::bulk::decompress(&packed, self.header.plain)
            .map_err(|_| damaged("its content cannot be decompressed"))?;
        let mut plain = Bytes::from(plain);
        let mut entries = Vec::new();
        while !plain.is_empty() {
            let entry = next(&mut plain).ok_or_else(|| damaged("it holds no proper entry"))?;
            entries.push(entry);
        }
        if entries.len() != self.header.entries {
            return Err(damaged("it has not as many entries as it says"));
        }
        Ok(entries)
    }
}

fn next(plain: &mut Bytes) -> Option<Entry> {
    let length = plain.split_first_chunk::<4>()?.0;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let end = length.checked_add(4).filter(|end| *end <= plain.len())?;
    let encoded = plain.split_to(end).slice(4..);
    Entry::from_encoded(&encoded)
}
