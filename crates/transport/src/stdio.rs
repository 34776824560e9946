//! A server that is a child process and speaks JSON-RPC by lines, presented as one
//! that speaks Streamable HTTP.
//!
//! # Invariants
//!
//! * A process is started only because the operator configured it, without a shell,
//!   with an environment that holds what was configured and nothing else.
//! * Many callers share the process. Each request gets an id and progress token of
//!   ours; the answer carries the caller's own, byte for byte. What belongs to one
//!   request reaches nobody else: log messages of a handshake-era process, which
//!   nothing ties to a request, are dropped.
//! * Nothing from the process is unbounded: the length of a line, the lines that
//!   wait for a slow reader, the part of standard error that is logged.
//! * A process that says nothing at all while request after request is given up is ended
//!   and started again: nobody else would.
//! * Dropping a request's future or body cancels it (`notifications/cancelled`).
//! * When the transport or the program stops, the process and its descendants stop:
//!   standard input is closed, then they are told to end, then killed.

mod confine;
mod message;
mod process;
mod session;
mod silence;

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use airside_base::{Clock, OnFailure, Redacted, Supervisor};
use airside_mcp::Body;
use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::confine::{ConfineError, without_network};
use self::process::Live;
use crate::Error;

/// What to start, and how much of it to take.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program. Without a `/` it is looked up in the `PATH` of `env`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Its whole environment.
    pub env: BTreeMap<String, Redacted<String>>,
    /// The folder it starts in; the one of this program if none.
    pub directory: Option<PathBuf>,
    /// Longest line that is read from it, in bytes. It is stopped when it writes more.
    pub max_line_bytes: usize,
}

impl Options {
    /// Returns options with an empty environment and default limits.
    #[must_use]
    pub fn new(program: impl Into<String>, arguments: Vec<String>) -> Self {
        Self {
            program: program.into(),
            arguments,
            env: BTreeMap::new(),
            directory: None,
            max_line_bytes: 16 << 20,
        }
    }
}

/// Whether the process can be spoken to.
#[derive(Clone)]
enum State {
    Starting,
    Ready(Arc<Live>),
    /// It ended or never came up, and waits to be started again.
    Down,
}

/// One child process, kept running.
pub struct Stdio {
    state: watch::Receiver<State>,
    program: String,
    /// Stops the process when the transport is dropped.
    _stop: DropGuard,
}

impl Stdio {
    /// Starts the process and keeps it running until the transport is dropped or
    /// the supervisor stops.
    #[must_use]
    pub fn start(options: Options, clock: Arc<dyn Clock>, supervisor: &Supervisor) -> Self {
        let (sender, state) = watch::channel(State::Starting);
        let stop = CancellationToken::new();
        let program = options.program.clone();
        let stopping = supervisor.clone();
        let cancelled = stop.clone();
        supervisor.spawn("stdio server", OnFailure::Log, async move {
            let stop = async {
                tokio::select! {
                    () = stopping.stopping() => {}
                    () = cancelled.cancelled() => {}
                }
            };
            process::keep_running(&options, &clock, &sender, stop).await;
        });
        Self {
            state,
            program,
            _stop: stop.drop_guard(),
        }
    }

    /// Sends one request and returns the answer: JSON when the process answers at
    /// once, an event stream when notifications come first.
    ///
    /// # Errors
    ///
    /// When the process is not running, or ends before it has answered.
    pub async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Body>, Error> {
        let live = self.live().await?;
        session::serve(live, request).await
    }

    async fn live(&self) -> Result<Arc<Live>, Error> {
        let mut state = self.state.clone();
        let state = state
            .wait_for(|state| !matches!(state, State::Starting))
            .await;
        match state.as_deref() {
            Ok(State::Ready(live)) => Ok(Arc::clone(live)),
            Ok(State::Down | State::Starting) | Err(_) => Err(Error::Connect {
                source: "the server's process is not running".into(),
            }),
        }
    }
}

impl fmt::Debug for Stdio {
    /// Leaves out the arguments, which may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdio")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
