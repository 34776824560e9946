use std::{sync::Arc, time::Duration};

use airside_base::{Clock, NodeId, Supervisor, VirtualClock};
use airside_ledger::{Ledger, Options, Store, stores::memory::Memory};
use jiff::{ToSpan as _, civil::date};

use super::*;
use crate::{
    house::Houses,
    property::Size,
    supply::{
        self, Area, Ask, Error, Guest, HotelSupply, Party, Reference, Search, Selection, State,
        Stay, Unit,
    },
};

mod own;
mod races;
mod rules;

pub(super) const NOW: &str = "2026-11-23T12:00:00Z";
const BOSTON: u32 = 4_930_956;

pub(super) fn guest() -> Guest {
    Guest {
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        email: "ada@example.com".to_owned(),
        phone_number: None,
    }
}

/// A node that sells.
pub(super) struct House {
    pub clock: Arc<VirtualClock>,
    pub inventory: Inventory,
    pub hotels: Arc<Hotels>,
    pub tasks: Supervisor,
    /// What the ledger runs on: a crash of the node leaves the store open.
    keeper: Supervisor,
}

impl House {
    pub(super) async fn open(store: Arc<dyn Store>) -> Self {
        Self::with_clock(store, Arc::new(VirtualClock::new(NOW.parse().unwrap()))).await
    }

    pub(super) async fn with_clock(store: Arc<dyn Store>, clock: Arc<VirtualClock>) -> Self {
        Self::with_snapshot(store, clock, None).await
    }

    async fn with_snapshot(
        store: Arc<dyn Store>,
        clock: Arc<VirtualClock>,
        snapshot: Option<std::path::PathBuf>,
    ) -> Self {
        let hotels = Hotels::new(7, Size::Demonstration, Houses::default());
        Self::of(store, clock, snapshot, hotels).await
    }

    async fn of(
        store: Arc<dyn Store>,
        clock: Arc<VirtualClock>,
        snapshot: Option<std::path::PathBuf>,
        hotels: Hotels,
    ) -> Self {
        let tasks = Supervisor::new();
        let keeper = Supervisor::new();
        let ledger = Ledger::open(store, clock.clone(), &keeper, Options::default()).await;
        let ledger = ledger.unwrap();
        let hotels = Arc::new(hotels);
        let node = NodeId::generate(&*clock);
        let inventory = Inventory::start(
            hotels.clone(),
            ledger,
            clock.clone(),
            node,
            snapshot,
            &tasks,
        );
        inventory.ready().await;
        Self {
            clock,
            inventory,
            hotels,
            tasks,
            keeper,
        }
    }

    pub(super) async fn stop(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
        self.keeper.stop(Duration::from_secs(5)).await;
    }

    /// Returns how many rooms are taken, by room type of the hotel and night.
    pub(super) fn taken(&self, hotel: &supply::HotelId) -> Vec<i16> {
        let property = sell::property(&self.hotels, hotel).unwrap();
        let now = self.clock.now();
        self.hotels
            .look(&property, now, |block| block.taken.to_vec())
    }

    pub(super) fn oversold(&self, hotel: &supply::HotelId) -> i32 {
        let property = sell::property(&self.hotels, hotel).unwrap();
        let now = self.clock.now();
        self.hotels.look(&property, now, |block| block.oversold())
    }
}

pub(super) fn two() -> Vec<Party> {
    vec![Party {
        adults: 2,
        child_ages: Vec::new(),
    }]
}

pub(super) fn stay(from: jiff::civil::Date, nights: i64) -> Stay {
    Stay::new(from, from.checked_add(nights.days()).unwrap()).unwrap()
}

/// Returns a selection in Boston of which at least `left` rooms are left, and one of
/// another length in the same hotel.
pub(super) async fn wanted(supply: &dyn HotelSupply, left: u16) -> (Selection, Selection) {
    for day in 0..40_i64 {
        let from = date(2027, 1, 10).checked_add(day.days()).unwrap();
        let ask = |nights| Ask {
            stay: stay(from, nights),
            parties: two(),
        };
        let (short, long) = (ask(2), ask(3));
        let area = Area::City(BOSTON);
        for hotel in supply
            .search(&Search::every(area, long.clone()))
            .await
            .unwrap()
            .hotels
        {
            let hotel = hotel.hotel.id;
            let offers = supply.offers(&hotel, &short).await.unwrap().offers;
            let longer = supply.offers(&hotel, &long).await.unwrap().offers;
            let both = offers.iter().find(|offer| {
                let mut longer = longer.iter();
                let same = longer.find(|l| (&l.room, &l.plan) == (&offer.room, &offer.plan));
                offer.left >= left && same.is_some_and(|same| same.left >= left)
            });
            if let Some(offer) = both {
                let selection = |ask: &Ask| Selection {
                    hotel: hotel.clone(),
                    stay: ask.stay.clone(),
                    units: vec![Unit {
                        room: offer.room.clone(),
                        plan: offer.plan.clone(),
                        party: ask.parties[0].clone(),
                    }],
                    expected_total: None,
                };
                return (selection(&short), selection(&long));
            }
        }
    }
    panic!("Boston is full");
}

pub(super) fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

pub(super) const TTL: Duration = Duration::from_secs(600);

#[tokio::test]
async fn inventory_is_a_supplier() {
    let house = House::open(Arc::new(Memory::new())).await;
    let (wanted, longer) = wanted(&house.inventory, 2).await;
    supply::contract::all(&house.inventory, "c", &wanted, &longer).await;
    assert_eq!(house.oversold(&wanted.hotel), 0);
    house.stop().await;
}

#[tokio::test]
async fn restart_brings_back_what_was_sold() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let house = House::open(store.clone()).await;
    let (wanted, longer) = wanted(&house.inventory, 3).await;
    let before = house.taken(&wanted.hotel);
    let (a, b) = (reference("a"), reference("b"));
    house.inventory.hold(&a, &wanted, TTL).await.unwrap();
    let booked = house.inventory.commit(&a, &guest()).await.unwrap();
    house.inventory.hold(&b, &longer, TTL).await.unwrap();
    let after = house.taken(&wanted.hotel);
    assert_ne!(before, after);
    let clock = house.clock.clone();
    house.tasks.request_stop();
    let again = House::with_clock(store, clock).await;
    assert_eq!(again.taken(&wanted.hotel), after);
    assert_eq!(again.inventory.find(&a).await, Ok(Some(booked)));
    // The crash came between hold and commit: the hold is still there to be booked.
    let booked = again.inventory.commit(&b, &guest()).await.unwrap();
    assert!(matches!(booked.state, State::Booked { .. }));
    for id in [&a, &b] {
        again.inventory.cancel(id, i64::MAX).await.unwrap();
    }
    assert_eq!(again.taken(&wanted.hotel), before);
    again.stop().await;
}

#[tokio::test]
async fn hold_ends_once_at_its_time() {
    let house = House::open(Arc::new(Memory::new())).await;
    let (wanted, _) = wanted(&house.inventory, 1).await;
    let before = house.taken(&wanted.hotel);
    let id = reference("late");
    house.inventory.hold(&id, &wanted, TTL).await.unwrap();
    house.clock.advance(TTL - Duration::from_millis(1));
    house.inventory.end_due().await.unwrap();
    let held = house.inventory.find(&id).await.unwrap().unwrap();
    assert!(matches!(held.state, State::Held { .. }));
    house.clock.advance(Duration::from_millis(1));
    assert_eq!(
        house.inventory.commit(&id, &guest()).await,
        Err(Error::Expired)
    );
    let both = tokio::join!(house.inventory.end_due(), house.inventory.end_due());
    assert!(matches!(both, (Ok(()), Ok(()))));
    assert_eq!(house.taken(&wanted.hotel), before);
    assert_eq!(
        house.inventory.commit(&id, &guest()).await,
        Err(Error::Expired)
    );
    let again = house.inventory.hold(&id, &wanted, TTL).await;
    assert_eq!(again, Err(Error::Expired));
    let ended = house.inventory.release(&id).await.unwrap();
    assert!(matches!(ended.state, State::Expired { .. }));
    assert_eq!(house.taken(&wanted.hotel), before);
    house.stop().await;
}

#[tokio::test]
async fn start_with_a_snapshot_is_a_start_with_the_whole_chain() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("inventory.snapshot");
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let house = House::open(store.clone()).await;
    let (wanted, longer) = wanted(&house.inventory, 3).await;
    let closed = supply::Updates {
        hotel: wanted.hotel.clone(),
        sent: house.clock.now(),
        changes: vec![supply::ari::Change {
            room: Some(wanted.units[0].room.clone()),
            plan: Some("BB".parse().unwrap()),
            from: wanted.stay.check_in(),
            to: wanted.stay.check_out(),
            days: supply::ari::Weekdays::default(),
            what: supply::ari::What::Closed(true),
        }],
    };
    let (a, b) = (reference("a"), reference("b"));
    house.inventory.hold(&a, &wanted, TTL).await.unwrap();
    house.inventory.apply(&closed).await.unwrap();
    let office = &house.inventory.office;
    let head = office.ledger.head(&office.chain).await.unwrap();
    assert_eq!(snapshot::write(office, &path, head).unwrap(), 1);
    house.inventory.hold(&b, &longer, TTL).await.unwrap();
    let property = sell::property(&house.hotels, &wanted.hotel).unwrap();
    let now = house.clock.now();
    let whole = |house: &House| {
        house.hotels.look(&property, now, |block| {
            let fed = serde_json::to_value(&block.fed).unwrap();
            let (taken, rates) = (block.taken.clone(), block.rates.clone());
            (taken, rates, fed, block.applied)
        })
    };
    let expected = whole(&house);
    house.tasks.request_stop();
    let clock = house.clock.clone();
    let open = |path: &std::path::Path| {
        House::with_snapshot(store.clone(), clock.clone(), Some(path.to_owned()))
    };
    let again = open(&path).await;
    assert_eq!(whole(&again), expected);
    let loaded = snapshot::load(&again.inventory.office, &path).await;
    assert_eq!(loaded.unwrap(), head.seq);
    again.tasks.request_stop();
    // A cut file is no snapshot, and neither is one of another chain.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let cut = open(&path).await;
    assert!(snapshot::load(&cut.inventory.office, &path).await.is_err());
    assert_eq!(whole(&cut), expected);
    cut.tasks.request_stop();
    std::fs::write(&path, &bytes).unwrap();
    let other = House::open(Arc::new(Memory::new())).await;
    let refused = snapshot::load(&other.inventory.office, &path).await;
    assert!(
        matches!(refused, Err(snapshot::Error::Other)),
        "{refused:?}"
    );
    other.stop().await;
}
