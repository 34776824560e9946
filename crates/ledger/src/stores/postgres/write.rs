//! What changes the database.
//!
//! # Invariants
//!
//! * A commit is one transaction; whatever does not hold rolls back all of it. The
//!   common one, of one chain without documents and leases, is one statement and so
//!   one round trip: a statement is a transaction of its own.
//! * Thousands of entries of one chain, which only a restore commits at once, are
//!   copied: that costs the server about half.
//! * Chains, leases and documents are locked in one order, so that two nodes
//!   cannot wait for each other for ever; where the server has to choose a victim
//!   all the same, the whole transaction is tried again.

use std::pin::pin;

use airside_base::{TenantId, Timestamp};
use bytes::{BufMut as _, BytesMut};
use deadpool_postgres::{GenericClient, Object, Transaction};
use futures_util::{SinkExt as _, future::join_all};
use tokio_postgres::{Statement, error::SqlState, types::ToSql};

use super::{ATTEMPTS, failed, integer, read};
use crate::{
    entry::Entry,
    failpoint::{self, Point},
    store::{
        Cell, Claim, Claimed, Commit, Document, Fence, MAX_COLUMNS, Refusal, Segment, StoreError,
        Tile, Unit, Write,
    },
};

/// Moves the head of a chain, and only where that succeeded inserts the entries and
/// wakes who waits for commits. The columns are unnested in the list of what is selected:
/// in `FROM` the server would put each into a table of its own first.
macro_rules! append {
    ($move:literal) => {
        concat!(
            "WITH head AS (",
            $move,
            " RETURNING id),
             added AS (INSERT INTO airside.entry
                           (chain, prev, seq, time, kind, version, subject, body, hash)
                       SELECT id, '', unnest($4::bigint[]), unnest($5::bigint[]),
                           unnest($6::text[]), unnest($7::integer[]), unnest($8::text[]),
                           unnest($9::bytea[]), unnest($10::bytea[])
                       FROM head)
             SELECT id, pg_notify('airside_commits', '')::text FROM head"
        )
    };
}
const BEGIN_CHAIN: &str = append!(
    "INSERT INTO airside.chain (tenant, seq, hash, time)
     SELECT $1, $2, $3, $11::bigint WHERE $12::bigint = 0 AND $13::bytea IS NOT NULL
     ON CONFLICT DO NOTHING"
);
const CONTINUE_CHAIN: &str = append!(
    "UPDATE airside.chain SET seq = $2, hash = $3, time = $11
     WHERE tenant = $1 AND seq = $12 AND hash = $13"
);

/// Entries of one chain from which on they are copied.
const COPIED: usize = 4096;
const COPY: &str = "COPY airside.entry (chain, seq, time, kind, version, subject, body, prev, hash)
     FROM STDIN (FORMAT binary)";
/// Signature, flags and an empty extension.
const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// Bytes that are sent at once.
const COPY_BYTES: usize = 128 * 1024;

/// What one try of a transaction came to.
enum Failure {
    /// The server gave it up in favour of another; nothing was written.
    Victim(StoreError),
    Final(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

const COMMIT: &str = "commit to the ledger";

fn sort_out(error: tokio_postgres::Error) -> Failure {
    let victim = [
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::T_R_SERIALIZATION_FAILURE,
    ];
    let is_victim = error.code().is_some_and(|code| victim.contains(code));
    let error = failed(COMMIT, error);
    if is_victim {
        return Failure::Victim(error);
    }
    Failure::Final(error)
}

pub(super) async fn commit(client: &mut Object, commit: &Commit) -> Result<(), StoreError> {
    for _ in 1..ATTEMPTS {
        match attempt(client, commit).await {
            Ok(()) => return Ok(()),
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Victim(_)) => {}
        }
    }
    match attempt(client, commit).await {
        Ok(()) => Ok(()),
        Err(Failure::Final(error) | Failure::Victim(error)) => Err(error),
    }
}

async fn attempt(client: &mut Object, commit: &Commit) -> Result<(), Failure> {
    let plain = commit.units.iter().all(Unit::is_empty);
    let lost = match &commit.segments[..] {
        [only] if plain && !is_copied(only) => {
            let statement = prepare(client, only).await?;
            failpoint::reach(Point::PostgresAsking);
            (!append(client, &statement, only).await?).then_some(only)
        }
        _ => transact(client, commit).await?,
    };
    let Some(segment) = lost else {
        failpoint::reach(Point::PostgresCommitted);
        return Ok(());
    };
    let tenant = segment.tenant().clone();
    let found = read::tip(client, &tenant).await?.head;
    Err(StoreError::Conflict { tenant, found }.into())
}

/// Returns the segment whose chain has another head than expected, if there is one;
/// then nothing was written.
async fn transact<'c>(
    client: &mut Object,
    commit: &'c Commit,
) -> Result<Option<&'c Segment>, Failure> {
    let mut segments: Vec<_> = commit.segments.iter().collect();
    segments.sort_by_key(|segment| segment.tenant());
    let mut statements = Vec::with_capacity(segments.len());
    for segment in &segments {
        statements.push(prepare(client, segment).await?);
    }
    let transaction = client.transaction().await.map_err(sort_out)?;
    failpoint::reach(Point::PostgresBegun);
    let moved = if segments.iter().any(|segment| is_copied(segment)) {
        let mut moved = Vec::with_capacity(segments.len());
        for segment in &segments {
            moved.push(copy(&transaction, segment).await);
        }
        moved
    } else {
        // All are sent before the first is answered; the server keeps their order.
        let appends = segments.iter().zip(&statements);
        let appends = appends.map(|(segment, statement)| append(&transaction, statement, segment));
        join_all(appends).await
    };
    for (segment, moved) in segments.iter().zip(moved) {
        if !moved? {
            transaction.rollback().await.map_err(sort_out)?;
            return Ok(Some(segment));
        }
    }
    failpoint::reach(Point::PostgresAppended);
    let mut refused = Vec::new();
    for (index, unit) in commit.units.iter().enumerate() {
        for refusal in apply(&transaction, unit).await? {
            refused.push((index, refusal));
        }
    }
    if !refused.is_empty() {
        transaction.rollback().await.map_err(sort_out)?;
        return Err(StoreError::Refused(refused).into());
    }
    failpoint::reach(Point::PostgresWritten);
    transaction.commit().await.map_err(sort_out)?;
    Ok(None)
}

/// Returns the statement that appends `segment`.
async fn prepare(client: &Object, segment: &Segment) -> Result<Statement, Failure> {
    let sql = match segment.expected().seq {
        0 => BEGIN_CHAIN,
        _ => CONTINUE_CHAIN,
    };
    client.prepare_cached(sql).await.map_err(sort_out)
}

/// Returns whether the chain had the expected head.
async fn append(
    client: &impl GenericClient,
    statement: &Statement,
    segment: &Segment,
) -> Result<bool, Failure> {
    let (tip, expected) = (segment.tip(), segment.expected());
    let entries = segment.entries();
    let hashes: Vec<&[u8]> = entries.iter().map(|e| &e.hash.as_bytes()[..]).collect();
    let bodies: Vec<&[u8]> = entries.iter().map(|e| &e.body[..]).collect();
    let kinds: Vec<&str> = entries.iter().map(|e| e.kind.as_str()).collect();
    let subjects: Vec<&str> = entries.iter().map(|e| &*e.subject).collect();
    let versions: Vec<i32> = entries.iter().map(|e| i32::from(e.version)).collect();
    let seqs: Vec<i64> = entries.iter().map(|e| integer(e.seq)).collect();
    let times: Vec<i64> = entries.iter().map(|e| e.time.as_microsecond()).collect();
    let moved = client
        .query_opt(
            statement,
            &[
                &segment.tenant().as_str(),
                &integer(tip.head.seq),
                &&tip.head.hash.as_bytes()[..],
                &seqs,
                &times,
                &kinds,
                &versions,
                &subjects,
                &bodies,
                &hashes,
                &tip.time.as_microsecond(),
                &integer(expected.seq),
                &&expected.hash.as_bytes()[..],
            ],
        )
        .await
        .map_err(sort_out)?;
    Ok(moved.is_some())
}

fn is_copied(segment: &Segment) -> bool {
    segment.entries().len() >= COPIED
}

/// Does what [`append()`] does, for many entries.
async fn copy(transaction: &Transaction<'_>, segment: &Segment) -> Result<bool, Failure> {
    let (tip, expected) = (segment.tip(), segment.expected());
    let tenant = segment.tenant().as_str();
    let (seq, hash) = (integer(tip.head.seq), &tip.head.hash.as_bytes()[..]);
    let time = tip.time.as_microsecond();
    let (before, prev) = (integer(expected.seq), &expected.hash.as_bytes()[..]);
    let moved = if expected.seq == 0 {
        let insert = "INSERT INTO airside.chain (tenant, seq, hash, time)
                      VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING id";
        let place: [&(dyn ToSql + Sync); 4] = [&tenant, &seq, &hash, &time];
        transaction.query_opt(insert, &place).await
    } else {
        let update = "UPDATE airside.chain SET seq = $2, hash = $3, time = $4
                      WHERE tenant = $1 AND seq = $5 AND hash = $6 RETURNING id";
        let place: [&(dyn ToSql + Sync); 6] = [&tenant, &seq, &hash, &time, &before, &prev];
        transaction.query_opt(update, &place).await
    };
    let Some(row) = moved.map_err(sort_out)? else {
        return Ok(false);
    };
    let chain: i64 = row.get(0);
    let sink = transaction.copy_in(COPY).await.map_err(sort_out)?;
    let mut sink = pin!(sink);
    let mut rows = BytesMut::from(COPY_HEADER);
    for entry in segment.entries() {
        encode(chain, entry, &mut rows);
        if rows.len() >= COPY_BYTES {
            let full = rows.split().freeze();
            sink.send(full).await.map_err(sort_out)?;
        }
    }
    rows.put_i16(-1);
    sink.send(rows.freeze()).await.map_err(sort_out)?;
    sink.as_mut().finish().await.map_err(sort_out)?;
    let notify = "SELECT pg_notify('airside_commits', '')::text";
    transaction.execute(notify, &[]).await.map_err(sort_out)?;
    Ok(true)
}

/// Adds the row of `entry` in the binary form of `COPY`: the number of fields, and each
/// with its length in front.
fn encode(chain: i64, entry: &Entry, rows: &mut BytesMut) {
    rows.put_i16(9);
    for field in [
        &chain.to_be_bytes()[..],
        &integer(entry.seq).to_be_bytes(),
        &entry.time.as_microsecond().to_be_bytes(),
        entry.kind.as_str().as_bytes(),
        &i32::from(entry.version).to_be_bytes(),
        entry.subject.as_bytes(),
        &entry.body,
        // As in every row: it is the hash of the one in front.
        &[],
        entry.hash.as_bytes(),
    ] {
        let length = i32::try_from(field.len()).expect("every field is bounded far below 2 GiB");
        rows.put_i32(length);
        rows.put_slice(field);
    }
}

async fn apply(transaction: &Transaction<'_>, unit: &Unit) -> Result<Vec<Refusal>, Failure> {
    let mut refusals = Vec::new();
    if let Some(fence) = &unit.fence {
        // The lock keeps the lease from being taken before this commits.
        let statement = transaction
            .prepare_cached(
                "SELECT 1 FROM airside.lease
                 WHERE name = $1 AND token = $2 AND holder IS NOT NULL FOR SHARE",
            )
            .await
            .map_err(sort_out)?;
        let held = transaction
            .query_opt(&statement, &[&&*fence.name, &integer(fence.token)])
            .await
            .map_err(sort_out)?;
        if held.is_none() {
            let name = fence.name.clone();
            refusals.push(Refusal::Fenced { name });
        }
    }
    for write in &unit.writes {
        if change(transaction, write).await.map_err(sort_out)? == 0 {
            let (table, key) = (write.table, write.key.clone());
            refusals.push(Refusal::Stale { table, key });
        }
    }
    Ok(refusals)
}

/// Returns how many documents were changed: one, or none if it was not as expected.
async fn change(
    transaction: &Transaction<'_>,
    write: &Write,
) -> Result<u64, tokio_postgres::Error> {
    let (table, tenant, key) = (write.table, write.tenant.as_str(), &*write.key);
    let version = integer(write.version);
    let expected = write.expected.map(integer);
    let Some(document) = &write.document else {
        let sql = match expected {
            Some(_) => {
                "DELETE FROM airside.document
                 WHERE tbl = $1 AND tenant = $2 AND key = $3 AND version = $4"
            }
            // Absent and to stay absent.
            None => {
                "SELECT 1 WHERE $4::bigint IS NULL AND NOT EXISTS (SELECT 1 FROM airside.document
                 WHERE tbl = $1 AND tenant = $2 AND key = $3)"
            }
        };
        let statement = transaction.prepare_cached(sql).await?;
        return transaction
            .execute(&statement, &[&table, &tenant, &key, &expected])
            .await;
    };
    let sql = match expected {
        None => {
            "INSERT INTO airside.document
                 (tbl, tenant, key, version, body, n0, n1, n2, n3, t0, t1, t2, t3)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13
             WHERE $14::bigint IS NULL ON CONFLICT DO NOTHING"
        }
        Some(_) => {
            "UPDATE airside.document
             SET version = $4, body = $5, n0 = $6, n1 = $7, n2 = $8, n3 = $9,
                 t0 = $10, t1 = $11, t2 = $12, t3 = $13
             WHERE tbl = $1 AND tenant = $2 AND key = $3 AND version = $14"
        }
    };
    let statement = transaction.prepare_cached(sql).await?;
    let (n, t) = cells(document);
    transaction
        .execute(
            &statement,
            &[
                &table,
                &tenant,
                &key,
                &version,
                &&document.body[..],
                &n[0],
                &n[1],
                &n[2],
                &n[3],
                &t[0],
                &t[1],
                &t[2],
                &t[3],
                &expected,
            ],
        )
        .await
}

/// Numbers and texts have columns of their own.
fn cells(document: &Document) -> ([Option<i64>; MAX_COLUMNS], [Option<&str>; MAX_COLUMNS]) {
    let (mut numbers, mut texts) = ([None; MAX_COLUMNS], [None; MAX_COLUMNS]);
    for (column, cell) in document.cells.iter().enumerate() {
        match cell {
            Some(Cell::Integer(number)) => numbers[column] = Some(*number),
            Some(Cell::Text(text)) => texts[column] = Some(text.as_str()),
            None => {}
        }
    }
    (numbers, texts)
}

pub(super) async fn put_tiles(
    client: &Object,
    tenant: &TenantId,
    tiles: &[Tile],
) -> Result<(), StoreError> {
    let at = |error| failed("keep tiles", error);
    let statement = client
        .prepare_cached(
            "INSERT INTO airside.tile (chain, level, number, hashes)
             SELECT id, new.* FROM airside.chain,
                 unnest($2::smallint[], $3::bigint[], $4::bytea[]) AS new WHERE tenant = $1
             ON CONFLICT (chain, level, number) DO UPDATE SET hashes = excluded.hashes",
        )
        .await
        .map_err(at)?;
    let levels: Vec<i16> = tiles.iter().map(|tile| tile.level.into()).collect();
    let numbers: Vec<i64> = tiles.iter().map(|tile| integer(tile.number)).collect();
    let hashes: Vec<Vec<u8>> = tiles.iter().map(Tile::to_bytes).collect();
    client
        .execute(&statement, &[&tenant.as_str(), &levels, &numbers, &hashes])
        .await
        .map(drop)
        .map_err(at)
}

pub(super) async fn claim(client: &mut Object, claim: &Claim) -> Result<Claimed, StoreError> {
    let doing = "claim a lease";
    let at = |error| failed(doing, error);
    let statement = client
        .prepare_cached(
            "INSERT INTO airside.lease AS l (name, holder, token, until) VALUES ($1, $2, 1, $3)
             ON CONFLICT (name) DO UPDATE
             SET token = l.token + (l.holder IS DISTINCT FROM $2)::integer,
                 holder = $2, until = $3
             WHERE l.holder IS NULL OR l.holder = $2 OR l.until <= $4
             RETURNING token",
        )
        .await
        .map_err(at)?;
    let until = claim.until();
    let (end, now) = (until.as_microsecond(), claim.now.as_microsecond());
    let taken = client
        .query_opt(&statement, &[&&*claim.name, &&*claim.holder, &end, &now])
        .await
        .map_err(at)?;
    if let Some(row) = taken {
        let fence = Fence {
            name: claim.name.clone(),
            token: row.get::<_, i64>(0).unsigned_abs(),
        };
        return Ok(Claimed::Held { fence, until });
    }
    let row = client
        .query_one(
            "SELECT until FROM airside.lease WHERE name = $1",
            &[&&*claim.name],
        )
        .await
        .map_err(at)?;
    let until = Timestamp::from_microsecond(row.get(0)).unwrap_or(Timestamp::MAX);
    Ok(Claimed::Taken { until })
}

pub(super) async fn release(client: &Object, fence: &Fence) -> Result<(), StoreError> {
    client
        .execute(
            "UPDATE airside.lease SET holder = NULL WHERE name = $1 AND token = $2",
            &[&&*fence.name, &integer(fence.token)],
        )
        .await
        .map(|_| ())
        .map_err(|error| failed("release a lease", error))
}
