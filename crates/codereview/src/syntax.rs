//! Syntax trees with bounds.
//!
//! # Invariants
//!
//! * Parsing ends: after [`MOST_MS`] milliseconds of progress reports the file is left out.
//! * A tree that is deeper than [`MOST_DEPTH`] is left out, so that walks may recurse.

use std::{ops::ControlFlow, time::Duration};

use airside_base::{Clock as _, SystemClock};
use ast_grep_core::tree_sitter::{LanguageExt as _, StrDoc};
use ast_grep_language::SupportLang;
use tree_sitter::{ParseOptions, Parser};

use crate::source::{Language, Skip};

/// Longest that one file is parsed, in milliseconds.
pub(crate) const MOST_MS: u64 = 3_000;
/// Deepest tree that is walked.
pub(crate) const MOST_DEPTH: usize = 400;

/// A parsed file.
pub(crate) type Document = StrDoc<SupportLang>;

/// Returns the name that the pattern engine has for `language`.
pub(crate) fn grammar(language: Language) -> SupportLang {
    match language {
        Language::Python => SupportLang::Python,
        Language::Javascript => SupportLang::JavaScript,
        Language::Typescript => SupportLang::TypeScript,
        Language::Tsx => SupportLang::Tsx,
        Language::Go => SupportLang::Go,
        Language::Rust => SupportLang::Rust,
        Language::Java => SupportLang::Java,
    }
}

/// Parses `text`.
///
/// # Errors
///
/// Why it is left out: it takes too long, is too deep or nests errors all over.
pub(crate) fn parse(language: Language, text: &[u8]) -> Result<Document, Skip> {
    let src = String::from_utf8_lossy(text).into_owned();
    let lang = grammar(language);
    let mut parser = Parser::new();
    let grammar = lang.get_ts_language();
    parser.set_language(&grammar).map_err(|_| Skip::Syntax)?;
    let clock = SystemClock::new();
    let begin = clock.monotonic();
    let mut progress = |_: &tree_sitter::ParseState| match clock.monotonic().saturating_sub(begin)
        > Duration::from_millis(MOST_MS)
    {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let bytes = src.as_bytes();
    let mut read = |at: usize, _| bytes.get(at..).unwrap_or_default();
    let tree = parser.parse_with_options(&mut read, None, Some(options));
    let tree = tree.ok_or(Skip::TooSlow)?;
    match is_deep(&tree) {
        true => Err(Skip::Syntax),
        false => Ok(StrDoc { src, lang, tree }),
    }
}

/// Returns whether a tree is deeper than [`MOST_DEPTH`]. What holds fewer nodes than it may
/// be deep is not walked, which is nearly all of a usual tree.
fn is_deep(tree: &tree_sitter::Tree) -> bool {
    let mut cursor = tree.walk();
    let mut depth = 0_usize;
    loop {
        let may_be_deep = depth + cursor.node().descendant_count() > MOST_DEPTH;
        if may_be_deep && cursor.goto_first_child() {
            depth += 1;
            if depth > MOST_DEPTH {
                return true;
            }
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return false;
            }
            depth -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(brackets: usize, is_left_out: bool) {
        let text = format!("x = {}1{}\n", "[".repeat(brackets), "]".repeat(brackets));
        let parsed = parse(Language::Python, text.as_bytes());
        assert_eq!(parsed.is_err(), is_left_out, "{brackets} brackets");
    }

    #[test]
    fn depth_is_bounded_to_the_node() {
        // A module, a statement, an assignment, and what is inside.
        check(MOST_DEPTH - 4, false);
        check(MOST_DEPTH + 1, true);
        check(20_000, true);
    }
}
