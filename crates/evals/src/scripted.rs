//! An endpoint that answers as a model does, from a script: for tests of agents, of
//! suites, and of this product.
//!
//! # Invariants
//!
//! * It speaks all three wire formats, streamed or not, with the same code that reads
//!   them on the other side.
//! * Tools of a script are served at `/mcp` beside the model; a [`Planter`] in their
//!   place has those of another server.
//! * What it answers depends on the request and the script alone, so it can be asked in
//!   any order and by many at once.

mod tools;

use std::{
    collections::HashMap,
    convert::Infallible,
    io::{self, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use airside_base::{Fault as Public, Kind, OnFailure, Supervisor};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request as HttpRequest, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited, combinators::BoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};

pub use self::tools::Given;
use crate::{
    matcher::{Matcher, Scope},
    model::{Api, Message, Reply, Request, ToolCall},
    plant::Planter,
    trace::Arguments,
};

/// Largest script that is read, in bytes.
const MAX_SCRIPT: u64 = 64 << 20;
/// Largest request that is read.
const MAX_REQUEST: usize = 32 << 20;
/// Bytes of an answer that is too large on purpose.
const HUGE: usize = 10_000_000;

/// What the endpoint answers.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// The first rule that fits the request answers it.
    pub rules: Vec<Rule>,
    /// Definitions of tools, as `tools/list` shows them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// What the tools return: the first that fits a call.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<Given>,
}

/// Why a script cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the script {} cannot be used: {reason}", .path.display())]
pub struct ScriptError {
    path: PathBuf,
    reason: String,
}

impl ScriptError {
    /// Returns what the user may know.
    #[must_use]
    pub fn fault(&self) -> Public {
        Public::new(Kind::Invalid, "EVL-020", self.to_string())
            .with_hint("docs/evals.md shows a script")
    }
}

impl Script {
    /// Reads a script from a YAML file.
    ///
    /// # Errors
    ///
    /// [`ScriptError`].
    pub fn load(path: &Path) -> Result<Self, ScriptError> {
        let failed = |reason: String| ScriptError {
            path: path.to_owned(),
            reason,
        };
        let mut text = String::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_SCRIPT).read_to_string(&mut text));
        read.map_err(|error| failed(error.to_string()))?;
        Self::parse(&text).map_err(failed)
    }

    /// Reads a script from YAML text.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = crate::yaml::read(text)
            .map_err(|error| format!("line {}: {}", error.line, error.what))?;
        serde_path_to_error::deserialize(document.value).map_err(|error| error.to_string())
    }
}

/// One answer and when it is given.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What the request has to be. Always, unless told otherwise.
    #[serde(default)]
    pub when: When,
    /// What is said. `{{/ofr_[\\w-]+/}}` in it stands for what a regular expression finds
    /// first in the last result.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub say: String,
    /// What is called.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub call: Vec<ScriptedCall>,
    /// What goes wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// How often the rule answers; always, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// What a request has to be.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The last thing that the user said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Matcher>,
    /// The text of the last result of a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Matcher>,
    /// How often the model has answered since the user spoke.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The definition of a tool, by name, that the request has to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<Matcher>,
    /// Name of the model that is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Matcher>,
}

/// One call of a script.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedCall {
    /// The tool.
    pub tool: String,
    /// Its arguments. A text `{{hotels[1].id}}` stands for a part of the last result
    /// that is JSON, `{{/ofr_[\\w-]+/}}` for what a regular expression finds first in it:
    /// its first group, if it has one.
    #[serde(default)]
    pub args: Map<String, Value>,
    /// Text instead of arguments, for a model that writes no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Too many requests; come back at once.
    RateLimit,
    /// The provider fails.
    ServerError,
    /// The request is refused.
    BadRequest,
    /// Half an answer, then silence.
    Stall,
    /// Half an answer, then the connection ends.
    Truncate,
    /// Ten megabytes.
    Huge,
    /// The answer claims to be the user's.
    WrongRole,
    /// The answer is not JSON.
    NotJson,
    /// Nothing is said and nothing called.
    Empty,
    /// The provider says that the model refused.
    Refusal,
}

type Body = BoxBody<Bytes, Infallible>;

struct Shared {
    script: Script,
    /// Whose tools are served instead of the script's.
    planter: Option<Planter>,
    /// How often each rule has answered.
    used: Mutex<HashMap<usize, u32>>,
    /// How often each result was given.
    given: Mutex<HashMap<usize, u32>>,
    supervisor: Supervisor,
}

/// Serves `script` on `listener` until `supervisor` is told to stop, below `/v1`.
///
/// # Errors
///
/// When the listener has no address.
pub fn serve(
    listener: TcpListener,
    supervisor: &Supervisor,
    script: Script,
) -> io::Result<SocketAddr> {
    listen(listener, supervisor, script, None)
}

/// Serves the tools of `planter` on `listener` at `/mcp` until `supervisor` is told to
/// stop.
///
/// # Errors
///
/// When the listener has no address.
pub fn serve_planter(
    listener: TcpListener,
    supervisor: &Supervisor,
    planter: Planter,
) -> io::Result<SocketAddr> {
    listen(listener, supervisor, Script::default(), Some(planter))
}

fn listen(
    listener: TcpListener,
    supervisor: &Supervisor,
    script: Script,
    planter: Option<Planter>,
) -> io::Result<SocketAddr> {
    let address = listener.local_addr()?;
    let shared = Arc::new(Shared {
        script,
        planter,
        used: Mutex::default(),
        given: Mutex::default(),
        supervisor: supervisor.clone(),
    });
    supervisor.spawn("scripted model", OnFailure::Stop, async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = shared.supervisor.stopping() => return,
            };
            // A failed accept concerns one peer, or passes.
            let Ok((stream, _)) = accepted else { continue };
            let _ = stream.set_nodelay(true);
            let task = connection(stream, shared.clone());
            shared
                .supervisor
                .spawn("scripted connection", OnFailure::Log, task);
        }
    });
    Ok(address)
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let stopping = shared.supervisor.clone();
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(answer(request, &shared).await) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A peer that goes away is its own affair.
        _ = connection => {}
        () = stopping.stopping() => {}
    }
}

fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).boxed()
}

fn plain(status: StatusCode, body: &Value) -> Response<Body> {
    let mut response = Response::new(full(body.to_string()));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if status == StatusCode::TOO_MANY_REQUESTS {
        let now = http::HeaderValue::from_static("0");
        response.headers_mut().insert(header::RETRY_AFTER, now);
    }
    response
}

fn failure(status: StatusCode, code: &str) -> Response<Body> {
    plain(
        status,
        &json!({ "error": { "type": code, "code": code, "message": code } }),
    )
}

async fn answer(request: HttpRequest<Incoming>, shared: &Shared) -> Response<Body> {
    let api = match request.uri().path() {
        "/mcp" => return called(request, shared).await,
        "/v1/chat/completions" => Api::OpenaiChat,
        "/v1/responses" => Api::OpenaiResponses,
        "/v1/messages" => Api::Anthropic,
        _ => return failure(StatusCode::NOT_FOUND, "not_found"),
    };
    let body = read(request).await;
    let read = body
        .as_ref()
        .and_then(|body| Some((body, api.decode_request(body)?)));
    let Some((body, request)) = read else {
        return failure(StatusCode::BAD_REQUEST, "invalid_request");
    };
    let stream = body.get("stream") == Some(&Value::Bool(true));
    match shared.choose(&request) {
        Some(rule) => rule.answer(api, &request, stream),
        None => failure(StatusCode::NOT_FOUND, "not_scripted"),
    }
}

/// Reads a body of JSON.
async fn read(request: HttpRequest<Incoming>) -> Option<Value> {
    let body = Limited::new(request.into_body(), MAX_REQUEST);
    let body = body.collect().await.ok()?.to_bytes();
    serde_json::from_slice(&body).ok()
}

/// Answers as an MCP server.
async fn called(request: HttpRequest<Incoming>, shared: &Shared) -> Response<Body> {
    if request.method() != http::Method::POST {
        return failure(StatusCode::METHOD_NOT_ALLOWED, "post_only");
    }
    let Some(message) = read(request).await else {
        return failure(StatusCode::BAD_REQUEST, "invalid_request");
    };
    match tools::answer(shared, &message).await {
        Some(answer) => plain(StatusCode::OK, &answer),
        None => {
            let mut accepted = Response::new(full(""));
            *accepted.status_mut() = StatusCode::ACCEPTED;
            accepted
        }
    }
}

/// Returns the first that fits and has not been used up.
fn first<'a, T>(
    all: &'a [T],
    used: &Mutex<HashMap<usize, u32>>,
    fits: impl Fn(&T) -> bool,
    times: impl Fn(&T) -> Option<u32>,
) -> Option<&'a T> {
    for (index, one) in all.iter().enumerate().filter(|(_, one)| fits(one)) {
        let Some(times) = times(one) else {
            return Some(one);
        };
        let mut used = used
            .lock()
            .expect("no panic happens while the lock is held");
        let used = used.entry(index).or_default();
        if *used < times {
            *used += 1;
            return Some(one);
        }
    }
    None
}

impl Shared {
    fn given(&self, params: &Value) -> Option<&Given> {
        let fits = |given: &Given| given.fits(params);
        first(&self.script.results, &self.given, fits, |given| given.times)
    }

    fn choose(&self, request: &Request) -> Option<&Rule> {
        let seen = Seen::of(request);
        let fits = |rule: &Rule| rule.when.holds(request, &seen);
        first(&self.script.rules, &self.used, fits, |rule| rule.times)
    }
}

/// The last thing that the user said, and how often the model has answered since.
fn since_user(request: &Request) -> (&str, u64) {
    let mut answers = 0;
    for message in request.messages.iter().rev() {
        match message {
            Message::User(text) => return (text, answers),
            Message::Model { .. } => answers += 1,
            Message::Results(_) => {}
        }
    }
    ("", answers)
}

fn last_result(request: &Request) -> Option<&str> {
    request
        .messages
        .iter()
        .rev()
        .find_map(|message| match message {
            Message::Results(results) => results.last().map(|result| result.text.as_str()),
            _ => None,
        })
}

/// What rules look at in a request: made once for all of them.
struct Seen {
    user: Value,
    result: Option<Value>,
    model: Value,
    step: u64,
}

impl Seen {
    fn of(request: &Request) -> Self {
        let (user, step) = since_user(request);
        Self {
            user: user.into(),
            result: last_result(request).map(Value::from),
            model: request.model.as_str().into(),
            step,
        }
    }
}

impl When {
    fn holds(&self, request: &Request, seen: &Seen) -> bool {
        let scope = Scope::default();
        let holds = |wanted: &Option<Matcher>, is: Option<&Value>| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.holds(is, &scope))
        };
        let shows = |wanted: &Matcher| {
            let mut tools = request.tools.iter();
            tools.any(|tool| wanted.holds(Some(tool.definition()), &scope))
        };
        self.step.is_none_or(|wanted| wanted == seen.step)
            && holds(&self.user, Some(&seen.user))
            && holds(&self.result, seen.result.as_ref())
            && holds(&self.model, Some(&seen.model))
            && self.tool.as_ref().is_none_or(shows)
    }
}

impl Rule {
    fn reply(&self, request: &Request) -> Reply {
        let text = last_result(request).unwrap_or_default();
        let result = Last {
            text,
            json: serde_json::from_str(text).unwrap_or_default(),
        };
        let asked = request.messages.len();
        let call = |(index, call): (usize, &ScriptedCall)| ToolCall {
            id: format!("call_{asked}_{index}"),
            name: call.tool.clone(),
            arguments: match &call.raw {
                Some(raw) => Arguments::Unreadable(raw.clone()),
                None => Arguments::Json(filled(&Value::Object(call.args.clone()), &result)),
            },
        };
        // Four characters are about one token: enough for budgets to be tried.
        let tokens = |characters: usize| u64::try_from(characters / 4 + 1).unwrap_or(0);
        let text = match self.fault {
            Some(Fault::Empty) => String::new(),
            _ => told(&self.say, &result),
        };
        Reply {
            tokens_in: tokens(format!("{:?}", request.messages).len()),
            tokens_out: tokens(text.len()),
            calls: match self.fault {
                Some(Fault::Empty) => Vec::new(),
                _ => self.call.iter().enumerate().map(call).collect(),
            },
            refused: self.fault == Some(Fault::Refusal),
            text,
        }
    }

    fn answer(&self, api: Api, request: &Request, stream: bool) -> Response<Body> {
        match self.fault {
            Some(Fault::RateLimit) => return failure(StatusCode::TOO_MANY_REQUESTS, "rate_limit"),
            Some(Fault::ServerError) => return failure(StatusCode::BAD_GATEWAY, "server_error"),
            Some(Fault::BadRequest) => return failure(StatusCode::BAD_REQUEST, "invalid_request"),
            Some(Fault::NotJson) => return Response::new(full("this is not JSON")),
            _ => {}
        }
        let reply = self.reply(request);
        if self.fault == Some(Fault::Huge) {
            return huge();
        }
        if self.fault == Some(Fault::WrongRole) {
            let text = api.encode_reply(&reply).to_string();
            let text = text.replace(r#""role":"assistant""#, r#""role":"user""#);
            let json: Value = serde_json::from_str(&text).unwrap_or_default();
            return plain(StatusCode::OK, &json);
        }
        if !stream {
            return plain(StatusCode::OK, &api.encode_reply(&reply));
        }
        let mut events = String::new();
        for (name, data) in api.encode_events(&reply) {
            if let Some(name) = name {
                events.push_str(&format!("event: {name}\n"));
            }
            events.push_str(&format!("data: {data}\n\n"));
        }
        let body = match self.fault {
            Some(Fault::Stall) => half(&events, true),
            Some(Fault::Truncate) => half(&events, false),
            _ => full(events),
        };
        let mut response = Response::new(body);
        let kind = http::HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// One event without an end, as far as anybody reads.
fn huge() -> Response<Body> {
    let mut response = Response::new(full(format!("data: {}", "x".repeat(HUGE))));
    let kind = http::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Half of a stream, and then silence or the end.
fn half(events: &str, silent: bool) -> Body {
    let mut end = events.len() / 2;
    while !events.is_char_boundary(end) {
        end -= 1;
    }
    let first = Bytes::copy_from_slice(&events.as_bytes()[..end]);
    let frame = |data| Ok::<_, Infallible>(http_body::Frame::data(data));
    let head = futures_util::stream::iter([frame(first)]);
    match silent {
        true => {
            let silence = futures_util::stream::pending();
            BoxBody::new(http_body_util::StreamBody::new(head.chain(silence)))
        }
        false => BoxBody::new(http_body_util::StreamBody::new(head)),
    }
}

/// The last result of a tool.
struct Last<'a> {
    text: &'a str,
    json: Value,
}

impl Last<'_> {
    fn part(&self, path: &str) -> Value {
        let pattern = path
            .strip_prefix('/')
            .and_then(|path| path.strip_suffix('/'));
        match pattern {
            Some(pattern) => {
                let pattern = regex::Regex::new(pattern).ok();
                let found = pattern.and_then(|pattern| pattern.captures(self.text));
                let found = found.and_then(|found| found.get(1).or(found.get(0)));
                found.map_or(Value::Null, |found| found.as_str().into())
            }
            None => crate::path::find(&self.json, path)
                .cloned()
                .unwrap_or_default(),
        }
    }
}

/// Puts parts of the last result into a text that refers to them.
fn told(text: &str, result: &Last<'_>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("{{/")
        && let Some((pattern, after)) = from.split_once("/}}")
    {
        out.push_str(before);
        if let Value::String(part) = result.part(&format!("/{pattern}/")) {
            out.push_str(&part);
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Puts parts of the last result where a script refers to them.
fn filled(value: &Value, result: &Last<'_>) -> Value {
    match value {
        Value::String(text) => {
            let path = text
                .strip_prefix("{{")
                .and_then(|text| text.strip_suffix("}}"));
            match path {
                Some(path) => result.part(path.trim()),
                None => value.clone(),
            }
        }
        Value::Array(all) => all.iter().map(|one| filled(one, result)).collect(),
        Value::Object(members) => {
            let filled = members
                .iter()
                .map(|(name, one)| (name.clone(), filled(one, result)));
            Value::Object(filled.collect())
        }
        other => other.clone(),
    }
}
