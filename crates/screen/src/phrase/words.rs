//! What stands in every text that a pattern matches.
//!
//! # Invariants
//!
//! * Whatever a pattern matches holds one of its words, without regard to case: a pattern
//!   whose words occur nowhere need not be tried.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Most texts that are kept of a part that stands for a few.
const MAX_EXACT: usize = 64;
/// Most words of a pattern.
const MAX_WORDS: usize = 256;
/// Share of ordinary text at whose places a word of `len` bytes stands, roughly. Shorter
/// ones cost time, many ones space.
const RARER: f64 = 4.0;

/// What is known of the texts that a part of a pattern matches.
#[derive(Clone, Debug)]
struct Known {
    /// All of them, if they are few.
    exact: Option<Vec<Vec<u8>>>,
    /// Words of which each holds one.
    words: Option<Vec<Vec<u8>>>,
}

/// Returns words in lower case of which each match of `pattern` holds one; none if there
/// are no such words.
pub(super) fn of(pattern: &Hir) -> Option<Vec<Vec<u8>>> {
    let Known { exact, words } = known(pattern);
    better(exact.filter(|words| are_words(words)), words)
}

fn known(part: &Hir) -> Known {
    match part.kind() {
        HirKind::Empty | HirKind::Look(_) => exactly(vec![Vec::new()]),
        HirKind::Literal(literal) => exactly(vec![literal.0.to_ascii_lowercase()]),
        HirKind::Class(class) => Known {
            exact: letters(class),
            words: None,
        },
        HirKind::Capture(capture) => known(&capture.sub),
        HirKind::Repetition(repetition) => {
            let inner = known(&repetition.sub);
            match (repetition.min, repetition.max) {
                (0, Some(1)) => Known {
                    exact: inner.exact.map(|mut texts| {
                        texts.push(Vec::new());
                        texts
                    }),
                    words: None,
                },
                (1, Some(1)) => inner,
                (0, _) => Known {
                    exact: None,
                    words: None,
                },
                _ => Known {
                    words: better(inner.exact.filter(|words| are_words(words)), inner.words),
                    exact: None,
                },
            }
        }
        HirKind::Concat(parts) => concat(parts),
        HirKind::Alternation(parts) => alternation(parts),
    }
}

fn exactly(texts: Vec<Vec<u8>>) -> Known {
    Known {
        exact: Some(texts),
        words: None,
    }
}

/// Returns the bytes of a class, letters in lower case.
fn letters(class: &Class) -> Option<Vec<Vec<u8>>> {
    let Class::Bytes(bytes) = class else {
        return None;
    };
    let count: usize = bytes
        .iter()
        .map(regex_syntax::hir::ClassBytesRange::len)
        .sum();
    if count > MAX_EXACT {
        return None;
    }
    let all = bytes.iter().flat_map(|range| range.start()..=range.end());
    let mut texts: Vec<Vec<u8>> = all.map(|byte| vec![byte.to_ascii_lowercase()]).collect();
    texts.sort_unstable();
    texts.dedup();
    Some(texts)
}

/// Parts that follow one another: the best words are those of one part, or of several
/// with few texts each.
fn concat(parts: &[Hir]) -> Known {
    let mut best = None;
    let mut run: Vec<Vec<u8>> = vec![Vec::new()];
    let mut whole = true;
    for part in parts {
        let Known { exact, words } = known(part);
        best = better(best, words);
        let grown = exact.as_ref().and_then(|texts| product(&run, texts));
        run = match grown {
            Some(grown) => grown,
            None => {
                whole = false;
                best = better(best, Some(run).filter(|words| are_words(words)));
                exact.unwrap_or_else(|| vec![Vec::new()])
            }
        };
    }
    Known {
        words: better(best, Some(run.clone()).filter(|words| are_words(words))),
        exact: whole.then_some(run),
    }
}

fn product(heads: &[Vec<u8>], tails: &[Vec<u8>]) -> Option<Vec<Vec<u8>>> {
    if heads.len() * tails.len() > MAX_EXACT {
        return None;
    }
    let pairs = heads
        .iter()
        .flat_map(|head| tails.iter().map(move |tail| [&head[..], tail].concat()));
    Some(pairs.collect())
}

fn alternation(parts: &[Hir]) -> Known {
    let (mut exact, mut words) = (Some(Vec::new()), Some(Vec::new()));
    for part in parts {
        let one = known(part);
        match (&mut exact, &one.exact) {
            (Some(all), Some(texts)) if all.len() + texts.len() <= MAX_EXACT => {
                all.extend_from_slice(texts);
            }
            _ => exact = None,
        }
        let own = better(one.exact.filter(|words| are_words(words)), one.words);
        match (&mut words, own) {
            (Some(all), Some(own)) if all.len() + own.len() <= MAX_WORDS => all.extend(own),
            _ => words = None,
        }
    }
    Known { exact, words }
}

fn are_words(texts: &[Vec<u8>]) -> bool {
    texts.iter().all(|text| !text.is_empty())
}

/// Returns the words that ordinary text has less often.
fn better(one: Option<Vec<Vec<u8>>>, other: Option<Vec<Vec<u8>>>) -> Option<Vec<Vec<u8>>> {
    match (one, other) {
        (Some(one), Some(other)) if cost(&other) < cost(&one) => Some(other),
        (None, other) => other,
        (one, _) => one,
    }
}

fn cost(words: &[Vec<u8>]) -> f64 {
    let often = |word: &Vec<u8>| {
        let len = i32::try_from(word.len().min(12)).unwrap_or(12);
        RARER.powi(-len) + 1e-5
    };
    words.iter().map(often).sum()
}
