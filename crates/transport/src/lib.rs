//! How an upstream server is reached: over HTTP, in a child process, in this process.
//! Every kind speaks Streamable HTTP inside.
//!
//! # Invariants
//!
//! * Dropping the future of [`Transport::send`] or the body of its answer is how a
//!   call is cancelled: the transport gives up the work behind it at once.
//! * A transport never sends a request twice, with one exception: where a kept
//!   connection turned out to be closed before a byte was written.
//! * Deadlines, limits and breakers are the caller's, except for the time that making a
//!   connection may take.

mod http;
mod local;
pub mod stdio;
mod transport;

pub use self::{
    http::{Http, UrlError, bind_thread},
    local::Local,
    stdio::Stdio,
    transport::{Error, Transport},
};
