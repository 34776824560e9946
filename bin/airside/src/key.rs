//! Makes keys for callers.

use std::time::Duration;

use airside_base::{Clock as _, Fault, Kind, SystemClock, TenantId, Timestamp};
use airside_identity::{ApiKeyConfig, Config, mint};
use serde_json::json;

use crate::{
    cli,
    failure::{Exit, Failure},
    output::Out,
};

/// Runs `airside key …`.
pub(crate) fn run(args: &cli::Key, out: &mut Out) -> Result<(), Failure> {
    let cli::Key::New {
        name,
        groups,
        tenant,
        upstream,
        days,
    } = args;
    let minted = mint();
    let (kind, what) = match upstream {
        Some(_) => ("control.upstream", "upstream"),
        None => ("identity.api-key", "name"),
    };
    let server = upstream.as_ref().map(ToString::to_string);
    let name = server.or_else(|| name.clone()).unwrap_or_default();
    check(&name, groups, tenant, minted.sha256)?;
    let mut block = format!(
        "[[{kind}]]\n{what} = \"{name}\"\nsha256 = \"{}\"\n",
        minted.sha256
    );
    if *tenant != TenantId::default() {
        block.push_str(&format!("tenant = \"{tenant}\"\n"));
    }
    if !groups.is_empty() {
        let list: Vec<String> = groups.iter().map(|group| format!("\"{group}\"")).collect();
        block.push_str(&format!("groups = [{}]\n", list.join(", ")));
    }
    if let Some(days) = days {
        let end = SystemClock::new().now();
        let end = end.checked_add(Duration::from_secs(u64::from(*days) * 86_400));
        let end = end.unwrap_or(Timestamp::MAX);
        block.push_str(&format!("not-after = \"{end:.0}\"\n"));
    }
    let secret = minted.secret.expose();
    if out.is_json() {
        return out.json_pretty(&json!({
            "key": secret,
            "name": name,
            "sha256": minted.sha256.to_string(),
            "toml": block,
        }));
    }
    out.line(&format!(
        "key (shown once, keep it like a password):\n\n  {secret}\n"
    ))?;
    out.line("for the configuration file:\n")?;
    out.raw(&block)
}

/// Refuses what the configuration would refuse, before somebody has the key.
fn check(
    name: &str,
    groups: &[String],
    tenant: &TenantId,
    sha256: airside_identity::Digest,
) -> Result<(), Failure> {
    let config = Config {
        api_key: vec![ApiKeyConfig {
            name: name.to_owned(),
            sha256,
            tenant: tenant.clone(),
            groups: groups.to_vec(),
            not_after: None,
        }],
        ..Config::default()
    };
    config.check().map_err(|error| {
        let fault = Fault::new(Kind::Invalid, "CLI-018", error.to_string());
        Failure::new(Exit::Usage, fault.with_hint("choose another name"))
    })
}
