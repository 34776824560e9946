//! `airside approvals …`.

use airside_api::approvals::{Approval, Decide};

use crate::{
    cli,
    failure::Failure,
    output::{Align, Out, table},
    target,
    text::printable,
};

/// Runs `airside approvals …`.
pub(crate) fn run(args: &cli::Approvals, out: &mut Out) -> Result<(), Failure> {
    match args {
        cli::Approvals::List(list) => show(list, out),
        cli::Approvals::Approve(decide) => settle(decide, true, out),
        cli::Approvals::Deny(decide) => settle(decide, false, out),
    }
}

fn show(args: &cli::ApprovalsList, out: &mut Out) -> Result<(), Failure> {
    let (tenant, all) = (&args.chain.tenant, args.all);
    let found = target::with_control(&args.node, async |client| {
        Ok(client.approvals(tenant, all).await?)
    })?;
    if out.is_json() {
        return out.json_pretty(&found);
    }
    if found.approvals.is_empty() {
        return out.line("nothing waits for an approval");
    }
    let rows: Vec<Vec<String>> = found.approvals.iter().map(row).collect();
    let headings = [
        ("ID", Align::Left),
        ("STATE", Align::Left),
        ("ASKED", Align::Left),
        ("CALLER", Align::Left),
        ("WHAT", Align::Left),
        ("ARGUMENTS", Align::Left),
        ("WHY", Align::Left),
        ("ENDS", Align::Left),
    ];
    out.line(&table(&headings, &rows))
}

fn row(approval: &Approval) -> Vec<String> {
    let name = match approval.name.as_str() {
        "" => &approval.method,
        name => name,
    };
    let shown = approval.shown.iter();
    let mut shown: Vec<_> = shown
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let digest: String = approval.arguments_sha256.chars().take(12).collect();
    shown.push(format!("sha256:{digest}"));
    let why = match &approval.hint {
        Some(hint) => format!("{}: {hint}", approval.policies.join(", ")),
        None => approval.policies.join(", "),
    };
    [
        approval.id.as_str(),
        &approval.state,
        &approval.asked,
        &approval.caller,
        &format!("{}/{name}", approval.server),
        &shown.join(" "),
        &why,
        &format!("{:.0}", approval.expires),
    ]
    .map(printable)
    .to_vec()
}

fn settle(args: &cli::ApprovalsDecide, approve: bool, out: &mut Out) -> Result<(), Failure> {
    let decide = Decide {
        tenant: args.chain.tenant.clone(),
        id: args.id.clone(),
        approve,
        reason: args.reason.clone(),
    };
    let decided = target::with_control(&args.node, async |client| {
        Ok(client.decide_approval(&decide).await?)
    })?;
    if out.is_json() {
        return out.json_pretty(&decided);
    }
    let what = match approve {
        true => "may happen once, if the caller repeats it in time",
        false => "stays refused",
    };
    out.line(&printable(&format!(
        "{}: {} of {} {what} (until {:.0})",
        decided.state,
        match decided.name.as_str() {
            "" => decided.method.as_str(),
            name => name,
        },
        decided.caller,
        decided.expires
    )))
}
