//! Contracts of tools.

use airside_base::Timestamp;
use serde::{Deserialize, Serialize};

/// All contracts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Contracts {
    /// By server, class and tool.
    pub contracts: Vec<ContractRow>,
}

/// Which contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractOf {
    /// The server.
    pub server: String,
    /// The server's own name of the tool; empty for what the server says of itself.
    #[serde(default)]
    pub tool: String,
    /// Callers to whom the server says the same.
    #[serde(default = "gateway")]
    pub class: String,
}

fn gateway() -> String {
    "gateway".to_owned()
}

/// How a tool stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractRow {
    /// Which tool.
    pub of: ContractOf,
    /// `accepted`, `held` or `quarantined`.
    pub state: String,
    /// SHA-256 of what the server says now, to be named when it is accepted.
    pub digest: String,
    /// Whether that is what is served.
    pub served: bool,
    /// The server does not list it any more.
    pub removed: bool,
    /// In which ways it changed last.
    pub classes: Vec<String>,
    /// Who decided last; absent if the rules did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it changed last.
    pub at: Timestamp,
}

/// One definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// SHA-256 of its canonical form.
    pub digest: String,
    /// The text as the server sent it.
    pub definition: String,
    /// Rules of the screen that its texts meet, with the place.
    pub hits: Vec<ContractHit>,
}

/// A rule of the screen that a text meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractHit {
    /// Id of the rule.
    pub rule: String,
    /// Where in the definition, as a JSON pointer.
    pub place: String,
}

/// One place in which two definitions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContractDifference {
    /// Where, as a JSON pointer.
    pub path: String,
    /// What stood there, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What stands there now, as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A contract in full.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    /// How the tool stands.
    pub row: ContractRow,
    /// What was accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Definition>,
    /// What was accepted before that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Definition>,
    /// What the server says and nobody has accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offered: Option<Definition>,
    /// Where what the server says differs from what was accepted or, if nothing waits,
    /// from what was accepted before.
    pub differences: Vec<ContractDifference>,
}

/// What a person decides.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContractDecision {
    /// About which tool.
    pub of: ContractOf,
    /// What is wanted.
    pub verdict: ContractVerdict,
    /// SHA-256 of the definition that was looked at; needed to accept and to hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Why; stays in the ledger in clear.
    pub reason: String,
}

/// What a person wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContractVerdict {
    /// What the server says is to be served.
    Accept,
    /// What the server said before is to be served.
    Hold,
    /// The tool is neither to be listed nor called.
    Quarantine,
}
