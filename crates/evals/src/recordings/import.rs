//! Suites out of what others have: their recordings, data sets and test files.
//!
//! # Invariants
//!
//! * A check is carried over as it is, or stricter and noted, or left out and noted: no
//!   check becomes weaker in silence. A case that lost a check carries the tag
//!   [`INCOMPLETE`], and one without any check is left out.
//! * Files are data: nothing in them is run, no variable of the environment is read, and
//!   files that they name are read only below their own folder.
//! * What was made can be read as a suite.

mod bfcl;
mod checks;
mod mcpjam;
mod promptfoo;
mod python;
mod recorded;
mod sgd;

use std::{
    collections::BTreeSet,
    io::Read as _,
    path::{Path, PathBuf},
};

use airside_base::{Fault, Kind};
use serde::Serialize;
use serde_json::Value;

pub use self::recorded::id;
use crate::{
    suite::{Case, Defaults, Probes, Suite, Version},
    tool::{Tool, Tools},
};

/// Tag of cases that lost a check on the way.
pub const INCOMPLETE: &str = "incomplete";
/// Largest file that is read at once, in bytes.
const MAX_FILE: u64 = 64 << 20;
/// Most cases that files may multiply into.
const MAX_CASES: usize = 20_000;

/// How files are turned into a suite.
#[derive(Debug, Clone)]
pub struct Options {
    /// Name of the suite.
    pub name: String,
    /// Tool that shows the state behind the others: called with the name of a `part`.
    pub state_tool: String,
    /// Only cases with one of these tags. All, if there is none.
    pub tags: Vec<String>,
    /// Only so many cases, spread over all.
    pub take: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "imported".to_owned(),
            state_tool: "state".to_owned(),
            tags: Vec::new(),
            take: None,
        }
    }
}

/// A suite that was made of files of others.
#[derive(Debug)]
pub struct Imported {
    /// The suite.
    pub suite: Suite<Vec<Case>>,
    /// What is not as it was.
    pub notes: Vec<Note>,
    /// The tools that the files define, as `tools/list` shows them.
    pub tools: Vec<Value>,
}

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What became of it.
    pub became: Became,
    /// The case, by the name that it has in the suite or, if it was left out, in the
    /// file. Empty where it concerns all.
    pub case: String,
    /// What it is about.
    pub what: String,
    /// Why.
    pub why: String,
}

/// What became of a part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Became {
    /// The check is missing.
    CheckLeftOut,
    /// The case is missing.
    CaseLeftOut,
    /// It is there in another form, which is not weaker.
    Differs,
    /// Cases are not among those that were asked for.
    NotChosen,
}

/// Why nothing can be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Recordings cannot be read.
    #[error(transparent)]
    Recordings(#[from] super::Error),
    /// A file is of no known kind, or not what it should be.
    #[error("{} cannot be imported: {reason}", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No case could be carried over.
    #[error("no case of {} can be carried over", .path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// Why.
        notes: Vec<Note>,
    },
}

impl ImportError {
    /// Returns what the user may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Recordings(error) => error.fault(),
            Self::Form { .. } => Fault::new(Kind::Invalid, "EVL-060", self.to_string())
                .with_hint("`airside explain EVL-060` lists what can be imported"),
            Self::Nothing { notes, .. } => {
                let why = notes.first().map(ToString::to_string).unwrap_or_default();
                Fault::new(Kind::Invalid, "EVL-061", format!("{self}: {why}"))
            }
        }
    }
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Turns what is at `path` into a suite.
///
/// # Errors
///
/// [`ImportError`].
pub fn import(path: &Path, options: &Options) -> Result<Imported, ImportError> {
    let mut imported = match path.is_dir() {
        true => folder(path, options)?,
        false => file(path, options)?,
    };
    imported.choose(options);
    if imported.suite.cases.is_empty() {
        return Err(ImportError::Nothing {
            path: path.to_owned(),
            notes: imported.notes,
        });
    }
    Ok(imported)
}

fn folder(path: &Path, options: &Options) -> Result<Imported, ImportError> {
    let has = |name: &str| path.join(name).is_file();
    if bfcl::is_here(path) {
        bfcl::import(path, options)
    } else if sgd::is_here(path) {
        sgd::import(path, options)
    } else if let Some(name) = promptfoo::NAMES.iter().find(|name| has(name)) {
        file(&path.join(name), options)
    } else {
        Ok(recorded::import(path, options)?)
    }
}

fn file(path: &Path, options: &Options) -> Result<Imported, ImportError> {
    let document = document(path)?;
    if mcpjam::is_it(&document) {
        mcpjam::import(path, &document, options)
    } else if promptfoo::is_it(&document) {
        promptfoo::import(path, &document, options)
    } else {
        Err(form(
            path,
            "it is neither a promptfoo configuration nor a suite of MCPJam",
        ))
    }
}

fn form(path: &Path, reason: impl Into<String>) -> ImportError {
    ImportError::Form {
        path: path.to_owned(),
        reason: reason.into(),
    }
}

/// Reads a file of bounded size as text.
fn text(path: &Path) -> Result<String, ImportError> {
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_string(&mut text));
    read.map_err(|error| form(path, error.to_string()))?;
    match u64::try_from(text.len()) {
        Ok(length) if length <= MAX_FILE => Ok(text),
        _ => Err(form(path, "it is larger than 64 MiB")),
    }
}

/// Reads a YAML or JSON file.
fn document(path: &Path) -> Result<Value, ImportError> {
    let text = text(path)?;
    let document = crate::yaml::read(&text);
    document
        .map(|document| document.value)
        .map_err(|error| form(path, format!("line {}: {}", error.line, error.what)))
}

impl Imported {
    fn new(options: &Options, about: &str) -> Self {
        Self {
            suite: Suite {
                suite: options.name.clone(),
                schema: Version,
                about: about.to_owned(),
                clock: None,
                system: String::new(),
                state: Probes::default(),
                sets: std::collections::BTreeMap::new(),
                defaults: Defaults::default(),
                judge: None,
                cases: Vec::new(),
            },
            notes: Vec::new(),
            tools: Vec::new(),
        }
    }

    fn note(
        &mut self,
        became: Became,
        case: &str,
        what: impl Into<String>,
        why: impl Into<String>,
    ) {
        self.notes.push(Note {
            became,
            case: case.to_owned(),
            what: what.into(),
            why: why.into(),
        });
    }

    /// Adds a case, tagged if it lost a check; one without a check is left out.
    fn add(&mut self, mut case: Case) {
        let checked =
            !case.expect.is_empty() || case.turns.iter().any(|turn| !turn.expect.is_empty());
        if !checked {
            let why = "no check of it can be carried over";
            return self.note(Became::CaseLeftOut, &case.id, "the case", why);
        }
        let lost = |note: &Note| note.became == Became::CheckLeftOut && note.case == case.id;
        if self.notes.iter().any(lost) {
            case.tags.push(INCOMPLETE.to_owned());
        }
        self.suite.cases.push(case);
    }

    /// Keeps the cases that were asked for, and what belongs to them.
    fn choose(&mut self, options: &Options) {
        let mut chosen = std::mem::take(&mut self.suite.cases);
        let all = chosen.len();
        let mut gone: BTreeSet<String> = chosen.iter().map(|case| case.id.clone()).collect();
        chosen.retain(|case| {
            options.tags.is_empty() || case.tags.iter().any(|tag| options.tags.contains(tag))
        });
        if let Some(take) = options.take.filter(|take| *take < chosen.len()) {
            let count = chosen.len();
            let mut at = 0;
            chosen.retain(|_| {
                at += 1;
                // Evenly: the share that is taken grows by one at each that is.
                at * take / count > (at - 1) * take / count
            });
        }
        for case in &chosen {
            gone.remove(&case.id);
        }
        self.notes.retain(|note| !gone.contains(&note.case));
        if !gone.is_empty() {
            let why = format!("{} of {all} cases were asked for", chosen.len());
            self.note(Became::NotChosen, "", format!("{} cases", gone.len()), why);
        }
        self.suite.cases = chosen;
        let (suite, shown) = (&self.suite, std::mem::take(&mut self.tools));
        let shown = shown.into_iter().filter_map(Tool::read);
        let all: Vec<Tool> = shown.collect();
        let tools = Tools {
            all: &all,
            sets: &suite.sets,
        };
        let used = |tool: &&Tool| {
            let shows = |case: &Case| {
                let selector = case.tools.as_ref();
                selector.is_none_or(|selector| selector.selects(tool.name(), tools))
            };
            suite.cases.iter().any(shows)
        };
        self.tools = all
            .iter()
            .filter(used)
            .map(|tool| tool.definition().clone())
            .collect();
    }
}

/// Returns a name for a case: of letters, digits, `_` and hyphens, and not among `taken`.
fn case_id(title: &str, number: usize, taken: &mut BTreeSet<String>) -> String {
    const LONGEST: usize = 60;
    let mut id = String::new();
    for c in title.chars().flat_map(char::to_lowercase).take(LONGEST) {
        match c.is_alphanumeric() || c == '_' {
            true => id.push(c),
            false if id.is_empty() || id.ends_with('-') => {}
            false => id.push('-'),
        }
    }
    let id = match id.trim_end_matches('-') {
        "" => format!("case-{}", number + 1),
        id => id.to_owned(),
    };
    let mut unique = id.clone();
    let mut next = 2;
    while !taken.insert(unique.clone()) {
        unique = format!("{id}-{next}");
        next += 1;
    }
    unique
}

#[cfg(test)]
mod tests;
