//! The rules of hotel distribution, through the port.

use proptest::prelude::*;

use super::*;
use crate::supply::{
    Applied, Calendar, Offer, PlanCode, Rule,
    ari::{Band, Change, RateCard, Updates, Weekdays, What},
};

/// A hotel in Boston with the offers of a stay.
struct Inn {
    house: House,
    wanted: Selection,
}

impl Inn {
    async fn open() -> Self {
        let house = House::open(Arc::new(Memory::new())).await;
        let (wanted, _) = wanted(&house.inventory, 3).await;
        Self { house, wanted }
    }

    fn at(&self, room: bool, plan: Option<&str>, what: What) -> Change {
        Change {
            room: room.then(|| self.wanted.units[0].room.clone()),
            plan: plan.map(|plan| plan.parse().unwrap()),
            from: self.wanted.stay.check_in(),
            to: self.wanted.stay.check_in(),
            days: Weekdays::default(),
            what,
        }
    }

    /// Applies changes that were sent `age` seconds ago.
    async fn send(&self, age: i64, changes: Vec<Change>) -> Result<Applied, Error> {
        let updates = Updates {
            hotel: self.wanted.hotel.clone(),
            sent: self.house.clock.now() - jiff::SignedDuration::from_secs(age),
            changes,
        };
        self.house.inventory.apply(&updates).await
    }

    async fn quote(&self) -> Result<i64, Error> {
        let quoted = self.house.inventory.quote(&self.wanted, None).await;
        quoted.map(|quoted| quoted.price.total)
    }

    async fn offers(&self) -> Vec<Offer> {
        let ask = Ask {
            stay: self.wanted.stay.clone(),
            parties: two(),
        };
        let offers = self.house.inventory.offers(&self.wanted.hotel, &ask).await;
        offers.unwrap().offers
    }
}

#[tokio::test]
async fn value_that_was_sent_later_counts_whenever_it_arrives() {
    let inn = Inn::open().await;
    let date = inn.wanted.stay.check_in();
    let closed = |closed| vec![inn.at(true, None, What::Closed(closed))];
    let applied = |cells, superseded| {
        Ok(Applied {
            cells,
            superseded,
            outside: 0,
        })
    };
    assert_eq!(inn.send(10, closed(true)).await, applied(1, 0));
    let refused = Err(Error::Restricted(Rule::Closed(date)));
    assert_eq!(inn.quote().await, refused);
    assert_eq!(
        inn.send(20, closed(false)).await,
        applied(0, 1),
        "it is older"
    );
    assert_eq!(inn.quote().await, refused);
    assert_eq!(inn.send(5, closed(false)).await, applied(1, 0));
    assert_eq!(
        inn.send(10, closed(true)).await,
        applied(0, 1),
        "a duplicate"
    );
    assert!(inn.quote().await.is_ok());
    inn.house.stop().await;
}

#[tokio::test]
async fn closed_at_any_level_is_closed_and_other_products_stay_open() {
    let inn = Inn::open().await;
    let plan = inn.wanted.units[0].plan.clone();
    let own = Some(plan.as_str());
    let before = inn.offers().await.len();
    let mine = |offers: &[Offer]| {
        let mut offers = offers.iter();
        offers.any(|o| o.plan == plan && o.room == inn.wanted.units[0].room)
    };
    for (room, of_plan) in [(false, None), (true, None), (false, own), (true, own)] {
        let set = |closed| vec![inn.at(room, of_plan, What::Closed(closed))];
        inn.send(0, set(true)).await.unwrap();
        let offers = inn.offers().await;
        assert!(!mine(&offers), "{room} {of_plan:?}");
        let all = !room && of_plan.is_none();
        assert_eq!(offers.is_empty(), all, "{room} {of_plan:?}");
        inn.send(0, set(false)).await.unwrap();
        assert_eq!(inn.offers().await.len(), before);
    }
    inn.house.stop().await;
}

#[tokio::test]
async fn departure_is_closed_on_the_day_of_departure_only() {
    let inn = Inn::open().await;
    let (check_in, check_out) = (inn.wanted.stay.check_in(), inn.wanted.stay.check_out());
    for (what, date, expected) in [
        (What::ClosedToDeparture(true), check_in, None),
        (What::ClosedToArrival(true), check_out, None),
        (
            What::ClosedToDeparture(true),
            check_out,
            Some(Rule::ClosedToDeparture(check_out)),
        ),
        (
            What::ClosedToArrival(true),
            check_in,
            Some(Rule::ClosedToArrival(check_in)),
        ),
    ] {
        let change = Change {
            from: date,
            to: date,
            ..inn.at(false, None, what.clone())
        };
        inn.send(0, vec![change.clone()]).await.unwrap();
        let judged = inn.quote().await.map(drop);
        let expected = expected.map_or(Ok(()), |rule| Err(Error::Restricted(rule)));
        assert_eq!(judged, expected, "{what:?} on {date}");
        let reset = Change {
            what: What::Reset,
            ..change
        };
        inn.send(0, vec![reset]).await.unwrap();
    }
    inn.house.stop().await;
}

#[tokio::test]
async fn lengths_windows_and_limits_of_a_plan_hold_for_it() {
    let inn = Inn::open().await;
    let plan = inn.wanted.units[0].plan.as_str();
    let (one, through) = (Some(plan), What::MinimumThrough(3));
    let window = |min_days, max_days| What::BookingWindow { min_days, max_days };
    for (what, rule) in [
        (What::Lengths(vec![true, false]), Rule::LengthOfStay),
        (window(Some(400), None), Rule::BookingWindow),
        (window(None, Some(3)), Rule::BookingWindow),
        (through, Rule::MinimumStay(3)),
        (What::MaximumFromArrival(1), Rule::MaximumStay(1)),
    ] {
        inn.send(0, vec![inn.at(false, one, what)]).await.unwrap();
        assert_eq!(inn.quote().await, Err(Error::Restricted(rule)));
        inn.send(0, vec![inn.at(false, one, What::Reset)])
            .await
            .unwrap();
        assert!(inn.quote().await.is_ok(), "{rule:?}");
    }
    inn.house.stop().await;
}

#[tokio::test]
async fn allowance_is_sold_beyond_the_rooms_that_exist() {
    let inn = Inn::open().await;
    let whole = |what| Change {
        to: inn.wanted.stay.check_out(),
        ..inn.at(true, None, what)
    };
    inn.send(9, vec![whole(What::Free(0))]).await.unwrap();
    assert!(matches!(inn.quote().await, Err(Error::SoldOut { .. })));
    inn.send(5, vec![whole(What::Free(1))]).await.unwrap();
    let a = reference("a");
    inn.house
        .inventory
        .hold(&a, &inn.wanted, TTL)
        .await
        .unwrap();
    let late = inn
        .house
        .inventory
        .hold(&reference("b"), &inn.wanted, TTL)
        .await;
    assert!(matches!(late, Err(Error::SoldOut { .. })), "{late:?}");
    inn.send(0, vec![whole(What::Allowance(2_000))])
        .await
        .unwrap();
    inn.house
        .inventory
        .hold(&reference("b"), &inn.wanted, TTL)
        .await
        .unwrap();
    assert!(inn.house.oversold(&inn.wanted.hotel) <= 0);
    inn.house.stop().await;
}

#[tokio::test]
async fn rooms_of_several_types_are_taken_together_or_not_at_all() {
    let inn = Inn::open().await;
    let offers = inn.offers().await;
    let first = &inn.wanted.units[0];
    let other = offers.iter().find(|offer| offer.room != first.room);
    let other = other.expect("the hotel has several types of room");
    let both = Selection {
        units: vec![
            first.clone(),
            Unit {
                room: other.room.clone(),
                plan: other.plan.clone(),
                party: two().remove(0),
            },
        ],
        ..inn.wanted.clone()
    };
    let inventory = &inn.house.inventory;
    let alone = inn.quote().await.unwrap();
    let quoted = inventory.quote(&both, None).await.unwrap();
    let lines: i64 = quoted.price.lines.iter().map(|line| line.amount).sum();
    assert_eq!(quoted.price.room + lines, quoted.price.total);
    // Each levy is rounded once for all rooms, not once for each.
    assert!((quoted.price.total - alone - other.price.total).abs() <= lines_of(&quoted.price));
    let before = inn.house.taken(&inn.wanted.hotel);
    let held = inventory
        .hold(&reference("both"), &both, TTL)
        .await
        .unwrap();
    assert_eq!(held.price, quoted.price);
    inventory.release(&reference("both")).await.unwrap();
    let gone = Change {
        room: Some(other.room.clone()),
        from: inn.wanted.stay.check_out().yesterday().unwrap(),
        to: inn.wanted.stay.check_out(),
        ..inn.at(true, None, What::Free(0))
    };
    inn.send(0, vec![gone]).await.unwrap();
    let refused = inventory.hold(&reference("none"), &both, TTL).await;
    assert!(matches!(refused, Err(Error::SoldOut { .. })), "{refused:?}");
    assert_eq!(inn.house.taken(&inn.wanted.hotel), before);
    inn.house.stop().await;
}

fn lines_of(price: &supply::Price) -> i64 {
    price.lines.len() as i64
}

#[tokio::test]
async fn prices_by_guests_replace_the_plans_own() {
    let inn = Inn::open().await;
    let plan = inn.wanted.units[0].plan.clone();
    let card = RateCard {
        adults: vec![8_000, 10_000],
        extra_adult: None,
        children: vec![Band {
            from: 3,
            below: 13,
            amount: 1_500,
        }],
    };
    let change = Change {
        to: inn.wanted.stay.check_out(),
        ..inn.at(true, Some(plan.as_str()), What::Rate(card))
    };
    inn.send(0, vec![change]).await.unwrap();
    for (adults, child_ages, night) in [
        (1, vec![], Ok(8_000)),
        (2, vec![], Ok(10_000)),
        (1, vec![5], Ok(9_500)),
        // Outside of every band a child pays as an adult, and so many are not priced.
        (2, vec![1], Err(Error::Occupancy)),
    ] {
        let mut wanted = inn.wanted.clone();
        wanted.units[0].party = Party { adults, child_ages };
        let quoted = inn.house.inventory.quote(&wanted, None).await;
        let nights = quoted.map(|quoted| quoted.price.nightly[0].1);
        assert_eq!(nights, night, "{:?}", wanted.units[0].party);
    }
    inn.house.stop().await;
}

#[tokio::test]
async fn message_that_cannot_be_applied_changes_nothing() {
    let inn = Inn::open().await;
    let before = inn.quote().await;
    let good = inn.at(true, None, What::Closed(true));
    let plan: Option<&str> = Some("FLEX");
    let unknown = Change {
        room: Some("XXX".parse().unwrap()),
        ..good.clone()
    };
    let backwards = Change {
        to: good.from.yesterday().unwrap(),
        ..good.clone()
    };
    for bad in [
        unknown,
        backwards,
        inn.at(true, plan, What::Free(1)),
        inn.at(false, None, What::BaseRate(1)),
        inn.at(true, None, What::BaseRate(-1)),
        inn.at(true, None, What::BaseRate(i64::MAX)),
        inn.at(true, Some("NOPE"), What::Closed(true)),
    ] {
        let refused = inn.send(0, vec![good.clone(), bad.clone()]).await;
        let at_one = matches!(refused, Err(Error::Update { index: 1, .. }));
        assert!(at_one, "{bad:?}: {refused:?}");
    }
    assert_eq!(inn.quote().await, before);
    inn.house.stop().await;
}

#[tokio::test]
async fn calendar_says_what_the_offers_say() {
    let inn = Inn::open().await;
    let calendar = Calendar {
        from: date(2026, 11, 20),
        days: 62,
        nights: 2,
        parties: two(),
    };
    let hotel = &inn.wanted.hotel;
    let inventory = &inn.house.inventory;
    let arrivals = inventory.calendar(hotel, &calendar).await.unwrap();
    assert_eq!(arrivals.len(), 62);
    let mut open = 0;
    for arrival in &arrivals {
        let ask = Ask {
            stay: stay(arrival.date, 2),
            parties: two(),
        };
        let offers = inventory.offers(hotel, &ask).await;
        match (&arrival.cheapest, offers) {
            (Ok((total, Some((room, plan)))), Ok(offers)) => {
                let first = &offers.offers[0];
                assert_eq!(*total, first.price.total, "{}", arrival.date);
                let found = offers.offers.iter();
                let mut same = found.filter(|o| (&o.room, &o.plan) == (room, plan));
                assert_eq!(same.next().map(|o| o.price.total), Some(*total));
                open += 1;
            }
            (Ok((_, None)), Ok(_)) => panic!("{}: of no room", arrival.date),
            (Err(_), Ok(offers)) => assert!(offers.offers.is_empty(), "{}", arrival.date),
            (Err(why), Err(error)) => assert_eq!(*why, error),
            (Ok(_), Err(error)) => panic!("{}: {error}", arrival.date),
        }
    }
    assert!(open > 10, "{open}");
    let more = Calendar {
        days: 63,
        ..calendar
    };
    let refused = inventory.calendar(hotel, &more).await;
    assert!(matches!(refused, Err(Error::Range { .. })));
    inn.house.stop().await;
}

#[tokio::test]
async fn nights_that_enter_the_window_are_those_of_the_seed_and_bookings_stay() {
    let inn = Inn::open().await;
    let a = reference("a");
    inn.house
        .inventory
        .hold(&a, &inn.wanted, TTL)
        .await
        .unwrap();
    inn.house.inventory.commit(&a, &guest()).await.unwrap();
    let days = 30;
    inn.house.clock.advance(Duration::from_secs(days * 86_400));
    let property = sell::property(&inn.house.hotels, &inn.wanted.hotel).unwrap();
    let now = inn.house.clock.now();
    let rolled = inn.house.hotels.look(&property, now, Block::clone);
    let fresh = Hotels::new(7, Size::Demonstration, crate::house::Houses::default());
    let fresh = fresh.look(&property, now, Block::clone);
    assert_eq!(rolled.rates, fresh.rates);
    assert_eq!(rolled.rules, fresh.rules);
    let more = rolled.taken.iter().zip(&fresh.taken);
    let more: i32 = more.map(|(a, b)| i32::from(*a) - i32::from(*b)).sum();
    assert_eq!(more, inn.wanted.stay.length() as i32);
    inn.house.stop().await;
}

#[tokio::test]
async fn total_of_a_search_is_the_total_of_the_booking() {
    let house = House::open(Arc::new(Memory::new())).await;
    for (at, (night, nights, adults, child_ages)) in [
        (3, 1, 1, vec![]),
        (20, 3, 2, vec![4, 9]),
        (47, 7, 2, vec![]),
        (90, 2, 3, vec![16]),
    ]
    .into_iter()
    .enumerate()
    {
        let from = date(2026, 12, 1).checked_add(night.days()).unwrap();
        let ask = Ask {
            stay: stay(from, nights),
            parties: vec![Party { adults, child_ages }; 1 + at % 2],
        };
        let area = Area::City(BOSTON);
        let every = Search::every(area, ask.clone());
        let found = house.inventory.search(&every).await.unwrap().hotels;
        assert!(found.is_sorted_by_key(|candidate| candidate.offer.price.total));
        for (nth, candidate) in found.into_iter().enumerate() {
            let unit = |party: &Party| Unit {
                room: candidate.offer.room.clone(),
                plan: candidate.offer.plan.clone(),
                party: party.clone(),
            };
            let wanted = Selection {
                hotel: candidate.hotel.id.clone(),
                stay: ask.stay.clone(),
                units: ask.parties.iter().map(unit).collect(),
                expected_total: Some(candidate.offer.price.total),
            };
            let id = reference(&format!("t-{at}-{nth}"));
            let held = house.inventory.hold(&id, &wanted, TTL).await.unwrap();
            assert_eq!(held.price.total, candidate.offer.price.total);
            let booked = house.inventory.commit(&id, &guest()).await.unwrap();
            assert_eq!(booked.price.total, candidate.offer.price.total);
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn stays_outside_of_what_is_sold_are_refused() {
    let inn = Inn::open().await;
    let unit = inn.wanted.units[0].clone();
    let long = date(2026, 11, 22);
    let far = date(2028, 11, 22);
    for (stay, units) in [
        (stay(long, 1), vec![unit.clone()]),
        (stay(far, 1), vec![unit.clone()]),
        (inn.wanted.stay.clone(), vec![]),
        (inn.wanted.stay.clone(), vec![unit.clone(); 90]),
    ] {
        let wanted = Selection {
            stay,
            units,
            ..inn.wanted.clone()
        };
        let refused = inn
            .house
            .inventory
            .hold(&reference("r"), &wanted, TTL)
            .await;
        assert!(matches!(refused, Err(Error::Range { .. })), "{refused:?}");
    }
    let plan: PlanCode = "NOPE".parse().unwrap();
    let mut wanted = inn.wanted.clone();
    wanted.units[0].plan = plan;
    let refused = inn
        .house
        .inventory
        .hold(&reference("r"), &wanted, TTL)
        .await;
    assert!(matches!(refused, Err(Error::NotSold { .. })), "{refused:?}");
    inn.house.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn circle_finds_the_cities_that_all_cities_find(
        lat in prop_oneof![Just(-9_000_000), Just(9_000_000), -9_000_000..=9_000_000],
        lon in prop_oneof![Just(17_999_999), Just(-18_000_000), -18_000_000..18_000_000],
        radius_m in prop_oneof![1_000_u32..500_000, Just(3_000_000)],
    ) {
        let hotels = Hotels::new(7, Size::Demonstration, crate::house::Houses::default());
        let atlas = hotels.atlas();
        let mut found = atlas.within((lat, lon), radius_m);
        found.sort_unstable();
        let near = |city: &crate::places::CityIndex| {
            let place = atlas.city(*city);
            crate::property::distance_m((lat, lon), (place.lat_e5, place.lon_e5)) <= radius_m
        };
        let mut all: Vec<_> = (0..).map_while(|i| atlas.at(i)).filter(near).collect();
        all.sort_unstable();
        prop_assert_eq!(found, all);
    }
}
