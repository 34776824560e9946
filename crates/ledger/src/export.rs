//! Everything about one person as one JSON document.
//!
//! # Invariants
//!
//! * Values about other persons stay sealed, also where they stand in the same entry.
//! * The document is written as it is read, at the pace of whoever takes it: its memory
//!   does not grow with the ledger.
//! * An erased value is named as erased, never left out in silence.

use std::io;

use airside_base::{BoxFuture, Clock, Fault, Kind as FaultKind, TenantId};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    entry::{Entry, Head},
    error::ReadError,
    keys::{KeyError, Keys},
    ledger::Ledger,
    personal::SubjectId,
    store::{Filter, MAX_READ, Query, Row, Scan, StoreError},
};

/// Bytes that are gathered before they are written.
const CHUNK: usize = 64 * 1024;
/// The form of the document and its version.
const FORMAT: &str = "airside.subject-export/1";

/// Why a person's data could not be exported. What has been written is not complete.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger cannot be read.
    #[error("cannot read the ledger")]
    Read(#[source] ReadError),
    /// A stored body is not what was written.
    #[error("entry or document `{place}` is not JSON")]
    Shape {
        /// Which.
        place: String,
    },
    /// The keys cannot be had.
    #[error("cannot get the keys of the subject")]
    Keys(#[source] KeyError),
    /// The document cannot be written.
    #[error("cannot write the export")]
    Write(#[source] io::Error),
}

impl ExportError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read(error) => error.fault(),
            Self::Shape { .. } => {
                Fault::new(FaultKind::Internal, "LED-018", "a stored entry is damaged")
                    .with_private(self)
            }
            Self::Keys(error) => error.fault(),
            Self::Write(_) => Fault::new(
                FaultKind::Unavailable,
                "LED-096",
                "the export cannot be written",
            )
            .with_private(self),
        }
    }
}

impl From<StoreError> for ExportError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}

/// Where an export is written.
pub trait Sink: Send {
    /// Takes the next part of the document, when it has room for it.
    fn take(&mut self, part: Vec<u8>) -> BoxFuture<'_, io::Result<()>>;
}

impl<W: io::Write + Send> Sink for W {
    fn take(&mut self, part: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(std::future::ready(self.write_all(&part)))
    }
}

/// How much an export found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Entries about the subject or with values about it.
    pub entries: u64,
    /// Documents of the same sort.
    pub documents: u64,
}

/// Writes everything about `subject` to `out`: the entries of the chain up to its
/// present head, and the documents of `tables`, with the subject's values opened.
///
/// # Errors
///
/// See [`ExportError`]; what has been written by then is cut.
pub async fn export(
    (ledger, keys, clock): (&Ledger, &Keys, &dyn Clock),
    tenant: &TenantId,
    subject: &SubjectId,
    tables: &[&'static str],
    out: &mut dyn Sink,
) -> Result<Exported, ExportError> {
    let head = ledger.head(tenant).await.map_err(ExportError::Read)?;
    let mut export = Export {
        ledger,
        keys,
        tenant,
        subject,
        out,
        gathered: Vec::new(),
        found: 0,
    };
    let opening = json!({
        "format": FORMAT,
        "tenant": tenant,
        "subject": subject,
        "exported": clock.now(),
        "head": head,
    });
    let opening = opening.to_string();
    // The object is left open for what follows.
    export.put(&opening[..opening.len() - 1]);
    export.put(",\n\"entries\":[");
    let entries = export.entries(head).await?;
    export.put("],\n\"documents\":[");
    let documents = export.documents(tables).await?;
    let exported = Exported { entries, documents };
    let totals = json!(exported);
    export.put(&format!("],\n\"totals\":{totals}}}\n"));
    export.hand_over().await?;
    Ok(exported)
}

struct Export<'a> {
    ledger: &'a Ledger,
    keys: &'a Keys,
    tenant: &'a TenantId,
    subject: &'a SubjectId,
    out: &'a mut dyn Sink,
    gathered: Vec<u8>,
    /// Elements of the present array.
    found: u64,
}

impl Export<'_> {
    fn put(&mut self, text: &str) {
        self.gathered.extend_from_slice(text.as_bytes());
    }

    async fn hand_over(&mut self) -> Result<(), ExportError> {
        let part = std::mem::take(&mut self.gathered);
        self.out.take(part).await.map_err(ExportError::Write)
    }

    async fn element(&mut self, element: &Value) -> Result<(), ExportError> {
        self.put(if self.found == 0 { "\n" } else { ",\n" });
        self.found += 1;
        self.put(&element.to_string());
        if self.gathered.len() < CHUNK {
            return Ok(());
        }
        self.hand_over().await
    }

    /// Returns whether `body` may hold a value about the subject: the id has no
    /// character that JSON escapes.
    fn mentions(&self, body: &[u8]) -> bool {
        std::str::from_utf8(body).is_ok_and(|body| body.contains(self.subject.as_str()))
    }

    async fn entries(&mut self, head: Head) -> Result<u64, ExportError> {
        self.found = 0;
        let mut after = 0;
        while after < head.seq {
            let query = Query::new(self.tenant.clone()).after(after);
            let entries = self.ledger.read(query).await.map_err(ExportError::Read)?;
            let Some(last) = entries.last() else { break };
            after = last.seq;
            for entry in entries.iter().filter(|entry| entry.seq <= head.seq) {
                let about = *entry.subject == *self.subject.as_str();
                if about || self.mentions(&entry.body) {
                    self.entry(entry).await?;
                }
            }
        }
        Ok(self.found)
    }

    async fn entry(&mut self, entry: &Entry) -> Result<(), ExportError> {
        let shape = |_| ExportError::Shape {
            place: format!("{} {}", entry.tenant, entry.seq),
        };
        let mut body: Value = entry.decode().map_err(shape)?;
        let kind = Some(&entry.kind);
        let revealed = self.keys.reveal(self.tenant, kind, self.subject, &mut body);
        revealed.await.map_err(ExportError::Keys)?;
        self.element(&json!({
            "seq": entry.seq,
            "time": entry.time,
            "kind": entry.kind.as_str(),
            "version": entry.version,
            "subject": &*entry.subject,
            "body": body,
            "hash": entry.hash,
        }))
        .await
    }

    async fn documents(&mut self, tables: &[&'static str]) -> Result<u64, ExportError> {
        self.found = 0;
        for table in tables {
            let mut after = String::new();
            loop {
                let scan = Scan {
                    table,
                    tenant: self.tenant.clone(),
                    filter: Filter::All {
                        after: after.clone(),
                    },
                    limit: MAX_READ,
                };
                let rows = self.ledger.store().scan(scan).await?;
                let Some(last) = rows.last() else { break };
                after = last.key.to_string();
                for row in &rows {
                    if *row.key == *self.subject.as_str() || self.mentions(&row.body) {
                        self.document(table, row).await?;
                    }
                }
            }
        }
        Ok(self.found)
    }

    async fn document(&mut self, table: &'static str, row: &Row) -> Result<(), ExportError> {
        let shape = |_| ExportError::Shape {
            place: format!("{table} {}", row.key),
        };
        let mut document: Value = serde_json::from_slice(&row.body).map_err(shape)?;
        let revealed = self
            .keys
            .reveal(self.tenant, None, self.subject, &mut document);
        revealed.await.map_err(ExportError::Keys)?;
        self.element(&json!({
            "table": table,
            "key": &*row.key,
            "version": row.version,
            "document": document,
        }))
        .await
    }
}
