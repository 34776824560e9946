//! How often a price that was shown was still right when rooms were held for it.
//!
//! Prices of searches may come from a cache, of ours or of a supplier. How good it is
//! shows where a traveller chose one of them: the total is asked again before rooms are
//! held, and either it is the same or it has changed.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Offers that rooms were held for since the server started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prices {
    /// All of them.
    pub held: u64,
    /// Those whose total was another one than the traveller had seen.
    pub changed: u64,
}

/// Counts them.
#[derive(Debug, Default)]
pub(super) struct Accuracy {
    held: AtomicU64,
    changed: AtomicU64,
}

impl Accuracy {
    /// Notes that rooms were held for an offer that had been shown with a total.
    pub(super) fn note(&self, has_changed: bool) {
        self.held.fetch_add(1, Relaxed);
        self.changed.fetch_add(u64::from(has_changed), Relaxed);
    }

    pub(super) fn so_far(&self) -> Prices {
        // Read first, so that it is never more than all of them.
        let changed = self.changed.load(Relaxed);
        Prices {
            held: self.held.load(Relaxed),
            changed,
        }
    }
}
