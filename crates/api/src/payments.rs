//! Where a payment provider says that something happened.
//!
//! The sender shows no key: it signs what it sends. Who judges that is the node; here it
//! is only bounded.

use axum::{
    body::Bytes,
    extract::State as Extract,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode};

use crate::{State, fault::Answer};

/// Largest message.
pub(crate) const MAX_BODY_BYTES: usize = 256 << 10;
const SIGNATURE: &str = "stripe-signature";

pub(crate) async fn webhook(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
    let signature = signature.unwrap_or_default().to_owned();
    match state.node.notice(signature, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(fault) => Answer(fault).into_response(),
    }
}
