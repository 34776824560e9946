//! Reads an answer as it passes, for how the call ended.
//!
//! # Invariants
//!
//! * The answer is never delayed for it. What is larger than [`MAX_READ`] is judged by
//!   its status alone.
//! * However it ends, the record of the call is ended, once. A call with an effect is
//!   followed to its end when its client has gone away.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use airside_mcp::{
    Body, BoxError, Limits,
    reply::{self, ResultType},
    sse,
};
use bytes::{Bytes, BytesMut};
use http::{Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::{End, Record};
use crate::{event::Outcome, faults::Chain, upstream::BodyError};

/// Largest answer, and largest event of a stream, that is read for its outcome.
const MAX_READ: usize = 1 << 20;

/// The body of an answer on its way to the client.
struct Followed {
    body: Option<Body>,
    record: Record,
    reading: Reading,
    status: StatusCode,
    passed_bytes: u64,
    to_the_end: bool,
}

/// What was read of an answer.
enum Reading {
    Whole(Whole),
    /// The decoder, and how the last answer in the stream ended.
    Events(Box<sse::Decoder>, Option<(Outcome, Option<i64>)>),
    /// Too much to read.
    Given,
}

enum Whole {
    Empty,
    /// The usual case: all of it in one piece, not copied.
    One(Bytes),
    Many(BytesMut),
}

impl Reading {
    fn read(&mut self, piece: &Bytes) {
        match self {
            Self::Whole(whole) => {
                if whole.push(piece).is_err() {
                    *self = Self::Given;
                }
            }
            Self::Events(decoder, last) => {
                let mut events = Vec::new();
                if decoder.decode(piece, &mut events).is_err() {
                    *self = Self::Given;
                    return;
                }
                let ends = events.iter().filter_map(|event| judge(&event.data));
                *last = ends.last().or(*last);
            }
            Self::Given => {}
        }
    }

    fn outcome(&self, status: StatusCode) -> (Outcome, Option<i64>) {
        let read = match self {
            Self::Whole(Whole::Empty) | Self::Given => None,
            Self::Whole(Whole::One(bytes)) => judge(bytes),
            Self::Whole(Whole::Many(bytes)) => judge(bytes),
            Self::Events(_, last) => *last,
        };
        match (read, self) {
            (Some(read), _) => read,
            (None, _) if status.as_u16() >= 400 => (Outcome::HttpError, None),
            // Too much of it to know.
            (None, Self::Given) => (Outcome::Ok, None),
            (None, Self::Whole(_) | Self::Events(..)) => (Outcome::Unanswered, None),
        }
    }
}

impl Whole {
    fn push(&mut self, piece: &Bytes) -> Result<(), ()> {
        let before = match self {
            Self::Empty => 0,
            Self::One(bytes) => bytes.len(),
            Self::Many(bytes) => bytes.len(),
        };
        if before + piece.len() > MAX_READ {
            return Err(());
        }
        match self {
            Self::Empty => *self = Self::One(piece.clone()),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity(2 * (before + piece.len()));
                all.extend_from_slice(first);
                all.extend_from_slice(piece);
                *self = Self::Many(all);
            }
            Self::Many(all) => all.extend_from_slice(piece),
        }
        Ok(())
    }
}

/// How an answer ended, if `message` is one.
fn judge(message: &[u8]) -> Option<(Outcome, Option<i64>)> {
    if message.is_empty() {
        return None;
    }
    let limits = Limits::DEFAULT.with_size(MAX_READ);
    let head = reply::scan(message, &limits).ok()?;
    Some(match head.outcome {
        reply::Outcome::Error(error) => (Outcome::RpcError, Some(error.code)),
        reply::Outcome::Result(result) if result.is_error => (Outcome::ToolError, None),
        reply::Outcome::Result(result) => match result.result_type {
            ResultType::Complete | ResultType::Other => (Outcome::Ok, None),
            ResultType::InputRequired => (Outcome::InputRequired, None),
            ResultType::Task => (Outcome::Task, None),
        },
    })
}

impl Record {
    /// Follows `response` to its end. With `to_the_end`, also when the client goes
    /// away: what a call with an effect has led to is to be known.
    pub(crate) fn follow(self, response: Response<Body>, to_the_end: bool) -> Response<Body> {
        let (head, body) = response.into_parts();
        let reading = if airside_mcp::body::is_event_stream(&head.headers) {
            Reading::Events(Box::new(sse::Decoder::new(MAX_READ)), None)
        } else {
            Reading::Whole(Whole::Empty)
        };
        let mut followed = Followed {
            body: Some(body),
            record: self,
            reading,
            status: head.status,
            passed_bytes: 0,
            to_the_end,
        };
        if followed.is_end_stream() {
            followed.ended(None);
            return Response::from_parts(head, airside_mcp::body::empty());
        }
        Response::from_parts(head, followed.boxed_unsync())
    }
}

impl Followed {
    fn warn(&self, code: &str, error: &str) {
        let facts = self.record.facts.as_ref();
        tracing::warn!(
            call.id = self.record.id(),
            server.id = facts
                .and_then(|facts| facts.server.as_ref())
                .map(tracing::field::display),
            code,
            error,
            "an answer broke off"
        );
    }

    fn ended(&mut self, error: Option<&BoxError>) {
        let (outcome, error_code) = match error {
            None => match self.reading.outcome(self.status) {
                (Outcome::Unanswered, _) => {
                    let code = "GW-090";
                    self.warn(code, "what the server said is no answer to the call");
                    (Outcome::Unanswered, Some(code.to_owned()))
                }
                (outcome, code) => (outcome, code.map(|code| code.to_string())),
            },
            Some(error) => {
                let (outcome, code) = match error.downcast_ref::<BodyError>() {
                    Some(BodyError::Deadline | BodyError::Idle) => (Outcome::Timeout, "GW-021"),
                    Some(BodyError::TooLarge { .. }) => (Outcome::Broken, "GW-025"),
                    Some(BodyError::Broken { .. }) | None => (Outcome::Broken, "GW-024"),
                };
                self.warn(code, &Chain(&**error).to_string());
                (outcome, Some(code.to_owned()))
            }
        };
        self.record.end(End {
            outcome,
            error_code,
            status: Some(self.status),
            response_bytes: self.passed_bytes,
        });
        self.body = None;
    }
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else {
            return Poll::Ready(None);
        };
        let frame = std::task::ready!(Pin::new(&mut *body).poll_frame(cx));
        match &frame {
            Some(Ok(piece)) => {
                if let Some(data) = piece.data_ref() {
                    this.passed_bytes += data.len() as u64;
                    this.reading.read(data);
                }
                if body.is_end_stream() {
                    this.ended(None);
                }
            }
            Some(Err(error)) => this.ended(Some(error)),
            None => this.ended(None),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body
            .as_ref()
            .is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), http_body::Body::size_hint)
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let Some(body) = self.body.take() else {
            return;
        };
        if !self.to_the_end {
            self.record.end(End {
                outcome: Outcome::Cancelled,
                error_code: None,
                status: Some(self.status),
                response_bytes: self.passed_bytes,
            });
            return;
        }
        let recorder = self.record.recorder.clone();
        let mut rest = Self {
            body: Some(body),
            record: Record {
                recorder: recorder.clone(),
                facts: self.record.facts.take(),
                place: self.record.place.take(),
                session: self.record.session.take(),
            },
            reading: std::mem::replace(&mut self.reading, Reading::Given),
            status: self.status,
            passed_bytes: self.passed_bytes,
            to_the_end: false,
        };
        recorder.go_on(async move {
            // The limits of the upstream on the body bound this.
            while let Some(Ok(_)) = rest.frame().await {}
        });
    }
}
