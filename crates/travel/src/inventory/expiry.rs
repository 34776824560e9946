//! Ending holds at their time.
//!
//! A reconciler: it looks for holds whose end has come and asks the clerks to end
//! them. It may run twice; a clerk ends a hold once. The lease keeps several nodes
//! from doing the same work, and nothing depends on it.

use std::{mem, time::Duration};

use airside_base::{OnFailure, Supervisor};
use airside_ledger::{Cell, LeaseError, TableError};

use super::{Inventory, decide::Request, event::UNTIL};
use crate::supply;

/// How often holds are looked at: with it a hold ends at most so much late.
const EVERY: Duration = Duration::from_millis(500);
/// A node that is gone is replaced after so long.
const LEASE: Duration = Duration::from_secs(5);
/// Holds that are ended together.
const TOGETHER: usize = 256;
/// Longest time between two lines of the log about what still does not work.
const QUIET: Duration = Duration::from_secs(60);

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

/// Keeps what fails again and again from filling the log: it is told at once, and then
/// after pauses that double up to [`QUIET`].
#[derive(Debug, Default)]
struct Trouble {
    /// Zero while everything works.
    pause: Duration,
    /// When it is told next, on the monotonic clock.
    next: Duration,
    unsaid: u64,
}

impl Trouble {
    /// Takes note of a failure. If it is to be told, returns how many have not been told
    /// since the last one that was.
    fn again(&mut self, now: Duration) -> Option<u64> {
        if !self.pause.is_zero() && now < self.next {
            self.unsaid += 1;
            return None;
        }
        self.pause = (self.pause * 2).clamp(EVERY, QUIET);
        self.next = now + self.pause;
        Some(mem::take(&mut self.unsaid))
    }

    /// Takes note that it works. If it did not before, returns how many failures have not
    /// been told.
    fn over(&mut self) -> Option<u64> {
        let failed = !self.pause.is_zero();
        let Self { unsaid, .. } = mem::take(self);
        failed.then_some(unsaid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_for_an_hour_is_told_every_minute() {
        let mut trouble = Trouble::default();
        let mut told = Vec::new();
        let looks = 2 * 3600;
        for look in 0..looks {
            let now = EVERY * look;
            told.extend(trouble.again(now).map(|unsaid| (now.as_secs(), unsaid)));
        }
        let begin = [(0, 0), (0, 0), (1, 1), (3, 3), (7, 7), (15, 15), (31, 31)];
        assert_eq!(told[..7], begin);
        assert_eq!(told[7..10], [(63, 63), (123, 119), (183, 119)]);
        assert_eq!(told.len(), 66);
        let unsaid: u64 = told.iter().map(|(_, unsaid)| unsaid).sum();
        let rest = trouble.over().unwrap();
        assert_eq!(unsaid + rest + 66, u64::from(looks));
        assert_eq!(trouble.over(), None, "it works");
        assert_eq!(trouble.again(EVERY * looks), Some(0), "told at once again");
    }
}
