//! Decisions that a change makes and lessons that it owes, written down.

use std::collections::BTreeSet;

use airside_base::Severity;

use super::{Note, Subject};
use crate::{change::day, finding::Draft, lesson, source::Paper};

pub(super) fn drafts(subject: &Subject<'_>) -> Vec<Draft> {
    let mut notes = Vec::new();
    notes.extend(missing(subject));
    for paper in subject
        .papers
        .iter()
        .filter(|paper| is_decision(subject, &paper.path))
    {
        let Some(file) = subject.change.files.get(&paper.path) else {
            continue;
        };
        match &file.before {
            None => notes.extend(malformed(paper)),
            Some(before) => notes.extend(rewritten(paper, before)),
        }
    }
    notes.extend(removed(subject));
    notes.extend(lessons(subject));
    notes.into_iter().map(Note::draft).collect()
}

fn is_decision(subject: &Subject<'_>, path: &str) -> bool {
    path.starts_with(&*subject.house.decisions) && path.ends_with(".md")
}

/// What about a change is a decision: a dependency, a host, a tool, access, a schema.
pub(crate) fn triggers(subject: &Subject<'_>) -> Vec<(String, String, u32)> {
    let mut found = Vec::new();
    for paper in subject.papers {
        for (line, name) in dependencies(subject, paper) {
            found.push((format!("the dependency `{name}`"), paper.path.clone(), line));
        }
        let is_schema = paper.path.ends_with(".sql") || paper.path.ends_with(".proto");
        if is_schema && subject.change.files.contains_key(&paper.path) {
            found.push(("a change of a schema".to_owned(), paper.path.clone(), 1));
        }
        let name = paper.path.rsplit('/').next().unwrap_or("");
        let file = subject.change.files.get(&paper.path);
        let is_service = name.starts_with("Dockerfile") || name.starts_with("docker-compose");
        if is_service && file.is_some_and(|file| file.before.is_none()) {
            found.push(("a new service".to_owned(), paper.path.clone(), 1));
        }
    }
    let mut hosts = BTreeSet::new();
    for file in &subject.files {
        let path = &file.source.path;
        if file.source.is_test() {
            continue;
        }
        for host in file.after.hosts.difference(&file.before.hosts) {
            if hosts.insert(host.clone()) {
                let line = line_of(subject, file, host);
                found.push((format!("requests to `{host}`"), path.clone(), line));
            }
        }
        let known = super::by_name(&file.before);
        let tools = file.after.items.iter().filter(|item| item.is_tool);
        for item in tools.filter(|item| !known.contains_key(item.name.as_str())) {
            found.push((format!("the tool `{}`", item.name), path.clone(), item.from));
        }
        for (tool, of) in new_tools(file) {
            found.push((format!("the tool `{tool}`"), path.clone(), of.line));
        }
    }
    found
}

/// Returns the tools that a file registers by calls and objects and did not before.
pub(crate) fn new_tools<'f>(
    file: &'f super::Changed<'_>,
) -> impl Iterator<Item = (&'f String, &'f super::Tool)> {
    let tools = file.tools.iter();
    tools.filter(|(name, _)| !file.tools_before.contains_key(*name))
}

fn line_of(subject: &Subject<'_>, file: &super::Changed<'_>, text: &str) -> u32 {
    let mut added = subject.added(&file.source.path, &file.source.text);
    added
        .find(|(_, line)| line.contains(text))
        .map_or(1, |(number, _)| number)
}

/// Returns the dependencies that a change adds to a manifest, with their lines. A new
/// version of what is there is no new dependency.
pub(crate) fn dependencies(subject: &Subject<'_>, paper: &Paper) -> Vec<(u32, String)> {
    let name = paper.path.rsplit('/').next().unwrap_or("");
    let is_manifest = matches!(
        name,
        "package.json"
            | "pyproject.toml"
            | "Cargo.toml"
            | "go.mod"
            | "pom.xml"
            | "build.gradle"
            | "build.gradle.kts"
    ) || name.starts_with("requirements") && name.ends_with(".txt");
    if !is_manifest {
        return Vec::new();
    }
    let Some(file) = subject.change.files.get(&paper.path) else {
        return Vec::new();
    };
    let before = file.before.as_deref().unwrap_or(b"");
    let before = String::from_utf8_lossy(before);
    let known: BTreeSet<String> = named(name, &before).map(|(_, name)| name).collect();
    let text = String::from_utf8_lossy(&paper.text);
    let added: BTreeSet<u32> = subject
        .added(&paper.path, &paper.text)
        .map(|(line, _)| line)
        .collect();
    named(name, &text)
        .filter(|(line, name)| added.contains(line) && !known.contains(name))
        .collect()
}

/// Returns the dependencies that a manifest names, with their lines.
fn named<'t>(manifest: &'t str, text: &'t str) -> impl Iterator<Item = (u32, String)> + 't {
    let mut section = String::new();
    text.lines().enumerate().filter_map(move |(at, line)| {
        let line = line.trim();
        let begins = line.starts_with('[')
            || line.ends_with(": {")
            || line.ends_with("= [")
            || line.ends_with('(');
        if begins {
            section = line.to_ascii_lowercase();
        } else if line == "]" || line == "}" || line == ")" || line == "}," {
            section.clear();
        }
        let found = dependency(manifest, &section, line)?;
        Some((at as u32 + 1, found))
    })
}

fn dependency(manifest: &str, section: &str, line: &str) -> Option<String> {
    let bare = |text: &str| {
        let text = text.trim_start_matches(['"', '\'']);
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || "-_./@".contains(c)))
            .unwrap_or(text.len());
        let name = text[..end].trim_end_matches('.').to_owned();
        name.starts_with(|c: char| c.is_alphanumeric() || c == '@')
            .then_some(name)
    };
    match manifest {
        "package.json" => {
            let in_list = section.contains("dependencies");
            bare(line).filter(|_| in_list && line.contains("\": \""))
        }
        "Cargo.toml" => {
            let in_list = section.contains("dependencies");
            bare(line)
                .filter(|_| {
                    in_list
                        && line.contains('=')
                        && !line.contains("workspace = true")
                        && !line.contains("path =")
                })
                .map(|name| name.split('.').next().unwrap_or("").to_owned())
        }
        "pyproject.toml" => {
            let in_list = section.contains("dependencies");
            bare(line).filter(|_| in_list && line.starts_with(['"', '\'']))
        }
        "go.mod" => {
            let line = line.strip_prefix("require ").unwrap_or(line);
            bare(line).filter(|name| name.contains('.') && line.contains(" v"))
        }
        "build.gradle" | "build.gradle.kts" => {
            let words = [
                "implementation",
                "api",
                "compileOnly",
                "runtimeOnly",
                "testImplementation",
            ];
            let rest = words.iter().find_map(|word| line.strip_prefix(word))?;
            let quoted = rest
                .trim_start_matches(['(', ' '])
                .strip_prefix(['\'', '"'])?;
            let mut parts = quoted.split([':', '\'', '"']);
            let (group, name) = (parts.next()?, parts.next()?);
            (!name.is_empty()).then(|| format!("{group}:{name}"))
        }
        "pom.xml" => {
            let inner = line.strip_prefix("<artifactId>")?;
            inner.split('<').next().map(str::to_owned)
        }
        _ => bare(line).filter(|_| !line.starts_with(['#', '-'])),
    }
}

fn missing(subject: &Subject<'_>) -> Option<Note> {
    let triggers = triggers(subject);
    let (what, path, line) = triggers.first()?;
    let adds = subject.papers.iter().any(|paper| {
        is_decision(subject, &paper.path) && subject.change.files.contains_key(&paper.path)
    });
    let cites = subject.change.commits.iter().any(|commit| {
        let says = commit.message.contains(&*subject.house.decisions);
        let mut words = commit
            .message
            .split_whitespace()
            .zip(commit.message.split_whitespace().skip(1));
        says || words
            .any(|(word, next)| word == "ADR" && next.starts_with(|c: char| c.is_ascii_digit()))
    });
    if adds || cites {
        return None;
    }
    let others = match triggers.len() {
        1 => String::new(),
        many => format!(" and {} more", many - 1),
    };
    Some(Note {
        rule: "decision-missing",
        class: "decisions",
        severity: Severity::Medium,
        path: path.clone(),
        lines: (*line, *line),
        message: format!(
            "the change brings {what}{others}, and no decision says why; add a file to {} or cite one as `ADR 12`",
            subject.house.decisions
        ),
        what: what.clone(),
    })
}

/// A decision has a status, a context, a decision (and options or consequences).
fn malformed(paper: &Paper) -> Option<Note> {
    let text = String::from_utf8_lossy(&paper.text).to_lowercase();
    let heading = |words: &[&str]| {
        text.lines()
            .filter(|line| line.starts_with('#'))
            .any(|line| words.iter().any(|word| line.contains(word)))
    };
    let has_status = [
        "accepted",
        "proposed",
        "rejected",
        "superseded",
        "deprecated",
        "draft",
    ]
    .iter()
    .any(|word| text.lines().take(12).any(|line| line.contains(word)));
    let lacks: Vec<&str> = [
        (has_status, "a status in its head"),
        (heading(&["context", "problem"]), "its context"),
        (heading(&["decision"]), "the decision"),
        (
            heading(&["consequence", "option", "alternative"]),
            "options or consequences",
        ),
    ]
    .iter()
    .filter(|(has, _)| !has)
    .map(|(_, what)| *what)
    .collect();
    (!lacks.is_empty()).then(|| Note {
        rule: "decision-malformed",
        class: "decisions",
        severity: Severity::Low,
        path: paper.path.clone(),
        lines: (1, 1),
        message: format!("the decision lacks {}", lacks.join(", ")),
        what: paper.path.clone(),
    })
}

/// A decision that is merged stays as it is, but for its status.
fn rewritten(paper: &Paper, before: &[u8]) -> Option<Note> {
    let (before, after) = (
        String::from_utf8_lossy(before),
        String::from_utf8_lossy(&paper.text),
    );
    let (old, new) = (body(&before), body(&after));
    let same = old.iter().zip(&new).take_while(|(a, b)| a.1 == b.1).count();
    if same == old.len() && same == new.len() {
        return None;
    }
    let line = new.get(same).or(new.last()).map_or(1, |(line, _)| *line);
    let message = "a decision that was merged is rewritten; write a new one that supersedes it";
    Some(immutable(&paper.path, line, message))
}

/// Merged decisions that are gone.
fn removed(subject: &Subject<'_>) -> Vec<Note> {
    let kept: BTreeSet<&str> = subject.papers.iter().map(|one| one.path.as_str()).collect();
    let before = subject.change.before.iter();
    let gone = before.filter(|path| is_decision(subject, path) && !kept.contains(path.as_str()));
    let message =
        "a decision that was merged is taken out; keep it, and write a new one that supersedes it";
    gone.map(|path| immutable(path, 1, message)).collect()
}

fn immutable(path: &str, line: u32, message: &str) -> Note {
    Note {
        rule: "decision-rewritten",
        class: "decisions",
        severity: Severity::Medium,
        path: path.to_owned(),
        lines: (line, line),
        message: message.to_owned(),
        what: path.to_owned(),
    }
}

/// Returns the lines of a decision that are not its status, with their numbers: neither what
/// stands under the heading `Status`, nor lines of the head that say it.
fn body(text: &str) -> Vec<(u32, &str)> {
    const STATUS: [&str; 9] = [
        "accepted",
        "proposed",
        "rejected",
        "superseded",
        "deprecated",
        "draft",
        "status:",
        "date:",
        "---",
    ];
    let (mut in_head, mut in_status) = (true, false);
    let mut lines = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1_u32..) {
        if line.starts_with("## ") {
            in_head = false;
            in_status = line.to_lowercase().contains("status");
        }
        let lower = line.to_lowercase();
        let is_said = in_head && STATUS.iter().any(|word| lower.starts_with(word));
        if !line.is_empty() && !in_status && !is_said {
            lines.push((number, line));
        }
    }
    lines
}

/// A revert owes a lesson: a file that names the commit and what follows from it.
fn lessons(subject: &Subject<'_>) -> Vec<Note> {
    let folder = &*subject.house.lessons;
    let files: Vec<_> = subject
        .papers
        .iter()
        .filter(|paper| paper.path.starts_with(folder))
        .map(|paper| String::from_utf8_lossy(&paper.text))
        .collect();
    let mut notes = Vec::new();
    for commit in &subject.change.commits {
        for id in lesson::reverted(&commit.message) {
            let short = &id[..7];
            let mut lacks = None;
            let learned = files.iter().any(|text| {
                let learned = lesson::learned(text, &id);
                lacks = lacks.or(learned
                    .as_ref()
                    .err()
                    .filter(|_| text.contains(short))
                    .copied());
                learned.is_ok()
            });
            if learned {
                continue;
            }
            let why = lacks.map_or_else(
                || format!("no file in {folder} names it"),
                |lacks| format!("the file in {folder} that cites it {lacks}"),
            );
            let due = due(commit.time, subject.house.lesson_days);
            notes.push(Note {
                rule: "lesson-missing",
                class: "decisions",
                severity: Severity::Medium,
                path: subject.first_path(),
                lines: (1, 1),
                message: format!(
                    "commit {short} is reverted, and {why}; write down the rule, test or decision that follows{due}"
                ),
                what: id,
            });
        }
    }
    notes
}

/// Returns the day on which a lesson is due that is owed since `time`.
fn due(time: Option<i64>, days: u32) -> String {
    let at = time.and_then(|time| time.checked_add(i64::from(days) * 86_400));
    let at = at.and_then(|at| jiff::Timestamp::from_second(at).ok());
    at.map_or_else(String::new, |at| format!(", due {}", day(at)))
}
