//! What travels over the control API, as JSON.

mod contract;

use std::net::SocketAddr;

use airside_base::{Fault, TenantId, Timestamp};
use airside_ledger::{
    Verified, VerifyError,
    conversation::{self, Region, Restored, State},
    personal::SubjectId,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::contract::{
    Contract, ContractDecision, ContractDifference, ContractHit, ContractOf, ContractRow,
    ContractVerdict, Contracts, Definition,
};

/// State of a running node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Version of the binary.
    pub version: String,
    /// Id of this run.
    pub node: String,
    /// Process id.
    pub pid: u32,
    /// When it began to serve.
    pub started: Timestamp,
    /// Folder of the ledger and of the control socket.
    pub data_dir: String,
    /// Where clients connect, the first being the default.
    pub endpoints: Vec<Endpoint>,
    /// Servers behind the endpoints.
    pub upstreams: Vec<Upstream>,
    /// Where the control API listens besides the socket, if it does.
    pub control: Option<SocketAddr>,
    /// SHA-256 of the configuration in use, in hex.
    pub config_digest: String,
    /// Public key that the node seals the ledger with, as `name+id+key`.
    pub seal_key: String,
    /// Nice value of the thread that writes the ledger, where there is one. 0 or more
    /// on a busy machine means slow commits.
    pub writer_nice: Option<i32>,
    /// How good the prices were that travellers saw.
    pub prices: Prices,
}

/// Offers of the travel server that rooms were held for since the node started.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Prices {
    /// All of them.
    pub held: u64,
    /// Those whose total had changed since the traveller saw it.
    pub changed: u64,
}

/// One MCP endpoint of a node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoint {
    /// Address for clients.
    pub url: String,
    /// Names of the servers behind it.
    pub upstreams: Vec<String>,
}

/// One server behind the gateway.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Upstream {
    /// Configured name.
    pub name: String,
    /// `http`, `stdio` or `builtin`.
    pub kind: String,
    /// Whether calls are let through: the state of its circuit breaker.
    pub state: String,
}

/// One entry of the ledger.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the chain of its tenant, from 1.
    pub seq: u64,
    /// When it was sealed.
    pub time: Timestamp,
    /// Chain it belongs to.
    pub tenant: String,
    /// What happened, dotted.
    pub kind: String,
    /// Version of the body's layout.
    pub version: u16,
    /// What it is about.
    pub subject: String,
    /// One JSON object, exactly as it was hashed.
    pub body: Box<RawValue>,
    /// Hash of the entry before, in hex.
    pub prev: String,
    /// Hash of this entry, in hex.
    pub hash: String,
}

impl From<airside_ledger::Entry> for Entry {
    fn from(entry: airside_ledger::Entry) -> Self {
        // The ledger accepts only one JSON object as a body; bytes that are
        // not one any more were changed on disk, and are shown as text.
        let body = serde_json::from_slice(&entry.body).unwrap_or_else(|_| {
            serde_json::value::to_raw_value(&String::from_utf8_lossy(&entry.body))
                .expect("a string is JSON")
        });
        Self {
            seq: entry.seq,
            time: entry.time,
            tenant: entry.tenant.to_string(),
            kind: entry.kind.as_str().to_owned(),
            version: entry.version,
            subject: entry.subject.to_string(),
            body,
            prev: entry.prev.to_string(),
            hash: entry.hash.to_string(),
        }
    }
}

/// A page of entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entries {
    /// In the order of the chain.
    pub entries: Vec<Entry>,
}

/// Newest position of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Chain.
    pub tenant: String,
    /// Number of entries in it.
    pub seq: u64,
    /// Hash of the newest, in hex.
    pub hash: String,
}

/// One line of a running verification.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Verify {
    /// Work done so far.
    Progress {
        /// Entries checked.
        done: u64,
        /// Entries to check.
        total: u64,
    },
    /// Every entry fits.
    Verified {
        /// Entries checked.
        entries: u64,
        /// Newest position of every chain.
        heads: Vec<Head>,
    },
    /// The ledger could not be verified, or does not hold together.
    Failed(Problem),
}

impl From<Result<Verified, VerifyError>> for Verify {
    fn from(verified: Result<Verified, VerifyError>) -> Self {
        match verified {
            Ok(verified) => Self::Verified {
                entries: verified.entries,
                heads: verified
                    .heads
                    .into_iter()
                    .map(|(tenant, head)| Head {
                        tenant: tenant.to_string(),
                        seq: head.seq,
                        hash: head.hash.to_string(),
                    })
                    .collect(),
            },
            // Whoever may verify the ledger may know what is wrong with it.
            Err(error) => Self::Failed(Problem::with_cause(&error.fault())),
        }
    }
}

/// A configuration that has been taken into use.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reloaded {
    /// SHA-256 of the configuration, in hex.
    pub digest: String,
    /// Whether it differs from the one before.
    pub changed: bool,
}

/// What an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erased {
    /// The number of the last entry about it.
    pub entry: u64,
    /// How many keys are destroyed, those of earlier erasures included.
    pub keys: usize,
    /// There was nothing left to erase.
    pub repeated: bool,
}

impl From<airside_ledger::erasure::Done> for Erased {
    fn from(done: airside_ledger::erasure::Done) -> Self {
        Self {
            entry: done.entry,
            keys: done.keys,
            repeated: done.repeated,
        }
    }
}

/// What a conversation begins with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opening {
    /// Pseudonym of the person it is with, whose erasure ends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<SubjectId>,
    /// Seconds that it lives after its last change: at most 30 days, a day by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_s: Option<u64>,
    /// Its state.
    #[serde(default)]
    pub state: State,
}

/// A change of a conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The version that it was made from.
    pub version: u64,
    /// JSON Merge Patch (RFC 7396).
    pub patch: State,
}

/// A conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Conversation {
    /// The right to use it, told once, to whoever began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation: Option<String>,
    /// To be named by the next change.
    pub version: u64,
    /// When it began.
    pub created: Timestamp,
    /// When it ends unless it is changed before.
    pub expires: Timestamp,
    /// Where it has to stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The server that began it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Pseudonym of the person it is with.
    pub subject: SubjectId,
    /// Its state; absent when it has been erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
}

impl From<conversation::Conversation> for Conversation {
    fn from(from: conversation::Conversation) -> Self {
        Self {
            conversation: None,
            version: from.version,
            created: from.created,
            expires: from.expires,
            region: from.region,
            owner: from.owner.map(|owner| owner.to_string()),
            subject: from.subject,
            state: from.state.clear(),
        }
    }
}

/// A page of what happened to a conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct History {
    /// In the order of the chain.
    pub steps: Vec<Step>,
}

/// One entry about a conversation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Step {
    /// Its number.
    pub seq: u64,
    /// When.
    pub time: Timestamp,
    /// `created`, `patched`, `restored` or `ended`.
    pub what: String,
    /// Which state was brought back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
}

impl From<conversation::Step> for Step {
    fn from(step: conversation::Step) -> Self {
        Self {
            seq: step.seq,
            time: step.time,
            what: step.what.to_owned(),
            restored: step.restored,
        }
    }
}

/// What to bring back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Whose conversation.
    #[serde(default)]
    pub tenant: TenantId,
    /// Id of the conversation.
    pub id: String,
    /// Up to this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Up to this entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The entry with the earlier state itself, read elsewhere: its canonical encoding
    /// in base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// Why, and from which version; without it nothing is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Reason>,
}

/// Returns the text of [`Restore::entry`] for the canonical encoding of an entry.
#[must_use]
pub fn entry_text(encoded: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(encoded)
}

/// Why a state is brought back.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The version that the conversation has.
    pub version: u64,
    /// In clear and for ever: it should name no person.
    pub reason: String,
}

/// What a restore changed, or would change.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Brought {
    /// The entry that holds the earlier state.
    pub from: u64,
    /// When that was written.
    pub time: Timestamp,
    /// The version of the conversation, after the change if there was one.
    pub version: u64,
    /// JSON Merge Patch (RFC 7396) from the state before to the one after.
    pub patch: State,
}

/// A fault as its receiver reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable code.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// The version that a conversation has, when a change named another.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub version: Option<u64>,
}

impl Problem {
    /// Returns the problem with what only the operator may read.
    #[must_use]
    pub fn with_cause(fault: &Fault) -> Self {
        let mut problem = Self::from(fault);
        if let Some(cause) = fault.private() {
            problem.message = format!("{}: {cause}", problem.message);
        }
        problem
    }

    /// Returns the problem as one line of JSON.
    #[must_use]
    pub fn to_line(&self) -> String {
        to_line(self)
    }
}

impl From<&Fault> for Problem {
    fn from(fault: &Fault) -> Self {
        Self {
            code: fault.code().to_owned(),
            message: fault.public().to_owned(),
            hint: fault.hint().map(str::to_owned),
            version: None,
        }
    }
}

/// Returns `value` as one line of JSON with its line feed.
pub(crate) fn to_line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("wire types serialise");
    line.push('\n');
    line
}
