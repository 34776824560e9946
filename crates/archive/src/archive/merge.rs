//! Merging small segments, and making snapshots: what an index is made from.

use std::{collections::BTreeMap, mem, sync::Arc};

use airside_base::{TenantId, Timestamp};
use airside_ledger::{
    Entry, Hash, Store,
    failpoint::{self, Point},
    store::Tip,
    vault::DataKey,
};
use bytes::Bytes;

use super::{
    Archive,
    error::Error,
    index::{Index, Piece},
    manifest::{ChainEnd, Manifest},
    sealed::{Effort, Header, MERGED_BYTES},
    segment::Builder,
    snapshot::{Held, Rows, SnapshotRef},
    walk::{Walk, Wanted},
};
use crate::restore::{self, Folds, RestoreError, Until, tables};

/// What seals the objects of one writer.
#[derive(Debug)]
pub(super) struct Seal {
    pub(super) header: Header,
    pub(super) key: Arc<DataKey>,
}

/// Adds to `index` what manifests up to `last` name; nothing is merged yet.
pub(super) async fn extend(archive: &Archive, index: &mut Index, last: u64) -> Result<(), Error> {
    let mut chains: BTreeMap<TenantId, Tip> = index.chains.iter().map(ChainEnd::named).collect();
    for number in index.covers + 1..=last {
        let (manifest, hash) = archive.manifest(number).await?;
        if manifest.prev != index.hash {
            let what = "it does not name the manifest in front of it";
            return Err(Error::damaged(&super::manifest::name(number), what));
        }
        chains.extend(manifest.chains.iter().map(ChainEnd::named));
        let Manifest {
            segment,
            chains: ends,
            epoch,
            time,
            full,
            ..
        } = manifest;
        if let Some(segment) = segment {
            // One that names all chains names those without an entry in it too.
            let before = index.chains.iter().map(ChainEnd::named).collect();
            let ends = if full { grown(ends, &before) } else { ends };
            index.segments.push(Piece { segment, ends });
        }
        (index.covers, index.hash, index.epoch, index.time) = (number, hash, epoch, time);
        index.chains = chains.iter().map(ChainEnd::from).collect();
    }
    Ok(())
}

/// Leaves out the chains that end where they did `before`.
fn grown(mut ends: Vec<ChainEnd>, before: &BTreeMap<TenantId, Tip>) -> Vec<ChainEnd> {
    ends.retain(|end| before.get(&end.tenant) != Some(&end.tip()));
    ends
}

/// Merges the small segments at the end of `index`; returns how many there were.
pub(super) async fn merge(
    archive: &Archive,
    index: &mut Index,
    seal: &Seal,
) -> Result<usize, Error> {
    let large = |piece: &Piece| piece.segment.plain >= MERGED_BYTES / 2;
    let small = index
        .segments
        .iter()
        .rposition(large)
        .map_or(0, |at| at + 1);
    let mut merged = 0;
    let mut group: Vec<Piece> = Vec::new();
    let (mut bytes, mut memory) = (0, Vec::new());
    for piece in index.segments.split_off(small) {
        if bytes + piece.segment.plain > MERGED_BYTES && !group.is_empty() {
            merged += join(archive, index, seal, mem::take(&mut group), &mut memory).await?;
            bytes = 0;
        }
        bytes += piece.segment.plain;
        group.push(piece);
    }
    merged += join(archive, index, seal, group, &mut memory).await?;
    Ok(merged)
}

/// Writes the entries of `group` as one segment, with `memory` of the one before it.
async fn join(
    archive: &Archive,
    index: &mut Index,
    seal: &Seal,
    group: Vec<Piece>,
    memory: &mut Vec<u8>,
) -> Result<usize, Error> {
    let joined = group.len();
    if joined < 2 {
        index.segments.extend(group);
        return Ok(0);
    }
    let hand = &archive.inner.objects.hand;
    let mut builder = Builder::reuse(mem::take(memory));
    for piece in &group {
        let entries = archive.entries(&piece.segment).await?;
        let object = piece.segment.object.clone();
        let add = move || {
            let strange = entries.iter().find(|entry| !builder.push(entry));
            strange.map_or(Ok(builder), |entry| Err(wrong(&object, entry)))
        };
        builder = hand.run(add).await??;
    }
    let ends: BTreeMap<TenantId, Tip> = builder.ends().clone();
    let (covers, header, key) = (index.covers, seal.header.clone(), seal.key.clone());
    let seal = move || builder.seal(covers, Effort::Thorough, header, &key);
    let sealed = hand.run(seal).await?;
    let Some((segment, bytes, used)) = sealed else {
        return Ok(0);
    };
    *memory = used;
    failpoint::reach(Point::MergeSealed);
    archive.inner.objects.add(&segment.object, &bytes).await?;
    let ends = ends.iter().map(ChainEnd::from).collect();
    index.segments.push(Piece { segment, ends });
    Ok(joined)
}

fn wrong(object: &str, entry: &Entry) -> Error {
    let (tenant, seq) = (&entry.tenant, entry.seq);
    Error::damaged(
        object,
        format!("entry {seq} of `{tenant}` has another hash"),
    )
}

/// Makes a snapshot of what `index` covers, with `scratch` to fold in.
pub(super) async fn snapshot(
    archive: &Archive,
    index: &Index,
    seal: &Seal,
    folds: &Folds,
    scratch: &dyn Store,
    made: Timestamp,
) -> Result<SnapshotRef, RestoreError> {
    let usable = tables::usable(archive, &index.snapshots, folds, Until::Latest, None).await?;
    let wanted = Wanted::UpTo(Timestamp::MAX, None);
    let mut walk = Walk::over(archive, index.clone(), index.covers, wanted, 0);
    if let Some(usable) = usable {
        walk = walk.behind(archive, usable);
    }
    tables::fold(archive, &mut walk, usable, scratch, folds).await?;
    let mut rows = Rows::default();
    let mut parts = Vec::new();
    let failed = RestoreError::Archive;
    for end in &index.chains {
        for table in folds.names() {
            let mut found = restore::Rows::new(scratch, table, &end.tenant);
            while let Some(row) = found.next().await.map_err(RestoreError::Target)? {
                let held = Held {
                    table: table.to_owned(),
                    tenant: end.tenant.clone(),
                    key: row.key.to_string(),
                    version: row.version,
                    body: row.body,
                };
                if !rows.push(&held) {
                    let what = "documents do not come in order";
                    return Err(failed(Error::damaged("snapshot", what)));
                }
                if rows.is_full() {
                    parts.extend(
                        part(archive, index.covers, &mut rows, seal)
                            .await
                            .map_err(failed)?,
                    );
                }
            }
        }
    }
    parts.extend(
        part(archive, index.covers, &mut rows, seal)
            .await
            .map_err(failed)?,
    );
    let chains = rows.finish(index.chains.iter().map(ChainEnd::named));
    Ok(SnapshotRef {
        covers: index.covers,
        made,
        tables: folds.fingerprint(),
        chains: chains.map_err(failed)?,
        parts,
    })
}

async fn part(
    archive: &Archive,
    covers: u64,
    rows: &mut Rows,
    seal: &Seal,
) -> Result<Option<super::snapshot::Part>, Error> {
    // A part is small: sealing it takes a few milliseconds of a background task.
    let Some((part, bytes)) = rows.seal(covers, seal.header.clone(), &seal.key) else {
        return Ok(None);
    };
    archive.inner.objects.add(&part.object, &bytes).await?;
    failpoint::reach(Point::SnapshotPartPut);
    Ok(Some(part))
}

/// Returns the object of `index` and what a manifest says of it.
pub(super) fn sealed(index: &Index, previous: u64) -> (super::IndexRef, Bytes) {
    let (object, bytes, sha256): (String, Bytes, Hash) = index.seal();
    let named = super::IndexRef {
        object,
        bytes: bytes.len(),
        sha256,
        covers: index.covers,
        previous,
    };
    (named, bytes)
}
