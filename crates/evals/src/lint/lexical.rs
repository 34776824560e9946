//! Words, and which text they lead to (BM25, Robertson and Zaragoza 2009).

use std::collections::{BTreeMap, HashMap, HashSet};

/// How soon further occurrences of a word count less.
const K1: f64 = 1.2;
/// How much long texts count less.
const B: f64 = 0.75;
/// Longest text that is looked at, in characters.
const MAX_TEXT: usize = 20_000;
/// Words that say nothing about what is meant.
const STOP: [&str; 42] = [
    "a", "an", "and", "any", "are", "as", "at", "be", "by", "can", "could", "do", "for", "from",
    "have", "i", "in", "is", "it", "its", "me", "my", "need", "of", "on", "one", "or", "please",
    "some", "that", "the", "this", "to", "us", "want", "we", "will", "with", "would", "you",
    "your", "what",
];

/// Returns the words of a text, without endings and words that say nothing.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut spaced = String::new();
    let mut before = ' ';
    for c in text.chars().take(MAX_TEXT) {
        // searchHotels and search_hotels are two words.
        if c.is_uppercase() && before.is_lowercase() {
            spaced.push(' ');
        }
        spaced.extend(c.to_lowercase());
        before = c;
    }
    spaced
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !STOP.contains(word))
        .map(stem)
        .collect()
}

/// Returns a word without its most common endings.
pub(super) fn stem(word: &str) -> String {
    let keeps = |end: &str| {
        let stem = word.strip_suffix(end)?;
        (stem.chars().count() >= 3).then_some(stem)
    };
    let stem = [
        "ations", "ation", "ings", "ing", "ies", "ed", "es", "s", "e", "y",
    ]
    .into_iter()
    .find_map(keeps);
    let stem = stem.unwrap_or(word);
    // booking, booked; planning, planned
    let mut last = stem.chars().rev();
    match (last.next(), last.next()) {
        (Some(one), Some(other)) if one == other && stem.len() > 3 && one.is_ascii() => {
            stem[..stem.len() - 1].to_owned()
        }
        _ => stem.to_owned(),
    }
}

/// A share of counts.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of words and requests are small"
)]
pub(super) fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Texts that are searched.
#[derive(Debug)]
pub(super) struct Index {
    texts: Vec<HashMap<String, usize>>,
    lengths: Vec<usize>,
    weights: HashMap<String, f64>,
    mean: f64,
}

impl Index {
    pub(super) fn of(texts: impl Iterator<Item = Vec<String>>) -> Self {
        let words: Vec<Vec<String>> = texts.collect();
        let lengths: Vec<usize> = words.iter().map(Vec::len).collect();
        let weights = weights(&words);
        let texts = words
            .into_iter()
            .map(|words| {
                let mut counts = HashMap::new();
                for word in words {
                    *counts.entry(word).or_insert(0) += 1;
                }
                counts
            })
            .collect();
        Self {
            mean: share(lengths.iter().sum(), lengths.len()).max(1.0),
            texts,
            lengths,
            weights,
        }
    }

    fn score(&self, query: &[String], text: usize) -> f64 {
        let norm = K1 * (1.0 - B + B * share(self.lengths[text], 1) / self.mean);
        let one = |word: &String| {
            let count = self.texts[text].get(word).copied().unwrap_or(0);
            let count = share(count, 1);
            let weight = self.weights.get(word).copied().unwrap_or(0.0);
            weight * count * (K1 + 1.0) / (count + norm)
        };
        let distinct: HashSet<&String> = query.iter().collect();
        let mut scores: Vec<f64> = distinct.into_iter().map(one).collect();
        // Sums of floats depend on their order, which sets do not have.
        scores.sort_by(f64::total_cmp);
        scores.iter().sum()
    }

    /// Returns whether `query` leads to the text at `place` and to no other as well.
    pub(super) fn finds_first(&self, query: &[String], place: usize) -> bool {
        let own = self.score(query, place);
        own > 0.0
            && (0..self.texts.len()).all(|other| other == place || self.score(query, other) < own)
    }
}

/// How much each word tells texts apart.
fn weights(texts: &[Vec<String>]) -> HashMap<String, f64> {
    let mut within: HashMap<String, usize> = HashMap::new();
    for text in texts {
        let distinct: HashSet<&String> = text.iter().collect();
        for word in distinct {
            *within.entry(word.clone()).or_insert(0) += 1;
        }
    }
    let all = share(texts.len(), 1);
    let weight = |count: usize| {
        let count = share(count, 1);
        ((all - count + 0.5) / (count + 0.5) + 1.0).ln()
    };
    within
        .into_iter()
        .map(|(word, count)| (word, weight(count)))
        .collect()
}

/// The cosine of two texts, words weighted by how much they tell `all` apart.
pub(super) fn similarity(one: &[String], other: &[String], all: &[Vec<String>]) -> f64 {
    let weights = weights(all);
    let (one, other) = (vector(one, &weights), vector(other, &weights));
    let dot: f64 = one
        .iter()
        .filter_map(|(word, weight)| Some(weight * other.get(word)?))
        .sum();
    let length = |vector: &BTreeMap<&String, f64>| {
        let squares: f64 = vector.values().map(|weight| weight * weight).sum();
        squares.sqrt()
    };
    match length(&one) * length(&other) {
        0.0 => 0.0,
        lengths => dot / lengths,
    }
}

/// A text's words and their weights, in one order, as sums of floats depend on it.
fn vector<'a>(words: &'a [String], weights: &HashMap<String, f64>) -> BTreeMap<&'a String, f64> {
    let mut vector = BTreeMap::new();
    for word in words {
        *vector.entry(word).or_insert(0.0) += weights.get(word).copied().unwrap_or(1.0);
    }
    vector
}
