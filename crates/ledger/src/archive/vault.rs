//! The port to whatever guards the keys of the archive.
//!
//! # Invariants
//!
//! * What [`Vault::wrap`] returns can be stored in the open.
//! * [`Vault::unwrap`] answers only for what the same vault has wrapped in the same
//!   context; anything else is an error, never another key.

use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use airside_base::{BoxFuture, Fault, Kind, Redacted};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    rand,
};

use crate::{encoding::sha256, seal::write_secret};

/// A key of 256 bits.
pub type Key = Redacted<[u8; 32]>;

/// Why a vault did not answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VaultError {
    /// The key file cannot be read or made.
    #[error("cannot use the key file `{}`", .file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system says.
        source: Arc<io::Error>,
    },
    /// The key file holds something else.
    #[error("`{}` does not hold a key of 32 bytes", .file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
    },
    /// What is to be unwrapped was not wrapped here, or for something else.
    #[error("the wrapped key is not one of this vault and context")]
    Foreign,
}

impl VaultError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::File { .. } => Fault::new(Kind::Unavailable, "LED-054", self.to_string()),
            Self::Malformed { .. } => Fault::new(Kind::Invalid, "LED-054", self.to_string()),
            Self::Foreign => Fault::new(Kind::Forbidden, "LED-053", self.to_string()),
        }
        .with_private(self)
    }
}

/// Wraps keys with a key that it does not show.
pub trait Vault: Send + Sync + fmt::Debug {
    /// Returns the name of the wrapping key; it is stored beside what it wrapped.
    fn id(&self) -> &str;

    /// Wraps `key` for use in `context`.
    fn wrap<'a>(
        &'a self,
        key: &'a Key,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>>;

    /// Returns the key that was wrapped for `context`.
    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Key, VaultError>>;
}

/// Returns a fresh key.
pub(super) fn fresh_key() -> Key {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("the system random source answers");
    Redacted::new(bytes)
}

/// A [`Vault`] whose wrapping key is in a file of this machine (AES-256-GCM).
#[derive(Debug)]
pub struct FileVault {
    id: String,
    key: RandomizedNonceKey,
}

impl FileVault {
    /// Returns the vault with the key in `file`.
    ///
    /// # Errors
    ///
    /// When the file is missing, cannot be read or holds no key.
    pub fn load(file: &Path) -> Result<Self, VaultError> {
        let at_file = |source| VaultError::File {
            file: file.to_owned(),
            source: Arc::new(source),
        };
        let secret = Redacted::new(fs::read(file).map_err(at_file)?);
        let malformed = || VaultError::Malformed {
            file: file.to_owned(),
        };
        let bytes: [u8; 32] = secret.expose()[..].try_into().map_err(|_| malformed())?;
        let mut named = b"airside.vault.file".to_vec();
        named.extend_from_slice(&bytes);
        let name = sha256(&named).to_string();
        Ok(Self {
            id: format!("file:{}", &name[..16]),
            key: RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| malformed())?,
        })
    }

    /// Returns the vault with the key in `file`, made now if the file is missing.
    /// Without this file the archive cannot be read: keep a copy elsewhere.
    ///
    /// # Errors
    ///
    /// As [`FileVault::load`], or when the file cannot be written.
    pub fn load_or_create(file: &Path) -> Result<Self, VaultError> {
        if !file.try_exists().unwrap_or(true) {
            write_secret(file, fresh_key().expose()).map_err(|source| VaultError::File {
                file: file.to_owned(),
                source: Arc::new(source),
            })?;
        }
        Self::load(file)
    }

    fn open(&self, wrapped: &[u8], context: &[u8]) -> Option<Key> {
        let (nonce, sealed) = wrapped.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(context), &mut sealed);
        Some(Redacted::new(<[u8; 32]>::try_from(&*opened.ok()?).ok()?))
    }
}

impl Vault for FileVault {
    fn id(&self) -> &str {
        &self.id
    }

    fn wrap<'a>(
        &'a self,
        key: &'a Key,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>> {
        let mut sealed = key.expose().to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(context), &mut sealed)
            .expect("a key of 32 bytes can be sealed");
        let mut wrapped = nonce.as_ref().to_vec();
        wrapped.append(&mut sealed);
        Box::pin(std::future::ready(Ok(wrapped)))
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Key, VaultError>> {
        let key = self.open(wrapped, context).ok_or(VaultError::Foreign);
        Box::pin(std::future::ready(key))
    }
}

/// What a [`MemoryVault`] keeps for each of its tickets.
type Kept = HashMap<Vec<u8>, (Vec<u8>, Key)>;

/// A [`Vault`] for tests. It keeps the keys and hands out tickets for them.
#[derive(Debug, Default)]
pub struct MemoryVault {
    keys: Mutex<Kept>,
}

impl Vault for MemoryVault {
    fn id(&self) -> &str {
        "memory"
    }

    fn wrap<'a>(
        &'a self,
        key: &'a Key,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Vec<u8>, VaultError>> {
        let ticket = fresh_key().expose().to_vec();
        let mut keys = self.keys.lock().expect("no panic while it is held");
        keys.insert(ticket.clone(), (context.to_vec(), key.clone()));
        Box::pin(std::future::ready(Ok(ticket)))
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a [u8],
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Key, VaultError>> {
        let keys = self.keys.lock().expect("no panic while it is held");
        let found = keys.get(wrapped).filter(|(of, _)| of == context);
        let key = found.map(|(_, key)| key.clone());
        Box::pin(std::future::ready(key.ok_or(VaultError::Foreign)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every [`Vault`] must do.
    async fn check(vault: &dyn Vault, other: &dyn Vault) {
        let key = fresh_key();
        let wrapped = vault.wrap(&key, b"one").await.unwrap();
        assert_eq!(vault.unwrap(&wrapped, b"one").await.unwrap(), key);
        assert_ne!(vault.wrap(&key, b"one").await.unwrap(), wrapped);
        assert!(vault.unwrap(&wrapped, b"two").await.is_err());
        assert!(other.unwrap(&wrapped, b"one").await.is_err());
        assert!(vault.unwrap(&wrapped[1..], b"one").await.is_err());
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(vault.unwrap(&changed, b"one").await.is_err());
        }
    }

    #[tokio::test]
    async fn vaults_keep_the_contract() {
        check(&MemoryVault::default(), &MemoryVault::default()).await;
        let folder = tempfile::tempdir().unwrap();
        let vault = |name| FileVault::load_or_create(&folder.path().join(name)).unwrap();
        check(&vault("one"), &vault("two")).await;
        assert_eq!(vault("one").id(), vault("one").id());
        assert_ne!(vault("one").id(), vault("two").id());
    }

    #[test]
    fn key_is_never_made_where_one_was_expected() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        assert!(matches!(
            FileVault::load(&file),
            Err(VaultError::File { .. })
        ));
        assert!(!file.exists());
        fs::write(&file, b"short").unwrap();
        let refused = FileVault::load_or_create(&file);
        assert!(matches!(refused, Err(VaultError::Malformed { .. })));
    }
}
