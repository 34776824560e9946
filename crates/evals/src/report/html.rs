//! One HTML page without scripts or foreign resources.
//!
//! # Invariants
//!
//! * It is written conversation by conversation, so that it needs no more memory for
//!   many of them.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use super::{CaseSummary, Summary, junit::escape};
use crate::{
    runner::{KeptError, Record},
    stats::Interval,
    trace::{Arguments, Call, Step},
};

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24;background:#fff}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.25rem .7rem;border-bottom:1px solid #d8dee4;text-align:left;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.pass{color:#1a7f37}.fail{color:#b3261e}.inconclusive{color:#7d5700}.invalid{color:#6e40c9}\
details{margin:.3rem 0}summary{cursor:pointer}pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f6f8fa;padding:.5rem;margin:.2rem 0}\
.user{border-left:3px solid #0969da;padding-left:.6rem}.model{border-left:3px solid #8c959f;padding-left:.6rem}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}pre{background:#161b22}th,td{border-color:#30363d}.pass{color:#3fb950}.fail{color:#ff7b72}.inconclusive{color:#d29922}.invalid{color:#bc8cff}}";

/// Longest text of one step that is shown, in characters.
const MAX_TEXT: usize = 4000;

/// Why a page cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum HtmlError {
    /// The page cannot be written.
    #[error("the page cannot be written")]
    Write(#[from] io::Error),
    /// The conversations cannot be read.
    #[error(transparent)]
    Read(#[from] KeptError),
}

/// Writes a run with its conversations as a page.
///
/// # Errors
///
/// [`HtmlError`].
pub fn html(
    summary: &Summary,
    records: impl IntoIterator<Item = Result<Record, KeptError>>,
    to: &mut impl Write,
) -> Result<(), HtmlError> {
    let mut page = String::new();
    let title = escape(&format!("{} with {}", summary.suite, summary.model));
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
    );
    head(&mut page, summary);
    cases(&mut page, summary);
    matrix(&mut page, summary);
    page.push_str("<h2>Conversations</h2>");
    for record in records {
        to.write_all(page.as_bytes())?;
        page.clear();
        conversation(&mut page, &record?);
    }
    page.push_str("</body></html>\n");
    to.write_all(page.as_bytes())?;
    Ok(to.flush()?)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

fn interval(interval: Option<Interval>) -> String {
    match interval {
        Some(of) => format!(
            "{} ({} to {})",
            percent(of.at),
            percent(of.low),
            percent(of.high)
        ),
        None => "–".to_owned(),
    }
}

fn head(page: &mut String, summary: &Summary) {
    let verdict = summary.verdict.name();
    let usage = &summary.usage;
    let _ = write!(
        page,
        "<p>Verdict: <strong class=\"{verdict}\">{verdict}</strong>. Passing, over {} cases: {}. \
         {} requests, {} tokens, {:.4} USD.</p>",
        summary.cases.len(),
        interval(summary.passing),
        usage.requests,
        usage.tokens_in + usage.tokens_out,
        usage.usd,
    );
    if let Some(comparison) = &summary.comparison {
        let word = if comparison.regressed {
            "worse than"
        } else {
            "not shown to be worse than"
        };
        let _ = write!(
            page,
            "<p>The suite is {word} its baseline: {:+.1} points over {} cases, p = {:.4}.</p>",
            comparison.change * 100.0,
            comparison.cases,
            comparison.p
        );
    }
    if !summary.slices.is_empty() {
        page.push_str("<h2>By tag</h2><table><tr><th>Tag<th class=n>Cases<th class=n>Passing</tr>");
        for (tag, slice) in &summary.slices {
            let passing = slice.passing.map_or("–".to_owned(), percent);
            let _ = write!(
                page,
                "<tr><td>{}<td class=n>{}<td class=n>{passing}</tr>",
                escape(tag),
                slice.cases
            );
        }
        page.push_str("</table>");
    }
}

fn cases(page: &mut String, summary: &Summary) {
    page.push_str("<h2>Cases</h2><table><tr><th>Case<th>Verdict<th class=n>Passed<th>Interval of 95 %<th>Before<th>Why</tr>");
    for case in &summary.cases {
        one_case(page, case);
    }
    page.push_str("</table>");
}

fn one_case(page: &mut String, case: &CaseSummary) {
    let verdict = case.verdict.name();
    let reasons: Vec<String> = case
        .reasons
        .iter()
        .map(|reason| escape(&reason.to_string()))
        .collect();
    let before = case.before.map_or("–".to_owned(), |tally| {
        format!("{} of {}", tally.passed, tally.trials)
    });
    let _ = write!(
        page,
        "<tr><td>{}<td class=\"{verdict}\">{verdict}<td class=n>{} of {}<td>{}<td>{before}<td>{}</tr>",
        escape(&case.id),
        case.tally.passed,
        case.tally.trials,
        interval(case.interval),
        reasons.join("<br>"),
    );
}

fn matrix(page: &mut String, summary: &Summary) {
    if summary.matrix.0.is_empty() {
        return;
    }
    page.push_str(
        "<h2>Expected and called first</h2><table><tr><th>Expected<th>Called<th class=n>Times</tr>",
    );
    for (expected, row) in &summary.matrix.0 {
        for (called, times) in row {
            let _ = write!(
                page,
                "<tr><td>{}<td>{}<td class=n>{times}</tr>",
                escape(expected),
                escape(called)
            );
        }
    }
    page.push_str("</table>");
}

fn conversation(page: &mut String, record: &Record) {
    let verdict = record.verdict.name();
    let _ = write!(
        page,
        "<details><summary>{} #{} <span class=\"{verdict}\">{verdict}</span></summary>",
        escape(&record.case),
        record.trial
    );
    for reason in &record.reasons {
        let _ = write!(page, "<p class=fail>{}</p>", escape(&reason.to_string()));
    }
    for turn in &record.trace.turns {
        let _ = write!(
            page,
            "<div class=user><pre>{}</pre></div>",
            text(&turn.asked)
        );
        for step in &turn.steps {
            match step {
                Step::Said(said) => {
                    let _ = write!(page, "<div class=model><pre>{}</pre></div>", text(said));
                }
                Step::Called(call) => called(page, "calls", call),
                Step::Bridged(call) => called(page, "the view calls", call),
            }
        }
    }
    page.push_str("</details>");
}

fn called(page: &mut String, word: &str, call: &Call) {
    let arguments = match &call.arguments {
        Arguments::Json(value) => value.to_string(),
        Arguments::Unreadable(text) => text.clone(),
    };
    let _ = write!(
        page,
        "<div class=model><pre>{word} {} {}</pre>",
        escape(&call.tool),
        text(&arguments)
    );
    if let Some(answer) = &call.answer {
        let class = if answer.is_error { "fail" } else { "" };
        let _ = write!(page, "<pre class=\"{class}\">{}</pre>", text(&answer.text));
    }
    page.push_str("</div>");
}

fn text(text: &str) -> String {
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", escape(&text[..end])),
        None => escape(text),
    }
}
