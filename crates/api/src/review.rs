//! Reviews of code: lots, findings and lessons. What is asked and answered belongs to the
//! feature; the node hands it on.

use airside_base::TenantId;
use axum::{Extension, body::Body, extract::State as Extract, response::Response};
use serde::Deserialize;

use crate::{
    State,
    asked::{self, Asked},
    fault::Answer,
    role::Actor,
};

/// Largest body: the changes of one lot.
pub(crate) const MAX_BODY_BYTES: usize = 24 << 20;

/// Whose reviews.
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

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Lots of sampled review.
    Lots,
    /// Findings of repositories.
    Findings,
    /// Lessons that are owed.
    Lessons,
}

/// A request about reviews.
#[derive(Debug, Clone)]
pub struct Review {
    /// Whose.
    pub tenant: TenantId,
    /// What it is about.
    pub part: Part,
    /// How far it may go.
    pub reach: Reach,
    /// Who sent it.
    pub by: String,
}

/// Does what is asked about `part`, as far as `reach` goes.
pub(crate) async fn ask(
    (part, reach): (Part, Reach),
    Extract(state): Extract<State>,
    Extension(Actor(by)): Extension<Actor>,
    Asked(scope): Asked<Scope>,
    body: Body,
) -> Result<Response, Answer> {
    let bytes = asked::bytes(body, MAX_BODY_BYTES).await?;
    let asked = Review {
        tenant: scope.tenant,
        part,
        reach,
        by,
    };
    Ok(asked::answer(state.node.review(asked, bytes).await))
}
