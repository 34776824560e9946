use jiff::{ToSpan as _, civil::date};
use proptest::prelude::*;

use super::*;

fn open_night() -> Night {
    Night {
        left: 5,
        closed: false,
        restrictions: Restrictions {
            min_from_arrival: 1,
            min_through: 1,
            ..Restrictions::default()
        },
        rate: 10_000,
        card: 0,
    }
}

fn stay(nights: i64) -> Stay {
    let arrival = date(2026, 12, 1);
    Stay::new(arrival, arrival + nights.days()).unwrap()
}

fn leaving(departure: Restrictions) -> Extra {
    Extra {
        departure,
        ..Extra::default()
    }
}

/// `edit` is given the nights of a three-night stay and its departure date.
#[track_caller]
fn check(edit: impl FnOnce(&mut [Night; 4]), quantity: u16, expected: Result<u16, Unavailable>) {
    let mut nights = [open_night(); 4];
    edit(&mut nights);
    assert_eq!(
        judge(
            &stay(3),
            &nights[..3],
            &leaving(nights[3].restrictions),
            30,
            quantity
        ),
        expected
    );
}

#[test]
fn open_nights_are_sold_up_to_the_scarcest() {
    check(|_| {}, 1, Ok(5));
    check(|n| n[1].left = 2, 2, Ok(2));
}

#[test]
fn one_sold_out_night_is_enough() {
    check(
        |n| n[2].left = 0,
        1,
        Err(Unavailable::SoldOut(date(2026, 12, 3))),
    );
    check(
        |n| n[0].left = 2,
        3,
        Err(Unavailable::SoldOut(date(2026, 12, 1))),
    );
}

#[test]
fn departure_date_needs_no_room_and_may_be_closed() {
    check(|n| n[3].left = 0, 1, Ok(5));
    check(|n| n[3].closed = true, 1, Ok(5));
}

#[test]
fn master_close_counts_on_every_night() {
    check(
        |n| n[1].closed = true,
        1,
        Err(Unavailable::Closed(date(2026, 12, 2))),
    );
}

#[test]
fn closed_to_arrival_counts_on_the_arrival_date_only() {
    let closed = |i: usize| move |n: &mut [Night; 4]| n[i].restrictions.closed_to_arrival = true;
    check(
        closed(0),
        1,
        Err(Unavailable::ClosedToArrival(date(2026, 12, 1))),
    );
    for later in 1..4 {
        check(closed(later), 1, Ok(5));
    }
}

#[test]
fn closed_to_departure_counts_on_the_departure_date_only() {
    let closed = |i: usize| move |n: &mut [Night; 4]| n[i].restrictions.closed_to_departure = true;
    check(
        closed(3),
        1,
        Err(Unavailable::ClosedToDeparture(date(2026, 12, 4))),
    );
    for earlier in 0..3 {
        check(closed(earlier), 1, Ok(5));
    }
}

#[test]
fn length_limits_of_the_arrival_date_and_of_every_night() {
    check(
        |n| n[0].restrictions.min_from_arrival = 4,
        1,
        Err(Unavailable::MinimumStay(4)),
    );
    check(|n| n[1].restrictions.min_from_arrival = 4, 1, Ok(5));
    check(
        |n| n[2].restrictions.min_through = 4,
        1,
        Err(Unavailable::MinimumStay(4)),
    );
    check(|n| n[3].restrictions.min_through = 4, 1, Ok(5));
    check(
        |n| n[0].restrictions.max_from_arrival = 2,
        1,
        Err(Unavailable::MaximumStay(2)),
    );
    check(|n| n[1].restrictions.max_from_arrival = 2, 1, Ok(5));
    check(
        |n| n[2].restrictions.max_through = 2,
        1,
        Err(Unavailable::MaximumStay(2)),
    );
    check(|n| n[0].restrictions.max_from_arrival = 3, 1, Ok(5));
}

#[test]
fn lengths_beyond_a_pattern_inherit_its_last_value() {
    // One and three nights are sold, two are not; then everything as three.
    let sold = |pattern: u64, nights: i64| {
        let extra = Extra {
            lengths: [pattern, 0, 0, 0],
            patterns: 1,
            ..Extra::default()
        };
        let all = vec![open_night(); nights as usize];
        judge(&stay(nights), &all, &extra, 30, 1).is_ok()
    };
    assert_eq!(
        [1, 2, 3, 4, 9].map(|n| sold(0b1101, n)),
        [true, false, true, true, true]
    );
    assert_eq!(
        [1, 2, 3, 9].map(|n| sold(0b101, n)),
        [true, false, false, false]
    );
}

#[test]
fn booking_window_is_counted_in_days_before_the_arrival() {
    let judged = |days_ahead| {
        let extra = Extra {
            min_days: 2,
            max_days: 10,
            ..Extra::default()
        };
        judge(&stay(1), &[open_night()], &extra, days_ahead, 1)
    };
    assert_eq!([2, 10].map(|days| judged(days).is_ok()), [true, true]);
    assert_eq!([1, 11].map(judged), [Err(Unavailable::BookingWindow); 2]);
}

#[test]
fn dates_make_a_stay_of_one_to_thirty_nights() {
    let arrival = date(2028, 2, 28);
    let length = |days: i64| Stay::new(arrival, arrival + days.days()).map(|s| s.nights().len());
    assert_eq!(length(2), Ok(2), "over the leap day");
    assert_eq!(length(30), Ok(30));
    assert_eq!(length(31), Err(StayError::TooLong));
    assert_eq!(length(0), Err(StayError::NotAfter));
    assert_eq!(length(-1), Err(StayError::NotAfter));
}

#[test]
fn ages_decide_who_counts_as_what() {
    let party = Party {
        adults: 2,
        child_ages: vec![0, 2, 3, 12, 13, 17],
    };
    assert_eq!(
        (party.adults(), party.children(), party.infants()),
        (4, 2, 2)
    );
}

/// The rules of the checklist, one after the other, as slowly as they are written.
fn obviously_sellable(dates: &[Night], arrival: usize, departure: usize, quantity: u16) -> bool {
    let length = departure - arrival;
    for night in &dates[arrival..departure] {
        if night.left < quantity || night.closed {
            return false;
        }
    }
    for (i, date) in dates.iter().enumerate() {
        let r = date.restrictions;
        if i == arrival {
            if r.closed_to_arrival || length < usize::from(r.min_from_arrival) {
                return false;
            }
            if r.max_from_arrival != 0 && length > usize::from(r.max_from_arrival) {
                return false;
            }
        }
        if i == departure && r.closed_to_departure {
            return false;
        }
        if arrival <= i && i < departure {
            if length < usize::from(r.min_through) {
                return false;
            }
            if r.max_through != 0 && length > usize::from(r.max_through) {
                return false;
            }
        }
    }
    true
}

fn any_night() -> impl Strategy<Value = Night> {
    let rarely = || proptest::bool::weighted(0.1);
    let limits = (0_u8..4, 0_u8..6, 0_u8..4, 0_u8..6);
    (0_u16..6, rarely(), rarely(), rarely(), limits).prop_map(
        |(left, closed, closed_to_arrival, closed_to_departure, limits)| Night {
            left,
            closed,
            restrictions: Restrictions {
                closed_to_arrival,
                closed_to_departure,
                min_from_arrival: limits.0,
                max_from_arrival: limits.1,
                min_through: limits.2,
                max_through: limits.3,
            },
            rate: 1,
            card: 0,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn judgement_agrees_with_the_obvious_rules(
        dates in proptest::collection::vec(any_night(), 12),
        arrival in 0_usize..6,
        length in 1_usize..6,
        quantity in 1_u16..4,
    ) {
        let departure = arrival + length;
        let day = |i: usize| date(2026, 12, 1) + (i as i64).days();
        let stay = Stay::new(day(arrival), day(departure)).unwrap();
        let judged = judge(&stay, &dates[arrival..departure], &leaving(dates[departure].restrictions), 30, quantity);
        prop_assert_eq!(judged.is_ok(), obviously_sellable(&dates, arrival, departure, quantity), "{:?}", judged);
        if let Ok(left) = judged {
            let scarcest = dates[arrival..departure].iter().map(|night| night.left).min();
            prop_assert_eq!(Some(left), scarcest);
        }
    }
}
