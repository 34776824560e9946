//! Fetching documents for identity: one connection per request, to an address that
//! was checked.
//!
//! # Invariants
//!
//! * The addresses that are checked are those that are connected to: a name is
//!   resolved once, so that it cannot mean something else a moment later (DNS
//!   rebinding). A name of which one address is out of reach is refused whole.
//! * These requests are rare and go to strangers: no connection is kept, nothing is
//!   shared with those to upstream servers.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use airside_base::BoxFuture;
use airside_identity::{Fetch, FetchError, FetchRequest, Fetched, Reach};
use bytes::{Bytes, BytesMut};
use http::{
    HeaderValue, Request, Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1::Builder};
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use url::{Host, Url};

/// Largest head of an answer, in bytes.
const MAX_HEAD: usize = 32 << 10;

/// Addresses of one name that are tried.
const MAX_ADDRESSES: usize = 4;

/// Fetches over HTTP/1.1, trusting the roots of the system.
#[derive(Debug, Clone, Default)]
pub struct HttpFetch {
    tls: Arc<OnceLock<Result<Arc<ClientConfig>, String>>>,
}

impl HttpFetch {
    /// Returns one that trusts `tls` instead of the roots of the system.
    #[must_use]
    pub fn with_tls(tls: Arc<ClientConfig>) -> Self {
        Self {
            tls: Arc::new(OnceLock::from(Ok(tls))),
        }
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, FetchError> {
        let tls = self.tls.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| error.to_string())?;
            let config = config.with_root_certificates(roots).with_no_client_auth();
            Ok(Arc::new(config))
        });
        tls.clone().map_err(|why| FetchError::Connect { why })
    }

    async fn send(self, request: FetchRequest) -> Result<Fetched, FetchError> {
        request.reach.check(&request.url)?;
        let addresses = resolve(&request.url, request.reach).await?;
        let stream = connect(&addresses).await?;
        match request.url.scheme() {
            "https" => {
                let connector = TlsConnector::from(self.tls()?);
                let name = server_name(&request.url)?;
                let stream = connector.connect(name, stream).await;
                exchange(stream.map_err(|error| no_connection(&error))?, request).await
            }
            _ => exchange(stream, request).await,
        }
    }
}

impl Fetch for HttpFetch {
    fn fetch(&self, request: FetchRequest) -> BoxFuture<'static, Result<Fetched, FetchError>> {
        let (this, limit) = (self.clone(), request.timeout);
        Box::pin(async move {
            let answered = tokio::time::timeout(limit, this.send(request)).await;
            answered.unwrap_or_else(|_| Err(timeout(limit)))
        })
    }
}

fn timeout(limit: Duration) -> FetchError {
    FetchError::Timeout {
        limit_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
    }
}

fn no_connection(error: &dyn std::error::Error) -> FetchError {
    FetchError::Connect {
        why: error.to_string(),
    }
}

fn broken(error: &dyn std::error::Error) -> FetchError {
    FetchError::Broken {
        why: error.to_string(),
    }
}

/// Returns the addresses of the host of `url`, all of which are within `reach`.
async fn resolve(url: &Url, reach: Reach) -> Result<Vec<SocketAddr>, FetchError> {
    let why = "it has no host";
    let port = url.port_or_known_default().ok_or(FetchError::Url { why })?;
    let addresses: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(ip)) => vec![(ip, port).into()],
        Some(Host::Ipv6(ip)) => vec![(ip, port).into()],
        Some(Host::Domain(name)) => tokio::net::lookup_host((name, port))
            .await
            .map_err(|error| no_connection(&error))?
            .collect(),
        None => return Err(FetchError::Url { why }),
    };
    within(&addresses, reach)?;
    Ok(addresses)
}

/// Refuses a name that is partly out of reach: which of its addresses answers would
/// be up to whoever runs its name server.
fn within(addresses: &[SocketAddr], reach: Reach) -> Result<(), FetchError> {
    let outside = addresses.iter().map(SocketAddr::ip);
    match outside.into_iter().find(|ip: &IpAddr| !reach.permits(*ip)) {
        Some(address) => Err(FetchError::Address { address }),
        None => Ok(()),
    }
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, FetchError> {
    let mut failed = FetchError::Connect {
        why: "the name has no address".to_owned(),
    };
    for address in addresses.iter().take(MAX_ADDRESSES) {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failed = no_connection(&error),
        }
    }
    Err(failed)
}

fn server_name(url: &Url) -> Result<ServerName<'static>, FetchError> {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_matches(['[', ']']).to_owned();
    ServerName::try_from(host).map_err(|error| no_connection(&error))
}

async fn exchange<S>(stream: S, request: FetchRequest) -> Result<Fetched, FetchError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limit_bytes = request.max_bytes;
    let (mut sender, driver) = Builder::new()
        .max_header_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(&error))?;
    let request = compose(request)?;
    let answering = async move {
        let sent = sender.send_request(request).await;
        read(sent.map_err(|error| broken(&error))?, limit_bytes).await
    };
    tokio::pin!(answering);
    tokio::select! {
        biased;
        answered = &mut answering => answered,
        // The connection has ended; what had arrived by then is still read.
        _ = driver => answering.await,
    }
}

fn compose(request: FetchRequest) -> Result<Request<Full<Bytes>>, FetchError> {
    let url = &request.url;
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let host = url.host_str().unwrap_or_default();
    let host = match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let agent = concat!("airside/", env!("CARGO_PKG_VERSION"));
    let mut builder = Request::builder()
        .uri(target)
        .header(HOST, host)
        .header(ACCEPT, request.accept)
        .header(USER_AGENT, agent);
    if let Some(authorization) = &request.authorization {
        let mut value = HeaderValue::try_from(authorization.expose().as_str())
            .map_err(|error| broken(&error))?;
        value.set_sensitive(true);
        builder = builder.header(AUTHORIZATION, value);
    }
    let built = match request.form {
        Some(form) => builder
            .method("POST")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form.expose().clone())),
        None => builder.body(Full::default()),
    };
    built.map_err(|error| broken(&error))
}

async fn read(response: Response<Incoming>, limit_bytes: usize) -> Result<Fetched, FetchError> {
    let (head, mut body) = response.into_parts();
    if !head.status.is_success() {
        let status = head.status.as_u16();
        return Err(FetchError::Status { status });
    }
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if read.len() + data.len() > limit_bytes {
            return Err(FetchError::TooLarge { limit_bytes });
        }
        read.extend_from_slice(&data);
    }
    Ok(Fetched {
        headers: head.headers,
        body: read.freeze(),
    })
}

#[cfg(test)]
mod tests;
