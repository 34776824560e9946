//! How far a copy of the ledger in another place has come.

use std::collections::HashMap;

use airside_base::TenantId;
use tokio::sync::watch;

/// Told by what makes the copy.
#[derive(Debug, Default)]
pub struct Reach(watch::Sender<HashMap<TenantId, u64>>);

impl Reach {
    /// Tells that the copy holds each chain up to this entry.
    pub fn advance<'a>(&self, ends: impl IntoIterator<Item = (&'a TenantId, u64)>) {
        self.0.send_modify(|reached| {
            for (tenant, seq) in ends {
                reached.insert(tenant.clone(), seq);
            }
        });
    }

    /// Returns what others can wait with.
    #[must_use]
    pub fn watch(&self) -> Reached {
        Reached(self.0.subscribe())
    }
}

/// Tells how far the copy has come. Clones see the same.
#[derive(Clone, Debug)]
pub struct Reached(watch::Receiver<HashMap<TenantId, u64>>);

impl Reached {
    /// Resolves when the copy holds the entry `seq` of `tenant`.
    pub async fn wait(&mut self, tenant: &TenantId, seq: u64) {
        let there = |reached: &HashMap<TenantId, u64>| reached.get(tenant) >= Some(&seq);
        if self.0.wait_for(there).await.is_err() {
            // Nobody makes the copy any more and the entry will not come.
            std::future::pending::<()>().await;
        }
    }
}
