//! What the gateway writes into the ledger.
//!
//! # Invariants
//!
//! * Never arguments, results, tokens or resource addresses: only who called what,
//!   what was decided, and how it ended.
//! * A version, once written, decodes for ever: `golden/` holds one entry of each.

use std::borrow::Cow;

use airside_base::{CallId, TenantId};
use airside_ledger::{Draft, DraftError, Kind};
use serde::{Deserialize, Serialize};

/// An entry of the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A call with an effect is about to be sent.
    Intended(Intended<'a>),
    /// A call was sent and has ended.
    Completed(Completed<'a>),
    /// A call was not sent.
    Refused(Refused<'a>),
}

/// What was called by whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject<'a> {
    /// Id of the call, the same in all its entries.
    pub call: Cow<'a, str>,
    /// Who called.
    pub caller: Caller<'a>,
    /// What the client calls itself. Not proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Cow<'a, str>>,
    /// Path of the endpoint.
    pub endpoint: Cow<'a, str>,
    /// The upstream server; absent where several are asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Cow<'a, str>>,
    /// The JSON-RPC method.
    pub method: Cow<'a, str>,
    /// The tool or prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Cow<'a, str>>,
    /// The revision of the protocol that the client speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<Cow<'a, str>>,
    /// Size of the request, in bytes.
    pub request_bytes: u64,
}

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller<'a> {
    /// Unique within kind and tenant.
    pub id: Cow<'a, str>,
    /// What stands behind the caller.
    pub kind: Cow<'a, str>,
    /// How the caller proved it.
    pub attestation: Cow<'a, str>,
}

/// `call.intended`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intended<'a> {
    /// What was called by whom.
    pub subject: Subject<'a>,
    /// Policies that permit it.
    pub policies: Vec<Cow<'a, str>>,
}

/// `call.completed`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed<'a> {
    /// What was called by whom.
    pub subject: Subject<'a>,
    /// `permitted`.
    pub decision: Cow<'a, str>,
    /// Policies that permit it.
    pub policies: Vec<Cow<'a, str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// The JSON-RPC code, or the gateway's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<Cow<'a, str>>,
    /// Status of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// From the head of the request to the last byte of the answer, in microseconds.
    pub duration_us: u64,
    /// Size of the answer, in bytes.
    pub response_bytes: u64,
}

/// `call.refused`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused<'a> {
    /// What was called by whom.
    pub subject: Subject<'a>,
    /// `refused` by policy, or `permitted` where something else stood in the way.
    pub decision: Cow<'a, str>,
    /// Policies that forbid it, or that permit it where policy did.
    pub policies: Vec<Cow<'a, str>>,
    /// Why, as `airside explain` knows it.
    pub error_code: Cow<'a, str>,
    /// Status of the answer.
    pub http_status: u16,
    /// From the head of the request to the answer, in microseconds.
    pub duration_us: u64,
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a result.
    Ok,
    /// With a result that the tool calls an error.
    ToolError,
    /// The server asks for input and the client will call again.
    InputRequired,
    /// The server goes on with it as a task.
    Task,
    /// With a JSON-RPC error.
    RpcError,
    /// With a status of 400 or more and no JSON-RPC error in the answer.
    HttpError,
    /// The client went away.
    Cancelled,
    /// A deadline passed.
    Timeout,
    /// The server broke off, or said more than is accepted.
    Broken,
    /// The server was not reached: the call had no effect.
    Unsent,
    /// The answer ended without a result.
    Unanswered,
}

impl Outcome {
    /// Returns the outcome as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ToolError => "tool_error",
            Self::InputRequired => "input_required",
            Self::Task => "task",
            Self::RpcError => "rpc_error",
            Self::HttpError => "http_error",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Unsent => "unsent",
            Self::Unanswered => "unanswered",
        }
    }
}

const INTENDED: Kind = Kind::new("call.intended");
const COMPLETED: Kind = Kind::new("call.completed");
const REFUSED: Kind = Kind::new("call.refused");

impl Event<'_> {
    /// Returns the draft of an entry in the chain of `tenant`.
    ///
    /// # Errors
    ///
    /// When the body is over the ledger's limits, which bounded names exclude.
    pub fn draft(&self, tenant: &TenantId, call: CallId) -> Result<Draft, DraftError> {
        let subject = &call.to_string();
        match self {
            Self::Intended(body) => Draft::new(tenant.clone(), INTENDED, 1, subject, body),
            Self::Completed(body) => Draft::new(tenant.clone(), COMPLETED, 1, subject, body),
            Self::Refused(body) => Draft::new(tenant.clone(), REFUSED, 1, subject, body),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;

    use super::*;

    /// Compares `now` as it is written with the golden line, and reads that back.
    fn check<T>(golden: &'static str, now: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        assert_eq!(serde_json::to_string(now).unwrap(), golden.trim_end());
        assert_eq!(&serde_json::from_str::<T>(golden).unwrap(), now);
    }

    fn subject() -> Subject<'static> {
        Subject {
            call: "0199a2f0-0000-7000-8000-000000000000".into(),
            caller: Caller {
                id: "ci".into(),
                kind: "api_key".into(),
                attestation: "api_key".into(),
            },
            client: Some("inspector/2.12.0".into()),
            endpoint: "/mcp".into(),
            server: Some("hotels".into()),
            method: "tools/call".into(),
            tool: Some("book".into()),
            revision: Some("2026-07-28".into()),
            request_bytes: 412,
        }
    }

    #[test]
    fn intended_1_decodes_for_ever() {
        let event = Intended {
            subject: subject(),
            policies: vec!["effects-by-keys".into()],
        };
        check(include_str!("event/golden/call.intended.1.json"), &event);
    }

    #[test]
    fn completed_1_decodes_for_ever() {
        let event = Completed {
            subject: subject(),
            decision: "permitted".into(),
            policies: vec!["effects-by-keys".into()],
            outcome: Outcome::RpcError,
            error_code: Some("-32602".into()),
            http_status: Some(200),
            duration_us: 1234,
            response_bytes: 5678,
        };
        check(include_str!("event/golden/call.completed.1.json"), &event);
    }

    #[test]
    fn refused_1_decodes_for_ever() {
        let event = Refused {
            subject: Subject {
                client: None,
                server: None,
                tool: None,
                revision: None,
                ..subject()
            },
            decision: "refused".into(),
            policies: Vec::new(),
            error_code: "POL-001".into(),
            http_status: 403,
            duration_us: 12,
        };
        check(include_str!("event/golden/call.refused.1.json"), &event);
    }

    #[test]
    fn outcomes_are_written_as_they_are_called() {
        for outcome in [
            Outcome::Ok,
            Outcome::ToolError,
            Outcome::InputRequired,
            Outcome::Task,
            Outcome::RpcError,
            Outcome::HttpError,
            Outcome::Cancelled,
            Outcome::Timeout,
            Outcome::Broken,
            Outcome::Unsent,
            Outcome::Unanswered,
        ] {
            let written = serde_json::to_string(&outcome).unwrap();
            assert_eq!(written, format!("\"{}\"", outcome.as_str()));
        }
    }
}
