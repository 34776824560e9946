//! Erasure of persons: what stays, what goes, and what a crash or a restore changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use airside_base::{BoxFuture, Clock, TenantId};
use airside_ledger::{
    Entry, Head, Kind, Ledger, Query, Store,
    conversation::{self, Conversations},
    erasure::{BEGUN, Collector, ERASED, Eraser, List, ListError},
    export::export,
    keys::{
        Grave, Kept, KeyStore, KeyStoreError, Keys, Record, memory::MemoryKeys, sqlite::SqliteKeys,
    },
    personal::{KeyId, Opened, Personal, Purpose, Slot, SubjectId},
    stores::{memory::Memory, sqlite::Sqlite},
    vault::{Vault, file::FileVault, memory::MemoryVault},
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::harness::{Rig, clock, tenant};

const BOOKED: Kind = Kind::new("stay.booked");

#[derive(Debug, Serialize, Deserialize)]
struct Booked {
    hotel: String,
    guests: Vec<Personal<String>>,
    tax: Personal<String>,
}

fn subject(number: u8) -> SubjectId {
    format!("subject-{number}").parse().expect("an id")
}

fn purposes(of: &[Purpose]) -> BTreeSet<Purpose> {
    of.iter().copied().collect()
}

const SERVICE: &[Purpose] = &[Purpose::Service];

fn keys(store: Arc<dyn KeyStore>, vault: Arc<dyn Vault>) -> Arc<Keys> {
    Arc::new(Keys::new(store, vault, Arc::new(clock())))
}

/// Books for two persons in one entry; returns its number.
async fn book(ledger: &Ledger, keys: &Keys, one: u8, other: u8, mark: &str) -> u64 {
    let name = |who: u8, what: &str| format!("{mark}-{what}-of-{who}");
    let service = |who| Personal::new(subject(who), Purpose::Service, name(who, "name"));
    let body = Booked {
        hotel: "Sea".to_owned(),
        guests: vec![service(one), service(other)],
        tax: Personal::new(subject(one), Purpose::Law, name(one, "tax")),
    };
    let draft = keys.draft(&tenant("a"), BOOKED, 1, "b-1", &body).await;
    let receipt = ledger.append(vec![draft.expect("seal")]).await;
    receipt.expect("append").entries[0].seq
}

async fn entry(ledger: &Ledger, seq: u64) -> Entry {
    let query = Query::new(tenant("a")).after(seq - 1).limit(1);
    ledger.read(query).await.expect("read").remove(0)
}

/// The two names and the tax number, as far as they can be read.
async fn read(ledger: &Ledger, keys: &Keys, seq: u64) -> [Option<String>; 3] {
    let entry = entry(ledger, seq).await;
    let body: Booked = entry.decode().expect("folds never fail");
    let [one, other] = &body.guests[..] else {
        panic!("two guests")
    };
    let mut opened = [None, None, None];
    let values = [
        ("/guests/0", one),
        ("/guests/1", other),
        ("/tax", &body.tax),
    ];
    for (place, (path, value)) in opened.iter_mut().zip(values) {
        let value = keys.open(&entry.tenant, &entry.kind, path, value).await;
        *place = value.expect("no error").clear();
    }
    opened
}

async fn erase(ledger: &Ledger, keys: &Keys, who: u8, of: &[Purpose]) -> u64 {
    let eraser = Eraser::new(ledger, keys);
    let done = eraser
        .erase(&tenant("a"), &subject(who), &purposes(of))
        .await;
    done.expect("erase").entry
}

/// Returns whether any file below `folder` holds `text`.
fn is_on_disk(folder: &Path, text: &str) -> bool {
    fs::read_dir(folder).expect("a folder").any(|file| {
        let file = file.expect("a file").path();
        let bytes = fs::read(&file).expect("read");
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}

#[tokio::test]
async fn erasure_takes_one_purpose_of_one_person() {
    let (stores, _folder) = crate::harness::stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let (ledger, kept) = (&rig.ledger, Arc::new(MemoryKeys::new()));
        let keys = keys(kept, Arc::new(MemoryVault::new()));
        let seq = book(ledger, &keys, 1, 2, "x").await;
        let before = entry(ledger, seq).await;
        let erased_at = erase(ledger, &keys, 1, SERVICE).await;
        let [one, other, tax] = read(ledger, &keys, seq).await;
        assert_eq!(one, None);
        assert_eq!(other.as_deref(), Some("x-name-of-2"));
        assert_eq!(tax.as_deref(), Some("x-tax-of-1"), "the law's copy stays");
        assert_eq!(entry(ledger, seq).await, before, "no entry is changed");
        ledger.verify(&|_| {}).await.expect("the chain still holds");

        let again = erase(ledger, &keys, 1, SERVICE).await;
        assert_eq!(again, erased_at, "repeated, nothing is written");
        assert_eq!(
            ledger.head(&tenant("a")).await.expect("head").seq,
            erased_at
        );
        let kinds: Vec<Kind> = [entry(ledger, 2).await.kind, entry(ledger, 3).await.kind].into();
        assert_eq!(kinds, [BEGUN, ERASED]);

        let later = book(ledger, &keys, 1, 2, "y").await;
        let [one, ..] = read(ledger, &keys, later).await;
        assert_eq!(one.as_deref(), Some("y-name-of-1"), "a new beginning");
        erase(ledger, &keys, 1, &Purpose::ALL).await;
        let [one, other, tax] = read(ledger, &keys, later).await;
        assert_eq!((one, tax), (None, None));
        assert_eq!(other.as_deref(), Some("y-name-of-2"));
        rig.stop().await;
    }
}

/// The whole of it with its files: nothing personal is on the disk in clear at any
/// time, and the key of an erased person is on it no more.
#[tokio::test]
async fn nothing_personal_is_in_any_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    let supervisor = airside_base::Supervisor::new();
    let store = Sqlite::open(path, &supervisor).expect("open");
    let rig = Rig::on(Arc::new(store)).await;
    let vault = FileVault::load_or_create(&path.join("vault.key")).expect("a vault");
    let kept = Arc::new(SqliteKeys::open(&path.join("keys.db")).expect("a key store"));
    let keys = keys(kept.clone(), Arc::new(vault));
    let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
    let talks = Conversations::new(rig.ledger.clone(), keys.clone(), clock.clone(), None);

    let seq = book(&rig.ledger, &keys, 1, 2, "plaintext").await;
    let state = json_object(&json!({ "said": "plaintext-in-a-conversation" }));
    let opening = conversation::Opening {
        subject: Some(subject(1)),
        lifetime: None,
    };
    let (handle, begun) = talks
        .create(&tenant("a"), opening, state)
        .await
        .expect("create");
    let sealed: Value = entry(&rig.ledger, seq).await.decode().expect("JSON");
    let id = sealed["guests"][0]["key"].as_str().expect("a key");
    assert!(is_on_disk(path, id), "the search works");
    assert!(!is_on_disk(path, "plaintext") && !is_on_disk(path, handle.expose()));
    let slot = Slot {
        tenant: tenant("a"),
        subject: subject(1),
        purpose: Purpose::Service,
        scope: "".into(),
    };
    let kept_key = kept.find(slot).await.expect("find").expect("live");
    let wrapped = kept_key.wrapped.key;
    let has_key = || {
        let bytes = fs::read(path.join("keys.db")).expect("read");
        bytes.windows(wrapped.len()).any(|part| part == wrapped)
    };
    assert!(has_key());

    erase(&rig.ledger, &keys, 1, SERVICE).await;
    assert!(!has_key(), "the key is overwritten");
    let talk = talks.get(&tenant("a"), &handle).await.expect("read");
    assert_eq!(talk.state, Opened::Erased);
    let patched = talks
        .patch(
            &tenant("a"),
            &handle,
            begun.version,
            json_object(&json!({})),
        )
        .await;
    assert!(
        matches!(patched, Err(conversation::Error::Erased)),
        "{patched:?}"
    );
    let mut out = Vec::new();
    let parts = (&rig.ledger, &*keys, &*clock);
    let tables = &[conversation::TABLE];
    let found = export(parts, &tenant("a"), &subject(1), tables, &mut out).await;
    assert_eq!(found.expect("export").documents, 1);
    let text = String::from_utf8(out).expect("UTF-8");
    assert!(!text.contains("plaintext-name-of") && !text.contains("in-a-conversation"));
    assert!(
        text.contains("plaintext-tax-of-1"),
        "what the law keeps is exported"
    );
    rig.ledger.verify(&|_| {}).await.expect("verify");
    rig.stop().await;
    supervisor.stop(std::time::Duration::from_secs(20)).await;
    assert!(!is_on_disk(path, "plaintext"), "nor after the checkpoint");
}

fn json_object(value: &Value) -> conversation::State {
    value.as_object().expect("an object").clone()
}

#[tokio::test]
async fn export_opens_one_person_and_nobody_else() {
    let rig = Rig::on(Arc::new(Memory::new())).await;
    let keys = keys(Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()));
    let seq = book(&rig.ledger, &keys, 1, 2, "x").await;
    book(&rig.ledger, &keys, 3, 2, "y").await;
    let clock: Arc<dyn Clock> = Arc::new(rig.clock.clone());
    let talks = Conversations::new(rig.ledger.clone(), keys.clone(), clock.clone(), None);
    let opening = conversation::Opening {
        subject: Some(subject(1)),
        lifetime: None,
    };
    let state = json_object(&json!({ "wish": "sea view" }));
    talks
        .create(&tenant("a"), opening, state)
        .await
        .expect("create");
    let mut out = Vec::new();
    let parts = (&rig.ledger, &*keys, &*clock);
    let tables = &[conversation::TABLE, "erasures"];
    let found = export(parts, &tenant("a"), &subject(1), tables, &mut out).await;
    let found = found.expect("export");
    assert_eq!((found.entries, found.documents), (2, 1));
    let document: Value = serde_json::from_slice(&out).expect("one JSON document");
    let body = &document["entries"][0]["body"];
    assert_eq!(document["entries"][0]["seq"], seq);
    assert_eq!(body["guests"][0], "x-name-of-1");
    assert_eq!(body["guests"][1]["personal"], 1, "the other stays sealed");
    assert_eq!(body["tax"], "x-tax-of-1");
    let state = &document["documents"][0]["document"]["state"];
    assert_eq!(state["wish"], "sea view");
    assert!(!String::from_utf8_lossy(&out).contains("of-2"));

    erase(&rig.ledger, &keys, 1, SERVICE).await;
    let mut out = Vec::new();
    let found = export(parts, &tenant("a"), &subject(1), tables, &mut out).await;
    assert_eq!(found.expect("export").documents, 2, "with its erasure");
    let document: Value = serde_json::from_slice(&out).expect("one JSON document");
    let erased = json!({ "erased": true, "purpose": "service" });
    assert_eq!(document["entries"][0]["body"]["guests"][0], erased);
    rig.stop().await;
}

/// A key store that fails from a given call on: a crash at this point, as seen by
/// the next start.
#[derive(Debug)]
struct Failing {
    inner: MemoryKeys,
    /// Destructions that still work; then the wish is durable and nothing else.
    left: AtomicU32,
}

impl KeyStore for Failing {
    fn find(&self, slot: Slot) -> BoxFuture<'_, Result<Option<Kept>, KeyStoreError>> {
        self.inner.find(slot)
    }

    fn keep(&self, slot: Slot, fresh: Kept) -> BoxFuture<'_, Result<Kept, KeyStoreError>> {
        self.inner.keep(slot, fresh)
    }

    fn look_up(
        &self,
        tenant: TenantId,
        id: KeyId,
    ) -> BoxFuture<'_, Result<Option<Record>, KeyStoreError>> {
        self.inner.look_up(tenant, id)
    }

    fn live(
        &self,
        tenant: TenantId,
        subject: SubjectId,
    ) -> BoxFuture<'_, Result<BTreeSet<Purpose>, KeyStoreError>> {
        self.inner.live(tenant, subject)
    }

    fn destroy(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        purposes: BTreeSet<Purpose>,
    ) -> BoxFuture<'_, Result<Vec<Grave>, KeyStoreError>> {
        if self.left.load(Ordering::Relaxed) > 0 {
            self.left.fetch_sub(1, Ordering::Relaxed);
            return self.inner.destroy(tenant, subject, purposes);
        }
        Box::pin(std::future::ready(Err(KeyStoreError::Failed {
            doing: "destroy",
            source: Arc::new(std::io::Error::other("the machine is gone")),
        })))
    }

    fn bury(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        graves: Vec<Grave>,
    ) -> BoxFuture<'_, Result<(), KeyStoreError>> {
        self.inner.bury(tenant, subject, graves)
    }
}

#[tokio::test]
async fn begun_erasure_is_finished_at_the_next_start() {
    let (stores, _folder) = crate::harness::stores();
    for store in stores {
        let rig = Rig::on(store).await;
        let vault: Arc<dyn Vault> = Arc::new(MemoryVault::new());
        let inner = MemoryKeys::new();
        let failing = Failing {
            inner: inner.clone(),
            left: AtomicU32::new(0),
        };
        let broken = keys(Arc::new(failing), vault.clone());
        let seq = book(&rig.ledger, &broken, 1, 2, "x").await;
        let eraser = Eraser::new(&rig.ledger, &broken);
        let cut = eraser
            .erase(&tenant("a"), &subject(1), &purposes(SERVICE))
            .await;
        assert_eq!(cut.expect_err("it fails").fault().code(), "LED-086");
        let last = entry(&rig.ledger, seq + 1).await;
        assert_eq!((last.kind, &*last.subject), (BEGUN, "subject-1"));

        let next = keys(Arc::new(inner), vault);
        let eraser = Eraser::new(&rig.ledger, &next);
        assert_eq!(eraser.resume().await.expect("resume"), 1);
        assert_eq!(eraser.resume().await.expect("resume"), 0);
        let [one, other, tax] = read(&rig.ledger, &next, seq).await;
        assert_eq!((one, other.is_some(), tax.is_some()), (None, true, true));
        let head = rig.ledger.head(&tenant("a")).await.expect("head");
        assert_eq!(entry(&rig.ledger, head.seq).await.kind, ERASED);
        rig.stop().await;
    }
}

/// All entries of the chain of tenant `a`.
async fn entries(ledger: &Ledger) -> Vec<Entry> {
    let mut found = Vec::new();
    let mut follower = ledger.follow(tenant("a"), 0);
    loop {
        let more = follower.next_present().await.expect("read");
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

async fn end(ledger: &Ledger) -> [(TenantId, Head); 1] {
    [(tenant("a"), ledger.head(&tenant("a")).await.expect("head"))]
}

#[tokio::test]
async fn list_that_does_not_reach_the_end_is_refused() {
    let rig = Rig::on(Arc::new(Memory::new())).await;
    let keys = keys(Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()));
    book(&rig.ledger, &keys, 1, 2, "x").await;
    erase(&rig.ledger, &keys, 1, SERVICE).await;
    let (entries, end) = (entries(&rig.ledger).await, end(&rig.ledger).await);
    for read in 0..entries.len() {
        let mut collector = Collector::new();
        for entry in &entries[..read] {
            collector.take(entry).expect("in order");
        }
        let refused = collector.finish(&end);
        assert!(matches!(refused, Err(ListError::Short { .. })), "{read}");
    }
    let mut collector = Collector::new();
    collector.take(&entries[0]).expect("in order");
    let gap = collector.take(&entries[2]).expect_err("one is missing");
    assert_eq!(gap.fault().code(), "LED-088");
    rig.stop().await;
}

/// The trap: an old copy of everything, keys included, is brought back.
#[tokio::test]
async fn restored_past_does_not_bring_the_erased_back() {
    let (stores, _folder) = crate::harness::stores();
    for store in stores {
        let source: Arc<dyn Store> = store;
        let rig = Rig::on(source.clone()).await;
        let vault: Arc<dyn Vault> = Arc::new(MemoryVault::new());
        let now = MemoryKeys::new();
        let keys_now = keys(Arc::new(now.clone()), vault.clone());
        let seq = book(&rig.ledger, &keys_now, 1, 2, "x").await;
        // The backup of the key store, made before the erasure.
        let then = MemoryKeys::new();
        for (who, purpose) in [
            (1, Purpose::Service),
            (2, Purpose::Service),
            (1, Purpose::Law),
        ] {
            let slot = Slot {
                tenant: tenant("a"),
                subject: subject(who),
                purpose,
                scope: "".into(),
            };
            let kept = now.find(slot.clone()).await.expect("find");
            then.keep(slot, kept.expect("live")).await.expect("keep");
        }
        erase(&rig.ledger, &keys_now, 1, SERVICE).await;
        let past = entry(&rig.ledger, seq).await;

        let target = Rig::on(Arc::new(Memory::new())).await;
        let restored = airside_ledger::Draft::from_json(
            past.tenant.clone(),
            past.kind.clone(),
            past.version,
            &past.subject,
            past.body.clone(),
        );
        let restored = restored.expect("a draft");
        target.ledger.append(vec![restored]).await.expect("append");
        let old = keys(Arc::new(then), vault.clone());
        let [one, ..] = read(&target.ledger, &old, 1).await;
        assert!(one.is_some(), "the old copy of the keys still opens it");
        let list = List::read(&*source).await.expect("the list");
        assert_eq!(list.len(), 1);
        let applied = list.apply(&old).await.expect("apply");
        let [one, other, tax] = read(&target.ledger, &old, 1).await;
        assert_eq!((one, other.is_some(), tax.is_some()), (None, true, true));
        for expected in [1, 0] {
            let recorded = applied.record(&target.ledger).await.expect("record");
            assert_eq!(recorded, expected, "the target knows it, once");
        }
        let again = List::read(&*source).await.expect("the list");
        let empty = keys(Arc::new(MemoryKeys::new()), vault);
        again.apply(&empty).await.expect("apply");
        let body: Booked = past.decode().expect("a body");
        let name = empty.open(&past.tenant, &past.kind, "/guests/0", &body.guests[0]);
        assert_eq!(name.await.expect("not missing"), Opened::Erased);
        target.stop().await;
        rig.stop().await;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Book(u8, u8),
    Erase(u8, bool),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_u8, 0..3_u8).prop_map(|(one, other)| Step::Book(one, other)),
        2 => (0..3_u8, any::<bool>()).prop_map(|(who, all)| Step::Erase(who, all)),
        1 => Just(Step::Restart),
    ]
}

/// Which values can be read, by a model: those sealed since the last erasure of
/// their person and purpose.
async fn check_history(steps: Vec<Step>) {
    let rig = Rig::on(Arc::new(Memory::new())).await;
    let vault: Arc<dyn Vault> = Arc::new(MemoryVault::new());
    let kept = MemoryKeys::new();
    let mut keys = keys(Arc::new(kept.clone()), vault.clone());
    let mut booked: Vec<(u64, [(u8, Purpose); 3])> = Vec::new();
    let mut erased: BTreeMap<(u8, Purpose), u64> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Book(one, other) => {
                let seq = book(&rig.ledger, &keys, one, other, "x").await;
                let of = |who| (who, Purpose::Service);
                booked.push((seq, [of(one), of(other), (one, Purpose::Law)]));
            }
            Step::Erase(who, all) => {
                let of = if all { &Purpose::ALL } else { SERVICE };
                erase(&rig.ledger, &keys, who, of).await;
                let head = rig.ledger.head(&tenant("a")).await.expect("head").seq;
                erased.extend(of.iter().map(|purpose| ((who, *purpose), head)));
            }
            Step::Restart => keys = self::keys(Arc::new(kept.clone()), vault.clone()),
        }
    }
    let check = async |keys: &Keys| {
        for (seq, owners) in &booked {
            let opened = read(&rig.ledger, keys, *seq).await;
            let expected = owners.map(|owner| erased.get(&owner).is_none_or(|at| at < seq));
            assert_eq!(opened.map(|value| value.is_some()), expected, "entry {seq}");
        }
    };
    check(&keys).await;
    let mut collector = Collector::new();
    for entry in entries(&rig.ledger).await {
        collector.take(&entry).expect("in order");
    }
    let list = collector.finish(&end(&rig.ledger).await).expect("complete");
    let applied = list.apply(&keys).await.expect("apply");
    check(&keys).await;
    assert_eq!(applied.record(&rig.ledger).await.expect("record"), 0);
    rig.ledger.verify(&|_| {}).await.expect("verify");
    rig.stop().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn history_reads_as_the_model_says(steps in prop::collection::vec(step(), 0..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(check_history(steps));
    }
}
