//! Deleting what has been superseded.
//!
//! # Invariants
//!
//! * Nothing is deleted that an index names which is younger than the time to keep, nor a
//!   manifest behind one: a restore that is under way, and one to each manifest since
//!   then, finds what it needs.
//! * An index says that manifests may be gone before the first of them is deleted.
//! * What is deleted is told by manifests and indexes, never by a list.

use std::{collections::HashSet, time::Duration};

use airside_base::Timestamp;
use airside_ledger::failpoint::{self, Point};

use super::{
    Archive, BLOCK,
    error::Error,
    manifest::{self, FULL_EVERY},
    upkeep::Swept,
};

/// Returns the manifest up to which everything may go, if the archive is to be readable
/// at each manifest of the time `keep` in front of `now`. `base` is the manifest that
/// names the present index.
pub(super) async fn floor(
    archive: &Archive,
    base: u64,
    now: Timestamp,
    keep: Duration,
) -> Result<u64, Error> {
    let Ok(horizon) = now.checked_sub(keep) else {
        return Ok(0);
    };
    let mut number = base;
    while number > 0 {
        let found = match archive.manifest(number).await {
            // Swept before.
            Err(Error::Missing { .. }) => return Ok(0),
            found => found?,
        };
        let Some(index) = found.0.index else {
            let what = "it names no index";
            return Err(Error::damaged(&manifest::name(number), what));
        };
        if found.0.time <= horizon {
            // The chains have to be told without manifests that are gone.
            return Ok(index.covers.saturating_sub(FULL_EVERY) / BLOCK * BLOCK);
        }
        number = index.previous;
    }
    Ok(0)
}

/// Deletes the manifests from `first` to `last` and what only they and their indexes name.
pub(super) async fn sweep(archive: &Archive, first: u64, last: u64) -> Result<Swept, Error> {
    let objects = &archive.inner.objects;
    // What an older index names and this one does not is named by no later one either.
    let kept = archive.index_for(last + 1).await?;
    let kept: HashSet<&str> = kept.objects().collect();
    let mut deleted = 0;
    for number in first..=last {
        let (manifest, _) = match archive.manifest(number).await {
            Err(Error::Missing { .. }) => continue,
            found => found?,
        };
        let mut gone: Vec<String> = Vec::new();
        gone.extend(manifest.segment.map(|segment| segment.object));
        if let Some(named) = manifest.index {
            match archive.index(&named).await {
                Ok(index) => gone.extend(index.objects().map(str::to_owned)),
                Err(Error::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
            gone.push(named.object);
        }
        gone.retain(|object| !kept.contains(&**object));
        // The first of each block leads to the last one without a list.
        if number % BLOCK != 1 {
            gone.push(manifest::name(number));
        }
        for object in gone {
            objects.delete(&object).await?;
            failpoint::reach(Point::SweepDeleted);
            deleted += 1;
        }
    }
    Ok(Swept {
        from: first,
        to: last,
        objects: deleted,
    })
}
