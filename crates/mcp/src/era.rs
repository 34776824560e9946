//! Which era a request belongs to, decided from the request alone.
//!
//! Modern requests (2026-07-28) carry version and capabilities in `_meta`; legacy
//! ones begin with `initialize` and go on in a session. Both arrive on one URL.
//! Source: specification 2026-07-28, `basic/versioning`, "Backward Compatibility".

use airside_base::{Fault, Kind};
use http::{HeaderMap, Method, StatusCode};

use crate::{Call, Failure, Incoming, Mismatch, Revision, codes, header};

/// What the receiver knows about the session that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// The request names none.
    Absent,
    /// The named session does not exist, or not for this caller.
    Unknown,
    /// The session exists and speaks this revision.
    Known(Revision),
}

/// How to treat a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// Stateless. A session that the request may name is to be ignored.
    Modern(Revision),
    /// The handshake that opens a session.
    Initialize,
    /// A message of an open session.
    InSession(Revision),
    /// A GET that opens the stream of a session.
    Stream(Revision),
    /// A DELETE that ends a session.
    End(Revision),
}

/// Why a request belongs to no era.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EraError {
    /// The protocol version is not one that we speak, or not in this way.
    #[error("the protocol version is not supported")]
    Unsupported {
        /// What the request asks for.
        requested: String,
    },
    /// The version header contradicts the body.
    #[error(transparent)]
    Header(#[from] Mismatch),
    /// A modern request without required metadata.
    #[error("`{member}` is missing")]
    Missing {
        /// Path of the member.
        member: &'static str,
    },
    /// A legacy message outside a session.
    #[error("the request names no session and does not open one")]
    SessionRequired,
    /// The session does not exist.
    #[error("the session does not exist")]
    SessionUnknown,
    /// Several messages in one body, which only 2025-03-26 knows.
    #[error("batches are accepted only in a session of revision 2025-03-26")]
    Batch,
    /// An answer in a modern request, where clients have nothing to answer.
    #[error("this revision knows no answers from clients")]
    Response,
    /// Neither POST, nor GET or DELETE of a session.
    #[error("the method is not allowed here")]
    MethodNotAllowed,
}

impl EraError {
    /// Returns what the caller is answered with. `supported` is listed when the
    /// version is not supported.
    #[must_use]
    pub fn failure(&self, supported: &[Revision]) -> Failure {
        let invalid = |status, code, id| {
            Failure::new(
                status,
                code,
                Fault::new(Kind::Invalid, id, self.to_string()),
            )
        };
        let bad = StatusCode::BAD_REQUEST;
        match self {
            Self::Unsupported { requested } => Failure::unsupported_version(requested, supported),
            Self::Header(mismatch) => mismatch.failure(),
            Self::Missing { .. } => invalid(bad, codes::INVALID_PARAMS, "MCP-011"),
            Self::SessionRequired => invalid(bad, codes::INVALID_REQUEST, "MCP-016"),
            Self::SessionUnknown => {
                let fault = Fault::new(Kind::NotFound, "MCP-017", self.to_string())
                    .with_hint("send `initialize` to open a new one");
                Failure::new(StatusCode::NOT_FOUND, codes::INVALID_REQUEST, fault)
            }
            Self::Batch => invalid(bad, codes::INVALID_REQUEST, "MCP-007"),
            Self::Response => invalid(bad, codes::INVALID_REQUEST, "MCP-015"),
            Self::MethodNotAllowed => {
                let status = StatusCode::METHOD_NOT_ALLOWED;
                invalid(status, codes::INVALID_REQUEST, "MCP-018")
            }
        }
    }
}

/// Decides how to treat a request.
///
/// `message` is the parsed body of a POST. Of the headers only the protocol
/// version is looked at; [`header::check`] compares the others.
///
/// # Errors
///
/// [`EraError`] when the request belongs to no era.
pub fn decide(
    method: &Method,
    headers: &HeaderMap,
    session: Session,
    message: Option<&Incoming>,
) -> Result<Era, EraError> {
    let Some(message) = message.filter(|_| method == Method::POST) else {
        return match (method, session) {
            (&Method::GET, Session::Known(revision)) => Ok(Era::Stream(revision)),
            (&Method::DELETE, Session::Known(revision)) => Ok(Era::End(revision)),
            (&Method::GET | &Method::DELETE, Session::Unknown) => Err(EraError::SessionUnknown),
            _ => Err(EraError::MethodNotAllowed),
        };
    };
    match message {
        Incoming::Request(call) | Incoming::Notification(call) => of_call(
            headers,
            session,
            call,
            matches!(message, Incoming::Request(_)),
        ),
        Incoming::Response(_) => match version(headers)? {
            Some(revision) if revision.is_modern() => Err(EraError::Response),
            _ => in_session(headers, session),
        },
        Incoming::Batch(_) => match session {
            Session::Known(Revision::V2025_03_26) => Ok(Era::InSession(Revision::V2025_03_26)),
            Session::Unknown => Err(EraError::SessionUnknown),
            Session::Known(_) | Session::Absent => Err(EraError::Batch),
        },
    }
}

fn of_call(
    headers: &HeaderMap,
    session: Session,
    call: &Call,
    wants_answer: bool,
) -> Result<Era, EraError> {
    if let Some(requested) = call.meta().protocol_version() {
        header::check_version(headers, requested)?;
        let revision = Revision::find(requested).filter(|revision| revision.is_modern());
        let Some(revision) = revision else {
            return Err(EraError::Unsupported {
                requested: requested.to_owned(),
            });
        };
        if wants_answer && call.meta().client_capabilities().is_none() {
            let member = "params._meta[\"io.modelcontextprotocol/clientCapabilities\"]";
            return Err(EraError::Missing { member });
        }
        return Ok(Era::Modern(revision));
    }
    if call.method() == "initialize" && wants_answer {
        return Ok(Era::Initialize);
    }
    match version(headers)? {
        // Metadata of notifications is not required, and a modern one has no session.
        Some(revision) if revision.is_modern() && !wants_answer => Ok(Era::Modern(revision)),
        Some(revision) if revision.is_modern() => Err(EraError::Missing {
            member: "params._meta[\"io.modelcontextprotocol/protocolVersion\"]",
        }),
        _ => in_session(headers, session),
    }
}

/// Returns the revision that the version header names, if there is one.
fn version(headers: &HeaderMap) -> Result<Option<Revision>, EraError> {
    let Some(text) = header::single(headers, &header::PROTOCOL_VERSION)? else {
        return Ok(None);
    };
    match Revision::find(text) {
        Some(revision) => Ok(Some(revision)),
        None => Err(EraError::Unsupported {
            requested: text.to_owned(),
        }),
    }
}

fn in_session(headers: &HeaderMap, session: Session) -> Result<Era, EraError> {
    let named = version(headers)?;
    match session {
        Session::Known(revision) => match named {
            // A client may repeat what it asked for instead of what was agreed on.
            Some(named) if named.is_modern() => Err(EraError::Unsupported {
                requested: named.to_string(),
            }),
            _ => Ok(Era::InSession(revision)),
        },
        Session::Unknown => Err(EraError::SessionUnknown),
        Session::Absent => Err(EraError::SessionRequired),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::Limits;

    const MODERN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    const LEGACY: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
    const ANSWER: &str = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    const V03: Session = Session::Known(Revision::V2025_03_26);
    const V11: Session = Session::Known(Revision::V2025_11_25);

    /// `version` is the header; an empty body means none. Errors by status and code.
    fn check(method: &str, version: &str, session: Session, body: &str, expected: &str) {
        let mut headers = HeaderMap::new();
        if !version.is_empty() {
            headers.insert(
                &header::PROTOCOL_VERSION,
                HeaderValue::from_str(version).unwrap(),
            );
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let message = (!body.is_empty())
            .then(|| Incoming::parse(&body.to_owned().into(), &Limits::DEFAULT).unwrap());
        let decided = match decide(&method, &headers, session, message.as_ref()) {
            Ok(era) => format!("{era:?}"),
            Err(error) => {
                let failure = error.failure(&Revision::ALL);
                format!("{} {}", failure.status().as_u16(), failure.code())
            }
        };
        assert_eq!(decided, expected, "{method} {version} {session:?} {body}");
    }

    #[test]
    fn metadata_makes_a_request_modern_whatever_session_it_names() {
        for session in [Session::Absent, Session::Unknown, V11] {
            check("POST", "2026-07-28", session, MODERN, "Modern(V2026_07_28)");
        }
        check("POST", "", Session::Absent, MODERN, "400 -32020");
        check("POST", "2025-11-25", Session::Absent, MODERN, "400 -32020");
        check("POST", "2026-07-28", Session::Absent, LEGACY, "400 -32602");
        let bare = MODERN.replace(r#","io.modelcontextprotocol/clientCapabilities":{}"#, "");
        check("POST", "2026-07-28", Session::Absent, &bare, "400 -32602");
        check(
            "POST",
            "2026-07-28",
            Session::Absent,
            NOTE,
            "Modern(V2026_07_28)",
        );
        check("POST", "2026-07-28", Session::Absent, ANSWER, "400 -32600");
    }

    #[test]
    fn unknown_version_is_refused_with_the_supported_ones() {
        check("POST", "2099-01-01", Session::Absent, LEGACY, "400 -32022");
        let future = MODERN.replace("2026-07-28", "2099-01-01");
        check("POST", "2099-01-01", Session::Absent, &future, "400 -32022");
        let past = MODERN.replace("2026-07-28", "2025-11-25");
        check("POST", "2025-11-25", Session::Absent, &past, "400 -32022");
    }

    #[test]
    fn legacy_requests_live_in_a_session() {
        check("POST", "", Session::Absent, INITIALIZE, "Initialize");
        check("POST", "", V11, LEGACY, "InSession(V2025_11_25)");
        check("POST", "2025-11-25", V11, NOTE, "InSession(V2025_11_25)");
        check("POST", "2025-11-25", V11, ANSWER, "InSession(V2025_11_25)");
        check("POST", "", Session::Absent, LEGACY, "400 -32600");
        check("POST", "", Session::Unknown, LEGACY, "404 -32600");
        check("GET", "", V11, "", "Stream(V2025_11_25)");
        check("DELETE", "", V11, "", "End(V2025_11_25)");
        check("GET", "", Session::Unknown, "", "404 -32600");
        check("GET", "", Session::Absent, "", "405 -32600");
        check("DELETE", "", Session::Absent, "", "405 -32600");
        check("PUT", "", V11, "", "405 -32600");
    }

    #[test]
    fn batch_needs_a_session_of_the_one_revision_that_has_them() {
        let batch = format!("[{LEGACY}]");
        check("POST", "", V03, &batch, "InSession(V2025_03_26)");
        check("POST", "", V11, &batch, "400 -32600");
        check("POST", "", Session::Absent, &batch, "400 -32600");
    }
}
