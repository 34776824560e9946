//! Answers that last: one JSON object per line (NDJSON).
//!
//! # Invariants
//!
//! * A line is made when the reader has taken the one before, so a slow reader
//!   costs one page of memory.
//! * A stream ends when its reader goes away or the node stops.

use airside_base::{OnFailure, TenantId};
use airside_ledger::Progress;
use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http::header;
use tokio::sync::mpsc;

use crate::{State, fault, wire};

type Line = Result<Bytes, std::convert::Infallible>;

pub(crate) fn follow(state: &State, tenant: TenantId, after: u64) -> Response {
    let follower = state.ledger.follow(tenant, after);
    let supervisor = state.supervisor.clone();
    let lines = stream::unfold(Some(follower), move |follower| {
        let supervisor = supervisor.clone();
        async move {
            let mut follower = follower?;
            let read = tokio::select! {
                read = follower.next() => read,
                () = supervisor.stopping() => return None,
            };
            Some(match read {
                Ok(entries) => {
                    let lines = entries
                        .into_iter()
                        .map(|entry| wire::to_line(&wire::Entry::from(entry)))
                        .collect::<String>();
                    (Line::Ok(lines.into()), Some(follower))
                }
                Err(error) => {
                    let problem = wire::Problem::from(&error.fault());
                    (Line::Ok(problem.to_line().into()), None)
                }
            })
        }
    });
    ndjson(Body::from_stream(lines))
}

pub(crate) fn verify(state: &State) -> Response {
    let Ok(turn) = state.verifying.clone().try_acquire_owned() else {
        return fault::verify_runs().into_response();
    };
    let (sender, receiver) = mpsc::channel::<wire::Verify>(4);
    let ledger = state.ledger.clone();
    let supervisor = state.supervisor.clone();
    state
        .supervisor
        .spawn("verify ledger", OnFailure::Log, async move {
            let report = sender.clone();
            let progress = move |progress: Progress| {
                // A reader that is behind misses steps, never the end.
                let _ = report.try_send(wire::Verify::Progress {
                    done: progress.done,
                    total: progress.total,
                });
            };
            let last = tokio::select! {
                verified = ledger.verify(&progress) => wire::Verify::from(verified),
                () = sender.closed() => return,
                () = supervisor.stopping() => return,
            };
            let _ = sender.send(last).await;
            drop(turn);
        });
    let lines = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Line::Ok(wire::to_line(&event).into()), receiver))
    });
    ndjson(Body::from_stream(lines))
}

fn ndjson(body: Body) -> Response {
    ([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response()
}
