//! How connections end when the gateway stops, so that whoever has asked is answered.
//!
//! # Invariants
//!
//! * While the gateway stops, every answer that begins says that it is the last of its
//!   connection, and a connection that carries nothing is kept a little longer, for the
//!   request that may be on its way.
//! * A connection is closed in between only after nothing has been heard on it for that
//!   time, and after the operating system was asked once more. What a client sends while
//!   the close is on its way to it cannot be answered by any server (RFC 9112, section 9.5).
//! * What is not answered when the time for running calls is over is refused, if no part
//!   of its answer has left.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use airside_mcp::{Body, BoxError};
use bytes::Bytes;
use http::{HeaderValue, Response, header::CONNECTION};
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// The end of a serving thread, as its connections hear of it. Of one thread alone:
/// asking it costs no other thread anything.
#[derive(Debug, Clone)]
pub(crate) struct Drain {
    stop: CancellationToken,
    over: CancellationToken,
    linger: Duration,
}

impl Drain {
    /// Returns the end of a thread that lasts. A connection that carries nothing is kept
    /// for `linger` when it comes.
    pub(crate) fn new(linger: Duration) -> Self {
        Self {
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            linger,
        }
    }

    /// The thread stops: running calls may end.
    pub(crate) fn begin(&self) {
        self.stop.cancel();
    }

    /// The time of running calls is over.
    pub(crate) fn cut_off(&self) {
        self.over.cancel();
    }

    /// What is told when the thread stops.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// What is told when the time of running calls is over.
    pub(crate) fn over(&self) -> &CancellationToken {
        &self.over
    }

    /// Resolves when the time of running calls is over.
    pub(crate) fn is_over(&self) -> WaitForCancellationFuture<'_> {
        self.over.cancelled()
    }

    /// Resolves a while after the thread stops.
    pub(crate) async fn lingered(&self) {
        self.stop.cancelled().await;
        tokio::time::sleep(self.linger).await;
    }

    /// Resolves when the thread stops and nothing has come on a connection for a while.
    pub(crate) async fn quiet(&self, traffic: &Traffic) {
        self.stop.cancelled().await;
        loop {
            let before = traffic.state();
            tokio::time::sleep(self.linger).await;
            // The system is asked what has come before it is said that nothing has.
            tokio::task::yield_now().await;
            if before.is_quiet() && traffic.state() == before {
                return;
            }
        }
    }

    /// Follows an answer to its end, and says in it that none will come after it if the
    /// thread stops.
    pub(crate) fn answer(
        &self,
        traffic: &Arc<Traffic>,
        mut response: Response<Body>,
    ) -> Response<Answering> {
        if self.stop.is_cancelled() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        response.map(|body| Answering {
            body,
            traffic: traffic.clone(),
        })
    }
}

/// What has happened on a connection.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Pieces that were read.
    heard: AtomicU64,
    /// How many had been read when the last answer ended.
    answered: AtomicU64,
}

/// What had happened on a connection at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    heard: u64,
    answered: u64,
}

impl State {
    /// Whether nothing was heard that is not answered.
    fn is_quiet(self) -> bool {
        self.heard == self.answered
    }
}

impl Traffic {
    fn state(&self) -> State {
        State {
            heard: self.heard.load(Ordering::Relaxed),
            answered: self.answered.load(Ordering::Relaxed),
        }
    }
}

/// A connection that tells when it is heard.
pub(crate) struct Heard<S> {
    stream: S,
    traffic: Arc<Traffic>,
}

impl<S> Heard<S> {
    pub(crate) fn new(stream: S, traffic: Arc<Traffic>) -> Self {
        Self { stream, traffic }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.traffic.heard.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The body of an answer. With it ends what the connection was busy with.
pub(crate) struct Answering {
    body: Body,
    traffic: Arc<Traffic>,
}

impl http_body::Body for Answering {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl std::ops::Drop for Answering {
    fn drop(&mut self) {
        let heard = self.traffic.heard.load(Ordering::Relaxed);
        self.traffic.answered.store(heard, Ordering::Relaxed);
    }
}
