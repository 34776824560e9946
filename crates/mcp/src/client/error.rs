use std::time::Duration;

use airside_base::{Fault, Kind};
use serde_json::value::RawValue;

use crate::{
    BoxError, Limits, Mismatch, ParseError,
    reply::{self, ErrorHead, Outcome},
};

/// Longest message of a server that is shown, in characters.
const MAX_MESSAGE_CHARS: usize = 1000;

/// A JSON-RPC error that a server answered.
#[derive(Debug, thiserror::Error)]
#[error("the server answered error {code}: {message}")]
pub struct RpcError {
    /// The JSON-RPC code.
    pub code: i64,
    /// The message, shortened and without control characters.
    pub message: String,
    /// The data, raw.
    pub data: Option<Box<RawValue>>,
    /// The HTTP status that carried it.
    pub status: u16,
}

impl RpcError {
    pub(super) fn of(bytes: &[u8], head: &ErrorHead, status: u16) -> Self {
        let message: String = head
            .message
            .clone()
            .and_then(|range| serde_json::from_slice(&bytes[range]).ok())
            .unwrap_or_default();
        let shown = message.chars().take(MAX_MESSAGE_CHARS);
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        Self {
            code: head.code,
            message: shown.map(clean).collect(),
            data: head
                .data
                .clone()
                .and_then(|range| serde_json::from_slice(&bytes[range]).ok()),
            status,
        }
    }

    /// Reads a body that is a JSON-RPC error.
    pub(super) fn read(bytes: &[u8], status: u16, limits: &Limits) -> Option<Self> {
        match reply::scan(bytes, limits).ok()?.outcome {
            Outcome::Error(head) => Some(Self::of(bytes, &head, status)),
            Outcome::Result(_) => None,
        }
    }
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is not one of an MCP server.
    #[error("the URL needs the scheme http or https, a host, and no user name")]
    Url,
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// The certificates of this machine cannot be read.
    #[error("cannot read the root certificates of this machine")]
    Roots(#[source] std::io::Error),
    /// The parameters cannot be written as JSON.
    #[error("cannot write the parameters as JSON")]
    Serialize(#[source] serde_json::Error),
    /// The parameters are not a JSON object.
    #[error("the parameters have to be a JSON object")]
    Params,
    /// The request would be refused by any server.
    #[error("the request is not valid")]
    Request(#[source] ParseError),
    /// An argument cannot be carried by its header.
    #[error("cannot mirror an argument")]
    Mirror(#[source] Mismatch),
    /// The server cannot be reached or broke the connection before it answered.
    #[error("cannot reach the server")]
    Connect(#[source] hyper_util::client::legacy::Error),
    /// The answer is not complete in time. Whether the call was carried out is unknown.
    #[error("the server did not answer within {after:?}")]
    Timeout {
        /// The limit.
        after: Duration,
    },
    /// The answer broke off. Whether the call was carried out is unknown.
    #[error("the answer broke off")]
    Broken(#[source] BoxError),
    /// The stream ended without an answer. Whether the call was carried out is unknown.
    #[error("the stream ended without an answer")]
    Unanswered,
    /// The answer is larger than accepted.
    #[error("the answer has more than {max_bytes} bytes")]
    TooLarge {
        /// The limit.
        max_bytes: usize,
    },
    /// A list has more pages or elements than accepted, or goes round in circles.
    #[error("the list does not end")]
    EndlessList,
    /// The server answered something that is not MCP.
    #[error("the server answered with HTTP status {status} and no message")]
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The answer is not a JSON-RPC message.
    #[error("the answer is malformed")]
    Malformed(#[source] ParseError),
    /// The result does not have the members that the method promises.
    #[error("the result is malformed")]
    Result(#[source] serde_json::Error),
    /// The server refused the call.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The server has forgotten the session.
    #[error("the session has ended")]
    SessionLost,
    /// The server speaks no revision that we speak in the chosen era.
    #[error("no revision of the protocol is common; the server has: {offered}")]
    NoCommonRevision {
        /// What the server offers.
        offered: String,
    },
}

impl Error {
    /// Returns the public text and the stable code.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let fault = |kind, code| Fault::new(kind, code, self.to_string());
        match self {
            Self::Url => fault(Kind::Invalid, "MCP-030"),
            Self::Tls(source) => fault(Kind::Internal, "MCP-031").with_private(source),
            Self::Roots(source) => fault(Kind::Internal, "MCP-031").with_private(source),
            Self::Serialize(source) => fault(Kind::Invalid, "MCP-032").with_private(source),
            Self::Params => fault(Kind::Invalid, "MCP-032"),
            Self::Request(source) => {
                Fault::new(Kind::Invalid, "MCP-032", format!("{self}: {source}"))
            }
            Self::Mirror(source) => {
                Fault::new(Kind::Invalid, "MCP-032", format!("{self}: {source}"))
            }
            Self::Connect(source) => fault(Kind::Unavailable, "MCP-033").with_private(source),
            Self::Timeout { .. } => fault(Kind::Timeout, "MCP-034"),
            Self::Broken(source) => fault(Kind::Unavailable, "MCP-035").with_private(source),
            Self::Unanswered => fault(Kind::Unavailable, "MCP-035"),
            Self::TooLarge { .. } | Self::EndlessList => fault(Kind::TooLarge, "MCP-036"),
            Self::Status { status } => fault(status_kind(*status), "MCP-037"),
            Self::Malformed(source) => {
                Fault::new(Kind::Unavailable, "MCP-038", format!("{self}: {source}"))
            }
            Self::Result(source) => fault(Kind::Unavailable, "MCP-038").with_private(source),
            Self::Rpc(error) => fault(status_kind(error.status), "MCP-039"),
            Self::SessionLost => fault(Kind::Conflict, "MCP-040"),
            Self::NoCommonRevision { .. } => fault(Kind::Unsupported, "MCP-041"),
        }
    }
}

fn status_kind(status: u16) -> Kind {
    match status {
        401 => Kind::Unauthenticated,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        429 => Kind::Exhausted,
        500..=599 => Kind::Unavailable,
        _ => Kind::Invalid,
    }
}
