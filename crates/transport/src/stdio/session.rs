//! The meaning of HTTP requests to a process: handshake, answers, streams.

use std::{sync::Arc, time::Duration};

use airside_mcp::{Body, BoxError, Revision, body::full, codes, raw};
use bytes::Bytes;
use futures_util::stream;
use http::{Method, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::json;
use tokio::{sync::mpsc, time::timeout};

use super::{
    message,
    process::{Era, Flight, Live, Message, broken},
};
use crate::Error;

const SESSION: &str = "mcp-session-id";
const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";
/// How long a process may take to answer the first question, and the second.
const PROBE: Duration = Duration::from_secs(5);
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Asks the process what it speaks: the stateless revision first, as a server that
/// knows both serves it better to many callers than one session.
pub(super) async fn greet<F, A>(live: &Arc<Live>, probe: bool, ask: F) -> Option<Era>
where
    F: Fn(&'static str, &'static str) -> A,
    A: Future<Output = Option<String>>,
{
    if probe {
        let answer = timeout(PROBE, ask("server/discover", DISCOVER)).await;
        if let Ok(Some(answer)) = answer
            && let Some(supported) = raw::at(&answer, &["result", "supportedVersions"])
            && supported.contains(Revision::LATEST.as_str())
        {
            let supported = supported.to_owned();
            return Some(Era::Modern { supported });
        }
    }
    let answer = timeout(HANDSHAKE, ask("initialize", INITIALIZE))
        .await
        .ok()??;
    let greeting = raw::find(&answer, "result")?.to_owned();
    let revision = raw::string(raw::find(&greeting, "protocolVersion")?)?;
    let line = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n";
    live.write(Bytes::from_static(line.as_bytes())).await.ok()?;
    Some(Era::Legacy { greeting, revision })
}

const DISCOVER: &str = concat!(
    r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"airside","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}"#
);
const INITIALIZE: &str = concat!(
    r#"{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"airside","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}"#
);

/// Serves one HTTP request.
pub(super) async fn serve(
    live: Arc<Live>,
    request: http::Request<Bytes>,
) -> Result<Response<Body>, Error> {
    let legacy = matches!(live.era(), Era::Legacy { .. });
    let scope = request.headers().get(SESSION);
    let scope = scope
        .and_then(|value| value.to_str().ok())
        .map(ToOwned::to_owned);
    match *request.method() {
        Method::POST => {}
        Method::GET if legacy => return Ok(news(&live)),
        Method::DELETE if legacy => return Ok(empty(StatusCode::NO_CONTENT)),
        _ => return Ok(empty(StatusCode::METHOD_NOT_ALLOWED)),
    }
    let text = raw::text(request.body()).map_err(|_| broken("the request is not UTF-8"))?;
    let members = raw::members(text).map_err(|_| broken("the request is not an object"))?;
    let method = raw::only(&members, "method").and_then(raw::string);
    let id = raw::only(&members, "id");
    match (method, id) {
        (Some(method), Some(id)) => call(live, text, &method, id, scope).await,
        (Some(method), None) => notify(&live, text, &method, scope.as_deref()).await,
        // We have passed no request of the process to anybody.
        (None, _) => Ok(empty(StatusCode::ACCEPTED)),
    }
}

async fn call(
    live: Arc<Live>,
    text: &str,
    method: &str,
    id: &str,
    scope: Option<String>,
) -> Result<Response<Body>, Error> {
    if let Some(answer) = own_answer(live.era(), text, method, id) {
        return Ok(answer);
    }
    let mut flight = live.submit(text, scope).await?;
    match flight.next().await {
        None => Err(broken("the server's process ended before it answered")),
        Some(Message::Answer(bytes)) if method == "server/discover" => {
            Ok(json_answer(stateless_only(bytes)))
        }
        Some(Message::Answer(bytes)) => Ok(json_answer(bytes)),
        Some(Message::Note(first)) => Ok(events(first, flight)),
    }
}

/// Answers what the process must not see, or not see twice.
fn own_answer(era: &Era, text: &str, method: &str, id: &str) -> Option<Response<Body>> {
    let modern = raw::at(
        text,
        &["params", "_meta", "io.modelcontextprotocol/protocolVersion"],
    );
    match era {
        Era::Modern { supported } if modern.is_none() => {
            let requested = raw::at(text, &["params", "protocolVersion"]).and_then(raw::string);
            Some(unsupported(id, supported, requested.as_deref()))
        }
        Era::Modern { .. } => None,
        Era::Legacy { revision, .. } if modern.is_some() => {
            let requested = modern.and_then(raw::string);
            let supported = json!([revision]).to_string();
            Some(unsupported(id, &supported, requested.as_deref()))
        }
        Era::Legacy { greeting, revision } => match method {
            "initialize" => Some(greeted(text, id, greeting, revision)),
            // One level for all callers, and messages that belong to nobody.
            "logging/setLevel" => {
                let body = airside_mcp::error_body(
                    Some(id),
                    codes::METHOD_NOT_FOUND,
                    "the server's process is shared and has no log level of its own for a client",
                    None::<&()>,
                );
                Some(respond(StatusCode::OK, JSON, full(body)))
            }
            _ => None,
        },
    }
}

/// The remembered handshake, in the revision the client asked for when the process's
/// own is newer: later revisions of this era only add.
fn greeted(text: &str, id: &str, greeting: &str, revision: &str) -> Response<Body> {
    let asked = raw::at(text, &["params", "protocolVersion"]).and_then(raw::string);
    let asked = asked.filter(|asked| {
        let known = Revision::find(asked).is_some_and(|asked| !asked.is_modern());
        known && asked.as_str() < revision
    });
    let mut edits = raw::Edits::default();
    if let (Some(asked), Some(place)) = (asked, raw::find(greeting, "protocolVersion")) {
        edits.replace(greeting, place, raw::quote(&asked));
    }
    let result = edits.apply(greeting);
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{result}}}");
    let mut answer = respond(StatusCode::OK, JSON, full(body));
    let session = airside_base::secret_token();
    let session = session.parse().expect("base64url is a header value");
    answer.headers_mut().insert(SESSION, session);
    answer
}

fn unsupported(id: &str, supported: &str, requested: Option<&str>) -> Response<Body> {
    let supported: serde_json::Value = serde_json::from_str(supported).unwrap_or_default();
    let body = airside_mcp::error_body(
        Some(id),
        codes::UNSUPPORTED_PROTOCOL_VERSION,
        "Unsupported protocol version",
        Some(&json!({ "supported": supported, "requested": requested })),
    );
    respond(StatusCode::BAD_REQUEST, JSON, full(body))
}

async fn notify(
    live: &Live,
    text: &str,
    method: &str,
    scope: Option<&str>,
) -> Result<Response<Body>, Error> {
    match (live.era(), method) {
        (_, "notifications/cancelled") => {
            if let Some(id) = raw::at(text, &["params", "requestId"]) {
                live.cancel(scope, id);
            }
        }
        (Era::Modern { .. }, _) => live.write(message::one_line(text.to_owned())).await?,
        // The handshake is done, and roots were not offered.
        (Era::Legacy { .. }, _) => {}
    }
    Ok(empty(StatusCode::ACCEPTED))
}

/// A process that knows both eras is spoken to in one: what it says of the other does
/// not hold here.
fn stateless_only(bytes: Bytes) -> Bytes {
    let Ok(text) = raw::text(&bytes) else {
        return bytes;
    };
    let Some(versions) = raw::at(text, &["result", "supportedVersions"]) else {
        return bytes;
    };
    let mut edits = raw::Edits::default();
    edits.replace(
        text,
        versions,
        json!([Revision::LATEST.as_str()]).to_string(),
    );
    Bytes::from(edits.apply(text))
}

fn json_answer(bytes: Bytes) -> Response<Body> {
    let code = std::str::from_utf8(&bytes)
        .ok()
        .and_then(|text| raw::at(text, &["error", "code"]))
        .and_then(|code| code.parse().ok());
    let status = match code {
        Some(codes::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(
            codes::HEADER_MISMATCH
            | codes::MISSING_CLIENT_CAPABILITY
            | codes::UNSUPPORTED_PROTOCOL_VERSION,
        ) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    respond(status, JSON, full(bytes))
}

/// The notification that came first, what follows, and the answer as the last event.
fn events(first: Bytes, flight: Flight) -> Response<Body> {
    let rest = stream::unfold(
        (Some(Message::Note(first)), Some(flight)),
        |(next, flight)| async move {
            let mut flight = flight?;
            let message = match next {
                Some(message) => message,
                None => flight.next().await?,
            };
            Some(match message {
                Message::Note(bytes) => (event(&bytes), (None, Some(flight))),
                Message::Answer(bytes) => (event(&bytes), (None, None)),
            })
        },
    );
    respond(StatusCode::OK, EVENTS, StreamBody::new(rest).boxed_unsync())
}

/// What the server says about itself, for as long as the client listens.
fn news(live: &Live) -> Response<Body> {
    let Some(receiver) = live.listen() else {
        return empty(StatusCode::SERVICE_UNAVAILABLE);
    };
    let rest = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
        let bytes = receiver.recv().await?;
        Some((event(&bytes), receiver))
    });
    respond(StatusCode::OK, EVENTS, StreamBody::new(rest).boxed_unsync())
}

/// A line has no line break, so it is one `data` field.
fn event(message: &[u8]) -> Result<Frame<Bytes>, BoxError> {
    let mut bytes = Vec::with_capacity(message.len() + 24);
    bytes.extend_from_slice(b"event: message\ndata: ");
    bytes.extend_from_slice(message);
    bytes.extend_from_slice(b"\n\n");
    Ok(Frame::data(Bytes::from(bytes)))
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    response
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let value = http::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
