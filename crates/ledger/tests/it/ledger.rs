//! Appending, recording, reading, following.

use std::{sync::Arc, time::Duration};

use airside_ledger::{
    AppendError, Options, Query, Store,
    stores::{memory::Memory, sqlite::Sqlite},
};

use crate::harness::{Rig, draft, numbers, stores, tenant};

#[tokio::test]
async fn appended_entries_are_read_in_order() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let drafts = (0..3).map(|n| draft("a", n)).collect();
        let receipt = rig.ledger.append(drafts).await.unwrap();
        rig.ledger.append(vec![draft("b", 9)]).await.unwrap();
        let entries = rig.ledger.read(Query::new(tenant("a"))).await.unwrap();
        assert_eq!(numbers(&entries), [0, 1, 2]);
        let heads: Vec<_> = entries.iter().map(|entry| entry.head()).collect();
        assert_eq!(heads, receipt.entries);
        assert!(entries.iter().all(|entry| entry.time == receipt.time));
        let head = rig.ledger.head(&tenant("a")).await.unwrap();
        assert_eq!(head, heads[2]);
        let verified = rig.ledger.verify(&|_| {}).await.unwrap();
        assert_eq!(verified.entries, 4);
        rig.stop().await;
    }
}

#[tokio::test]
async fn recorded_drafts_become_durable_by_themselves() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let mut follower = rig.ledger.follow(tenant("a"), 0);
        for number in 0..10 {
            rig.ledger.record(draft("a", number)).unwrap();
        }
        let mut seen = Vec::new();
        while seen.len() < 10 {
            seen.extend(numbers(&follower.next().await.unwrap()));
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
        rig.stop().await;
    }
}

#[tokio::test]
async fn what_was_recorded_is_written_at_the_end() {
    let (stores, _folder) = stores();
    let options = Options {
        linger: Duration::from_secs(3600),
        ..Options::default()
    };
    for store in stores {
        let rig = Rig::with(store.clone(), options).await;
        for number in 0..5000 {
            rig.ledger.record(draft("a", number)).unwrap();
        }
        let ledger = rig.ledger.clone();
        rig.stop().await;
        assert_eq!(ledger.head(&tenant("a")).await.unwrap().seq, 5000);
        let refused = ledger.append(vec![draft("a", 0)]).await;
        assert!(matches!(refused, Err(AppendError::Closed)), "{refused:?}");
        let refused = ledger.record(draft("a", 0));
        assert!(matches!(refused, Err(AppendError::Closed)), "{refused:?}");
    }
}

#[tokio::test]
async fn full_queue_is_an_error() {
    let options = Options {
        queue_requests: 3,
        linger: Duration::from_secs(3600),
        ..Options::default()
    };
    let rig = Rig::with(Arc::new(Memory::new()), options).await;
    for number in 0..3 {
        rig.ledger.record(draft("a", number)).unwrap();
    }
    let refused = rig.ledger.record(draft("a", 3));
    assert!(
        matches!(refused, Err(AppendError::QueueFull)),
        "{refused:?}"
    );
    let refused = rig.ledger.append(vec![draft("a", 3)]).await;
    assert!(
        matches!(refused, Err(AppendError::QueueFull)),
        "{refused:?}"
    );
    let ledger = rig.ledger.clone();
    rig.stop().await;
    assert_eq!(ledger.head(&tenant("a")).await.unwrap().seq, 3);
}

#[tokio::test]
async fn reopened_ledger_continues_its_chains() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let supervisor = airside_base::Supervisor::new();
        let store: Arc<dyn Store> = Arc::new(Sqlite::open(folder.path(), &supervisor).unwrap());
        let rig = Rig::on(store).await;
        rig.ledger.append(vec![draft("a", round)]).await.unwrap();
        assert_eq!(rig.ledger.verify(&|_| {}).await.unwrap().entries, round + 1);
        rig.stop().await;
        assert_eq!(supervisor.stop(Duration::from_secs(20)).await, 0);
    }
}

#[tokio::test]
async fn time_never_steps_back_with_the_clock() {
    let (stores, _folder) = stores();
    for store in stores {
        let rig = Rig::on(store.clone()).await;
        let before = rig.ledger.append(vec![draft("a", 0)]).await.unwrap();
        let hour_ago = before.time - Duration::from_secs(3600);
        rig.clock.step_to(hour_ago);
        let after = rig.ledger.append(vec![draft("a", 1)]).await.unwrap();
        assert!(after.time > before.time);
        let entries = rig.ledger.read(Query::new(tenant("a"))).await.unwrap();
        assert_eq!(entries[1].time, after.time);
        rig.ledger.verify(&|_| {}).await.unwrap();

        rig.clock.step_to(before.time + Duration::from_secs(60));
        let caught_up = rig.ledger.append(vec![draft("a", 2)]).await.unwrap();
        assert_eq!(caught_up.time, before.time + Duration::from_secs(60));
        rig.stop().await;
    }
}

#[tokio::test]
async fn time_never_steps_back_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut times = Vec::new();
    for round in 0..2 {
        let supervisor = airside_base::Supervisor::new();
        let store = Arc::new(Sqlite::open(folder.path(), &supervisor).unwrap());
        let rig = Rig::on(store).await;
        rig.clock.advance(Duration::from_secs(3600 * (1 - round)));
        let receipt = rig.ledger.append(vec![draft("a", round)]).await.unwrap();
        times.push(receipt.time);
        rig.stop().await;
        assert_eq!(supervisor.stop(Duration::from_secs(20)).await, 0);
    }
    assert!(times[0] < times[1], "{times:?}");
}
