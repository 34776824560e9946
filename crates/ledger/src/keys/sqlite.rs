//! A key store in a SQLite file of its own.
//!
//! # Invariants
//!
//! * The file is not part of the ledger nor of its archive. Its backup is a matter
//!   of its own, kept for a short time: whoever has an old copy together with the
//!   vault's key can read what was erased since.
//! * A destroyed key is overwritten in the file (`secure_delete`) when the call
//!   returns, and no other file holds it: there is no write-ahead log, and the
//!   rollback journal is cut to nothing by the commit.
//! * What a disk keeps of overwritten and freed blocks is out of reach from here. It
//!   is wrapped by the vault's key.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use airside_base::{BoxFuture, TenantId};
use rusqlite::{
    Connection, OpenFlags, OptionalExtension as _, Row, Transaction, TransactionBehavior, params,
    types::Type,
};

use super::{Grave, Kept, KeyStore, KeyStoreError, Record};
use crate::{
    personal::{KeyId, Purpose, Slot, SubjectId},
    store::Cause,
    stores::sqlite::{create_file, sync_folder},
    vault::Wrapped,
};

/// The usual name of the file, beside the ledger.
pub const FILE: &str = "keys.db";
/// Marks the file as ours ("AIRK").
const APPLICATION: i64 = 0x4149_524b;
/// Version of the tables.
const VERSION: i64 = 1;
/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE subject_keys (
    tenant  TEXT NOT NULL,
    id      TEXT NOT NULL,
    subject TEXT NOT NULL,
    purpose TEXT NOT NULL,
    scope   TEXT NOT NULL,
    vault   TEXT,
    wrapped BLOB,
    PRIMARY KEY (tenant, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX subject_keys_live ON subject_keys (tenant, subject, purpose, scope)
    WHERE wrapped IS NOT NULL;
CREATE INDEX subject_keys_by_subject ON subject_keys (tenant, subject, purpose);
";

/// A [`KeyStore`] in one file.
#[derive(Debug)]
pub struct SqliteKeys {
    connection: Arc<Mutex<Connection>>,
}

impl SqliteKeys {
    /// Opens the key store in `file`, and creates it for this user alone if it is
    /// missing. Blocks for some milliseconds.
    ///
    /// # Errors
    ///
    /// When the file cannot be used or is something else.
    pub fn open(file: &Path) -> Result<Self, KeyStoreError> {
        let at_file = |source| KeyStoreError::Failed {
            doing: "prepare the file of the key store",
            source: Arc::new(source),
        };
        create_file(file).map_err(at_file)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(file, flags).and_then(|mut connection| {
            let known = prepare(&mut connection)?;
            Ok((connection, known))
        });
        let connection = match opened {
            Ok((connection, true)) => connection,
            Ok((_, false)) => {
                let file = file.to_owned();
                return Err(KeyStoreError::Foreign { file });
            }
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
                let file = file.to_owned();
                return Err(KeyStoreError::Foreign { file });
            }
            Err(error) => return Err(failed("open the key store", error)),
        };
        let folder = file
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        sync_folder(folder.unwrap_or_else(|| Path::new("."))).map_err(at_file)?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
        })
    }

    /// Runs `work` in a transaction, on a thread that may block.
    async fn run<T, F>(&self, doing: &'static str, work: F) -> Result<T, KeyStoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let connection = self.connection.clone();
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection
                .lock()
                .expect("no panic happens while the lock is held");
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        });
        match done.await {
            Ok(done) => done.map_err(|error| failed(doing, error)),
            Err(source) => Err(KeyStoreError::Failed {
                doing,
                source: Arc::new(source),
            }),
        }
    }
}

/// Configures the connection and makes the tables. Returns whether the file is a key
/// store of this version.
fn prepare(connection: &mut Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update_and_check(None, "secure_delete", true, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_mode", "truncate", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "cache_size", -256)?;
    // Temporary copies of rows stay in memory.
    connection.pragma_update(None, "temp_store", "memory")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let read = |pragma| transaction.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let found = (read("application_id")?, read("user_version")?);
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if found == (0, 0) && tables == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
        return Ok(true);
    }
    Ok(found == (APPLICATION, VERSION))
}

fn failed(doing: &'static str, error: rusqlite::Error) -> KeyStoreError {
    let source: Cause = Arc::new(error);
    KeyStoreError::Failed { doing, source }
}

fn find(transaction: &Transaction<'_>, slot: &Slot) -> rusqlite::Result<Option<Kept>> {
    transaction
        .prepare_cached(
            "SELECT id, vault, wrapped FROM subject_keys
             WHERE tenant = ?1 AND subject = ?2 AND purpose = ?3 AND scope = ?4
                AND wrapped IS NOT NULL",
        )?
        .query_row(
            params![
                slot.tenant.as_str(),
                slot.subject.as_str(),
                slot.purpose.as_str(),
                slot.scope
            ],
            |row| {
                let id: String = row.get(0)?;
                Ok(Kept {
                    id: KeyId::new(&id),
                    wrapped: Wrapped {
                        vault: row.get(1)?,
                        key: row.get(2)?,
                    },
                })
            },
        )
        .optional()
}

fn keep(transaction: &Transaction<'_>, slot: &Slot, fresh: Kept) -> rusqlite::Result<Kept> {
    if let Some(kept) = find(transaction, slot)? {
        return Ok(kept);
    }
    transaction
        .prepare_cached(
            "INSERT INTO subject_keys (tenant, id, subject, purpose, scope, vault, wrapped)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            slot.tenant.as_str(),
            fresh.id.as_str(),
            slot.subject.as_str(),
            slot.purpose.as_str(),
            slot.scope,
            fresh.wrapped.vault,
            fresh.wrapped.key
        ])?;
    Ok(fresh)
}

fn destroy(
    transaction: &Transaction<'_>,
    tenant: &TenantId,
    subject: &SubjectId,
    purpose: Purpose,
) -> rusqlite::Result<Vec<Grave>> {
    let place = params![tenant.as_str(), subject.as_str(), purpose.as_str()];
    transaction
        .prepare_cached(
            "UPDATE subject_keys SET vault = NULL, wrapped = NULL
             WHERE tenant = ?1 AND subject = ?2 AND purpose = ?3 AND wrapped IS NOT NULL",
        )?
        .execute(place)?;
    let mut statement = transaction.prepare_cached(
        "SELECT id FROM subject_keys WHERE tenant = ?1 AND subject = ?2 AND purpose = ?3",
    )?;
    let graves = statement.query_map(place, |row| {
        let key = KeyId::new(&row.get::<_, String>(0)?);
        Ok(Grave { purpose, key })
    })?;
    graves.collect()
}

fn bury(
    transaction: &Transaction<'_>,
    tenant: &TenantId,
    subject: &SubjectId,
    grave: &Grave,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO subject_keys (tenant, id, subject, purpose, scope)
             VALUES (?1, ?2, ?3, ?4, '')
             ON CONFLICT (tenant, id) DO UPDATE SET vault = NULL, wrapped = NULL
                WHERE wrapped IS NOT NULL",
        )?
        .execute(params![
            tenant.as_str(),
            grave.key.as_str(),
            subject.as_str(),
            grave.purpose.as_str()
        ])
        .map(drop)
}

/// Reads a column that was written from a typed value.
fn parsed<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    let text: String = row.get(column)?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

fn look_up(
    transaction: &Transaction<'_>,
    tenant: &TenantId,
    id: &KeyId,
) -> rusqlite::Result<Option<Record>> {
    transaction
        .prepare_cached(
            "SELECT subject, purpose, scope, vault, wrapped FROM subject_keys
             WHERE tenant = ?1 AND id = ?2",
        )?
        .query_row([tenant.as_str(), id.as_str()], |row| {
            let (vault, key): (Option<String>, Option<Vec<u8>>) = (row.get(3)?, row.get(4)?);
            Ok(Record {
                subject: parsed(row, 0)?,
                purpose: parsed(row, 1)?,
                scope: row.get(2)?,
                wrapped: vault.zip(key).map(|(vault, key)| Wrapped { vault, key }),
            })
        })
        .optional()
}

impl KeyStore for SqliteKeys {
    fn find(&self, slot: Slot) -> BoxFuture<'_, Result<Option<Kept>, KeyStoreError>> {
        let doing = "find a data key";
        Box::pin(self.run(doing, move |transaction| find(transaction, &slot)))
    }

    fn keep(&self, slot: Slot, fresh: Kept) -> BoxFuture<'_, Result<Kept, KeyStoreError>> {
        let doing = "keep a data key";
        Box::pin(self.run(doing, move |transaction| keep(transaction, &slot, fresh)))
    }

    fn look_up(
        &self,
        tenant: TenantId,
        id: KeyId,
    ) -> BoxFuture<'_, Result<Option<Record>, KeyStoreError>> {
        let doing = "look up a data key";
        Box::pin(self.run(doing, move |transaction| look_up(transaction, &tenant, &id)))
    }

    fn live(
        &self,
        tenant: TenantId,
        subject: SubjectId,
    ) -> BoxFuture<'_, Result<BTreeSet<Purpose>, KeyStoreError>> {
        Box::pin(
            self.run("list the data keys of a subject", move |transaction| {
                transaction
                    .prepare_cached(
                        "SELECT DISTINCT purpose FROM subject_keys
                     WHERE tenant = ?1 AND subject = ?2 AND wrapped IS NOT NULL",
                    )?
                    .query_map([tenant.as_str(), subject.as_str()], |row| parsed(row, 0))?
                    .collect()
            }),
        )
    }

    fn destroy(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        purposes: BTreeSet<Purpose>,
    ) -> BoxFuture<'_, Result<Vec<Grave>, KeyStoreError>> {
        Box::pin(
            self.run("destroy the data keys of a subject", move |transaction| {
                let mut graves = Vec::new();
                for purpose in purposes {
                    graves.append(&mut destroy(transaction, &tenant, &subject, purpose)?);
                }
                Ok(graves)
            }),
        )
    }

    fn bury(
        &self,
        tenant: TenantId,
        subject: SubjectId,
        graves: Vec<Grave>,
    ) -> BoxFuture<'_, Result<(), KeyStoreError>> {
        Box::pin(self.run("destroy single data keys", move |transaction| {
            graves
                .iter()
                .try_for_each(|grave| bury(transaction, &tenant, &subject, grave))
        }))
    }
}
