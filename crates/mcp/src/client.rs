//! A client of both eras, over HTTP(S) and over a server in this process.
//!
//! # Invariants
//!
//! * Nothing is sent twice, with one exception: a call that a server refused
//!   because of its headers, and thus did not carry out, is repeated once with
//!   the headers of a fresh tool list.
//! * Redirects are not followed, so credentials stay with the host they were
//!   meant for.
//! * Dropping a call cancels it: the connection or stream is closed.
//! * Time, size and number of what is received are bounded by [`Options`].
//! * Results stay the bytes that came.

mod connect;
mod error;
mod exchange;
mod reply;
mod request;
mod target;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use url::Url;

pub use error::{Error, RpcError};
pub use exchange::{Exchange, Message};
pub use reply::{Item, Reply};

use crate::{Call, Limits, Local, ParamHeaders, Revision, codes, reply::List};
use target::Target;

/// Which era to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// Modern if the server does, else legacy.
    #[default]
    Auto,
    /// 2026-07-28 only.
    Modern,
    /// A handshake, whatever else the server can do.
    Legacy,
}

/// How a client behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which era to speak.
    pub era: Choice,
    /// What the client calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// `ClientCapabilities` to declare.
    pub capabilities: Value,
    /// Headers of every request, such as `Authorization`.
    pub headers: HeaderMap,
    /// Longest wait for a connection.
    pub connect_timeout: Duration,
    /// Longest wait for a complete answer.
    pub timeout: Duration,
    /// Bounds on each message that is received.
    pub limits: Limits,
    /// Most pages of one list.
    pub max_pages: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            era: Choice::Auto,
            name: "airside".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            capabilities: json!({}),
            headers: HeaderMap::new(),
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(60),
            limits: Limits::DEFAULT.with_size(16 * 1024 * 1024),
            max_pages: 100,
        }
    }
}

/// What was agreed on with the server.
#[derive(Debug)]
struct Agreement {
    revision: Revision,
    session: Option<http::HeaderValue>,
    /// The result of `server/discover` or `initialize`.
    server: Bytes,
}

/// A connected client.
pub struct Client {
    target: Target,
    options: Options,
    agreement: Agreement,
    next_id: AtomicU64,
    /// What each listed tool mirrors. Empty until tools were listed.
    mirrored: Mutex<Option<HashMap<String, Arc<ParamHeaders>>>>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers and the session are rights.
        f.debug_struct("Client")
            .field("target", &self.target)
            .field("revision", &self.agreement.revision)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects to a server by its URL (`http` or `https`).
    ///
    /// # Errors
    ///
    /// [`Error`] when the server cannot be reached or no revision is common.
    pub async fn connect(url: &Url, options: Options) -> Result<Self, Error> {
        let target = Target::http(url, &options)?;
        connect::agree(target, options).await
    }

    /// Connects to a server in this process.
    ///
    /// # Errors
    ///
    /// [`Error`] when no revision is common.
    pub async fn connect_local(local: Arc<dyn Local>, options: Options) -> Result<Self, Error> {
        connect::agree(Target::Local(local), options).await
    }

    /// Returns the revision that both sides speak.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.agreement.revision
    }

    /// Returns what the server says of itself: the result of `server/discover` or
    /// `initialize`, raw.
    #[must_use]
    pub fn server(&self) -> &Bytes {
        &self.agreement.server
    }

    /// Calls `method` and waits for the result. `params` has to become a JSON object,
    /// or `null` for none.
    ///
    /// # Errors
    ///
    /// [`Error`]; an error that the server answers is [`Error::Rpc`].
    pub async fn call(
        &self,
        method: &str,
        params: &(impl Serialize + ?Sized + Sync),
    ) -> Result<Reply, Error> {
        self.call_with(method, params, &mut |_| {}).await
    }

    /// Calls `method`, hands every notification that arrives meanwhile to
    /// `on_notification`, and waits for the result.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn call_with(
        &self,
        method: &str,
        params: &(impl Serialize + ?Sized + Sync),
        on_notification: &mut (dyn FnMut(&Call) + Send),
    ) -> Result<Reply, Error> {
        let call = self.request(method, params)?;
        self.finish(&call, None, on_notification).await
    }

    /// Calls `method` and returns as soon as the answer begins, for streams that stay
    /// open (`subscriptions/listen`). Dropping the exchange cancels the call.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn open(
        &self,
        method: &str,
        params: &(impl Serialize + ?Sized + Sync),
    ) -> Result<Exchange, Error> {
        let call = self.request(method, params)?;
        self.in_time(self.begin(&call, None)).await
    }

    /// Sends a notification.
    ///
    /// # Errors
    ///
    /// As [`Client::call`].
    pub async fn notify(
        &self,
        method: &str,
        params: &(impl Serialize + ?Sized + Sync),
    ) -> Result<(), Error> {
        let call = request::build(None, method, params, None)?;
        self.in_time(self.send_only(&call)).await
    }

    /// Calls a tool. In the modern era the tools are listed first if they were not
    /// yet, to know which arguments are mirrored into headers.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]. A failure that the tool reports is a result:
    /// [`Reply::is_error`].
    pub async fn call_tool(
        &self,
        name: &str,
        arguments: &(impl Serialize + ?Sized + Sync),
    ) -> Result<Reply, Error> {
        self.call_tool_with(name, arguments, &mut |_| {}).await
    }

    /// Calls a tool and hands every notification that arrives meanwhile to
    /// `on_notification`.
    ///
    /// # Errors
    ///
    /// As [`Client::call_tool`].
    pub async fn call_tool_with(
        &self,
        name: &str,
        arguments: &(impl Serialize + ?Sized + Sync),
        on_notification: &mut (dyn FnMut(&Call) + Send),
    ) -> Result<Reply, Error> {
        let arguments = serde_json::value::to_raw_value(arguments).map_err(Error::Serialize)?;
        let params = ToolParams {
            name,
            arguments: &arguments,
        };
        let call = self.request("tools/call", &params)?;
        if !self.revision().is_modern() {
            return self.finish(&call, None, on_notification).await;
        }
        if self.lock().is_none() {
            self.list(List::Tools).await?;
        }
        let mirrored = self.mirrored(name);
        let first = self
            .finish(&call, mirrored.as_deref(), on_notification)
            .await;
        match first {
            Err(Error::Rpc(error)) if error.code == codes::HEADER_MISMATCH => {
                self.list(List::Tools).await?;
                let fresh = self.mirrored(name);
                if fresh == mirrored {
                    return Err(Error::Rpc(error));
                }
                let again = self.request("tools/call", &params)?;
                self.finish(&again, fresh.as_deref(), on_notification).await
            }
            other => other,
        }
    }

    /// Lists all elements, over all pages.
    ///
    /// Over HTTP a modern client has to leave out tools whose `x-mcp-header`
    /// annotations break the rules; each is logged.
    ///
    /// # Errors
    ///
    /// As [`Client::call`]; [`Error::EndlessList`] when there are more pages or
    /// elements than [`Options`] allow, or a cursor repeats.
    pub async fn list(&self, list: List) -> Result<Vec<Item>, Error> {
        let mut items: Vec<Item> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..self.options.max_pages {
            let params = match &cursor {
                Some(cursor) => json!({ "cursor": cursor }),
                None => json!({}),
            };
            let reply = self.call(list.method(), &params).await?;
            let page = reply.items(list, &self.options.limits)?;
            if items.len() + page.len() > self.options.limits.elements {
                return Err(Error::EndlessList);
            }
            items.extend(page);
            let next = reply.next_cursor();
            if next.is_none() {
                if list == List::Tools {
                    self.remember(&mut items);
                }
                return Ok(items);
            }
            if next == cursor {
                return Err(Error::EndlessList);
            }
            cursor = next;
        }
        Err(Error::EndlessList)
    }

    /// Ends the session, if there is one. The server need not answer.
    pub async fn close(self) {
        if self.agreement.session.is_none() {
            return;
        }
        let request = self.http_request(Method::DELETE, HeaderMap::new(), Bytes::new());
        let outcome = match request {
            Ok(request) => self.in_time(self.target.send(request)).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            tracing::debug!(%error, "cannot tell the server that the session ends");
        }
    }

    fn request(&self, method: &str, params: &(impl Serialize + ?Sized)) -> Result<Call, Error> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let meta = self
            .revision()
            .is_modern()
            .then(|| request::metadata(&self.options, self.revision()));
        request::build(Some(id), method, params, meta.as_deref())
    }

    async fn finish(
        &self,
        call: &Call,
        mirrored: Option<&ParamHeaders>,
        on_notification: &mut (dyn FnMut(&Call) + Send),
    ) -> Result<Reply, Error> {
        self.in_time(async {
            let mut exchange = self.begin(call, mirrored).await?;
            loop {
                match exchange.next().await? {
                    Some(Message::Reply(reply)) => return reply.into_result(),
                    Some(Message::Notification(call)) => on_notification(&call),
                    Some(Message::Request(call)) => self.answer(&call).await?,
                    None => return Err(Error::Unanswered),
                }
            }
        })
        .await
    }

    /// Answers a request of a legacy server: we offer nothing but `ping`.
    async fn answer(&self, call: &Call) -> Result<(), Error> {
        let body = match call.method() {
            "ping" => crate::result_body(call.id().unwrap_or_default(), b"{}"),
            _ => crate::Failure::method_not_found().body(call.id()),
        };
        let request = self.http_request(Method::POST, HeaderMap::new(), body)?;
        self.target.send(request).await.map(|_| ())
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        in_time(self.options.timeout, work).await
    }

    async fn begin(&self, call: &Call, mirrored: Option<&ParamHeaders>) -> Result<Exchange, Error> {
        let headers = match self.revision().is_modern() {
            true => crate::header::mirror(call, mirrored).map_err(Error::Mirror)?,
            false => HeaderMap::new(),
        };
        let request = self.http_request(Method::POST, headers, call.bytes().clone())?;
        let response = self.target.send(request).await?;
        let in_session = self.agreement.session.is_some();
        if in_session && response.status() == StatusCode::NOT_FOUND {
            // A server may also answer so to a method that it does not know.
            return Err(
                match exchange::refused(response, &self.options.limits).await {
                    Error::Rpc(error) if error.code == codes::METHOD_NOT_FOUND => Error::Rpc(error),
                    _ => Error::SessionLost,
                },
            );
        }
        exchange::begin(response, call, &self.options.limits).await
    }

    async fn send_only(&self, call: &Call) -> Result<(), Error> {
        let mut headers = HeaderMap::new();
        if self.revision().is_modern() {
            let version = http::HeaderValue::from_static(self.revision().as_str());
            headers.insert(&crate::header::PROTOCOL_VERSION, version);
        }
        let request = self.http_request(Method::POST, headers, call.bytes().clone())?;
        let response = self.target.send(request).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(exchange::refused(response, &self.options.limits).await)
    }

    fn http_request(
        &self,
        method: Method,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<crate::Body>, Error> {
        let revision = self.agreement.revision;
        if !revision.is_modern() {
            // Revision 2025-03-26 does not know the version header.
            if revision > Revision::V2025_03_26 {
                let version = http::HeaderValue::from_static(revision.as_str());
                headers.insert(&crate::header::PROTOCOL_VERSION, version);
            }
            if let Some(session) = &self.agreement.session {
                headers.insert(&crate::header::SESSION_ID, session.clone());
            }
        }
        self.target
            .request(method, &self.options.headers, headers, body)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<HashMap<String, Arc<ParamHeaders>>>> {
        self.mirrored
            .lock()
            .expect("no panic happens while the lock is held")
    }

    fn mirrored(&self, tool: &str) -> Option<Arc<ParamHeaders>> {
        self.lock().as_ref()?.get(tool).cloned()
    }

    /// Remembers what the listed tools mirror and drops those that may not be used.
    fn remember(&self, tools: &mut Vec<Item>) {
        if !self.revision().is_modern() {
            return;
        }
        let mut mirrored = HashMap::new();
        tools.retain(|tool| {
            let schema = tool.input_schema().unwrap_or(b"{}");
            match ParamHeaders::from_input_schema(schema) {
                Ok(params) => {
                    if !params.is_empty() {
                        mirrored.insert(tool.key().to_owned(), Arc::new(params));
                    }
                    true
                }
                Err(error) => {
                    tracing::warn!(tool = tool.key(), %error, "a tool is left out: its schema is invalid");
                    false
                }
            }
        });
        *self.lock() = Some(mirrored);
    }
}

#[derive(Serialize)]
struct ToolParams<'a> {
    name: &'a str,
    arguments: &'a RawValue,
}

async fn in_time<T>(
    timeout: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(timeout, work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::Timeout { after: timeout }),
    }
}
