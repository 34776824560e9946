//! Restoring to any moment, between all stores.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{sync::Arc, time::Duration};

use airside_archive::restore::{
    Difference, Digest, Request, RestoreError, Restored, Source, Until, check_finished, difference,
    digest, restore,
};
use airside_base::{
    Clock as _, Redacted, Supervisor, SystemClock, TenantId, Timestamp, VirtualClock,
};
use airside_ledger::{
    Store, Table,
    stores::{memory::Memory, postgres::Postgres, sqlite::Sqlite},
};
use airside_testkit::postgres::{ROLE, Server};
use proptest::prelude::*;

use crate::{
    archive::Place,
    harness::{Holds, Rig, changed, draft, folds, released, stores, tenant},
};

fn request(until: Until, now: Timestamp) -> Request {
    Request {
        until,
        tenant: None,
        now,
    }
}

async fn back(
    source: Source<'_>,
    request: &Request,
    target: Arc<dyn Store>,
) -> Result<Restored, RestoreError> {
    let clock = Arc::new(VirtualClock::new(request.now));
    restore(source, request, &target, &folds(), clock, &|_| {}).await
}

#[derive(Clone, Debug)]
enum Step {
    Append { owner: usize, count: usize },
    Change { key: usize, rooms: i64 },
    Release { key: usize },
    Ship,
    Clock { seconds: i64 },
}

const OWNERS: [&str; 3] = ["a", "b", "c"];
const KEYS: [&str; 3] = ["h1", "h2", "h3"];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..OWNERS.len(), 1..4_usize).prop_map(|(owner, count)| Step::Append { owner, count }),
        3 => (0..KEYS.len(), 1..5_i64).prop_map(|(key, rooms)| Step::Change { key, rooms }),
        1 => (0..KEYS.len()).prop_map(|key| Step::Release { key }),
        1 => Just(Step::Ship),
        1 => (-3600..3600_i64).prop_map(|seconds| Step::Clock { seconds }),
    ]
}

/// A moment of a history: the last time that belongs to it, and the state then.
type Moment = (Timestamp, Digest);

async fn run(rig: &Rig, store: &dyn Store, place: &Place, steps: &[Step]) -> Vec<Moment> {
    let table = Table::<Holds>::new(rig.ledger.clone());
    let mut archiver = place.archiver(rig).await;
    let mut moments = Vec::new();
    for (number, step) in (0..).zip(steps) {
        let receipt = match *step {
            Step::Append { owner, count } => {
                let drafts = vec![draft(OWNERS[owner], number); count];
                rig.ledger.append(drafts).await.expect("append")
            }
            Step::Change { key, .. } | Step::Release { key } => {
                let drafts = match *step {
                    Step::Change { rooms, .. } => vec![
                        changed(KEYS[key], "Sea", rooms),
                        changed(KEYS[key], "Hill", 1),
                    ],
                    _ => vec![released(KEYS[key])],
                };
                let prior = table.find(&tenant("a"), KEYS[key]).await.expect("find");
                table.append(prior, drafts).await.expect("append")
            }
            Step::Ship => {
                archiver.ship().await.expect("ship");
                continue;
            }
            Step::Clock { seconds } => {
                let by = Duration::from_secs(seconds.unsigned_abs());
                let now = rig.clock.now();
                let to = if seconds < 0 { now - by } else { now + by };
                rig.clock.step_to(to);
                continue;
            }
        };
        moments.push((receipt.time, digest(store, &folds()).await.expect("read")));
    }
    // The clock is past all entries at the end, and everything is in the archive.
    if let Some((time, _)) = moments.last() {
        rig.clock.step_to(*time + Duration::from_secs(7200));
    }
    rig.clock.advance(Duration::from_secs(60));
    while archiver.ship().await.expect("ship").entries > 0 {}
    rig.clock.advance(Duration::from_secs(60));
    archiver.ship().await.expect("ship");
    moments
}

async fn check_moment(source: Source<'_>, request: &Request, expected: Digest) {
    let (targets, _folder) = stores();
    for target in targets {
        back(source, request, target.clone())
            .await
            .expect("restore");
        assert_eq!(digest(&*target, &folds()).await.expect("read"), expected);
    }
}

async fn check_history(steps: &[Step], picks: &[prop::sample::Index]) {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store.clone()).await;
        let place = Place::default();
        let moments = run(&rig, &*store, &place, steps).await;
        if moments.is_empty() {
            rig.stop().await;
            continue;
        }
        let archive = place.archive().await.expect("open");
        archive.verify(&|_| {}).await.expect("verify");
        let now = rig.clock.now();
        for pick in picks {
            let at = pick.index(moments.len());
            let (time, expected) = moments[at];
            // Any time up to the next entry is the same moment.
            let next = moments.get(at + 1).map_or(now, |(next, _)| *next);
            let last = next - Duration::from_micros(1);
            for time in [time, last] {
                let request = request(Until::Time(time), now);
                check_moment(Source::Archive(&archive), &request, expected).await;
                check_moment(Source::Store(&*store), &request, expected).await;
            }
        }
        rig.stop().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn restore_to_any_moment_equals_the_state_then(
        steps in prop::collection::vec(step(), 1..30),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 2),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(check_history(&steps, &picks));
    }
}

/// A fixed history with every sort of step.
fn history() -> Vec<Step> {
    let mut steps = Vec::new();
    for round in 0..6 {
        steps.push(Step::Append {
            owner: round % 3,
            count: 2,
        });
        steps.push(Step::Change {
            key: round % 2,
            rooms: 3,
        });
        steps.push(Step::Ship);
        if round == 3 {
            steps.push(Step::Release { key: 1 });
        }
        steps.push(Step::Clock { seconds: 100 });
    }
    steps
}

async fn postgres(server: &Server, name: &str) -> Arc<dyn Store> {
    let database = server.database(name).unwrap();
    let owner = Redacted::new(database.owner_url.clone());
    Postgres::initialize(&owner, ROLE).await.unwrap();
    let url = Redacted::new(database.url.clone());
    let (clock, supervisor) = (Arc::new(SystemClock::new()), Supervisor::new());
    Arc::new(Postgres::open(&url, clock, &supervisor).await.unwrap())
}

#[tokio::test]
async fn state_moves_between_postgres_and_sqlite() {
    let server = Server::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str| -> Arc<dyn Store> {
        let folder = folder.path().join(name);
        Arc::new(Sqlite::open(&folder, &Supervisor::new()).unwrap())
    };
    let sources = [open("source"), postgres(&server, "restore_source").await];
    for (number, store) in sources.iter().enumerate() {
        let rig = Rig::on(store.clone()).await;
        let place = Place::default();
        let moments = run(&rig, &**store, &place, &history()).await;
        let (time, expected) = moments[moments.len() / 2];
        let request = request(Until::Time(time), rig.clock.now());
        let archive = place.archive().await.unwrap();
        let ways = [Source::Archive(&archive), Source::Store(&**store)];
        for (way, source) in ways.into_iter().enumerate() {
            let name = format!("restore_target_{number}_{way}");
            for target in [open(&name), postgres(&server, &name).await] {
                back(source, &request, target.clone()).await.unwrap();
                assert_eq!(digest(&*target, &folds()).await.unwrap(), expected);
            }
        }
        rig.stop().await;
    }
}

/// A ledger in memory and its archive, after [`history`].
async fn lived() -> (Rig, Memory, Place, Vec<Moment>) {
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let place = Place::default();
    let moments = run(&rig, &store, &place, &history()).await;
    (rig, store, place, moments)
}

async fn check_refused(
    until: &str,
    only: Option<TenantId>,
    expected: impl Fn(&RestoreError) -> bool,
) {
    let (rig, store, place, _) = lived().await;
    let archive = place.archive().await.unwrap();
    let request = Request {
        until: until.parse().unwrap(),
        tenant: only,
        now: rig.clock.now(),
    };
    for source in [Source::Archive(&archive), Source::Store(&store)] {
        let target = Arc::new(Memory::new());
        let refused = back(source, &request, target.clone()).await.unwrap_err();
        assert!(expected(&refused), "{until}: {refused}");
        let fault = refused.fault();
        assert!(
            !fault.public().is_empty() && fault.hint().is_some(),
            "{fault:?}"
        );
        // Who mistyped the moment tries another one.
        if target.chains().await.unwrap().is_empty() {
            let all = Request {
                until: Until::Latest,
                tenant: None,
                now: request.now,
            };
            back(source, &all, target).await.unwrap();
        }
    }
    rig.stop().await;
}

#[tokio::test]
async fn moments_that_no_source_has_are_refused() {
    use RestoreError as E;
    check_refused("1999-01-01T00:00:00Z", None, |e| {
        matches!(e, E::BeforeFirst { .. })
    })
    .await;
    check_refused("2199-01-01T00:00:00Z", None, |e| {
        matches!(e, E::Beyond { .. })
    })
    .await;
    check_refused("3", None, |e| matches!(e, E::Unclear { .. })).await;
    let absent = |e: &E| matches!(e, E::Absent { .. });
    check_refused("999", Some(tenant("a")), absent).await;
    check_refused("0", Some(tenant("a")), absent).await;
    check_refused("latest", Some(tenant("nobody")), absent).await;
    check_refused("manifest:0", None, |e| {
        matches!(e, E::Absent { .. } | E::Unclear { .. })
    })
    .await;
}

#[tokio::test]
async fn target_that_is_not_empty_is_left_alone() {
    let (rig, store, place, _) = lived().await;
    let archive = place.archive().await.unwrap();
    let before = digest(&store, &folds()).await.unwrap();
    let request = request(Until::Latest, rig.clock.now());
    let refused = back(Source::Archive(&archive), &request, Arc::new(store.clone())).await;
    assert!(
        matches!(refused, Err(RestoreError::NotEmpty)),
        "{refused:?}"
    );
    assert_eq!(digest(&store, &folds()).await.unwrap(), before);
    rig.stop().await;
}

#[tokio::test]
async fn one_chain_comes_back_to_an_exact_entry() {
    let (rig, store, place, _) = lived().await;
    let archive = place.archive().await.unwrap();
    let request = Request {
        until: Until::Seq(5),
        tenant: Some(tenant("a")),
        now: rig.clock.now(),
    };
    for source in [Source::Archive(&archive), Source::Store(&store)] {
        let target = Memory::new();
        let restored = back(source, &request, Arc::new(target)).await.unwrap();
        assert_eq!(restored.entries, 5);
        assert_eq!(restored.heads.len(), 1);
        assert_eq!(restored.heads[0].1.seq, 5);
    }
    rig.stop().await;
}

#[tokio::test]
async fn preview_names_what_differs() {
    let (rig, store, place, moments) = lived().await;
    let archive = place.archive().await.unwrap();
    let now = rig.clock.now();
    let target = Memory::new();
    let latest = request(Until::Latest, now);
    back(Source::Archive(&archive), &latest, Arc::new(target.clone()))
        .await
        .unwrap();
    let same = difference(&store, &target, None, &folds()).await.unwrap();
    assert_eq!(same, Difference::default());

    let target = Memory::new();
    let early = request(Until::Time(moments[1].0), now);
    back(Source::Archive(&archive), &early, Arc::new(target.clone()))
        .await
        .unwrap();
    let found = difference(&store, &target, None, &folds()).await.unwrap();
    let ends: Vec<_> = found
        .chains
        .iter()
        .map(|c| (c.present, c.restored))
        .collect();
    assert_eq!(ends, [(17, 4), (4, 0), (4, 0)]);
    let keys: Vec<_> = found.documents.iter().map(|d| &*d.key).collect();
    assert_eq!((keys, found.documents_total), (vec!["h1", "h2"], 2));
    let only = difference(&store, &target, Some(&tenant("b")), &folds()).await;
    assert_eq!(only.unwrap().chains.len(), 1);
    rig.stop().await;
}

#[tokio::test]
async fn restored_ledger_goes_on_behind_the_last_entry() {
    let (rig, store, ..) = lived().await;
    let target = Memory::new();
    let latest = request(Until::Latest, rig.clock.now());
    back(Source::Store(&store), &latest, Arc::new(target.clone()))
        .await
        .unwrap();
    let again = Rig::on(Arc::new(target)).await;
    let table = Table::<Holds>::new(again.ledger.clone());
    let prior = table.find(&tenant("a"), "h1").await.unwrap();
    let receipt = table.append(prior, vec![changed("h1", "Sea", 1)]).await;
    assert_eq!(receipt.unwrap().entries[0].seq, 18);
    again.ledger.verify(&|_| {}).await.unwrap();
    again.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn half_a_restore_is_no_ledger() {
    let server = Server::start().unwrap();
    let (rig, store, place, _) = lived().await;
    let archive = place.archive().await.unwrap();
    let latest = request(Until::Latest, rig.clock.now());
    for target in [postgres(&server, "half").await, Arc::new(Memory::new())] {
        // The archive loses a segment after the restore has begun to write.
        let segments = place.storage.names().await;
        let last = segments.iter().rfind(|name| name.starts_with("segment"));
        let last = last.unwrap();
        let kept = place.storage.load(last).await;
        place.storage.remove(last).await;
        let broken = back(Source::Archive(&archive), &latest, target.clone()).await;
        assert!(
            matches!(broken, Err(RestoreError::Archive(_))),
            "{broken:?}"
        );
        place.storage.replace(last, kept).await;
        let refused = check_finished(&*target, &rig.clock).await.unwrap_err();
        assert_eq!(refused.fault().code(), "LED-108");
        let again = back(Source::Archive(&archive), &latest, target.clone()).await;
        let again = again.unwrap_err();
        assert!(
            matches!(again, RestoreError::NotEmpty | RestoreError::Unfinished),
            "{again}"
        );
    }
    let whole: Arc<dyn Store> = Arc::new(Memory::new());
    back(Source::Store(&store), &latest, whole.clone())
        .await
        .unwrap();
    check_finished(&*whole, &rig.clock).await.unwrap();
    check_finished(&*whole, &rig.clock).await.unwrap();
    rig.stop().await;
}
