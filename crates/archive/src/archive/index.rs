//! The table of contents of an archive up to some manifest, so that nobody has to read
//! the manifests from the first one.
//!
//! # Invariants
//!
//! * A manifest names the index with its hash, so it is as much part of the chain as a
//!   segment. What an index names was named by the manifests that it covers, or was made
//!   from exactly that by merging.
//! * Segments are in the order of their chains.

use airside_base::Timestamp;
use airside_ledger::Hash;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    error::Error,
    manifest::{ChainEnd, SegmentRef},
    snapshot::SnapshotRef,
};

const FORMAT: &str = "airside.index/1";
/// Largest index. A segment takes about 600 bytes and holds up to 4 MiB, so this is
/// enough for some hundred GiB of entries.
pub(super) const MAX_INDEX: usize = 64 * 1024 * 1024;

/// What an archive holds up to a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    format: String,
    archive: String,
    /// The last manifest whose content is named; 0 for an empty index.
    pub(super) covers: u64,
    /// Hash, epoch and time of this manifest.
    pub(super) hash: Hash,
    pub(super) epoch: u64,
    pub(super) time: Timestamp,
    /// The end of every chain.
    pub(super) chains: Vec<ChainEnd>,
    pub(super) segments: Vec<Piece>,
    /// By the manifest that they cover.
    pub(super) snapshots: Vec<SnapshotRef>,
    /// Manifests up to this one may be gone, with what only they name.
    pub(super) floor: u64,
    /// Manifests up to this one are gone.
    pub(super) swept: u64,
}

/// One segment with the ends of the chains that have entries in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Piece {
    pub(super) segment: SegmentRef,
    pub(super) ends: Vec<ChainEnd>,
}

impl Index {
    /// Returns the index of `archive` in front of its first manifest.
    pub(super) fn empty(archive: String) -> Self {
        Self {
            format: FORMAT.to_owned(),
            archive,
            covers: 0,
            hash: Hash::default(),
            epoch: 0,
            time: Timestamp::UNIX_EPOCH,
            chains: Vec::new(),
            segments: Vec::new(),
            snapshots: Vec::new(),
            floor: 0,
            swept: 0,
        }
    }

    /// Returns the object and its name.
    pub(super) fn seal(&self) -> (String, Bytes, Hash) {
        let bytes = Bytes::from(serde_json::to_vec(self).expect("an index serializes"));
        let hash = Hash::of(&bytes);
        let name = format!("index/{:020}-{}", self.covers, &hash.to_string()[..16]);
        (name, bytes, hash)
    }

    /// Reads the object `name` of `archive`, whose hash has been checked.
    pub(super) fn open(archive: &str, name: &str, bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Format {
            format: String,
        }
        let malformed = |error: serde_json::Error| Error::damaged(name, error.to_string());
        let Format { format } = serde_json::from_slice(bytes).map_err(malformed)?;
        if format != FORMAT {
            let object = name.to_owned();
            return Err(Error::Version { object });
        }
        let index: Self = serde_json::from_slice(bytes).map_err(malformed)?;
        if index.archive != archive {
            return Err(Error::damaged(name, "it belongs to another archive"));
        }
        Ok(index)
    }

    /// Returns the objects that it names.
    pub(super) fn objects(&self) -> impl Iterator<Item = &str> {
        let segments = self.segments.iter();
        let segments = segments.map(|piece| &*piece.segment.object);
        let parts = self.snapshots.iter().flat_map(|snapshot| &snapshot.parts);
        segments.chain(parts.map(|part| &*part.object))
    }
}
