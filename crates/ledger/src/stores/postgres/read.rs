//! What readers do. Everything read is checked for its form, so that a damaged
//! row is named instead of misread; hashes are checked by `verify`.

use std::{collections::HashMap, sync::Arc};

use airside_base::{TenantId, Timestamp};
use bytes::Bytes;
use deadpool_postgres::Object;
use futures_util::future::try_join;
use tokio_postgres::types::ToSql;

use super::{failed, integer};
use crate::{
    entry::{Entry, Hash, Head},
    store::{
        Cell, Filter, MAX_HASHES, MAX_READ, MAX_READ_BYTES, Query, Row, Scan, StoreError, Tile, Tip,
    },
};

const READ: &str = "read the ledger";

type Values<'a> = Vec<&'a (dyn ToSql + Sync)>;

/// The chains with what their last entries say.
const TIPS: &str = "
    SELECT c.tenant, c.seq, c.hash, c.time,
           coalesce((e.seq, e.hash, e.time) = (c.seq, c.hash, c.time), false)
    FROM airside.chain c
    LEFT JOIN LATERAL (SELECT seq, hash, time FROM airside.entry
                       WHERE chain = c.id ORDER BY seq DESC LIMIT 1) e ON true";

/// Runs a statement that the connection keeps prepared.
async fn query(
    client: &Object,
    sql: &str,
    values: &Values<'_>,
) -> Result<Vec<tokio_postgres::Row>, StoreError> {
    let statement = client
        .prepare_cached(sql)
        .await
        .map_err(|error| failed(READ, error))?;
    let rows = client.query(&statement, values).await;
    rows.map_err(|error| failed(READ, error))
}

/// Returns the end of one chain, after comparing the recorded head with the last entry.
pub(super) async fn tip(client: &Object, tenant: &TenantId) -> Result<Tip, StoreError> {
    let sql = format!("{TIPS} WHERE c.tenant = $1");
    let rows = query(client, &sql, &vec![&tenant.as_str()]).await?;
    match rows.first() {
        Some(row) => checked_tip(tenant, row),
        None => Ok(Tip::default()),
    }
}

/// Returns all chains, after checking that no entry is outside them.
pub(super) async fn chains(client: &Object) -> Result<Vec<(TenantId, Tip)>, StoreError> {
    let strays = query(
        client,
        "WITH RECURSIVE present AS (
             (SELECT chain FROM airside.entry ORDER BY chain LIMIT 1)
             UNION ALL
             SELECT (SELECT e.chain FROM airside.entry e WHERE e.chain > p.chain
                     ORDER BY e.chain LIMIT 1)
             FROM present p WHERE p.chain IS NOT NULL)
         SELECT chain FROM present
         WHERE chain IS NOT NULL AND chain NOT IN (SELECT id FROM airside.chain)",
        &Values::new(),
    )
    .await?;
    if let Some(stray) = strays.first() {
        return Err(StoreError::Failed {
            doing: "match every stored entry with a chain",
            source: Arc::new(Stray(stray.get(0))),
        });
    }
    let sql = format!("{TIPS} ORDER BY c.tenant");
    let rows = query(client, &sql, &Values::new()).await?;
    rows.iter()
        .map(|row| {
            let tenant: TenantId =
                row.get::<_, String>(0)
                    .parse()
                    .map_err(|error| StoreError::Failed {
                        doing: "read the tenant of a chain",
                        source: Arc::new(error),
                    })?;
            let tip = checked_tip(&tenant, row)?;
            Ok((tenant, tip))
        })
        .collect()
}

#[derive(Debug, thiserror::Error)]
#[error("chain {0} has entries and no head")]
struct Stray(i64);

fn checked_tip(tenant: &TenantId, row: &tokio_postgres::Row) -> Result<Tip, StoreError> {
    let (seq, hash, time): (i64, &[u8], i64) = (row.get(1), row.get(2), row.get(3));
    let seq = seq.unsigned_abs();
    let damaged = |what: &str| StoreError::Corrupt {
        tenant: tenant.clone(),
        seq,
        what: what.to_owned(),
    };
    if !row.get::<_, bool>(4) {
        return Err(damaged("the recorded head is not the last entry"));
    }
    Ok(Tip {
        head: Head {
            seq,
            hash: to_hash(hash)
                .ok_or_else(|| damaged("the hash of the head is not 32 bytes long"))?,
        },
        time: Timestamp::from_microsecond(time)
            .map_err(|_| damaged("the time of the head is out of range"))?,
    })
}

fn to_hash(bytes: &[u8]) -> Option<Hash> {
    bytes.try_into().ok().map(Hash::from_bytes)
}

/// Returns entries of one chain in order.
pub(super) async fn entries(client: &Object, wanted: &Query) -> Result<Vec<Entry>, StoreError> {
    let (after, limit) = (
        integer(wanted.after),
        integer(wanted.limit.min(MAX_READ) as u64),
    );
    let (tenant, most) = (wanted.tenant.as_str(), integer(MAX_READ_BYTES as u64));
    let mut values: Values<'_> = vec![&tenant, &after, &limit, &most];
    let mut conditions = String::new();
    // The empty subject is not indexed, nor is it a subject.
    if let Some(subject) = &wanted.subject {
        values.push(subject);
        conditions.push_str(&format!(
            " AND subject = ${} AND subject <> ''",
            values.len()
        ));
    }
    let below = wanted
        .kind
        .as_ref()
        .map(|kind| (&**kind, format!("{kind}.")));
    if let Some((kind, below)) = &below {
        values.push(kind);
        values.push(below);
        conditions.push_str(&format!(
            " AND (kind = ${} OR starts_with(kind, ${}))",
            values.len() - 1,
            values.len()
        ));
    }
    // The running sum keeps one answer bounded: the row that crosses the limit is
    // left to the next one, unless it is the first.
    let sql = format!(
        "SELECT seq, time, kind, version, subject, body, prev, hash FROM (
             SELECT *, sum(octet_length(body) + octet_length(subject))
                           OVER (ORDER BY seq) AS bytes,
                       row_number() OVER (ORDER BY seq) AS number
             FROM (SELECT * FROM airside.entry
                   WHERE chain = (SELECT id FROM airside.chain WHERE tenant = $1)
                     AND seq > $2{conditions}
                   ORDER BY seq LIMIT $3) AS page) AS summed
         WHERE bytes <= $4 OR number = 1 ORDER BY seq"
    );
    // Both are on their way at once.
    let (rows, front) = try_join(
        query(client, &sql, &values),
        hashes_of(client, &wanted.tenant, vec![after]),
    )
    .await?;
    let mut fronts: HashMap<i64, Hash> = front;
    let mut known = after;
    let mut others = Vec::new();
    for row in &rows {
        let seq: i64 = row.get(0);
        if known + 1 != seq {
            others.push(seq - 1);
        }
        known = seq;
    }
    if !others.is_empty() {
        fronts.extend(hashes_of(client, &wanted.tenant, others).await?);
    }
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        let seq: i64 = row.get(0);
        // The first entry and one behind a gap have zero.
        let prev = fronts.get(&(seq - 1)).copied().unwrap_or_default();
        let entry = decode(&wanted.tenant, seq, prev, row)?;
        fronts.insert(seq, entry.hash);
        found.push(entry);
    }
    Ok(found)
}

/// Returns the hashes of these entries of one chain, of those that are there.
async fn hashes_of(
    client: &Object,
    tenant: &TenantId,
    seqs: Vec<i64>,
) -> Result<HashMap<i64, Hash>, StoreError> {
    let rows = query(
        client,
        "SELECT seq, hash FROM airside.entry
         WHERE chain = (SELECT id FROM airside.chain WHERE tenant = $1) AND seq = ANY ($2)",
        &vec![&tenant.as_str(), &seqs],
    )
    .await?;
    let rows = rows.iter();
    rows.map(|row| {
        let seq: i64 = row.get(0);
        let hash = to_hash(row.get(1)).ok_or_else(|| malformed_hash(tenant, seq))?;
        Ok((seq, hash))
    })
    .collect()
}

fn malformed_hash(tenant: &TenantId, seq: i64) -> StoreError {
    StoreError::Corrupt {
        tenant: tenant.clone(),
        seq: seq.unsigned_abs(),
        what: "a hash is not 32 bytes long".to_owned(),
    }
}

/// Returns the entry in `row`. What the row does not say of `prev`, the one in front does.
fn decode(
    tenant: &TenantId,
    seq: i64,
    prev: Hash,
    row: &tokio_postgres::Row,
) -> Result<Entry, StoreError> {
    let seq = seq.unsigned_abs();
    let damaged = |what: &str| StoreError::Corrupt {
        tenant: tenant.clone(),
        seq,
        what: what.to_owned(),
    };
    let hash =
        |column| to_hash(row.get(column)).ok_or_else(|| damaged("a hash is not 32 bytes long"));
    let prev = match row.get::<_, &[u8]>(6) {
        [] => prev,
        _ => hash(6)?,
    };
    Ok(Entry {
        seq,
        time: Timestamp::from_microsecond(row.get(1))
            .map_err(|_| damaged("the time is out of range"))?,
        tenant: tenant.clone(),
        kind: row
            .get::<_, &str>(2)
            .parse()
            .map_err(|_| damaged("the kind is malformed"))?,
        version: u16::try_from(row.get::<_, i32>(3))
            .map_err(|_| damaged("the version is out of range"))?,
        subject: row.get::<_, &str>(4).into(),
        body: Bytes::copy_from_slice(row.get(5)),
        prev,
        hash: hash(7)?,
    })
}

/// Returns the hashes of entries of one chain in order.
pub(super) async fn hashes(
    client: &Object,
    tenant: &TenantId,
    after: u64,
    limit: usize,
) -> Result<Vec<Hash>, StoreError> {
    let (after, limit) = (integer(after), integer(limit.min(MAX_HASHES) as u64));
    let rows = query(
        client,
        "SELECT seq, hash FROM airside.entry
         WHERE chain = (SELECT id FROM airside.chain WHERE tenant = $1) AND seq > $2
         ORDER BY seq LIMIT $3",
        &vec![&tenant.as_str(), &after, &limit],
    )
    .await?;
    let expected = |index: usize| after.saturating_add(integer(index as u64 + 1));
    let rows = rows.iter().enumerate();
    rows.map(|(index, row)| (expected(index), row))
        .take_while(|(seq, row)| row.get::<_, i64>(0) == *seq)
        .map(|(seq, row)| to_hash(row.get(1)).ok_or_else(|| malformed_hash(tenant, seq)))
        .collect()
}

/// Returns the hashes of one tile.
pub(super) async fn tile(
    client: &Object,
    tenant: &TenantId,
    level: u8,
    number: u64,
) -> Result<Option<Vec<Hash>>, StoreError> {
    let rows = query(
        client,
        "SELECT hashes FROM airside.tile JOIN airside.chain ON id = chain
         WHERE tenant = $1 AND level = $2 AND number = $3",
        &vec![&tenant.as_str(), &i16::from(level), &integer(number)],
    )
    .await?;
    // One of another form has no hashes that could be used.
    Ok(rows
        .first()
        .map(|row| Tile::hashes(row.get(0)).unwrap_or_default()))
}

/// Returns one document.
pub(super) async fn find(
    client: &Object,
    table: &str,
    tenant: &TenantId,
    key: &str,
) -> Result<Option<Row>, StoreError> {
    let rows = query(
        client,
        "SELECT key, version, body FROM airside.document
         WHERE tbl = $1 AND tenant = $2 AND key = $3",
        &vec![&table, &tenant.as_str(), &key],
    )
    .await?;
    Ok(rows.first().map(to_row))
}

/// Returns documents.
pub(super) async fn scan(client: &Object, scan: &Scan) -> Result<Vec<Row>, StoreError> {
    let (table, tenant) = (scan.table, scan.tenant.as_str());
    let limit = integer(scan.limit.min(MAX_READ) as u64);
    let mut values: Values<'_> = vec![&table, &tenant, &limit];
    let condition = match &scan.filter {
        Filter::All { after } => {
            values.push(after);
            "key > $4 ORDER BY key".to_owned()
        }
        Filter::Equal {
            column,
            value,
            after,
        } => {
            values.push(after);
            values.push(parameter(value));
            let cell = cell(*column, value);
            format!("key > $4 AND {cell} = $5 ORDER BY key")
        }
        Filter::AtMost { column, value } => {
            values.push(parameter(value));
            let cell = cell(*column, value);
            format!("{cell} <= $4 ORDER BY {cell}, key")
        }
    };
    let sql = format!(
        "SELECT key, version, body FROM airside.document
         WHERE tbl = $1 AND tenant = $2 AND {condition} LIMIT $3"
    );
    let rows = query(client, &sql, &values).await?;
    Ok(rows.iter().map(to_row).collect())
}

fn to_row(row: &tokio_postgres::Row) -> Row {
    Row {
        key: row.get::<_, &str>(0).into(),
        version: row.get::<_, i64>(1).unsigned_abs(),
        body: Bytes::copy_from_slice(row.get(2)),
    }
}

/// The column that holds cells of this sort.
fn cell(column: usize, value: &Cell) -> String {
    match value {
        Cell::Integer(_) => format!("n{column}"),
        Cell::Text(_) => format!("t{column}"),
    }
}

fn parameter(value: &Cell) -> &(dyn ToSql + Sync) {
    match value {
        Cell::Integer(number) => number,
        Cell::Text(text) => text,
    }
}
