//! Ending holds at their time.
//!
//! A reconciler: it looks for holds whose end has come and asks the clerks to end
//! them. It may run twice; a clerk ends a hold once. The lease keeps several nodes
//! from doing the same work, and nothing depends on it.

use std::time::Duration;

use airside_base::{OnFailure, Supervisor, Trouble};
use airside_ledger::{Cell, LeaseError, TableError};

use super::{Inventory, decide::Request, event::UNTIL};
use crate::supply;

/// How often holds are looked at: with it a hold ends at most so much late.
const EVERY: Duration = Duration::from_millis(500);
/// A node that is gone is replaced after so long.
const LEASE: Duration = Duration::from_secs(5);
/// Holds that are ended together.
const TOGETHER: usize = 256;

/// Why holds were not ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExpiryError {
    /// Whether another node does it cannot be told.
    #[error("cannot take the lease for ending holds")]
    Lease(#[source] LeaseError),
    /// The reservations cannot be read.
    #[error("cannot read which holds have to end")]
    Read(#[source] TableError),
    /// Some of them stay.
    #[error("cannot end {count} of {due} holds, the first of them `{first}`")]
    Holds {
        /// How many.
        count: usize,
        /// How many were due.
        due: usize,
        /// One of them.
        first: String,
        /// Why that one.
        source: supply::Error,
    },
}

pub(super) fn start(inventory: Inventory, supervisor: &Supervisor) {
    let stop = supervisor.clone();
    supervisor.spawn("inventory-expiry", OnFailure::Stop, async move {
        let clock = inventory.office.clock.clone();
        let mut trouble = Trouble::default();
        loop {
            tokio::select! {
                () = clock.sleep(EVERY) => {}
                () = stop.stopping() => return,
            }
            match inventory.expire_due().await {
                Ok(()) => {
                    if let Some(unsaid) = trouble.over() {
                        tracing::info!(unsaid, "holds are ended again");
                    }
                }
                Err(error) => {
                    if let Some(unsaid) = trouble.again(clock.monotonic()) {
                        let error = &error as &dyn std::error::Error;
                        tracing::warn!(error, unsaid, "holds are not ended; trying again");
                    }
                }
            }
        }
    });
}

impl Inventory {
    /// Ends the holds whose time has come, if this node is the one who does it.
    async fn expire_due(&self) -> Result<(), ExpiryError> {
        let office = &self.office;
        let name = format!("{}-expiry", office.chain);
        let lease = office.ledger.lease(&name, office.node, LEASE);
        match lease.await {
            Ok(_) => self.end_due().await,
            Err(LeaseError::Taken { .. }) => Ok(()),
            Err(error) => Err(ExpiryError::Lease(error)),
        }
    }

    /// Ends the holds whose time has come.
    pub(super) async fn end_due(&self) -> Result<(), ExpiryError> {
        let office = &self.office;
        let now = Cell::Integer(office.clock.now().as_millisecond());
        let due = office
            .reservations
            .at_most(&office.chain, UNTIL, now, TOGETHER);
        let due = due.await.map_err(ExpiryError::Read)?;
        let (mut left, mut count) = (None, 0);
        for hold in &due {
            let reference = &hold.document.reference;
            // One that cannot be ended does not keep the others.
            if let Err(source) = self.ask(reference, Request::Expire).await {
                left.get_or_insert((reference.to_string(), source));
                count += 1;
            }
        }
        let due = due.len();
        left.map_or(Ok(()), |(first, source)| {
            Err(ExpiryError::Holds {
                count,
                due,
                first,
                source,
            })
        })
    }
}
