//! A ledger to test with.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::sync::Arc;

use airside_archive::restore::Folds;
use airside_base::{Clock, Supervisor, TenantId, VirtualClock};
use airside_ledger::{
    Cell, Column, Draft, Fact, Kind, Ledger, Options, Schema, Store,
    stores::{memory::Memory, sqlite::Sqlite},
};
use serde::{Deserialize, Serialize};
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
        let (clock, supervisor) = (clock(), Supervisor::new());
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let ledger = Ledger::open(store, shared, &supervisor, Options::default()).await;
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) hotel: String,
    pub(crate) rooms: i64,
}

#[derive(Debug)]
pub(crate) struct Holds;

const CHANGED: Kind = Kind::new("hold.changed");
const RELEASED: Kind = Kind::new("hold.released");

impl Schema for Holds {
    const NAME: &'static str = "holds";
    type Document = Hold;
    const COLUMNS: &'static [Column<Hold>] = &[
        Column {
            name: "hotel",
            cell: |hold| Some(Cell::Text(hold.hotel.clone())),
        },
        Column {
            name: "rooms",
            cell: |hold| Some(Cell::Integer(hold.rooms)),
        },
    ];

    fn key(fact: Fact<'_>) -> Option<String> {
        fact.kind.is_under("hold").then(|| fact.subject.to_owned())
    }

    fn fold(prior: Option<Hold>, fact: Fact<'_>) -> Option<Hold> {
        if *fact.kind == RELEASED {
            return None;
        }
        let change: Hold = fact.decode().expect("a known body");
        Some(Hold {
            rooms: change.rooms + prior.map_or(0, |prior| prior.rooms),
            ..change
        })
    }
}

pub(crate) fn changed(key: &str, hotel: &str, rooms: i64) -> Draft {
    let body = json!({ "hotel": hotel, "rooms": rooms });
    Draft::new(tenant("a"), CHANGED, 1, key, &body).expect("a draft")
}

pub(crate) fn released(key: &str) -> Draft {
    Draft::new(tenant("a"), RELEASED, 1, key, &json!({})).expect("a draft")
}

/// The tables of these tests.
pub(crate) fn folds() -> Folds {
    Folds::default().with::<Holds>()
}
