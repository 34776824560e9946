//! Fingerprints of windows of tokens, and the pairs of places that share one.
//!
//! # Invariants
//!
//! * Of a group of equal fingerprints, pairs are made of all members while it is small.
//!   In a larger one members are put in order by what is around them, several times, and
//!   neighbours are paired: two members with a long match between them are neighbours in
//!   one of the orders, or both are neighbours of others of the same content.

use std::collections::VecDeque;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{Corpus, Likeness, lex};

/// Members up to which a group gives all its pairs.
const SMALL: usize = 8;

/// A place of a match: two files, the distance between the places, and the first place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Seed {
    pub(super) one: u32,
    pub(super) other: u32,
    pub(super) diagonal: i64,
    pub(super) at: u32,
}

/// A fingerprint: of the tokens of `file` from `at` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) hash: u64,
    pub(super) file: u32,
    pub(super) at: u32,
}

const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    value ^ (value >> 32)
}

/// Hash of `codes[at..at + len]`, of what there is of it.
fn around(codes: &[u32], at: usize, len: usize) -> u64 {
    let end = (at + len).min(codes.len());
    let tokens = codes[at.min(end)..end].iter();
    tokens.fold(end as u64 - at.min(end) as u64, |hash, code| {
        mix(hash.wrapping_mul(BASE) ^ u64::from(*code))
    })
}

/// Chooses fingerprints of windows of `k` tokens so that any match of `2 k` has one.
fn winnow(codes: &[u32], k: usize, view: fn(u32) -> u32, mut take: impl FnMut(u32, u64)) {
    if codes.len() < k {
        return;
    }
    let window = k + 1;
    let top = (1..k).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut rolling = 0_u64;
    for code in &codes[..k - 1] {
        rolling = rolling
            .wrapping_mul(BASE)
            .wrapping_add(u64::from(view(*code)) + 1);
    }
    // The smallest hash of the window, the right one of equals.
    let mut queue: VecDeque<(u64, usize)> = VecDeque::with_capacity(window);
    let mut last = usize::MAX;
    for at in 0..=codes.len() - k {
        let entering = u64::from(view(codes[at + k - 1])) + 1;
        rolling = rolling.wrapping_mul(BASE).wrapping_add(entering);
        let hash = mix(rolling);
        let leaving = u64::from(view(codes[at])) + 1;
        rolling = rolling.wrapping_sub(leaving.wrapping_mul(top));
        while queue.back().is_some_and(|(other, _)| *other >= hash) {
            queue.pop_back();
        }
        queue.push_back((hash, at));
        if queue
            .front()
            .is_some_and(|(_, place)| *place + window <= at)
        {
            queue.pop_front();
        }
        let is_full = at + 1 >= window || at == codes.len() - k;
        if let (true, Some((hash, place))) = (is_full, queue.front())
            && *place != last
        {
            last = *place;
            take(*place as u32, *hash);
        }
    }
}

/// How fingerprints are made and paired, for matches of some number of tokens.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeder {
    likeness: Likeness,
    /// Tokens of a window.
    k: usize,
}

impl Seeder {
    /// Returns how matches of `least` tokens are found.
    pub(super) fn new(likeness: Likeness, least: usize) -> Self {
        Self {
            likeness,
            k: least / 2,
        }
    }

    /// Returns the fingerprints of `files`, in order.
    pub(super) fn marks(self, corpus: &Corpus<'_>, files: &[u32]) -> Vec<Mark> {
        let k = self.k;
        let mut marks: Vec<Mark> = files
            .par_iter()
            .flat_map_iter(|file| {
                let codes = corpus.codes(*file);
                let mut marks = Vec::with_capacity(codes.len() / k * 3);
                let mut keep = |hash: u64, at: u32| {
                    let file = *file;
                    marks.push(Mark { hash, file, at });
                };
                match self.likeness {
                    Likeness::Exact => winnow(codes, k, |code| code, |at, hash| keep(hash, at)),
                    Likeness::Renamed => winnow(codes, k, lex::blind, |at, _| {
                        keep(shape(&codes[at as usize..at as usize + k]), at);
                    }),
                }
                marks
            })
            .collect();
        marks.par_sort_unstable();
        marks
    }

    /// Returns the pairs that a group of equal fingerprints gives, which depend on nothing
    /// but its members.
    pub(super) fn pairs(self, corpus: &Corpus<'_>, group: &[Mark]) -> Vec<Seed> {
        let k = self.k;
        let mut seeds = Vec::new();
        let around_it = |mark: &Mark, step: usize| {
            let (before, after) = (k * step / 5, k - k * step / 5);
            let begin = (mark.at as usize).saturating_sub(before);
            (corpus.codes(mark.file), begin, after)
        };
        match self.likeness {
            Likeness::Exact => pair(group, &mut seeds, |mark, step| {
                let (codes, begin, after) = around_it(mark, step);
                let at = mark.at as usize;
                let left = around(codes, begin, at - begin);
                left ^ around(codes, at + k, after).rotate_left(21)
            }),
            Likeness::Renamed => {
                // Places of the same text are exact copies already: one stands for all.
                let mut texts: FxHashMap<u64, Mark> = FxHashMap::default();
                for mark in group {
                    let text = around(corpus.codes(mark.file), mark.at as usize, k);
                    texts.entry(text).or_insert(*mark);
                }
                let mut some: Vec<Mark> = texts.into_values().collect();
                some.sort_unstable();
                pair(&some, &mut seeds, |mark, step| {
                    let (codes, begin, after) = around_it(mark, step);
                    let end = (mark.at as usize + k + after).min(codes.len());
                    shape(&codes[begin..end])
                });
            }
        }
        seeds
    }

    /// Returns the pairs that all of `groups` give, in order.
    pub(super) fn all(self, corpus: &Corpus<'_>, groups: &[&[Mark]]) -> Vec<Seed> {
        let mut seeds: Vec<Seed> = groups
            .par_iter()
            .flat_map_iter(|group| self.pairs(corpus, group))
            .collect();
        seeds.par_sort_unstable();
        seeds.dedup();
        seeds
    }
}

/// Hash of tokens that is the same under every one-to-one renaming (Baker, 1993).
fn shape(codes: &[u32]) -> u64 {
    let mut last: FxHashMap<u32, usize> = FxHashMap::default();
    codes
        .iter()
        .enumerate()
        .fold(codes.len() as u64, |hash, (at, code)| {
            let value = match lex::is_name(*code) {
                true => last
                    .insert(*code, at)
                    .map_or(1 << 40, |before| 2 << 40 | (at - before) as u64),
                false => u64::from(lex::blind(*code)),
            };
            mix(hash.wrapping_mul(BASE) ^ value)
        })
}

/// Returns the groups of equal hashes with two members and more.
pub(super) fn groups(marks: &[Mark]) -> Vec<&[Mark]> {
    marks
        .chunk_by(|one, other| one.hash == other.hash)
        .filter(|group| group.len() > 1)
        .collect()
}

fn pair(group: &[Mark], seeds: &mut Vec<Seed>, context: impl Fn(&Mark, usize) -> u64) {
    let mut add = |one: &Mark, other: &Mark| {
        let (one, other) = match (one.file, one.at) <= (other.file, other.at) {
            true => (one, other),
            false => (other, one),
        };
        seeds.push(Seed {
            one: one.file,
            other: other.file,
            diagonal: i64::from(other.at) - i64::from(one.at),
            at: one.at,
        });
    };
    if group.len() <= SMALL {
        for (at, one) in group.iter().enumerate() {
            group[at + 1..].iter().for_each(|other| add(one, other));
        }
        return;
    }
    for step in 0..=5 {
        let mut order: Vec<(u64, &Mark)> = group
            .iter()
            .map(|mark| (context(mark, step), mark))
            .collect();
        order.sort_unstable();
        for two in order.windows(2) {
            if two[0].0 == two[1].0 {
                add(two[0].1, two[1].1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_long_match_shares_a_fingerprint() {
        let mut state = 1_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 20
        };
        for _ in 0..200 {
            let common: Vec<u32> = (0..50).map(|_| random()).collect();
            let mut texts = [Vec::new(), Vec::new()];
            for text in &mut texts {
                text.extend((0..random() % 90).map(|_| random()));
                text.extend(&common);
                text.extend((0..random() % 90).map(|_| random()));
            }
            let [one, other] = texts.map(|text| {
                let mut found = Vec::new();
                winnow(&text, 25, |code| code, |_, hash| found.push(hash));
                found
            });
            assert!(one.iter().any(|hash| other.contains(hash)));
        }
    }

    #[test]
    fn shape_knows_renamings_that_are_one_to_one() {
        let name = |n: u32| n | 1 << 30;
        let text = [name(1), 40, name(2), name(1), 41];
        let renamed = [name(7), 40, name(9), name(7), 41];
        let merged = [name(7), 40, name(7), name(7), 41];
        assert_eq!(shape(&text), shape(&renamed));
        assert_ne!(shape(&text), shape(&merged));
    }
}
