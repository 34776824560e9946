//! What a hundred thousand distinct keys of limits take, and what a decision costs among
//! them: `scripts/bench limits`.

#![expect(clippy::print_stdout, reason = "prints its figures")]

use std::{fs, hint::black_box, time::Duration};

use airside_base::{Clock, SystemClock};
use airside_policy::limit::{Ask, Decision, Key, Measure, Memory, Now, Pace};

const KEYS: usize = 100_000;

fn main() {
    let clock = SystemClock::new();
    let memory = Memory::new(KEYS);
    // As long as those of persons behind OAuth clients.
    let key =
        |n: usize| format!("tenant=acme client=token/assistant@issuer.example user=~{n:032x}");
    // Slow enough that no key comes to rest meanwhile.
    let pace = Pace::new(1, 3_600_000_000_000, 8).expect("a good pace");
    let take = |text: &str| {
        let ask = Ask {
            key: Key {
                rule: "per-user",
                text,
            },
            measure: Measure::Pace(pace),
            cost: 1,
        };
        let began = clock.monotonic();
        let now = Now {
            monotonic_ns: u64::try_from(began.as_nanos()).expect("this machine is not that old"),
            wall: clock.now(),
        };
        let decided = black_box(memory.decide(&[ask], now));
        assert!(matches!(decided, Decision::Admitted(_)), "there is room");
        clock.monotonic().saturating_sub(began)
    };
    let before = resident_kib();
    let mut first: Vec<Duration> = (0..KEYS).map(|n| take(&key(n))).collect();
    let taken = resident_kib().saturating_sub(before);
    let mut again: Vec<Duration> = (0..KEYS).map(|n| take(&key(n * 7919 % KEYS))).collect();
    assert_eq!(memory.len(), KEYS, "every key has a budget of its own");
    // The times themselves are in the memory as well.
    let times = KEYS * size_of::<Duration>() / 1024;
    println!(
        "{KEYS} distinct keys: {} KiB resident (may be 30 MB)",
        taken.saturating_sub(times)
    );
    print("decision, new key", &mut first);
    print("decision, known key", &mut again);
}

/// Resident memory of this process; 0 where nobody says.
fn resident_kib() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        .unwrap_or(0)
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100].as_nanos();
    println!(
        "{what}: p50 {} ns, p90 {} ns, p99 {} ns",
        at(50),
        at(90),
        at(99)
    );
}
