//! Calls as Python writes them: `book(date='2026-10-06', seats=2)`.

use serde_json::{Map, Number, Value};

/// Deepest nesting of values.
const MAX_DEPTH: usize = 16;

/// Reads a call whose arguments are all named. None if it is anything else.
pub(super) fn call(text: &str) -> Option<(String, Map<String, Value>)> {
    let mut reader = Reader { rest: text.trim() };
    let name = reader.name()?.to_owned();
    reader.expect('(')?;
    let mut arguments = Map::new();
    while !reader.take(')') {
        let name = reader.name()?.to_owned();
        reader.expect('=')?;
        let value = reader.value(0)?;
        if arguments.insert(name, value).is_some() {
            return None;
        }
        if !reader.take(',') {
            reader.expect(')')?;
            break;
        }
    }
    reader.rest.trim().is_empty().then_some((name, arguments))
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.trim_start();
        match rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, wanted: char) -> Option<()> {
        self.take(wanted).then_some(())
    }

    fn while_it_is(&mut self, is: impl Fn(char) -> bool) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let end = rest.find(|c| !is(c)).unwrap_or(rest.len());
        let (taken, rest) = rest.split_at(end);
        self.rest = rest;
        (!taken.is_empty()).then_some(taken)
    }

    fn name(&mut self) -> Option<&'a str> {
        self.while_it_is(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        if depth > MAX_DEPTH {
            return None;
        }
        let first = self.rest.trim_start().chars().next()?;
        match first {
            '\'' | '"' => self.string(first).map(Value::String),
            '[' => self.list('[', ']', depth),
            '(' => self.list('(', ')', depth),
            '{' => self.object(depth),
            _ => match self.while_it_is(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '+'))? {
                "True" => Some(true.into()),
                "False" => Some(false.into()),
                "None" => Some(Value::Null),
                figure => figure.parse::<Number>().ok().map(Value::Number),
            },
        }
    }

    fn string(&mut self, quote: char) -> Option<String> {
        self.expect(quote)?;
        let mut text = String::new();
        let mut characters = self.rest.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                '\\' => text.push(match characters.next()?.1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    other @ ('\\' | '\'' | '"') => other,
                    _ => return None,
                }),
                c if c == quote => {
                    self.rest = &self.rest[at + c.len_utf8()..];
                    return Some(text);
                }
                c => text.push(c),
            }
        }
        None
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Option<Value> {
        self.expect(open)?;
        let mut all = Vec::new();
        while !self.take(close) {
            all.push(self.value(depth + 1)?);
            if !self.take(',') {
                self.expect(close)?;
                break;
            }
        }
        Some(all.into())
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        self.expect('{')?;
        let mut members = Map::new();
        while !self.take('}') {
            let quote = self.rest.trim_start().chars().next()?;
            let name = match quote {
                '\'' | '"' => self.string(quote)?,
                _ => return None,
            };
            self.expect(':')?;
            members.insert(name, self.value(depth + 1)?);
            if !self.take(',') {
                self.expect('}')?;
                break;
            }
        }
        Some(members.into())
    }
}
