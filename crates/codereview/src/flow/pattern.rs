//! Rules that look at the shape of the syntax alone, by ast-grep's engine.
//!
//! # Invariants
//!
//! * A file is looked at only if it holds a word of a rule; of a tree each node is visited
//!   once, whatever the number of rules.

use ast_grep_core::matcher::MatcherExt as _;

use super::memory::Match;
use crate::{
    copies::Place,
    finding::{Certainty, Draft, Step},
    rules::{Patterns, Rule, Rules},
    source::Source,
    syntax::Document,
};

/// Matches of one rule that are kept for one file.
const MOST: u8 = 100;

/// The patterns that may be in one file.
pub(super) struct Wanted<'r> {
    patterns: Option<&'r Patterns>,
    /// How many matches of each pattern are still kept.
    left: Vec<u8>,
}

impl<'r> Wanted<'r> {
    /// Returns the patterns of `rules` whose words are in `source`.
    pub(super) fn of(source: &Source, rules: &'r Rules) -> Self {
        let patterns = rules.patterns.get(&source.language);
        let (text, in_tests) = (&source.text, source.is_test());
        let may_match = |rule: &Rule| {
            (rule.in_tests || !in_tests)
                && rule.words.iter().any(|word| word.find(text).is_some())
                && !rule.without.iter().any(|word| word.find(text).is_some())
        };
        let all = patterns.iter().flat_map(|patterns| patterns.all.iter());
        let left = all.map(|one| match may_match(&rules.rules[one.rule]) {
            true => MOST,
            false => 0,
        });
        let left: Vec<u8> = left.collect();
        let is_any = left.iter().any(|left| *left > 0);
        Self {
            patterns: patterns.filter(|_| is_any),
            left,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.patterns.is_none()
    }

    /// Returns what they find in `document`.
    pub(super) fn find(mut self, source: &Source, document: Document, rules: &Rules) -> Vec<Match> {
        let mut matches = Vec::new();
        let Some(patterns) = self.patterns else {
            return matches;
        };
        let tree = ast_grep_core::AstGrep::doc(document);
        for node in tree.root().dfs() {
            let kind = usize::from(node.kind_id());
            for at in patterns.by_kind.get(kind).into_iter().flatten() {
                let pattern = &patterns.all[usize::from(*at)];
                let left = &mut self.left[usize::from(*at)];
                if *left == 0 {
                    continue;
                }
                let Some(found) = pattern.matcher.match_node(node.clone()) else {
                    continue;
                };
                *left -= 1;
                let from = found.start_pos().line() as u32 + 1;
                if rules.rules[pattern.rule].in_tests || !source.is_test_at(from) {
                    matches.push(Match {
                        rule: pattern.rule,
                        lines: (from, found.end_pos().line() as u32 + 1),
                        text: found.text().as_bytes().to_vec(),
                    });
                }
            }
        }
        matches
    }
}

/// Returns a match as a finding.
pub(super) fn draft(source: &Source, rule: &Rule, found: &Match) -> Draft {
    let (from, to) = found.lines;
    Draft {
        rule: rule.id.clone(),
        class: rule.class.clone(),
        cwe: rule.cwe.clone(),
        severity: rule.severity,
        certainty: rule.certainty,
        message: super::report::message(rule),
        place: Place {
            path: source.path.clone(),
            from,
            to,
        },
        trace: match rule.certainty {
            Certainty::Advice => Vec::new(),
            _ => vec![Step {
                path: source.path.clone(),
                line: from,
                what: rule.message.clone(),
            }],
        },
        related: Vec::new(),
        text: found.text.clone(),
    }
}
