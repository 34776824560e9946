//! Where the key is that wraps other keys.

use std::{path::PathBuf, sync::Arc};

use airside_archive::{Error, Kms, KmsKey};
use airside_base::SystemClock;
use airside_ledger::vault::{Vault, file::FileVault};
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

/// A key in AWS KMS, or in a service that speaks its protocol. It never leaves the
/// service: the node asks it to wrap a key, and to unwrap it after a start.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct KmsPlace {
    /// ARN of a symmetric key, `arn:aws:kms:REGION:ACCOUNT:key/ID`, or of an alias of one.
    /// The node needs `kms:DescribeKey`, `kms:Encrypt` and `kms:Decrypt` of it.
    pub(crate) key: String,
    /// Where the service is, if it is not Amazon's. Must use `https` unless the host is
    /// this machine.
    #[serde(default)]
    pub(crate) endpoint: Option<Url>,
    /// File with credentials, as `credentials-file` in `[archive]`. Without it the usual
    /// variables of the environment or the role of the machine are used.
    #[serde(default)]
    pub(crate) credentials_file: Option<PathBuf>,
}

/// Where a key is.
#[derive(Debug, Clone)]
pub(crate) enum KeyAt {
    /// In a file of this machine.
    File(PathBuf),
    /// In a key management service.
    Kms(KmsKey),
}

impl KeyAt {
    /// Returns the key of a service, if one is named, else that in `file`.
    pub(crate) fn new(kms: Option<&KmsPlace>, file: PathBuf) -> Self {
        match kms {
            Some(kms) => Self::Kms(KmsKey {
                arn: kms.key.clone(),
                endpoint: kms.endpoint.clone(),
                credentials: kms.credentials_file.clone(),
            }),
            None => Self::File(file),
        }
    }

    /// Opens the vault. A key file that is missing is made with `fresh` alone: another
    /// key could not open what is there.
    pub(crate) fn open(&self, fresh: bool) -> Result<Arc<dyn Vault>, Error> {
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
