//! The engine without the protocol around it.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::{Clock, NodeId, OnFailure, Supervisor};
use airside_ledger::{
    Ledger,
    conversation::Conversations,
    keys::{Keys, memory::MemoryKeys},
    stores::sqlite::Sqlite,
    vault::memory::MemoryVault,
};
use airside_testkit::load::{Histogram, Process};
use airside_travel::{
    Options, Parts, Size, Travel, bench,
    supply::{
        Area, Ask, Calendar, Candidate, Error, Found, Guest, HotelSupply, Party, Search, Selection,
        Stay, Unit,
        ari::{Change, Updates, Weekdays, What},
    },
};
use jiff::{ToSpan as _, civil::Date};

use super::report::{Engine, Times, load_average};

/// In the middle of Europe, where many hotels are near each other.
const MIDDLE: (i32, i32) = (4_885_660, 235_220);
const CANDIDATES: [usize; 3] = [200, 2_000, 20_000];
/// Hotels of one page.
const PAGE: usize = 8;
/// Bookings that are offered a second.
const BOOKINGS: f64 = 100.0;
/// Nights that one message of a hotel is about.
const MESSAGE_NIGHTS: i64 = 200;
/// File with what the entries have made of the hotels.
const SNAPSHOT: &str = "travel.snapshot";
/// Messages that are on their way at once.
const SENDERS: usize = 16;

struct Rig {
    travel: Travel,
    supply: Arc<dyn HotelSupply>,
    ledger: Ledger,
    tasks: Supervisor,
    keeper: Supervisor,
    clock: Arc<dyn Clock>,
}

impl Rig {
    /// Opens a server of this size on the ledger in `file` and waits until it sells.
    async fn open(size: Size, file: &Path, clock: &Arc<dyn Clock>) -> Self {
        let (tasks, keeper) = (Supervisor::new(), Supervisor::new());
        let store = Sqlite::open(file, &keeper).unwrap();
        let store = Arc::new(store);
        let ledger = Ledger::open(store, clock.clone(), &keeper, Default::default()).await;
        let ledger = ledger.unwrap();
        let (keys, vault) = (Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()));
        let keys = Arc::new(Keys::new(keys, vault, clock.clone()));
        let all = Conversations::new(ledger.clone(), keys.clone(), clock.clone(), None);
        let parts = Parts {
            payments: None,
            hold: airside_travel::HOLD,
            conversations: all.of("builtin:travel"),
            keys,
            node: NodeId::generate(&**clock),
            supervisor: tasks.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
        };
        let options = Options {
            seed: 7,
            size,
            snapshot: Some(file.join(SNAPSHOT)),
            ..Options::default()
        };
        let travel = Travel::new(options, parts);
        let supply = travel.supply();
        // Who asks waits until everything is in memory.
        let nothing = supply.commit(&"nothing".parse().unwrap(), &guest()).await;
        assert_eq!(nothing, Err(Error::NotFound));
        Self {
            travel,
            supply,
            ledger,
            tasks,
            keeper,
            clock: clock.clone(),
        }
    }

    async fn close(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
        self.keeper.stop(Duration::from_secs(30)).await;
    }

    fn ask(&self, ahead: i64, nights: i64) -> Ask {
        let today = self.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let from = today.checked_add(ahead.days()).unwrap();
        Ask {
            stay: Stay::new(from, from.checked_add(nights.days()).unwrap()).unwrap(),
            parties: vec![Party {
                adults: 2,
                child_ages: Vec::new(),
            }],
        }
    }

    /// Returns the cheapest `limit` hotels of a circle.
    async fn around(&self, radius_m: u32, ask: &Ask, limit: usize) -> Found {
        let area = Area::Circle {
            lat_e5: MIDDLE.0,
            lon_e5: MIDDLE.1,
            radius_m,
        };
        let every = Search {
            limit,
            ..Search::every(area, ask.clone())
        };
        self.supply.search(&every).await.unwrap()
    }
}

pub(crate) async fn measure(
    size: Size,
    folder: &Path,
    seconds: u64,
    clock: Arc<dyn Clock>,
) -> Engine {
    let before = Process::own().resident_kib().unwrap();
    let file = folder.join(format!("engine-{size:?}.db"));
    let start = clock.monotonic();
    let rig = Rig::open(size, &file, &clock).await;
    let build_s = (clock.monotonic() - start).as_secs_f64();
    let after = Process::own().resident_kib().unwrap();
    let stock = bench::stock(&rig.travel).unwrap();
    let mut told = Engine {
        size: format!("{size:?}"),
        hotels: stock.hotels,
        cells: stock.room_nights,
        memory_mib: after.saturating_sub(before) as f64 / 1024.0,
        build_s,
        load: load_average(),
        ..Engine::default()
    };
    let time = Duration::from_secs(seconds);
    for wanted in CANDIDATES {
        if let Some(found) = searches(&rig, wanted, time / 4).await {
            told.searches.push(found);
        }
    }
    told.calendar = calendars(&rig).await;
    (told.updates_per_s, told.searches_beside_updates) = updates(&rig, time).await;
    (told.hold, told.commit) = bookings(&rig, time).await;
    let heads = rig.ledger.heads().await.unwrap();
    let entries = heads.iter().map(|(_, head)| head.seq).sum();
    rig.close().await;
    told.restart = (entries, restarted(size, &file, &clock).await);
    // One that was never written makes no difference.
    let _ = std::fs::remove_file(file.join(SNAPSHOT));
    told.restart_whole_s = restarted(size, &file, &clock).await;
    told
}

/// Returns how many seconds pass until a server on the ledger in `file` sells.
async fn restarted(size: Size, file: &Path, clock: &Arc<dyn Clock>) -> f64 {
    let begun = clock.monotonic();
    let rig = Rig::open(size, file, clock).await;
    let took = (clock.monotonic() - begun).as_secs_f64();
    rig.close().await;
    took
}

fn guest() -> Guest {
    Guest {
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        email: "ada@example.com".to_owned(),
        phone_number: None,
    }
}

/// Searches a circle in which about `wanted` hotels can take the stay; `None` if there
/// is none.
async fn searches(rig: &Rig, wanted: usize, time: Duration) -> Option<(usize, Times)> {
    let ask = rig.ask(30, 2);
    let (mut low, mut high) = (1_000, 20_000_000);
    while high - low > low / 50 {
        let middle = low + (high - low) / 2;
        match rig.around(middle, &ask, PAGE).await.available < wanted {
            true => low = middle,
            false => high = middle,
        }
    }
    let found = rig.around(high, &ask, PAGE).await.available;
    if found > wanted * 11 / 10 || found < wanted * 9 / 10 {
        return None;
    }
    let mut histogram = Histogram::default();
    let start = rig.clock.monotonic();
    while rig.clock.monotonic() - start < time {
        let begun = rig.clock.monotonic();
        std::hint::black_box(rig.around(high, &ask, PAGE).await);
        histogram.record(rig.clock.monotonic() - begun);
    }
    Some((found, (&histogram).into()))
}

async fn calendars(rig: &Rig) -> Times {
    let ask = rig.ask(20, 2);
    let hotels = rig.around(20_000_000, &ask, 500).await.hotels;
    let mut histogram = Histogram::default();
    for hotel in &hotels {
        let calendar = Calendar {
            from: ask.stay.check_in(),
            days: 62,
            nights: 2,
            parties: ask.parties.clone(),
        };
        let begun = rig.clock.monotonic();
        let arrivals = rig.supply.calendar(&hotel.hotel.id, &calendar).await;
        histogram.record(rig.clock.monotonic() - begun);
        assert_eq!(arrivals.unwrap().len(), 62);
    }
    (&histogram).into()
}

/// Sends messages of hotels as fast as they are made durable, with searches beside.
async fn updates(rig: &Rig, time: Duration) -> (f64, Times) {
    let ask = rig.ask(30, 2);
    let hotels: Arc<[Candidate]> = rig.around(20_000_000, &ask, usize::MAX).await.hotels.into();
    let cells = Arc::new(AtomicU64::new(0));
    let over = Arc::new(AtomicBool::new(false));
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let (supply, clock) = (rig.supply.clone(), rig.clock.clone());
        let (hotels, cells, over) = (hotels.clone(), cells.clone(), over.clone());
        let from = ask.stay.check_in();
        senders.push(rig.tasks.spawn("sender", OnFailure::Stop, async move {
            let mut round = sender;
            while !over.load(Ordering::Relaxed) {
                let hotel = &hotels[round * 7 % hotels.len()];
                let message = message(hotel, from, round as i64, &*clock);
                let applied = supply.apply(&message).await.unwrap();
                cells.fetch_add(applied.cells, Ordering::Relaxed);
                round += SENDERS;
            }
        }));
    }
    let mut histogram = Histogram::default();
    let start = rig.clock.monotonic();
    while rig.clock.monotonic() - start < time {
        let begun = rig.clock.monotonic();
        std::hint::black_box(rig.around(50_000, &ask, PAGE).await);
        histogram.record(rig.clock.monotonic() - begun);
        tokio::task::yield_now().await;
    }
    let took = (rig.clock.monotonic() - start).as_secs_f64();
    let done = cells.load(Ordering::Relaxed);
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.unwrap();
    }
    (done as f64 / took, (&histogram).into())
}

/// New rates, rooms and a shortest stay for the nights of one room type.
fn message(hotel: &Candidate, from: Date, round: i64, clock: &dyn Clock) -> Updates {
    let change = |what| Change {
        room: Some(hotel.offer.room.clone()),
        plan: None,
        from,
        to: from.checked_add((MESSAGE_NIGHTS - 1).days()).unwrap(),
        days: Weekdays::default(),
        what,
    };
    Updates {
        hotel: hotel.hotel.id.clone(),
        sent: clock.now(),
        changes: vec![
            change(What::BaseRate(10_000 + round % 1_000)),
            change(What::Free(20)),
            change(What::MinimumFromArrival(1)),
        ],
    }
}

/// Offers bookings on a schedule; each is a hold and a commit.
async fn bookings(rig: &Rig, time: Duration) -> (Times, Times) {
    let mut asks = Vec::new();
    for ahead in (10..90).step_by(7) {
        let ask = rig.ask(ahead, 2);
        let hotels = rig.around(2_000_000, &ask, 300).await.hotels;
        asks.extend(hotels.into_iter().map(|hotel| (ask.clone(), hotel)));
    }
    let start = rig.clock.monotonic();
    let all = (time.as_secs_f64() * BOOKINGS) as u32;
    let mut under_way = Vec::new();
    for number in 0..all {
        let due = start + Duration::from_secs_f64(f64::from(number) / BOOKINGS);
        rig.clock
            .sleep(due.saturating_sub(rig.clock.monotonic()))
            .await;
        let (ask, hotel) = &asks[number as usize * 31 % asks.len()];
        let wanted = Selection {
            hotel: hotel.hotel.id.clone(),
            stay: ask.stay.clone(),
            units: vec![Unit {
                room: hotel.offer.room.clone(),
                plan: hotel.offer.plan.clone(),
                party: ask.parties[0].clone(),
            }],
            expected_total: None,
        };
        let (supply, clock) = (rig.supply.clone(), rig.clock.clone());
        let (done, booked) = tokio::sync::oneshot::channel();
        rig.tasks.spawn("booking", OnFailure::Log, async move {
            let id = format!("bench-{number}").parse().unwrap();
            let held = supply.hold(&id, &wanted, Duration::from_secs(600)).await;
            let between = clock.monotonic();
            if held.is_ok() {
                supply.commit(&id, &guest()).await.unwrap();
                let _ = done.send((between - due, clock.monotonic() - between));
            }
        });
        under_way.push(booked);
    }
    let (mut holds, mut commits) = (Histogram::default(), Histogram::default());
    for booked in under_way {
        // What was sold out in the meantime took nothing.
        if let Ok((hold, commit)) = booked.await {
            holds.record(hold);
            commits.record(commit);
        }
    }
    ((&holds).into(), (&commits).into())
}
