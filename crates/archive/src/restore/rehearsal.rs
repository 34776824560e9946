//! A restore into a store that is thrown away: for previews and drills.
//!
//! # Invariants
//!
//! * The store is in a folder of its own, which is cleared before and after.
//! * It shows the moment as it was. Who has been erased since is not recorded in it, so
//!   it never becomes a ledger.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use airside_base::{Fault, Kind, Supervisor};
use airside_ledger::{
    Progress, Store,
    stores::sqlite::{self, Sqlite},
};

use super::{Folds, Request, RestoreError, Restored, Source, replay};

/// Longest wait for the store to end.
const CLOSE: Duration = Duration::from_secs(30);

/// Why nothing was rehearsed.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// The store cannot be made.
    #[error("cannot make a scratch store")]
    Scratch(#[source] sqlite::OpenError),
    /// The folder cannot be cleared.
    #[error("cannot clear the scratch folder")]
    Folder(#[source] io::Error),
}

impl RehearsalError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Scratch(error) => error.fault(),
            Self::Folder(_) => Fault::new(
                Kind::Unavailable,
                "LED-069",
                "the scratch folder cannot be used",
            )
            .with_private(self),
        }
    }
}

/// A scratch store with what was brought back.
#[derive(Debug)]
pub struct Rehearsal {
    folder: PathBuf,
    store: Sqlite,
    tasks: Supervisor,
}

impl Rehearsal {
    /// Makes an empty scratch store in `folder`.
    ///
    /// # Errors
    ///
    /// When the folder cannot be cleared or used.
    pub fn open(folder: &Path) -> Result<Self, RehearsalError> {
        clear(folder)?;
        let tasks = Supervisor::new();
        let store = Sqlite::open(folder, &tasks).map_err(RehearsalError::Scratch)?;
        Ok(Self {
            folder: folder.to_owned(),
            store,
            tasks,
        })
    }

    /// Returns the scratch store.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &self.store
    }

    /// Brings back what `request` asks for.
    ///
    /// # Errors
    ///
    /// As [`restore`](super::restore()).
    pub async fn run(
        &self,
        source: Source<'_>,
        request: &Request,
        folds: &Folds,
        progress: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<Restored, RestoreError> {
        replay(source, request, &self.store, folds, progress).await
    }

    /// Throws everything away.
    ///
    /// # Errors
    ///
    /// When the folder cannot be cleared.
    pub async fn end(self) -> Result<(), RehearsalError> {
        self.store.close().await;
        drop(self.store);
        self.tasks.stop(CLOSE).await;
        clear(&self.folder)
    }
}

fn clear(folder: &Path) -> Result<(), RehearsalError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RehearsalError::Folder(error)),
        _ => Ok(()),
    }
}
