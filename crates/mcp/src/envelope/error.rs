use airside_base::{Fault, Kind};
use http::StatusCode;

use crate::{Failure, codes};

/// Why a body was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// Not UTF-8.
    #[error("the body is not UTF-8 from byte {at} on")]
    Utf8 {
        /// Offset in bytes.
        at: usize,
    },
    /// Not JSON.
    #[error("the body is not JSON: expected {expected} at byte {at}")]
    Syntax {
        /// Offset in bytes.
        at: usize,
        /// What would have been accepted there.
        expected: &'static str,
    },
    /// Longer than the limit.
    #[error("the body has {size_bytes} bytes, more than the {max_bytes} that are read")]
    TooLarge {
        /// Length of the body.
        size_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// Nested deeper than the limit.
    #[error("the body is nested deeper than {max} levels at byte {at}")]
    TooDeep {
        /// Offset in bytes.
        at: usize,
        /// The limit.
        max: u32,
    },
    /// A page of a list has more elements than the limit.
    #[error("the list has more than {max} elements")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// A member that is acted upon occurs twice.
    #[error("`{member}` occurs twice")]
    Duplicate {
        /// Path of the member.
        member: &'static str,
    },
    /// A member differs only in case from one that is acted upon, which some
    /// parsers take for the same.
    #[error("a member differs from `{member}` only in case")]
    Ambiguous {
        /// Path of the member.
        member: &'static str,
    },
    /// The message is not a JSON object or array of objects.
    #[error("a message has to be a JSON object")]
    NotAnObject,
    /// `jsonrpc` is missing or not `"2.0"`.
    #[error("`jsonrpc` has to be \"2.0\"")]
    Version,
    /// The id is neither a string nor an integer, or too long.
    #[error("`id` has to be an integer or a string of at most 1024 bytes")]
    Id,
    /// The message is neither a call nor an answer, or both.
    #[error("a message needs either `method`, or `id` with one of `result` and `error`")]
    Shape,
    /// `method` is not a string, empty or too long.
    #[error("`method` has to be a string of 1 to 256 bytes")]
    Method,
    /// A member of `params` is of the wrong type.
    #[error("`{member}` has to be {expected}")]
    Type {
        /// Path of the member.
        member: &'static str,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A member that the method needs is missing.
    #[error("`{member}` is missing")]
    Missing {
        /// Path of the member.
        member: &'static str,
    },
    /// A member of an answer is of the wrong type or missing.
    #[error("the answer is malformed: `{member}` has to be {expected}")]
    Reply {
        /// Path of the member.
        member: &'static str,
        /// What would have been accepted.
        expected: &'static str,
    },
    /// A batch is empty, nested or too long.
    #[error("a batch has to hold 1 to {max} messages and no further batch")]
    Batch {
        /// The limit.
        max: usize,
    },
}

/// A refused body, with the id of the message where one was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ParseError {
    reason: Reason,
    id: Option<Box<str>>,
}

impl ParseError {
    pub(crate) fn new(reason: Reason, id: Option<&str>) -> Self {
        Self {
            reason,
            id: id.map(Into::into),
        }
    }

    /// Returns why.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the raw id of the refused message, if it has a valid one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the public text and the stable code.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let text = self.reason.to_string();
        match self.reason {
            Reason::Utf8 { .. } | Reason::Syntax { .. } => {
                Fault::new(Kind::Invalid, "MCP-001", text)
            }
            Reason::TooLarge { .. } => Fault::new(Kind::TooLarge, "MCP-002", text),
            Reason::TooDeep { .. } | Reason::TooMany { .. } => {
                Fault::new(Kind::Invalid, "MCP-003", text)
            }
            Reason::Duplicate { .. } | Reason::Ambiguous { .. } => {
                Fault::new(Kind::Invalid, "MCP-004", text)
            }
            Reason::NotAnObject | Reason::Version | Reason::Id | Reason::Shape | Reason::Method => {
                Fault::new(Kind::Invalid, "MCP-005", text)
            }
            Reason::Type { .. } | Reason::Missing { .. } => {
                Fault::new(Kind::Invalid, "MCP-006", text)
            }
            Reason::Batch { .. } => Fault::new(Kind::Invalid, "MCP-007", text),
            Reason::Reply { .. } => Fault::new(Kind::Invalid, "MCP-008", text),
        }
    }

    /// Returns what the sender of the body is answered with.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (status, code) = match self.reason {
            Reason::Utf8 { .. } | Reason::Syntax { .. } => {
                (StatusCode::BAD_REQUEST, codes::PARSE_ERROR)
            }
            Reason::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, codes::INVALID_REQUEST),
            Reason::Type { .. } | Reason::Missing { .. } => {
                (StatusCode::BAD_REQUEST, codes::INVALID_PARAMS)
            }
            Reason::TooDeep { .. }
            | Reason::TooMany { .. }
            | Reason::Duplicate { .. }
            | Reason::Ambiguous { .. }
            | Reason::NotAnObject
            | Reason::Version
            | Reason::Id
            | Reason::Shape
            | Reason::Method
            | Reason::Batch { .. }
            | Reason::Reply { .. } => (StatusCode::BAD_REQUEST, codes::INVALID_REQUEST),
        };
        Failure::new(status, code, self.fault())
    }
}
