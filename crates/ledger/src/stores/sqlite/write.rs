//! What the writer thread does.

use std::sync::Arc;

use airside_base::{TenantId, Timestamp};
use rusqlite::{
    Connection, OptionalExtension as _, ToSql, Transaction, TransactionBehavior, ffi, params,
    types::{ToSqlOutput, Value, ValueRef},
};

use super::{MAX_CHAIN, MAX_SEQ, SEQ_BITS, checkpoint::Checkpointer, failed, read};
use crate::{
    failpoint::{self, Point},
    store::{
        Cause, Cell, Claim, Claimed, Commit, Fence, Refusal, Segment, StoreError, Tile, Unit, Write,
    },
};

/// The one connection that writes.
pub(super) struct Writer {
    pub(super) connection: Connection,
    /// Set when a sync failed: what is on the disk is unknown from then on, and
    /// a second sync may report success for pages that were dropped.
    broken: Option<Cause>,
    checkpointer: Checkpointer,
}

impl Writer {
    pub(super) fn new(connection: Connection, checkpointer: Checkpointer) -> Self {
        Self {
            connection,
            broken: None,
            checkpointer,
        }
    }

    /// Moves the write-ahead log into the file, so that the next start is quick.
    pub(super) fn finish(&self) {
        failpoint::reach(Point::SqliteClosing);
        if self.broken.is_none()
            && let Err(error) =
                self.connection
                    .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        {
            tracing::warn!(%error, "the write-ahead log stays for the next start");
        }
    }

    pub(super) fn commit(&mut self, commit: &Commit) -> Result<(), StoreError> {
        self.transact("write to the ledger", |transaction| {
            failpoint::reach(Point::SqliteBegun);
            let mut refused = Vec::new();
            for (index, unit) in commit.units.iter().enumerate() {
                for refusal in apply(transaction, unit)? {
                    refused.push((index, refusal));
                }
            }
            if !refused.is_empty() {
                return Ok(Err(StoreError::Refused(refused)));
            }
            for segment in &commit.segments {
                if let Err(error) = append(transaction, segment)? {
                    return Ok(Err(error));
                }
            }
            failpoint::reach(Point::SqliteWritten);
            Ok(Ok(()))
        })?;
        failpoint::reach(Point::SqliteCommitted);
        self.checkpointer.wrote(commit.weight(), &self.connection);
        Ok(())
    }

    pub(super) fn put_tiles(
        &mut self,
        tenant: &TenantId,
        tiles: &[Tile],
    ) -> Result<(), StoreError> {
        self.transact("keep tiles", |transaction| {
            let mut insert = transaction.prepare_cached(
                "INSERT INTO tiles (chain, level, number, hashes)
                 SELECT id, ?2, ?3, ?4 FROM chains WHERE tenant = ?1
                 ON CONFLICT (chain, level, number) DO UPDATE SET hashes = excluded.hashes",
            )?;
            for tile in tiles {
                let number = integer(tile.number);
                insert.execute(params![
                    tenant.as_str(),
                    tile.level,
                    number,
                    tile.to_bytes()
                ])?;
            }
            Ok(Ok(()))
        })
    }

    pub(super) fn claim(&mut self, claim: &Claim) -> Result<Claimed, StoreError> {
        self.transact("claim a lease", |transaction| {
            let held = transaction
                .prepare_cached("SELECT holder, token, until FROM leases WHERE name = ?1")?
                .query_row([&claim.name], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let (holder, token, until): (Option<Arc<str>>, i64, i64) =
                held.unwrap_or((None, 0, i64::MIN));
            let own = holder.as_ref() == Some(&claim.holder);
            if !own && holder.is_some() && until > claim.now.as_microsecond() {
                let until = Timestamp::from_microsecond(until).unwrap_or(Timestamp::MAX);
                return Ok(Ok(Claimed::Taken { until }));
            }
            let token = if own { token } else { token + 1 };
            let until = claim.until();
            transaction
                .prepare_cached(
                    "INSERT INTO leases (name, holder, token, until) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (name) DO UPDATE SET holder = ?2, token = ?3, until = ?4",
                )?
                .execute(params![
                    claim.name,
                    claim.holder,
                    token,
                    until.as_microsecond()
                ])?;
            let fence = Fence {
                name: claim.name.clone(),
                token: token.unsigned_abs(),
            };
            Ok(Ok(Claimed::Held { fence, until }))
        })
    }

    pub(super) fn release(&mut self, fence: &Fence) -> Result<(), StoreError> {
        self.transact("release a lease", |transaction| {
            transaction
                .prepare_cached("UPDATE leases SET holder = NULL WHERE name = ?1 AND token = ?2")?
                .execute(params![fence.name, integer(fence.token)])?;
            Ok(Ok(()))
        })
    }

    /// Runs `work` in a transaction that is kept only if all went well.
    fn transact<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        if let Some(source) = &self.broken {
            return Err(StoreError::Failed {
                doing: "write after a failed sync of the disk",
                source: source.clone(),
            });
        }
        let done = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .and_then(|transaction| match work(&transaction)? {
                Ok(value) => transaction.commit().map(|()| Ok(value)),
                Err(error) => transaction.rollback().map(|()| Err(error)),
            });
        done.unwrap_or_else(|error| {
            if is_sync_failure(&error) {
                tracing::error!(%error, "the disk did not sync: the ledger accepts no more writes");
                self.broken = Some(Arc::new(rusqlite::Error::SqliteFailure(
                    ffi::Error::new(ffi::SQLITE_IOERR_FSYNC),
                    Some(error.to_string()),
                )));
            }
            Err(failed(doing, error))
        })
    }
}

fn is_sync_failure(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| {
        [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC].contains(&error.extended_code)
    })
}

fn append(
    transaction: &Transaction<'_>,
    segment: &Segment,
) -> rusqlite::Result<Result<(), StoreError>> {
    let Some(chain) = move_head(transaction, segment)? else {
        let tenant = segment.tenant();
        return Ok(Err(conflict(transaction, tenant)?));
    };
    if chain > MAX_CHAIN || integer(segment.tip().head.seq) > MAX_SEQ {
        let source: Cause = Arc::new(ffi::Error::new(ffi::SQLITE_TOOBIG));
        return Ok(Err(StoreError::Full(source)));
    }
    failpoint::reach(Point::SqliteHeadMoved);
    let mut insert = transaction.prepare_cached(
        "INSERT INTO entries (id, time, kind, version, subject, body, prev, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, x'', ?7)",
    )?;
    for entry in segment.entries() {
        insert.execute(params![
            chain << SEQ_BITS | integer(entry.seq),
            entry.time.as_microsecond(),
            entry.kind.as_str(),
            entry.version,
            &*entry.subject,
            &*entry.body,
            entry.hash.as_bytes(),
        ])?;
    }
    Ok(Ok(()))
}

/// Returns the chain's id, or nothing if its head is another than expected.
fn move_head(transaction: &Transaction<'_>, segment: &Segment) -> rusqlite::Result<Option<i64>> {
    let tip = segment.tip();
    let (tenant, seq) = (segment.tenant().as_str(), integer(tip.head.seq));
    let (hash, time) = (tip.head.hash.as_bytes(), tip.time.as_microsecond());
    let expected = segment.expected();
    if expected.seq == 0 {
        transaction
            .prepare_cached(
                "INSERT INTO chains (tenant, seq, hash, time) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING RETURNING id",
            )?
            .query_row(params![tenant, seq, hash, time], |row| row.get(0))
            .optional()
    } else {
        transaction
            .prepare_cached(
                "UPDATE chains SET seq = ?2, hash = ?3, time = ?4
                 WHERE tenant = ?1 AND seq = ?5 AND hash = ?6 RETURNING id",
            )?
            .query_row(
                params![
                    tenant,
                    seq,
                    hash,
                    time,
                    integer(expected.seq),
                    expected.hash.as_bytes()
                ],
                |row| row.get(0),
            )
            .optional()
    }
}

fn conflict(transaction: &Transaction<'_>, tenant: &TenantId) -> rusqlite::Result<StoreError> {
    let tip = match read::tip(transaction, tenant) {
        Ok(tip) => tip,
        Err(error) => return Ok(error),
    };
    Ok(StoreError::Conflict {
        tenant: tenant.clone(),
        found: tip.head,
    })
}

fn apply(transaction: &Transaction<'_>, unit: &Unit) -> rusqlite::Result<Vec<Refusal>> {
    let mut refusals = Vec::new();
    if let Some(fence) = &unit.fence {
        let held: bool = transaction
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM leases
                 WHERE name = ?1 AND token = ?2 AND holder IS NOT NULL)",
            )?
            .query_row(params![fence.name, integer(fence.token)], |row| row.get(0))?;
        if !held {
            let name = fence.name.clone();
            refusals.push(Refusal::Fenced { name });
        }
    }
    for write in &unit.writes {
        if change(transaction, write)? == 0 {
            let (table, key) = (write.table, write.key.clone());
            refusals.push(Refusal::Stale { table, key });
        }
    }
    Ok(refusals)
}

/// Returns how many documents were changed: one, or none if it was not as expected.
fn change(transaction: &Transaction<'_>, write: &Write) -> rusqlite::Result<usize> {
    let (table, tenant, key) = (write.table, write.tenant.as_str(), &write.key);
    let version = integer(write.version);
    match (&write.document, write.expected) {
        (Some(document), None) => {
            let [c0, c1, c2, c3] = &document.cells;
            transaction
                .prepare_cached(
                    "INSERT INTO documents (tbl, tenant, key, version, body, c0, c1, c2, c3)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    table,
                    tenant,
                    key,
                    version,
                    &*document.body,
                    c0,
                    c1,
                    c2,
                    c3
                ])
        }
        (Some(document), Some(expected)) => {
            let [c0, c1, c2, c3] = &document.cells;
            transaction
                .prepare_cached(
                    "UPDATE documents SET version = ?4, body = ?5, c0 = ?6, c1 = ?7, c2 = ?8, c3 = ?9
                     WHERE tbl = ?1 AND tenant = ?2 AND key = ?3 AND version = ?10",
                )?
                .execute(params![
                    table,
                    tenant,
                    key,
                    version,
                    &*document.body,
                    c0,
                    c1,
                    c2,
                    c3,
                    integer(expected)
                ])
        }
        (None, Some(expected)) => transaction
            .prepare_cached(
                "DELETE FROM documents
                 WHERE tbl = ?1 AND tenant = ?2 AND key = ?3 AND version = ?4",
            )?
            .execute(params![table, tenant, key, integer(expected)]),
        // Absent and to stay absent.
        (None, None) => {
            let absent: bool = transaction
                .prepare_cached(
                    "SELECT NOT EXISTS (SELECT 1 FROM documents
                     WHERE tbl = ?1 AND tenant = ?2 AND key = ?3)",
                )?
                .query_row(params![table, tenant, key], |row| row.get(0))?;
            Ok(usize::from(absent))
        }
    }
}

/// Sequence numbers and tokens stay far below 2^63; one that does not matches no row.
pub(super) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl ToSql for Cell {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Integer(number) => ToSqlOutput::Owned(Value::Integer(*number)),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}
