//! `airside vulns plan`.

use airside_base::{Clock as _, SystemClock};
use airside_inventory::{
    decision::lane::Lane,
    plan::{Change, Left, plan},
    state::day,
};
use serde_json::json;

use crate::{cli::inventory::VulnsPlan, failure::Failure, output::Out, text::printable};

/// Runs `airside vulns plan`.
pub(super) fn run(args: &VulnsPlan, out: &mut Out) -> Result<(), Failure> {
    let state = crate::inventory::state(&args.node, args.at)?;
    let now = args.at.unwrap_or_else(|| SystemClock::new().now());
    let mut changes = plan(&state, now);
    changes.retain(|change| args.server.as_ref().is_none_or(|s| *s == change.server));
    if out.is_json() {
        return out.json_pretty(&json!({ "at": now, "changes": changes }));
    }
    if changes.is_empty() {
        return out.line("nothing to change");
    }
    for (number, change) in changes.iter().enumerate() {
        if number > 0 {
            out.line("")?;
        }
        for line in lines(change) {
            out.line(&printable(&line))?;
        }
    }
    Ok(())
}

fn lines(change: &Change) -> Vec<String> {
    let name = [&change.server, &change.version, &change.region];
    let name: Vec<&str> = name
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    let ends: usize = change.steps.iter().map(|step| step.closes.len()).sum();
    let mut head = format!("{}: {}", name.join(" "), when(change.lane));
    if let Some(due) = change.due {
        head.push_str(&format!(", due {}", day(due)));
    }
    if let Some(spare_s) = change.spare_s {
        head.push_str(&format!(", {} h before that", spare_s / 3600));
    }
    let mut lines = vec![head];
    for step in &change.steps {
        let closes: Vec<String> = step.closes.iter().map(finding).collect();
        let (package, from, to, how) = (&step.package, &step.from, &step.to, step.how.words());
        lines.push(format!("  {package} {from} → {to}: {how}"));
        lines.push(format!(
            "    {}: ends {}",
            step.lane.name(),
            closes.join(", ")
        ));
    }
    for left in &change.without_fix {
        let by = left.mitigate_by.map(day);
        let kept = match (&left.mitigation, by) {
            (Some(_), _) | (None, None) => String::new(),
            (None, Some(by)) => format!("; keep attackers away by {by}: `airside vulns mitigate`"),
        };
        lines.push(format!(
            "  {}: no known version ends {}{kept}",
            left.package,
            finding(left)
        ));
    }
    let mut sum = format!("  {} upgrades end {ends} findings", change.steps.len());
    if !change.without_fix.is_empty() {
        sum.push_str(&format!(", {} stay", change.without_fix.len()));
    }
    if change.taken_on > 0 {
        sum.push_str(&format!(", {} are taken on for now", change.taken_on));
    }
    lines.push(sum);
    lines
}

fn finding(left: &Left) -> String {
    let mitigated = left.mitigation.as_ref();
    let mitigated = mitigated.map_or(String::new(), |what| format!(", mitigated: {what}"));
    format!("{} ({}{mitigated})", left.vulnerability, left.finding)
}

fn when(lane: Lane) -> String {
    match lane {
        Lane::Emergency => "emergency change, at once".to_owned(),
        Lane::OutOfCycle => "out of cycle, no window leaves time to soak".to_owned(),
        Lane::Window { start, end } => format!("window from {start:.0} to {end:.0}"),
        Lane::NextUpgrade => "with the next upgrade".to_owned(),
    }
}
