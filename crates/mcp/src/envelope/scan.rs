//! The single pass over a message.
//!
//! A refusal is remembered and the pass goes on, so that a syntax error further
//! on takes precedence and the id is found wherever it stands.

use bytes::Bytes;

use super::{
    Call, Incoming, MetaSpans, ParamSpans, ParseError, Reason, Response, Text, is_legacy_only,
};
use crate::{
    Limits,
    json::{Fault, Key, Kind, Scanner, Value},
    members::{Member, Members, is_object, is_string, member},
    name_member,
    reply::{self, Outcome, ReplyHead},
};

/// Longest id, in bytes of raw JSON: it is copied into tables and records.
const MAX_ID_BYTES: usize = 1024;
/// Longest method, in bytes of raw JSON.
const MAX_METHOD_BYTES: usize = 256;

const JSONRPC: usize = 0;
const ID: usize = 1;
const METHOD: usize = 2;
const PARAMS: usize = 3;
const RESULT: usize = 4;
const ERROR: usize = 5;
static MESSAGE: [Member; 6] = [
    member("jsonrpc", "jsonrpc"),
    member("id", "id"),
    member("method", "method"),
    member("params", "params"),
    member("result", "result"),
    member("error", "error"),
];

const META: usize = 0;
const NAME: usize = 1;
const URI: usize = 2;
const TASK_ID: usize = 3;
const ARGUMENTS: usize = 4;
const CURSOR: usize = 5;
const REQUEST_ID: usize = 6;
const REQUEST_STATE: usize = 7;
const INPUT_RESPONSES: usize = 8;
static PARAMETERS: [Member; 9] = [
    member("_meta", "params._meta"),
    member("name", "params.name"),
    member("uri", "params.uri"),
    member("taskId", "params.taskId"),
    member("arguments", "params.arguments"),
    member("cursor", "params.cursor"),
    member("requestId", "params.requestId"),
    member("requestState", "params.requestState"),
    member("inputResponses", "params.inputResponses"),
];

const PROTOCOL_VERSION: usize = 0;
const CLIENT_CAPABILITIES: usize = 1;
const CLIENT_INFO: usize = 2;
const LOG_LEVEL: usize = 3;
const SUBSCRIPTION_ID: usize = 4;
const PROGRESS_TOKEN: usize = 5;
const TRACEPARENT: usize = 6;
const TRACESTATE: usize = 7;
const BAGGAGE: usize = 8;
static METADATA: [Member; 9] = [
    member(
        "io.modelcontextprotocol/protocolVersion",
        "params._meta[\"io.modelcontextprotocol/protocolVersion\"]",
    ),
    member(
        "io.modelcontextprotocol/clientCapabilities",
        "params._meta[\"io.modelcontextprotocol/clientCapabilities\"]",
    ),
    member(
        "io.modelcontextprotocol/clientInfo",
        "params._meta[\"io.modelcontextprotocol/clientInfo\"]",
    ),
    member(
        "io.modelcontextprotocol/logLevel",
        "params._meta[\"io.modelcontextprotocol/logLevel\"]",
    ),
    member(
        "io.modelcontextprotocol/subscriptionId",
        "params._meta[\"io.modelcontextprotocol/subscriptionId\"]",
    ),
    member("progressToken", "params._meta.progressToken"),
    member("traceparent", "params._meta.traceparent"),
    member("tracestate", "params._meta.tracestate"),
    member("baggage", "params._meta.baggage"),
];

pub(super) fn incoming(bytes: &Bytes, limits: &Limits) -> Result<Incoming, ParseError> {
    let text = checked(bytes, limits)?;
    let mut scanner = Scanner::new(text, limits.max_depth());
    if scanner.peek() == Some(b'[') {
        return batch(bytes, scanner, limits);
    }
    let draft = read(text, limits)?;
    let id = draft.id(text);
    draft
        .incoming(text, bytes)
        .map_err(|reason| ParseError::new(reason, id))
}

fn batch(bytes: &Bytes, mut scanner: Scanner<'_>, limits: &Limits) -> Result<Incoming, ParseError> {
    let mut pieces = Vec::new();
    let mut first = true;
    let mut refused = false;
    let at = |fault| syntax(fault, limits);
    scanner.open(b'[', 0).map_err(at)?;
    while scanner.element(&mut first).map_err(at)? {
        let value = scanner.value(1).map_err(at)?;
        refused |= value.kind == Kind::Array || pieces.len() == limits.batch;
        if !refused {
            pieces.push(bytes.slice(value.span.range()));
        }
    }
    scanner.end().map_err(at)?;
    if refused || pieces.is_empty() {
        let reason = Reason::Batch { max: limits.batch };
        return Err(ParseError::new(reason, None));
    }
    let parse = |piece: Bytes| incoming(&piece, limits);
    Ok(Incoming::Batch(
        pieces.into_iter().map(parse).collect::<Result<_, _>>()?,
    ))
}

/// Reads the head of an answer that an upstream sent.
pub(crate) fn reply(bytes: &[u8], limits: &Limits) -> Result<ReplyHead, ParseError> {
    let text = checked(bytes, limits)?;
    let draft = read(text, limits)?;
    let id = draft.id(text);
    draft
        .reply(text)
        .map_err(|reason| ParseError::new(reason, id))
}

/// Checks size and UTF-8.
pub(crate) fn checked<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, ParseError> {
    if bytes.len() > limits.max_size() {
        let reason = Reason::TooLarge {
            size_bytes: bytes.len(),
            max_bytes: limits.max_size(),
        };
        return Err(ParseError::new(reason, None));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        ParseError::new(Reason::Utf8 { at }, None)
    })
}

pub(crate) fn syntax(fault: Fault, limits: &Limits) -> ParseError {
    let reason = match fault {
        Fault::Syntax { at, expected } => Reason::Syntax { at, expected },
        Fault::Depth { at } => Reason::TooDeep {
            at,
            max: limits.max_depth(),
        },
    };
    ParseError::new(reason, None)
}

/// Reads a whole text as one message.
fn read(text: &str, limits: &Limits) -> Result<Draft, ParseError> {
    let mut scanner = Scanner::new(text, limits.max_depth());
    let mut draft = Draft::new();
    draft
        .scan(&mut scanner, text)
        .and_then(|()| scanner.end())
        .map_err(|fault| syntax(fault, limits))?;
    Ok(draft)
}

/// What one pass has found.
struct Draft {
    refused: Option<Reason>,
    members: Members<6>,
    params: Members<9>,
    meta: Members<9>,
    outcome: Option<Outcome>,
}

impl Draft {
    fn new() -> Self {
        Self {
            refused: None,
            members: Members::new(&MESSAGE),
            params: Members::new(&PARAMETERS),
            meta: Members::new(&METADATA),
            outcome: None,
        }
    }

    fn scan(&mut self, scanner: &mut Scanner<'_>, text: &str) -> Result<(), Fault> {
        if scanner.peek() != Some(b'{') {
            scanner.value(0)?;
            self.refused = Some(Reason::NotAnObject);
            return Ok(());
        }
        scanner.open(b'{', 0)?;
        let mut first = true;
        while let Some(key) = scanner.key(&mut first)? {
            self.member(scanner, key, text)?;
        }
        if let Some(member) = self.members.look_alike {
            self.refused.get_or_insert(Reason::Ambiguous { member });
        }
        for refused in [self.members.refused, self.params.refused, self.meta.refused] {
            self.refused = self.refused.or(refused);
        }
        Ok(())
    }

    fn member(&mut self, scanner: &mut Scanner<'_>, key: Key<'_>, text: &str) -> Result<(), Fault> {
        let slot = self.members.find(key);
        let opens = scanner.peek() == Some(b'{');
        let value = match slot {
            Some(PARAMS) if opens => self.parameters(scanner)?,
            Some(RESULT) if opens => {
                let (value, head) = reply::scan_result(scanner, text)?;
                self.outcome(head, Outcome::Result);
                value
            }
            Some(ERROR) if opens => {
                let (value, head) = reply::scan_error(scanner, text)?;
                self.outcome(head, Outcome::Error);
                value
            }
            _ => scanner.value(1)?,
        };
        if let Some(slot) = slot {
            self.members.put(slot, value);
        }
        Ok(())
    }

    fn outcome<T>(&mut self, head: Result<T, Reason>, wrap: fn(T) -> Outcome) {
        match head {
            Ok(head) => self.outcome = Some(wrap(head)),
            Err(reason) => {
                self.refused.get_or_insert(reason);
            }
        }
    }

    fn parameters(&mut self, scanner: &mut Scanner<'_>) -> Result<Value, Fault> {
        let start = scanner.open(b'{', 1)?;
        let mut first = true;
        while let Some(key) = scanner.key(&mut first)? {
            let slot = self.params.find(key);
            let value = if slot == Some(META) && scanner.peek() == Some(b'{') {
                self.metadata(scanner)?
            } else {
                scanner.value(2)?
            };
            if let Some(slot) = slot {
                self.params.put(slot, value);
            }
        }
        Ok(scanner.object_from(start))
    }

    fn metadata(&mut self, scanner: &mut Scanner<'_>) -> Result<Value, Fault> {
        let start = scanner.open(b'{', 2)?;
        let mut first = true;
        while let Some(key) = scanner.key(&mut first)? {
            self.meta.read(scanner, key, 3)?;
        }
        Ok(scanner.object_from(start))
    }

    /// Returns the raw id if it is a valid one.
    fn id<'a>(&self, text: &'a str) -> Option<&'a str> {
        let id = self.members.value_or_null(ID)?;
        let raw = &text[id.span.range()];
        let fits = match id.kind {
            Kind::String { .. } => true,
            Kind::Number { integer } => integer,
            Kind::Object | Kind::Array | Kind::True | Kind::False | Kind::Null => false,
        };
        (fits && raw.len() <= MAX_ID_BYTES).then_some(raw)
    }

    /// Checks what every message has to satisfy.
    fn check(&self, text: &str) -> Result<(), Reason> {
        if let Some(reason) = self.refused {
            return Err(reason);
        }
        let version = self.members.value_or_null(JSONRPC);
        let version = version.and_then(|value| Text::new(text, value));
        if version.as_ref().map(|version| version.of(text)) != Some("2.0") {
            return Err(Reason::Version);
        }
        Ok(())
    }

    fn incoming(self, text: &str, bytes: &Bytes) -> Result<Incoming, Reason> {
        self.check(text)?;
        let id = self.members.value_or_null(ID).map(|value| value.span);
        if id.is_some() && self.id(text).is_none() {
            return Err(Reason::Id);
        }
        if self.members.value_or_null(METHOD).is_none() {
            if id.is_none() {
                return Err(Reason::Shape);
            }
            return Ok(Incoming::Response(Response {
                bytes: bytes.clone(),
                head: self.reply(text)?,
            }));
        }
        let call = self.call(text, bytes)?;
        Ok(match id {
            Some(_) => Incoming::Request(call),
            None => Incoming::Notification(call),
        })
    }

    fn reply(self, text: &str) -> Result<ReplyHead, Reason> {
        self.check(text)?;
        let result = self.members.value_or_null(RESULT);
        let error = self.members.value_or_null(ERROR);
        if self.members.value_or_null(METHOD).is_some() || result.is_some() == error.is_some() {
            return Err(Reason::Shape);
        }
        let id = self.members.value(ID);
        if id.is_some() && self.id(text).is_none() || id.is_none() && result.is_some() {
            return Err(Reason::Id);
        }
        let outcome = self.outcome.ok_or(Reason::Reply {
            member: if result.is_some() { "result" } else { "error" },
            expected: "an object",
        })?;
        Ok(ReplyHead {
            id: id.map(|value| value.span.range()),
            outcome,
        })
    }

    fn call(self, text: &str, bytes: &Bytes) -> Result<Call, Reason> {
        let members = &self.members;
        if members.value_or_null(RESULT).is_some() || members.value_or_null(ERROR).is_some() {
            return Err(Reason::Shape);
        }
        let method = members
            .value_or_null(METHOD)
            .filter(|value| (3..=MAX_METHOD_BYTES).contains(&value.span.range().len()))
            .and_then(|value| Text::new(text, value))
            .ok_or(Reason::Method)?;
        let params = self.param_spans(text, method.of(text))?;
        let meta = self.meta_spans(text)?;
        Ok(Call {
            bytes: bytes.clone(),
            id: members.span(ID),
            method,
            params,
            meta,
        })
    }

    fn param_spans(&self, text: &str, method: &str) -> Result<ParamSpans, Reason> {
        let whole = self.members.typed(PARAMS, "an object", is_object)?;
        let params = &self.params;
        let meta = params.typed(META, "an object", is_object)?;
        let target = name_member(method);
        if let (Some(_), Some(member)) = (target, params.look_alike) {
            return Err(Reason::Ambiguous { member });
        }
        let slot = match target {
            Some("name") => Some(NAME),
            Some("uri") => Some(URI),
            Some(_) => Some(TASK_ID),
            None => None,
        };
        let name = match slot {
            Some(slot) => params.typed(slot, "a string", is_string)?,
            None => None,
        };
        // A method that the modern era has not is unknown there, whatever its members:
        // that answer is the server's.
        if let (Some(slot), None) = (slot, name)
            && !is_legacy_only(method)
        {
            let member = PARAMETERS[slot].path();
            return Err(Reason::Missing { member });
        }
        let arguments = match target {
            Some("name") => params.typed(ARGUMENTS, "an object", is_object)?,
            _ => params.value(ARGUMENTS),
        };
        let cursor = match method.ends_with("/list") {
            true => params.typed(CURSOR, "a string", is_string)?,
            false => None,
        };
        Ok(ParamSpans {
            whole: whole.map(|value| value.span),
            name: name.and_then(|value| Text::new(text, value)),
            arguments: arguments.map(|value| value.span),
            request_state: params.span(REQUEST_STATE),
            input_responses: params.span(INPUT_RESPONSES),
            cursor: cursor.and_then(|value| Text::new(text, value)),
            request_id: params.span(REQUEST_ID),
            meta: meta.map(|value| value.span),
        })
    }

    fn meta_spans(&self, text: &str) -> Result<MetaSpans, Reason> {
        let object = |slot| self.meta.typed(slot, "an object", is_object);
        let string = |slot| self.meta.typed(slot, "a string", is_string);
        let token = |slot| {
            let fits = |kind| is_string(kind) || matches!(kind, Kind::Number { .. });
            self.meta.typed(slot, "a string or a number", fits)
        };
        let span = |value: Option<Value>| value.map(|value| value.span);
        Ok(MetaSpans {
            protocol_version: string(PROTOCOL_VERSION)?.and_then(|value| Text::new(text, value)),
            client_capabilities: span(object(CLIENT_CAPABILITIES)?),
            client_info: span(object(CLIENT_INFO)?),
            log_level: span(string(LOG_LEVEL)?),
            progress_token: span(token(PROGRESS_TOKEN)?),
            subscription_id: span(token(SUBSCRIPTION_ID)?),
            traceparent: span(string(TRACEPARENT)?),
            tracestate: span(string(TRACESTATE)?),
            baggage: span(string(BAGGAGE)?),
        })
    }
}
