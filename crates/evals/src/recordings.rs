//! Recorded conversations of others with the verdicts that were recorded for them.
//!
//! They prove the grader: what it says about a recording has to be what was recorded,
//! for every verdict that re-executing the recorded calls reproduces.
//!
//! # Invariants
//!
//! * An importer turns the published check of a task into an [`Expect`] and a recording
//!   into a [`Trace`], and knows no task by its id.
//! * A recording that shows nothing about the model (its provider failed, it belongs to
//!   other tasks than it says) is invalid and is not compared.

mod agentdojo;
mod bfcl;
mod bfcl_accepted;
pub mod import;
mod tau;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use airside_base::{Fault, Kind};
use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    expect::Expect,
    grade::{Context, Grade, Verdict, grade},
    state::Change,
    tool::{Tool, Tools},
    trace::{Answer, Arguments, Call, Step, Trace, Turn},
};

/// Most bytes of one recording.
const MAX_LINE: u64 = 64 << 20;

/// Why recordings cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{} line {line}: not a recording", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The check of a task is not understood.
    #[error("the check of `{task}` is not understood")]
    Check {
        /// The task.
        task: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A recording is of a task that there is not.
    #[error("{}: there is no task `{task}`", .path.display())]
    Task {
        /// The file.
        path: PathBuf,
        /// The task.
        task: String,
    },
    /// The folder holds none of the known kinds of recordings.
    #[error("{} holds no recordings of a known kind", .path.display())]
    Unknown {
        /// The folder.
        path: PathBuf,
    },
}

impl Error {
    /// Returns what the user may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let reason = match self {
            Self::Read { source, .. } => format!("{self}: {source}"),
            Self::Form { source, .. } | Self::Check { source, .. } => format!("{self}: {source}"),
            Self::Task { .. } | Self::Unknown { .. } => self.to_string(),
        };
        Fault::new(Kind::Invalid, "EVL-003", reason)
            .with_hint("name a folder with the files that `airside explain EVL-003` lists")
    }
}

/// One recorded conversation.
#[derive(Debug)]
pub struct Recording {
    /// Names it among all.
    pub id: String,
    /// Names the task, with its attack if it has one.
    pub task: String,
    /// Who was recorded.
    pub agent: String,
    /// What happened.
    pub trace: Trace,
    /// What was recorded about it.
    pub verdicts: Vec<Recorded>,
    /// Why a verdict need not be what the published check says, if the recordings say so.
    pub exempt: Option<&'static str>,
}

/// One recorded verdict.
#[derive(Debug)]
pub struct Recorded {
    /// What it is about: `utility`, `attack`, `reward`, `calls`.
    pub about: &'static str,
    /// What was expected.
    pub expect: Arc<Expect>,
    /// What was recorded.
    pub held: bool,
    /// Whether what was recorded is that the expectation does not hold.
    pub inverted: bool,
}

/// How verdicts of the grader compare with those that were recorded.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Agreement {
    /// Conversations that were read.
    pub conversations: usize,
    /// Verdicts that were compared.
    pub compared: usize,
    /// Verdicts that are the same.
    pub agree: usize,
    /// Conversations that show nothing about a model, by the reason.
    pub invalid: BTreeMap<String, Vec<String>>,
    /// Verdicts that differ, and that the recordings themselves call not reproducible.
    pub exempt: Vec<Difference>,
    /// Verdicts that differ.
    pub differ: Vec<Difference>,
}

/// A verdict that is not what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The conversation.
    pub id: String,
    /// What the verdict is about.
    pub about: &'static str,
    /// What was recorded.
    pub recorded: bool,
    /// What the grader found.
    pub found: Vec<String>,
    /// Why the recordings call it not reproducible.
    pub reason: Option<&'static str>,
}

/// Reads the recordings below `folder` one after the other.
///
/// # Errors
///
/// When a file cannot be read or is not what it should be, or no kind of recordings is
/// known to be here.
pub fn each(folder: &Path, take: &mut dyn FnMut(Recording)) -> Result<(), Error> {
    let has = |name: &str| folder.join(name).is_file();
    if has("checks.json") {
        agentdojo::each(folder, take)
    } else if has("tau1_runs.jsonl.gz") || has("tau2_runs.jsonl.gz") {
        tau::each(folder, take)
    } else if has("recorded_calls.jsonl.gz") {
        bfcl::each(folder, take)
    } else {
        Err(Error::Unknown {
            path: folder.to_owned(),
        })
    }
}

/// Grades the recordings below `folder` and compares with what was recorded.
///
/// # Errors
///
/// As [`each`].
pub fn compare(folder: &Path) -> Result<Agreement, Error> {
    let mut agreement = Agreement::default();
    each(folder, &mut |recording| agreement.add(&recording))?;
    Ok(agreement)
}

/// Grades a trace of a recording, for which there are neither sets nor saved values.
#[must_use]
pub fn graded(expect: &Expect, trace: &Trace) -> Grade {
    let none = BTreeMap::new();
    let context = Context {
        tools: Tools {
            all: &[],
            sets: &BTreeMap::new(),
        },
        today: None,
        saved: &none,
    };
    grade(expect, trace, context)
}

impl Agreement {
    fn add(&mut self, recording: &Recording) {
        self.conversations += 1;
        for recorded in &recording.verdicts {
            let grade = graded(&recorded.expect, &recording.trace);
            if grade.verdict == Verdict::Invalid {
                let reason = grade.reasons.first().map(|reason| reason.at.clone());
                let ids = self.invalid.entry(reason.unwrap_or_default()).or_default();
                ids.push(recording.id.clone());
                return;
            }
            let found = (grade.verdict == Verdict::Pass) != recorded.inverted;
            if found == recorded.held {
                self.compared += 1;
                self.agree += 1;
                continue;
            }
            let difference = Difference {
                id: recording.id.clone(),
                about: recorded.about,
                recorded: recorded.held,
                found: grade.reasons.iter().map(ToString::to_string).collect(),
                reason: recording.exempt,
            };
            match recording.exempt {
                Some(_) => self.exempt.push(difference),
                None => {
                    self.compared += 1;
                    self.differ.push(difference);
                }
            }
        }
    }
}

/// A message, as the recordings write it.
#[derive(Debug, Deserialize)]
struct Message {
    role: Role,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    calls: Vec<RecordedCall>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    error: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Role {
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Deserialize)]
struct RecordedCall {
    #[serde(default)]
    id: Option<String>,
    name: String,
    #[serde(default)]
    args: Value,
}

/// Turns messages into turns.
fn turns(messages: Vec<Message>) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    let mut open: Vec<(Option<String>, usize)> = Vec::new();
    for message in messages {
        if message.role == Role::User {
            turns.push(Turn {
                asked: message.text.unwrap_or_default(),
                ..Turn::default()
            });
            open.clear();
            continue;
        }
        if turns.is_empty() {
            turns.push(Turn::default());
        }
        let Some(turn) = turns.last_mut() else {
            continue;
        };
        match message.role {
            Role::Assistant => {
                if let Some(text) = message.text {
                    turn.steps.push(Step::Said(text));
                }
                for call in message.calls {
                    open.push((call.id, turn.steps.len()));
                    turn.steps.push(Step::Called(Call {
                        tool: call.name,
                        arguments: Arguments::Json(call.args),
                        answer: None,
                    }));
                }
            }
            Role::Tool => answer(turn, &mut open, message),
            Role::User => {}
        }
    }
    turns
}

/// Gives the answer to the call with its id or, without ids, to the first open call.
fn answer(turn: &mut Turn, open: &mut Vec<(Option<String>, usize)>, message: Message) {
    let by_id = open
        .iter()
        .position(|(id, _)| id.is_some() && *id == message.id);
    let at = by_id.or_else(|| {
        open.iter().position(|(_, step)| match &turn.steps[*step] {
            Step::Called(call) => message.name.as_ref().is_none_or(|name| *name == call.tool),
            _ => false,
        })
    });
    let Some((_, step)) = at.map(|at| open.remove(at)) else {
        return;
    };
    if let Step::Called(call) = &mut turn.steps[step] {
        call.answer = Some(Answer {
            text: message.text.unwrap_or_default(),
            structured: None,
            is_error: !matches!(message.error, Value::Null | Value::Bool(false)),
        });
    }
}

/// Reads a JSON file.
fn json<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Form {
        path: path.to_owned(),
        line: source.line(),
        source,
    })
}

/// Reads a file of JSON lines line by line; its name says whether it is compressed.
fn lines<T: DeserializeOwned>(
    path: &Path,
    take: &mut dyn FnMut(T) -> Result<(), Error>,
) -> Result<(), Error> {
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    let file = BufReader::new(File::open(path).map_err(failed)?);
    let bytes: Box<dyn std::io::Read> = match path.extension().is_some_and(|end| end == "gz") {
        true => Box::new(GzDecoder::new(file)),
        false => Box::new(file),
    };
    let mut reader = BufReader::with_capacity(1 << 16, bytes);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        if read.map_err(failed)? == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let record = serde_json::from_slice(&line).map_err(|source| Error::Form {
            path: path.to_owned(),
            line: number,
            source,
        })?;
        take(record)?;
    }
    Ok(())
}

/// Reads tools in the form of `tools/list`, where the folder has them.
///
/// # Errors
///
/// When the file is there but not readable.
pub fn tools(folder: &Path) -> Result<Vec<Tool>, Error> {
    let path = folder.join("tools.json");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let all: Vec<Value> = match json(&path)? {
        Value::Object(mut fields) => match fields.remove("tools") {
            Some(Value::Array(all)) => all,
            _ => Vec::new(),
        },
        Value::Array(all) => all,
        _ => Vec::new(),
    };
    Ok(all.into_iter().filter_map(Tool::read).collect())
}

/// The changes of a recording; none were recorded where the conversation broke off.
fn changes(recorded: Option<Vec<Change>>) -> Vec<Change> {
    recorded.unwrap_or_default()
}
