//! Makes keys for callers.

use airside_base::{Fault, Kind, TenantId};
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
    } = args;
    let minted = mint();
    check(name, groups, tenant, minted.sha256)?;
    let mut block = format!(
        "[[identity.api-key]]\nname = \"{name}\"\nsha256 = \"{}\"\n",
        minted.sha256
    );
    if *tenant != TenantId::default() {
        block.push_str(&format!("tenant = \"{tenant}\"\n"));
    }
    if !groups.is_empty() {
        let list: Vec<String> = groups.iter().map(|group| format!("\"{group}\"")).collect();
        block.push_str(&format!("groups = [{}]\n", list.join(", ")));
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
        anonymous_loopback: false,
        api_key: vec![ApiKeyConfig {
            name: name.to_owned(),
            sha256,
            tenant: tenant.clone(),
            groups: groups.to_vec(),
            not_after: None,
        }],
    };
    config.check().map_err(|error| {
        let fault = Fault::new(Kind::Invalid, "CLI-018", error.to_string());
        Failure::new(Exit::Usage, fault.with_hint("choose another name"))
    })
}
