//! `airside eval mutate`: which damage a suite does not notice.

use std::{collections::BTreeSet, path::Path};

use airside_base::{Fault, Kind};
use airside_evals::{
    mutate::{Report, mutate, recorded, remedy},
    runner,
};

use crate::{
    cli::eval::Mutate,
    failure::{Exit, Failure},
    output::{Align, Out, table},
    text::printable,
};

/// Damages the conversations of a run and reports.
pub(super) fn run(args: &Mutate, out: &mut Out) -> Result<(), Failure> {
    let report = match &args.out {
        Some(folder) => of_run(args, folder)?,
        None => recorded(&args.suite.suite)
            .map_err(|error| Failure::new(Exit::Failed, error.fault()))?,
    };
    match out.is_json() {
        true => out.json_pretty(&report)?,
        false => show(&report, out)?,
    }
    let total = report.total();
    match total.killed * 100 < usize::from(args.min) * total.all {
        false => Ok(()),
        true => {
            let text = format!("{} of {} damages are noticed", total.killed, total.all);
            let fault = Fault::new(Kind::Conflict, "EVL-033", text);
            let hint = "expect what the list above names, or lower --min";
            Err(Failure::new(Exit::Failed, fault.with_hint(hint)))
        }
    }
}

/// Damages the conversations of the run in `folder`.
fn of_run(args: &Mutate, folder: &Path) -> Result<Report, Failure> {
    let suite = super::suite::load(&args.suite.suite)?;
    let records = runner::Records::open(folder).map_err(super::run::kept)?;
    let tools = runner::tools(folder).map_err(super::run::kept)?;
    mutate(&suite, records, &tools).map_err(super::run::kept)
}

fn show(report: &Report, out: &mut Out) -> Result<(), Failure> {
    let headings = [
        ("DAMAGE", Align::Left),
        ("NOTICED", Align::Right),
        ("OF", Align::Right),
    ];
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (operator, count) in &report.operators {
        let row = [
            (*operator).to_owned(),
            count.killed.to_string(),
            count.all.to_string(),
        ];
        rows.push(row.into());
    }
    let total = report.total();
    rows.push(vec![
        "all".to_owned(),
        total.killed.to_string(),
        total.all.to_string(),
    ]);
    out.line(&table(&headings, &rows))?;
    if !report.survivors.is_empty() {
        out.line("\nnot noticed:")?;
    }
    for one in &report.survivors {
        let (case, what) = (printable(&one.case), printable(&one.what));
        out.line(&format!("  {case}: {} ({what})", one.operator))?;
    }
    let kinds: BTreeSet<&str> = report.survivors.iter().map(|one| one.operator).collect();
    for kind in kinds {
        out.line(&format!("to notice `{kind}` expect {}", remedy(kind)))?;
    }
    for case in &report.without {
        let case = printable(case);
        out.line(&format!(
            "  {case}: no conversation passed, nothing is shown"
        ))?;
    }
    Ok(())
}
