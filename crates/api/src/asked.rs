//! What a request asks, read in the same way by every route.
//!
//! # Invariants
//!
//! * A query or a body that cannot be read is answered with the reason (API-003, API-006),
//!   and nothing is done.
//! * Of a body no more is kept than its route allows.

use airside_base::Fault;
use axum::{
    body::Body,
    extract::{FromRequestParts, Query},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use http::request::Parts;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    fault::{self, Answer},
    router::json,
};

/// The query parameters of a request.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Answer;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Answer> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(asked)| Self(asked))
            .map_err(|rejected| fault::bad_query(&rejected.body_text()))
    }
}

/// Reads a body of at most `most` bytes.
pub(crate) async fn bytes(body: Body, most: usize) -> Result<Bytes, Answer> {
    let read = axum::body::to_bytes(body, most).await;
    read.map_err(|_| fault::bad_body("it is too large"))
}

/// Reads a JSON document of at most `most` bytes.
pub(crate) async fn document<T: DeserializeOwned>(body: Body, most: usize) -> Result<T, Answer> {
    let bytes = bytes(body, most).await?;
    serde_json::from_slice(&bytes).map_err(|error| fault::bad_body(&error.to_string()))
}

/// Longest reason, in bytes.
const MAX_REASON: usize = 1_000;

/// Checks why somebody does something: it is recorded in clear and for ever.
pub(crate) fn reason(text: &str) -> Result<(), Answer> {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_REASON || text.chars().any(char::is_control) {
        let problem = "`reason` is one line of at most 1,000 bytes";
        return Err(fault::bad_body(problem));
    }
    Ok(())
}

/// Answers what the node has said.
pub(crate) fn answer<T: Serialize>(told: Result<T, Fault>) -> Response {
    match told {
        Ok(told) => json(&told),
        Err(refused) => Answer(refused).into_response(),
    }
}
