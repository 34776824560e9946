//! A gateway, an upstream server under the test's control, and a plain client.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::{SocketAddr, TcpListener},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use airside_base::{Clock, OnFailure, Supervisor, SystemClock, TenantId, VirtualClock};
use airside_firewall::Firewall;
use airside_gateway::{
    HttpFetch, Parts, Rules, Shared, Snapshot, State, approval::Desk, config, contracts::Contracts,
    serve,
};
use airside_identity::{Identity, Outside};
use airside_ledger::{Entry, Ledger, stores::memory::Memory};
use airside_limits::{
    self as limits, Counters, Ground, LimitConfig, LimitsConfig, Plan, StoreOptions,
};
use airside_mcp::{Body, BoxError, Incoming, Limits, body};
use airside_policy::{Policies, Settings, Source};
use arc_swap::ArcSwap;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::{body::Incoming as Arriving, client, server, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot, watch},
};

/// Longest wait for anything that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What everything but the tool `secret` is permitted by.
const POLICY: &str = r#"
@id("test-all") permit (principal, action, resource);
@id("test-secret") forbid (principal, action == Action::"call_tool", resource is Tool)
  when { resource == Tool::"hotels/secret" };
"#;

/// What the upstream does when one of its tools is called.
pub(crate) enum Act {
    /// Answers with this status, media type and body.
    Answer(u16, &'static str, Bytes),
    /// Answers once the test says so.
    After(oneshot::Receiver<()>, Box<Act>),
    /// Never begins to answer.
    Silent,
    /// Sends this much, then nothing more.
    Stall(&'static str, Bytes),
    /// Sends this much, then breaks the connection when the test says so.
    Break(&'static str, Bytes, oneshot::Receiver<()>),
    /// Sends this, and more as the test says.
    Stream(&'static str, mpsc::Receiver<Bytes>),
}

/// One request as the upstream saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: http::Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// An upstream server under control.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) address: SocketAddr,
    acts: Arc<Mutex<BTreeMap<String, Vec<Act>>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    /// What it lists instead of its usual tools.
    tools: Arc<Mutex<Option<String>>>,
    calls: watch::Sender<usize>,
    /// Calls whose answers are not complete.
    pub(crate) open: watch::Sender<usize>,
    pub(crate) connections: Arc<AtomicUsize>,
}

const DISCOVERED: &str = r#"{"jsonrpc":"2.0","id":ID,"result":{"resultType":"complete","ttlMs":60000,"cacheScope":"public",
 "supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}}"#;

const ANNOTATED: &str = r#"{"jsonrpc":"2.0","id":ID,"result":{"resultType":"complete","ttlMs":60000,"cacheScope":"public","tools":[
 {"name":"search","inputSchema":{"type":"object","properties":{"nights":{"type":"integer","minimum":1}}},"annotations":{"readOnlyHint":true}},
 {"name":"secret","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},
 {"name":"book","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":false}}]}}"#;

impl Fake {
    async fn start(supervisor: &Supervisor) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let fake = Self {
            address: listener.local_addr().unwrap(),
            acts: Arc::default(),
            seen: Arc::default(),
            tools: Arc::default(),
            calls: watch::Sender::new(0),
            open: watch::Sender::new(0),
            connections: Arc::default(),
        };
        let (this, tasks) = (fake.clone(), supervisor.clone());
        supervisor.spawn("fake upstream", OnFailure::Log, async move {
            while let Ok((stream, _)) = listener.accept().await {
                this.connections.fetch_add(1, Ordering::SeqCst);
                let this = this.clone();
                let service = service_fn(move |request| {
                    let this = this.clone();
                    async move { Ok::<_, Infallible>(this.answer(request).await) }
                });
                let serving = server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service);
                tasks.spawn("fake connection", OnFailure::Log, async move {
                    let _ = serving.await;
                });
            }
        });
        fake
    }

    /// The next call of `tool` is answered so.
    pub(crate) fn next(&self, tool: &str, act: Act) {
        let mut acts = self.acts.lock().unwrap();
        acts.entry(tool.to_owned()).or_default().push(act);
    }

    /// From now on it lists `tools`, which nobody may keep.
    pub(crate) fn lists(&self, tools: &[&str]) {
        let tools = format!(
            r#"{{"jsonrpc":"2.0","id":ID,"result":{{"resultType":"complete","ttlMs":0,"cacheScope":"private","tools":[{}]}}}}"#,
            tools.join(",")
        );
        *self.tools.lock().unwrap() = Some(tools);
    }

    /// Calls of tools, in the order they came.
    pub(crate) fn calls(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// Resolves when this many calls of tools have come.
    pub(crate) async fn called(&self, times: usize) {
        within(self.calls.subscribe().wait_for(|calls| *calls >= times))
            .await
            .unwrap();
    }

    /// Resolves when no call is open.
    pub(crate) async fn idle(&self) {
        within(self.open.subscribe().wait_for(|open| *open == 0))
            .await
            .unwrap();
    }

    async fn answer(&self, request: Request<Arriving>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body
            .collect()
            .await
            .map(|body| body.to_bytes())
            .unwrap_or_default();
        let message = Incoming::parse(&body, &Limits::DEFAULT);
        let (id, method, tool) = match &message {
            Ok(Incoming::Request(call)) => (call.id(), call.method(), call.name()),
            _ => (None, "", None),
        };
        let (id, tool) = (id.unwrap_or("null"), tool.unwrap_or_default());
        if method == "tools/list" {
            let tools = self.tools.lock().unwrap().clone();
            let listed = tools.unwrap_or_else(|| ANNOTATED.to_owned());
            return json_answer(200, listed.replace("ID", id));
        }
        if method == "server/discover" {
            return json_answer(200, DISCOVERED.replace("ID", id));
        }
        let open = Open::new(&self.open);
        self.seen.lock().unwrap().push(Seen {
            method: head.method,
            headers: head.headers,
            body: body.clone(),
        });
        self.calls.send_modify(|calls| *calls += 1);
        let act = {
            let mut acts = self.acts.lock().unwrap();
            acts.get_mut(tool)
                .filter(|acts| !acts.is_empty())
                .map(|acts| acts.remove(0))
        };
        let act = act.unwrap_or_else(|| {
            let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[]}}}}"#);
            Act::Answer(200, "application/json", text.into())
        });
        self.play(act, open).await
    }

    async fn play(&self, act: Act, open: Open) -> Response<Body> {
        let act = match act {
            Act::After(said, act) => {
                let _ = said.await;
                *act
            }
            act => act,
        };
        let (status, media, body) = match act {
            Act::Answer(status, media, bytes) => (status, media, body::full(bytes)),
            Act::Silent | Act::After(..) => {
                std::future::pending::<()>().await;
                drop(open);
                unreachable!("the connection is closed first")
            }
            Act::Stall(media, bytes) => {
                let rest = futures_util::stream::pending();
                (
                    200,
                    media,
                    streamed(open, futures_util::stream::iter([Ok(bytes)]).chain(rest)),
                )
            }
            Act::Break(media, bytes, said) => {
                let breaks = futures_util::stream::once(async {
                    let _ = said.await;
                    Err("broken on purpose".into())
                });
                let pieces = futures_util::stream::iter([Ok(bytes)]).chain(breaks);
                (200, media, streamed(open, pieces))
            }
            Act::Stream(media, receiver) => {
                let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
                    receiver.recv().await.map(|bytes| (Ok(bytes), receiver))
                });
                (200, media, streamed(open, pieces))
            }
        };
        Response::builder()
            .status(status)
            .header("content-type", media)
            .header("set-cookie", "upstream=secret")
            .header("x-upstream", "internal")
            .body(body)
            .unwrap()
    }
}

/// Counts one call as open.
struct Open(watch::Sender<usize>);

impl Open {
    fn new(open: &watch::Sender<usize>) -> Self {
        open.send_modify(|open| *open += 1);
        Self(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

fn streamed<S>(open: Open, pieces: S) -> Body
where
    S: futures_util::Stream<Item = Result<Bytes, BoxError>> + Send + 'static,
{
    let frames = pieces.map(move |piece| {
        let _: &Open = &open;
        piece.map(Frame::data)
    });
    StreamBody::new(Box::pin(frames)).boxed_unsync()
}

fn json_answer(status: u16, text: String) -> Response<Body> {
    body::json_response(StatusCode::from_u16(status).unwrap(), text)
}

/// A gateway with one upstream, `hotels`, unless a test wants more.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) upstream: Fake,
    pub(crate) others: Vec<Fake>,
    pub(crate) ledger: Ledger,
    pub(crate) snapshot: Arc<ArcSwap<Snapshot>>,
    pub(crate) supervisor: Supervisor,
    /// Of the ledger and the fake: they outlive the gateway.
    pub(crate) outside: Supervisor,
    /// What limits take for the time.
    pub(crate) time: VirtualClock,
    world: World,
    clients: Mutex<Vec<tokio::task::AbortHandle>>,
}

/// What stays the same over a reload.
struct World {
    url: String,
    /// Names and addresses of further upstreams.
    others: Vec<(&'static str, String)>,
    listen: config::Listen,
    recording: config::Recording,
    identity: airside_identity::Config,
    tools: Vec<config::Tool>,
    shared: Arc<Shared>,
    supervisor: Supervisor,
    clock: Arc<dyn Clock>,
}

impl World {
    fn snapshot(
        &self,
        policy: &str,
        change: impl FnOnce(&mut config::Upstream),
        previous: Option<&Snapshot>,
    ) -> Snapshot {
        let name = "hotels".parse().unwrap();
        let mut hotels = config::Upstream::http(name, self.url.parse().unwrap());
        change(&mut hotels);
        let others = self
            .others
            .iter()
            .map(|(name, url)| config::Upstream::http(name.parse().unwrap(), url.parse().unwrap()));
        let upstreams: Vec<_> = std::iter::once(hotels).chain(others).collect();
        let endpoint = config::Endpoint {
            path: "/mcp".to_owned(),
            upstreams: upstreams.iter().map(|each| each.name.clone()).collect(),
        };
        let source = Source {
            name: "test.cedar",
            text: policy,
        };
        let settings = Settings {
            arguments: config::Tool::declared(&self.tools),
            ..Settings::default()
        };
        Snapshot::build(
            Parts {
                listen: &self.listen,
                upstreams: &upstreams,
                endpoints: &[endpoint],
                contracts: airside_contracts::Rules::default(),
                recording: self.recording,
                policies: &Policies::load(&[source], &settings).unwrap(),
                rules: &Arc::new(Rules::new(&self.tools, Some("eu"))),
                barriers: &Arc::default(),
                previous,
            },
            self.identity(),
            &BTreeMap::new(),
            &self.shared,
            &self.clock,
        )
        .unwrap()
        .with_firewall(self.firewall("{}"))
    }

    fn firewall(&self, config: &str) -> Firewall {
        let config = serde_json::from_str(config).unwrap();
        Firewall::new(&config, self.shared.fingerprints(), 2).unwrap()
    }

    fn identity(&self) -> Identity {
        let outside = Outside {
            clock: self.clock.clone(),
            fetch: Arc::new(HttpFetch::default()),
            supervisor: self.supervisor.clone(),
            previous: None,
        };
        Identity::new(&self.identity, &outside).unwrap()
    }
}

/// What a test changes.
pub(crate) struct Setup {
    pub(crate) listen: config::Listen,
    pub(crate) upstream: Box<dyn FnOnce(&mut config::Upstream)>,
    /// Names of further upstreams.
    pub(crate) others: Vec<&'static str>,
    pub(crate) recording: config::Recording,
    pub(crate) anonymous: bool,
    pub(crate) identity: airside_identity::Config,
    pub(crate) tools: Vec<config::Tool>,
    pub(crate) ledger: airside_ledger::Options,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            listen: config::Listen {
                threads: 2,
                drain_ms: 60_000,
                drain_idle_ms: 1,
                ..config::Listen::default()
            },
            upstream: Box::new(|_| {}),
            others: Vec::new(),
            recording: config::Recording::default(),
            anonymous: true,
            identity: airside_identity::Config::default(),
            tools: Vec::new(),
            ledger: airside_ledger::Options::default(),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(Setup::default()).await
    }

    pub(crate) async fn with(setup: Setup) -> Self {
        let (supervisor, outside) = (Supervisor::new(), Supervisor::new());
        let clock = setup.clock;
        let upstream = Fake::start(&outside).await;
        let mut others = Vec::new();
        for _ in &setup.others {
            others.push(Fake::start(&outside).await);
        }
        let url = |fake: &Fake| format!("http://{}/inner/mcp?site=1", fake.address);
        let ledger = Ledger::open(
            Arc::new(Memory::new()),
            clock.clone(),
            &outside,
            setup.ledger,
        )
        .await
        .unwrap();
        let world = World {
            url: url(&upstream),
            others: setup
                .others
                .into_iter()
                .zip(others.iter().map(url))
                .collect(),
            listen: setup.listen.clone(),
            recording: setup.recording,
            identity: airside_identity::Config {
                anonymous_loopback: setup.anonymous,
                ..setup.identity
            },
            tools: setup.tools,
            shared: Shared::new(clock.clone(), supervisor.clone()),
            supervisor: supervisor.clone(),
            clock: clock.clone(),
        };
        let snapshot = world.snapshot(POLICY, setup.upstream, None);
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let snapshot = Arc::new(ArcSwap::from_pointee(snapshot));
        let (node, parts) = (snapshot.clone(), (ledger.clone(), supervisor.clone()));
        let listen = setup.listen.clone();
        outside.spawn("gateway", OnFailure::Log, async move {
            serve(vec![listener], &listen, node, parts.0, parts.1, clock)
                .await
                .unwrap();
        });
        Self {
            address,
            upstream,
            others,
            ledger,
            snapshot,
            supervisor,
            outside,
            time: VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap()),
            world,
            clients: Mutex::default(),
        }
    }

    /// Returns where questions about calls are decided.
    pub(crate) fn desk(&self) -> Desk {
        Desk::new(self.ledger.clone(), self.world.clock.clone())
    }

    /// Puts other rules and another configuration of the upstream in force.
    pub(crate) fn reload(&self, policy: &str, change: impl FnOnce(&mut config::Upstream)) {
        let previous = self.snapshot.load_full();
        let next = self.world.snapshot(policy, change, Some(&previous));
        self.snapshot.store(Arc::new(next));
    }

    /// Puts a firewall in force, given as a JSON object.
    pub(crate) fn guard(&self, config: &str, change: impl FnOnce(&mut config::Upstream)) {
        let previous = self.snapshot.load_full();
        let next = self.world.snapshot(POLICY, change, Some(&previous));
        let next = next.with_firewall(self.world.firewall(config));
        self.snapshot.store(Arc::new(next));
    }

    /// Puts the same rules in force once more.
    pub(crate) fn renew(&self) {
        self.reload(POLICY, |_| {});
    }

    /// Puts limits in force, each a JSON object, that are counted by `limits`.
    pub(crate) fn limit(&self, each: &[&str], limits: &Arc<Counters>) {
        let each = each.iter().map(|json| serde_json::from_str(json).unwrap());
        let each: Vec<LimitConfig> = each.collect();
        let rules = limits::compile(&LimitsConfig::default(), &each).unwrap();
        let previous = self.snapshot.load_full();
        let next = self.world.snapshot(POLICY, |_| {}, Some(&previous));
        let next = next.with_limits(Plan::new(rules, limits.clone()));
        self.snapshot.store(Arc::new(next));
    }

    /// Returns counters that go on where those in the ledger ended. Their time passes
    /// when [`House::time`] is told to, however slow the machine is.
    pub(crate) async fn counters(&self) -> Arc<Counters> {
        let clock = Arc::new(self.time.clone());
        self.counters_by(clock, None).await
    }

    /// Returns counters in a store that others share.
    pub(crate) async fn counters_in(&self, store: &StoreOptions) -> Arc<Counters> {
        let clock = self.world.clock.clone();
        self.counters_by(clock, Some(store)).await
    }

    async fn counters_by(
        &self,
        clock: Arc<dyn Clock>,
        store: Option<&StoreOptions>,
    ) -> Arc<Counters> {
        let ground = Ground {
            ledger: self.ledger.clone(),
            clock,
            supervisor: self.supervisor.clone(),
        };
        let config = LimitsConfig::default();
        Counters::open(&config, store, ground).await.unwrap()
    }

    /// Returns the contracts of the upstream, which are kept in the ledger from now on.
    pub(crate) async fn keep_contracts(&self) -> Arc<Contracts> {
        let contracts = Arc::clone(self.world.shared.contracts());
        let kept = contracts.keep(&self.ledger, &self.outside, false);
        within(kept).await.unwrap();
        contracts
    }

    /// Returns the contracts as a process knows them that begins now.
    pub(crate) async fn contracts_of_a_restart(&self) -> Arc<Contracts> {
        let shared = Shared::new(self.world.clock.clone(), self.outside.clone());
        let contracts = Arc::clone(shared.contracts());
        let kept = contracts.keep(&self.ledger, &self.outside, true);
        within(kept).await.unwrap();
        contracts
    }

    /// Returns what the breaker of the upstream does.
    pub(crate) fn breaker(&self) -> State {
        let snapshot = self.snapshot.load();
        let status = snapshot.upstreams().next().unwrap();
        status.breaker
    }

    /// Calls `tool` as a client of 2026-07-28 does.
    pub(crate) async fn call(&self, tool: &str) -> Reply {
        self.post(&headers("tools/call", tool), call(tool)).await
    }

    /// Posts `body` with `fields` to the endpoint.
    pub(crate) async fn post(&self, fields: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        self.send("POST", "/mcp", fields, body.into()).await
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> Reply {
        within(self.start(method, path, fields, body))
            .await
            .whole()
            .await
    }

    /// Sends a request and returns the answer with its body to come.
    pub(crate) async fn start(
        &self,
        method: &str,
        path: &str,
        fields: &[(&str, &str)],
        body: Bytes,
    ) -> Answer {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let task = self.outside.spawn("client", OnFailure::Log, async move {
            let _ = connection.await;
        });
        self.clients.lock().unwrap().push(task.abort_handle());
        let mut request = Request::builder().method(method).uri(path);
        if !fields
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            request = request.header("host", self.address.to_string());
        }
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let response = sender.send_request(request).await.unwrap();
        Answer {
            response,
            connection: task,
        }
    }

    /// Breaks the connections of all clients.
    pub(crate) fn hang_up_clients(&self) {
        let clients = std::mem::take(&mut *self.clients.lock().unwrap());
        for client in clients {
            client.abort();
        }
    }

    /// Sends `bytes` as they are and returns what comes back until the gateway closes.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut all = Vec::new();
        // A reset after the answer is how a server refuses the rest of a request.
        let _ = within(stream.read_to_end(&mut all)).await;
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Returns the first `count` entries of the ledger, as kind and body.
    pub(crate) async fn entries(&self, count: usize) -> Vec<(String, Value)> {
        self.entries_of(TenantId::default(), count).await
    }

    /// Returns the first `count` entries of the chain of `tenant`, as kind and body.
    pub(crate) async fn entries_of(&self, tenant: TenantId, count: usize) -> Vec<(String, Value)> {
        let mut follower = self.ledger.follow(tenant, 0);
        let mut entries: Vec<Entry> = Vec::new();
        while entries.len() < count {
            entries.extend(within(follower.next()).await.unwrap());
        }
        let read = |entry: &Entry| {
            let body = serde_json::from_slice(&entry.body).unwrap();
            (entry.kind.as_str().to_owned(), body)
        };
        entries.iter().map(read).collect()
    }

    /// Returns how the only call so far ended: kind, outcome or decision, and code.
    pub(crate) async fn ending(&self, count: usize) -> String {
        let entries = self.entries(count).await;
        let (kind, body) = &entries[count - 1];
        let how = body["outcome"]
            .as_str()
            .or(body["decision"].as_str())
            .unwrap();
        let code = body["error_code"].as_str().unwrap_or("-");
        format!("{kind} {how} {code}")
    }
}

/// Posts `body` to the endpoint over `stream`.
pub(crate) async fn post_over<S>(
    stream: S,
    host: &str,
    fields: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> std::io::Result<Reply>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let failed = |error: hyper::Error| std::io::Error::other(error);
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let mut request = Request::post("/mcp").header("host", host);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(body.into())).unwrap();
    let exchange = async move {
        let response = sender.send_request(request).await.map_err(failed)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(failed)?;
        Ok(Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            broken: false,
            body: body.to_bytes(),
        })
    };
    let driven = async {
        tokio::pin!(connection, exchange);
        tokio::select! {
            biased;
            reply = exchange.as_mut() => reply,
            ended = connection.as_mut() => {
                ended.map_err(failed)?;
                exchange.await
            }
        }
    };
    within(driven).await
}

/// An answer whose body is still to come.
pub(crate) struct Answer {
    pub(crate) response: Response<Arriving>,
    connection: tokio::task::JoinHandle<()>,
}

impl Answer {
    pub(crate) async fn whole(self) -> Reply {
        let (head, body) = self.response.into_parts();
        let body = within(body.collect()).await;
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            broken: body.is_err(),
            body: body.map(|body| body.to_bytes()).unwrap_or_default(),
        }
    }

    /// Returns the next piece of the body, or none at its end.
    pub(crate) async fn piece(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let frame = within(self.response.body_mut().frame()).await?;
        Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
    }

    /// Goes away.
    pub(crate) async fn hang_up(self) {
        self.connection.abort();
        let _ = self.connection.await;
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body ended early.
    pub(crate) broken: bool,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Returns status, JSON-RPC code and stable code.
    pub(crate) fn verdict(&self) -> String {
        let json = self.json();
        let code = json["error"]["code"].as_i64().unwrap_or_default();
        let stable = json["error"]["data"]["code"].as_str().unwrap_or("-");
        format!("{} {code} {stable}", self.status)
    }
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("what has to happen did not")
}

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"tests","version":"1"}}"#;

/// Returns a call of `tool` with odd but valid notation.
pub(crate) fn call(tool: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}},{META}}}}}"#
    )
}

/// Returns a request of `method` with these further members of `params`.
pub(crate) fn request(method: &str, params: &str) -> String {
    let comma = if params.is_empty() { "" } else { "," };
    format!(r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{{params}{comma}{META}}}}}"#)
}

/// Returns the header fields of a modern request.
pub(crate) fn headers<'a>(method: &'a str, name: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        ("mcp-protocol-version", "2026-07-28"),
        ("mcp-method", method),
    ];
    if !name.is_empty() {
        fields.push(("mcp-name", name));
    }
    fields
}
