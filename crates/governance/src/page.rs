//! Lots, findings and lessons as one HTML page without scripts or foreign resources.
//!
//! # Invariants
//!
//! * Texts of others are escaped, and what hides or reorders characters is taken out; the
//!   page's own policy lets nothing run and nothing load.
//! * It shows what [`Shown`] shows: of a lot that is not closed counts
//!   only.

use std::fmt::Write as _;

use airside_base::Timestamp;
use airside_codereview::render::hides;

use crate::{
    lesson::{self, Paid},
    lot::{Mode, Shown, ShownItem},
    register::{self, Answer},
};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{margin-bottom:.2rem}h2{margin-top:2.5rem;border-bottom:1px solid #d8dee4}h3{margin-bottom:.3rem}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}th,td{padding:.3rem .7rem;border-bottom:1px solid #d8dee4;text-align:left;vertical-align:top}td.long{overflow-wrap:anywhere;min-width:9rem}td:first-child{white-space:nowrap}\
th{font-weight:600}code{font:13px ui-monospace,monospace}.statement{border-left:3px solid #0969da;padding-left:.8rem}.statement p{margin:.3rem 0}\
.good{color:#1a7f37}.bad{color:#b3261e}.wait{color:#7d5700}.quiet{color:#57606a}details{margin:.4rem 0}summary{cursor:pointer}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}h2,th,td{border-color:#30363d}.good{color:#3fb950}.bad{color:#ff7b72}.wait{color:#d29922}.quiet{color:#9198a1}.statement{border-color:#4493f8}}";

/// Rows of one table.
const MOST: usize = 1_000;

/// Returns the page as it is at `now`.
#[must_use]
pub fn page(
    lots: &[Shown],
    findings: &Answer,
    lessons: &[lesson::Shown],
    now: Timestamp,
) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <title>Reviews of code</title><style>",
    );
    let open = lessons.iter().filter(|one| one.lesson.paid.is_none());
    let overdue = lessons
        .iter()
        .filter(|one| one.standing == lesson::Standing::Overdue);
    let standing = |of| {
        findings
            .findings
            .iter()
            .filter(move |one| one.standing == of)
    };
    let _ = write!(
        page,
        "{STYLE}</style></head><body><main><h1>Reviews of code</h1><p class=quiet>As of {now:.0}: {} lots, \
         {} findings open and {} excepted, {} lessons owed, {} of them overdue.</p>",
        lots.len(),
        standing(register::Standing::Open).count(),
        standing(register::Standing::Excepted).count(),
        open.count(),
        overdue.count(),
    );
    page.push_str("<h2>Lots</h2>");
    if lots.is_empty() {
        page.push_str("<p>No lot is open: <code>airside review lot open</code>.</p>");
    }
    for lot in lots {
        of_lot(&mut page, lot);
    }
    of_findings(&mut page, findings);
    of_lessons(&mut page, lessons);
    page.push_str("</main></body></html>\n");
    page
}

fn of_lot(page: &mut String, lot: &Shown) {
    let plan = &lot.plan;
    let mode = match lot.mode {
        Mode::Normal => "normal review",
        Mode::Tightened => "<span class=wait>tightened review</span>",
    };
    let _ = write!(
        page,
        "<section><h3>{} of {}</h3><p>{}, {mode}, until {:.0}. {} changes can be drawn, {} are; {} are all reviewed, {} left out.</p>",
        escape(&lot.lot),
        escape(&plan.repository),
        escape(&lot.state),
        plan.until,
        lot.population,
        lot.drawn,
        lot.mandatory,
        lot.excluded,
    );
    if let Some(statement) = &lot.statement {
        let (class, word) = match statement.passes {
            true => ("good", "passes"),
            false => ("bad", "does not pass"),
        };
        let _ = write!(
            page,
            "<p>At most {} of {} are defective; the lot <strong class={class}>{word}</strong>.</p><div class=statement>",
            statement.bound, statement.population,
        );
        for line in statement.text.lines() {
            let _ = write!(page, "<p>{}</p>", escape(line));
        }
        page.push_str("</div>");
    }
    if let Some(became) = lot.became.as_ref().filter(|_| !lot.outcomes.is_empty()) {
        let text = became.text(lot.statement.as_ref());
        let _ = write!(page, "<p>{}</p>", escape(&text));
    }
    if lot.statement.is_none() && !lot.items.is_empty() {
        items(page, lot);
    }
    page.push_str("</section>");
}

fn items(page: &mut String, lot: &Shown) {
    let judged = lot.items.iter().filter(|item| item.verdicts > 0).count();
    let due = lot
        .due
        .map_or_else(String::new, |due| format!(", due {due:.0}"));
    let _ = write!(
        page,
        "<details><summary>{judged} of {} verdicts{due}</summary>",
        lot.items.len()
    );
    table(page, &["Change", "Commit", "Why", "State"]);
    for item in lot.items.iter().take(MOST) {
        let state = match item.verdicts {
            0 => "<span class=wait>to review</span>",
            _ => "<span class=good>reviewed</span>",
        };
        let _ = write!(
            page,
            "<tr><td><code>{}</code><td class=long><code>{}</code><td class=long>{}<td>{state}</tr>",
            escape(&item.id),
            escape(&item.change.commit),
            escape(&why(item)),
        );
    }
    end(page, lot.items.len());
    page.push_str("</details>");
}

fn why(item: &ShownItem) -> String {
    match (item.mandatory, item.why.is_empty()) {
        (true, false) => item.why.join(", "),
        (true, true) => "mandatory".to_owned(),
        (false, _) => "drawn".to_owned(),
    }
}

fn of_findings(page: &mut String, answer: &Answer) {
    page.push_str("<h2>Findings</h2>");
    for (name, tree) in &answer.trees {
        let left_out: usize = tree.left_out.values().sum();
        let _ = write!(
            page,
            "<p class=quiet>{} at <code>{}</code>, read on {:.0} by {}: {} files, {left_out} left out.</p>",
            escape(name),
            escape(&tree.revision),
            tree.at,
            escape(&tree.by),
            tree.files,
        );
    }
    if answer.trees.is_empty() {
        page.push_str("<p>Nothing is recorded: <code>airside review --record</code>.</p>");
        return;
    }
    if answer.findings.is_empty() {
        page.push_str("<p class=good>Nothing is found.</p>");
        return;
    }
    let heads = ["Finding", "Standing", "How bad", "Owner", "Where", "What"];
    table(page, &heads);
    for one in answer.findings.iter().take(MOST) {
        let seen = &one.finding.seen;
        let standing = match (&one.finding.exception, one.standing) {
            (Some(made), register::Standing::Excepted) => {
                format!("<span class=wait>excepted until {}</span>", made.until)
            }
            (_, register::Standing::Ended) => "<span class=good>ended</span>".to_owned(),
            _ => "<span class=bad>open</span>".to_owned(),
        };
        let place = format!("{}:{}", seen.place.path, seen.place.from);
        let _ = write!(
            page,
            "<tr><td><code>{}</code><td>{standing}<td>{}, {}<td>{}<td class=long>{}<br><code>{}</code><td class=long>{}<br><code>{}</code></tr>",
            escape(&one.id),
            seen.certainty,
            seen.what.severity,
            escape(one.owner.as_deref().unwrap_or("nobody")),
            escape(&one.finding.repository),
            escape(&place),
            escape(&seen.what.message),
            escape(&seen.what.rule),
        );
    }
    end(page, answer.findings.len());
}

fn of_lessons(page: &mut String, lessons: &[lesson::Shown]) {
    page.push_str("<h2>Lessons</h2>");
    if lessons.is_empty() {
        page.push_str("<p>None is owed.</p>");
        return;
    }
    table(
        page,
        &["Lesson", "Standing", "Due", "After", "Change", "Said"],
    );
    for one in lessons.iter().take(MOST) {
        let debt = &one.lesson.debt;
        let class = match one.standing {
            lesson::Standing::Overdue => "bad",
            lesson::Standing::Owed => "wait",
            lesson::Standing::Learned | lesson::Standing::Waived => "good",
        };
        let said = match &one.lesson.paid {
            Some(Paid::Learned { file, named, .. }) => format!("{file}: {}", named.join(", ")),
            Some(Paid::Waived { reason, .. }) => reason.clone(),
            None => debt.reference.clone(),
        };
        let _ = write!(
            page,
            "<tr><td><code>{}</code><td class={class}>{}<td>{}<td>{}<td class=long>{}<br><code>{}</code><td class=long>{}</tr>",
            escape(&one.id),
            one.standing.as_str(),
            one.lesson.due,
            debt.cause,
            escape(&debt.repository),
            escape(&debt.change),
            escape(&said),
        );
    }
    end(page, lessons.len());
}

fn table(page: &mut String, heads: &[&str]) {
    page.push_str("<table><tr>");
    for head in heads {
        let _ = write!(page, "<th scope=col>{head}");
    }
    page.push_str("</tr>");
}

fn end(page: &mut String, count: usize) {
    page.push_str("</table>");
    if count > MOST {
        let _ = write!(page, "<p>… and {} more.</p>", count - MOST);
    }
}

/// Returns `text` as HTML shows it, in an element or in a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if hides(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_make_no_markup() {
        let shown = escape("</p><img src=x onerror='a'>\u{202e}&\"\u{1b}");
        assert_eq!(
            shown,
            "&lt;/p&gt;&lt;img src=x onerror=&#39;a&#39;&gt; &amp;&quot; "
        );
    }

    #[test]
    fn page_without_anything_says_how_to_begin() {
        let page = page(&[], &Answer::default(), &[], Timestamp::UNIX_EPOCH);
        for part in ["lot open", "--record", "None is owed", "default-src 'none'"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("<script"));
    }
}
