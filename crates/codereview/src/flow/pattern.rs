//! Rules that look at the shape of the syntax alone, by ast-grep's engine.

use ast_grep_core::{Node, tree_sitter::StrDoc};
use ast_grep_language::SupportLang;

use crate::{
    copies::Place,
    finding::{Certainty, Draft, Step},
    rules::{Rule, Rules},
    source::Source,
    syntax::Document,
};

/// Matches of one rule that are kept for one file.
const MOST: usize = 100;

/// Returns what the patterns of `rules` find in `document`.
pub(super) fn find(source: &Source, document: &Document, rules: &Rules) -> Vec<Draft> {
    let text = &document.src;
    let mut drafts = Vec::new();
    let wanted: Vec<(&Rule, &crate::rules::Pattern)> = rules
        .rules
        .iter()
        .filter(|rule| rule.in_tests || !source.is_test())
        .flat_map(|rule| rule.patterns.iter().map(move |pattern| (rule, pattern)))
        .filter(|(_, pattern)| pattern.language == source.language)
        .filter(|(rule, _)| rule.words.iter().any(|word| text.contains(&**word)))
        .filter(|(rule, _)| !rule.without.iter().any(|word| text.contains(&**word)))
        .collect();
    if wanted.is_empty() {
        return drafts;
    }
    let tree = ast_grep_core::AstGrep::doc(document.clone());
    let root = tree.root();
    for (rule, pattern) in wanted {
        let found = root.find_all(&pattern.matcher).take(MOST);
        let drawn = found.map(|node| draft(source, rule, &node));
        drafts.extend(drawn.filter(|one| rule.in_tests || !source.is_test_at(one.place.from)));
    }
    drafts
}

fn draft(source: &Source, rule: &Rule, node: &Node<'_, StrDoc<SupportLang>>) -> Draft {
    let (from, to) = (
        node.start_pos().line() as u32 + 1,
        node.end_pos().line() as u32 + 1,
    );
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
        text: node.text().as_bytes().to_vec(),
    }
}
