//! One strict pass over JSON text (RFC 8259) that finds where things are.
//!
//! # Invariants
//!
//! * Iterative: nesting costs a bit, not a stack frame, and is bounded.
//! * Accepts exactly JSON: lone surrogates, raw control characters, a leading
//!   byte order mark and text after the value are refused. Number syntax is
//!   checked, magnitude is not, because numbers are forwarded as text.
//! * Works on `&str`: whoever builds a [`Scanner`] has checked UTF-8, and every
//!   [`Span`] begins and ends at an ASCII character.

use std::{borrow::Cow, ops::Range};

/// Deepest nesting that the bit stack of [`Scanner::value`] can hold.
pub(crate) const MAX_DEPTH: u32 = 128;

/// Longest key, in bytes of raw text, that can spell a key of interest when
/// every character of it is written as an escape of six bytes.
const MAX_ESCAPED_KEY_BYTES: usize = 6 * 64;

/// A piece of the text. Bodies are bounded far below 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn new(start: usize, end: usize) -> Self {
        let narrow = |at| u32::try_from(at).expect("a body is shorter than 4 GiB");
        Self {
            start: narrow(start),
            end: narrow(end),
        }
    }

    pub(crate) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Returns the span without its first and last byte: a string without quotes.
    pub(crate) fn inner(self) -> Range<usize> {
        self.start as usize + 1..self.end as usize - 1
    }
}

/// Why a text is not JSON, or not JSON that we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Not JSON from this byte on.
    Syntax { at: usize, expected: &'static str },
    /// Nested deeper than the limit at this byte.
    Depth { at: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    /// `escaped` tells whether the text between the quotes contains a backslash.
    String {
        escaped: bool,
    },
    /// `integer` tells that there is neither a fraction nor an exponent.
    Number {
        integer: bool,
    },
    True,
    False,
    Null,
}

/// Where a value is and of what kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// The key of an object's member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Key<'a> {
    /// Returns the key as its reader understands it: `"me\u0074hod"` is `method`.
    ///
    /// A key too long to be one of ours is returned as written.
    pub(crate) fn text(self) -> Cow<'a, str> {
        if !self.escaped || self.raw.len() > MAX_ESCAPED_KEY_BYTES {
            return Cow::Borrowed(self.raw);
        }
        unescape(self.raw)
    }

    /// Returns the key in full, whatever its length.
    pub(crate) fn full_text(self) -> Cow<'a, str> {
        if self.escaped {
            unescape(self.raw)
        } else {
            Cow::Borrowed(self.raw)
        }
    }
}

/// Resolves the escapes of `inner`, the text between the quotes of a string that
/// was scanned before.
pub(crate) fn unescape(inner: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    let text =
        serde_json::from_str(&format!("\"{inner}\"")).expect("the scanner accepted this string");
    Cow::Owned(text)
}

/// A position in a text.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    max_depth: u32,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str, max_depth: u32) -> Self {
        Self {
            text,
            at: 0,
            max_depth: max_depth.min(MAX_DEPTH),
        }
    }

    /// Returns a scanner of the whole text that stands at the start of `span`.
    pub(crate) fn within(text: &'a str, span: Range<usize>, max_depth: u32) -> Self {
        let mut scanner = Self::new(&text[..span.end], max_depth);
        scanner.at = span.start;
        scanner
    }

    fn bytes(&self) -> &'a [u8] {
        self.text.as_bytes()
    }

    fn syntax<T>(&self, expected: &'static str) -> Result<T, Fault> {
        Err(Fault::Syntax {
            at: self.at,
            expected,
        })
    }

    /// Returns the next byte after blanks, without consuming it.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        let bytes = self.bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Refuses anything but blanks up to the end.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.syntax("the end of the text"),
        }
    }

    /// Enters an object or array that begins with `open`, `depth` containers deep.
    pub(crate) fn open(&mut self, open: u8, depth: u32) -> Result<usize, Fault> {
        if self.peek() != Some(open) {
            return self.syntax(if open == b'{' { "`{`" } else { "`[`" });
        }
        if depth >= self.max_depth {
            return Err(Fault::Depth { at: self.at });
        }
        self.at += 1;
        Ok(self.at - 1)
    }

    /// Moves to the next member of an object that was opened and returns its key,
    /// or leaves the object.
    pub(crate) fn key(&mut self, first: &mut bool) -> Result<Option<Key<'a>>, Fault> {
        let next = self.peek();
        if next == Some(b'}') {
            self.at += 1;
            return Ok(None);
        }
        if !std::mem::take(first) {
            if next != Some(b',') {
                return self.syntax("`,` or `}`");
            }
            self.at += 1;
            self.peek();
        }
        self.member_key().map(Some)
    }

    /// Moves to the next element of an array that was opened, or leaves it.
    pub(crate) fn element(&mut self, first: &mut bool) -> Result<bool, Fault> {
        let next = self.peek();
        if next == Some(b']') {
            self.at += 1;
            return Ok(false);
        }
        if !std::mem::take(first) {
            if next != Some(b',') {
                return self.syntax("`,` or `]`");
            }
            self.at += 1;
            if self.peek() == Some(b']') {
                return self.syntax("a value");
            }
        }
        Ok(true)
    }

    /// Returns the object that began at `start` and was just left.
    pub(crate) fn object_from(&self, start: usize) -> Value {
        Value {
            span: Span::new(start, self.at),
            kind: Kind::Object,
        }
    }

    /// Reads `"key" :` and stands behind it.
    fn member_key(&mut self) -> Result<Key<'a>, Fault> {
        if self.bytes().get(self.at) != Some(&b'"') {
            return self.syntax("a key");
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let key = Key {
            raw: &self.text[start..self.at - 1],
            escaped,
        };
        if self.peek() != Some(b':') {
            return self.syntax("`:`");
        }
        self.at += 1;
        Ok(key)
    }

    /// Reads any value that stands inside `depth` containers.
    pub(crate) fn value(&mut self, depth: u32) -> Result<Value, Fault> {
        // One bit per open container, lowest innermost: 1 for an object.
        let mut stack = 0_u128;
        let mut open = 0_u32;
        let first = self.peek();
        let start = self.at;
        let mut kind = match first {
            Some(b'{') => Kind::Object,
            _ => Kind::Array,
        };
        loop {
            match self.peek() {
                Some(bracket @ (b'{' | b'[')) => {
                    if depth + open >= self.max_depth {
                        return Err(Fault::Depth { at: self.at });
                    }
                    self.at += 1;
                    let object = bracket == b'{';
                    stack = stack << 1 | u128::from(object);
                    open += 1;
                    let close = if object { b'}' } else { b']' };
                    if self.peek() == Some(close) {
                        self.at += 1;
                        stack >>= 1;
                        open -= 1;
                    } else {
                        if object {
                            self.member_key()?;
                        }
                        continue;
                    }
                }
                Some(byte) => {
                    let scalar = self.scalar(byte)?;
                    if open == 0 {
                        kind = scalar;
                    }
                }
                None => return self.syntax("a value"),
            }
            if !self.leave(&mut stack, &mut open)? {
                return Ok(Value {
                    span: Span::new(start, self.at),
                    kind,
                });
            }
        }
    }

    /// Moves past the end of a value to the next one, leaving the containers that
    /// end here. Returns whether there is a next one.
    fn leave(&mut self, stack: &mut u128, open: &mut u32) -> Result<bool, Fault> {
        while *open > 0 {
            let object = *stack & 1 == 1;
            match (self.peek(), object) {
                (Some(b','), true) => {
                    self.at += 1;
                    self.peek();
                    self.member_key()?;
                    return Ok(true);
                }
                (Some(b','), false) => {
                    self.at += 1;
                    return Ok(true);
                }
                (Some(b'}'), true) | (Some(b']'), false) => {
                    self.at += 1;
                    *stack >>= 1;
                    *open -= 1;
                }
                (_, true) => return self.syntax("`,` or `}`"),
                (_, false) => return self.syntax("`,` or `]`"),
            }
        }
        Ok(false)
    }

    fn scalar(&mut self, byte: u8) -> Result<Kind, Fault> {
        match byte {
            b'"' => Ok(Kind::String {
                escaped: self.string()?,
            }),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal("true", Kind::True),
            b'f' => self.literal("false", Kind::False),
            b'n' => self.literal("null", Kind::Null),
            _ => self.syntax("a value"),
        }
    }

    fn literal(&mut self, text: &'static str, kind: Kind) -> Result<Kind, Fault> {
        if !self.bytes()[self.at..].starts_with(text.as_bytes()) {
            return self.syntax("a value");
        }
        self.at += text.len();
        Ok(kind)
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let bytes = self.bytes();
        let start = self.at;
        while bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start {
            return self.syntax("a digit");
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Kind, Fault> {
        let bytes = self.bytes();
        let mut integer = true;
        if bytes[self.at] == b'-' {
            self.at += 1;
        }
        if bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if bytes.get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(bytes.get(self.at), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Kind::Number { integer })
    }

    /// Reads a string, quotes included. Returns whether it contains escapes.
    fn string(&mut self) -> Result<bool, Fault> {
        let bytes = self.bytes();
        let mut escaped = false;
        self.at += 1;
        loop {
            self.at = plain_until(bytes, self.at);
            match bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return self.syntax("no control character"),
                None => return self.syntax("`\"`"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Fault> {
        match self.bytes().get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let unit = self.unit()?;
                match unit {
                    0xD800..=0xDBFF => match self.unit() {
                        Ok(0xDC00..=0xDFFF) => {}
                        _ => return self.syntax("the second half of a surrogate pair"),
                    },
                    0xDC00..=0xDFFF => return self.syntax("no lone surrogate"),
                    _ => {}
                }
            }
            _ => return self.syntax("an escape"),
        }
        Ok(())
    }

    /// Reads `\uXXXX`.
    fn unit(&mut self) -> Result<u16, Fault> {
        let Some([b'\\', b'u', hex @ ..]) = self.bytes().get(self.at..self.at + 6) else {
            return self.syntax("`\\u` and four hexadecimal digits");
        };
        let mut unit = 0;
        for digit in hex {
            let Some(value) = char::from(*digit).to_digit(16) else {
                return self.syntax("four hexadecimal digits");
            };
            unit = unit << 4 | value;
        }
        self.at += 6;
        Ok(u16::try_from(unit).expect("four hexadecimal digits fit"))
    }
}

const fn repeat(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// Returns the position of the first `"`, `\` or control character from `at` on,
/// or the length. Wide steps first: most of a body is long strings.
fn plain_until(bytes: &[u8], mut at: usize) -> usize {
    // Short strings are the rule for keys; they end within a word or two.
    for _ in 0..4 {
        let Some(word) = bytes.get(at..at + 8) else {
            break;
        };
        let word = u64::from_le_bytes(word.try_into().expect("a slice of eight bytes"));
        let special = special_bytes(word);
        if special != 0 {
            return at + (special.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(block) = bytes.get(at..at + 32) {
        // Written without a branch so that the compiler uses vector registers.
        let special = block.iter().fold(false, |found, &b| found | !is_plain(b));
        if special {
            break;
        }
        at += 32;
    }
    while bytes.get(at).is_some_and(|&b| is_plain(b)) {
        at += 1;
    }
    at
}

/// Returns a word whose lowest set bit lies in the first byte of `word` (little
/// endian) that is `"`, `\` or below 0x20. Higher bits may be wrong.
fn special_bytes(word: u64) -> u64 {
    let zero = |word: u64| word.wrapping_sub(repeat(0x01)) & !word;
    let control = word.wrapping_sub(repeat(0x20)) & !word;
    (control | zero(word ^ repeat(b'"')) | zero(word ^ repeat(b'\\'))) & repeat(0x80)
}
