//! One review: a tree, or what a change adds to it.

mod duplicates;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use crate::{
    brief,
    change::{self, Change},
    checks::Subject,
    copies,
    finding::{Certainty, Draft, Printer, Report},
    flow::{self, memory::Memory},
    house::House,
    rules::Rules,
    source::{self, Limits, Tree},
};

/// What a review looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What the rules name.
    Weaknesses,
    /// Duplicated code.
    Copies,
}

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
    /// What the house asks of changes.
    pub house: House,
    /// The only thing to look for, or everything.
    pub only: Option<Part>,
    /// Folder of what earlier reviews have learned.
    pub memory: Option<PathBuf>,
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
            house: House::default(),
            only: None,
            memory: None,
        }
    }

    fn asks_for(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }
}

/// What a review is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Reading files.
    Reading,
    /// Comparing with the revision.
    Comparing,
    /// Looking for weaknesses and copies.
    Looking,
    /// Putting together what was found.
    Findings,
    /// Done.
    Done,
    /// Something that a person should know and that is no finding.
    Note(String),
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
        papers,
        mut skipped,
    } = source::read(&request.root, request.limits);
    progress(Stage::Comparing);
    let change = match &request.base {
        Some(base) => Some(Change::since(&request.root, base, &sources, &papers)?),
        None => None,
    };
    progress(Stage::Looking);
    let mut memory = match request.asks_for(Part::Weaknesses) {
        true => remember(request, rules, progress),
        false => None,
    };
    let (scan, copies) = rayon::join(
        || match request.asks_for(Part::Weaknesses) {
            true => flow::scan(&sources, rules, memory.as_mut()),
            false => flow::Scan::default(),
        },
        || match request.asks_for(Part::Copies) {
            true => copies::find(&sources, request.copies),
            false => copies::Copies {
                lines: copies::lines(&sources),
                ..copies::Copies::default()
            },
        },
    );
    if let Some(why) = memory.as_ref().and_then(Memory::dropped) {
        let text = format!("what earlier reviews had learned was dropped: {why}");
        progress(Stage::Note(text));
    }
    // Whoever asks for a part has not looked at the rest.
    let read = sources.iter().filter(|_| request.only.is_none());
    let mut looked: BTreeSet<String> = read.map(|one| one.path.clone()).collect();
    for (why, path) in &scan.skipped {
        looked.remove(path);
        skipped.add(*why, path);
    }
    progress(Stage::Findings);
    let mut drafts: Vec<Draft> = duplicates::drafts(&copies, change.as_ref());
    drafts.extend(scan.drafts);
    let subject = change
        .as_ref()
        .filter(|_| request.only.is_none())
        .map(|change| Subject::new(change, &sources, &papers, &request.house));
    drafts.extend(subject.iter().flat_map(Subject::drafts));
    drafts.sort_by(|one, other| (&one.place, &one.rule).cmp(&(&other.place, &other.rule)));
    let mut printer = Printer::default();
    let findings = drafts.into_iter().map(|draft| {
        let lines = (draft.place.from, draft.place.to);
        let is_owed = draft.certainty == Certainty::Advice && draft.class != "duplication";
        let is_new = change.as_ref().is_none_or(|change| {
            // What a change owes as a whole stands where there is a file.
            is_owed || change.touches(&draft.place.path, lines)
        });
        printer.print(draft, is_new)
    });
    let mut report = Report {
        findings: findings.collect(),
        files: sources.len(),
        lines: copies.lines,
        duplicated_lines: copies.duplicated,
        added_lines: change.as_ref().map(Change::added),
        skipped,
        brief: None,
        looked,
    };
    report.sort();
    report.brief = subject.map(|subject| brief::brief(&subject, &report.findings));
    progress(Stage::Done);
    Ok(report)
}

/// Opens what earlier reviews have learned, if the request names a folder.
fn remember(request: &Request, rules: &Rules, progress: &dyn Fn(Stage)) -> Option<Memory> {
    let folder = request.memory.as_ref()?;
    match Memory::open(folder, &request.root, rules.identity()) {
        Ok(memory) => Some(memory),
        Err(why) => {
            let text = format!("nothing is remembered of this review: {why}");
            progress(Stage::Note(text));
            None
        }
    }
}
