//! Extends seeds to the longest matches, in one sweep per diagonal.
//!
//! # Invariants
//!
//! * On a diagonal nothing is compared twice: a seed inside the last match is skipped, and
//!   no match is extended to the left beyond it. What was compared is counted.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Corpus, Pair, Span, lex, seed::Seed};

/// Names that a renamed copy replaces at least; below that it is a table.
const NAMES: usize = 8;

/// What a sweep gives.
#[derive(Debug, Default)]
pub(super) struct Swept {
    pub(super) pairs: Vec<Pair>,
    /// How many pairs of tokens were compared.
    pub(super) compared: u64,
}

/// Returns the exact matches of `least` tokens and more.
pub(super) fn exact(corpus: &Corpus<'_>, seeds: &[Seed], least: usize) -> Swept {
    on_diagonals(seeds, |diagonal| {
        let first = diagonal[0];
        let (one, other) = (corpus.codes(first.one), corpus.codes(first.other));
        let (mut swept, mut done) = (Swept::default(), 0_usize);
        for seed in diagonal {
            let at = seed.at as usize;
            if at < done {
                continue;
            }
            let shifted = |at: usize| (at as i64 + seed.diagonal) as usize;
            let mut start = at;
            while start > done && shifted(start) > 0 && one[start - 1] == other[shifted(start) - 1]
            {
                start -= 1;
            }
            let mut end = at;
            while end < one.len() && shifted(end) < other.len() && one[end] == other[shifted(end)] {
                end += 1;
            }
            done = end.max(done);
            swept.compared += (end - start) as u64 + 2;
            swept.pairs.extend(cut(seed, start, end - start, least));
        }
        swept
    })
}

fn on_diagonals(seeds: &[Seed], sweep: impl Fn(&[Seed]) -> Swept + Sync + Send) -> Swept {
    let same = |one: &Seed, other: &Seed| {
        (one.one, one.other, one.diagonal) == (other.one, other.other, other.diagonal)
    };
    let diagonals: Vec<&[Seed]> = seeds.chunk_by(same).collect();
    let swept: Vec<Swept> = diagonals.into_par_iter().map(sweep).collect();
    let mut all = Swept::default();
    for one in swept {
        all.pairs.extend(one.pairs);
        all.compared += one.compared;
    }
    all
}

/// Makes a pair of a match. One of a file with itself is cut to whole periods.
fn cut(seed: &Seed, start: usize, len: usize, least: usize) -> Option<Pair> {
    let (mut shift, mut len) = (seed.diagonal, len as i64);
    if seed.one == seed.other && shift < len {
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
        one: span(seed.one, start as i64),
        other: span(seed.other, start as i64 + shift),
    })
}

/// Returns the matches of `least` tokens and more that differ by a one-to-one renaming.
pub(super) fn renamed(corpus: &Corpus<'_>, seeds: &[Seed], least: usize) -> Swept {
    on_diagonals(seeds, |diagonal| {
        let first = diagonal[0];
        let (one, other) = (corpus.codes(first.one), corpus.codes(first.other));
        let (mut swept, mut done) = (Swept::default(), 0_usize);
        for seed in diagonal {
            let at = seed.at as usize;
            if at < done {
                continue;
            }
            let shifted = |at: usize| (at as i64 + seed.diagonal) as usize;
            let same = |at: usize| lex::blind(one[at]) == lex::blind(other[shifted(at)]);
            let mut start = at;
            while start > done && shifted(start) > 0 && same(start - 1) {
                start -= 1;
            }
            let mut end = at;
            while end < one.len() && shifted(end) < other.len() && same(end) {
                end += 1;
            }
            done = end.max(done);
            swept.compared += (end - start) as u64 + 2;
            for (from, to) in runs((one, other), seed.diagonal, (start, end), least) {
                swept.pairs.extend(cut(seed, from, to - from, least));
            }
        }
        swept
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
