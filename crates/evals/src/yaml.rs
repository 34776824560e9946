//! Reads YAML into JSON values and remembers where each of them stands.
//!
//! # Invariants
//!
//! * Depth, number of values and what aliases repeat are bounded, so a small file cannot
//!   become a large value.
//! * A key that occurs twice is an error. Tags are errors: no value is made by the file.
//! * Events are read as they come, and the elements of one list may be taken one by one,
//!   so a long file needs no more memory than its longest element.
//! * Scalars are read by the core schema of YAML 1.2: `no` and `2026-12-05` are texts.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
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

/// A list of the outermost mapping whose elements are taken one by one.
struct Apart<'t> {
    key: &'t str,
    /// Takes the number of an element and the element, and returns whether to go on.
    take: &'t mut dyn FnMut(usize, &Document) -> bool,
}

struct Reader<'a, 't, E> {
    events: E,
    ahead: Option<(Event<'a>, Span)>,
    anchors: HashMap<usize, Value>,
    lines: HashMap<String, usize>,
    values: usize,
    apart: Option<Apart<'t>>,
}

/// Reads one document.
pub(crate) fn read(text: &str) -> Result<Document, YamlError> {
    document(text, None)
}

/// Reads one document. The elements of the list under `key`, if the outermost mapping
/// has one, go to `take` with their places in the document, and the list is empty then;
/// where `take` returns false, an error ends it.
pub(crate) fn read_apart(
    text: &str,
    key: &str,
    take: &mut dyn FnMut(usize, &Document) -> bool,
) -> Result<Document, YamlError> {
    document(text, Some(Apart { key, take }))
}

fn document(text: &str, apart: Option<Apart<'_>>) -> Result<Document, YamlError> {
    let mut reader = Reader {
        events: Parser::new_from_str(text),
        ahead: None,
        anchors: HashMap::new(),
        lines: HashMap::new(),
        values: 0,
        apart,
    };
    let value = reader.value(&mut String::new(), 0)?;
    if let Some((_, span)) = reader.peek()? {
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

impl<'a, E> Reader<'a, '_, E>
where
    E: Iterator<Item = Result<(Event<'a>, Span), ScanError>>,
{
    /// Returns the next event that says something; none at the end.
    fn peek(&mut self) -> Result<Option<&(Event<'a>, Span)>, YamlError> {
        while self.ahead.is_none() {
            let Some(event) = self.events.next() else {
                return Ok(None);
            };
            let (event, span) = event.map_err(|error| YamlError {
                line: error.marker().line(),
                what: error.info().to_owned(),
            })?;
            match event {
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
                event => self.ahead = Some((event, span)),
            }
        }
        Ok(self.ahead.as_ref())
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), YamlError> {
        self.peek()?;
        self.ahead.take().ok_or(YamlError {
            line: 1,
            what: "the file is empty".to_owned(),
        })
    }

    fn is_next(&mut self, is: impl Fn(&Event<'a>) -> bool) -> Result<bool, YamlError> {
        let next = self.peek()?;
        Ok(next.is_some_and(|(event, _)| is(event)))
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

    fn sequence(&mut self, pointer: &mut String, depth: usize) -> Result<Value, YamlError> {
        let mut elements = Vec::new();
        while !self.is_next(|event| *event == Event::SequenceEnd)? {
            let length = pointer.len();
            pointer.push_str(&format!("/{}", elements.len()));
            elements.push(self.value(pointer, depth + 1)?);
            pointer.truncate(length);
        }
        self.next()?;
        Ok(Value::Array(elements))
    }

    /// Hands on the elements of a list instead of keeping them.
    fn elements(&mut self, pointer: &mut String, apart: &mut Apart<'_>) -> Result<(), YamlError> {
        let (_, start) = self.next()?;
        let mut number = 0;
        while !self.is_next(|event| *event == Event::SequenceEnd)? {
            let length = pointer.len();
            pointer.push_str(&format!("/{number}"));
            let outside = std::mem::take(&mut self.lines);
            let value = self.value(pointer, 2);
            let element = Document {
                lines: std::mem::replace(&mut self.lines, outside),
                value: value?,
            };
            if !(apart.take)(number, &element) {
                return Err(problem(&start, "not read to its end"));
            }
            pointer.truncate(length);
            number += 1;
        }
        self.next()?;
        Ok(())
    }

    fn mapping(&mut self, pointer: &mut String, depth: usize) -> Result<Value, YamlError> {
        let mut members = Map::new();
        while !self.is_next(|event| *event == Event::MappingEnd)? {
            let (key, span) = self.next()?;
            let Event::Scalar(key, ..) = key else {
                return Err(problem(&span, "a key has to be a text"));
            };
            let length = pointer.len();
            pointer.push('/');
            pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            self.lines.insert(pointer.clone(), span.start.line());
            let apart = self
                .apart
                .take_if(|apart| depth == 0 && apart.key == key.as_ref());
            // A list with a name may be repeated elsewhere, and is kept.
            let is_list = |event: &Event<'_>| matches!(event, Event::SequenceStart(0, None));
            let value = match apart {
                Some(mut apart) if self.is_next(is_list)? => {
                    self.elements(pointer, &mut apart)?;
                    Value::Array(Vec::new())
                }
                _ => self.value(pointer, depth + 1)?,
            };
            pointer.truncate(length);
            if members.insert(key.clone().into_owned(), value).is_some() {
                return Err(problem(&span, format!("the key `{key}` is there twice")));
            }
        }
        self.next()?;
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
    fn elements_of_a_list_are_taken_one_by_one_with_their_places() {
        let text = "before: &x {a: 1}\nlist:\n  - b: *x\n  - c\nafter: [list]\n";
        let mut taken = Vec::new();
        let document = read_apart(text, "list", &mut |number, element| {
            let line = element.line(&format!("/list/{number}/b"));
            taken.push((number, line, element.value.clone()));
            true
        });
        let expected = json!({"before": {"a": 1}, "list": [], "after": ["list"]});
        assert_eq!(document.unwrap().value, expected);
        assert_eq!(taken, [(0, 3, json!({"b": {"a": 1}})), (1, 4, json!("c"))]);
        let stopped = read_apart(text, "list", &mut |_, _| false);
        assert_eq!(stopped.unwrap_err().what, "not read to its end");
        assert_eq!(
            read_apart("x: {list: [1]}", "list", &mut |_, _| false)
                .unwrap()
                .value,
            json!({"x": {"list": [1]}})
        );
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
