//! Where requests go.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri, header};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use url::Url;

use super::{Error, Options};
use crate::{Body, Local, body};

/// The URL of a server in this process; its host passes checks against DNS rebinding.
const LOCAL: &str = "http://localhost/mcp";

pub(super) enum Target {
    Http {
        client: Box<legacy::Client<HttpsConnector<HttpConnector>, Body>>,
        uri: Uri,
    },
    Local(Arc<dyn Local>),
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            // A query may hold a key.
            Self::Http { uri, .. } => write!(f, "{:?}{}", uri.host(), uri.path()),
            Self::Local(_) => f.write_str("local"),
        }
    }
}

impl Target {
    pub(super) fn http(url: &Url, options: &Options) -> Result<Self, Error> {
        let uri: Uri = url.as_str().parse().map_err(|_| Error::Url)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Error::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Url);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?;
        // Without TLS no certificate is looked at, and a machine may have none.
        let tls = if url.scheme() == "https" {
            let roots = builder.with_native_roots().map_err(Error::Roots)?;
            roots.with_no_client_auth()
        } else {
            let roots = rustls::RootCertStore::empty();
            builder.with_root_certificates(roots).with_no_client_auth()
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(options.connect_timeout));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(connector);
        let client = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self::Http {
            client: Box::new(client),
            uri,
        })
    }

    pub(super) fn request(
        &self,
        method: Method,
        common: &HeaderMap,
        own: HeaderMap,
        bytes: Bytes,
    ) -> Result<Request<Body>, Error> {
        let uri = match self {
            Self::Http { uri, .. } => uri.clone(),
            Self::Local(_) => Uri::from_static(LOCAL),
        };
        let posts = method == Method::POST;
        let mut request = Request::new(body::full(bytes));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        headers.extend(common.clone());
        headers.extend(own);
        let accept = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(header::ACCEPT, accept);
        if posts {
            let json = HeaderValue::from_static(body::JSON);
            headers.insert(header::CONTENT_TYPE, json);
        }
        if let Self::Local(_) = self {
            headers.insert(header::HOST, HeaderValue::from_static("localhost"));
        }
        Ok(request)
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        match self {
            Self::Http { client, .. } => match client.request(request).await {
                Ok(response) => Ok(response.map(body::boxed)),
                Err(error) => Err(Error::Connect(error)),
            },
            Self::Local(local) => Ok(local.call(request).await),
        }
    }
}
