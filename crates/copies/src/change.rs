//! What a change adds, compared with a revision that git knows.
//!
//! # Invariants
//!
//! * git is asked for names and bytes of objects and for texts of commits only. None of
//!   these commands runs filters, hooks, external diffs or file system monitors that a
//!   repository may name, and nothing is fetched.
//! * Lines are compared here, with bounded work.

pub mod diff;
mod git;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use airside_base::{Fault, Kind, Timestamp};
use jiff::{civil::Date, tz::TimeZone};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::source::{Paper, Source, Text};

pub use git::Commit;

/// Returns the day of a moment in UTC.
#[must_use]
pub fn day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// A stretch of lines, from 1, both ends included.
pub type Lines = (u32, u32);

/// Who wrote it, as declared. Never guessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribution {
    /// Nothing is declared.
    #[default]
    Unknown,
    /// A person, by declaration.
    Human,
    /// Persons and tools, by declaration.
    Mixed,
    /// A tool, by declaration.
    Ai,
}

/// What happened to one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChange {
    /// Lines that were added or rewritten, in order.
    pub added: Vec<Lines>,
    /// How many lines were taken out.
    pub removed: usize,
    /// The content before, if there was one.
    pub before: Option<Vec<u8>>,
}

/// A change: files of today against a revision, and the commits in between. Files of
/// submodules are no part of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Files that differ, by path.
    pub files: BTreeMap<String, FileChange>,
    /// Paths that are gone.
    pub gone: Vec<String>,
    /// Paths of the revision.
    pub before: Vec<String>,
    /// Commits since, the newest first.
    pub commits: Vec<Commit>,
    /// Records of Agent Trace in the folder, one a line.
    pub trace: Option<String>,
}

/// Why a change cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// git does not run or refuses.
    #[error("git cannot tell: {reason}")]
    Git {
        /// What it said.
        reason: String,
    },
    /// There is no program `git`.
    #[error("there is no program git on the search path")]
    Absent,
    /// The folder is in no repository.
    #[error("the folder is in no git repository")]
    NoRepository,
    /// The repository does not have the revision.
    #[error("the repository has no revision `{revision}`")]
    Revision {
        /// What was given.
        revision: String,
    },
    /// The answer of git is larger than accepted.
    #[error("the change is larger than {most} bytes")]
    TooLarge {
        /// The limit.
        most: u64,
    },
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Git { .. } => Fault::new(Kind::Invalid, "REV-011", self.to_string())
                .with_hint("see whether `git status` works in the folder"),
            Self::Revision { .. } => Fault::new(Kind::Invalid, "REV-011", self.to_string())
                .with_hint("name a revision that is in this repository, fetched in full"),
            Self::Absent => Fault::new(Kind::Unavailable, "REV-060", self.to_string())
                .with_hint("install git, or review the whole tree without --base"),
            Self::NoRepository => Fault::new(Kind::Invalid, "REV-060", self.to_string()).with_hint(
                "name a folder of a repository, or review the whole tree without --base",
            ),
            Self::TooLarge { .. } => Fault::new(Kind::TooLarge, "REV-012", self.to_string())
                .with_hint("compare with a nearer revision"),
        }
    }
}

/// Returns the id of the present commit of the repository that `root` is in.
///
/// # Errors
///
/// See [`Error`].
pub fn head(root: &Path) -> Result<String, Error> {
    git::Repository::of(root)?.head()
}

/// Returns the commits since `base`, the newest first.
///
/// # Errors
///
/// See [`Error`].
pub fn commits(root: &Path, base: &str) -> Result<Vec<Commit>, Error> {
    let repository = git::Repository::of(root)?;
    let base = repository.fork_point(base)?;
    repository.commits(&base)
}

/// Returns the records of Agent Trace below `root`, if there are any of bearable size.
fn trace(root: &Path) -> Option<String> {
    const MOST: u64 = 16 << 20;
    let path = root.join(".agent-trace/traces.jsonl");
    let size = std::fs::symlink_metadata(&path)
        .ok()
        .filter(std::fs::Metadata::is_file)?
        .len();
    (size <= MOST)
        .then(|| std::fs::read_to_string(path).ok())
        .flatten()
}

/// Returns whether `path` is in `folder`.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/'))
}

/// What git knows of a revision and of the commits since.
#[derive(Debug)]
pub struct Base {
    repository: git::Repository,
    /// Ids of the contents, by path.
    tree: BTreeMap<String, String>,
    /// Folders that are submodules at present.
    submodules: Vec<String>,
    commits: Vec<Commit>,
}

impl Base {
    /// Asks git for the state where `base` and the present commit have parted.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn of(root: &Path, base: &str) -> Result<Self, Error> {
        let repository = git::Repository::at(root);
        let (checked, base) = rayon::join(|| repository.check(), || repository.fork_point(base));
        checked?;
        let base = base?;
        let ((tree, submodules), commits) = rayon::join(
            || rayon::join(|| repository.tree(&base), || repository.submodules("HEAD")),
            || repository.commits(&base),
        );
        Ok(Self {
            tree: tree?,
            submodules: submodules?,
            commits: commits?,
            repository,
        })
    }
}

impl Change {
    /// Compares `sources` and `papers` with `base`, all of the same folder.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn since(base: Base, sources: &[Source], papers: &[Paper]) -> Result<Self, Error> {
        let Base {
            repository,
            mut tree,
            submodules,
            commits,
        } = base;
        let before = tree.keys().cloned().collect();
        let mut wanted = Vec::new();
        let mut files = BTreeMap::new();
        let mut fresh: Vec<(&String, &Text)> = Vec::new();
        let sources = sources.iter().map(|source| (&source.path, &source.text));
        let papers = papers.iter().map(|paper| (&paper.path, &paper.text));
        let all: Vec<(&String, &Text)> = sources.chain(papers).collect();
        let is_same: Vec<bool> = all
            .par_iter()
            .map(|(path, text)| {
                let id = tree.get(*path);
                id.is_some_and(|id| *id == text.blob_id(id.len()))
            })
            .collect();
        for ((path, text), is_same) in all.into_iter().zip(is_same) {
            match tree.remove(path) {
                Some(_) if is_same => {}
                Some(id) => wanted.push((path, text, id)),
                // The change of a submodule is in its own repository.
                None if submodules.iter().any(|folder| is_below(path, folder)) => {}
                None => fresh.push((path, text)),
            }
        }
        let present: BTreeSet<String> = tree.values().cloned().collect();
        for (path, text) in fresh {
            let length = tree.values().next().map_or(40, String::len);
            // A file that only moved adds nothing.
            if !present.contains(&text.blob_id(length)) {
                let file = diff::compare(b"", text);
                files.insert(
                    path.clone(),
                    FileChange {
                        before: None,
                        ..file
                    },
                );
            }
        }
        let ids: Vec<&str> = wanted.iter().map(|(.., id)| id.as_str()).collect();
        for ((path, text, _), before) in wanted.iter().zip(repository.blobs(&ids)?) {
            let mut file = diff::compare(&before, text);
            file.before = Some(before);
            files.insert((*path).clone(), file);
        }
        let root = repository.root();
        let gone = tree
            .keys()
            .filter(|path| crate::source::Language::of(Path::new(path)).is_some())
            .filter(|path| !root.join(path).exists())
            .cloned()
            .collect();
        Ok(Self {
            files,
            gone,
            before,
            commits,
            trace: trace(root),
        })
    }

    /// Returns how many lines it adds.
    #[must_use]
    pub fn added(&self) -> usize {
        let lines = self.files.values().flat_map(|file| &file.added);
        lines.map(|(from, to)| (to - from + 1) as usize).sum()
    }

    /// Returns how many of the lines `from` to `to` of `path` are added.
    pub fn added_of(&self, path: &str, (from, to): Lines) -> u32 {
        let Some(file) = self.files.get(path) else {
            return 0;
        };
        let first = file.added.partition_point(|(_, last)| *last < from);
        let inside = file.added[first..].iter().take_while(|(at, _)| *at <= to);
        inside
            .map(|(at, last)| to.min(*last) + 1 - from.max(*at))
            .sum()
    }

    /// Returns whether any of the lines `from` to `to` of `path` is added.
    #[must_use]
    pub fn touches(&self, path: &str, (from, to): Lines) -> bool {
        self.files.get(path).is_some_and(|file| {
            let first = file.added.partition_point(|(_, last)| *last < from);
            file.added.get(first).is_some_and(|(first, _)| *first <= to)
        })
    }
}
