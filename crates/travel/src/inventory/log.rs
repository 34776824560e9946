//! The arrays as a fold of the chain.
//!
//! # Invariants
//!
//! * Each entry becomes part of its hotel once: a hotel knows the last one, and one
//!   that is not behind it is skipped.
//! * Entries about nights that are not kept change nothing that can be sold.

use std::{io::ErrorKind, path::PathBuf, sync::Arc, time::Duration};

use airside_base::{OnFailure, Supervisor};
use airside_ledger::{Entry, Follower, Head, Query, ReadError};
use tokio::sync::oneshot;

use super::{
    Inventory, Office,
    block::Block,
    clerk::{Message, clerk_of},
    event::Event,
    fed,
    snapshot::{self, Keeper},
};
use crate::{property::Property, shop::first_day};

/// Pause after a failed read.
const PAUSE: Duration = Duration::from_secs(1);

/// Changes one hotel as it is today. Its city stays in memory from now on.
pub(super) fn with_block<R>(
    office: &Office,
    property: &Property,
    change: impl FnOnce(&mut Block) -> R,
) -> R {
    let (world, atlas) = office.hotels.source();
    let first = first_day(office.clock.now());
    let shelves = office.hotels.shelves();
    let shelf = shelves.pin(world, atlas, property.city, first);
    let index = usize::from(property.id.index);
    let block = shelf.write(index, (world, atlas), first);
    change(&mut block.expect("every property has its place on the shelf of its city"))
}

/// Makes `entry` part of its hotel unless it is.
pub(super) fn apply(office: &Office, property: &Property, entry: &Entry) {
    let Some(event) = Event::of(entry) else {
        return;
    };
    let (world, atlas) = office.hotels.source();
    with_block(office, property, |block| {
        if entry.seq <= block.applied {
            return;
        }
        let (freed, taken) = event.rooms(block);
        if let Some(claim) = freed {
            claim.free(block);
        }
        if let Some(claim) = taken {
            claim.take(block);
        }
        if let Event::Updated { updates } = &event {
            fed::apply(block, world, atlas, updates);
        }
        block.applied = entry.seq;
    });
}

/// Returns the hotel that an entry is about. One that is not there any more has
/// bookings that can be read and nothing that could be sold.
fn hotel_of(office: &Office, entry: &Entry) -> Option<Property> {
    office.hotels.find(&entry.subject)
}

/// Folds the whole chain, or what a snapshot leaves of it; returns what follows it from
/// there.
pub(super) async fn replay(office: &Arc<Office>) -> Result<Follower, ReadError> {
    let after = match &office.snapshot {
        Some(path) => match snapshot::load(office, path).await {
            Ok(seq) => seq,
            Err(snapshot::Error::File(error)) if error.kind() == ErrorKind::NotFound => 0,
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the snapshot of the inventory is not used"
                );
                0
            }
        },
        None => 0,
    };
    let mut follower = office.ledger.follow(office.chain.clone(), after);
    loop {
        let entries = follower.next_present().await?;
        if entries.is_empty() {
            return Ok(follower);
        }
        for entry in &entries {
            if let Some(property) = hotel_of(office, entry) {
                apply(office, &property, entry);
            }
        }
    }
}

/// Makes what other nodes wrote about one hotel part of it, now.
pub(super) async fn catch_up(office: &Office, property: &Property) -> Result<(), ReadError> {
    loop {
        let applied = with_block(office, property, |block| block.applied);
        let query = Query::new(office.chain.clone())
            .subject(property.code())
            .after(applied);
        let entries = office.ledger.read(query).await?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in &entries {
            apply(office, property, entry);
        }
    }
}

/// Hands the entries that come to the clerks of their hotels.
pub(super) fn keep_up(inventory: Inventory, follower: Follower, supervisor: &Supervisor) {
    let stop = supervisor.clone();
    supervisor.spawn("inventory-log", OnFailure::Stop, async move {
        let tasks = stop.clone();
        tokio::select! {
            () = follow(inventory, follower, tasks) => {}
            () = stop.stopping() => {}
        }
    });
}

async fn follow(inventory: Inventory, mut follower: Follower, tasks: Supervisor) {
    let mut keeper = inventory.office.snapshot.clone().map(Keeper::new);
    loop {
        let entries = match follower.next().await {
            Ok(entries) => entries,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the inventory cannot read its chain"
                );
                inventory.office.clock.sleep(PAUSE).await;
                continue;
            }
        };
        let count = entries.len();
        let head = entries.last().map(Entry::head);
        for entry in entries {
            let Some(hotel) = hotel_of(&inventory.office, &entry) else {
                continue;
            };
            let hotel = hotel.id;
            let clerk = &inventory.clerks[clerk_of(hotel, inventory.clerks.len())];
            // A clerk never waits for the log, so this ends.
            if clerk.send(Message::Entry { hotel, entry }).await.is_err() {
                return;
            }
        }
        let due = keeper.as_mut().and_then(|keeper| keeper.is_due(count));
        if let (Some(path), Some(head)) = (due, head) {
            save(&inventory, path, head, &tasks).await;
        }
    }
}

/// Writes a snapshot once every clerk has taken in the entries up to `head`.
async fn save(inventory: &Inventory, path: PathBuf, head: Head, tasks: &Supervisor) {
    for clerk in inventory.clerks.iter() {
        let (done, passed) = oneshot::channel();
        if clerk.send(Message::Barrier(done)).await.is_err() || passed.await.is_err() {
            return;
        }
    }
    let office = inventory.office.clone();
    let (done, written) = oneshot::channel();
    let work = move || {
        match snapshot::write(&office, &path, head) {
            Ok(hotels) => tracing::info!(hotels, seq = head.seq, "inventory snapshot written"),
            Err(error) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the snapshot of the inventory cannot be written"
            ),
        }
        let _ = done.send(());
    };
    if tasks
        .spawn_thread("inventory-snapshot", OnFailure::Log, work)
        .is_ok()
    {
        // One at a time; entries wait in the ledger meanwhile.
        let _ = written.await;
    }
}
