//! Merging, snapshots and deletion: what is restored must not depend on them.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{sync::Arc, time::Duration};

use airside_archive::{
    Archive, Archiver, Done, Error, Schedule, Upkeep, UpkeepError,
    drill::{DrillError, drill},
    restore::{Folds, Request, RestoreError, Restored, Source, Until, digest, restore},
};
use airside_base::TenantId;
use airside_ledger::{Column, Fact, Query, Schema, Store, Table, stores::memory::Memory};

use crate::{
    archive::Place,
    harness::{Hold, Holds, Rig, changed, draft, released, tenant},
};

fn folds() -> Folds {
    Folds::default().with::<Holds>()
}

/// Everything is due after two manifests; superseded objects are kept for an hour.
const OFTEN: Schedule = Schedule {
    manifests: 2,
    entries: 1,
    age: Duration::from_secs(3600),
    keep: Duration::from_secs(3600),
};

/// A ledger with its archive and both tasks, driven by hand.
struct Site {
    rig: Rig,
    store: Memory,
    place: Place,
    archiver: Archiver,
    upkeep: Upkeep,
    folder: tempfile::TempDir,
    holds: i64,
}

impl Site {
    async fn new(schedule: Schedule) -> Self {
        let store = Memory::new();
        let rig = Rig::on(Arc::new(store.clone())).await;
        let place = Place::default();
        let archiver = place.archiver(&rig).await;
        let folder = tempfile::tempdir().unwrap();
        let scratch = folder.path().join("snapshot");
        let upkeep = Upkeep::new(&archiver, Arc::new(folds()), scratch, schedule).await;
        Self {
            rig,
            store,
            place,
            archiver,
            upkeep: upkeep.unwrap(),
            folder,
            holds: 0,
        }
    }

    /// Appends and ships `manifests` times: entries of two chains, and documents that
    /// come, change and go.
    async fn live(&mut self, manifests: usize) {
        let table = Table::<Holds>::new(self.rig.ledger.clone());
        for _ in 0..manifests {
            self.holds += 1;
            let key = format!("h{}", self.holds % 7);
            let prior = table.find(&tenant("a"), &key).await.unwrap();
            let drafts = match prior.is_some() && self.holds % 3 == 0 {
                true => vec![released(&key)],
                false => vec![changed(&key, "Sea", self.holds)],
            };
            table.append(prior, drafts).await.unwrap();
            let drafts = vec![draft("b", self.holds.unsigned_abs())];
            self.rig.ledger.append(drafts).await.unwrap();
            self.rig.clock.advance(Duration::from_secs(1));
            self.archiver.ship().await.unwrap();
        }
    }

    /// Runs the upkeep while the archiver goes on.
    async fn tend(&mut self) -> Result<Option<Done>, UpkeepError> {
        let Self {
            upkeep, archiver, ..
        } = self;
        let tended = upkeep.run();
        tokio::pin!(tended);
        loop {
            tokio::select! {
                biased;
                done = &mut tended => return done,
                shipped = archiver.ship() => { shipped.unwrap(); }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn archive(&self) -> Archive {
        self.place.archive().await.unwrap()
    }

    async fn back(
        &self,
        until: Until,
        tenant: Option<TenantId>,
    ) -> Result<(Restored, Memory), RestoreError> {
        let memory = Memory::new();
        let target: Arc<dyn Store> = Arc::new(memory.clone());
        let request = Request {
            until,
            tenant,
            now: airside_base::Clock::now(&self.rig.clock),
        };
        let (archive, clock) = (self.archive().await, Arc::new(self.rig.clock.clone()));
        let source = Source::Archive(&archive);
        let restored = restore(source, &request, &target, &folds(), clock, &|_| {}).await?;
        Ok((restored, memory))
    }

    /// Restores everything, and compares it with the ledger.
    async fn check(&mut self) -> Restored {
        while self.archiver.ship().await.unwrap().entries > 0 {}
        let archive = self.archive().await;
        archive.verify(&|_| {}).await.unwrap();
        let (restored, target) = self.back(Until::Latest, None).await.unwrap();
        let expected = digest(&self.store, &folds()).await.unwrap();
        assert_eq!(digest(&target, &folds()).await.unwrap(), expected);
        let scratch = self.folder.path().join("drill");
        let passed = drill(&archive, &self.store, &folds(), &scratch, &self.rig.clock).await;
        assert_eq!(passed.unwrap().digest, expected);
        restored
    }

    async fn count(&self, prefix: &str) -> usize {
        let names = self.place.storage.names().await;
        names.iter().filter(|name| name.starts_with(prefix)).count()
    }
}

#[tokio::test]
async fn nothing_is_done_before_it_is_due() {
    let mut site = Site::new(Schedule::default()).await;
    assert_eq!(site.tend().await.unwrap(), None, "there is no archive yet");
    site.live(5).await;
    assert_eq!(site.tend().await.unwrap(), None);
    site.rig.clock.advance(Duration::from_secs(3600));
    site.live(1).await;
    let done = site.tend().await.unwrap().unwrap();
    assert!(done.snapshot, "an hour has passed");
    site.rig.stop().await;
}

#[tokio::test]
async fn restore_starts_from_the_newest_snapshot() {
    let mut site = Site::new(OFTEN).await;
    for round in 1..6_u64 {
        site.live(6).await;
        let done = site.tend().await.unwrap().unwrap();
        assert!(done.merged >= 6 && done.snapshot, "round {round}: {done:?}");
        site.live(1).await;
        let restored = site.check().await;
        assert_eq!(restored.entries, 14 * round);
        assert_eq!(restored.from_snapshot, 14 * round - 2);
    }
    site.rig.stop().await;
}

#[tokio::test]
async fn every_moment_comes_back_as_without_snapshots() {
    let mut site = Site::new(OFTEN).await;
    let mut moments = Vec::new();
    for number in 0..24 {
        site.live(1).await;
        let now = airside_base::Clock::now(&site.rig.clock) - Duration::from_millis(500);
        moments.push((now, digest(&site.store, &folds()).await.unwrap()));
        if number % 5 == 4 {
            site.tend().await.unwrap().unwrap();
        }
    }
    for (time, expected) in moments {
        let (_, target) = site.back(Until::Time(time), None).await.unwrap();
        assert_eq!(digest(&target, &folds()).await.unwrap(), expected, "{time}");
    }
    for manifest in 1..=24 {
        let until = Until::Manifest(manifest);
        let (restored, _) = site.back(until, None).await.unwrap();
        assert!(restored.entries >= 2 && restored.entries <= 48);
    }
    site.rig.stop().await;
}

#[tokio::test]
async fn one_tenant_comes_back_without_the_others() {
    let mut site = Site::new(OFTEN).await;
    site.live(8).await;
    site.tend().await.unwrap().unwrap();
    site.live(2).await;
    let (restored, target) = site.back(Until::Latest, Some(tenant("a"))).await.unwrap();
    assert_eq!((restored.entries, restored.from_snapshot), (10, 8));
    let rig = Rig::on(Arc::new(target)).await;
    let table = Table::<Holds>::new(rig.ledger.clone());
    let live = Table::<Holds>::new(site.rig.ledger.clone());
    let all = async |table: &Table<Holds>| table.all(&tenant("a"), "", 100).await.unwrap();
    assert_eq!(all(&table).await, all(&live).await);
    let (restored, _) = site.back(Until::Seq(3), Some(tenant("a"))).await.unwrap();
    assert_eq!((restored.entries, restored.from_snapshot), (3, 0));
    rig.stop().await;
    site.rig.stop().await;
}

/// The table of holds as a later version folds it.
#[derive(Debug)]
struct Later;

impl Schema for Later {
    const NAME: &'static str = Holds::NAME;
    type Document = Hold;
    const VERSION: u32 = 2;
    const COLUMNS: &'static [Column<Hold>] = Holds::COLUMNS;

    fn key(fact: Fact<'_>) -> Option<String> {
        Holds::key(fact)
    }

    fn fold(prior: Option<Hold>, fact: Fact<'_>) -> Option<Hold> {
        Holds::fold(prior, fact)
    }
}

#[tokio::test]
async fn snapshot_of_other_tables_is_not_used() {
    let mut site = Site::new(OFTEN).await;
    site.live(4).await;
    site.tend().await.unwrap().unwrap();
    let target: Arc<dyn Store> = Arc::new(Memory::new());
    let request = Request {
        until: Until::Latest,
        tenant: None,
        now: airside_base::Clock::now(&site.rig.clock),
    };
    let (archive, clock) = (site.archive().await, Arc::new(site.rig.clock.clone()));
    let later = Folds::default().with::<Later>();
    let source = Source::Archive(&archive);
    let restored = restore(source, &request, &target, &later, clock, &|_| {}).await;
    assert_eq!(restored.unwrap().from_snapshot, 0);
    site.rig.stop().await;
}

#[tokio::test]
async fn every_changed_byte_is_found_and_its_object_named() {
    let mut site = Site::new(OFTEN).await;
    site.live(3).await;
    site.tend().await.unwrap().unwrap();
    site.live(1).await;
    for name in site.place.storage.names().await {
        let before = site.place.storage.load(&name).await;
        for at in (0..before.len()).step_by(7) {
            let mut bytes = before.clone();
            bytes[at] ^= 1 << (at % 8);
            site.place.storage.replace(&name, bytes).await;
            let found = match site.place.archive().await {
                Ok(archive) => archive.verify(&|_| {}).await.map(drop),
                Err(found) => Err(found),
            };
            let found = found.expect_err(&format!("byte {at} of {name}"));
            let named = found.fault().to_string().contains(&name);
            let other_key = name == "archive.json" && matches!(found, Error::WrongKey { .. });
            assert!(named || other_key, "byte {at} of {name}: {found}");
        }
        site.place.storage.replace(&name, before).await;
    }
    site.rig.stop().await;
}

#[tokio::test]
async fn damaged_snapshot_does_not_keep_the_ledger_from_coming_back() {
    let mut site = Site::new(OFTEN).await;
    site.live(4).await;
    site.tend().await.unwrap().unwrap();
    let names = site.place.storage.names().await;
    for name in names.iter().filter(|name| name.starts_with("snapshot")) {
        site.place.storage.remove(name).await;
    }
    let (restored, target) = site.back(Until::Latest, None).await.unwrap();
    assert_eq!(restored.from_snapshot, 0);
    let expected = digest(&site.store, &folds()).await.unwrap();
    assert_eq!(digest(&target, &folds()).await.unwrap(), expected);
    site.rig.stop().await;
}

#[tokio::test]
async fn what_is_in_front_of_a_damaged_merged_segment_can_be_restored() {
    let mut site = Site::new(OFTEN).await;
    site.live(4).await;
    site.tend().await.unwrap().unwrap();
    site.live(30).await;
    let archive = site.archive().await;
    let names = site.place.storage.names().await;
    // The merged segment holds everything, so the small ones behind it are lost too.
    let segment = names
        .iter()
        .rfind(|name| name.starts_with("segment"))
        .unwrap();
    site.place.storage.remove(segment).await;
    let request = site.back(Until::Latest, None).await.unwrap_err();
    let fault = request.fault();
    assert!(fault.public().contains(&**segment), "{fault}");
    let hint = fault.hint().unwrap().to_owned();
    let until = hint.split('`').nth(1).unwrap();
    let until: Until = until.strip_prefix("--to ").unwrap().parse().unwrap();
    let (restored, _) = site.back(until, None).await.unwrap();
    assert!(restored.entries >= 60, "{hint}: {}", restored.entries);
    drop(archive);
    site.rig.stop().await;
}

/// Ships and tends until there are more than 600 manifests, some hours old.
async fn grown() -> Site {
    let mut site = Site::new(OFTEN).await;
    for _ in 0..12 {
        site.live(50).await;
        site.tend().await.unwrap().unwrap();
        site.rig.clock.advance(Duration::from_secs(900));
    }
    site
}

#[tokio::test]
async fn superseded_objects_are_deleted_after_their_time() {
    let mut site = grown().await;
    let before = site.count("segment").await;
    let sweep = site
        .rig
        .ledger
        .read(Query::new(TenantId::default()).kind("archive"))
        .await;
    let recorded = sweep.unwrap();
    assert_eq!(recorded.len(), 1, "a deletion is recorded");
    let body: serde_json::Value = recorded[0].decode().unwrap();
    assert_eq!(
        (body["from"].as_u64(), body["to"].as_u64()),
        (Some(1), Some(256))
    );
    assert!(before < 600, "{before} segments");
    let manifests = site.count("manifest").await;
    let last = site.archive().await.tail().await.unwrap().number;
    assert_eq!(manifests as u64, last - 255, "one of the first block stays");
    site.check().await;
    let (restored, _) = site.back(Until::Manifest(400), None).await.unwrap();
    assert!(restored.from_snapshot > 0);
    for manifest in [100, 260] {
        let gone = site
            .back(Until::Manifest(manifest), None)
            .await
            .unwrap_err();
        assert_eq!(gone.fault().code(), "LED-066");
        assert!(gone.fault().public().contains("merged"), "{gone}");
    }
    site.rig.stop().await;
}

#[tokio::test]
async fn restore_under_way_finds_what_is_superseded_meanwhile() {
    let mut site = Site::new(OFTEN).await;
    site.live(300).await;
    let reader = site.archive().await;
    site.tend().await.unwrap().unwrap();
    for _ in 0..4 {
        site.live(3).await;
        site.tend().await.unwrap().unwrap();
        // Half of the time to keep passes while the reader is at work.
        site.rig.clock.advance(Duration::from_secs(450));
    }
    let early = Until::Manifest(300);
    let target: Arc<dyn Store> = Arc::new(Memory::new());
    let request = Request {
        until: early,
        tenant: None,
        now: airside_base::Clock::now(&site.rig.clock),
    };
    let clock = Arc::new(site.rig.clock.clone());
    let source = Source::Archive(&reader);
    let restored = restore(source, &request, &target, &folds(), clock, &|_| {}).await;
    assert_eq!(restored.unwrap().entries, 600);
    site.rig.stop().await;
}

#[tokio::test]
async fn archive_is_continued_after_a_deletion_though_the_storage_lists_nothing() {
    let mut site = grown().await;
    let before = site.archive().await.tail().await.unwrap();
    site.place.storage.list_nothing(true);
    site.rig.clock.advance(Duration::from_secs(60));
    site.archiver = site.place.archiver(&site.rig).await;
    site.rig.clock.advance(Duration::from_secs(60));
    site.live(2).await;
    site.place.storage.list_nothing(false);
    let after = site.archive().await.tail().await.unwrap();
    assert!(after.number > before.number);
    site.check().await;
    site.rig.stop().await;
}

#[tokio::test]
async fn fold_that_depends_on_more_than_its_entries_fails_the_drill() {
    use std::sync::atomic::{AtomicI64, Ordering};

    static CALLS: AtomicI64 = AtomicI64::new(0);

    /// Holds that remember how often they were folded by this process.
    #[derive(Debug)]
    struct Restless;

    impl Schema for Restless {
        const NAME: &'static str = "restless";
        type Document = Hold;
        const COLUMNS: &'static [Column<Hold>] = &[];

        fn key(fact: Fact<'_>) -> Option<String> {
            (fact.subject == "subject").then(|| "all".to_owned())
        }

        fn fold(_: Option<Hold>, _: Fact<'_>) -> Option<Hold> {
            let rooms = CALLS.fetch_add(1, Ordering::SeqCst);
            let hotel = "Sea".to_owned();
            Some(Hold { hotel, rooms })
        }
    }

    let mut site = Site::new(OFTEN).await;
    let restless = Arc::new(Folds::default().with::<Restless>());
    let scratch = site.folder.path().join("snapshot");
    let upkeep = Upkeep::new(&site.archiver, restless.clone(), scratch, OFTEN).await;
    site.upkeep = upkeep.unwrap();
    site.live(4).await;
    site.tend().await.unwrap().unwrap();
    // What the drill compares with has come back from the snapshot too.
    let live: Arc<dyn Store> = Arc::new(Memory::new());
    let request = Request {
        until: Until::Latest,
        tenant: None,
        now: airside_base::Clock::now(&site.rig.clock),
    };
    let (archive, clock) = (site.archive().await, Arc::new(site.rig.clock.clone()));
    let source = Source::Archive(&archive);
    let back = restore(source, &request, &live, &restless, clock, &|_| {}).await;
    assert_eq!(back.unwrap().from_snapshot, 8);
    let scratch = site.folder.path().join("drill");
    let failed = drill(&archive, &*live, &restless, &scratch, &site.rig.clock).await;
    let failed = failed.unwrap_err();
    assert!(matches!(failed, DrillError::Snapshot { .. }), "{failed}");
    assert_eq!(failed.fault().code(), "LED-103");
    site.rig.stop().await;
}
