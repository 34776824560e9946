use std::time::Duration;

use airside_base::VirtualClock;
use rusqlite::types::Value;

use super::*;
use crate::{
    AppendError, Draft, Kind as EntryKind, Ledger, Options, VerifyError,
    entry::MAX_BODY_BYTES,
    store::contract,
    verify::{Defect, Wrong},
};

async fn check_contract(name: &str, case: contract::Case) {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::new();
    let store = Sqlite::open(folder.path(), &supervisor).unwrap();
    println!("{name}");
    case(Arc::new(store)).await;
}

#[tokio::test]
async fn keeps_the_contract() {
    for (name, case) in contract::CASES {
        check_contract(name, *case).await;
    }
}

async fn ledger(store: Sqlite, supervisor: &Supervisor) -> Ledger {
    let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
    let options = Options::default();
    Ledger::open(Arc::new(store), Arc::new(clock), supervisor, options)
        .await
        .unwrap()
}

fn draft(tenant: &str, text: &str) -> Draft {
    let (tenant, kind) = (tenant.parse().unwrap(), EntryKind::new("a.b"));
    Draft::new(
        tenant,
        kind,
        1,
        "subject",
        &serde_json::json!({ "a": text }),
    )
    .unwrap()
}

/// A closed ledger of two chains with three entries each.
async fn sample(folder: &Path) {
    let supervisor = Supervisor::new();
    let store = Sqlite::open(folder, &supervisor).unwrap();
    let ledger = ledger(store, &supervisor).await;
    for text in ["one", "two", "three"] {
        let drafts = vec![draft("a", text), draft("b", text)];
        ledger.append(drafts).await.unwrap();
    }
    assert_eq!(supervisor.stop(Duration::from_secs(20)).await, 0);
}

/// The file without the triggers that keep entries as they are.
fn tamper(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join(FILE)).unwrap();
    connection
        .execute_batch(
            "PRAGMA synchronous = OFF;
             DROP TRIGGER IF EXISTS entries_are_not_updated;
             DROP TRIGGER IF EXISTS entries_are_not_deleted;",
        )
        .unwrap();
    connection
}

async fn defect(store: &Sqlite) -> Option<VerifyError> {
    crate::verify::verify(store, &|_| {}).await.err()
}

/// Returns every value that differs from `value` in one bit of one byte.
fn damaged(value: &Value) -> Vec<Value> {
    let bytes = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let flip = |at: usize| {
            let mut bytes = bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            bytes
        };
        (0..bytes.len()).map(flip).collect()
    };
    match value {
        Value::Integer(number) => (0..8)
            .map(|byte| Value::Integer(number ^ (1 << (byte * 8))))
            .collect(),
        Value::Blob(blob) => bytes(blob).into_iter().map(Value::Blob).collect(),
        Value::Text(text) => bytes(text.as_bytes())
            .into_iter()
            .map(Value::Blob)
            .collect(),
        other => panic!("no column holds {other:?}"),
    }
}

/// Damages each byte of `column` in every row of `table`; `check` sees the row's
/// number and what verification says.
async fn damage(
    folder: &Path,
    table: &str,
    column: &str,
    check: impl Fn(i64, Option<VerifyError>) -> bool,
) {
    let connection = tamper(folder);
    let store = Sqlite::inspect(folder).unwrap();
    let mut select = connection
        .prepare(&format!(
            "SELECT rowid, {column}, typeof({column}) FROM {table}"
        ))
        .unwrap();
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let rows: Vec<(i64, Value, String)> = rows.unwrap().collect::<Result<_, _>>().unwrap();
    drop(select);
    for (id, value, sort) in rows {
        for bad in damaged(&value) {
            let set = |from: i64, value: &Value| {
                connection.execute(
                    &format!("UPDATE {table} SET {column} = CAST(?2 AS {sort}) WHERE rowid = ?1"),
                    rusqlite::params![from, value],
                )
            };
            // An id or a tenant that exists cannot be given twice.
            if set(id, &bad).is_err() {
                continue;
            }
            let moved = match (column, &bad) {
                ("id", Value::Integer(moved)) => *moved,
                _ => id,
            };
            let found = defect(&store).await;
            let text = format!("{found:?}");
            assert!(check(id, found), "{table}.{column} {id} {bad:?}: {text}");
            set(moved, &value).unwrap();
        }
    }
    assert!(defect(&store).await.is_none(), "all damage was undone");
}

fn names(error: Option<VerifyError>, seq: i64) -> bool {
    matches!(error, Some(VerifyError::Defect(defect)) if defect.seq == seq.unsigned_abs())
}

#[tokio::test]
async fn damage_of_any_byte_of_an_entry_is_found_and_named() {
    for column in ["time", "kind", "version", "subject", "body", "hash"] {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path()).await;
        damage(folder.path(), "entries", column, |id, found| {
            names(found, id & MAX_SEQ)
        })
        .await;
    }
}

/// Makes of the file what the version before wrote: every row with the hash in front.
fn make_older(folder: &Path) {
    tamper(folder)
        .execute_batch(
            "UPDATE entries SET prev = coalesce(
                 (SELECT hash FROM entries AS front WHERE front.id = entries.id - 1), zeroblob(32));
             PRAGMA user_version = 2;",
        )
        .unwrap();
}

#[tokio::test]
async fn ledger_of_the_version_before_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path()).await;
    make_older(folder.path());
    let opened = Sqlite::inspect(folder.path()).map(drop);
    assert_eq!(opened.unwrap_err().fault().code(), "LED-015");

    let supervisor = Supervisor::new();
    let store = Sqlite::open(folder.path(), &supervisor).unwrap();
    let ledger = ledger(store, &supervisor).await;
    ledger.append(vec![draft("a", "four")]).await.unwrap();
    let query = Query::new("a".parse().unwrap());
    let entries = ledger.read(query).await.unwrap();
    let linked = entries.windows(2).all(|two| two[1].prev == two[0].hash);
    assert!(linked && entries.len() == 4 && entries[0].prev == Hash::default());
    ledger.verify(&|_| {}).await.unwrap();
    assert_eq!(supervisor.stop(Duration::from_secs(20)).await, 0);
    let lengths: String = Connection::open(folder.path().join(FILE))
        .and_then(|c| {
            let sql = "SELECT group_concat(length(prev), ' ') FROM entries";
            c.query_row(sql, [], |row| row.get(0))
        })
        .unwrap();
    assert_eq!(lengths, "32 32 32 0 32 32 32", "old rows stay as they are");
}

#[tokio::test]
async fn damage_of_a_stored_hash_in_front_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path()).await;
    make_older(folder.path());
    let connection = tamper(folder.path());
    connection.execute_batch("PRAGMA user_version = 3").unwrap();
    damage(folder.path(), "entries", "prev", |id, found| {
        names(found, id & MAX_SEQ)
    })
    .await;

    // Where there is none, only the right one can be put.
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path()).await;
    let connection = tamper(folder.path());
    let store = Sqlite::inspect(folder.path()).unwrap();
    for bad in ["zeroblob(32)", "x'00'", "randomblob(33)"] {
        let sql = format!("UPDATE entries SET prev = {bad} WHERE id & {MAX_SEQ} = 2");
        connection.execute(&sql, []).unwrap();
        assert!(names(defect(&store).await, 2), "{bad}");
    }
}

#[tokio::test]
async fn damage_of_any_byte_of_an_id_or_a_recorded_head_is_found() {
    for (table, column) in [
        ("entries", "id"),
        ("chains", "id"),
        ("chains", "tenant"),
        ("chains", "seq"),
        ("chains", "hash"),
        ("chains", "time"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path()).await;
        damage(folder.path(), table, column, |_, found| found.is_some()).await;
    }
}

#[tokio::test]
async fn removed_entry_is_named() {
    for (seq, expected) in [(1, Wrong::Missing), (2, Wrong::Missing), (3, Wrong::Head)] {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path()).await;
        let id = 1_i64 << SEQ_BITS | seq;
        let removed = tamper(folder.path()).execute("DELETE FROM entries WHERE id = ?1", [id]);
        assert_eq!(removed.unwrap(), 1);
        let found = defect(&Sqlite::inspect(folder.path()).unwrap()).await;
        let Some(VerifyError::Defect(found)) = found else {
            panic!("{found:?}");
        };
        let tenant = "a".parse().unwrap();
        let seq = seq.unsigned_abs();
        let wrong = expected;
        assert_eq!(found, Defect { tenant, seq, wrong });
    }
}

#[tokio::test]
async fn damaged_end_of_a_chain_is_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path()).await;
    tamper(folder.path())
        .execute("UPDATE chains SET seq = 2 WHERE tenant = 'a'", [])
        .unwrap();
    let supervisor = Supervisor::new();
    let store = Arc::new(Sqlite::open(folder.path(), &supervisor).unwrap());
    let clock = Arc::new(VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap()));
    let opened = Ledger::open(store, clock, &supervisor, Options::default()).await;
    let code = opened.err().map(|error| error.fault().code());
    assert_eq!(code, Some("LED-018"));
}

#[tokio::test]
async fn entries_cannot_be_changed_by_sql_alone() {
    let folder = tempfile::tempdir().unwrap();
    sample(folder.path()).await;
    let connection = Connection::open(folder.path().join(FILE)).unwrap();
    for sql in ["UPDATE entries SET body = x'7b7d'", "DELETE FROM entries"] {
        let refused = connection.execute(sql, []);
        assert!(refused.is_err_and(|error| error.to_string().contains("entries are never")));
    }
}

#[tokio::test]
async fn full_disk_is_an_error_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let supervisor = Supervisor::new();
    let store = Sqlite::open(folder.path(), &supervisor).unwrap();
    let limit = |store: &Sqlite, pages: u32| {
        let job: Job = Box::new(move |writer| {
            let set = writer.connection.pragma_update_and_check(
                None,
                "max_page_count",
                pages,
                |_| Ok(()),
            );
            set.expect("set the limit");
            ControlFlow::Continue(())
        });
        store.writer.as_ref().unwrap().try_send(job).expect("sent");
    };
    limit(&store, 2000);
    let store = Arc::new(store);
    let clock = Arc::new(VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap()));
    let ledger = Ledger::open(store.clone(), clock, &supervisor, Options::default())
        .await
        .unwrap();
    let large = "x".repeat(MAX_BODY_BYTES / 2);
    let mut acknowledged = 0;
    let full = loop {
        match ledger.append(vec![draft("a", &large)]).await {
            Ok(receipt) => acknowledged = receipt.entries[0].seq,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(full, AppendError::Store(StoreError::Full(_))),
        "{full:?}"
    );
    assert!(acknowledged > 5, "{acknowledged}");
    let verified = ledger.verify(&|_| {}).await.unwrap();
    assert_eq!(verified.entries, acknowledged);
    ledger.record(draft("a", &large)).unwrap();

    limit(&store, 20_000);
    let receipt = ledger.append(vec![draft("a", "small")]).await.unwrap();
    assert_eq!(
        receipt.entries[0].seq,
        acknowledged + 2,
        "the record came first"
    );
    ledger.verify(&|_| {}).await.unwrap();
}

#[tokio::test]
async fn later_versions_and_other_files_are_refused_and_left_alone() {
    let check = async |sql: &str, code| {
        let folder = tempfile::tempdir().unwrap();
        sample(folder.path()).await;
        let file = folder.path().join(FILE);
        Connection::open(&file).unwrap().execute_batch(sql).unwrap();
        let before = fs::read(&file).unwrap();
        let opened = Sqlite::open(folder.path(), &Supervisor::new());
        assert_eq!(opened.unwrap_err().fault().code(), code, "{sql}");
        let inspected = Sqlite::inspect(folder.path());
        assert_eq!(inspected.unwrap_err().fault().code(), code, "{sql}");
        assert!(fs::read(&file).unwrap() == before, "{sql}");
    };
    check("PRAGMA user_version = 99", "LED-015").await;
    check("PRAGMA application_id = 7", "LED-015").await;

    let folder = tempfile::tempdir().unwrap();
    let opened = Sqlite::inspect(folder.path());
    assert_eq!(opened.unwrap_err().fault().code(), "LED-012");
    fs::write(folder.path().join(FILE), "not a database, but long enough").unwrap();
    let opened = Sqlite::open(folder.path(), &Supervisor::new());
    assert_eq!(opened.unwrap_err().fault().code(), "LED-015");
}

#[test]
fn commits_are_synced_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let connection = schema::open_writer(&folder.path().join(FILE)).unwrap();
    let pragma = |name| -> String {
        let value = connection.pragma_query_value(None, name, |row| row.get::<_, Value>(0));
        format!("{:?}", value.unwrap())
    };
    assert_eq!(pragma("synchronous"), "Integer(2)");
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    assert!(rusqlite::version_number() >= OLDEST_LIBRARY);
}
