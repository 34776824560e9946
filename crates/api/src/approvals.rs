//! Calls that wait for the agreement of an operator.

use airside_base::{TenantId, Timestamp};
use axum::{
    Extension,
    body::Body,
    extract::State as Extract,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    State,
    asked::{self, Asked},
    fault::Answer,
    role::Actor,
    router::json,
};

/// Most approvals in one answer.
pub const MOST: usize = 1_000;
/// Largest body.
const MAX_BODY: usize = 16 << 10;

/// Which approvals.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default)]
    tenant: TenantId,
    /// Also those that were decided and have not ended.
    #[serde(default)]
    all: bool,
}

/// A page of approvals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvals {
    /// By their id.
    pub approvals: Vec<Approval>,
}

/// A question about one exact call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: String,
    /// `open`, `approved` or `denied`.
    pub state: String,
    /// Who has to agree: `client` (or an operator for it) or `operator`.
    pub asked: String,
    /// Kind and id of the caller.
    pub caller: String,
    /// The upstream server.
    pub server: String,
    /// The method.
    pub method: String,
    /// The tool or prompt; empty for a resource, whose address may be personal.
    pub name: String,
    /// SHA-256 of the canonical arguments.
    pub arguments_sha256: String,
    /// Arguments that may stand in the ledger, with their names.
    pub shown: Vec<(String, String)>,
    /// Version of the policies.
    pub policy: String,
    /// The policies that ask.
    pub policies: Vec<String>,
    /// What they tell the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// When it ends; then the answer is no.
    pub expires: Timestamp,
}

/// A decision about an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// Tenant of the caller.
    #[serde(default)]
    pub tenant: TenantId,
    /// Id of the approval.
    pub id: String,
    /// Whether the call may happen, once.
    pub approve: bool,
    /// Why. It is recorded in clear and for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

pub(crate) async fn list(Extract(state): Extract<State>, Asked(wanted): Asked<Wanted>) -> Response {
    match state.node.approvals(wanted.tenant, wanted.all).await {
        Ok(approvals) => json(&Approvals { approvals }),
        Err(refused) => Answer(refused).into_response(),
    }
}

pub(crate) async fn decide(
    Extract(state): Extract<State>,
    Extension(Actor(by)): Extension<Actor>,
    body: Body,
) -> Result<Response, Answer> {
    let decide: Decide = asked::document(body, MAX_BODY).await?;
    Ok(asked::answer(state.node.decide_approval(decide, by).await))
}
