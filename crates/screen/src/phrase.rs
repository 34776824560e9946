//! Phrases of attacks: weighted rules over normalised text.
//!
//! # Invariants
//!
//! * Rules are written from classes of attacks, not from single texts. What one class
//!   shares with ordinary descriptions weighs less than [`THRESHOLD`] and counts only
//!   beside another class.
//! * A pattern is tried only where one of its words occurs, which one automaton finds for
//!   all of them; patterns cannot go back, so their cost is linear.

mod table;

use std::{ops::Range, sync::LazyLock};

use aho_corasick::AhoCorasick;
use regex::bytes::{Regex, RegexBuilder};

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
    patterns: Vec<Regex>,
}

static COMPILED: LazyLock<Compiled> = LazyLock::new(|| {
    const { assert!(PHRASES.len() <= 128, "one bit for each phrase") };
    let mut words: Vec<&str> = Vec::new();
    let mut needed_by: Vec<u128> = Vec::new();
    for (index, phrase) in PHRASES.iter().enumerate() {
        for word in phrase.words() {
            let at = words
                .iter()
                .position(|known| *known == word)
                .unwrap_or_else(|| {
                    words.push(word);
                    needed_by.push(0);
                    words.len() - 1
                });
            needed_by[at] |= 1 << index;
        }
    }
    let finder = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(words)
        .expect("few constants");
    Compiled {
        finder,
        needed_by,
        patterns: PHRASES.iter().map(compile).collect(),
    }
});

fn compile(phrase: &Phrase) -> Regex {
    let mut pattern = phrase.pattern.to_owned();
    for (name, part) in PARTS {
        pattern = pattern.replace(name, part);
    }
    RegexBuilder::new(&pattern)
        .unicode(false)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .build()
        .expect("a constant that a test compiles")
}

/// Calls `hit` with the first place of every phrase in `text`.
pub(crate) fn find(text: &str, mut hit: impl FnMut(&'static Rule, u8, Range<usize>)) {
    let compiled = &*COMPILED;
    let bytes = text.as_bytes();
    let mut tried = 0_u128;
    // Overlapping, since one word may stand within another.
    for found in compiled.finder.find_overlapping_iter(bytes) {
        let needed = compiled.needed_by[found.pattern().as_usize()] & !tried;
        tried |= needed;
        let mut rest = needed;
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if let Some(at) = compiled.patterns[index].find(bytes) {
                let phrase = &PHRASES[index];
                hit(phrase.rule, phrase.weight, chars(text, at.range()));
            }
        }
    }
}

/// Widens `span` to whole characters.
fn chars(text: &str, span: Range<usize>) -> Range<usize> {
    text.floor_char_boundary(span.start)..text.ceil_char_boundary(span.end)
}

#[cfg(test)]
mod tests;
