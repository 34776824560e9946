//! One review: a tree, or what a change adds to it.

mod duplicates;

use std::path::{Path, PathBuf};

use crate::{
    change::{self, Change},
    copies,
    finding::{Draft, Printer, Report},
    flow,
    rules::Rules,
    source::{self, Limits, Tree},
};

/// What is reviewed.
#[derive(Debug, Clone)]
pub struct Request {
    /// The folder.
    pub root: PathBuf,
    /// The revision to compare with.
    pub base: Option<String>,
    /// How much is read.
    pub limits: Limits,
    /// How large a copy has to be.
    pub copies: copies::Options,
}

impl Request {
    /// Returns a request for the tree at `root` with the usual bounds.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            base: None,
            limits: Limits::default(),
            copies: copies::Options::default(),
        }
    }
}

/// What a review is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading files.
    Reading,
    /// Comparing with the revision.
    Comparing,
    /// Looking for weaknesses.
    Rules,
    /// Looking for copies.
    Copies,
    /// Done.
    Done,
}

/// Reviews what `request` names by `rules`, telling `progress` of each stage.
///
/// # Errors
///
/// When the change cannot be compared.
pub fn run(
    request: &Request,
    rules: &Rules,
    progress: &dyn Fn(Stage),
) -> Result<Report, change::Error> {
    progress(Stage::Reading);
    let Tree {
        sources,
        mut skipped,
    } = source::read(&request.root, request.limits);
    progress(Stage::Comparing);
    let change = match &request.base {
        Some(base) => Some(Change::since(&request.root, base, &sources)?),
        None => None,
    };
    progress(Stage::Rules);
    let scan = flow::scan(&sources, rules);
    for (why, path) in &scan.skipped {
        skipped.add(*why, path);
    }
    progress(Stage::Copies);
    let copies = copies::find(&sources, request.copies);
    let mut drafts: Vec<Draft> = duplicates::drafts(&copies, change.as_ref());
    drafts.extend(scan.drafts);
    drafts.sort_by(|one, other| (&one.place, &one.rule).cmp(&(&other.place, &other.rule)));
    let mut printer = Printer::default();
    let findings = drafts.into_iter().map(|draft| {
        let lines = (draft.place.from, draft.place.to);
        let is_new = change
            .as_ref()
            .is_none_or(|change| change.touches(&draft.place.path, lines));
        printer.print(draft, is_new)
    });
    let mut report = Report {
        findings: findings.collect(),
        files: sources.len(),
        lines: copies.lines,
        duplicated_lines: copies.duplicated,
        added_lines: change.as_ref().map(Change::added),
        skipped,
    };
    report.sort();
    progress(Stage::Done);
    Ok(report)
}
