//! The tables of an installation, so that their documents can be folded again.

use std::{collections::BTreeMap, fmt, sync::Arc};

use airside_base::TenantId;
use airside_ledger::{
    Entry, Fact, Schema, Store,
    conversation::Rows as Conversations,
    erasure::Erasures,
    seal::Seals,
    store::{Commit, Document, MAX_COLUMNS, Segment, Unit, Write},
};

use super::RestoreError;

/// One table, whatever its documents are.
trait Fold: Send + Sync {
    fn name(&self) -> &'static str;
    fn key(&self, fact: Fact<'_>) -> Option<String>;
    /// Folds `facts`, all about one document, into it.
    fn fold(
        &self,
        prior: Option<&[u8]>,
        facts: &[Fact<'_>],
    ) -> Result<Option<Document>, serde_json::Error>;
}

struct Of<S>(std::marker::PhantomData<fn() -> S>);

impl<S: Schema> Fold for Of<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn key(&self, fact: Fact<'_>) -> Option<String> {
        S::key(fact)
    }

    fn fold(
        &self,
        prior: Option<&[u8]>,
        facts: &[Fact<'_>],
    ) -> Result<Option<Document>, serde_json::Error> {
        let prior: Option<S::Document> = prior.map(serde_json::from_slice).transpose()?;
        let folded = facts
            .iter()
            .fold(prior, |prior, fact| S::fold(prior, *fact));
        let Some(document) = folded else {
            return Ok(None);
        };
        let mut cells = [const { None }; MAX_COLUMNS];
        for (cell, column) in cells.iter_mut().zip(S::COLUMNS) {
            *cell = (column.cell)(&document);
        }
        let body = serde_json::to_vec(&document)?.into();
        Ok(Some(Document { body, cells }))
    }
}

/// The tables whose documents are folded again. Those of the ledger itself are
/// always among them.
pub struct Folds(Vec<Box<dyn Fold>>);

impl fmt::Debug for Folds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

impl Default for Folds {
    fn default() -> Self {
        Self(Vec::new())
            .with::<Conversations>()
            .with::<Erasures>()
            .with::<Seals>()
    }
}

impl Folds {
    /// Adds a table.
    #[must_use]
    pub fn with<S: Schema>(mut self) -> Self {
        self.0.push(Box::new(Of::<S>(std::marker::PhantomData)));
        self.0.sort_by_key(|fold| fold.name());
        self
    }

    /// Returns the names of the tables, in order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|fold| fold.name())
    }

    /// Returns whether `entry` changes the document `key` of `table`.
    pub(crate) fn concerns(&self, table: &str, key: &str, entry: &Entry) -> bool {
        let of_table = self.0.iter().filter(|fold| fold.name() == table);
        of_table
            .filter_map(|fold| fold.key(entry.into()))
            .any(|found| found == key)
    }

    /// Writes the entries of `segment` with the documents that change by them.
    pub(super) async fn write(
        &self,
        target: &dyn Store,
        segment: Segment,
    ) -> Result<(), RestoreError> {
        let tenant = segment.tenant().clone();
        let mut writes = Vec::new();
        for fold in &self.0 {
            self.fold(target, &tenant, &**fold, segment.entries(), &mut writes)
                .await?;
        }
        let unit = Unit {
            fence: None,
            writes,
        };
        let commit = Commit {
            segments: vec![segment],
            units: vec![unit],
        };
        let written = target.commit(Arc::new(commit)).await;
        written.map_err(RestoreError::Target)
    }

    async fn fold(
        &self,
        target: &dyn Store,
        tenant: &TenantId,
        fold: &dyn Fold,
        entries: &[Entry],
        writes: &mut Vec<Write>,
    ) -> Result<(), RestoreError> {
        let mut changed: BTreeMap<String, (u64, Vec<Fact<'_>>)> = BTreeMap::new();
        for entry in entries {
            let fact = Fact::from(entry);
            if let Some(key) = fold.key(fact) {
                let (version, facts) = changed.entry(key).or_default();
                *version = entry.seq;
                facts.push(fact);
            }
        }
        let table = fold.name();
        for (key, (version, facts)) in changed {
            let shared: Arc<str> = key.as_str().into();
            let prior = target.find(table, tenant.clone(), shared.clone()).await;
            let prior = prior.map_err(RestoreError::Target)?;
            let body = prior.as_ref().map(|row| &*row.body);
            let document = fold
                .fold(body, &facts)
                .map_err(|source| RestoreError::Fold { table, key, source })?;
            if prior.is_none() && document.is_none() {
                continue;
            }
            writes.push(Write {
                table,
                tenant: tenant.clone(),
                key: shared,
                expected: prior.map(|row| row.version),
                version,
                document,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_ledger_itself_are_among_them() {
        let folds = Folds::default();
        let names: Vec<_> = folds.names().collect();
        assert_eq!(names, ["conversations", "erasures", "seals"]);
    }
}
