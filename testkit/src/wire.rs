//! HTTP/1.1 framing for the load tools: just enough, and cheap.
//!
//! # Invariants
//!
//! * Bounded: a head over [`MAX_HEAD`] or a body over [`MAX_BODY`] is an error.
//! * What is not understood is an error, never a guess.

use std::borrow::Cow;

use memchr::memmem;

const MAX_HEAD: usize = 16 * 1024;
const MAX_BODY: usize = 4 * 1024 * 1024;

/// Why bytes are not a message.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Error {
    #[error("the head is not HTTP/1.1: {0}")]
    Head(&'static str),
    #[error("the body is not framed as its head says")]
    Body,
    #[error("the message is larger than the load tools accept")]
    TooLarge,
}

/// One message that has arrived as a whole.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    /// `POST /mcp HTTP/1.1` or `HTTP/1.1 200 OK`.
    pub(crate) start: &'a str,
    headers: &'a str,
    pub(crate) body: Cow<'a, [u8]>,
    /// How many bytes the message took.
    pub(crate) length: usize,
}

impl<'a> Message<'a> {
    /// Reads the first message in `bytes`; `None` while it is incomplete.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Option<Self>, Error> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            return match bytes.len() > MAX_HEAD {
                true => Err(Error::TooLarge),
                false => Ok(None),
            };
        };
        let head = std::str::from_utf8(&bytes[..end]).map_err(|_| Error::Head("not text"))?;
        let (start, headers) = head.split_once("\r\n").unwrap_or((head, ""));
        let body = &bytes[end + 4..];
        let whole = |body: Cow<'a, [u8]>, taken: usize| Self {
            start,
            headers,
            body,
            length: end + 4 + taken,
        };
        if let Some(length) = find(headers, "content-length") {
            let length: usize = length.parse().map_err(|_| Error::Head("content-length"))?;
            if length > MAX_BODY {
                return Err(Error::TooLarge);
            }
            return Ok(body.get(..length).map(|body| whole(body.into(), length)));
        }
        match find(headers, "transfer-encoding") {
            Some("chunked") => Ok(chunked(body)?.map(|(body, taken)| whole(body.into(), taken))),
            Some(_) => Err(Error::Head("transfer-encoding")),
            None => Ok(Some(whole(Cow::Borrowed(&[]), 0))),
        }
    }

    /// Returns the value of the first header called `name` (lower case).
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        find(self.headers, name)
    }

    /// Returns the status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
    }
}

fn find<'a>(headers: &'a str, name: &str) -> Option<&'a str> {
    headers.split("\r\n").find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// Joins chunks; `None` while the last one has not arrived.
fn chunked(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, Error> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some(line) = memmem::find(&bytes[at..], b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&bytes[at..at + line]).map_err(|_| Error::Body)?;
        let size = size.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| Error::Body)?;
        if body.len().saturating_add(size) > MAX_BODY {
            return Err(Error::TooLarge);
        }
        at += line + 2;
        let Some(chunk) = bytes.get(at..at + size + 2) else {
            return Ok(None);
        };
        let Some(chunk) = chunk.strip_suffix(b"\r\n") else {
            // A trailer after the last chunk is not part of what we speak.
            return Err(Error::Body);
        };
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
        body.extend_from_slice(chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parses `bytes` and tells the start line, body and length, or what is wrong.
    fn check(bytes: &str, expected: &str) {
        let outcome = match Message::parse(bytes.as_bytes()) {
            Ok(None) => "incomplete".to_owned(),
            Ok(Some(message)) => format!(
                "{}|{}|{}",
                message.start,
                String::from_utf8_lossy(&message.body),
                message.length
            ),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(outcome, expected, "{bytes:?}");
    }

    #[test]
    fn body_is_framed_by_its_length() {
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokX",
            "HTTP/1.1 200 OK|ok|40",
        );
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
            "incomplete",
        );
        check("HTTP/1.1 202 Accepted\r\n\r\n", "HTTP/1.1 202 Accepted||25");
        check("HTTP/1.1 200 OK\r\nContent-Le", "incomplete");
    }

    #[test]
    fn body_is_framed_by_chunks() {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        check(
            &format!("{head}2\r\nok\r\n1\r\n!\r\n0\r\n\r\n"),
            "HTTP/1.1 200 OK|ok!|65",
        );
        check(&format!("{head}2\r\nok\r\n0\r\n"), "incomplete");
        check(&format!("{head}2\r\nokay"), "Body");
        check(&format!("{head}x\r\n"), "Body");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        check(&"x".repeat(MAX_HEAD + 1), "TooLarge");
        check(
            "HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n",
            "TooLarge",
        );
        check(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nfffffff\r\n",
            "TooLarge",
        );
    }

    #[test]
    fn header_names_have_no_case() {
        let message = Message::parse(b"HTTP/1.1 200 OK\r\nMCP-Session-ID: a \r\n\r\n");
        let message = message.unwrap().unwrap();
        assert_eq!(message.header("mcp-session-id"), Some("a"));
        assert_eq!(message.status(), Some(200));
    }
}
