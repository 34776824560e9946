//! A store that does not write for a while.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use airside_base::{BoxFuture, NodeId, TenantId};
use airside_ledger::{
    AppendError, Entry, Hash, Options, Query, Store, StoreError,
    note::Signer,
    proof::prove,
    seal::Sealer,
    store::{Claim, Claimed, Commit, Fence, Row, Scan, Tile, Tip},
    stores::memory::Memory,
};
use tokio::sync::{Notify, watch};

use crate::harness::{Rig, draft, numbers, tenant};

/// Misbehaves while it is told to.
#[derive(Debug, Default)]
struct Failing {
    store: Memory,
    /// Commits are refused.
    full: AtomicBool,
    /// Commits succeed but their answer is lost.
    silent: AtomicBool,
    /// Reads fail.
    unreadable: AtomicBool,
    /// Entries and tiles that have been read.
    read: AtomicUsize,
    /// Commits are given up, and become durable when the end of a chain is asked for.
    slow: AtomicBool,
    /// A commit that is to be slow has begun; it waits for the other before it is given up.
    begun: Notify,
    given_up: Notify,
    under_way: Mutex<Option<Arc<Commit>>>,
}

fn lost<T: Send + 'static>() -> BoxFuture<'static, Result<T, StoreError>> {
    let source = Arc::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    let doing = "hear from the store";
    Box::pin(std::future::ready(Err(StoreError::Failed {
        doing,
        source,
    })))
}

impl Store for Failing {
    fn commit(&self, commit: Arc<Commit>) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.full.load(Ordering::SeqCst) {
            let cause = Arc::new(std::io::Error::from(std::io::ErrorKind::StorageFull));
            return Box::pin(std::future::ready(Err(StoreError::Full(cause))));
        }
        if self.slow.swap(false, Ordering::SeqCst) {
            return Box::pin(async move {
                self.begun.notify_one();
                self.given_up.notified().await;
                *self.under_way.lock().expect("no panic") = Some(commit);
                lost().await
            });
        }
        let done = self.store.commit(commit);
        if self.silent.load(Ordering::SeqCst) {
            return lost();
        }
        done
    }

    fn tip(&self, tenant: TenantId) -> BoxFuture<'_, Result<Tip, StoreError>> {
        let under_way = self.under_way.lock().expect("no panic").take();
        Box::pin(async move {
            if let Some(commit) = under_way {
                self.store.commit(commit).await?;
            }
            self.store.tip(tenant).await
        })
    }

    fn chains(&self) -> BoxFuture<'_, Result<Vec<(TenantId, Tip)>, StoreError>> {
        self.store.chains()
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Vec<Entry>, StoreError>> {
        if self.unreadable.load(Ordering::SeqCst) {
            return lost();
        }
        Box::pin(async {
            let entries = self.store.read(query).await?;
            self.read.fetch_add(entries.len(), Ordering::SeqCst);
            Ok(entries)
        })
    }

    fn hashes(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Hash>, StoreError>> {
        self.read.fetch_add(limit, Ordering::SeqCst);
        self.store.hashes(tenant, after, limit)
    }

    fn tile(
        &self,
        tenant: TenantId,
        level: u8,
        number: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<Hash>>, StoreError>> {
        self.read.fetch_add(1, Ordering::SeqCst);
        self.store.tile(tenant, level, number)
    }

    fn put_tiles(
        &self,
        tenant: TenantId,
        tiles: Vec<Tile>,
    ) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.put_tiles(tenant, tiles)
    }

    fn find(
        &self,
        table: &'static str,
        tenant: TenantId,
        key: Arc<str>,
    ) -> BoxFuture<'_, Result<Option<Row>, StoreError>> {
        self.store.find(table, tenant, key)
    }

    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<Row>, StoreError>> {
        self.store.scan(scan)
    }

    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        self.store.claim(claim)
    }

    fn release(&self, fence: Fence) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.release(fence)
    }

    fn commits(&self) -> watch::Receiver<u64> {
        self.store.commits()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}

#[tokio::test(start_paused = true)]
async fn full_store_refuses_appends_keeps_records_and_recovers() {
    let store = Arc::new(Failing::default());
    store.full.store(true, Ordering::SeqCst);
    let options = Options {
        queue_requests: 10,
        ..Options::default()
    };
    let rig = Rig::with(store.clone(), options).await;
    for number in 0..10 {
        rig.ledger.record(draft("a", number)).unwrap();
    }
    let full = rig.ledger.record(draft("a", 10));
    assert!(matches!(full, Err(AppendError::QueueFull)), "{full:?}");

    store.full.store(false, Ordering::SeqCst);
    let mut follower = rig.ledger.follow(tenant("a"), 0);
    let recorded = follower.next().await.unwrap();
    assert_eq!(numbers(&recorded), (0..10).collect::<Vec<_>>());

    store.full.store(true, Ordering::SeqCst);
    rig.ledger.record(draft("a", 10)).unwrap();
    let refused = rig.ledger.append(vec![draft("a", 99)]).await;
    assert!(
        matches!(refused, Err(AppendError::Store(StoreError::Full(_)))),
        "{refused:?}"
    );
    store.full.store(false, Ordering::SeqCst);
    rig.ledger.append(vec![draft("a", 11)]).await.unwrap();
    let later = follower.next().await.unwrap();
    assert_eq!(
        numbers(&later),
        [10, 11],
        "the record is kept, the refused append is not"
    );
    rig.ledger.verify(&|_| {}).await.unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn writer_that_lost_a_race_continues_behind_the_other() {
    let store = Memory::new();
    let one = Rig::on(Arc::new(store.clone())).await;
    let two = Rig::on(Arc::new(store)).await;
    two.ledger.append(vec![draft("a", 0)]).await.unwrap();
    one.ledger.append(vec![draft("a", 1)]).await.unwrap();
    two.ledger.append(vec![draft("a", 2)]).await.unwrap();
    let entries = one.ledger.read(Query::new(tenant("a"))).await.unwrap();
    assert_eq!(numbers(&entries), [0, 1, 2]);
    one.ledger.verify(&|_| {}).await.unwrap();
    one.stop().await;
    two.stop().await;
}

#[tokio::test(start_paused = true)]
async fn lost_answer_neither_loses_nor_repeats_an_entry() {
    let store = Arc::new(Failing::default());
    let rig = Rig::on(store.clone()).await;
    store.silent.store(true, Ordering::SeqCst);
    rig.ledger.record(draft("a", 0)).unwrap();
    rig.ledger.append(vec![draft("a", 1)]).await.unwrap();

    store.unreadable.store(true, Ordering::SeqCst);
    rig.ledger.record(draft("a", 2)).unwrap();
    let unknown = rig.ledger.append(vec![draft("a", 3)]).await;
    assert!(
        matches!(unknown, Err(AppendError::Store(StoreError::Failed { .. }))),
        "{unknown:?}"
    );
    store.silent.store(false, Ordering::SeqCst);
    store.unreadable.store(false, Ordering::SeqCst);
    rig.ledger.append(vec![draft("a", 4)]).await.unwrap();
    let entries = rig.ledger.read(Query::new(tenant("a"))).await.unwrap();
    assert_eq!(numbers(&entries), [0, 1, 2, 3, 4]);
    rig.ledger.verify(&|_| {}).await.unwrap();
    rig.stop().await;
}

/// Two levels of tiles: 256 times 256 entries and some more.
#[tokio::test]
async fn proofs_and_seals_of_a_long_chain_read_little_of_it() {
    let store = Arc::new(Failing::default());
    let rig = Rig::on(store.clone()).await;
    let signer = Signer::generate().0;
    let key = signer.verifier();
    let sealer = Sealer::new(rig.ledger.clone(), signer, NodeId::generate(&rig.clock));
    for _ in 0..66 {
        let batch = (0..1000).map(|number| draft("a", number)).collect();
        rig.ledger.append(batch).await.unwrap();
    }
    sealer.seal().await.unwrap();
    let read = || store.read.swap(0, Ordering::SeqCst);
    for seq in [1, 256, 257, 65_535, 65_536, 65_537, 66_000] {
        read();
        let proof = prove(&rig.ledger, &tenant("a"), seq, None).await.unwrap();
        assert_eq!(proof.check(&key).unwrap().seq, seq);
        // The entry, a page of entries at each end, and tiles.
        let count = read();
        assert!(count < 600, "entry {seq}: {count}");
    }
    rig.ledger.append(vec![draft("a", 0)]).await.unwrap();
    sealer.seal().await.unwrap();
    let proof = prove(&rig.ledger, &tenant("a"), 9, Some(66_000)).await;
    proof.unwrap().check(&key).unwrap();
    let count = read();
    assert!(count < 1200, "{count}");
    rig.ledger.verify(&|_| {}).await.unwrap();
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn commit_that_arrives_late_repeats_no_entry() {
    let store = Arc::new(Failing::default());
    let rig = Rig::on(store.clone()).await;
    rig.ledger.append(vec![draft("a", 0)]).await.unwrap();
    store.slow.store(true, Ordering::SeqCst);
    store.given_up.notify_one();
    rig.ledger.record(draft("a", 1)).unwrap();
    let mut follower = rig.ledger.follow(tenant("a"), 1);
    assert_eq!(numbers(&follower.next().await.unwrap()), [1]);
    rig.ledger.append(vec![draft("a", 2)]).await.unwrap();
    let entries = rig.ledger.read(Query::new(tenant("a"))).await.unwrap();
    assert_eq!(numbers(&entries), [0, 1, 2]);
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn draft_behind_a_commit_that_arrives_late_is_kept() {
    let store = Arc::new(Failing::default());
    let rig = Rig::on(store.clone()).await;
    rig.ledger.append(vec![draft("a", 0)]).await.unwrap();
    store.slow.store(true, Ordering::SeqCst);
    rig.ledger.record(draft("a", 1)).unwrap();
    let mut follower = rig.ledger.follow(tenant("a"), 1);
    store.begun.notified().await;
    rig.ledger.record(draft("a", 2)).unwrap();
    // It wakes the sequencer, which places both behind the commit under way.
    let refused = rig.ledger.append(vec![draft("a", 3)]);
    let give_up = async {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        store.given_up.notify_one();
    };
    let (refused, ()) = tokio::join!(refused, give_up);
    assert!(refused.is_err(), "it was behind what is unknown");
    let mut found = Vec::new();
    while found.len() < 2 {
        found.extend(numbers(&follower.next().await.unwrap()));
    }
    assert_eq!(found, [1, 2]);
    rig.stop().await;
}
