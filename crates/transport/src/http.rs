//! Streamable HTTP over connections that are kept.
//!
//! # Invariants
//!
//! * A connection is driven by the task whose call it carries: no task of its own,
//!   no message between tasks, no thread crossed. In return nobody watches an idle
//!   connection; a closed one is noticed when it is taken, before anything is
//!   written, and only then is another one tried.
//! * Connections are kept for each serving thread apart ([`bind_thread`]).
//! * Dropping a call in flight closes its connection: HTTP/1.1 has no other way to
//!   tell the server.

use std::{
    cell::Cell,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use airside_mcp::{Body, BoxError};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri, header::HOST};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{Builder, SendRequest},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{net::TcpStream, time::Instant};
use tokio_rustls::TlsConnector;
use url::Url;

use crate::Error;

/// Idle connections that one thread keeps to one server.
const MAX_IDLE: usize = 256;

/// Longest time that an idle connection is kept: below the 60 s and more after
/// which common servers and balancers close theirs.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

thread_local! {
    /// Which connections this thread uses. Zero is shared by all threads that
    /// serve no calls of clients.
    static SHARD: Cell<usize> = const { Cell::new(0) };
}

/// Gives the calling thread connections of its own. `shard` counts from 1.
pub fn bind_thread(shard: usize) {
    SHARD.set(shard);
}

/// Connections to one server over HTTP/1.1, with or without TLS.
#[derive(Clone)]
pub struct Http {
    inner: Arc<Inner>,
}

struct Inner {
    address: Address,
    host: HeaderValue,
    path: Uri,
    connect_timeout: Duration,
    max_response_head_bytes: usize,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    shards: Box<[Mutex<Vec<Idle>>]>,
}

enum Address {
    Name(String, u16),
    Ip(std::net::SocketAddr),
}

/// Why a URL cannot be called.
#[derive(Debug, thiserror::Error)]
#[error("`{url}` cannot be called: it needs a host that can be written into a request")]
pub struct UrlError {
    url: Url,
    source: Option<BoxError>,
}

impl Http {
    /// Returns the transport to `url`. `threads` is how many threads will serve
    /// calls; `tls` is used where the URL says `https`.
    ///
    /// # Errors
    ///
    /// When the URL has no usable host or path.
    pub fn new(
        url: &Url,
        tls: Arc<rustls::ClientConfig>,
        connect_timeout: Duration,
        threads: usize,
    ) -> Result<Self, UrlError> {
        let error = |source: Option<BoxError>| UrlError {
            url: url.clone(),
            source,
        };
        let port = url.port_or_known_default().ok_or_else(|| error(None))?;
        let name = url.host_str().ok_or_else(|| error(None))?;
        let address = match url.host() {
            Some(url::Host::Domain(name)) => Address::Name(name.to_owned(), port),
            Some(url::Host::Ipv4(ip)) => Address::Ip((ip, port).into()),
            Some(url::Host::Ipv6(ip)) => Address::Ip((ip, port).into()),
            None => return Err(error(None)),
        };
        let host = match url.port() {
            Some(port) => format!("{name}:{port}"),
            None => name.to_owned(),
        };
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let tls = match url.scheme() {
            "https" => {
                let server = ServerName::try_from(name.trim_matches(['[', ']']).to_owned())
                    .map_err(|e| error(Some(e.into())))?;
                Some((TlsConnector::from(tls), server))
            }
            _ => None,
        };
        let inner = Inner {
            address,
            host: HeaderValue::try_from(host).map_err(|e| error(Some(e.into())))?,
            path: Uri::try_from(path).map_err(|e| error(Some(e.into())))?,
            connect_timeout,
            max_response_head_bytes: 64 << 10,
            tls,
            shards: (0..=threads).map(|_| Mutex::default()).collect(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Sends one request. See [`crate::Transport::send`].
    ///
    /// # Errors
    ///
    /// When no connection can be made or the server breaks off.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Body>, Error> {
        let mut request = request.map(Full::new);
        *request.uri_mut() = self.inner.path.clone();
        request.headers_mut().insert(HOST, self.inner.host.clone());
        loop {
            let (connection, kept) = match self.inner.take() {
                Some(kept) => (kept, true),
                None => (self.inner.connect().await?, false),
            };
            match connection.exchange(request).await {
                Ok((connection, response)) => return Ok(self.answer(connection, response)),
                Err(Failed {
                    unsent: Some(back), ..
                }) if kept => request = back,
                Err(Failed {
                    source,
                    unsent: Some(_),
                }) => return Err(Error::Connect { source }),
                Err(Failed {
                    source,
                    unsent: None,
                }) => return Err(Error::Broken { source }),
            }
        }
    }

    /// Drops idle connections that are older than [`IDLE_LIMIT`].
    pub fn sweep(&self) {
        let now = Instant::now();
        for shard in &self.inner.shards {
            lock(shard).retain(|idle| now.duration_since(idle.since) < IDLE_LIMIT);
        }
    }

    fn answer(&self, connection: Connection, response: Response<Incoming>) -> Response<Body> {
        response.map(|body| {
            let mut answer = Answer {
                body,
                carrier: Some((connection, self.inner.clone())),
            };
            if answer.body.is_end_stream() {
                // No poll follows for an empty body. The connection needs none to
                // be found usable or not when it is taken the next time.
                answer.give_back(&mut Context::from_waker(std::task::Waker::noop()));
            }
            answer.boxed_unsync()
        })
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("host", &self.inner.host)
            .field("path", &self.inner.path)
            .finish_non_exhaustive()
    }
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Inner {
    fn shard(&self) -> MutexGuard<'_, Vec<Idle>> {
        let shard = SHARD.get();
        lock(self.shards.get(shard).unwrap_or(&self.shards[0]))
    }

    /// The most recently used connection: the least likely to be closed.
    fn take(&self) -> Option<Connection> {
        let idle = self.shard().pop()?;
        (idle.since.elapsed() < IDLE_LIMIT).then_some(idle.connection)
    }

    fn keep(&self, connection: Connection) {
        let mut shard = self.shard();
        if shard.len() < MAX_IDLE {
            shard.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        tokio::time::timeout(self.connect_timeout, self.open())
            .await
            .map_err(|_| Error::ConnectTimeout {
                limit_ms: u64::try_from(self.connect_timeout.as_millis()).unwrap_or(u64::MAX),
            })?
            .map_err(|source| Error::Connect { source })
    }

    async fn open(&self) -> Result<Connection, BoxError> {
        let stream = match &self.address {
            Address::Name(name, port) => TcpStream::connect((name.as_str(), *port)).await?,
            Address::Ip(address) => TcpStream::connect(address).await?,
        };
        stream.set_nodelay(true)?;
        match &self.tls {
            Some((connector, server)) => {
                let stream = connector.connect(server.clone(), stream).await?;
                self.handshake(stream).await
            }
            None => self.handshake(stream).await,
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<Connection, BoxError>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = Builder::new()
            .max_header_size(self.max_response_head_bytes)
            .handshake(TokioIo::new(stream))
            .await?;
        Ok(Connection {
            sender,
            driver: Box::pin(driver),
        })
    }
}

fn lock(shard: &Mutex<Vec<Idle>>) -> MutexGuard<'_, Vec<Idle>> {
    shard
        .lock()
        .expect("no panic happens while the lock is held")
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>,
}

struct Failed {
    source: BoxError,
    /// The request, where none of it was written.
    unsent: Option<Request<Full<Bytes>>>,
}

impl Connection {
    /// Sends `request` and waits for the head of the answer.
    async fn exchange(
        mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Self, Response<Incoming>), Failed> {
        // The first poll of a kept connection tells whether the server closed it.
        let ended = poll_fn(|cx| Poll::Ready(self.driver.as_mut().poll(cx))).await;
        if let Poll::Ready(ended) = ended {
            return Err(Failed {
                source: closed(ended),
                unsent: Some(request),
            });
        }
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let mut driving = true;
        let answered = poll_fn(|cx| {
            if driving && self.driver.as_mut().poll(cx).is_ready() {
                driving = false;
            }
            answer.as_mut().poll(cx)
        })
        .await;
        match answered {
            Ok(response) => Ok((self, response)),
            Err(mut error) => Err(Failed {
                unsent: error.take_message(),
                source: error.into_error().into(),
            }),
        }
    }
}

fn closed(ended: hyper::Result<()>) -> BoxError {
    match ended {
        Ok(()) => "the server closed the connection".into(),
        Err(error) => error.into(),
    }
}

/// The body of an answer, together with the connection that it comes from.
struct Answer {
    body: Incoming,
    carrier: Option<(Connection, Arc<Inner>)>,
}

impl Answer {
    /// Lets the connection become idle and keeps it if it can carry another call.
    fn give_back(&mut self, cx: &mut Context<'_>) {
        if let Some((mut connection, home)) = self.carrier.take()
            && connection.driver.as_mut().poll(cx).is_pending()
            && connection.sender.is_ready()
        {
            home.keep(connection);
        }
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let mut frame = Pin::new(&mut this.body).poll_frame(cx);
        if frame.is_pending()
            && let Some((connection, _)) = &mut this.carrier
        {
            if connection.driver.as_mut().poll(cx).is_ready() {
                this.carrier = None;
            }
            frame = Pin::new(&mut this.body).poll_frame(cx);
        }
        let ended = match &frame {
            Poll::Ready(Some(Ok(_))) => this.body.is_end_stream(),
            Poll::Ready(None) => true,
            Poll::Ready(Some(Err(_))) | Poll::Pending => false,
        };
        if ended {
            this.give_back(cx);
        }
        frame.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
