//! Contracts of tools: what servers say of them, and what a person decides.

use axum::{
    Extension,
    body::Body,
    extract::{Query, State as Extract, rejection::QueryRejection},
    response::{IntoResponse as _, Response},
};

use crate::{
    State,
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
    asked: Result<Query<wire::ContractOf>, QueryRejection>,
) -> Response {
    let of = match asked {
        Ok(Query(of)) => of,
        Err(rejected) => return fault::bad_query(&rejected.body_text()).into_response(),
    };
    match state.node.contract(&of) {
        Ok(contract) => json(&contract),
        Err(refused) => Answer(refused).into_response(),
    }
}

pub(crate) async fn decide(
    Extract(state): Extract<State>,
    Extension(Actor(by)): Extension<Actor>,
    body: Body,
) -> Response {
    let Ok(bytes) = axum::body::to_bytes(body, MAX_BODY).await else {
        return fault::bad_body("it is too large").into_response();
    };
    let decision: wire::ContractDecision = match serde_json::from_slice(&bytes) {
        Ok(decision) => decision,
        Err(error) => return fault::bad_body(&error.to_string()).into_response(),
    };
    let named = decision.digest.as_ref().is_some_and(|digest| {
        digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    if decision.verdict != wire::ContractVerdict::Quarantine && !named {
        return fault::no_digest().into_response();
    }
    match state.node.decide_contract(decision, by).await {
        Ok(contract) => json(&contract),
        Err(refused) => Answer(refused).into_response(),
    }
}
