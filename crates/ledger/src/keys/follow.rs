//! Forgetting the keys that other nodes have destroyed.
//!
//! # Invariants
//!
//! * What one node has erased, the others forget with the entry that tells it, at most
//!   [`PAUSE`] after they hear of the commit. What they cannot hear they do not keep:
//!   as long as the ledger does not answer, no unwrapped key outlives a look at it.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use airside_base::{OnFailure, Supervisor, TenantId};
use futures_util::future::select;

use super::Keys;
use crate::{conversation::ENDED, entry::Entry, error::ReadError, ledger::Ledger, store::Query};

/// Shortest time between two looks at the ledger.
pub const PAUSE: Duration = Duration::from_millis(50);
/// Entries about erasures lie below it.
const ERASURES: &str = "subject";

impl Keys {
    /// Forgets, until `supervisor` stops, the keys that `ledger` says are destroyed.
    /// For a ledger that several processes write.
    pub fn follow(self: &Arc<Self>, ledger: Ledger, supervisor: &Supervisor) {
        let (keys, stop) = (self.clone(), supervisor.clone());
        supervisor.spawn("ledger-keys", OnFailure::Log, async move {
            let follower = pin!(keys.follow_forever(&ledger));
            select(pin!(stop.stopping()), follower).await;
        });
    }

    async fn follow_forever(&self, ledger: &Ledger) {
        let mut commits = ledger.store().commits();
        let mut seen = None;
        loop {
            // Marked as seen before the look, so that a commit during it counts.
            commits.borrow_and_update();
            match self.catch_up(ledger, seen.take()).await {
                Ok(now) => {
                    seen = Some(now);
                    if commits.changed().await.is_err() {
                        // The ledger is closed, and nothing is read with keys any more.
                        self.cache().clear();
                        return;
                    }
                }
                Err(error) => {
                    self.cache().clear();
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "cannot hear what other nodes erase; no key is kept in memory meanwhile"
                    );
                }
            }
            self.clock.sleep(PAUSE).await;
        }
    }

    /// Forgets what has been destroyed behind `seen`; returns the ends of the chains.
    pub(super) async fn catch_up(
        &self,
        ledger: &Ledger,
        seen: Option<BTreeMap<TenantId, u64>>,
    ) -> Result<BTreeMap<TenantId, u64>, ReadError> {
        let heads = ledger.heads().await?;
        let ends = heads.into_iter().map(|(tenant, head)| (tenant, head.seq));
        let ends: BTreeMap<TenantId, u64> = ends.collect();
        let Some(seen) = seen else {
            self.cache().clear();
            return Ok(ends);
        };
        for (tenant, end) in &ends {
            let after = seen.get(tenant).copied().unwrap_or_default();
            if after == *end {
                continue;
            }
            let erased = |entry: &Entry| {
                self.cache()
                    .forget(tenant, |slot| slot.subject.as_str() == &*entry.subject);
            };
            each(ledger, tenant, (after, *end), ERASURES.to_owned(), erased).await?;
            let ended = |entry: &Entry| {
                self.cache()
                    .forget(tenant, |slot| slot.scope == entry.subject);
            };
            let kind = ENDED.as_str().to_owned();
            each(ledger, tenant, (after, *end), kind, ended).await?;
        }
        Ok(ends)
    }
}

/// Shows the entries below `kind` to `look`.
async fn each(
    ledger: &Ledger,
    tenant: &TenantId,
    (mut after, end): (u64, u64),
    kind: String,
    look: impl Fn(&Entry),
) -> Result<(), ReadError> {
    while after < end {
        let query = Query::new(tenant.clone()).after(after).kind(kind.clone());
        let entries = ledger.read(query).await?;
        let Some(last) = entries.last() else { break };
        after = last.seq;
        entries.iter().for_each(&look);
    }
    Ok(())
}
