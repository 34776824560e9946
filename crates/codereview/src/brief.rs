//! What a person should know of a change before reading it.
//!
//! # Invariants
//!
//! * The score adds up named parts. It is no probability, and it orders nothing that a
//!   sample is drawn from.
//! * Every statement names a place.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    change::Attribution,
    checks::{
        Changed, Subject,
        attribution::{self, Share},
        decisions, documentation, standards,
    },
    finding::{Certainty, Finding, Step},
    source::Text,
};

/// Statements that each part keeps.
const MOST: usize = 30;

/// The brief of one change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brief {
    /// Tools and public interfaces: added, changed, gone.
    pub contracts: Vec<Step>,
    /// Schemas and stored data.
    pub data: Vec<Step>,
    /// Prices, payments, refunds.
    pub money: Vec<Step>,
    /// Who may do what.
    pub permissions: Vec<Step>,
    /// New edges between parts, dependencies, hosts.
    pub architecture: Vec<Step>,
    /// Files that only machines have looked at, since nothing in them asks for a person.
    pub machines: Vec<String>,
    /// Files that a person should read first, with why.
    pub persons: Vec<(String, String)>,
    /// Who wrote it, as declared.
    pub share: Share,
    /// What speaks for a closer look.
    pub risk: Vec<(String, u32)>,
    /// What alone makes a review mandatory.
    pub triggers: Vec<String>,
    /// Folders that it touches.
    pub areas: Vec<String>,
    /// Added lines of code, and of tests.
    pub lines: Lines,
    /// By which the content of the change is known again after a rebase.
    pub patch: String,
    /// The commits, the newest first.
    pub commits: Vec<String>,
}

/// Added lines by what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lines {
    /// Of code.
    pub code: usize,
    /// Of tests.
    pub tests: usize,
}

impl Brief {
    /// Returns the sum of the points.
    #[must_use]
    pub fn score(&self) -> u32 {
        self.risk.iter().map(|(_, points)| points).sum()
    }
}

/// Returns the brief of a change with `findings`.
pub(crate) fn brief(subject: &Subject<'_>, findings: &[Finding]) -> Brief {
    let mut brief = Brief {
        share: attribution::share(subject),
        commits: subject
            .change
            .commits
            .iter()
            .map(|commit| commit.id.clone())
            .collect(),
        patch: patch(subject),
        lines: standards::lines_of(subject),
        ..Brief::default()
    };
    for file in &subject.files {
        contracts(file, &mut brief.contracts);
        edges(subject, file, &mut brief.architecture);
        texts(subject, file, &mut brief);
    }
    for path in &subject.change.gone {
        brief
            .contracts
            .push(step(path, 1, "the file is gone".to_owned()));
    }
    for (what, path, line) in decisions::triggers(subject) {
        let part = match what.starts_with("a change of a schema") {
            true => &mut brief.data,
            false => &mut brief.architecture,
        };
        // Tools are told among the contracts.
        if !what.starts_with("the tool") {
            part.push(step(&path, line, format!("brings {what}")));
        }
    }
    for part in [
        &mut brief.contracts,
        &mut brief.data,
        &mut brief.money,
        &mut brief.permissions,
        &mut brief.architecture,
    ] {
        part.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
        part.dedup();
        part.truncate(MOST);
    }
    areas(subject, &mut brief);
    weigh(subject, findings, &mut brief);
    split(subject, findings, &mut brief);
    brief
}

fn step(path: &str, line: u32, what: String) -> Step {
    Step {
        path: path.to_owned(),
        line,
        what,
    }
}

fn contracts(file: &Changed<'_>, out: &mut Vec<Step>) {
    let path = &file.source.path;
    let tests_from = file.source.tests_from();
    if file.source.is_test() {
        return;
    }
    let before: BTreeMap<&str, _> = file
        .before
        .items
        .iter()
        .map(|one| (&*one.name, one))
        .collect();
    let after: BTreeSet<&str> = file.after.items.iter().map(|one| &*one.name).collect();
    for item in file
        .after
        .items
        .iter()
        .filter(|one| one.is_public || one.is_tool)
    {
        if item.from >= tests_from {
            continue;
        }
        let sort = if item.is_tool { "tool" } else { "public" };
        match before.get(item.name.as_str()) {
            None => out.push(step(
                path,
                item.from,
                format!("{sort} `{}` is new", item.name),
            )),
            Some(old) if old.signature != item.signature && item.is_function => {
                out.push(step(
                    path,
                    item.from,
                    format!("{sort} `{}` has another signature", item.name),
                ));
            }
            Some(old) if item.is_tool && old.documentation != item.documentation => {
                out.push(step(
                    path,
                    item.from,
                    format!("tool `{}` is described otherwise", item.name),
                ));
            }
            Some(_) => {}
        }
    }
    for item in file
        .before
        .items
        .iter()
        .filter(|one| one.is_public || one.is_tool)
    {
        if !after.contains(item.name.as_str()) {
            let sort = if item.is_tool { "tool" } else { "public" };
            out.push(step(path, 1, format!("{sort} `{}` is gone", item.name)));
        }
    }
    for (name, tool) in &file.tools {
        let what = match file.tools_before.get(name) {
            None => format!("tool `{name}` is new"),
            Some(old) if old.description != tool.description => {
                format!("tool `{name}` is described otherwise")
            }
            Some(_) => continue,
        };
        out.push(step(path, tool.line, what));
    }
    let gone = file.tools_before.keys();
    for name in gone.filter(|name| !file.tools.contains_key(*name)) {
        out.push(step(path, 1, format!("tool `{name}` is gone")));
    }
}

/// Imports that a file did not have.
fn edges(subject: &Subject<'_>, file: &Changed<'_>, out: &mut Vec<Step>) {
    let path = &file.source.path;
    if file.source.is_test() || file.before.imports.is_empty() {
        // Every import of a new file is new.
        return;
    }
    for import in file.after.imports.difference(&file.before.imports) {
        let first = import.split(['{', ',']).next().unwrap_or(import).trim();
        let mut added = subject.added(path, &file.source.text);
        let line = added
            .find(|(_, line)| line.contains(first))
            .map(|(number, _)| number);
        if let Some(line) = line {
            let shown: String = import.chars().take(80).collect();
            out.push(step(path, line, format!("imports `{shown}`")));
        }
    }
}

/// Words in added lines that say what they are about.
fn texts(subject: &Subject<'_>, file: &Changed<'_>, brief: &mut Brief) {
    const MONEY: [&str; 9] = [
        "price", "amount", "payment", "refund", "currency", "invoice", "charge", "card", "cents",
    ];
    const ACCESS: [&str; 10] = [
        "authorize",
        "authorise",
        "permission",
        "admin",
        "role",
        "scope",
        "password",
        "authenticate",
        "acl",
        "token",
    ];
    const DATA: [&str; 6] = [
        "CREATE TABLE",
        "ALTER TABLE",
        "DROP TABLE",
        "DELETE FROM",
        "createTable",
        "addColumn",
    ];
    let path = &file.source.path;
    if file.source.is_test() {
        return;
    }
    let tests_from = file.source.tests_from();
    let (mut money, mut access, mut data) = (0, 0, 0);
    for (number, line) in subject.added(path, &file.source.text) {
        let start = line.trim_start();
        let is_other = ["#", "*", "//", "\"", "'"]
            .iter()
            .any(|mark| start.starts_with(mark));
        if is_other || number >= tests_from {
            continue;
        }
        let words: BTreeSet<String> = documentation::parts(line)
            .into_iter()
            .map(|word| word.trim_end_matches('s').to_owned())
            .collect();
        let says = |of: &[&str]| {
            of.iter()
                .any(|word| words.contains(word.trim_end_matches('s')))
        };
        let shown = || format!("`{}`", line.trim().chars().take(80).collect::<String>());
        if money < 5 && says(&MONEY) {
            money += 1;
            brief.money.push(step(path, number, shown()));
        }
        if access < 5 && says(&ACCESS) {
            access += 1;
            brief.permissions.push(step(path, number, shown()));
        }
        if data < 5 && DATA.iter().any(|word| line.contains(word)) {
            data += 1;
            brief.data.push(step(path, number, shown()));
        }
    }
}

fn areas(subject: &Subject<'_>, brief: &mut Brief) {
    let folders: BTreeSet<String> = subject
        .change
        .files
        .keys()
        .map(|path| {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            folder.split('/').take(2).collect::<Vec<_>>().join("/")
        })
        .collect();
    brief.areas = folders.into_iter().collect();
}

/// Adds up what speaks for a closer look.
fn weigh(subject: &Subject<'_>, findings: &[Finding], brief: &mut Brief) {
    let added = subject.change.added();
    let mut points = |what: String, points: u32| {
        if points > 0 {
            brief.risk.push((what, points));
        }
    };
    let size = (added.max(1).ilog2()).min(12) * 2;
    points(format!("{added} added lines"), size);
    let files = subject.change.files.len();
    points(format!("{files} files"), (files as u32 / 3).min(10));
    let sensitive: Vec<&String> = subject
        .change
        .files
        .keys()
        .filter(|path| subject.house.is_sensitive(path))
        .collect();
    points(
        format!("{} sensitive files", sensitive.len()),
        if sensitive.is_empty() { 0 } else { 15 },
    );
    let triggers = decisions::triggers(subject);
    let of = |what: &str| {
        triggers
            .iter()
            .filter(|(one, ..)| one.contains(what))
            .count() as u32
    };
    points(
        "tools of the protocol".to_owned(),
        (of("the tool") * 10).min(20),
    );
    points(
        "new dependencies".to_owned(),
        (of("the dependency") * 10).min(20),
    );
    points("new hosts".to_owned(), (of("requests to") * 5).min(10));
    let weak = findings
        .iter()
        .filter(|one| one.is_new && one.certainty >= Certainty::Likely)
        .count() as u32;
    points("new weaknesses".to_owned(), (weak * 15).min(45));
    let untested = findings
        .iter()
        .any(|one| one.is_new && one.what.rule == "tests-missing");
    points("no test".to_owned(), if untested { 10 } else { 0 });
    let share = match brief.share.declared {
        Attribution::Ai => 5,
        Attribution::Mixed => 3,
        Attribution::Human | Attribution::Unknown => 0,
    };
    points("written by a tool, as declared".to_owned(), share);
    let mut found = BTreeSet::new();
    for (what, ..) in &triggers {
        match what {
            what if what.starts_with("the dependency") => found.insert("dependency"),
            what if what.starts_with("the tool") => found.insert("tool"),
            what if what.starts_with("a change of a schema") => found.insert("schema"),
            _ => false,
        };
    }
    if !sensitive.is_empty() {
        found.insert("sensitive");
        if brief.share.declared == Attribution::Unknown {
            found.insert("unknown-author-in-sensitive-path");
        }
    }
    for finding in findings
        .iter()
        .filter(|one| one.is_new && one.certainty >= Certainty::Likely)
    {
        if finding.class == "deserialization" {
            found.insert("deserialization");
        }
    }
    brief.triggers = found.into_iter().map(str::to_owned).collect();
}

/// Parts files into those that ask for a person and those that machines have covered.
fn split(subject: &Subject<'_>, findings: &[Finding], brief: &mut Brief) {
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let parts = [
        ("contract", &brief.contracts),
        ("data", &brief.data),
        ("money", &brief.money),
        ("permissions", &brief.permissions),
        ("architecture", &brief.architecture),
    ];
    for (reason, steps) in parts {
        for one in steps {
            reasons.entry(&one.path).or_default().insert(reason);
        }
    }
    for finding in findings
        .iter()
        .filter(|one| one.is_new && one.certainty >= Certainty::Pattern)
    {
        reasons
            .entry(&finding.place.path)
            .or_default()
            .insert("weakness");
    }
    let mut persons = Vec::new();
    let mut machines = Vec::new();
    for path in subject.change.files.keys() {
        let mut why: Vec<&str> = reasons
            .get(&**path)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        if subject.house.is_sensitive(path) {
            why.push("sensitive path");
        }
        match why.is_empty() {
            true => machines.push(path.clone()),
            false => persons.push((path.clone(), why.join(", "))),
        }
    }
    persons.sort_by_key(|(path, why)| (std::cmp::Reverse(why.matches(',').count()), path.clone()));
    brief.persons = persons;
    brief.machines = machines;
}

/// Returns a digest of what is added and where, without line numbers and white space.
fn patch(subject: &Subject<'_>) -> String {
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let papers = subject.papers.iter().map(|one| (&one.path, &one.text));
    let sources = subject.files.iter();
    let sources = sources.map(|one| (&one.source.path, &one.source.text));
    let texts: BTreeMap<&String, &Text> = papers.chain(sources).collect();
    for (path, file) in &subject.change.files {
        context.update(path.as_bytes());
        context.update(&(file.removed as u64).to_be_bytes());
        let text = texts.get(path);
        for (_, line) in text.into_iter().flat_map(|text| subject.added(path, text)) {
            for word in line.split_whitespace() {
                context.update(word.as_bytes());
                context.update(b" ");
            }
            context.update(b"\n");
        }
    }
    airside_base::hex(context.finish().as_ref())
}
