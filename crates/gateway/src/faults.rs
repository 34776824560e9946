//! What the gateway itself refuses, and how answers to refusals look.
//!
//! # Invariants
//!
//! * Every answer to a refusal is a JSON-RPC error with a stable code in
//!   `data.code`, the request's id as it was written if there was one, and the HTTP
//!   status that the specification gives.

use std::time::Duration;

use airside_base::{Fault, Kind};
use airside_mcp::{Body, Failure, codes};
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;

use airside_mcp::body::full;

use crate::trace::Trace;

/// Why a request went no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Rejection {
    #[error("the request has no usable Host")]
    HostMissing,
    #[error("the Host is not one of this gateway")]
    HostForeign,
    #[error("the Origin is not allowed")]
    OriginForeign,
    #[error("no endpoint has this path")]
    Path,
    #[error("the method is not one of an endpoint")]
    Method,
    #[error("the Content-Type is not application/json")]
    ContentType,
    #[error("the answers of the endpoint are not accepted")]
    NotAcceptable,
    #[error("the body is larger than {limit_bytes} bytes")]
    BodyTooLarge { limit_bytes: usize },
    #[error("the body did not arrive in time")]
    BodyTimeout,
    #[error("the body broke off")]
    BodyBroken,
    #[error("the ledger takes no records at the moment")]
    LedgerFull,
    #[error("the call could not be recorded")]
    LedgerFailed,
    #[error("what the server said is no answer to the call")]
    Unanswered { effect: bool },
    #[error("the gateway stops, and the time of running calls is over")]
    Stopping { effect: bool },
}

impl Rejection {
    /// What the caller may know.
    pub(crate) fn fault(self) -> Fault {
        match self {
            Self::HostMissing => fault(Kind::Invalid, "GW-001", "the request needs one Host"),
            Self::HostForeign => fault(Kind::Forbidden, "GW-001", "this Host is not served here")
                .with_hint("call the gateway by a name in `listen.allowed-hosts`"),
            Self::OriginForeign => fault(Kind::Forbidden, "GW-002", "this Origin is not allowed")
                .with_hint("add it to `listen.allowed-origins`"),
            Self::Path => fault(Kind::NotFound, "GW-003", "no endpoint has this path"),
            Self::Method => fault(Kind::Invalid, "GW-004", "this method is not supported")
                .with_hint("send messages by POST"),
            Self::ContentType => fault(Kind::Invalid, "GW-005", "the body has to be JSON")
                .with_hint("send Content-Type: application/json"),
            Self::NotAcceptable => fault(Kind::Invalid, "GW-006", "the answer is not accepted")
                .with_hint("send Accept: application/json, text/event-stream"),
            Self::BodyTooLarge { limit_bytes } => {
                fault(Kind::TooLarge, "GW-007", "the body is too large")
                    .with_hint(format!("at most {limit_bytes} bytes are accepted"))
            }
            Self::BodyTimeout => fault(Kind::Timeout, "GW-008", "the body did not arrive in time"),
            Self::BodyBroken => fault(Kind::Invalid, "GW-009", "the body broke off"),
            Self::LedgerFull => fault(
                Kind::Unavailable,
                "GW-030",
                "calls cannot be recorded at the moment",
            )
            .with_retry_after(Duration::from_secs(1)),
            Self::LedgerFailed => fault(
                Kind::Unavailable,
                "GW-031",
                "the call could not be recorded and was not sent",
            )
            .with_hint("nothing has happened: call again later"),
            Self::Unanswered { effect } => fault(
                Kind::Unavailable,
                "GW-090",
                "what the server said is no answer to the call",
            )
            .with_hint(match effect {
                true => "what was asked for may have happened: look before you repeat it",
                false => "the log of the server may say why",
            }),
            Self::Stopping { effect } => fault(
                Kind::Unavailable,
                "GW-095",
                "the gateway stopped before it had the answer",
            )
            .with_hint(match effect {
                true => "what was asked for may have happened: look before you repeat it",
                false => "repeat it",
            })
            .with_retry_after(Duration::from_secs(1)),
        }
    }

    fn status(self) -> StatusCode {
        match self {
            Self::HostForeign | Self::OriginForeign => StatusCode::FORBIDDEN,
            Self::Path => StatusCode::NOT_FOUND,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::HostMissing | Self::BodyBroken => StatusCode::BAD_REQUEST,
            Self::Unanswered { .. } => StatusCode::BAD_GATEWAY,
            Self::LedgerFull | Self::LedgerFailed | Self::Stopping { .. } => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// Returns the answer for the client.
    pub(crate) fn failure(self) -> Failure {
        let code = match self {
            Self::LedgerFull | Self::LedgerFailed | Self::Stopping { .. } => {
                codes::UPSTREAM_UNAVAILABLE
            }
            Self::Unanswered { .. } => codes::UPSTREAM_FAILED,
            _ => codes::INVALID_REQUEST,
        };
        Failure::new(self.status(), code, self.fault().with_private(self))
    }
}

fn fault(kind: Kind, code: &'static str, public: &'static str) -> Fault {
    Fault::new(kind, code, public)
}

/// Returns the answer to the request with `id` (raw JSON) that `failure` describes.
pub(crate) fn answer(id: Option<&str>, failure: Failure, trace: Trace) -> Response<Body> {
    let failure = failure.with_data("trace_id", json!(trace.to_string()));
    let retry_after = failure.fault().retry_after();
    let failure = match retry_after {
        Some(wait) => {
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            failure.with_data("retry_after_ms", json!(ms))
        }
        None => failure,
    };
    let mut response = Response::new(full(failure.body(id)));
    *response.status_mut() = failure.status();
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    if let Some(wait) = retry_after {
        // Whole seconds, rounded up: RFC 9110, section 10.2.3.
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
