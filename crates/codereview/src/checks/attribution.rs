//! Who wrote a change, as declared: notes of git-ai, Agent Trace, trailers.
//!
//! # Invariants
//!
//! * Nothing is detected. What nobody declares is `unknown`, never a person.
//! * A change is never worse off for being written by a tool.

use std::collections::BTreeMap;

use airside_base::Severity;
use serde::{Deserialize, Serialize};

use super::{Note, Subject};
use crate::{
    change::{Attribution, Commit},
    finding::Draft,
};

/// Names of tools in trailers.
const TOOLS: [&str; 16] = [
    "claude",
    "copilot",
    "gpt",
    "openai",
    "codex",
    "gemini",
    "cursor",
    "aider",
    "devin",
    "anthropic",
    "windsurf",
    "codeium",
    "amazon q",
    "llama",
    "mistral",
    "jules",
];

/// Who wrote the lines that a change adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// The whole, as lots have it.
    pub declared: Attribution,
    /// Lines declared to be written by a tool.
    pub ai_lines: usize,
    /// Lines declared to be written by a person.
    pub human_lines: usize,
    /// Where that is declared.
    pub sources: Vec<String>,
}

pub(super) fn drafts(subject: &Subject<'_>) -> Vec<Draft> {
    let mut notes = Vec::new();
    let mut note = |rule, message: String, what: &str| {
        notes.push(Note {
            rule,
            class: "attribution",
            severity: Severity::Low,
            path: subject.first_path(),
            lines: (1, 1),
            message,
            what: what.to_owned(),
        });
    };
    for commit in &subject.change.commits {
        let short = commit.id.get(..7).unwrap_or(&commit.id);
        for (key, value) in trailers(&commit.message) {
            if key.eq_ignore_ascii_case("signed-off-by") && names_tool(value) {
                let message = format!(
                    "commit {short} is signed off by a tool; a person has to answer for it"
                );
                note("tool-signs-off", message, &commit.id);
            }
        }
        let says_tool = by_trailer(commit);
        let notes_say_human = commit.note.as_deref().is_some_and(|note| {
            let (ai, human) = lines_of_note(note);
            ai == 0 && human > 0
        });
        if says_tool && notes_say_human {
            let message = format!(
                "commit {short} has a trailer that names a tool, and a note that names persons only"
            );
            note("attribution-contradicts", message, &commit.id);
        }
    }
    let share = share(subject);
    if subject.house.disclosure
        && share.declared == Attribution::Unknown
        && subject.change.added() > 0
    {
        let message = "nothing declares who wrote this change; add a trailer such as `Assisted-by: AGENT:MODEL` or notes of git-ai".to_owned();
        note("not-disclosed", message, "disclosure");
    }
    notes.into_iter().map(Note::draft).collect()
}

/// Returns who wrote a change, in the order of how exact the sources are.
pub(crate) fn share(subject: &Subject<'_>) -> Share {
    let mut share = Share::default();
    let commits = &subject.change.commits;
    let mut by_note = 0;
    for commit in commits {
        if let Some(note) = &commit.note {
            let (ai, human) = lines_of_note(note);
            share.ai_lines += ai;
            share.human_lines += human;
            by_note += 1;
        }
    }
    if by_note > 0 {
        share.sources.push(format!(
            "notes of git-ai on {by_note} of {} commits",
            commits.len()
        ));
    }
    if let Some(trace) = &subject.change.trace {
        let (ai, human) = lines_of_trace(subject, trace);
        if ai + human > 0 {
            share.ai_lines += ai;
            share.human_lines += human;
            share.sources.push("Agent Trace".to_owned());
        }
    }
    let by_tool = commits.iter().filter(|commit| by_trailer(commit)).count();
    if by_tool > 0 {
        share.sources.push(format!(
            "trailers of {by_tool} of {} commits",
            commits.len()
        ));
    }
    let says_ai = share.ai_lines > 0 || by_tool > 0;
    let says_human = share.human_lines > 0;
    share.declared = match (says_ai, says_human) {
        (true, true) => Attribution::Mixed,
        (true, false) if by_tool == commits.len() || share.ai_lines >= subject.change.added() => {
            Attribution::Ai
        }
        (true, false) => Attribution::Mixed,
        (false, true) if by_note == commits.len() => Attribution::Human,
        _ => Attribution::Unknown,
    };
    share
}

/// Returns the trailers of a message: its last paragraph, `Key: value`.
fn trailers(message: &str) -> Vec<(&str, &str)> {
    let last = message.trim_end().rsplit("\n\n").next().unwrap_or("");
    last.lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(key, _)| !key.contains(' '))
        .collect()
}

fn names_tool(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    TOOLS.iter().any(|tool| value.contains(tool))
}

fn by_trailer(commit: &Commit) -> bool {
    trailers(&commit.message)
        .iter()
        .any(|(key, value)| match key.to_ascii_lowercase().as_str() {
            "assisted-by" | "generated-by" | "ai-assisted-by" => true,
            "co-authored-by" => names_tool(value),
            _ => false,
        })
}

/// Returns the lines that a note gives to tools and to persons (authorship 3.0.0): paths,
/// each followed by indented lines `key ranges`, up to `---`.
fn lines_of_note(note: &str) -> (usize, usize) {
    let (mut ai, mut human) = (0, 0);
    for line in note.lines().take_while(|line| *line != "---") {
        let Some(line) = line.strip_prefix("  ") else {
            continue;
        };
        let Some((key, ranges)) = line.trim().split_once(' ') else {
            continue;
        };
        let lines: usize = ranges
            .split(',')
            .filter_map(span)
            .map(|(from, to)| to - from + 1)
            .sum();
        match key.starts_with("h_") {
            true => human += lines,
            false => ai += lines,
        }
    }
    (ai, human)
}

fn span(text: &str) -> Option<(usize, usize)> {
    let (from, to) = text
        .trim()
        .split_once('-')
        .unwrap_or((text.trim(), text.trim()));
    let (from, to): (usize, usize) = (from.parse().ok()?, to.parse().ok()?);
    (from > 0 && from <= to && to - from < 10_000_000).then_some((from, to))
}

/// Records of Agent Trace 0.1.0, as far as they matter here.
#[derive(Deserialize)]
struct Trace {
    #[serde(default)]
    files: Vec<TraceFile>,
}

#[derive(Deserialize)]
struct TraceFile {
    path: String,
    #[serde(default)]
    conversations: Vec<Conversation>,
}

#[derive(Deserialize)]
struct Conversation {
    contributor: Option<Contributor>,
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Contributor {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Range {
    start_line: u32,
    end_line: u32,
    contributor: Option<Contributor>,
}

/// Returns the added lines that records give to tools and to persons.
fn lines_of_trace(subject: &Subject<'_>, text: &str) -> (usize, usize) {
    let mut kinds: BTreeMap<(String, u32), bool> = BTreeMap::new();
    for record in text
        .lines()
        .filter_map(|line| serde_json::from_str::<Trace>(line).ok())
    {
        for file in record.files {
            let Some(changed) = subject.change.files.get(&file.path) else {
                continue;
            };
            for conversation in file.conversations {
                for range in conversation.ranges {
                    let kind = range
                        .contributor
                        .as_ref()
                        .or(conversation.contributor.as_ref());
                    let is_ai = match kind.map(|one| one.kind.as_str()) {
                        Some("ai" | "mixed") => true,
                        Some("human") => false,
                        _ => continue,
                    };
                    for (from, to) in &changed.added {
                        for line in (*from).max(range.start_line)..=(*to).min(range.end_line) {
                            kinds.insert((file.path.clone(), line), is_ai);
                        }
                    }
                }
            }
        }
    }
    let ai = kinds.values().filter(|is_ai| **is_ai).count();
    (ai, kinds.len() - ai)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(message: &str) -> Commit {
        Commit {
            id: "4f2a".to_owned(),
            time: None,
            message: message.to_owned(),
            note: None,
        }
    }

    #[test]
    fn trailers_name_tools_only_where_they_do() {
        assert!(by_trailer(&commit(
            "Fix\n\nAssisted-by: Claude:opus [Edit]"
        )));
        assert!(by_trailer(&commit(
            "Fix\n\nCo-authored-by: Claude <noreply@anthropic.com>"
        )));
        assert!(!by_trailer(&commit(
            "Fix\n\nCo-authored-by: Ann <ann@example.com>"
        )));
        assert!(!by_trailer(&commit(
            "Talk about Assisted-by: lines\n\nmore"
        )));
    }

    #[test]
    fn lines_of_notes_are_counted() {
        let note = "src/a.py\n  s_1::t_2 1-10,12\n  h_3 11\nsrc/b.py\n  0123456789abcdef 5\n---\n{\"schema_version\":\"authorship/3.0.0\"}";
        assert_eq!(lines_of_note(note), (12, 1));
        assert_eq!(
            lines_of_note("a\n  k 9-1,x,0-4,1-99999999999999999999"),
            (0, 0)
        );
    }
}
