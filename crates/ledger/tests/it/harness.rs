//! A ledger to test with.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::Arc;

use airside_base::{Clock, Supervisor, TenantId, VirtualClock};
use airside_ledger::{
    Draft, Entry, Kind, Ledger, Options, Store,
    stores::{memory::Memory, sqlite::Sqlite},
};
use serde_json::json;

pub(crate) struct Rig {
    pub(crate) ledger: Ledger,
    pub(crate) clock: VirtualClock,
    pub(crate) supervisor: Supervisor,
}

pub(crate) fn clock() -> VirtualClock {
    VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap())
}

impl Rig {
    pub(crate) async fn on(store: Arc<dyn Store>) -> Self {
        Self::with(store, Options::default()).await
    }

    pub(crate) async fn with(store: Arc<dyn Store>, options: Options) -> Self {
        let (clock, supervisor) = (clock(), Supervisor::new());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let ledger = Ledger::open(store, shared, &supervisor, options).await;
        Self {
            ledger: ledger.unwrap(),
            clock,
            supervisor,
        }
    }

    pub(crate) async fn stop(self) {
        let left = self
            .supervisor
            .stop(std::time::Duration::from_secs(20))
            .await;
        assert_eq!(left, 0, "everything ends");
    }
}

/// Both stores; the folder lives as long as the second value.
pub(crate) fn stores() -> (Vec<Arc<dyn Store>>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Sqlite::open(folder.path(), &Supervisor::new()).unwrap();
    (vec![Arc::new(Memory::new()), Arc::new(sqlite)], folder)
}

pub(crate) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

pub(crate) fn draft(owner: &str, number: u64) -> Draft {
    let kind = Kind::new("test.happened");
    let body = json!({ "number": number });
    Draft::new(tenant(owner), kind, 1, "subject", &body).unwrap()
}

pub(crate) fn numbers(entries: &[Entry]) -> Vec<u64> {
    let number = |entry: &Entry| {
        let body: serde_json::Value = entry.decode().unwrap();
        body["number"].as_u64().unwrap()
    };
    entries.iter().map(number).collect()
}
