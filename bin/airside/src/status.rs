//! `airside status`.

use crate::{cli, failure::Failure, output::Out, target, text::printable};

/// Shows the state of a running node.
pub(crate) fn run(args: &cli::NodeArgs, out: &mut Out) -> Result<(), Failure> {
    let status = target::with_control(args, async |client| Ok(client.status().await?))?;
    if out.is_json() {
        return out.json_pretty(&status);
    }
    let mut facts = vec![
        ("node", status.node),
        ("version", status.version),
        ("process", status.pid.to_string()),
        ("started", format!("{:.0}", status.started)),
        ("data folder", status.data_dir),
        ("configuration", status.config_digest),
        ("seal key", status.seal_key),
    ];
    if let Some(nice) = status.writer_nice {
        let raised = if nice < 0 { "raised" } else { "not raised" };
        facts.push(("ledger writer", format!("priority {raised} (nice {nice})")));
    }
    if let (held @ 1.., changed) = (status.prices.held, status.prices.changed) {
        let share = changed * 100 / held;
        facts.push((
            "prices",
            format!("{changed} of {held} had changed when rooms were held ({share} %)"),
        ));
    }
    for endpoint in status.endpoints {
        let behind = endpoint.upstreams.join(", ");
        facts.push(("endpoint", format!("{} → {behind}", endpoint.url)));
    }
    for upstream in status.upstreams {
        let state = format!(
            "{} ({}, circuit {})",
            upstream.name, upstream.kind, upstream.state
        );
        facts.push(("upstream", state));
    }
    if let Some(control) = status.control {
        facts.push(("control", control.to_string()));
    }
    for (name, value) in facts {
        out.line(&format!("{name:<14} {}", printable(&value)))?;
    }
    Ok(())
}
