use std::fs;

use airside_base::{Redacted, SystemClock, VirtualClock};
use airside_testkit::postgres::{Database, ROLE, Server};
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::{contract, memory::MemoryKeys, postgres::PostgresKeys, sqlite::SqliteKeys, *};
use crate::{
    Ledger, Options,
    erasure::Eraser,
    stores::postgres::Postgres,
    vault::{file::FileVault, memory::MemoryVault},
};

#[tokio::test]
async fn memory_keeps_the_contract() {
    for (name, case) in contract::CASES {
        println!("{name}");
        case(Box::new(MemoryKeys::new())).await;
    }
}

#[tokio::test]
async fn sqlite_keeps_the_contract() {
    for (name, case) in contract::CASES {
        println!("{name}");
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteKeys::open(&folder.path().join("keys.db")).unwrap();
        case(Box::new(store)).await;
    }
}

async fn prepared(server: &Server, name: &str) -> Database {
    let database = server.database(name).unwrap();
    let owner = Redacted::new(database.owner_url.clone());
    PostgresKeys::initialize(&owner, ROLE).await.unwrap();
    database
}

async fn opened(database: &Database) -> PostgresKeys {
    let url = Redacted::new(database.url.clone());
    PostgresKeys::open(&url).await.unwrap()
}

#[tokio::test]
async fn postgres_keeps_the_contract() {
    let server = Server::start().unwrap();
    for (number, (name, case)) in contract::CASES.iter().enumerate() {
        println!("{name}");
        let database = prepared(&server, &format!("keys_{number}")).await;
        case(Box::new(opened(&database).await)).await;
    }
}

#[tokio::test]
async fn role_can_take_keys_away_and_not_rename_or_remove_them() {
    let server = Server::start().unwrap();
    let database = prepared(&server, "keys_role").await;
    drop(opened(&database).await);
    let allowed = "UPDATE airside_keys.subject_key SET vault = NULL, wrapped = NULL";
    database.run_as_node(allowed).unwrap();
    for sql in [
        "DELETE FROM airside_keys.subject_key",
        "TRUNCATE airside_keys.subject_key",
        "UPDATE airside_keys.subject_key SET id = 'x'",
        "UPDATE airside_keys.subject_key SET subject = 'x'",
        "UPDATE airside_keys.vault SET id = 'x'",
        "DELETE FROM airside_keys.vault",
        "DROP TABLE airside_keys.subject_key",
    ] {
        let error = database.run_as_node(sql).expect_err(sql).to_string();
        assert!(
            error.contains("permission denied") || error.contains("must be owner"),
            "{sql}: {error}"
        );
    }
}

#[tokio::test]
async fn database_without_keys_or_with_another_vault_is_refused() {
    let server = Server::start().unwrap();
    let database = server.database("keys_absent").unwrap();
    let url = Redacted::new(database.url.clone());
    let absent = PostgresKeys::open(&url).await.expect_err("no tables");
    assert_eq!(absent.fault().code(), "LED-121");
    let owner = Redacted::new(database.owner_url.clone());
    for _ in 0..2 {
        PostgresKeys::initialize(&owner, ROLE).await.unwrap();
    }
    let store = opened(&database).await;
    assert_eq!(store.vault().await.unwrap(), None);
    for _ in 0..2 {
        store.bind("one").await.unwrap();
    }
    let other = opened(&database).await.bind("two").await;
    assert_eq!(other.unwrap_err().fault().code(), "LED-120");
    assert_eq!(store.vault().await.unwrap().as_deref(), Some("one"));
    database
        .run("INSERT INTO airside_keys.version VALUES (99)")
        .unwrap();
    let later = PostgresKeys::open(&url).await.expect_err("a later version");
    assert_eq!(later.fault().code(), "LED-122");
    let later = PostgresKeys::initialize(&owner, ROLE).await;
    assert_eq!(later.unwrap_err().fault().code(), "LED-122");
}

/// Two nodes ask for the first key of a slot at the same time, while a third takes it
/// away: each gets a key that the store knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_agree_on_the_key_of_a_slot() {
    let server = Server::start().unwrap();
    let database = prepared(&server, "keys_race").await;
    let (one, other) = (opened(&database).await, opened(&database).await);
    let tenant = TenantId::default();
    for round in 0..20 {
        let slot = Slot {
            tenant: tenant.clone(),
            subject: subject(&format!("subject-{round}")),
            purpose: Purpose::Service,
            scope: "".into(),
        };
        let fresh = || {
            let id = KeyId::generate();
            let key = id.as_str().as_bytes().to_vec();
            let vault = "v".to_owned();
            Kept {
                id,
                wrapped: Wrapped { vault, key },
            }
        };
        let (a, b) = tokio::join!(
            one.keep(slot.clone(), fresh()),
            other.keep(slot.clone(), fresh())
        );
        assert_eq!(a.unwrap(), b.unwrap());
        let destroy = async |store: &PostgresKeys| {
            let purposes = BTreeSet::from(Purpose::ALL);
            let subject = slot.subject.clone();
            store.destroy(tenant.clone(), subject, purposes).await
        };
        let (kept, a, b) = tokio::join!(
            one.keep(slot.clone(), fresh()),
            destroy(&one),
            destroy(&other)
        );
        let (kept, graves) = (kept.unwrap(), [a.unwrap(), b.unwrap()].concat());
        let record = one.look_up(tenant.clone(), kept.id.clone()).await.unwrap();
        let gone = graves.iter().any(|grave| grave.key == kept.id);
        assert!(!graves.is_empty());
        assert_eq!(record.unwrap().wrapped.is_none(), gone, "round {round}");
    }
}

/// What one node erases another has cached: it forgets with the entry, long before
/// its own time is up.
#[tokio::test]
async fn erasure_reaches_the_caches_of_other_nodes() {
    let server = Server::start().unwrap();
    let database = prepared(&server, "keys_follow").await;
    let owner = Redacted::new(database.owner_url.clone());
    Postgres::initialize(&owner, ROLE).await.unwrap();
    let tasks = airside_base::Supervisor::new();
    let vault = Arc::new(MemoryVault::new());
    let node = async || {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let url = Redacted::new(database.url.clone());
        let store = Postgres::open(&url, clock.clone(), &tasks).await.unwrap();
        let ledger = Ledger::open(Arc::new(store), clock.clone(), &tasks, Options::default());
        let store = Arc::new(opened(&database).await);
        let keys = Arc::new(Keys::new(store, vault.clone(), clock));
        (ledger.await.unwrap(), keys)
    };
    let ((here, eraser), (there, keys)) = (node().await, node().await);
    let tenant = TenantId::default();
    let booked = draft(&eraser).await;
    here.append(vec![booked.clone()]).await.unwrap();
    let body: Booked = serde_json::from_slice(booked.body()).unwrap();
    let seen = keys.catch_up(&there, None).await.unwrap();
    let guest = async || open(&keys, "/guest", &body.guest).await.unwrap();
    assert_eq!(guest().await, Opened::Clear("Ada".to_owned()));
    let purposes = BTreeSet::from([Purpose::Service]);
    Eraser::new(&here, &eraser)
        .erase(&tenant, &subject("subject-1"), &purposes)
        .await
        .unwrap();
    assert_eq!(
        guest().await,
        Opened::Clear("Ada".to_owned()),
        "it is cached"
    );
    keys.catch_up(&there, Some(seen)).await.unwrap();
    assert_eq!(guest().await, Opened::Erased);
    let payer = open(&keys, "/payer", &body.payer).await.unwrap();
    assert_eq!(
        payer,
        Opened::Clear("Bob".to_owned()),
        "the other purpose stays"
    );
    tasks.stop(Duration::from_secs(20)).await;
}

const KIND: Kind = Kind::new("stay.booked");

fn clock() -> VirtualClock {
    VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap())
}

fn keys_in(store: Arc<dyn KeyStore>, vault: Arc<dyn Vault>) -> Keys {
    Keys::new(store, vault, Arc::new(clock()))
}

fn fresh() -> Keys {
    keys_in(Arc::new(MemoryKeys::new()), Arc::new(MemoryVault::new()))
}

fn subject(name: &str) -> SubjectId {
    name.parse().unwrap()
}

#[derive(Serialize, Deserialize)]
struct Booked {
    hotel: String,
    guest: Personal<String>,
    payer: Personal<String>,
}

fn booked() -> Booked {
    Booked {
        hotel: "Sea".to_owned(),
        guest: Personal::new(subject("subject-1"), Purpose::Service, "Ada".to_owned()),
        payer: Personal::new(subject("subject-1"), Purpose::Law, "Bob".to_owned()),
    }
}

async fn draft(keys: &Keys) -> Draft {
    keys.draft(&TenantId::default(), KIND, 1, "b-1", &booked())
        .await
        .unwrap()
}

async fn open(
    keys: &Keys,
    path: &str,
    value: &Personal<String>,
) -> Result<Opened<String>, OpenError> {
    keys.open(&TenantId::default(), &KIND, path, value).await
}

async fn erase(keys: &Keys, purpose: Purpose) {
    let purposes = BTreeSet::from([purpose]);
    let subject = subject("subject-1");
    keys.destroy(&TenantId::default(), &subject, &purposes)
        .await
        .unwrap();
}

#[tokio::test]
async fn sealed_value_opens_until_its_purpose_is_erased() {
    let keys = fresh();
    let draft = draft(&keys).await;
    let text = std::str::from_utf8(draft.body()).unwrap();
    assert!(!text.contains("Ada") && !text.contains("Bob"), "{text}");
    let body: Booked = serde_json::from_slice(draft.body()).unwrap();
    let read = |path, value| open(&keys, path, value);
    let guest = read("/guest", &body.guest).await.unwrap();
    assert_eq!(guest, Opened::Clear("Ada".to_owned()));
    erase(&keys, Purpose::Service).await;
    let guest = read("/guest", &body.guest).await.unwrap();
    assert_eq!(guest, Opened::Erased);
    let payer = read("/payer", &body.payer).await.unwrap();
    assert_eq!(
        payer,
        Opened::Clear("Bob".to_owned()),
        "the law's copy stays"
    );
    let again = self::draft(&keys).await;
    let again: Booked = serde_json::from_slice(again.body()).unwrap();
    assert_eq!(
        read("/guest", &again.guest).await.unwrap(),
        Opened::Clear("Ada".to_owned()),
        "a new key for what comes later"
    );
    assert_eq!(read("/guest", &body.guest).await.unwrap(), Opened::Erased);
}

/// Every way of putting a sealed value elsewhere than where it was sealed.
#[tokio::test]
async fn moved_value_is_refused() {
    let keys = fresh();
    let draft = draft(&keys).await;
    let stored: Value = serde_json::from_slice(draft.body()).unwrap();
    let guest: Personal<String> = Deserialize::deserialize(&stored["guest"]).unwrap();
    let refused = |result: Result<Opened<String>, OpenError>| {
        let error = result.expect_err("it is not there");
        assert!(
            matches!(error, OpenError::Moved { .. } | OpenError::Missing { .. }),
            "{error}"
        );
        assert_eq!(error.fault().code().get(..6), Some("LED-08"));
    };
    refused(open(&keys, "/payer", &guest).await);
    let other = Kind::new("stay.cancelled");
    let tenant = TenantId::default();
    refused(keys.open(&tenant, &other, "/guest", &guest).await);
    let other: TenantId = "other".parse().unwrap();
    refused(keys.open(&other, &KIND, "/guest", &guest).await);
    for (name, value) in [
        ("at", json!("stay.booked/payer")),
        ("subject", json!("subject-2")),
        ("purpose", json!("law")),
        ("key", stored["payer"]["key"].clone()),
        ("data", stored["payer"]["data"].clone()),
    ] {
        let mut changed = stored["guest"].clone();
        changed[name] = value;
        let path = if name == "at" { "/payer" } else { "/guest" };
        let changed: Personal<String> = serde_json::from_value(changed).unwrap();
        refused(open(&keys, path, &changed).await);
    }
}

#[tokio::test]
async fn wrong_vault_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let vault = |name: &str| {
        let vault = FileVault::load_or_create(&folder.path().join(name));
        Arc::new(vault.unwrap())
    };
    let store = Arc::new(MemoryKeys::new());
    let right = vault("right");
    let draft = draft(&keys_in(store.clone(), right.clone())).await;
    let body: Booked = serde_json::from_slice(draft.body()).unwrap();
    let wrong = vault("wrong");
    let keys = keys_in(store, wrong.clone());
    let error = open(&keys, "/guest", &body.guest).await.unwrap_err();
    assert_eq!(error.fault().code(), "LED-080");
    let private = error.fault().private().unwrap().to_owned();
    for vault in [right, wrong] {
        assert!(private.contains(&vault.id().await.unwrap()), "{private}");
    }
}

#[tokio::test]
async fn lost_key_is_told_from_an_erased_one() {
    let draft = draft(&fresh()).await;
    let body: Booked = serde_json::from_slice(draft.body()).unwrap();
    let error = open(&fresh(), "/guest", &body.guest).await.unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }), "{error:?}");
    assert_eq!(error.fault().code(), "LED-085");
}

#[tokio::test]
async fn value_of_another_shape_is_not_quoted() {
    let keys = fresh();
    let draft = draft(&keys).await;
    let stored: Value = serde_json::from_slice(draft.body()).unwrap();
    let guest: Personal<u64> = Deserialize::deserialize(&stored["guest"]).unwrap();
    let tenant = TenantId::default();
    let error = keys
        .open(&tenant, &KIND, "/guest", &guest)
        .await
        .unwrap_err();
    let text = format!("{error} {error:?} {:?}", error.fault().private());
    assert!(!text.contains("Ada"), "{text}");
}

#[tokio::test]
async fn unwrapped_keys_are_few_and_short_lived() {
    let time = clock();
    let store = Arc::new(MemoryKeys::new());
    let vault = Arc::new(MemoryVault::new());
    let keys = Keys::new(store.clone(), vault.clone(), Arc::new(time.clone()));
    let draft = draft(&keys).await;
    let body: Booked = serde_json::from_slice(draft.body()).unwrap();
    // As another node would.
    let purposes = BTreeSet::from(Purpose::ALL);
    let destroyed = store.destroy(TenantId::default(), subject("subject-1"), purposes);
    assert_eq!(destroyed.await.unwrap().len(), 2);
    time.advance(CACHE_TTL - Duration::from_millis(1));
    let guest = open(&keys, "/guest", &body.guest).await.unwrap();
    assert_eq!(guest, Opened::Clear("Ada".to_owned()), "it is cached");
    time.advance(Duration::from_millis(1));
    let guest = open(&keys, "/guest", &body.guest).await.unwrap();
    assert_eq!(guest, Opened::Erased);

    for number in 0..CACHED + 10 {
        let subject = subject(&format!("subject-{number}"));
        let body = json_with(Personal::new(subject, Purpose::Service, 1));
        let tenant = TenantId::default();
        keys.draft(&tenant, KIND, 1, "", &body).await.unwrap();
    }
    let cache = keys.cache();
    assert_eq!((cache.keys.len(), cache.live.len()), (CACHED, CACHED));
}

fn json_with<T: Serialize>(value: T) -> BTreeMap<&'static str, T> {
    BTreeMap::from([("value", value)])
}

#[tokio::test]
async fn destroyed_key_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.db");
    let store = SqliteKeys::open(&file).unwrap();
    let slot = |number: u32| Slot {
        tenant: TenantId::default(),
        subject: subject(&format!("subject-{number}")),
        purpose: Purpose::Service,
        scope: "".into(),
    };
    // Enough for several pages, so that rows move between them.
    for number in 0..200_u32 {
        let wrapped = Wrapped {
            vault: "vault".to_owned(),
            key: format!("secret-{number:04}-").repeat(5).into_bytes(),
        };
        let id = KeyId::generate();
        store
            .keep(slot(number), Kept { id, wrapped })
            .await
            .unwrap();
    }
    let found = |what: &str| {
        let files = fs::read_dir(folder.path()).unwrap();
        let mut contents = files.map(|file| fs::read(file.unwrap().path()).unwrap());
        contents.any(|bytes| {
            bytes
                .windows(what.len())
                .any(|part| part == what.as_bytes())
        })
    };
    assert!(
        found("secret-0007-") && found("secret-0150-"),
        "the search works"
    );
    for number in 0..200_u32 {
        if number % 2 == 1 {
            let purposes = BTreeSet::from(Purpose::ALL);
            let place = slot(number);
            store
                .destroy(place.tenant, place.subject, purposes)
                .await
                .unwrap();
            assert!(!found(&format!("secret-{number:04}-")), "{number}");
        }
    }
    for number in (0..200_u32).step_by(2) {
        assert!(found(&format!("secret-{number:04}-")), "{number}");
    }
}

#[test]
fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.db");
    drop(SqliteKeys::open(&file).unwrap());
    drop(SqliteKeys::open(&file).expect("our own"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let newer = rusqlite::Connection::open(&file).unwrap();
    newer.pragma_update(None, "user_version", 2).unwrap();
    drop(newer);
    fs::write(
        folder.path().join("text"),
        "not a database, but long enough",
    )
    .unwrap();
    for name in ["keys.db", "text"] {
        let refused = SqliteKeys::open(&folder.path().join(name));
        let error = refused.expect_err(name);
        assert!(matches!(error, KeyStoreError::Foreign { .. }), "{error:?}");
        assert_eq!(error.fault().code(), "LED-087");
    }
}

proptest! {
    /// Whatever stands in an entry that somebody else wrote: it is left alone, and
    /// nothing of another subject is revealed.
    #[test]
    fn foreign_objects_are_left_as_they_are(text in ".{0,40}", version in 0_u8..3) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let keys = fresh();
            let sealed = draft(&keys).await;
            let mut body: Value = serde_json::from_slice(sealed.body()).unwrap();
            body["forged"] = json!({
                "personal": version, "subject": "subject-2", "purpose": "service",
                "at": text, "key": text, "data": text,
            });
            let before = body.clone();
            let other = subject("subject-2");
            let tenant = TenantId::default();
            keys.reveal(&tenant, Some(&KIND), &other, &mut body).await.unwrap();
            assert_eq!(body["guest"], before["guest"]);
            let forged = &body["forged"];
            assert!(*forged == before["forged"] || forged.get("purpose").is_some());
            let draft = serde_json::to_vec(&body).unwrap();
            Draft::from_json(tenant, KIND, 1, "", Bytes::from(draft)).unwrap();
        });
    }
}
