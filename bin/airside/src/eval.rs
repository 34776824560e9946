//! `airside eval …`.

mod calibrate;
mod guard;
mod imported;
mod linted;
mod mutants;
mod recorded;
mod redteam;
mod run;
mod serve;
pub(crate) mod status;
mod suite;
mod watch;

use airside_evals::recordings::{self, Agreement, Difference};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::{Align, Out, table},
    text::printable,
};

/// Runs `airside eval …`.
pub(crate) fn run(args: &cli::Eval, out: &mut Out) -> Result<(), Failure> {
    match args {
        cli::Eval::Check(args) => suite::check(args, out),
        cli::Eval::Schema => out.json_pretty(&airside_evals::suite::Suite::json_schema()),
        cli::Eval::Run(args) => run::run(args, out),
        cli::Eval::Stale(args) => run::stale(args, out),
        cli::Eval::Report(args) => run::report(args, out),
        cli::Eval::Serve(args) => serve::run(args, out),
        cli::Eval::Plant(args) => serve::plant(args, out),
        cli::Eval::Status(args) => status::run(args, out),
        cli::Eval::Watch(args) => watch::run(args, out),
        cli::Eval::Mutate(args) => mutants::run(args, out),
        cli::Eval::Lint(args) => linted::run(args, out),
        cli::Eval::Guard(args) => guard::run(args, out),
        cli::Eval::Calibrate(args) => calibrate::run(args, out),
        cli::Eval::Grade(args) => grade(args, out),
        cli::Eval::Import(args) => imported::run(args, out),
        cli::Eval::Record(args) => recorded::run(args, out),
    }
}

fn grade(args: &cli::eval::Grade, out: &mut Out) -> Result<(), Failure> {
    let agreement = recordings::compare(&args.folder)
        .map_err(|error| Failure::new(Exit::Failed, error.fault()))?;
    if out.is_json() {
        out.json_pretty(&agreement)?;
    } else {
        show(&agreement, out)?;
    }
    match agreement.differ.len() {
        0 => Ok(()),
        count => Err(differ(count)),
    }
}

fn show(agreement: &Agreement, out: &mut Out) -> Result<(), Failure> {
    let headings = [("WHAT", Align::Left), ("COUNT", Align::Right)];
    let invalid: usize = agreement.invalid.values().map(Vec::len).sum();
    let rows = [
        ("conversations", agreement.conversations),
        ("invalid, not graded", invalid),
        ("verdicts compared", agreement.compared),
        ("the same", agreement.agree),
        ("different", agreement.differ.len()),
        ("different, not reproducible", agreement.exempt.len()),
    ];
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(what, count)| vec![(*what).to_owned(), count.to_string()])
        .collect();
    out.line(&table(&headings, &rows))?;
    for (reason, ids) in &agreement.invalid {
        out.line(&format!("\ninvalid: {}", printable(reason)))?;
        for id in ids {
            out.line(&format!("  {}", printable(id)))?;
        }
    }
    for (title, list) in [
        ("not reproducible", &agreement.exempt),
        ("different", &agreement.differ),
    ] {
        if !list.is_empty() {
            out.line(&format!("\n{title}:"))?;
        }
        for one in list {
            out.line(&difference(one))?;
        }
    }
    Ok(())
}

fn difference(one: &Difference) -> String {
    let recorded = if one.recorded { "yes" } else { "no" };
    let why = match one.reason {
        Some(reason) => reason.to_owned(),
        None => one.found.join("; "),
    };
    format!(
        "  {} ({}, recorded: {recorded}): {}",
        printable(&one.id),
        one.about,
        printable(&why)
    )
}

fn differ(count: usize) -> Failure {
    let message = format!("{count} verdicts are not those that were recorded");
    let fault = airside_base::Fault::new(airside_base::Kind::Conflict, "EVL-004", message);
    Failure::new(
        Exit::Failed,
        fault.with_hint("the list above says what the grader found instead"),
    )
}

/// What a suite is, for programs.
fn summary(suite: &airside_evals::suite::Suite) -> serde_json::Value {
    let paraphrases: usize = suite.cases.iter().map(|case| case.paraphrases.len()).sum();
    json!({
        "suite": suite.suite,
        "cases": suite.cases.len(),
        "paraphrases": paraphrases,
        "ids": suite.cases.iter().map(|case| case.id).collect::<Vec<_>>(),
    })
}
