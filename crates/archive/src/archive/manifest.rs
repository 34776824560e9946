//! What the archive holds, as a chain of its own.
//!
//! # Invariants
//!
//! * Manifests are numbered from 1 without gaps; each names the hash of the whole
//!   object in front of it, so an object that is missing, changed or put in is found.
//! * Each carries a code that only the holder of the archive's key can make, so that
//!   the last one is guarded too.
//! * Epochs never go down; a higher one means that another run of a node took over.

use airside_base::{TenantId, Timestamp};
use airside_ledger::{Hash, Head, store::Tip};
use aws_lc_rs::hmac;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::Error;

const FORMAT: &str = "airside.manifest/2";
/// Largest manifest. One that names all chains has about 200 bytes for each.
pub(super) const MAX_MANIFEST: usize = 16 * 1024 * 1024;
/// One manifest in so many names all chains, so that the end of the archive can be
/// known without reading it from its start.
pub(super) const FULL_EVERY: u64 = 64;

/// The end of one chain in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChainEnd {
    pub(super) tenant: TenantId,
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) time: Timestamp,
}

impl ChainEnd {
    pub(super) fn tip(&self) -> Tip {
        let head = Head {
            seq: self.seq,
            hash: self.hash,
        };
        Tip {
            head,
            time: self.time,
        }
    }
}

/// The segment that a manifest adds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SegmentRef {
    pub(super) object: String,
    pub(super) bytes: usize,
    /// Bytes before compression.
    pub(super) plain: usize,
    pub(super) sha256: Hash,
    pub(super) entries: u64,
    /// Time of its oldest entry.
    pub(super) since: Timestamp,
    /// Time of its newest entry.
    pub(super) until: Timestamp,
    /// Whether it holds entries about an erasure.
    pub(super) erasures: bool,
}

/// The index that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexRef {
    pub(super) object: String,
    pub(super) bytes: usize,
    pub(super) sha256: Hash,
    /// The last manifest whose content it names.
    pub(super) covers: u64,
    /// The manifest that names the index before it; 0 for the first.
    pub(super) previous: u64,
}

/// One step of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: String,
    pub(super) archive: String,
    pub(super) number: u64,
    pub(super) prev: Hash,
    pub(super) time: Timestamp,
    pub(super) epoch: u64,
    /// What it adds; nothing for a sign of life.
    pub(super) segment: Option<SegmentRef>,
    /// A new index.
    pub(super) index: Option<IndexRef>,
    /// The last manifest up to this one that names an index; 0 if none does.
    pub(super) base: u64,
    /// Whether all chains are named, or those that have grown.
    pub(super) full: bool,
    pub(super) chains: Vec<ChainEnd>,
}

impl ChainEnd {
    /// Returns the chain with its end.
    pub(super) fn named(&self) -> (TenantId, Tip) {
        (self.tenant.clone(), self.tip())
    }
}

impl From<(&TenantId, &Tip)> for ChainEnd {
    fn from((tenant, tip): (&TenantId, &Tip)) -> Self {
        Self {
            tenant: tenant.clone(),
            seq: tip.head.seq,
            hash: tip.head.hash,
            time: tip.time,
        }
    }
}

impl Manifest {
    pub(super) fn new(archive: String, number: u64, prev: Hash, time: Timestamp) -> Self {
        Self {
            format: FORMAT.to_owned(),
            archive,
            number,
            prev,
            time,
            epoch: 0,
            segment: None,
            index: None,
            base: 0,
            full: number % FULL_EVERY == 1,
            chains: Vec::new(),
        }
    }

    /// Returns the object and its hash.
    pub(super) fn seal(&self, key: &hmac::Key) -> (Bytes, Hash) {
        let body = serde_json::value::to_raw_value(self).expect("a manifest serializes");
        let mac = code(key, body.get().as_bytes());
        let object = Coded {
            manifest: &body,
            mac,
        };
        let bytes = Bytes::from(serde_json::to_vec(&object).expect("a manifest serializes"));
        let hash = Hash::of(&bytes);
        (bytes, hash)
    }

    /// Reads the object of manifest `number` of `archive`.
    pub(super) fn open(
        archive: &str,
        number: u64,
        bytes: &[u8],
        key: &hmac::Key,
    ) -> Result<Self, Error> {
        let name = name(number);
        let malformed = |error: serde_json::Error| Error::damaged(&name, error.to_string());
        let coded: Coded<'_> = serde_json::from_slice(bytes).map_err(malformed)?;
        let again = serde_json::to_vec(&coded).map_err(malformed)?;
        let body = coded.manifest.get().as_bytes();
        let wrong = || Error::damaged(&name, "it is not what was written with this key");
        if again != bytes || hmac::verify(key, body, coded.mac.as_bytes()).is_err() {
            return Err(wrong());
        }
        let Format { format } = serde_json::from_slice(body).map_err(malformed)?;
        if format != FORMAT {
            return Err(Error::Version { object: name });
        }
        let manifest: Self = serde_json::from_slice(body).map_err(malformed)?;
        if manifest.number != number || manifest.archive != archive {
            return Err(Error::damaged(&name, "it belongs to another place"));
        }
        Ok(manifest)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Coded<'a> {
    #[serde(borrow)]
    manifest: &'a RawValue,
    mac: Hash,
}

#[derive(Deserialize)]
struct Format {
    format: String,
}

fn code(key: &hmac::Key, body: &[u8]) -> Hash {
    let tag = hmac::sign(key, body);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(tag.as_ref());
    Hash::from_bytes(bytes)
}

/// Returns the name of the object of manifest `number`.
pub(super) fn name(number: u64) -> String {
    format!("manifest/{number:020}.json")
}

/// Returns the number of the manifest in the object `name`.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("manifest/")?.strip_suffix(".json")?;
    digits.parse().ok().filter(|_| digits.len() == 20)
}
