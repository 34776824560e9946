//! The store for several nodes: PostgreSQL 15 and later, and engines that speak
//! its protocol.
//!
//! # Invariants
//!
//! * Sequence numbers are assigned by moving the head of the chain within the
//!   transaction that inserts the entries: their order is the order of commits,
//!   and of two nodes that continue the same head one is refused.
//! * The role that Airside runs as can insert entries and read them, and nothing
//!   else: [`Postgres::open`] refuses a role that could change them.
//! * `synchronous_commit` is on for every commit.
//! * Whoever waits for commits is woken by a notification, or by a look at the
//!   heads every [`POLL`] if notifications do not arrive.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use airside_base::{BoxFuture, Clock, Fault, Kind, Redacted, Supervisor, TenantId, WithCauses};
use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::watch;
use tokio_postgres::{Config, error::SqlState};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{
    entry::{Entry, Hash},
    store::{Cause, Claim, Claimed, Commit, Fence, Query, Row, Scan, Store, StoreError, Tile, Tip},
};

mod listen;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;

/// Connections of one node beside that of commits: the leases and some readers.
const CONNECTIONS: usize = 7;
/// Longest wait for a connection of the pool, and for a new one.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How often the heads are looked at where no notification arrives.
pub const POLL: Duration = Duration::from_secs(1);
/// How often a commit is tried again that the server gave up in favour of
/// another; nothing of it was written.
const ATTEMPTS: usize = 5;

/// Why a database cannot be opened as a ledger.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL cannot be read. It is not repeated here: it may hold a password.
    #[error("the URL of the database cannot be read")]
    Url(#[source] tokio_postgres::Error),
    /// The database cannot be reached, or refuses.
    #[error("cannot connect to the database")]
    Connect(#[source] Cause),
    /// The database holds no ledger.
    #[error("the database holds no ledger, or one that the role may not use")]
    Absent,
    /// The tables were made by another version.
    #[error("the ledger in the database has version {found}, this Airside knows {known}")]
    Version {
        /// Its version.
        found: i32,
        /// The one known here.
        known: i32,
    },
    /// The role could change entries.
    #[error("role `{role}` can change or delete entries")]
    Privileged {
        /// The role.
        role: String,
    },
    /// The tables cannot be made.
    #[error("cannot {doing}")]
    Failed {
        /// What was attempted.
        doing: &'static str,
        /// What the server says.
        source: Cause,
    },
}

impl OpenError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Url(_) => Fault::new(
                Kind::Invalid,
                "LED-030",
                "the URL of the database cannot be read",
            )
            .with_hint("write postgres://user:password@host/database"),
            Self::Connect(_) | Self::Failed { .. } => {
                return Fault::new(Kind::Unavailable, "LED-031", "the database cannot be used")
                    .with_hint("try the URL with `psql`, and look into the log of the server")
                    .with_private(WithCauses(self));
            }
            Self::Absent => Fault::new(
                Kind::NotFound,
                "LED-032",
                "the database holds no ledger for this role",
            )
            .with_hint("run `airside ledger init` once, as the owner of the database"),
            Self::Version { found, known } => {
                let what = "the ledger is not one that this version can read";
                let fault = Fault::new(Kind::Unsupported, "LED-015", what);
                if found < known {
                    fault
                        .with_hint("stop nodes of the version before and run `airside ledger init`")
                } else {
                    fault
                }
            }
            Self::Privileged { .. } => Fault::new(
                Kind::Forbidden,
                "LED-033",
                "the database role can change or delete entries",
            )
            .with_hint("run as the role that `airside ledger init` has set up, not as the owner"),
        }
        .with_private(self)
    }
}

/// A [`Store`] in a PostgreSQL database.
#[derive(Debug)]
pub struct Postgres {
    /// For everything but commits.
    pool: Pool,
    /// The one connection of commits: its server process has at hand what the last one
    /// needed, and nothing else stands in front of the next.
    committer: Pool,
    commits: watch::Sender<u64>,
    closed: AtomicBool,
}

impl Postgres {
    /// Makes or upgrades the tables and lets `role` append to them.
    ///
    /// `url` is that of the owner of the database; Airside itself runs as `role`,
    /// which has to exist.
    ///
    /// # Errors
    ///
    /// When the database cannot be reached or changed; see [`OpenError`].
    pub async fn initialize(url: &Redacted<String>, role: &str) -> Result<(), OpenError> {
        let pool = pool(url, 1)?;
        let mut client = connection(&pool).await.map_err(OpenError::Connect)?;
        schema::initialize(&mut client, role).await
    }

    /// Opens the ledger of the database at `url`.
    ///
    /// # Errors
    ///
    /// When there is none, or the role is too powerful; see [`OpenError`].
    pub async fn open(
        url: &Redacted<String>,
        clock: Arc<dyn Clock>,
        supervisor: &Supervisor,
    ) -> Result<Self, OpenError> {
        let pool = pool(url, CONNECTIONS)?;
        let client = connection(&pool).await.map_err(OpenError::Connect)?;
        schema::check(&client).await?;
        drop(client);
        let commits = watch::Sender::new(0);
        listen::start(
            config(url)?,
            pool.clone(),
            commits.clone(),
            clock,
            supervisor,
        );
        Ok(Self {
            pool,
            committer: self::pool(url, 1)?,
            commits,
            closed: AtomicBool::new(false),
        })
    }

    async fn client(&self) -> Result<Object, StoreError> {
        client(&self.pool).await
    }

    async fn writer(&self, pool: &Pool) -> Result<Object, StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        client(pool).await
    }
}

impl Store for Postgres {
    fn commit(&self, commit: Arc<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move {
            let mut client = self.writer(&self.committer).await?;
            write::commit(&mut client, &commit).await?;
            self.commits.send_modify(|count| *count += 1);
            Ok(())
        })
    }

    fn tip(&self, tenant: TenantId) -> BoxFuture<'_, Result<Tip, StoreError>> {
        Box::pin(async move { read::tip(&self.client().await?, &tenant).await })
    }

    fn chains(&self) -> BoxFuture<'_, Result<Vec<(TenantId, Tip)>, StoreError>> {
        Box::pin(async move { read::chains(&self.client().await?).await })
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(async move { read::entries(&self.client().await?, &query).await })
    }

    fn hashes(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Hash>, StoreError>> {
        Box::pin(async move { read::hashes(&self.client().await?, &tenant, after, limit).await })
    }

    fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        number: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<Hash>>, StoreError>> {
        Box::pin(async move { read::tile(&self.client().await?, &tenant, level, number).await })
    }

    fn put_tiles(
        &self,
        tenant: TenantId,
        tiles: Vec<Tile>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            async move { write::put_tiles(&self.writer(&self.pool).await?, &tenant, &tiles).await },
        )
    }

    fn find(
        &self,
        table: &'static str,
        tenant: TenantId,
        key: Arc<str>,
    ) -> BoxFuture<'_, Result<Option<Row>, StoreError>> {
        Box::pin(async move { read::find(&self.client().await?, table, &tenant, &key).await })
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(async move { read::scan(&self.client().await?, &scan).await })
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(async move { write::claim(&mut self.writer(&self.pool).await?, &claim).await })
    }

    fn release(&self, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { write::release(&self.writer(&self.pool).await?, &fence).await })
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.closed.store(true, Ordering::Release);
        Box::pin(std::future::ready(()))
    }
}

fn config(url: &Redacted<String>) -> Result<Config, OpenError> {
    let mut config: Config = url.expose().parse().map_err(OpenError::Url)?;
    config
        .application_name("airside")
        .connect_timeout(CONNECT_LIMIT)
        // A database whose default is off would acknowledge what it can lose.
        .options("-c synchronous_commit=on");
    Ok(config)
}

pub(crate) fn pool(url: &Redacted<String>, size: usize) -> Result<Pool, OpenError> {
    let recycling = ManagerConfig {
        recycling_method: RecyclingMethod::Fast,
    };
    let manager = Manager::from_config(config(url)?, tls(), recycling);
    Pool::builder(manager)
        .max_size(size)
        .runtime(deadpool_postgres::Runtime::Tokio1)
        .wait_timeout(Some(CONNECT_LIMIT))
        .create_timeout(Some(CONNECT_LIMIT))
        .build()
        .map_err(|source| OpenError::Connect(Arc::new(source)))
}

pub(crate) async fn connection(pool: &Pool) -> Result<Object, Cause> {
    pool.get().await.map_err(|error| Arc::new(error) as Cause)
}

async fn client(pool: &Pool) -> Result<Object, StoreError> {
    connection(pool).await.map_err(|source| StoreError::Failed {
        doing: "connect to the database",
        source,
    })
}

/// TLS as the URL's `sslmode` asks for it, against the system's certificates.
fn tls() -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider supports the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

/// Sorts out what the server says.
fn failed(doing: &'static str, error: tokio_postgres::Error) -> StoreError {
    let full = error.code() == Some(&SqlState::DISK_FULL);
    let source: Cause = Arc::new(error);
    if full {
        return StoreError::Full(source);
    }
    StoreError::Failed { doing, source }
}

/// Sequence numbers and tokens stay far below 2^63; one that does not matches no row.
fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
