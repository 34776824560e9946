//! `airside restore`.
//!
//! # Invariants
//!
//! * An SQLite target appears whole or not at all: it is written beside its place and
//!   renamed at the end.
//! * A target with any content is refused before anything is written.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
    time::Duration,
};

use airside_archive::{
    Archive,
    restore::{
        Difference, Digest, Rehearsal, Request, RestoreError, Restored, Source, difference,
        difference_about, digest, restore, restore_subject,
    },
};
use airside_base::{Clock as _, Fault, Kind, Supervisor, SystemClock};
use airside_ledger::{Progress, Store, StoreError, personal::SubjectId, stores::sqlite::Sqlite};
use indicatif::ProgressBar;
use serde_json::json;

use crate::{
    archive, backup, cli,
    failure::{Exit, Failure},
    ledger::source::{self, refused, unreadable},
    output::Out,
    target::block_on,
    text::printable,
};

/// Longest wait for the tasks of a store to end.
const CLOSE: Duration = Duration::from_secs(30);
/// Documents that a preview prints.
const SHOWN: usize = 20;

/// Where a ledger is brought back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder that does not exist or is empty.
    Sqlite(PathBuf),
    /// The database whose URL is in this file.
    Postgres(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("sqlite", folder)) if !folder.is_empty() => Ok(Self::Sqlite(folder.into())),
            Some(("postgres", file)) if !file.is_empty() && !file.starts_with("//") => {
                Ok(Self::Postgres(file.into()))
            }
            _ => Err(
                "write sqlite:FOLDER, or postgres:FILE with a file that holds the URL".to_owned(),
            ),
        }
    }
}

/// Runs `airside restore`.
pub(crate) fn run(args: &cli::Restore, out: &mut Out) -> Result<(), Failure> {
    block_on(async {
        let work = Work::open(args).await?;
        let done = match &args.into {
            None => work.preview(out).await,
            Some(Place::Sqlite(target)) => work.make_folder(target, out).await,
            Some(Place::Postgres(file)) => {
                let target = source::postgres(file, &work.supervisor).await?;
                let restored = work.restore(&target).await;
                report(&restored.map_err(|error| error.told(file))?, None, out)
            }
        };
        work.supervisor.stop(CLOSE).await;
        done
    })
}

/// What was asked for, with its source open.
struct Work<'a> {
    args: &'a cli::Restore,
    supervisor: Supervisor,
    archive: Option<Archive>,
    /// The present ledger: the source, or what a preview compares with.
    present: Option<Arc<dyn Store>>,
}

impl<'a> Work<'a> {
    async fn open(args: &'a cli::Restore) -> Result<Self, Failure> {
        let supervisor = Supervisor::new();
        let ledger = &args.ledger;
        let archive = match &args.archive {
            Some(url) => {
                let archive = archive::open(url, &args.at, &ledger.data_dir).await?;
                Some(archive.for_restore())
            }
            None => None,
        };
        let (folder, url_file) = (&ledger.data_dir, ledger.url_file.as_deref());
        let present = match (&archive, args.preview) {
            (None, _) => Some(source::inspect(folder, url_file, &supervisor).await?),
            (_, true) => Some(source::inspect_or_none((folder, url_file), &supervisor).await?),
            _ => None,
        };
        Ok(Self {
            args,
            supervisor,
            archive,
            present,
        })
    }

    fn source(&self) -> Source<'_> {
        match (&self.archive, &self.present) {
            (Some(archive), _) => Source::Archive(archive),
            (None, Some(store)) => Source::Store(&**store),
            (None, None) => unreachable!("one of them was opened"),
        }
    }

    fn request(&self) -> Request {
        Request {
            until: self.args.to,
            tenant: self.args.tenant.clone(),
            now: SystemClock::new().now(),
        }
    }

    async fn restore(&self, target: &Arc<dyn Store>) -> Result<(Restored, Digest), Unrestored> {
        let (source, request, folds) = (self.source(), self.request(), archive::folds());
        let bar = bar();
        let progress = |step: Progress| backup::draw(&bar, step);
        let clock = Arc::new(SystemClock::new());
        let restored = match &self.args.subject {
            None => restore(source, &request, target, &folds, clock, &progress).await,
            Some(subject) => {
                let scratch = Scratch::beside(&std::env::temp_dir().join("airside-person"))?;
                let rehearsal = rehearsal(&scratch)?;
                let what = (source, &request, subject);
                let found = restore_subject(what, &rehearsal, target, &folds, clock, &progress);
                let found = found.await;
                end(rehearsal).await?;
                found
            }
        };
        bar.finish_and_clear();
        let restored = restored?;
        let digest = digest(&**target, &folds).await;
        Ok((restored, digest.map_err(RestoreError::Target)?))
    }

    async fn make_folder(&self, target: &Path, out: &mut Out) -> Result<(), Failure> {
        if !is_free(target).map_err(|error| unmade(target, &error))? {
            return Err(Unrestored::from(RestoreError::NotEmpty).told(target));
        }
        let scratch = Scratch::beside(target)?;
        let tasks = Supervisor::new();
        let store = Sqlite::open(&scratch.folder, &tasks);
        let store: Arc<dyn Store> =
            Arc::new(store.map_err(|error| refused(&scratch.folder, &error))?);
        let restored = self.restore(&store).await;
        store.close().await;
        tasks.stop(CLOSE).await;
        let restored = restored.map_err(|error| error.told(target))?;
        scratch
            .rename(target)
            .map_err(|error| unmade(target, &error))?;
        report(&restored, Some(target), out)
    }

    async fn preview(&self, out: &mut Out) -> Result<(), Failure> {
        let scratch = Scratch::beside(&std::env::temp_dir().join("airside-preview"))?;
        let rehearsal = rehearsal(&scratch)?;
        let compared = self.compare(&rehearsal).await;
        end(rehearsal).await?;
        let (restored, difference) = compared?;
        if out.is_json() {
            return out.json_pretty(&json!({ "restored": restored, "difference": difference }));
        }
        show(&restored, self.args.subject.as_ref(), &difference, out)
    }

    async fn compare(&self, rehearsal: &Rehearsal) -> Result<(Restored, Difference), Failure> {
        let present = self.present.as_ref().expect("a preview has opened it");
        let (source, request, folds) = (self.source(), self.request(), archive::folds());
        let bar = bar();
        let progress = |step: Progress| backup::draw(&bar, step);
        let restored = rehearsal.run(source, &request, &folds, &progress).await;
        bar.finish_and_clear();
        let restored = restored.map_err(|error| failed(&error))?;
        let tenant = self.args.tenant.as_ref();
        let (present, moment) = (&**present, rehearsal.store());
        let found = match (tenant, &self.args.subject) {
            (Some(tenant), Some(subject)) => {
                difference_about(present, moment, (tenant, subject), &folds).await
            }
            _ => difference(present, moment, tenant, &folds).await,
        };
        Ok((restored, found.map_err(unread)?))
    }
}

pub(crate) fn rehearsal(scratch: &Scratch) -> Result<Rehearsal, Failure> {
    let rehearsal = Rehearsal::open(&scratch.folder.join("ledger"));
    rehearsal.map_err(|error| unreadable(Exit::Failed, &error.fault()))
}

pub(crate) async fn end(rehearsal: Rehearsal) -> Result<(), Failure> {
    let ended = rehearsal.end().await;
    ended.map_err(|error| unreadable(Exit::Failed, &error.fault()))
}

fn bar() -> ProgressBar {
    backup::bar("restoring {bar:40} {pos}/{len} entries, {eta} left")
}

fn show(
    restored: &Restored,
    subject: Option<&SubjectId>,
    difference: &Difference,
    out: &mut Out,
) -> Result<(), Failure> {
    out.line(&match subject {
        Some(subject) => format!("what was known of {subject} on {}", restored.time),
        None => format!(
            "a restore would bring back {} entries, the last of {}",
            restored.entries, restored.time
        ),
    })?;
    if difference.is_empty() {
        return out.line("nothing differs from the present ledger");
    }
    for chain in &difference.chains {
        let (present, restored) = (chain.present, chain.restored);
        out.line(&match present.cmp(&restored) {
            std::cmp::Ordering::Greater => format!(
                "{}: ends with entry {restored} instead of {present}; {} entries would be left out",
                chain.tenant,
                present - restored
            ),
            std::cmp::Ordering::Less => format!(
                "{}: ends with entry {restored} instead of {present}; {} entries would come back",
                chain.tenant,
                restored - present
            ),
            std::cmp::Ordering::Equal => {
                format!("{}: has other entries of the same number", chain.tenant)
            }
        })?;
    }
    for change in difference.documents.iter().take(SHOWN) {
        let what = match (change.present, change.restored) {
            (Some(_), None) => "would go",
            (None, _) => "would come back",
            (Some(_), Some(_)) => "would change",
        };
        let key = printable(&change.key);
        out.line(&format!("{}: {} {key} {what}", change.tenant, change.table))?;
    }
    let rest = difference.documents_total.saturating_sub(SHOWN as u64);
    if rest > 0 {
        out.line(&format!("and {rest} more documents"))?;
    }
    Ok(())
}

fn report(
    (restored, digest): &(Restored, Digest),
    target: Option<&Path>,
    out: &mut Out,
) -> Result<(), Failure> {
    if out.is_json() {
        let state = digest.state;
        return out.json_pretty(&json!({
            "ok": true, "restored": restored, "digest": state, "erasures": restored.erasures,
        }));
    }
    out.line(&format!(
        "restored: {} entries of {} chains, the last of {}",
        restored.entries,
        restored.heads.len(),
        restored.time
    ))?;
    out.line(&format!("state digest: {}", digest.state))?;
    let erasures = restored.erasures;
    if erasures > 0 {
        let line = format!("recorded on top: {erasures} erasures that came after the moment");
        out.line(&line)?;
    }
    out.line(
        "keys are in no backup: copy archive.key, seal.key, keys.db and vault.key from the former \
         data folder, or from where you keep them",
    )?;
    if let Some(target) = target {
        let folder = printable(&target.display().to_string());
        out.line(&format!("start with it: airside up --data-dir {folder}"))?;
    }
    Ok(())
}

/// A folder that goes with this value.
pub(crate) struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes a folder of its own beside `place`, for this user alone.
    pub(crate) fn beside(place: &Path) -> Result<Self, Failure> {
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(format!(".restoring-{}", std::process::id()));
        let folder = place.with_file_name(name);
        // Not one that exists: it may be of another user.
        std::os::unix::fs::DirBuilderExt::mode(&mut fs::DirBuilder::new(), 0o700)
            .create(&folder)
            .map_err(|error| unmade(&folder, &error))?;
        Ok(Self { folder })
    }

    fn rename(self, place: &Path) -> io::Result<()> {
        // An empty folder makes room by itself.
        fs::rename(&self.folder, place)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Renamed, it is not here any more.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn unmade(folder: &Path, error: &io::Error) -> Failure {
    let folder = printable(&folder.display().to_string());
    let fault = Fault::new(
        Kind::Unavailable,
        "CLI-014",
        format!("the folder {folder} cannot be made: {error}"),
    );
    let hint = "the folder that it is in has to be there, with room in its file system, and \
                writable for this user; nothing was changed";
    Failure::new(Exit::Failed, fault.with_hint(hint))
}

fn is_free(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut content) => Ok(content.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

fn unread(error: StoreError) -> Failure {
    failed(&RestoreError::Target(error))
}

/// Why a restore has not come to its end.
enum Unrestored {
    Refused(RestoreError),
    /// Of what is needed besides source and target.
    Failed(Failure),
}

impl From<RestoreError> for Unrestored {
    fn from(error: RestoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<Failure> for Unrestored {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Unrestored {
    /// Returns what the operator reads, with the target if that is what it is about.
    fn told(self, target: &Path) -> Failure {
        let error = match self {
            Self::Refused(error) => error,
            Self::Failed(failure) => return failure,
        };
        let failure = failed(&error);
        match error {
            RestoreError::NotEmpty
            | RestoreError::Unfinished
            | RestoreError::Target(_)
            | RestoreError::Mark(_)
            | RestoreError::Reopen(_)
            | RestoreError::Record(_) => {
                let target = printable(&target.display().to_string());
                failure.with_detail(format!("target: {target}"))
            }
            _ => failure,
        }
    }
}

pub(crate) fn failed(error: &RestoreError) -> Failure {
    match error {
        RestoreError::Archive(error) => archive::failed(error),
        RestoreError::Broken { .. } => unreadable(Exit::Broken, &error.fault()),
        RestoreError::Unclear { .. } => unreadable(Exit::Usage, &error.fault()),
        RestoreError::NotEmpty | RestoreError::Unfinished => {
            unreadable(Exit::InUse, &error.fault())
        }
        RestoreError::BeforeFirst { .. }
        | RestoreError::Beyond { .. }
        | RestoreError::Absent { .. }
        | RestoreError::Source(_)
        | RestoreError::Erasures(_)
        | RestoreError::Reopen(_)
        | RestoreError::Record(_)
        | RestoreError::Target(_)
        | RestoreError::Mark(_)
        | RestoreError::Fold { .. } => unreadable(Exit::Failed, &error.fault()),
    }
}
