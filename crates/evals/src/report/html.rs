//! One HTML page without scripts or foreign resources.
//!
//! # Invariants
//!
//! * It is written conversation by conversation, so that it needs no more memory for
//!   many of them. They are read twice: what did not pass comes first.
//! * Nothing on it runs. What is shown is chosen by the style sheet alone, and the page
//!   forbids scripts, images and connections.
//! * Whatever was recorded is bounded, escaped and isolated: it cannot become markup, and
//!   characters that hide or turn round text are shown by their numbers.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io::{self, Write},
};

use super::{CaseSummary, Summary, junit::escape};
use crate::{
    grade::Verdict,
    runner::{KeptError, Record},
    stats::Interval,
    trace::{Arguments, Call, Step, Turn},
};

const STYLE: &str = include_str!("html/page.css");

/// Longest text of one step that is shown, in bytes.
const MAX_TEXT: usize = 4000;
/// Most steps of one conversation that are shown.
const MAX_STEPS: usize = 200;
/// Most tools that a matrix has columns for; more are listed.
const MAX_COLUMNS: usize = 24;

/// The order in which people want to see verdicts.
const ORDER: [Verdict; 4] = [
    Verdict::Fail,
    Verdict::Invalid,
    Verdict::Inconclusive,
    Verdict::Pass,
];

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

/// Writes a run with its conversations, which `records` reads from the beginning each
/// time, as a page.
///
/// # Errors
///
/// [`HtmlError`].
pub fn html<I>(
    summary: &Summary,
    records: impl Fn() -> Result<I, KeptError>,
    to: &mut impl Write,
) -> Result<(), HtmlError>
where
    I: IntoIterator<Item = Result<Record, KeptError>>,
{
    let mut page = String::new();
    let title = shown(&format!("{} with {}", summary.suite, summary.model));
    let plain = escape(&format!("{} with {}", summary.suite, summary.model));
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>{verdict}: {plain}</title><style>{STYLE}</style></head><body><main><h1><bdi>{title}</bdi></h1>",
        verdict = summary.verdict.name(),
    );
    head(&mut page, summary);
    choice(&mut page, summary);
    cases(&mut page, summary);
    matrix(&mut page, summary);
    slices(&mut page, summary);
    page.push_str("<h2 id=\"conversations\">Conversations</h2>");
    let mut is_first = true;
    for passed in [false, true] {
        for record in records()? {
            let record = record?;
            if (record.verdict == Verdict::Pass) != passed {
                continue;
            }
            conversation(&mut page, &record, is_first && !passed);
            is_first = false;
            to.write_all(page.as_bytes())?;
            page.clear();
        }
    }
    page.push_str("</main></body></html>\n");
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

fn count(summary: &Summary, verdict: Verdict) -> usize {
    let cases = summary.cases.iter();
    cases.filter(|case| case.verdict == verdict).count()
}

fn head(page: &mut String, summary: &Summary) {
    let verdict = summary.verdict.name();
    let usage = &summary.usage;
    let told: Vec<String> = ORDER
        .iter()
        .map(|verdict| (count(summary, *verdict), verdict.name()))
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let _ = write!(
        page,
        "<section class=\"verdict {verdict}\" aria-label=\"Verdict\"><strong>{verdict}</strong>\
         <p>{} cases: {}. Passing: {}.</p>\
         <p class=\"dim\">{} requests, {} tokens, {:.4} USD.</p>",
        summary.cases.len(),
        told.join(", "),
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
    if let Some(judge) = &summary.judge {
        let _ = write!(
            page,
            "<p class=\"dim\">Judge <bdi>{}</bdi>: {}</p>",
            shown(&judge.model),
            cut(&judge.why)
        );
    }
    page.push_str("</section>");
}

/// What is shown, chosen without a script.
fn choice(page: &mut String, summary: &Summary) {
    page.push_str(
        "<fieldset><legend>Show</legend><input type=\"radio\" name=\"show\" id=\"show-all\" checked><label for=\"show-all\">all</label>",
    );
    for verdict in ORDER {
        let (name, count) = (verdict.name(), count(summary, verdict));
        let _ = write!(
            page,
            "<input type=\"radio\" name=\"show\" id=\"show-{name}\"><label for=\"show-{name}\">{name} {count}</label>"
        );
    }
    page.push_str("</fieldset>");
}

fn cases(page: &mut String, summary: &Summary) {
    page.push_str(
        "<h2 id=\"cases\">Cases</h2><table class=\"cases\"><thead><tr><th scope=\"col\">Case<th scope=\"col\">Verdict\
         <th scope=\"col\" class=\"n\">Passed<th scope=\"col\">95 %<th scope=\"col\">Before<th scope=\"col\">Why</tr></thead><tbody>",
    );
    for verdict in ORDER {
        let of = summary.cases.iter().filter(|case| case.verdict == verdict);
        of.for_each(|case| one_case(page, case));
    }
    page.push_str("</tbody></table>");
}

fn one_case(page: &mut String, case: &CaseSummary) {
    let verdict = case.verdict.name();
    let reasons: Vec<String> = case
        .reasons
        .iter()
        .map(|reason| cut(&reason.to_string()))
        .collect();
    let before = case.before.map_or("–".to_owned(), |tally| {
        format!("{} of {}", tally.passed, tally.trials)
    });
    let anchor = anchor(&case.id);
    let name = format!("<bdi>{}</bdi>", shown(&case.id));
    // What has no conversation leads to none.
    let name = match case.tally.trials + case.invalid {
        0 => name,
        _ => format!("<a href=\"#talk-{anchor}-0\">{name}</a>"),
    };
    let _ = write!(
        page,
        "<tr id=\"case-{anchor}\" data-of=\"{verdict}\"><td data-as=\"Case\">{name}\
         <td data-as=\"Verdict\" class=\"{verdict}\">{verdict}<td data-as=\"Passed\" class=\"n\">{} of {}\
         <td data-as=\"95 %\">{}<td data-as=\"Before\">{before}<td data-as=\"Why\">{}</tr>",
        case.tally.passed,
        case.tally.trials,
        interval(case.interval),
        reasons.join("<br>"),
    );
}

/// What names a case in an address. It is the same in every run.
fn anchor(id: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || c == '_' {
            c
        } else {
            '-'
        }
    };
    id.chars().map(plain).collect()
}

fn slices(page: &mut String, summary: &Summary) {
    if summary.slices.is_empty() {
        return;
    }
    page.push_str("<h2 id=\"tags\">By tag</h2><div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"By tag\"><table><tr><th scope=\"col\">Tag<th scope=\"col\" class=\"n\">Cases<th scope=\"col\" class=\"n\">Passing</tr>");
    for (tag, slice) in &summary.slices {
        let passing = slice.passing.map_or("–".to_owned(), percent);
        let _ = write!(
            page,
            "<tr><td><bdi>{}</bdi><td class=\"n\">{}<td class=\"n\">{passing}</tr>",
            shown(tag),
            slice.cases
        );
    }
    page.push_str("</table></div>");
}

fn matrix(page: &mut String, summary: &Summary) {
    let rows = &summary.matrix.0;
    if rows.is_empty() {
        return;
    }
    page.push_str("<h2 id=\"matrix\">Expected and called first</h2><div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Expected and called first\">");
    let called: BTreeSet<&String> = rows.values().flat_map(|row| row.keys()).collect();
    if called.len() > MAX_COLUMNS {
        listed(page, summary);
    } else {
        page.push_str("<table class=\"matrix\"><tr><th scope=\"col\">Expected");
        for tool in &called {
            let _ = write!(page, "<th scope=\"col\"><bdi>{}</bdi>", shown(tool));
        }
        page.push_str("</tr>");
        for (expected, row) in rows {
            let _ = write!(page, "<tr><th scope=\"row\"><bdi>{}</bdi>", shown(expected));
            for tool in &called {
                let class = if *tool == expected { "right" } else { "wrong" };
                let _ = match row.get(*tool) {
                    Some(times) => write!(page, "<td class=\"{class}\">{times}"),
                    None => write!(page, "<td class=\"dim\">·"),
                };
            }
            page.push_str("</tr>");
        }
        page.push_str("</table>");
    }
    page.push_str("</div>");
}

/// The matrix as a list, confusions first.
fn listed(page: &mut String, summary: &Summary) {
    page.push_str(
        "<table><tr><th scope=\"col\">Expected<th scope=\"col\">Called<th scope=\"col\" class=\"n\">Times</tr>",
    );
    for right in [false, true] {
        for (expected, row) in &summary.matrix.0 {
            for (called, times) in row
                .iter()
                .filter(|(called, _)| (*called == expected) == right)
            {
                let class = if right { "pass" } else { "fail" };
                let _ = write!(
                    page,
                    "<tr><td><bdi>{}</bdi><td class=\"{class}\"><bdi>{}</bdi><td class=\"n\">{times}</tr>",
                    shown(expected),
                    shown(called)
                );
            }
        }
    }
    page.push_str("</table>");
}

fn conversation(page: &mut String, record: &Record, is_open: bool) {
    let verdict = record.verdict.name();
    let anchor = anchor(&record.case);
    let open = if is_open { " open" } else { "" };
    let _ = write!(
        page,
        "<details data-of=\"{verdict}\"{open}><summary><bdi>{}</bdi> #{} <strong class=\"{verdict}\">{verdict}</strong></summary>\
         <div class=\"talk\" id=\"talk-{anchor}-{}\">",
        shown(&record.case),
        record.trial,
        record.trial,
    );
    if !record.reasons.is_empty() {
        page.push_str("<ul>");
        for reason in &record.reasons {
            let _ = write!(page, "<li class=\"{verdict}\">{}", cut(&reason.to_string()));
        }
        page.push_str("</ul>");
    }
    for judged in &record.judged {
        let _ = write!(
            page,
            "<p class=\"dim\">judged by <bdi>{}</bdi>: <q>{}</q></p>",
            shown(&judged.rubric),
            cut(&judged.quote)
        );
    }
    let mut left = MAX_STEPS;
    for turn in &record.trace.turns {
        one_turn(page, turn, &mut left);
    }
    let all: usize = record.trace.turns.iter().map(|turn| turn.steps.len()).sum();
    if all > MAX_STEPS {
        let more = all - MAX_STEPS;
        let _ = write!(
            page,
            "<p class=\"cut\">{more} more steps are in the folder of the run</p>"
        );
    }
    let _ = write!(
        page,
        "<p><a href=\"#case-{anchor}\">to the case</a></p></div></details>"
    );
}

fn one_turn(page: &mut String, turn: &Turn, left: &mut usize) {
    if *left > 0 && !turn.asked.is_empty() {
        said(page, "user", "user", &turn.asked);
    }
    for step in &turn.steps {
        if *left == 0 {
            return;
        }
        *left -= 1;
        match step {
            Step::Said(text) => said(page, "", "model", text),
            Step::Called(call) => called(page, "model calls", call),
            Step::Bridged(call) => called(page, "view calls", call),
        }
    }
}

fn said(page: &mut String, class: &str, who: &str, text: &str) {
    let _ = write!(
        page,
        "<div class=\"step {class}\"><p class=\"who\">{who}</p><pre dir=\"auto\">{}</pre></div>",
        cut(text)
    );
}

fn called(page: &mut String, word: &str, call: &Call) {
    let arguments = match &call.arguments {
        Arguments::Json(value) => value.to_string(),
        Arguments::Unreadable(text) => text.clone(),
    };
    let _ = write!(
        page,
        "<div class=\"step tool\"><p class=\"who\">{word} <bdi>{}</bdi></p><pre dir=\"auto\">{}</pre>",
        cut(&call.tool),
        cut(&arguments)
    );
    if let Some(answer) = &call.answer {
        let (class, word) = match answer.is_error {
            true => ("fail", "the tool reports an error"),
            false => ("", "the tool answers"),
        };
        let _ = write!(
            page,
            "<p class=\"who {class}\">{word}</p><pre dir=\"auto\">{}</pre>",
            cut(&answer.text)
        );
    }
    page.push_str("</div>");
}

/// The beginning of a text, and how much there is of it.
fn cut(text: &str) -> String {
    if text.len() <= MAX_TEXT {
        return shown(text);
    }
    let end = text.floor_char_boundary(MAX_TEXT);
    format!(
        "{}<span class=\"cut\"> … {} of {} bytes</span>",
        shown(&text[..end]),
        end,
        text.len()
    )
}

/// A text as markup, with what cannot be seen by its number.
fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut plain = 0;
    for (at, c) in text.char_indices().filter(|(_, c)| is_hidden(*c)) {
        out.push_str(&escape(&text[plain..at]));
        let _ = write!(out, "<span class=\"sign\">U+{:04X}</span>", u32::from(c));
        plain = at + c.len_utf8();
    }
    out.push_str(&escape(&text[plain..]));
    out
}

/// Characters that hide text, turn it round or stand for nothing.
const fn is_hidden(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests;
