//! The rooms that are for sale here, and who has taken them.
//!
//! # Invariants
//!
//! * `sold + held ≤ physical + allowance` for every room type and night, after any
//!   interleaving and on any number of nodes: whoever takes a room appends to the
//!   ledger and names the version of the hotel that the decision was made on
//!   ([`event::Homes`]). A lost race is decided again.
//! * What is acknowledged is durable. The arrays are a fold of the seed and the
//!   inventory's chain, and each entry is part of them once.
//! * Within a node one [clerk] decides for a hotel, one request behind the other.
//! * Nothing is cached beside the arrays, and no lock is held while the ledger writes.

mod block;
mod build;
mod calendar;
mod clerk;
mod decide;
mod describe;
mod event;
mod expiry;
mod fed;
mod log;
mod sell;
mod shelves;
mod snapshot;
mod supplier;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::Duration};

use airside_base::{Clock, NodeId, OnFailure, Supervisor, TenantId};
use airside_ledger::{Ledger, Table};
use tokio::sync::{mpsc, watch};

use self::clerk::{Clerk, Message};
pub(crate) use self::{
    block::{Block, Own},
    fed::sells,
    sell::refusal,
    shelves::{Shelf, Shelves},
};
pub use self::{
    event::{Homes, Reservations},
    fed::pattern,
};
use crate::{
    property::{Size, World},
    shop::Hotels,
    supply::About,
};

/// Tasks that decide. A hotel has one of them; the more there are, the less one
/// append carries.
const CLERKS: usize = 8;
/// Requests that may wait for one clerk; beyond it callers are told to come again.
const WAITING: usize = 1024;
/// Pause after a failed attempt to read the chain.
const PAUSE: Duration = Duration::from_secs(1);

/// What travellers should know about hotels of which none is generated.
const OWN: &str = "Hotels, prices, taxes and availability are as the hotels state them.";
/// The same where some are.
const MIXED: &str = "Hotels whose id begins with htl_ are a demonstration: they are generated and do not exist. The others are as they state themselves.";
/// What travellers should know about generated hotels.
const NOTICE: &str = "Demonstration inventory: these hotels are generated and do not exist; prices and taxes are illustrative.";

/// Our own hotels as a supplier. Clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Inventory {
    office: Arc<Office>,
    clerks: Arc<[mpsc::Sender<Message>]>,
    ready: watch::Receiver<bool>,
}

/// What the clerks share.
#[derive(Debug)]
pub(crate) struct Office {
    hotels: Arc<Hotels>,
    about: About,
    /// The chain of this world: one home for all who sell from it.
    chain: TenantId,
    ledger: Ledger,
    reservations: Table<Reservations>,
    homes: Table<Homes>,
    clock: Arc<dyn Clock>,
    node: NodeId,
    /// Where a snapshot is kept.
    snapshot: Option<PathBuf>,
}

impl Inventory {
    /// Begins to sell the rooms of `hotels`. What waits for
    /// [`Inventory::ready`] sees every entry of the chain.
    pub(crate) fn start(
        hotels: Arc<Hotels>,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        node: NodeId,
        snapshot: Option<PathBuf>,
        supervisor: &Supervisor,
    ) -> Self {
        let chain = format!("travel-{:016x}", hotels.world().fingerprint());
        let about = About {
            fingerprint: hotels.world().fingerprint(),
            notice: notice(hotels.world()).into(),
        };
        let office = Arc::new(Office {
            hotels,
            about,
            chain: chain.parse().expect("hexadecimal digits are a name"),
            reservations: Table::new(ledger.clone()),
            homes: Table::new(ledger.clone()),
            ledger,
            clock,
            node,
            snapshot,
        });
        let (senders, receivers): (Vec<_>, Vec<_>) =
            (0..CLERKS).map(|_| mpsc::channel(WAITING)).unzip();
        let (set_ready, ready) = watch::channel(false);
        let inventory = Self {
            office,
            clerks: senders.into(),
            ready,
        };
        let begin = inventory
            .clone()
            .begin(receivers, set_ready, supervisor.clone());
        supervisor.spawn("inventory", OnFailure::Stop, begin);
        inventory
    }

    async fn begin(
        self,
        receivers: Vec<mpsc::Receiver<Message>>,
        ready: watch::Sender<bool>,
        supervisor: Supervisor,
    ) {
        build::all(&self.office, &supervisor).await;
        let follower = loop {
            let error = match log::replay(&self.office).await {
                Ok(follower) => break follower,
                Err(error) => error,
            };
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "the inventory cannot read its chain and does not sell yet"
            );
            tokio::select! {
                () = self.office.clock.sleep(PAUSE) => {}
                () = supervisor.stopping() => return,
            }
        };
        for receiver in receivers {
            Clerk::new(self.office.clone(), receiver).start(&supervisor);
        }
        log::keep_up(self.clone(), follower, &supervisor);
        expiry::start(self, &supervisor);
        ready.send_replace(true);
    }

    pub(crate) fn hotels(&self) -> &Hotels {
        &self.office.hotels
    }

    /// Resolves when everything that was sold before is known.
    pub(crate) async fn ready(&self) {
        let mut ready = self.ready.clone();
        if ready.wait_for(|ready| *ready).await.is_err() {
            // It was told to stop before it knew; nobody is served any more.
            std::future::pending::<()>().await;
        }
    }
}

/// Returns what travellers should know about the hotels of a world.
fn notice(world: &World) -> &'static str {
    match (world.size(), world.registry().houses.is_empty()) {
        (_, true) => NOTICE,
        (Size::None, false) => OWN,
        (_, false) => MIXED,
    }
}
