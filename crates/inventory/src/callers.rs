//! Reads who calls which server from the entries of all tenants, as they come.
//!
//! # Invariants
//!
//! * An entry is read once. After a start so many of the newest of each tenant are, and
//!   what was known before counts for what is older.
//! * Nothing of a call is kept but its server, the kind of its caller and its day.

use std::{collections::BTreeMap, time::Duration};

use airside_base::{Clock, TenantId};
use airside_ledger::{Ledger, Query, ReadError};
use tokio::sync::watch;

use crate::{decision::reach::Calls, state::day};

/// Entries of a tenant that are looked back at after a start.
const LOOK_BACK: u64 = 100_000;
/// How long entries are let gather before they are read.
const GATHER: Duration = Duration::from_secs(1);

/// What calls tell of who reaches servers.
#[derive(Debug)]
pub struct Callers {
    ledger: Ledger,
    calls: Calls,
    /// Up to where the chain of each tenant has been read.
    read: BTreeMap<TenantId, u64>,
    commits: watch::Receiver<u64>,
}

impl Callers {
    /// Returns what is known before anything is read.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        Self {
            calls: Calls::default(),
            read: BTreeMap::new(),
            commits: ledger.store().commits(),
            ledger: ledger.clone(),
        }
    }

    /// Returns what has been read.
    #[must_use]
    pub fn calls(&self) -> &Calls {
        &self.calls
    }

    /// Reads what has come. Returns whether somebody calls a server who did not before.
    ///
    /// # Errors
    ///
    /// When the ledger cannot be read.
    pub async fn look(&mut self) -> Result<bool, ReadError> {
        self.commits.borrow_and_update();
        let mut news = false;
        for (tenant, head) in self.ledger.heads().await? {
            let start = head.seq.saturating_sub(LOOK_BACK);
            let mut after = *self.read.entry(tenant.clone()).or_insert(start);
            let mut cut = after == start && start > 0;
            while after < head.seq {
                let query = Query::new(tenant.clone()).after(after);
                let page = self.ledger.read(query.kind("call.completed")).await?;
                if let Some(first) = page.first().filter(|_| cut) {
                    self.calls.knows_all_since(day(first.time));
                    cut = false;
                }
                for entry in &page {
                    news |= self.calls.take(entry.into(), day(entry.time));
                }
                after = page.last().map_or(head.seq, |last| last.seq);
                self.read.insert(tenant.clone(), after);
            }
        }
        Ok(news)
    }

    /// Resolves when somebody calls a server who did not before.
    pub async fn news(&mut self, clock: &dyn Clock) {
        loop {
            if self.commits.changed().await.is_err() {
                // The ledger is gone and nothing will come.
                std::future::pending::<()>().await;
            }
            clock.sleep(GATHER).await;
            match self.look().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "who calls which server cannot be read"
                ),
            }
        }
    }
}
