//! Tables on their own: from a snapshot, and from the entries behind it.

use std::{collections::BTreeMap, mem, sync::Arc};

use airside_base::{TenantId, Timestamp};
use airside_ledger::{
    Entry, Head, Store,
    store::{Commit, MAX_READ, Unit, Write},
};

use super::{Folds, RestoreError, Until};
use crate::archive::{
    Archive, Error,
    snapshot::{Held, SnapshotRef},
    walk::{Walk, Wanted},
};

/// Returns the newest of `snapshots` that was made with these tables, lies within `until`
/// and is intact. A damaged one is no reason to stop, since everything can
/// be folded again: it is logged.
pub(crate) async fn usable<'s>(
    archive: &Archive,
    snapshots: &'s [SnapshotRef],
    folds: &Folds,
    until: Until,
    tenant: Option<&TenantId>,
) -> Result<Option<&'s SnapshotRef>, RestoreError> {
    let tables = folds.fingerprint();
    for snapshot in snapshots.iter().rev() {
        if snapshot.tables != tables || !snapshot.is_within(until, tenant) {
            continue;
        }
        match archive.check(snapshot, tenant).await {
            Ok(()) => return Ok(Some(snapshot)),
            Err(
                error @ (Error::Damaged { .. } | Error::Missing { .. } | Error::Version { .. }),
            ) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "a snapshot is not used: its documents are folded");
            }
            Err(error) => return Err(RestoreError::Archive(error)),
        }
    }
    Ok(None)
}

/// Writes the documents of `snapshot`, which has been checked.
pub(crate) async fn load(
    archive: &Archive,
    snapshot: &SnapshotRef,
    tenant: Option<&TenantId>,
    target: &dyn Store,
    folds: &Folds,
) -> Result<(), RestoreError> {
    let mut writes = Vec::new();
    for part in snapshot.parts_of(tenant) {
        let rows = archive.rows(part).await.map_err(RestoreError::Archive)?;
        for row in rows {
            if tenant.is_none_or(|only| *only == row.tenant) {
                writes.push(written(folds, row)?);
            }
            if writes.len() >= MAX_READ {
                put(target, mem::take(&mut writes)).await?;
            }
        }
    }
    put(target, writes).await
}

fn written(folds: &Folds, row: Held) -> Result<Write, RestoreError> {
    let (table, document) = folds.document(&row)?;
    Ok(Write {
        table,
        tenant: row.tenant,
        key: row.key.into(),
        expected: None,
        version: row.version,
        document: Some(document),
    })
}

pub(super) async fn put(target: &dyn Store, writes: Vec<Write>) -> Result<(), RestoreError> {
    if writes.is_empty() {
        return Ok(());
    }
    let unit = Unit {
        fence: None,
        writes,
    };
    let commit = Commit {
        segments: Vec::new(),
        units: vec![unit],
    };
    let written = target.commit(Arc::new(commit)).await;
    written.map_err(RestoreError::Target)
}

/// Brings the documents alone back to where `walk` ends, from `snapshot` or from the
/// first entry.
pub(crate) async fn fold(
    archive: &Archive,
    walk: &mut Walk,
    snapshot: Option<&SnapshotRef>,
    target: &dyn Store,
    folds: &Folds,
) -> Result<(), RestoreError> {
    let mut loaded = BTreeMap::new();
    if let Some(snapshot) = snapshot {
        load(archive, snapshot, None, target, folds).await?;
        let chains = snapshot.chains.iter();
        loaded = chains
            .map(|chain| (chain.tenant.clone(), chain.seq))
            .collect();
    }
    let wanted = |entry: &Entry| Some(entry.seq) > loaded.get(&entry.tenant).copied();
    fold_some(walk, wanted, target, folds).await
}

/// Brings the documents alone back by folding every entry up to `ends`.
pub(crate) async fn fold_all(
    archive: &Archive,
    ends: &BTreeMap<TenantId, Head>,
    target: &dyn Store,
    folds: &Folds,
) -> Result<(), RestoreError> {
    let tail = archive.tail().await.map_err(RestoreError::Archive)?;
    let all = Wanted::UpTo(Timestamp::MAX, None);
    let walk = Walk::new(archive, tail.number, all).await;
    let mut walk = walk.map_err(RestoreError::Archive)?;
    let wanted = |entry: &Entry| ends.get(&entry.tenant).map(|head| head.seq) >= Some(entry.seq);
    fold_some(&mut walk, wanted, target, folds).await
}

async fn fold_some(
    walk: &mut Walk,
    wanted: impl Fn(&Entry) -> bool,
    target: &dyn Store,
    folds: &Folds,
) -> Result<(), RestoreError> {
    while let Some(step) = walk.next().await.map_err(RestoreError::Archive)? {
        for (tenant, mut entries) in step.chains() {
            entries.retain(&wanted);
            for page in entries.chunks(MAX_READ) {
                let writes = folds.writes(target, &tenant, page).await?;
                put(target, writes).await?;
            }
        }
    }
    Ok(())
}
