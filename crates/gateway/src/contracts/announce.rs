//! Tells clients that listen to a server when what is served of its tools has changed
//! here: somebody has accepted a change, or taken a tool out.
//!
//! # Invariants
//!
//! * Bytes of the server pass as they are; what is added stands between two events.
//! * Nothing is added before the server's first event, which for a subscription is its
//!   acknowledgement.

use airside_mcp::{Body, BoxError, sse::Event};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::watch;

use super::Server;

/// Returns the event that tells it, for the subscription `id` or for a session.
pub(crate) fn event(id: Option<&str>) -> Event {
    let params = match id {
        Some(id) => {
            format!(r#","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}"#)
        }
        None => String::new(),
    };
    Event::message(format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/tools/list_changed"{params}}}"#
    ))
}

/// Adds `event` to the events of `body` whenever what is served of `server` changes.
pub(crate) fn announced(server: &Server, body: Body, event: &Event) -> Body {
    let watched = Watched {
        body,
        changes: server.changes(),
        event: event.encode(),
        between: false,
        tail: Vec::new(),
    };
    let frames = stream::unfold(Some(watched), |watched| async move {
        let mut watched = watched?;
        let frame = watched.next().await?;
        let rest = frame.is_ok().then_some(watched);
        Some((frame, rest))
    });
    StreamBody::new(frames).boxed_unsync()
}

struct Watched {
    body: Body,
    changes: watch::Receiver<u64>,
    event: Bytes,
    /// The last event is complete.
    between: bool,
    /// The last bytes, as an event may end in the middle of a frame.
    tail: Vec<u8>,
}

impl Watched {
    async fn next(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        let between = self.between;
        let frame = tokio::select! {
            biased;
            frame = self.body.frame() => frame?,
            Ok(()) = self.changes.changed(), if between => Ok(Frame::data(self.event.clone())),
        };
        if let Ok(frame) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.passed(data);
        }
        Some(frame)
    }

    fn passed(&mut self, data: &[u8]) {
        let kept = data.len().saturating_sub(4);
        self.tail.extend_from_slice(&data[kept..]);
        let surplus = self.tail.len().saturating_sub(4);
        self.tail.drain(..surplus);
        let ends: [&[u8]; 3] = [b"\n\n", b"\r\n\r\n", b"\r\r"];
        self.between = ends.iter().any(|end| self.tail.ends_with(end));
    }
}
