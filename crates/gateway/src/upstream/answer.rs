//! The body of an upstream's answer, held to its limits.
//!
//! # Invariants
//!
//! * The slot of the call is free again when the body has ended or was dropped.
//! * A body that is not an event stream has one deadline over all of it; an event
//!   stream may be silent for only so long.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use airside_mcp::{Body, BoxError};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep},
};

use super::breaker::Attempt;

/// How much of a body is read before its head is passed on, if it has arrived, in bytes.
const READ_AHEAD: u64 = 64 << 10;

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
    /// The body has said that it is over: it is not asked again.
    pub(crate) ended: bool,
    /// Made when the body is waited for the first time: most bodies are not.
    pub(crate) alarm: Option<Pin<Box<Sleep>>>,
    /// What was read before anybody asked for it.
    pub(crate) ahead: VecDeque<Frame<Bytes>>,
}

impl Answer {
    /// Reads what has arrived, so that an answer that broke off at once is told from one
    /// that did so on its way: of the former nothing has been passed on, and its client
    /// hears an error instead of a connection that closes without a word.
    pub(crate) fn read_ahead(&mut self) -> Result<(), BodyError> {
        let mut context = Context::from_waker(Waker::noop());
        while self.received < READ_AHEAD && !self.body.is_end_stream() {
            match Pin::new(&mut self.body).poll_frame(&mut context) {
                Poll::Pending => break,
                Poll::Ready(frame) => match self.judge(frame) {
                    None => break,
                    Some(Ok(frame)) => self.ahead.push_back(frame),
                    Some(Err(error)) => return Err(error),
                },
            }
        }
        Ok(())
    }

    /// Takes note of what the body said.
    fn judge(
        &mut self,
        frame: Option<Result<Frame<Bytes>, BoxError>>,
    ) -> Option<Result<Frame<Bytes>, BodyError>> {
        let outcome = match frame {
            None => {
                self.end(None);
                self.ended = true;
                return None;
            }
            Some(Ok(frame)) => self.count(&frame).map(|()| frame),
            Some(Err(source)) => Err(BodyError::Broken { source }),
        };
        match &outcome {
            Ok(_) if self.body.is_end_stream() => self.end(None),
            Ok(_) => {}
            Err(error) => self.end(Some(error)),
        }
        Some(outcome)
    }

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
        if let Some(frame) = this.ahead.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        if this.ended {
            return Poll::Ready(None);
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            let error = ready!(this.poll_alarm(cx));
            this.end(Some(&error));
            return Poll::Ready(Some(Err(error.into())));
        };
        let judged = this.judge(frame);
        Poll::Ready(judged.map(|outcome| outcome.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.ahead.is_empty() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let ahead = self.ahead.iter().filter_map(Frame::data_ref);
        let ahead: u64 = ahead.map(|data| data.len() as u64).sum();
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(ahead + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(ahead + upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    fn answer(pieces: Vec<Result<&'static str, &'static str>>, ends: bool) -> Answer {
        let pieces = pieces.into_iter().map(|piece| match piece {
            Ok(text) => Ok(Frame::data(Bytes::from(text))),
            Err(why) => Err(BoxError::from(why)),
        });
        let arrived = stream::iter(pieces);
        let body = match ends {
            true => StreamBody::new(arrived).boxed_unsync(),
            false => {
                use futures_util::StreamExt as _;
                StreamBody::new(arrived.chain(stream::pending())).boxed_unsync()
            }
        };
        Answer {
            body,
            slot: None,
            attempt: None,
            patience: Patience::Whole(Instant::now() + Duration::from_secs(60)),
            max_bytes: 8,
            received: 0,
            ended: false,
            alarm: None,
            ahead: VecDeque::new(),
        }
    }

    #[tokio::test]
    async fn what_has_arrived_is_passed_on_in_order() {
        let mut whole = answer(vec![Ok("ab"), Ok("cd")], true);
        assert!(whole.read_ahead().is_ok());
        assert_eq!(whole.size_hint().lower(), 4);
        assert!(!whole.is_end_stream());
        assert_eq!(whole.collect().await.unwrap().to_bytes(), "abcd");
    }

    #[tokio::test]
    async fn answer_that_broke_off_at_once_is_an_error() {
        let mut broken = answer(vec![Ok("ab"), Err("gone")], true);
        assert!(matches!(broken.read_ahead(), Err(BodyError::Broken { .. })));
        let mut large = answer(vec![Ok("12345"), Ok("6789")], false);
        assert!(matches!(
            large.read_ahead(),
            Err(BodyError::TooLarge { limit_bytes: 8 })
        ));
    }

    #[tokio::test]
    async fn what_has_not_arrived_is_not_waited_for() {
        let mut slow = answer(vec![Ok("ab")], false);
        assert!(slow.read_ahead().is_ok());
        assert_eq!(
            slow.frame().await.unwrap().unwrap().into_data().unwrap(),
            "ab"
        );
    }
}
