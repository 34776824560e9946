//! One upstream server: how it is reached, how much of it is used at a time, how
//! long it may take, and when it is left alone.
//!
//! # Invariants
//!
//! * Nothing is sent without a [`Permit`]; the gateway's own requests have one too.
//! * Nothing is sent twice. What failed is reported, not repeated.
//! * Every wait has an end: for a slot, for a connection, for the head of the
//!   answer, and for its whole body.

mod answer;
mod breaker;

use std::{collections::VecDeque, sync::Arc, time::Duration};

use airside_base::{Clock, Fault, Kind, ServerId};
use airside_firewall::config::Spotlight;
use airside_mcp::{Body, Failure, codes};
use airside_policy::Permit;
use airside_transport::{self as transport, Transport};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

pub use self::{answer::BodyError, breaker::State};
use self::{
    answer::{Answer, Patience},
    breaker::Breaker,
};
use crate::{
    config,
    credentials::{self, Credentials},
    event::Outcome,
    federation::Route,
};

/// What a permit of the gateway is for.
#[derive(Debug)]
pub struct Outbound {
    /// The call of a client, as it came; absent for requests of the gateway itself
    /// and for messages that are not calls.
    pub call: Option<airside_mcp::Call>,
    /// Where it goes.
    pub route: Route,
}

/// One upstream server.
#[derive(Debug)]
pub struct Upstream {
    config: config::Upstream,
    transport: Arc<Transport>,
    credentials: Option<Arc<Credentials>>,
    limits: Limits,
    slots: Arc<Semaphore>,
    breaker: Arc<Breaker>,
    housekeeping: Option<Permit<Outbound>>,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    first_byte: Duration,
    deadline: Duration,
    idle: Duration,
    queue: Duration,
    slots: usize,
    response_bytes: u64,
}

/// What an upstream is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub id: ServerId,
    /// `http`, `stdio` or `local`.
    pub kind: &'static str,
    /// Whether calls pass.
    pub breaker: State,
    /// Calls and streams that are open.
    pub in_flight: usize,
}

impl Upstream {
    /// Returns the upstream of `config`, reached by `transport`.
    ///
    /// `housekeeping` admits the gateway's own requests to it; without it there are none.
    #[must_use]
    pub fn new(
        config: &config::Upstream,
        transport: Transport,
        housekeeping: Option<Permit<Outbound>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let ms = Duration::from_millis;
        // Above this tokio's semaphore panics; nobody has that many sockets.
        let slots = config.max_connections.min(Semaphore::MAX_PERMITS);
        Self {
            config: config.clone(),
            transport: Arc::new(transport),
            limits: Limits {
                first_byte: ms(config.first_byte_ms()),
                deadline: ms(config.deadline_ms),
                idle: ms(config.idle_timeout_ms),
                queue: ms(config.queue_timeout_ms),
                slots,
                response_bytes: config.max_response_bytes,
            },
            slots: Arc::new(Semaphore::new(slots)),
            breaker: Breaker::new(
                config.name.clone(),
                clock,
                config.breaker_failures,
                ms(config.breaker_open_ms),
            ),
            credentials: None,
            housekeeping,
        }
    }

    /// Returns the same server, shown these credentials with each request.
    #[must_use]
    pub(crate) fn with_credentials(self, credentials: Option<Arc<Credentials>>) -> Self {
        Self {
            credentials,
            ..self
        }
    }

    /// Reads its credentials again, if files hold them.
    pub(crate) fn look_at_credentials(&self) {
        if let Some(credentials) = &self.credentials {
            credentials.look();
        }
    }

    /// Returns whether the server learns who calls, and may answer each caller
    /// differently.
    #[must_use]
    pub fn tells_callers_apart(&self) -> bool {
        let told = self.credentials.as_ref();
        self.is_local() || told.is_some_and(|credentials| credentials.tell_callers_apart())
    }

    /// Returns the same server under new rules, if `config` is what it was made of.
    /// Connections, child process, open calls and breaker are shared with this one.
    #[must_use]
    pub fn renewed(
        &self,
        config: &config::Upstream,
        housekeeping: Option<Permit<Outbound>>,
    ) -> Option<Self> {
        (self.config == *config).then(|| Self {
            config: config.clone(),
            transport: self.transport.clone(),
            limits: self.limits,
            slots: self.slots.clone(),
            breaker: self.breaker.clone(),
            credentials: self.credentials.clone(),
            housekeeping,
        })
    }

    /// Returns its name.
    #[must_use]
    pub fn id(&self) -> &ServerId {
        &self.config.name
    }

    /// Returns whether its texts are marked as its own.
    #[must_use]
    pub fn spotlight(&self) -> Spotlight {
        self.config.spotlight
    }

    /// Returns whether it is in this process.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(*self.transport, Transport::Local(_))
    }

    /// Returns what admits the gateway's own requests, if policy does.
    #[must_use]
    pub fn housekeeping(&self) -> Option<&Permit<Outbound>> {
        self.housekeeping.as_ref()
    }

    /// Returns what it is doing.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            id: self.config.name.clone(),
            kind: self.transport.kind(),
            breaker: self.breaker.state(),
            in_flight: self.limits.slots - self.slots.available_permits(),
        }
    }

    /// Sends one request under `permit`, once. One permit may cover several requests,
    /// as for a list that is made of those of several servers.
    ///
    /// Path, `Host` and credentials are the transport's to set. Dropping the future
    /// or the body cancels the call.
    ///
    /// # Errors
    ///
    /// When no answer came within the limits. The body of an answer fails with a
    /// [`BodyError`].
    pub async fn send(
        &self,
        permit: &Permit<Outbound>,
        mut request: Request<Bytes>,
    ) -> Result<Response<Body>, Error> {
        // What it admits was decided; here its existence is what counts.
        let _: &Permit<Outbound> = permit;
        let shown = match &self.credentials {
            Some(credentials) => credentials.apply(&mut request).await?,
            None => None,
        };
        let attempt = self
            .breaker
            .pass()
            .map_err(|retry_after| Error::Open { retry_after })?;
        let slot = self.slot().await?;
        let started = Instant::now();
        let sending = self.transport.send(request);
        let response = match timeout(self.limits.first_byte, sending).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                attempt.failed();
                return Err(Error::Transport(error));
            }
            Err(_) => {
                attempt.failed();
                return Err(Error::FirstByte);
            }
        };
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED
            && let Some(credentials) = &self.credentials
        {
            credentials.refused(shown);
        }
        let attempt = match status {
            _ if status.is_server_error() => {
                attempt.failed();
                None
            }
            // Its life says nothing more about the server's health.
            _ if airside_mcp::body::is_event_stream(response.headers()) => {
                attempt.succeeded();
                None
            }
            _ => Some(attempt),
        };
        self.receive(response, slot, attempt, started)
    }

    /// Puts limits on the body and removes what is between two parties only.
    fn receive(
        &self,
        response: Response<Body>,
        slot: OwnedSemaphorePermit,
        attempt: Option<breaker::Attempt>,
        started: Instant,
    ) -> Result<Response<Body>, Error> {
        let (mut head, body) = response.into_parts();
        if unusable(head.status) {
            return Err(Error::Unusable {
                status: head.status,
            });
        }
        let patience = if airside_mcp::body::is_event_stream(&head.headers) {
            Patience::Stream(self.limits.idle)
        } else {
            Patience::Whole(started + self.limits.deadline)
        };
        if head.status == StatusCode::OK && !carries_messages(&head.headers) {
            return Err(Error::Foreign {
                media: media(&head.headers),
            });
        }
        let announced = body.size_hint().lower();
        if matches!(patience, Patience::Whole(_)) && announced > self.limits.response_bytes {
            return Err(Error::TooLarge {
                limit_bytes: self.limits.response_bytes,
            });
        }
        head.headers = end_to_end(&head.headers);
        let mut answer = Answer {
            body,
            slot: Some(slot),
            attempt,
            patience,
            max_bytes: self.limits.response_bytes,
            received: 0,
            ended: false,
            alarm: None,
            ahead: VecDeque::new(),
        };
        if answer.body.is_end_stream() {
            answer.slot = None;
            if let Some(attempt) = answer.attempt.take() {
                attempt.succeeded();
            }
        }
        if matches!(answer.patience, Patience::Whole(_)) {
            answer.read_ahead().map_err(Error::Body)?;
        }
        Ok(Response::from_parts(head, answer.boxed_unsync()))
    }

    /// Drops connections that have been idle for too long.
    pub(crate) fn sweep(&self) {
        self.transport.sweep();
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(slot) = self.slots.clone().try_acquire_owned() {
            return Ok(slot);
        }
        match timeout(self.limits.queue, self.slots.clone().acquire_owned()).await {
            Ok(slot) => Ok(slot.expect("the semaphore is never closed")),
            Err(_) => Err(Error::Busy),
        }
    }
}

/// Answers that mean nothing to a client of the gateway: the gateway follows no
/// redirects, upgrades nothing, and a refusal of its own credentials (401, 407) must
/// not look like a refusal of the client's.
fn unusable(status: StatusCode) -> bool {
    status.is_informational()
        || status.is_redirection()
        || status == StatusCode::UNAUTHORIZED
        || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
}

/// Returns whether an answer says that it is JSON or a stream of events, or does not
/// say what it is. A page of a proxy in between is neither.
fn carries_messages(headers: &HeaderMap) -> bool {
    let media = media(headers);
    media.is_empty() || media.ends_with("json") || airside_mcp::body::is_event_stream(headers)
}

/// Returns the media type of an answer, without parameters and short.
fn media(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    let value = value.unwrap_or_default().trim_ascii();
    let value = value.get(..64).unwrap_or(value);
    value.escape_ascii().to_string().to_ascii_lowercase()
}

/// Fields of an answer that concern the client. Everything else stays: cookies and
/// challenges between gateway and server, and what belongs to one connection.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = HeaderMap::with_capacity(4);
    for (name, value) in headers {
        let known = [
            header::CONTENT_TYPE,
            // Not asked for, but without it the body could not be read.
            header::CONTENT_ENCODING,
            header::CACHE_CONTROL,
            header::RETRY_AFTER,
            header::ALLOW,
        ];
        let text = name.as_str();
        if known.contains(name) || text.starts_with("mcp-") || text == "x-accel-buffering" {
            kept.append(name.clone(), value.clone());
        }
    }
    kept
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server failed too often lately and is left alone.
    #[error("the upstream server failed repeatedly and is not called for {retry_after:?}")]
    Open {
        /// When it is tried again.
        retry_after: Duration,
    },
    /// All slots stayed taken.
    #[error("the upstream server has as many calls open as it may have")]
    Busy,
    /// No head of an answer came in time.
    #[error("the upstream server did not begin to answer in time")]
    FirstByte,
    /// The answer is announced to be larger than accepted.
    #[error("the answer is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The server answered with something that cannot be passed on.
    #[error("the upstream server answered with status {status}, which cannot be passed on")]
    Unusable {
        /// The status.
        status: StatusCode,
    },
    /// The server answered with something that is no message.
    #[error("the upstream server answered with `{media}` instead of JSON or an event stream")]
    Foreign {
        /// What it says that it is.
        media: String,
    },
    /// The body failed before any of it was passed on.
    #[error(transparent)]
    Body(BodyError),
    /// The server could not be reached or broke off.
    #[error(transparent)]
    Transport(#[from] transport::Error),
    /// There is nothing to show to the server.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
}

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Credentials(error) => return error.fault(),
            Self::Open { retry_after } => Fault::new(
                Kind::Unavailable,
                "GW-023",
                "the server failed repeatedly and is not called at the moment",
            )
            .with_retry_after(*retry_after),
            Self::Busy => Fault::new(
                Kind::Unavailable,
                "GW-022",
                "the server has as many calls open as it may have",
            )
            .with_retry_after(Duration::from_secs(1)),
            Self::FirstByte | Self::Body(BodyError::Deadline | BodyError::Idle) => {
                Fault::new(Kind::Timeout, "GW-021", "the server did not answer in time")
            }
            Self::TooLarge { .. } | Self::Body(BodyError::TooLarge { .. }) => Fault::new(
                Kind::Unavailable,
                "GW-025",
                "the answer of the server is larger than accepted",
            ),
            Self::Unusable { .. } | Self::Foreign { .. } => Fault::new(
                Kind::Unavailable,
                "GW-026",
                "the server answered with something that cannot be passed on",
            ),
            Self::Transport(transport::Error::ConnectTimeout { .. }) => {
                Fault::new(Kind::Timeout, "GW-021", "the server did not answer in time")
            }
            Self::Transport(transport::Error::Connect { .. }) => {
                Fault::new(Kind::Unavailable, "GW-020", "the server cannot be reached")
            }
            Self::Transport(transport::Error::Broken { .. })
            | Self::Body(BodyError::Broken { .. }) => Fault::new(
                Kind::Unavailable,
                "GW-024",
                "the server broke off before it answered",
            ),
        }
        .with_private(self)
    }

    /// Returns how the call ended; none if the gateway did not send it.
    pub(crate) fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Open { .. } | Self::Busy | Self::Credentials(_) => None,
            Self::FirstByte | Self::Body(BodyError::Deadline | BodyError::Idle) => {
                Some(Outcome::Timeout)
            }
            Self::TooLarge { .. }
            | Self::Unusable { .. }
            | Self::Foreign { .. }
            | Self::Body(BodyError::TooLarge { .. } | BodyError::Broken { .. }) => {
                Some(Outcome::Broken)
            }
            Self::Transport(error) if error.is_unsent() => Some(Outcome::Unsent),
            Self::Transport(_) => Some(Outcome::Broken),
        }
    }

    /// Returns the answer for the client.
    #[must_use]
    pub fn failure(&self) -> Failure {
        let (status, code) = match self {
            Self::Open { .. } | Self::Busy => {
                (StatusCode::SERVICE_UNAVAILABLE, codes::UPSTREAM_UNAVAILABLE)
            }
            Self::Credentials(error) => match error.fault().kind() {
                Kind::Forbidden => (StatusCode::FORBIDDEN, codes::POLICY_REFUSED),
                _ => (StatusCode::SERVICE_UNAVAILABLE, codes::UPSTREAM_UNAVAILABLE),
            },
            Self::FirstByte
            | Self::Body(BodyError::Deadline | BodyError::Idle)
            | Self::Transport(transport::Error::ConnectTimeout { .. }) => {
                (StatusCode::GATEWAY_TIMEOUT, codes::UPSTREAM_TIMEOUT)
            }
            Self::TooLarge { .. }
            | Self::Unusable { .. }
            | Self::Foreign { .. }
            | Self::Body(BodyError::TooLarge { .. } | BodyError::Broken { .. })
            | Self::Transport(_) => (StatusCode::BAD_GATEWAY, codes::UPSTREAM_FAILED),
        };
        Failure::new(status, code, self.fault())
    }
}
