//! The tables of an installation, so that their documents can be folded again.

use std::{collections::BTreeMap, fmt, sync::Arc};

use airside_base::TenantId;
use airside_ledger::{
    Cell, Entry, Fact, Hash, Schema, Store,
    conversation::Rows as Conversations,
    erasure::Erasures,
    seal::Seals,
    store::{Commit, Document, MAX_COLUMNS, Segment, Unit, Write},
};

use bytes::Bytes;

use super::RestoreError;
use crate::archive::snapshot::Held;

/// One table, whatever its documents are.
trait Fold: Send + Sync {
    fn name(&self) -> &'static str;
    fn key(&self, fact: Fact<'_>) -> Option<String>;
    /// Returns its name with everything that its documents depend on.
    fn form(&self) -> String;
    /// Returns the stored document with this body.
    fn document(&self, body: &Bytes) -> Result<Document, serde_json::Error>;
    /// Folds `facts`, all about one document, into it.
    fn fold(
        &self,
        prior: Option<&[u8]>,
        facts: &[Fact<'_>],
    ) -> Result<Option<Document>, serde_json::Error>;
}

struct Of<S>(std::marker::PhantomData<fn() -> S>);

/// Returns the values of the declared columns.
fn cells<S: Schema>(document: &S::Document) -> [Option<Cell>; MAX_COLUMNS] {
    let mut cells = [const { None }; MAX_COLUMNS];
    for (cell, column) in cells.iter_mut().zip(S::COLUMNS) {
        *cell = (column.cell)(document);
    }
    cells
}

impl<S: Schema> Fold for Of<S> {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn form(&self) -> String {
        let columns: Vec<_> = S::COLUMNS.iter().map(|column| column.name).collect();
        format!("{} {} {}", S::NAME, S::VERSION, columns.join(","))
    }

    fn key(&self, fact: Fact<'_>) -> Option<String> {
        S::key(fact)
    }

    fn document(&self, body: &Bytes) -> Result<Document, serde_json::Error> {
        let document: S::Document = serde_json::from_slice(body)?;
        let cells = cells::<S>(&document);
        // As it was written: a document that serializes differently would have another
        // digest.
        let body = body.clone();
        Ok(Document { body, cells })
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
        let cells = cells::<S>(&document);
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
        let mut changed = self.keys(entry);
        changed.any(|(of, found)| of == table && found == key)
    }

    /// Returns the tables and keys of the documents that `entry` changes.
    pub(super) fn keys(&self, entry: &Entry) -> impl Iterator<Item = (&'static str, String)> {
        let folds = self.0.iter();
        folds.filter_map(|fold| Some((fold.name(), fold.key(entry.into())?)))
    }

    /// Writes the entries of `segment` with the documents that change by them.
    pub(super) async fn write(
        &self,
        target: &dyn Store,
        segment: Segment,
    ) -> Result<(), RestoreError> {
        let tenant = segment.tenant().clone();
        let writes = self.writes(target, &tenant, segment.entries()).await?;
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

    /// Returns how the documents in `target` change by `entries` of one chain.
    pub(super) async fn writes(
        &self,
        target: &dyn Store,
        tenant: &TenantId,
        entries: &[Entry],
    ) -> Result<Vec<Write>, RestoreError> {
        let mut writes = Vec::new();
        for fold in &self.0 {
            self.fold(target, tenant, &**fold, entries, &mut writes)
                .await?;
        }
        Ok(writes)
    }

    /// Returns what stands for these tables: their names, their form, and the version of
    /// the program, whose folds may give other documents than those of another version.
    pub(crate) fn fingerprint(&self) -> Hash {
        let mut text = format!("airside.tables/1\n{}\n", env!("CARGO_PKG_VERSION"));
        for fold in &self.0 {
            text.push_str(&fold.form());
            text.push('\n');
        }
        Hash::of(text.as_bytes())
    }

    /// Returns the table and the document of a row of a snapshot.
    pub(super) fn document(&self, row: &Held) -> Result<(&'static str, Document), RestoreError> {
        let mut known = self.0.iter();
        let Some(fold) = known.find(|fold| fold.name() == row.table) else {
            let what = format!("table `{}`, of which the snapshot has documents", row.table);
            return Err(RestoreError::Absent { what });
        };
        let table = fold.name();
        let document = fold.document(&row.body);
        let document = document.map_err(|source| RestoreError::Fold {
            table,
            key: row.key.clone(),
            source,
        })?;
        Ok((table, document))
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
