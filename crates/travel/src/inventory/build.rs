//! Putting all hotels into memory before the first is sold.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::available_parallelism,
};

use airside_base::{OnFailure, Supervisor};
use tokio::sync::mpsc;

use super::Office;

/// Builds the hotels of all cities, with a thread per processor. Worlds of which only a
/// part may be in memory are left as they are.
pub(super) async fn all(office: &Arc<Office>, supervisor: &Supervisor) {
    if office.hotels.world().size().resident() == usize::MAX {
        build(office, supervisor).await;
    }
}

async fn build(office: &Arc<Office>, supervisor: &Supervisor) {
    let next = Arc::new(AtomicU32::new(0));
    let (done, mut ended) = mpsc::channel::<()>(1);
    for _ in 0..available_parallelism().map_or(1, usize::from) {
        let (office, next, done) = (office.clone(), next.clone(), done.clone());
        let stop = supervisor.clone();
        let started = supervisor.spawn_thread("inventory-build", OnFailure::Stop, move || {
            let now = office.clock.now();
            let atlas = office.hotels.atlas();
            while let Some(city) = atlas.at(next.fetch_add(1, Ordering::Relaxed)) {
                if stop.is_stopping() {
                    break;
                }
                office.hotels.shelf(city, now);
            }
            drop(done);
        });
        if let Err(error) = started {
            // The first who asks for a city builds it.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "no thread to put hotels into memory"
            );
        }
    }
    drop(done);
    // Nothing is sent: the channel closes with the last thread.
    ended.recv().await;
    tracing::info!(
        hotels = office.hotels.shelves().resident(),
        "all hotels are in memory"
    );
}
