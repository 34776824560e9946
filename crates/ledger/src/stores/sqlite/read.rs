//! What readers do. Everything read is checked for its form, so that a damaged
//! row is named instead of misread; hashes are checked by `verify`.

use std::{collections::BTreeSet, sync::Arc};

use airside_base::{TenantId, Timestamp};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension as _, ToSql, params, types::ValueRef};

use super::{CELLS, MAX_SEQ, SEQ_BITS, failed, write::integer};
use crate::{
    entry::{Entry, Hash, Head, Kind},
    store::{
        Filter, MAX_HASHES, MAX_READ, MAX_READ_BYTES, Query, Row, Scan, StoreError, Tile, Tip,
    },
};

const READ: &str = "read the ledger";

/// Returns the end of one chain, after comparing the recorded head with the last entry.
pub(super) fn tip(connection: &Connection, tenant: &TenantId) -> Result<Tip, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT id, seq, hash, time FROM chains WHERE tenant = ?1")
        .map_err(|error| failed(READ, error))?;
    let found = select
        .query_row([tenant.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()
        .map_err(|error| failed(READ, error))?;
    let Some((chain, seq, hash, time)) = found else {
        return Ok(Tip::default());
    };
    checked_tip(connection, tenant, chain, (seq, hash, time))
}

type Recorded = (i64, Vec<u8>, i64);

fn checked_tip(
    connection: &Connection,
    tenant: &TenantId,
    chain: i64,
    (seq, hash, time): Recorded,
) -> Result<Tip, StoreError> {
    let mut select = connection
        .prepare_cached(
            "SELECT id, hash, time FROM entries WHERE id > ?1 AND id <= ?2
             ORDER BY id DESC LIMIT 1",
        )
        .map_err(|error| failed(READ, error))?;
    let base = chain << SEQ_BITS;
    let last: Option<(i64, Vec<u8>, i64)> = select
        .query_row([base, base | MAX_SEQ], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()
        .map_err(|error| failed(READ, error))?;
    let damaged = |what: &str| StoreError::Corrupt {
        tenant: tenant.clone(),
        seq: u64::try_from(seq).unwrap_or(0),
        what: what.to_owned(),
    };
    if last != Some((base | seq, hash.clone(), time)) {
        return Err(damaged("the recorded head is not the last entry"));
    }
    let bytes: [u8; 32] = hash
        .try_into()
        .map_err(|_| damaged("the hash of the head is not 32 bytes long"))?;
    Ok(Tip {
        head: Head {
            seq: u64::try_from(seq).map_err(|_| damaged("the head is negative"))?,
            hash: Hash::from_bytes(bytes),
        },
        time: Timestamp::from_microsecond(time)
            .map_err(|_| damaged("the time of the head is out of range"))?,
    })
}

/// Returns all chains, after checking that no entry is outside them.
pub(super) fn chains(connection: &Connection) -> Result<Vec<(TenantId, Tip)>, StoreError> {
    let mut select = connection
        .prepare_cached("SELECT id, tenant, seq, hash, time FROM chains ORDER BY tenant")
        .map_err(|error| failed(READ, error))?;
    let rows = select
        .query_map([], |row| {
            Ok((
                row.get(0)?,
                row.get(1)?,
                (row.get(2)?, row.get(3)?, row.get(4)?),
            ))
        })
        .map_err(|error| failed(READ, error))?;
    let mut ids = BTreeSet::new();
    let mut chains = Vec::new();
    for row in rows {
        let (id, tenant, recorded): (i64, String, Recorded) =
            row.map_err(|error| failed(READ, error))?;
        let tenant: TenantId = tenant.parse().map_err(|error| StoreError::Failed {
            doing: "read the tenant of a chain",
            source: Arc::new(error),
        })?;
        let tip = checked_tip(connection, &tenant, id, recorded)?;
        ids.insert(id);
        chains.push((tenant, tip));
    }
    refuse_strays(connection, &ids)?;
    Ok(chains)
}

/// Skips from chain to chain along the ids, so the cost is one lookup per chain.
fn refuse_strays(connection: &Connection, known: &BTreeSet<i64>) -> Result<(), StoreError> {
    let mut next = connection
        .prepare_cached("SELECT min(id) FROM entries WHERE id > ?1")
        .map_err(|error| failed(READ, error))?;
    let mut after = i64::MIN;
    loop {
        let id: Option<i64> = next
            .query_row([after], |row| row.get(0))
            .map_err(|error| failed(READ, error))?;
        let Some(id) = id else { return Ok(()) };
        if id & MAX_SEQ == 0 || !known.contains(&(id >> SEQ_BITS)) {
            return Err(StoreError::Failed {
                doing: "match every stored entry with a chain",
                source: Arc::new(Stray(id)),
            });
        }
        after = id | MAX_SEQ;
    }
}

#[derive(Debug, thiserror::Error)]
#[error("row {0} belongs to no chain")]
struct Stray(i64);

/// Returns entries of one chain in order.
pub(super) fn entries(connection: &Connection, query: &Query) -> Result<Vec<Entry>, StoreError> {
    let chain: Option<i64> = connection
        .prepare_cached("SELECT id FROM chains WHERE tenant = ?1")
        .and_then(|mut select| {
            select
                .query_row([query.tenant.as_str()], |row| row.get(0))
                .optional()
        })
        .map_err(|error| failed(READ, error))?;
    let Some(chain) = chain else {
        return Ok(Vec::new());
    };
    let base = chain << SEQ_BITS;
    let (after, last) = (base | integer(query.after).min(MAX_SEQ), base | MAX_SEQ);
    let limit = rows(query.limit);
    let mut sql = String::from(
        "SELECT id, time, kind, version, subject, body, prev, hash FROM entries
         WHERE id > ?1 AND id <= ?2",
    );
    let mut values: Vec<&dyn ToSql> = vec![&after, &last];
    // The empty subject is not indexed, nor is it a subject.
    if let Some(subject) = query.subject.as_ref() {
        values.push(subject);
        sql.push_str(" AND subject = ?3 AND subject <> ''");
    }
    let below = query.kind.as_ref().map(|kind| (kind, format!("{kind}.")));
    if let Some((kind, below)) = &below {
        let at = values.len() + 1;
        values.push(kind);
        values.push(below);
        sql.push_str(&format!(
            " AND (kind = ?{at} OR substr(kind, 1, length(?{next})) = ?{next})",
            next = at + 1
        ));
    }
    values.push(&limit);
    sql.push_str(&format!(" ORDER BY id LIMIT ?{}", values.len()));

    let mut select = connection
        .prepare_cached(&sql)
        .map_err(|error| failed(READ, error))?;
    let mut rows = select
        .query(values.as_slice())
        .map_err(|error| failed(READ, error))?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    let mut front = None;
    while let Some(row) = rows.next().map_err(|error| failed(READ, error))? {
        let id: i64 = row.get(0).map_err(|error| failed(READ, error))?;
        let known = front.filter(|(known, _)| known + 1 == id);
        let prev = match known {
            Some((_, hash)) => hash,
            None => hash_in_front(connection, &query.tenant, id)?,
        };
        let entry = decode(&query.tenant, id, prev, row)?;
        front = Some((id, entry.hash));
        bytes += entry.weight();
        if bytes > MAX_READ_BYTES && !found.is_empty() {
            break;
        }
        found.push(entry);
    }
    Ok(found)
}

/// Returns the hash of the row in front of `id`, as the first row and one behind a gap
/// have it: zero.
fn hash_in_front(connection: &Connection, tenant: &TenantId, id: i64) -> Result<Hash, StoreError> {
    if id & MAX_SEQ <= 1 {
        return Ok(Hash::default());
    }
    let mut select = connection
        .prepare_cached("SELECT hash FROM entries WHERE id = ?1")
        .map_err(|error| failed(READ, error))?;
    let mut rows = select
        .query([id - 1])
        .map_err(|error| failed(READ, error))?;
    let row = rows.next().map_err(|error| failed(READ, error))?;
    let hash = row.map_or(Ok([0; 32]), |row| row.get(0));
    hash.map(Hash::from_bytes)
        .map_err(|error| StoreError::Corrupt {
            tenant: tenant.clone(),
            seq: ((id - 1) & MAX_SEQ).unsigned_abs(),
            what: error.to_string(),
        })
}

/// Returns the entry in `row`. What the row does not say of `prev`, the one in front does.
fn decode(
    tenant: &TenantId,
    id: i64,
    prev: Hash,
    row: &rusqlite::Row<'_>,
) -> Result<Entry, StoreError> {
    let seq = (id & MAX_SEQ).unsigned_abs();
    let damaged = |what: String| StoreError::Corrupt {
        tenant: tenant.clone(),
        seq,
        what,
    };
    let form = |error: rusqlite::Error| damaged(error.to_string());
    let time: i64 = row.get(1).map_err(form)?;
    let kind: String = row.get(2).map_err(form)?;
    let subject: Arc<str> = row.get(4).map_err(form)?;
    let body: Vec<u8> = row.get(5).map_err(form)?;
    let prev = match row.get_ref(6).map_err(form)? {
        ValueRef::Blob([]) => prev,
        _ => Hash::from_bytes(row.get(6).map_err(form)?),
    };
    Ok(Entry {
        seq,
        time: Timestamp::from_microsecond(time)
            .map_err(|_| damaged("the time is out of range".to_owned()))?,
        tenant: tenant.clone(),
        kind: kind
            .parse::<Kind>()
            .map_err(|_| damaged("the kind is malformed".to_owned()))?,
        version: row.get(3).map_err(form)?,
        subject,
        body: Bytes::from(body),
        prev,
        hash: Hash::from_bytes(row.get(7).map_err(form)?),
    })
}

/// Returns the hashes of entries of one chain in order.
pub(super) fn hashes(
    connection: &Connection,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> Result<Vec<Hash>, StoreError> {
    let limit = i64::try_from(limit.min(MAX_HASHES)).expect("the cap is small");
    let after = integer(after).min(MAX_SEQ);
    let mut select = connection
        .prepare_cached(
            "SELECT entries.id & ?4, entries.hash FROM entries
             JOIN chains ON entries.id > (chains.id << ?5 | ?2)
                        AND entries.id <= (chains.id << ?5 | ?4)
             WHERE tenant = ?1 ORDER BY entries.id LIMIT ?3",
        )
        .map_err(|error| failed(READ, error))?;
    let mut rows = select
        .query(params![tenant.as_str(), after, limit, MAX_SEQ, SEQ_BITS])
        .map_err(|error| failed(READ, error))?;
    let (mut found, mut last) = (Vec::new(), after);
    while let Some(row) = rows.next().map_err(|error| failed(READ, error))? {
        let seq: i64 = row.get(0).map_err(|error| failed(READ, error))?;
        if seq != last + 1 {
            break;
        }
        let hash = row.get(1).map_err(|error| StoreError::Corrupt {
            tenant: tenant.clone(),
            seq: seq.unsigned_abs(),
            what: error.to_string(),
        })?;
        found.push(Hash::from_bytes(hash));
        last = seq;
    }
    Ok(found)
}

/// Returns the hashes of one tile.
pub(super) fn tile(
    connection: &Connection,
    tenant: &TenantId,
    level: u8,
    number: u64,
) -> Result<Option<Vec<Hash>>, StoreError> {
    let found: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT hashes FROM tiles JOIN chains ON chains.id = tiles.chain
             WHERE tenant = ?1 AND level = ?2 AND number = ?3",
        )
        .and_then(|mut select| {
            select
                .query_row(params![tenant.as_str(), level, integer(number)], |row| {
                    row.get(0)
                })
                .optional()
        })
        .map_err(|error| failed(READ, error))?;
    // One of another form has no hashes that could be used.
    Ok(found.map(|bytes| Tile::hashes(&bytes).unwrap_or_default()))
}

/// Returns one document.
pub(super) fn find(
    connection: &Connection,
    table: &str,
    tenant: &TenantId,
    key: &str,
) -> Result<Option<Row>, StoreError> {
    connection
        .prepare_cached(
            "SELECT key, version, body FROM documents WHERE tbl = ?1 AND tenant = ?2 AND key = ?3",
        )
        .and_then(|mut select| {
            select
                .query_row(params![table, tenant.as_str(), key], document)
                .optional()
        })
        .map_err(|error| failed(READ, error))
}

/// Returns documents.
pub(super) fn scan(connection: &Connection, scan: &Scan) -> Result<Vec<Row>, StoreError> {
    let tenant = scan.tenant.as_str();
    let limit = rows(scan.limit);
    let head = "SELECT key, version, body FROM documents WHERE tbl = ?1 AND tenant = ?2 AND";
    let (sql, values): (String, Vec<&dyn ToSql>) = match &scan.filter {
        Filter::All { after } => (
            format!("{head} key > ?3 ORDER BY key LIMIT ?4"),
            vec![after, &limit],
        ),
        Filter::Equal {
            column,
            value,
            after,
        } => {
            let cell = CELLS[*column];
            (
                format!("{head} {cell} = ?3 AND key > ?4 ORDER BY key LIMIT ?5"),
                vec![value, after, &limit],
            )
        }
        Filter::AtMost { column, value } => {
            let cell = CELLS[*column];
            (
                format!("{head} {cell} <= ?3 ORDER BY {cell}, key LIMIT ?4"),
                vec![value, &limit],
            )
        }
    };
    let mut all: Vec<&dyn ToSql> = vec![&scan.table, &tenant];
    all.extend(values);
    connection
        .prepare_cached(&sql)
        .and_then(|mut select| {
            select
                .query_map(all.as_slice(), document)?
                .collect::<rusqlite::Result<Vec<Row>>>()
        })
        .map_err(|error| failed(READ, error))
}

/// Returns how many rows to ask for when the caller wants `limit`.
fn rows(limit: usize) -> i64 {
    i64::try_from(limit.min(MAX_READ)).expect("the cap is small")
}

fn document(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let version: i64 = row.get(1)?;
    Ok(Row {
        key: row.get(0)?,
        version: version.unsigned_abs(),
        body: Bytes::from(row.get::<_, Vec<u8>>(2)?),
    })
}
