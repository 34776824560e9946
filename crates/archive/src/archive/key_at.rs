//! Where the key is that wraps other keys.

use std::{path::PathBuf, sync::Arc};

use airside_base::SystemClock;
use airside_ledger::vault::{Vault, file::FileVault};

use super::{Error, Kms, KmsKey};

/// Where a key is.
#[derive(Debug, Clone)]
pub enum KeyAt {
    /// In a file of this machine.
    File(PathBuf),
    /// In a key management service.
    Kms(KmsKey),
}

impl KeyAt {
    /// Returns the key of a service, if one is named, else that in `file`.
    #[must_use]
    pub fn new(kms: Option<KmsKey>, file: PathBuf) -> Self {
        kms.map_or(Self::File(file), Self::Kms)
    }

    /// Opens the vault. A key file that is missing is made with `fresh` alone: another
    /// key could not open what is there.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or made, or the service cannot be reached so.
    pub fn open(&self, fresh: bool) -> Result<Arc<dyn Vault>, Error> {
        match self {
            Self::File(file) => {
                let vault = match fresh {
                    true => FileVault::load_or_create(file),
                    false => FileVault::load(file),
                };
                Ok(Arc::new(vault.map_err(Error::Vault)?))
            }
            Self::Kms(key) => {
                let vault = Kms::new(key, Arc::new(SystemClock::new()));
                Ok(Arc::new(vault.map_err(Error::Access)?))
            }
        }
    }
}
