//! JUnit XML, as CI systems read it.

use std::fmt::Write as _;

use super::{CaseSummary, Summary};
use crate::grade::Verdict;

/// Returns the run as one JUnit test suite.
#[must_use]
pub fn junit(summary: &Summary) -> String {
    let count = |verdict| {
        summary
            .cases
            .iter()
            .filter(|case| case.verdict == verdict)
            .count()
    };
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        xml,
        "<testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        escape(&summary.suite),
        summary.cases.len(),
        count(Verdict::Fail),
        count(Verdict::Invalid),
        count(Verdict::Inconclusive),
    );
    for case in &summary.cases {
        one(&mut xml, &summary.model, case);
    }
    xml.push_str("</testsuite>\n");
    xml
}

fn one(xml: &mut String, model: &str, case: &CaseSummary) {
    let reasons: Vec<String> = case.reasons.iter().map(ToString::to_string).collect();
    let reasons = escape(&reasons.join("\n"));
    let passed = format!(
        "{} of {} trials passed",
        case.tally.passed, case.tally.trials
    );
    let _ = write!(
        xml,
        "  <testcase classname=\"{}\" name=\"{}\">",
        escape(model),
        escape(&case.id)
    );
    let _ = match case.verdict {
        Verdict::Pass => write!(xml, "<system-out>{passed}</system-out>"),
        Verdict::Fail => write!(xml, "<failure message=\"{passed}\">{reasons}</failure>"),
        Verdict::Invalid => write!(xml, "<error message=\"invalid\">{reasons}</error>"),
        Verdict::Inconclusive => write!(xml, "<skipped message=\"inconclusive: {passed}\"/>"),
    };
    xml.push_str("</testcase>\n");
}

/// Escapes text for XML and HTML, and leaves out what XML cannot hold.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            // Marks that reorder what is read could show a transcript as another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
