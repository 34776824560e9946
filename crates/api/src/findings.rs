//! What persons decide about findings of the inventory.

use axum::{
    Extension,
    body::Body,
    extract::State as Extract,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    State,
    fault::{self, Answer},
    role::Actor,
    router::json,
};

/// Largest body.
const MAX_BODY: usize = 16 << 10;
/// Longest reason, in bytes.
const MAX_REASON: usize = 1_000;

/// A decision about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decide {
    /// Id of the finding.
    pub finding: String,
    /// What is decided.
    pub verdict: Verdict,
    /// Why. It is recorded in clear and for ever.
    pub reason: String,
    /// Last day of an extension or an exception, such as `2026-12-24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What keeps attackers away: `block-tool`, `quarantine-server`, `deny-egress` or
    /// `force-approval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<String>,
}

/// What can be decided about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may take longer.
    Extend,
    /// Somebody takes the risk on for a while.
    Except,
    /// Attackers are kept away.
    Mitigate,
    /// They are no longer kept away.
    Expose,
}

pub(crate) async fn decide(
    Extract(state): Extract<State>,
    Extension(Actor(by)): Extension<Actor>,
    body: Body,
) -> Response {
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BODY).await else {
        return fault::bad_body("it is too large").into_response();
    };
    let decide: Decide = match serde_json::from_slice(&bytes) {
        Ok(decide) => decide,
        Err(error) => return fault::bad_body(&error.to_string()).into_response(),
    };
    let reason = decide.reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
        let problem = "`reason` is one line of at most 1,000 bytes";
        return fault::bad_body(problem).into_response();
    }
    match state.node.decide_finding(decide, by).await {
        Ok(()) => json(&serde_json::json!({ "decided": true })),
        Err(refused) => Answer(refused).into_response(),
    }
}
