//! How an upstream server is reached. Every kind speaks HTTP inside.
//!
//! # Invariants
//!
//! * Dropping the future of [`Transport::send`] or the body of its answer is how a
//!   call is cancelled: the transport gives up the work behind it at once.
//! * A transport never sends a request twice, with one exception: where a kept
//!   connection turned out to be closed before a byte was written.
//! * Deadlines, limits and the breaker are the caller's ([`crate::upstream`]), except
//!   for the time that making a connection may take.

mod http;
mod local;
pub mod stdio;

pub use airside_mcp::{Body, BoxError};
use bytes::Bytes;

pub(crate) use self::http::bind_thread;
pub use self::{
    http::{Http, UrlError},
    local::Local,
    stdio::Stdio,
};

/// One way to reach one server.
#[derive(Debug)]
pub enum Transport {
    /// Streamable HTTP, with or without TLS.
    Http(Http),
    /// A server inside this process.
    Local(Local),
    /// A child process.
    Stdio(Stdio),
}

impl Transport {
    /// Returns the kind in one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Http(_) => "http",
            Self::Local(_) => "local",
            Self::Stdio(_) => "stdio",
        }
    }

    /// Gives up connections that have been idle for too long.
    pub(crate) fn sweep(&self) {
        match self {
            Self::Http(http) => http.sweep(),
            Self::Local(_) | Self::Stdio(_) => {}
        }
    }

    /// Sends one request and returns the head of the answer with its body to come.
    ///
    /// The request's path, `Host` and `Origin` are the transport's to set.
    ///
    /// # Errors
    ///
    /// When the server cannot be reached or breaks off before it has answered.
    pub async fn send(
        &self,
        request: ::http::Request<Bytes>,
    ) -> Result<::http::Response<Body>, Error> {
        match self {
            Self::Http(http) => http.send(request).await,
            Self::Local(local) => local.send(request).await,
            Self::Stdio(stdio) => stdio.send(request).await,
        }
    }
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made: nothing was sent.
    #[error("cannot connect to the upstream server")]
    Connect {
        /// What went wrong.
        source: BoxError,
    },
    /// Making a connection took too long: nothing was sent.
    #[error("connecting to the upstream server took longer than {limit_ms} ms")]
    ConnectTimeout {
        /// The limit that was reached.
        limit_ms: u64,
    },
    /// The server broke off after the request may have reached it.
    #[error("the upstream server broke off before it answered")]
    Broken {
        /// What went wrong.
        source: BoxError,
    },
}

impl Error {
    /// Returns whether the request certainly did not reach the server.
    #[must_use]
    pub const fn is_unsent(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::ConnectTimeout { .. } => true,
            Self::Broken { .. } => false,
        }
    }
}
