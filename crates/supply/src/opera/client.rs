//! The way to OPERA Cloud Distribution: one HTTP client, its token, and its limits.
//!
//! # Invariants
//!
//! * Every answer is bounded in size, every call in time.
//! * A call is sent once. It is repeated only after `401`, which says that nothing was
//!   done, and then with a new token.
//! * [`Failure`] tells what certainly was not done from what may have been.
//! * The token and the password are in no message, error or log.

use std::{collections::BTreeMap, fmt, io, path::PathBuf, sync::Arc, time::Duration};

use airside_base::{Clock, Fault, Kind, Redacted, secret_token};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use super::{
    guard::{Breaker, Lane},
    wire,
};
use crate::http::{Http, SetupError};

/// How long before its end a token is replaced.
const EARLY: Duration = Duration::from_secs(60);
/// How long a token is used whose end is not said (the published text says an hour).
const TOKEN: Duration = Duration::from_secs(1_800);
/// When to come again if nothing else is said.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// How the gateway of OPERA Cloud Distribution is reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// Where it is, without a path.
    pub base: Url,
    /// The channel that this seller has there: `x-channelCode`.
    pub channel: String,
    /// The partner's key, a UUID: `x-app-key`.
    pub app_key: Option<Redacted<String>>,
    /// User of the token service.
    pub username: String,
    /// Password of the token service.
    pub password: Redacted<String>,
    /// Longest time that one call may take.
    pub timeout: Duration,
    /// Most calls about one hotel at a time.
    pub concurrency: usize,
    /// Most calls about one hotel a second.
    pub per_second: u32,
}

/// Why the client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A password would travel in clear, or the address holds one.
    #[error("the address `{base}` is neither https nor on this machine, or more than an address")]
    Plain {
        /// The address.
        base: Url,
    },
    /// A secret cannot be read.
    #[error("cannot read the secret in `{}`", .file.display())]
    File {
        /// Where it should be.
        file: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others may read a secret.
    #[error("others than its owner may read the secret in `{}`", .file.display())]
    Exposed {
        /// Where it is.
        file: PathBuf,
    },
    /// A secret is not there.
    #[error("the environment variable `{name}` is not set")]
    Environment {
        /// The variable.
        name: String,
    },
    /// A value cannot be sent in a header.
    #[error("`{name}` holds characters that no header may have")]
    Header {
        /// Which value.
        name: &'static str,
    },
    /// The certificates of this machine cannot be read.
    #[error("cannot set up TLS")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl AccessError {
    /// Returns what the operator may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let (kind, code, hint) = match self {
            Self::Plain { .. } => (
                Kind::Invalid,
                "TRV-400",
                "use the https address of the gateway",
            ),
            Self::File { .. } | Self::Exposed { .. } | Self::Environment { .. } => (
                Kind::Forbidden,
                "TRV-401",
                "put the secret alone into a file with mode 0600, or into the variable",
            ),
            Self::Header { .. } => (
                Kind::Invalid,
                "TRV-402",
                "use the value that Oracle gave, without spaces around it",
            ),
            Self::Tls(_) => (
                Kind::Unavailable,
                "TRV-403",
                "install the certificates of the system's authorities",
            ),
        };
        Fault::new(kind, code, self.to_string())
            .with_hint(hint)
            .with_private(self)
    }
}

/// Why a call has no answer that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing was done: it was not sent, or turned away at the door.
    NotDone {
        /// When to come again.
        retry_after: Duration,
    },
    /// It was refused.
    Refused(Refusal),
    /// It may have been done.
    Lost,
}

/// A refusal by OPERA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// `o:errorCode`; its values are not published.
    pub(super) code: Option<String>,
}

/// One call.
pub(super) struct Call<'a> {
    pub(super) hotel: &'a str,
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: String,
    pub(super) body: Option<Vec<u8>>,
}

/// Talks to OPERA Cloud Distribution.
pub(super) struct Client {
    http: Http,
    access: Access,
    headers: HeaderMap,
    clock: Arc<dyn Clock>,
    token: Mutex<Option<Token>>,
    breaker: Breaker,
    lanes: BTreeMap<String, Lane>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Token {
    value: HeaderValue,
    /// On the monotonic clock.
    until: Duration,
}

/// The answer of the token service (`OAuth2TokenResponse`).
#[derive(Deserialize)]
struct Granted {
    access_token: String,
    expires_in: Option<u64>,
}

impl Client {
    pub(super) fn new(
        access: Access,
        hotels: impl Iterator<Item = String>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AccessError> {
        let mut headers = HeaderMap::new();
        let value = |name, text: &str| {
            HeaderValue::from_str(text).map_err(|_| AccessError::Header { name })
        };
        headers.insert("x-channelcode", value("channel", &access.channel)?);
        if let Some(key) = &access.app_key {
            let mut key = value("app-key", key.expose())?;
            key.set_sensitive(true);
            headers.insert("x-app-key", key);
        }
        headers.insert(
            "x-originating-application",
            HeaderValue::from_static("airside"),
        );
        let lane = |hotel| (hotel, Lane::new(access.concurrency, access.per_second));
        Ok(Self {
            http: Http::new(access.base.clone(), access.timeout).map_err(|error| match error {
                SetupError::Url => AccessError::Plain {
                    base: access.base.clone(),
                },
                error => AccessError::Tls(error.into()),
            })?,
            lanes: hotels.map(lane).collect(),
            headers,
            clock,
            token: Mutex::new(None),
            breaker: Breaker::default(),
            access,
        })
    }

    /// Returns the channel that is sold over.
    pub(super) fn channel(&self) -> &str {
        &self.access.channel
    }

    /// Sends one call and returns its answer.
    pub(super) async fn send(&self, call: Call<'_>) -> Result<Bytes, Failure> {
        let soon = Failure::NotDone { retry_after: SOON };
        let lane = self.lanes.get(call.hotel).ok_or(soon)?;
        let deadline = self.access.timeout;
        let turn = lane.turn(&*self.clock, deadline).await;
        let Some(_turn) = turn else {
            return Err(Failure::NotDone { retry_after: SOON });
        };
        if let Err(retry_after) = self.breaker.admit(self.clock.monotonic()) {
            return Err(Failure::NotDone { retry_after });
        }
        let sent = self.authorised(&call, deadline).await;
        let broken = match &sent {
            Ok(_) | Err(Failure::Refused(_)) => false,
            Err(Failure::Lost | Failure::NotDone { .. }) => true,
        };
        self.breaker.note(broken, self.clock.monotonic());
        sent
    }

    async fn authorised(&self, call: &Call<'_>, deadline: Duration) -> Result<Bytes, Failure> {
        let mut refused: Option<Token> = None;
        loop {
            let token = self.token(refused.as_ref()).await?;
            let request = self.request(call, &token)?;
            let (status, headers, body) = self.exchange(request, deadline).await?;
            match status {
                status if status.is_success() => return Ok(body),
                StatusCode::UNAUTHORIZED if refused.is_none() => refused = Some(token),
                StatusCode::UNAUTHORIZED => {
                    tracing::error!("OPERA does not accept the token that it has just given");
                    return Err(Failure::NotDone { retry_after: SOON });
                }
                StatusCode::TOO_MANY_REQUESTS => {
                    let retry_after = retry_after(&headers).unwrap_or(SOON);
                    return Err(Failure::NotDone { retry_after });
                }
                status if status.is_client_error() => {
                    let code = wire::error_code(&body);
                    tracing::debug!(status = status.as_u16(), code, "OPERA refused a call");
                    return Err(Failure::Refused(Refusal {
                        status: status.as_u16(),
                        code,
                    }));
                }
                status => {
                    tracing::warn!(status = status.as_u16(), "OPERA cannot answer a call");
                    return Err(Failure::Lost);
                }
            }
        }
    }

    fn request(&self, call: &Call<'_>, token: &Token) -> Result<Request<Bytes>, Failure> {
        let request = Request::builder()
            .method(call.method.clone())
            .uri(&call.path);
        let built = request.body(Bytes::from(call.body.clone().unwrap_or_default()));
        let mut request = built.map_err(|_| Failure::NotDone { retry_after: SOON })?;
        let headers = request.headers_mut();
        headers.extend(self.headers.clone());
        headers.insert(header::AUTHORIZATION, token.value.clone());
        let trace = HeaderValue::from_str(&secret_token()).expect("tokens are plain text");
        headers.insert("x-request-id", trace.clone());
        headers.insert("x-hdp-tracing-key", trace);
        if call.body.is_some() {
            let json = HeaderValue::from_static("application/json; charset=utf-8");
            headers.insert(header::CONTENT_TYPE, json);
        }
        Ok(request)
    }

    /// Returns a token: the one at hand, unless it ends soon or was `refused`.
    async fn token(&self, refused: Option<&Token>) -> Result<Token, Failure> {
        let mut kept = self.token.lock().await;
        let now = self.clock.monotonic();
        if let Some(token) = &*kept
            && token.until > now
            && refused.is_none_or(|refused| refused.value != token.value)
        {
            return Ok(token.clone());
        }
        *kept = None;
        let not_done = Failure::NotDone { retry_after: SOON };
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("username", &self.access.username)
            .append_pair("password", self.access.password.expose())
            .finish();
        let request = Request::post("/hdpba/oauth2/v1/token")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Bytes::from(form));
        let request = request.map_err(|_| not_done.clone())?;
        // Whatever becomes of it, nothing was done for the caller.
        let answered = self.exchange(request, self.access.timeout).await;
        let (status, _, body) = answered.map_err(|_| not_done.clone())?;
        if !status.is_success() {
            tracing::error!(status = status.as_u16(), "OPERA gives no token");
            return Err(not_done);
        }
        let granted: Granted = serde_json::from_slice(&body).map_err(|_| not_done.clone())?;
        let value = HeaderValue::from_str(&format!("Bearer {}", granted.access_token));
        let mut value = value.map_err(|_| not_done)?;
        value.set_sensitive(true);
        let holds = granted.expires_in.map_or(TOKEN, Duration::from_secs);
        let token = Token {
            value,
            until: now + holds.saturating_sub(EARLY).max(holds / 2),
        };
        *kept = Some(token.clone());
        Ok(token)
    }

    async fn exchange(
        &self,
        request: Request<Bytes>,
        deadline: Duration,
    ) -> Result<(StatusCode, HeaderMap, Bytes), Failure> {
        let answered = tokio::select! {
            answered = self.http.send(request) => answered,
            () = self.clock.sleep(deadline) => Err(crate::http::Failure::Lost),
        };
        match answered {
            Ok(answer) => Ok((answer.status, answer.headers, answer.body)),
            Err(crate::http::Failure::NotSent) => Err(Failure::NotDone { retry_after: SOON }),
            Err(crate::http::Failure::Lost) => Err(Failure::Lost),
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.clamp(1, 3_600)))
}
