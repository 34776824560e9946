//! What a node records about itself.
//!
//! # Invariants
//!
//! * A version of a body never changes its meaning: `events.golden.json` holds
//!   one of each, and all decode for ever.

use airside_base::TenantId;
use airside_ledger::{Draft, DraftError, Kind};
use serde::{Deserialize, Serialize};

/// Version of the bodies below.
const VERSION: u16 = 1;

/// Something that happened to the node itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all_fields = "snake_case")]
pub(crate) enum Event {
    /// The node serves.
    #[serde(rename = "node.started")]
    Started {
        /// Id of this run.
        node: String,
        /// Version of the binary.
        version: String,
        /// Where clients connect.
        endpoints: Vec<String>,
    },
    /// A configuration was taken into use.
    #[serde(rename = "config.loaded")]
    ConfigLoaded {
        /// Id of this run.
        node: String,
        /// SHA-256 of the configuration and its policies, in hex.
        digest: String,
        /// File, or `airside up`.
        source: String,
    },
    /// The node stopped in order.
    #[serde(rename = "node.stopped")]
    Stopped {
        /// Id of this run.
        node: String,
        /// Whether all running calls had ended.
        drained: bool,
    },
}

impl Event {
    /// Returns the entry to append.
    pub(crate) fn draft(&self) -> Result<Draft, DraftError> {
        let mut body = serde_json::to_value(self).map_err(DraftError::Serialize)?;
        if let Some(members) = body.as_object_mut() {
            members.remove("kind");
        }
        let (kind, subject) = match self {
            Self::Started { node, .. } => (const { Kind::new("node.started") }, node),
            Self::ConfigLoaded { source, .. } => (const { Kind::new("config.loaded") }, source),
            Self::Stopped { node, .. } => (const { Kind::new("node.stopped") }, node),
        };
        Draft::new(TenantId::default(), kind, VERSION, subject, &body)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_recorded_version_still_decodes() {
        let golden = include_str!("events.golden.json");
        let entries: Vec<Value> = serde_json::from_str(golden).unwrap();
        for entry in entries {
            let (kind, version) = (entry["kind"].clone(), entry["version"].as_u64());
            assert_eq!(version, Some(u64::from(VERSION)));
            let mut tagged = entry["body"].clone();
            tagged["kind"] = kind.clone();
            let event: Event = serde_json::from_value(tagged).expect("a recorded event decodes");
            let draft = event.draft().unwrap();
            assert_eq!(Value::from(draft.kind().as_str()), kind);
            let body: Value = serde_json::from_slice(draft.body()).unwrap();
            assert_eq!(body, entry["body"]);
        }
    }
}
