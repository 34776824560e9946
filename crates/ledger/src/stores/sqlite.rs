//! The default store: one SQLite file in WAL mode.
//!
//! # Invariants
//!
//! * `synchronous=FULL`: a commit that returned is in the write-ahead log on the
//!   disk. `NORMAL` lost every acknowledged entry when unsynced pages were dropped.
//! * One thread writes; readers have connections of their own that cannot write. A
//!   second thread moves the write-ahead log into the file meanwhile, so that no
//!   commit waits for it; only a log that outgrows its limit is moved by the writer.
//! * One process owns a folder, by a lock of the operating system that ends with
//!   the process, however it ends.
//! * The SQLite library is the bundled one and at least 3.51.3: before that, WAL
//!   mode could lose commits (the WAL-reset bug).

use std::{
    fs::{self, File, TryLockError},
    io,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use airside_base::{BoxFuture, Fault, Kind, OnFailure, Supervisor, TenantId, WithCauses};
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use self::{checkpoint::Checkpointer, write::Writer};
use crate::{
    entry::{Entry, Hash},
    failpoint::{self, Point},
    store::{
        Cause, Claim, Claimed, Commit, Fence, MAX_COLUMNS, Query, Row, Scan, Store, StoreError,
        Tile, Tip,
    },
};

mod checkpoint;
mod read;
mod schema;
#[cfg(test)]
mod tests;
mod write;

/// The ledger's file within its folder.
const FILE: &str = "ledger.db";
/// What the thread that writes is to have: callers wait for it, and where the
/// processors are busy each of its syncs would otherwise end with a wait for its turn
/// (0.1 ms became 4 ms).
const WRITER_NICE: i32 = -15;
/// The file whose lock owns the folder.
const LOCK: &str = "ledger.lock";
/// Readers at the same time. Each has a small page cache and, while it runs, a
/// thread of the blocking pool.
const READERS: usize = 4;
/// Jobs that may wait for the writer; the sequencer has one commit under way.
const JOBS: usize = 16;
/// The first library version without the WAL-reset bug.
const OLDEST_LIBRARY: i32 = 3_051_003;

/// Sequence numbers take the low bits of a row's id and the chain the high ones,
/// so that one B-tree keeps every chain together and in order.
const SEQ_BITS: u32 = 43;
const MAX_SEQ: i64 = (1 << SEQ_BITS) - 1;
const MAX_CHAIN: i64 = (1 << (63 - SEQ_BITS)) - 1;

/// Why a folder cannot be opened as a ledger.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("the data folder `{}` is in use by another process", .folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// There is no ledger in it.
    #[error("there is no ledger in `{}`", .folder.display())]
    Absent {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be created or locked.
    #[error("cannot prepare the data folder `{}`", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The SQLite library can lose commits.
    #[error("SQLite {found} can lose commits; 3.51.3 or later is needed")]
    Library {
        /// Its version.
        found: &'static str,
    },
    /// The file is not a ledger.
    #[error("`{}` is not a ledger file", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The file was written by a later Airside.
    #[error("the ledger file has version {found}, this Airside knows up to {known}")]
    Newer {
        /// Its version.
        found: i64,
        /// The latest known here.
        known: i64,
    },
    /// The file cannot be opened or migrated.
    #[error("cannot {doing}")]
    Sqlite {
        /// What was attempted.
        doing: &'static str,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The writer thread cannot be started.
    #[error("cannot start the writer thread")]
    Thread(#[source] io::Error),
}

impl OpenError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Locked { .. } => Fault::new(
                Kind::Conflict,
                "LED-011",
                "the data folder is in use by another process",
            )
            .with_hint("stop the other process or name another folder"),
            Self::Absent { .. } => Fault::new(
                Kind::NotFound,
                "LED-012",
                "there is no ledger in the data folder",
            )
            .with_hint(
                "name its folder with --data-dir; if it was lost, `airside backup verify` checks \
                 its archive and `airside restore` brings it back",
            ),
            full if full.is_full() => Fault::new(
                Kind::Unavailable,
                "LED-006",
                "the ledger has no room for more entries",
            )
            .with_hint("make room in its file system and try again; nothing of the ledger is lost"),
            Self::Sqlite { source, .. } if is_foreign(source) => foreign(),
            Self::Folder { .. } | Self::Sqlite { .. } | Self::Thread(_) => Fault::new(
                Kind::Unavailable,
                "LED-013",
                "the data folder cannot be opened",
            )
            .with_hint(
                "this user has to be able to write the folder and its files, in a file system \
                 that is not mounted read-only",
            ),
            Self::Library { .. } => Fault::new(
                Kind::Unsupported,
                "LED-014",
                "the SQLite library is too old to be safe",
            ),
            Self::Foreign { .. } | Self::Newer { .. } => foreign(),
        }
        .with_private(WithCauses(self))
    }

    fn is_full(&self) -> bool {
        match self {
            Self::Sqlite { source, .. } => is_full(source),
            Self::Folder { source, .. } => matches!(
                source.kind(),
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            ),
            Self::Locked { .. }
            | Self::Absent { .. }
            | Self::Library { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Thread(_) => false,
        }
    }
}

type Job = Box<dyn FnOnce(&mut Writer) -> ControlFlow<()> + Send>;

/// A [`Store`] in one folder of the file system.
#[derive(Debug)]
pub struct Sqlite {
    writer: Option<mpsc::Sender<Job>>,
    readers: Arc<Readers>,
    commits: watch::Sender<u64>,
    /// The priority that the writer thread has got.
    nice: Option<i32>,
}

impl Sqlite {
    /// Opens the ledger in `folder`, and creates both if they are missing.
    ///
    /// Blocks for some milliseconds. The folder stays locked until the store is
    /// dropped and its writer thread has ended.
    ///
    /// # Errors
    ///
    /// When another process has it, or it cannot be used; see [`OpenError`].
    pub fn open(folder: &Path, supervisor: &Supervisor) -> Result<Self, OpenError> {
        check_library()?;
        let at_folder = |source| OpenError::Folder {
            folder: folder.to_owned(),
            source,
        };
        create_folder(folder).map_err(at_folder)?;
        let lock = Arc::new(lock(folder)?);
        let file = folder.join(FILE);
        // SQLite gives its other files the rights of this one.
        create_file(&file).map_err(at_folder)?;
        failpoint::reach(Point::SqliteCreated);
        let connection = schema::open_writer(&file)?;
        sync_folder(folder).map_err(at_folder)?;

        let (sender, mut jobs) = mpsc::channel::<Job>(JOBS);
        let checkpointer = Checkpointer::start(&file, lock.clone(), supervisor)?;
        let mut writer = Writer::new(connection, checkpointer);
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        supervisor
            .spawn_thread("ledger-writer", OnFailure::Stop, move || {
                // It is received a few lines below.
                let _ = tell.send(raise_priority());
                while let Some(job) = jobs.blocking_recv() {
                    if job(&mut writer).is_break() {
                        break;
                    }
                }
                writer.finish();
                drop(lock);
            })
            .map_err(OpenError::Thread)?;
        Ok(Self {
            writer: Some(sender),
            readers: Arc::new(Readers::new(file)),
            commits: watch::Sender::new(0),
            nice: told.recv().ok().flatten(),
        })
    }

    /// Opens the ledger in `folder` for reading only, also while a node uses it.
    /// Every write is refused with [`StoreError::Closed`].
    ///
    /// # Errors
    ///
    /// When there is none or it cannot be read; see [`OpenError`].
    pub fn inspect(folder: &Path) -> Result<Self, OpenError> {
        check_library()?;
        let file = folder.join(FILE);
        if !file.is_file() {
            let folder = folder.to_owned();
            return Err(OpenError::Absent { folder });
        }
        schema::check_reader(&file)?;
        Ok(Self {
            writer: None,
            readers: Arc::new(Readers::new(file)),
            commits: watch::Sender::new(0),
            nice: None,
        })
    }

    /// Runs `work` on the writer thread.
    async fn submit<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writer) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |writer| {
            // Whoever asked may have gone; the work is done all the same.
            let _ = reply.send(work(writer));
            ControlFlow::Continue(())
        });
        let writer = self.writer.as_ref().ok_or(StoreError::Closed)?;
        writer.send(job).await.map_err(|_| StoreError::Closed)?;
        answer.await.unwrap_or_else(|source| {
            Err(StoreError::Failed {
                doing: "hear from the writer thread",
                source: Arc::new(source),
            })
        })
    }

    /// Runs `work` on a reader connection.
    async fn query<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let readers = self.readers.clone();
        let _permit = readers
            .permits
            .acquire()
            .await
            .map_err(|_| StoreError::Closed)?;
        let pool = readers.clone();
        tokio::task::spawn_blocking(move || pool.run(work))
            .await
            .unwrap_or_else(|source| {
                Err(StoreError::Failed {
                    doing: "finish a read",
                    source: Arc::new(source),
                })
            })
    }
}

impl Store for Sqlite {
    fn commit(&self, commit: Arc<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        let commits = self.commits.clone();
        Box::pin(self.submit(move |writer| {
            writer.commit(&commit)?;
            commits.send_modify(|count| *count += 1);
            Ok(())
        }))
    }

    fn tip(&self, tenant: TenantId) -> BoxFuture<'_, Result<Tip, StoreError>> {
        Box::pin(self.query(move |connection| read::tip(connection, &tenant)))
    }

    fn chains(&self) -> BoxFuture<'_, Result<Vec<(TenantId, Tip)>, StoreError>> {
        Box::pin(self.query(read::chains))
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        Box::pin(self.query(move |connection| read::entries(connection, &query)))
    }

    fn hashes(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Hash>, StoreError>> {
        Box::pin(self.query(move |connection| read::hashes(connection, &tenant, after, limit)))
    }

    fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        number: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<Hash>>, StoreError>> {
        Box::pin(self.query(move |connection| read::tile(connection, &tenant, level, number)))
    }

    fn put_tiles(
        &self,
        tenant: TenantId,
        tiles: Vec<Tile>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.submit(move |writer| writer.put_tiles(&tenant, &tiles)))
    }

    fn find(
        &self,
        table: &'static str,
        tenant: TenantId,
        key: Arc<str>,
    ) -> BoxFuture<'_, Result<Option<Row>, StoreError>> {
        Box::pin(self.query(move |connection| read::find(connection, table, &tenant, &key)))
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        Box::pin(self.query(move |connection| read::scan(connection, &scan)))
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(self.submit(move |writer| writer.claim(&claim)))
    }

    fn release(&self, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.submit(move |writer| writer.release(&fence)))
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    fn writer_nice(&self) -> Option<i32> {
        self.nice
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            if let Some(writer) = &self.writer {
                let stop: Job = Box::new(|_| ControlFlow::Break(()));
                // An error means that it has been closed before.
                let _ = writer.send(stop).await;
                writer.closed().await;
            }
        })
    }
}

/// Connections that only read, opened when needed and kept.
#[derive(Debug)]
struct Readers {
    file: PathBuf,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    fn new(file: PathBuf) -> Self {
        Self {
            file,
            permits: Semaphore::new(READERS),
            idle: Mutex::default(),
        }
    }

    fn run<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = self.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.file)
                .map_err(|error| failed("open the ledger for reading", error))?,
        };
        // One snapshot for all statements of one read.
        let result = connection
            .unchecked_transaction()
            .map_err(|error| failed("begin to read the ledger", error))
            .and_then(|snapshot| work(&snapshot));
        self.lock().push(connection);
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle
            .lock()
            .expect("no panic happens while the lock is held")
    }
}

/// Names of the index columns of the table `documents`.
const CELLS: [&str; MAX_COLUMNS] = ["c0", "c1", "c2", "c3"];

fn failed(doing: &'static str, error: rusqlite::Error) -> StoreError {
    let full = is_full(&error);
    let source: Cause = Arc::new(error);
    if full {
        return StoreError::Full(source);
    }
    StoreError::Failed { doing, source }
}

fn foreign() -> Fault {
    Fault::new(
        Kind::Unsupported,
        "LED-015",
        "the file is not a ledger that this version can read",
    )
    .with_hint(
        "use the version of Airside that wrote it, or a later one; if it was overwritten, \
         `airside restore --archive URL` brings the ledger into a new folder. Nothing was changed",
    )
}

fn is_foreign(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase)
}

fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
}

/// Gives the calling thread the priority of a writer, where the system lets it, and
/// returns which one it has.
fn raise_priority() -> Option<i32> {
    use rustix::process::{getpriority_process, setpriority_process};
    // On Linux "this process" is the calling thread; elsewhere it would be all of them.
    if !cfg!(target_os = "linux") {
        return None;
    }
    if let Err(error) = setpriority_process(None, WRITER_NICE) {
        tracing::info!(
            %error,
            "the ledger's writer runs at normal priority: on a busy machine commits take longer"
        );
    }
    getpriority_process(None).ok()
}

fn check_library() -> Result<(), OpenError> {
    if rusqlite::version_number() < OLDEST_LIBRARY {
        return Err(OpenError::Library {
            found: rusqlite::version(),
        });
    }
    Ok(())
}

/// Creates `folder` for this user alone.
fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Opens `file`, and creates it for this user alone if it is missing.
pub(crate) fn create_file(file: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

fn lock(folder: &Path) -> Result<File, OpenError> {
    let at_folder = |source| OpenError::Folder {
        folder: folder.to_owned(),
        source,
    };
    let file = create_file(&folder.join(LOCK)).map_err(at_folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            folder: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(at_folder(source)),
    }
}

/// Makes the names of new files durable, and that of the folder itself.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    match folder.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
