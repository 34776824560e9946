//! The head of an answer, and the elements of a list.
//!
//! Everything is a range of the bytes that were scanned, so merging, prefixing and
//! filtering are edits ([`crate::splice()`]) that leave unknown members and the
//! notation of numbers as they were.
//!
//! What only drives recording and caching (`isError`, `ttlMs`, `cacheScope`) is
//! read leniently: a wrong type counts as absent, which is the careful reading.

use std::ops::Range;

use crate::{
    Limits, ParseError,
    envelope::{Reason, scan},
    json::{Fault, Kind, Scanner, Span, Value, unescape},
    members::{Member, Members, is_string, member},
};

/// What was read from an answer. Ranges are offsets into the scanned bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplyHead {
    /// Where the id stands; none in an error to a message whose id was not read.
    pub id: Option<Range<usize>>,
    /// What the answer is.
    pub outcome: Outcome,
}

/// What an answer is.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The method was carried out, perhaps with a tool error.
    Result(ResultHead),
    /// The method was not carried out.
    Error(ErrorHead),
}

/// What kind of result it is. Absent counts as complete (revisions up to 2025-11-25).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResultType {
    /// The final result.
    Complete,
    /// The server needs input before it goes on.
    InputRequired,
    /// The server works on it as a task (extension).
    Task,
    /// Anything else, which the specification calls invalid.
    Other,
}

/// Who may be given a stored copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheScope {
    /// Everybody.
    Public,
    /// The same authorization context only.
    Private,
}

/// A list result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// `tools/list`, elements known by `name`.
    Tools,
    /// `resources/list`, elements known by `uri`.
    Resources,
    /// `resources/templates/list`, elements known by `uriTemplate`.
    ResourceTemplates,
    /// `prompts/list`, elements known by `name`.
    Prompts,
}

impl List {
    /// Returns the list that `method` asks for.
    #[must_use]
    pub fn of_method(method: &str) -> Option<Self> {
        match method {
            "tools/list" => Some(Self::Tools),
            "resources/list" => Some(Self::Resources),
            "resources/templates/list" => Some(Self::ResourceTemplates),
            "prompts/list" => Some(Self::Prompts),
            _ => None,
        }
    }

    /// Returns the method that asks for it.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Resources => "resources/list",
            Self::ResourceTemplates => "resources/templates/list",
            Self::Prompts => "prompts/list",
        }
    }

    /// Returns the member of the result that holds the elements.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
            Self::Prompts => "prompts",
        }
    }

    const fn key_slot(self) -> usize {
        match self {
            Self::Tools | Self::Prompts => NAME,
            Self::Resources => URI,
            Self::ResourceTemplates => URI_TEMPLATE,
        }
    }

    const fn array_slot(self) -> usize {
        match self {
            Self::Tools => TOOLS,
            Self::Resources => RESOURCES,
            Self::ResourceTemplates => RESOURCE_TEMPLATES,
            Self::Prompts => PROMPTS,
        }
    }
}

/// What was read from a `result`.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultHead {
    /// Where the result stands: an object.
    pub span: Range<usize>,
    /// Whether a tool reports a failure (`isError`).
    pub is_error: bool,
    /// `resultType`.
    pub result_type: ResultType,
    /// Where `resultType` stands.
    pub result_type_span: Option<Range<usize>>,
    /// `ttlMs`, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// Where `ttlMs` stands.
    pub ttl_ms_span: Option<Range<usize>>,
    /// `cacheScope`.
    pub cache_scope: Option<CacheScope>,
    /// Where `cacheScope` stands.
    pub cache_scope_span: Option<Range<usize>>,
    /// Where `nextCursor` stands, quotes included.
    pub next_cursor: Option<Range<usize>>,
    /// Where `requestState` stands.
    pub request_state: Option<Range<usize>>,
    /// Where `taskId` stands, quotes included.
    pub task_id: Option<Range<usize>>,
    /// Where `_meta` stands.
    pub meta: Option<Range<usize>>,
    /// Where the arrays of a list stand, by [`List::array_slot`].
    arrays: [Option<Span>; 4],
}

impl ResultHead {
    /// Returns where the array of `list` stands.
    #[must_use]
    pub fn array(&self, list: List) -> Option<Range<usize>> {
        self.arrays[list.array_slot()].map(Span::range)
    }
}

/// What was read from an `error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorHead {
    /// Where the error stands: an object.
    pub span: Range<usize>,
    /// The code.
    pub code: i64,
    /// Where the message stands, quotes included.
    pub message: Option<Range<usize>>,
    /// Where the data stands.
    pub data: Option<Range<usize>>,
}

/// One element of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Where the element stands: an object.
    pub span: Range<usize>,
    /// What it is known by, decoded: `name`, `uri` or `uriTemplate`.
    pub key: String,
    /// Where that stands, quotes included.
    pub key_span: Range<usize>,
    /// Where `name` stands, quotes included.
    pub name_span: Option<Range<usize>>,
    /// Where `inputSchema` stands (tools).
    pub input_schema: Option<Range<usize>>,
    /// Where `annotations` stands.
    pub annotations: Option<Range<usize>>,
    /// Where `_meta` stands.
    pub meta: Option<Range<usize>>,
}

/// Reads the head of an answer.
///
/// # Errors
///
/// [`ParseError`] when `bytes` are not one JSON-RPC answer.
pub fn scan(bytes: &[u8], limits: &Limits) -> Result<ReplyHead, ParseError> {
    scan::reply(bytes, limits)
}

/// Reads the elements of one page of `list` from an answer that was scanned.
///
/// # Errors
///
/// [`ParseError`] when the result has no such array, an element is not an object
/// or lacks what it is known by, or there are more than `limits.elements`.
pub fn elements(
    bytes: &[u8],
    head: &ResultHead,
    list: List,
    limits: &Limits,
) -> Result<Vec<Element>, ParseError> {
    let text = scan::checked(bytes, limits)?;
    let refuse = |reason| ParseError::new(reason, None);
    let array = head.array(list).ok_or_else(|| {
        refuse(Reason::Reply {
            member: list.member(),
            expected: "an array",
        })
    })?;
    let mut scanner = Scanner::within(text, array, limits.max_depth());
    let syntax = |fault| scan::syntax(fault, limits);
    scanner.open(b'[', 2).map_err(syntax)?;
    let mut out = Vec::new();
    let mut first = true;
    while scanner.element(&mut first).map_err(syntax)? {
        if out.len() == limits.elements {
            let max = limits.elements;
            return Err(refuse(Reason::TooMany { max }));
        }
        let element = element(&mut scanner, text, list).map_err(syntax)?;
        out.push(element.map_err(refuse)?);
    }
    Ok(out)
}

const NAME: usize = 0;
const URI: usize = 1;
const URI_TEMPLATE: usize = 2;
const INPUT_SCHEMA: usize = 3;
const ANNOTATIONS: usize = 4;
const ELEMENT_META: usize = 5;
static ELEMENT: [Member; 6] = [
    member("name", "name"),
    member("uri", "uri"),
    member("uriTemplate", "uriTemplate"),
    member("inputSchema", "inputSchema"),
    member("annotations", "annotations"),
    member("_meta", "_meta"),
];

fn element(
    scanner: &mut Scanner<'_>,
    text: &str,
    list: List,
) -> Result<Result<Element, Reason>, Fault> {
    if scanner.peek() != Some(b'{') {
        return Ok(Err(Reason::Reply {
            member: list.member(),
            expected: "an array of objects",
        }));
    }
    let start = scanner.open(b'{', 3)?;
    let mut members = Members::new(&ELEMENT);
    let mut first = true;
    while let Some(key) = scanner.key(&mut first)? {
        members.read(scanner, key, 4)?;
    }
    let span = scanner.object_from(start).span;
    if let Some(reason) = members.refused {
        return Ok(Err(reason));
    }
    let slot = list.key_slot();
    let Some(key) = members.value(slot).filter(|value| is_string(value.kind)) else {
        return Ok(Err(Reason::Reply {
            member: ELEMENT[slot].path(),
            expected: "a string",
        }));
    };
    let range = |slot| members.span(slot).map(Span::range);
    Ok(Ok(Element {
        span: span.range(),
        key: unescape(&text[key.span.inner()]).into_owned(),
        key_span: key.span.range(),
        name_span: range(NAME),
        input_schema: range(INPUT_SCHEMA),
        annotations: range(ANNOTATIONS),
        meta: range(ELEMENT_META),
    }))
}

const TOOLS: usize = 0;
const RESOURCES: usize = 1;
const RESOURCE_TEMPLATES: usize = 2;
const PROMPTS: usize = 3;
const IS_ERROR: usize = 4;
const RESULT_TYPE: usize = 5;
const TTL_MS: usize = 6;
const CACHE_SCOPE: usize = 7;
const NEXT_CURSOR: usize = 8;
const REQUEST_STATE: usize = 9;
const TASK_ID: usize = 10;
const META: usize = 11;
static RESULT: [Member; 12] = [
    member("tools", "result.tools"),
    member("resources", "result.resources"),
    member("resourceTemplates", "result.resourceTemplates"),
    member("prompts", "result.prompts"),
    member("isError", "result.isError"),
    member("resultType", "result.resultType"),
    member("ttlMs", "result.ttlMs"),
    member("cacheScope", "result.cacheScope"),
    member("nextCursor", "result.nextCursor"),
    member("requestState", "result.requestState"),
    member("taskId", "result.taskId"),
    member("_meta", "result._meta"),
];

type Scanned<T> = Result<(Value, Result<T, Reason>), Fault>;

/// Reads `result`, which stands directly in the message and begins an object.
pub(crate) fn scan_result(scanner: &mut Scanner<'_>, text: &str) -> Scanned<ResultHead> {
    let start = scanner.open(b'{', 1)?;
    let mut members = Members::new(&RESULT);
    let mut first = true;
    while let Some(key) = scanner.key(&mut first)? {
        members.read(scanner, key, 2)?;
    }
    let whole = scanner.object_from(start);
    if let Some(reason) = members.refused {
        return Ok((whole, Err(reason)));
    }
    let string = |slot: usize| {
        let value = members.value(slot).filter(|value| is_string(value.kind))?;
        Some(unescape(&text[value.span.inner()]))
    };
    let array = |slot: usize| {
        let value = members.value(slot)?;
        (value.kind == Kind::Array).then_some(value.span)
    };
    let range = |slot| members.span(slot).map(Span::range);
    let result_type = match (members.value(RESULT_TYPE), string(RESULT_TYPE).as_deref()) {
        (None, _) | (_, Some("complete")) => ResultType::Complete,
        (_, Some("input_required")) => ResultType::InputRequired,
        (_, Some("task")) => ResultType::Task,
        _ => ResultType::Other,
    };
    let cache_scope = match string(CACHE_SCOPE).as_deref() {
        Some("public") => Some(CacheScope::Public),
        Some("private") => Some(CacheScope::Private),
        _ => None,
    };
    let head = ResultHead {
        span: whole.span.range(),
        is_error: members.value(IS_ERROR).map(|value| value.kind) == Some(Kind::True),
        result_type,
        result_type_span: range(RESULT_TYPE),
        ttl_ms: range(TTL_MS).and_then(|range| text[range].parse().ok()),
        ttl_ms_span: range(TTL_MS),
        cache_scope,
        cache_scope_span: range(CACHE_SCOPE),
        next_cursor: string(NEXT_CURSOR).and(range(NEXT_CURSOR)),
        request_state: range(REQUEST_STATE),
        task_id: string(TASK_ID).and(range(TASK_ID)),
        meta: range(META),
        arrays: [TOOLS, RESOURCES, RESOURCE_TEMPLATES, PROMPTS].map(array),
    };
    Ok((whole, Ok(head)))
}

const CODE: usize = 0;
const MESSAGE: usize = 1;
const DATA: usize = 2;
static ERROR: [Member; 3] = [
    member("code", "error.code"),
    member("message", "error.message"),
    member("data", "error.data"),
];

/// Reads `error`, which stands directly in the message and begins an object.
pub(crate) fn scan_error(scanner: &mut Scanner<'_>, text: &str) -> Scanned<ErrorHead> {
    let start = scanner.open(b'{', 1)?;
    let mut members = Members::new(&ERROR);
    let mut first = true;
    while let Some(key) = scanner.key(&mut first)? {
        members.read(scanner, key, 2)?;
    }
    let whole = scanner.object_from(start);
    if let Some(reason) = members.refused {
        return Ok((whole, Err(reason)));
    }
    let code = members.value(CODE);
    let code = code.and_then(|value| text[value.span.range()].parse().ok());
    let Some(code) = code else {
        let reason = Reason::Reply {
            member: "error.code",
            expected: "an integer",
        };
        return Ok((whole, Err(reason)));
    };
    let message = members.value(MESSAGE).filter(|value| is_string(value.kind));
    let head = ErrorHead {
        span: whole.span.range(),
        code,
        message: message.map(|value| value.span.range()),
        data: members.span(DATA).map(Span::range),
    };
    Ok((whole, Ok(head)))
}

#[cfg(test)]
mod tests;
