//! `airside erase` and `airside export`, and what a node owes to erasures.
//!
//! # Invariants
//!
//! * A running node does the work itself, so that it knows of it. The files are opened
//!   directly when none runs.
//! * An export is made for this user alone, never replaces a file, and is there whole
//!   or not at all.

use std::{
    fs,
    io::{BufWriter, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airside_api::{Client, client, wire};
use airside_base::{Fault, Supervisor, SystemClock};
use airside_ledger::{
    Ledger,
    conversation::Conversations,
    erasure::Eraser,
    export::{Sink, export as write_export},
    keys::Keys,
    stores::sqlite,
};
use serde_json::{Value, json};

use crate::{
    archive, cli,
    failure::{Exit, Failure},
    keys::Place,
    ledger::source::{self, refused, unreadable},
    node::folder,
    output::Out,
    target::{self, block_on},
    text::printable,
};

/// Longest wait for the tasks of a ledger to end.
const CLOSE: Duration = Duration::from_secs(30);

/// Where the work is done.
pub(crate) enum Desk {
    /// By the running node.
    Node(Client),
    /// Here, since none runs.
    Files(Box<Files>),
}

/// An installation opened by this command.
pub(crate) struct Files {
    ledger: Ledger,
    keys: Arc<Keys>,
    supervisor: Supervisor,
}

/// What a command wants with the files of an installation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Read,
    Write,
}

impl Desk {
    /// Finds the node that `place` names, or opens its files for what is `wished`.
    pub(crate) async fn open(place: &cli::DeskArgs, wished: Wish) -> Result<Self, Failure> {
        if place.ledger.url_file.is_none() {
            let node = cli::NodeArgs {
                data_dir: place.ledger.data_dir.clone(),
                control: place.control,
                key_file: place.key_file.clone(),
            };
            let key = target::read_key(node.key_file.as_deref())?;
            let client = target::control(&node, key, &Supervisor::new());
            match client.status().await {
                Ok(_) => return Ok(Self::Node(client)),
                Err(client::Error::NotRunning { .. }) if node.control.is_none() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let files = Files::open(place, wished).await?;
        Ok(Self::Files(Box::new(files)))
    }

    pub(crate) async fn close(self) {
        if let Self::Files(files) = self {
            let Files {
                ledger, supervisor, ..
            } = *files;
            drop(ledger);
            supervisor.stop(CLOSE).await;
        }
    }
}

impl Files {
    async fn open(place: &cli::DeskArgs, wished: Wish) -> Result<Self, Failure> {
        let supervisor = Supervisor::new();
        let (folder, url_file) = (&place.ledger.data_dir, place.ledger.url_file.as_deref());
        if url_file.is_none() && !folder.join(folder::LEDGER).exists() {
            let folder = folder.clone();
            let absent = sqlite::OpenError::Absent {
                folder: folder.clone(),
            };
            return Err(refused(&folder, &absent));
        }
        let ledger = match wished {
            Wish::Write => source::own(folder, url_file, &supervisor).await?,
            Wish::Read => {
                let store = source::inspect(folder, url_file, &supervisor).await?;
                source::open(store, &supervisor).await?
            }
        };
        let keys = Place::named(place).open().await?;
        if wished == Wish::Write {
            resume(&ledger, &keys).await?;
        }
        Ok(Self {
            ledger,
            keys,
            supervisor,
        })
    }

    /// Returns all conversations, those of every region.
    pub(crate) fn conversations(&self, place: &cli::DeskArgs) -> Conversations {
        let clock = Arc::new(SystemClock::new());
        let region = place.region.clone();
        Conversations::new(self.ledger.clone(), self.keys.clone(), clock, region)
    }
}

/// Runs `airside erase`.
pub(crate) fn erase(args: &cli::Erase, out: &mut Out) -> Result<(), Failure> {
    block_on(async {
        let desk = Desk::open(&args.desk, Wish::Write).await?;
        let (tenant, subject) = (&args.chain.tenant, &args.subject);
        let done = match &desk {
            Desk::Node(client) => {
                let done = client.erase(tenant, subject, &args.purposes).await;
                done.map_err(Failure::from)
            }
            Desk::Files(files) => {
                let eraser = Eraser::new(&files.ledger, &files.keys);
                let purposes = args.purposes.iter().copied().collect();
                let done = eraser.erase(tenant, subject, &purposes).await;
                done.map(wire::Erased::from)
                    .map_err(|error| told(&error.fault()))
            }
        };
        desk.close().await;
        let done = done?;
        if out.is_json() {
            return out.json_pretty(&json!({ "ok": true, "erased": done }));
        }
        let what = match done.repeated {
            true => "nothing was left to erase",
            false => "erased",
        };
        out.line(&format!(
            "{what}: {} keys of {subject} are destroyed, entry {}",
            done.keys, done.entry
        ))
    })
}

/// Runs `airside export`.
pub(crate) fn export(args: &cli::Export, out: &mut Out) -> Result<(), Failure> {
    block_on(async {
        let desk = Desk::open(&args.desk, Wish::Read).await?;
        let written = match &args.output {
            Some(file) => to_file(args, &desk, file, out).await,
            None => {
                let mut text = Vec::new();
                let exported = run(args, &desk, &mut text).await;
                exported.and_then(|()| {
                    let document: Value = serde_json::from_slice(&text).expect("an export is JSON");
                    out.json_pretty(&document)
                })
            }
        };
        desk.close().await;
        written
    })
}

async fn to_file(
    args: &cli::Export,
    desk: &Desk,
    file: &Path,
    out: &mut Out,
) -> Result<(), Failure> {
    let part = Part::beside(file)?;
    let made = part
        .make()
        .map_err(|error| folder::unusable(file, &error))?;
    let mut text = BufWriter::new(made);
    run(args, desk, &mut text).await?;
    let kept = text
        .flush()
        .and_then(|()| text.get_ref().sync_all())
        .and_then(|()| part.keep_as(file));
    kept.map_err(|error| folder::unusable(file, &error))?;
    let size = text.get_ref().metadata().map_or(0, |found| found.len());
    if out.is_json() {
        return out.json_pretty(&json!({ "ok": true, "exported": { "bytes": size } }));
    }
    out.line(&format!(
        "exported: {size} bytes to {}",
        printable(&file.display().to_string())
    ))
}

/// A file on its way. Goes away unless it is kept: a part would look like all.
struct Part(PathBuf);

impl Part {
    fn beside(file: &Path) -> Result<Self, Failure> {
        let Some(name) = file.file_name() else {
            let error = std::io::Error::from(std::io::ErrorKind::IsADirectory);
            return Err(folder::unusable(file, &error));
        };
        let mut name = name.to_owned();
        name.push(format!(".part-{}", std::process::id()));
        Ok(Self(file.with_file_name(name)))
    }

    fn make(&self) -> std::io::Result<fs::File> {
        let mut options = fs::File::options();
        options.write(true).create_new(true).mode(0o600);
        options.open(&self.0)
    }

    fn keep_as(&self, file: &Path) -> std::io::Result<()> {
        // A link, unlike a renaming, does not replace what is there.
        fs::hard_link(&self.0, file)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It may never have been made.
        let _ = fs::remove_file(&self.0);
    }
}

async fn run(args: &cli::Export, desk: &Desk, text: &mut dyn Sink) -> Result<(), Failure> {
    let (tenant, subject) = (&args.chain.tenant, &args.subject);
    match desk {
        Desk::Node(client) => {
            let mut parts = client.export(tenant, subject).await?;
            while let Some(part) = parts.next().await? {
                let taken = text.take(part.to_vec()).await;
                taken.map_err(Failure::from)?;
            }
            Ok(())
        }
        Desk::Files(files) => {
            let tables: Vec<&'static str> = archive::folds().names().collect();
            let parts = (&files.ledger, &*files.keys, &SystemClock::new() as _);
            let exported = write_export(parts, tenant, subject, &tables, text).await;
            exported.map(drop).map_err(|error| told(&error.fault()))
        }
    }
}

/// Brings `keys` up to the erasures of the ledger, before anything is read with them.
pub(crate) async fn resume(ledger: &Ledger, keys: &Keys) -> Result<(), Failure> {
    let finished = Eraser::new(ledger, keys).resume().await;
    let finished = finished.map_err(|error| told(&error.fault()))?;
    if finished > 0 {
        tracing::info!(finished, "finished erasures that a crash had cut off");
    }
    Ok(())
}

pub(crate) fn told(fault: &Fault) -> Failure {
    unreadable(Exit::Failed, fault)
}
