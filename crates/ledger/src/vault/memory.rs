//! A vault for tests: its key is lost with the process.

use std::{
    future::ready,
    sync::{Mutex, MutexGuard},
};

use airside_base::BoxFuture;

use super::{DataKey, Vault, VaultError, Wrapped, unwrap_here, wrap_here};

/// A [`Vault`] in memory.
#[derive(Debug)]
pub struct MemoryVault {
    key: Mutex<Option<DataKey>>,
}

impl Default for MemoryVault {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryVault {
    /// Returns a vault with a fresh key.
    #[must_use]
    pub fn new() -> Self {
        Self {
            key: Mutex::new(Some(DataKey::generate())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<DataKey>> {
        self.key
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

impl Vault for MemoryVault {
    fn id(&self) -> BoxFuture<'_, Result<String, VaultError>> {
        Box::pin(ready(self.with(|present| Ok(present.fingerprint()))))
    }

    fn wrap<'a>(
        &'a self,
        key: &'a DataKey,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<Wrapped, VaultError>> {
        let wrapped = self.with(|present| Ok(wrap_here(present, key, context)));
        Box::pin(ready(wrapped))
    }

    fn unwrap<'a>(
        &'a self,
        wrapped: &'a Wrapped,
        context: &'a [u8],
    ) -> BoxFuture<'a, Result<DataKey, VaultError>> {
        let key = self.with(|present| unwrap_here(present, wrapped, context));
        Box::pin(ready(key))
    }

    fn destroy(&self) -> BoxFuture<'_, Result<(), VaultError>> {
        self.lock().take();
        Box::pin(ready(Ok(())))
    }
}
