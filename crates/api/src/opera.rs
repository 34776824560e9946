//! Where OPERA Cloud Distribution pushes availability, rates and restrictions
//! (`distributionaripublication` of release 25.5).
//!
//! OPERA shows the key of a group that holds [`Role::Supplier`](crate::Role) as `Bearer`.

use std::time::Duration;

use airside_base::Fault;
use axum::{
    body::Bytes,
    extract::{FromRequest as _, Request},
    response::{IntoResponse as _, Response},
};
use http::{StatusCode, header};
use serde_json::json;

use crate::{State, role::Holder};

/// Largest body.
pub(crate) const MAX_BODY_BYTES: usize = 16 << 20;
/// Longest time in which a body has to arrive.
const DEADLINE: Duration = Duration::from_secs(60);

/// A message of OPERA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// Name of the key that was shown; `None` is the owner of the node.
    pub sender: Option<String>,
    /// `inventory`, `rates` or `restrictions`.
    pub topic: &'static str,
    /// The message.
    pub body: Bytes,
}

/// Takes a message of one topic.
pub(crate) async fn receive(
    topic: &'static str,
    state: State,
    holder: Holder,
    request: Request,
) -> Response {
    let read = tokio::time::timeout(DEADLINE, Bytes::from_request(request, &state)).await;
    let body = match read {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return said(error.status(), None, "the body cannot be read"),
        Err(_) => {
            return said(StatusCode::REQUEST_TIMEOUT, None, "the body took too long");
        }
    };
    let sender = match holder {
        Holder::Supplier { name } => Some(name),
        Holder::Operator | Holder::Upstream { .. } | Holder::Signer => None,
    };
    let pushed = Pushed {
        sender,
        topic,
        body,
    };
    match state.node.pushed(pushed).await {
        Ok(()) => StatusCode::CREATED.into_response(),
        Err(fault) => refused(&fault),
    }
}

/// Answers as the published files have it (`ExceptionDetail`).
fn refused(fault: &Fault) -> Response {
    let status = StatusCode::from_u16(fault.kind().http_status());
    let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    said(status, Some(fault.code()), fault.public())
}

fn said(status: StatusCode, code: Option<&str>, title: &str) -> Response {
    let mut detail = json!({ "title": title, "status": status.as_u16() });
    if let Some(code) = code {
        detail["o:errorCode"] = code.into();
    }
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, detail.to_string()).into_response()
}
