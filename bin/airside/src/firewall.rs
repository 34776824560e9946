//! `airside firewall …`.

use std::{
    fs::File,
    io::{self, Read as _},
};

use airside_firewall::{self as firewall, Firewall, config};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::{Align, Out, table},
    text::printable,
};

/// Largest text that is tried, in bytes.
const MAX_TEXT: u64 = 16 << 20;

/// Runs `airside firewall …`.
pub(crate) fn run(args: &cli::Firewall, out: &mut Out) -> Result<(), Failure> {
    match args {
        cli::Firewall::Test(args) => test(args, out),
        cli::Firewall::Rules => rules(out),
    }
}

fn rules(out: &mut Out) -> Result<(), Failure> {
    if out.is_json() {
        let rules = firewall::rules().map(
            |rule| json!({"rule": rule.id, "group": rule.group.as_str(), "about": rule.about}),
        );
        return out.json_pretty(&rules.collect::<Vec<_>>());
    }
    let rows: Vec<_> = firewall::rules()
        .map(|rule| vec![rule.id.to_owned(), rule.about.to_owned()])
        .collect();
    out.raw(&table(
        &[("rule", Align::Left), ("finds", Align::Left)],
        &rows,
    ))?;
    out.line("")
}

fn test(args: &cli::FirewallTest, out: &mut Out) -> Result<(), Failure> {
    let config = match &args.config {
        Some(file) => {
            let loaded = airside_config::load(file);
            let loaded = loaded.map_err(|list| Failure::rendered(Exit::Config, list))?;
            loaded.config.firewall
        }
        None => config::Firewall::default(),
    };
    let text = read(args)?;
    let direction = match args.answer {
        true => config::Direction::Answers,
        false => config::Direction::Requests,
    };
    let place = (args.upstream.as_ref(), args.tool.as_deref());
    let trial = Firewall::trial(&config, direction, place, &text);
    let trial = trial.map_err(|error| Failure::new(Exit::Config, error.fault()))?;
    if out.is_json() {
        out.json_pretty(&json!({
            "hits": trial.hits, "blocked": trial.blocked.is_some(), "left": trial.left,
        }))?;
    } else {
        if trial.hits.is_empty() {
            out.line("nothing is found")?;
        } else {
            let row = |hit: &airside_firewall::Hit<'_>| {
                let place = match &*hit.place {
                    "" => "(the text)",
                    place => place,
                };
                vec![
                    hit.rule.to_string(),
                    hit.action.to_string(),
                    printable(place),
                ]
            };
            let rows: Vec<_> = trial.hits.iter().map(row).collect();
            let headings = ["rule", "action", "where"].map(|name| (name, Align::Left));
            out.raw(&table(&headings, &rows))?;
            out.line("")?;
        }
        if let Some(left) = &trial.left {
            out.line(&format!("what is left: {}", printable(left.trim_end())))?;
        }
    }
    match trial.blocked {
        None => Ok(()),
        Some(fault) => Err(Failure::new(Exit::Failed, fault)),
    }
}

fn read(args: &cli::FirewallTest) -> Result<String, Failure> {
    let mut bytes = Vec::new();
    match &args.file {
        Some(path) => File::open(path)?.take(MAX_TEXT).read_to_end(&mut bytes)?,
        None => io::stdin().lock().take(MAX_TEXT).read_to_end(&mut bytes)?,
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
