//! `airside contracts …`.
//!
//! # Invariants
//!
//! * What is accepted is what was looked at: a decision names the digest, and the node
//!   refuses it when the server says something else by then.
//! * Texts of servers are shown with everything visible that hides or acts.

use airside_api::wire;
use airside_base::{Fault, Kind};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::{Align, Out, table},
    target,
    text::{cut, visible},
};

/// Longest value that a difference shows, in characters.
const MAX_SHOWN: usize = 2_000;
/// How much of a digest is shown in lists.
const SHORT: usize = 12;

/// Runs `airside contracts …`.
pub(crate) fn run(args: &cli::Contracts, out: &mut Out) -> Result<(), Failure> {
    match args {
        cli::Contracts::List(args) => list(args, out),
        cli::Contracts::Show(args) => show(args, out),
        cli::Contracts::Diff(args) => diff(args, out),
        cli::Contracts::Accept(args) => decide(args, wire::ContractVerdict::Accept, out),
        cli::Contracts::Hold(args) => decide(args, wire::ContractVerdict::Hold, out),
        cli::Contracts::Quarantine(args) => decide(args, wire::ContractVerdict::Quarantine, out),
    }
}

fn list(args: &cli::ContractList, out: &mut Out) -> Result<(), Failure> {
    let rows = target::with_control(&args.node, async |client| Ok(client.contracts().await?))?;
    let wanted = |row: &wire::ContractRow| {
        let server = args.server.as_ref();
        server.is_none_or(|server| row.of.server == server.as_str())
            && (args.all || row.state != "accepted")
    };
    let total = rows.len();
    let rows: Vec<_> = rows.into_iter().filter(wanted).collect();
    if out.is_json() {
        return out.json_pretty(&json!({ "contracts": rows }));
    }
    if rows.is_empty() {
        let word = if args.all {
            "no tool is known"
        } else {
            "nothing waits"
        };
        let rest = if args.all {
            ""
        } else {
            "; --all shows those that are accepted"
        };
        return out.line(&format!("{word} ({total} known{rest})"));
    }
    let rows: Vec<_> = rows.iter().map(line).collect();
    let headings = [
        ("SERVER", Align::Left),
        ("TOOL", Align::Left),
        ("CLASS", Align::Left),
        ("STATE", Align::Left),
        ("DIGEST", Align::Left),
        ("CHANGED IN", Align::Left),
        ("BY", Align::Left),
    ];
    out.line(&table(&headings, &rows))
}

fn line(row: &wire::ContractRow) -> Vec<String> {
    let state = match row.removed {
        true => format!("{} (gone)", row.state),
        false => row.state.clone(),
    };
    vec![
        visible(&row.of.server),
        tool(&row.of),
        visible(&row.of.class),
        state,
        row.digest.chars().take(SHORT).collect(),
        row.classes.join(" "),
        row.by
            .as_deref()
            .map_or_else(|| "rules".to_owned(), visible),
    ]
}

/// What a server says of itself has no name of its own.
fn tool(of: &wire::ContractOf) -> String {
    match of.tool.as_str() {
        "" => "(the server)".to_owned(),
        name => visible(name),
    }
}

fn of(which: &cli::WhichContract) -> wire::ContractOf {
    wire::ContractOf {
        server: which.server.to_string(),
        tool: match which.tool.as_str() {
            "." => String::new(),
            name => name.to_owned(),
        },
        class: which.class.clone(),
    }
}

fn find(which: &cli::WhichContract) -> Result<wire::Contract, Failure> {
    let of = of(which);
    target::with_control(&which.node, async |client| Ok(client.contract(&of).await?))
}

fn show(which: &cli::WhichContract, out: &mut Out) -> Result<(), Failure> {
    let found = find(which)?;
    if out.is_json() {
        return out.json_pretty(&found);
    }
    facts(&found, out)?;
    let versions = [
        ("accepted", &found.accepted),
        ("waiting", &found.offered),
        ("before", &found.previous),
    ];
    for (name, version) in versions {
        let Some(version) = version else { continue };
        out.line(&format!("\n{name} {}", version.digest))?;
        let pretty = serde_json::from_str::<serde_json::Value>(&version.definition)
            .and_then(|value| serde_json::to_string_pretty(&value))
            .unwrap_or_else(|_| version.definition.clone());
        for line in pretty.lines() {
            out.line(&format!("  {}", visible(line)))?;
        }
        for hit in &version.hits {
            out.line(&format!("  ! {} at {}", hit.rule, visible(&hit.place)))?;
        }
    }
    Ok(())
}

fn facts(found: &wire::Contract, out: &mut Out) -> Result<(), Failure> {
    let row = &found.row;
    let mut facts = vec![
        ("server", visible(&row.of.server)),
        ("tool", tool(&row.of)),
        ("class", visible(&row.of.class)),
        ("state", row.state.clone()),
        ("since", row.at.to_string()),
    ];
    if row.removed {
        facts.push(("gone", "the server does not list it".to_owned()));
    }
    if !row.classes.is_empty() {
        facts.push(("changed in", row.classes.join(" ")));
    }
    if let Some(by) = &row.by {
        facts.push(("decided by", visible(by)));
    }
    if let Some(reason) = &row.reason {
        facts.push(("because", visible(reason)));
    }
    facts.push(("digest", row.digest.clone()));
    for (name, value) in facts {
        out.line(&format!("{name:<11}{value}"))?;
    }
    Ok(())
}

fn diff(which: &cli::WhichContract, out: &mut Out) -> Result<(), Failure> {
    let found = find(which)?;
    if out.is_json() {
        return out.json_pretty(&json!({
            "contract": found.row,
            "differences": found.differences,
        }));
    }
    facts(&found, out)?;
    if found.differences.is_empty() {
        let why = match (&found.offered, &found.accepted) {
            (Some(_), None) => "nothing was accepted before: `airside contracts show`",
            _ => "there is one definition only",
        };
        return out.line(&format!("\n{why}"));
    }
    for change in &found.differences {
        out.line(&format!("\n@ {}", visible(&change.path)))?;
        for (sign, value) in [('-', &change.before), ('+', &change.after)] {
            if let Some(value) = value {
                out.line(&format!("{sign} {}", cut(&visible(value), MAX_SHOWN)))?;
            }
        }
    }
    let newest = found.offered.as_ref().or(found.accepted.as_ref());
    for hit in newest.into_iter().flat_map(|version| &version.hits) {
        out.line(&format!("\n! {} at {}", hit.rule, visible(&hit.place)))?;
    }
    if found.row.state != "accepted" {
        out.line(&format!(
            "\nto accept exactly this: airside contracts accept {} {} --digest {} --reason …",
            visible(&found.row.of.server),
            match found.row.of.tool.as_str() {
                "" => ".".to_owned(),
                name => visible(name),
            },
            found.row.digest.chars().take(SHORT).collect::<String>()
        ))?;
    }
    Ok(())
}

fn decide(
    args: &cli::ContractDecision,
    verdict: wire::ContractVerdict,
    out: &mut Out,
) -> Result<(), Failure> {
    let of = of(&args.which);
    let row = target::with_control(&args.which.node, async |client| {
        let digest = match (&args.digest, verdict) {
            (_, wire::ContractVerdict::Quarantine) => None,
            // The short form is what lists show; the node is told all of it.
            (Some(digest), _) => {
                let now = client.contract(&of).await?.row.digest;
                match digest.len() >= SHORT && now.starts_with(digest.as_str()) {
                    true => Some(now),
                    false => return Err(other(digest, &now)),
                }
            }
            (None, _) => return Err(unnamed()),
        };
        let decision = wire::ContractDecision {
            of: of.clone(),
            verdict,
            digest,
            reason: args.reason.clone(),
        };
        Ok(client.decide_contract(&decision).await?)
    })?;
    if out.is_json() {
        return out.json_pretty(&row);
    }
    out.line(&format!(
        "{} {} {}: {}",
        visible(&row.of.server),
        tool(&row.of),
        row.digest.chars().take(SHORT).collect::<String>(),
        row.state
    ))
}

fn other(digest: &str, now: &str) -> Failure {
    let fault = Fault::new(
        Kind::Conflict,
        "CLI-050",
        format!("the server says something else: {now}, not {digest}"),
    );
    Failure::new(
        Exit::Refused,
        fault.with_hint("look at it with `airside contracts diff`, and name at least 12 digits"),
    )
}

fn unnamed() -> Failure {
    let fault = Fault::new(
        Kind::Invalid,
        "CLI-051",
        "the digest of the definition that was looked at is needed",
    );
    Failure::new(
        Exit::Usage,
        fault.with_hint("`airside contracts diff` shows it; pass it with --digest"),
    )
}
