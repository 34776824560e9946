//! What the gateway writes into the ledger.
//!
//! # Invariants
//!
//! * Never arguments, results, tokens or resource addresses: only who called what,
//!   what was decided on which grounds, and how it ended. What is said of values that
//!   a person or a client chose is a fingerprint of them.
//! * A version, once written, decodes for ever: `golden/` holds one entry of each.

use std::{borrow::Cow, collections::BTreeMap};

use airside_base::{CallId, TenantId};
pub use airside_firewall::Hit;
use airside_ledger::{Draft, DraftError, Kind};
pub use airside_limits::Limit;
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
    /// The trace that the client named (W3C Trace Context). Not proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Cow<'a, str>>,
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

/// What each part of the checkpoint found out about a call, on the way to its record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Noted<'a> {
    /// What proved who called.
    pub identity: Option<Identity<'a>>,
    /// Limits that the call counted against.
    pub limits: Vec<Limit<'a>>,
    /// Firewall rules that it or its answer met.
    pub firewall: Vec<Hit<'a>>,
    /// The definition of the tool that it was held to.
    pub contract: Option<Contract<'a>>,
    /// What the policies looked at.
    pub policy: Option<Policy<'a>>,
}

/// What proved who called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity<'a> {
    /// The verifier that claimed the request, such as `api_key`.
    pub verifier: Cow<'a, str>,
    /// What it went by, strongest first; never a secret.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Cow<'a, str>>,
    /// Who vouches: the issuer of a token, or a trust domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Cow<'a, str>>,
    /// The OAuth client (`client_id`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Cow<'a, str>>,
    /// The person for whom it acts, by a name that says nothing elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Cow<'a, str>>,
    /// Who acts for the person, the present actor first (`act`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actors: Vec<Cow<'a, str>>,
    /// What the token permits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Cow<'a, str>>,
}

/// The definition of a tool that a call was held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract<'a> {
    /// Digest of the definition.
    pub digest: Cow<'a, str>,
    /// `accepted`, `held`, `quarantined` or `unknown`.
    pub state: Cow<'a, str>,
}

/// What the policies looked at, besides the subject of the entry: enough to decide
/// again under other policies.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy<'a> {
    /// Digest of the policies, as `airside policy check` tells it.
    pub version: Cow<'a, str>,
    /// When it was decided, in microseconds since the Unix epoch. Absent in entries of
    /// before, which cannot be decided again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_us: Option<i64>,
    /// Groups of the caller.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<Cow<'a, str>>,
    /// Scopes of its token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<Cow<'a, str>>,
    /// The client that its token was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Cow<'a, str>>,
    /// Who issued its token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<Cow<'a, str>>,
    /// What was known of the tool; absent where no tool was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<Traits<'a>>,
    /// Region of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Cow<'a, str>>,
    /// What the session had seen: 1 untrusted, 2 private, 4 flagged, added up.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub risk: u8,
    /// Whether the user's words asked for it, where the client passed them on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Cow<'a, str>>,
    /// Arguments of interest that may stand here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<Cow<'a, str>, Value<'a>>,
    /// Names of arguments of interest whose values may not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<Cow<'a, str>>,
    /// Whose agreement the policies ask for, `client` or `operator`; absent where they
    /// ask for none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<Cow<'a, str>>,
    /// The agreement that it was sent with or waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval<'a>>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes what it may skip by reference"
)]
const fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// What was known of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits<'a> {
    /// Its server listed it.
    pub known: bool,
    /// `readOnlyHint`.
    pub read_only: bool,
    /// `destructiveHint`.
    pub destructive: bool,
    /// `idempotentHint`.
    pub idempotent: bool,
    /// `openWorldHint`.
    pub open_world: bool,
    /// Where its definition stood.
    pub contract: Cow<'a, str>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Cow<'a, str>>,
    /// Its sensitivity.
    pub sensitivity: u8,
}

/// The value of an argument of interest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value<'a> {
    /// A number.
    Integer(i64),
    /// A text that the configuration lets stand here.
    Text(Cow<'a, str>),
    /// True or false.
    Flag(bool),
    /// A list of such texts.
    Texts(Vec<Cow<'a, str>>),
}

/// The agreement of a person to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval<'a> {
    /// Its id, the subject of the `approval.*` entries.
    pub id: Cow<'a, str>,
    /// Who agreed, `client` or `operator`; absent while nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Cow<'a, str>>,
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
    /// What proved who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity<'a>>,
    /// Limits that the call counted against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit<'a>>,
    /// Firewall rules that it or its answer met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firewall: Vec<Hit<'a>>,
    /// The definition of the tool that it was held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract<'a>>,
    /// What the policies looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy<'a>>,
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
    /// What proved who called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity<'a>>,
    /// Limits that the call counted against.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit<'a>>,
    /// Firewall rules that it or its answer met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub firewall: Vec<Hit<'a>>,
    /// The definition of the tool that it was held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Contract<'a>>,
    /// What the policies looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy<'a>>,
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
mod tests;
