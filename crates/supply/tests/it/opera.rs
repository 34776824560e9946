//! The adapter for OPERA against the simulator, and both against the published files.

use std::{sync::Arc, time::Duration};

use airside_base::{Clock, NodeId, Redacted, Supervisor, VirtualClock};
use airside_ledger::{Ledger, Store, stores::memory::Memory};
use airside_supply::opera::{Access, Facts, Hotel, Opera, Parts};
use airside_testkit::opera::{self, HOTELS, Options, Simulator, Step, Trouble};
use airside_travel::supply::{
    Area, Ask, Calendar, Error, Filter, Guest, HotelSupply, Order, Party, Place, Search, Selection,
    Stay, Unit, contract,
};
use jiff::{ToSpan as _, civil::Date};

use crate::swagger;

pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const TTL: Duration = Duration::from_secs(600);

/// A node that sells over the simulator.
pub(crate) struct Rig {
    pub(crate) simulator: Simulator,
    pub(crate) opera: Arc<Opera>,
    pub(crate) clock: Arc<VirtualClock>,
    store: Arc<dyn Store>,
    tasks: Supervisor,
    /// What outlives a crash of the node.
    house: Supervisor,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        let clock = Arc::new(VirtualClock::new(NOW.parse().unwrap()));
        let house = Supervisor::new();
        let address = "127.0.0.1:0".parse().unwrap();
        let simulator = Simulator::start(address, options, clock.clone(), &house).await;
        let simulator = simulator.unwrap();
        let store: Arc<dyn Store> = Arc::new(Memory::new());
        let (opera, tasks) = open(&simulator, clock.clone(), store.clone(), &house).await;
        Self {
            simulator,
            opera,
            clock,
            store,
            tasks,
            house,
        }
    }

    /// Ends the node, whatever it is doing, and starts it again.
    pub(crate) async fn crash(&mut self) {
        self.tasks.stop(Duration::ZERO).await;
        let (clock, store) = (self.clock.clone(), self.store.clone());
        let opened = open(&self.simulator, clock, store, &self.house).await;
        (self.opera, self.tasks) = opened;
    }

    /// Waits until every hotel is described.
    pub(crate) async fn described(&self) {
        for hotel in HOTELS {
            let id = hotel.code.parse().unwrap();
            let waiting = async {
                while self.opera.describe(&id).await.unwrap().plans.is_empty() {
                    tokio::task::yield_now().await;
                }
            };
            let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
            waited.expect("the hotel is not described");
        }
    }

    pub(crate) async fn stop(self) {
        self.tasks.stop(Duration::from_secs(5)).await;
        self.house.stop(Duration::from_secs(5)).await;
    }
}

async fn open(
    simulator: &Simulator,
    clock: Arc<VirtualClock>,
    store: Arc<dyn Store>,
    house: &Supervisor,
) -> (Arc<Opera>, Supervisor) {
    let tasks = Supervisor::new();
    let clock: Arc<dyn Clock> = clock;
    let ledger = Ledger::open(store, clock.clone(), house, Default::default()).await;
    let parts = Parts {
        node: NodeId::generate(&*clock),
        ledger: ledger.unwrap(),
        clock,
        supervisor: tasks.clone(),
    };
    let hotels = HOTELS.iter().map(hotel).collect();
    (
        Opera::start(access(simulator), hotels, parts).unwrap(),
        tasks,
    )
}

fn access(simulator: &Simulator) -> Access {
    let (user, password) = opera::USER;
    Access {
        base: simulator.url().parse().unwrap(),
        channel: opera::CHANNEL.to_owned(),
        app_key: Some(Redacted::new(opera::APP_KEY.to_owned())),
        username: user.to_owned(),
        password: Redacted::new(password.to_owned()),
        timeout: TIMEOUT,
        concurrency: 8,
        per_second: 1_000,
    }
}

fn hotel(hotel: &opera::Hotel) -> Hotel {
    let place = Place::find(hotel.place).unwrap();
    Hotel {
        code: hotel.code.to_owned(),
        sender: Some("opera".to_owned()),
        facts: Facts {
            id: hotel.code.parse().unwrap(),
            name: hotel.name.to_owned(),
            stars: 4,
            rating: None,
            street: "1 Main Street".to_owned(),
            district: None,
            city: place.id,
            city_name: place.city,
            country: place.country,
            lat_e5: place.lat_e5,
            lon_e5: place.lon_e5,
            distance_m: 0,
            zone: place.zone,
            currency: place.currency,
            check_in_from: "15:00".to_owned(),
            check_out_until: "11:00".to_owned(),
        },
    }
}

pub(crate) fn stay(check_in: Date, nights: i64) -> Stay {
    Stay::new(check_in, check_in.saturating_add(nights.days())).unwrap()
}

pub(crate) fn ask(nights: i64, rooms: usize) -> Ask {
    let party = Party {
        adults: 2,
        child_ages: vec![],
    };
    Ask {
        stay: stay(jiff::civil::date(2026, 12, 15), nights),
        parties: vec![party; rooms],
    }
}

pub(crate) fn wanted(room: &str, nights: i64, rooms: usize) -> Selection {
    let Ask { stay, parties } = ask(nights, rooms);
    let unit = |party| Unit {
        room: room.parse().unwrap(),
        plan: "XDAILY".parse().unwrap(),
        party,
    };
    Selection {
        hotel: "BOSHARBOR".parse().unwrap(),
        stay,
        units: parties.into_iter().map(unit).collect(),
        expected_total: None,
    }
}

pub(crate) fn guest() -> Guest {
    Guest {
        first_name: "Ada".to_owned(),
        last_name: "L".to_owned(),
        email: "ada@example.com".to_owned(),
        phone_number: Some("+14155550123".to_owned()),
    }
}

pub(crate) fn boston(ask: Ask) -> Search {
    let id = Place::find("Boston, US").unwrap().id;
    Search {
        order: Order::Recommended,
        limit: 8,
        ..Search::every(Area::City(id), ask)
    }
}

#[tokio::test]
async fn adapter_keeps_the_contract_of_the_port_in_published_words() {
    let rig = Rig::new().await;
    let (one, longer) = (wanted("A1K", 2, 1), wanted("A1K", 3, 1));
    contract::all(&*rig.opera, "c1", &one, &longer).await;
    let (two, other) = (wanted("A2Q", 2, 2), wanted("A2Q", 4, 2));
    contract::all(&*rig.opera, "c2", &two, &other).await;
    let exchanges = rig.simulator.exchanges();
    assert!(exchanges.len() > 60, "{}", exchanges.len());
    swagger::check(&exchanges);
    rig.stop().await;
}

#[tokio::test]
async fn shop_is_asked_and_answered_in_published_words() {
    let rig = Rig::new().await;
    let found = rig.opera.search(&boston(ask(2, 1))).await.unwrap();
    let mut names: Vec<_> = found
        .hotels
        .iter()
        .map(|hit| hit.hotel.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["Harbor House Boston", "The Common Boston"]);
    // The same question again is answered by what was said before.
    let again = rig.opera.search(&boston(ask(2, 1))).await.unwrap();
    assert!(again.hotels.iter().all(|hit| hit.as_of.is_some()));
    for (room, rooms, offered) in [("A1K", 1, true), ("SUITE", 2, false)] {
        let hotel = "BOSHARBOR".parse().unwrap();
        let offers = rig.opera.offers(&hotel, &ask(2, rooms)).await.unwrap();
        let has = offers
            .offers
            .iter()
            .any(|offer| offer.room.as_str() == room);
        let not = offers
            .not_offered
            .iter()
            .any(|not| not.room.as_str() == room);
        assert_eq!((has, not), (offered, !offered), "{offers:?}");
        // A rate that needs a card is not sold.
        assert!(
            offers
                .offers
                .iter()
                .all(|offer| offer.plan.as_str() != "XCARD")
        );
        assert!(offers.offers.is_sorted_by_key(|offer| offer.price.total));
    }
    // Rates with taxes inside.
    let berlin = "BERMITTE".parse().unwrap();
    let offers = rig.opera.offers(&berlin, &ask(2, 1)).await.unwrap();
    let price = &offers.offers[0].price;
    let sum: i64 = price.lines.iter().map(|line| line.amount).sum();
    assert_eq!(
        (price.room + sum, price.currency.code),
        (price.total, "EUR")
    );
    let calendar = Calendar {
        from: jiff::civil::date(2026, 12, 1),
        days: 62,
        nights: 1,
        parties: ask(1, 1).parties,
    };
    let arrivals = rig.opera.calendar(&berlin, &calendar).await.unwrap();
    assert_eq!(arrivals.len(), 62);
    assert!(
        arrivals.iter().all(|arrival| arrival.cheapest.is_ok()),
        "{arrivals:?}"
    );
    swagger::check(&rig.simulator.exchanges());
    rig.stop().await;
}

#[tokio::test]
async fn filters_and_orders_hold_for_hotels_elsewhere() {
    let rig = Rig::new().await;
    let search = |filter: Filter, order| Search {
        filter,
        order,
        ..boston(ask(2, 1))
    };
    let free = Filter {
        free_cancellation: true,
        ..Filter::default()
    };
    let found = rig.opera.search(&search(free, Order::Price)).await.unwrap();
    let plans: Vec<_> = found
        .hotels
        .iter()
        .map(|hit| hit.offer.plan.as_str())
        .collect();
    assert_eq!(plans, ["XDAILY", "XDAILY"]);
    assert!(found.hotels.is_sorted_by_key(|hit| hit.offer.price.total));
    for (filter, count) in [
        (
            Filter {
                min_stars: 5,
                ..Filter::default()
            },
            0,
        ),
        (
            Filter {
                max_per_night: Some(18_000),
                ..Filter::default()
            },
            1,
        ),
    ] {
        let found = rig
            .opera
            .search(&search(filter, Order::Price))
            .await
            .unwrap();
        assert_eq!(found.available, count, "{filter:?}");
    }
    let far = Search {
        area: Area::City(Place::find("Paris, FR").unwrap().id),
        ..boston(ask(2, 1))
    };
    assert_eq!(rig.opera.search(&far).await.unwrap().available, 0);
    let mut mixed = ask(2, 2);
    mixed.parties[1].adults = 1;
    let refused = rig
        .opera
        .offers(&"BOSHARBOR".parse().unwrap(), &mixed)
        .await;
    assert!(matches!(refused, Err(Error::NotSold { .. })), "{refused:?}");
    rig.stop().await;
}

#[tokio::test]
async fn price_that_moved_is_told_and_nothing_is_kept() {
    let rig = Rig::new().await;
    let mut wanted = wanted("A1K", 2, 1);
    let quoted = rig.opera.quote(&wanted, None).await.unwrap();
    wanted.expected_total = Some(quoted.price.total);
    rig.simulator.dearer("BOSHARBOR", 1_000);
    let name = "moved-1".parse().unwrap();
    let refused = rig.opera.hold(&name, &wanted, TTL).await;
    let now = quoted.price.total + 2_200;
    assert_eq!(refused, Err(Error::PriceChanged { now }));
    assert_eq!(rig.opera.find(&name).await, Ok(None));
    // Between the question and the hold.
    wanted.expected_total = Some(now);
    rig.simulator.trouble(Step::Create, Trouble::Held);
    let moving = async {
        until(|| rig.simulator.troubles_left() == 0).await;
        rig.simulator.dearer("BOSHARBOR", 1_000);
        rig.simulator.go_on();
    };
    let (refused, ()) = tokio::join!(rig.opera.hold(&name, &wanted, TTL), moving);
    let later = now + 2_200;
    assert_eq!(refused, Err(Error::PriceChanged { now: later }));
    assert_eq!(rig.opera.find(&name).await, Ok(None));
    // The same reference can be used for the new price.
    wanted.expected_total = Some(later);
    let held = rig.opera.hold(&name, &wanted, TTL).await.unwrap();
    assert_eq!(held.price.total, later);
    let live = rig.simulator.reservations();
    let live = live
        .iter()
        .filter(|sold| sold.status != opera::Status::Ignored);
    assert_eq!(live.count(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn hold_that_nobody_commits_is_given_back() {
    let rig = Rig::new().await;
    let name = "over-1".parse().unwrap();
    rig.opera
        .hold(&name, &wanted("SUITE", 2, 1), TTL)
        .await
        .unwrap();
    let other = "over-2".parse().unwrap();
    let refused = rig.opera.hold(&other, &wanted("SUITE", 2, 1), TTL).await;
    assert!(matches!(refused, Err(Error::SoldOut { .. })), "{refused:?}");
    rig.clock.advance(TTL);
    until(|| rig.simulator.reservations()[0].status == opera::Status::Ignored).await;
    assert_eq!(rig.opera.commit(&name, &guest()).await, Err(Error::Expired));
    rig.opera
        .hold(&other, &wanted("SUITE", 2, 1), TTL)
        .await
        .unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn tokens_are_replaced_and_secrets_are_not_shown() {
    let rig = Rig::new().await;
    let hotel = "BOSHARBOR".parse().unwrap();
    rig.opera.offers(&hotel, &ask(2, 1)).await.unwrap();
    rig.simulator.forget_tokens();
    rig.opera.offers(&hotel, &ask(2, 1)).await.unwrap();
    rig.clock.advance(Duration::from_secs(4_000));
    rig.opera.offers(&hotel, &ask(2, 1)).await.unwrap();
    let exchanges = rig.simulator.exchanges();
    let asked = exchanges
        .iter()
        .filter(|exchange| exchange.target.contains("oauth2"));
    assert_eq!(asked.count(), 3);
    let shown = format!("{:?} {:?}", rig.opera, access(&rig.simulator));
    assert!(
        !shown.contains(opera::USER.1) && !shown.contains(opera::APP_KEY),
        "{shown}"
    );
    rig.stop().await;
}

#[tokio::test]
async fn gateway_that_does_not_answer_is_left_alone_for_a_while() {
    let rig = Rig::new().await;
    let hotel = "BOSHARBOR".parse().unwrap();
    // What it reads by itself is read.
    rig.described().await;
    for _ in 0..5 {
        rig.simulator.trouble(Step::Shop, Trouble::Status(503));
        let failed = rig.opera.offers(&hotel, &ask(2, 1)).await;
        assert!(
            matches!(failed, Err(Error::Unavailable { .. })),
            "{failed:?}"
        );
    }
    let before = rig.simulator.exchanges().len();
    assert!(before > 5);
    let refused = rig.opera.offers(&hotel, &ask(2, 1)).await;
    assert!(
        matches!(refused, Err(Error::Unavailable { .. })),
        "{refused:?}"
    );
    assert_eq!(rig.simulator.exchanges().len(), 0);
    rig.clock.advance(Duration::from_secs(11));
    rig.opera.offers(&hotel, &ask(2, 1)).await.unwrap();
    rig.stop().await;
}

/// Lets the others work until something is so.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    waited.expect("it has not happened");
}
