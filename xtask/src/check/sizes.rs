//! Rules about how large things get. How lines are counted: [`crate::source`].
//! Generated files do not count: nobody reads or edits them.

use super::{Repository, Violation};
use crate::source::Source;

/// No file is longer than the budget.
pub(super) fn files(repository: &Repository<'_>) -> Vec<Violation> {
    let budget = repository.architecture.budget.file_lines;
    let mut found = Vec::new();
    for (path, source) in sources(repository) {
        let lines = source.lines.len();
        if lines > budget {
            found.push(Violation::new(
                "file-size",
                path,
                format!("{lines} lines without tests, {budget} are allowed"),
                "find the second idea in it and give that a file of its own",
            ));
        }
    }
    found
}

/// Long tests are in a file of their own.
pub(super) fn inline_tests(repository: &Repository<'_>) -> Vec<Violation> {
    let budget = repository.architecture.budget.inline_test_lines;
    let mut found = Vec::new();
    for (path, source) in sources(repository) {
        if let Some(lines) = source.test_blocks.iter().find(|lines| **lines > budget) {
            let folder = path.strip_suffix(".rs").unwrap_or(path);
            found.push(Violation::new(
                "inline-tests",
                path,
                format!("{lines} lines of tests, {budget} are allowed beside the code"),
                format!("move them to {folder}/tests.rs and write `mod tests;`"),
            ));
        }
    }
    found
}

/// No crate is larger than the budget, and no library holds most of the code.
pub(super) fn crates(repository: &Repository<'_>) -> Vec<Violation> {
    let budget = &repository.architecture.budget;
    let lines_of = |folder: &str| -> usize {
        let folder = format!("{folder}/");
        let own = sources(repository).filter(|(path, _)| path.starts_with(&folder));
        own.map(|(_, source)| source.lines.len()).sum()
    };
    let sizes: Vec<_> = repository
        .graph
        .crates
        .iter()
        .map(|(name, member)| (name, member, lines_of(&member.folder)))
        .collect();
    let total: usize = sizes.iter().map(|(_, _, lines)| lines).sum();
    let mut found = Vec::new();
    for (name, member, lines) in sizes {
        if lines > budget.crate_lines {
            found.push(Violation::new(
                "crate-size",
                name,
                format!(
                    "{lines} lines without tests, {} are allowed",
                    budget.crate_lines
                ),
                "split it along its dependencies and record the decision in an ADR",
            ));
        }
        let is_library = repository
            .tree
            .find(&format!("{}/src/lib.rs", member.folder))
            .is_some();
        let too_much = lines * 100 > total * budget.crate_share_percent;
        if is_library && total > budget.share_from_lines && too_much {
            found.push(Violation::new(
                "crate-share",
                name,
                format!(
                    "{lines} of {total} lines are {} %, {} % are allowed",
                    lines * 100 / total,
                    budget.crate_share_percent
                ),
                "move a part that others could use, or that stands alone, into a crate of its own",
            ));
        }
    }
    found
}

fn sources<'a>(repository: &'a Repository<'_>) -> impl Iterator<Item = (&'a str, Source<'a>)> {
    repository
        .tree
        .below("")
        .filter(|(path, _)| path.ends_with(".rs") && *path != crate::generate::PAGES)
        .map(|(path, text)| (path, Source::of(path, text)))
}
