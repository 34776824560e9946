//! A small HTTP client for the companies around: one host, bounded answers.
//!
//! # Invariants
//!
//! * A request goes to the host of the base URL, over TLS unless that is loopback, and
//!   is sent once; redirects are answers.
//! * Every answer is bounded in size, every call in time.
//! * [`Failure`] tells what certainly was not done from what may have been.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use url::{Host, Url};

/// Largest answer.
const MAX_ANSWER: usize = 4 << 20;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(5);

/// Why there is no client for a URL.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It is not `https`, and not on this machine either.
    #[error("the URL has to be https, without user or query")]
    Url,
    /// The machine has no certificates of authorities.
    #[error("the certificates of this machine cannot be read")]
    Roots(#[source] std::io::Error),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Nothing was sent.
    #[error("the server cannot be reached")]
    NotSent,
    /// It may have been done.
    #[error("the server's answer was lost")]
    Lost,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Http {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    base: Url,
    timeout: Duration,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Http({:?})", self.base.host_str())
    }
}

impl Http {
    pub(crate) fn new(base: Url, timeout: Duration) -> Result<Self, SetupError> {
        let local = match base.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => return Err(SetupError::Url),
        };
        let plain = base.username().is_empty() && base.password().is_none();
        let safe = base.scheme() == "https" || (base.scheme() == "http" && local);
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
        connector.set_connect_timeout(Some(CONNECT.min(timeout)));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls.with_no_client_auth())
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            client,
            base,
            timeout,
        })
    }

    /// Sends `request`, whose URI is a path below the base.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Result<Answer, Failure> {
        let (mut head, body) = request.into_parts();
        let base = self.base.as_str().trim_end_matches('/');
        let uri = format!("{base}{}", head.uri);
        head.uri = uri.parse().map_err(|_| Failure::NotSent)?;
        head.headers.insert(
            header::ACCEPT,
            http::HeaderValue::from_static("application/json"),
        );
        let request = Request::from_parts(head, Full::new(body));
        let answered = async {
            let response = self.client.request(request).await.map_err(|error| {
                if error.is_connect() {
                    Failure::NotSent
                } else {
                    Failure::Lost
                }
            })?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER);
            let body = body.collect().await.map_err(|_| Failure::Lost)?;
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body.to_bytes(),
            })
        };
        let answer = tokio::time::timeout(self.timeout, answered).await;
        answer.unwrap_or(Err(Failure::Lost))
    }
}
