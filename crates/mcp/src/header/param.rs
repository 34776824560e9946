//! Arguments that a tool mirrors into `Mcp-Param-*` headers.

use std::{borrow::Cow, collections::HashSet};

use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};

use super::{Mirrored, Mismatch, PARAM_PREFIX, decode, single};
use crate::json::{Kind, MAX_DEPTH, Scanner, Span, unescape};

/// The keyword in a tool's `inputSchema`.
const KEYWORD: &str = "x-mcp-header";
/// Most headers of one tool. Servers accept about a hundred headers in all.
const MAX_HEADERS: usize = 64;
/// Largest magnitude that a JavaScript number carries exactly.
const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// One mirrored argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParamHeader {
    header: HeaderName,
    path: Vec<String>,
}

impl ParamHeader {
    /// Returns the name of the header.
    #[must_use]
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// Returns the keys that lead to the argument.
    #[must_use]
    pub fn path(&self) -> &[String] {
        &self.path
    }
}

/// The arguments that one tool mirrors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ParamHeaders {
    entries: Vec<ParamHeader>,
}

/// Why a tool's `inputSchema` is invalid. A client has to drop the tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The schema is not JSON.
    #[error("the schema is not a JSON object")]
    Json,
    /// The name is empty or not an HTTP token.
    #[error("`x-mcp-header` at `{at}` is not an HTTP token")]
    Name {
        /// Path in the schema.
        at: String,
    },
    /// Two arguments share a name, case aside.
    #[error("`x-mcp-header` at `{at}` repeats a name")]
    Repeated {
        /// Path in the schema.
        at: String,
    },
    /// The argument is not a string, integer or boolean.
    #[error("`x-mcp-header` at `{at}` is on a type that cannot be mirrored")]
    Type {
        /// Path in the schema.
        at: String,
    },
    /// The position is not reached through `properties` alone.
    #[error("`x-mcp-header` at `{at}` is not reached through `properties` alone")]
    Position {
        /// Path in the schema.
        at: String,
    },
    /// More than 64 headers.
    #[error("the schema mirrors more than 64 arguments")]
    TooMany,
}

impl ParamHeaders {
    /// Reads which arguments a tool mirrors from its `inputSchema`.
    ///
    /// # Errors
    ///
    /// [`SchemaError`] when an annotation breaks the rules, which invalidates the tool.
    pub fn from_input_schema(schema: &[u8]) -> Result<Self, SchemaError> {
        // Nearly all schemas have none: do not build a tree to learn that. An escaped
        // spelling has a backslash.
        if memchr::memmem::find(schema, KEYWORD.as_bytes()).is_none()
            && memchr::memchr(b'\\', schema).is_none()
        {
            return Ok(Self::default());
        }
        // serde_json bounds the depth to 128.
        let schema: Map<String, Value> =
            serde_json::from_slice(schema).map_err(|_| SchemaError::Json)?;
        let mut walk = Walk::default();
        walk.schema(&schema, Some(&[]), "")?;
        Ok(Self {
            entries: walk.entries,
        })
    }

    /// Returns whether the tool mirrors nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the mirrored arguments.
    #[must_use]
    pub fn entries(&self) -> &[ParamHeader] {
        &self.entries
    }

    pub(super) fn check(
        &self,
        headers: &HeaderMap,
        arguments: Option<&[u8]>,
    ) -> Result<(), Mismatch> {
        for entry in &self.entries {
            let header = || entry.header.clone();
            let sent = match single(headers, &entry.header)? {
                None => None,
                Some(value) => {
                    Some(decode(value).ok_or_else(|| Mismatch::Malformed { header: header() })?)
                }
            };
            let equal = match (entry.find(arguments)?, sent) {
                (None, None) => true,
                (Some(_), None) => return Err(Mismatch::Missing { header: header() }),
                (None, Some(_)) => false,
                (Some(Argument::Text(expected)), Some(sent)) => expected == sent,
                (Some(Argument::Integer(expected)), Some(sent)) => {
                    safe_integer(&sent) == Some(expected)
                }
            };
            if !equal {
                return Err(Mismatch::Differs { header: header() });
            }
        }
        Ok(())
    }

    /// Returns what the headers of a call with these arguments carry.
    pub(super) fn values<'a>(
        &'a self,
        arguments: Option<&'a [u8]>,
    ) -> Result<Vec<Mirrored<'a>>, Mismatch> {
        let mut out = Vec::new();
        for entry in &self.entries {
            let text = match entry.find(arguments)? {
                None => continue,
                Some(Argument::Text(text)) => text,
                Some(Argument::Integer(value)) => Cow::Owned(value.to_string()),
            };
            out.push((&entry.header, text));
        }
        Ok(out)
    }
}

/// The value of a mirrored argument.
#[derive(Debug, PartialEq, Eq)]
enum Argument<'a> {
    /// A string, or `true` or `false`.
    Text(Cow<'a, str>),
    Integer(i64),
}

impl ParamHeader {
    /// Finds the value at the path; `null` counts as absent.
    fn find<'a>(&self, arguments: Option<&'a [u8]>) -> Result<Option<Argument<'a>>, Mismatch> {
        let unmirrorable = || Mismatch::Unmirrorable {
            header: self.header.clone(),
        };
        let Some(arguments) = arguments else {
            return Ok(None);
        };
        let text = std::str::from_utf8(arguments).map_err(|_| unmirrorable())?;
        let Some((span, kind)) = walk_to(text, &self.path).map_err(|Unclear| unmirrorable())?
        else {
            return Ok(None);
        };
        let raw = &text[span.range()];
        Ok(match kind {
            Kind::Null => None,
            Kind::String { .. } => Some(Argument::Text(unescape(&text[span.inner()]))),
            Kind::True | Kind::False => Some(Argument::Text(Cow::Borrowed(raw))),
            Kind::Number { .. } => Some(Argument::Integer(
                safe_integer(raw).ok_or_else(unmirrorable)?,
            )),
            Kind::Object | Kind::Array => return Err(unmirrorable()),
        })
    }
}

/// Parsers may disagree on which value stands at a path.
struct Unclear;

/// Follows keys through nested objects. A key that occurs twice on the way is
/// unclear: servers take the first or the last.
fn walk_to(text: &str, path: &[String]) -> Result<Option<(Span, Kind)>, Unclear> {
    let mut range = 0..text.len();
    let mut found = None;
    for key in path {
        let mut scanner = Scanner::within(text, range, MAX_DEPTH);
        if scanner.peek() != Some(b'{') {
            return Ok(None);
        }
        scanner.open(b'{', 0).map_err(|_| Unclear)?;
        let mut first = true;
        found = None;
        while let Some(name) = scanner.key(&mut first).map_err(|_| Unclear)? {
            let value = scanner.value(1).map_err(|_| Unclear)?;
            if name.full_text() == *key && found.replace((value.span, value.kind)).is_some() {
                return Err(Unclear);
            }
        }
        match found {
            Some((span, _)) => range = span.range(),
            None => return Ok(None),
        }
    }
    Ok(found)
}

/// Returns the value of a JSON number that is an integer within the safe range of
/// JavaScript, exactly: `42`, `42.0` and `4.2e1` are the same, `42.5` is none.
fn safe_integer(text: &str) -> Option<i64> {
    let mut scanner = Scanner::new(text, 0);
    let is_number = matches!(scanner.value(0).ok()?.kind, Kind::Number { .. });
    if !is_number || scanner.end().is_err() || text.ends_with([' ', '\t', '\r', '\n']) {
        return None;
    }
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: String = [whole, fraction].concat();
    let significant = digits.trim_end_matches('0');
    if significant.trim_start_matches('0').is_empty() {
        return Some(0);
    }
    // The value is `significant` times ten to the power of `shift`.
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let scale = i64::try_from(fraction.len()).ok()?;
    let shift = exponent.checked_sub(scale)?.checked_add(dropped)?;
    // Above 16 digits nothing is in the safe range.
    let zeros = usize::try_from(shift).ok().filter(|zeros| *zeros <= 16)?;
    let plain = format!(
        "{}{}",
        significant.trim_start_matches('0'),
        "0".repeat(zeros)
    );
    let value: i64 = plain.parse().ok()?;
    (value <= MAX_SAFE_INTEGER).then_some(if negative { -value } else { value })
}

#[derive(Default)]
struct Walk {
    entries: Vec<ParamHeader>,
    names: HashSet<HeaderName>,
}

impl Walk {
    /// Visits a schema. `path` is how an argument gets here, if it can be mirrored.
    ///
    /// Recursion is bounded by the depth that serde_json accepts.
    fn schema(
        &mut self,
        schema: &Map<String, Value>,
        path: Option<&[String]>,
        at: &str,
    ) -> Result<(), SchemaError> {
        if let Some(name) = schema.get(KEYWORD) {
            self.annotation(schema, name, path, at)?;
        }
        for (keyword, value) in schema {
            let at = format!("{at}/{keyword}");
            match (keyword.as_str(), value) {
                // These hold instances, not schemas.
                ("const" | "default" | "enum" | "examples", _) => {}
                ("properties", Value::Object(properties)) => {
                    for (name, schema) in properties {
                        let Value::Object(schema) = schema else {
                            continue;
                        };
                        let path = path.map(|path| [path, std::slice::from_ref(name)].concat());
                        self.schema(schema, path.as_deref(), &format!("{at}/{name}"))?;
                    }
                }
                // Their keys are names, not keywords.
                (
                    "$defs" | "definitions" | "dependentSchemas" | "patternProperties",
                    Value::Object(schemas),
                ) => {
                    for (name, schema) in schemas {
                        self.unreachable(schema, &format!("{at}/{name}"))?;
                    }
                }
                (_, value) => self.unreachable(value, &at)?,
            }
        }
        Ok(())
    }

    /// Visits what may hold schemas whose values cannot be mirrored.
    fn unreachable(&mut self, value: &Value, at: &str) -> Result<(), SchemaError> {
        match value {
            Value::Object(schema) => self.schema(schema, None, at),
            Value::Array(items) => items.iter().try_for_each(|item| self.unreachable(item, at)),
            _ => Ok(()),
        }
    }

    fn annotation(
        &mut self,
        schema: &Map<String, Value>,
        name: &Value,
        path: Option<&[String]>,
        at: &str,
    ) -> Result<(), SchemaError> {
        let at = || at.to_owned();
        let Some(path) = path.filter(|path| !path.is_empty()) else {
            return Err(SchemaError::Position { at: at() });
        };
        let name = name.as_str().filter(|name| !name.is_empty());
        let header = name
            .and_then(|name| HeaderName::try_from(format!("{PARAM_PREFIX}{name}")).ok())
            .ok_or_else(|| SchemaError::Name { at: at() })?;
        let kind = schema.get("type").and_then(Value::as_str);
        if !matches!(kind, Some("string" | "integer" | "boolean")) {
            return Err(SchemaError::Type { at: at() });
        }
        if !self.names.insert(header.clone()) {
            return Err(SchemaError::Repeated { at: at() });
        }
        if self.entries.len() == MAX_HEADERS {
            return Err(SchemaError::TooMany);
        }
        self.entries.push(ParamHeader {
            header,
            path: path.to_vec(),
        });
        Ok(())
    }
}
