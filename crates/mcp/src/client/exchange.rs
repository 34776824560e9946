//! One request and what comes back for it.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{Response, header};
use http_body_util::BodyExt as _;

use super::{Error, Reply, RpcError};
use crate::{
    Body, Call, Incoming, Limits,
    body::{self, CollectError},
    sse::{Decoder, Event},
};

/// A message that arrived for a request.
#[derive(Debug)]
pub enum Message {
    /// Something that happened meanwhile.
    Notification(Call),
    /// The server asks back (revisions up to 2025-11-25).
    Request(Call),
    /// The answer. Nothing follows.
    Reply(Reply),
}

/// A request on its way. Dropping it closes the stream, which cancels the request.
pub struct Exchange {
    /// The raw id that the answer has to repeat.
    id: String,
    limits: Limits,
    status: u16,
    ready: VecDeque<Bytes>,
    stream: Option<(Body, Decoder)>,
    done: bool,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange")
            .field("id", &self.id)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

pub(super) async fn begin(
    response: Response<Body>,
    call: &Call,
    limits: &Limits,
) -> Result<Exchange, Error> {
    if !response.status().is_success() {
        return Err(refused(response, limits).await);
    }
    let mut exchange = Exchange {
        id: call.id().unwrap_or_default().to_owned(),
        limits: *limits,
        status: response.status().as_u16(),
        ready: VecDeque::new(),
        stream: None,
        done: false,
    };
    let media_type = response.headers().get(header::CONTENT_TYPE);
    if body::is_media_type(media_type, body::EVENT_STREAM) {
        let decoder = Decoder::new(limits.size_bytes);
        exchange.stream = Some((response.into_body(), decoder));
    } else if body::is_media_type(media_type, body::JSON) {
        let bytes = collect(response.into_body(), limits.size_bytes).await?;
        exchange.ready.push_back(bytes);
    } else {
        return Err(Error::Status {
            status: exchange.status,
        });
    }
    Ok(exchange)
}

/// Returns the error that a response which is no success stands for.
pub(super) async fn refused(response: Response<Body>, limits: &Limits) -> Error {
    let status = response.status().as_u16();
    let media_type = response.headers().get(header::CONTENT_TYPE);
    if !body::is_media_type(media_type, body::JSON) {
        return Error::Status { status };
    }
    match collect(response.into_body(), limits.size_bytes).await {
        Ok(bytes) => match RpcError::read(&bytes, status, limits) {
            Some(error) => Error::Rpc(error),
            None => Error::Status { status },
        },
        Err(error) => error,
    }
}

pub(super) async fn collect(body: Body, max_bytes: usize) -> Result<Bytes, Error> {
    body::collect(body, max_bytes)
        .await
        .map_err(|error| match error {
            CollectError::TooLarge { max_bytes } => Error::TooLarge { max_bytes },
            CollectError::Broken(source) => Error::Broken(source),
        })
}

impl Exchange {
    /// Waits for the next message. After the answer, or the end of the stream, there
    /// is none. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// [`Error`] when the stream breaks off or a message is malformed.
    pub async fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            if self.done {
                return Ok(None);
            }
            while let Some(bytes) = self.ready.pop_front() {
                if let Some(message) = self.message(&bytes)? {
                    return Ok(Some(message));
                }
            }
            self.read().await?;
        }
    }

    /// Reads the next piece of the stream.
    async fn read(&mut self) -> Result<(), Error> {
        let Some((body, decoder)) = &mut self.stream else {
            self.done = true;
            return Ok(());
        };
        match body.frame().await {
            None => self.done = true,
            Some(Err(source)) => return Err(Error::Broken(source)),
            Some(Ok(frame)) => {
                let Ok(piece) = frame.into_data() else {
                    return Ok(());
                };
                let mut events: Vec<Event> = Vec::new();
                decoder
                    .decode(&piece, &mut events)
                    .map_err(|limit| Error::TooLarge {
                        max_bytes: limit.max_bytes,
                    })?;
                let data = events.into_iter().map(|event| event.data);
                self.ready.extend(data.filter(|data| !data.is_empty()));
            }
        }
        Ok(())
    }

    /// Reads one message; an answer to something else is skipped.
    fn message(&mut self, bytes: &Bytes) -> Result<Option<Message>, Error> {
        let incoming = match Incoming::parse(bytes, &self.limits) {
            Ok(incoming) => incoming,
            // An error without an id belongs to no request, but as the only answer to a
            // single one it is clear what it belongs to.
            Err(error) => match RpcError::read(bytes, self.status, &self.limits) {
                Some(error) => return Err(Error::Rpc(error)),
                None => return Err(Error::Malformed(error)),
            },
        };
        match incoming {
            Incoming::Notification(call) => Ok(Some(Message::Notification(call))),
            Incoming::Request(call) => Ok(Some(Message::Request(call))),
            Incoming::Response(response) if response.id() == Some(self.id.as_str()) => {
                self.done = true;
                self.stream = None;
                let reply = Reply::new(response, self.status);
                Ok(Some(Message::Reply(reply)))
            }
            Incoming::Response(response) => {
                tracing::debug!(
                    id = response.id(),
                    "an answer to another request is skipped"
                );
                Ok(None)
            }
            Incoming::Batch(messages) => {
                // Revision 2025-03-26 may answer with an array.
                for message in messages {
                    let bytes = match message {
                        Incoming::Request(call) | Incoming::Notification(call) => call.into_bytes(),
                        Incoming::Response(response) => response.bytes().clone(),
                        Incoming::Batch(_) => continue,
                    };
                    self.ready.push_back(bytes);
                }
                Ok(None)
            }
        }
    }
}
