//! The data keys of persons: one for each tenant, subject and purpose.
//!
//! # Invariants
//!
//! * Keys lie outside of the ledger and its archive: what is restored from there
//!   cannot bring a destroyed key back.
//! * A key is durable before anything is sealed with it, and kept only wrapped by a
//!   [`Vault`].
//! * The place of a value (tenant, subject, purpose, kind, path) is authenticated:
//!   a sealed value that was moved does not open.
//! * What has been destroyed leaves a mark, so that erased is told from lost.
//! * Unwrapped keys stay in memory for 30 seconds ([`CACHE_TTL`]) at most, and not
//!   past their destruction by this process. A node that follows the ledger
//!   ([`Keys::follow`]) forgets what another has destroyed when it hears of it.
//!
//! [`contract`] is the promise of a [`KeyStore`] as code.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use airside_base::{BoxFuture, Clock, Fault, Kind as FaultKind, TenantId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    entry::{Draft, DraftError, Kind},
    failpoint::{self, Point},
    personal::{self, Body, KeyId, Opened, Owner, Personal, Purpose, Sealed, Slot, SubjectId},
    store::Cause,
    vault::{DataKey, Vault, VaultError, Wrapped},
};

pub mod contract;
pub mod follow;
pub mod memory;
pub mod postgres;
pub mod sqlite;
#[cfg(test)]
mod tests;

/// How long an unwrapped key stays in memory.
pub const CACHE_TTL: Duration = Duration::from_secs(30);
/// Most unwrapped keys in memory.
const CACHED: usize = 1024;

/// A live key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub id: KeyId,
    /// The key.
    pub wrapped: Wrapped,
}

/// A destroyed key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Grave {
    /// What it was for.
    pub purpose: Purpose,
    /// Its name.
    pub key: KeyId,
}

/// What is known of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// About whom it is.
    pub subject: SubjectId,
    /// What it is for.
    pub purpose: Purpose,
    /// Which part of the purpose.
    pub scope: Arc<str>,
    /// The key, unless it has been destroyed.
    pub wrapped: Option<Wrapped>,
}

/// Why a key store did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The file is not a key store, or comes from a later version.
    #[error("`{}` is not a key store that this version can read", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The system below failed; what was asked may have been done or not.
    #[error("cannot {doing}")]
    Failed {
        /// What was attempted.
        doing: &'static str,
        /// What went wrong.
        source: Cause,
    },
}

impl KeyStoreError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Foreign { .. } => Fault::new(
                FaultKind::Unsupported,
                "LED-087",
                "the file is not a key store that this version can read",
            ),
            Self::Failed { .. } => Fault::new(
                FaultKind::Unavailable,
                "LED-086",
                "the key store does not work",
            ),
        }
        .with_private(self)
    }
}

/// Durable home of wrapped data keys.
///
/// Everything is durable when it returns. A slot has one live key at most.
pub trait KeyStore: Send + Sync + fmt::Debug {
    /// Returns the live key of `slot`.
    fn find(&self, slot: Slot) -> BoxFuture<'_, Result<Option<Kept>, KeyStoreError>>;

    /// Keeps `fresh` for `slot` unless it has a live key; returns the live one.
    fn keep(&self, slot: Slot, fresh: Kept) -> BoxFuture<'_, Result<Kept, KeyStoreError>>;

    /// Returns what is known of the key `id` of `tenant`.
    fn look_up(
        &self,
        tenant: TenantId,
        id: KeyId,
    ) -> BoxFuture<'_, Result<Option<Record>, KeyStoreError>>;

    /// Returns for which purposes `subject` has live keys.
    fn live(
        &self,
        tenant: TenantId,
        subject: SubjectId,
    ) -> BoxFuture<'_, Result<BTreeSet<Purpose>, KeyStoreError>>;

    /// Destroys all keys of `subject` for `purposes`. Returns every key that has
    /// been destroyed for them, now or before.
    fn destroy(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        purposes: BTreeSet<Purpose>,
    ) -> BoxFuture<'_, Result<Vec<Grave>, KeyStoreError>>;

    /// Destroys the named keys of `subject`, and marks as destroyed those that are
    /// not known.
    fn bury(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        graves: Vec<Grave>,
    ) -> BoxFuture<'_, Result<(), KeyStoreError>>;
}

/// Why a data key cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KeyError {
    /// The key store failed.
    #[error("cannot use the key store")]
    Store(#[source] KeyStoreError),
    /// The vault failed.
    #[error("cannot use the vault")]
    Vault(#[source] VaultError),
}

impl KeyError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
            Self::Vault(error) => error.fault(),
        }
    }
}

/// Why a draft with personal values could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The body is no acceptable entry.
    #[error("cannot draft the entry")]
    Draft(#[source] DraftError),
    /// A part of the body that holds a personal value was serialized into a text.
    #[error("a personal value of the body has no place of its own")]
    Misplaced,
    /// There is no key.
    #[error("cannot get the key of a personal value")]
    Key(#[source] KeyError),
}

impl SealError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Draft(error) => error.fault(),
            Self::Misplaced => Fault::new(
                FaultKind::Internal,
                "LED-089",
                "a personal value cannot be sealed where it stands",
            ),
            Self::Key(error) => error.fault(),
        }
    }
}

/// Why a personal value could not be opened. An erased one is no error, see [`Opened`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// It is not where it was sealed, or was changed.
    #[error("the personal value sealed for `{sealed_for}` was changed or moved to `{found_at}`")]
    Moved {
        /// Where it says that it was sealed.
        sealed_for: String,
        /// Where it was found.
        found_at: String,
    },
    /// It has another shape than expected.
    #[error("the personal value at `{at}` has another shape")]
    Shape {
        /// Where.
        at: String,
    },
    /// Its key is neither there nor destroyed.
    #[error("the key `{}` of a personal value is missing", .key.as_str())]
    Missing {
        /// The key.
        key: KeyId,
    },
    /// Its key cannot be had.
    #[error("cannot get the key of a personal value")]
    Key(#[source] KeyError),
}

impl OpenError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Moved { .. } | Self::Shape { .. } => Fault::new(
                FaultKind::Internal,
                "LED-084",
                "a personal value is not what was sealed there",
            ),
            Self::Missing { .. } => Fault::new(
                FaultKind::Internal,
                "LED-085",
                "the key of a personal value is missing",
            ),
            Self::Key(error) => return error.fault(),
        }
        .with_private(self)
    }
}

/// Seals and opens personal values.
#[derive(Debug)]
pub struct Keys {
    store: Arc<dyn KeyStore>,
    vault: Arc<dyn Vault>,
    clock: Arc<dyn Clock>,
    cache: Mutex<Cache>,
}

impl Keys {
    /// Returns the keys in `store`, wrapped by `vault`.
    #[must_use]
    pub fn new(store: Arc<dyn KeyStore>, vault: Arc<dyn Vault>, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            vault,
            clock,
            cache: Mutex::default(),
        }
    }

    /// Returns a draft whose body is `body` as JSON, with every [`Personal`] value in
    /// it sealed. Otherwise as [`Draft::new`]; `about` is the subject of the entry.
    ///
    /// # Errors
    ///
    /// As [`Draft::new`], and when the key of a person cannot be had.
    pub async fn draft<B: Serialize + Sync + ?Sized>(
        &self,
        tenant: &TenantId,
        kind: Kind,
        version: u16,
        about: &str,
        body: &B,
    ) -> Result<Draft, SealError> {
        let refused = |error| SealError::Draft(DraftError::Serialize(error));
        let body = Body::take_apart(body).map_err(refused)?;
        let mut keys: BTreeMap<Slot, Held> = BTreeMap::new();
        for taken in &body.taken {
            if let Entry::Vacant(place) = keys.entry(slot(tenant, &taken.owner)) {
                let key = self.key_for(place.key()).await.map_err(SealError::Key)?;
                place.insert(key);
            }
        }
        let sealed = body.put_together(&kind, |taken, at| {
            let held = &keys[&slot(tenant, &taken.owner)];
            let owner = (&taken.owner.subject, taken.owner.purpose);
            let place = personal::context(tenant, owner, &at);
            let data = held.key.seal(&place, taken.text.clone());
            Sealed::new(&taken.owner, at, held.id.clone(), data)
        });
        let sealed = sealed.ok_or(SealError::Misplaced)?;
        Draft::new(tenant.clone(), kind, version, about, &sealed).map_err(SealError::Draft)
    }

    /// Opens a value that was read from the member `path` (a JSON Pointer, RFC 6901)
    /// of an entry of `kind`, or that a fold has copied from there.
    ///
    /// # Errors
    ///
    /// When it was changed or sealed for another place, and when its key cannot be had.
    pub async fn open<T: DeserializeOwned>(
        &self,
        tenant: &TenantId,
        kind: &Kind,
        path: &str,
        value: &Personal<T>,
    ) -> Result<Opened<T>, OpenError> {
        let at = format!("{kind}{path}");
        let Some(sealed) = value.sealed() else {
            return Err(OpenError::Shape { at });
        };
        match self.open_text(tenant, &at, sealed).await? {
            Opened::Erased => Ok(Opened::Erased),
            Opened::Clear(text) => match serde_json::from_slice(&text) {
                Ok(value) => Ok(Opened::Clear(value)),
                // The message of the parser would quote the value.
                Err(_) => Err(OpenError::Shape { at }),
            },
        }
    }

    pub(crate) async fn open_text(
        &self,
        tenant: &TenantId,
        at: &str,
        sealed: &Sealed,
    ) -> Result<Opened<Vec<u8>>, OpenError> {
        let moved = || OpenError::Moved {
            sealed_for: sealed.at.clone(),
            found_at: at.to_owned(),
        };
        if sealed.at != at {
            return Err(moved());
        }
        let Some(held) = self.find_by_id(tenant, sealed).await? else {
            return Ok(Opened::Erased);
        };
        let place = personal::context(tenant, (&sealed.subject, sealed.purpose), at);
        let text = held.key.open(&place, sealed.data.clone());
        text.map(Opened::Clear).map_err(|_| moved())
    }

    /// Returns the key of `sealed`, or nothing if it has been destroyed.
    async fn find_by_id(
        &self,
        tenant: &TenantId,
        sealed: &Sealed,
    ) -> Result<Option<Held>, OpenError> {
        let place = (tenant.clone(), sealed.key.clone());
        let now = self.clock.monotonic();
        let era = {
            let mut cache = self.cache();
            if let Some(held) = cache.by_id(&place, now) {
                return Ok(Some(held));
            }
            cache.era
        };
        let failed = |error| OpenError::Key(KeyError::Store(error));
        let found = self.store.look_up(place.0, place.1).await.map_err(failed)?;
        let Some(record) = found else {
            let key = sealed.key.clone();
            return Err(OpenError::Missing { key });
        };
        let Some(wrapped) = record.wrapped else {
            return Ok(None);
        };
        let slot = Slot {
            tenant: tenant.clone(),
            subject: record.subject,
            purpose: record.purpose,
            scope: record.scope,
        };
        let kept = Kept {
            id: sealed.key.clone(),
            wrapped,
        };
        let held = self.unwrap(slot, kept, era).await;
        held.map(Some).map_err(OpenError::Key)
    }

    /// Returns the live key of `slot`, and makes one if there is none.
    async fn key_for(&self, slot: &Slot) -> Result<Held, KeyError> {
        let era = {
            let mut cache = self.cache();
            if let Some(held) = cache.by_slot(slot, self.clock.monotonic()) {
                return Ok(held);
            }
            cache.era
        };
        let found = self.store.find(slot.clone()).await;
        let kept = match found.map_err(KeyError::Store)? {
            Some(kept) => kept,
            None => {
                let id = KeyId::generate();
                let context = wrap_context(slot, &id);
                let wrapped = self.vault.wrap(&DataKey::generate(), &context).await;
                let wrapped = wrapped.map_err(KeyError::Vault)?;
                let fresh = Kept { id, wrapped };
                let kept = self.store.keep(slot.clone(), fresh).await;
                let kept = kept.map_err(KeyError::Store)?;
                failpoint::reach(Point::KeyKept);
                kept
            }
        };
        self.unwrap(slot.clone(), kept, era).await
    }

    async fn unwrap(&self, slot: Slot, kept: Kept, era: u64) -> Result<Held, KeyError> {
        let context = wrap_context(&slot, &kept.id);
        let key = self.vault.unwrap(&kept.wrapped, &context).await;
        let held = Held {
            id: kept.id,
            key: Arc::new(key.map_err(KeyError::Vault)?),
        };
        let until = self.clock.monotonic() + CACHE_TTL;
        self.cache().insert(slot, held.clone(), until, era);
        Ok(held)
    }

    pub(crate) async fn live(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
    ) -> Result<BTreeSet<Purpose>, KeyStoreError> {
        self.store.live(tenant.clone(), subject.clone()).await
    }

    /// Destroys the keys of `subject` for `purposes`; see [`KeyStore::destroy`].
    pub(crate) async fn destroy(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
        purposes: &BTreeSet<Purpose>,
    ) -> Result<Vec<Grave>, KeyStoreError> {
        let destroyed = self
            .store
            .destroy(tenant.clone(), subject.clone(), purposes.clone())
            .await;
        self.cache().forget(tenant, |slot| slot.subject == *subject);
        destroyed
    }

    /// Destroys single keys of `subject`; see [`KeyStore::bury`].
    pub(crate) async fn bury(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
        graves: Vec<Grave>,
    ) -> Result<(), KeyStoreError> {
        let buried = self
            .store
            .bury(tenant.clone(), subject.clone(), graves)
            .await;
        self.cache().forget(tenant, |slot| slot.subject == *subject);
        buried
    }

    /// Puts the values about `subject` into `value` in place of what is stored of them.
    /// `kind` is that of the entry; a document's values name theirs.
    pub(crate) async fn reveal(
        &self,
        tenant: &TenantId,
        kind: Option<&Kind>,
        subject: &SubjectId,
        value: &mut Value,
    ) -> Result<(), KeyError> {
        let mut found = Vec::new();
        let root = kind.map_or_else(String::new, |kind| kind.as_str().to_owned());
        personal::visit(value, &root, &mut |value, at| {
            let sealed = Sealed::recognize(value)?;
            let at = if kind.is_some() { at } else { &sealed.at };
            found.push((at.to_owned(), sealed));
            // Keeps the visit out of its members.
            Some(value.clone())
        });
        let mut opened = Vec::with_capacity(found.len());
        for (at, sealed) in found {
            opened.push(if sealed.subject == *subject {
                Some(self.shown(tenant, &at, &sealed).await?)
            } else {
                None
            });
        }
        let mut opened = opened.into_iter();
        personal::visit(value, "", &mut |value, _| {
            Sealed::recognize(value)?;
            Some(opened.next().flatten().unwrap_or_else(|| value.clone()))
        });
        Ok(())
    }

    async fn shown(&self, tenant: &TenantId, at: &str, sealed: &Sealed) -> Result<Value, KeyError> {
        let purpose = sealed.purpose.as_str();
        Ok(match self.open_text(tenant, at, sealed).await {
            Ok(Opened::Clear(text)) => serde_json::from_slice(&text)
                .unwrap_or_else(|_| serde_json::json!({ "damaged": true, "purpose": purpose })),
            Ok(Opened::Erased) => serde_json::json!({ "erased": true, "purpose": purpose }),
            Err(OpenError::Key(error)) => return Err(error),
            Err(OpenError::Moved { .. } | OpenError::Shape { .. }) => {
                serde_json::json!({ "damaged": true, "purpose": purpose })
            }
            Err(OpenError::Missing { .. }) => {
                serde_json::json!({ "key_missing": true, "purpose": purpose })
            }
        })
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

fn slot(tenant: &TenantId, owner: &Owner) -> Slot {
    Slot {
        tenant: tenant.clone(),
        subject: owner.subject.clone(),
        purpose: owner.purpose,
        scope: owner.scope.clone(),
    }
}

/// Returns what is authenticated with a wrapped key.
fn wrap_context(slot: &Slot, id: &KeyId) -> Vec<u8> {
    let fields = [
        slot.tenant.as_str(),
        slot.subject.as_str(),
        slot.purpose.as_str(),
        &slot.scope,
        id.as_str(),
    ];
    personal::framed("airside.ledger.subject-key", &fields)
}

/// An unwrapped key.
#[derive(Clone)]
struct Held {
    id: KeyId,
    key: Arc<DataKey>,
}

/// Unwrapped keys, for a short time.
#[derive(Default)]
struct Cache {
    keys: HashMap<(TenantId, KeyId), Cached>,
    live: HashMap<Slot, KeyId>,
    /// Grows with every destruction, so that a key that was looked up before one is
    /// not put in after it.
    era: u64,
}

struct Cached {
    slot: Slot,
    key: Arc<DataKey>,
    until: Duration,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl Cache {
    fn by_id(&mut self, place: &(TenantId, KeyId), now: Duration) -> Option<Held> {
        let cached = self.keys.get(place)?;
        if cached.until <= now {
            self.remove(&place.clone());
            return None;
        }
        Some(Held {
            id: place.1.clone(),
            key: cached.key.clone(),
        })
    }

    fn by_slot(&mut self, slot: &Slot, now: Duration) -> Option<Held> {
        let id = self.live.get(slot)?.clone();
        self.by_id(&(slot.tenant.clone(), id), now)
    }

    fn insert(&mut self, slot: Slot, held: Held, until: Duration, era: u64) {
        if self.era != era {
            return;
        }
        let place = (slot.tenant.clone(), held.id.clone());
        if self.keys.len() >= CACHED && !self.keys.contains_key(&place) {
            let oldest = self.keys.iter().min_by_key(|(_, cached)| cached.until);
            if let Some(oldest) = oldest.map(|(place, _)| place.clone()) {
                self.remove(&oldest);
            }
        }
        self.live.insert(slot.clone(), held.id);
        let key = held.key;
        self.keys.insert(place, Cached { slot, key, until });
    }

    fn remove(&mut self, place: &(TenantId, KeyId)) {
        if let Some(cached) = self.keys.remove(place) {
            self.live.remove(&cached.slot);
        }
    }

    fn forget(&mut self, tenant: &TenantId, which: impl Fn(&Slot) -> bool) {
        self.era += 1;
        let gone = |slot: &Slot| slot.tenant == *tenant && which(slot);
        self.keys.retain(|_, cached| !gone(&cached.slot));
        self.live.retain(|slot, _| !gone(slot));
    }

    fn clear(&mut self) {
        self.era += 1;
        self.keys.clear();
        self.live.clear();
    }
}
