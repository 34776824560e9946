//! A report as SARIF and as Markdown.
//!
//! # Invariants
//!
//! * Texts of the scanned tree are data: in Markdown they can neither make links, images
//!   or mentions nor leave their line.

use std::{collections::BTreeMap, fmt::Write as _};

use airside_base::Severity;
use serde_json::{Value, json};

use crate::{
    change::Attribution,
    copies::Place,
    finding::{Certainty, Finding, Report},
};

/// Findings that Markdown lists; the rest is counted.
const LISTED: usize = 50;

/// Returns the report as SARIF 2.1.0.
#[must_use]
pub fn sarif(report: &Report, version: &str) -> Value {
    let mut rules: BTreeMap<&str, Value> = BTreeMap::new();
    for finding in &report.findings {
        let tags = finding
            .cwe
            .iter()
            .map(|cwe| format!("external/cwe/{}", cwe.to_lowercase()));
        rules.entry(&finding.what.rule).or_insert_with(|| {
            json!({
                "id": finding.what.rule,
                "properties": { "tags": tags.collect::<Vec<_>>(), "class": finding.class },
            })
        });
    }
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    let skipped: Vec<Value> = report
        .skipped
        .paths
        .iter()
        .flat_map(|(why, paths)| paths.iter().map(move |path| (why, path)))
        .map(|(why, path)| {
            json!({
                "level": "note",
                "message": { "text": format!("not looked at: {}", why.as_str()) },
                "locations": [{ "physicalLocation": { "artifactLocation": { "uri": uri(path) } } }],
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "airside review",
                "semanticVersion": version,
                "rules": rules.into_values().collect::<Vec<_>>(),
            }},
            "invocations": [{
                "executionSuccessful": true,
                "toolExecutionNotifications": skipped,
            }],
            "results": results,
        }],
    })
}

fn result(finding: &Finding) -> Value {
    let level = match finding.what.severity {
        _ if finding.certainty == Certainty::Advice => "note",
        Severity::Low => "note",
        Severity::Medium => "warning",
        Severity::High | Severity::Critical => "error",
    };
    let mut result = json!({
        "ruleId": finding.what.rule,
        "level": level,
        "message": { "text": finding.what.message },
        "locations": [location(&finding.place)],
        "relatedLocations": finding.related.iter().map(location).collect::<Vec<_>>(),
        "partialFingerprints": { "airside/v1": finding.what.fingerprint },
        "baselineState": if finding.is_new { "new" } else { "unchanged" },
        "properties": { "certainty": finding.certainty, "severity": finding.what.severity },
    });
    if !finding.trace.is_empty() {
        let steps: Vec<Value> = finding
            .trace
            .iter()
            .map(|step| {
                let place = Place {
                    path: step.path.clone(),
                    from: step.line,
                    to: step.line,
                };
                let mut at = location(&place);
                at["message"] = json!({ "text": step.what });
                json!({ "location": at })
            })
            .collect();
        result["codeFlows"] = json!([{ "threadFlows": [{ "locations": steps }] }]);
    }
    result
}

fn location(place: &Place) -> Value {
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(&place.path) },
        "region": { "startLine": place.from.max(1), "endLine": place.to.max(place.from).max(1) },
    }})
}

/// Returns a path as a relative reference (RFC 3986, section 4.2).
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/+@".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}

/// Files that are named of those that were left out for one reason.
const NAMED: usize = 3;

/// Returns how many there are of something.
fn counted(count: usize, of: &str) -> String {
    match count {
        1 => format!("1 {of}"),
        _ => format!("{count} {of}s"),
    }
}

/// Returns the report as Markdown for a comment on a change.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let new: Vec<&Finding> = report.findings.iter().filter(|f| f.is_new).collect();
    let count = |certainty| new.iter().filter(|f| f.certainty == certainty).count();
    let mut text = String::from("## Airside review\n\n");
    let _ = writeln!(
        text,
        "{} proven, {} likely, {} pattern, {} advice{}. {}, {} read; {} left out.\n",
        count(Certainty::Proven),
        count(Certainty::Likely),
        count(Certainty::Pattern),
        count(Certainty::Advice),
        report
            .added_lines
            .map_or_else(String::new, |n| format!(" on {}", counted(n, "added line"))),
        counted(report.files, "file"),
        counted(report.lines, "line"),
        counted(report.skipped.total(), "file"),
    );
    if !new.is_empty() {
        text.push_str("| | Where | Rule | What |\n| --- | --- | --- | --- |\n");
    }
    for finding in new.iter().take(LISTED) {
        let _ = writeln!(
            text,
            "| {} {} | {} | {} | {}{} |",
            finding.certainty,
            finding.what.severity,
            code(&format!("{}:{}", finding.place.path, finding.place.from)),
            code(&finding.what.rule),
            plain(&finding.what.message),
            way(finding),
        );
    }
    if new.len() > LISTED {
        let _ = writeln!(text, "\n…and {} more.", new.len() - LISTED);
    }
    for (why, count) in &report.skipped.count {
        let paths = report.skipped.paths.get(why).into_iter().flatten();
        let named: Vec<String> = paths.take(NAMED).map(|path| code(path)).collect();
        let _ = writeln!(
            text,
            "\nNot looked at: {}, {} ({}{}).",
            counted(*count, "file"),
            why.as_str(),
            named.join(", "),
            if *count > named.len() { ", …" } else { "" },
        );
    }
    for finding in new.iter().take(LISTED) {
        let _ = writeln!(text, "<!-- airside:{} -->", finding.what.fingerprint);
    }
    text
}

/// Returns the brief of a change as Markdown, with the findings below it.
#[must_use]
pub fn change(report: &Report) -> String {
    let mut text = String::from("## Review brief\n\n");
    let Some(brief) = &report.brief else {
        return markdown(report);
    };
    let parts: Vec<String> = brief
        .risk
        .iter()
        .map(|(what, points)| format!("{} {points}", plain(what)))
        .collect();
    let _ = writeln!(
        text,
        "**Score {}** ({}). It adds up what it names and is no probability.",
        brief.score(),
        parts.join(", "),
    );
    if !brief.triggers.is_empty() {
        let _ = writeln!(
            text,
            "\nA person reads this in any case: {}.",
            plain(&brief.triggers.join(", "))
        );
    }
    let declared = match brief.share.declared {
        Attribution::Unknown => "unknown".to_owned(),
        Attribution::Human => "persons".to_owned(),
        Attribution::Mixed => "persons and tools".to_owned(),
        Attribution::Ai => "a tool".to_owned(),
    };
    let _ = writeln!(
        text,
        "\nWritten by, as declared: {declared}{}.",
        match brief.share.sources.is_empty() {
            true => String::new(),
            false => format!(" ({})", plain(&brief.share.sources.join("; "))),
        },
    );
    let _ = writeln!(
        text,
        "\n{} lines of code and {} lines of tests are added.",
        brief.lines.code, brief.lines.tests,
    );
    let sections = [
        ("Contracts", &brief.contracts),
        ("Data", &brief.data),
        ("Money", &brief.money),
        ("Permissions", &brief.permissions),
        ("Architecture", &brief.architecture),
    ];
    for (name, steps) in sections {
        if steps.is_empty() {
            continue;
        }
        let _ = writeln!(text, "\n### {name}\n");
        for step in steps {
            let place = code(&format!("{}:{}", step.path, step.line));
            let _ = writeln!(text, "* {place} {}", plain(&step.what.replace('`', "'")));
        }
    }
    if !brief.persons.is_empty() {
        text.push_str("\n### Read these\n\n");
        for (path, why) in brief.persons.iter().take(LISTED) {
            let _ = writeln!(text, "* {} {}", code(path), plain(why));
        }
    }
    if !brief.machines.is_empty() {
        let _ = writeln!(
            text,
            "\nNothing of this in {}; machines have looked for weaknesses, copies and standards.",
            counted(brief.machines.len(), "other file"),
        );
    }
    text.push('\n');
    text.push_str(&markdown(report).replacen("## Airside review", "### Findings", 1));
    text
}

fn way(finding: &Finding) -> String {
    let steps: Vec<String> = finding
        .trace
        .iter()
        .map(|step| code(&format!("{}:{}", step.path, step.line)))
        .collect();
    match steps.is_empty() {
        true => String::new(),
        false => format!("<br>{}", steps.join(" → ")),
    }
}

/// Returns text that Markdown shows as it is, on one line of a table.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            // A mention tells a person, a colon makes a link of an address.
            '@' => out.push_str("&#64;"),
            c if hides(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out.replace("://", ":&#47;&#47;")
}

/// Returns whether `c` does something else than appear: controls, characters that change
/// the direction of what is read (Unicode Annex 9), invisible ones and tags.
#[must_use]
pub fn hides(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// Returns text in a code span.
fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| match c {
            '`' | '|' => '\'',
            c if hides(c) => ' ',
            c => c,
        })
        .collect();
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_the_tree_make_no_markup() {
        let hostile = "![x](https://e.example/@all) <img src=x>\n| a | `b` \u{202e}c\u{200b}";
        let shown = plain(hostile);
        for part in [
            "![", "](", "<img", "://", "@all", "\n", " | ", "\u{202e}", "\u{200b}",
        ] {
            assert!(!shown.contains(part), "{part}: {shown}");
        }
        assert!(
            !code("a`b|c\nd")
                .trim_matches('`')
                .contains(['`', '|', '\n'])
        );
    }

    #[test]
    fn paths_are_references() {
        assert_eq!(uri("a b/ü#.py"), "a%20b/%C3%BC%23.py");
    }
}
