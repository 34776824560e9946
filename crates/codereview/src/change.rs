//! What a change adds, compared with a revision that git knows.
//!
//! # Invariants
//!
//! * git is asked for names and bytes of objects and for texts of commits only. None of
//!   these commands runs filters, hooks, external diffs or file system monitors that a
//!   repository may name, and nothing is fetched.
//! * Lines are compared here, with bounded work.

mod diff;
mod git;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use airside_base::{Fault, Kind};

use crate::source::Source;

pub use git::Commit;

/// A stretch of lines, from 1, both ends included.
pub type Lines = (u32, u32);

/// What happened to one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChange {
    /// Lines that were added or rewritten.
    pub added: Vec<Lines>,
    /// How many lines were taken out.
    pub removed: usize,
    /// The content before, if there was one.
    pub before: Option<Vec<u8>>,
}

/// A change: files of today against a revision, and the commits in between.
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
                .with_hint("name a revision that is in this repository, fetched in full"),
            Self::TooLarge { .. } => Fault::new(Kind::TooLarge, "REV-012", self.to_string())
                .with_hint("compare with a nearer revision"),
        }
    }
}

impl Change {
    /// Compares `sources`, read below `root`, with the state where `base` and the present
    /// commit have parted.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn since(root: &Path, base: &str, sources: &[Source]) -> Result<Self, Error> {
        let repository = git::Repository::of(root)?;
        let base = repository.fork_point(base)?;
        let mut tree = repository.tree(&base)?;
        let before = tree.keys().cloned().collect();
        let mut wanted = Vec::new();
        let mut files = BTreeMap::new();
        let mut fresh: Vec<&Source> = Vec::new();
        for source in sources {
            match tree.remove(&source.path) {
                Some(id) if id == git::blob_id(&source.text, id.len()) => {}
                Some(id) => wanted.push((source, id)),
                None => fresh.push(source),
            }
        }
        let present: BTreeSet<String> = tree.values().cloned().collect();
        for source in fresh {
            let length = tree.values().next().map_or(40, String::len);
            // A file that only moved adds nothing.
            if !present.contains(&git::blob_id(&source.text, length)) {
                let file = diff::compare(b"", &source.text);
                files.insert(
                    source.path.clone(),
                    FileChange {
                        before: None,
                        ..file
                    },
                );
            }
        }
        let ids: Vec<&str> = wanted.iter().map(|(_, id)| id.as_str()).collect();
        for ((source, _), before) in wanted.iter().zip(repository.blobs(&ids)?) {
            let mut file = diff::compare(&before, &source.text);
            file.before = Some(before);
            files.insert(source.path.clone(), file);
        }
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
            commits: repository.commits(&base)?,
        })
    }

    /// Returns how many lines it adds.
    #[must_use]
    pub fn added(&self) -> usize {
        let lines = self.files.values().flat_map(|file| &file.added);
        lines.map(|(from, to)| (to - from + 1) as usize).sum()
    }

    /// Returns whether any of the lines `from` to `to` of `path` is added.
    #[must_use]
    pub fn touches(&self, path: &str, (from, to): Lines) -> bool {
        self.files.get(path).is_some_and(|file| {
            file.added
                .iter()
                .any(|(first, last)| *first <= to && from <= *last)
        })
    }
}
