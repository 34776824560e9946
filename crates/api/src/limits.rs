//! How far callers are in their limits.

use axum::{body::Body, extract::State as Extract, response::Response};
use serde::{Deserialize, Serialize};

use crate::{
    State,
    asked::{self, Asked},
    fault::Answer,
    router::json,
};

/// Most keys in one answer.
const MAX_KEYS: usize = 1_000;
/// Largest body.
const MAX_BODY: usize = 16 << 10;

/// How far the keys are that are nearest to their limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Where is counted: `memory`, `shared`, or `away` while the shared store cannot be
    /// asked.
    pub store: String,
    /// The furthest first.
    pub keys: Vec<Usage>,
}

/// How far one key is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Name of the limit.
    pub limit: String,
    /// `rate`, `concurrent`, `quota` or `look-to-book`.
    pub kind: String,
    /// The key; empty where all calls share one budget.
    pub key: String,
    /// Units that are used.
    pub used: u64,
    /// Units there are at most.
    pub most: u64,
    /// Until all are back, in seconds.
    pub reset_s: u64,
}

/// A key that is to have all its units again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Name of the limit.
    pub limit: String,
    /// The key, as it is listed.
    #[serde(default)]
    pub key: String,
    /// Why. It is recorded.
    pub reason: String,
}

/// How many keys are wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    #[serde(default = "most")]
    most: usize,
}

const fn most() -> usize {
    100
}

pub(crate) async fn list(Extract(state): Extract<State>, Asked(wanted): Asked<Wanted>) -> Response {
    json(&state.node.limits(wanted.most.min(MAX_KEYS)))
}

pub(crate) async fn reset(Extract(state): Extract<State>, body: Body) -> Result<Response, Answer> {
    let reset: Reset = asked::document(body, MAX_BODY).await?;
    asked::reason(&reset.reason)?;
    let told = state.node.reset_limit(reset).await;
    Ok(asked::answer(
        told.map(|()| serde_json::json!({ "reset": true })),
    ))
}
