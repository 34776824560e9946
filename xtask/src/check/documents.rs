//! Rules about error pages and decision records.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use super::{Repository, Violation};
use crate::{
    generate::{ERRORS, page_codes},
    source::{Source, codes as codes_in},
};

const DECISIONS: &str = "docs/adr/";

/// Longest page of either kind, in lines: it is read in a terminal.
const PAGE_LINES: usize = 60;

/// Every code belongs to an area, is raised by one crate of it, and has a page.
pub(super) fn codes(repository: &Repository<'_>) -> Vec<Violation> {
    let pages: BTreeSet<_> = page_codes(repository.tree).collect();
    let used = used(repository);
    let mut found = Vec::new();
    for (code, places) in &used {
        let mut report = |message: String, mend: String| {
            let (_, path, line) = &places[0];
            found.push(Violation::new(
                "error-code",
                *code,
                format!("{path}:{line}: {message}"),
                mend,
            ));
        };
        if !pages.contains(code) {
            report(
                "the code has no page".to_owned(),
                format!(
                    "write {ERRORS}{code}.md: `# {code}: …`, `## Cause`, `## What to do`; then `cargo xtask generate`"
                ),
            );
        }
        let area = code.split('-').next().unwrap_or_default();
        let owners = repository.architecture.errors.areas.get(area);
        let raised_by: BTreeSet<_> = places.iter().map(|(owner, _, _)| *owner).collect();
        if raised_by.len() > 1 {
            report(
                format!("several crates raise it: {}", join(&raised_by)),
                "give each meaning a code of its own".to_owned(),
            );
        }
        match owners {
            None => report(
                format!("there is no area `{area}`"),
                "use an area of [errors.areas] in architecture.toml, or add one".to_owned(),
            ),
            Some(owners)
                if !raised_by
                    .iter()
                    .all(|name| owners.iter().any(|owner| owner == name)) =>
            {
                report(
                    format!("{} must not raise codes of area `{area}`", join(&raised_by)),
                    format!("codes of `{area}` are raised by {}", owners.join(", ")),
                );
            }
            Some(_) => {}
        }
    }
    found
}

/// Every page is about a code that is raised, and has the expected parts.
pub(super) fn pages(repository: &Repository<'_>) -> Vec<Violation> {
    let used = used(repository);
    let pages: BTreeSet<_> = page_codes(repository.tree).collect();
    let mut found = Vec::new();
    for (path, text) in repository.tree.below(ERRORS) {
        let code = path
            .strip_prefix(ERRORS)
            .and_then(|name| name.strip_suffix(".md"))
            .unwrap_or(path);
        let mut report = |message: String, mend: String| {
            found.push(Violation::new("error-page", path, message, mend));
        };
        if !pages.contains(code) {
            report(
                "the file is not named after a code".to_owned(),
                "name it AREA-NNN.md".to_owned(),
            );
            continue;
        }
        if !used.contains_key(code) {
            report(
                format!("no source raises {code}"),
                "remove the page; a code that was released once is never given another meaning"
                    .to_owned(),
            );
        }
        let headings = headings(text);
        let titled = headings.first().is_some_and(|title| {
            title
                .strip_prefix(&format!("# {code}: "))
                .is_some_and(|rest| !rest.trim().is_empty())
        });
        let expected = titled && headings.get(1..) == Some(&["## Cause", "## What to do"]);
        if !expected || text.lines().count() > PAGE_LINES || has_empty_section(text) {
            report(
                "the page does not have the expected parts".to_owned(),
                format!(
                    "write `# {code}: short text`, `## Cause`, `## What to do`, each with text, in at most {PAGE_LINES} lines"
                ),
            );
        }
    }
    found
}

/// Decision records are numbered, dated and complete.
pub(super) fn decisions(repository: &Repository<'_>) -> Vec<Violation> {
    let mut numbers: BTreeMap<&str, &str> = BTreeMap::new();
    let mut found = Vec::new();
    for (path, text) in repository.tree.below(DECISIONS) {
        let mut report = |message: &str, mend: String| {
            found.push(Violation::new("adr", path, message, mend));
        };
        let name = path.strip_prefix(DECISIONS).unwrap_or(path);
        let Some((number, _)) = decision_name(name) else {
            report(
                "the file is not named as a decision record",
                "name it NNN-what-was-decided.md".to_owned(),
            );
            continue;
        };
        if let Some(other) = numbers.insert(number, path) {
            report(
                "the number is taken",
                format!("{other} has it; take the next free one"),
            );
        }
        let headings = headings(text);
        let titled = headings.first().is_some_and(|title| {
            title
                .strip_prefix(&format!("# {number}: "))
                .is_some_and(|rest| !rest.trim().is_empty())
        });
        let expected = ["## Context", "## Decision", "## Consequences"];
        if !titled || headings.get(1..) != Some(&expected) || has_empty_section(text) {
            report(
                "the record does not have the expected parts",
                format!(
                    "write `# {number}: Title`, then Context, Decision and Consequences as `##`, each with text"
                ),
            );
        }
        if !text.lines().nth(2).is_some_and(is_status) {
            report(
                "the third line is not the state of the decision",
                "write `Accepted, YYYY-MM-DD.` or `Superseded by NNN, YYYY-MM-DD.`".to_owned(),
            );
        }
        if text.lines().count() > PAGE_LINES {
            report(
                "the record is longer than a page",
                format!("say it in {PAGE_LINES} lines"),
            );
        }
    }
    found
}

/// Crate, path and line of every use, by code.
type Uses<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a str, usize)>>;

fn used<'a>(repository: &'a Repository<'_>) -> Uses<'a> {
    let mut used = Uses::new();
    for (path, text) in repository
        .tree
        .below("")
        .filter(|(path, _)| path.ends_with(".rs"))
    {
        // The index of pages names all of them, and xtask talks about codes.
        let Some((owner, _)) = repository
            .graph
            .owner(path)
            .filter(|(name, _)| *name != "xtask")
        else {
            continue;
        };
        if path == crate::generate::PAGES {
            continue;
        }
        for (number, line) in Source::of(path, text).code() {
            for code in codes_in(line) {
                used.entry(code).or_default().push((owner, path, number));
            }
        }
    }
    used
}

fn headings(text: &str) -> Vec<&str> {
    let mut fenced = false;
    text.lines()
        .filter(|line| {
            fenced ^= line.starts_with("```");
            !fenced && line.starts_with('#')
        })
        .map(str::trim_end)
        .collect()
}

/// Returns whether a `##` section has no text.
fn has_empty_section(text: &str) -> bool {
    let mut sections = text.split("\n## ").skip(1);
    sections.any(|section| {
        let body = section.split_once('\n').map_or("", |(_, body)| body);
        body.trim().is_empty()
    })
}

fn decision_name(name: &str) -> Option<(&str, &str)> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let kebab = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let numbered = number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit());
    (numbered && !title.is_empty() && title.bytes().all(kebab)).then_some((number, title))
}

fn is_status(line: &str) -> bool {
    let Some((state, date)) = line
        .strip_suffix('.')
        .and_then(|line| line.rsplit_once(", "))
    else {
        return false;
    };
    let superseded = state.strip_prefix("Superseded by ").is_some_and(|number| {
        number.len() == 3 && number.bytes().all(|byte| byte.is_ascii_digit())
    });
    (state == "Accepted" || superseded) && date.parse::<Date>().is_ok()
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}
