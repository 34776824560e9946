//! The page about vulnerabilities names a test for every rule; here both are compared.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Returns all Rust files below `folder`.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            into.push(path);
        }
    }
}

#[test]
fn every_rule_of_the_page_names_tests_that_there_are() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = root.join("../../docs/vulnerabilities.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let (_, rest) = page
        .split_once("## Rules and their tests")
        .expect("the part");
    let table = rest.split_once("\n## ").map_or(rest, |(part, _)| part);
    let mut files = Vec::new();
    for folder in ["src", "../../bin/airside/src/node"] {
        sources(&root.join(folder), &mut files);
    }
    let mut tests = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a source");
        let mut lines = text.lines().map(str::trim);
        while let Some(line) = lines.next() {
            if line != "#[test]" {
                continue;
            }
            let name = lines.find_map(|line| line.strip_prefix("fn "));
            let name = name.and_then(|name| name.split_once('('));
            tests.extend(name.map(|(name, _)| name.to_owned()));
        }
    }
    let rows: Vec<&str> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .collect();
    assert!(rows.len() > 15, "{rows:?}");
    for row in &rows[2..] {
        let named: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row}");
        for name in named {
            assert!(tests.contains(name), "{name} of {row}");
        }
    }
}
