//! Duplicated code: exact copies (type 1) and consistently renamed ones (type 2), as
//! classes of places.
//!
//! # Invariants
//!
//! * The work is linear in the tokens, whatever they are: each seed lies on a diagonal
//!   of two files, and a diagonal is swept once. Groups of equal fingerprints give a
//!   number of seeds that is linear in their size.
//! * A renaming is reported only if it is one-to-one over the whole copy.
//! * A copy of itself is cut to whole periods, so that no place overlaps itself.
//!
//! * What was found earlier is used where it is what would be found now: of a file whose
//!   content is the same, and of a match between two such files that some fingerprint of
//!   today still leads to.
//!
//! Fingerprints are chosen by winnowing (Schleimer, Wilkerson and Aiken, 2003): every
//! exact match of [`Options::tokens`] tokens shares one.

mod classes;
mod function;
pub mod kept;
pub(crate) mod lex;
pub mod near;
mod seed;
mod sweep;

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::{
    memory::Digest,
    source::{Language, Source},
};
use function::Function;
use kept::Kept;
use lex::Tokens;

/// How large a copy has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Tokens of an exact copy, at least 50.
    pub tokens: usize,
    /// Tokens of a renamed copy, at least 100.
    pub renamed_tokens: usize,
    /// Lines of a copy.
    pub lines: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tokens: 50,
            renamed_tokens: 100,
            lines: 5,
        }
    }
}

/// How alike the places of a class are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Likeness {
    /// The same but for layout and comments.
    Exact,
    /// The same but for names, which are replaced one to one, and literals.
    Renamed,
}

/// Where a copy is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Path of the file.
    pub path: String,
    /// First line, from 1.
    pub from: u32,
    /// Last line.
    pub to: u32,
}

/// All places where the same code is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// How alike they are.
    pub likeness: Likeness,
    /// Tokens of each place.
    pub tokens: usize,
    /// The places, by path and line.
    pub places: Vec<Place>,
    /// Digest of what is copied, the same wherever it moves.
    pub content: String,
}

/// What was found in a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copies {
    /// Classes, those with most tokens in all places first.
    pub classes: Vec<Class>,
    /// Lines of all files.
    pub lines: usize,
    /// Lines that are part of an exact copy.
    pub duplicated: usize,
    /// Tokens of all files.
    pub tokens: usize,
    /// How many pairs of tokens were compared, which grows as the tokens do.
    pub compared: u64,
}

/// The files of one family of languages, by path, and their tokens.
pub(super) struct Corpus<'a> {
    files: Vec<File<'a>>,
    /// Whether a file has other tokens than was written down.
    is_broken: AtomicBool,
}

/// A file of a corpus.
struct File<'a> {
    source: &'a Source,
    /// How many tokens it has, if that is known.
    known: Option<u32>,
    tokens: OnceLock<Tokens>,
}

/// A stretch of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Span {
    /// Index in the corpus.
    pub(super) file: u32,
    pub(super) start: u32,
    pub(super) len: u32,
}

/// Two stretches that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Pair {
    pub(super) one: Span,
    pub(super) other: Span,
}

impl<'a> Corpus<'a> {
    /// Returns the corpus of `sources`, of which the number of tokens may be known.
    fn new(sources: impl Iterator<Item = (&'a Source, Option<u32>)>) -> Self {
        let files = sources.map(|(source, known)| File {
            source,
            known,
            tokens: OnceLock::new(),
        });
        Self {
            files: files.collect(),
            is_broken: AtomicBool::new(false),
        }
    }

    fn tokens(&self, file: u32) -> &Tokens {
        let file = &self.files[file as usize];
        file.tokens.get_or_init(|| {
            let mut tokens = lex::lex(file.source.language, &file.source.text);
            if let Some(known) = file.known.filter(|known| *known != len_of(&tokens)) {
                // Places that were written down must not be beyond the end.
                self.is_broken.store(true, Ordering::Relaxed);
                tokens.codes.resize(known as usize, 0);
                tokens.lines.resize(known as usize, 1);
            }
            tokens
        })
    }

    pub(super) fn codes(&self, file: u32) -> &[u32] {
        &self.tokens(file).codes
    }

    /// Returns how many tokens a file has.
    fn len(&self, file: u32) -> u32 {
        let known = self.files[file as usize].known;
        known.unwrap_or_else(|| len_of(self.tokens(file)))
    }

    /// Returns whether a file has other tokens than was written down.
    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    fn path(&self, file: u32) -> &'a str {
        &self.files[file as usize].source.path
    }

    fn lines_of(&self, span: Span) -> (u32, u32) {
        let lines = &self.tokens(span.file).lines;
        let (from, to) = (span.start as usize, (span.start + span.len - 1) as usize);
        (lines[from], lines[to])
    }

    fn is_tall(&self, span: Span, lines: u32) -> bool {
        let (from, to) = self.lines_of(span);
        to - from + 1 >= lines
    }

    /// Returns a digest of what a stretch holds, with or without its names.
    fn content(&self, span: Span, likeness: Likeness) -> (u64, u64) {
        let range = span.start as usize..(span.start + span.len) as usize;
        let codes = &self.codes(span.file)[range];
        let (mut one, mut other) = (0x51_7c_c1_b7_27_22_0a_95_u64, u64::from(span.len));
        let mut add = |value: u64| {
            one = (one.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            other = (other ^ value)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(17);
        };
        match likeness {
            Likeness::Exact => codes.iter().for_each(|code| add(u64::from(*code))),
            Likeness::Renamed => {
                let mut names: FxHashMap<u32, u64> = FxHashMap::default();
                for code in codes {
                    let number = names.len() as u64;
                    add(match lex::is_name(*code) {
                        true => 1 << 40 | *names.entry(*code).or_insert(number),
                        false => u64::from(lex::blind(*code)),
                    });
                }
            }
        }
        (one, other)
    }
}

fn family(language: Language) -> usize {
    match language {
        Language::Python => 0,
        Language::Javascript | Language::Typescript | Language::Tsx => 1,
        Language::Go => 2,
        Language::Rust => 3,
        Language::Java => 4,
    }
}

/// Returns the lines of the tokens of `source`, in order: of code, without comments and
/// documentation.
#[must_use]
pub fn token_lines(source: &Source) -> Vec<u32> {
    lex::lex(source.language, &source.text).lines
}

/// Returns how many lines `sources` have.
#[must_use]
pub fn lines(sources: &[Source]) -> usize {
    let lines = sources.par_iter().map(|source| source.text.lines());
    lines.sum()
}

fn len_of(tokens: &Tokens) -> u32 {
    u32::try_from(tokens.codes.len()).expect("files are read up to a size")
}

/// Finds the copies in `sources`.
#[must_use]
pub fn find(sources: &[Source], options: Options) -> Copies {
    search(sources, options, None).0
}

/// The functions of each file, by its place among the sources.
pub type Functions = Vec<(usize, Arc<[Function]>)>;

/// Finds the copies in `sources`, with what is known of them from earlier; returns their
/// functions too.
pub fn search(
    sources: &[Source],
    options: Options,
    mut known: Option<(&mut Kept, &[Digest])>,
) -> (Copies, Functions) {
    let mut of_family: [Vec<usize>; 5] = Default::default();
    for (at, source) in sources.iter().enumerate() {
        of_family[family(source.language)].push(at);
    }
    let mut shelves = match &mut known {
        Some((kept, _)) => kept.take(),
        None => Default::default(),
    };
    let digests = known.as_ref().map(|(_, digests)| *digests);
    let found: Vec<Option<kept::Found>> = shelves
        .par_iter_mut()
        .zip(&of_family)
        .map(|(shelf, files)| {
            let digest_of = |at: usize| digests.map_or(0, |digests| digests[at]);
            let files = files.iter().map(|at| (&sources[*at], digest_of(*at)));
            shelf.search(&files.collect::<Vec<_>>(), options, digests.is_some())
        })
        .collect();
    let Some(found) = found.into_iter().collect::<Option<Vec<_>>>() else {
        if let Some((kept, _)) = known {
            kept.forget("a part of it is not what was written");
        }
        return search(sources, options, None);
    };
    if let Some((kept, _)) = known {
        kept.put(shelves);
    }
    let (mut copies, mut functions) = (Copies::default(), Functions::new());
    for ((one, of_files), files) in found.into_iter().zip(of_family) {
        functions.extend(files.into_iter().zip(of_files));
        copies.classes.extend(one.classes);
        copies.lines += one.lines;
        copies.duplicated += one.duplicated;
        copies.tokens += one.tokens;
        copies.compared += one.compared;
    }
    let weight = |class: &Class| class.tokens * class.places.len();
    copies.classes.sort_by(|one, other| {
        let by_weight = weight(other).cmp(&weight(one));
        by_weight.then_with(|| one.places[0].cmp(&other.places[0]))
    });
    (copies, functions)
}

#[cfg(test)]
mod tests;
