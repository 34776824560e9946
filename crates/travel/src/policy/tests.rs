use jiff::{Timestamp, civil::date, tz::TimeZone};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// The vectors of the draft, or nothing where the shared data is not at hand.
fn vectors() -> Option<Value> {
    let shared = std::env::var("AIRSIDE_SHARED").unwrap_or_else(|_| "../../../shared".into());
    let file = format!("{shared}/data/travel/specs/ucp-lodging/cancellation_schedule_vectors.json");
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(error) if std::env::var_os("CI").is_none() => {
            assert!(!std::path::Path::new(&shared).exists(), "{file}: {error}");
            None
        }
        Err(error) => panic!("{file}: {error}"),
    }
}

fn outcome(schedule: Option<&Value>, at: &str) -> Value {
    match select(schedule, at) {
        Ok(selected) => json!({ "status": "selected", "pointer": selected.pointer }),
        Err(Unavailable::UnsupportedKind { pointer }) => {
            json!({ "status": "unavailable", "reason": "unsupported_kind", "pointer": pointer })
        }
        Err(other) => {
            let reason = match other {
                Unavailable::ScheduleAbsent => "schedule_absent",
                Unavailable::InvalidSchedule => "invalid_schedule",
                _ => "invalid_instant",
            };
            json!({ "status": "unavailable", "reason": reason })
        }
    }
}

#[test]
fn rule_12_all_vectors_of_the_draft_pass() {
    let Some(vectors) = vectors() else {
        return;
    };
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 44);
    for case in cases {
        let schedule = case["schedule"].as_str();
        let schedule = schedule.map(|name| &vectors["schedules"][name]["value"]);
        let found = outcome(schedule, case["at"].as_str().unwrap());
        assert_eq!(found, case["expected"], "{}", case["id"]);
    }
}

#[test]
fn durations_are_days_hours_minutes_and_seconds_only() {
    for (text, seconds) in [
        ("P1D", Some(86_400)),
        ("PT0S", Some(0)),
        ("P1DT2H3M4S", Some(93_784)),
        ("PT48H", Some(172_800)),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("P1M", None),
        ("P1Y", None),
        ("P1W", None),
        ("PT1S1H", None),
        ("PT1.5H", None),
        ("P-1D", None),
        ("P+1D", None),
        ("p1d", None),
        (" P1D", None),
    ] {
        assert_eq!(elapsed(text), seconds, "{text}");
    }
}

fn kept(outcome: &Outcome, total: i64, nights: &[i64]) -> Option<(i64, i64)> {
    let refund = refund(outcome, Basis { total, nights });
    refund.map(|refund| (refund.refund, refund.penalty))
}

#[test]
fn refunds_are_computed_in_minor_units_and_rounded_once() {
    let percent = |buyer_bps| Outcome::Percentage { buyer_bps };
    assert_eq!(kept(&percent(10_000), 61_240, &[]), Some((61_240, 0)));
    assert_eq!(kept(&percent(0), 61_240, &[]), Some((0, 61_240)));
    // 50 % of 61,241 is 30,620.5, which goes away from zero in the traveller's favour.
    assert_eq!(kept(&percent(5_000), 61_241, &[]), Some((30_621, 30_620)));
    assert_eq!(
        kept(&Outcome::FixedFee { amount: 7_500 }, 61_240, &[]),
        Some((53_740, 7_500))
    );
    // A fee is never more than the price.
    assert_eq!(
        kept(&Outcome::FixedFee { amount: 7_500 }, 5_000, &[]),
        Some((0, 5_000))
    );
}

#[test]
fn rule_13_nothing_is_computed_from_symbols_without_a_monetary_basis() {
    let nights = |value, unit: &str| Outcome::UnitDeduction {
        value,
        unit: unit.to_owned(),
    };
    assert_eq!(
        kept(&nights(1, "night"), 500, &[200, 300]),
        Some((300, 200))
    );
    assert_eq!(kept(&nights(2, "night"), 500, &[200, 300]), Some((0, 500)));
    assert_eq!(kept(&nights(1, "night"), 500, &[]), None);
    assert_eq!(kept(&nights(3, "night"), 500, &[200, 300]), None);
    assert_eq!(kept(&nights(1, "week"), 500, &[200, 300]), None);
}

proptest! {
    #[test]
    fn refund_and_penalty_sum_to_the_price(
        total in 0_i64..1_000_000_000_000,
        bps in 0_i64..=10_000,
        fee in 0_i64..1_000_000_000_000,
        nights in proptest::collection::vec(0_i64..1_000_000, 1..8),
    ) {
        for outcome in [
            Outcome::Percentage { buyer_bps: bps },
            Outcome::FixedFee { amount: fee },
            Outcome::UnitDeduction { value: 1, unit: "night".to_owned() },
        ] {
            let (refund, penalty) = kept(&outcome, total, &nights).unwrap();
            prop_assert!(refund >= 0 && penalty >= 0 && refund + penalty == total);
        }
        // The slow way: exact thousandths of a unit, compared without rounding.
        let (refund, _) = kept(&Outcome::Percentage { buyer_bps: bps }, total, &[]).unwrap();
        let exact = i128::from(total) * i128::from(bps);
        prop_assert!((i128::from(refund) * 10_000 - exact).abs() * 2 <= 10_000);
    }

    #[test]
    fn instants_agree_with_an_independent_parser(seconds in -60_000_000_000_i64..200_000_000_000, nanos in 0_i32..1_000_000_000, hours in -23_i8..24) {
        let at = Timestamp::new(seconds, nanos).unwrap();
        let local = at.to_zoned(TimeZone::fixed(jiff::tz::offset(hours)));
        let text = local.strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string();
        prop_assert_eq!(Instant::parse(&text), Instant::parse(&at.to_string()), "{}", text);
    }
}

/// The wall time 18:00 two days before arrival, and how much later arrival is.
fn schedule_in(zone: &str, check_in: jiff::civil::Date) -> (Timestamp, Value) {
    let zone = TimeZone::get(zone).unwrap();
    let instant = |days: i64, hour: i8| {
        let date = check_in.checked_sub(jiff::Span::new().days(days)).unwrap();
        let zoned = zone.to_ambiguous_timestamp(date.at(hour, 0, 0, 0));
        zoned.compatible().unwrap()
    };
    let (deadline, arrival) = (instant(2, 18), instant(0, 18));
    let schedule = json!({
        "anchor": arrival.to_string(),
        "tiers": [{
            "until": format!("PT{}S", arrival.as_second() - deadline.as_second()),
            "outcome": { "kind": "percentage", "buyer_bps": 10_000 },
        }],
        "after_last_tier": { "kind": "percentage", "buyer_bps": 0 },
    });
    (deadline, schedule)
}

#[test]
fn rule_12_deadline_at_the_hotel_stays_at_its_wall_time_when_clocks_change() {
    for (zone, check_in, utc) in [
        // New York moves its clocks on 8 March and 1 November 2026.
        ("America/New_York", date(2026, 3, 9), "2026-03-07T23:00:00Z"),
        (
            "America/New_York",
            date(2026, 11, 2),
            "2026-10-31T22:00:00Z",
        ),
        ("Asia/Kathmandu", date(2026, 6, 12), "2026-06-10T12:15:00Z"),
    ] {
        let (deadline, schedule) = schedule_in(zone, check_in);
        assert_eq!(deadline.to_string(), utc, "{zone} {check_in}");
        let free = |at: Timestamp| {
            let selected = select(Some(&schedule), &at.to_string()).unwrap();
            selected.outcome == Outcome::Percentage { buyer_bps: 10_000 }
        };
        let moment = jiff::Span::new().nanoseconds(1);
        assert!(free(deadline.checked_sub(moment).unwrap()) && !free(deadline));
    }
}
