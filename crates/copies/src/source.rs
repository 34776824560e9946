//! The files of a tree, and what was left out of it.
//!
//! # Invariants
//!
//! * Symbolic links are not followed, files are read up to a size, and nothing that is
//!   left out is left out in silence.
//! * Contents are bytes. That they are UTF-8 is not assumed.

mod known;
mod text;

use std::{
    collections::{BTreeMap, BinaryHeap},
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Mutex,
};

use ignore::{DirEntry, WalkBuilder, WalkState};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use known::{Record, Stamp};
use text::Facts;

pub use known::{Known, have_moved};
pub use text::{Text, hash_of, words};

/// A language that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Language {
    /// Python.
    Python,
    /// JavaScript, with JSX.
    Javascript,
    /// TypeScript.
    Typescript,
    /// TypeScript with JSX.
    Tsx,
    /// Go.
    Go,
    /// Rust.
    Rust,
    /// Java.
    Java,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Python,
        Self::Javascript,
        Self::Typescript,
        Self::Tsx,
        Self::Go,
        Self::Rust,
        Self::Java,
    ];

    /// Returns the language that files of this name are in.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()? {
            "py" | "pyi" => Self::Python,
            "js" | "mjs" | "cjs" | "jsx" => Self::Javascript,
            "ts" | "mts" | "cts" => Self::Typescript,
            "tsx" => Self::Tsx,
            "go" => Self::Go,
            "rs" => Self::Rust,
            "java" => Self::Java,
            _ => return None,
        })
    }

    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Javascript => "javascript",
            Self::Typescript => "typescript",
            Self::Tsx => "tsx",
            Self::Go => "go",
            Self::Rust => "rust",
            Self::Java => "java",
        }
    }
}

/// One file of source code.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path below the root, with `/`.
    pub path: String,
    /// Its language.
    pub language: Language,
    /// Its content.
    pub text: Text,
}

impl Source {
    /// Returns whether its path is one of tests.
    #[must_use]
    pub fn is_test(&self) -> bool {
        is_test(&self.path)
    }

    /// Returns whether a line is one of a test.
    #[must_use]
    pub fn is_test_at(&self, line: u32) -> bool {
        line >= self.tests_from()
    }

    /// Returns the first line of tests: of a file of tests, or behind `#[cfg(test)]` at the
    /// beginning of a line of Rust. May read the text; ask once for many lines.
    #[must_use]
    pub fn tests_from(&self) -> u32 {
        match self.is_test() {
            true => 0,
            false => self.text.tests_from(self.language),
        }
    }
}

/// Returns the first line of tests in a text that is not one of tests as a whole.
fn tests_of(language: Language, text: &[u8]) -> u32 {
    const MARK: &[u8] = b"\n#[cfg(test)]\nmod ";
    let mark = match language {
        Language::Rust => memchr::memmem::find(text, MARK),
        _ => None,
    };
    mark.map_or(u32::MAX, |at| {
        let before = memchr::memchr_iter(b'\n', &text[..=at]).count();
        before as u32 + 1
    })
}

/// Returns whether files of this path are tests, by the usual names.
#[must_use]
pub fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_folder = path.split('/').any(|part| {
        matches!(
            part,
            "test" | "tests" | "__tests__" | "testdata" | "fixtures"
        )
    });
    let stem = name.split('.').next().unwrap_or(name);
    in_folder
        || name.contains(".test.")
        || name.contains(".spec.")
        || stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("Test")
        || stem == "tests"
        || stem == "conftest"
}

/// A text that is not code and says something about a change: a manifest, a schema, a
/// decision.
#[derive(Debug, Clone)]
pub struct Paper {
    /// Path below the root, with `/`.
    pub path: String,
    /// Its content.
    pub text: Text,
}

/// Returns whether files of this name are papers.
fn is_paper(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("");
    matches!(
        name,
        "package.json"
            | "pyproject.toml"
            | "Cargo.toml"
            | "go.mod"
            | "pom.xml"
            | "Dockerfile"
            | "build.gradle"
            | "build.gradle.kts"
    ) || name.starts_with("requirements") && name.ends_with(".txt")
        || name.starts_with("docker-compose")
        || [".md", ".sql", ".proto"]
            .iter()
            .any(|ending| name.ends_with(ending))
}

/// Why a file was not looked at, or not fully.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Skip {
    /// It is larger than [`Limits::file_bytes`].
    TooLarge,
    /// It holds zero bytes.
    Binary,
    /// Its lines are so long that no person wrote it.
    Minified,
    /// It says that a program wrote it.
    Generated,
    /// It cannot be read.
    Unreadable,
    /// It is a symbolic link.
    Link,
    /// The tree holds more than [`Limits::files`] files.
    TooMany,
    /// Its syntax tree is too deep or has too many errors.
    Syntax,
    /// It takes too long, or a function in it is too long to be followed to its end.
    TooSlow,
}

impl Skip {
    /// Returns the reason for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too large",
            Self::Binary => "binary",
            Self::Minified => "minified",
            Self::Generated => "generated",
            Self::Unreadable => "unreadable",
            Self::Link => "symbolic link",
            Self::TooMany => "beyond the limit of files",
            Self::Syntax => "syntax not understood",
            Self::TooSlow => "took too long",
        }
    }
}

/// What was left out, by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Paths by reason; of many the first ones.
    pub paths: BTreeMap<Skip, Vec<String>>,
    /// How many there are by reason.
    pub count: BTreeMap<Skip, usize>,
}

/// Paths that are kept for each reason.
const NAMED: usize = 100;

impl Skipped {
    /// Notes that `path` was left out.
    pub fn add(&mut self, why: Skip, path: &str) {
        *self.count.entry(why).or_default() += 1;
        let paths = self.paths.entry(why).or_default();
        if paths.len() < NAMED {
            paths.push(path.to_owned());
        }
    }

    /// Notes that `count` files were left out, of which some are named.
    fn add_all(&mut self, why: Skip, count: usize, named: Vec<String>) {
        if count > 0 {
            *self.count.entry(why).or_default() += count;
            let paths = self.paths.entry(why).or_default();
            paths.extend(named);
            paths.truncate(NAMED);
        }
    }

    /// Returns how many files were left out.
    #[must_use]
    pub fn total(&self) -> usize {
        self.count.values().sum()
    }
}

/// How much is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Largest file, in bytes.
    pub file_bytes: u64,
    /// Most files.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 2 << 20,
            files: 200_000,
        }
    }
}

/// Every file of a tree that is understood.
#[derive(Debug, Default)]
pub struct Tree {
    /// The files, by path.
    pub sources: Vec<Source>,
    /// Papers, by path.
    pub papers: Vec<Paper>,
    /// What was left out.
    pub skipped: Skipped,
}

/// Reads the tree below `root`, as far as ignore files allow.
#[must_use]
pub fn read(root: &Path, limits: Limits) -> Tree {
    read_again(root, limits, || None).0
}

/// Reads the tree below `root`, but for files that are what `known` says; returns what is
/// known now.
#[must_use]
pub fn read_again(
    root: &Path,
    limits: Limits,
    known: impl FnOnce() -> Option<Known> + Send,
) -> (Tree, Option<Known>) {
    let mut skipped = Skipped::default();
    let (found, mut known) = rayon::join(|| find(root, limits, &mut skipped), known);
    let texts: Vec<Result<Text, LeftOut>> = found
        .par_iter()
        .map(|found| load(found, limits.file_bytes, known.as_ref()))
        .collect();
    let (mut sources, mut papers) = (Vec::with_capacity(texts.len()), Vec::new());
    let mut left_out = Vec::new();
    for ((_, path, language), text) in found.into_iter().zip(texts) {
        match (language, text) {
            (Some(language), Ok(text)) => sources.push(Source {
                path,
                language,
                text,
            }),
            (None, Ok(text)) => papers.push(Paper { path, text }),
            (language, Err((why, stamp))) => {
                // Nobody expects a review of a text.
                if language.is_some() {
                    skipped.add(why, &path);
                }
                let record = stamp.map(|stamp| Record {
                    stamp,
                    found: Err(why),
                });
                left_out.extend(record.map(|record| (path, record)));
            }
        }
    }
    let tree = Tree {
        sources,
        papers,
        skipped,
    };
    if let Some(known) = &mut known {
        known.learn(&tree, left_out);
    }
    (tree, known)
}

/// Why a file is left out; with what tells it from another one, if its content says so.
type LeftOut = (Skip, Option<Stamp>);

/// A file that is read: where it is, its path below the root, its language unless it is a
/// paper.
type Found = (PathBuf, String, Option<Language>);

/// The least of what is pushed, so many of them at most.
struct Least<T> {
    heap: BinaryHeap<T>,
    most: usize,
    pushed: usize,
}

impl<T: Ord> Least<T> {
    fn of(most: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            most,
            pushed: 0,
        }
    }

    fn push(&mut self, one: T) {
        self.pushed += 1;
        if self.heap.len() < self.most {
            self.heap.push(one);
        } else if let Some(mut greatest) = self.heap.peek_mut()
            && one < *greatest
        {
            *greatest = one;
        }
    }
}

/// What a walk has met, whatever the order.
struct Met {
    found: Least<(String, PathBuf, Option<Language>)>,
    links: Least<String>,
    unreadable: Least<String>,
}

impl Met {
    fn meet(&mut self, root: &Path, entry: Result<DirEntry, ignore::Error>) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return self.unreadable.push(error.to_string()),
        };
        let language = Language::of(entry.path());
        if language.is_none() && !is_paper(entry.path()) {
            return;
        }
        let name = entry.path().strip_prefix(root).unwrap_or(entry.path());
        let name = match name.as_os_str().is_empty() {
            true => entry.file_name().to_string_lossy().into_owned(),
            false => name.to_string_lossy().into_owned(),
        };
        match entry.file_type() {
            Some(kind) if kind.is_symlink() && language.is_none() => {}
            Some(kind) if kind.is_symlink() => self.links.push(name),
            Some(kind) if kind.is_file() => self.found.push((name, entry.into_path(), language)),
            _ => {}
        }
    }
}

/// Walks the tree with several threads; which files are taken does not depend on them.
fn find(root: &Path, limits: Limits, skipped: &mut Skipped) -> Vec<Found> {
    let met = Mutex::new(Met {
        found: Least::of(limits.files.saturating_add(NAMED)),
        links: Least::of(NAMED),
        unreadable: Least::of(NAMED),
    });
    let walk = WalkBuilder::new(root)
        .follow_links(false)
        .require_git(false)
        .add_custom_ignore_filename(".airsideignore")
        .build_parallel();
    let lock = || met.lock().expect("nothing panics that holds it");
    walk.run(|| {
        Box::new(|entry| {
            lock().meet(root, entry);
            WalkState::Continue
        })
    });
    let Met {
        found,
        links,
        unreadable,
    } = met.into_inner().expect("nothing panics that holds it");
    for (why, least) in [(Skip::Link, links), (Skip::Unreadable, unreadable)] {
        skipped.add_all(why, least.pushed, least.heap.into_sorted_vec());
    }
    let beyond = found.pushed.saturating_sub(limits.files);
    let mut taken = found.heap.into_sorted_vec();
    let rest = taken.split_off(limits.files.min(taken.len()));
    let rest = rest.into_iter().map(|(name, ..)| name).collect();
    skipped.add_all(Skip::TooMany, beyond, rest);
    let taken = taken.into_iter();
    taken
        .map(|(name, path, language)| (path, name, language))
        .collect()
}

fn load(found: &Found, most: u64, known: Option<&Known>) -> Result<Text, LeftOut> {
    let (path, name, language) = found;
    if let Some(known) = known
        && let Ok(data) = fs::symlink_metadata(path)
        && data.is_file()
        && data.len() <= most
    {
        let stamp = Stamp::of(&data);
        match known.find(name, &stamp).map(|record| &record.found) {
            Some(Ok(facts)) => return Ok(Text::known(path.clone(), stamp, facts.clone())),
            Some(Err(why)) => return Err((*why, Some(stamp))),
            None => {}
        }
    }
    let unreadable = |_| (Skip::Unreadable, None);
    let file = fs::File::open(path).map_err(unreadable)?;
    let stamp = Stamp::of(&file.metadata().map_err(unreadable)?);
    if stamp.size > most {
        return Err((Skip::TooLarge, None));
    }
    let mut text = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0));
    let read = file.take(most + 1).read_to_end(&mut text);
    read.map_err(unreadable)?;
    // Somebody may be writing it.
    let is_whole = text.len() as u64 == stamp.size;
    if let Some(why) = judge(&text, most) {
        return Err((why, Some(stamp).filter(|_| is_whole)));
    }
    if known.is_none() || !is_whole {
        return Ok(Text::from(text));
    }
    let facts = Facts::of(&text, *language);
    Ok(Text::read(text, path.clone(), (stamp, facts)))
}

/// Returns why `text` is not looked at, if it is not.
#[must_use]
pub fn judge(text: &[u8], most: u64) -> Option<Skip> {
    /// Mean length of a line from which on a large file counts as minified.
    const LONG_LINE: usize = 400;
    let head = &text[..text.len().min(2048)];
    if text.len() as u64 > most {
        return Some(Skip::TooLarge);
    }
    if memchr::memchr(0, &text[..text.len().min(65_536)]).is_some() {
        return Some(Skip::Binary);
    }
    if text.len() > 20_000 {
        let lines = memchr::memchr_iter(b'\n', text).count() + 1;
        if text.len() / lines > LONG_LINE {
            return Some(Skip::Minified);
        }
    }
    let says = |words: &[u8]| memchr::memmem::find(head, words).is_some();
    if says(b"Code generated by ") && says(b"DO NOT EDIT") || says(b"@generated") {
        return Some(Skip::Generated);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_of_rust_stand_behind_their_mark() {
        let source = Source {
            path: "src/a.rs".to_owned(),
            language: Language::Rust,
            text: b"fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n"
                .to_vec()
                .into(),
        };
        assert!(!source.is_test_at(1));
        assert!(source.is_test_at(4));
        assert_eq!(source.tests_from(), 3);
    }
}
