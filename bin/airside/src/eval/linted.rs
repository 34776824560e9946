//! `airside eval lint`: what is wrong with what tools say of themselves.

use airside_base::{Fault, Kind};
use airside_evals::{
    lint::{Finding, Limits, RULES, Weight, lint, requests},
    runner,
    toolbox::{Server, Stage as _},
};

use crate::{
    cli::eval::Lint,
    endpoint,
    failure::{Exit, Failure},
    output::{Align, Out, table},
    scan::sarif,
    target::block_on,
    text::printable,
};

/// Looks at the tools of an endpoint.
pub(super) fn run(args: &Lint, out: &mut Out) -> Result<(), Failure> {
    let asked = match &args.suite {
        Some(suite) => requests(&super::suite::load(suite)?),
        None => Vec::new(),
    };
    let before = args
        .before
        .as_deref()
        .map(runner::tools)
        .transpose()
        .map_err(super::run::kept)?;
    let mut target = args.target.clone();
    target.url = args.endpoint.clone().or(target.url);
    let tools = block_on(async {
        let (url, headers) = endpoint::address(&target).await?;
        let timeout = std::time::Duration::from_secs(target.timeout);
        let era = airside_mcp::client::Choice::Auto;
        let server = Server::connect(&url, era, headers, timeout).await;
        let server = server.map_err(|error| endpoint::failure(&error))?;
        let tools = server.tools().to_vec();
        Box::new(server).close().await;
        Ok(tools)
    })?;
    let limits = Limits {
        requests: args.min_requests,
        tokens: args.max_tokens,
        ..Limits::default()
    };
    let mut found = lint(&tools, before.as_deref(), &asked, &limits);
    found.sort_by(|a, b| (b.weight, a.rule, &a.tool).cmp(&(a.weight, b.rule, &b.tool)));
    match (args.sarif, out.is_json()) {
        (true, _) => {
            let scanned: Vec<_> = found.iter().map(Finding::scanned).collect();
            out.json_pretty(&sarif::document(&scanned, &RULES))?;
        }
        (false, true) => out.json_pretty(&found)?,
        (false, false) => show(&found, out)?,
    }
    let errors = found
        .iter()
        .filter(|one| one.weight == Weight::Error)
        .count();
    match errors {
        0 => Ok(()),
        count => {
            let text = format!("{count} tools are likely to be taken for others");
            let fault = Fault::new(Kind::Conflict, "EVL-035", text);
            let hint = "words alone do not decide: run the cases of these tools first";
            Err(Failure::new(Exit::Failed, fault.with_hint(hint)))
        }
    }
}

fn show(found: &[Finding], out: &mut Out) -> Result<(), Failure> {
    if found.is_empty() {
        return out
            .line("nothing is wrong with the words of the tools (lexical, not model behaviour)");
    }
    let headings = [
        ("WEIGHT", Align::Left),
        ("RULE", Align::Left),
        ("TOOL", Align::Left),
        ("WHAT", Align::Left),
    ];
    let row = |one: &Finding| {
        let weight = match one.weight {
            Weight::Note => "note",
            Weight::Warning => "warning",
            Weight::Error => "error",
        };
        let (tool, what) = (printable(&one.tool), printable(&one.message));
        vec![weight.to_owned(), one.rule.to_owned(), tool, what]
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    out.line(&table(&headings, &rows))?;
    out.line("lexical, not model behaviour")
}
