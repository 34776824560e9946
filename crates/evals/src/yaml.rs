//! Reads YAML into JSON values and remembers where each of them stands.
//!
//! # Invariants
//!
//! * Depth, number of values and what aliases repeat are bounded, so a small file cannot
//!   become a large value.
//! * A key that occurs twice is an error. Tags are errors: no value is made by the file.
//! * Scalars are read by the core schema of YAML 1.2: `no` and `2026-12-05` are texts.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

/// Most values in a file, repetitions by aliases included.
const MAX_VALUES: usize = 1_000_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// A value with the lines of its parts.
#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) value: Value,
    /// Lines from 1, by JSON pointer.
    lines: HashMap<String, usize>,
}

/// Why a text is not YAML that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct YamlError {
    /// Where, from 1.
    pub(crate) line: usize,
    /// What is wrong there.
    pub(crate) what: String,
}

impl Document {
    /// Returns the line of the value at `pointer`, or of what it is in.
    pub(crate) fn line(&self, pointer: &str) -> usize {
        let mut at = pointer;
        loop {
            if let Some(line) = self.lines.get(at) {
                return *line;
            }
            match at.rfind('/') {
                Some(end) => at = &at[..end],
                None => return 1,
            }
        }
    }
}

struct Reader<'a> {
    events: Vec<(Event<'a>, Span)>,
    at: usize,
    anchors: HashMap<usize, Value>,
    lines: HashMap<String, usize>,
    values: usize,
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Result<Document, YamlError> {
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| YamlError {
            line: error.marker().line(),
            what: error.info().to_owned(),
        })?;
        if events.len() > 2 * MAX_VALUES {
            return Err(problem(&span, "the file holds too much"));
        }
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            event => events.push((event, span)),
        }
    }
    let mut reader = Reader {
        events,
        at: 0,
        anchors: HashMap::new(),
        lines: HashMap::new(),
        values: 0,
    };
    let value = reader.value(&mut String::new(), 0)?;
    if let Some((_, span)) = reader.events.get(reader.at) {
        return Err(problem(span, "one document is expected"));
    }
    Ok(Document {
        value,
        lines: reader.lines,
    })
}

fn problem(span: &Span, what: impl Into<String>) -> YamlError {
    YamlError {
        line: span.start.line(),
        what: what.into(),
    }
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        let next = self.events.get(self.at).cloned();
        self.at += 1;
        next.ok_or(YamlError {
            line: 1,
            what: "the file is empty".to_owned(),
        })
    }

    fn value(&mut self, pointer: &mut String, depth: usize) -> Result<Value, YamlError> {
        let (event, span) = self.next()?;
        self.lines
            .entry(pointer.clone())
            .or_insert(span.start.line());
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return Err(problem(&span, "the file nests or holds too much"));
        }
        let (value, anchor) = match event {
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                return Err(problem(&span, "tags are not read here"));
            }
            Event::Scalar(text, style, anchor, None) => (scalar(&text, style), anchor),
            Event::SequenceStart(anchor, None) => (self.sequence(pointer, depth)?, anchor),
            Event::MappingStart(anchor, None) => (self.mapping(pointer, depth)?, anchor),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or_else(|| problem(&span, "an alias of itself"))?;
                self.values += size(&value);
                (value, 0)
            }
            _ => return Err(problem(&span, "a value is expected")),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn is_next(&self, end: &Event<'_>) -> bool {
        self.events
            .get(self.at)
            .is_some_and(|(event, _)| event == end)
    }

    fn sequence(&mut self, pointer: &mut String, depth: usize) -> Result<Value, YamlError> {
        let mut elements = Vec::new();
        while !self.is_next(&Event::SequenceEnd) {
            let length = pointer.len();
            pointer.push_str(&format!("/{}", elements.len()));
            elements.push(self.value(pointer, depth + 1)?);
            pointer.truncate(length);
        }
        self.at += 1;
        Ok(Value::Array(elements))
    }

    fn mapping(&mut self, pointer: &mut String, depth: usize) -> Result<Value, YamlError> {
        let mut members = Map::new();
        while !self.is_next(&Event::MappingEnd) {
            let (key, span) = self.next()?;
            let Event::Scalar(key, ..) = key else {
                return Err(problem(&span, "a key has to be a text"));
            };
            let length = pointer.len();
            pointer.push('/');
            pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            self.lines.insert(pointer.clone(), span.start.line());
            let value = self.value(pointer, depth + 1)?;
            pointer.truncate(length);
            if members.insert(key.clone().into_owned(), value).is_some() {
                return Err(problem(&span, format!("the key `{key}` is there twice")));
            }
        }
        self.at += 1;
        Ok(Value::Object(members))
    }
}

fn size(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.values().map(size).sum::<usize>(),
        _ => 1,
    }
}

/// A plain scalar by the core schema of YAML 1.2 (section 10.3.2); others are texts.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::String(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let is_number = text
        .bytes()
        .all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b))
        && text.bytes().any(|b| b.is_ascii_digit());
    let number = match is_number {
        false => None,
        true => match text.trim_start_matches('+').parse::<i64>() {
            Ok(number) => Some(Number::from(number)),
            Err(_) => text.parse().ok().and_then(Number::from_f64),
        },
    };
    number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_follow_the_core_schema() {
        let text =
            "a: no\nb: 2026-12-05\nc: 12\nd: 1.50\ne: '12'\nf: ~\ng: true\nh: 1.2.3\ni: [x, -4]\n";
        let expected = json!({"a": "no", "b": "2026-12-05", "c": 12, "d": 1.5, "e": "12", "f": null, "g": true, "h": "1.2.3", "i": ["x", -4]});
        assert_eq!(read(text).unwrap().value, expected);
    }

    #[test]
    fn places_are_remembered() {
        let document = read("a:\n  - x\n  - y: 1\n").unwrap();
        assert_eq!(document.line("/a/1/y"), 3);
        assert_eq!(document.line("/a/1/z"), 3);
        assert_eq!(document.line("/b"), 1);
    }

    #[test]
    fn hostile_files_are_refused() {
        let laughs = (1..20).fold("a0: &a0 [x, x, x, x]\n".to_owned(), |text, n| {
            let m = n - 1;
            format!("{text}a{n}: &a{n} [*a{m}, *a{m}, *a{m}, *a{m}]\n")
        });
        assert!(read(&laughs).is_err());
        assert!(read(&"[".repeat(10_000)).is_err());
        assert!(read("a: !!binary x").is_err());
        assert_eq!(
            read("a: 1\na: 2").unwrap_err().what,
            "the key `a` is there twice"
        );
        assert!(read("a: &a [*a]").is_err());
        assert!(read("").is_err());
    }
}
