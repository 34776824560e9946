//! Lots of sampled review. What is asked and answered belongs to the feature; the node
//! hands it on.

use airside_base::TenantId;
use axum::{body::Body, extract::State as Extract, response::Response};
use serde::Deserialize;

use crate::{
    State,
    asked::{self, Asked},
    fault::Answer,
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
    Asked(scope): Asked<Scope>,
    body: Body,
) -> Result<Response, Answer> {
    let bytes = asked::bytes(body, MAX_BODY_BYTES).await?;
    Ok(asked::answer(
        state.node.review(scope.tenant, reach, bytes).await,
    ))
}
