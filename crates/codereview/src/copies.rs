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
//! Fingerprints are chosen by winnowing (Schleimer, Wilkerson and Aiken, 2003): every
//! exact match of [`Options::tokens`] tokens shares one.

pub(crate) mod lex;
mod seed;
mod sweep;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use crate::source::{Language, Source};
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

/// The tokens of files of one family of languages.
pub(super) struct Corpus<'a> {
    pub(super) files: &'a [(usize, Tokens)],
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) one: Span,
    pub(super) other: Span,
}

impl Corpus<'_> {
    pub(super) fn codes(&self, file: u32) -> &[u32] {
        &self.files[file as usize].1.codes
    }

    fn lines_of(&self, span: Span) -> (u32, u32) {
        let lines = &self.files[span.file as usize].1.lines;
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
    let lines = sources
        .par_iter()
        .map(|source| memchr::memchr_iter(b'\n', &source.text).count());
    lines.sum()
}

/// Finds the copies in `sources`.
#[must_use]
pub fn find(sources: &[Source], options: Options) -> Copies {
    let mut families: [Vec<(usize, Tokens)>; 5] = Default::default();
    let lexed: Vec<Tokens> = sources
        .par_iter()
        .map(|source| lex::lex(source.language, &source.text))
        .collect();
    let mut copies = Copies {
        lines: lines(sources),
        ..Copies::default()
    };
    for (at, tokens) in lexed.into_iter().enumerate() {
        copies.tokens += tokens.codes.len();
        families[family(sources[at].language)].push((at, tokens));
    }
    for files in &families {
        let corpus = Corpus { files };
        within(&corpus, sources, options, &mut copies);
    }
    let weight = |class: &Class| class.tokens * class.places.len();
    copies
        .classes
        .sort_by_key(|class| (std::cmp::Reverse(weight(class)), class.places[0].clone()));
    copies
}

/// Adds what one family of languages has to `copies`.
fn within(corpus: &Corpus<'_>, sources: &[Source], options: Options, copies: &mut Copies) {
    let exact = sweep::exact(corpus, &seed::exact(corpus, options.tokens), options.tokens);
    copies.compared += exact.compared;
    let exact: Vec<Pair> = exact
        .pairs
        .into_par_iter()
        .filter(|pair| corpus.is_tall(pair.one, options.lines))
        .collect();
    let least = options.renamed_tokens;
    let renamed = sweep::renamed(corpus, &seed::renamed(corpus, least), least);
    copies.compared += renamed.compared;
    let renamed: Vec<Pair> = renamed
        .pairs
        .into_par_iter()
        .filter(|pair| corpus.is_tall(pair.one, options.lines))
        .collect();
    copies.duplicated += count_lines(corpus, &exact);
    let mut cover = Cover::new(corpus);
    let mut classes = gather(corpus, &exact, Likeness::Exact, &mut cover);
    classes.extend(gather(corpus, &renamed, Likeness::Renamed, &mut cover));
    let name = |(spans, likeness, content): (Vec<Span>, Likeness, (u64, u64))| {
        let mut places: Vec<Place> = spans
            .iter()
            .map(|span| {
                let (from, to) = corpus.lines_of(*span);
                let path = sources[corpus.files[span.file as usize].0].path.clone();
                Place { path, from, to }
            })
            .collect();
        places.sort_unstable();
        Class {
            likeness,
            tokens: spans[0].len as usize,
            places,
            content: format!("{:016x}{:016x}", content.0, content.1),
        }
    };
    copies.classes.extend(classes.into_iter().map(name));
}

fn count_lines(corpus: &Corpus<'_>, pairs: &[Pair]) -> usize {
    let mut spans: Vec<(u32, u32, u32)> = pairs
        .iter()
        .flat_map(|pair| [pair.one, pair.other])
        .map(|span| {
            let (from, to) = corpus.lines_of(span);
            (span.file, from, to)
        })
        .collect();
    spans.sort_unstable();
    let (mut count, mut file, mut done) = (0, u32::MAX, 0);
    for (of, from, to) in spans {
        if of != file {
            (file, done) = (of, 0);
        }
        let from = from.max(done + 1);
        if to >= from {
            count += (to - from + 1) as usize;
            done = to;
        }
    }
    count
}

/// How many places the largest class over each token has.
struct Cover(Vec<Vec<u32>>);

impl Cover {
    fn new(corpus: &Corpus<'_>) -> Self {
        Self(vec![Vec::new(); corpus.files.len()])
    }

    fn is_inside(&self, span: Span, places: u32) -> bool {
        let tokens = &self.0[span.file as usize];
        let range = span.start as usize..(span.start + span.len) as usize;
        tokens
            .get(range)
            .is_some_and(|covered| covered.iter().all(|count| *count >= places))
    }

    fn add(&mut self, corpus: &Corpus<'_>, span: Span, places: u32) {
        let tokens = &mut self.0[span.file as usize];
        if tokens.is_empty() {
            tokens.resize(corpus.codes(span.file).len(), 0);
        }
        let range = span.start as usize..(span.start + span.len) as usize;
        for count in &mut tokens[range] {
            *count = places.max(*count);
        }
    }
}

type Gathered = (Vec<Span>, Likeness, (u64, u64));

/// Joins pairs of the same content to classes, and leaves out classes that lie within
/// larger ones of as many places.
fn gather(
    corpus: &Corpus<'_>,
    pairs: &[Pair],
    likeness: Likeness,
    cover: &mut Cover,
) -> Vec<Gathered> {
    let keyed: Vec<((u64, u64), Pair)> = pairs
        .par_iter()
        .map(|pair| (corpus.content(pair.one, likeness), *pair))
        .collect();
    let mut classes: FxHashMap<(u64, u64), Vec<Span>> = FxHashMap::default();
    for (content, pair) in keyed {
        let spans = classes.entry(content).or_default();
        spans.extend([pair.one, pair.other]);
    }
    let mut all: Vec<((u64, u64), Vec<Span>)> = classes.into_iter().collect();
    for (_, spans) in &mut all {
        spans.sort_unstable();
        spans.dedup();
        // A run that meets itself gives places that overlap; the first of them stay.
        let mut end = (u32::MAX, 0);
        spans.retain(|span| {
            let stays = span.file != end.0 || span.start >= end.1;
            if stays {
                end = (span.file, span.start + span.len);
            }
            stays
        });
    }
    all.sort_unstable_by_key(|(content, spans)| (std::cmp::Reverse(spans[0].len), *content));
    let mut kept = Vec::new();
    for (content, spans) in all {
        let places = u32::try_from(spans.len()).unwrap_or(u32::MAX);
        if places < 2 || spans.iter().all(|span| cover.is_inside(*span, places)) {
            continue;
        }
        for span in &spans {
            cover.add(corpus, *span, places);
        }
        kept.push((spans, likeness, content));
    }
    kept
}

#[cfg(test)]
mod tests;
