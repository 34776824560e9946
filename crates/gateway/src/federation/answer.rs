//! Answers of servers: reading them whole, changing them as they pass.
//!
//! # Invariants
//!
//! * What is held in memory is bounded; how long it may take is bounded by
//!   [`crate::upstream`].
//! * Events pass one by one. Comments that keep a quiet connection open still do.

use std::collections::VecDeque;

use airside_mcp::{
    Body, BoxError, MAX_MESSAGE,
    body::{collect, full, is_event_stream},
    raw,
    sse::{self, Decoder, Event},
};
use bytes::Bytes;
use futures_util::stream;
use http::{Response, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

/// What becomes of a message.
pub(crate) enum Step {
    /// It passes as it is.
    Keep,
    /// It is replaced.
    Replace(String),
    /// It is left out.
    Skip,
    /// It is replaced, and the stream ends after it.
    End(String),
}

/// Returns the message that answers a request: the body, or in a stream the first
/// message that is an answer. None if there is none or it is too long.
pub(crate) async fn message(response: Response<Body>, max_bytes: usize) -> Option<String> {
    if !is_event_stream(response.headers()) {
        let bytes = collect(response.into_body(), max_bytes).await.ok()?;
        return String::from_utf8(bytes.into()).ok();
    }
    let mut events = Events::new(response.into_body(), max_bytes);
    let mut seen = 0;
    loop {
        let Incoming::Event(event) = events.next().await? else {
            continue;
        };
        seen += event.data.len();
        let text = raw::text(&event.data).ok()?;
        if is_answer(text) {
            return Some(text.to_owned());
        }
        if seen > max_bytes {
            return None;
        }
    }
}

/// Returns whether a message is an answer.
pub(crate) fn is_answer(text: &str) -> bool {
    raw::members(text).is_ok_and(|members| {
        let has = |key: &str| members.iter().any(|member| member.key == key);
        !has("method") && (has("result") || has("error"))
    })
}

/// Passes every message of `response` through `change`. A JSON answer that is longer
/// than [`MAX_MESSAGE`] breaks off.
pub(crate) fn map(
    response: Response<Body>,
    change: impl FnMut(&str) -> Step + Send + 'static,
) -> Response<Body> {
    let stream = is_event_stream(response.headers());
    let (mut head, body) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let body = match stream {
        true => map_events(body, by_text(change)),
        false => map_whole(body, change),
    };
    Response::from_parts(head, body)
}

fn map_whole(body: Body, mut change: impl FnMut(&str) -> Step + Send + 'static) -> Body {
    let whole = async move {
        let bytes = collect(body, MAX_MESSAGE).await.map_err(BoxError::from)?;
        let text = raw::text(&bytes).map_err(BoxError::from)?;
        let changed = match change(text) {
            Step::Keep => bytes,
            Step::Replace(text) | Step::End(text) => Bytes::from(text),
            Step::Skip => Bytes::new(),
        };
        Ok::<_, BoxError>(Frame::data(changed))
    };
    StreamBody::new(stream::once(whole)).boxed_unsync()
}

/// Returns what `change` makes of events that carry a message; others pass.
fn by_text(
    mut change: impl FnMut(&str) -> Step + Send + 'static,
) -> impl FnMut(Event) -> (Option<Event>, bool) + Send + 'static {
    move |event| {
        let text = match raw::text(&event.data) {
            Ok(text) if !text.is_empty() => text,
            _ => return (Some(event), false),
        };
        let (text, last) = match change(text) {
            Step::Keep => return (Some(event), false),
            Step::Skip => return (None, false),
            Step::Replace(text) => (text, false),
            Step::End(text) => (text, true),
        };
        let data = text.into();
        (Some(Event { data, ..event }), last)
    }
}

/// Passes every event of a stream through `change`, which says whether it is the last.
pub(crate) fn map_events(
    body: Body,
    change: impl FnMut(Event) -> (Option<Event>, bool) + Send + 'static,
) -> Body {
    let events = Some(Events::new(body, MAX_MESSAGE));
    let mapped = stream::unfold((events, change), |(events, mut change)| async move {
        let mut events = events?;
        loop {
            let event = match events.try_next().await {
                Ok(Some(Incoming::Event(event))) => event,
                Ok(Some(Incoming::Pause)) => {
                    let frame = Ok(Frame::data(sse::keep_alive()));
                    return Some((frame, (Some(events), change)));
                }
                Ok(None) => return None,
                Err(error) => return Some((Err(error), (None, change))),
            };
            match change(event) {
                (None, false) => {}
                (None, true) => return None,
                (Some(event), last) => {
                    let frame = Ok(Frame::data(event.encode()));
                    let events = (!last).then_some(events);
                    return Some((frame, (events, change)));
                }
            }
        }
    });
    StreamBody::new(mapped).boxed_unsync()
}

/// What comes next in a stream.
pub(crate) enum Incoming {
    Event(Event),
    /// Something that completes no event, such as a comment.
    Pause,
}

/// The events of a body.
pub(crate) struct Events {
    body: Body,
    decoder: Decoder,
    ready: VecDeque<Event>,
}

impl Events {
    pub(crate) fn new(body: Body, max_bytes: usize) -> Self {
        Self {
            body,
            decoder: Decoder::new(max_bytes),
            ready: VecDeque::new(),
        }
    }

    /// Returns what comes next; none at the end, however it came.
    pub(crate) async fn next(&mut self) -> Option<Incoming> {
        self.try_next().await.ok().flatten()
    }

    /// Returns what comes next; none at the regular end.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Incoming>, BoxError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(Incoming::Event(event)));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let Ok(piece) = frame?.into_data() else {
                continue;
            };
            let mut events = Vec::new();
            self.decoder.decode(&piece, &mut events)?;
            if events.is_empty() {
                return Ok(Some(Incoming::Pause));
            }
            self.ready.extend(events);
        }
    }
}

/// Returns an answer that carries one JSON message.
pub(crate) fn json(message: impl Into<Bytes>) -> Response<Body> {
    airside_mcp::body::json_response(http::StatusCode::OK, message)
}

/// Returns an answer without content.
pub(crate) fn empty(status: http::StatusCode) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Returns the answer to the request `id` with `result`, both raw JSON.
pub(crate) fn result(id: &str, result: &str) -> Response<Body> {
    json(airside_mcp::result_body(id, result.as_bytes()))
}
