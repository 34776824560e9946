//! How far callers are in their limits.

use axum::{
    body::Body,
    extract::{Query, State as Extract, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};

use crate::{
    State,
    fault::{self, Answer},
    router::json,
};

/// Most keys in one answer.
const MAX_KEYS: usize = 1_000;
/// Largest body.
const MAX_BODY: usize = 16 << 10;
/// Longest reason, in bytes.
const MAX_REASON: usize = 1_000;

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

pub(crate) async fn list(
    Extract(state): Extract<State>,
    asked: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    match asked {
        Ok(Query(wanted)) => json(&state.node.limits(wanted.most.min(MAX_KEYS))),
        Err(rejected) => fault::bad_query(&rejected.body_text()).into_response(),
    }
}

pub(crate) async fn reset(Extract(state): Extract<State>, body: Body) -> Response {
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BODY).await else {
        return fault::bad_body("it is too large").into_response();
    };
    let reset: Reset = match serde_json::from_slice(&bytes) {
        Ok(reset) => reset,
        Err(error) => return fault::bad_body(&error.to_string()).into_response(),
    };
    let reason = reset.reason.trim();
    if reason.is_empty() || reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
        let problem = "`reason` is one line of at most 1,000 bytes";
        return fault::bad_body(problem).into_response();
    }
    match state.node.reset_limit(reset).await {
        Ok(()) => json(&serde_json::json!({ "reset": true })),
        Err(refused) => Answer(refused).into_response(),
    }
}
