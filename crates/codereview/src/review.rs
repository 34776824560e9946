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
    source::{self, Known, Limits, Source, Text, Tree},
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
    // Before anything is read: files that are written from now on are read again.
    let folder = request.memory.as_ref().and_then(|path| {
        let opened = memory::Folder::open(path, &request.root);
        let failed = |why| {
            let text = format!("nothing is remembered of this review: {why}");
            progress(Stage::Note(text));
        };
        opened.map_err(failed).ok()
    });
    let mut trust = Trust::Times;
    loop {
        match once(request, rules, (folder.as_ref(), trust), progress)? {
            Some(report) => return Ok(report),
            // Somebody writes files meanwhile: each is read once, now.
            None => trust = Trust::Nothing,
        }
    }
}

/// By what a file is known to be the same as before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// By its size and times, as long as nobody looks into it.
    Times,
    /// By its content alone.
    Nothing,
}

/// Reviews once; gives nothing if a file was not what its times say.
fn once(
    request: &Request,
    rules: &Rules,
    (folder, trust): (Option<&memory::Folder>, Trust),
    progress: &dyn Fn(Stage),
) -> Result<Option<Report>, change::Error> {
    progress(Stage::Reading);
    let key = rules.identity();
    let known = || {
        let mut known = folder.map(|folder| Known::open(folder, key));
        if let Some(known) = known.as_mut().filter(|_| trust == Trust::Nothing) {
            known.forget();
        }
        known
    };
    let ((tree, known), (base, mut learned)) = rayon::join(
        || source::read_again(&request.root, request.limits, known),
        || {
            let base = request.base.as_ref();
            rayon::join(
                || base.map(|base| Base::of(&request.root, base)).transpose(),
                || folder.map(|folder| Learned::open(folder, request, key)),
            )
        },
    );
    let base = base?;
    progress(Stage::Looking);
    let (sources, papers) = (&tree.sources, &tree.papers);
    let change = OnceLock::new();
    let (owed, ((scan, (copies, functions)), ())) = rayon::join(
        || -> Result<_, change::Error> {
            let Some(base) = base else {
                return Ok(None);
            };
            let since = Change::since(base, sources, papers)?;
            let since = change.get_or_init(|| since);
            let subject = || Subject::new(since, sources, papers, &request.house);
            let subject = request.only.is_none().then(subject);
            Ok(subject.map(|subject| (subject.drafts(), subject)))
        },
        || {
            rayon::join(
                || look(request, rules, sources, learned.as_mut()),
                || {
                    if let (Some(known), Some(folder)) = (&known, folder) {
                        // What cannot be written is read again next time.
                        let _ = known.save(folder);
                    }
                },
            )
        },
    );
    let (owed, subject) = owed?.unzip();
    let mut drafts: Vec<Draft> = owed.into_iter().flatten().collect();
    let change = change.get();
    let dropped = known
        .as_ref()
        .and_then(|known| Some(("files", known.dropped()?)));
    let dropped = dropped.into_iter();
    for (of, why) in dropped.chain(learned.iter().flat_map(Learned::dropped)) {
        progress(Stage::Note(format!(
            "what earlier reviews had learned of {of} was dropped and is learned again: {why}"
        )));
    }
    progress(Stage::Findings);
    drafts.extend(duplicates::drafts(&copies, change));
    drafts.extend(duplicates::near(near(sources, &functions, change)));
    let mut report = report(request, &tree, change, (drafts, scan, &copies));
    report.brief = subject.map(|subject| brief::brief(&subject, &report.findings));
    let has_moved = source::have_moved(texts(&tree));
    let learned = learned.map(|learned| (learned.flows, learned.copies));
    // Nobody has to wait until it is given back.
    rayon::spawn(move || drop((learned, known, functions)));
    if has_moved {
        return Ok(None);
    }
    progress(Stage::Done);
    Ok(Some(report))
}

/// Returns the texts of `tree`.
fn texts(tree: &Tree) -> impl Iterator<Item = &Text> {
    let papers = tree.papers.iter().map(|one| &one.text);
    tree.sources.iter().map(|one| &one.text).chain(papers)
}

/// Puts together what was found.
fn report(
    request: &Request,
    tree: &Tree,
    change: Option<&Change>,
    (mut drafts, scan, copies): (Vec<Draft>, flow::Scan, &copies::Copies),
) -> Report {
    let mut skipped = tree.skipped.clone();
    // Whoever asks for a part has not looked at the rest.
    let read = tree.sources.iter().filter(|_| request.only.is_none());
    let mut looked: BTreeSet<String> = read.map(|one| one.path.clone()).collect();
    for (why, path) in &scan.skipped {
        looked.remove(path);
        skipped.add(*why, path);
    }
    drafts.extend(scan.drafts);
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
        files: tree.sources.len(),
        lines: copies.lines,
        duplicated_lines: copies.duplicated,
        added_lines: change.map(Change::added),
        skipped,
        brief: None,
        looked,
    };
    report.sort();
    report
}

/// What earlier reviews have learned.
struct Learned<'f> {
    folder: &'f memory::Folder,
    flows: Memory,
    copies: Kept,
}

impl<'f> Learned<'f> {
    fn open(folder: &'f memory::Folder, request: &Request, key: Digest) -> Self {
        let (flows, copies) = rayon::join(
            || Memory::open(folder, key),
            || Kept::open(folder, request.copies, key),
        );
        Self {
            folder,
            flows,
            copies,
        }
    }

    /// Returns of what something was dropped, and why.
    fn dropped(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let parts = [
            ("weaknesses", self.flows.dropped()),
            ("copies", self.copies.dropped()),
        ];
        let parts = parts.into_iter();
        parts.filter_map(|(of, why)| Some((of, why?)))
    }
}

/// Looks for weaknesses and copies, as far as the request asks for them.
fn look(
    request: &Request,
    rules: &Rules,
    sources: &[Source],
    learned: Option<&mut Learned<'_>>,
) -> (flow::Scan, (copies::Copies, Functions)) {
    let digests: Vec<Digest> = match learned {
        Some(_) => sources
            .par_iter()
            .map(|source| source.text.digest())
            .collect(),
        None => Vec::new(),
    };
    let (folder, flows, kept) = match learned {
        Some(learned) => (
            Some(learned.folder),
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
            if let Some(folder) = folder
                && !source::have_moved(sources.iter().map(|one| &one.text))
            {
                // What cannot be written is found again next time.
                let _ = kept.save(folder);
            }
            found
        },
    )
}

#[cfg(test)]
pub(crate) mod tests;
