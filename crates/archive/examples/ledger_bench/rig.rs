//! Ledgers as a node has them.

use std::{path::Path, sync::Arc, time::Duration};

use airside_archive::{
    Access, Archive, Archiver, Objects, Options, Schedule, Upkeep, Watch, restore::Folds,
};
use airside_base::{Clock, NodeId, Redacted, Supervisor, TenantId};
use airside_ledger::{
    Ledger, Store,
    note::Signer,
    seal::Sealer,
    stores::{postgres::Postgres, sqlite::Sqlite},
    vault::file::FileVault,
};
use airside_testkit::postgres::{ROLE, Server};

use crate::{callers::Target, raw::Raw};

/// Where entries lie.
#[derive(Clone, Copy)]
pub(crate) enum Backend<'a> {
    /// A file.
    Sqlite,
    /// A database of this server.
    Postgres(&'a Server),
}

impl Backend<'_> {
    /// Returns its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Opens an empty store.
    pub(crate) async fn open(
        self,
        folder: &Path,
        name: &str,
        clock: &Arc<dyn Clock>,
        tasks: &Supervisor,
    ) -> Arc<dyn Store> {
        match self {
            Self::Sqlite => Arc::new(Sqlite::open(&folder.join(name), tasks).unwrap()),
            Self::Postgres(server) => {
                let database = server.database(name).unwrap();
                let owner = Redacted::new(database.owner_url.clone());
                Postgres::initialize(&owner, ROLE).await.unwrap();
                let url = Redacted::new(database.url.clone());
                Arc::new(Postgres::open(&url, clock.clone(), tasks).await.unwrap())
            }
        }
    }
}

/// What stands between callers and the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The store alone.
    Raw,
    /// The ledger: numbers, hashes, heads, seals.
    Chain,
    /// The ledger with an archive in a folder.
    Archived,
}

impl Mode {
    /// Returns what a table calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "store alone",
            Self::Chain => "ledger",
            Self::Archived => "ledger and archive",
        }
    }
}

/// One open target.
pub(crate) struct Rig {
    pub(crate) mode: Mode,
    pub(crate) target: Target,
    pub(crate) archive: Option<(Archive, Watch)>,
    pub(crate) upkeep: Option<Upkeep>,
    scribe: Supervisor,
    keeper: Supervisor,
}

impl Rig {
    /// Opens an empty one in `folder`.
    pub(crate) async fn open(
        mode: Mode,
        backend: Backend<'_>,
        folder: &Path,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (scribe, keeper) = (Supervisor::new(), Supervisor::new());
        let (mut archive, mut upkeep) = (None, None);
        let target = match (mode, backend) {
            (Mode::Raw, Backend::Sqlite) => {
                Target::Raw(Raw::sqlite(&folder.join("raw.db"), &scribe))
            }
            (Mode::Raw, Backend::Postgres(server)) => {
                let database = server.database("raw").unwrap();
                Target::Raw(Raw::postgres(&database.owner_url, &scribe).await)
            }
            (Mode::Chain | Mode::Archived, _) => {
                let name = if mode == Mode::Chain {
                    "chain"
                } else {
                    "archived"
                };
                let store = backend.open(folder, name, clock, &scribe).await;
                let ledger = open_ledger(store, clock, &scribe).await;
                seal(&ledger, clock, &keeper);
                if mode == Mode::Archived {
                    let (shipped, watch, tended) = ship(&ledger, folder, clock, &keeper).await;
                    archive = Some((shipped, watch));
                    upkeep = Some(tended);
                }
                Target::Ledger(ledger)
            }
        };
        Self {
            mode,
            target,
            archive,
            upkeep,
            scribe,
            keeper,
        }
    }

    /// Merges segments and makes snapshots from time to time, as a node does.
    pub(crate) fn tend(&mut self) {
        if let Some(upkeep) = self.upkeep.take() {
            upkeep.start(&self.keeper);
        }
    }

    /// Resolves when the archive has everything that was appended before.
    pub(crate) async fn shipped(&self) {
        if let (Some((_, watch)), Target::Ledger(ledger)) = (&self.archive, &self.target) {
            let tenant = TenantId::default();
            let head = ledger.head(&tenant).await.unwrap();
            watch.reached().wait(&tenant, head.seq).await;
        }
    }

    /// Closes it.
    pub(crate) async fn close(self) {
        drop(self.target);
        assert_eq!(self.keeper.stop(Duration::from_secs(600)).await, 0);
        assert_eq!(self.scribe.stop(Duration::from_secs(60)).await, 0);
    }
}

/// Opens the ledger in `store`.
pub(crate) async fn open_ledger(
    store: Arc<dyn Store>,
    clock: &Arc<dyn Clock>,
    tasks: &Supervisor,
) -> Ledger {
    let options = airside_ledger::Options::default();
    Ledger::open(store, clock.clone(), tasks, options)
        .await
        .unwrap()
}

/// Seals it every few seconds, as a node does.
pub(crate) fn seal(ledger: &Ledger, clock: &Arc<dyn Clock>, tasks: &Supervisor) {
    let node = NodeId::generate(&**clock);
    let sealer = Sealer::new(ledger.clone(), Signer::generate().0, node);
    sealer.start(clock.clone(), tasks);
}

/// Ships it to a folder.
async fn ship(
    ledger: &Ledger,
    folder: &Path,
    clock: &Arc<dyn Clock>,
    tasks: &Supervisor,
) -> (Archive, Watch, Upkeep) {
    let archive = open_archive(folder, clock).await;
    let node = NodeId::generate(&**clock);
    let options = Options::default();
    let archiver = Archiver::new(
        ledger.clone(),
        archive.clone(),
        clock.clone(),
        node,
        options,
    );
    let archiver = archiver.await.unwrap();
    let watch = archiver.watch();
    let (folds, scratch) = (Arc::new(Folds::default()), folder.join("scratch"));
    let upkeep = Upkeep::new(&archiver, folds, scratch, Schedule::default()).await;
    archiver.start(tasks);
    (archive, watch, upkeep.unwrap())
}

/// Opens the archive in `folder`, or makes it.
pub(crate) async fn open_archive(folder: &Path, clock: &Arc<dyn Clock>) -> Archive {
    let url = url::Url::from_file_path(folder.join("archive")).unwrap();
    let vault = FileVault::load_or_create(&folder.join("key")).unwrap();
    let objects = Objects::open(&url, &Access::default()).unwrap();
    let archive = Archive::open_or_create(objects, Arc::new(vault), &**clock);
    archive.await.unwrap()
}
