use airside_base::Timestamp;
use futures_util::FutureExt as _;

use super::*;
use crate::limit::{Pace, contract};

fn at(monotonic_ns: u64) -> Now {
    Now {
        monotonic_ns,
        wall: Timestamp::UNIX_EPOCH,
    }
}

fn one<'a>(rule: &'a str, text: &'a str) -> Ask<'a> {
    Ask {
        key: Key { rule, text },
        measure: Measure::Pace(Pace::new(1, 1_000_000_000, 2).unwrap()),
        cost: 1,
    }
}

#[test]
fn memory_keeps_the_contract() {
    let memory = Memory::new(1_000);
    let now = at(5_000_000_000);
    let all = async {
        contract::keeps_the_pace(&memory, "pace", now).await;
        contract::takes_all_or_nothing(&memory, "all", now).await;
        contract::books_earn_looks(&memory, "books", now).await;
        contract::reset_gives_all_back(&memory, "reset", now).await;
    };
    all.now_or_never().expect("memory waits for nobody");
}

#[test]
fn flood_of_keys_limits_itself_and_nobody_else() {
    let memory = Memory::new(1_600);
    let admitted = |text: &str| {
        matches!(
            memory.decide(&[one("r", text)], at(0)),
            Decision::Admitted(_)
        )
    };
    assert!(admitted("known"));
    let through = (0..100_000).filter(|n| admitted(&format!("{n}"))).count();
    // Every key that has a cell of its own is admitted once, and so are the two units
    // of each cell that the others share.
    assert!((1_600..=1_800 + 2 * 16).contains(&through), "{through}");
    assert!(memory.len() <= 1_800 + 16, "{}", memory.len());
    assert!(admitted("known"), "a key that was there keeps its units");
    assert!(!admitted("known"));
    // What comes to rest makes room again.
    let later = at(10_000_000_000);
    let decided = memory.decide(&[one("r", "new")], later);
    assert!(matches!(decided, Decision::Admitted(_)));
    memory.sweep(at(20_000_000_000));
    assert!(memory.is_empty());
}

#[test]
fn same_key_twice_in_one_take_is_counted_twice() {
    let memory = Memory::new(100);
    let asks = [one("r", "a"), one("r", "a"), one("r", "a")];
    let decided = memory.decide(&asks, at(0));
    assert!(matches!(decided, Decision::Refused { at: 2, .. }));
    let decided = memory.decide(&asks[..2], at(0));
    assert!(matches!(decided, Decision::Admitted(_)));
}

#[test]
fn threads_share_one_budget() {
    let memory = Memory::new(100);
    let budget = Pace::new(1, 3_600_000_000_000, 100).unwrap();
    let ask = Ask {
        measure: Measure::Pace(budget),
        ..one("r", "a")
    };
    let other = Ask {
        measure: Measure::Pace(budget),
        ..one("s", "b")
    };
    let granted: usize = std::thread::scope(|scope| {
        let work = |asks: [Ask<'static>; 2], memory: &Memory| {
            let taken =
                (0..100).filter(|_| matches!(memory.decide(&asks, at(0)), Decision::Admitted(_)));
            taken.count()
        };
        let memory = &memory;
        // In both orders: locks must not wait for each other.
        let threads = [[ask, other], [other, ask], [ask, other], [other, ask]]
            .map(|asks| scope.spawn(move || work(asks, memory)));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum()
    });
    assert_eq!(granted, 100);
}

#[test]
fn ledger_and_cells_agree_on_a_quota() {
    let memory = Memory::new(100);
    let period = Period {
        start_s: 0,
        end_s: 86_400,
    };
    let ask = Ask {
        measure: Measure::Quota { limit: 10, period },
        ..one("q", "tenant=a")
    };
    assert!(matches!(
        memory.decide(&[ask, ask, ask], at(0)),
        Decision::Admitted(_)
    ));
    let unsaved = memory.unsaved();
    assert_eq!(unsaved.len(), 1);
    // One more came while three were being written; others have used four.
    assert!(matches!(
        memory.decide(&[ask], at(0)),
        Decision::Admitted(_)
    ));
    memory.settle(ask.key, (period, 7, 3), at(0));
    let [entry] = &memory.entries()[..] else {
        panic!("one key");
    };
    assert_eq!(
        entry.cell,
        Cell::Quota {
            period,
            used: 8,
            unsaved: 1
        }
    );
}

/// Resident memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: usize = line
        .and_then(|line| line.split_whitespace().nth(1))
        .and_then(|number| number.parse().ok())
        .unwrap();
    kib << 10
}

#[cfg(target_os = "linux")]
#[test]
fn hundred_thousand_keys_take_less_than_thirty_megabytes() {
    let memory = Memory::new(100_000);
    let before = resident();
    for n in 0..100_000 {
        // As long as those of persons behind OAuth clients.
        let text = format!("tenant=acme client=token/assistant@issuer.example user=~{n:032x}");
        let decided = memory.decide(&[one("per-user", &text)], at(0));
        assert!(matches!(decided, Decision::Admitted(_)));
    }
    assert_eq!(memory.len(), 100_000);
    let taken = resident() - before;
    assert!(taken <= 30_000_000, "{taken} bytes");
    // So that `--no-capture` shows the figure.
    eprintln!("100,000 keys: {:.1} MB", taken as f64 / 1e6);
}
