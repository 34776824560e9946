//! Evaluations. What is recorded and answered belongs to the feature; the node hands it on.

use airside_base::TenantId;
use axum::{
    Extension,
    body::Body,
    extract::{Query, State as Extract, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use crate::{
    State,
    fault::{self, Answer},
    role::Actor,
    router::json,
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

pub(crate) async fn list(
    Extract(state): Extract<State>,
    asked: Result<Query<Scope>, QueryRejection>,
) -> Response {
    let scope = match asked {
        Ok(Query(scope)) => scope,
        Err(rejected) => return fault::bad_query(&rejected.body_text()).into_response(),
    };
    match state.node.evals(scope.tenant).await {
        Ok(answer) => json(&answer),
        Err(refused) => Answer(refused).into_response(),
    }
}

pub(crate) async fn record(
    Extract(state): Extract<State>,
    Extension(Actor(by)): Extension<Actor>,
    asked: Result<Query<Scope>, QueryRejection>,
    body: Body,
) -> Response {
    let scope = match asked {
        Ok(Query(scope)) => scope,
        Err(rejected) => return fault::bad_query(&rejected.body_text()).into_response(),
    };
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BODY_BYTES).await else {
        return fault::bad_body("it is too large").into_response();
    };
    match state.node.record_eval(scope.tenant, by, bytes).await {
        Ok(answer) => json(&answer),
        Err(refused) => Answer(refused).into_response(),
    }
}
