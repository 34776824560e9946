//! `airside review lot …`: sampling of human review.
//!
//! # Invariants
//!
//! * The key of a draw is read from a file of this user and written to no other place
//!   than the ledger, when the lot is closed.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use airside_api::{Part, Reach};
use airside_base::{Fault, Kind, secret_token};
use airside_governance::lot::{
    Change, Error, Identity, Key, Plan, Request, Shown, Sorted, Verdict,
};
use serde::de::DeserializeOwned;

use super::office;
use crate::{
    cli::review as cli,
    failure::{Exit, Failure},
    ledger::source,
    node::folder,
    output::{Align, Out, table},
    text::{cut, printable, printable_lines},
};

/// Largest file of changes, in bytes.
const MAX_FILE: u64 = 24 << 20;

/// Runs `airside review lot …`.
pub(crate) fn run(args: &cli::Lot, out: &mut Out) -> Result<(), Failure> {
    let (place, request) = match args {
        cli::Lot::Open(args) => (&args.place, open(args)?),
        cli::Lot::Sort(args) => return sort(args, out),
        cli::Lot::Draw(args) => (&args.place, draw(args)?),
        cli::Lot::Verdict(args) => (&args.place, verdict(args)),
        cli::Lot::Close(args) => {
            let (lot, key) = (args.lot.clone(), key(&args.draw_key)?);
            (&args.place, Request::Close { lot, key })
        }
        cli::Lot::Report(args) => (
            &args.place,
            match &args.lot {
                Some(lot) => Request::Show { lot: lot.clone() },
                None => Request::List,
            },
        ),
        cli::Lot::Outcome(args) => (
            &args.place,
            Request::Outcome {
                lot: args.lot.clone(),
                change: args.change.clone(),
                after: args.after,
                reference: args.reference.clone(),
                lesson_days: args.lesson_days,
            },
        ),
    };
    let all = matches!(request, Request::List);
    let reach = match request.only_reads() {
        true => Reach::Read,
        false => Reach::Change,
    };
    let shown: Vec<Shown> = office::ask(place, (Part::Lots, reach), &request)?;
    if out.is_json() {
        return out.json_pretty(&shown);
    }
    match (all, shown.first()) {
        (false, Some(lot)) => show(lot, out),
        _ => list(&shown, out),
    }
}

/// Tells where changes go, and fails if one has to be reviewed and that is asked for.
fn sort(args: &cli::LotSort, out: &mut Out) -> Result<(), Failure> {
    let request = Request::Sort {
        lot: args.lot.clone(),
        changes: lines::<Change>(&args.changes)?,
    };
    let shown: Vec<Shown> = office::ask(&args.place, (Part::Lots, Reach::Read), &request)?;
    let sorted: Vec<&Sorted> = shown.iter().flat_map(|lot| &lot.sorted).collect();
    if out.is_json() {
        out.json_pretty(&sorted)?;
    } else {
        let rows = sorted.iter().map(|one| {
            let to = match (one.excluded, one.why.is_empty()) {
                (true, _) => "left out",
                (false, true) => "can be drawn",
                (false, false) => "review before the merge",
            };
            vec![
                one.id.clone(),
                cut(&printable(&one.commit), 40),
                to.to_owned(),
                printable(&cut(&one.why.join(", "), 80)),
            ]
        });
        let headings = ["CHANGE", "COMMIT", "TO DO", "WHY"];
        let rows: Vec<Vec<String>> = rows.collect();
        out.line(&table(&headings.map(|name| (name, Align::Left)), &rows))?;
    }
    let mandatory = |one: &&&Sorted| !one.excluded && !one.why.is_empty();
    let count = sorted.iter().filter(mandatory).count();
    if !args.fail_mandatory || count == 0 {
        return Ok(());
    }
    let text = format!("{count} of {} changes have to be reviewed", sorted.len());
    let fault = Fault::new(Kind::Forbidden, "REV-059", text);
    let hint = "let a person review them before the merge, and record the verdict in the lot";
    Err(Failure::new(Exit::Refused, fault.with_hint(hint)))
}

fn refused(error: &Error) -> Failure {
    source::unreadable(Exit::Refused, &error.fault())
}

fn open(args: &cli::LotOpen) -> Result<Request, Failure> {
    let key = match args.draw_key.exists() {
        true => Key::parse(&key(&args.draw_key)?).map_err(|error| refused(&error))?,
        false => {
            let secret = secret_token();
            let mut options = fs::File::options();
            options.write(true).create_new(true).mode(0o600);
            let made = options.open(&args.draw_key);
            let written = made.and_then(|mut file| writeln!(file, "{secret}"));
            written.map_err(|error| folder::unusable(&args.draw_key, &error))?;
            Key::parse(&secret).map_err(|error| refused(&error))?
        }
    };
    let plan = Plan {
        repository: args.repository.clone(),
        until: args.until,
        limit: args.limit,
        accept: args.accept,
        counts: args.counts,
        threshold: args.threshold,
        exclude: args.exclude.iter().copied().collect(),
        due_days: args.due_days,
        checklist: args.checklist.clone(),
    };
    Ok(Request::Open {
        lot: args.lot.clone(),
        plan: Box::new(plan),
        commitment: key.commitment(),
    })
}

fn draw(args: &cli::LotDraw) -> Result<Request, Failure> {
    Ok(Request::Draw {
        lot: args.lot.clone(),
        key: key(&args.draw_key)?,
        beacon: args.beacon.clone(),
        changes: lines::<Change>(&args.changes)?,
        planted: match &args.planted {
            Some(file) => lines::<Identity>(file)?,
            None => Vec::new(),
        },
    })
}

fn verdict(args: &cli::LotVerdict) -> Request {
    let verdict = Verdict {
        word: args.word,
        class: args.class,
        sort: args.sort.clone(),
        evidence: args.evidence.clone(),
        reviewer: args.reviewer.clone(),
        minutes: args.minutes,
        revision: args.revision.clone(),
        checklist: args.checklist.clone(),
    };
    Request::Judge {
        lot: args.lot.clone(),
        change: args.change.clone(),
        verdict: Box::new(verdict),
        supersede: args.supersede,
    }
}

fn text(file: &Path) -> Result<String, Failure> {
    let read = || {
        let mut text = String::new();
        let mut bounded = fs::File::open(file)?.take(MAX_FILE + 1);
        bounded.read_to_string(&mut text)?;
        match text.len() as u64 > MAX_FILE {
            true => Err(std::io::Error::from(std::io::ErrorKind::FileTooLarge)),
            false => Ok(text),
        }
    };
    read().map_err(|error| folder::unusable(file, &error))
}

fn key(file: &Path) -> Result<String, Failure> {
    Ok(text(file)?.trim().to_owned())
}

fn lines<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>, Failure> {
    let text = text(file)?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            serde_json::from_str(line).map_err(|error| {
                let fault = Fault::new(
                    Kind::Invalid,
                    "REV-009",
                    format!(
                        "line {} of {} is no change: {error}",
                        at + 1,
                        file.display()
                    ),
                );
                Failure::new(Exit::Usage, fault)
            })
        })
        .collect()
}

fn show(lot: &Shown, out: &mut Out) -> Result<(), Failure> {
    let plan = &lot.plan;
    let mut facts = vec![
        ("lot", lot.lot.clone()),
        ("state", lot.state.clone()),
        ("repository", plan.repository.clone()),
        ("review", lot.mode.as_str().to_owned()),
        ("opened", lot.opened.to_string()),
        ("until", plan.until.to_string()),
        ("plan", lot.plan_digest.clone()),
        (
            "key",
            lot.key
                .clone()
                .unwrap_or_else(|| format!("committed {}", lot.commitment)),
        ),
    ];
    if let Some(due) = lot.due {
        let judged = lot.items.iter().filter(|item| item.verdicts > 0).count();
        facts.extend([
            ("random", format!("{}, {} drawn", lot.population, lot.drawn)),
            ("mandatory", lot.mandatory.to_string()),
            ("left out", lot.excluded.to_string()),
            (
                "verdicts",
                format!("{judged} of {}, due {due}", lot.items.len()),
            ),
        ]);
    }
    for (name, value) in facts {
        out.line(&format!("{name:<12}{}", printable(&value)))?;
    }
    if let Some(statement) = &lot.statement {
        out.line("")?;
        out.line(&printable_lines(&statement.text))?;
    } else if !lot.items.is_empty() {
        out.line("")?;
        out.line(&items(lot))?;
    }
    if let Some(became) = lot.became.as_ref().filter(|_| !lot.outcomes.is_empty()) {
        out.line("")?;
        out.line(&became.text(lot.statement.as_ref()))?;
    }
    for outcome in &lot.outcomes {
        let (at, after, change) = (outcome.at, outcome.after, &outcome.change);
        let reference = printable(&outcome.reference);
        out.line(&format!(
            "{at}  {after}  {}  {reference}",
            printable(change)
        ))?;
    }
    Ok(())
}

fn items(lot: &Shown) -> String {
    let rows: Vec<Vec<String>> = lot
        .items
        .iter()
        .map(|item| {
            let state = match item.verdicts {
                0 => "to review",
                _ => "reviewed",
            };
            let stratum = match (item.mandatory, item.why.is_empty()) {
                (true, true) => "mandatory".to_owned(),
                (true, false) => printable(&cut(&item.why.join(", "), 60)),
                (false, _) => "sample".to_owned(),
            };
            vec![
                printable(&item.id),
                cut(&printable(&item.change.commit), 40),
                stratum,
                state.to_owned(),
            ]
        })
        .collect();
    let headings = [
        ("CHANGE", Align::Left),
        ("COMMIT", Align::Left),
        ("WHY", Align::Left),
        ("STATE", Align::Left),
    ];
    table(&headings, &rows)
}

fn list(lots: &[Shown], out: &mut Out) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = lots
        .iter()
        .map(|lot| {
            let bound = lot.statement.as_ref();
            vec![
                printable(&lot.lot),
                printable(&lot.plan.repository),
                lot.state.clone(),
                lot.population.to_string(),
                lot.drawn.to_string(),
                bound.map_or_else(|| "-".to_owned(), |statement| statement.bound.to_string()),
            ]
        })
        .collect();
    let headings = [
        ("LOT", Align::Left),
        ("REPOSITORY", Align::Left),
        ("STATE", Align::Left),
        ("CHANGES", Align::Right),
        ("DRAWN", Align::Right),
        ("AT MOST DEFECTIVE", Align::Right),
    ];
    out.line(&table(&headings, &rows))
}
