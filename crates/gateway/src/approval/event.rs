//! `approval.*` entries and the document that they explain.

use airside_base::TenantId;
use airside_ledger::{Draft, DraftError, Fact, Kind};
use airside_policy::Asked;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Question;

const REQUESTED: Kind = Kind::new("approval.requested");
const DECIDED: Kind = Kind::new("approval.decided");
const USED: Kind = Kind::new("approval.used");
const EXPIRED: Kind = Kind::new("approval.expired");

/// Whether an entry is about an approval.
pub(super) fn is_known(fact: &Fact<'_>) -> bool {
    [&REQUESTED, &DECIDED, &USED, &EXPIRED].contains(&fact.kind) && fact.version == 1
}

/// Where a question stands. What was decided comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The answer is no.
    Denied,
    /// The answer is yes, for one call.
    Approved,
    /// Nobody has answered.
    Open,
}

impl State {
    /// Returns the name used in columns and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Approved => "approved",
            Self::Open => "open",
        }
    }
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Yes.
    Approved,
    /// No.
    Denied,
}

impl Decision {
    pub(super) const fn state(self) -> State {
        match self {
            Self::Approved => State::Approved,
            Self::Denied => State::Denied,
        }
    }
}

/// A question and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Digest over everything that the answer is bound to.
    pub binding: String,
    /// Where it stands.
    pub state: State,
    /// What was asked.
    pub question: Requested,
    /// When it ends, in microseconds since the Unix epoch.
    pub expires_us: i64,
    /// Who decided, `client` or `operator`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

impl Document {
    /// Returns whether it has not ended.
    pub(super) fn holds_at(&self, now: airside_base::Timestamp) -> bool {
        self.expires_us > now.as_microsecond()
    }

    /// Returns who has to agree.
    pub(super) fn asked(&self) -> Option<Asked> {
        Asked::find(&self.question.asked)
    }

    /// Returns who has agreed.
    pub(super) fn by(&self) -> Option<Asked> {
        self.by.as_deref().and_then(Asked::find)
    }

    /// Returns who called, for the column.
    pub(super) fn caller(&self) -> String {
        format!("{}/{}", self.question.kind, self.question.caller)
    }
}

/// The body of `approval.requested`, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// Digest over everything that the answer is bound to.
    pub binding: String,
    /// Kind of the caller.
    pub kind: String,
    /// The caller.
    pub caller: String,
    /// The upstream server.
    pub server: String,
    /// The method.
    pub method: String,
    /// The tool, prompt or resource; of a resource only that it is one.
    pub name: String,
    /// SHA-256 of the canonical arguments.
    pub arguments_sha256: String,
    /// Arguments of interest that may stand here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shown: Vec<(String, String)>,
    /// Version of the policies.
    pub policy: String,
    /// The policies that ask.
    pub policies: Vec<String>,
    /// What they tell the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Who has to agree, `client` or `operator`.
    pub asked: String,
    /// When it ends, in microseconds since the Unix epoch.
    pub expires_us: i64,
}

impl Requested {
    pub(super) fn of(question: &Question<'_>, binding: String, expires_us: i64) -> Self {
        let bound = question.bound;
        Self {
            binding,
            kind: bound.kind.to_owned(),
            caller: bound.caller.clone(),
            server: bound.server.clone(),
            method: bound.method.clone(),
            // Addresses of resources may be personal.
            name: match bound.method.as_str() {
                "tools/call" | "prompts/get" => bound.name.clone(),
                _ => String::new(),
            },
            arguments_sha256: bound.arguments.clone(),
            shown: question.shown.clone(),
            policy: bound.policy.clone(),
            policies: question.policies.clone(),
            hint: question.hint.clone(),
            asked: question.asked.as_str().to_owned(),
            expires_us,
        }
    }

    pub(super) fn draft(&self, tenant: &TenantId, id: &str) -> Result<Draft, DraftError> {
        Draft::new(tenant.clone(), REQUESTED, 1, id, self)
    }
}

/// The body of `approval.decided`, version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Decided {
    pub(super) decision: Decision,
    pub(super) by: String,
    /// The operator, as the control API knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// When the decision ends, in microseconds since the Unix epoch.
    pub(super) expires_us: i64,
}

impl Decided {
    pub(super) fn draft(&self, tenant: &TenantId, id: &str) -> Result<Draft, DraftError> {
        Draft::new(tenant.clone(), DECIDED, 1, id, self)
    }
}

/// The body of `approval.used`, version 1.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Used {
    /// Id of the call.
    pub(super) call: String,
}

impl Used {
    pub(super) fn draft(&self, tenant: &TenantId, id: &str) -> Result<Draft, DraftError> {
        Draft::new(tenant.clone(), USED, 1, id, self)
    }
}

/// `approval.expired`, version 1: nobody decided, or nobody used it.
pub(super) fn expired(tenant: &TenantId, id: &str) -> Result<Draft, DraftError> {
    Draft::new(tenant.clone(), EXPIRED, 1, id, &json!({}))
}

pub(super) fn fold(prior: Option<Document>, fact: Fact<'_>) -> Option<Document> {
    if *fact.kind == REQUESTED {
        let question: Requested = fact.decode().ok()?;
        return Some(Document {
            binding: question.binding.clone(),
            state: State::Open,
            expires_us: question.expires_us,
            question,
            by: None,
        });
    }
    if *fact.kind != DECIDED {
        return None;
    }
    let decided: Decided = fact.decode().ok()?;
    Some(Document {
        state: decided.decision.state(),
        expires_us: decided.expires_us,
        by: Some(decided.by),
        ..prior?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_decode_for_ever() {
        let requested: Requested =
            serde_json::from_str(include_str!("golden/approval.requested.1.json")).unwrap();
        assert_eq!(requested.shown, [("amount".to_owned(), "1050".to_owned())]);
        assert_eq!(Asked::find(&requested.asked), Some(Asked::Operator));
        let decided: Decided =
            serde_json::from_str(include_str!("golden/approval.decided.1.json")).unwrap();
        assert_eq!(decided.decision, Decision::Approved);
        let used: Used = serde_json::from_str(include_str!("golden/approval.used.1.json")).unwrap();
        assert_eq!(used.call, "0199a2f0-0000-7000-8000-000000000000");
    }
}
