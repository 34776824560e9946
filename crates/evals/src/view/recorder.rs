//! Writes down what a person does in a view, in a browser of their own.
//!
//! # Invariants
//!
//! * Served on a loopback address, to whoever has the secret in the page's own address;
//!   what is sent there has to come from that page and from no other: the view itself,
//!   whose origin is opaque, is told apart by the header `Origin`.
//! * A view runs under the content policy that its server declared, as in a test.
//! * What is typed into fields for passwords is not written down.
//! * Bounded: [`MAX_DEEDS`] deeds, [`MAX_BODY`] bytes of a request.

use std::{collections::BTreeSet, convert::Infallible, io, sync::Arc};

use airside_base::{OnFailure, Redacted, Supervisor, secret_token};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};

use super::{Bridge, Deed, HOST, Page, policy};

/// What tells of clicks and fields.
const SHIM: &str = include_str!("shim.js");
/// The page around the view.
const PAGE: &str = include_str!("recorder.js");
/// Most deeds of one recording.
const MAX_DEEDS: usize = 200;
/// Largest request, in bytes.
const MAX_BODY: usize = 1 << 20;
/// Most acts that wait to be looked at.
const WAITING: usize = 64;

/// Something that comes from the page.
#[derive(Debug)]
enum Act {
    /// The view calls a tool.
    Call {
        tool: String,
        arguments: Value,
        reply: oneshot::Sender<Result<Value, String>>,
    },
    /// A person did something.
    Did(Deed),
    /// Something was typed that is not written down.
    Secret(String),
    /// The person is done.
    Done,
}

/// What a person did in a view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// One after the other.
    pub deeds: Vec<Deed>,
    /// Tools that the view called with success, each once.
    pub called: BTreeSet<String>,
    /// Fields that were filled with what is not written down.
    pub secrets: BTreeSet<String>,
}

/// A view that is being recorded.
#[derive(Debug)]
pub struct Recorder {
    address: Redacted<String>,
    acts: mpsc::Receiver<Act>,
}

/// What connections share.
struct Shared {
    html: String,
    policy: String,
    /// `http://127.0.0.1:PORT`.
    origin: String,
    secret: Redacted<String>,
    acts: mpsc::Sender<Act>,
    supervisor: Supervisor,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    id: Value,
    name: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Secret {
    secret: String,
}

impl Recorder {
    /// Serves `page` on `listener` until `supervisor` is told to stop.
    ///
    /// # Errors
    ///
    /// When the listener has no address.
    pub fn serve(listener: TcpListener, supervisor: &Supervisor, page: &Page) -> io::Result<Self> {
        let origin = format!("http://{}", listener.local_addr()?);
        let secret = secret_token();
        let (acts, received) = mpsc::channel(WAITING);
        let address = Redacted::new(format!("{origin}/{secret}/"));
        let shared = Arc::new(Shared {
            html: framed(page),
            // The host's own page sends what was done.
            policy: policy(&page.csp).replace("connect-src 'none'", "connect-src 'self'")
                + "; frame-ancestors 'none'",
            origin,
            secret: Redacted::new(secret),
            acts,
            supervisor: supervisor.clone(),
        });
        supervisor.spawn("recorder of views", OnFailure::Stop, async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = shared.supervisor.stopping() => return,
                };
                // A failed accept concerns one peer, or passes.
                let Ok((stream, _)) = accepted else { continue };
                let task = connection(stream, shared.clone());
                shared
                    .supervisor
                    .spawn("recorder connection", OnFailure::Log, task);
            }
        });
        Ok(Self {
            address,
            acts: received,
        })
    }

    /// Returns where a person opens the view. Whoever has it can use the view.
    #[must_use]
    pub fn address(&self) -> &str {
        self.address.expose()
    }

    /// Carries out what the view asks for and writes down what the person does, until
    /// they are done.
    pub async fn record(&mut self, bridge: &dyn Bridge, into: &mut Recorded) {
        while let Some(act) = self.acts.recv().await {
            match act {
                Act::Done => return,
                Act::Secret(name) => {
                    into.secrets.insert(name);
                }
                Act::Did(deed) => into.did(deed),
                Act::Call {
                    tool,
                    arguments,
                    reply,
                } => {
                    let answer = bridge.call(&tool, arguments).await;
                    let failed = |result: &Value| result["isError"] == true;
                    if answer.as_ref().is_ok_and(|result| !failed(result)) {
                        into.called.insert(tool);
                    }
                    // A page that was closed waits for nothing.
                    let _ = reply.send(answer);
                }
            }
        }
    }
}

impl Recorded {
    fn did(&mut self, deed: Deed) {
        // A field that is filled again says the last text.
        if let (Some(Deed::Fill(last)), Deed::Fill(fill)) = (self.deeds.last(), &deed)
            && last.name == fill.name
        {
            self.deeds.pop();
        }
        if self.deeds.len() < MAX_DEEDS {
            self.deeds.push(deed);
        }
    }

    /// Returns a case in YAML, for a suite: `ask` has the model call `tool`, and the
    /// person then does what was written down.
    #[must_use]
    pub fn case(&self, id: &str, ask: &str, tool: &str) -> String {
        let text = |text: &str| Value::from(text).to_string();
        let mut lines = vec![
            format!("- id: {}", text(id)),
            "  turns:".to_owned(),
            format!("    - ask: {}", text(ask)),
            format!(
                "      expect: {{ calls: {{ at_least: [{{ tool: {} }}] }} }}",
                text(tool)
            ),
            "    - view:".to_owned(),
        ];
        lines.extend(self.deeds.iter().map(|deed| {
            let written = match deed {
                Deed::Click(one) => format!(
                    "click: {{ role: {}, name: {} }}",
                    text(&one.role),
                    text(&one.name)
                ),
                Deed::See(one) => format!(
                    "see: {{ role: {}, name: {} }}",
                    text(&one.role),
                    text(&one.name)
                ),
                Deed::Fill(fill) => format!(
                    "fill: {{ name: {}, text: {} }}",
                    text(&fill.name),
                    text(&fill.text)
                ),
            };
            format!("        - {written}")
        }));
        let called = self.called.iter();
        let called: Vec<String> = called
            .map(|tool| format!("{{ tool: {}, status: ok }}", text(tool)))
            .collect();
        // A view without a call has done well if nothing went wrong in it.
        if !called.is_empty() {
            lines.push(format!(
                "      expect: {{ bridge: [{}] }}",
                called.join(", ")
            ));
        }
        lines.join("\n") + "\n"
    }
}

/// The page around the view. What tells of clicks stands before anything of the view.
fn framed(page: &Page) -> String {
    let html = format!("<script>{SHIM}</script>{}", page.html);
    let given =
        json!({ "html": html, "input": page.input, "result": page.result, "tool": page.tool });
    // Within a script, nothing that a view or a tool says may end it.
    let given = given.to_string().replace('<', "\\u003c");
    let script = PAGE
        .replace("HOST", &format!("({HOST})"))
        .replace("GIVEN", &given);
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=utf-8><title>Recording a view</title><body><script>{script}</script>"
    )
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let stopping = shared.supervisor.clone();
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { Ok::<_, Infallible>(shared.answer(request).await) }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        // A peer that goes away is its own affair.
        _ = connection => {}
        () = stopping.stopping() => {}
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let nothing = |status: StatusCode| {
            let mut response = Response::new(Full::default());
            *response.status_mut() = status;
            response
        };
        let header = |name: header::HeaderName| request.headers().get(name);
        let host = self.origin.trim_start_matches("http://");
        let is_ours = header(header::HOST).is_some_and(|given| given == host);
        let path = request.uri().path();
        let below = path.strip_prefix('/').and_then(|path| path.split_once('/'));
        let known = |(secret, _): &(&str, &str)| Redacted::new((*secret).to_owned()) == self.secret;
        let Some((_, what)) = below.filter(known).filter(|_| is_ours) else {
            return nothing(StatusCode::NOT_FOUND);
        };
        if (request.method(), what) == (&Method::GET, "") {
            return self.page();
        }
        let from_page = header(header::ORIGIN).is_some_and(|from| from == self.origin.as_str());
        if request.method() != Method::POST || !from_page {
            return nothing(StatusCode::FORBIDDEN);
        }
        let what = what.to_owned();
        let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
        let Ok(body) = body else {
            return nothing(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let body = body.to_bytes();
        match what.as_str() {
            "call" => self.call(&body).await,
            "did" => nothing(self.did(&body).await),
            "done" => {
                let sent = self.acts.send(Act::Done).await;
                nothing(sent.map_or(StatusCode::GONE, |()| StatusCode::NO_CONTENT))
            }
            _ => nothing(StatusCode::NOT_FOUND),
        }
    }

    fn page(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::from(self.html.clone()));
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        // Domains are ASCII: others were not taken over.
        if let Ok(policy) = HeaderValue::from_str(&self.policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        response
    }

    async fn did(&self, body: &[u8]) -> StatusCode {
        let act = match serde_json::from_slice::<Secret>(body) {
            Ok(Secret { secret }) => Some(Act::Secret(secret)),
            Err(_) => serde_json::from_slice::<Deed>(body).ok().map(Act::Did),
        };
        let Some(act) = act else {
            return StatusCode::BAD_REQUEST;
        };
        let sent = self.acts.send(act).await;
        sent.map_or(StatusCode::GONE, |()| StatusCode::NO_CONTENT)
    }

    async fn call(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let (id, answer) = match serde_json::from_slice::<Asked>(body) {
            Err(_) => (Value::Null, Err("that is no call".to_owned())),
            Ok(asked) => (asked.id.clone(), self.carried_out(asked).await),
        };
        let answer = match answer {
            Ok(result) => json!({ "id": id, "result": result }),
            Err(why) => json!({ "id": id, "error": { "code": -32000, "message": why } }),
        };
        let mut response = Response::new(Full::from(answer.to_string()));
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    async fn carried_out(&self, asked: Asked) -> Result<Value, String> {
        let gone = || "nobody records any more".to_owned();
        let (reply, answer) = oneshot::channel();
        let act = Act::Call {
            tool: asked.name,
            arguments: asked.arguments,
            reply,
        };
        self.acts.send(act).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

#[cfg(test)]
mod tests;
