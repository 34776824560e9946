//! The arrays as a fold of the chain.
//!
//! # Invariants
//!
//! * Each entry becomes part of its hotel once: a hotel knows the last one, and one
//!   that is not behind it is skipped.
//! * Entries about nights that are not kept change nothing that can be sold.

use std::{sync::Arc, time::Duration};

use airside_base::{OnFailure, Supervisor};
use airside_ledger::{Entry, Follower, Query, ReadError};

use super::{
    Inventory, Office,
    block::Block,
    clerk::{Message, clerk_of},
    event::Event,
    fed,
};
use crate::{
    property::{Property, PropertyId},
    shop::first_day,
};

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

fn hotel_of(entry: &Entry) -> Option<PropertyId> {
    entry.subject.parse().ok()
}

/// Folds the whole chain; returns what follows it from there.
pub(super) async fn replay(office: &Arc<Office>) -> Result<Follower, ReadError> {
    let mut follower = office.ledger.follow(office.chain.clone(), 0);
    loop {
        let entries = follower.next_present().await?;
        if entries.is_empty() {
            return Ok(follower);
        }
        for entry in &entries {
            let property = hotel_of(entry).and_then(|id| office.hotels.find(id));
            if let Some(property) = property {
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
            .subject(property.id.to_string())
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
        tokio::select! {
            () = follow(inventory, follower) => {}
            () = stop.stopping() => {}
        }
    });
}

async fn follow(inventory: Inventory, mut follower: Follower) {
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
        for entry in entries {
            let Some(hotel) = hotel_of(&entry) else {
                continue;
            };
            let clerk = &inventory.clerks[clerk_of(hotel, inventory.clerks.len())];
            // A clerk never waits for the log, so this ends.
            if clerk.send(Message::Entry { hotel, entry }).await.is_err() {
                return;
            }
        }
    }
}
