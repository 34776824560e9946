//! A copy of the ledger in a storage elsewhere, a fraction of a second behind.
//!
//! # Invariants
//!
//! * The chain of manifests is the truth, never a list of objects: what no manifest
//!   names is not part of the archive.
//! * Objects are created and never changed or deleted, so two writers cannot mix:
//!   the second one to write a number is told and writes nothing.
//! * Only entries that are durable in the ledger are shipped, and each chain in the
//!   archive is a prefix of the ledger's. An archive that is ahead of its ledger, or
//!   holds other entries, is reported and left as it is.
//! * Every changed or missing byte is found, and the object that it was in is named.
//!   An archive whose last manifests were removed altogether is not: that takes a
//!   witness outside, for example the ledger itself.
//!
//! Absent on purpose: deleting old objects, and merging small ones.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use airside_base::{Clock, TenantId, Timestamp};
use airside_ledger::{
    Entry, Hash,
    failpoint::{self, Point},
    store::Tip,
    vault::{DataKey, Vault, VaultError, Wrapped},
};
use aws_lc_rs::hmac;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::{
    archiver::{Archiver, Options, Shipped, State, Status, Watch},
    error::Error,
    objects::Objects,
    walk::Contents,
};
use self::{
    manifest::{MAX_MANIFEST, Manifest},
    segment::{Header, MAX_OBJECT, Sealed},
};

mod archiver;
mod error;
mod manifest;
mod objects;
mod segment;
pub(crate) mod walk;

/// The object that says that here is an archive.
const ROOT: &str = "archive.json";
const FORMAT: &str = "airside.archive/1";
const MAX_ROOT: usize = 4096;
/// Data keys that are kept open; each run of a writer has one.
const OPEN_KEYS: usize = 256;

/// The content of [`ROOT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    format: String,
    id: String,
    /// The key of the manifests' codes.
    key: Wrapped,
}

/// An archive that can be read. Clones share it.
#[derive(Clone, Debug)]
pub struct Archive {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    objects: Objects,
    vault: Arc<dyn Vault>,
    id: String,
    code: hmac::Key,
    keys: Mutex<HashMap<Vec<u8>, Arc<DataKey>>>,
}

/// The end of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Number of the last manifest; 0 if there is none.
    pub number: u64,
    /// When it was written.
    pub time: Timestamp,
    /// The end of every chain.
    pub chains: BTreeMap<TenantId, Tip>,
    hash: Hash,
    epoch: u64,
}

impl Tail {
    /// Returns how many entries the archive holds.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.chains.values().map(|tip| tip.head.seq).sum()
    }
}

impl Archive {
    /// Opens the archive in `objects`, whose keys `vault` guards.
    ///
    /// # Errors
    ///
    /// [`Error::Absent`] if there is none, [`Error::WrongKey`] if another vault guards
    /// it, or when the storage does not answer.
    pub async fn open(objects: Objects, vault: Arc<dyn Vault>) -> Result<Self, Error> {
        let found = objects.find(ROOT, MAX_ROOT).await?.ok_or(Error::Absent)?;
        let root: Root = serde_json::from_slice(&found)
            .map_err(|error| Error::damaged(ROOT, error.to_string()))?;
        if root.format != FORMAT {
            let object = ROOT.to_owned();
            return Err(Error::Version { object });
        }
        if serde_json::to_vec(&root).ok().as_deref() != Some(&found[..]) {
            return Err(Error::damaged(
                ROOT,
                "it is not of the form that was written",
            ));
        }
        let context = context(&root.id, "manifest");
        let key = vault.unwrap(&root.key, context.as_bytes()).await;
        let key = key.map_err(|error| locked(ROOT, error))?;
        Ok(Self::new(objects, vault, root.id, &key))
    }

    /// Opens the archive in `objects`, or makes an empty one there.
    ///
    /// # Errors
    ///
    /// As [`Archive::open`].
    pub async fn open_or_create(
        objects: Objects,
        vault: Arc<dyn Vault>,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        match Self::open(objects.clone(), vault.clone()).await {
            Err(Error::Absent) => {}
            opened => return opened,
        }
        let id = airside_base::NodeId::generate(clock).to_string();
        let key = DataKey::generate();
        let wrapped = vault.wrap(&key, context(&id, "manifest").as_bytes()).await;
        let root = Root {
            format: FORMAT.to_owned(),
            id,
            key: wrapped.map_err(Error::Vault)?,
        };
        let bytes = Bytes::from(serde_json::to_vec(&root).expect("it serializes"));
        match objects.create(ROOT, &bytes).await {
            // Another was faster: then it is that archive.
            Ok(()) | Err(Error::Taken { .. }) => {
                failpoint::reach(Point::ArchiveRootPut);
                Self::open(objects, vault).await
            }
            Err(error) => Err(error),
        }
    }

    /// Returns whether there is no archive in `objects` yet.
    ///
    /// # Errors
    ///
    /// When the storage does not answer.
    pub async fn is_absent(objects: &Objects) -> Result<bool, Error> {
        Ok(objects.find(ROOT, MAX_ROOT).await?.is_none())
    }

    fn new(objects: Objects, vault: Arc<dyn Vault>, id: String, key: &DataKey) -> Self {
        let code = key.for_codes();
        Self {
            inner: Arc::new(Inner {
                objects,
                vault,
                id,
                code,
                keys: Mutex::default(),
            }),
        }
    }

    /// Returns the end of the archive, as its manifests tell it.
    ///
    /// # Errors
    ///
    /// When one of the last manifests is missing or damaged, or the storage does not
    /// answer.
    pub async fn tail(&self) -> Result<Tail, Error> {
        let last = self.last().await?;
        let mut tail = Tail {
            number: last,
            time: Timestamp::UNIX_EPOCH,
            chains: BTreeMap::new(),
            hash: Hash::default(),
            epoch: 0,
        };
        let mut expected = None;
        for number in (1..=last).rev() {
            let (manifest, hash) = self.manifest(number).await?;
            match expected {
                None => {
                    tail.time = manifest.time;
                    tail.hash = hash;
                    tail.epoch = manifest.epoch;
                }
                Some(prev) if prev != hash => {
                    let what = "the manifest behind it names another";
                    return Err(Error::damaged(&manifest::name(number), what));
                }
                Some(_) => {}
            }
            expected = Some(manifest.prev);
            for end in manifest.chains {
                let tip = end.tip();
                tail.chains.entry(end.tenant).or_insert(tip);
            }
            if manifest.full {
                break;
            }
        }
        Ok(tail)
    }

    /// Returns the number of the last manifest.
    async fn last(&self) -> Result<u64, Error> {
        let listed = self.inner.objects.list("manifest").await?;
        let mut numbers: Vec<u64> = listed.iter().filter_map(|n| manifest::number(n)).collect();
        numbers.sort_unstable();
        let mut last = 0;
        for number in numbers {
            while last + 1 < number {
                // Not listed: late, or missing.
                last += 1;
                self.inner
                    .objects
                    .read(&manifest::name(last), MAX_MANIFEST)
                    .await?;
            }
            last = number;
        }
        // What was written a moment ago may not be listed yet.
        while let Some(_found) = self
            .inner
            .objects
            .find(&manifest::name(last + 1), MAX_MANIFEST)
            .await?
        {
            last += 1;
        }
        Ok(last)
    }

    async fn manifest(&self, number: u64) -> Result<(Manifest, Hash), Error> {
        let name = manifest::name(number);
        let bytes = self.inner.objects.read(&name, MAX_MANIFEST).await?;
        let manifest = Manifest::open(&self.inner.id, number, &bytes, &self.inner.code)?;
        Ok((manifest, Hash::of(&bytes)))
    }

    /// Returns the entries of a segment.
    async fn entries(&self, segment: &manifest::SegmentRef) -> Result<Vec<Entry>, Error> {
        let name = segment.object.clone();
        let bytes = self.inner.objects.read(&name, MAX_OBJECT).await?;
        if bytes.len() != segment.bytes {
            let what = format!("it has {} bytes instead of {}", bytes.len(), segment.bytes);
            return Err(Error::damaged(&name, what));
        }
        if Hash::of(&bytes) != segment.sha256 {
            return Err(Error::damaged(&name, "it does not have its hash"));
        }
        let header = Sealed::parse(&name, &bytes)?.header;
        let key = self.key(&name, &header).await?;
        let open = move || Sealed::parse(&name, &bytes)?.open(&key);
        tokio::task::spawn_blocking(open)
            .await
            .unwrap_or_else(|error| {
                let what = format!("reading it failed: {error}");
                Err(Error::damaged(&segment.object, what))
            })
    }

    async fn key(&self, name: &str, header: &Header) -> Result<Arc<DataKey>, Error> {
        let inner = &self.inner;
        let known = inner.keys().get(&header.key.key).cloned();
        if let Some(key) = known {
            return Ok(key);
        }
        if header.archive != inner.id {
            return Err(Error::damaged(name, "it belongs to another archive"));
        }
        let context = context(&inner.id, "segment");
        let key = inner.vault.unwrap(&header.key, context.as_bytes()).await;
        let key = Arc::new(key.map_err(|error| locked(name, error))?);
        let mut keys = inner.keys();
        if keys.len() >= OPEN_KEYS {
            keys.clear();
        }
        keys.insert(header.key.key.clone(), key.clone());
        Ok(key)
    }

    /// Makes a data key for the segments of one writer.
    async fn data_key(&self) -> Result<(Header, Arc<DataKey>), Error> {
        let inner = &self.inner;
        let key = DataKey::generate();
        let context = context(&inner.id, "segment");
        let wrapped = inner.vault.wrap(&key, context.as_bytes()).await;
        let header = Header {
            archive: inner.id.clone(),
            key: wrapped.map_err(Error::Vault)?,
            plain: 0,
            entries: 0,
        };
        Ok((header, Arc::new(key)))
    }
}

impl Inner {
    fn keys(&self) -> std::sync::MutexGuard<'_, HashMap<Vec<u8>, Arc<DataKey>>> {
        self.keys
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

/// Says which object cannot be opened, and why.
fn locked(object: &str, error: VaultError) -> Error {
    match error {
        VaultError::OtherKey {
            wrapped_by,
            present,
        } => Error::WrongKey {
            written: wrapped_by,
            given: present,
        },
        VaultError::Tampered(_) => Error::damaged(object, "its key is not what was wrapped"),
        VaultError::Destroyed
        | VaultError::Foreign { .. }
        | VaultError::Exposed { .. }
        | VaultError::File { .. } => Error::Vault(error),
    }
}

/// What a wrapped key is for.
fn context(archive: &str, purpose: &str) -> String {
    format!("airside.archive/1 {archive} {purpose}")
}
