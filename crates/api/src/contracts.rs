//! Contracts of tools: what servers say of them, and what a person decides.

use axum::{Extension, body::Body, extract::State as Extract, response::Response};

use crate::{
    State,
    asked::{self, Asked},
    fault::{self, Answer},
    role::Actor,
    router::json,
    wire,
};

/// Largest body of a decision, in bytes.
const MAX_BODY: usize = 64 << 10;

pub(crate) async fn list(Extract(state): Extract<State>) -> Response {
    json(&wire::Contracts {
        contracts: state.node.contracts(),
    })
}

pub(crate) async fn show(
    Extract(state): Extract<State>,
    Asked(of): Asked<wire::ContractOf>,
) -> Response {
    asked::answer(state.node.contract(&of))
}

pub(crate) async fn decide(
    Extract(state): Extract<State>,
    Extension(Actor(by)): Extension<Actor>,
    body: Body,
) -> Result<Response, Answer> {
    let decision: wire::ContractDecision = asked::document(body, MAX_BODY).await?;
    let named = decision.digest.as_ref().is_some_and(|digest| {
        digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if decision.verdict != wire::ContractVerdict::Quarantine && !named {
        return Err(fault::no_digest());
    }
    Ok(asked::answer(
        state.node.decide_contract(decision, by).await,
    ))
}
