//! What keeps something in the ledger, with a ledger in memory and a clock that is moved by
//! hand, for tests.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, Supervisor, VirtualClock};
use airside_ledger::{Ledger, Options, stores::memory::Memory};

/// A desk at work.
pub(crate) struct Office<D> {
    pub(crate) desk: D,
    pub(crate) clock: Arc<VirtualClock>,
    supervisor: Supervisor,
}

impl<D> Office<D> {
    /// Opens an office with the desk that `make` makes.
    pub(crate) async fn with(make: impl FnOnce(Ledger, Arc<dyn Clock>) -> D) -> Self {
        let clock = Arc::new(VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap()));
        let supervisor = Supervisor::new();
        let store = Arc::new(Memory::new());
        let opened = Ledger::open(store, clock.clone(), &supervisor, Options::default()).await;
        Self {
            desk: make(opened.unwrap(), clock.clone()),
            clock,
            supervisor,
        }
    }

    pub(crate) async fn end(self) {
        drop(self.desk);
        self.supervisor.stop(Duration::from_secs(5)).await;
    }
}
