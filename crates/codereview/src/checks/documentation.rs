//! Documentation of what a change adds: there, and saying more than the signature.

use std::collections::BTreeSet;

use airside_base::Severity;

use super::{Note, Subject, Tool, by_name, decisions, tools};
use crate::{finding::Draft, outline::Item, source::Source};

/// Words that say nothing.
const EMPTY: [&str; 58] = [
    "a",
    "an",
    "the",
    "of",
    "to",
    "for",
    "and",
    "or",
    "in",
    "on",
    "with",
    "by",
    "is",
    "are",
    "be",
    "this",
    "that",
    "it",
    "its",
    "from",
    "as",
    "at",
    "get",
    "gets",
    "set",
    "sets",
    "return",
    "returns",
    "given",
    "args",
    "arg",
    "param",
    "params",
    "parameter",
    "parameters",
    "function",
    "method",
    "class",
    "value",
    "values",
    "object",
    "string",
    "str",
    "int",
    "number",
    "bool",
    "boolean",
    "list",
    "dict",
    "none",
    "null",
    "type",
    "new",
    "todo",
    "description",
    "result",
    "data",
    "used",
];
/// Words that tell what a tool changes, how much it takes, and how it fails.
const CHANGES: [&str; 28] = [
    "write", "writes", "change", "changes", "delete", "deletes", "create", "creates", "update",
    "updates", "send", "sends", "book", "books", "cancel", "cancels", "store", "stores", "read",
    "reads", "only", "nothing", "charges", "removes", "adds", "modifies", "saves", "starts",
];
const LIMITS: [&str; 18] = [
    "limit", "limits", "most", "maximum", "max", "least", "minimum", "up", "first", "only",
    "larger", "longer", "seconds", "bytes", "days", "within", "between", "per",
];
const FAILURES: [&str; 20] = [
    "fail",
    "fails",
    "failure",
    "error",
    "errors",
    "raise",
    "raises",
    "throws",
    "refuse",
    "refuses",
    "refused",
    "invalid",
    "missing",
    "unknown",
    "unless",
    "otherwise",
    "cannot",
    "rejects",
    "rejected",
    "empty",
];

pub(super) fn drafts(subject: &Subject<'_>) -> Vec<Draft> {
    let mut drafts = Vec::new();
    for file in &subject.files {
        if file.source.is_test() {
            continue;
        }
        let before = by_name(&file.before);
        let tests_from = file.source.tests_from();
        let text = String::from_utf8_lossy(&file.source.text);
        let lines: Vec<&str> = text.lines().collect();
        for item in &file.after.items {
            let is_new = !before.contains_key(item.name.as_str());
            let wanted = item.is_public || item.is_tool;
            if is_new && wanted && item.from < tests_from {
                drafts.extend(judge(subject, (file.source, &lines), item).map(Note::draft));
            }
        }
    }
    let files = subject.files.iter().filter(|file| !file.source.is_test());
    for file in files {
        for (name, tool) in decisions::new_tools(file) {
            drafts.extend(of_tool(subject, &file.source.path, name, tool).map(Note::draft));
        }
    }
    drafts.extend(description(subject).map(Note::draft));
    drafts
}

/// Judges a tool that a call or an object registers.
fn of_tool(subject: &Subject<'_>, path: &str, name: &str, tool: &Tool) -> Option<Note> {
    let note = |rule, message| Note {
        rule,
        class: "documentation",
        severity: Severity::Medium,
        path: path.to_owned(),
        lines: (tool.line, tool.line),
        message,
        what: name.to_owned(),
    };
    let Some(text) = &tool.description else {
        let message = format!("nothing that is written out describes the tool `{name}`");
        return Some(note("documentation-missing", message));
    };
    let item = Item {
        name: name.to_owned(),
        is_function: true,
        is_public: true,
        is_tool: true,
        from: tool.line,
        to: tool.line,
        parameters: Vec::new(),
        signature: String::new(),
        documentation: None,
        complexity: 1,
        nesting: 0,
    };
    let (rule, message) = of_text(subject, &item, text)?;
    Some(note(rule, message))
}

/// Returns what the documentation of an item does not say.
fn of_text(subject: &Subject<'_>, item: &Item, text: &str) -> Option<(&'static str, String)> {
    let needed = match item.is_tool {
        true => subject.house.tool_words,
        false => subject.house.documentation_words,
    };
    let said = content(text, item);
    if said.len() < needed {
        let message = format!(
            "the documentation of `{}` says little more than its signature: {} words that are not in it, {needed} are wanted",
            item.name,
            said.len(),
        );
        return Some(("documentation-says-nothing", message));
    }
    let lacking = if item.is_tool {
        lacking(text)
    } else {
        Vec::new()
    };
    (!lacking.is_empty()).then(|| {
        let message = format!(
            "the description of the tool `{}` does not say {}",
            item.name,
            lacking.join(", nor "),
        );
        ("tool-description-incomplete", message)
    })
}

fn judge(subject: &Subject<'_>, (source, lines): (&Source, &[&str]), item: &Item) -> Option<Note> {
    // What only hands over is its name.
    let is_small = item.to - item.from < 3 && !item.is_tool;
    let last = item.name.rsplit('.').next().unwrap_or(&item.name);
    let is_known = matches!(
        last,
        "__init__"
            | "__repr__"
            | "__str__"
            | "constructor"
            | "main"
            | "toString"
            | "equals"
            | "hashCode"
    );
    if is_known {
        return None;
    }
    let note = |rule, severity, message| Note {
        rule,
        class: "documentation",
        severity,
        path: source.path.clone(),
        lines: (item.from, item.from),
        message,
        what: item.name.clone(),
    };
    let described = item.is_tool.then(|| mark_of(lines, item)).flatten();
    let Some(text) = described.or_else(|| item.documentation.clone()) else {
        let message = format!(
            "`{}` is new and public, and nothing says what it does",
            item.name
        );
        return (!is_small).then(|| note("documentation-missing", Severity::Low, message));
    };
    let (rule, message) = of_text(subject, item, &text)?;
    let severity = match rule {
        "tool-description-incomplete" => Severity::Medium,
        _ => Severity::Low,
    };
    Some(note(rule, severity, message))
}

/// Returns the description that a decorator or an attribute of a tool holds.
fn mark_of(lines: &[&str], item: &Item) -> Option<String> {
    /// Lines above a definition that can belong to it.
    const MOST: usize = 30;
    let above = lines.iter().take(item.from as usize).rev().take(MOST);
    let mut block: Vec<&str> = above
        .take_while(|line| !line.trim().is_empty())
        .copied()
        .collect();
    block.reverse();
    let is_mark = |line: &&str| {
        let line = line.trim_start();
        line.starts_with('@') || line.starts_with("#[")
    };
    let first = block.iter().position(is_mark)?;
    tools::described(&block[first..].join(" "))
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.len() > 1)
        .map(str::to_lowercase)
}

/// Returns the words of an identifier: `getUser_name` has `get`, `user` and `name`.
pub(crate) fn parts(identifier: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for c in identifier.chars() {
        if !c.is_alphanumeric() {
            parts.push(String::new());
            continue;
        }
        if c.is_uppercase() {
            parts.push(String::new());
        }
        if let Some(last) = parts.last_mut() {
            last.extend(c.to_lowercase());
        }
    }
    parts
}

/// Returns the words of `text` that are neither empty nor in the signature.
fn content(text: &str, item: &Item) -> BTreeSet<String> {
    let mut signature: BTreeSet<String> = parts(&item.name).into_iter().collect();
    for parameter in &item.parameters {
        signature.extend(parts(parameter));
        signature.insert(parameter.to_lowercase());
    }
    let stem = |word: &str| word.trim_end_matches('s').to_owned();
    let stems: BTreeSet<String> = signature.iter().map(|word| stem(word)).collect();
    words(text)
        .filter(|word| !EMPTY.contains(&&**word) && !stems.contains(&stem(word)))
        .collect()
}

/// Returns what the description of a tool does not say.
fn lacking(text: &str) -> Vec<&'static str> {
    let said: BTreeSet<String> = words(text).collect();
    let says = |of: &[&str]| of.iter().any(|word| said.contains(*word));
    let has_number = said
        .iter()
        .any(|word| word.chars().all(|c| c.is_ascii_digit()));
    let mut lacking = Vec::new();
    if !says(&CHANGES) {
        lacking.push("what it changes");
    }
    if !says(&LIMITS) && !has_number {
        lacking.push("its limits");
    }
    if !says(&FAILURES) {
        lacking.push("how it fails");
    }
    lacking
}

/// The description of a change grows with its size.
fn description(subject: &Subject<'_>) -> Option<Note> {
    let added = subject.change.added();
    if subject.change.commits.is_empty() || added < 20 {
        return None;
    }
    let said: usize = subject
        .change
        .commits
        .iter()
        .map(|commit| words(&without_comments(&commit.message)).count())
        .sum();
    let needed = 4 * (added.ilog2() as usize).saturating_sub(2);
    (said < needed).then(|| Note {
        rule: "description-too-short",
        class: "documentation",
        severity: Severity::Low,
        path: subject.first_path(),
        lines: (1, 1),
        message: format!(
            "the commits describe {added} added lines in {said} words; {needed} are wanted: why, and what a reader has to know"
        ),
        what: "description".to_owned(),
    })
}

/// Templates hide what nobody wrote in comments, and trailers describe nothing.
fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!--") {
        kept.push_str(before);
        rest = after.split_once("-->").map_or("", |(_, rest)| rest);
    }
    kept.push_str(rest);
    let is_trailer = |line: &&str| {
        line.split_once(": ")
            .is_some_and(|(key, _)| key.ends_with("-by") || key.ends_with("-By"))
    };
    kept.lines()
        .filter(|line| !is_trailer(line))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(name: &str, parameters: &[&str]) -> Item {
        Item {
            name: name.to_owned(),
            is_function: true,
            is_public: true,
            is_tool: false,
            from: 1,
            to: 9,
            parameters: parameters.iter().map(|one| (*one).to_owned()).collect(),
            signature: String::new(),
            documentation: None,
            complexity: 1,
            nesting: 0,
        }
    }

    #[test]
    fn words_of_the_signature_say_nothing() {
        let get = item("getUserById", &["id", "user_name"]);
        assert!(
            content(
                "Get the user by id. Args: id: the id. user_name: the name",
                &get
            )
            .is_empty()
        );
        let said = content("Looks in the cache before it asks the directory", &get);
        assert!(said.len() >= 4, "{said:?}");
    }

    #[test]
    fn tools_say_what_they_change_their_limits_and_failures() {
        assert_eq!(lacking("Finds hotels.").len(), 3);
        let whole = "Books a room, at most 30 nights. Refuses dates in the past.";
        assert!(lacking(whole).is_empty());
    }

    #[test]
    fn templates_and_trailers_describe_nothing() {
        let text = "Fix it\n<!-- say why -->\nSigned-off-by: A <a@example.com>";
        assert_eq!(without_comments(text).trim(), "Fix it");
    }
}
