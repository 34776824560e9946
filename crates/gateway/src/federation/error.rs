//! Why an endpoint cannot serve a call, and what the client is told.

use airside_base::{Fault, Kind, ServerId};
use airside_mcp::{Failure, codes};
use http::StatusCode;

use crate::upstream;

/// Why a call was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server did not answer.
    #[error(transparent)]
    Upstream(#[from] upstream::Error),
    /// The server's answer is not one.
    #[error("the answer of the server `{server}` cannot be read")]
    Answer {
        /// The server.
        server: ServerId,
    },
    /// None of the servers that were asked answered.
    #[error("none of the {asked} servers answered")]
    Nobody {
        /// How many were asked.
        asked: usize,
    },
    /// No server of the endpoint has what the call names.
    #[error("the endpoint has nothing that `{method}` names")]
    Target {
        /// The method of the call.
        method: String,
    },
    /// The method has no meaning where several servers share an endpoint.
    #[error("the endpoint does not serve `{method}`")]
    Method {
        /// The method of the call.
        method: String,
    },
    /// The cursor of a merged list is not ours.
    #[error("the cursor was not issued for this list")]
    Cursor,
    /// The client and the server speak different eras, and the call cannot be
    /// carried between them without loss.
    #[error("`{what}` cannot be carried to the server `{server}`, which speaks only {speaks}")]
    NotBridged {
        /// The server.
        server: ServerId,
        /// What cannot be carried.
        what: String,
        /// The newest revision that the server speaks.
        speaks: &'static str,
    },
    /// The session does not exist, or not for this caller.
    #[error("the session does not exist")]
    Session,
    /// As many sessions are open as there may be.
    #[error("{limit} sessions are open, which is the limit")]
    SessionsFull {
        /// The limit.
        limit: usize,
    },
    /// The client's introduction is larger than what is kept of it.
    #[error("capabilities and client information are larger than {limit_bytes} bytes")]
    Introduction {
        /// The limit.
        limit_bytes: usize,
    },
    /// The endpoint has no stream for this session.
    #[error("there is no stream to open")]
    NoStream,
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Upstream(error) => error.fault(),
            Self::Answer { .. } => Fault::new(
                Kind::Unavailable,
                "GW-040",
                "the answer of the server cannot be read",
            )
            .with_private(self),
            Self::Nobody { .. } => {
                Fault::new(Kind::Unavailable, "GW-041", "none of the servers answered")
                    .with_private(self)
            }
            Self::Target { method } => Fault::new(
                Kind::NotFound,
                "GW-042",
                format!(
                    "nothing here has the name that this `{}` asks for",
                    printable(method)
                ),
            )
            .with_hint("names begin with the server: use them as the lists give them"),
            Self::Method { method } => Fault::new(
                Kind::NotFound,
                "GW-043",
                format!(
                    "`{}` is not served where several servers share an endpoint",
                    printable(method)
                ),
            )
            .with_hint("use the endpoint of the one server"),
            Self::Cursor => Fault::new(
                Kind::Invalid,
                "GW-044",
                "the cursor was not issued for this list",
            )
            .with_hint("list again without a cursor"),
            Self::NotBridged {
                what,
                speaks,
                server,
            } => Fault::new(
                Kind::Unsupported,
                "GW-045",
                format!(
                    "{} cannot be carried to the server `{server}`, which speaks revision {speaks}",
                    printable(what)
                ),
            ),
            Self::Session => Fault::new(Kind::NotFound, "GW-046", "the session does not exist")
                .with_hint("send `initialize` to open a new one"),
            Self::SessionsFull { .. } => Fault::new(
                Kind::Unavailable,
                "GW-047",
                "as many sessions are open as there may be",
            )
            .with_hint("revision 2026-07-28 needs no session")
            .with_private(self),
            Self::Introduction { limit_bytes } => Fault::new(
                Kind::TooLarge,
                "GW-048",
                format!("`capabilities` and `clientInfo` are larger than {limit_bytes} bytes"),
            ),
            Self::NoStream => Fault::new(
                Kind::Unsupported,
                "GW-049",
                "the server has no stream for this session",
            ),
        }
    }

    /// Returns the failure of the one server that was asked, if that is what it is.
    #[must_use]
    pub fn upstream(&self) -> Option<&upstream::Error> {
        match self {
            Self::Upstream(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the answer for the client.
    ///
    /// What concerns the call and not the connection is carried by status 200, as
    /// servers answer it themselves: some clients give up a server at any other.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (status, code) = match self {
            Self::Upstream(error) => return error.failure(),
            Self::Answer { .. } => (StatusCode::BAD_GATEWAY, codes::UPSTREAM_FAILED),
            Self::Nobody { .. } => (StatusCode::BAD_GATEWAY, codes::UPSTREAM_UNAVAILABLE),
            Self::Target { .. } | Self::Cursor => (StatusCode::OK, codes::INVALID_PARAMS),
            Self::Method { .. } => (StatusCode::NOT_FOUND, codes::METHOD_NOT_FOUND),
            Self::NotBridged { .. } => (StatusCode::OK, codes::NOT_BRIDGED),
            Self::Session => (StatusCode::NOT_FOUND, codes::INVALID_REQUEST),
            Self::SessionsFull { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, codes::UPSTREAM_UNAVAILABLE)
            }
            Self::Introduction { .. } => (StatusCode::PAYLOAD_TOO_LARGE, codes::INVALID_PARAMS),
            Self::NoStream => (StatusCode::METHOD_NOT_ALLOWED, codes::INVALID_REQUEST),
        };
        Failure::new(status, code, self.fault())
    }
}

/// What a client sent, cut and escaped.
fn printable(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}
