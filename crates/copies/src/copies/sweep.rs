//! Extends seeds to the longest matches, in one sweep per diagonal.
//!
//! # Invariants
//!
//! * On a diagonal nothing is compared twice: a seed inside the last match is skipped, and
//!   no match is extended to the left beyond it. What was compared is counted.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Corpus, Likeness, Pair, Span, lex, seed::Seed};

/// Names that a renamed copy replaces at least; below that it is a table.
const NAMES: usize = 8;

/// Where two files are alike, as far as it goes in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Stretch {
    pub(super) one: u32,
    pub(super) other: u32,
    /// How far the place in `other` is behind that in `one`.
    pub(super) diagonal: i64,
    /// Tokens of `one`; the end is not part of it.
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A copy, and the stretch that it was found in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Match {
    pub(super) within: Stretch,
    pub(super) pair: Pair,
    /// Of what is copied.
    pub(super) content: (u64, u64),
    /// Lines of both places.
    pub(super) lines: [(u32, u32); 2],
}

/// What a sweep gives.
#[derive(Debug, Default)]
pub(super) struct Swept {
    pub(super) matches: Vec<Match>,
    /// How many pairs of tokens were compared.
    pub(super) compared: u64,
}

/// Returns the matches that hold any of `seeds`, which are in order, of `least` tokens and
/// `lines` lines or more.
pub(super) fn matches(
    corpus: &Corpus<'_>,
    seeds: &[Seed],
    likeness: Likeness,
    (least, lines): (usize, u32),
) -> Swept {
    let same_diagonal = |one: &Seed, other: &Seed| {
        (one.one, one.other, one.diagonal) == (other.one, other.other, other.diagonal)
    };
    let view = match likeness {
        Likeness::Exact => |code| code,
        Likeness::Renamed => lex::blind,
    };
    let diagonals: Vec<&[Seed]> = seeds.chunk_by(same_diagonal).collect();
    let swept: Vec<Swept> = diagonals
        .into_par_iter()
        .map(|diagonal| {
            let first = diagonal[0];
            let texts = (corpus.codes(first.one), corpus.codes(first.other));
            let mut swept = Swept::default();
            let stretches = stretches(texts, diagonal, view, &mut swept.compared);
            for within in stretches {
                let (start, end) = (within.start as usize, within.end as usize);
                let runs = match likeness {
                    Likeness::Exact => vec![(start, end)],
                    Likeness::Renamed => runs(texts, within.diagonal, (start, end), least),
                };
                let pairs = runs
                    .into_iter()
                    .filter_map(|(from, to)| cut(&within, from, to - from, least));
                let tall = pairs.filter(|pair| corpus.is_tall(pair.one, lines));
                swept.matches.extend(tall.map(|pair| Match {
                    within,
                    pair,
                    content: corpus.content(pair.one, likeness),
                    lines: [pair.one, pair.other].map(|span| corpus.lines_of(span)),
                }));
            }
            swept
        })
        .collect();
    let mut all = Swept::default();
    for one in swept {
        all.matches.extend(one.matches);
        all.compared += one.compared;
    }
    all
}

/// Returns how far two files are alike around each of the seeds of one diagonal.
fn stretches(
    (one, other): (&[u32], &[u32]),
    diagonal: &[Seed],
    view: fn(u32) -> u32,
    compared: &mut u64,
) -> Vec<Stretch> {
    let (mut found, mut done) = (Vec::new(), 0_usize);
    for seed in diagonal {
        let at = seed.at as usize;
        if at < done {
            continue;
        }
        let shifted = |at: usize| (at as i64 + seed.diagonal) as usize;
        let same = |at: usize| view(one[at]) == view(other[shifted(at)]);
        let mut start = at;
        while start > done && shifted(start) > 0 && same(start - 1) {
            start -= 1;
        }
        let mut end = at;
        while end < one.len() && shifted(end) < other.len() && same(end) {
            end += 1;
        }
        done = end.max(done);
        *compared += (end - start) as u64 + 2;
        found.push(Stretch {
            one: seed.one,
            other: seed.other,
            diagonal: seed.diagonal,
            start: start as u32,
            end: end as u32,
        });
    }
    found
}

/// Makes a pair of a match. One of a file with itself is cut to whole periods.
fn cut(within: &Stretch, start: usize, len: usize, least: usize) -> Option<Pair> {
    let (mut shift, mut len) = (within.diagonal, len as i64);
    if within.one == within.other && shift < len {
        let periods = (len + shift) / 2 / shift.max(1);
        (shift, len) = (periods * shift, periods * shift);
    }
    if len < least as i64 {
        return None;
    }
    let span = |file, start: i64| Span {
        file,
        start: start as u32,
        len: len as u32,
    };
    Some(Pair {
        one: span(within.one, start as i64),
        other: span(within.other, start as i64 + shift),
    })
}

/// Returns the longest parts of a blind match over which names are replaced one to one.
fn runs(
    (one, other): (&[u32], &[u32]),
    diagonal: i64,
    (start, end): (usize, usize),
    least: usize,
) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    if end - start < least {
        return found;
    }
    // What each name stands for, and where it was seen last.
    let mut forth: FxHashMap<u32, (u32, usize)> = FxHashMap::default();
    let mut back: FxHashMap<u32, (u32, usize)> = FxHashMap::default();
    let mut from = start;
    let mut keep = |from: usize, to: usize| {
        if to - from >= least && is_renamed((one, other), diagonal, (from, to)) {
            found.push((from, to));
        }
    };
    for at in start..end {
        let (name, new) = (one[at], other[(at as i64 + diagonal) as usize]);
        if !lex::is_name(name) {
            continue;
        }
        let clash = |seen: Option<&(u32, usize)>, is: u32| {
            seen.filter(|(was, place)| *was != is && *place >= from)
                .map(|(_, place)| *place)
        };
        let last = clash(forth.get(&name), new).max(clash(back.get(&new), name));
        if let Some(last) = last {
            keep(from, at);
            from = last + 1;
        }
        forth.insert(name, (new, at));
        back.insert(new, (name, at));
    }
    keep(from, end);
    found
}

/// Returns whether enough names were replaced for this to be a copy of code.
fn is_renamed((one, other): (&[u32], &[u32]), diagonal: i64, (from, to): (usize, usize)) -> bool {
    let mut names: Vec<u32> = Vec::new();
    let (mut literals, mut replaced) = (0, 0);
    for at in from..to {
        let (name, new) = (one[at], other[(at as i64 + diagonal) as usize]);
        if lex::is_name(name) {
            replaced += usize::from(name != new);
            names.push(name);
        } else if lex::blind(name) != name {
            replaced += usize::from(name != new);
            literals += 1;
        }
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    // Without a replacement it is an exact copy, which is found as such.
    let is_code =
        names.len() >= NAMES && names.len() >= (all / 8).min(20) && literals * 3 <= to - from;
    replaced > 0 && is_code
}
