//! Where the keys of persons are kept.
//!
//! # Invariants
//!
//! * A vault key is made only for a key store that no vault wraps yet: another one
//!   could not open what is there.
//! * The keys of a shared ledger are in a shared database, by default the ledger's own,
//!   in a schema apart; the keys of a ledger in files are in a file beside it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use airside_archive::{KeyAt, KmsKey};
use airside_base::{Fault, SystemClock};
use airside_config::Config;
use airside_ledger::{
    keys::{
        KeyStore, Keys,
        postgres::{OpenError, PostgresKeys},
        sqlite::{FILE, SqliteKeys},
    },
    vault::Vault,
};

use crate::{
    cli,
    failure::{Exit, Failure},
    ledger::source::{database, unreadable},
    target,
};

/// File of the key that wraps the keys of persons, unless another is named.
const VAULT_KEY: &str = "vault.key";

/// Where wrapped keys are kept, and what wraps them.
type Opened = (Arc<dyn KeyStore>, Arc<dyn Vault>);

/// Where the keys of one ledger are.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    folder: PathBuf,
    /// File with the URL of their database, if they are in one.
    database: Option<PathBuf>,
    vault: KeyAt,
}

impl Place {
    /// Returns the place that `config` names.
    pub(crate) fn of(config: &Config) -> Self {
        Self::new(
            &config.data_dir,
            config
                .keys
                .url_file
                .as_ref()
                .or(config.ledger.url_file.as_ref()),
            config.keys.vault_file.as_ref(),
            config.keys.kms.as_ref().map(Into::into),
        )
    }

    /// Returns the place that a command names.
    pub(crate) fn named(args: &cli::DeskArgs) -> Self {
        let kms = args.vault_kms.as_ref().map(|key| KmsKey {
            arn: key.clone(),
            endpoint: args.vault_kms_endpoint.clone(),
            credentials: args.vault_credentials.clone(),
        });
        Self::new(
            &args.ledger.data_dir,
            args.keys_url_file
                .as_ref()
                .or(args.ledger.url_file.as_ref()),
            args.vault_file.as_ref(),
            kms,
        )
    }

    fn new(
        folder: &Path,
        database: Option<&PathBuf>,
        vault: Option<&PathBuf>,
        kms: Option<KmsKey>,
    ) -> Self {
        let file = vault.map_or_else(|| folder.join(VAULT_KEY), Clone::clone);
        Self {
            folder: folder.to_owned(),
            database: database.cloned(),
            vault: KeyAt::new(kms, file),
        }
    }

    /// Opens the keys, and makes them if there are none.
    pub(crate) async fn open(&self) -> Result<Arc<Keys>, Failure> {
        let (store, vault) = match &self.database {
            Some(url_file) => self.in_database(url_file).await?,
            None => self.in_folder()?,
        };
        let clock = Arc::new(SystemClock::new());
        Ok(Arc::new(Keys::new(store, vault, clock)))
    }

    fn in_folder(&self) -> Result<Opened, Failure> {
        let file = self.folder.join(FILE);
        let vault = self.vault(file.exists())?;
        let store = SqliteKeys::open(&file).map_err(|error| told(&error.fault()))?;
        Ok((Arc::new(store), vault))
    }

    async fn in_database(&self, url_file: &Path) -> Result<Opened, Failure> {
        let url = target::read_url(url_file)?;
        let refused = |error: OpenError| database(url_file, &error.fault());
        let store = PostgresKeys::open(&url).await.map_err(refused)?;
        let bound = store.vault().await.map_err(|error| told(&error.fault()))?;
        let vault = self.vault(bound.is_some())?;
        let name = vault.id().await.map_err(|error| told(&error.fault()))?;
        store.bind(&name).await.map_err(refused)?;
        Ok((Arc::new(store), vault))
    }

    fn vault(&self, in_use: bool) -> Result<Arc<dyn Vault>, Failure> {
        let vault = self.vault.open(!in_use);
        vault.map_err(|error| told(&error.fault()))
    }
}

fn told(fault: &Fault) -> Failure {
    unreadable(Exit::Failed, fault)
}
