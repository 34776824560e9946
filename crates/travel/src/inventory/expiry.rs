//! Ending holds at their time.
//!
//! A reconciler: it looks for holds whose end has come and asks the clerks to end
//! them. It may run twice; a clerk ends a hold once. The lease keeps several nodes
//! from doing the same work, and nothing depends on it.

use std::time::Duration;

use airside_base::{OnFailure, Supervisor};
use airside_ledger::{Cell, LeaseError};

use super::{Inventory, decide::Request, event::UNTIL};

/// How often holds are looked at: with it a hold ends at most so much late.
const EVERY: Duration = Duration::from_millis(500);
/// A node that is gone is replaced after so long.
const LEASE: Duration = Duration::from_secs(5);
/// Holds that are ended together.
const TOGETHER: usize = 256;

pub(super) fn start(inventory: Inventory, supervisor: &Supervisor) {
    let stop = supervisor.clone();
    supervisor.spawn("inventory-expiry", OnFailure::Stop, async move {
        loop {
            tokio::select! {
                () = inventory.office.clock.sleep(EVERY) => {}
                () = stop.stopping() => return,
            }
            inventory.expire_due().await;
        }
    });
}

impl Inventory {
    /// Ends the holds whose time has come, if this node is the one who does it.
    async fn expire_due(&self) {
        let office = &self.office;
        let name = format!("{}-expiry", office.chain);
        let lease = office.ledger.lease(&name, office.node, LEASE);
        match lease.await {
            Ok(_) => self.end_due().await,
            Err(LeaseError::Taken { .. }) => {}
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the lease for ending holds cannot be had"
            ),
        }
    }

    /// Ends the holds whose time has come.
    pub(super) async fn end_due(&self) {
        let office = &self.office;
        let now = Cell::Integer(office.clock.now().as_millisecond());
        let due = office
            .reservations
            .at_most(&office.chain, UNTIL, now, TOGETHER);
        let due = match due.await {
            Ok(due) => due,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "holds that have to end cannot be read"
                );
                return;
            }
        };
        for hold in due {
            let reference = hold.document.reference.clone();
            if let Err(error) = self.ask(&reference, Request::Expire).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    hold = %reference,
                    "a hold could not be ended"
                );
            }
        }
    }
}
