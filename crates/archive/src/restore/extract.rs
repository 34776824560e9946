//! Bringing back what a moment knew of one person.
//!
//! # Invariants
//!
//! * The target gets every entry about the person and every entry that changed a
//!   document about the person, with its time, kind and content. The others stay out, so
//!   the chain is a new one: numbers and hashes are its own, and its first entry
//!   ([`EXTRACTED`]) names the end of the chain that it was taken from.
//! * Sealed values stay sealed. Whoever was erased since is erased here too.

use std::{collections::BTreeSet, sync::Arc};

use airside_base::{Clock, TenantId};
use airside_ledger::{
    Entry, Hash, Head, Kind, Progress, Query, Store, StoreError,
    personal::SubjectId,
    store::{MAX_READ, Segment, Tip},
};
use bytes::Bytes;
use serde::Serialize;

use super::{
    Folds, Rehearsal, Request, RestoreError, Restored, Rows, Source, conclude, is_possible, mark,
    source, unmark,
};

/// The first entry of a chain that holds what was known of one person.
pub const EXTRACTED: Kind = Kind::new("ledger.extracted");

/// The body of [`EXTRACTED`], version 1.
#[derive(Serialize)]
struct Extracted<'a> {
    subject: &'a SubjectId,
    /// The end of the chain at that moment.
    source: Head,
}

/// Brings what the moment knew of `subject` into `target`, which has to be empty, by way
/// of `rehearsal`, which has to be fresh. `request` has to name the tenant.
///
/// # Errors
///
/// See [`RestoreError`]; [`RestoreError::Absent`] when nothing was known of the subject.
pub async fn restore_subject(
    (source, request, subject): (Source<'_>, &Request, &SubjectId),
    rehearsal: &Rehearsal,
    target: &Arc<dyn Store>,
    folds: &Folds,
    clock: Arc<dyn Clock>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Restored, RestoreError> {
    is_possible(source, request, &**target).await?;
    let Some(tenant) = &request.tenant else {
        let what = "a person is one of a tenant: name the tenant";
        return Err(RestoreError::Unclear { what });
    };
    // First of all: without it nothing may be brought back.
    let erasures = source::erasures(source, request.until).await?;
    rehearsal.run(source, request, folds, progress).await?;
    let moment = rehearsal.store();
    let documents = documents_about(moment, tenant, subject, folds).await;
    let documents = documents.map_err(RestoreError::Target)?;
    let mark = mark(&**target, &*clock).await?;
    let mut extract = Extract {
        target: &**target,
        folds,
        tip: Tip::default(),
    };
    extract.take(moment, (tenant, subject), &documents).await?;
    let Tip { head, time } = extract.tip;
    if head.seq == 0 {
        let what = format!("entry about `{subject}` at that moment");
        return Err(unmark(&**target, mark, RestoreError::Absent { what }).await);
    }
    let mut restored = Restored {
        entries: head.seq,
        heads: vec![(tenant.clone(), head)],
        time,
        from_snapshot: 0,
        erasures: 0,
    };
    restored.erasures = conclude(&erasures, target, clock, mark).await?;
    Ok(restored)
}

/// Tables and keys of documents.
pub(super) type Named = BTreeSet<(&'static str, Arc<str>)>;

/// Returns the tables and keys of the documents that are about `subject`.
pub(super) async fn documents_about(
    moment: &dyn Store,
    tenant: &TenantId,
    subject: &SubjectId,
    folds: &Folds,
) -> Result<Named, StoreError> {
    let mut found = Named::new();
    for table in folds.names() {
        let mut rows = Rows::new(moment, table, tenant);
        while let Some(row) = rows.next().await? {
            if *row.key == *subject.as_str() || mentions(&row.body, subject) {
                found.insert((table, row.key));
            }
        }
    }
    Ok(found)
}

/// Returns whether `body` may hold a value about `subject`: the id has no character that
/// JSON escapes.
fn mentions(body: &[u8], subject: &SubjectId) -> bool {
    std::str::from_utf8(body).is_ok_and(|body| body.contains(subject.as_str()))
}

/// Writes a chain of its own.
struct Extract<'a> {
    target: &'a dyn Store,
    folds: &'a Folds,
    tip: Tip,
}

impl Extract<'_> {
    async fn take(
        &mut self,
        moment: &dyn Store,
        (tenant, subject): (&TenantId, &SubjectId),
        documents: &Named,
    ) -> Result<(), RestoreError> {
        let end = moment.tip(tenant.clone()).await;
        let end = end.map_err(RestoreError::Target)?.head;
        let mut after = 0;
        loop {
            let query = Query::new(tenant.clone()).after(after).limit(MAX_READ);
            let entries = moment.read(query).await.map_err(RestoreError::Target)?;
            let Some(last) = entries.last() else {
                return Ok(());
            };
            after = last.seq;
            let folds = self.folds;
            let concerns = |entry: &Entry| {
                *entry.subject == *subject.as_str()
                    || mentions(&entry.body, subject)
                    || folds
                        .keys(entry)
                        .any(|(table, key)| documents.contains(&(table, key.into())))
            };
            let mut wanted: Vec<Entry> = entries.into_iter().filter(concerns).collect();
            if self.tip.head.seq == 0
                && let Some(first) = wanted.first()
            {
                let heading = heading(first, subject, end);
                wanted.insert(0, heading);
            }
            self.write(wanted).await?;
        }
    }

    async fn write(&mut self, mut entries: Vec<Entry>) -> Result<(), RestoreError> {
        let expected = self.tip.head;
        let mut head = expected;
        let mut buffer = Vec::new();
        for entry in &mut entries {
            entry.seq = head.seq + 1;
            entry.prev = head.hash;
            entry.encode(&mut buffer);
            entry.hash = Hash::of(&buffer);
            head = entry.head();
        }
        let Some(segment) = Segment::new(expected, entries) else {
            return Ok(());
        };
        self.tip = segment.tip();
        self.folds.write(self.target, segment).await
    }
}

/// Returns the first entry of the chain that `first` is the next of.
fn heading(first: &Entry, subject: &SubjectId, source: Head) -> Entry {
    let body = serde_json::to_vec(&Extracted { subject, source });
    Entry {
        kind: EXTRACTED,
        version: 1,
        subject: subject.as_str().into(),
        body: Bytes::from(body.expect("plain values serialize")),
        ..first.clone()
    }
}
