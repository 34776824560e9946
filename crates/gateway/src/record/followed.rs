//! Reads an answer as it passes, for how the call ended.
//!
//! # Invariants
//!
//! * The answer is never delayed for it. What is larger than [`MAX_READ`] is judged by
//!   its status alone.
//! * What is no answer to the call does not look like one: if all of it is here, the
//!   client gets an error instead, else it breaks off before its end.
//! * However it ends, the record of the call is ended, once. A call with an effect is
//!   followed to its end when its client has gone away.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use airside_base::{ServerId, WithCauses};
use airside_mcp::{
    Body, BoxError, Limits, raw,
    reply::{self, ResultType},
    sse,
};
use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http::{Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::{End, Record};
use crate::{
    event::Outcome,
    faults::{self, Rejection},
    trace::Trace,
    upstream::BodyError,
};

/// What is wrong with an answer that is none.
const NO_ANSWER: &str = "what the server said is no answer to the call";

/// Largest answer, and largest event of a stream, that is read for its outcome.
const MAX_READ: usize = 1 << 20;

/// The body of an answer on its way to the client.
struct Followed {
    body: Option<Body>,
    record: Record,
    /// What was taken of it before it was followed.
    first: Option<Result<Frame<Bytes>, BoxError>>,
    /// The raw id of the call.
    id: Option<Box<str>>,
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
    /// Read before it passed.
    Judged(Outcome, Option<i64>),
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
                let ends = events.iter().filter_map(|event| judge(&event.data, None));
                *last = ends.last().or(*last);
            }
            Self::Judged(..) | Self::Given => {}
        }
    }

    fn outcome(&self, status: StatusCode, id: Option<&str>) -> (Outcome, Option<i64>) {
        let read = match self {
            Self::Whole(Whole::Empty) | Self::Given => None,
            Self::Judged(outcome, code) => Some((*outcome, *code)),
            Self::Whole(Whole::One(bytes)) => judge(bytes, id),
            Self::Whole(Whole::Many(bytes)) => judge(bytes, id),
            Self::Events(_, last) => *last,
        };
        match (read, self) {
            (Some(read), _) => read,
            (None, _) if status.as_u16() >= 400 => (Outcome::HttpError, None),
            // Too much of it to know.
            (None, Self::Given) => (Outcome::Ok, None),
            (None, Self::Whole(_) | Self::Events(..) | Self::Judged(..)) => {
                (Outcome::Unanswered, None)
            }
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

/// How an answer ended, if `message` is one to the call with `id`.
fn judge(message: &[u8], id: Option<&str>) -> Option<(Outcome, Option<i64>)> {
    if message.is_empty() {
        return None;
    }
    let limits = Limits::DEFAULT.with_size(MAX_READ);
    let head = reply::scan(message, &limits).ok()?;
    if let (Some(place), Some(id)) = (head.id, id) {
        let own = std::str::from_utf8(message.get(place)?).ok()?;
        // A server that could not read the id answers with none.
        let is_error = matches!(head.outcome, reply::Outcome::Error(_));
        if !(is_same(own, id) || is_error && own == "null") {
            return None;
        }
    }
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

/// Whether two ids are the same, however they are written: texts may be escaped.
fn is_same(one: &str, other: &str) -> bool {
    let text = |id| raw::string(id);
    one == other || text(one).is_some_and(|one| Some(one) == text(other))
}

/// Takes what there is of `body`: the first piece, and whether it is all.
fn begin(body: &mut Body) -> (Option<Result<Frame<Bytes>, BoxError>>, bool) {
    if body.is_end_stream() {
        return (None, true);
    }
    match body.frame().now_or_never() {
        None => (None, false),
        Some(None) => (None, true),
        Some(Some(Ok(frame))) => (Some(Ok(frame)), body.is_end_stream()),
        Some(Some(Err(error))) => (Some(Err(error)), false),
    }
}

/// The call that an answer is for.
pub(crate) struct Asked<'a> {
    /// Its raw id.
    pub(crate) id: Option<&'a str>,
    /// Whether it has an effect: what it has led to is to be known.
    pub(crate) effect: bool,
    pub(crate) trace: Trace,
}

impl Record {
    /// Follows `response` to its end; what a call with an effect has led to, also when
    /// the client goes away.
    pub(crate) fn follow(self, response: Response<Body>, asked: &Asked<'_>) -> Response<Body> {
        let (head, mut body) = response.into_parts();
        let is_stream = airside_mcp::body::is_event_stream(&head.headers);
        let (mut first, mut reading) = (None, Reading::Whole(Whole::Empty));
        if is_stream {
            reading = Reading::Events(Box::new(sse::Decoder::new(MAX_READ)), None);
        } else {
            let (begun, is_whole) = begin(&mut body);
            let data = match &begun {
                Some(Ok(frame)) => frame.data_ref().cloned(),
                Some(Err(_)) | None => None,
            };
            first = begun;
            let data = data.unwrap_or_default();
            if is_whole && data.len() <= MAX_READ {
                match judge(&data, asked.id) {
                    Some((outcome, code)) => reading = Reading::Judged(outcome, code),
                    None if head.status.as_u16() < 400 => return self.unanswered(asked),
                    None => {}
                }
            }
        }
        let mut followed = Followed {
            body: Some(body),
            record: self,
            first,
            id: asked.id.map(Into::into),
            reading,
            status: head.status,
            passed_bytes: 0,
            to_the_end: asked.effect,
        };
        if followed.is_end_stream() {
            followed.ended(None);
            return Response::from_parts(head, airside_mcp::body::empty());
        }
        Response::from_parts(head, followed.boxed_unsync())
    }

    /// Ends the record of a call that the server has not answered, and returns what its
    /// client hears.
    fn unanswered(self, asked: &Asked<'_>) -> Response<Body> {
        let effect = asked.effect;
        let failure = Rejection::Unanswered { effect }.failure();
        let (code, status) = (failure.fault().code(), failure.status());
        self.warn(code, NO_ANSWER);
        self.failed(Outcome::Unanswered, code, status);
        faults::answer(asked.id, failure, asked.trace)
    }

    fn warn(&self, code: &'static str, error: &str) {
        let Some(facts) = &self.facts else {
            return;
        };
        let server = facts.server.as_ref();
        if let Some(unlogged) = self
            .recorder
            .tells_of(code, server.map_or("", ServerId::as_str))
        {
            tracing::warn!(
                call.id = %facts.id,
                trace.id = %facts.trace,
                server.id = server.map(tracing::field::display),
                code,
                error,
                unlogged = (unlogged > 0).then_some(unlogged),
                "an answer broke off"
            );
        }
    }
}

impl Followed {
    /// Takes note of the end. Returns what is wrong with an answer that is none.
    fn ended(&mut self, error: Option<&BoxError>) -> Option<BoxError> {
        let (outcome, error_code) = match error {
            None => match self.reading.outcome(self.status, self.id.as_deref()) {
                (Outcome::Unanswered, _) => {
                    let code = "GW-090";
                    self.record.warn(code, NO_ANSWER);
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
                self.record.warn(code, &WithCauses(&**error).to_string());
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
        // A stream has passed event by event, and has none that is not whole.
        let is_none = outcome == Outcome::Unanswered && matches!(self.reading, Reading::Whole(_));
        is_none.then(|| NO_ANSWER.into())
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
        let frame = match this.first.take() {
            Some(first) => Some(first),
            None => std::task::ready!(Pin::new(&mut *body).poll_frame(cx)),
        };
        let wrong = match &frame {
            Some(Ok(piece)) => {
                if let Some(data) = piece.data_ref() {
                    this.passed_bytes += data.len() as u64;
                    this.reading.read(data);
                }
                let is_over = body.is_end_stream();
                is_over.then(|| this.ended(None)).flatten()
            }
            Some(Err(error)) => {
                let _ = this.ended(Some(error));
                None
            }
            None => this.ended(None),
        };
        Poll::Ready(match wrong {
            Some(error) => Some(Err(error)),
            None => frame,
        })
    }

    fn is_end_stream(&self) -> bool {
        let rest = self.body.as_ref();
        self.first.is_none() && rest.is_none_or(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(body) = &self.body else {
            return SizeHint::with_exact(0);
        };
        let Some(Ok(first)) = &self.first else {
            return body.size_hint();
        };
        let (first, rest) = (
            first.data_ref().map_or(0, Bytes::len) as u64,
            body.size_hint(),
        );
        let mut all = SizeHint::new();
        all.set_lower(first + rest.lower());
        if let Some(upper) = rest.upper() {
            all.set_upper(first + upper);
        }
        all
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
            first: self.first.take(),
            id: self.id.take(),
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
