//! Servers that follow a script, and a client that visits an endpoint as the pipeline
//! lets it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use airside_base::{BoxFuture, VirtualClock};
use airside_contracts::Rules;
use airside_mcp::{
    Limits, Local,
    body::{collect, event_stream_response, is_event_stream, json_response},
    sse::Event,
};
use airside_policy::{
    Action, Circumstances, Engine, Facts as Judged, Policies, Principal, Settings, Source, Target,
};
use airside_transport::{self as transport, Transport};
use bytes::Bytes;
use futures_util::stream;
use http::{Request, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::{broadcast, watch};

use super::*;
use crate::{config, federation::answer::Events, upstream::Upstream};

const TOOLS: [&str; 2] = [
    r#"{"name":"get","annotations":{"readOnlyHint":true},"_meta":{"ui":{"resourceUri":"ui://m/v"}}}"#,
    r#"{"name":"put"}"#,
];

/// Returns the metadata of a stateless request.
pub(super) fn meta() -> &'static str {
    r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#
}

pub(super) fn body(id: &str, method: &str, params: &str) -> String {
    let meta = meta();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{{params}{meta}}}}}"#)
}

pub(super) fn call(text: &str) -> Call {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    match Incoming::parse(&bytes, &Limits::DEFAULT).unwrap() {
        Incoming::Request(call) => call,
        other => panic!("not a request: {other:?}"),
    }
}

/// What a scripted server understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    Modern,
    Legacy,
    Both,
    /// It never answers.
    Nothing,
}

/// A request as a server saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    method: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    sessions: Vec<String>,
    opened: usize,
    paged: bool,
}

pub(super) struct Script {
    name: String,
    speaks: Speaks,
    state: Mutex<State>,
    changed: watch::Sender<usize>,
    news: broadcast::Sender<String>,
}

impl Local for Script {
    fn call<'a>(&'a self, request: Request<Body>) -> BoxFuture<'a, Response<Body>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = collect(body, 1 << 20).await.unwrap();
            let body = String::from_utf8(body.into()).unwrap();
            self.serve(&head.method, head.headers, body).await
        })
    }
}

impl Script {
    fn new(name: &str, speaks: Speaks) -> Self {
        Self {
            name: name.to_owned(),
            speaks,
            state: Mutex::default(),
            changed: watch::Sender::new(0),
            news: broadcast::Sender::new(4096),
        }
    }

    /// Returns the last request with `method`; an answer has none.
    pub(super) fn last(&self, method: &str) -> Seen {
        let state = self.state.lock().unwrap();
        let seen = state.seen.iter().rev().find(|seen| seen.method == method);
        seen.unwrap_or_else(|| panic!("{} got no {method}", self.name))
            .clone()
    }

    pub(super) fn bodies(&self, method: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let seen = state.seen.iter().filter(|seen| seen.method == method);
        seen.map(|seen| seen.body.clone()).collect()
    }

    pub(super) fn count(&self, method: &str) -> usize {
        let state = self.state.lock().unwrap();
        state
            .seen
            .iter()
            .filter(|seen| seen.method == method)
            .count()
    }

    /// Resolves when a request with `method` has come.
    pub(super) async fn until(&self, method: &str) {
        let mut changed = self.changed.subscribe();
        while self.count(method) == 0 {
            changed.changed().await.unwrap();
        }
    }

    pub(super) fn sessions(&self) -> usize {
        self.state.lock().unwrap().sessions.len()
    }

    pub(super) fn forget_sessions(&self) {
        self.state.lock().unwrap().sessions.clear();
    }

    pub(super) fn paged(&self, paged: bool) {
        self.state.lock().unwrap().paged = paged;
    }

    /// Tells all listeners, if there are any.
    pub(super) fn announce(&self, message: &str) {
        let _ = self.news.send(message.to_owned());
    }

    pub(super) fn hang_up(&self) {
        self.news.send(String::new()).unwrap();
    }

    pub(super) fn listeners(&self) -> usize {
        self.news.receiver_count()
    }

    async fn serve(&self, verb: &Method, headers: HeaderMap, body: String) -> Response<Body> {
        let message: Value = serde_json::from_str(&body).unwrap_or_default();
        let method = match *verb {
            Method::POST => message["method"].as_str().unwrap_or_default().to_owned(),
            _ => verb.to_string(),
        };
        let session = headers
            .get("mcp-session-id")
            .map(|id| id.to_str().unwrap().to_owned());
        let seen = Seen {
            method: method.clone(),
            headers,
            body,
        };
        self.state.lock().unwrap().seen.push(seen);
        self.changed.send_modify(|count| *count += 1);
        if self.speaks == Speaks::Nothing {
            return std::future::pending().await;
        }
        let known = session.is_some_and(|id| self.knows(&id, verb));
        let modern =
            !message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_null();
        match method.as_str() {
            "initialize" if self.speaks == Speaks::Modern => refuse(&message, -32022, 400),
            "initialize" => self.greet(&message),
            "server/discover" if self.speaks == Speaks::Legacy => refuse(&message, -32601, 400),
            _ if modern && self.speaks != Speaks::Legacy => self.answer(&message, true).await,
            _ if modern => refuse(&message, -32022, 400),
            _ if known => match method.as_str() {
                "GET" => self.listen(None),
                "DELETE" => transport_empty(StatusCode::OK),
                _ if message["id"].is_null() || method.is_empty() => {
                    transport_empty(StatusCode::ACCEPTED)
                }
                _ => self.answer(&message, false).await,
            },
            _ => transport_empty(StatusCode::NOT_FOUND),
        }
    }

    /// Returns whether a session is open; a DELETE ends it.
    fn knows(&self, id: &str, verb: &Method) -> bool {
        let mut state = self.state.lock().unwrap();
        let known = state.sessions.iter().any(|known| known == id);
        if *verb == Method::DELETE {
            state.sessions.retain(|known| known != id);
        }
        known
    }

    fn greet(&self, message: &Value) -> Response<Body> {
        let mut state = self.state.lock().unwrap();
        state.opened += 1;
        let id = format!("up-{}", state.opened);
        state.sessions.push(id.clone());
        let result = json!({
            "protocolVersion": "2025-11-25",
            "capabilities": {"tools": {"listChanged": true}, "resources": {}, "prompts": {}, "completions": {}},
            "serverInfo": {"name": self.name, "version": "1"},
        });
        let mut response = reply(message, &result.to_string());
        response
            .headers_mut()
            .insert("mcp-session-id", id.parse().unwrap());
        response
    }

    async fn answer(&self, message: &Value, modern: bool) -> Response<Body> {
        let params = &message["params"];
        let name = params["name"].as_str().unwrap_or_default();
        let hints = if modern {
            r#","ttlMs":60000,"cacheScope":"public","resultType":"complete""#
        } else {
            ""
        };
        let result = match message["method"].as_str().unwrap() {
            "server/discover" => {
                let legacy = if self.speaks == Speaks::Both { r#","2025-11-25""# } else { "" };
                format!(r#"{{"supportedVersions":["2026-07-28"{legacy}],"capabilities":{{"tools":{{}},"resources":{{}},"prompts":{{}}}}{hints}}}"#)
            }
            "tools/list" => self.tools(params["cursor"].as_str(), hints),
            "resources/list" => format!(r#"{{"resources":[{{"uri":"x://1","name":"one"}}]{hints}}}"#),
            "resources/read" if params["uri"] == "x://none" => return refuse(message, -32002, 200),
            "resources/read" => format!(r#"{{"contents":[{{"uri":{}}}]{hints}}}"#, params["uri"]),
            "tools/call" => match name {
                "hang" => return std::future::pending().await,
                "none" => return refuse(message, -32602, 400),
                "put" if params["arguments"]["moved"] == true => {
                    return refuse(message, -32020, 400);
                }
                "ask" if modern => r#"{"resultType":"input_required","requestState":"sealed \"uri\"","inputRequests":{"k":{"method":"elicitation/create","params":{"uri":"x://1"}}}}"#.to_owned(),
                "ask" => return ask(),
                "work" => r#"{"resultType":"task","taskId":"t1","status":"working"}"#.to_owned(),
                _ => format!(r#"{{"content":[{{"type":"resource_link","uri":"x://1","name":"{name}@{}"}}],"price":10.10}}"#, self.name),
            },
            "tasks/get" => format!(r#"{{"resultType":"complete","taskId":{},"status":"completed"}}"#, params["taskId"]),
            "completion/complete" => r#"{"completion":{"values":[]}}"#.to_owned(),
            "ping" => "{}".to_owned(),
            "subscriptions/listen" => return self.listen(Some(message)),
            _ => return refuse(message, -32601, if modern { 404 } else { 200 }),
        };
        reply(message, &result)
    }

    fn tools(&self, cursor: Option<&str>, hints: &str) -> String {
        let [first, second] = TOOLS;
        let paged = self.state.lock().unwrap().paged;
        match (paged, cursor) {
            (true, None) => format!(r#"{{"tools":[{first}],"nextCursor":"p2"{hints}}}"#),
            (true, Some("p2")) => format!(r#"{{"tools":[{second}]{hints}}}"#),
            (true, Some(_)) => panic!("a cursor of another server"),
            (false, _) => format!(r#"{{"tools":[{first},{second}]{hints}}}"#),
        }
    }

    /// News, until an empty one; a subscription is acknowledged first and ended last.
    fn listen(&self, subscription: Option<&Value>) -> Response<Body> {
        let id = subscription.map(|message| message["id"].clone());
        let first = subscription.map(|message| {
            let granted = &message["params"]["notifications"];
            let id = &message["id"];
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{granted},"_meta":{{"io.modelcontextprotocol/subscriptionId":{id}}}}}}}"#)
        });
        let state = (first, Some(self.news.subscribe()), id);
        let events = stream::unfold(state, |(first, news, id)| async move {
            let mut news = news?;
            let text = match first {
                Some(first) => first,
                None => news.recv().await.ok()?,
            };
            if text.is_empty() {
                let id = id?;
                let end = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete"}}}}"#
                );
                return Some((event(&end), (None, None, None)));
            }
            Some((event(&text), (None, Some(news), id)))
        });
        event_stream_response(StreamBody::new(events).boxed_unsync())
    }
}

fn event(text: &str) -> Result<Frame<Bytes>, airside_mcp::BoxError> {
    Ok(Frame::data(Event::message(text.to_owned()).encode()))
}

/// A handshake-era server that wants to know more before it goes on.
fn ask() -> Response<Body> {
    let asked = r#"{"jsonrpc":"2.0","id":5,"method":"elicitation/create","params":{}}"#;
    let first = stream::iter([event(asked)]);
    let rest = futures_util::StreamExt::chain(first, stream::pending());
    event_stream_response(StreamBody::new(rest).boxed_unsync())
}

fn reply(message: &Value, result: &str) -> Response<Body> {
    let id = &message["id"];
    // As it was written: the value would lose escapes.
    let id = match id.as_str() {
        Some("A") => r#""\u0041""#.to_owned(),
        _ => id.to_string(),
    };
    json_response(
        StatusCode::OK,
        format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
    )
}

fn refuse(message: &Value, code: i64, status: u16) -> Response<Body> {
    let id = &message["id"];
    json_response(
        StatusCode::from_u16(status).unwrap(),
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"no","data":{{"supported":["2026-07-28"]}}}}}}"#
        ),
    )
}

fn transport_empty(status: StatusCode) -> Response<Body> {
    airside_mcp::body::empty_response(status)
}

/// What a client got.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) text: String,
    session: Option<String>,
}

impl Got {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

/// Messages of an open stream.
pub(super) struct Stream(Events);

impl Stream {
    pub(super) async fn next(&mut self) -> Option<Value> {
        loop {
            match self.0.try_next().await.unwrap()? {
                answer::Incoming::Pause => {}
                answer::Incoming::Event(event) => {
                    return Some(serde_json::from_slice(&event.data).unwrap());
                }
            }
        }
    }
}

/// An endpoint with scripted servers behind it.
pub(super) struct Bench {
    pub(super) endpoint: Endpoint,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: VirtualClock,
    pub(super) audience: Audience,
    engine: Engine,
    servers: HashMap<String, Arc<Script>>,
}

impl Bench {
    pub(super) fn new(servers: &[(&str, Speaks)]) -> Self {
        let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
        let shared = Shared::new(Arc::new(clock.clone()), Supervisor::new());
        let source = Source {
            name: "test.cedar",
            text: "@id(\"all\") permit(principal, action, resource);",
        };
        let policies = Policies::load(&[source], &Settings::default()).unwrap();
        let mut peers = Vec::new();
        let mut scripts = HashMap::new();
        for (name, speaks) in servers {
            let id: ServerId = name.parse().unwrap();
            let script = Arc::new(Script::new(name, *speaks));
            scripts.insert((*name).to_owned(), Arc::clone(&script));
            let transport = Transport::Local(transport::Local::new(script));
            let engine = policies.engine(&id);
            let permit = permit(
                &engine,
                Outbound {
                    call: None,
                    route: Route::to(id.clone()),
                },
            );
            let config = config::Upstream::builtin(id, "script");
            let clock = Arc::new(clock.clone());
            let upstream = Upstream::new(&config, transport, Some(permit), clock);
            peers.push(Peer::new(Arc::new(upstream), &shared, Rules::default()));
        }
        Self {
            endpoint: Endpoint::new(peers, Arc::clone(&shared)),
            shared,
            clock,
            audience: Audience::everyone(),
            engine: policies.engine(&"any".parse().unwrap()),
            servers: scripts,
        }
    }

    pub(super) fn server(&self, name: &str) -> &Script {
        &self.servers[name]
    }

    fn visit(&self, caller: &str, headers: HeaderMap, era: Era) -> Visit {
        let caller = Caller::new(
            CallerKind::ApiKey,
            caller,
            TenantId::default(),
            Attestation::ApiKey,
            Vec::new(),
        );
        Visit {
            caller,
            headers,
            era,
            audience: self.audience.clone(),
        }
    }

    /// Returns where `call` of somebody goes.
    pub(super) async fn route(&self, call: &Call) -> Result<Route, Error> {
        let visit = self.visit("somebody", HeaderMap::new(), Era::Initialize);
        self.endpoint.route(call, &visit.caller).await
    }

    /// The way of a POST: era, route, permit, dispatch.
    async fn post(&self, caller: &str, headers: HeaderMap, body: &str) -> Response<Body> {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let message = Incoming::parse(&bytes, &Limits::DEFAULT).unwrap();
        let visit = self.visit(caller, headers, Era::Initialize);
        let session = self.endpoint.session(&visit.headers, &visit.caller);
        let era = match era::decide(&Method::POST, &visit.headers, session, Some(&message)) {
            Ok(era) => era,
            Err(error) => {
                let failure = error.failure(&airside_mcp::Revision::ALL);
                return airside_mcp::body::failure_response(None, &failure);
            }
        };
        let visit = Visit { era, ..visit };
        let done = match message {
            Incoming::Request(call) => {
                if let Era::Modern(_) = era {
                    header::check(&visit.headers, &call, None).unwrap();
                }
                match self.endpoint.route(&call, &visit.caller).await {
                    Ok(route) => {
                        let call = Some(call);
                        let permit = permit(&self.engine, Outbound { call, route });
                        self.endpoint.dispatch(&permit, &visit).await
                    }
                    Err(error) => Err(error),
                }
            }
            message => {
                let permit = self.admit();
                self.endpoint.deliver(&permit, &message, &visit).await
            }
        };
        done.unwrap_or_else(|error| {
            airside_mcp::body::failure_response(Some("1"), &error.failure())
        })
    }

    fn admit(&self) -> Permit<Outbound> {
        permit(
            &self.engine,
            Outbound {
                call: None,
                route: Route::anywhere(),
            },
        )
    }

    pub(super) async fn modern(&self, body: &str) -> Got {
        self.modern_as("ann", body).await
    }

    async fn modern_as(&self, caller: &str, body: &str) -> Got {
        let headers = header::mirror(&call(body), None).unwrap();
        got(self.post(caller, headers, body).await).await
    }

    /// A stateless request with id 1; `params` end with a comma.
    pub(super) async fn ask(&self, method: &str, params: &str) -> Value {
        self.request("ann", "1", method, params).await.json()
    }

    pub(super) async fn request(&self, caller: &str, id: &str, method: &str, params: &str) -> Got {
        self.modern_as(caller, &body(id, method, params)).await
    }

    /// A stateless request that is answered by a stream.
    pub(super) async fn open(&self, method: &str, params: &str) -> Stream {
        let body = body("1", method, params);
        let headers = header::mirror(&call(&body), None).unwrap();
        opened(self.post("ann", headers, &body).await)
    }

    /// Opens a session and completes the handshake.
    pub(super) async fn initialize(&self, caller: &str) -> String {
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}},"clientInfo":{"name":"conformist","version":"1"}}}"#;
        let got = got(self.post(caller, HeaderMap::new(), hello).await).await;
        let answer = got.json();
        assert_eq!(
            answer["result"]["protocolVersion"], "2025-11-25",
            "{answer}"
        );
        let session = got.session.expect("a session id");
        let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        assert_eq!(self.tell(&session, note).await, 202);
        session
    }

    /// A request of a session with id 1.
    pub(super) async fn in_session(
        &self,
        caller: &str,
        session: &str,
        method: &str,
        params: &str,
    ) -> Got {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        got(self.post(caller, named(session), &body).await).await
    }

    pub(super) async fn open_in_session(
        &self,
        session: &str,
        method: &str,
        params: &str,
    ) -> Stream {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        opened(self.post("ann", named(session), &body).await)
    }

    /// Sends a notification or an answer; returns the status.
    pub(super) async fn tell(&self, session: &str, body: &str) -> u16 {
        self.post("ann", named(session), body)
            .await
            .status()
            .as_u16()
    }

    pub(super) async fn try_get(&self, session: &str) -> Result<Stream, Error> {
        let era = Era::Stream(airside_mcp::Revision::LATEST_LEGACY);
        let visit = self.visit("ann", named(session), era);
        let response = self.endpoint.stream(&self.admit(), &visit).await?;
        Ok(opened(response))
    }

    pub(super) async fn get(&self, session: &str) -> Stream {
        self.try_get(session).await.unwrap()
    }

    pub(super) async fn delete(&self, caller: &str, session: &str) -> u16 {
        let era = Era::End(airside_mcp::Revision::LATEST_LEGACY);
        let visit = self.visit(caller, named(session), era);
        match self.endpoint.close(&self.admit(), &visit).await {
            Ok(response) => response.status().as_u16(),
            Err(error) => error.failure().status().as_u16(),
        }
    }
}

fn named(session: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(&header::SESSION_ID, HeaderValue::from_str(session).unwrap());
    headers
}

fn opened(response: Response<Body>) -> Stream {
    assert!(
        is_event_stream(response.headers()),
        "{:?}",
        response.headers()
    );
    Stream(Events::new(response.into_body(), 1 << 20))
}

async fn got(response: Response<Body>) -> Got {
    let status = response.status().as_u16();
    let session = response.headers().get(&header::SESSION_ID);
    let session = session.map(|id| id.to_str().unwrap().to_owned());
    // Streams that never end are read until their answer.
    let text = match is_event_stream(response.headers()) {
        true => answer::message(response, 1 << 20).await.unwrap_or_default(),
        false => {
            let bytes = collect(response.into_body(), 1 << 20).await.unwrap();
            String::from_utf8(bytes.into()).unwrap()
        }
    };
    Got {
        status,
        text,
        session,
    }
}

fn permit(engine: &Engine, outbound: Outbound) -> Permit<Outbound> {
    let tenant = TenantId::default();
    let facts = Judged {
        principal: Principal {
            kind: "api_key",
            id: "ann",
            tenant: &tenant,
            attestation: 0,
            groups: &[],
            scopes: &[],
            client: None,
            issuer: None,
        },
        action: Action::List,
        target: Target::Server,
        context: Circumstances::bare(airside_base::Timestamp::UNIX_EPOCH),
    };
    engine
        .decide(&facts, outbound)
        .expect("everything is permitted")
}
