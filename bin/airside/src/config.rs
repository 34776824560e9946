//! `airside config …`.

use std::path::Path;

use airside_config as config;
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::Out,
    target,
};

/// Runs `airside config …`.
pub(crate) fn run(args: &cli::Config, out: &mut Out) -> Result<(), Failure> {
    match args {
        cli::Config::Check { file } => check(file, out),
        cli::Config::Schema { markdown: true } => out.raw(&config::page()),
        cli::Config::Schema { markdown: false } => out.raw(&config::schema()),
        cli::Config::Reload(node) => reload(node, out),
    }
}

fn check(file: &Path, out: &mut Out) -> Result<(), Failure> {
    let loaded =
        config::load(file).map_err(|problems| Failure::rendered(Exit::Config, problems))?;
    let digest = loaded.digest.to_string();
    if out.is_json() {
        return out.json_pretty(&json!({ "file": file, "ok": true, "digest": digest }));
    }
    let config = &loaded.config;
    out.line(&format!(
        "{} is good: {} at {}, {}",
        file.display(),
        count(config.endpoint.len(), "endpoint"),
        config.listen.address,
        count(config.upstream.len(), "upstream"),
    ))
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn reload(args: &cli::NodeArgs, out: &mut Out) -> Result<(), Failure> {
    let reloaded = target::with_control(args, async |client| Ok(client.reload().await?))?;
    if out.is_json() {
        return out.json_pretty(&reloaded);
    }
    let what = if reloaded.changed {
        "now in use"
    } else {
        "unchanged"
    };
    out.line(&format!("configuration {} {what}", &reloaded.digest))
}
