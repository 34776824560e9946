//! A server inside this process.

use std::{fmt, sync::Arc};

use airside_mcp::{Body, body::full};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};

use crate::Error;

/// Calls of a server inside this process, which speaks Streamable HTTP as a
/// remote one does.
#[derive(Clone)]
pub struct Local(Arc<dyn airside_mcp::Local>);

impl Local {
    /// Returns the transport to `server`.
    #[must_use]
    pub fn new(server: Arc<dyn airside_mcp::Local>) -> Self {
        Self(server)
    }

    /// Calls the server. See [`crate::Transport::send`].
    ///
    /// # Errors
    ///
    /// None today: an in-process server always answers. The result keeps the
    /// signature of all transports.
    pub async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Body>, Error> {
        // A request without it is invalid (RFC 9112, section 3.2), and servers
        // refuse it. The client's own was checked and stays behind.
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().insert(header::HOST, host);
        Ok(self.0.call(request.map(full)).await)
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}
