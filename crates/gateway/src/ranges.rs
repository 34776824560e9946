//! Follows the lists of addresses that platforms publish.
//!
//! # Invariants
//!
//! * Who was let in by which list is on record: a list is in use from the moment of its
//!   entry at the latest, and each change is one.

use std::{borrow::Cow, sync::Arc, time::Duration};

use airside_identity::Changed;
use airside_ledger::{Draft, DraftError, Kind, Ledger};
use serde::{Deserialize, Serialize};

use crate::pipeline::Node;

/// How often it is looked which lists are due.
const LOOK: Duration = Duration::from_secs(10);

/// Most prefixes that an entry names. The digest is over all.
const NAMED: usize = 200;

const CHANGED: Kind = Kind::new("identity.ranges_changed");

/// `identity.ranges_changed`, version 1: a platform publishes other addresses than
/// before.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RangesChanged<'a> {
    /// The platform.
    name: Cow<'a, str>,
    /// Where the list is published.
    url: Cow<'a, str>,
    /// How many prefixes there are now.
    total: u64,
    /// SHA-256 of the sorted prefixes, one a line.
    sha256: Cow<'a, str>,
    /// Prefixes that were not there before, the first 200 of them.
    added: Vec<Cow<'a, str>>,
    /// How many were added.
    added_count: u64,
    /// Prefixes that are not there any more, the first 200 of them.
    removed: Vec<Cow<'a, str>>,
    /// How many were removed.
    removed_count: u64,
}

impl<'a> RangesChanged<'a> {
    fn new(changed: &'a Changed) -> Self {
        let named = |all: &'a [String]| all.iter().take(NAMED).map(Into::into).collect();
        Self {
            name: (&changed.name).into(),
            url: (&changed.url).into(),
            total: changed.total as u64,
            sha256: (&changed.sha256).into(),
            added: named(&changed.added),
            added_count: changed.added.len() as u64,
            removed: named(&changed.removed),
            removed_count: changed.removed.len() as u64,
        }
    }
}

fn draft(changed: &Changed) -> Result<Draft, DraftError> {
    let body = RangesChanged::new(changed);
    Draft::new(changed.tenant.clone(), CHANGED, 1, &changed.name, &body)
}

/// Keeps the lists fresh for as long as the process lives.
pub(crate) async fn watch(node: Arc<Node>, ledger: Ledger) {
    loop {
        let snapshot = node.snapshot.load_full();
        for changed in snapshot.identity.ranges().refresh().await {
            tracing::warn!(
                name = changed.name,
                url = changed.url,
                added = changed.added.len(),
                removed = changed.removed.len(),
                total = changed.total,
                "a platform has changed the addresses it calls from"
            );
            let appended = match draft(&changed) {
                Ok(draft) => ledger.append(vec![draft]).await.map(drop),
                Err(error) => {
                    tracing::error!(%error, "a change of addresses cannot be recorded");
                    continue;
                }
            };
            if let Err(error) = appended {
                tracing::error!(%error, "a change of addresses could not be recorded");
            }
        }
        node.clock.sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use airside_base::TenantId;

    use super::*;

    fn changed(added: usize) -> Changed {
        Changed {
            name: "openai".to_owned(),
            tenant: TenantId::default(),
            url: "https://openai.com/chatgpt-connectors.json".to_owned(),
            added: (0..added)
                .map(|number| format!("192.0.2.{number}/32"))
                .collect(),
            removed: vec!["198.51.100.0/24".to_owned()],
            total: added,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned(),
        }
    }

    #[test]
    fn ranges_changed_1_decodes_for_ever() {
        let golden = include_str!("ranges/golden/identity.ranges_changed.1.json");
        let changed = changed(1);
        let event = RangesChanged::new(&changed);
        assert_eq!(serde_json::to_string(&event).unwrap(), golden.trim_end());
        assert_eq!(
            serde_json::from_str::<RangesChanged<'_>>(golden).unwrap(),
            event
        );
    }

    #[test]
    fn long_lists_fit_into_an_entry() {
        let changed = changed(10_000);
        let event = RangesChanged::new(&changed);
        assert_eq!((event.added.len(), event.added_count), (NAMED, 10_000));
        assert!(draft(&changed).is_ok());
    }
}
