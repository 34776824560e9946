//! Files that are derived from others. `check` compares, `generate` writes.

use std::fmt::Write as _;

use crate::{source, tree::Tree};

/// A file as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Generated {
    /// Where it belongs, relative to the root.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// Where the index of error pages goes.
pub(crate) const PAGES: &str = "bin/airside/src/explain/pages.rs";

/// Where error pages are.
pub(crate) const ERRORS: &str = "docs/errors/";

/// Returns every generated file.
pub(crate) fn all(tree: &Tree) -> Vec<Generated> {
    vec![pages(tree)]
}

/// Returns the codes that have a page, sorted.
pub(crate) fn page_codes(tree: &Tree) -> impl Iterator<Item = &str> {
    tree.below(ERRORS)
        .filter_map(|(path, _)| path.strip_prefix(ERRORS)?.strip_suffix(".md"))
        .filter(|code| source::is_code(code))
}

/// Codes of error pages in one line.
const CODES_OF_A_LINE: usize = 8;

/// Returns the error pages as the program embeds them.
fn pages(tree: &Tree) -> Generated {
    let mut text = String::from(
        "//! Error pages, embedded. Written by `cargo xtask generate`: do not edit.

macro_rules! pages {
    ($($code:literal)*) => {
        &[$(($code, include_str!(concat!(\"../../../../docs/errors/\", $code, \".md\")))),*]
    };
}

/// Code and page, sorted by code.
pub(super) static PAGES: &[(&str, &str)] = pages! {
",
    );
    let codes: Vec<&str> = page_codes(tree).collect();
    for line in codes.chunks(CODES_OF_A_LINE) {
        let quoted: Vec<String> = line.iter().map(|code| format!("\"{code}\"")).collect();
        let _ = writeln!(text, "    {}", quoted.join(" "));
    }
    text.push_str("};\n");
    Generated {
        path: PAGES.to_owned(),
        text,
    }
}
