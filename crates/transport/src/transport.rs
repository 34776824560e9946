//! The kinds of transports as one.

use airside_mcp::{Body, BoxError};
use bytes::Bytes;

use crate::{Http, Local, Stdio};

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
    pub fn sweep(&self) {
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
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, Error> {
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
