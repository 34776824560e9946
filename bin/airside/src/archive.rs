//! The archive of a ledger, written by a node and read by commands.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airside_archive::{
    Access, Archive, Archiver, Error, KeyAt, KmsKey, Objects, Options, Schedule, Upkeep,
    drill::Driller, restore::Folds,
};
use airside_base::{NodeId, Supervisor, SystemClock};
use airside_config::ArchivePlace;
use airside_ledger::Ledger;
use url::Url;

use crate::{
    cli,
    failure::{Exit, Failure},
    ledger::source::unreadable,
};

/// The key file in the data folder, unless another is named.
const KEY: &str = "archive.key";
/// The folder of drills in the data folder.
const SCRATCH: &str = "drill";
/// The folder in the data folder where tables are folded for a snapshot.
const SNAPSHOT: &str = "snapshot";
/// How long an append waits for the archive. Longer than the lease of a node that
/// was killed, which has to end first.
const ACK_LIMIT: Duration = Duration::from_secs(15);

/// Returns the tables of this installation.
pub(crate) fn folds() -> Folds {
    Folds::default()
        .with::<airside_supply::opera::Reservations>()
        .with::<airside_contracts::event::Contracts>()
        .with::<airside_travel::Homes>()
        .with::<airside_travel::Reservations>()
        .with::<airside_travel::Sessions>()
        .with::<airside_travel::Bookings>()
        .with::<airside_travel::KeyUses>()
        .with::<airside_travel::Settlements>()
        .with::<airside_travel::Travellers>()
        .with::<airside_limits::Quotas>()
        .with::<airside_gateway::approval::Approvals>()
        .with::<airside_inventory::mitigation::Mitigations>()
        .with::<airside_governance::lot::Lots>()
        .with::<airside_evals::history::Evaluations>()
        .with::<airside_governance::lot::Regimes>()
        .with::<airside_governance::register::Findings>()
        .with::<airside_governance::register::Trees>()
        .with::<airside_governance::lesson::Lessons>()
}

/// Opens the archive at `url` for reading.
pub(crate) async fn open(
    url: &Url,
    at: &cli::ArchiveAt,
    folder: &Path,
) -> Result<Archive, Failure> {
    let kms = at.archive_kms.as_ref().map(|key| KmsKey {
        arn: key.clone(),
        endpoint: at.archive_kms_endpoint.clone(),
        credentials: at.archive_credentials.clone(),
    });
    let key = KeyAt::new(kms, key_in(folder, at.archive_key.as_deref()));
    let access = Access {
        endpoint: at.archive_endpoint.clone(),
        region: at.archive_region.clone(),
        credentials: at.archive_credentials.clone(),
    };
    let there = |error| failed(&error).with_detail(format!("looked at: {url}"));
    let objects = Objects::existing(url, &access).map_err(there)?;
    if Archive::is_absent(&objects).await.map_err(|e| failed(&e))? {
        return Err(there(Error::Absent));
    }
    let vault = key.open(false).map_err(|error| failed(&error))?;
    let opened = Archive::open(objects, vault).await;
    opened.map_err(|error| failed(&error))
}

/// Starts to write the archive that `place` names, if it names one. Returns the ledger
/// that others shall append to.
pub(crate) async fn keep(
    ledger: &Ledger,
    folder: &Path,
    place: &ArchivePlace,
    keeper: &Supervisor,
) -> Result<Ledger, Failure> {
    let Some(url) = &place.url else {
        return Ok(ledger.clone());
    };
    let key_file = key_in(folder, place.key_file.as_deref());
    let key = KeyAt::new(place.kms.as_ref().map(Into::into), key_file);
    let archive = open_or_create(url, &place.access(), &key).await;
    let archive = archive.map_err(|error| failed(&error))?;
    let clock = Arc::new(SystemClock::new());
    let node = NodeId::generate(&*clock);
    let options = Options {
        flush: Duration::from_millis(place.flush_ms),
        eager: place.remote_ack,
        ..Options::default()
    };
    let archiver = Archiver::new(
        ledger.clone(),
        archive.clone(),
        clock.clone(),
        node,
        options,
    );
    let archiver = archiver.await.map_err(|error| failed(&error))?;
    let watch = archiver.watch();
    let schedule = Schedule {
        keep: Duration::from_secs(place.keep_days.get() * 24 * 3600),
        ..Schedule::default()
    };
    let tables = folder.join(SNAPSHOT);
    let upkeep = Upkeep::new(&archiver, Arc::new(folds()), tables, schedule).await;
    upkeep.map_err(|error| failed(&error))?.start(keeper);
    archiver.start(keeper);
    let scratch = folder.join(SCRATCH);
    Driller::new(ledger.clone(), archive, folds(), scratch, clock, node).start(keeper);
    if place.remote_ack {
        return Ok(ledger.clone().with_remote_ack(watch.reached(), ACK_LIMIT));
    }
    Ok(ledger.clone())
}

async fn open_or_create(url: &Url, access: &Access, key: &KeyAt) -> Result<Archive, Error> {
    let objects = Objects::open(url, access)?;
    // A key is made for a new archive only: another could not read the present one.
    let vault = key.open(Archive::is_absent(&objects).await?)?;
    Archive::open_or_create(objects, vault, &SystemClock::new()).await
}

fn key_in(folder: &Path, named: Option<&Path>) -> PathBuf {
    named.map_or_else(|| folder.join(KEY), Path::to_owned)
}

/// What the archive says about itself; its operator is the one who reads this.
pub(crate) fn failed(error: &Error) -> Failure {
    let exit = match error {
        Error::Missing { .. }
        | Error::Damaged { .. }
        | Error::Broken { .. }
        | Error::Forked { .. }
        | Error::Ahead { .. } => Exit::Broken,
        Error::Url { .. }
        | Error::Access(_)
        | Error::Storage { .. }
        | Error::Timeout { .. }
        | Error::Absent
        | Error::WrongKey { .. }
        | Error::Vault(_)
        | Error::Version { .. }
        | Error::Taken { .. }
        | Error::Interrupted(_)
        | Error::Read(_)
        | Error::Lease(_) => Exit::Failed,
    };
    unreadable(exit, &error.fault())
}
