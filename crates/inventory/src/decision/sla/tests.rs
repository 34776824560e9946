use std::{sync::Arc, time::Duration};

use airside_base::{Clock as _, VirtualClock};
use jiff::civil::date;

use super::*;
use crate::decision::{decide, tests::inputs};

/// A virtual clock at noon of 2 March 2026, and decisions with the given windows.
struct World {
    clock: Arc<VirtualClock>,
}

impl World {
    fn new() -> Self {
        let noon: Timestamp = "2026-03-02T12:00:00Z".parse().expect("a time");
        Self {
            clock: Arc::new(VirtualClock::new(noon)),
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn pass_days(&self, days: u64) -> Timestamp {
        self.clock.advance(Duration::from_secs(days * 86_400));
        self.now()
    }
}

fn window(days: Option<u16>) -> Decision {
    Decision {
        days,
        until: None,
        ..decide(inputs())
    }
}

fn due(clock: &Clock) -> String {
    clock.due.map_or("none".to_owned(), |due| due.to_string())
}

#[test]
fn starts_when_both_are_known_and_ends_with_a_day() {
    let world = World::new();
    let clock = Clock::start(world.now(), Some(date(2026, 2, 28)), &window(Some(14)));
    assert_eq!(due(&clock), "2026-03-16T23:59:59Z");
    assert_eq!(clock.feed_day, Some(date(2026, 2, 28)));
    let open = Clock::start(world.now(), None, &window(None));
    assert_eq!(due(&open), "none");
}

#[test]
fn evidence_brings_the_deadline_nearer() {
    let world = World::new();
    let mut clock = Clock::start(world.now(), None, &window(Some(60)));
    let later = world.pass_days(10);
    assert!(clock.tighten(later, &window(Some(3))));
    assert_eq!(due(&clock), "2026-03-15T23:59:59Z");
    // Near the end a shorter window changes nothing: the old deadline is earlier.
    let mut clock = Clock::start(later, None, &window(Some(14)));
    let last = world.pass_days(13);
    assert!(!clock.tighten(last, &window(Some(3))));
    assert_eq!(due(&clock), "2026-03-26T23:59:59Z");
}

#[test]
fn a_longer_window_moves_nothing() {
    let world = World::new();
    let mut clock = Clock::start(world.now(), None, &window(Some(3)));
    for days in [Some(14), Some(60), None] {
        assert!(!clock.tighten(world.pass_days(1), &window(days)));
    }
    assert_eq!(due(&clock), "2026-03-05T23:59:59Z");
}

#[test]
fn scanning_again_moves_nothing() {
    let world = World::new();
    let mut clock = Clock::start(world.now(), None, &window(Some(14)));
    let before = clock.clone();
    for _ in 0..30 {
        clock.tighten(world.pass_days(1), &window(Some(14)));
    }
    assert_eq!(clock, before);
    assert!(clock.is_overdue(world.now()));
}

#[test]
fn a_clock_that_steps_back_makes_no_deadline_of_the_past() {
    let world = World::new();
    let mut clock = Clock::start(world.now(), None, &window(Some(60)));
    let before: Timestamp = "2020-01-01T00:00:00Z".parse().expect("a time");
    assert!(clock.tighten(before, &window(Some(3))));
    assert_eq!(due(&clock), "2026-03-05T23:59:59Z");
    assert_eq!(clock.exposed_s(before), 0);
}

#[test]
fn a_later_deadline_takes_a_person_and_a_reason() {
    let world = World::new();
    let mut clock = Clock::start(world.now(), None, &window(Some(3)));
    let to = date(2026, 4, 1);
    let now = world.now();
    assert_eq!(
        clock.extend(now, " ", "because", to),
        Err(Refused::NoPerson)
    );
    assert_eq!(clock.extend(now, "ann", "", to), Err(Refused::NoReason));
    let sooner = clock.extend(now, "ann", "because", date(2026, 3, 5));
    assert_eq!(sooner, Err(Refused::NotLater));
    clock
        .extend(now, "ann", "vendor ships in April", to)
        .expect("extended");
    assert_eq!(due(&clock), "2026-04-01T23:59:59Z");
    assert_eq!(clock.extensions[0].by, "ann");
    // Scanning again does not take it back; new evidence does.
    assert!(!clock.tighten(world.pass_days(1), &window(Some(3))));
    assert!(clock.tighten(world.now(), &window(Some(1))));
    assert_eq!(due(&clock), "2026-03-04T23:59:59Z");
}

#[test]
fn merged_aliases_keep_the_earliest_start_and_deadline() {
    let world = World::new();
    let first = Clock::start(world.now(), None, &window(Some(60)));
    let second = Clock::start(world.pass_days(5), None, &window(Some(3)));
    for joined in [
        first.clone().joined(second.clone()),
        second.clone().joined(first.clone()),
    ] {
        assert_eq!(joined.started, first.started);
        assert_eq!(joined.due, second.due);
    }
}

#[test]
fn reopened_after_a_fix_that_was_seen_starts_anew() {
    let world = World::new();
    let clock = Clock::start(world.now(), None, &window(Some(14)));
    let later = world.pass_days(30);
    let anew = clock.clone().reopened(later, true, &window(Some(14)));
    assert_eq!(anew.started, later);
    let old = clock.clone().reopened(later, false, &window(Some(14)));
    assert_eq!((old.started, old.due), (clock.started, clock.due));
    assert!(old.is_overdue(later));
}

#[test]
fn mitigation_stops_exposure_and_not_the_deadline() {
    let world = World::new();
    let mut clock = Clock::start(world.now(), None, &window(Some(14)));
    let before = clock.due;
    clock.mitigate(world.pass_days(1), "block-tool", None, "ann");
    assert_eq!(clock.exposed_s(world.pass_days(5)), 86_400);
    assert_eq!(clock.due, before);
    clock.expose(world.now());
    assert_eq!(clock.exposed_s(world.pass_days(2)), 3 * 86_400);
    assert!(clock.is_overdue(world.pass_days(10)));
}

#[test]
fn a_cap_that_has_passed_is_due_today() {
    let world = World::new();
    let mut late = window(Some(60));
    late.until = Some(date(2026, 1, 1));
    let clock = Clock::start(world.now(), None, &late);
    assert_eq!(due(&clock), "2026-03-02T23:59:59Z");
}

#[test]
fn what_persons_decided_meanwhile_outlives_a_judgement_that_did_not_know_it() {
    let world = World::new();
    let known = Clock::start(world.now(), None, &window(Some(14)));
    let mut decided = known.clone();
    let to = date(2026, 4, 1);
    let later = world.pass_days(1);
    decided.mitigate(later, "block-tool", Some("search"), "ann");
    decided
        .extend(later, "ann", "vendor ships in April", to)
        .expect("extended");
    let same = decided.clone().judged_again(&known);
    assert_eq!(same, decided, "nothing that was decided is lost");
    // What came nearer by new evidence stays near: an extension is no shield against it.
    let mut tightened = known;
    assert!(tightened.tighten(later, &window(Some(3))));
    let both = decided.clone().judged_again(&tightened);
    assert_eq!(due(&both), "2026-03-06T23:59:59Z");
    assert_eq!(both.mitigation, decided.mitigation);
    assert_eq!(both.extensions, decided.extensions);
}

#[test]
fn the_end_of_a_finding_ends_exposure_and_mitigation() {
    let world = World::new();
    let mut clock = Clock::start(world.now(), None, &window(Some(14)));
    clock.mitigate(world.pass_days(1), "block-tool", None, "ann");
    clock.expose(world.pass_days(1));
    clock.end(world.pass_days(2));
    assert_eq!(clock.exposed_s(world.pass_days(30)), 3 * 86_400);
    assert_eq!(clock.mitigation, None);
    // Back without a fix that was seen: the time of exposure goes on from there.
    let back = clock.reopened(world.now(), false, &window(Some(14)));
    assert_eq!(back.exposed_s(world.pass_days(1)), 4 * 86_400);
}
