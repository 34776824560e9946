//! The envelope of a message: what a gateway has to know, and where it stands.
//!
//! # Invariants
//!
//! * A [`Call`] keeps the bytes as they came. Whatever is asked of it is a piece
//!   of those bytes, so an answer cannot differ from what is forwarded.
//! * No member that is acted upon occurs twice, under any spelling, so that no
//!   other parser can read another value (parser differential).
//! * Reading is bounded by [`Limits`] and does not recurse.
//! * Members that are not acted upon are not judged: unknown ones pass.

mod error;
pub(crate) mod scan;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, ops::Range};

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

pub use error::{ParseError, Reason};

use crate::{
    Limits,
    json::{Kind, Span, Value, unescape},
    reply::ReplyHead,
};

/// What a peer sent.
#[derive(Debug, Clone)]
pub enum Incoming {
    /// A call that wants an answer.
    Request(Call),
    /// A call that wants none.
    Notification(Call),
    /// An answer.
    Response(Response),
    /// Several messages in a JSON array (2025-03-26 only). Never empty, never nested.
    Batch(Vec<Incoming>),
}

impl Incoming {
    /// Reads one body.
    ///
    /// # Errors
    ///
    /// [`ParseError`] when it is not JSON, not a message, ambiguous or too large.
    pub fn parse(bytes: &Bytes, limits: &Limits) -> Result<Self, ParseError> {
        scan::incoming(bytes, limits)
    }
}

/// An answer, with the bytes as they came.
#[derive(Debug, Clone)]
pub struct Response {
    pub(crate) bytes: Bytes,
    pub(crate) head: ReplyHead,
}

impl Response {
    /// Returns the message as it came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns what was read from it.
    #[must_use]
    pub fn head(&self) -> &ReplyHead {
        &self.head
    }

    /// Returns the raw id.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.head
            .id
            .clone()
            .map(|range| checked_text(&self.bytes, range))
    }
}

/// A string value: where it stands and, if that differs, what it says.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    span: Span,
    decoded: Option<Box<str>>,
}

impl Text {
    pub(crate) fn new(source: &str, value: Value) -> Option<Self> {
        let Kind::String { escaped } = value.kind else {
            return None;
        };
        let decoded = escaped.then(|| unescape(&source[value.span.inner()]).into());
        Some(Self {
            span: value.span,
            decoded,
        })
    }

    pub(crate) fn of<'a>(&'a self, source: &'a str) -> &'a str {
        match &self.decoded {
            Some(text) => text,
            None => &source[self.span.inner()],
        }
    }

    fn get<'a>(&'a self, bytes: &'a Bytes) -> &'a str {
        match &self.decoded {
            Some(text) => text,
            None => checked_text(bytes, self.span.inner()),
        }
    }
}

/// Returns a piece of a body whose UTF-8 was checked as a whole.
fn checked_text(bytes: &Bytes, range: Range<usize>) -> &str {
    std::str::from_utf8(&bytes[range]).expect("the body was checked and spans end at ASCII")
}

/// Where the members of `params._meta` stand that are acted upon.
#[derive(Debug, Clone, Default)]
pub(crate) struct MetaSpans {
    pub(crate) protocol_version: Option<Text>,
    pub(crate) client_capabilities: Option<Span>,
    pub(crate) client_info: Option<Span>,
    pub(crate) log_level: Option<Span>,
    pub(crate) progress_token: Option<Span>,
    pub(crate) subscription_id: Option<Span>,
    pub(crate) traceparent: Option<Span>,
    pub(crate) tracestate: Option<Span>,
    pub(crate) baggage: Option<Span>,
}

/// Where the members of `params` stand that are acted upon.
#[derive(Debug, Clone, Default)]
pub(crate) struct ParamSpans {
    pub(crate) whole: Option<Span>,
    pub(crate) name: Option<Text>,
    pub(crate) arguments: Option<Span>,
    pub(crate) request_state: Option<Span>,
    pub(crate) input_responses: Option<Span>,
    pub(crate) cursor: Option<Text>,
    pub(crate) request_id: Option<Span>,
    pub(crate) meta: Option<Span>,
}

/// A request or notification, with the bytes as they came.
#[derive(Debug, Clone)]
pub struct Call {
    pub(crate) bytes: Bytes,
    pub(crate) id: Option<Span>,
    pub(crate) method: Text,
    pub(crate) params: ParamSpans,
    pub(crate) meta: MetaSpans,
}

/// Returns the member of `params` that names what `method` acts on, if it has one.
///
/// Source: streamable HTTP, "Standard Request Headers"; tasks extension.
#[must_use]
pub fn name_member(method: &str) -> Option<&'static str> {
    match method {
        "tools/call" | "prompts/get" => Some("name"),
        // The two legacy methods act on the same resources, though they mirror no header.
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => Some("uri"),
        "tasks/get" | "tasks/update" | "tasks/cancel" | "tasks/result" => Some("taskId"),
        _ => None,
    }
}

/// Returns whether `method`, which names what it acts on, is one that the modern
/// era has removed. It mirrors no header.
pub(crate) fn is_legacy_only(method: &str) -> bool {
    matches!(
        method,
        "resources/subscribe" | "resources/unsubscribe" | "tasks/result"
    )
}

impl Call {
    /// Returns the message as it came.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Returns the message as it came.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    fn text(&self, span: Span) -> &str {
        checked_text(&self.bytes, span.range())
    }

    fn raw(&self, span: Option<Span>) -> Option<&[u8]> {
        span.map(|span| &self.bytes[span.range()])
    }

    /// Returns the id as raw JSON (a string with quotes, or an integer); none for a
    /// notification.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.map(|span| self.text(span))
    }

    /// Returns where the id stands.
    #[must_use]
    pub fn id_span(&self) -> Option<Range<usize>> {
        self.id.map(Span::range)
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.get(&self.bytes)
    }

    /// Returns what the call acts on: `params.name`, `params.uri` or
    /// `params.taskId`, depending on the method ([`name_member`]).
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.params.name.as_ref().map(|name| name.get(&self.bytes))
    }

    /// Returns where the name stands, quotes included.
    #[must_use]
    pub fn name_span(&self) -> Option<Range<usize>> {
        self.params.name.as_ref().map(|name| name.span.range())
    }

    /// Returns `params` as raw JSON: an object.
    #[must_use]
    pub fn params(&self) -> Option<&[u8]> {
        self.raw(self.params.whole)
    }

    /// Returns where `params` stands.
    #[must_use]
    pub fn params_span(&self) -> Option<Range<usize>> {
        self.params.whole.map(Span::range)
    }

    /// Returns `params.arguments` as raw JSON: an object for `tools/call` and
    /// `prompts/get`, anything but `null` for other methods.
    #[must_use]
    pub fn arguments(&self) -> Option<&[u8]> {
        self.raw(self.params.arguments)
    }

    /// Returns where `params.arguments` stands.
    #[must_use]
    pub fn arguments_span(&self) -> Option<Range<usize>> {
        self.params.arguments.map(Span::range)
    }

    /// Returns `params.requestState` as raw JSON: opaque state of a server that
    /// asked for input.
    #[must_use]
    pub fn request_state(&self) -> Option<&[u8]> {
        self.raw(self.params.request_state)
    }

    /// Returns where `params.requestState` stands.
    #[must_use]
    pub fn request_state_span(&self) -> Option<Range<usize>> {
        self.params.request_state.map(Span::range)
    }

    /// Returns `params.inputResponses` as raw JSON.
    #[must_use]
    pub fn input_responses(&self) -> Option<&[u8]> {
        self.raw(self.params.input_responses)
    }

    /// Returns whether this is a further round of a call whose server asked for
    /// input. Such calls are never answered from a cache.
    #[must_use]
    pub fn is_continuation(&self) -> bool {
        self.params.request_state.is_some() || self.params.input_responses.is_some()
    }

    /// Returns `params.cursor`.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        let cursor = self.params.cursor.as_ref()?;
        Some(cursor.get(&self.bytes))
    }

    /// Returns where `params.cursor` stands, quotes included.
    #[must_use]
    pub fn cursor_span(&self) -> Option<Range<usize>> {
        self.params
            .cursor
            .as_ref()
            .map(|cursor| cursor.span.range())
    }

    /// Returns `params.requestId` of `notifications/cancelled` as raw JSON.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.params.request_id.map(|span| self.text(span))
    }

    /// Returns where `params._meta` stands.
    #[must_use]
    pub fn meta_span(&self) -> Option<Range<usize>> {
        self.params.meta.map(Span::range)
    }

    /// Returns the members of `params._meta`.
    #[must_use]
    pub fn meta(&self) -> Meta<'_> {
        Meta { call: self }
    }
}

/// The members of `params._meta` that are acted upon.
#[derive(Debug, Clone, Copy)]
pub struct Meta<'a> {
    call: &'a Call,
}

impl<'a> Meta<'a> {
    fn spans(self) -> &'a MetaSpans {
        &self.call.meta
    }

    fn string(self, span: Option<Span>) -> Option<Cow<'a, str>> {
        span.map(|span| unescape(checked_text(&self.call.bytes, span.inner())))
    }

    /// Returns `io.modelcontextprotocol/protocolVersion`. Its presence makes a
    /// request modern.
    #[must_use]
    pub fn protocol_version(self) -> Option<&'a str> {
        let version = self.spans().protocol_version.as_ref()?;
        Some(version.get(&self.call.bytes))
    }

    /// Returns where the protocol version stands, quotes included.
    #[must_use]
    pub fn protocol_version_span(self) -> Option<Range<usize>> {
        let version = self.spans().protocol_version.as_ref()?;
        Some(version.span.range())
    }

    /// Returns `io.modelcontextprotocol/clientCapabilities` as raw JSON: an object.
    #[must_use]
    pub fn client_capabilities(self) -> Option<&'a [u8]> {
        self.call.raw(self.spans().client_capabilities)
    }

    /// Returns where the client capabilities stand.
    #[must_use]
    pub fn client_capabilities_span(self) -> Option<Range<usize>> {
        self.spans().client_capabilities.map(Span::range)
    }

    /// Returns `io.modelcontextprotocol/clientInfo` as raw JSON: an object. It is
    /// what the client says of itself, a label and no proof.
    #[must_use]
    pub fn client_info(self) -> Option<&'a [u8]> {
        self.call.raw(self.spans().client_info)
    }

    /// Returns where the client information stands.
    #[must_use]
    pub fn client_info_span(self) -> Option<Range<usize>> {
        self.spans().client_info.map(Span::range)
    }

    /// Returns `io.modelcontextprotocol/logLevel`.
    #[must_use]
    pub fn log_level(self) -> Option<Cow<'a, str>> {
        self.string(self.spans().log_level)
    }

    /// Returns `progressToken` as raw JSON: a string or a number.
    #[must_use]
    pub fn progress_token(self) -> Option<&'a str> {
        let span = self.spans().progress_token?;
        Some(checked_text(&self.call.bytes, span.range()))
    }

    /// Returns where the progress token stands.
    #[must_use]
    pub fn progress_token_span(self) -> Option<Range<usize>> {
        self.spans().progress_token.map(Span::range)
    }

    /// Returns `io.modelcontextprotocol/subscriptionId` of a notification as raw JSON.
    #[must_use]
    pub fn subscription_id(self) -> Option<&'a str> {
        let span = self.spans().subscription_id?;
        Some(checked_text(&self.call.bytes, span.range()))
    }

    /// Returns where the subscription id stands.
    #[must_use]
    pub fn subscription_id_span(self) -> Option<Range<usize>> {
        self.spans().subscription_id.map(Span::range)
    }

    /// Returns `traceparent` (W3C Trace Context). From the internet it is untrusted.
    #[must_use]
    pub fn traceparent(self) -> Option<Cow<'a, str>> {
        self.string(self.spans().traceparent)
    }

    /// Returns `tracestate` (W3C Trace Context).
    #[must_use]
    pub fn tracestate(self) -> Option<Cow<'a, str>> {
        self.string(self.spans().tracestate)
    }

    /// Returns `baggage` (W3C Baggage).
    #[must_use]
    pub fn baggage(self) -> Option<Cow<'a, str>> {
        self.string(self.spans().baggage)
    }

    /// Returns where the baggage stands, quotes included.
    #[must_use]
    pub fn baggage_span(self) -> Option<Range<usize>> {
        self.spans().baggage.map(Span::range)
    }
}

/// Returns a JSON-RPC error message. `id` is raw JSON; without one the message has
/// no `id` (a request that could not be read).
#[must_use]
pub fn error_body(
    id: Option<&str>,
    code: i64,
    message: &str,
    data: Option<&impl Serialize>,
) -> Bytes {
    let data = data.map(|data| serde_json::to_value(data).unwrap_or_default());
    let message = json!(message);
    let mut out = String::from(r#"{"jsonrpc":"2.0","#);
    if let Some(id) = id {
        out.push_str(&format!(r#""id":{id},"#));
    }
    out.push_str(&format!(r#""error":{{"code":{code},"message":{message}"#));
    if let Some(data) = data {
        out.push_str(&format!(r#","data":{data}"#));
    }
    out.push_str("}}");
    Bytes::from(out)
}

/// Returns a JSON-RPC result message around `result`, which is raw JSON, as `id` is.
#[must_use]
pub fn result_body(id: &str, result: &[u8]) -> Bytes {
    let parts = [
        br#"{"jsonrpc":"2.0","id":"#,
        id.as_bytes(),
        br#","result":"#,
        result,
        b"}",
    ];
    Bytes::from(parts.concat())
}

/// Reads a request again that was edited. Its size is not held to a limit: what it was
/// made from has been.
#[must_use]
pub fn reparse(bytes: &Bytes) -> Option<Call> {
    let limits = Limits::DEFAULT.with_size(usize::MAX);
    match Incoming::parse(bytes, &limits) {
        Ok(Incoming::Request(call)) => Some(call),
        _ => None,
    }
}
