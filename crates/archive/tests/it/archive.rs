//! Writing and reading archives, on storage that misbehaves.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use airside_archive::{
    Access, Archive, Archiver, Error, Objects, Options, State,
    restore::{Folds, Request, RestoreError, Source, Until, digest, restore},
};
use airside_base::{Clock, NodeId, Supervisor};
use airside_ledger::{
    AppendError, Ledger, Store,
    stores::memory::Memory,
    vault::{Vault, file::FileVault, memory::MemoryVault},
};
use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    memory::InMemory, path::Path,
};

use crate::harness::{Holds, Rig, changed, draft, tenant};

/// A storage that misbehaves while it is told to. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Storage {
    objects: Arc<InMemory>,
    faults: Arc<Faults>,
}

#[derive(Debug, Default)]
struct Faults {
    /// Writes are refused.
    refuse: AtomicBool,
    /// Writes of manifests are refused.
    refuse_manifests: AtomicBool,
    /// Writes happen, but their answer is an error.
    lose_answers: AtomicBool,
    /// Writes happen, but are never answered.
    hang: AtomicBool,
    /// Lists are empty.
    list_nothing: AtomicBool,
}

fn broken() -> object_store::Error {
    object_store::Error::Generic {
        store: "test",
        source: "connection reset".into(),
    }
}

fn is_on(fault: &AtomicBool) -> bool {
    fault.load(Ordering::SeqCst)
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("test storage")
    }
}

#[async_trait]
impl ObjectStore for Storage {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let of_manifest = location.as_ref().starts_with("manifest");
        if is_on(&self.faults.refuse) || of_manifest && is_on(&self.faults.refuse_manifests) {
            return Err(broken());
        }
        let put = self.objects.put_opts(location, payload, options).await;
        if is_on(&self.faults.hang) {
            std::future::pending::<()>().await;
        }
        if is_on(&self.faults.lose_answers) {
            return Err(broken());
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if is_on(&self.faults.list_nothing) {
            return futures_util::stream::empty().boxed();
        }
        self.objects.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

impl Storage {
    fn set(&self, fault: impl Fn(&Faults) -> &AtomicBool, on: bool) {
        fault(&self.faults).store(on, Ordering::SeqCst);
    }

    pub(crate) fn list_nothing(&self, on: bool) {
        self.set(|f| &f.list_nothing, on);
    }

    pub(crate) async fn names(&self) -> Vec<String> {
        let listed: Vec<ObjectMeta> = self.objects.list(None).try_collect().await.unwrap();
        let mut names: Vec<_> = listed.iter().map(|o| o.location.to_string()).collect();
        names.sort();
        names
    }

    pub(crate) async fn load(&self, name: &str) -> Vec<u8> {
        let found = self.objects.get(&Path::from(name)).await.unwrap();
        found.bytes().await.unwrap().to_vec()
    }

    pub(crate) async fn replace(&self, name: &str, bytes: Vec<u8>) {
        let path = Path::from(name);
        self.objects.put(&path, bytes.into()).await.unwrap();
    }

    pub(crate) async fn remove(&self, name: &str) {
        self.objects.delete(&Path::from(name)).await.unwrap();
    }
}

/// A storage with the vault of its archive.
#[derive(Clone, Default)]
pub(crate) struct Place {
    pub(crate) storage: Storage,
    vault: Arc<MemoryVault>,
}

impl Place {
    pub(crate) async fn archive(&self) -> std::result::Result<Archive, Error> {
        let objects = Objects::new(Arc::new(self.storage.clone()));
        Archive::open(objects, self.vault.clone()).await
    }

    pub(crate) async fn lose_segments(&self) {
        for name in self.storage.names().await {
            if name.starts_with("segment") {
                self.storage.remove(&name).await;
            }
        }
    }

    pub(crate) async fn archiver(&self, rig: &Rig) -> Archiver {
        self.archiver_as(rig, NodeId::generate(&rig.clock)).await
    }

    async fn archiver_as(&self, rig: &Rig, node: NodeId) -> Archiver {
        let objects = Objects::new(Arc::new(self.storage.clone()));
        let vault: Arc<dyn Vault> = self.vault.clone();
        let archive = Archive::open_or_create(objects, vault, &rig.clock).await;
        let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
        let (ledger, options) = (rig.ledger.clone(), Options::default());
        let archiver = Archiver::new(ledger, archive.unwrap(), clock, node, options);
        archiver.await.unwrap()
    }
}

/// Brings everything back into a fresh store in memory.
async fn back(archive: &Archive, rig: &Rig) -> std::result::Result<Memory, RestoreError> {
    let memory = Memory::new();
    let target: Arc<dyn Store> = Arc::new(memory.clone());
    let request = Request {
        until: Until::Latest,
        tenant: None,
        now: rig.clock.now(),
    };
    let folds = Folds::default().with::<Holds>();
    let (source, clock) = (Source::Archive(archive), Arc::new(rig.clock.clone()));
    restore(source, &request, &target, &folds, clock, &|_| {}).await?;
    Ok(memory)
}

async fn check_back(place: &Place, rig: &Rig, store: &dyn Store) {
    let folds = Folds::default().with::<Holds>();
    let archive = place.archive().await.unwrap();
    archive.verify(&|_| {}).await.unwrap();
    let target = back(&archive, rig).await.unwrap();
    assert_eq!(
        digest(&target, &folds).await.unwrap(),
        digest(store, &folds).await.unwrap()
    );
}

async fn append(ledger: &Ledger, owner: &str, numbers: std::ops::Range<u64>) {
    for number in numbers {
        ledger.append(vec![draft(owner, number)]).await.unwrap();
    }
}

/// A ledger in memory with some entries and documents, shipped in three steps.
async fn shipped() -> (Place, Rig, Memory) {
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let place = Place::default();
    let mut archiver = place.archiver(&rig).await;
    append(&rig.ledger, "a", 0..3).await;
    assert_eq!(archiver.ship().await.unwrap().entries, 3);
    append(&rig.ledger, "b", 0..2).await;
    let table = airside_ledger::Table::<Holds>::new(rig.ledger.clone());
    table
        .append(None, vec![changed("h1", "Sea", 2)])
        .await
        .unwrap();
    assert_eq!(archiver.ship().await.unwrap().entries, 3);
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(archiver.ship().await.unwrap().entries, 0);
    (place, rig, store)
}

#[tokio::test]
async fn shipped_entries_come_back() {
    let (place, rig, store) = shipped().await;
    check_back(&place, &rig, &store).await;
    let tail = place.archive().await.unwrap().tail().await.unwrap();
    assert_eq!((tail.number, tail.entries()), (3, 6));
    rig.stop().await;
}

#[tokio::test]
async fn idle_archive_shows_signs_of_life() {
    let (place, rig, _) = shipped().await;
    let mut archiver = place.archiver(&rig).await;
    for seconds in [0, 9, 10, 11] {
        rig.clock.advance(Duration::from_secs(seconds));
        archiver.ship().await.unwrap();
    }
    // The other run holds the lease for the first ten seconds.
    let tail = place.archive().await.unwrap().tail().await.unwrap();
    assert_eq!((tail.number, tail.time), (4, rig.clock.now()));
    rig.stop().await;
}

#[tokio::test]
async fn large_backlog_is_shipped_in_bounded_segments() {
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let place = Place::default();
    let mut archiver = place.archiver(&rig).await;
    let kind = airside_ledger::Kind::new("test.large");
    let body = serde_json::json!({ "text": "x".repeat(300_000) });
    for _ in 0..30 {
        let large = airside_ledger::Draft::new(tenant("a"), kind.clone(), 1, "", &body);
        rig.ledger.append(vec![large.unwrap()]).await.unwrap();
    }
    let mut shipped = Vec::new();
    loop {
        let step = archiver.ship().await.unwrap();
        shipped.push(step.entries);
        if !step.more {
            break;
        }
    }
    // What this process remembers ends a segment of 3 MiB, and else a page of 4 MiB.
    assert!(shipped.iter().all(|count| *count <= 24), "{shipped:?}");
    assert_eq!(shipped.iter().sum::<usize>(), 30);
    assert!(shipped.len() > 2, "{shipped:?}");
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

#[tokio::test]
async fn entries_of_other_nodes_are_shipped_in_their_places() {
    let store = Memory::new();
    let here = Rig::on(Arc::new(store.clone())).await;
    let there = Rig::on(Arc::new(store.clone())).await;
    let place = Place::default();
    let mut archiver = place.archiver(&here).await;
    let mut shipped = 0;
    for number in 0..40 {
        let rig = if number % 3 == 0 { &there } else { &here };
        let owner = if number % 4 < 2 { "a" } else { "b" };
        append(&rig.ledger, owner, number..number + 1).await;
        if number % 10 == 9 {
            shipped += archiver.ship().await.unwrap().entries;
        }
    }
    assert_eq!(shipped, 40);
    check_back(&place, &here, &store).await;
    here.stop().await;
    there.stop().await;
}

/// Damages each object in some way and tells whether it is found and named.
async fn check_damage(damage: impl AsyncFn(&Storage, &str)) {
    let (place, rig, _) = shipped().await;
    let names = place.storage.names().await;
    assert_eq!(names.len(), 6, "{names:?}");
    for name in names {
        let before = place.storage.load(&name).await;
        damage(&place.storage, &name).await;
        let found = match place.archive().await {
            Ok(archive) => match archive.verify(&|_| {}).await {
                Err(found) => found,
                Ok(_) => panic!("damage of {name} is not found"),
            },
            Err(found) => found,
        };
        let text = found.fault().to_string();
        let key = matches!(found, Error::WrongKey { .. } | Error::Absent);
        assert!(
            text.contains(&name) || name == "archive.json" && key,
            "{text}"
        );
        place.storage.replace(&name, before).await;
    }
    place
        .archive()
        .await
        .unwrap()
        .verify(&|_| {})
        .await
        .unwrap();
    rig.stop().await;
}

#[tokio::test]
async fn missing_object_is_named() {
    // Nothing inside tells of a last manifest that is gone: that is for the ledger.
    check_damage(async |storage, name| {
        if name.ends_with("03.json") {
            storage.replace(name, Vec::new()).await;
        } else {
            storage.remove(name).await;
        }
    })
    .await;
}

#[tokio::test]
async fn cut_object_is_named() {
    check_damage(async |storage, name| {
        let mut bytes = storage.load(name).await;
        bytes.truncate(bytes.len() / 2);
        storage.replace(name, bytes).await;
    })
    .await;
}

#[tokio::test]
async fn every_changed_byte_is_found_and_its_object_named() {
    let (place, rig, _) = shipped().await;
    for name in place.storage.names().await {
        let before = place.storage.load(&name).await;
        for at in 0..before.len() {
            let mut bytes = before.clone();
            bytes[at] ^= 1 << (at % 8);
            place.storage.replace(&name, bytes).await;
            let found = match place.archive().await {
                Ok(archive) => archive.verify(&|_| {}).await.map(drop),
                Err(found) => Err(found),
            };
            let found = found.expect_err(&format!("byte {at} of {name}"));
            let named = found.fault().to_string().contains(&name);
            let other_key = name == "archive.json" && matches!(found, Error::WrongKey { .. });
            assert!(named || other_key, "byte {at} of {name}: {found}");
        }
        place.storage.replace(&name, before).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn what_is_in_front_of_the_damage_can_be_restored() {
    let (place, rig, _) = shipped().await;
    let names = place.storage.names().await;
    let segment = names.iter().rfind(|name| name.starts_with("segment"));
    place.storage.remove(segment.unwrap()).await;
    let archive = place.archive().await.unwrap();
    let error = back(&archive, &rig).await.unwrap_err();
    let fault = error.fault();
    assert_eq!(fault.code(), "LED-055");
    let hint = fault.hint().unwrap();
    assert!(hint.contains("`--to manifest:1`"), "{hint}");
    let public = fault.public();
    assert!(
        public.contains("the 3 entries in front of it, up to "),
        "{public}"
    );
    let target: Arc<dyn Store> = Arc::new(Memory::new());
    let request = Request {
        until: "manifest:1".parse().unwrap(),
        tenant: None,
        now: rig.clock.now(),
    };
    let source = Source::Archive(&archive);
    let (folds, clock) = (Folds::default(), Arc::new(rig.clock.clone()));
    let restored = restore(source, &request, &target, &folds, clock, &|_| {}).await;
    assert_eq!(restored.unwrap().entries, 3);
    rig.stop().await;
}

#[tokio::test]
async fn archive_that_has_lost_its_first_object_is_not_begun_anew() {
    let (place, rig, _) = shipped().await;
    place.storage.remove("archive.json").await;
    let objects = Objects::new(Arc::new(place.storage.clone()));
    let begun = Archive::open_or_create(objects, place.vault.clone(), &rig.clock).await;
    let found = begun.unwrap_err();
    assert!(matches!(found, Error::Missing { .. }), "{found}");
    let fault = found.fault();
    assert!(fault.public().contains("archive.json") && fault.hint().is_some());
    let names = place.storage.names().await;
    assert!(
        !names.iter().any(|name| name == "archive.json"),
        "{names:?}"
    );
    rig.stop().await;
}

#[tokio::test]
async fn refused_writes_are_repeated() {
    let (place, rig, store) = shipped().await;
    rig.clock.advance(Duration::from_secs(20));
    let mut archiver = place.archiver(&rig).await;
    append(&rig.ledger, "a", 5..9).await;
    place.storage.set(|f| &f.refuse, true);
    for _ in 0..3 {
        let error = archiver.ship().await.unwrap_err();
        assert!(matches!(error, Error::Storage { .. }), "{error}");
    }
    place.storage.set(|f| &f.refuse, false);
    assert_eq!(archiver.ship().await.unwrap().entries, 4);
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

#[tokio::test]
async fn lost_answer_of_a_write_counts_as_written() {
    let (place, rig, store) = shipped().await;
    rig.clock.advance(Duration::from_secs(20));
    let mut archiver = place.archiver(&rig).await;
    append(&rig.ledger, "a", 5..9).await;
    place.storage.set(|f| &f.lose_answers, true);
    // First the segment's answer is lost, then the manifest's.
    archiver.ship().await.unwrap_err();
    archiver.ship().await.unwrap_err();
    place.storage.set(|f| &f.lose_answers, false);
    assert_eq!(archiver.ship().await.unwrap().entries, 4);
    assert_eq!(archiver.ship().await.unwrap().entries, 0);
    let tail = place.archive().await.unwrap().tail().await.unwrap();
    assert_eq!(tail.number, 4, "nothing was written twice");
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn storage_that_does_not_answer_is_given_up_and_tried_again() {
    let (place, rig, store) = shipped().await;
    rig.clock.advance(Duration::from_secs(20));
    let mut archiver = place.archiver(&rig).await;
    append(&rig.ledger, "a", 5..6).await;
    place.storage.set(|f| &f.hang, true);
    let error = archiver.ship().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    place.storage.set(|f| &f.hang, false);
    assert_eq!(archiver.ship().await.unwrap().entries, 1);
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

#[tokio::test]
async fn end_between_segment_and_manifest_leaves_nothing_behind() {
    let (place, rig, store) = shipped().await;
    rig.clock.advance(Duration::from_secs(20));
    let mut archiver = place.archiver(&rig).await;
    append(&rig.ledger, "a", 5..9).await;
    place.storage.set(|f| &f.refuse_manifests, true);
    archiver.ship().await.unwrap_err();
    drop(archiver);
    place.storage.set(|f| &f.refuse_manifests, false);
    check_contents(&place, 6).await;

    append(&rig.ledger, "b", 5..6).await;
    rig.clock.advance(Duration::from_secs(20));
    let mut next = place.archiver(&rig).await;
    assert_eq!(next.ship().await.unwrap().entries, 5);
    check_contents(&place, 11).await;
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

async fn check_contents(place: &Place, entries: u64) {
    let archive = place.archive().await.unwrap();
    let contents = archive.verify(&|_| {}).await.unwrap();
    assert_eq!(contents.entries, entries);
}

#[tokio::test]
async fn late_list_does_not_make_a_writer_start_again() {
    let (place, rig, store) = shipped().await;
    rig.clock.advance(Duration::from_secs(20));
    place.storage.set(|f| &f.list_nothing, true);
    let mut archiver = place.archiver(&rig).await;
    append(&rig.ledger, "a", 5..6).await;
    assert_eq!(archiver.ship().await.unwrap().entries, 1);
    place.storage.set(|f| &f.list_nothing, false);
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

#[tokio::test]
async fn only_the_holder_of_the_lease_writes() {
    let (place, rig, store) = shipped().await;
    let mut one = place.archiver(&rig).await;
    append(&rig.ledger, "a", 5..6).await;
    assert_eq!(one.ship().await.unwrap().entries, 0);
    assert_eq!(one.watch().status().state, State::Waiting);
    rig.clock.advance(Duration::from_secs(11));
    assert_eq!(one.ship().await.unwrap().entries, 1);
    assert_eq!(one.watch().status().state, State::Shipping);

    // A former holder finds its place taken and carries on once it holds it again.
    let mut two = place.archiver(&rig).await;
    append(&rig.ledger, "a", 6..7).await;
    rig.clock.advance(Duration::from_secs(11));
    assert_eq!(two.ship().await.unwrap().entries, 1);
    append(&rig.ledger, "a", 7..8).await;
    assert_eq!(one.ship().await.unwrap().entries, 0);
    rig.clock.advance(Duration::from_secs(11));
    assert_eq!(one.ship().await.unwrap().entries, 1);
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

#[tokio::test]
async fn second_ledger_cannot_write_into_the_archive_of_another() {
    let (place, rig, store) = shipped().await;
    // A copy of the ledger that has gone its own way.
    let archive = place.archive().await.unwrap();
    let copy = Rig::on(Arc::new(back(&archive, &rig).await.unwrap())).await;
    copy.clock.advance(Duration::from_secs(90));
    rig.clock.advance(Duration::from_secs(90));
    let mut other = place.archiver(&copy).await;
    other.ship().await.unwrap();
    append(&copy.ledger, "a", 70..71).await;
    append(&rig.ledger, "a", 60..61).await;
    let mut own = place.archiver(&rig).await;
    assert_eq!(own.ship().await.unwrap().entries, 1);

    let taken = other.ship().await.unwrap_err();
    assert!(matches!(taken, Error::Taken { .. }), "{taken}");
    let forked = other.ship().await.unwrap_err();
    assert!(
        matches!(&forked, Error::Forked { tenant: t, seq: 5 } if *t == tenant("a")),
        "{forked}"
    );
    append(&rig.ledger, "a", 61..62).await;
    assert_eq!(own.ship().await.unwrap().entries, 1);
    check_back(&place, &rig, &store).await;
    copy.stop().await;
    rig.stop().await;
}

#[tokio::test]
async fn archive_ahead_of_its_ledger_is_left_alone() {
    let (place, rig, _) = shipped().await;
    let lost = Rig::on(Arc::new(Memory::new())).await;
    append(&lost.ledger, "a", 0..1).await;
    let names = place.storage.names().await;
    let error = place.archiver(&lost).await.ship().await.unwrap_err();
    assert!(matches!(error, Error::Ahead { .. }), "{error}");
    assert_eq!(place.storage.names().await, names);

    // Its own entries came back: it carries on where the archive ends.
    let archive = place.archive().await.unwrap();
    let store = back(&archive, &rig).await.unwrap();
    let again = Rig::on(Arc::new(store.clone())).await;
    append(&again.ledger, "a", 50..52).await;
    let mut archiver = place.archiver(&again).await;
    assert_eq!(archiver.ship().await.unwrap().entries, 2);
    check_back(&place, &again, &store).await;
    for rig in [lost, rig, again] {
        rig.stop().await;
    }
}

#[tokio::test]
async fn clock_that_steps_back_stops_nothing() {
    let (place, rig, store) = shipped().await;
    let mut archiver = place.archiver(&rig).await;
    rig.clock.advance(Duration::from_secs(20));
    for hours in [-1, 2, -3_i64] {
        let step = Duration::from_secs(hours.unsigned_abs() * 3600);
        let now = rig.clock.now();
        rig.clock
            .step_to(if hours < 0 { now - step } else { now + step });
        // A lease that seems to last for hours is still this node's own.
        append(&rig.ledger, "a", 0..2).await;
        let shipped = archiver.ship().await.unwrap();
        if hours > 0 {
            assert!(shipped.entries >= 2);
        }
    }
    rig.clock
        .step_to(crate::harness::clock().now() + Duration::from_secs(36_000));
    while archiver.ship().await.unwrap().entries > 0 {}
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

#[tokio::test]
async fn wrong_key_is_told_and_nothing_else_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let url = url::Url::from_file_path(folder.path().join("archive")).unwrap();
    let vault = |name| {
        let file = folder.path().join(name);
        Arc::new(FileVault::load_or_create(&file).unwrap())
    };
    let clock = crate::harness::clock();
    let objects = Objects::open(&url, &Access::default()).unwrap();
    let opened = Archive::open(objects.clone(), vault("one")).await;
    assert!(matches!(opened, Err(Error::Absent)), "{opened:?}");
    Archive::open_or_create(objects.clone(), vault("one"), &clock)
        .await
        .unwrap();
    Archive::open(objects.clone(), vault("one")).await.unwrap();
    let refused = Archive::open(objects, vault("two")).await;
    assert!(
        matches!(refused, Err(Error::WrongKey { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn folder_that_is_not_mounted_any_more_gets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (at, elsewhere) = (folder.path().join("archive"), folder.path().join("away"));
    let url = url::Url::from_file_path(&at).unwrap();
    let objects = Objects::open(&url, &Access::default()).unwrap();
    let vault = FileVault::load_or_create(&folder.path().join("key")).unwrap();
    let rig = Rig::on(Arc::new(Memory::new())).await;
    let archive = Archive::open_or_create(objects, Arc::new(vault), &rig.clock);
    let archive = archive.await.unwrap();
    let node = airside_base::NodeId::generate(&rig.clock);
    let archiver = Archiver::new(
        rig.ledger.clone(),
        archive.clone(),
        Arc::new(rig.clock.clone()),
        node,
        Options::default(),
    );
    let mut archiver = archiver.await.unwrap();
    append(&rig.ledger, "a", 0..3).await;
    assert_eq!(archiver.ship().await.unwrap().entries, 3);

    // What a mount point shows when nothing is mounted there.
    std::fs::rename(&at, &elsewhere).unwrap();
    std::fs::create_dir(&at).unwrap();
    append(&rig.ledger, "a", 3..5).await;
    let refused = archiver.ship().await;
    assert!(matches!(refused, Err(Error::Absent)), "{refused:?}");
    assert_eq!(std::fs::read_dir(&at).unwrap().count(), 0, "it stays empty");

    std::fs::remove_dir(&at).unwrap();
    std::fs::rename(&elsewhere, &at).unwrap();
    assert_eq!(archiver.ship().await.unwrap().entries, 2);
    let whole = archive.verify(&|_| {}).await.unwrap();
    assert_eq!(whole.entries, 5, "nothing is missing");
    rig.stop().await;
}

#[tokio::test]
async fn running_archiver_follows_and_appends_can_wait_for_it() {
    let store = Memory::new();
    let rig = Rig::on(Arc::new(store.clone())).await;
    let place = Place::default();
    let archiver = place.archiver(&rig).await;
    let (watch, supervisor) = (archiver.watch(), Supervisor::new());
    let limit = Duration::from_millis(1);
    let impatient = rig.ledger.clone().with_remote_ack(watch.reached(), limit);
    let refused = impatient.append(vec![draft("a", 0)]).await;
    assert!(
        matches!(refused, Err(AppendError::Unarchived)),
        "{refused:?}"
    );

    archiver.start(&supervisor);
    let limit = Duration::from_secs(60);
    let patient = rig.ledger.clone().with_remote_ack(watch.reached(), limit);
    let clock = rig.clock.clone();
    let appended = async {
        let receipt = patient.append(vec![draft("a", 1)]).await.unwrap();
        let tail = place.archive().await.unwrap().tail().await.unwrap();
        assert_eq!(tail.chains[&tenant("a")].head, receipt.entries[0]);
    };
    let ticking = async {
        loop {
            clock.advance(Duration::from_millis(250));
            tokio::task::yield_now().await;
        }
    };
    futures_util::future::select(std::pin::pin!(appended), std::pin::pin!(ticking)).await;

    // What was written last is shipped before the end.
    append(&rig.ledger, "b", 0..5).await;
    assert_eq!(supervisor.stop(Duration::from_secs(20)).await, 0);
    check_back(&place, &rig, &store).await;
    rig.stop().await;
}

#[tokio::test]
async fn object_of_another_version_is_named() {
    let (place, rig, _) = shipped().await;
    for name in place.storage.names().await {
        let before = place.storage.load(&name).await;
        let after = match name.starts_with("segment") {
            // Behind the first seven bytes.
            true => [&before[..7], &[9], &before[8..]].concat(),
            false => String::from_utf8(before.clone())
                .unwrap()
                .replace("archive/1", "archive/9")
                .into_bytes(),
        };
        if after == before {
            // A manifest's form is under its code: nobody else can write another.
            continue;
        }
        place.storage.replace(&name, after).await;
        let found = match place.archive().await {
            Ok(archive) => archive.verify(&|_| {}).await.unwrap_err(),
            Err(found) => found,
        };
        // A segment's hash is in its manifest, so it is damage there.
        assert!(["LED-056", "LED-057"].contains(&found.fault().code()));
        assert!(found.fault().public().contains(&name), "{found}");
        place.storage.replace(&name, before).await;
    }
    rig.stop().await;
}

#[tokio::test]
async fn ledger_in_a_folder_is_archived_at_once_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::default();
    for round in 1..4 {
        // Nobody gives the lease back, and no time passes.
        let tasks = Supervisor::new();
        let store = airside_ledger::stores::sqlite::Sqlite::open(folder.path(), &tasks).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let rig = Rig::on(store.clone()).await;
        let mut archiver = place.archiver(&rig).await;
        append(&rig.ledger, "a", round..round + 1).await;
        assert_eq!(archiver.ship().await.unwrap().entries, 1, "round {round}");
        rig.stop().await;
        drop((archiver, store));
        tasks.stop(Duration::from_secs(20)).await;
    }
}
