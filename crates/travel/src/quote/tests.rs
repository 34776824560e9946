use std::sync::LazyLock;

use jiff::{ToSpan as _, civil::date};
use proptest::prelude::*;

use super::*;
use crate::{
    levy::{Basis, Collected, levies},
    places::{Atlas, Lookup},
    property::{Size, World},
    stay::{Extra, judge},
};

static ATLAS: LazyLock<Atlas> = LazyLock::new(Atlas::decode);

fn property(seed: u64, place: &str, index: u16) -> Property {
    let Lookup::Found(city, _) = ATLAS.resolve(place) else {
        panic!("{place} is one city");
    };
    World::new(seed, Size::Demonstration).property(&ATLAS, city, index)
}

#[track_caller]
fn check_deadline(check_in: Date, days: u16, zone: &str, expected: &str) {
    let zone = TimeZone::get(zone).unwrap();
    let instant = deadline(
        check_in,
        days,
        jiff::civil::time(DEADLINE_HOUR, 0, 0, 0),
        &zone,
    )
    .unwrap();
    assert_eq!(instant.to_string(), expected);
}

#[test]
fn deadline_is_six_in_the_evening_at_the_property() {
    check_deadline(
        date(2026, 12, 1),
        2,
        "America/New_York",
        "2026-11-29T23:00:00Z",
    );
    check_deadline(date(2027, 7, 1), 1, "Europe/Zurich", "2027-06-30T16:00:00Z");
    check_deadline(
        date(2027, 7, 1),
        1,
        "Asia/Kathmandu",
        "2027-06-30T12:15:00Z",
    );
    // The offset is that of the deadline, not of the arrival after the clocks changed.
    check_deadline(
        date(2027, 3, 14),
        1,
        "America/New_York",
        "2027-03-13T23:00:00Z",
    );
    check_deadline(
        date(2027, 3, 15),
        1,
        "America/New_York",
        "2027-03-14T22:00:00Z",
    );
}

#[test]
fn terms_change_when_the_deadline_has_passed() {
    let property = property(1, "Boston", 0);
    let arrival = date(2026, 12, 10);
    let stay = Stay::new(arrival, arrival + 2.days()).unwrap();
    let zone = TimeZone::get("America/New_York").unwrap();
    let nights = nights(1, "Boston", &property, &stay);
    let party = [Party {
        adults: 2,
        child_ages: Vec::new(),
    }];
    let terms = |plan| Terms {
        property: &property,
        levies: &[],
        nights: &nights,
        parties: &party,
        plan,
        cards: &[],
    };
    let judged = |plan, now: &str| {
        let quote = terms(plan).quote(&stay);
        cancellation(&terms(plan), &quote, &stay, &zone, now.parse().unwrap())
    };
    let first_night = terms(Plan::Flexible).quote(&stay).nightly[0].1;
    assert!(matches!(
        judged(Plan::Flexible, "2026-11-23T12:00:00Z"),
        Cancellation::FreeUntil { penalty, .. } if penalty == first_night
    ));
    assert_eq!(
        judged(Plan::Flexible, "2026-12-10T12:00:00Z"),
        Cancellation::Penalty(first_night)
    );
    let total = terms(Plan::NonRefundable).total();
    assert_eq!(
        judged(Plan::NonRefundable, "2026-11-23T12:00:00Z"),
        Cancellation::Penalty(total)
    );
}

fn nights(seed: u64, place: &str, property: &Property, stay: &Stay) -> Vec<Night> {
    let world = World::new(seed, Size::Demonstration);
    let Lookup::Found(city, _) = ATLAS.resolve(place) else {
        panic!("{place} is one city");
    };
    let room = property.room_types()[0];
    stay.nights()
        .iter()
        .map(|day| {
            let hotel = world.hotel_night(property, ATLAS.city(city), *day);
            world.night(property, &room, &hotel)
        })
        .collect()
}

const PLACES: [&str; 12] = [
    "Boston",
    "New York",
    "Zürich",
    "Paris",
    "Rome",
    "Tokyo",
    "Dubai",
    "Singapore",
    "Lisbon",
    "Amsterdam",
    "Kuwait City",
    "Jakarta",
];

/// Half away from zero, of what is never negative.
fn rounded(numerator: i128, denominator: i128) -> i128 {
    (2 * numerator + denominator) / (2 * denominator)
}

/// The total as slowly as the rules are written: guest by guest, night by night, levy
/// by levy.
fn obvious_total(terms: &Terms<'_>) -> i128 {
    let plan = match terms.plan {
        Plan::Flexible | Plan::Breakfast => 1_000,
        Plan::NonRefundable => 900,
        Plan::AdvancePurchase => 850,
        Plan::Own(_) => unreachable!("only generated plans are drawn"),
    };
    let mut rates = 0;
    for night in terms.nights {
        for party in terms.parties {
            let (mut adults, mut children) = (i128::from(party.adults), 0);
            for age in &party.child_ages {
                match age {
                    0..=2 => {}
                    3..=12 => children += 1,
                    _ => adults += 1,
                }
            }
            let of_adults = if adults == 1 {
                920
            } else {
                1_000 + 250 * (adults - 2)
            };
            let guests = of_adults + 150 * children;
            rates += rounded(i128::from(night.rate) * guests * plan, 1_000_000);
            if terms.plan == Plan::Breakfast {
                let breakfast = i128::from(terms.property.breakfast.unwrap_or(0));
                rates += breakfast * adults + rounded(breakfast * children, 2);
            }
        }
    }
    let nights = terms.nights.len() as i128;
    let rooms = terms.parties.len() as i128;
    let mut inside = 0;
    for levy in terms.levies {
        if let (Collected::InRate, Basis::Percent(percent)) = (levy.collected, levy.basis) {
            inside += i128::from(percent);
        }
    }
    let (mut net, mut on_top) = (rates, 0);
    for levy in terms.levies {
        if let (Collected::InRate, Basis::Percent(percent)) = (levy.collected, levy.basis) {
            net -= rounded(rates * i128::from(percent), 10_000 + inside);
        }
    }
    for levy in terms.levies {
        on_top += match (levy.collected, levy.basis) {
            (Collected::InRate, _) => continue,
            (_, Basis::Percent(percent)) => rounded(net * i128::from(percent), 10_000),
            (_, Basis::Stay(amount)) => i128::from(amount) * rooms,
            (_, Basis::Night(amount)) => i128::from(amount) * rooms * nights,
            (
                _,
                Basis::PersonNight {
                    amount,
                    exempt_below,
                    max_nights,
                },
            ) => {
                let mut persons = 0;
                for party in terms.parties {
                    persons += i128::from(party.adults);
                    for age in &party.child_ages {
                        persons += i128::from(*age >= exempt_below);
                    }
                }
                i128::from(amount) * persons * nights.min(max_nights as i128)
            }
        };
    }
    rates + on_top
}

fn any_party() -> impl Strategy<Value = Party> {
    (1_u8..5, proptest::collection::vec(0_u8..18, 0..4))
        .prop_map(|(adults, child_ages)| Party { adults, child_ages })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn lines_sum_to_the_total_and_nights_to_the_rate(
        seed in 0_u64..50,
        place in 0_usize..PLACES.len(),
        index in 0_u16..8,
        ahead in 0_i64..450,
        length in 1_i64..=30,
        parties in proptest::collection::vec(any_party(), 1..4),
        plan in 0_usize..4,
    ) {
        let place = PLACES[place];
        let property = property(seed, place, index);
        let Lookup::Found(city, _) = ATLAS.resolve(place) else { unreachable!() };
        let arrival = date(2026, 11, 23) + ahead.days();
        let stay = Stay::new(arrival, arrival + length.days()).unwrap();
        let nights = nights(seed, place, &property, &stay);
        let levies = levies(&property, ATLAS.city(city));
        let terms = Terms { property: &property, levies: &levies, nights: &nights, parties: &parties, plan: Plan::GENERATED[plan], cards: &[] };
        let quote = terms.quote(&stay);
        let levied: i64 = quote.lines.iter().map(|(_, amount)| amount).sum();
        prop_assert_eq!(quote.room + levied, quote.total);
        prop_assert_eq!(terms.total(), quote.total);
        prop_assert_eq!(i128::from(quote.total), obvious_total(&terms));
        let inside = quote.lines.iter().filter(|(levy, _)| levy.collected == Collected::InRate);
        let inside: i64 = inside.map(|(_, amount)| amount).sum();
        let nightly: i64 = quote.nightly.iter().map(|(_, amount)| amount).sum();
        prop_assert_eq!(nightly, quote.room + inside);
        prop_assert!(quote.total > 0 && quote.lines.iter().all(|(_, amount)| *amount >= 0));
        let later = quote.lines.iter().filter(|(levy, _)| levy.collected == Collected::AtProperty);
        prop_assert!(later.map(|(_, amount)| amount).sum::<i64>() < quote.total);
    }

    #[test]
    fn nights_are_consistent_and_the_same_in_any_stay(
        seed in 0_u64..50,
        index in 0_u16..8,
        ahead in 0_i64..450,
        length in 2_i64..=10,
    ) {
        let property = property(seed, "Boston", index);
        let arrival = date(2026, 11, 23) + ahead.days();
        let whole = Stay::new(arrival, arrival + length.days()).unwrap();
        let rest = Stay::new(arrival + 1.days(), arrival + length.days()).unwrap();
        let nights_of_whole = nights(seed, "Boston", &property, &whole);
        prop_assert_eq!(&nights_of_whole[1..], &nights(seed, "Boston", &property, &rest)[..]);
        for night in &nights_of_whole {
            prop_assert!(night.left <= property.room_types()[0].physical);
            prop_assert!(night.rate > 0 && night.rate % property.step == 0);
        }
        let departure = nights_of_whole[0].restrictions;
        if let Ok(left) = judge(&whole, &nights_of_whole, &Extra { departure, ..Extra::default() }, 30, 1) {
            prop_assert!(left >= 1);
        }
    }
}
