//! What every [`Counter`] must do. `rule` names a rule that nobody used before.

use super::{Ask, Counter, Decision, Key, Looks, Measure, Now, Pace};

fn ask<'a>(rule: &'a str, text: &'a str, measure: Measure, cost: u32) -> Ask<'a> {
    Ask {
        key: Key { rule, text },
        measure,
        cost,
    }
}

fn pace() -> Measure {
    let pace = Pace::new(10, 1_000_000_000, 4).expect("a good pace");
    Measure::Pace(pace)
}

fn after(now: Now, ns: u64) -> Now {
    let step = std::time::Duration::from_nanos(ns);
    Now {
        monotonic_ns: now.monotonic_ns + ns,
        wall: now.wall.saturating_add(step).expect("within the calendar"),
    }
}

async fn left(counter: &dyn Counter, ask: Ask<'_>, now: Now) -> Option<u64> {
    match counter.take(&[ask], now).decided().await {
        Decision::Admitted(levels) => Some(levels[0].remaining),
        Decision::Refused { .. } => None,
    }
}

/// A burst is granted at once, then one unit for every interval.
///
/// # Panics
///
/// When it is not.
pub async fn keeps_the_pace(counter: &dyn Counter, rule: &str, now: Now) {
    let one = ask(rule, "a", pace(), 1);
    for expected in [3, 2, 1, 0] {
        assert_eq!(left(counter, one, now).await, Some(expected));
    }
    let refused = counter.take(&[one], now).decided().await;
    let Decision::Refused { at: 0, level } = refused else {
        panic!("five of four: {refused:?}");
    };
    assert_eq!((level.remaining, level.retry_ns), (0, 100_000_000));
    assert_eq!(left(counter, one, after(now, 99_999_999)).await, None);
    assert_eq!(left(counter, one, after(now, 100_000_000)).await, Some(0));
    // Another key of the rule is untouched.
    assert_eq!(left(counter, ask(rule, "b", pace(), 4), now).await, Some(0));
}

/// What one key refuses costs the others nothing.
///
/// # Panics
///
/// When it does.
pub async fn takes_all_or_nothing(counter: &dyn Counter, rule: &str, now: Now) {
    let (a, b) = (ask(rule, "a", pace(), 3), ask(rule, "b", pace(), 3));
    assert_eq!(left(counter, b, now).await, Some(1));
    let both = counter.take(&[a, b], now).decided().await;
    assert!(matches!(both, Decision::Refused { at: 1, .. }), "{both:?}");
    assert_eq!(left(counter, a, now).await, Some(1));
}

/// Bookings earn looks.
///
/// # Panics
///
/// When they do not.
pub async fn books_earn_looks(counter: &dyn Counter, rule: &str, now: Now) {
    let looks = Looks {
        ratio: 10,
        floor: 2,
        window_ns: 60_000_000_000,
    };
    let one = ask(rule, "s", Measure::Looks(looks), 1);
    assert_eq!(left(counter, one, now).await, Some(1));
    assert_eq!(left(counter, one, now).await, Some(0));
    assert_eq!(left(counter, one, now).await, None);
    counter.earn(one.key, looks, 1, now).await;
    assert_eq!(left(counter, one, now).await, Some(9));
    let later = after(now, looks.window_ns);
    assert_eq!(left(counter, one, later).await, Some(1));
}

/// A key that is reset has all its units again.
///
/// # Panics
///
/// When it has not.
pub async fn reset_gives_all_back(counter: &dyn Counter, rule: &str, now: Now) {
    let all = ask(rule, "a", pace(), 4);
    assert_eq!(left(counter, all, now).await, Some(0));
    assert!(counter.reset(all.key, all.measure).await);
    assert!(!counter.reset(all.key, all.measure).await);
    assert_eq!(left(counter, all, now).await, Some(0));
}
