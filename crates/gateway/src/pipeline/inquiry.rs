//! Asks the user of a client with a session, in the middle of its call.
//!
//! A stateless client is asked within the answer and calls again (`input_required`). One
//! with a session gets a request on the stream that answers its call
//! (`elicitation/create`). With what its user says the call goes the whole way again:
//! nothing is decided by what was known before the wait.
//!
//! # Invariants
//!
//! * Before the wait the call is recorded as refused: what waits has not been permitted.
//! * A wait ends: after [`PATIENCE`], which is before the question itself ends, when the
//!   client goes away or gives the call up, and when the gateway stops.

use std::time::Duration;

use airside_base::{BoxFuture, CallId};
use airside_mcp::{
    Body, MAX_MESSAGE,
    body::{collect, event_stream_response, is_event_stream},
    raw,
    sse::{self, Event},
};
use bytes::Bytes;
use futures_util::stream;
use http::Response;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::json;

use super::{
    Refused, Visitor,
    admission::{self, Ask},
};
use crate::{faults::Rejection, session::Cancellation};

/// Longest wait for the person behind a client.
const PATIENCE: Duration = Duration::from_secs(10 * 60);
/// How often a quiet stream is kept open.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// A call that waits for what a person says.
struct Waiting {
    visitor: Visitor,
    ask: Ask,
    /// The client may give it up.
    cancellation: Cancellation,
    /// On the monotonic clock.
    until: Duration,
}

/// Where the stream of a call stands.
enum Round {
    Ask(Box<Waiting>),
    Wait(Box<Waiting>),
    Answer(Body),
    Over,
}

/// What ended a part of the wait.
enum Woken {
    Said(Option<Box<str>>),
    GivenUp,
    Alive,
}

impl Visitor {
    /// Asks, waits, and goes on with the call, all on the stream that is returned.
    pub(super) fn ask(self, ask: Ask) -> Response<Body> {
        let waiting = Waiting {
            cancellation: ask.session.begin(ask.call.id().unwrap_or("null")),
            until: self.clock.monotonic() + PATIENCE,
            visitor: self,
            ask,
        };
        let round = Round::Ask(Box::new(waiting));
        let frames = stream::unfold(round, |mut round| async move {
            loop {
                round = match round {
                    Round::Ask(waiting) => {
                        let frame = Frame::data(waiting.question());
                        return Some((Ok(frame), Round::Wait(waiting)));
                    }
                    Round::Wait(mut waiting) => match waiting.woken().await {
                        Woken::Said(said) => Round::Answer(waiting.go_on(said).await),
                        Woken::GivenUp => Round::Over,
                        Woken::Alive => {
                            let frame = Frame::data(sse::keep_alive());
                            return Some((Ok(frame), Round::Wait(waiting)));
                        }
                    },
                    Round::Answer(mut body) => {
                        let frame = body.frame().await?;
                        return Some((frame, Round::Answer(body)));
                    }
                    Round::Over => return None,
                };
            }
        });
        event_stream_response(StreamBody::new(Box::pin(frames)).boxed_unsync())
    }
}

impl Waiting {
    /// The request to the client.
    fn question(&self) -> Bytes {
        let message = json!({
            "jsonrpc": "2.0",
            "id": self.ask.inquiry.id(),
            "method": "elicitation/create",
            "params": self.ask.form,
        });
        Event::message(message.to_string()).encode()
    }

    async fn woken(&mut self) -> Woken {
        let now = self.visitor.clock.monotonic();
        if now >= self.until {
            return Woken::Said(None);
        }
        let most = SIGN_OF_LIFE.min(self.until.saturating_sub(now));
        tokio::select! {
            biased;
            said = self.ask.inquiry.answer() => Woken::Said(said),
            () = self.cancellation.cancelled() => Woken::GivenUp,
            () = self.visitor.drain.stop().cancelled() => Woken::GivenUp,
            () = tokio::time::sleep(most) => Woken::Alive,
        }
    }

    /// Carries the call out as it would be now, with what was `said`.
    fn go_on(self: Box<Self>, said: Option<Box<str>>) -> BoxFuture<'static, Body> {
        Box::pin(async move {
            let Self {
                visitor,
                ask,
                cancellation,
                ..
            } = *self;
            let id: Option<Box<str>> = ask.call.id().map(Into::into);
            let trace = visitor.trace;
            // From here on the call is one like others, which its client may give up.
            drop(cancellation);
            let said = said.as_deref().unwrap_or_default();
            let result = raw::find(said, "result").unwrap_or_default();
            let call = admission::with_answer(&ask.call, &ask.ticket, result);
            let answered = match (visitor.renewed(), call) {
                (Some(visitor), Some(call)) => visitor.call(call).await,
                _ => Err(Refused::from(Rejection::Path).with_id(id)),
            };
            events(answered.unwrap_or_else(|refused| refused.answer(trace))).await
        })
    }
}

impl Visitor {
    /// Returns the same visitor under the configuration that holds now.
    fn renewed(mut self) -> Option<Self> {
        let snapshot = self.current.load_full();
        self.call = CallId::generate(&*self.clock);
        self.mount = snapshot.find_mount(&self.mount.path)?;
        self.identity = snapshot.identity.clone();
        self.firewall = snapshot.firewall.clone();
        self.limits = snapshot.limits.clone();
        self.when_full = snapshot.when_full;
        Some(self)
    }
}

/// An answer as events. One that is too long or broken off ends the stream without.
async fn events(response: Response<Body>) -> Body {
    if is_event_stream(response.headers()) {
        return response.into_body();
    }
    let whole = collect(response.into_body(), MAX_MESSAGE).await;
    match whole {
        Ok(bytes) => airside_mcp::body::full(Event::message(bytes).encode()),
        Err(_) => airside_mcp::body::empty(),
    }
}
