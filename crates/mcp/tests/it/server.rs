//! A small server of both eras whose behaviour each test can see and bend.

use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use airside_base::{BoxFuture, OnFailure, Supervisor};
use airside_mcp::{
    Body, BoxError, Call, Era, Failure, Incoming, Limits, Local, ParamHeaders, Revision, Session,
    body, era, error_body, header, result_body, sse,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Frame;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use url::Url;

/// What the server can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    Modern,
    /// A legacy server that answers what it does not know with this status and no body.
    Legacy {
        refusal: u16,
    },
    /// A legacy server that answers every method without a session with a JSON-RPC error.
    LegacyWithBody,
}

pub(crate) struct Server {
    speaks: Speaks,
    /// `METHOD rpc-method` of everything that arrived, in order.
    seen: Mutex<Vec<String>>,
    /// The input schema of `echo`, one per listing; the last one stays.
    schemas: Mutex<VecDeque<&'static str>>,
    /// Number of answers that were dropped before they were complete.
    dropped: watch::Sender<usize>,
    /// Every page of the tool list names itself as the next one.
    pub(crate) endless_pages: bool,
}

const SESSION: &str = "the-session";
pub(crate) const PLAIN: &str = r#"{"type":"object"}"#;
pub(crate) const MIRRORED: &str =
    r#"{"type":"object","properties":{"market":{"type":"string","x-mcp-header":"Market"}}}"#;

impl Server {
    pub(crate) fn new(speaks: Speaks) -> Self {
        Self {
            speaks,
            seen: Mutex::default(),
            schemas: Mutex::new([MIRRORED].into()),
            dropped: watch::Sender::new(0),
            endless_pages: false,
        }
    }

    pub(crate) fn with_schemas(self, schemas: &[&'static str]) -> Self {
        *self.schemas.lock().unwrap() = schemas.iter().copied().collect();
        self
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until an unfinished answer was dropped.
    pub(crate) async fn dropped(&self) {
        let mut dropped = self.dropped.subscribe();
        dropped.wait_for(|count| *count > 0).await.unwrap();
    }

    /// Serves over HTTP on a free port.
    pub(crate) async fn listen(self: &Arc<Self>, supervisor: &Supervisor) -> Url {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (server, tasks) = (Arc::clone(self), supervisor.clone());
        supervisor.spawn("accept", OnFailure::Log, async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&server);
                let service = hyper::service::service_fn(move |request: Request<_>| {
                    let server = Arc::clone(&server);
                    async move {
                        let request = request.map(|body: hyper::body::Incoming| body::boxed(body));
                        Ok::<_, Infallible>(server.answer(request).await)
                    }
                });
                tasks.spawn("connection", OnFailure::Log, async move {
                    let http = hyper::server::conn::http1::Builder::new();
                    // A client that goes away is what some tests are about.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        format!("http://{address}/mcp").parse().unwrap()
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let bytes = body::collect(body, 1 << 20).await.unwrap();
        let message = match head.method {
            Method::POST => Some(Incoming::parse(&bytes, &Limits::DEFAULT).unwrap()),
            _ => None,
        };
        let method = match &message {
            Some(Incoming::Request(call) | Incoming::Notification(call)) => call.method(),
            Some(Incoming::Response(_)) => "(answer)",
            _ => "",
        };
        let line = format!("{} {method}", head.method);
        self.seen.lock().unwrap().push(line.trim().to_owned());
        let session = match head.headers.get(&header::SESSION_ID) {
            None => Session::Absent,
            Some(id) if id == SESSION => Session::Known(Revision::V2025_06_18),
            Some(_) => Session::Unknown,
        };
        let era = era::decide(&head.method, &head.headers, session, message.as_ref());
        let modern = self.speaks == Speaks::Modern;
        match (era, message) {
            (Ok(Era::Modern(_)), Some(Incoming::Request(call))) if modern => {
                self.modern(&head.headers, &call)
            }
            (Ok(Era::Modern(_)), Some(Incoming::Notification(_))) if modern => {
                body::empty_response(StatusCode::ACCEPTED)
            }
            (Ok(Era::Initialize), Some(Incoming::Request(call))) if !modern => {
                let mut response = body::json_response(
                    StatusCode::OK,
                    result_body(
                        call.id().unwrap(),
                        br#"{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"old"}}"#,
                    ),
                );
                let session = HeaderValue::from_static(SESSION);
                response.headers_mut().insert(&header::SESSION_ID, session);
                response
            }
            (Ok(Era::InSession(_)), Some(Incoming::Request(call))) => self.carry_out(&call),
            (Ok(Era::InSession(_)), Some(_)) => body::empty_response(StatusCode::ACCEPTED),
            (Ok(Era::End(_)), None) => body::empty_response(StatusCode::OK),
            (_, Some(Incoming::Request(call))) => match self.speaks {
                Speaks::Modern | Speaks::LegacyWithBody => body::json_response(
                    StatusCode::BAD_REQUEST,
                    error_body(call.id(), -32000, "server not initialized", None::<&()>),
                ),
                Speaks::Legacy { refusal } => {
                    body::empty_response(StatusCode::from_u16(refusal).unwrap())
                }
            },
            _ => body::empty_response(StatusCode::NOT_FOUND),
        }
    }

    fn modern(&self, headers: &http::HeaderMap, call: &Call) -> Response<Body> {
        let schema = *self.schemas.lock().unwrap().front().unwrap();
        let params = ParamHeaders::from_input_schema(schema.as_bytes()).unwrap();
        if let Err(mismatch) = header::check(headers, call, Some(&params)) {
            return body::failure_response(call.id(), &mismatch.failure());
        }
        match call.method() {
            "server/discover" => result(
                call,
                r#"{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{}}"#,
            ),
            _ => self.carry_out(call),
        }
    }

    fn carry_out(&self, call: &Call) -> Response<Body> {
        let arguments = call.arguments().unwrap_or(b"{}");
        let id = call.id().unwrap();
        match (call.method(), call.name()) {
            ("tools/list", _) => self.page(call),
            ("tools/call", Some("echo")) => {
                let arguments = std::str::from_utf8(arguments).unwrap();
                result(
                    call,
                    &format!(
                        r#"{{"content":[{{"type":"text","text":"done"}}],"structuredContent":{arguments}}}"#
                    ),
                )
            }
            ("tools/call", Some("fails")) => result(call, r#"{"content":[],"isError":true}"#),
            ("tools/call", Some("streams")) => {
                let note = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}"#;
                let ask = r#"{"jsonrpc":"2.0","id":"s1","method":"ping"}"#;
                let stray = r#"{"jsonrpc":"2.0","id":"other","result":{}}"#;
                let answer = result_body(id, br#"{"content":[],"structuredContent":{"n":10.10}}"#);
                let mut events = vec![sse::keep_alive()];
                for data in [note.into(), ask.into(), stray.into(), answer] {
                    events.push(sse::Event::message(data).encode());
                }
                // Cut where it hurts.
                let text = events.concat();
                let pieces = text.chunks(7).map(Bytes::copy_from_slice).collect();
                body::event_stream_response(body::boxed(Pieces { pieces, rest: None }))
            }
            ("tools/call", Some("breaks")) => {
                let pieces = [sse::keep_alive()].into();
                body::event_stream_response(body::boxed(Pieces { pieces, rest: None }))
            }
            ("tools/call", Some("waits")) | ("subscriptions/listen", _) => {
                let note = r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
                let pieces = [sse::Event::message(note).encode()].into();
                let rest = Some(Unfinished(self.dropped.clone()));
                body::event_stream_response(body::boxed(Pieces { pieces, rest }))
            }
            ("tools/call", Some("large")) => {
                let text = "x".repeat(5000);
                result(
                    call,
                    &format!(r#"{{"content":[{{"type":"text","text":"{text}"}}]}}"#),
                )
            }
            ("tools/call", Some("html")) => {
                let mut response = Response::new(body::full("<html>"));
                let html = HeaderValue::from_static("text/html");
                response
                    .headers_mut()
                    .insert(http::header::CONTENT_TYPE, html);
                response
            }
            ("tools/call", Some("moved")) => {
                let mut response = body::empty_response(StatusCode::TEMPORARY_REDIRECT);
                let there = HeaderValue::from_static("http://127.0.0.1:1/elsewhere");
                response.headers_mut().insert(http::header::LOCATION, there);
                response
            }
            _ => body::failure_response(call.id(), &Failure::method_not_found()),
        }
    }

    /// Two pages: `echo`, then a tool that breaks the rules and `fails`.
    fn page(&self, call: &Call) -> Response<Body> {
        if self.endless_pages {
            return result(call, r#"{"tools":[],"nextCursor":"again"}"#);
        }
        if call.cursor() == Some("more") {
            return result(
                call,
                r#"{"tools":[{"name":"bad","inputSchema":{"x-mcp-header":"A"}},{"name":"fails","x":10.10}]}"#,
            );
        }
        let mut schemas = self.schemas.lock().unwrap();
        let schema = schemas.front().unwrap().to_owned();
        if schemas.len() > 1 {
            schemas.pop_front();
        }
        result(
            call,
            &format!(
                r#"{{"tools":[{{"name":"echo","inputSchema":{schema}}}],"nextCursor":"more"}}"#
            ),
        )
    }
}

impl Local for Server {
    fn call<'a>(&'a self, request: Request<Body>) -> BoxFuture<'a, Response<Body>> {
        Box::pin(self.answer(request))
    }
}

fn result(call: &Call, result: &str) -> Response<Body> {
    body::json_response(
        StatusCode::OK,
        result_body(call.id().unwrap(), result.as_bytes()),
    )
}

/// Counts when it is dropped.
struct Unfinished(watch::Sender<usize>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count += 1);
    }
}

/// A body of these pieces, which then ends or, with a rest, never does.
struct Pieces {
    pieces: VecDeque<Bytes>,
    rest: Option<Unfinished>,
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match (self.pieces.pop_front(), &self.rest) {
            (Some(piece), _) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            (None, None) => Poll::Ready(None),
            (None, Some(_)) => Poll::Pending,
        }
    }
}
