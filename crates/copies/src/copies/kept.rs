//! What is known of the copies in a tree, kept from one search to the next.
//!
//! # Invariants
//!
//! * A search with what is kept finds what a search without it would: fingerprints of
//!   unchanged files are the same, a group of fingerprints gives pairs that depend on its
//!   members alone, and a match between two unchanged files is the same as long as any
//!   group gives a pair in it. Groups that a change touches give their pairs anew; a match
//!   that one of them may have led to stays if any other still does.
//! * What was written is bytes from elsewhere: whatever does not fit into the files of today
//!   is refused before it is used.

use std::{io, sync::Arc};

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Copies, Corpus, Likeness, Options, Pair, Span, classes,
    function::{Function, Statement, functions},
    seed::{self, Mark, Seed, Seeder},
    sweep::{self, Match, Stretch},
};
use crate::{
    memory::{Digest, Folder, Reader, Writer, broken, digest_of},
    source::Source,
};

/// Name of the part.
const PART: &str = "copies";
const FAMILIES: usize = 5;
const KINDS: [Likeness; 2] = [Likeness::Exact, Likeness::Renamed];

/// What is kept of a tree, by family of languages.
#[derive(Debug)]
pub struct Kept {
    key: Digest,
    shelves: [Shelf; FAMILIES],
    /// Whether it is not what is on disk.
    is_new: bool,
    dropped: Option<String>,
}

/// What is kept of one family.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// By path.
    files: Vec<File>,
    kinds: [Kind; KINDS.len()],
    is_new: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: String,
    content: Digest,
    tokens: u32,
    lines: u32,
    functions: Arc<[Function]>,
}

/// What a search of one family gives: copies, and the functions of each file.
pub(super) type Found = (Copies, Vec<Arc<[Function]>>);

/// Fingerprints and matches, in order.
#[derive(Debug, Default)]
struct Kind {
    marks: Vec<Mark>,
    matches: Vec<Match>,
}

impl Kept {
    /// Reads what `folder` holds for searches with `options` by the program `program`.
    pub fn open(folder: &Folder, options: Options, program: Digest) -> Self {
        let text = format!("copies 1 {options:?} {program:x}");
        let mut kept = Self {
            key: digest_of(text.as_bytes()),
            shelves: Default::default(),
            is_new: false,
            dropped: None,
        };
        match kept.load(folder) {
            Ok(shelves) => kept.shelves = shelves.unwrap_or_default(),
            Err(error) => kept.dropped = Some(error.to_string()),
        }
        kept
    }

    /// Returns why what was there is not used, if so.
    pub fn dropped(&self) -> Option<&str> {
        self.dropped.as_deref()
    }

    fn load(&self, folder: &Folder) -> io::Result<Option<[Shelf; FAMILIES]>> {
        let Some(bytes) = folder.load(PART, self.key)? else {
            return Ok(None);
        };
        let mut from = Reader::new(&bytes);
        let mut parts = [&[][..]; FAMILIES];
        for part in &mut parts {
            let len = from.u64().and_then(|len| usize::try_from(len).ok());
            let raw = len.and_then(|len| from.raw(len));
            *part = raw.ok_or_else(|| broken("it is cut"))?;
        }
        let shelves: Option<Vec<Shelf>> = parts.into_par_iter().map(Shelf::take).collect();
        let shelves = shelves.filter(|_| from.is_done());
        let shelves = shelves.ok_or_else(|| broken("it cannot be read"))?;
        Ok(shelves.try_into().ok())
    }

    /// Writes what is kept, if it is not what is there already.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn save(&self, folder: &Folder) -> io::Result<()> {
        if !self.is_new {
            return Ok(());
        }
        let parts = self.shelves.par_iter().map(Shelf::put);
        let parts: Vec<Vec<u8>> = parts.collect();
        let lens: Vec<[u8; 8]> = parts
            .iter()
            .map(|part| (part.len() as u64).to_le_bytes())
            .collect();
        let pieces = lens.iter().zip(&parts);
        let pieces: Vec<&[u8]> = pieces.flat_map(|(len, part)| [&len[..], part]).collect();
        folder.save(PART, self.key, &pieces)
    }

    pub(super) fn take(&mut self) -> [Shelf; FAMILIES] {
        std::mem::take(&mut self.shelves)
    }

    pub(super) fn put(&mut self, shelves: [Shelf; FAMILIES]) {
        self.is_new |= shelves.iter().any(|shelf| shelf.is_new);
        self.shelves = shelves;
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self, why: &str) {
        self.shelves = Default::default();
        self.is_new = true;
        self.dropped = Some(why.to_owned());
    }
}

impl Shelf {
    /// Finds the copies in `sources`, in the order of their paths; keeps what it learns if it
    /// is to. Nothing if it holds what cannot be.
    pub(super) fn search(
        &mut self,
        sources: &[(&Source, Digest)],
        options: Options,
        is_kept: bool,
    ) -> Option<Found> {
        // Names that were not UTF-8 may be the same after they were read.
        let is_kept = is_kept && sources.is_sorted_by(|one, other| one.0.path < other.0.path);
        if !is_kept {
            *self = Self::default();
        }
        // Where today's files were, and where those of then are.
        let (now, then) = self.align(sources);
        let known = |at: &Option<usize>| at.map(|at| &self.files[at]);
        let corpus = Corpus::new(
            sources
                .iter()
                .zip(&now)
                .map(|((source, _), at)| (*source, known(at).map(|file| file.tokens))),
        );
        let fresh: Vec<u32> = (0..sources.len() as u32)
            .filter(|at| now[*at as usize].is_none())
            .collect();
        let is_same = fresh.is_empty() && then.iter().all(Option::is_some);
        let lines = sources.par_iter().zip(&now).map(|((source, _), at)| {
            let counted = || source.text.lines() as u32;
            known(at).map_or_else(counted, |file| file.lines)
        });
        let lines: Vec<u32> = lines.collect();
        let mut copies = Copies {
            lines: lines.iter().map(|lines| *lines as usize).sum(),
            ..Copies::default()
        };
        let least = [options.tokens, options.renamed_tokens];
        for ((kind, likeness), least) in self.kinds.iter_mut().zip(KINDS).zip(least) {
            if is_same {
                continue;
            }
            let seeder = Seeder::new(likeness, least);
            let update = Update {
                corpus: &corpus,
                seeder,
                likeness,
                size: (least, options.lines),
            };
            copies.compared += update.apply(kind, &then, &fresh);
            if !is_kept {
                kind.marks = Vec::new();
            }
        }
        let [exact, renamed] = &self.kinds;
        copies.duplicated = classes::count_lines(&exact.matches);
        copies.classes = classes::classes(&corpus, [&exact.matches, &renamed.matches]);
        copies.tokens = (0..sources.len() as u32)
            .map(|file| corpus.len(file) as usize)
            .sum();
        let of_files = sources.par_iter().zip(&now).enumerate();
        let of_files = of_files.map(|(at, ((source, _), was))| match known(was) {
            Some(file) => Arc::clone(&file.functions),
            None => functions(source, corpus.tokens(at as u32)).into(),
        });
        let of_files: Vec<Arc<[Function]>> = of_files.collect();
        if is_kept && !is_same {
            let files = sources.iter().zip(lines).zip(&of_files).enumerate();
            let files = files.map(|(at, (((source, content), lines), functions))| File {
                path: source.path.clone(),
                content: *content,
                tokens: corpus.len(at as u32),
                lines,
                functions: Arc::clone(functions),
            });
            self.files = files.collect();
            self.is_new = true;
        }
        (!corpus.is_broken()).then_some((copies, of_files))
    }

    /// Returns for each of `sources` which kept file it is, and the other way round.
    fn align(&self, sources: &[(&Source, Digest)]) -> (Vec<Option<usize>>, Vec<Option<u32>>) {
        let mut now = vec![None; sources.len()];
        let mut then = vec![None; self.files.len()];
        let mut before = self.files.iter().enumerate().peekable();
        for (at, (source, content)) in sources.iter().enumerate() {
            while before
                .next_if(|(_, file)| file.path < source.path)
                .is_some()
            {}
            // A token has a byte at least, whatever was written down.
            let is_same = |(_, file): &(usize, &File)| {
                let fits = file.tokens as usize <= source.text.len();
                file.path == source.path && file.content == *content && fits
            };
            if let Some((was, _)) = before.next_if(is_same) {
                now[at] = Some(was);
                then[was] = Some(at as u32);
            }
        }
        (now, then)
    }
}

/// One change of the fingerprints and matches of one kind.
struct Update<'c> {
    corpus: &'c Corpus<'c>,
    seeder: Seeder,
    likeness: Likeness,
    size: (usize, u32),
}

/// Fingerprints of today, and what is new of them.
#[derive(Default)]
struct Merged {
    marks: Vec<Mark>,
    /// Where the groups are that have lost or won a member.
    groups: Vec<std::ops::Range<usize>>,
    /// Places in unchanged files whose group is one of those, in order.
    touched: FxHashMap<u32, Vec<u32>>,
}

impl Update<'_> {
    /// Makes `kind` what it is today. `then` tells which file of today each kept one is;
    /// `fresh` are the others. Returns how many pairs of tokens were compared.
    fn apply(&self, kind: &mut Kind, then: &[Option<u32>], fresh: &[u32]) -> u64 {
        let marks = self.seeder.marks(self.corpus, fresh);
        let merged = match kind.marks.is_empty() {
            true => Merged {
                marks,
                ..Merged::default()
            },
            false => merge(&kind.marks, then, &marks),
        };
        let groups: Vec<&[Mark]> = match kind.marks.is_empty() {
            true => seed::groups(&merged.marks),
            false => merged
                .groups
                .iter()
                .map(|at| &merged.marks[at.clone()])
                .collect(),
        };
        let seeds = self.seeder.all(self.corpus, &groups);
        let swept = sweep::matches(self.corpus, &seeds, self.likeness, self.size);
        drop(seeds);
        let mut matches = swept.matches;
        let found: FxHashSet<Stretch> = match kind.matches.is_empty() {
            true => FxHashSet::default(),
            false => matches.iter().map(|one| one.within).collect(),
        };
        let moved = kind.matches.iter().filter_map(|one| moved(one, then));
        let (doubtful, sure): (Vec<Match>, Vec<Match>) = moved
            .filter(|one| !found.contains(&one.within))
            .partition(|one| merged.touches(&one.within));
        matches.extend(sure);
        matches.extend(self.confirm(&merged, doubtful));
        matches.par_sort_unstable();
        *kind = Kind {
            marks: merged.marks,
            matches,
        };
        swept.compared
    }

    /// Returns those of `doubtful` that an untouched group leads to.
    fn confirm(&self, merged: &Merged, doubtful: Vec<Match>) -> Vec<Match> {
        let mut places: FxHashMap<u32, Vec<(u32, u64)>> = FxHashMap::default();
        for one in &doubtful {
            places.entry(one.within.one).or_default();
        }
        if places.is_empty() {
            return doubtful;
        }
        for mark in &merged.marks {
            if let Some(of_file) = places.get_mut(&mark.file) {
                of_file.push((mark.at, mark.hash));
            }
        }
        places
            .par_iter_mut()
            .for_each(|(_, all)| all.sort_unstable());
        let mut pairs: FxHashMap<u64, FxHashSet<Seed>> = FxHashMap::default();
        let mut leads = |within: &Stretch| {
            let all = &places[&within.one];
            let first = all.partition_point(|(at, _)| *at < within.start);
            let inside = all[first..].iter().take_while(|(at, _)| *at < within.end);
            inside.into_iter().any(|(at, hash)| {
                if merged.is_touched(within.one, *at) {
                    return false;
                }
                let pairs = pairs.entry(*hash).or_insert_with(|| {
                    let group = merged.group(*hash);
                    self.seeder.pairs(self.corpus, group).into_iter().collect()
                });
                pairs.contains(&Seed {
                    one: within.one,
                    other: within.other,
                    diagonal: within.diagonal,
                    at: *at,
                })
            })
        };
        let mut confirmed = doubtful;
        confirmed.retain(|one| leads(&one.within));
        confirmed
    }
}

impl Merged {
    fn touches(&self, within: &Stretch) -> bool {
        self.touched.get(&within.one).is_some_and(|all| {
            let first = all.partition_point(|at| *at < within.start);
            all.get(first).is_some_and(|at| *at < within.end)
        })
    }

    fn is_touched(&self, file: u32, at: u32) -> bool {
        let all = self.touched.get(&file);
        all.is_some_and(|all| all.binary_search(&at).is_ok())
    }

    fn group(&self, hash: u64) -> &[Mark] {
        let from = self.marks.partition_point(|mark| mark.hash < hash);
        let to = self.marks.partition_point(|mark| mark.hash <= hash);
        &self.marks[from..to]
    }
}

/// Puts `fresh` marks among those that are kept, as far as their files are there still.
fn merge(kept: &[Mark], then: &[Option<u32>], fresh: &[Mark]) -> Merged {
    let mut merged = Merged::default();
    merged.marks.reserve(kept.len() + fresh.len());
    let (mut old, mut new) = (kept.iter().peekable(), fresh.iter().peekable());
    while let Some(hash) = match (old.peek(), new.peek()) {
        (Some(one), Some(other)) => Some(one.hash.min(other.hash)),
        (one, other) => one.or(other).map(|mark| mark.hash),
    } {
        let (begin, mut is_touched) = (merged.marks.len(), false);
        while let Some(mark) = old.next_if(|mark| mark.hash == hash) {
            match then[mark.file as usize] {
                Some(file) => merged.marks.push(Mark { file, ..*mark }),
                None => is_touched = true,
            }
        }
        let stayed = merged.marks.len();
        while let Some(mark) = new.next_if(|mark| mark.hash == hash) {
            merged.marks.push(*mark);
        }
        if !is_touched && stayed == merged.marks.len() {
            continue;
        }
        for mark in &merged.marks[begin..stayed] {
            merged.touched.entry(mark.file).or_default().push(mark.at);
        }
        merged.marks[begin..].sort_unstable();
        if merged.marks.len() > begin + 1 {
            merged.groups.push(begin..merged.marks.len());
        }
    }
    for all in merged.touched.values_mut() {
        all.sort_unstable();
    }
    merged
}

/// Returns a match with the numbers that files have today; nothing if one is gone.
fn moved(one: &Match, then: &[Option<u32>]) -> Option<Match> {
    let file = |file: u32| then[file as usize];
    let span = |span: Span| {
        Some(Span {
            file: file(span.file)?,
            ..span
        })
    };
    Some(Match {
        within: Stretch {
            one: file(one.within.one)?,
            other: file(one.within.other)?,
            ..one.within
        },
        pair: Pair {
            one: span(one.pair.one)?,
            other: span(one.pair.other)?,
        },
        ..*one
    })
}

/// Bytes of a fingerprint and of a match, and the least of a file and a function.
const MARK: usize = 16;
const MATCH: usize = 24 + 24 + 16 + 16;
const FILE: usize = 32;
const FUNCTION: usize = 16;

impl Shelf {
    fn put(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.count(self.files.len());
        for file in &self.files {
            out.text(&file.path);
            out.digest(file.content);
            out.u32(file.tokens);
            out.u32(file.lines);
            out.count(file.functions.len());
            for one in file.functions.iter() {
                put_function(&mut out, one);
            }
        }
        for kind in &self.kinds {
            out.0
                .reserve(kind.marks.len() * MARK + kind.matches.len() * MATCH + 8);
            out.count(kind.marks.len());
            for mark in &kind.marks {
                out.u64(mark.hash);
                out.u32(mark.file);
                out.u32(mark.at);
            }
            out.count(kind.matches.len());
            for one in &kind.matches {
                put_match(&mut out, one);
            }
        }
        out.0
    }

    /// Reads what [`Self::put`] writes; nothing if it is not in order or names what there is
    /// not.
    fn take(bytes: &[u8]) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let mut files: Vec<File> = Vec::new();
        for _ in 0..from.count(FILE)? {
            let mut file = File {
                path: from.text()?.to_owned(),
                content: from.digest()?,
                tokens: from.u32()?,
                lines: from.u32()?,
                functions: Arc::default(),
            };
            let count = from.count(FUNCTION)?;
            let functions = (0..count).map(|_| take_function(&mut from));
            file.functions = functions.collect::<Option<_>>()?;
            let is_next = files.last().is_none_or(|last| last.path < file.path);
            is_next.then(|| files.push(file))?;
        }
        let mut kinds: [Kind; KINDS.len()] = Default::default();
        for kind in &mut kinds {
            let count = from.count(MARK)?;
            let raw = from.raw(count * MARK)?;
            let marks = raw.chunks_exact(MARK).map(|raw| {
                let mut raw = Reader::new(raw);
                let mark = Mark {
                    hash: raw.u64()?,
                    file: raw.u32()?,
                    at: raw.u32()?,
                };
                let file = files.get(mark.file as usize)?;
                (mark.at < file.tokens).then_some(mark)
            });
            kind.marks = marks.collect::<Option<_>>()?;
            kind.marks.is_sorted().then_some(())?;
            let count = from.count(MATCH)?;
            let mut matches = Vec::with_capacity(count);
            for _ in 0..count {
                matches.push(take_match(&mut from, &files)?);
            }
            kind.matches = matches;
        }
        from.is_done().then_some(Self {
            files,
            kinds,
            is_new: false,
        })
    }
}

fn put_function(out: &mut Writer, one: &Function) {
    out.text(&one.name);
    out.u32(one.lines.0);
    out.u32(one.lines.1);
    out.count(one.statements.len());
    for statement in &one.statements {
        out.u32(statement.0);
    }
}

fn take_function(from: &mut Reader<'_>) -> Option<Function> {
    let (name, first, last) = (from.text()?.to_owned(), from.u32()?, from.u32()?);
    let count = from.count(4)?;
    let raw = from.raw(count * 4)?.as_chunks::<4>().0;
    let is_one = first > 0 && first <= last && !raw.is_empty();
    is_one.then(|| Function {
        name,
        lines: (first, last),
        statements: raw
            .iter()
            .map(|raw| Statement(u32::from_le_bytes(*raw)))
            .collect(),
    })
}

fn put_match(out: &mut Writer, one: &Match) {
    let within = &one.within;
    out.u32(within.one);
    out.u32(within.other);
    out.u64(within.diagonal as u64);
    out.u32(within.start);
    out.u32(within.end);
    for span in [one.pair.one, one.pair.other] {
        out.u32(span.file);
        out.u32(span.start);
        out.u32(span.len);
    }
    out.u64(one.content.0);
    out.u64(one.content.1);
    for (first, last) in one.lines {
        out.u32(first);
        out.u32(last);
    }
}

fn take_match(from: &mut Reader<'_>, files: &[File]) -> Option<Match> {
    let within = Stretch {
        one: from.u32()?,
        other: from.u32()?,
        diagonal: from.u64()? as i64,
        start: from.u32()?,
        end: from.u32()?,
    };
    let mut span = || {
        let span = Span {
            file: from.u32()?,
            start: from.u32()?,
            len: from.u32()?,
        };
        let file = files.get(span.file as usize)?;
        let end = span.start.checked_add(span.len)?;
        (span.len > 0 && end <= file.tokens).then_some(span)
    };
    let pair = Pair {
        one: span()?,
        other: span()?,
    };
    let fits = within.one == pair.one.file && within.other == pair.other.file;
    fits.then_some(())?;
    let content = (from.u64()?, from.u64()?);
    let mut lines = || {
        let (first, last) = (from.u32()?, from.u32()?);
        (first <= last).then_some((first, last))
    };
    Some(Match {
        within,
        pair,
        content,
        lines: [lines()?, lines()?],
    })
}

#[cfg(test)]
mod tests;
