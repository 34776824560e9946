//! Lots of sampled review. What is asked and answered belongs to the feature; the node
//! hands it on.

use airside_base::TenantId;
use axum::{
    body::Body,
    extract::{Query, State as Extract, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use crate::{
    State,
    fault::{self, Answer},
    router::json,
};

/// Largest body: the changes of one lot.
pub(crate) const MAX_BODY_BYTES: usize = 24 << 20;

/// Whose lots.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scope {
    #[serde(default)]
    tenant: TenantId,
}

/// How far a request may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It may read.
    Read,
    /// It may also change.
    Change,
}

/// Does what is asked, as far as `reach` goes.
pub(crate) async fn ask(
    reach: Reach,
    Extract(state): Extract<State>,
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
    match state.node.review(scope.tenant, reach, bytes).await {
        Ok(answer) => json(&answer),
        Err(refused) => Answer(refused).into_response(),
    }
}
