//! A vault for tests: its key is lost with the process.

use super::{DataKey, Held, Local, VaultError};

/// A [`Vault`](super::Vault) in memory.
#[derive(Debug)]
pub struct MemoryVault {
    key: Held,
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
        let key = Held::new(DataKey::generate());
        Self { key }
    }
}

impl Local for MemoryVault {
    fn held(&self) -> &Held {
        &self.key
    }

    fn erase(&self) -> Result<(), VaultError> {
        Ok(())
    }
}
