use airside_travel::supply::Stay;
use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::opera::ari::{Rates, Topic, read};

const TODAY: Date = date(2027, 3, 1);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn ask(check_in: Date, nights: i64, rooms: usize, party: &Party) -> Ask {
    Ask {
        stay: Stay::new(check_in, check_in.saturating_add(nights.days())).unwrap(),
        parties: vec![party.clone(); rooms],
    }
}

fn two() -> Party {
    Party {
        adults: 2,
        child_ages: vec![],
    }
}

fn set(value: Value) -> Set {
    let rooms = matches!(value, Value::Free(_));
    Set {
        room: Some("A1K".parse().unwrap()),
        plan: (!rooms).then(|| "DAILY".parse().unwrap()),
        from: date(2027, 4, 1),
        to: date(2027, 4, 30),
        days: Default::default(),
        value,
    }
}

fn rates(replace: bool, base: &[(u8, i64)]) -> Value {
    Value::Rates(Rates {
        replace,
        base: base.to_vec(),
        extra_adult: None,
        children: vec![],
    })
}

/// A hotel with five rooms at 100.00 for every night of April.
fn april() -> Nights {
    let mut nights = Nights::default();
    let sets = [set(Value::Free(5)), set(rates(false, &[(2, 10_000)]))];
    nights.set(&sets, at(0), TODAY);
    nights
}

fn total(nights: &Nights, ask: &Ask) -> Option<Option<i64>> {
    let fits = nights.fits(ask, TODAY)?;
    let total = |fit: &Fit| fit.nightly.iter().map(|(_, amount)| amount).sum();
    Some(fits.first().map(total))
}

#[test]
fn a_stay_is_answered_only_if_every_night_is_known() {
    let nights = april();
    let two = two();
    assert_eq!(
        total(&nights, &ask(date(2027, 4, 28), 3, 2, &two)),
        Some(Some(60_000))
    );
    assert_eq!(total(&nights, &ask(date(2027, 4, 29), 3, 1, &two)), None);
    assert_eq!(total(&nights, &ask(date(2027, 3, 31), 2, 1, &two)), None);
    // Known, and too many.
    assert_eq!(
        total(&nights, &ask(date(2027, 4, 2), 2, 6, &two)),
        Some(None)
    );
}

/// A restriction, for which dates, a stay that it refuses and one that it does not.
type Case = (Value, Date, Date, Ask, Ask);

fn restrictions() -> Vec<Case> {
    let stay = |check_in, nights| ask(check_in, nights, 1, &two());
    let (second, third) = (date(2027, 4, 2), date(2027, 4, 3));
    vec![
        (
            Value::Closed(true),
            third,
            third,
            stay(second, 2),
            stay(second, 1),
        ),
        (
            Value::ClosedToArrival(true),
            second,
            second,
            stay(second, 2),
            stay(date(2027, 4, 1), 2),
        ),
        // Tested on the date of departure, which is no night of the stay.
        (
            Value::ClosedToDeparture(true),
            third,
            third,
            stay(second, 1),
            stay(second, 2),
        ),
        (
            Value::MinimumFromArrival(3),
            second,
            second,
            stay(second, 2),
            stay(date(2027, 4, 1), 2),
        ),
        (
            Value::MaximumFromArrival(1),
            second,
            second,
            stay(second, 2),
            stay(second, 1),
        ),
        (
            Value::MinimumThrough(3),
            third,
            third,
            stay(second, 2),
            stay(second, 1),
        ),
        (
            Value::MaximumThrough(1),
            third,
            third,
            stay(second, 2),
            stay(third, 1),
        ),
        (
            Value::Lengths(vec![true, false]),
            second,
            second,
            stay(second, 3),
            stay(second, 1),
        ),
        (
            Value::Window {
                min_days: Some(33),
                max_days: None,
            },
            second,
            third,
            stay(second, 1),
            stay(third, 1),
        ),
        (
            Value::Window {
                min_days: None,
                max_days: Some(32),
            },
            second,
            third,
            stay(third, 1),
            stay(second, 1),
        ),
    ]
}

#[test]
fn restrictions_are_judged_as_our_own() {
    for (value, from, to, refused, sold) in restrictions() {
        for (room, plan) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut limited = set(value.clone());
            (limited.from, limited.to) = (from, to);
            limited.room = limited.room.filter(|_| room);
            limited.plan = limited.plan.filter(|_| plan);
            let mut nights = april();
            nights.set(&[limited], at(1), TODAY);
            assert_eq!(total(&nights, &refused), Some(None), "{value:?}");
            assert!(total(&nights, &sold).flatten().is_some(), "{value:?}");
        }
    }
}

#[test]
fn prices_follow_guests() {
    let text = serde_json::json!({ "hotelRatePlans": { "hotelCode": "H", "ratePlans": [{
        "ratePlanCode": "DAILY", "ratePlanNotifType": "Overlay", "currencyCode": "EUR",
        "rates": [{ "invTypeCode": "A1K", "start": "2027-04-01", "end": "2027-04-30",
            "ratesAmounts": [{
                "baseByGuestAmts": [
                    { "ageQualifyingCode": "10", "numberOfGuests": "1", "amountAfterTax": "80.00" },
                    { "ageQualifyingCode": "10", "numberOfGuests": "2", "amountAfterTax": "100.50" },
                ],
                "additionalGuestAmounts": [
                    { "ageQualifyingCode": "10", "amount": "30" },
                    { "ageQualifyingCode": "8", "minAge": "0", "maxAge": "5", "amount": "0" },
                    { "ageQualifyingCode": "8", "minAge": "6", "maxAge": "12", "amount": "15.25" },
                ],
            }],
        }],
    }] } });
    let euro = airside_travel::supply::Currency::find("EUR");
    let message = read(Topic::Rates, text.to_string().as_bytes(), |_| euro).unwrap();
    let mut nights = april();
    nights.set(&message.sets, at(1), TODAY);
    for (adults, child_ages, expected) in [
        (1, vec![], Some(8_000)),
        (2, vec![], Some(10_050)),
        (3, vec![], Some(13_050)),
        (2, vec![4, 12], Some(11_575)),
        // Outside of every band: as an adult.
        (1, vec![13], Some(10_050)),
    ] {
        let party = Party { adults, child_ages };
        let asked = ask(date(2027, 4, 5), 1, 1, &party);
        assert_eq!(total(&nights, &asked).flatten(), expected, "{party:?}");
    }
}

#[test]
fn overlay_clears_what_was_before_and_delta_adds_to_it() {
    let single = Party {
        adults: 1,
        child_ages: vec![],
    };
    let one = ask(date(2027, 4, 5), 1, 1, &single);
    let both = ask(date(2027, 4, 5), 1, 1, &two());
    let mut nights = april();
    nights.set(&[set(rates(false, &[(1, 7_000)]))], at(1), TODAY);
    assert_eq!(total(&nights, &one), Some(Some(7_000)));
    assert_eq!(total(&nights, &both), Some(Some(10_000)));
    nights.set(&[set(rates(true, &[(2, 9_000)]))], at(2), TODAY);
    // Known, and there is no price for one guest any more.
    assert_eq!(total(&nights, &one), Some(None));
    assert_eq!(total(&nights, &both), Some(Some(9_000)));
    nights.set(&[set(rates(true, &[]))], at(3), TODAY);
    assert_eq!(total(&nights, &both), Some(None));
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0_u16..4).prop_map(Value::Free),
        any::<bool>().prop_map(Value::Closed),
        any::<bool>().prop_map(Value::ClosedToDeparture),
        (0_u8..4).prop_map(Value::MinimumThrough),
        (any::<bool>(), 1_u8..4, 1_i64..5)
            .prop_map(|(replace, guests, amount)| rates(replace, &[(guests, amount * 1_000)])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn order_and_repetition_of_arrival_do_not_matter(
        values in proptest::collection::vec((any_value(), 0_i64..28), 1..8),
        order in any::<u64>(),
    ) {
        let messages: Vec<_> = values.iter().enumerate().map(|(n, (value, day))| {
            let mut set = set(value.clone());
            set.from = date(2027, 4, 1).saturating_add(day.days());
            (set, at(n as i64 + 1))
        }).collect();
        let mut straight = april();
        for (set, sent) in &messages {
            straight.set(std::slice::from_ref(set), *sent, TODAY);
        }
        // Every message twice, in some other order.
        let mut shuffled: Vec<_> = messages.iter().chain(&messages).collect();
        let mut state = order;
        for at in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, (state >> 33) as usize % (at + 1));
        }
        let mut other = april();
        for (set, sent) in shuffled {
            other.set(std::slice::from_ref(set), *sent, TODAY);
        }
        for day in 0..28_i64 {
            for nights in 1..4 {
                let asked = ask(date(2027, 4, 1).saturating_add(day.days()), nights, 1, &two());
                prop_assert_eq!(straight.fits(&asked, TODAY), other.fits(&asked, TODAY));
            }
        }
    }
}
