//! `airside erase` and `airside export`, and what a node owes to erasures.
//!
//! # Invariants
//!
//! * A vault key is made only together with a new key store: another one could not open
//!   what is there.
//! * An export is made for this user alone and never replaces a file.

use std::{
    fs,
    io::{BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use airside_base::{Fault, Supervisor, SystemClock};
use airside_ledger::{
    Ledger,
    erasure::Eraser,
    export::{Exported, export as write_export},
    keys::{
        Keys,
        sqlite::{FILE, SqliteKeys},
    },
    stores::sqlite,
    vault::file::FileVault,
};
use serde_json::{Value, json};

use crate::{
    archive, cli,
    failure::{Exit, Failure},
    ledger::source::{self, refused, unreadable},
    node::folder,
    output::Out,
    target::block_on,
    text::printable,
};

/// File of the key that wraps the keys of persons.
const VAULT_KEY: &str = "vault.key";
/// Longest wait for the tasks of a ledger to end.
const CLOSE: Duration = Duration::from_secs(30);

/// Runs `airside erase`.
pub(crate) fn erase(args: &cli::Erase, out: &mut Out) -> Result<(), Failure> {
    block_on(async {
        let supervisor = Supervisor::new();
        let place = &args.ledger;
        let url_file = place.url_file.as_deref();
        if url_file.is_none() && !place.data_dir.join(folder::LEDGER).exists() {
            let folder = place.data_dir.clone();
            let absent = sqlite::OpenError::Absent { folder };
            return Err(refused(&place.data_dir, &absent));
        }
        let ledger = source::own(&place.data_dir, url_file, &supervisor).await?;
        let keys = keys(&place.data_dir)?;
        let eraser = Eraser::new(&ledger, &keys);
        eraser
            .resume()
            .await
            .map_err(|error| told(&error.fault()))?;
        let purposes = args.purposes.iter().copied().collect();
        let done = eraser
            .erase(&args.chain.tenant, &args.subject, &purposes)
            .await;
        supervisor.stop(CLOSE).await;
        let done = done.map_err(|error| told(&error.fault()))?;
        if out.is_json() {
            return out.json_pretty(&json!({ "ok": true, "erased": done }));
        }
        let what = match done.repeated {
            true => "nothing was left to erase",
            false => "erased",
        };
        out.line(&format!(
            "{what}: {} keys of {} are destroyed, entry {}",
            done.keys, args.subject, done.entry
        ))
    })
}

/// Runs `airside export`.
pub(crate) fn export(args: &cli::Export, out: &mut Out) -> Result<(), Failure> {
    block_on(async {
        let supervisor = Supervisor::new();
        let place = &args.ledger;
        let url_file = place.url_file.as_deref();
        let store = source::inspect(&place.data_dir, url_file, &supervisor).await?;
        let ledger = source::open(store, &supervisor).await?;
        let keys = keys(&place.data_dir)?;
        let written = match &args.output {
            Some(file) => to_file(args, &ledger, &keys, file, out).await,
            None => {
                let mut text = Vec::new();
                let exported = run(args, &ledger, &keys, &mut text).await;
                exported.and_then(|_| {
                    let document: Value = serde_json::from_slice(&text).expect("an export is JSON");
                    out.json_pretty(&document)
                })
            }
        };
        supervisor.stop(CLOSE).await;
        written
    })
}

async fn to_file(
    args: &cli::Export,
    ledger: &Ledger,
    keys: &Keys,
    file: &Path,
    out: &mut Out,
) -> Result<(), Failure> {
    let made = fs::File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file);
    let made = made.map_err(|error| folder::unusable(file, &error))?;
    let mut text = BufWriter::new(made);
    let done = run(args, ledger, keys, &mut text).await;
    let synced = text.flush().and_then(|()| text.get_ref().sync_all());
    let exported = match (done, synced) {
        (Ok(exported), Ok(())) => exported,
        (done, synced) => {
            // A part is worse than nothing: it looks like all.
            let _ = fs::remove_file(file);
            done?;
            synced.map_err(|error| folder::unusable(file, &error))?;
            return Ok(());
        }
    };
    if out.is_json() {
        return out.json_pretty(&json!({ "ok": true, "exported": exported }));
    }
    out.line(&format!(
        "exported: {} entries and {} documents to {}",
        exported.entries,
        exported.documents,
        printable(&file.display().to_string())
    ))
}

async fn run(
    args: &cli::Export,
    ledger: &Ledger,
    keys: &Keys,
    text: &mut (dyn std::io::Write + Send),
) -> Result<Exported, Failure> {
    let tables: Vec<&'static str> = archive::folds().names().collect();
    let parts = (ledger, keys, &SystemClock::new() as _);
    let exported = write_export(parts, &args.chain.tenant, &args.subject, &tables, text);
    exported.await.map_err(|error| told(&error.fault()))
}

/// Brings the keys in `folder` up to the erasures of the ledger, before anything is
/// read with them.
pub(crate) async fn resume(ledger: &Ledger, folder: &Path) -> Result<(), Failure> {
    if !folder.join(FILE).exists() {
        return Ok(());
    }
    let keys = keys(folder)?;
    let finished = Eraser::new(ledger, &keys).resume().await;
    let finished = finished.map_err(|error| told(&error.fault()))?;
    if finished > 0 {
        tracing::info!(finished, "finished erasures that a crash had cut off");
    }
    Ok(())
}

/// Opens the keys of persons in `folder`, and makes them if there are none.
pub(crate) fn keys(folder: &Path) -> Result<Keys, Failure> {
    let (store, vault) = (folder.join(FILE), folder.join(VAULT_KEY));
    let vault = match store.exists() {
        true => FileVault::load(&vault),
        false => FileVault::load_or_create(&vault),
    };
    let vault = vault.map_err(|error| told(&error.fault()))?;
    let store = SqliteKeys::open(&store).map_err(|error| told(&error.fault()))?;
    let clock = Arc::new(SystemClock::new());
    Ok(Keys::new(Arc::new(store), Arc::new(vault), clock))
}

fn told(fault: &Fault) -> Failure {
    unreadable(Exit::Failed, fault)
}
