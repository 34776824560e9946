//! Runs on disk: one line for each trial, so that nothing had is had twice.
//!
//! # Invariants
//!
//! * Trials stay on disk. What a run holds are the sums that statistics need of each case
//!   ([`Sums`]): they grow neither with the number of trials nor with what was said.
//! * Reports read the trials again, one after the other.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{File, OpenOptions},
    hash::Hash,
    io::{self, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::Fingerprint;
use crate::{
    grade::{Reason, Verdict},
    lines,
    rubric::{Judged, Opinions, Standing},
    stats::{Plan, Tally},
    tool::Tool,
    trace::{Trace, Usage},
};

/// Name of the file with the trials.
pub const TRIALS: &str = "trials.jsonl";
/// Name of the file with the tools.
const TOOLS: &str = "tools.json";
/// Largest file of tools, in bytes.
const MAX_TOOLS: u64 = 64 << 20;

/// One trial of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The case.
    pub case: String,
    /// The trial, from 0.
    pub trial: u64,
    /// What it was judged to be.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<Reason>,
    /// What decided it.
    pub fingerprint: Fingerprint,
    /// What happened.
    pub trace: Trace,
    /// What a judge thinks of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
}

/// What is remembered of the trials of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct Sums {
    /// What decided the last trial. Those before it under another are an earlier result.
    pub fingerprint: Fingerprint,
    /// How often the case passed under it.
    pub tally: Tally,
    /// How often the first trials under it passed, those that every case has: later ones
    /// were chosen because of a failure.
    pub screened: Tally,
    /// Trials that showed nothing about the model.
    pub invalid: u64,
    /// What a judge thought of trials under the fingerprint.
    pub opinions: Opinions,
    /// The last trial that did not pass: its verdict, and why.
    pub last: Option<(Verdict, Vec<Reason>)>,
    /// Number of the next trial.
    next: u64,
}

/// What is remembered of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// The suite.
    pub suite: String,
    /// The model.
    pub model: String,
    /// How many trials its cases have.
    pub plan: Plan,
    /// What the opinions of its judge count for, if it has one.
    pub judge: Option<Standing>,
    /// What all trials cost, their judge included.
    pub usage: Usage,
    cases: BTreeMap<Box<str>, Sums>,
    /// Digests, and lists of them, that trials share.
    digests: HashSet<Arc<str>>,
    lists: HashSet<Arc<BTreeMap<String, String>>>,
}

/// The first line of a run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    suite: String,
    model: String,
    format: u32,
    #[serde(default)]
    plan: Plan,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    judge: Option<Standing>,
}

/// Version of the format of runs.
const FORMAT: u32 = 1;

/// Why a run cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The file cannot be used.
    #[error("the run {} cannot be used", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The folder holds a run of something else.
    #[error("{} holds a run of `{suite}` with `{model}`", .path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// Its suite.
        suite: String,
        /// Its model.
        model: String,
    },
}

/// A run that is kept as it goes on.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    file: File,
    run: Run,
}

/// The trials of a run, read one after the other. A last line that was cut off by a
/// crash is passed over.
#[derive(Debug)]
pub struct Records {
    path: PathBuf,
    file: BufReader<File>,
    head: Head,
    ahead: Option<String>,
}

impl Records {
    /// Opens the run in `folder`.
    ///
    /// # Errors
    ///
    /// When it is not there or not a run.
    pub fn open(folder: &Path) -> Result<Self, KeptError> {
        let path = folder.join(TRIALS);
        let open = || -> io::Result<_> {
            let mut file = BufReader::new(File::open(&path)?);
            let head = lines::next(&mut file)?.unwrap_or_default();
            let head = serde_json::from_str(&head).map_err(io::Error::other)?;
            let ahead = lines::next(&mut file)?;
            Ok((file, head, ahead))
        };
        match open() {
            Ok((file, head, ahead)) => Ok(Self {
                path,
                file,
                head,
                ahead,
            }),
            Err(source) => Err(KeptError::File { path, source }),
        }
    }

    fn read(&mut self) -> io::Result<Option<Record>> {
        let Some(line) = self.ahead.take() else {
            return Ok(None);
        };
        self.ahead = lines::next(&mut self.file)?;
        match serde_json::from_str(&line) {
            Ok(record) => Ok(Some(record)),
            Err(_) if self.ahead.is_none() => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, KeptError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().map_err(|source| {
            self.ahead = None;
            KeptError::File {
                path: self.path.clone(),
                source,
            }
        });
        read.transpose()
    }
}

/// Reads what is remembered of a run.
///
/// # Errors
///
/// When it is not there or not a run.
pub fn load(folder: &Path) -> Result<Run, KeptError> {
    let records = Records::open(folder)?;
    let mut run = Run::new(&records.head);
    for record in records {
        run.add(&record?);
    }
    Ok(run)
}

/// Keeps the tools that were there.
///
/// # Errors
///
/// When they cannot be written.
pub fn keep_tools(folder: &Path, tools: &[Tool]) -> Result<(), KeptError> {
    let path = folder.join(TOOLS);
    let all: Vec<&serde_json::Value> = tools.iter().map(Tool::definition).collect();
    let text = serde_json::to_vec(&all).map_err(io::Error::other);
    text.and_then(|text| std::fs::write(&path, text))
        .map_err(|source| KeptError::File { path, source })
}

/// Returns the tools that were there when a run was had.
///
/// # Errors
///
/// When they cannot be read.
pub fn tools(folder: &Path) -> Result<Vec<Tool>, KeptError> {
    let path = folder.join(TOOLS);
    let read = || -> io::Result<Vec<serde_json::Value>> {
        let mut text = Vec::new();
        File::open(&path)?.take(MAX_TOOLS).read_to_end(&mut text)?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    };
    let all = read().map_err(|source| KeptError::File {
        path: path.clone(),
        source,
    })?;
    Ok(all.into_iter().filter_map(Tool::read).collect())
}

impl Keeper {
    /// Opens the run in `folder`, or begins one.
    pub(super) fn open(
        folder: &Path,
        suite: &str,
        model: &str,
        plan: Plan,
        judge: Option<Standing>,
    ) -> Result<Self, KeptError> {
        let path = folder.join(TRIALS);
        let failed = |source| KeptError::File {
            path: path.clone(),
            source,
        };
        let before = match path.is_file() {
            true => Some(Records::open(folder)?),
            false => None,
        };
        if let Some(Records { head, .. }) = &before
            && (head.suite != suite || head.model != model)
        {
            return Err(KeptError::Other {
                path: folder.to_owned(),
                suite: head.suite.clone(),
                model: head.model.clone(),
            });
        }
        std::fs::create_dir_all(folder).map_err(failed)?;
        // Written anew, so that a line cut off by a crash is gone.
        let whole = folder.join(format!("{TRIALS}.new"));
        let mut file = File::create(&whole).map_err(failed)?;
        let head = Head {
            suite: suite.to_owned(),
            model: model.to_owned(),
            format: FORMAT,
            plan,
            judge,
        };
        write_line(&mut file, &head).map_err(failed)?;
        let mut run = Run::new(&head);
        for record in before.into_iter().flatten() {
            let record = record?;
            write_line(&mut file, &record).map_err(failed)?;
            run.add(&record);
        }
        file.sync_all().map_err(failed)?;
        std::fs::rename(&whole, &path).map_err(failed)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(failed)?;
        Ok(Self { path, file, run })
    }

    /// Returns what the trials so far have cost.
    pub(super) fn usage(&self) -> &Usage {
        &self.run.usage
    }

    /// Returns how often `case` has passed under this fingerprint, and the next trial.
    pub(super) fn tally(&self, case: &str, fingerprint: &Fingerprint) -> (Tally, u64) {
        let Some(sums) = self.run.of(case) else {
            return (Tally::default(), 0);
        };
        let tally = match sums.fingerprint == *fingerprint {
            true => sums.tally,
            false => Tally::default(),
        };
        (tally, sums.next)
    }

    /// Keeps one more trial.
    pub(super) fn add(&mut self, record: &Record) -> Result<(), KeptError> {
        write_line(&mut self.file, record).map_err(|source| KeptError::File {
            path: self.path.clone(),
            source,
        })?;
        self.run.add(record);
        Ok(())
    }

    /// Returns the whole run.
    pub(super) fn finish(self) -> Run {
        self.run
    }
}

fn write_line(file: &mut File, value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::other)?;
    line.push(b'\n');
    file.write_all(&line)
}

/// Returns the one of `all` that equals `value`, which becomes one of them.
fn shared<T: ?Sized + Eq + Hash>(all: &mut HashSet<Arc<T>>, value: &Arc<T>) -> Arc<T> {
    match all.get(value) {
        Some(known) => known.clone(),
        None => {
            all.insert(value.clone());
            value.clone()
        }
    }
}

impl Run {
    fn new(head: &Head) -> Self {
        Self {
            suite: head.suite.clone(),
            model: head.model.clone(),
            plan: head.plan,
            judge: head.judge.clone(),
            ..Self::default()
        }
    }

    /// Returns whether there is no trial.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Returns what is remembered of a case.
    #[must_use]
    pub fn of(&self, case: &str) -> Option<&Sums> {
        self.cases.get(case)
    }

    /// Counts one more trial.
    fn add(&mut self, record: &Record) {
        self.usage.add(&record.trace.usage);
        let judged = record.judged.iter();
        judged.for_each(|judged| self.usage.add(&judged.usage));
        let fingerprint = self.shared(&record.fingerprint);
        let screen = self.plan.screen.max(1);
        let sums = match self.cases.get_mut(record.case.as_str()) {
            Some(sums) => sums,
            None => self
                .cases
                .entry(record.case.as_str().into())
                .or_insert_with(|| Sums::new(fingerprint.clone())),
        };
        if sums.fingerprint != fingerprint {
            sums.fingerprint = fingerprint;
            (sums.tally, sums.screened, sums.opinions) = Default::default();
        }
        record.judged.iter().for_each(|one| sums.opinions.add(one));
        sums.next = sums.next.max(record.trial + 1);
        match record.verdict {
            Verdict::Pass | Verdict::Fail => {
                let passed = record.verdict == Verdict::Pass;
                if sums.tally.trials < screen {
                    sums.screened.add(passed);
                }
                sums.tally.add(passed);
            }
            Verdict::Inconclusive | Verdict::Invalid => sums.invalid += 1,
        }
        if record.verdict != Verdict::Pass {
            sums.last = Some((record.verdict, record.reasons.clone()));
        }
    }

    /// Returns a fingerprint whose parts are held once for all trials that have them.
    fn shared(&mut self, fingerprint: &Fingerprint) -> Fingerprint {
        let digests = &mut self.digests;
        Fingerprint {
            model: shared(digests, &fingerprint.model),
            system: shared(digests, &fingerprint.system),
            case: fingerprint.case.clone(),
            server: shared(digests, &fingerprint.server),
            judge: shared(digests, &fingerprint.judge),
            tools: shared(&mut self.lists, &fingerprint.tools),
        }
    }

    /// Returns how often each case passed, under its latest fingerprint.
    #[must_use]
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
        let cases = self.cases.iter();
        cases
            .map(|(case, sums)| (case.to_string(), sums.tally))
            .collect()
    }
}

impl Sums {
    fn new(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint,
            tally: Tally::default(),
            screened: Tally::default(),
            invalid: 0,
            opinions: Opinions::default(),
            last: None,
            next: 0,
        }
    }
}

#[cfg(test)]
mod tests;
