//! Many who want the same rooms.

use airside_base::{Redacted, SystemClock};
use airside_ledger::stores::postgres::Postgres;
use airside_testkit::postgres::{ROLE, Server};
use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::inventory::{
    clerk::{Answer, Asked, Message, clerk_of},
    decide::Request,
};
use crate::supply::{
    RoomCode,
    ari::{Change, Updates, Weekdays, What},
};

/// Leaves `rooms` of the wanted type for sale on the nights of January 2027.
async fn leave(house: &House, wanted: &Selection, rooms: u16) {
    let updates = Updates {
        hotel: wanted.hotel.clone(),
        sent: house.clock.now(),
        changes: vec![Change {
            room: Some(wanted.units[0].room.clone()),
            plan: None,
            from: date(2027, 1, 1),
            to: date(2027, 3, 31),
            days: Weekdays::default(),
            what: What::Free(rooms),
        }],
    };
    house.inventory.apply(&updates).await.unwrap();
}

/// Holds and books; what fails for another reason than a lack of rooms panics.
async fn book(house: &House, id: &Reference, wanted: &Selection) -> bool {
    loop {
        match house.inventory.hold(id, wanted, TTL).await {
            Ok(_) => break,
            Err(Error::SoldOut { .. }) => return false,
            Err(Error::Unavailable { .. }) => {}
            Err(error) => panic!("{id}: {error}"),
        }
    }
    loop {
        match house.inventory.commit(id, &guest()).await {
            Ok(booked) => return matches!(booked.state, State::Booked { .. }),
            Err(Error::Unavailable { .. }) => {}
            Err(error) => panic!("{id}: {error}"),
        }
    }
}

async fn caught_up(house: &House, hotel: &supply::HotelId) {
    let property = sell::property(&house.hotels, hotel).unwrap();
    log::catch_up(&house.inventory.office, &property)
        .await
        .unwrap();
}

#[track_caller]
fn same_booking(a: &House, b: &House, hotel: &supply::HotelId) {
    assert_eq!(a.taken(hotel), b.taken(hotel));
    assert_eq!((a.oversold(hotel).max(0), b.oversold(hotel).max(0)), (0, 0));
}

/// `clients` on each of two nodes want the last `rooms`; each asks twice at once.
async fn race(a: &House, b: &House, clients: usize, rooms: u16) {
    let (wanted, _) = wanted(&a.inventory, 1).await;
    leave(a, &wanted, rooms).await;
    let ids: Vec<_> = (0..2 * clients)
        .map(|i| reference(&format!("r{i}")))
        .collect();
    let tries = ids.iter().enumerate().map(|(i, id)| {
        let house = if i % 2 == 0 { a } else { b };
        let wanted = &wanted;
        async move {
            let (first, second) = tokio::join!(book(house, id, wanted), book(house, id, wanted));
            assert_eq!(first, second, "{id}");
            first
        }
    });
    let booked = join_all(tries).await;
    assert_eq!(
        booked.iter().filter(|booked| **booked).count(),
        usize::from(rooms)
    );
    caught_up(a, &wanted.hotel).await;
    caught_up(b, &wanted.hotel).await;
    same_booking(a, b, &wanted.hotel);
    for (id, booked) in ids.iter().zip(booked) {
        let found = b.inventory.find(id).await.unwrap();
        let is_booked = found.is_some_and(|found| matches!(found.state, State::Booked { .. }));
        assert_eq!(is_booked, booked, "{id}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn last_rooms_are_sold_once() {
    let house = House::open(Arc::new(Memory::new())).await;
    race(&house, &house, 32, 5).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_sell_the_last_rooms_once() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let a = House::open(store.clone()).await;
    let b = House::with_clock(store, a.clock.clone()).await;
    race(&a, &b, 16, 3).await;
    a.tasks.request_stop();
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_on_postgres_sell_the_last_rooms_once() {
    let server = Server::start().expect("a server");
    let database = server.database("inventory").expect("a database");
    let owner = Redacted::new(database.owner_url.clone());
    Postgres::initialize(&owner, ROLE).await.expect("tables");
    let tasks = Supervisor::new();
    let mut houses = Vec::new();
    for _ in 0..2 {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let url = Redacted::new(database.url.clone());
        let store = Postgres::open(&url, clock, &tasks).await.expect("open");
        houses.push(House::open(Arc::new(store)).await);
    }
    race(&houses[0], &houses[1], 8, 3).await;
    for house in houses {
        house.stop().await;
    }
    tasks.request_stop();
}

/// A decision on a reservation as it was some time ago gives back rooms that are back
/// already. The ledger refuses it; undone, it must leave as many rooms as there were, no
/// fewer (they would be lost) and no more (they would be sold twice).
#[tokio::test]
async fn what_was_given_back_twice_is_neither_lost_nor_sold_twice() {
    const ROOMS: u16 = 5;
    let house = House::open(Arc::new(Memory::new())).await;
    let (wanted, _) = wanted(&house.inventory, 1).await;
    let property = sell::property(&house.hotels, &wanted.hotel).unwrap();
    log::with_block(&house.inventory.office, &property, |block| {
        block.taken.fill(0);
    });
    leave(&house, &wanted, ROOMS).await;
    let all = Selection {
        units: vec![wanted.units[0].clone(); usize::from(ROOMS)],
        ..wanted.clone()
    };
    for (at, give_back) in [Request::Release, Request::Cancel { accepted: i64::MAX }]
        .into_iter()
        .enumerate()
    {
        let id = reference(&format!("twice{at}"));
        house.inventory.hold(&id, &all, TTL).await.unwrap();
        if at == 1 {
            house.inventory.commit(&id, &guest()).await.unwrap();
        }
        let table = &house.inventory.office.reservations;
        let chain = &house.inventory.office.chain;
        let then = table.find(chain, id.as_str()).await.unwrap();
        house.inventory.ask(&id, give_back.clone()).await.unwrap();
        let (answer, answered) = oneshot::channel();
        let asked = Asked::Request {
            request: Box::new(give_back),
            prior: then.map(Box::new),
            answer,
        };
        let clerk = &house.inventory.clerks[clerk_of(property.id, house.inventory.clerks.len())];
        let message = Message::Asked {
            hotel: property.id,
            asked,
        };
        clerk.send(message).await.unwrap();
        assert!(matches!(answered.await, Ok(Answer::Again)));
        assert!(house.taken(&wanted.hotel).iter().all(|taken| *taken == 0));
    }
    for at in 0..=ROOMS {
        let held = house
            .inventory
            .hold(&reference(&format!("one{at}")), &wanted, TTL)
            .await;
        assert_eq!(held.is_ok(), at < ROOMS, "{at}: {held:?}");
    }
    assert_eq!(house.oversold(&wanted.hotel), 0);
    house.stop().await;
}

/// What somebody may do.
#[derive(Debug, Clone)]
enum Step {
    Hold {
        id: usize,
        night: i8,
        nights: i8,
        rooms: u8,
    },
    Commit {
        id: usize,
    },
    Release {
        id: usize,
    },
    Cancel {
        id: usize,
    },
    Modify {
        id: usize,
        night: i8,
        nights: i8,
        rooms: u8,
    },
    Wait {
        minutes: u8,
    },
}

const IDS: usize = 6;

fn any_step() -> impl Strategy<Value = (bool, Step)> {
    let id = 0..IDS;
    let (night, nights, rooms) = (0_i8..4, 1_i8..4, 1_u8..4);
    let step = prop_oneof![
        4 => (id.clone(), night.clone(), nights.clone(), rooms.clone())
            .prop_map(|(id, night, nights, rooms)| Step::Hold { id, night, nights, rooms }),
        3 => id.clone().prop_map(|id| Step::Commit { id }),
        1 => id.clone().prop_map(|id| Step::Release { id }),
        1 => id.clone().prop_map(|id| Step::Cancel { id }),
        2 => (id, night, nights, rooms)
            .prop_map(|(id, night, nights, rooms)| Step::Modify { id, night, nights, rooms }),
        1 => (0_u8..8).prop_map(|minutes| Step::Wait { minutes }),
    ];
    (any::<bool>(), step)
}

/// The obvious inventory: a list of what everybody has.
#[derive(Default)]
struct Ledgerless {
    rooms: usize,
    had: Vec<Option<Had>>,
    now_min: u64,
}

#[derive(Clone, PartialEq)]
struct Had {
    first: i8,
    end: i8,
    rooms: usize,
    /// Minute in which a hold ends; `None` for a booking.
    until_min: Option<u64>,
    /// It takes no rooms any more.
    over: bool,
    /// It is not what was held for it.
    changed: bool,
}

impl Ledgerless {
    fn free(&self, night: i8, but: usize) -> usize {
        let others = self.had.iter().enumerate().filter(|(i, _)| *i != but);
        let on = |had: &&Had| !had.over && (had.first..had.end).contains(&night);
        let taken: usize = others
            .filter_map(|(_, had)| had.as_ref())
            .filter(on)
            .map(|had| had.rooms)
            .sum();
        self.rooms - taken
    }

    fn fits(&self, first: i8, nights: i8, rooms: usize, but: usize) -> bool {
        (first..first + nights).all(|night| self.free(night, but) >= rooms)
    }

    /// Returns whether the step is to succeed.
    fn step(&mut self, step: &Step) -> bool {
        let now = self.now_min;
        match *step {
            Step::Hold {
                id,
                night,
                nights,
                rooms,
            } => {
                let wanted = (night, night + nights, usize::from(rooms));
                if let Some(had) = &self.had[id] {
                    let same = (had.first, had.end, had.rooms) == wanted;
                    return (same || had.changed) && !had.over;
                }
                let fits = self.fits(night, nights, wanted.2, usize::MAX);
                if fits {
                    self.had[id] = Some(Had {
                        first: wanted.0,
                        end: wanted.1,
                        rooms: wanted.2,
                        until_min: Some(now + 10),
                        over: false,
                        changed: false,
                    });
                }
                fits
            }
            Step::Commit { id } => match &mut self.had[id] {
                Some(had) if !had.over && had.until_min.is_none_or(|until| until > now) => {
                    had.until_min = None;
                    true
                }
                _ => false,
            },
            Step::Release { id } => match &mut self.had[id] {
                Some(had) if had.until_min.is_some() => {
                    had.over = true;
                    true
                }
                _ => false,
            },
            Step::Cancel { id } => match &mut self.had[id] {
                Some(had) if had.until_min.is_none() => {
                    had.over = true;
                    true
                }
                _ => false,
            },
            Step::Modify {
                id,
                night,
                nights,
                rooms,
            } => {
                let rooms = usize::from(rooms);
                let booked = |had: &&Had| had.until_min.is_none() && !had.over;
                let is_booked = self.had[id].as_ref().filter(booked).is_some();
                let fits = is_booked && self.fits(night, nights, rooms, id);
                if let (true, Some(had)) = (fits, &mut self.had[id]) {
                    (had.first, had.end, had.rooms) = (night, night + nights, rooms);
                    had.changed = true;
                }
                fits
            }
            Step::Wait { minutes } => {
                self.now_min += u64::from(minutes);
                for had in self.had.iter_mut().flatten() {
                    let due = had.until_min.is_some_and(|until| until <= self.now_min);
                    had.over |= due;
                }
                true
            }
        }
    }
}

/// Clears all restrictions of a hotel for the nights of the test and leaves rooms.
async fn plain(house: &House, wanted: &Selection, rooms: u16) {
    let room: RoomCode = wanted.units[0].room.clone();
    let change = |room: Option<RoomCode>, what| Change {
        room,
        plan: None,
        from: date(2027, 1, 1),
        to: date(2027, 3, 31),
        days: Weekdays::default(),
        what,
    };
    let updates = Updates {
        hotel: wanted.hotel.clone(),
        sent: house.clock.now(),
        changes: vec![
            change(Some(room.clone()), What::Closed(false)),
            change(Some(room), What::Free(rooms)),
            change(None, What::ClosedToArrival(false)),
            change(None, What::ClosedToDeparture(false)),
            change(None, What::MinimumFromArrival(0)),
            change(None, What::MinimumThrough(0)),
        ],
    };
    house.inventory.apply(&updates).await.unwrap();
}

async fn play(steps: Vec<(bool, Step)>) {
    const ROOMS: u16 = 5;
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let a = House::open(store.clone()).await;
    let b = House::with_clock(store.clone(), a.clock.clone()).await;
    let (base, _) = wanted(&a.inventory, 1).await;
    plain(&a, &base, ROOMS).await;
    let before = a.taken(&base.hotel);
    let selection = |night: i8, nights: i8, rooms: u8| Selection {
        stay: stay(date(2027, 2, 1 + night), i64::from(nights)),
        units: vec![base.units[0].clone(); usize::from(rooms)],
        ..base.clone()
    };
    let mut model = Ledgerless {
        rooms: usize::from(ROOMS),
        had: vec![None; IDS],
        now_min: 0,
    };
    for (at, (on_b, step)) in steps.iter().enumerate() {
        let house = if *on_b { &b } else { &a };
        let id = |id: usize| reference(&format!("p{id}"));
        let done = match *step {
            Step::Hold {
                id: i,
                night,
                nights,
                rooms,
            } => {
                let wanted = selection(night, nights, rooms);
                house.inventory.hold(&id(i), &wanted, TTL).await.is_ok()
            }
            Step::Commit { id: i } => house.inventory.commit(&id(i), &guest()).await.is_ok(),
            Step::Release { id: i } => house.inventory.release(&id(i)).await.is_ok(),
            Step::Cancel { id: i } => house.inventory.cancel(&id(i), i64::MAX).await.is_ok(),
            Step::Modify {
                id: i,
                night,
                nights,
                rooms,
            } => {
                let change = reference(&format!("change{at}"));
                let wanted = selection(night, nights, rooms);
                house
                    .inventory
                    .modify(&id(i), &change, &wanted)
                    .await
                    .is_ok()
            }
            Step::Wait { minutes } => {
                a.clock
                    .advance(Duration::from_secs(60 * u64::from(minutes)));
                house.inventory.end_due().await.unwrap();
                true
            }
        };
        assert_eq!(done, model.step(step), "step {at}: {step:?} of {steps:?}");
    }
    caught_up(&a, &base.hotel).await;
    caught_up(&b, &base.hotel).await;
    same_booking(&a, &b, &base.hotel);
    let more: i64 = a
        .taken(&base.hotel)
        .iter()
        .zip(&before)
        .map(|(now, then)| i64::from(*now) - i64::from(*then))
        .sum();
    let had = model.had.iter().flatten().filter(|had| !had.over);
    let expected: i64 = had
        .map(|had| i64::from(had.end - had.first) * had.rooms as i64)
        .sum();
    assert_eq!(more, expected);
    let clock = a.clock.clone();
    a.tasks.request_stop();
    b.tasks.request_stop();
    let again = House::with_clock(store, clock).await;
    assert_eq!(again.taken(&base.hotel), a.taken(&base.hotel));
    again.tasks.request_stop();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn two_nodes_do_what_one_list_does(steps in proptest::collection::vec(any_step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}
