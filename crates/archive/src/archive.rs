//! A copy of the ledger in a storage elsewhere, a fraction of a second behind.
//!
//! # Invariants
//!
//! * The chain of manifests is the truth, never a list of objects: what no manifest
//!   names is not part of the archive.
//! * Objects are created and never changed, so two writers cannot mix: the second one
//!   to write a number is told and writes nothing.
//! * Only what has been superseded for a while is deleted (`upkeep`): small segments that
//!   were merged, and the manifests that named them. One manifest of each [`BLOCK`]
//!   stays for ever, so that the last one is found without a list.
//! * Only entries that are durable in the ledger are shipped, and each chain in the
//!   archive is a prefix of the ledger's. An archive that is ahead of its ledger, or
//!   holds other entries, is reported and left as it is.
//! * Every changed or missing byte is found, and the object that it was in is named.
//!   An archive whose last manifests were removed altogether is not: that takes a
//!   witness outside, for example the ledger itself.

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
    key_at::KeyAt,
    kms::{Kms, KmsKey},
    objects::Objects,
    s3::{Access, AccessError},
    upkeep::{Done, SWEPT, Schedule, Swept, Upkeep, UpkeepError},
    walk::Contents,
};
use self::{
    index::{Index, MAX_INDEX},
    manifest::{IndexRef, MAX_MANIFEST, Manifest},
    sealed::{Content, Header, MAX_OBJECT, Sealed},
    snapshot::Held,
};

mod archiver;
mod collect;
mod error;
mod hand;
mod index;
mod key_at;
mod kms;
mod manifest;
mod merge;
mod objects;
mod s3;
mod sealed;
mod segment;
pub(crate) mod snapshot;
mod sweep;
mod upkeep;
pub(crate) mod walk;

/// The object that says that here is an archive.
const ROOT: &str = "archive.json";
const FORMAT: &str = "airside.archive/1";
const MAX_ROOT: usize = 4096;
/// Of so many manifests the first is never deleted, and of the block with the last one
/// none.
const BLOCK: u64 = 256;
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
    /// The last manifest that names an index; 0 if none does.
    base: u64,
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
    /// [`Error::Absent`] if there is none, [`Error::Missing`] if only its first object is
    /// gone, [`Error::WrongKey`] if another vault guards it, or when the storage does not
    /// answer.
    pub async fn open(objects: Objects, vault: Arc<dyn Vault>) -> Result<Self, Error> {
        let found = match objects.find(ROOT, MAX_ROOT).await? {
            Some(found) => found,
            // The first manifest is never deleted.
            None if objects.has(&manifest::name(1)).await? => {
                let object = ROOT.to_owned();
                return Err(Error::Missing { object });
            }
            None => return Err(Error::Absent),
        };
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
        objects.check_create(&format!("probe/{id}")).await?;
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
        let gone = objects.find(ROOT, MAX_ROOT).await?.is_none();
        Ok(gone && !objects.has(&manifest::name(1)).await?)
    }

    /// Returns the same archive, read by as many threads as a restore looks ahead. For a
    /// program that ends afterwards: the allocator keeps memory for each of them, which a
    /// node would not give back.
    #[must_use]
    pub fn for_restore(&self) -> Self {
        let inner = &self.inner;
        let inner = Inner {
            objects: inner.objects.handled_by(walk::AHEAD),
            vault: Arc::clone(&inner.vault),
            id: inner.id.clone(),
            code: inner.code.clone(),
            keys: Mutex::default(),
        };
        Self {
            inner: Arc::new(inner),
        }
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
            base: 0,
        };
        let mut expected = None;
        for number in (1..=last).rev() {
            let (manifest, hash) = self.manifest(number).await?;
            match expected {
                None => {
                    tail.time = manifest.time;
                    tail.hash = hash;
                    tail.epoch = manifest.epoch;
                    tail.base = manifest.base;
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
    ///
    /// It is searched by asking for single objects, which storages answer from what was
    /// written last; a list, which may be late, is only asked for what it knows behind.
    async fn last(&self) -> Result<u64, Error> {
        // The first manifests of the blocks are all there up to the last block.
        let first = |block: u64| block * BLOCK + 1;
        let (mut low, mut high) = (None, 1);
        while self.has_manifest(first(high - 1)).await? {
            low = Some(high - 1);
            high *= 2;
        }
        let Some(mut block) = low else {
            return self.nothing_behind(0).await;
        };
        let mut end = high - 1;
        while block + 1 < end {
            let middle = block.midpoint(end);
            match self.has_manifest(first(middle)).await? {
                true => block = middle,
                false => end = middle,
            }
        }
        // Within the last block nothing is deleted.
        let (mut last, mut end) = (first(block), first(block) + BLOCK);
        while last + 1 < end {
            let middle = last.midpoint(end);
            match self.has_manifest(middle).await? {
                true => last = middle,
                false => end = middle,
            }
        }
        self.nothing_behind(last).await
    }

    /// Returns `last` unless the storage knows of later manifests: then one is missing.
    async fn nothing_behind(&self, last: u64) -> Result<u64, Error> {
        let (objects, mut next) = (&self.inner.objects, last + 1);
        // Written since it was searched.
        while self.has_manifest(next).await? {
            next += 1;
        }
        let listed = objects
            .list_behind("manifest", &manifest::name(next))
            .await?;
        if listed
            .iter()
            .any(|name| manifest::number(name) > Some(next))
            && !self.has_manifest(next).await?
        {
            let object = manifest::name(next);
            return Err(Error::Missing { object });
        }
        Ok(next - 1)
    }

    async fn has_manifest(&self, number: u64) -> Result<bool, Error> {
        self.inner.objects.has(&manifest::name(number)).await
    }

    /// Returns the newest index for a reader of the archive up to manifest `last`.
    async fn index_for(&self, last: u64) -> Result<Index, Error> {
        if last > 0 {
            let (manifest, _) = self.manifest(last).await?;
            if manifest.base > 0 {
                return self.index_of(manifest.base).await;
            }
        }
        Ok(Index::empty(self.inner.id.clone()))
    }

    /// Returns the index that manifest `number` names.
    async fn index_of(&self, number: u64) -> Result<Index, Error> {
        let (manifest, _) = self.manifest(number).await?;
        let Some(named) = manifest.index else {
            let what = "it names no index";
            return Err(Error::damaged(&manifest::name(number), what));
        };
        self.index(&named).await
    }

    /// Returns whether the archive cannot be read at manifest `number` any more, because
    /// what only it and its index name has been superseded and may be deleted.
    pub(crate) async fn is_swept(&self, number: u64) -> Result<bool, Error> {
        let Ok(tail) = self.tail().await else {
            // Its end is damaged: whoever asks wants what is in front of it.
            return Ok(false);
        };
        let Ok(Index { floor, .. }) = self.index_for(tail.number).await else {
            return Ok(false);
        };
        if number <= floor {
            return Ok(true);
        }
        let base = self.manifest(number).await?.0.base;
        if base <= floor {
            return Ok(floor > 0);
        }
        Ok(self.index_of(base).await?.covers < floor)
    }

    async fn index(&self, named: &IndexRef) -> Result<Index, Error> {
        let name = &named.object;
        let bytes = self
            .object(name, named.bytes, &named.sha256, MAX_INDEX)
            .await?;
        let index = Index::open(&self.inner.id, name, &bytes)?;
        if index.covers != named.covers {
            return Err(Error::damaged(name, "it covers another manifest"));
        }
        Ok(index)
    }

    async fn manifest(&self, number: u64) -> Result<(Manifest, Hash), Error> {
        let name = manifest::name(number);
        let bytes = self.inner.objects.read(&name, MAX_MANIFEST).await?;
        let manifest = Manifest::open(&self.inner.id, number, &bytes, &self.inner.code)?;
        Ok((manifest, Hash::of(&bytes)))
    }

    /// Returns an object that is named with its length and hash.
    async fn object(
        &self,
        name: &str,
        length: usize,
        hash: &Hash,
        max: usize,
    ) -> Result<Bytes, Error> {
        let bytes = self.inner.objects.read(name, max).await?;
        if bytes.len() != length {
            let what = format!("it has {} bytes instead of {length}", bytes.len());
            return Err(Error::damaged(name, what));
        }
        if Hash::of(&bytes) != *hash {
            return Err(Error::damaged(name, "it does not have its hash"));
        }
        Ok(bytes)
    }

    /// Returns the entries of a segment.
    async fn entries(&self, segment: &manifest::SegmentRef) -> Result<Vec<Entry>, Error> {
        let (name, length) = (&segment.object, segment.bytes);
        let bytes = self
            .object(name, length, &segment.sha256, MAX_OBJECT)
            .await?;
        self.records(Content::Segment, name, bytes, Entry::from_encoded)
            .await
    }

    /// Returns the rows of a part of a snapshot.
    pub(crate) async fn rows(&self, part: &snapshot::Part) -> Result<Vec<Held>, Error> {
        let (name, length) = (&part.object, part.bytes);
        let bytes = self.object(name, length, &part.sha256, MAX_OBJECT).await?;
        self.records(Content::Snapshot, name, bytes, Held::decode)
            .await
    }

    async fn records<T: Send + 'static>(
        &self,
        content: Content,
        object: &str,
        bytes: Bytes,
        read: fn(&Bytes) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let header = Sealed::parse(content, object, &bytes)?.header;
        let key = self.key(object, &header).await?;
        let name = object.to_owned();
        let open = move || Sealed::parse(content, &name, &bytes)?.open(&key, read);
        let opened = self.inner.objects.hand.run(open).await;
        opened.unwrap_or_else(|error| {
            let what = format!("reading it failed: {error}");
            Err(Error::damaged(object, what))
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
            records: 0,
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
        | VaultError::Unreachable { .. }
        | VaultError::Refused { .. }
        | VaultError::Absent { .. }
        | VaultError::Foreign { .. }
        | VaultError::Exposed { .. }
        | VaultError::File { .. } => Error::Vault(error),
    }
}

/// What a wrapped key is for.
fn context(archive: &str, purpose: &str) -> String {
    format!("airside.archive/1 {archive} {purpose}")
}
