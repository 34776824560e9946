//! Ends streams that would never end by themselves when the gateway stops.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use airside_mcp::{Body, BoxError};
use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Ends the stream in `response` once `stop` is told, with `farewell` as its last
/// event. A stream that is in the middle of an event ends without.
pub(crate) fn at_stop(
    response: Response<Body>,
    stop: &CancellationToken,
    farewell: Bytes,
) -> Response<Body> {
    let stop = Box::pin(stop.clone().cancelled_owned());
    response.map(|body| {
        Parting {
            body: Some(body),
            stop,
            farewell: Some(farewell).filter(|farewell| !farewell.is_empty()),
            end: [b'\n'; 2],
        }
        .boxed_unsync()
    })
}

struct Parting {
    body: Option<Body>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    farewell: Option<Bytes>,
    /// The last two line ends or other bytes of the stream, carriage returns left out.
    end: [u8; 2],
}

impl Parting {
    fn pass(&mut self, data: &[u8]) {
        let mut tail = data.iter().rev().filter(|byte| **byte != b'\r');
        match (tail.next(), tail.next()) {
            (Some(last), Some(before)) => self.end = [*before, *last],
            (Some(last), None) => self.end = [self.end[1], *last],
            (None, _) => {}
        }
    }
}

impl http_body::Body for Parting {
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
        if let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) {
            if let Some(Ok(frame)) = &frame
                && let Some(data) = frame.data_ref()
            {
                this.pass(data);
            }
            return Poll::Ready(frame);
        }
        ready!(this.stop.as_mut().poll(cx));
        this.body = None;
        let farewell = this.farewell.take().filter(|_| this.end == [b'\n'; 2]);
        Poll::Ready(farewell.map(|farewell| Ok(Frame::data(farewell))))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};
    use http_body_util::StreamBody;

    use super::*;

    /// Sends `pieces`, then nothing, then stops; returns all that passed.
    async fn check(pieces: &[&'static str], expected: &str) {
        let frames: Vec<_> = pieces
            .iter()
            .map(|piece| Ok::<_, BoxError>(Frame::data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        let body = StreamBody::new(stream::iter(frames).chain(stream::pending())).boxed_unsync();
        let stop = CancellationToken::new();
        let response = at_stop(
            Response::new(body),
            &stop,
            Bytes::from_static(b"data: bye\n\n"),
        );
        let mut body = response.into_body();
        let mut all = Vec::new();
        for _ in pieces {
            let frame = body.frame().await.unwrap().unwrap();
            all.extend_from_slice(&frame.into_data().unwrap());
        }
        stop.cancel();
        all.extend_from_slice(&body.collect().await.unwrap().to_bytes());
        assert_eq!(String::from_utf8(all).unwrap(), expected, "{pieces:?}");
    }

    #[tokio::test]
    async fn stream_ends_with_a_farewell_between_events() {
        check(&[], "data: bye\n\n").await;
        check(&["data: 1\n\n"], "data: 1\n\ndata: bye\n\n").await;
        check(&["data: 1\r\n", "\r\n"], "data: 1\r\n\r\ndata: bye\n\n").await;
        check(&["data: 1\n", "\n"], "data: 1\n\ndata: bye\n\n").await;
    }

    #[tokio::test]
    async fn stream_within_an_event_just_ends() {
        check(&["data: 1\n\ndata: 2\n"], "data: 1\n\ndata: 2\n").await;
        check(&["data: 1\n\n", "d"], "data: 1\n\nd").await;
    }
}
