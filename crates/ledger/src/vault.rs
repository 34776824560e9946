//! Data keys, and the port to what keeps the keys that wrap them.
//!
//! # Invariants
//!
//! * A [`DataKey`] has no printable form, is never stored unwrapped, and its bytes
//!   are overwritten when it is dropped.
//! * What is wrapped names the key that wrapped it, so that the wrong vault is told
//!   from damaged bytes.
//! * The context of wrapping is authenticated: a wrapped key cannot be used in
//!   another place than its own.
//!
//! [`contract`] is the port's promise as code; each implementation runs it.

use std::{
    fmt,
    future::ready,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
};

use airside_base::{BoxFuture, Fault, Kind, WithCauses};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest::{SHA256, digest},
    hmac, rand,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub mod contract;
pub mod file;
pub mod memory;
#[cfg(test)]
mod tests;

/// Length of a data key, in bytes.
pub const KEY_BYTES: usize = 32;

/// A key of AES-256-GCM for data.
pub struct DataKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    cipher: RandomizedNonceKey,
}

/// Something sealed was changed, or belongs to another place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sealed bytes were changed or belong to another place")]
pub struct Tampered;

impl DataKey {
    /// Returns a fresh key.
    #[must_use]
    pub fn generate() -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(&mut *bytes).expect("the system random source answers");
        Self::from_bytes(bytes)
    }

    /// Returns the key with these bytes. For vaults, which get them unwrapped.
    #[must_use]
    pub fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &*bytes).expect("the key has 32 bytes");
        Self { bytes, cipher }
    }

    /// Returns a name of the key that tells nothing of it: 16 hexadecimal digits.
    pub(crate) fn fingerprint(&self) -> String {
        let mut text = Zeroizing::new(b"airside.vault.key\n".to_vec());
        text.extend_from_slice(&*self.bytes);
        let hash = digest(&SHA256, &text);
        hash.as_ref()[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Returns the raw key. For vaults, which wrap it.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    /// Returns the key as one for authentication codes (HMAC-SHA256), of data that it
    /// does not seal.
    #[must_use]
    pub fn for_codes(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &*self.bytes)
    }

    /// Seals `plain`: a random nonce of 12 bytes, the ciphertext, a tag of 16 bytes.
    /// `place` is authenticated and not contained. With random nonces one key is good
    /// for 2^32 messages (NIST SP 800-38D, section 8.3).
    ///
    /// # Panics
    ///
    /// When `plain` is longer than the cipher's 64 GiB.
    #[must_use]
    pub fn seal(&self, place: &[u8], mut plain: Vec<u8>) -> Vec<u8> {
        let nonce = self
            .cipher
            .seal_in_place_append_tag(Aad::from(place), &mut plain)
            .expect("the text is shorter than 64 GiB");
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len());
        sealed.extend_from_slice(nonce.as_ref());
        sealed.append(&mut plain);
        sealed
    }

    /// Does what [`DataKey::seal`] does within `object`: what stands behind byte `from`
    /// becomes the nonce, the ciphertext and the tag; what stands in front of it is
    /// authenticated. Nothing is copied.
    ///
    /// # Panics
    ///
    /// As [`DataKey::seal`], or when fewer than the 12 bytes of the nonce have been left
    /// free behind `from`.
    pub fn seal_behind(&self, object: &mut Vec<u8>, from: usize) {
        let (place, rest) = object.split_at_mut(from);
        let (room, text) = rest.split_at_mut(NONCE_LEN);
        let (nonce, tag) = self
            .cipher
            .seal_in_place_separate_tag(Aad::from(&*place), text)
            .expect("the text is shorter than 64 GiB");
        room.copy_from_slice(nonce.as_ref());
        object.extend_from_slice(tag.as_ref());
    }

    /// Opens what [`DataKey::seal`] returned for the same `place`.
    ///
    /// # Errors
    ///
    /// When another key or place was used, or a byte was changed.
    pub fn open(&self, place: &[u8], mut sealed: Vec<u8>) -> Result<Vec<u8>, Tampered> {
        let (nonce, text) = sealed.split_at_mut_checked(NONCE_LEN).ok_or(Tampered)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Tampered)?;
        let plain = self.cipher.open_in_place(nonce, Aad::from(place), text);
        let length = plain.map_err(|_| Tampered)?.len();
        sealed.copy_within(NONCE_LEN..NONCE_LEN + length, 0);
        sealed.truncate(length);
        Ok(sealed)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey([redacted])")
    }
}

/// A data key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wrapped {
    /// The key that wrapped it.
    pub vault: String,
    /// The wrapped bytes; their form is the vault's own.
    #[serde(with = "base64_text")]
    pub key: Vec<u8>,
}

mod base64_text {
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        BASE64_STANDARD
            .decode(&*text)
            .map_err(|_| D::Error::custom("not base64"))
    }
}

/// Why a vault did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VaultError {
    /// The data key was wrapped by another key than the present one.
    #[error("the data key was wrapped by vault key `{wrapped_by}`, the present one is `{present}`")]
    OtherKey {
        /// The key that is needed.
        wrapped_by: String,
        /// The key that is here.
        present: String,
    },
    /// The wrapped key was changed, or belongs to another place.
    #[error("a wrapped data key is damaged or belongs to another place")]
    Tampered(#[source] Tampered),
    /// The key of the vault has been destroyed.
    #[error("the key of the vault has been destroyed")]
    Destroyed,
    /// The service that keeps the key does not answer.
    #[error("the service of the vault key `{key}` cannot be reached: {why}")]
    Unreachable {
        /// The key.
        key: String,
        /// What was seen.
        why: String,
    },
    /// The service that keeps the key refuses.
    #[error("the vault key `{key}` cannot be used: {why}")]
    Refused {
        /// The key.
        key: String,
        /// What the service says.
        why: String,
    },
    /// The service knows no such key.
    #[error("there is no vault key `{key}`")]
    Absent {
        /// The key.
        key: String,
    },
    /// The file does not hold the key of a vault.
    #[error("`{}` does not hold the key of a vault", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// Others than its owner may read the file.
    #[error("the key file `{}` can be read by others than its owner", .file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be read or written.
    #[error("cannot {doing} the key file `{}`", .file.display())]
    File {
        /// What was attempted.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
}

fn unusable() -> Fault {
    let what = "the key file of the vault cannot be used";
    Fault::new(Kind::Unavailable, "LED-083", what)
}

impl VaultError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::OtherKey { .. } => Fault::new(
                Kind::Unavailable,
                "LED-080",
                "the data is locked with another key than the vault has",
            )
            .with_hint("configure the vault key that was in use when the data was written"),
            Self::Tampered(_) => {
                Fault::new(Kind::Internal, "LED-081", "a wrapped data key is damaged")
            }
            Self::Destroyed => Fault::new(
                Kind::Unavailable,
                "LED-082",
                "the key of the vault has been destroyed",
            ),
            Self::Unreachable { .. } => Fault::new(
                Kind::Unavailable,
                "LED-160",
                "the service that keeps the key of the vault cannot be reached",
            ),
            Self::Refused { .. } => Fault::new(
                Kind::Unavailable,
                "LED-161",
                "the service that keeps the key of the vault refuses",
            )
            .with_hint("the log has its words; look at the policy of the key and the credentials"),
            Self::Absent { .. } => Fault::new(
                Kind::Unavailable,
                "LED-162",
                "the service of the vault knows no such key",
            ),
            Self::Foreign { .. } => unusable().with_hint(
                "name the key file that was in use when the data was written, or a copy",
            ),
            Self::Exposed { file } => unusable().with_hint(format!(
                "see who has read it, then: chmod 600 {}",
                file.display()
            )),
            Self::File { .. } => {
                unusable().with_hint("name the key file, or bring it back from a copy")
            }
        }
        .with_private(WithCauses(self))
    }
}

/// Keeps one key that wraps data keys and never leaves it.
pub trait Vault: Send + Sync + fmt::Debug {
    /// Returns the name of its key, which is kept with everything it wraps.
    fn id(&self) -> BoxFuture<'_, Result<String, VaultError>>;

    /// Wraps `key` for the place that `context` names.
    fn wrap<'a>(
        &'a self,
        key: &'a DataKey,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Wrapped, VaultError>>;

    /// Returns the key that was wrapped for the same `context`.
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<DataKey, VaultError>>;

    /// Destroys its key for good, and with it everything that it wrapped. May be
    /// repeated.
    fn destroy(&self) -> BoxFuture<'_, Result<(), VaultError>>;
}

/// A vault whose key is in this process. It is a [`Vault`] by that alone.
pub(crate) trait Local: Send + Sync + fmt::Debug {
    /// Returns the key.
    fn held(&self) -> &Held;

    /// Destroys every copy of the key outside of this process.
    fn erase(&self) -> Result<(), VaultError>;
}

/// The key of a [`Local`] vault, until it is destroyed.
#[derive(Debug)]
pub(crate) struct Held(Mutex<Option<DataKey>>);

impl Held {
    pub(crate) fn new(key: DataKey) -> Self {
        Self(Mutex::new(Some(key)))
    }

    fn lock(&self) -> MutexGuard<'_, Option<DataKey>> {
        self.0
            .lock()
            .expect("no panic happens while the lock is held")
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&DataKey) -> Result<T, VaultError>,
    ) -> Result<T, VaultError> {
        work(self.lock().as_ref().ok_or(VaultError::Destroyed)?)
    }
}

impl<V: Local> Vault for V {
    fn id(&self) -> BoxFuture<'_, Result<String, VaultError>> {
        let name = self.held().with(|present| Ok(present.fingerprint()));
        Box::pin(ready(name))
    }

    fn wrap<'a>(
        &'a self,
        key: &'a DataKey,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Wrapped, VaultError>> {
        let wrapped = self.held().with(|present| {
            Ok(Wrapped {
                vault: present.fingerprint(),
                key: present.seal(context, key.expose().to_vec()),
            })
        });
        Box::pin(ready(wrapped))
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<DataKey, VaultError>> {
        let key = self
            .held()
            .with(|present| unwrap(present, wrapped, context));
        Box::pin(ready(key))
    }

    fn destroy(&self) -> BoxFuture<'_, Result<(), VaultError>> {
        self.held().lock().take();
        Box::pin(ready(self.erase()))
    }
}

fn unwrap(present: &DataKey, wrapped: &Wrapped, context: &[u8]) -> Result<DataKey, VaultError> {
    let name = present.fingerprint();
    if wrapped.vault != name {
        return Err(VaultError::OtherKey {
            wrapped_by: wrapped.vault.clone(),
            present: name,
        });
    }
    let bytes = present.open(context, wrapped.key.clone());
    let bytes = Zeroizing::new(bytes.map_err(VaultError::Tampered)?);
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    if bytes.len() != key.len() {
        return Err(VaultError::Tampered(Tampered));
    }
    key.copy_from_slice(&bytes);
    Ok(DataKey::from_bytes(key))
}
