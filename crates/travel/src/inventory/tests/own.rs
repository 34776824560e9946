//! A hotel group's own hotels.

use jiff::civil::date;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    house::{File, Houses},
    supply::{Filter, Order, ari, ari::Change},
};

fn file() -> Value {
    json!({ "hotel": [{
        "id": "harbor-boston", "name": "Harbor Light", "stars": 4, "place": "Boston, Massachusetts",
        "street": "12 Long Wharf", "position": "42.36010, -71.04960", "zone": "America/New_York",
        "currency": "USD", "single-percent": 90, "extra-adult": "35.00",
        "room": [
            { "code": "KNG", "name": "King", "count": 3, "overbooking": 1, "adults": 2, "children": 1,
              "guests": 3, "price": "200.00", "weekend-price": "250.00" },
            { "code": "FAM-2Q", "name": "Family", "count": 2, "adults": 4, "children": 3, "guests": 5,
              "price": "300.00" },
        ],
        "plan": [
            { "code": "BAR", "name": "Best rate", "free-days": 1, "free-until": "16:00" },
            { "code": "BB", "name": "With breakfast", "breakfast": "24.00", "child-breakfast": "12.00",
              "free-days": 1, "late-fee": "full", "payment": "guarantee" },
            { "code": "EARLY", "name": "Early", "percent": 85, "advance-days": 14, "payment": "full" },
        ],
        "levy": [
            { "name": "Tax", "kind": "tax", "collected": "at-booking", "percent": "14.95" },
            { "name": "Fee", "kind": "fee", "collected": "at-hotel", "amount": "18.00" },
        ],
        "child": [{ "below": 6, "price": "0" }, { "below": 13, "price": "20.00" }],
    }] })
}

fn houses(file: &Value) -> Houses {
    let text = file.to_string();
    let file: File = serde_json::from_value(file.clone()).unwrap();
    Houses::read(&file, &text).unwrap()
}

async fn open(store: Arc<dyn Store>, file: &Value, snapshot: Option<std::path::PathBuf>) -> House {
    let clock = Arc::new(VirtualClock::new(NOW.parse().unwrap()));
    let hotels = Hotels::new(7, Size::None, houses(file));
    House::of(store, clock, snapshot, hotels).await
}

fn selection(room: &str, plan: &str, party: Party) -> Selection {
    Selection {
        hotel: "harbor-boston".parse().unwrap(),
        // Thursday to Saturday.
        stay: stay(date(2027, 1, 14), 2),
        units: vec![Unit {
            room: room.parse().unwrap(),
            plan: plan.parse().unwrap(),
            party,
        }],
        expected_total: None,
    }
}

fn party(adults: u8, child_ages: &[u8]) -> Party {
    Party {
        adults,
        child_ages: child_ages.to_vec(),
    }
}

async fn check(house: &House, room: &str, plan: &str, guests: Party, nightly: [i64; 2]) {
    let wanted = selection(room, plan, guests);
    let quoted = house.inventory.quote(&wanted, None);
    let price = quoted.await.unwrap().price;
    let found: Vec<_> = price.nightly.iter().map(|(_, amount)| *amount).collect();
    assert_eq!(found, nightly, "{room} {plan}");
    let rates: i64 = nightly.iter().sum();
    let tax = crate::money::scale(rates, 1_495, 10_000);
    assert_eq!(price.total, rates + tax + 2 * 1_800, "{room} {plan}");
}

#[tokio::test]
async fn own_hotel_is_priced_as_its_file_says() {
    let house = open(Arc::new(Memory::new()), &file(), None).await;
    check(&house, "KNG", "BAR", party(2, &[]), [20_000, 25_000]).await;
    check(&house, "KNG", "BAR", party(1, &[]), [18_000, 22_500]).await;
    check(&house, "KNG", "EARLY", party(2, &[]), [17_000, 21_250]).await;
    // A baby is free and a child of eight pays; one of fourteen is an adult.
    check(&house, "FAM-2Q", "BAR", party(2, &[3, 8]), [32_000, 32_000]).await;
    check(&house, "FAM-2Q", "BAR", party(2, &[14]), [33_500, 33_500]).await;
    check(&house, "FAM-2Q", "BB", party(2, &[8]), [38_000, 38_000]).await;
    house.stop().await;
}

#[tokio::test]
async fn own_terms_are_those_of_the_file() {
    let house = open(Arc::new(Memory::new()), &file(), None).await;
    let quote = async |plan| {
        let wanted = selection("KNG", plan, party(2, &[]));
        house.inventory.quote(&wanted, None).await.unwrap()
    };
    let (bar, breakfast, early) = (quote("BAR").await, quote("BB").await, quote("EARLY").await);
    let deadline = |quoted: &supply::Quoted| quoted.cancellation.free_until().unwrap().to_string();
    assert_eq!(deadline(&bar), "2027-01-13T21:00:00Z");
    assert_eq!(deadline(&breakfast), "2027-01-13T23:00:00Z");
    let late = |quoted: &supply::Quoted| quoted.cancellation.tiers.last().unwrap().penalty;
    assert_eq!(late(&bar), 20_000);
    assert_eq!(late(&breakfast), breakfast.price.total);
    assert_eq!(late(&early), early.price.total);
    assert_eq!(bar.prepay, supply::Prepay::None);
    let amount = breakfast.price.total;
    assert_eq!(breakfast.prepay, supply::Prepay::Guarantee { amount });
    let amount = early.price.total - 2 * 1_800;
    assert_eq!(early.prepay, supply::Prepay::Now { amount });
    // Three days ahead it is too late to book early.
    let mut soon = selection("KNG", "EARLY", party(2, &[]));
    soon.stay = stay(date(2026, 11, 26), 2);
    let refused = house.inventory.quote(&soon, None).await;
    assert!(matches!(refused, Err(Error::NotSold { .. })), "{refused:?}");
    house.stop().await;
}

#[tokio::test]
async fn own_hotel_is_found_described_and_keeps_the_contract() {
    let house = open(Arc::new(Memory::new()), &file(), None).await;
    let search = Search {
        area: Area::City(BOSTON),
        ask: Ask {
            stay: stay(date(2027, 1, 14), 2),
            parties: two(),
        },
        filter: Filter::default(),
        order: Order::default(),
        from: 0,
        limit: 10,
    };
    let found = house.inventory.search(&search).await.unwrap();
    assert_eq!((found.available, found.hotels.len()), (1, 1));
    let brief = &found.hotels[0].hotel;
    assert_eq!(
        (brief.id.as_str(), brief.name.as_str()),
        ("harbor-boston", "Harbor Light")
    );
    assert_eq!(brief.rating, None);
    let hotel = house.inventory.describe(&brief.id).await.unwrap();
    let rooms: Vec<_> = hotel
        .room_types
        .iter()
        .map(|room| room.code.as_str())
        .collect();
    let plans: Vec<_> = hotel.plans.iter().map(|plan| plan.code.as_str()).collect();
    assert_eq!(
        (rooms, plans),
        (vec!["KNG", "FAM-2Q"], vec!["BAR", "BB", "EARLY"])
    );
    let wanted = selection("KNG", "BAR", party(2, &[]));
    let mut longer = wanted.clone();
    longer.stay = stay(date(2027, 1, 14), 3);
    supply::contract::all(&house.inventory, "own", &wanted, &longer).await;
    assert!(house.oversold(&wanted.hotel) <= 0);
    house.stop().await;
}

#[tokio::test]
async fn own_allowance_is_sold_and_no_more() {
    let house = open(Arc::new(Memory::new()), &file(), None).await;
    let wanted = selection("KNG", "BAR", party(2, &[]));
    for number in 0..5 {
        let name: Reference = format!("own-{number}").parse().unwrap();
        let held = house
            .inventory
            .hold(&name, &wanted, Duration::from_secs(600))
            .await;
        match number {
            0..4 => assert!(held.is_ok(), "{number}: {held:?}"),
            _ => assert!(matches!(held, Err(Error::SoldOut { .. })), "{held:?}"),
        }
    }
    house.stop().await;
}

#[tokio::test]
async fn own_codes_are_those_of_messages() {
    let house = open(Arc::new(Memory::new()), &file(), None).await;
    let updates = |room: &str, plan: Option<&str>, what| supply::Updates {
        hotel: "harbor-boston".parse().unwrap(),
        sent: NOW.parse().unwrap(),
        changes: vec![Change {
            room: Some(room.parse().unwrap()),
            plan: plan.map(|plan| plan.parse().unwrap()),
            from: date(2027, 1, 14),
            to: date(2027, 1, 15),
            days: ari::Weekdays(0x7f),
            what,
        }],
    };
    let rate = updates("FAM-2Q", None, ari::What::BaseRate(31_000));
    house.inventory.apply(&rate).await.unwrap();
    check(&house, "FAM-2Q", "BAR", party(2, &[]), [31_000, 31_000]).await;
    let closed = updates("FAM-2Q", Some("BB"), ari::What::Closed(true));
    house.inventory.apply(&closed).await.unwrap();
    let wanted = selection("FAM-2Q", "BB", party(2, &[]));
    let refused = house.inventory.quote(&wanted, None);
    assert!(matches!(refused.await, Err(Error::Restricted(_))));
    // More than can be counted are never sold.
    let many = updates("KNG", None, ari::What::Free(u16::MAX));
    house.inventory.apply(&many).await.unwrap();
    let wanted = selection("KNG", "BAR", party(2, &[]));
    let left = house.inventory.quote(&wanted, None).await.unwrap().left;
    assert_eq!(left, i16::MAX.unsigned_abs());
    let unknown = updates("DBL", None, ari::What::BaseRate(1));
    let refused = house.inventory.apply(&unknown).await;
    assert!(matches!(refused, Err(Error::Update { .. })), "{refused:?}");
    house.stop().await;
}

/// At midnight one of two nodes keeps a night that the other does not know yet.
#[tokio::test]
async fn newest_night_is_not_sold_before_every_node_keeps_it() {
    let store = Arc::new(Memory::new());
    let open = async |now: &str| {
        let clock = Arc::new(VirtualClock::new(now.parse().unwrap()));
        let hotels = Hotels::new(7, Size::Small, houses(&file()));
        House::of(store.clone(), clock, None, hotels).await
    };
    let ahead = open("2026-11-24T00:00:01Z").await;
    let behind = open("2026-11-23T23:59:59Z").await;
    let mut last = selection("KNG", "BAR", party(2, &[]));
    for days in (300..400_i64).rev() {
        last.stay = stay(date(2026, 11, 24).checked_add(days.days()).unwrap(), 1);
        if ahead.inventory.quote(&last, None).await.is_ok() {
            break;
        }
    }
    for number in 0..4 {
        let name = reference(&format!("last-{number}"));
        ahead.inventory.hold(&name, &last, TTL).await.unwrap();
    }
    let property = behind.hotels.find("harbor-boston").unwrap();
    let read = log::catch_up(&behind.inventory.office, &property);
    read.await.unwrap();
    behind.clock.advance(Duration::from_secs(3));
    let refused = behind.inventory.quote(&last, None).await;
    assert!(matches!(refused, Err(Error::SoldOut { .. })), "{refused:?}");
    ahead.tasks.request_stop();
    behind.tasks.request_stop();
}

/// Books, changes the file, and starts again.
async fn restarted(change: impl FnOnce(&mut Value)) -> (House, Reference) {
    let store = Arc::new(Memory::new());
    let mut file = file();
    let house = open(store.clone(), &file, None).await;
    let name: Reference = "own-1".parse().unwrap();
    let wanted = selection("KNG", "BAR", party(2, &[]));
    house
        .inventory
        .hold(&name, &wanted, Duration::from_secs(600))
        .await
        .unwrap();
    house.inventory.commit(&name, &guest()).await.unwrap();
    // Its ledger is left open, as a crash would.
    house.tasks.request_stop();
    change(&mut file);
    (open(store, &file, None).await, name)
}

#[tokio::test]
async fn bookings_survive_other_rooms_in_front_of_theirs() {
    let (house, name) = restarted(|file| {
        let rooms = file["hotel"][0]["room"].as_array_mut().unwrap();
        let mut first = rooms[1].clone();
        first["code"] = json!("NEW");
        rooms.insert(0, first);
    })
    .await;
    let property = house.hotels.find("harbor-boston").unwrap();
    let now = house.clock.now();
    let taken = |code: &str| {
        house.hotels.look(&property, now, |block| {
            let room = block.room(code).unwrap();
            let slot = block.slot(crate::night::Day::new(date(2027, 1, 14)).number());
            block.taken(room, slot.unwrap())
        })
    };
    assert_eq!((taken("NEW"), taken("KNG"), taken("FAM-2Q")), (0, 1, 0));
    let cancelled = house.inventory.cancel(&name, i64::MAX).await.unwrap();
    assert!(matches!(cancelled.state, State::Cancelled { .. }));
    house.stop().await;
}

#[tokio::test]
async fn closed_room_sells_nothing_and_keeps_its_bookings() {
    let (house, name) = restarted(|file| {
        file["hotel"][0]["room"][0]["closed"] = json!(true);
    })
    .await;
    let wanted = selection("KNG", "BAR", party(2, &[]));
    let refused = house.inventory.quote(&wanted, None).await;
    assert!(matches!(refused, Err(Error::Restricted(_))), "{refused:?}");
    let kept = house.inventory.find(&name).await.unwrap().unwrap();
    assert!(kept.takes_rooms());
    house.inventory.cancel(&name, i64::MAX).await.unwrap();
    house.stop().await;
}

#[tokio::test]
async fn bookings_of_a_hotel_that_is_gone_can_still_be_read() {
    let (house, name) = restarted(|file| {
        file["hotel"][0]["id"] = json!("other-boston");
    })
    .await;
    let kept = house.inventory.find(&name).await.unwrap().unwrap();
    assert_eq!(kept.units[0].room.as_str(), "KNG");
    let refused = house.inventory.cancel(&name, i64::MAX).await;
    assert_eq!(refused, Err(Error::HotelUnknown));
    // Nothing of it counts for the hotel that took its place.
    let mut wanted = selection("KNG", "BAR", party(2, &[]));
    wanted.hotel = "other-boston".parse().unwrap();
    assert_eq!(house.inventory.quote(&wanted, None).await.unwrap().left, 4);
    house.stop().await;
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut wrong = file();
    let hotel = &mut wrong["hotel"][0];
    hotel["id"] = json!("htl_1_2");
    hotel["zone"] = json!("Mars/Olympus");
    hotel["currency"] = json!("EUR");
    hotel["position"] = json!("48.1, 11.5");
    hotel["amenities"] = json!(["free_wifi", "moat"]);
    hotel["room"][0]["price"] = json!("1.999");
    hotel["room"][1]["code"] = json!("KNG");
    hotel["plan"][1]["free-until"] = json!("25:00");
    hotel["levy"][0]["amount"] = json!("1");
    hotel["child"][1]["below"] = json!(6);
    let file: File = serde_json::from_value(wrong.clone()).unwrap();
    let list = Houses::read(&file, &wrong.to_string()).unwrap_err();
    let mut keys: Vec<_> = list.iter().map(|wrong| (wrong.part, wrong.key)).collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            (None, "amenities"),
            (None, "currency"),
            (None, "id"),
            (None, "position"),
            (None, "room"),
            (None, "zone"),
            (Some(("child", 1)), "below"),
            (Some(("levy", 0)), "percent"),
            (Some(("plan", 1)), "free-until"),
            (Some(("room", 0)), "price"),
        ],
        "{list:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A slow and obvious reference for what guests pay a night.
    #[test]
    fn own_guests_pay_what_the_bands_say(
        adults in 1_u8..=4,
        ages in proptest::collection::vec(0_u8..18, 0..4),
        rate in 1_i64..100_000,
    ) {
        let house = &houses(&file()).0.houses[0];
        let mut grown = i64::from(adults);
        let mut sum = 0;
        for age in &ages {
            if *age >= 13 { grown += 1 } else if *age >= 6 { sum += 2_000 }
        }
        sum += match grown {
            1 => (rate * 900 + 500) / 1_000,
            2 => rate,
            3 => rate + 3_500,
            4 => rate + 7_000,
            more => rate + (more - 2) * 3_500,
        };
        prop_assert_eq!(house.night(rate, &party(adults, &ages)), sum);
    }
}
