//! `airside review …`.

mod change;
mod findings;
mod lessons;
mod lot;
pub(crate) mod office;
mod page;

use std::path::Path;

use airside_base::{Clock as _, Fault, Kind, SystemClock, counted};
use airside_codereview::{
    baseline::{Baseline, Compared},
    finding::{Certainty, Finding, Report},
    house::House,
    render,
    review::{Part, Request, Stage, run as review},
    rules::Rules,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::review::{FailOn, Only, Review, ReviewCommand, ReviewFormat, What},
    failure::{Exit, Failure},
    output::{Align, Out, table},
    text::printable,
};

/// Rows that a table shows; JSON has them all.
const ROWS: usize = 200;

/// Runs `airside review …`.
pub(crate) fn run(args: &Review, out: &mut Out) -> Result<(), Failure> {
    match &args.command {
        Some(ReviewCommand::Lot(lot)) => lot::run(lot, out),
        Some(ReviewCommand::Change(change)) => change::run(change, out),
        Some(ReviewCommand::Findings(args)) => findings::list(args, out),
        Some(ReviewCommand::Explain(args)) => findings::explain(args, out),
        Some(ReviewCommand::Except(args)) => findings::except(args, out),
        Some(ReviewCommand::Assign(args)) => findings::assign(args, out),
        Some(ReviewCommand::Lessons(args)) => lessons::run(args, out),
        Some(ReviewCommand::Page(args)) => page::run(args, out),
        None => look(args, out),
    }
}

fn look(args: &Review, out: &mut Out) -> Result<(), Failure> {
    let mut report = read(&args.what, args.base.as_deref())?;
    let compared = ratchet(&args.what, &args.fail_on, &mut report)?;
    let told = match &args.repository {
        Some(name) => Some(findings::compare(args, name, &mut report)?),
        None => None,
    };
    show(args, &report, out)?;
    if args.format == ReviewFormat::Table && !out.is_json() {
        tell(&args.what, &compared, out)?;
        if let Some(told) = told {
            out.line(&told)?;
        }
    }
    judge(&args.fail_on, &report)
}

/// Reviews what the command line names.
fn read(what: &What, base: Option<&str>) -> Result<Report, Failure> {
    if !what.path.exists() {
        let text = format!("there is no folder {}", what.path.display());
        return Err(Failure::new(
            Exit::Usage,
            Fault::new(Kind::NotFound, "REV-013", text),
        ));
    }
    let mut request = Request::new(&what.path);
    request.base = base.map(str::to_owned);
    request.house = house(what)?;
    request.only = what.only.map(|only| match only {
        Only::Weaknesses => Part::Weaknesses,
        Only::Copies => Part::Copies,
    });
    // Drawn on standard error, and only if that is a terminal.
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {msg} {elapsed}")
            .expect("the template is well-formed"),
    );
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    let rules = rules(what)?;
    request.memory = what.memory.clone();
    let report = review(&request, &rules, &|stage| match stage {
        Stage::Note(text) => bar.suspend(|| note(&text)),
        stage => bar.set_message(name(&stage)),
    });
    bar.finish_and_clear();
    report.map_err(|error| Failure::new(Exit::Failed, error.fault()))
}

/// Returns what the house asks, from `.airside/review.toml` of the folder.
fn house(what: &What) -> Result<House, Failure> {
    house_of(&what.path)
}

fn house_of(folder: &Path) -> Result<House, Failure> {
    let path = folder.join(".airside/review.toml");
    if !path.is_file() {
        return Ok(House::default());
    }
    let failed = |reason: String| {
        let text = format!("cannot read {}: {reason}", path.display());
        Failure::new(Exit::Usage, Fault::new(Kind::Invalid, "REV-017", text))
    };
    let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
    toml::from_str(&text).map_err(|error| failed(error.message().to_owned()))
}

/// Compares with the findings that are known, or writes them down.
fn ratchet(what: &What, fail_on: &[FailOn], report: &mut Report) -> Result<Compared, Failure> {
    let Some(path) = &what.baseline else {
        return Ok(Compared::default());
    };
    let failed = |reason: String| {
        let text = format!("cannot use the known findings {}: {reason}", path.display());
        Failure::new(Exit::Usage, Fault::new(Kind::Invalid, "REV-018", text))
    };
    let known = match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|error| failed(error.to_string()))?,
        Err(_) if what.write_baseline => Baseline::default(),
        Err(error) => return Err(failed(error.to_string())),
    };
    if let Some(print) = known.incomplete() {
        let print = print.chars().take(12).collect::<String>();
        return Err(failed(format!(
            "{print} needs a reason, an owner and an end"
        )));
    }
    if what.write_baseline {
        let named = report.findings.iter();
        let mut fresh = Baseline::of(named.filter(|finding| is_named(fail_on, finding)));
        fresh.keep_reasons(&known);
        let text =
            serde_json::to_string_pretty(&fresh).map_err(|error| failed(error.to_string()))?;
        std::fs::write(path, text + "\n").map_err(|error| failed(error.to_string()))?;
        return Ok(fresh.apply(report, today()));
    }
    Ok(known.apply(report, today()))
}

fn today() -> jiff::civil::Date {
    let now = SystemClock::new().now();
    jiff::Timestamp::from_second(now.as_second())
        .unwrap_or_default()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .date()
}

fn tell(what: &What, compared: &Compared, out: &mut Out) -> Result<(), Failure> {
    if what.baseline.is_none() {
        return Ok(());
    }
    out.line(&format!(
        "known: {} still there, {} gone (--write-baseline shrinks the file), {} exceptions ended",
        compared.known,
        compared.gone.len(),
        compared.ended.len(),
    ))
}

/// Returns the rules that ship and those that were handed over.
fn rules(what: &What) -> Result<Rules, Failure> {
    let mut rules = Rules::builtin();
    for path in &what.rules {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let text = format!("cannot read the rules {}: {error}", path.display());
            Failure::new(Exit::Usage, Fault::new(Kind::NotFound, "REV-013", text))
        })?;
        let name = path.display().to_string();
        rules
            .extend(&name, &text)
            .map_err(|error| Failure::new(Exit::Usage, error.fault()))?;
    }
    Ok(rules)
}

/// Tells a person what is no finding.
#[expect(clippy::print_stderr, reason = "results are on standard output")]
fn note(text: &str) {
    eprintln!("note: {}", printable(text));
}

fn name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Reading => "reading files",
        Stage::Looking => "looking for weaknesses and copies",
        Stage::Findings => "putting together what was found",
        Stage::Done | Stage::Note(_) => "done",
    }
}

fn show(args: &Review, report: &Report, out: &mut Out) -> Result<(), Failure> {
    match args.format {
        ReviewFormat::Json => out.json_pretty(report),
        ReviewFormat::Sarif => out.json_pretty(&render::sarif(report, env!("CARGO_PKG_VERSION"))),
        ReviewFormat::Markdown => out.raw(&render::markdown(report)),
        ReviewFormat::Table if out.is_json() => out.json_pretty(report),
        ReviewFormat::Table => rows(report, out),
    }
}

fn rows(report: &Report, out: &mut Out) -> Result<(), Failure> {
    let new = || report.findings.iter().filter(|finding| finding.is_new);
    let rows: Vec<Vec<String>> = new()
        .take(ROWS)
        .map(|finding| {
            let place = &finding.place;
            vec![
                finding.certainty.to_string(),
                finding.what.severity.to_string(),
                printable(&format!("{}:{}", place.path, place.from)),
                finding.what.rule.to_string(),
                printable(&finding.what.message),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let headings = ["CERTAINTY", "SEVERITY", "WHERE", "RULE", "WHAT"];
        out.line(&table(&headings.map(|name| (name, Align::Left)), &rows))?;
    }
    let ways = new().take(ROWS).filter(|finding| !finding.trace.is_empty());
    for finding in ways {
        out.line(&way(finding))?;
    }
    let all = new().count();
    if all > ROWS {
        out.line(&format!(
            "… and {} more; --format json has them all",
            all - ROWS
        ))?;
    }
    let share = 100.0 * report.duplicated_lines as f64 / report.lines.max(1) as f64;
    out.line(&format!(
        "{} in {}, {}{}; {share:.1} % of lines are copies",
        counted(all, "finding"),
        counted(report.files, "file"),
        counted(report.lines, "line"),
        report
            .added_lines
            .map_or_else(String::new, |lines| format!(", {lines} of them added")),
    ))?;
    for (why, count) in &report.skipped.count {
        let paths = report.skipped.paths.get(why);
        let first = paths
            .and_then(|paths| paths.first())
            .map_or("", |path| path);
        let (why, first) = (why.as_str(), printable(first));
        let (files, such_as) = match count {
            1 => ("file", ""),
            _ => ("files", "such as "),
        };
        out.line(&format!(
            "left out: {count} {files}, {why} ({such_as}{first})"
        ))?;
    }
    Ok(())
}

fn way(finding: &Finding) -> String {
    let mut text = format!(
        "\n{} {}:{}\n",
        finding.what.rule,
        printable(&finding.place.path),
        finding.place.from
    );
    for step in &finding.trace {
        let (path, what) = (printable(&step.path), printable(&step.what));
        text.push_str(&format!("  {path}:{}  {what}\n", step.line));
    }
    text
}

/// Returns whether `fail_on` names a finding.
fn is_named(fail_on: &[FailOn], finding: &Finding) -> bool {
    if !finding.may_stop() {
        return false;
    }
    let at_least = |certainty| finding.certainty >= certainty;
    fail_on.iter().any(|on| match on {
        FailOn::None => false,
        FailOn::Proven => at_least(Certainty::Proven),
        FailOn::Likely => at_least(Certainty::Likely),
        FailOn::Pattern => at_least(Certainty::Pattern),
        FailOn::Advice => true,
        FailOn::Copies => finding.class == "duplication",
        FailOn::Standards => finding.class == "standards",
        FailOn::Documentation => finding.class == "documentation",
        FailOn::Decisions => finding.class == "decisions",
        FailOn::Attribution => finding.class == "attribution",
    })
}

fn judge(fail_on: &[FailOn], report: &Report) -> Result<(), Failure> {
    let new = report.findings.iter().filter(|finding| finding.is_new);
    let count = new.filter(|finding| is_named(fail_on, finding)).count();
    if count == 0 {
        return Ok(());
    }
    let text = format!("the review found {count} of what --fail-on names");
    let fault = Fault::new(Kind::Forbidden, "REV-014", text);
    Err(Failure::new(
        Exit::Refused,
        fault.with_hint("repair them, or say which of them may stay: --baseline"),
    ))
}
