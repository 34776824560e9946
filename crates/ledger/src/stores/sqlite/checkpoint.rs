//! Moving the write-ahead log into the file while commits go on.
//!
//! A checkpoint within a commit (SQLite's own way, every thousand pages) made one
//! commit in twenty wait for a sync of the whole file.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{SyncSender, TrySendError, sync_channel},
    },
};

use airside_base::{OnFailure, Supervisor};
use rusqlite::Connection;

use super::{OpenError, schema};

/// Bytes of entries after which the log is moved.
const STEP_BYTES: usize = 4 << 20;
/// The log is started over when it is longer than this, in bytes; until then its
/// space is written again and again, so that a sync has no new length to note.
pub(super) const LOG_LIMIT: u64 = 32 << 20;

/// The thread that does it, as the writer sees it.
#[derive(Debug)]
pub(super) struct Checkpointer {
    bell: SyncSender<()>,
    log: PathBuf,
    /// Bytes written since the last step.
    written: usize,
}

impl Checkpointer {
    /// Starts the thread for `file`. It ends with the writer; the folder stays locked
    /// until both have ended.
    pub(super) fn start(
        file: &Path,
        lock: Arc<File>,
        supervisor: &Supervisor,
    ) -> Result<Self, OpenError> {
        let connection = schema::open_checkpointer(file).map_err(|source| OpenError::Sqlite {
            doing: "open the ledger for checkpoints",
            source,
        })?;
        let (bell, rung) = sync_channel(1);
        supervisor
            .spawn_thread("ledger-checkpoint", OnFailure::Log, move || {
                while rung.recv().is_ok() {
                    move_log(&connection);
                }
                drop(connection);
                drop(lock);
            })
            .map_err(OpenError::Thread)?;
        let mut log = file.as_os_str().to_owned();
        log.push("-wal");
        Ok(Self {
            bell,
            log: log.into(),
            written: 0,
        })
    }

    /// Takes note of a commit of so many bytes on the writer's `connection`.
    pub(super) fn wrote(&mut self, bytes: usize, connection: &Connection) {
        self.written += bytes;
        if self.written < STEP_BYTES {
            return;
        }
        self.written = 0;
        // While commits go on the other thread never catches up, and only a log that
        // has been moved as a whole can be started over. What is left is little.
        let length = std::fs::metadata(&self.log).map_or(0, |found| found.len());
        if length > LOG_LIMIT {
            move_log(connection);
            return;
        }
        match self.bell.try_send(()) {
            // A full bell has been rung already.
            Ok(()) | Err(TrySendError::Full(())) => {}
            Err(TrySendError::Disconnected(())) => move_log(connection),
        }
    }
}

fn move_log(connection: &Connection) {
    let moved = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = moved {
        // The log keeps everything and the next step tries again.
        tracing::warn!(%error, "cannot move the write-ahead log into the ledger's file");
    }
}
