//! The body of an upstream's answer, held to its limits.
//!
//! # Invariants
//!
//! * The slot of the call is free again when the body has ended or was dropped.
//! * A body that is not an event stream has one deadline over all of it; an event
//!   stream may be silent for only so long.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use airside_mcp::{Body, BoxError};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep},
};

use super::breaker::Attempt;

/// Why the body of an answer ended early.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The whole answer took too long.
    #[error("the answer took longer than its deadline")]
    Deadline,
    /// An event stream was silent for too long.
    #[error("the event stream was silent for longer than is accepted")]
    Idle,
    /// The answer is larger than accepted.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The server broke off.
    #[error("the upstream server broke off in the middle of its answer")]
    Broken {
        /// What went wrong.
        source: BoxError,
    },
}

/// How long a body may take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// All of it until then.
    Whole(Instant),
    /// Any time, but never this long without a byte.
    Stream(Duration),
}

/// A body with limits.
pub(crate) struct Answer {
    pub(crate) body: Body,
    pub(crate) slot: Option<OwnedSemaphorePermit>,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) patience: Patience,
    pub(crate) max_bytes: u64,
    pub(crate) received: u64,
    /// Made when the body is waited for the first time: most bodies are not.
    pub(crate) alarm: Option<Pin<Box<Sleep>>>,
}

impl Answer {
    fn count(&mut self, frame: &Frame<Bytes>) -> Result<(), BodyError> {
        let Some(data) = frame.data_ref() else {
            return Ok(());
        };
        self.received += data.len() as u64;
        match self.patience {
            Patience::Whole(_) if self.received > self.max_bytes => Err(BodyError::TooLarge {
                limit_bytes: self.max_bytes,
            }),
            Patience::Whole(_) => Ok(()),
            Patience::Stream(_) => {
                self.alarm = None;
                Ok(())
            }
        }
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        let (until, error) = match self.patience {
            Patience::Whole(deadline) => (deadline, BodyError::Deadline),
            Patience::Stream(idle) => (Instant::now() + idle, BodyError::Idle),
        };
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        alarm.as_mut().poll(cx).map(|()| error)
    }

    fn end(&mut self, failure: Option<&BodyError>) {
        self.slot = None;
        match (self.attempt.take(), failure) {
            (Some(attempt), None) => attempt.succeeded(),
            (Some(attempt), Some(BodyError::TooLarge { .. })) => drop(attempt),
            (Some(attempt), Some(_)) => attempt.failed(),
            (None, _) => {}
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let error = ready!(this.poll_alarm(cx));
            this.end(Some(&error));
            return Poll::Ready(Some(Err(error.into())));
        };
        let outcome = match frame {
            None => {
                this.end(None);
                return Poll::Ready(None);
            }
            Some(Ok(frame)) => this.count(&frame).map(|()| frame),
            Some(Err(source)) => Err(BodyError::Broken { source }),
        };
        match &outcome {
            Ok(_) if this.body.is_end_stream() => this.end(None),
            Ok(_) => {}
            Err(error) => this.end(Some(error)),
        }
        Poll::Ready(Some(outcome.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
