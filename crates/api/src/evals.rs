//! Evaluations. What is recorded and answered belongs to the feature; the node hands it on.

use airside_base::TenantId;
use axum::{Extension, body::Body, extract::State as Extract, response::Response};
use serde::Deserialize;

use crate::{
    State,
    asked::{self, Asked},
    fault::Answer,
    role::Actor,
};

/// Largest body: the results of one run.
pub(crate) const MAX_BODY_BYTES: usize = 1 << 20;

/// Whose evaluations.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    #[serde(default)]
    tenant: TenantId,
}

pub(crate) async fn list(Extract(state): Extract<State>, Asked(scope): Asked<Scope>) -> Response {
    asked::answer(state.node.evals(scope.tenant).await)
}

pub(crate) async fn record(
    Extract(state): Extract<State>,
    Extension(Actor(by)): Extension<Actor>,
    Asked(scope): Asked<Scope>,
    body: Body,
) -> Result<Response, Answer> {
    let bytes = asked::bytes(body, MAX_BODY_BYTES).await?;
    Ok(asked::answer(
        state.node.record_eval(scope.tenant, by, bytes).await,
    ))
}
