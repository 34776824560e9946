//! Faults of the control API as answers.

use airside_base::{Fault, Kind};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use crate::{Needs, Role, wire};

/// A fault as an HTTP answer with a JSON body.
pub(crate) struct Answer(pub(crate) Fault);

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.kind().http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.0.kind() == Kind::Internal {
            tracing::error!(
                code = self.0.code(),
                cause = self.0.private(),
                "a control request failed"
            );
        }
        let body = wire::Problem::from(&self.0).to_line();
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

pub(crate) fn no_route() -> Answer {
    Answer(
        Fault::new(
            Kind::NotFound,
            "API-001",
            "the control API has no such route",
        )
        .with_hint("use the `airside` of the version that runs the node"),
    )
}

pub(crate) fn role_missing(needs: Needs) -> Answer {
    let role = match needs {
        Needs::Role(Role::Supplier) | Needs::Supplier => "supplier",
        Needs::Role(Role::Viewer) => "viewer",
        Needs::Role(Role::Auditor) => "auditor",
        Needs::Role(Role::Operator) | Needs::Upstream | Needs::Signature => "operator",
    };
    Answer(
        Fault::new(
            Kind::Forbidden,
            "API-002",
            format!("this needs the role `{role}`"),
        )
        .with_hint("grant the role to a group of the key with [[control.grant]]"),
    )
}

pub(crate) fn bad_query(reason: &str) -> Answer {
    Answer(Fault::new(
        Kind::Invalid,
        "API-003",
        format!("a query parameter is wrong: {reason}"),
    ))
}

pub(crate) fn verify_runs() -> Answer {
    Answer(
        Fault::new(
            Kind::Conflict,
            "API-004",
            "another verification of the ledger is running",
        )
        .with_hint("wait for it to end"),
    )
}

pub(crate) fn foreign_origin() -> Answer {
    Answer(Fault::new(
        Kind::Forbidden,
        "API-005",
        "the control API does not answer web pages",
    ))
}

pub(crate) fn no_digest() -> Answer {
    Answer(
        Fault::new(
            Kind::Invalid,
            "API-020",
            "`digest` has to be the SHA-256 of the definition, in hex",
        )
        .with_hint("take it from /v1/contracts/show"),
    )
}

pub(crate) fn bad_body(reason: &str) -> Answer {
    Answer(Fault::new(
        Kind::Invalid,
        "API-006",
        format!("the body is not what this route takes: {reason}"),
    ))
}

pub(crate) fn no_handle() -> Answer {
    Answer(
        Fault::new(
            Kind::Invalid,
            "API-007",
            "the header `Airside-Conversation` names no conversation",
        )
        .with_hint("send the handle that the conversation began with"),
    )
}

pub(crate) fn stopping() -> Answer {
    Answer(
        Fault::new(Kind::Unavailable, "API-008", "the node is stopping")
            .with_hint("repeat it when the node runs again"),
    )
}
