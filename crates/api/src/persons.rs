//! Erasing and exporting persons.
//!
//! # Invariants
//!
//! * An erasure that has begun is not cut off by a caller that goes away.
//! * An export is sent at the pace of its reader, in bounded memory. One that fails
//!   breaks the connection: a part must not look like all.

use std::{collections::BTreeSet, io, sync::Arc};

use airside_base::{BoxFuture, Clock, OnFailure, TenantId};
use airside_ledger::{
    conversation::Conversations,
    erasure::Eraser,
    export::{Sink, export as write_export},
    keys::Keys,
    personal::{Purpose, SubjectId},
};
use axum::{
    body::Body,
    extract::State as Extract,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use serde::Deserialize;
use tokio::sync::{mpsc, oneshot};

use crate::{
    State,
    asked::Asked,
    fault::{self, Answer},
    router::json,
    wire,
};

/// Parts of an export that wait for their reader.
const PARTS: usize = 4;

/// What a node knows of persons.
#[derive(Clone)]
pub struct Persons {
    /// Their keys.
    pub keys: Arc<Keys>,
    /// Their conversations.
    pub conversations: Conversations,
    /// The tables that an export looks into.
    pub tables: Arc<[&'static str]>,
    /// The present time.
    pub clock: Arc<dyn Clock>,
}

/// Whom to erase.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Erase {
    #[serde(default)]
    tenant: TenantId,
    subject: SubjectId,
    /// Separated by commas.
    purposes: String,
}

pub(crate) async fn erase(Extract(state): Extract<State>, Asked(asked): Asked<Erase>) -> Response {
    let purposes: Result<BTreeSet<Purpose>, _> =
        asked.purposes.split(',').map(str::parse).collect();
    let Ok(purposes) = purposes else {
        return fault::bad_query("a purpose is `service` or `law`").into_response();
    };
    let (sender, receiver) = oneshot::channel();
    let (ledger, keys) = (state.ledger.clone(), state.persons.keys.clone());
    state
        .supervisor
        .spawn("erase subject", OnFailure::Log, async move {
            let eraser = Eraser::new(&ledger, &keys);
            let erased = eraser.erase(&asked.tenant, &asked.subject, &purposes).await;
            let erased = erased.map_err(|error| error.fault());
            // Whoever asked may have gone; it is done all the same.
            let _ = sender.send(erased);
        });
    match receiver.await {
        Ok(Ok(done)) => json(&wire::Erased::from(done)),
        Ok(Err(refused)) => Answer(refused).into_response(),
        Err(_) => fault::stopping().into_response(),
    }
}

/// Whom to export.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    #[serde(default)]
    tenant: TenantId,
    subject: SubjectId,
}

pub(crate) async fn export(
    Extract(state): Extract<State>,
    Asked(asked): Asked<Export>,
) -> Response {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(PARTS);
    let (ledger, persons) = (state.ledger.clone(), state.persons.clone());
    let supervisor = state.supervisor.clone();
    state
        .supervisor
        .spawn("export subject", OnFailure::Log, async move {
            let mut parts = Parts(sender.clone());
            let Export { tenant, subject } = asked;
            let source = (&ledger, &*persons.keys, &*persons.clock);
            let export = write_export(source, &tenant, &subject, &persons.tables, &mut parts);
            let failed = tokio::select! {
                exported = export => exported.err().map(|error| error.fault()),
                () = supervisor.stopping() => Some(fault::stopping().0),
            };
            if let Some(fault) = failed {
                tracing::warn!(
                    code = fault.code(),
                    cause = fault.private(),
                    "an export failed"
                );
                let _ = sender.send(Err(io::Error::other(fault.code()))).await;
            }
        });
    let parts = stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, Body::from_stream(parts)).into_response()
}

/// Hands the parts of an export to the connection.
struct Parts(mpsc::Sender<io::Result<Bytes>>);

impl Sink for Parts {
    fn take(&mut self, part: Vec<u8>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let sent = self.0.send(Ok(part.into())).await;
            sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
        })
    }
}
