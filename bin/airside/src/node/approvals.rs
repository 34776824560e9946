//! Approvals as the control API tells them.

use airside_api::approvals::{Approval, Decide, MOST};
use airside_base::{Fault, TenantId, Timestamp};
use airside_gateway::approval::{Decision, Desk, Document};

/// Returns what waits for an agreement.
pub(super) async fn list(desk: Desk, tenant: TenantId, all: bool) -> Result<Vec<Approval>, Fault> {
    let found = desk.list(&tenant, all, MOST).await;
    let found = found.map_err(|error| error.fault())?;
    Ok(found.into_iter().map(|(id, row)| told(id, row)).collect())
}

/// Decides in the name of `by`.
pub(super) async fn decide(desk: Desk, decide: Decide, by: String) -> Result<Approval, Fault> {
    let decision = match decide.approve {
        true => Decision::Approved,
        false => Decision::Denied,
    };
    let reason = (by.as_str(), decide.reason.as_deref());
    let decided = desk
        .decide(&decide.tenant, &decide.id, decision, reason)
        .await;
    decided
        .map(|row| told(decide.id, row))
        .map_err(|error| error.fault())
}

fn told(id: String, row: Document) -> Approval {
    let question = row.question;
    Approval {
        id,
        state: row.state.as_str().to_owned(),
        asked: question.asked,
        caller: format!("{}/{}", question.kind, question.caller),
        server: question.server,
        method: question.method,
        name: question.name,
        arguments_sha256: question.arguments_sha256,
        shown: question.shown,
        policy: question.policy,
        policies: question.policies,
        hint: question.hint,
        expires: Timestamp::from_microsecond(row.expires_us).unwrap_or(Timestamp::MAX),
    }
}
