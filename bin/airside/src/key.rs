//! Makes, replaces and lists keys of callers.
//!
//! # Invariants
//!
//! * A secret is printed once, by the command that makes it, and written nowhere.
//! * What is printed for the configuration file passes its checks.

use std::{path::Path, time::Duration};

use airside_base::{Clock as _, Fault, Kind, SystemClock, TenantId, Timestamp};
use airside_config::{self as config, Config as File};
use airside_identity::{ApiKeyConfig, Config, Minted, PreviousKeyConfig, mint};
use serde::Serialize;
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::{Align, Out, table},
};

/// Life of a key that replaces one with an end, unless told otherwise.
const RENEWED_DAYS: u16 = 90;

/// Runs `airside key …`.
pub(crate) fn run(args: &cli::Key, out: &mut Out) -> Result<(), Failure> {
    match args {
        cli::Key::New {
            name,
            groups,
            tenant,
            upstream,
            days,
        } => {
            let minted = mint();
            let (kind, what) = match upstream {
                Some(_) => ("control.upstream", "upstream"),
                None => ("identity.api-key", "name"),
            };
            let server = upstream.as_ref().map(ToString::to_string);
            let key = ApiKeyConfig {
                name: server.or_else(|| name.clone()).unwrap_or_default(),
                sha256: minted.sha256,
                tenant: tenant.clone(),
                groups: groups.clone(),
                not_after: days.map(|days| after(u64::from(days) * 24)),
                previous: Vec::new(),
            };
            check(&key)?;
            let block = block(kind, what, &key);
            print(&minted, &key, &block, "for the configuration file", out)
        }
        cli::Key::Rotate(args) => rotate(args, out),
        cli::Key::List { config } => list(config, out),
    }
}

fn load(file: &Path) -> Result<File, Failure> {
    let loaded = config::load(file);
    let loaded = loaded.map_err(|problems| Failure::rendered(Exit::Config, problems))?;
    Ok(loaded.config)
}

fn rotate(args: &cli::KeyRotate, out: &mut Out) -> Result<(), Failure> {
    let config = load(&args.config)?;
    let mut keys = config.identity.api_key.into_iter();
    let old = keys.find(|key| key.name == args.name && key.tenant == args.tenant);
    let old = old.ok_or_else(|| {
        let text = format!(
            "{} has no API key named `{}` of tenant `{}`",
            args.config.display(),
            args.name.escape_debug(),
            args.tenant
        );
        let fault = Fault::new(Kind::Invalid, "CLI-033", text);
        Failure::new(
            Exit::Usage,
            fault.with_hint("see `airside key list`, or make one with `airside key new`"),
        )
    })?;
    let (now, minted) = (SystemClock::new().now(), mint());
    // What had an end does not get rid of it by being replaced.
    let days = args.days.or(old.not_after.map(|_| RENEWED_DAYS));
    let not_after = days.map(|days| after(u64::from(days) * 24));
    let overlap = after(u64::from(args.overlap_hours));
    // A key is not given a longer life by being replaced, nor outlives the new one.
    let end = [old.not_after, not_after]
        .into_iter()
        .flatten()
        .fold(overlap, Timestamp::min);
    let replaced = PreviousKeyConfig {
        sha256: old.sha256,
        not_after: end,
    };
    let earlier = old.previous.into_iter().filter(|key| key.not_after > now);
    let earlier = earlier.map(|key| PreviousKeyConfig {
        not_after: not_after.map_or(key.not_after, |end| end.min(key.not_after)),
        ..key
    });
    let key = ApiKeyConfig {
        sha256: minted.sha256,
        not_after,
        previous: std::iter::once(replaced).chain(earlier).collect(),
        ..old
    };
    check(&key)?;
    let block = block("identity.api-key", "name", &key);
    let place = "in place of the block of this name in the configuration file";
    print(&minted, &key, &block, place, out)
}

/// Returns the moment `hours` from now.
fn after(hours: u64) -> Timestamp {
    let now = SystemClock::new().now();
    let end = now.checked_add(Duration::from_secs(hours * 3600));
    end.unwrap_or(Timestamp::MAX)
}

/// Returns the entry of `key` in a configuration file.
fn block(kind: &str, what: &str, key: &ApiKeyConfig) -> String {
    let mut block = format!(
        "[[{kind}]]\n{what} = \"{}\"\nsha256 = \"{}\"\n",
        key.name, key.sha256
    );
    if key.tenant != TenantId::default() {
        block.push_str(&format!("tenant = \"{}\"\n", key.tenant));
    }
    if !key.groups.is_empty() {
        let list: Vec<String> = key
            .groups
            .iter()
            .map(|name| format!("\"{name}\""))
            .collect();
        block.push_str(&format!("groups = [{}]\n", list.join(", ")));
    }
    if let Some(end) = key.not_after {
        block.push_str(&format!("not-after = \"{end:.0}\"\n"));
    }
    if !key.previous.is_empty() {
        block.push_str("previous = [\n");
        for key in &key.previous {
            let (sha256, end) = (key.sha256, key.not_after);
            block.push_str(&format!(
                "    {{ sha256 = \"{sha256}\", not-after = \"{end:.0}\" }},\n"
            ));
        }
        block.push_str("]\n");
    }
    block
}

fn print(
    minted: &Minted,
    key: &ApiKeyConfig,
    block: &str,
    place: &str,
    out: &mut Out,
) -> Result<(), Failure> {
    let secret = minted.secret.expose();
    if out.is_json() {
        return out.json_pretty(&json!({
            "key": secret,
            "name": key.name,
            "sha256": minted.sha256.to_string(),
            "toml": block,
        }));
    }
    out.line(&format!(
        "key (shown once, keep it like a password):\n\n  {secret}\n"
    ))?;
    out.line(&format!("{place}:\n"))?;
    out.raw(block)
}

/// Refuses what the configuration would refuse, before somebody has the key.
fn check(key: &ApiKeyConfig) -> Result<(), Failure> {
    let config = Config {
        api_key: vec![key.clone()],
        ..Config::default()
    };
    config.check().map_err(|error| match error {
        airside_identity::ConfigError::Previous { .. } => Failure::new(Exit::Usage, error.fault()),
        error => {
            let fault = Fault::new(Kind::Invalid, "CLI-018", error.to_string());
            Failure::new(Exit::Usage, fault.with_hint("choose another name"))
        }
    })
}

/// A key as it is listed.
#[derive(Serialize)]
struct Row {
    /// Of a caller or an upstream server.
    holder: &'static str,
    name: String,
    tenant: TenantId,
    /// The first eight digits of its SHA-256.
    key: String,
    groups: Vec<String>,
    state: &'static str,
    not_after: Option<Timestamp>,
}

fn list(file: &Path, out: &mut Out) -> Result<(), Failure> {
    let config = load(file)?;
    let now = SystemClock::new().now();
    let callers = config.identity.api_key.iter().cloned();
    let upstreams = config.control.upstream.iter().map(ApiKeyConfig::from);
    let holders = callers
        .map(|key| ("caller", key))
        .chain(upstreams.map(|key| ("upstream", key)));
    let rows: Vec<Row> = holders
        .flat_map(|(holder, key)| rows(holder, &key, now))
        .collect();
    if out.is_json() {
        return out.json_pretty(&rows);
    }
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    let headings = ["holder", "name", "tenant", "key", "groups", "state", "ends"];
    let headings = headings.map(|heading| (heading, Align::Left));
    out.line(&table(&headings, &cells))
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let ends = self.not_after.map(|end| format!("{end:.0}"));
        vec![
            self.holder.to_owned(),
            self.name.clone(),
            self.tenant.to_string(),
            self.key.clone(),
            self.groups.join(" "),
            self.state.to_owned(),
            ends.unwrap_or_else(|| "never".to_owned()),
        ]
    }
}

fn rows(holder: &'static str, key: &ApiKeyConfig, now: Timestamp) -> Vec<Row> {
    let row = |sha256: airside_identity::Digest, good, not_after: Option<Timestamp>| Row {
        holder,
        name: key.name.clone(),
        tenant: key.tenant.clone(),
        key: sha256.short(),
        groups: key.groups.clone(),
        state: match not_after {
            Some(end) if end < now => "expired",
            _ => good,
        },
        not_after,
    };
    let previous = key.previous.iter();
    let previous = previous.map(|old| row(old.sha256, "replaced", Some(old.not_after)));
    std::iter::once(row(key.sha256, "good", key.not_after))
        .chain(previous)
        .collect()
}
