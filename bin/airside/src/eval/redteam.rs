//! Shows how often the user was served and how often the attacker, with and without
//! protection.

use std::path::Path;

use airside_evals::{
    redteam::{Count, Security},
    runner,
    stats::Interval,
    suite::Suite,
};

use crate::{
    failure::Failure,
    output::{Align, Out, table},
    text::printable,
};

/// Counts the conversations in `folder` that have an attack; none if there are none.
pub(super) fn of(suite: &Suite, folder: &Path) -> Result<Option<Security>, Failure> {
    if suite.cases.iter().all(|case| case.goal.is_none()) {
        return Ok(None);
    }
    let records = runner::Records::open(folder).map_err(super::run::kept)?;
    let tools = runner::tools(folder).map_err(super::run::kept)?;
    Security::of(suite, records, &tools).map_err(super::run::kept)
}

/// Shows what came of attacks, and beside it what came of them without protection.
pub(super) fn show(
    with: &Security,
    without: Option<&Security>,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut headings = vec![
        ("ATTACK", Align::Left),
        ("USER SERVED", Align::Right),
        ("ATTACKER SERVED", Align::Right),
    ];
    if without.is_some() {
        headings.extend([
            ("USER WITHOUT", Align::Right),
            ("ATTACKER WITHOUT", Align::Right),
        ]);
    }
    let mut columns = vec![with];
    columns.extend(without);
    let names = columns.iter().flat_map(|one| one.cases.keys());
    let mut names: Vec<&String> = names.collect();
    names.sort_unstable();
    names.dedup();
    let row = |name: &&String| {
        let counts = columns.iter().flat_map(|one| {
            let of = |count: &Count| [count.served, count.reached].map(|n| share(n, count.trials));
            let count = one.cases.get(*name).copied().unwrap_or_default();
            of(&count)
        });
        std::iter::once(printable(name)).chain(counts).collect()
    };
    let mut rows: Vec<Vec<String>> = names.iter().map(row).collect();
    let totals = columns
        .iter()
        .flat_map(|one| [one.served, one.reached].map(interval));
    rows.push(
        std::iter::once("share of cases".to_owned())
            .chain(totals)
            .collect(),
    );
    out.line(&format!("\n{}", table(&headings, &rows)))
}

fn share(count: u64, trials: u64) -> String {
    match trials {
        0 => "-".to_owned(),
        _ => format!("{count}/{trials}"),
    }
}

fn interval(interval: Option<Interval>) -> String {
    interval.map_or_else(
        || "-".to_owned(),
        |one| {
            let [at, low, high] = [one.at, one.low, one.high].map(|share| share * 100.0);
            format!("{at:.0} % ({low:.0} to {high:.0})")
        },
    )
}
