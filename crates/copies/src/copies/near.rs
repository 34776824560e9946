//! Functions that are nearly the same (type 3): most of their statements are alike, in the
//! same order.
//!
//! # Invariants
//!
//! * The work is linear in the functions: two are compared if two statements in a row are
//!   the same in both; of a pair of statements that many functions share, neighbours by
//!   length are compared; each function is compared with a few others at most.
//! * Functions that are equal are looked at once: they are exact copies.
//! * What is said is a fact about two functions, and never a reason to stop a change.

use std::cmp::Reverse;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{
    Functions, Place, family,
    function::{Function, Statement},
};
use crate::{change::Change, source::Source};

/// Tokens that have to be alike.
const LEAST_TOKENS: u32 = 50;
/// Statements of the longer function of which so many have to be alike: 7 of 10.
const SHARE: (usize, usize) = (7, 10);
/// Functions that share a pair of statements, up to which all are compared with all.
const SMALL: usize = 8;
/// Functions that one is compared with.
const MOST: usize = 8;

/// A function that is nearly the same as another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Near {
    /// What it is called.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// The other one, which was there before as far as that is known.
    pub other: String,
    /// Where that one is.
    pub at: Place,
    /// Statements that are the same, of those of the longer one.
    pub statements: usize,
    /// Statements of the longer one.
    pub of: usize,
}

/// Returns the functions of `sources` that are nearly the same as others, tests left out;
/// with a change those that it adds, by half of their lines or more.
pub fn near(sources: &[Source], functions: &Functions, change: Option<&Change>) -> Vec<Near> {
    let mut families: [Vec<Candidate<'_>>; 5] = Default::default();
    for (at, list) in functions.iter().filter(|(_, list)| !list.is_empty()) {
        let source = &sources[*at];
        let tests_from = source.tests_from();
        let code = list.iter().filter(|one| one.lines.0 < tests_from);
        families[family(source.language)].extend(code.map(|function| Candidate {
            file: *at as u32,
            function,
            is_asked: change.is_none_or(|change| {
                let (from, to) = function.lines;
                change.added_of(&source.path, (from, to)) * 2 > to - from
            }),
        }));
    }
    let found = families.par_iter().flat_map_iter(|candidates| {
        let place = |one: &Candidate<'_>| Place {
            path: sources[one.file as usize].path.clone(),
            from: one.function.lines.0,
            to: one.function.lines.1,
        };
        find(candidates).into_iter().map(move |alike| {
            let (one, other) = (&candidates[alike.one], &candidates[alike.other]);
            let length = |one: &Candidate<'_>| one.function.statements.len();
            Near {
                name: one.function.name.clone(),
                place: place(one),
                other: other.function.name.clone(),
                at: place(other),
                statements: alike.statements,
                of: length(one).max(length(other)),
            }
        })
    });
    found.collect()
}

/// A function of a tree: in which file, and which of its functions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate<'f> {
    pub(super) file: u32,
    pub(super) function: &'f Function,
    /// Whether it is asked what this one is like.
    pub(super) is_asked: bool,
}

impl Candidate<'_> {
    /// Returns whether `inner` is a part of it.
    fn holds(&self, inner: &Self) -> bool {
        let ((first, last), (from, to)) = (self.function.lines, inner.function.lines);
        self.file == inner.file && (first, last) != (from, to) && first <= from && to <= last
    }
}

/// Two functions that are alike, by their places among the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alike {
    pub(super) one: usize,
    pub(super) other: usize,
    /// Statements that are the same.
    pub(super) statements: usize,
}

/// Returns for each of `candidates` that is asked about the one that is most like it: one
/// that is not asked about, or else an earlier one. They are in order of files and lines.
pub(super) fn find(candidates: &[Candidate<'_>]) -> Vec<Alike> {
    let shown = distinct(candidates);
    let pairs = pairs(candidates, &shown);
    let of_one: Vec<&[(u32, u32, u32)]> = pairs.chunk_by(|one, other| one.0 == other.0).collect();
    let best = of_one.into_par_iter().filter_map(|pairs| {
        let mut pairs: Vec<&(u32, u32, u32)> = pairs.iter().collect();
        pairs.sort_unstable_by_key(|(_, other, shared)| (Reverse(*shared), *other));
        let found = pairs.into_iter().take(MOST).filter_map(|(one, other, _)| {
            let (one, other) = (*one as usize, *other as usize);
            let of = [&candidates[one], &candidates[other]];
            let is_part = of[0].holds(of[1]) || of[1].holds(of[0]);
            let statements = alike(of.map(|one| one.function)).filter(|_| !is_part)?;
            Some(Alike {
                one,
                other,
                statements,
            })
        });
        found.max_by_key(|found| {
            let other = &candidates[found.other];
            let longer = other.function.statements.len();
            (
                found.statements * 1_000 / longer.max(1),
                Reverse(found.other),
            )
        })
    });
    let mut found: Vec<Alike> = best.collect();
    outermost(candidates, &mut found);
    found
}

/// Returns the first candidate of each content, of those that are asked about and of the
/// others.
fn distinct(candidates: &[Candidate<'_>]) -> Vec<usize> {
    let mut first: FxHashMap<(&[Statement], bool), usize> = FxHashMap::default();
    for (at, one) in candidates.iter().enumerate() {
        let key = (one.function.statements.as_slice(), one.is_asked);
        first.entry(key).or_insert(at);
    }
    let mut shown: Vec<usize> = first.into_values().collect();
    shown.sort_unstable();
    shown
}

/// Returns who is compared with whom: which one is asked about, the other, and how many pairs
/// of statements they share, in order.
fn pairs(candidates: &[Candidate<'_>], shown: &[usize]) -> Vec<(u32, u32, u32)> {
    let steps_of = |at: usize| {
        let statements = &candidates[at].function.statements;
        let steps = statements.windows(2);
        let mut steps: Vec<u64> = steps
            .map(|two| u64::from(two[0].0) << 32 | u64::from(two[1].0))
            .collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    };
    // Only what those hold that are asked about can be shared with them.
    let asked: rustc_hash::FxHashSet<u64> = shown
        .iter()
        .filter(|at| candidates[**at].is_asked)
        .flat_map(|at| steps_of(*at))
        .collect();
    let mut steps: Vec<(u64, u32, u32)> = shown
        .par_iter()
        .flat_map_iter(|at| {
            let length = candidates[*at].function.statements.len() as u32;
            let steps = steps_of(*at).into_iter();
            let steps = steps.filter(|step| asked.contains(step));
            steps
                .map(move |step| (step, length, *at as u32))
                .collect::<Vec<_>>()
        })
        .collect();
    steps.par_sort_unstable();
    let groups: Vec<&[(u64, u32, u32)]> = steps.chunk_by(|one, other| one.0 == other.0).collect();
    let mut met: Vec<(u32, u32)> = groups
        .par_iter()
        .flat_map_iter(|group| {
            let reach = match group.len() <= SMALL {
                true => SMALL,
                false => 2,
            };
            let mut met = Vec::new();
            for (at, (.., one)) in group.iter().enumerate() {
                for (.., other) in group[at + 1..].iter().take(reach) {
                    met.extend(in_order(candidates, *one, *other));
                }
            }
            met
        })
        .collect();
    met.par_sort_unstable();
    met.chunk_by(|one, other| one == other)
        .map(|same| (same[0].0, same[0].1, same.len() as u32))
        .collect()
}

/// Returns which of two is asked about, and the other: the later one, unless only the
/// earlier is asked about.
fn in_order(candidates: &[Candidate<'_>], one: u32, other: u32) -> Option<(u32, u32)> {
    let (first, last) = (one.min(other), one.max(other));
    let is_asked = |at: u32| candidates[at as usize].is_asked;
    match (is_asked(first), is_asked(last)) {
        (_, true) => Some((last, first)),
        (true, false) => Some((first, last)),
        (false, false) => None,
    }
}

/// Returns how many statements of two functions are the same, if they are nearly the same
/// and not quite.
fn alike([one, other]: [&Function; 2]) -> Option<usize> {
    let (a, b) = (&one.statements, &other.statements);
    let longer = a.len().max(b.len());
    let enough = |count: usize| count * SHARE.1 >= longer * SHARE.0;
    if !enough(a.len().min(b.len())) || a == b {
        return None;
    }
    let (count, tokens) = common(a, b);
    (enough(count) && tokens >= LEAST_TOKENS).then_some(count)
}

/// Returns the length of the longest common subsequence of two lists of statements, and
/// about how many tokens it has (Hyyrö, 2004: a row of the table is one number with a bit
/// for each statement).
fn common(a: &[Statement], b: &[Statement]) -> (usize, u32) {
    let words = a.len().div_ceil(64);
    let mut places: FxHashMap<Statement, Vec<u64>> = FxHashMap::default();
    for (at, statement) in a.iter().enumerate() {
        let bits = places.entry(*statement).or_insert_with(|| vec![0; words]);
        bits[at / 64] |= 1 << (at % 64);
    }
    let mut row = vec![u64::MAX; words];
    for statement in b {
        let Some(bits) = places.get(statement) else {
            continue;
        };
        let mut carry = 0_u64;
        for (word, bits) in row.iter_mut().zip(bits) {
            let both = *word & bits;
            let (sum, over) = word.overflowing_add(both);
            let (sum, again) = sum.overflowing_add(carry);
            carry = u64::from(over || again);
            *word = sum | (*word & !bits);
        }
    }
    // A bit that is not set is where the longest one grows.
    let grows = |at: &usize| row[at / 64] >> (at % 64) & 1 == 0;
    let tokens = (0..a.len()).filter(grows).map(|at| a[at].tokens());
    let count = (0..a.len()).filter(grows).count();
    (count, tokens.sum())
}

/// Leaves out functions that lie inside others of which the same is said, and puts the rest
/// in order.
fn outermost(candidates: &[Candidate<'_>], found: &mut Vec<Alike>) {
    let lines = |at: usize| candidates[at].function.lines;
    let files = |one: &Alike| (candidates[one.one].file, candidates[one.other].file);
    let holds = |outer: usize, inner: usize| candidates[outer].holds(&candidates[inner]);
    found.sort_unstable_by_key(|one| {
        let (from, to) = lines(one.one);
        (files(one), from, Reverse(to), one.other)
    });
    // Those that the next one may lie inside: functions are nested to some depth only.
    let mut open: Vec<Alike> = Vec::new();
    found.retain(|one| {
        let goes_on = |outer: &Alike| files(outer) == files(one) && holds(outer.one, one.one);
        while open.pop_if(|outer| !goes_on(outer)).is_some() {}
        let is_inner = open.iter().any(|outer| holds(outer.other, one.other));
        open.push(*one);
        !is_inner
    });
    found.sort_unstable_by_key(|one| (one.one, one.other));
}

#[cfg(test)]
mod tests;
