use airside_base::SystemClock;
use airside_testkit::postgres::{Database, ROLE, Server};
use bytes::Bytes;

use super::*;
use crate::{Draft, Ledger, Options, entry::Kind, store::contract};

/// A database with tables, for one test.
async fn prepared(server: &Server, name: &str) -> Database {
    let database = server.database(name).unwrap();
    let owner = Redacted::new(database.owner_url.clone());
    Postgres::initialize(&owner, ROLE).await.unwrap();
    database
}

async fn open(database: &Database, supervisor: &Supervisor) -> Result<Postgres, OpenError> {
    let url = Redacted::new(database.url.clone());
    Postgres::open(&url, Arc::new(SystemClock::new()), supervisor).await
}

fn draft(subject: &str) -> Draft {
    let kind = Kind::new("test.happened");
    let body = Bytes::from_static(b"{}");
    Draft::from_json(TenantId::default(), kind, 1, subject, body).unwrap()
}

#[tokio::test]
async fn keeps_the_contract() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    for (number, (name, case)) in contract::CASES.iter().enumerate() {
        println!("{name}");
        let database = prepared(&server, &format!("contract_{number}")).await;
        case(Arc::new(open(&database, &supervisor).await.unwrap())).await;
    }
}

#[tokio::test]
async fn entries_are_safe_from_the_role_that_writes_them() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    let database = prepared(&server, "privileges").await;
    let store = open(&database, &supervisor).await.unwrap();
    let client = store.client().await.unwrap();
    for sql in [
        "UPDATE airside.entry SET body = ''",
        "DELETE FROM airside.entry",
        "TRUNCATE airside.entry",
        "DROP TABLE airside.entry",
        "ALTER TABLE airside.entry DISABLE TRIGGER ALL",
        "DELETE FROM airside.chain",
    ] {
        let error = client.batch_execute(sql).await.expect_err(sql);
        let code = error.code().cloned();
        assert_eq!(code, Some(SqlState::INSUFFICIENT_PRIVILEGE), "{sql}");
    }
}

#[tokio::test]
async fn powerful_role_is_refused() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    let mut database = prepared(&server, "powerful").await;
    database.url.clone_from(&database.owner_url);
    let error = open(&database, &supervisor)
        .await
        .expect_err("the owner may change entries");
    assert!(matches!(error, OpenError::Privileged { .. }), "{error:?}");
}

#[tokio::test]
async fn missing_and_foreign_tables_are_named() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    let empty = server.database("empty").unwrap();
    let error = open(&empty, &supervisor).await.expect_err("no tables");
    assert!(matches!(error, OpenError::Absent), "{error:?}");

    let database = prepared(&server, "newer").await;
    database
        .run("INSERT INTO airside.version VALUES (99)")
        .unwrap();
    let error = open(&database, &supervisor)
        .await
        .expect_err("a later version");
    assert!(
        matches!(error, OpenError::Version { found: 99, .. }),
        "{error:?}"
    );
    let owner = Redacted::new(database.owner_url.clone());
    let error = Postgres::initialize(&owner, ROLE)
        .await
        .expect_err("no downgrade");
    assert!(
        matches!(error, OpenError::Version { found: 99, .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn initialising_twice_changes_nothing() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    let database = prepared(&server, "twice").await;
    let ledger = started(&database, &supervisor).await;
    ledger.append(vec![draft("a")]).await.unwrap();
    let owner = Redacted::new(database.owner_url.clone());
    Postgres::initialize(&owner, ROLE).await.unwrap();
    assert_eq!(ledger.head(&TenantId::default()).await.unwrap().seq, 1);
}

async fn started(database: &Database, supervisor: &Supervisor) -> Ledger {
    let store = Arc::new(open(database, supervisor).await.unwrap());
    let clock = Arc::new(SystemClock::new());
    Ledger::open(store, clock, supervisor, Options::default())
        .await
        .unwrap()
}

/// Two nodes append to one chain at the same time: every acknowledged entry is
/// there, once, and the chain has neither fork nor gap.
#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_share_a_chain_without_forks() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    let database = prepared(&server, "two_nodes").await;
    let nodes = [
        started(&database, &supervisor).await,
        started(&database, &supervisor).await,
    ];
    let writers = (0..40).map(|number| {
        let node = nodes[number % 2].clone();
        async move {
            for turn in 0..5 {
                node.append(vec![draft(&format!("{number}/{turn}"))])
                    .await
                    .unwrap();
            }
        }
    });
    futures_util::future::join_all(writers).await;
    let entries = nodes[0]
        .read(crate::Query::new(TenantId::default()))
        .await
        .unwrap();
    let mut subjects: Vec<_> = entries.iter().map(|entry| entry.subject.clone()).collect();
    subjects.sort();
    subjects.dedup();
    assert_eq!((entries.len(), subjects.len()), (200, 200));
    nodes[1].verify(&|_| {}).await.unwrap();
}

/// What one node commits wakes a follower at another.
#[tokio::test]
async fn followers_hear_of_other_nodes() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    let database = prepared(&server, "followers").await;
    let here = started(&database, &supervisor).await;
    let there = started(&database, &supervisor).await;
    let mut follower = there.follow(TenantId::default(), 0);
    here.append(vec![draft("a")]).await.unwrap();
    let heard = follower.next().await.unwrap();
    assert_eq!(&*heard[0].subject, "a");
}

/// The server ends all connections in the middle of the work.
#[tokio::test]
async fn broken_connections_are_replaced() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    let database = prepared(&server, "broken").await;
    let ledger = started(&database, &supervisor).await;
    ledger.append(vec![draft("a")]).await.unwrap();
    database
        .run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .unwrap();
    // The outcome of an append that was under way may be unknown; the chain is not.
    let retried = match ledger.append(vec![draft("b")]).await {
        Ok(_) => Ok(()),
        Err(_) => ledger.append(vec![draft("b")]).await.map(drop),
    };
    retried.unwrap();
    ledger.verify(&|_| {}).await.unwrap();
}

#[tokio::test]
async fn damaged_rows_are_named() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    for (name, damage) in [
        (
            "body",
            "UPDATE airside.entry SET body = '{\"a\":1}' WHERE seq = 2",
        ),
        (
            "hash",
            "UPDATE airside.entry SET hash = '\\x00' WHERE seq = 2",
        ),
        (
            "prev",
            "UPDATE airside.entry SET prev = sha256('x') WHERE seq = 2",
        ),
        (
            "time",
            "UPDATE airside.entry SET time = time + 1 WHERE seq = 2",
        ),
        ("kind", "UPDATE airside.entry SET kind = 'x' WHERE seq = 2"),
        (
            "subject",
            "UPDATE airside.entry SET subject = 'x' WHERE seq = 2",
        ),
        (
            "version",
            "UPDATE airside.entry SET version = 2 WHERE seq = 2",
        ),
        ("gap", "DELETE FROM airside.entry WHERE seq = 2"),
        ("tail", "DELETE FROM airside.entry WHERE seq = 3"),
        ("head", "UPDATE airside.chain SET seq = 4"),
        ("stray", "UPDATE airside.entry SET chain = 77 WHERE seq = 3"),
    ] {
        let database = prepared(&server, &format!("damage_{name}")).await;
        let ledger = started(&database, &supervisor).await;
        ledger
            .append(vec![draft("a"), draft("b"), draft("c")])
            .await
            .unwrap();
        ledger.verify(&|_| {}).await.unwrap();
        database.run(damage).unwrap();
        ledger.verify(&|_| {}).await.expect_err(name);
    }
}

/// What the version before wrote has the hash in front in every row.
#[tokio::test]
async fn ledger_of_the_version_before_is_continued() {
    let server = Server::start().unwrap();
    let supervisor = Supervisor::new();
    let database = prepared(&server, "older").await;
    let ledger = started(&database, &supervisor).await;
    for subject in ["a", "b", "c"] {
        ledger.append(vec![draft(subject)]).await.unwrap();
    }
    database
        .run(
            "UPDATE airside.entry AS e SET prev = coalesce(
                 (SELECT hash FROM airside.entry AS f WHERE f.seq = e.seq - 1),
                 decode(repeat('00', 32), 'hex'));
             DELETE FROM airside.version WHERE number = 3",
        )
        .unwrap();
    let older = open(&database, &supervisor).await;
    let error = older.expect_err("the tables are of the version before");
    assert!(
        matches!(error, OpenError::Version { found: 2, known: 3 }),
        "{error:?}"
    );
    let owner = Redacted::new(database.owner_url.clone());
    Postgres::initialize(&owner, ROLE).await.unwrap();
    let ledger = started(&database, &supervisor).await;
    ledger.append(vec![draft("d")]).await.unwrap();
    ledger.verify(&|_| {}).await.unwrap();
    let query = crate::Query::new(TenantId::default());
    let entries = ledger.read(query).await.unwrap();
    let linked = entries.windows(2).all(|two| two[1].prev == two[0].hash);
    assert!(linked && entries.len() == 4 && entries[0].prev == Hash::default());
    database
        .run("UPDATE airside.entry SET prev = sha256('x') WHERE seq = 3")
        .unwrap();
    ledger
        .verify(&|_| {})
        .await
        .expect_err("it is not the hash");
}

#[tokio::test]
async fn unreachable_database_is_an_error_without_the_password() {
    let supervisor = Supervisor::new();
    let url = Redacted::new("postgres://u:hunter2@127.0.0.1:1/x".to_owned());
    let opened = Postgres::open(&url, Arc::new(SystemClock::new()), &supervisor).await;
    let error = opened.expect_err("nobody listens");
    assert!(matches!(error, OpenError::Connect(_)), "{error:?}");
    let texts = [
        format!("{error}"),
        format!("{error:?}"),
        format!("{:?}", error.fault()),
    ];
    assert!(
        texts.iter().all(|text| !text.contains("hunter2")),
        "{texts:?}"
    );
}
