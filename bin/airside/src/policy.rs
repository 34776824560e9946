//! `airside policy …`.

mod explain;
mod simulate;

use std::path::PathBuf;

use airside_config::{self as config, Problems};
use airside_gateway::config::Tool;
use airside_policy::{Known, Policies};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::Out,
    text::printable,
};

/// Runs `airside policy …`.
pub(crate) fn run(args: &cli::Policy, out: &mut Out) -> Result<(), Failure> {
    match args {
        cli::Policy::Check(files) => check(files, out),
        cli::Policy::Explain(call) => explain::run(call, out),
        cli::Policy::Simulate(period) => simulate::run(period, out),
    }
}

/// Policies with what they can speak of.
struct Chosen {
    policies: Policies,
    known: Known,
    tools: Vec<Tool>,
}

/// Loads the policies of `files`, else those of the configuration, else the shipped ones.
fn load(files: &[PathBuf], config: Option<&PathBuf>) -> Result<Chosen, Failure> {
    let refused = |problems: Problems| Failure::rendered(Exit::Config, problems);
    let loaded = config
        .map(|file| config::load(file))
        .transpose()
        .map_err(refused)?;
    let (settings, known, tools) = match &loaded {
        None => Default::default(),
        Some(loaded) => {
            let config = &loaded.config;
            let servers = config.upstream.iter().map(|upstream| upstream.name.clone());
            let known = Known {
                servers: servers.collect(),
            };
            (
                config.policy.settings(&config.tool),
                known,
                config.tool.clone(),
            )
        }
    };
    let policies = match loaded {
        Some(loaded) if files.is_empty() => loaded.policies,
        _ => config::policies(files, &settings).map_err(refused)?,
    };
    Ok(Chosen {
        policies,
        known,
        tools,
    })
}

fn check(args: &cli::PolicyFiles, out: &mut Out) -> Result<(), Failure> {
    let chosen = load(&args.files, args.config.as_ref())?;
    let remarks = chosen.policies.remarks(&chosen.known);
    let (count, version) = (chosen.policies.count(), chosen.policies.version());
    if out.is_json() {
        let remarks: Vec<_> = remarks
            .iter()
            .map(|remark| {
                let place = remark.place.as_ref().map(ToString::to_string);
                json!({ "id": remark.id, "place": place, "remark": remark.text })
            })
            .collect();
        let told = json!({ "ok": true, "rules": count, "version": version, "remarks": remarks });
        return out.json_pretty(&told);
    }
    for remark in &remarks {
        let place = remark
            .place
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let text = format!("{place}: `{}`: {}", remark.id, remark.text);
        out.line(&format!("warning: {}", printable(&text)))?;
    }
    let plural = if count == 1 { "" } else { "s" };
    out.line(&format!("good: {count} rule{plural}, version {version}"))
}
