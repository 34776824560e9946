//! What travels over the control API, as JSON.

use std::net::SocketAddr;

use airside_base::{Fault, Timestamp};
use airside_ledger::{Verified, VerifyError};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

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
        }
    }
}

/// Returns `value` as one line of JSON with its line feed.
pub(crate) fn to_line(value: &impl Serialize) -> String {
    let mut line = serde_json::to_string(value).expect("wire types serialise");
    line.push('\n');
    line
}
