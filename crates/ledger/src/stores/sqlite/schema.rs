//! Tables, their versions and how connections are set up.
//!
//! # Invariants
//!
//! * `user_version` is the number of migrations that have been applied; each is
//!   applied in one transaction together with the new number.
//! * Rows of `entries` cannot be updated or deleted by SQL alone: triggers abort.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, config::DbConfig, ffi};

use super::{OpenError, checkpoint::LOG_LIMIT};

/// Marks the file as ours ("AIRS").
const APPLICATION: i64 = 0x4149_5253;

/// `entries.id` is the chain's id and the sequence number in one integer. The
/// head in `chains` repeats what the last entry says, so that a chain cut at its
/// end is noticed.
const MIGRATIONS: &[&str] = &[
    "
CREATE TABLE chains (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant TEXT NOT NULL UNIQUE,
    seq    INTEGER NOT NULL,
    hash   BLOB NOT NULL,
    time   INTEGER NOT NULL
) STRICT;
CREATE TABLE entries (
    id      INTEGER PRIMARY KEY,
    time    INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    version INTEGER NOT NULL,
    subject TEXT NOT NULL,
    body    BLOB NOT NULL,
    prev    BLOB NOT NULL,
    hash    BLOB NOT NULL
) STRICT;
CREATE INDEX entries_by_subject ON entries (subject) WHERE subject <> '';
CREATE TRIGGER entries_are_not_updated BEFORE UPDATE ON entries
    BEGIN SELECT raise(ABORT, 'entries are never updated'); END;
CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries
    BEGIN SELECT raise(ABORT, 'entries are never deleted'); END;
CREATE TABLE documents (
    tbl     TEXT NOT NULL,
    tenant  TEXT NOT NULL,
    key     TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    BLOB NOT NULL,
    c0 ANY, c1 ANY, c2 ANY, c3 ANY,
    UNIQUE (tbl, tenant, key)
) STRICT;
CREATE INDEX documents_by_c0 ON documents (tbl, tenant, c0, key) WHERE c0 IS NOT NULL;
CREATE INDEX documents_by_c1 ON documents (tbl, tenant, c1, key) WHERE c1 IS NOT NULL;
CREATE INDEX documents_by_c2 ON documents (tbl, tenant, c2, key) WHERE c2 IS NOT NULL;
CREATE INDEX documents_by_c3 ON documents (tbl, tenant, c3, key) WHERE c3 IS NOT NULL;
CREATE TABLE leases (
    name   TEXT NOT NULL PRIMARY KEY,
    holder TEXT,
    token  INTEGER NOT NULL,
    until  INTEGER NOT NULL
) STRICT;
",
    "
CREATE TABLE tiles (
    chain  INTEGER NOT NULL,
    level  INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hashes BLOB NOT NULL,
    UNIQUE (chain, level, number)
) STRICT;
",
    // From here on `entries.prev` is empty: it is the hash of the row in front, which is
    // not stored twice. Rows that have one keep it.
    "",
];

/// Statements kept prepared on each connection.
const STATEMENTS: usize = 32;

/// Opens the file for its one writer, creating and migrating it.
pub(super) fn open_writer(file: &Path) -> Result<Connection, OpenError> {
    let at = |doing| move |source| OpenError::Sqlite { doing, source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(at("open the ledger"))?;
    let found = version(&connection, file)?;
    configure_writer(&connection).map_err(at("configure the ledger"))?;
    migrate(&mut connection, found).map_err(at("migrate the ledger"))?;
    // Nobody else works in this folder: whoever held a lease has ended.
    connection
        .execute(
            "UPDATE leases SET holder = NULL WHERE holder IS NOT NULL",
            [],
        )
        .map_err(at("free the leases of an earlier process"))?;
    Ok(connection)
}

fn configure_writer(connection: &Connection) -> rusqlite::Result<()> {
    common(connection)?;
    // 1 MiB: the writer touches the ends of a few B-trees.
    connection.pragma_update(None, "cache_size", -1024)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| {
        if row.get::<_, String>(0)? == "wal" {
            return Ok(());
        }
        Err(rusqlite::Error::SqliteFailure(
            ffi::Error::new(ffi::SQLITE_CANTOPEN),
            Some("the file system does not support write-ahead logging".to_owned()),
        ))
    })?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    // Gives the space of a write-ahead log that once grew back to the system.
    let limit = i64::try_from(LOG_LIMIT).expect("the limit is small");
    connection.pragma_update_and_check(None, "journal_size_limit", limit, |_| Ok(()))?;
    // The checkpointer's thread does it.
    connection.pragma_update_and_check(None, "wal_autocheckpoint", 0, |_| Ok(()))
}

fn migrate(connection: &mut Connection, found: usize) -> rusqlite::Result<()> {
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        let done = i64::try_from(index + 1).expect("migrations are few");
        transaction.pragma_update(None, "user_version", done)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Opens the file for the thread that moves the write-ahead log into it.
pub(super) fn open_checkpointer(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    common(&connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "cache_size", -64)?;
    Ok(connection)
}

/// Opens the file for reading only.
pub(super) fn open_reader(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    common(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -256)?;
    Ok(connection)
}

/// Checks that the file can be read by this version as it is.
pub(super) fn check_reader(file: &Path) -> Result<(), OpenError> {
    let connection = open_reader(file).map_err(|source| OpenError::Sqlite {
        doing: "open the ledger for reading",
        source,
    })?;
    if version(&connection, file)? == MIGRATIONS.len() {
        return Ok(());
    }
    let file = file.to_owned();
    Err(OpenError::Foreign { file })
}

fn common(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Readers wait for the moments in which a checkpoint resets the log.
    connection.busy_timeout(std::time::Duration::from_secs(5))
}

/// Returns how many migrations `file` has seen.
fn version(connection: &Connection, file: &Path) -> Result<usize, OpenError> {
    let read = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let both = read("application_id").and_then(|id| Ok((id, read("user_version")?)));
    let (application, found) = match both {
        Ok(both) => both,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            let file = file.to_owned();
            return Err(OpenError::Foreign { file });
        }
        Err(source) => {
            let doing = "read the version of the ledger";
            return Err(OpenError::Sqlite { doing, source });
        }
    };
    let known = MIGRATIONS.len();
    match usize::try_from(found) {
        Ok(0) if application == 0 => Ok(0),
        Ok(version) if application == APPLICATION && version <= known => Ok(version),
        Ok(_) if application == APPLICATION => Err(OpenError::Newer {
            found,
            known: i64::try_from(known).expect("migrations are few"),
        }),
        _ => {
            let file = file.to_owned();
            Err(OpenError::Foreign { file })
        }
    }
}
