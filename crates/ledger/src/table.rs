//! Keyed documents that entries explain.
//!
//! # Invariants
//!
//! * A document changes only by [`Schema::fold`] of the drafts that are written
//!   with it, so folding the log again gives the same documents.
//! * Its version is the sequence number of the last entry that changed it. A
//!   change names the version it was made from; a lost race is an error.

use std::{marker::PhantomData, sync::Arc};

use airside_base::{Fault, Kind as FaultKind, TenantId};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    batch::{Batch, Change, Receipt},
    entry::{Draft, Entry, Kind, MAX_BODY_BYTES},
    error::{AppendError, ReadError},
    ledger::Ledger,
    store::{Cell, Document, Filter, MAX_COLUMNS, Row, Scan},
};

/// Longest key of a document, in bytes.
const MAX_KEY_BYTES: usize = 256;

/// What a table knows of an entry: what does not depend on its place in the chain.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a> {
    /// What happened.
    pub kind: &'a Kind,
    /// Version of the body's shape.
    pub version: u16,
    /// What it is about.
    pub subject: &'a str,
    /// One JSON object.
    pub body: &'a [u8],
}

impl Fact<'_> {
    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// When the body has another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(self.body)
    }
}

impl<'a> From<&'a Draft> for Fact<'a> {
    fn from(draft: &'a Draft) -> Self {
        Self {
            kind: &draft.kind,
            version: draft.version,
            subject: &draft.subject,
            body: &draft.body,
        }
    }
}

impl<'a> From<&'a Entry> for Fact<'a> {
    fn from(entry: &'a Entry) -> Self {
        Self {
            kind: &entry.kind,
            version: entry.version,
            subject: &entry.subject,
            body: &entry.body,
        }
    }
}

/// A value by which documents of a table can be found.
#[derive(Debug)]
pub struct Column<D> {
    /// Its name. The place in [`Schema::COLUMNS`] is stored, so columns are only
    /// ever added at the end.
    pub name: &'static str,
    /// Returns its value in a document; always of the same sort.
    pub cell: fn(&D) -> Option<Cell>,
}

/// What a table holds and how entries change it.
pub trait Schema: Send + Sync + 'static {
    /// Name of the table, unique in the installation.
    const NAME: &'static str;
    /// One document.
    type Document: Serialize + DeserializeOwned + Send + 'static;
    /// Raised when the same entries give other documents than before, so that state
    /// that was folded earlier is not taken for the present one.
    const VERSION: u32 = 1;
    /// What documents can be found by; at most four.
    const COLUMNS: &'static [Column<Self::Document>];

    /// Returns which document an entry changes, if it is one of this table.
    fn key(fact: Fact<'_>) -> Option<String>;

    /// Returns the document after an entry, `None` if it is gone. Depends on
    /// nothing but its arguments.
    fn fold(prior: Option<Self::Document>, fact: Fact<'_>) -> Option<Self::Document>;
}

/// A document as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<D> {
    /// Its key.
    pub key: Arc<str>,
    /// The number of the entry that changed it last.
    pub version: u64,
    /// Its content.
    pub document: D,
}

/// Why a table did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The drafts are not all about the one document that was given.
    #[error("the drafts are not about one document of `{table}`")]
    OtherDocument {
        /// The table.
        table: &'static str,
    },
    /// The key or the document is over its limit.
    #[error("a key or document of `{table}` is too large")]
    TooLarge {
        /// The table.
        table: &'static str,
    },
    /// The document does not serialize, or the stored one has another shape.
    #[error("a document of `{table}` has another shape")]
    Shape {
        /// The table.
        table: &'static str,
        /// What does not fit.
        source: serde_json::Error,
    },
    /// No column has this name.
    #[error("`{table}` has no column `{column}`")]
    NoColumn {
        /// The table.
        table: &'static str,
        /// The name.
        column: String,
    },
    /// It could not be read.
    #[error("cannot read a document")]
    Read(#[source] ReadError),
    /// It could not be written.
    #[error("cannot write a document")]
    Append(#[source] AppendError),
}

impl TableError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::OtherDocument { .. } | Self::Shape { .. } | Self::NoColumn { .. } => Fault::new(
                FaultKind::Internal,
                "LED-019",
                "a document does not fit its table",
            ),
            Self::TooLarge { .. } => {
                Fault::new(FaultKind::TooLarge, "LED-005", "the entry is too large")
            }
            Self::Read(error) => return error.fault(),
            Self::Append(error) => return error.fault(),
        }
        .with_private(self)
    }
}

/// The documents of one [`Schema`].
#[derive(Debug)]
pub struct Table<S> {
    ledger: Ledger,
    schema: PhantomData<fn() -> S>,
}

impl<S> Clone for Table<S> {
    fn clone(&self) -> Self {
        Self {
            ledger: self.ledger.clone(),
            schema: PhantomData,
        }
    }
}

impl<S: Schema> Table<S> {
    /// Returns the table in `ledger`.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        const { assert!(S::COLUMNS.len() <= MAX_COLUMNS, "at most four columns") };
        Self {
            ledger,
            schema: PhantomData,
        }
    }

    /// Returns one document.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn find(
        &self,
        tenant: &TenantId,
        key: &str,
    ) -> Result<Option<Versioned<S::Document>>, TableError> {
        let store = self.ledger.store();
        let row = store.find(S::NAME, tenant.clone(), key.into()).await;
        let row = row.map_err(|error| TableError::Read(error.into()))?;
        row.map(Self::decode).transpose()
    }

    /// Returns up to `limit` documents behind the key `after` (empty to start), by key.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn all(
        &self,
        tenant: &TenantId,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Versioned<S::Document>>, TableError> {
        let after = after.to_owned();
        self.scan(tenant, Filter::All { after }, limit).await
    }

    /// Returns up to `limit` documents whose `column` is `value`, behind the key
    /// `after` (empty to start), by key.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn equal(
        &self,
        tenant: &TenantId,
        column: &str,
        value: Cell,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Versioned<S::Document>>, TableError> {
        let filter = Filter::Equal {
            column: Self::column(column)?,
            value,
            after: after.to_owned(),
        };
        self.scan(tenant, filter, limit).await
    }

    /// Returns up to `limit` documents whose `column` is at most `value`, the
    /// smallest value first.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub async fn at_most(
        &self,
        tenant: &TenantId,
        column: &str,
        value: Cell,
        limit: usize,
    ) -> Result<Vec<Versioned<S::Document>>, TableError> {
        let column = Self::column(column)?;
        let filter = Filter::AtMost { column, value };
        self.scan(tenant, filter, limit).await
    }

    /// Adds `drafts` to `batch`, with the change of the one document that they
    /// are about. `prior` is this document as it was read, `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the drafts are about another document or it is over its limit.
    pub fn change(
        &self,
        batch: &mut Batch,
        prior: Option<Versioned<S::Document>>,
        drafts: Vec<Draft>,
    ) -> Result<(), TableError> {
        let other = || TableError::OtherDocument { table: S::NAME };
        let key = drafts.first().and_then(|draft| S::key(draft.into()));
        let key: Arc<str> = key.ok_or_else(other)?.into();
        let tenant = drafts[0].tenant.clone();
        if prior.as_ref().is_some_and(|prior| prior.key != key) {
            return Err(other());
        }
        let expected = prior.as_ref().map(|prior| prior.version);
        let mut document = prior.map(|prior| prior.document);
        for draft in &drafts {
            if draft.tenant != tenant || S::key(draft.into()).as_deref() != Some(&*key) {
                return Err(other());
            }
            document = S::fold(document, draft.into());
        }
        let document = Self::checked(&key, document)?;
        batch.drafts.extend(drafts);
        batch.changes.push(Change {
            table: S::NAME,
            key,
            expected,
            document,
            draft: batch.drafts.len() - 1,
        });
        Ok(())
    }

    /// Adds the change of the document `key` by the drafts that are in `batch`
    /// already, for entries that documents of several tables follow from. `prior` is
    /// this document as it was read, `None` if there is none.
    ///
    /// # Errors
    ///
    /// When no draft is about the document or it is over its limit.
    pub fn along(
        &self,
        batch: &mut Batch,
        key: &str,
        prior: Option<Versioned<S::Document>>,
    ) -> Result<(), TableError> {
        let other = || TableError::OtherDocument { table: S::NAME };
        let is_other = |prior: &Versioned<S::Document>| *prior.key != *key;
        if prior.as_ref().is_some_and(is_other) {
            return Err(other());
        }
        let expected = prior.as_ref().map(|prior| prior.version);
        let mut document = prior.map(|prior| prior.document);
        let mut last = None;
        for (at, draft) in batch.drafts.iter().enumerate() {
            if S::key(draft.into()).as_deref() == Some(key) {
                document = S::fold(document, draft.into());
                last = Some(at);
            }
        }
        batch.changes.push(Change {
            table: S::NAME,
            key: key.into(),
            expected,
            document: Self::checked(key, document)?,
            draft: last.ok_or_else(other)?,
        });
        Ok(())
    }

    fn checked(key: &str, document: Option<S::Document>) -> Result<Option<Document>, TableError> {
        let document = document.map(|d| Self::encode(&d)).transpose()?;
        let size = document.as_ref().map_or(0, |d| d.body.len());
        if key.len() > MAX_KEY_BYTES || size > MAX_BODY_BYTES {
            return Err(TableError::TooLarge { table: S::NAME });
        }
        Ok(document)
    }

    /// Appends `drafts` and changes the document that they are about.
    ///
    /// # Errors
    ///
    /// [`AppendError::Stale`] within [`TableError::Append`] when another changed
    /// it since `prior` was read.
    pub async fn append(
        &self,
        prior: Option<Versioned<S::Document>>,
        drafts: Vec<Draft>,
    ) -> Result<Receipt, TableError> {
        let mut batch = Batch::new();
        self.change(&mut batch, prior, drafts)?;
        let receipt = self.ledger.commit(batch).await;
        receipt.map_err(TableError::Append)
    }

    async fn scan(
        &self,
        tenant: &TenantId,
        filter: Filter,
        limit: usize,
    ) -> Result<Vec<Versioned<S::Document>>, TableError> {
        let scan = Scan {
            table: S::NAME,
            tenant: tenant.clone(),
            filter,
            limit,
        };
        let rows = self.ledger.store().scan(scan).await;
        let rows = rows.map_err(|error| TableError::Read(error.into()))?;
        rows.into_iter().map(Self::decode).collect()
    }

    fn column(name: &str) -> Result<usize, TableError> {
        let position = S::COLUMNS.iter().position(|column| column.name == name);
        position.ok_or_else(|| TableError::NoColumn {
            table: S::NAME,
            column: name.to_owned(),
        })
    }

    fn encode(document: &S::Document) -> Result<Document, TableError> {
        let body = serde_json::to_vec(document).map_err(Self::shape)?;
        let mut cells = [const { None }; MAX_COLUMNS];
        for (cell, column) in cells.iter_mut().zip(S::COLUMNS) {
            *cell = (column.cell)(document);
        }
        let body = body.into();
        Ok(Document { body, cells })
    }

    fn decode(row: Row) -> Result<Versioned<S::Document>, TableError> {
        Ok(Versioned {
            document: serde_json::from_slice(&row.body).map_err(Self::shape)?,
            key: row.key,
            version: row.version,
        })
    }

    fn shape(source: serde_json::Error) -> TableError {
        let table = S::NAME;
        TableError::Shape { table, source }
    }
}
