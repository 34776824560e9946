//! Reading what is brought back.

use airside_base::Timestamp;
use airside_ledger::{
    Entry, Hash, Head, Query, Store,
    erasure::{Collector, List},
    store::Tip,
};

use super::{RestoreError, Source, Until, writer::Writer};
use crate::archive::{
    Archive,
    walk::{Walk, Wanted},
};

/// Returns the erasures of `source` up to its end, whatever moment is restored.
///
/// A restore to a manifest is for an archive whose end is damaged: the list then ends
/// with this manifest, and a warning is logged.
pub(super) async fn erasures(source: Source<'_>, until: Until) -> Result<List, RestoreError> {
    let archive = match source {
        Source::Store(store) => {
            return List::read(store).await.map_err(RestoreError::Erasures);
        }
        Source::Archive(archive) => archive,
    };
    let whole = match archive.tail().await {
        Ok(tail) => {
            let ends = tail.chains.iter();
            let ends: Vec<_> = ends
                .map(|(tenant, tip)| (tenant.clone(), tip.head))
                .collect();
            erasures_in(archive, tail.number, &ends).await
        }
        Err(error) => Err(explained(archive, error).await),
    };
    match (whole, until) {
        (Err(error), Until::Manifest(number)) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                number,
                "the archive cannot be read to its end: erasures behind the manifest are not \
                 known and have to be repeated"
            );
            erasures_in(archive, number, &[]).await
        }
        (whole, _) => whole,
    }
}

/// Reads the segments with erasures; manifests and index tell which those are.
async fn erasures_in(
    archive: &Archive,
    manifest: u64,
    ends: &[(airside_base::TenantId, Head)],
) -> Result<List, RestoreError> {
    let walk = Walk::new(archive, manifest, Wanted::Erasures).await;
    let mut walk = walk.map_err(RestoreError::Archive)?;
    let mut collector = Collector::new();
    while let Some(step) = walk.next().await.map_err(RestoreError::Archive)? {
        for (tenant, tip) in &step.skipped {
            collector.skip(tenant, tip.head);
        }
        for entry in step.chains().values().flatten() {
            collector.take(entry).map_err(RestoreError::Erasures)?;
        }
    }
    collector.finish(ends).map_err(RestoreError::Erasures)
}

/// Says how far an archive is intact whose end cannot be read because of `error`.
async fn explained(archive: &Archive, error: crate::Error) -> RestoreError {
    match archive.verify(&|_| {}).await {
        Err(found) => RestoreError::Archive(found),
        Ok(_) => RestoreError::Archive(error),
    }
}

pub(super) async fn from_archive(
    archive: &Archive,
    writer: &mut Writer<'_>,
) -> Result<(), RestoreError> {
    let request = writer.request;
    let mut until = Timestamp::MAX;
    let last = if let Until::Manifest(number) = request.until {
        // The end of the archive may be what is damaged.
        let listed = archive.last_listed().await;
        let listed = listed.map_err(RestoreError::Archive)?;
        if number == 0 || number > listed {
            let what = format!("manifest {number}; the last one is {listed}");
            return Err(RestoreError::Absent { what });
        }
        let swept = archive.is_swept(number).await;
        if swept.map_err(RestoreError::Archive)? {
            let what = format!(
                "manifest {number} any more: it has been merged into later ones, which a time reaches"
            );
            return Err(RestoreError::Absent { what });
        }
        number
    } else {
        let tail = match archive.tail().await {
            Ok(tail) => tail,
            Err(error) => return Err(explained(archive, error).await),
        };
        writer.total = match &request.tenant {
            Some(tenant) => tail.chains.get(tenant).map_or(0, |tip| tip.head.seq),
            None => tail.entries(),
        };
        if let Until::Time(time) = request.until {
            if time > tail.time {
                let reaches = tail.time;
                return Err(RestoreError::Beyond { time, reaches });
            }
            // The first entry of one chain may be in any segment.
            if request.tenant.is_none() {
                until = time;
            }
        }
        tail.number
    };
    let wanted = Wanted::UpTo(until, request.tenant.clone());
    let walk = Walk::new(archive, last, wanted).await;
    let mut walk = walk.map_err(RestoreError::Archive)?;
    writer.begin(archive, walk.snapshots()).await?;
    while let Some(step) = writer
        .meanwhile(walk.next())
        .await?
        .map_err(RestoreError::Archive)?
    {
        if request.tenant.is_none()
            && let Some(since) = step.since
        {
            writer.saw(since);
        }
        for (_, entries) in step.chains() {
            writer.take(entries).await?;
        }
    }
    Ok(())
}

pub(super) async fn from_store(
    store: &dyn Store,
    writer: &mut Writer<'_>,
) -> Result<(), RestoreError> {
    let request = writer.request;
    if matches!(request.until, Until::Manifest(_)) {
        let what = "only an archive has manifests";
        return Err(RestoreError::Unclear { what });
    }
    let mut chains = store.chains().await.map_err(RestoreError::Source)?;
    chains.retain(|(tenant, _)| request.tenant.as_ref().is_none_or(|only| only == tenant));
    writer.total = chains.iter().map(|(_, tip)| tip.head.seq).sum();
    let mut buffer = Vec::new();
    for (tenant, end) in chains {
        let mut tip = Tip::default();
        while tip.head.seq < end.head.seq {
            let query = Query::new(tenant.clone()).after(tip.head.seq);
            let read = writer.meanwhile(store.read(query)).await?;
            let mut entries = read.map_err(RestoreError::Source)?;
            entries.retain(|entry| entry.seq <= end.head.seq);
            let broken = |intact: u64| RestoreError::Broken {
                tenant: tenant.clone(),
                seq: intact + 1,
                intact,
            };
            if entries.is_empty() {
                return Err(broken(tip.head.seq));
            }
            for entry in &entries {
                if entry.seq != tip.head.seq + 1
                    || entry.prev != tip.head.hash
                    || (tip.head.seq > 0 && entry.time < tip.time)
                    || hash(entry, &mut buffer) != entry.hash
                {
                    return Err(broken(tip.head.seq));
                }
                tip = Tip {
                    head: entry.head(),
                    time: entry.time,
                };
            }
            if !writer.take(entries).await? {
                break;
            }
        }
    }
    Ok(())
}

/// Recomputes the hash of `entry`. `buffer` only saves an allocation.
fn hash(entry: &Entry, buffer: &mut Vec<u8>) -> Hash {
    entry.encode(buffer);
    Hash::of(buffer)
}
