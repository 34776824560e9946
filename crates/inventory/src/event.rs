//! What the inventory appends to the ledger.
//!
//! # Invariants
//!
//! * A version of a body never changes its meaning: `events.golden.json` holds one of
//!   each, and all decode for ever.
//! * Bodies hold what a decision was made of, so that it can be made again.

use airside_base::{TenantId, Timestamp};
use airside_ledger::{Draft, DraftError, Kind};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    component::{Component, Gap},
    decision::{Decision, derive::Setting, lane::Lane, sla::Clock},
    feeds::Feed,
    remedy::Upgrade,
};

/// Version of the bodies below.
const VERSION: u16 = 1;
/// Most components in one entry; more come in parts.
pub(crate) const MAX_PART: usize = 2000;

/// Something that happened to the inventory or to a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "snake_case")]
pub enum Event {
    /// A server is made of these components.
    #[serde(rename = "inventory.observed")]
    Observed(Observed),
    /// A server is no longer there.
    #[serde(rename = "inventory.retired")]
    Retired {
        /// The server.
        server: String,
    },
    /// Feeds were read that differ from those before.
    #[serde(rename = "inventory.feeds")]
    Feeds {
        /// Digest of all of them together.
        digest: String,
        /// The files.
        feeds: Vec<Feed>,
    },
    /// What is known about the feeds is not what it should be, or is again.
    #[serde(rename = "inventory.warned")]
    Warned(Warning),
    /// A vulnerability and a deployed component were both known for the first time.
    #[serde(rename = "finding.opened")]
    Opened(Box<Judged>),
    /// A finding was judged anew.
    #[serde(rename = "finding.changed")]
    Changed(Box<Judged>),
    /// A finding ended.
    #[serde(rename = "finding.closed")]
    Closed {
        /// The finding.
        id: String,
        /// Why.
        why: Closed,
        /// What shows it.
        evidence: String,
    },
    /// A person moved a deadline.
    #[serde(rename = "finding.extended")]
    Extended {
        /// The finding.
        id: String,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// The new last day.
        to: Date,
    },
    /// A person accepted a finding for a while.
    #[serde(rename = "finding.excepted")]
    Excepted {
        /// The finding.
        id: String,
        /// Who owns the risk.
        by: String,
        /// Why.
        reason: String,
        /// The last day.
        until: Date,
    },
    /// A deadline has passed and the finding is still there.
    #[serde(rename = "finding.overdue")]
    Overdue {
        /// The finding.
        id: String,
        /// The server.
        server: String,
        /// The deadline.
        due: Timestamp,
    },
    /// An exception has ended and the finding is still there.
    #[serde(rename = "finding.resumed")]
    Resumed {
        /// The finding.
        id: String,
        /// The last day of the exception.
        until: Date,
    },
    /// Attackers were kept away while the vulnerability is still there, or no longer.
    #[serde(rename = "finding.mitigated")]
    Mitigated {
        /// The finding.
        id: String,
        /// What was done; empty when it was taken back.
        what: String,
        /// The server; absent in entries of before, which hold nobody up.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        server: String,
        /// The tool, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tool: Option<String>,
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

/// What is not as it should be with the feeds. Empty when all is well.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Feeds that are older than they may be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stale: Vec<String>,
    /// Why newer files are not in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// What a server is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// Name of the upstream.
    pub server: String,
    /// Its version, as it is deployed.
    #[serde(default)]
    pub version: String,
    /// Where it runs.
    #[serde(default)]
    pub region: String,
    /// What is known of its place.
    pub setting: Setting,
    /// SHA-256 over everything here.
    pub digest: String,
    /// The product that the components make up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// Number of this part, from 0.
    #[serde(default)]
    pub part: usize,
    /// Number of parts.
    pub parts: usize,
    /// The components of this part.
    pub components: Vec<Component>,
    /// What could not be read; in the first part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// Components that no advisory could be compared with, and why; in the first part.
    #[serde(default)]
    pub unassessed: usize,
}

/// A finding as it was judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// Its id: of server, vulnerability and package.
    pub id: String,
    /// The server.
    pub server: String,
    /// Id of the alias group.
    pub vulnerability: String,
    /// Every id of the vulnerability.
    pub ids: Vec<String>,
    /// What it is about.
    pub summary: String,
    /// Package URL without version.
    pub package: String,
    /// Affected versions that are deployed.
    pub versions: Vec<String>,
    /// Versions that end it, the smallest first.
    pub fixed: Vec<String>,
    /// The upgrade of each deployed version; absent in entries of before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrades: Vec<Upgrade>,
    /// CVSS vectors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vectors: Vec<String>,
    /// Digest of the feeds.
    pub feeds: String,
    /// What was decided, with its inputs.
    pub decision: Decision,
    /// The clock.
    pub clock: Clock,
    /// When to change it.
    pub lane: Lane,
    /// What made this entry, for people.
    pub because: String,
}

/// Why a finding ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closed {
    /// The inventory of production shows a version without it.
    Fixed,
    /// The advisory was taken back.
    Withdrawn,
    /// The advisory, or a trusted statement, says that it is not affected.
    NotAffected,
    /// The server is gone.
    Retired,
}

impl Closed {
    /// Returns it in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Withdrawn => "advisory withdrawn",
            Self::NotAffected => "not affected",
            Self::Retired => "server retired",
        }
    }
}

impl Event {
    /// Returns whether entries of `kind` are of the inventory.
    #[must_use]
    pub fn is_kind(kind: &str) -> bool {
        kind.starts_with("inventory.") || kind.starts_with("finding.")
    }

    /// Reads an entry. `None` when it is of something else or of a later version.
    #[must_use]
    pub fn read(kind: &str, version: u16, body: &[u8]) -> Option<Self> {
        if version != VERSION || !Self::is_kind(kind) {
            return None;
        }
        let mut body: serde_json::Value = serde_json::from_slice(body).ok()?;
        body.as_object_mut()?.insert("kind".to_owned(), kind.into());
        serde_json::from_value(body).ok()
    }

    /// Returns the entry to append.
    ///
    /// # Errors
    ///
    /// When it is larger than an entry may be.
    pub fn draft(&self) -> Result<Draft, DraftError> {
        let mut body = serde_json::to_value(self).map_err(DraftError::Serialize)?;
        if let Some(members) = body.as_object_mut() {
            members.remove("kind");
        }
        let (kind, subject) = match self {
            Self::Observed(o) => (const { Kind::new("inventory.observed") }, o.server.as_str()),
            Self::Retired { server } => (const { Kind::new("inventory.retired") }, server.as_str()),
            Self::Feeds { .. } => (const { Kind::new("inventory.feeds") }, "feeds"),
            Self::Warned(_) => (const { Kind::new("inventory.warned") }, "feeds"),
            Self::Overdue { id, .. } => (const { Kind::new("finding.overdue") }, id.as_str()),
            Self::Resumed { id, .. } => (const { Kind::new("finding.resumed") }, id.as_str()),
            Self::Opened(judged) => (const { Kind::new("finding.opened") }, judged.id.as_str()),
            Self::Changed(judged) => (const { Kind::new("finding.changed") }, judged.id.as_str()),
            Self::Closed { id, .. } => (const { Kind::new("finding.closed") }, id.as_str()),
            Self::Extended { id, .. } => (const { Kind::new("finding.extended") }, id.as_str()),
            Self::Excepted { id, .. } => (const { Kind::new("finding.excepted") }, id.as_str()),
            Self::Mitigated { id, .. } => (const { Kind::new("finding.mitigated") }, id.as_str()),
        };
        Draft::new(TenantId::default(), kind, VERSION, subject, &body)
    }
}

#[cfg(test)]
mod tests;
