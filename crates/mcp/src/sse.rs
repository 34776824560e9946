//! Server-sent events (WHATWG HTML, section 9.2), both ways.
//!
//! # Invariants
//!
//! * Decoding is incremental and does not depend on how the stream is cut.
//! * An event has a bound; a longer one is an error, not a growing buffer.
//! * Data stays bytes: whoever reads it as JSON checks its UTF-8.

use bytes::{Bytes, BytesMut};

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; none means `message`.
    pub name: Option<String>,
    /// The `data` lines, joined by line feeds. Empty in an event that only sets
    /// `id` or `retry`, which browsers swallow and MCP (2025-11-25) uses.
    pub data: Bytes,
    /// The `id` field of this event.
    pub id: Option<String>,
    /// The `retry` field, in milliseconds.
    pub retry_ms: Option<u64>,
}

impl Event {
    /// Returns an event that carries a JSON-RPC message.
    pub fn message(data: impl Into<Bytes>) -> Self {
        Self {
            data: data.into(),
            ..Self::default()
        }
    }

    /// Returns the event as text of a stream.
    ///
    /// A line break inside `data` becomes a line feed between two `data` lines:
    /// in JSON it can only be a blank between tokens. Names and ids are cut at a
    /// line break, since nothing can carry one.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.data.len() + 32);
        let mut field = |name: &str, value: &[u8]| {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value);
            out.extend_from_slice(b"\n");
        };
        if let Some(name) = &self.name {
            field("event", first_line(name));
        }
        if let Some(id) = self.id.as_ref().filter(|id| !id.contains('\0')) {
            field("id", first_line(id));
        }
        if let Some(retry_ms) = self.retry_ms {
            field("retry", retry_ms.to_string().as_bytes());
        }
        let mut rest = &self.data[..];
        while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
            field("data", &rest[..end]);
            let crlf = rest[end..].starts_with(b"\r\n");
            rest = &rest[end + 1 + usize::from(crlf)..];
        }
        field("data", rest);
        out.extend_from_slice(b"\n");
        out.freeze()
    }
}

/// Returns a comment, which keeps a quiet connection open and says nothing.
#[must_use]
pub fn keep_alive() -> Bytes {
    Bytes::from_static(b":\n\n")
}

fn first_line(text: &str) -> &[u8] {
    let bytes = text.as_bytes();
    let end = memchr::memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len());
    &bytes[..end]
}

/// An event is longer than accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {max_bytes} bytes")]
pub struct TooLarge {
    /// The limit.
    pub max_bytes: usize,
}

/// Reads a stream piece by piece.
#[derive(Debug)]
pub struct Decoder {
    max_bytes: usize,
    /// The unfinished line.
    line: Vec<u8>,
    /// The last line ended with a carriage return: a line feed belongs to it.
    after_return: bool,
    /// No line was read yet: a byte order mark may stand here.
    at_start: bool,
    /// Bytes of the fields read so far.
    used_bytes: usize,
    data: Vec<u8>,
    event: Event,
    /// The event has at least one field.
    begun: bool,
    has_data: bool,
}

impl Decoder {
    /// Returns a decoder of events of at most `max_bytes`.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            line: Vec::new(),
            after_return: false,
            at_start: true,
            used_bytes: 0,
            data: Vec::new(),
            event: Event::default(),
            begun: false,
            has_data: false,
        }
    }

    /// Reads the next piece and appends the events that it completes to `out`.
    ///
    /// What follows the last blank line of a stream is no event and is dropped
    /// with the decoder.
    ///
    /// # Errors
    ///
    /// [`TooLarge`]; the stream cannot be read any further.
    pub fn decode(&mut self, piece: &[u8], out: &mut Vec<Event>) -> Result<(), TooLarge> {
        let mut rest = piece;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let end = memchr::memchr2(b'\r', b'\n', rest);
            let part = &rest[..end.unwrap_or(rest.len())];
            if self.used_bytes + self.line.len() + part.len() > self.max_bytes {
                return Err(TooLarge {
                    max_bytes: self.max_bytes,
                });
            }
            let Some(end) = end else {
                self.line.extend_from_slice(part);
                break;
            };
            self.after_return = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if self.line.is_empty() {
                self.line(part, out);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(part);
                self.line(&line, out);
                line.clear();
                self.line = line;
            }
        }
        Ok(())
    }

    fn line(&mut self, mut line: &[u8], out: &mut Vec<Event>) {
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            self.used_bytes = 0;
            self.has_data = false;
            let mut event = std::mem::take(&mut self.event);
            event.data = std::mem::take(&mut self.data).into();
            if std::mem::take(&mut self.begun) {
                out.push(event);
            }
            return;
        }
        let (name, value) = match memchr::memchr(b':', line) {
            Some(0) => return,
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        self.used_bytes += line.len() + 1;
        self.field(name, value);
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
            }
            b"event" => self.event.name = Some(text()),
            b"id" if !value.contains(&0) => self.event.id = Some(text()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                self.event.retry_ms = text().parse().ok();
            }
            _ => return,
        }
        self.begun = true;
    }
}

#[cfg(test)]
mod tests;
