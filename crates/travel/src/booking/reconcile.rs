//! What has to be done without a call: finding out what is not known, ending what is
//! over, forgetting what has been kept long enough.
//!
//! # Invariants
//!
//! * It reads the state and does what is missing; it may run twice, on two nodes.
//! * An outcome that stays unknown is logged at `error` each time it is looked at, so
//!   that somebody is told.

use std::{sync::Arc, time::Duration};

use airside_base::{OnFailure, Supervisor, TenantId};
use airside_ledger::{Cell, LeaseError, Versioned};

use super::{
    Desk, Refusal,
    record::{FORGOTTEN, Freed, KEY_FREED, Reason, Session},
};
use crate::ucp::Status;

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(3);
/// The lease of the node that does it.
const LEASE: &str = "travel-sessions";
/// How long it is held without renewal.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// Documents of one look.
const BATCH: usize = 100;

pub(super) fn start(desk: Arc<Desk>, supervisor: &Supervisor) {
    let stop = supervisor.clone();
    supervisor.spawn("travel-sessions", OnFailure::Log, async move {
        loop {
            match desk.sweep().await {
                Ok(_) => {}
                Err(refusal) => tracing::error!(
                    error = &refusal as &dyn std::error::Error,
                    "cannot look after booking sessions"
                ),
            }
            let rest = desk.clock.sleep(INTERVAL);
            tokio::select! {
                () = stop.stopping() => return,
                () = rest => {}
            }
        }
    });
}

impl Desk {
    /// Does what is due, once; returns how many sessions were looked at.
    pub(crate) async fn sweep(&self) -> Result<usize, Refusal> {
        let mut looked = 0;
        for (tenant, _) in self.ledger.heads().await? {
            let due = self.due(&tenant).await?;
            let payments = self.due_payments(&tenant).await?;
            if due.is_empty() && payments.is_empty() && self.stale_keys(&tenant).await?.is_empty() {
                continue;
            }
            match self.ledger.lease(LEASE, self.node, LEASE_TTL).await {
                Ok(_) => {}
                Err(LeaseError::Taken { .. }) => return Ok(looked),
                Err(error) => return Err(error.into()),
            }
            looked += due.len();
            for row in due {
                self.look_after(&tenant, row).await?;
            }
            for payment in payments {
                self.advance(&tenant, &payment).await?;
            }
            for row in self.stale_keys(&tenant).await? {
                let key = row.key.to_string();
                let draft = self
                    .keys
                    .draft(&tenant, KEY_FREED, 1, &key, &Freed {})
                    .await?;
                ignore_race(
                    self.uses
                        .append(Some(row), vec![draft])
                        .await
                        .map_err(Refusal::from),
                )?;
            }
        }
        Ok(looked)
    }

    async fn due(&self, tenant: &TenantId) -> Result<Vec<Versioned<Session>>, Refusal> {
        let now = Cell::Integer(self.now().as_microsecond());
        Ok(self.sessions.at_most(tenant, "due", now, BATCH).await?)
    }

    /// Returns the payments that somebody has to look at.
    async fn due_payments(&self, tenant: &TenantId) -> Result<Vec<String>, Refusal> {
        if self.cashier.is_none() {
            return Ok(Vec::new());
        }
        let now = Cell::Integer(self.now().as_microsecond());
        let due = self.settlements.at_most(tenant, "due", now, BATCH).await?;
        Ok(due.into_iter().map(|row| row.key.to_string()).collect())
    }

    async fn stale_keys(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<Versioned<super::record::Use>>, Refusal> {
        let now = Cell::Integer(self.now().as_microsecond());
        Ok(self.uses.at_most(tenant, "until", now, BATCH).await?)
    }

    async fn look_after(&self, tenant: &TenantId, row: Versioned<Session>) -> Result<(), Refusal> {
        let (id, status) = (row.key.clone(), row.document.status);
        let done = match status {
            Status::CompleteInProgress => {
                let done = self.resolve(tenant, row).await;
                self.tell(tenant, &id).await?;
                done
            }
            Status::Completed | Status::Canceled => {
                let draft = self
                    .keys
                    .draft(tenant, FORGOTTEN, 1, &id, &Freed {})
                    .await?;
                let gone = self.sessions.append(Some(row), vec![draft]).await;
                gone.map(drop).map_err(Refusal::from)
            }
            Status::Incomplete | Status::ReadyForComplete | Status::RequiresEscalation => {
                self.end(tenant, row, Reason::Expired).await
            }
        };
        ignore_race(done)
    }

    async fn tell(&self, tenant: &TenantId, id: &str) -> Result<(), Refusal> {
        let row = self.sessions.find(tenant, id).await?;
        let Some(session) = row.map(|row| row.document) else {
            return Ok(());
        };
        match session.status {
            Status::CompleteInProgress => tracing::error!(
                session = id,
                "the outcome of a booking is still not known: the hotel's system does not say"
            ),
            status => tracing::info!(
                session = id,
                outcome = status.as_str(),
                "found out how a booking ended whose answer was lost"
            ),
        }
        Ok(())
    }
}

/// Another call or node was faster; the next look sees what it did.
fn ignore_race<T>(done: Result<T, Refusal>) -> Result<(), Refusal> {
    match done {
        Ok(_) | Err(Refusal::Race) => Ok(()),
        Err(refusal) => Err(refusal),
    }
}
