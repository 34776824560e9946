//! Phrases of attacks: weighted rules over normalised text.
//!
//! # Invariants
//!
//! * Rules are written from classes of attacks, not from single texts. What one class
//!   shares with ordinary descriptions weighs less than [`THRESHOLD`] and counts only
//!   beside another class.
//! * A pattern is tried only around its words, which one automaton finds for all of them,
//!   and as far as it can reach; patterns cannot go back, so their cost is linear.

mod table;
mod words;

use std::{collections::BTreeMap, ops::Range, sync::LazyLock};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex_automata::{
    Input,
    meta::{Builder, Config, Regex},
    util::syntax,
};
use regex_syntax::hir::Hir;

pub(crate) use self::table::RULES;
use self::table::{PHRASES, Phrase};
use crate::rule::Rule;
#[cfg(doc)]
use crate::rule::THRESHOLD;

/// What stands for often used parts of patterns.
const PARTS: [(&str, &str); 8] = [
    (
        "{AI}",
        r"(?:ai|a\.i\.|assistants?|(?:large )?language models?|llms?|models?|agents?|chat ?bots?|claude|(?:chat)?gpt(?:-?\d\w?)?|copilot|cursor)",
    ),
    (
        "{USER}",
        r"(?:users?|humans?|operators?|customers?|clients?|people|anyone|anybody|them|person|owner|developer)",
    ),
    (
        "{TELL}",
        r"(?:tell(?:ing)?|inform(?:ing)?|mention(?:ing|ed)?|reveal(?:ing)?|notify(?:ing)?|alert(?:ing)?|disclos(?:e|ing)|warn(?:ing)?|report(?:ing)? (?:this|it)|acknowledg(?:e|ing)|admit(?:ting)?)",
    ),
    (
        "{NOT}",
        r"(?:do not|don'?t|never|must not|mustn'?t|should not|shouldn'?t|without|avoid|refrain from|no need to)",
    ),
    (
        "{SECRET}",
        r"(?:api[ _-]?keys?|credentials?|passwords?|passphrases?|secrets?|(?:access|auth|bearer|session|refresh)[ _-]?tokens?|private[ _-]?keys?|ssh[ _-]?keys?|env(?:ironment)?[ _-]?(?:variables?|vars?)|cookies?|system[ _-]?prompts?|conversations?|chat[ _-]?(?:history|logs?)|(?:user|personal|private|sensitive|confidential|internal|customer)[ _-]?(?:data|information|files?|documents?|records?))",
    ),
    (
        "{SEND}",
        r"(?:send(?:s|ing)?|forward(?:s|ing)?|post(?:s|ing)?|upload(?:s|ing)?|transmit(?:s|ting)?|exfiltrat(?:e|es|ing|ed)|leak(?:s|ing)?|bcc|cc|e?mail(?:s|ing)?|rela(?:y|ys|ying)|deliver(?:s|ing)?|pipe(?:s|d)?|sync(?:s|ing)?|cop(?:y|ies|ying)|submit(?:s|ting)?|share(?:s|d)?|report(?:s|ing)?)",
    ),
    (
        "{OUT}",
        r"(?:https?://|[a-z0-9._%+-]{1,40}@[a-z0-9.-]{1,60}\.[a-z]{2,}|attackers?\b|external (?:server|service|endpoint|url|address|party|system|api|host)|remote (?:server|endpoint|host)|third[- ]part(?:y|ies)|webhooks?|(?:this|the following|an?|our|my) (?:url|endpoint|server|address))",
    ),
    (
        "{PATH}",
        r"(?:\.ssh/|id_(?:rsa|dsa|ecdsa|ed25519)|\.aws/|\.gnupg|\.kube/config|\.docker/config|\.netrc|\.npmrc|\.pypirc|\.git-credentials|\.env\b|\.bash_history|\.zsh_history|/etc/(?:passwd|shadow|sudoers)|/proc/self/|\.cursor/|mcp\.json|claude_desktop_config|\.config/gcloud|wallet\.dat|login data|keychain|credentials\.json)",
    ),
];

struct Compiled {
    finder: AhoCorasick,
    /// For each word of the finder, the phrases that need it.
    needed_by: Vec<u128>,
    patterns: Vec<Pattern>,
}

struct Pattern {
    regex: Regex,
    /// Bytes of the longest text that matches; none if there is no such text.
    reach: Option<usize>,
}

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    const { assert!(PHRASES.len() <= 128, "one bit for each phrase") };
    let mut needed_by: BTreeMap<Vec<u8>, u128> = BTreeMap::new();
    for (index, phrase) in PHRASES.iter().enumerate() {
        for word in words::of(&parsed(phrase, false)).expect("a test looks for them") {
            *needed_by.entry(word).or_default() |= 1 << index;
        }
    }
    let (words, needed_by): (Vec<_>, Vec<_>) = needed_by.into_iter().unzip();
    // One step for each byte, whatever the words, for some space.
    let finder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .kind(Some(AhoCorasickKind::DFA))
        .build(words)
        .expect("few constants");
    Compiled {
        finder,
        needed_by,
        patterns: PHRASES.iter().map(Pattern::of).collect(),
    }
});

/// Returns `pattern` with its parts written out.
fn parts(pattern: &str) -> String {
    let mut pattern = pattern.to_owned();
    for (name, part) in PARTS {
        pattern = pattern.replace(name, part);
    }
    pattern
}

fn parsed(phrase: &Phrase, any_case: bool) -> Hir {
    let notation = syntax::Config::new()
        .unicode(false)
        .utf8(false)
        .case_insensitive(any_case)
        .dot_matches_new_line(true);
    syntax::parse_with(&parts(phrase.pattern), &notation).expect("a constant that a test compiles")
}

impl Pattern {
    fn of(phrase: &Phrase) -> Self {
        let parsed = parsed(phrase, true);
        Self {
            reach: parsed.properties().maximum_len(),
            regex: Builder::new()
                .configure(Config::new().utf8_empty(false))
                .build_from_hir(&parsed)
                .expect("a constant that a test compiles"),
        }
    }

    /// Returns where in `bytes` a text may lie that matches at `word`.
    fn around(&self, word: &Range<usize>, bytes: &[u8]) -> Range<usize> {
        match self.reach {
            Some(reach) => {
                word.start.saturating_sub(reach)..word.end.saturating_add(reach).min(bytes.len())
            }
            None => 0..bytes.len(),
        }
    }

    fn find(&self, bytes: &[u8], part: Range<usize>) -> Option<Range<usize>> {
        let found = self.regex.find(Input::new(bytes).range(part))?;
        Some(found.range())
    }
}

/// Compiles what is looked for.
pub(crate) fn prepare() {
    LazyLock::force(&COMPILED);
}

/// Calls `hit` with the first place of every phrase in `text`.
pub(crate) fn find(text: &str, mut hit: impl FnMut(&'static Rule, u8, Range<usize>)) {
    let compiled = &*COMPILED;
    let bytes = text.as_bytes();
    let mut tell = |index: usize, part: &Range<usize>| {
        let found = compiled.patterns[index].find(bytes, part.clone());
        if let Some(at) = &found {
            let phrase = &PHRASES[index];
            hit(phrase.rule, phrase.weight, chars(text, at.clone()));
        }
        found.is_some()
    };
    // Parts that run into each other are read once, as one.
    let mut parts: [Range<usize>; PHRASES.len()] = std::array::from_fn(|_| 0..0);
    let (mut begun, mut told) = (0_u128, 0_u128);
    // Overlapping, since one word may stand within another.
    for word in compiled.finder.find_overlapping_iter(bytes) {
        for index in bits(compiled.needed_by[word.pattern().as_usize()] & !told) {
            let next = compiled.patterns[index].around(&word.range(), bytes);
            let part = &mut parts[index];
            if begun & 1 << index == 0 {
                begun |= 1 << index;
                *part = next;
            } else if next.start <= part.end {
                part.end = part.end.max(next.end);
                part.start = part.start.min(next.start);
            } else if tell(index, part) {
                told |= 1 << index;
            } else {
                *part = next;
            }
        }
    }
    for index in bits(begun & !told) {
        tell(index, &parts[index]);
    }
}

fn bits(mut rest: u128) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = rest.trailing_zeros() as usize;
        let some = rest != 0;
        rest &= rest.wrapping_sub(1);
        some.then_some(index)
    })
}

/// Widens `span` to whole characters.
fn chars(text: &str, span: Range<usize>) -> Range<usize> {
    text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end)
}

#[cfg(test)]
mod tests;
