//! Runs on disk: one line for each trial, so that nothing had is had twice.
//!
//! # Invariants
//!
//! * Conversations stay on disk: what a run holds of a trial ([`Outcome`]) does not grow
//!   with what was said in it, and all trials share one list of tools.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{File, OpenOptions},
    io::{self, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::Fingerprint;
use crate::{
    grade::{Reason, Verdict},
    lines,
    stats::Tally,
    tool::Tool,
    trace::{Trace, Turn, Usage},
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
}

/// What is remembered of a trial whose conversation is on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
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
    /// What it cost.
    pub usage: Usage,
    /// The tool that was called first in each turn.
    pub first: Vec<Option<String>>,
}

impl Outcome {
    /// Returns what is remembered of `record`.
    #[must_use]
    pub fn of(record: Record) -> Self {
        let first = |turn: &Turn| turn.calls().next().map(|call| call.tool.clone());
        Self {
            first: record.trace.turns.iter().map(first).collect(),
            usage: record.trace.usage,
            case: record.case,
            trial: record.trial,
            verdict: record.verdict,
            reasons: record.reasons,
            fingerprint: record.fingerprint,
        }
    }
}

/// Lists of tools that trials share.
type Lists = HashSet<Arc<BTreeMap<String, String>>>;

/// All trials of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Run {
    /// The suite.
    pub suite: String,
    /// The model.
    pub model: String,
    /// The trials, in the order in which they ended.
    pub records: Vec<Outcome>,
    lists: Lists,
}

/// The first line of a run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    suite: String,
    model: String,
    format: u32,
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
    let mut run = Run::new(&records.head.suite, &records.head.model);
    for record in records {
        run.add(record?);
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
    pub(super) fn open(folder: &Path, suite: &str, model: &str) -> Result<Self, KeptError> {
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
        };
        write_line(&mut file, &head).map_err(failed)?;
        let mut run = Run::new(suite, model);
        for record in before.into_iter().flatten() {
            let record = record?;
            write_line(&mut file, &record).map_err(failed)?;
            run.add(record);
        }
        file.sync_all().map_err(failed)?;
        std::fs::rename(&whole, &path).map_err(failed)?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(failed)?;
        Ok(Self { path, file, run })
    }

    /// Returns the trials so far.
    pub(super) fn records(&self) -> &[Outcome] {
        &self.run.records
    }

    /// Returns how often `case` has passed under this fingerprint, and the next trial.
    pub(super) fn tally(&self, case: &str, fingerprint: &Fingerprint) -> (Tally, u64) {
        let mut tally = Tally::default();
        let mut next = 0;
        for record in self.run.records.iter().filter(|record| record.case == case) {
            next = next.max(record.trial + 1);
            if record.fingerprint == *fingerprint {
                match record.verdict {
                    Verdict::Pass => tally.add(true),
                    Verdict::Fail => tally.add(false),
                    Verdict::Inconclusive | Verdict::Invalid => {}
                }
            }
        }
        (tally, next)
    }

    /// Keeps one more trial.
    pub(super) fn add(&mut self, record: Record) -> Result<(), KeptError> {
        write_line(&mut self.file, &record).map_err(|source| KeptError::File {
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

impl Run {
    /// Returns a run without trials.
    #[must_use]
    pub fn new(suite: &str, model: &str) -> Self {
        Self {
            suite: suite.to_owned(),
            model: model.to_owned(),
            ..Self::default()
        }
    }

    /// Remembers one more trial.
    pub fn add(&mut self, record: Record) {
        let mut outcome = Outcome::of(record);
        let tools = &mut outcome.fingerprint.tools;
        match self.lists.get(tools) {
            Some(shared) => *tools = shared.clone(),
            None => {
                self.lists.insert(tools.clone());
            }
        }
        self.records.push(outcome);
    }

    /// Returns how often each case passed, under its latest fingerprint.
    #[must_use]
    pub fn tallies(&self) -> BTreeMap<String, Tally> {
        let mut latest: BTreeMap<&str, &Fingerprint> = BTreeMap::new();
        for record in &self.records {
            latest.insert(&record.case, &record.fingerprint);
        }
        let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
        for record in &self.records {
            if latest.get(record.case.as_str()) != Some(&&record.fingerprint) {
                continue;
            }
            let tally = tallies.entry(record.case.clone()).or_default();
            match record.verdict {
                Verdict::Pass => tally.add(true),
                Verdict::Fail => tally.add(false),
                Verdict::Inconclusive | Verdict::Invalid => {}
            }
        }
        tallies
    }
}
