//! `airside review --record`, `findings`, `explain`, `except` and `assign`.

use std::collections::BTreeMap;

use airside_api::{Part, Reach, client};
use airside_codereview::{change, finding::Report};
use airside_governance::register::{self, Answer, Changes, Request, Shown, Standing, Tree, Where};

use super::office;
use crate::{
    cli::review::{Assign, Except, Explain, FindingsList, LotPlace, Review},
    failure::{Exit, Failure},
    output::{Align, Out, table},
    text::{cut, printable},
};

/// The program that reviews, as it is written down.
const PROGRAM: &str = concat!("airside ", env!("CARGO_PKG_VERSION"));

fn ask(place: &LotPlace, request: &Request) -> Result<Answer, Failure> {
    let reach = match request.only_reads() {
        true => Reach::Read,
        false => Reach::Change,
    };
    office::ask(place, (Part::Findings, reach), request)
}

/// Compares `report` with what is recorded of `repository`: what is excepted there is not
/// new. Writes down what has changed if that is asked for, and says what it did.
pub(super) fn compare(
    args: &Review,
    repository: &str,
    report: &mut Report,
) -> Result<String, Failure> {
    let list = Request::List {
        repository: Some(repository.to_owned()),
        ended: false,
    };
    let known = match ask(&args.place, &list) {
        // The first recording makes the ledger.
        Err(_) if args.record && !args.place.node.data_dir.exists() => Answer::default(),
        known => known?,
    };
    let said = match args.record {
        true => record(args, repository, report, &known.findings)?,
        false => format!("{repository}: {} recorded", known.findings.len()),
    };
    let excepted: BTreeMap<&str, &Shown> = known
        .findings
        .iter()
        .filter(|one| one.standing == Standing::Excepted)
        .map(|one| (one.finding.seen.what.fingerprint.as_str(), one))
        .collect();
    let mut count = 0;
    for finding in &mut report.findings {
        if excepted.contains_key(finding.what.fingerprint.as_str()) {
            finding.is_new = false;
            count += 1;
        }
    }
    report.sort();
    Ok(printable(&format!("{said}; {count} excepted")))
}

fn record(
    args: &Review,
    repository: &str,
    report: &Report,
    known: &[Shown],
) -> Result<String, Failure> {
    let root = &args.what.path;
    let revision = match &args.revision {
        Some(revision) => revision.clone(),
        None => change::head(root).map_err(|error| {
            let fault = error.fault().with_hint("name the version with --revision");
            Failure::new(Exit::Failed, fault)
        })?,
    };
    let at = Where {
        repository,
        revision: &revision,
        by: PROGRAM,
    };
    let (rules, house) = (super::rules(&args.what)?, super::house(&args.what)?);
    let named = |finding: &_| super::is_named(&args.fail_on, finding);
    // A link that leads nowhere is there.
    let is_gone = |path: &str| std::fs::symlink_metadata(root.join(path)).is_err();
    let recording = register::judge(at, report, (&rules, &house), known, &named, &is_gone);
    let unjudged = recording.unjudged;
    let recording = Box::new(recording);
    let told = ask(&args.place, &Request::Record { recording })?;
    let changes = told.changes.unwrap_or_default();
    Ok(said(repository, &revision, &changes, unjudged))
}

fn said(repository: &str, revision: &str, changes: &Changes, unjudged: usize) -> String {
    let revision: String = revision.chars().take(12).collect();
    let mut text = format!(
        "recorded {repository} at {revision}: {} opened, {} changed, {} ended, {} the same",
        changes.opened, changes.changed, changes.ended, changes.same,
    );
    if changes.resumed > 0 {
        text.push_str(&format!(", {} exceptions have ended", changes.resumed));
    }
    if unjudged > 0 {
        text.push_str(&format!(", {unjudged} not looked at"));
    }
    text
}

/// Runs `airside review findings`.
pub(super) fn list(args: &FindingsList, out: &mut Out) -> Result<(), Failure> {
    let list = Request::List {
        repository: args.repository.clone(),
        ended: args.all,
    };
    let mut told = ask(&args.place, &list)?;
    if let Some(name) = &args.owner {
        told.findings.retain(|one| one.owner.as_ref() == Some(name));
    }
    if out.is_json() {
        return out.json_pretty(&told);
    }
    if told.trees.is_empty() {
        return out.line("nothing is recorded: airside review --record --repository NAME");
    }
    let rows: Vec<Vec<String>> = told.findings.iter().map(row).collect();
    if !rows.is_empty() {
        let headings = [
            "FINDING",
            "STANDING",
            "CERTAINTY",
            "SEVERITY",
            "OWNER",
            "REPOSITORY",
            "WHERE",
            "RULE",
        ];
        out.line(&table(&headings.map(|name| (name, Align::Left)), &rows))?;
    }
    if told.more {
        out.line("… and more; name a --repository")?;
    }
    for (name, tree) in &told.trees {
        out.line(&of_tree(name, tree))?;
    }
    Ok(())
}

fn row(one: &Shown) -> Vec<String> {
    let seen = &one.finding.seen;
    let until = one.finding.exception.as_ref().map(|made| made.until);
    let standing = match (one.standing, until) {
        (Standing::Excepted, Some(until)) => format!("excepted until {until}"),
        (standing, _) => standing.as_str().to_owned(),
    };
    vec![
        one.id.clone(),
        standing,
        seen.certainty.to_string(),
        seen.what.severity.to_string(),
        printable(one.owner.as_deref().unwrap_or("–")),
        printable(&one.finding.repository),
        printable(&cut(
            &format!("{}:{}", seen.place.path, seen.place.from),
            60,
        )),
        printable(&seen.what.rule),
    ]
}

fn of_tree(name: &str, tree: &Tree) -> String {
    let left_out: usize = tree.left_out.values().sum();
    let mut text = format!(
        "{name} at {} read on {:.0} by {}: {} files, {} left out, {} findings",
        tree.revision.chars().take(12).collect::<String>(),
        tree.at,
        tree.by,
        tree.files,
        left_out,
        tree.found,
    );
    if tree.unjudged > 0 {
        text.push_str(&format!(", {} older ones not looked at", tree.unjudged));
    }
    printable(&text)
}

/// Runs `airside review explain`.
pub(super) fn explain(args: &Explain, out: &mut Out) -> Result<(), Failure> {
    let finding = args.finding.clone();
    one(&args.place, &Request::Show { finding }, out)
}

/// Runs `airside review except`.
pub(super) fn except(args: &Except, out: &mut Out) -> Result<(), Failure> {
    let except = Request::Except {
        finding: args.finding.clone(),
        owner: args.owner.clone(),
        reason: args.reason.clone(),
        until: args.until,
    };
    one(&args.place, &except, out)
}

/// Runs `airside review assign`.
pub(super) fn assign(args: &Assign, out: &mut Out) -> Result<(), Failure> {
    let (finding, owner) = (args.finding.clone(), args.owner.clone());
    one(&args.place, &Request::Assign { finding, owner }, out)
}

fn one(place: &LotPlace, request: &Request, out: &mut Out) -> Result<(), Failure> {
    let told = ask(place, request)?;
    let Some(shown) = told.findings.first() else {
        let text = "the finding is not in the answer".to_owned();
        return Err(client::Error::Unreadable(text).into());
    };
    if out.is_json() {
        return out.json_pretty(shown);
    }
    let finding = &shown.finding;
    let seen = &finding.seen;
    let sort = match &seen.cwe {
        Some(cwe) => format!("{}, {cwe}", seen.class),
        None => seen.class.clone(),
    };
    let mut facts = vec![
        ("finding", shown.id.clone()),
        ("standing", shown.standing.as_str().to_owned()),
        ("rule", format!("{} ({sort})", seen.what.rule)),
        ("what", seen.what.message.clone()),
        (
            "sure",
            format!("{}, {}", seen.certainty, seen.what.severity),
        ),
        (
            "where",
            format!(
                "{}:{} of {}",
                seen.place.path, seen.place.from, finding.repository
            ),
        ),
        ("version", finding.revision.clone()),
        ("fingerprint", seen.what.fingerprint.clone()),
        (
            "owner",
            shown.owner.clone().unwrap_or_else(|| "nobody".to_owned()),
        ),
    ];
    if let Some(made) = &finding.exception {
        let text = format!(
            "until {}, {} answers for it: {}",
            made.until, made.owner, made.reason
        );
        facts.push(("exception", text));
    }
    if let Some(ended) = &finding.ended {
        let text = format!("{:.0}, {}: {}", ended.at, ended.why.words(), ended.evidence);
        facts.push(("ended", text));
    }
    for (name, value) in facts {
        out.line(&format!("{name:<12}{}", printable(&value)))?;
    }
    for step in &seen.trace {
        let text = format!("{}:{}  {}", step.path, step.line, step.what);
        out.line(&format!("  {}", printable(&text)))?;
    }
    for (at, what) in &finding.history {
        out.line(&format!("{at:.0}  {}", printable(what)))?;
    }
    Ok(())
}
