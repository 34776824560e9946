//! Against a real server: the contract, memory on random histories, two nodes, and an
//! outage in the middle.

use airside_base::{Clock as _, OnFailure, SystemClock};
use airside_policy::limit::{Period, contract};
use airside_testkit::redis::Server;
use proptest::{prelude::*, test_runner::TestRunner};
use tokio::sync::mpsc;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn options(server: &Server, nodes: u32, time: Time) -> StoreOptions {
    StoreOptions {
        url: Redacted::new(server.url()),
        // Of a machine under test.
        timeout: Duration::from_secs(5),
        nodes: NonZeroU32::new(nodes).unwrap(),
        prefix: "test".to_owned(),
        time,
    }
}

/// A node of a store, connected.
struct Node {
    shared: Arc<Shared>,
    changes: mpsc::Receiver<bool>,
    supervisor: Supervisor,
}

impl Node {
    async fn start(options: &StoreOptions) -> Self {
        let memory = Arc::new(Memory::new(1_000));
        let shared = Arc::new(Shared::new(options, memory, 1_000).unwrap());
        let (supervisor, keeping) = (Supervisor::new(), shared.clone());
        let (sender, changes) = mpsc::channel(16);
        let stop = supervisor.clone();
        supervisor.spawn("keep", OnFailure::Log, async move {
            let tell = |back, _: &str, _| {
                let _ = sender.try_send(back);
            };
            keeping.keep(&SystemClock::new(), &stop, tell).await;
        });
        let mut node = Self {
            shared,
            changes,
            supervisor,
        };
        node.until(true).await;
        node
    }

    /// Waits until the store is there, or is away.
    async fn until(&mut self, there: bool) {
        let changed = async { while self.changes.recv().await != Some(there) {} };
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, changed)
            .await
            .expect("it changes");
    }

    async fn admits(&self, ask: &Ask<'_>, now: Now) -> bool {
        let asks = [*ask];
        let decided = self.shared.take(&asks, now).decided().await;
        matches!(decided, Decision::Admitted(_))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.supervisor.request_stop();
    }
}

fn start() -> Now {
    Now {
        monotonic_ns: 5 * SECOND,
        wall: SystemClock::new().now(),
    }
}

fn after(now: Now, ns: u64) -> Now {
    Now {
        monotonic_ns: now.monotonic_ns + ns,
        wall: now.wall + Duration::from_nanos(ns),
    }
}

fn pace(units: u64, per_ns: u64, burst: u32) -> Measure {
    Measure::Pace(Pace::new(units, per_ns, burst).unwrap())
}

fn ask<'a>(rule: &'a str, text: &'a str, measure: Measure, cost: u32) -> Ask<'a> {
    Ask {
        key: Key { rule, text },
        measure,
        cost,
    }
}

#[tokio::test]
async fn store_keeps_the_contract() {
    let server = Server::start().unwrap();
    let node = Node::start(&options(&server, 1, Time::Node)).await;
    let (shared, now) = (&*node.shared, start());
    contract::keeps_the_pace(shared, "pace", now).await;
    contract::takes_all_or_nothing(shared, "all", now).await;
    contract::books_earn_looks(shared, "books", now).await;
    contract::reset_gives_all_back(shared, "reset", now).await;
}

/// One step of a history: nanoseconds that pass, keys and costs, and whether a booking
/// is credited.
type Step = (u64, Vec<(usize, u32)>, bool);

fn measures(period: Period) -> [Measure; 4] {
    [
        pace(1, 70_000_001, 5),
        pace(7, SECOND, 20),
        Measure::Quota { limit: 40, period },
        Measure::Looks(Looks {
            ratio: 3,
            floor: 4,
            window_ns: 900_000_001,
        }),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_and_memory_decide_alike() {
    let server = Server::start().unwrap();
    let node = Node::start(&options(&server, 1, Time::Node)).await;
    let handle = tokio::runtime::Handle::current();
    let check = |case: usize, history: &[Step]| {
        let (memory, mut now) = (Memory::new(1_000), start());
        let second = now.wall.as_second();
        let period = Period {
            start_s: second - 50,
            end_s: second + 100_000,
        };
        let (measures, rule) = (measures(period), format!("case-{case}"));
        for (ns, wanted, books) in history {
            now = after(now, *ns);
            let texts: Vec<String> = wanted.iter().map(|(key, _)| key.to_string()).collect();
            let asks: Vec<Ask<'_>> = wanted
                .iter()
                .zip(&texts)
                .map(|((key, cost), text)| ask(&rule, text, measures[*key], *cost))
                .collect();
            let expected = memory.decide(&asks, now);
            let found = handle.block_on(node.shared.take(&asks, now).decided());
            match (&expected, &found) {
                (Decision::Admitted(_), Decision::Admitted(_)) => {
                    prop_assert_eq!(&expected, &found);
                }
                // Which of several refuses may differ: what was refused before is not
                // asked again.
                (Decision::Refused { .. }, Decision::Refused { .. }) => {}
                _ => prop_assert!(false, "{:?} or {:?}", expected, found),
            }
            if *books {
                let Measure::Looks(looks) = measures[3] else {
                    unreachable!("the fourth counts looks");
                };
                let key = Key {
                    rule: &rule,
                    text: "3",
                };
                memory.credit(key, looks, 1, now);
                handle.block_on(node.shared.earn(key, looks, 1, now));
            }
        }
        Ok(())
    };
    let keys = prop::sample::subsequence(vec![0_usize, 1, 2, 3], 1..=4);
    let wanted = keys.prop_flat_map(|keys| {
        let costs = prop::collection::vec(0_u32..6, keys.len());
        costs.prop_map(move |costs| keys.iter().copied().zip(costs).collect::<Vec<_>>())
    });
    let step = (0..300_000_000_u64, wanted, prop::bool::weighted(0.1));
    let histories = prop::collection::vec(step, 1..60);
    let case = std::cell::Cell::new(0);
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    tokio::task::block_in_place(|| {
        let run = runner.run(&histories, |history| {
            case.set(case.get() + 1);
            check(case.get(), &history)
        });
        run.unwrap();
    });
}

#[tokio::test]
async fn two_nodes_share_one_budget() {
    let server = Server::start().unwrap();
    let nodes = [
        Node::start(&options(&server, 2, Time::Server)).await,
        Node::start(&options(&server, 2, Time::Server)).await,
    ];
    let one = ask("pace", "client=ci", pace(1, 300 * SECOND, 320), 1);
    let clock = SystemClock::new();
    let mut granted = [0, 0];
    for turn in 0..800 {
        let node = turn % 2;
        let monotonic = u64::try_from(clock.monotonic().as_nanos()).unwrap();
        let now = Now {
            monotonic_ns: monotonic + SECOND,
            wall: clock.now(),
        };
        granted[node] += usize::from(nodes[node].admits(&one, now).await);
    }
    let all: usize = granted.iter().sum();
    // What one has taken ahead when the budget ends is out of the other's reach.
    assert!((320 - 2 * 10..=320).contains(&all), "{granted:?}");
    assert!(granted.iter().all(|granted| *granted >= 100), "{granted:?}");
}

#[tokio::test]
async fn busy_key_is_taken_ahead_in_small_portions() {
    let server = Server::start().unwrap();
    let node = Node::start(&options(&server, 1, Time::Node)).await;
    let one = ask("pace", "busy", pace(1, 300 * SECOND, 3_200), 1);
    let (mut now, mut asked) = (start(), 0);
    for _ in 0..1_000 {
        now = after(now, 1_000_000);
        let asks = [one];
        match node.shared.take(&asks, now) {
            Taking::Ready(Decision::Admitted(_)) => {}
            Taking::Pending(deciding) => {
                asked += 1;
                assert!(matches!(deciding.await, Decision::Admitted(_)));
            }
            Taking::Ready(refused) => panic!("{refused:?}"),
        }
    }
    // 1 + 2 + 4 + … + 64 within 50 ms each, then 64 at a time.
    assert!((15..=25).contains(&asked), "{asked}");
    // Calls that are seldom take what they cost.
    for _ in 0..10 {
        now = after(now, 2 * SECOND);
        assert!(node.admits(&one, now).await);
    }
    let id = node.shared.ahead.id(one.key);
    let mut known = node.shared.ahead.lock(std::iter::once(id));
    assert_eq!(known.find(id).unwrap().units, 0);
}

#[tokio::test]
async fn store_that_dies_is_replaced_by_shares_until_it_is_back() {
    let mut server = Server::start().unwrap();
    let mut node = Node::start(&options(&server, 2, Time::Server)).await;
    let now = start();
    let one = ask("pace", "client=ci", pace(1, 3_600 * SECOND, 10), 1);
    for _ in 0..10 {
        assert!(node.admits(&one, now).await);
    }
    assert!(!node.admits(&one, now).await, "the store has no more");
    server.kill();
    node.until(false).await;
    assert!(!node.shared.is_there());
    // Half of the burst, once for the outage, and not a call waits for the store.
    let asks = [one];
    let alone = (0..10).filter(|_| {
        let taking = node.shared.take(&asks, now);
        matches!(taking, Taking::Ready(Decision::Admitted(_)))
    });
    assert_eq!(alone.count(), 5);
    server.start_again().unwrap();
    node.until(true).await;
    // The store has lost its memory: all units are there.
    let later = after(now, 2 * SECOND);
    for _ in 0..10 {
        assert!(node.admits(&one, later).await);
    }
    assert!(!node.admits(&one, later).await);
}

#[tokio::test]
async fn store_that_forgot_learns_what_the_ledger_has() {
    let mut server = Server::start().unwrap();
    let mut node = Node::start(&options(&server, 2, Time::Server)).await;
    let now = start();
    let second = now.wall.as_second();
    let period = Period {
        start_s: second - 50,
        end_s: second + 100_000,
    };
    let one = ask("day", "tenant=a", Measure::Quota { limit: 10, period }, 1);
    for _ in 0..4 {
        assert!(node.admits(&one, now).await);
    }
    server.start_again().unwrap();
    node.until(false).await;
    node.until(true).await;
    let total = QuotaUse {
        limit: "day".to_owned(),
        key: "tenant=a".to_owned(),
        start_s: period.start_s,
        end_s: period.end_s,
        used: 8,
    };
    node.shared.raise(std::slice::from_ref(&total)).await;
    // Less than is known changes nothing.
    node.shared.raise(&[QuotaUse { used: 3, ..total }]).await;
    let left = (0..5).map(async |_| node.admits(&one, now).await);
    let left = futures_util::future::join_all(left).await;
    assert_eq!(left.into_iter().filter(|admitted| *admitted).count(), 2);
}
