//! One review: a tree, or what a change adds to it.

mod duplicates;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rayon::prelude::*;

use crate::{
    brief,
    change::{self, Base, Change},
    checks::Subject,
    copies::{self, Functions, kept::Kept, near::near},
    finding::{Certainty, Draft, NEAR_DUPLICATION, Printer, Report},
    flow::{self, memory::Memory},
    house::House,
    memory::{self, Digest},
    rules::Rules,
    source::{self, Limits, Source, Tree},
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
    /// Reading files, and what git knows of the revision.
    Reading,
    /// Looking for weaknesses and copies, and comparing with the revision.
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
    let (tree, (base, learned)) = rayon::join(
        || source::read(&request.root, request.limits),
        || {
            let base = request.base.as_ref();
            rayon::join(
                || base.map(|base| Base::of(&request.root, base)).transpose(),
                || Learned::open(request, rules),
            )
        },
    );
    let Tree {
        sources,
        papers,
        mut skipped,
    } = tree;
    let base = base?;
    let mut learned = learned.unwrap_or_else(|why| {
        let text = format!("nothing is remembered of this review: {why}");
        progress(Stage::Note(text));
        None
    });
    progress(Stage::Looking);
    let change = OnceLock::new();
    let (owed, (scan, (copies, functions))) = rayon::join(
        || -> Result<_, change::Error> {
            let Some(base) = base else {
                return Ok(None);
            };
            let since = Change::since(base, &sources, &papers)?;
            let since = change.get_or_init(|| since);
            let subject = || Subject::new(since, &sources, &papers, &request.house);
            let subject = request.only.is_none().then(subject);
            Ok(subject.map(|subject| (subject.drafts(), subject)))
        },
        || look(request, rules, &sources, learned.as_mut()),
    );
    let (owed, subject) = owed?.unzip();
    let change = change.get();
    for text in learned.iter().flat_map(Learned::notes) {
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
    let mut drafts: Vec<Draft> = duplicates::drafts(&copies, change);
    let near = near(&sources, &functions, change);
    drafts.extend(duplicates::near(near));
    drafts.extend(scan.drafts);
    drafts.extend(owed.into_iter().flatten());
    drafts.sort_by(|one, other| (&one.place, &one.rule).cmp(&(&other.place, &other.rule)));
    let mut printer = Printer::default();
    let findings = drafts.into_iter().map(|draft| {
        let lines = (draft.place.from, draft.place.to);
        let is_copy = ["duplication", NEAR_DUPLICATION].contains(&&*draft.class);
        let is_owed = draft.certainty == Certainty::Advice && !is_copy;
        let is_new = change.is_none_or(|change| {
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
        added_lines: change.map(Change::added),
        skipped,
        brief: None,
        looked,
    };
    report.sort();
    report.brief = subject.map(|subject| brief::brief(&subject, &report.findings));
    progress(Stage::Done);
    Ok(report)
}

/// What earlier reviews have learned.
struct Learned {
    folder: memory::Folder,
    flows: Memory,
    copies: Kept,
}

impl Learned {
    /// Opens what earlier reviews have learned, if the request names a folder; or tells why
    /// it cannot be used.
    fn open(request: &Request, rules: &Rules) -> Result<Option<Self>, String> {
        let Some(folder) = &request.memory else {
            return Ok(None);
        };
        let key = rules.identity();
        let folder = memory::Folder::open(folder, &request.root)?;
        let (flows, copies) = rayon::join(
            || Memory::open(&folder, key),
            || Kept::open(&folder, request.copies, key),
        );
        Ok(Some(Self {
            folder,
            flows,
            copies,
        }))
    }

    /// Returns what a person should know of it.
    fn notes(&self) -> Vec<String> {
        let parts = [
            ("weaknesses", self.flows.dropped()),
            ("copies", self.copies.dropped()),
        ];
        let dropped = parts
            .into_iter()
            .filter_map(|(of, why)| why.map(|why| (of, why)));
        dropped
            .map(|(of, why)| {
                format!("what earlier reviews had learned of {of} was dropped and is learned again: {why}")
            })
            .collect()
    }
}

/// Looks for weaknesses and copies, as far as the request asks for them.
fn look(
    request: &Request,
    rules: &Rules,
    sources: &[Source],
    learned: Option<&mut Learned>,
) -> (flow::Scan, (copies::Copies, Functions)) {
    let digests: Vec<Digest> = match learned {
        Some(_) => sources
            .par_iter()
            .map(|source| memory::digest_of(&source.text))
            .collect(),
        None => Vec::new(),
    };
    let (folder, flows, kept) = match learned {
        Some(learned) => (
            Some(&learned.folder),
            Some((&mut learned.flows, &digests[..])),
            Some((&mut learned.copies, &digests[..])),
        ),
        None => (None, None, None),
    };
    rayon::join(
        || match request.asks_for(Part::Weaknesses) {
            true => flow::scan(sources, rules, flows),
            false => flow::Scan::default(),
        },
        || {
            if !request.asks_for(Part::Copies) {
                let copies = copies::Copies {
                    lines: copies::lines(sources),
                    ..copies::Copies::default()
                };
                return (copies, Functions::new());
            }
            let Some((kept, digests)) = kept else {
                return copies::search(sources, request.copies, None);
            };
            let found = copies::search(sources, request.copies, Some((kept, digests)));
            if let Some(folder) = folder {
                // What cannot be written is found again next time.
                let _ = kept.save(folder);
            }
            found
        },
    )
}

#[cfg(test)]
pub(crate) mod tests;
