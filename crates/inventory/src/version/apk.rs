//! Versions of Alpine packages, as apk-tools 2.14 compares them: numbers, one letter,
//! suffixes, a commit and a revision.

use std::cmp::Ordering;

use super::{Unreadable, digits, split_while};

/// Suffixes in their order; those in front of `END` are before the plain version.
const SUFFIXES: [&str; 9] = ["alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg"];
/// Where no suffix stands in [`SUFFIXES`].
const END: usize = 4;
/// `_p`, the last of them.
const PATCH: usize = SUFFIXES.len();

/// A version of a package.
#[derive(Clone, Debug)]
pub struct Version {
    numbers: Vec<String>,
    letter: Option<u8>,
    suffixes: Vec<(usize, String)>,
    revision: String,
}

impl Version {
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        let (rest, revision) = match text.rsplit_once("-r") {
            Some((rest, number)) if is_number(number) => (rest, number),
            _ => (text, "0"),
        };
        let (rest, _commit) = rest.split_once('~').unwrap_or((rest, ""));
        let (core, tail) = match rest.split_once('_') {
            Some((core, tail)) => (core, Some(tail)),
            None => (rest, None),
        };
        let letter = core.bytes().last().filter(u8::is_ascii_lowercase);
        let core = &core[..core.len() - usize::from(letter.is_some())];
        let numbers: Vec<String> = core.split('.').map(str::to_owned).collect();
        if !numbers.iter().all(|n| is_number(n)) {
            return Err(Unreadable);
        }
        let mut suffixes = Vec::new();
        for suffix in tail.into_iter().flat_map(|tail| tail.split('_')) {
            let (word, number) = split_while(suffix, |b| b.is_ascii_lowercase());
            let place = match word {
                "" => return Err(Unreadable),
                "p" => PATCH,
                word => SUFFIXES
                    .iter()
                    .position(|known| *known == word)
                    .ok_or(Unreadable)?,
            };
            if !number.is_empty() && !is_number(number) {
                return Err(Unreadable);
            }
            suffixes.push((place, number.to_owned()));
        }
        Ok(Self {
            numbers,
            letter,
            suffixes,
            revision: revision.to_owned(),
        })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Compares the number at `at`: behind the first, a leading zero makes it a fraction.
fn number(at: usize, a: &str, b: &str) -> Ordering {
    if at > 0 && (a.starts_with('0') || b.starts_with('0')) {
        return a.trim_end_matches('0').cmp(b.trim_end_matches('0'));
    }
    digits(a, b)
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        for at in 0..self.numbers.len().max(other.numbers.len()) {
            let order = match (self.numbers.get(at), other.numbers.get(at)) {
                (Some(a), Some(b)) => number(at, a, b),
                (Some(_), None) => Ordering::Greater,
                (None, Some(_)) => Ordering::Less,
                (None, None) => Ordering::Equal,
            };
            if order.is_ne() {
                return order;
            }
        }
        let letters = self.letter.cmp(&other.letter);
        if letters.is_ne() {
            return letters;
        }
        for at in 0..self.suffixes.len().max(other.suffixes.len()) {
            let none = (END, String::new());
            let a = self.suffixes.get(at).unwrap_or(&none);
            let b = other.suffixes.get(at).unwrap_or(&none);
            let order = a.0.cmp(&b.0).then_with(|| digits(&a.1, &b.1));
            if order.is_ne() {
                return order;
            }
        }
        digits(&self.revision, &other.revision)
    }
}

super::equal_as_ordered!();
