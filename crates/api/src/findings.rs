//! What persons decide about findings of the inventory.

use axum::{Extension, body::Body, extract::State as Extract, response::Response};
use serde::{Deserialize, Serialize};

use crate::{State, asked, fault::Answer, role::Actor};

/// Largest body.
const MAX_BODY: usize = 16 << 10;

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
    /// The tool that `block-tool` or `force-approval` is about, by its server's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
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
) -> Result<Response, Answer> {
    let decide: Decide = asked::document(body, MAX_BODY).await?;
    asked::reason(&decide.reason)?;
    let told = state.node.decide_finding(decide, by).await;
    Ok(asked::answer(
        told.map(|()| serde_json::json!({ "decided": true })),
    ))
}
