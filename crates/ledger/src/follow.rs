//! Reading a chain as it grows.

use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    entry::Entry,
    error::ReadError,
    store::{Query, Store},
};

/// Yields the entries of one chain in order, first those that exist, then those
/// that come. It keeps no buffer: a slow follower costs nothing.
#[derive(Debug)]
pub struct Follower {
    store: Arc<dyn Store>,
    query: Query,
    commits: watch::Receiver<u64>,
}

impl Follower {
    pub(crate) fn new(store: Arc<dyn Store>, query: Query) -> Self {
        let commits = store.commits();
        Self {
            store,
            query,
            commits,
        }
    }

    /// Returns the next entries, at least one; waits until there are some.
    ///
    /// Dropping the future loses nothing. After an error the same entries are
    /// read again.
    ///
    /// # Errors
    ///
    /// When the store does not answer or an entry is malformed.
    pub async fn next(&mut self) -> Result<Vec<Entry>, ReadError> {
        loop {
            // Marked as seen before the read, so that a commit during it wakes us.
            self.commits.borrow_and_update();
            let entries = self.next_present().await?;
            if !entries.is_empty() {
                return Ok(entries);
            }
            if self.commits.changed().await.is_err() {
                // The store is gone and nothing will come.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Returns the next entries that exist now; none if it has caught up.
    ///
    /// # Errors
    ///
    /// As [`Follower::next`].
    pub async fn next_present(&mut self) -> Result<Vec<Entry>, ReadError> {
        let entries = self.store.read(self.query.clone()).await?;
        if let Some(last) = entries.last() {
            self.query.after = last.seq;
        }
        Ok(entries)
    }
}
