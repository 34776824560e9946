//! The same moment, brought back by PostgreSQL itself and by a restore.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{sync::Arc, time::Duration};

use airside_archive::{
    Archive, Archiver, Objects, Options as ArchiveOptions,
    restore::{Digest, Request, Source, Until, digest, restore},
};
use airside_base::{Clock, NodeId, Redacted, Supervisor, SystemClock, Timestamp};
use airside_ledger::{
    Ledger, Options, Store, Table,
    stores::{memory::Memory, postgres::Postgres},
    vault::memory::MemoryVault,
};
use airside_testkit::postgres::{Database, Kept, ROLE};
use futures_util::future::join_all;
use object_store::memory::InMemory;

use crate::harness::{Holds, changed, draft, folds, released, tenant};

/// Moments of the normal tests; each takes the start of a server.
const MOMENTS: u64 = 1;

async fn open(database: &Database, tasks: &Supervisor) -> Arc<dyn Store> {
    let url = Redacted::new(database.url.clone());
    let clock = Arc::new(SystemClock::new());
    Arc::new(Postgres::open(&url, clock, tasks).await.unwrap())
}

/// Callers that append at the same time, until all have been answered.
async fn burst(ledger: &Ledger, round: u64) {
    let appends = (0..20).map(|number| {
        let owner = ["a", "b", "c"][usize::try_from(number % 3).unwrap()];
        let drafts = vec![draft(owner, round * 100 + number); 1 + usize::from(number % 2 == 0)];
        ledger.append(drafts)
    });
    for appended in join_all(appends).await {
        appended.unwrap();
    }
    let table = Table::<Holds>::new(ledger.clone());
    for key in ["h1", "h2"] {
        let prior = table.find(&tenant("a"), key).await.unwrap();
        let draft = if round % 3 == 2 {
            released(key)
        } else {
            changed(key, "Sea", 1)
        };
        table.append(prior, vec![draft]).await.unwrap();
    }
}

/// Returns the present time between two commits, and the state then.
async fn moment(store: &dyn Store, clock: &dyn Clock) -> (Timestamp, Digest) {
    let state = digest(store, &folds()).await.unwrap();
    // PostgreSQL reads microseconds at most.
    let now = Timestamp::from_microsecond(clock.now().as_microsecond());
    (now.unwrap(), state)
}

fn moments() -> u64 {
    let asked = std::env::var("AIRSIDE_DIFFERENTIAL_MOMENTS").ok();
    asked.map_or(MOMENTS, |moments| moments.parse().unwrap())
}

#[tokio::test]
async fn recovery_by_the_database_and_restore_bring_back_the_same_state() {
    let mut kept = Kept::start().unwrap();
    let database = kept.server().database("differential").unwrap();
    let owner = Redacted::new(database.owner_url.clone());
    Postgres::initialize(&owner, ROLE).await.unwrap();
    let (tasks, clock) = (Supervisor::new(), Arc::new(SystemClock::new()));
    let shared: Arc<dyn Clock> = clock.clone();
    let store = open(&database, &tasks).await;
    let ledger = Ledger::open(store.clone(), shared.clone(), &tasks, Options::default());
    let ledger = ledger.await.unwrap();
    let objects = Objects::new(Arc::new(InMemory::new()));
    let vault = Arc::new(MemoryVault::new());
    let archive = Archive::open_or_create(objects, vault, &*clock)
        .await
        .unwrap();
    let (node, options) = (NodeId::generate(&*clock), ArchiveOptions::default());
    let archiver = Archiver::new(ledger.clone(), archive.clone(), shared, node, options);
    let mut archiver = archiver.await.unwrap();

    burst(&ledger, 0).await;
    kept.back_up().unwrap();
    let mut there = Vec::new();
    for round in 1..=moments() {
        burst(&ledger, round).await;
        there.push(moment(&*store, &*clock).await);
        archiver.ship().await.unwrap();
    }
    // Recovery by time needs a commit behind it.
    burst(&ledger, 1000).await;
    while archiver.ship().await.unwrap().entries > 0 {}
    store.close().await;
    drop((archiver, ledger, store));
    tasks.stop(Duration::from_secs(20)).await;
    kept.stop();

    for (time, state) in there {
        // At that time of its start the server knows no names of zones.
        let text = time.to_string().replace('Z', "+00");
        let native = kept.recover(&format!("recovery_target_time={text}"));
        let native = native.unwrap();
        let tasks = Supervisor::new();
        let recovered = open(&native.named(&database), &tasks).await;
        let by_database = digest(&*recovered, &folds()).await.unwrap();
        let target: Arc<dyn Store> = Arc::new(Memory::new());
        let request = Request {
            until: Until::Time(time),
            tenant: None,
            now: clock.now(),
        };
        let source = Source::Archive(&archive);
        restore(source, &request, &target, &folds(), clock.clone(), &|_| {})
            .await
            .unwrap();
        let by_restore = digest(&*target, &folds()).await.unwrap();
        assert_eq!(by_database, by_restore, "at {time}");
        assert_eq!(by_restore, state, "at {time}");
        tasks.stop(Duration::from_secs(20)).await;
    }
}
