//! What is appended together.

use std::sync::Arc;

use airside_base::Timestamp;

use crate::{
    entry::{Draft, Head},
    ledger::Lease,
    store::{Document, Fence},
};

/// Drafts that become entries together or not at all, with the documents that
/// change by them.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) drafts: Vec<Draft>,
    pub(crate) changes: Vec<Change>,
    pub(crate) fence: Option<Fence>,
}

/// A change of a document that waits for the number of its entry.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) table: &'static str,
    pub(crate) key: Arc<str>,
    pub(crate) expected: Option<u64>,
    pub(crate) document: Option<Document>,
    /// Index of the draft that explains it.
    pub(crate) draft: usize,
}

impl Batch {
    /// Returns an empty batch.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    pub fn push(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// Makes the whole batch depend on `lease` still being held when it is written.
    pub fn fence(&mut self, lease: &Lease) {
        self.fence = Some(lease.fence().clone());
    }

    pub(crate) fn weight(&self) -> usize {
        let drafts: usize = self.drafts.iter().map(Draft::weight).sum();
        let documents = self.changes.iter().map(|change| {
            let body = change.document.as_ref().map_or(0, |d| d.body.len());
            body + size_of::<Change>()
        });
        drafts + documents.sum::<usize>()
    }
}

impl From<Vec<Draft>> for Batch {
    fn from(drafts: Vec<Draft>) -> Self {
        Self {
            drafts,
            ..Self::default()
        }
    }
}

/// Proof that entries are durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// When they were written.
    pub time: Timestamp,
    /// Number and hash of each, in the order of the drafts.
    pub entries: Vec<Head>,
}
