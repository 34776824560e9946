//! What a change exports and nobody uses, and what it leaves without a use.
//!
//! # Invariants
//!
//! * One pass over the tree for all names together, whatever their number.
//! * A name counts as used where it stands, as a whole word, in another file: in code of any
//!   language, in a test, in a manifest. So only what nobody can be using is reported.

use std::collections::BTreeSet;

use airside_base::Severity;
use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Changed, Note, Subject, by_name};
use crate::{
    finding::Draft,
    outline::{Item, Outline},
    source::{Source, Text, hash_of, words},
};

/// Names that are looked for.
const MOST: usize = 20_000;
/// Shortest name that is looked for.
const SHORTEST: usize = 3;
/// Files that are parsed because a name is left without a use.
const PARSED: usize = 50;
/// Names by which others than code call.
const CALLED: [&str; 12] = [
    "main",
    "setup",
    "handler",
    "lambda_handler",
    "default",
    "teardown",
    "register",
    "activate",
    "deactivate",
    "Main",
    "Handler",
    "run",
];

pub(super) fn drafts(subject: &Subject<'_>) -> Vec<Draft> {
    if !subject.house.dead_exports {
        return Vec::new();
    }
    let fresh = fresh(subject);
    let lost = lost(subject);
    let names: FxHashSet<&str> = fresh
        .iter()
        .map(|(_, item)| item.name.as_str())
        .chain(lost.iter().map(String::as_str))
        .take(MOST)
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let places = mentions(subject, &names);
    let mut notes = Vec::new();
    for (file, item) in fresh {
        let path = &file.source.path;
        let elsewhere = places.get(item.name.as_str());
        let is_used = elsewhere.is_some_and(|paths| paths.iter().any(|one| one != path));
        if !is_used && names.contains(item.name.as_str()) {
            let text = format!("`{}` is exported, and no other file uses it", item.name);
            notes.push(note("dead-export", path, item, text));
        }
    }
    notes.extend(left(subject, &lost, &places));
    notes.into_iter().map(Note::draft).collect()
}

fn note(rule: &'static str, path: &str, item: &Item, message: String) -> Note {
    Note {
        rule,
        class: "standards",
        severity: Severity::Low,
        path: path.to_owned(),
        lines: (item.from, item.from),
        message,
        what: item.name.clone(),
    }
}

/// Returns what changed files export that they did not export before.
fn fresh<'s>(subject: &'s Subject<'_>) -> Vec<(&'s Changed<'s>, &'s Item)> {
    let mut found = Vec::new();
    for file in &subject.files {
        if is_code(subject, file.source) {
            let before = by_name(&file.before);
            let exported = exports(file.source, &file.after.items);
            let new = exported.filter(|item| !before.contains_key(item.name.as_str()));
            found.extend(new.map(|item| (file, item)));
        }
    }
    found
}

/// Returns whether what a file exports is for other files of the tree.
fn is_code(subject: &Subject<'_>, source: &Source) -> bool {
    let name = source.path.rsplit('/').next().unwrap_or(&source.path);
    let exports = &subject.house.exports;
    let is_entry = exports.iter().any(|part| match part.contains('/') {
        true => source.path.contains(&**part),
        false => name.starts_with(&**part),
    });
    !is_entry && !source.is_test() && !name.contains(".config.") && !name.ends_with(".d.ts")
}

/// Returns what of `items` is for other files.
fn exports<'i>(source: &Source, items: &'i [Item]) -> impl Iterator<Item = &'i Item> {
    let tests_from = source.tests_from();
    let text = String::from_utf8_lossy(&source.text);
    let marked: FxHashSet<u32> = (text.lines().zip(1..).filter(|(line, _)| is_mark(line)))
        .map(|(_, number)| number)
        .collect();
    items.iter().filter(move |item| {
        let is_top = !item.name.contains('.');
        let is_named = item.name.len() >= SHORTEST && !CALLED.contains(&&*item.name);
        // Others find by that what stands below a decorator or an annotation.
        let is_marked = marked.contains(&item.from) || marked.contains(&(item.from - 1));
        let is_public = item.is_public && !item.is_tool && item.from < tests_from;
        is_top && is_named && is_public && !is_marked
    })
}

fn is_mark(line: &str) -> bool {
    let begins = ["@", "#[no_mangle", "#[proc_macro", "export default"];
    begins
        .iter()
        .any(|mark| line.trim_start().starts_with(mark))
}

/// Returns the words that changed files no longer hold.
fn lost(subject: &Subject<'_>) -> BTreeSet<String> {
    let mut lost = BTreeSet::new();
    for file in &subject.files {
        let change = &subject.change.files[&file.source.path];
        let Some(before) = &change.before else {
            continue;
        };
        let now: FxHashSet<&[u8]> = words(&file.source.text).collect();
        let gone = words(before).filter(|word| !now.contains(word));
        let texts = gone.filter_map(|word| std::str::from_utf8(word).ok());
        lost.extend(texts.map(str::to_owned));
    }
    lost
}

/// Returns exports that only their own file still names, since the change took out a use.
fn left(
    subject: &Subject<'_>,
    lost: &BTreeSet<String>,
    places: &FxHashMap<&str, Vec<&str>>,
) -> Vec<Note> {
    let mut files: FxHashMap<&str, Vec<&str>> = FxHashMap::default();
    for name in lost {
        if let Some([only]) = places.get(name.as_str()).map(Vec::as_slice) {
            files.entry(*only).or_default().push(name);
        }
    }
    let mut paths: Vec<&str> = files.keys().copied().collect();
    paths.sort_unstable();
    let mut notes = Vec::new();
    for path in paths.into_iter().take(PARSED) {
        let Some(source) = subject.sources.iter().find(|one| one.path == path) else {
            continue;
        };
        if !is_code(subject, source) {
            continue;
        }
        let outline = Outline::of(source.language, &source.text);
        let items = exports(source, &outline.items);
        for item in items.filter(|item| files[path].contains(&item.name.as_str())) {
            let text = format!("the change takes out the last use of `{}`", item.name);
            notes.push(note("export-left-behind", path, item, text));
        }
    }
    notes
}

/// Returns the files that hold each of `names`; of many the first ones.
fn mentions<'s>(
    subject: &'s Subject<'_>,
    names: &FxHashSet<&'s str>,
) -> FxHashMap<&'s str, Vec<&'s str>> {
    /// Files that are named.
    const NAMED: usize = 3;
    let code = subject.sources.par_iter().map(|one| (&one.path, &one.text));
    let is_manifest = |path: &str| !path.ends_with(".md");
    let papers = subject
        .papers
        .par_iter()
        .filter(|one| is_manifest(&one.path));
    let papers = papers.map(|one| (&one.path, &one.text));
    let files: Vec<(&String, &Text)> = code.chain(papers).collect();
    let wanted = Wanted::of(names);
    let held = files.par_iter().map(|(_, text)| wanted.held(text));
    let mut places: FxHashMap<&str, Vec<(usize, Held)>> = FxHashMap::default();
    for (at, held) in held.collect::<Vec<_>>().into_iter().enumerate() {
        for (name, how) in held {
            places.entry(name).or_default().push((at, how));
        }
    }
    let places = places.into_par_iter().map(|(name, places)| {
        let is_one = |(at, how): &(usize, Held)| {
            *how == Held::Surely || words(files[*at].1).any(|word| word == name.as_bytes())
        };
        let paths = places.into_iter().filter(is_one);
        let paths = paths.map(|(at, _)| files[at].0.as_str());
        (name, paths.take(NAMED).collect())
    });
    places.collect()
}

/// Whether a text holds a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Held {
    Surely,
    /// It, or a word with the same hash.
    Perhaps,
}

/// Names that are looked for in every word of a tree: nearly all words are told from them by
/// their length and two letters.
struct Wanted<'n> {
    names: FxHashMap<&'n [u8], &'n str>,
    /// By length and letters, whether there may be one.
    may_be: Vec<bool>,
    by_hash: FxHashMap<u32, Vec<&'n str>>,
    /// By half of the hash, whether there may be one.
    may_have: Vec<bool>,
}

impl<'n> Wanted<'n> {
    fn of(names: &FxHashSet<&'n str>) -> Self {
        let mut wanted = Self {
            names: names.iter().map(|name| (name.as_bytes(), *name)).collect(),
            may_be: vec![false; 1 << 16],
            by_hash: FxHashMap::default(),
            may_have: vec![false; 1 << 16],
        };
        for name in names {
            let hash = hash_of(name.as_bytes());
            wanted.may_be[Self::place(name.as_bytes())] = true;
            wanted.may_have[usize::from(hash as u16)] = true;
            wanted.by_hash.entry(hash).or_default().push(name);
        }
        wanted
    }

    fn place(word: &[u8]) -> usize {
        let (len, middle) = (word.len(), word[word.len() / 2]);
        let letters = usize::from(middle) * 31 + usize::from(word[len - 1]) * 257;
        (letters + usize::from(word[0]) * 8_191 + len * 4_099) & 0xffff
    }

    fn find(&self, word: &[u8]) -> Option<&'n str> {
        let may_be = self.may_be[Self::place(word)];
        may_be.then(|| self.names.get(word).copied()).flatten()
    }

    /// Returns which names `text` holds, each once; it is not read if what is known of it
    /// does.
    fn held(&self, text: &Text) -> Vec<(&'n str, Held)> {
        let mut held: Vec<(&str, Held)> = match text.known_words() {
            Some(hashes) => {
                let hashes = hashes.filter(|hash| self.may_have[usize::from(*hash as u16)]);
                let names = hashes.filter_map(|hash| self.by_hash.get(&hash));
                names.flatten().map(|name| (*name, Held::Perhaps)).collect()
            }
            None => {
                let names = words(text).filter_map(|word| self.find(word));
                names.map(|name| (name, Held::Surely)).collect()
            }
        };
        held.sort_unstable();
        held.dedup();
        held
    }
}
