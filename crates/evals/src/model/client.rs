//! Asks models over HTTP.

use std::{sync::Arc, time::Duration};

use airside_base::{BoxFuture, Redacted};
use airside_mcp::sse;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Request as HttpRequest, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use url::Url;

use super::{Api, Model, ModelError, Names, Reply, Request, stream::Assembly};
use crate::trace::Breach;

/// Largest answer that is read.
pub(crate) const MAX_ANSWER: usize = 8 << 20;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Tries of one request.
const TRIES: u32 = 4;
/// Longest pause that a provider may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// Pause before the second try; later ones are twice as long each.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Version of Anthropic's format.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Where a model is.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its wire format.
    pub api: Api,
    /// What stands before `/chat/completions`, `/responses` or `/messages`.
    pub base: Url,
    /// Its key, if it wants one.
    pub key: Option<Redacted<String>>,
    /// Whether answers are streamed.
    pub stream: bool,
    /// Longest silence of an answer.
    pub idle: Duration,
}

/// Why a model cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It is not `https`, and not on this machine either.
    #[error("the URL of a model has to be https, or http on this machine, without user or query")]
    Url,
    /// The key is not a header value.
    #[error("the key of the model cannot be sent")]
    Key,
    /// The machine has no certificates of authorities.
    #[error("the certificates of this machine cannot be read")]
    Roots(#[source] std::io::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// A model over HTTP.
pub struct HttpModel {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Endpoint,
    key: Option<HeaderValue>,
}

impl std::fmt::Debug for HttpModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HttpModel({:?})", self.endpoint.base.host_str())
    }
}

impl HttpModel {
    /// Prepares to ask the model at `endpoint`.
    ///
    /// # Errors
    ///
    /// [`SetupError`].
    pub fn new(endpoint: Endpoint) -> Result<Self, SetupError> {
        let base = &endpoint.base;
        let local = match base.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let plain = base.username().is_empty() && base.password().is_none();
        let safe = base.scheme() == "https" || base.scheme() == "http" && local;
        if !plain || !safe || base.query().is_some() {
            return Err(SetupError::Url);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(SetupError::Tls)?;
        // Without TLS no certificate is looked at, and a machine may have none.
        let tls = match base.scheme() {
            "https" => builder.with_native_roots().map_err(SetupError::Roots)?,
            _ => builder.with_root_certificates(rustls::RootCertStore::empty()),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let key = endpoint.key.as_ref().map(|key| {
            let text = match endpoint.api {
                Api::Anthropic => key.expose().clone(),
                _ => format!("Bearer {}", key.expose()),
            };
            let mut value = HeaderValue::try_from(text).map_err(|_| SetupError::Key)?;
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self {
            client: legacy::Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .build(connector),
            key: key.transpose()?,
            endpoint,
        })
    }

    fn http_request(&self, body: &Bytes) -> Result<HttpRequest<Full<Bytes>>, ModelError> {
        let base = self.endpoint.base.as_str().trim_end_matches('/');
        let uri = format!("{base}{}", self.endpoint.api.path());
        let mut request = HttpRequest::builder()
            .method(Method::POST)
            .uri(uri)
            .header(header::CONTENT_TYPE, "application/json");
        if self.endpoint.api == Api::Anthropic {
            request = request.header("anthropic-version", ANTHROPIC_VERSION);
        }
        if let Some(key) = &self.key {
            let name = match self.endpoint.api {
                Api::Anthropic => "x-api-key",
                _ => "authorization",
            };
            request = request.header(name, key.clone());
        }
        request
            .body(Full::new(body.clone()))
            .map_err(|_| ModelError::Provider("the URL of the model is not one".to_owned()))
    }

    /// Sends until there is an answer that is one.
    async fn send(&self, body: &Bytes) -> Result<Response<Incoming>, ModelError> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1..=TRIES {
            let last = attempt == TRIES;
            let request = self.http_request(body)?;
            let sent = tokio::time::timeout(self.endpoint.idle, self.client.request(request));
            match sent.await {
                Err(_) => return Err(ModelError::Broken(Breach::Stalled)),
                Ok(Err(error)) if !error.is_connect() || last => {
                    return Err(self.unreached());
                }
                Ok(Err(_)) => {}
                Ok(Ok(response)) => {
                    let status = response.status();
                    let again = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
                    if status.is_success() {
                        return Ok(response);
                    }
                    if !again || last {
                        return Err(self.refused(response).await);
                    }
                    let asked = response.headers().get(header::RETRY_AFTER);
                    let seconds = asked.and_then(|value| value.to_str().ok()?.parse().ok());
                    pause = seconds.map_or(pause, Duration::from_secs);
                    tracing::debug!(attempt, %status, "the model is asked again");
                }
            }
            tokio::time::sleep(pause.min(MAX_PAUSE)).await;
            pause *= 2;
        }
        Err(self.unreached())
    }

    /// There is nobody where the model should be.
    fn unreached(&self) -> ModelError {
        let base = &self.endpoint.base;
        let host = base.host_str().unwrap_or_default();
        let port = base.port_or_known_default().unwrap_or_default();
        ModelError::Provider(format!("the model at {host}:{port} cannot be reached"))
    }

    /// Why the provider refused, with the code that it gives.
    async fn refused(&self, response: Response<Incoming>) -> ModelError {
        let status = response.status();
        let body = http_body_util::Limited::new(response.into_body(), 64 << 10);
        let body = tokio::time::timeout(self.endpoint.idle, body.collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes());
        let read = body.and_then(|body| serde_json::from_slice::<serde_json::Value>(&body).ok());
        let error = read.as_ref().and_then(|body| body.get("error"));
        let kind = error.and_then(|error| error.get("code").or_else(|| error.get("type")));
        let kind = kind
            .and_then(serde_json::Value::as_str)
            .unwrap_or("no code");
        let kind: String = kind.chars().take(64).collect();
        ModelError::Provider(format!(
            "the provider answered {} ({kind})",
            status.as_u16()
        ))
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Reply, ModelError> {
        let broken = |breach| ModelError::Broken(breach);
        let streamed = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let mut body = response.into_body();
        let mut decoder = sse::Decoder::new(MAX_ANSWER);
        let mut assembly = Assembly::new(self.endpoint.api);
        let mut whole = BytesMut::new();
        let mut events = Vec::new();
        let mut size = 0;
        loop {
            let frame = tokio::time::timeout(self.endpoint.idle, body.frame()).await;
            let frame = match frame.map_err(|_| broken(Breach::Stalled))? {
                None => break,
                Some(Err(_)) => return Err(broken(Breach::Stalled)),
                Some(Ok(frame)) => frame,
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            size += data.len();
            if size > MAX_ANSWER {
                return Err(broken(Breach::TooLarge));
            }
            match streamed {
                false => whole.extend_from_slice(&data),
                true => {
                    let decoded = decoder.decode(&data, &mut events);
                    decoded.map_err(|_| broken(Breach::TooLarge))?;
                    events
                        .drain(..)
                        .for_each(|event| assembly.take(&event.data));
                }
            }
        }
        let body = match streamed {
            true => assembly.finish().ok_or(broken(Breach::Stalled))?,
            false => serde_json::from_slice(&whole)
                .map_err(|_| ModelError::Provider("the answer is not JSON".to_owned()))?,
        };
        self.endpoint.api.decode(&body).map_err(broken)
    }
}

impl Model for HttpModel {
    fn complete<'a>(
        &'a self,
        request: &'a Request,
        _lane: &'a str,
    ) -> BoxFuture<'a, Result<Reply, ModelError>> {
        Box::pin(async move {
            let names = Names::of(&request.tools);
            let body = self
                .endpoint
                .api
                .encode(&names.apply(request), self.endpoint.stream);
            let body = Bytes::from(body.to_string());
            let response = self.send(&body).await?;
            let mut reply = self.read(response).await?;
            for call in &mut reply.calls {
                call.name = names.meant(&call.name);
            }
            Ok(reply)
        })
    }
}
