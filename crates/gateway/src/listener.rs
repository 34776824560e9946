//! Accepts connections and serves requests on threads of its own.
//!
//! # Invariants
//!
//! * A connection lives on one thread from its first byte to its last, and so do
//!   the upstream connections that its calls use: nothing of a call crosses threads.
//! * Heads, bodies, connections and their ends are bounded in time and number. A
//!   peer that stops reading is cut off by the operating system.
//! * On a stop no connection is accepted any more but those that the operating system
//!   has accepted already, calls in flight get a grace period, and what is left then is
//!   refused or closed ([`crate::draining`]).

use std::{
    convert::Infallible,
    io,
    net::TcpListener as StdListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use airside_base::{Clock, OnFailure, Supervisor};
use airside_ledger::Ledger;
use airside_transport as transport;
use arc_swap::ArcSwap;
use futures_util::future::select_all;
use hyper::{body::Incoming, server::conn::http1::Builder, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_util::task::TaskTracker;

use crate::{
    approval, config,
    draining::{Drain, Heard, Traffic},
    pipeline::{self, Link, Node},
    ranges,
    record::Recorder,
    snapshot::Snapshot,
    tls::{self, Tls, TlsError},
};

/// Longest time that sent data may stay unacknowledged, or a peer's window closed.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Silence after which a peer is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Connections that wait to be accepted, as far as the operating system lets them.
const BACKLOG: i32 = 4096;

/// How often idle upstream connections are looked through.
const SWEEP: Duration = Duration::from_secs(15);

/// Time in which refusals may leave after the grace period of calls in flight.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Accepted connections that a thread has not picked up yet.
const HANDOVER: usize = 256;

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A listening socket cannot be used.
    #[error("cannot use a listening socket")]
    Socket(#[source] io::Error),
    /// A thread cannot be started.
    #[error("cannot start a serving thread")]
    Thread(#[source] io::Error),
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// TLS cannot be offered.
    #[error("cannot offer TLS")]
    Tls(#[from] TlsError),
}

/// Serves `listeners` until `supervisor` stops, and returns when calls in flight
/// have ended or their grace period is over.
///
/// # Errors
///
/// When a socket or a thread cannot be had. Failures of single connections end
/// those alone.
pub async fn serve(
    listeners: Vec<StdListener>,
    listen: &config::Listen,
    snapshot: Arc<ArcSwap<Snapshot>>,
    ledger: Ledger,
    supervisor: Supervisor,
    clock: Arc<dyn Clock>,
) -> Result<(), ServeError> {
    listen.check()?;
    let metrics = snapshot.load().metrics.clone();
    let node = Arc::new(Node {
        snapshot,
        approvals: approval::Desk::new(ledger.clone(), clock.clone()),
        recorder: Recorder::new(ledger.clone(), clock.clone(), supervisor.clone(), metrics),
        clock,
    });
    let tls = listen.tls.as_ref().map(|tls| Tls::new(tls, &node));
    let tls = tls.transpose()?.map(Arc::new);
    let listeners = listeners
        .into_iter()
        .map(|listener| {
            listener.set_nonblocking(true)?;
            // What comes all at once waits there, and not for a second attempt of the
            // client's system. The standard library asks for 128.
            SockRef::from(&listener).listen(BACKLOG)?;
            TcpListener::from_std(listener)
        })
        .collect::<io::Result<Vec<_>>>()
        .map_err(ServeError::Socket)?;
    let ended = TaskTracker::new();
    let mut desks = Vec::new();
    for shard in 1..=listen.thread_count() {
        let (sender, sockets) = mpsc::channel(HANDOVER);
        let desk = Desk {
            sender,
            open: Arc::default(),
        };
        let worker = Worker {
            shard,
            node: node.clone(),
            http: http(listen),
            patience: Duration::from_millis(listen.drain_ms),
            linger: Duration::from_millis(listen.drain_idle_ms.min(listen.drain_ms / 2)),
            open: desk.open.clone(),
            tls: tls.clone(),
            supervisor: supervisor.clone(),
        };
        let alive = ended.token();
        supervisor
            .spawn_thread("serve", OnFailure::Stop, move || {
                worker.run(sockets);
                drop(alive);
            })
            .map_err(ServeError::Thread)?;
        desks.push(desk);
    }
    tokio::select! {
        () = accept(&node, &listeners, &desks, listen.max_connections) => {}
        () = tls::watch(node.clone(), tls) => {}
        () = ranges::watch(node.clone(), ledger) => {}
        () = supervisor.stopping() => {}
    }
    take_rest(listeners, &desks).await;
    drop(desks);
    ended.close();
    ended.wait().await;
    Ok(())
}

/// Where one thread gets its connections from.
struct Desk {
    sender: mpsc::Sender<std::net::TcpStream>,
    open: Arc<AtomicUsize>,
}

/// Returns the thread that has the fewest connections.
fn least(desks: &[Desk]) -> Option<&Desk> {
    desks
        .iter()
        .min_by_key(|desk| desk.open.load(Ordering::Relaxed))
}

/// Gives each connection to the thread that has the fewest. Sockets of their own for
/// each thread (`SO_REUSEPORT`) would spread a few connections unevenly, and would
/// let a second process share the port unnoticed.
async fn accept(node: &Node, listeners: &[TcpListener], desks: &[Desk], max_connections: usize) {
    loop {
        let accepting = listeners.iter().map(|listener| Box::pin(listener.accept()));
        let (stream, _) = match select_all(accepting).await.0 {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: connections that end free some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let open: usize = desks
            .iter()
            .map(|desk| desk.open.load(Ordering::Relaxed))
            .sum();
        if open >= max_connections {
            turned_away(node, "there are as many as there may be");
            continue;
        }
        let (Some(desk), Ok(stream)) = (least(desks), stream.into_std()) else {
            continue;
        };
        desk.open.fetch_add(1, Ordering::Relaxed);
        if desk.sender.try_send(stream).is_err() {
            desk.open.fetch_sub(1, Ordering::Relaxed);
            turned_away(node, "its thread does not keep up");
        }
    }
}

/// Tells the log, now and then, that a connection was closed at once.
fn turned_away(node: &Node, why: &'static str) {
    let code = "GW-096";
    if let Some(unlogged) = node.recorder.tells_of(code, why) {
        let unlogged = (unlogged > 0).then_some(unlogged);
        tracing::warn!(code, why, unlogged, "a connection was closed at once");
    }
}

/// Takes the connections that the operating system has accepted and nobody has picked up,
/// and closes the listeners. To close them with such connections would reset those.
async fn take_rest(listeners: Vec<TcpListener>, desks: &[Desk]) {
    // The runtime may not know yet what the system does: it is asked directly.
    let listeners: Vec<_> = listeners.into_iter().map(TcpListener::into_std).collect();
    for listener in listeners.into_iter().flatten() {
        while let Ok((stream, _)) = listener.accept() {
            let (Some(desk), Ok(())) = (least(desks), stream.set_nonblocking(true)) else {
                continue;
            };
            desk.open.fetch_add(1, Ordering::Relaxed);
            if desk.sender.send(stream).await.is_err() {
                desk.open.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

fn http(listen: &config::Listen) -> Builder {
    let mut http = Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(listen.header_timeout_ms))
        .max_header_size(listen.max_header_bytes)
        .max_headers(listen.max_headers)
        // A client that closes its side has gone away: MCP cancels by that.
        .half_close(false)
        .max_buf_size(listen.max_header_bytes.max(64 << 10));
    http
}

/// One serving thread.
struct Worker {
    shard: usize,
    node: Arc<Node>,
    http: Builder,
    /// Time of calls in flight when the gateway stops.
    patience: Duration,
    /// Time of connections that carry nothing then.
    linger: Duration,
    open: Arc<AtomicUsize>,
    tls: Option<Arc<Tls>>,
    supervisor: Supervisor,
}

impl Worker {
    fn run(self, sockets: mpsc::Receiver<std::net::TcpStream>) {
        transport::bind_thread(self.shard);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        match runtime {
            Ok(runtime) => runtime.block_on(self.work(sockets)),
            Err(error) => {
                tracing::error!(%error, "cannot start the runtime of a serving thread");
                self.supervisor.request_stop();
            }
        }
    }

    async fn work(self, mut sockets: mpsc::Receiver<std::net::TcpStream>) {
        let connections = TaskTracker::new();
        let drain = Drain::new(self.linger);
        let mut sweep = tokio::time::interval(SWEEP);
        loop {
            tokio::select! {
                socket = sockets.recv() => match socket {
                    Some(socket) => self.start(socket, &connections, &drain),
                    None => break,
                },
                _ = sweep.tick() => {
                    self.node.snapshot.load().sweep();
                    self.node.recorder.tell_counts();
                }
            }
        }
        drain.begin();
        connections.close();
        let ended = async {
            connections.wait().await;
            // Effects whose clients went away.
            self.node.recorder.settled().await;
        };
        if tokio::time::timeout(self.patience, ended).await.is_err() {
            let left = connections.len();
            tracing::warn!(
                left,
                "the time of running calls is over: these connections are refused or closed"
            );
            drain.cut_off();
            // What cannot be refused any more is closed with the thread.
            let _ = tokio::time::timeout(LAST_WORDS, connections.wait()).await;
        }
        self.node.recorder.tell_rest();
    }

    fn start(&self, socket: std::net::TcpStream, connections: &TaskTracker, drain: &Drain) {
        let open = Open(self.open.clone());
        let (mut link, stream) = match prepare(socket, drain) {
            Ok(prepared) => prepared,
            Err(error) => {
                tracing::debug!(%error, "a connection ended before it began");
                return;
            }
        };
        let (node, http) = (self.node.clone(), self.http.clone());
        let Some(tls) = self.tls.clone() else {
            let serving = connections.track_future(async move {
                connection(node, link, http, stream).await;
                drop(open);
            });
            self.supervisor.spawn("connection", OnFailure::Log, serving);
            return;
        };
        let Some(handshake) = tls.begin() else {
            turned_away(&self.node, "too many TLS handshakes are under way");
            return;
        };
        let serving = connections.track_future(async move {
            let opened = tls.open(&node, &mut link, stream).await;
            drop(handshake);
            if let Some(stream) = opened {
                connection(node, link, http, stream).await;
            }
            drop(open);
        });
        self.supervisor.spawn("connection", OnFailure::Log, serving);
    }
}

/// Counts a connection for as long as it lives.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn prepare(socket: std::net::TcpStream, drain: &Drain) -> io::Result<(Link, TcpStream)> {
    let link = Link {
        peer: socket.peer_addr()?,
        local: socket.local_addr()?,
        certificate: None,
        secure: false,
        drain: drain.clone(),
    };
    socket.set_nodelay(true)?;
    let options = SockRef::from(&socket);
    options.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
    options.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))?;
    Ok((link, TcpStream::from_std(socket)?))
}

async fn connection<S>(node: Arc<Node>, link: Link, http: Builder, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (drain, traffic) = (link.drain.clone(), Arc::<Traffic>::default());
    let stream = TokioIo::new(Heard::new(stream, traffic.clone()));
    let (link, busy) = (Arc::new(link), traffic.clone());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (node, link, busy) = (node.clone(), link.clone(), busy.clone());
        async move {
            let response = pipeline::serve(&node, &link, request).await;
            Ok::<_, Infallible>(link.drain.answer(&busy, response))
        }
    });
    let mut serving = std::pin::pin!(http.serve_connection(stream, service));
    let served = tokio::select! {
        biased;
        served = serving.as_mut() => served,
        () = drain.quiet(&traffic) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = served {
        // Clients come and go as they like.
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_system_has_accepted_is_served_though_nobody_took_it() {
        let listener = StdListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        SockRef::from(&listener).listen(BACKLOG).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        // More than would wait without the longer queue.
        let clients: Vec<_> = (0..200)
            .map(|_| std::net::TcpStream::connect(address).unwrap())
            .collect();
        let (sender, mut sockets) = mpsc::channel(HANDOVER);
        let desk = Desk {
            sender,
            open: Arc::default(),
        };
        take_rest(vec![listener], &[desk]).await;
        let mut taken = Vec::new();
        while let Some(socket) = sockets.recv().await {
            taken.push(socket.peer_addr().unwrap());
        }
        let clients: Vec<_> = clients
            .iter()
            .map(|client| client.local_addr().unwrap())
            .collect();
        assert_eq!(taken, clients);
        assert!(std::net::TcpStream::connect(address).is_err());
    }
}
