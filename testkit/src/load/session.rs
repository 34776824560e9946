//! One client session over one connection: its requests, rendered once, and the
//! check of every answer.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use memchr::memmem;
use serde::Serialize;

use super::{drive::Error, slices::Target};
use crate::wire::Message;

/// Longest wait for the answer to a message that opens or closes a session.
const SETUP: Duration = Duration::from_secs(10);
/// Ids have ten digits, so that a request keeps its length.
const FIRST_ID: u64 = 1_000_000_000;

/// Which era of the protocol is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Era {
    /// 2026-07-28: every request stands alone.
    Modern,
    /// 2025-11-25: handshake and session.
    Handshake,
}

/// What every call asks for.
#[derive(Debug, Clone, Serialize)]
pub struct Shape {
    /// How the calls are made.
    pub era: Era,
    /// Tool that is called.
    pub tool: String,
    /// Length of the text in a result.
    pub bytes: usize,
}

/// A session with one request at most under way.
pub(super) struct Session {
    pub(super) stream: TcpStream,
    pub(super) inbox: Vec<u8>,
    id: Option<String>,
    shape: Shape,
    request: Vec<u8>,
    id_at: usize,
    nonce_at: usize,
    calls: u64,
    nonces: u64,
    path: String,
    host: String,
    /// The field that shows who calls, if there is one.
    token: String,
}

impl Session {
    /// Connects and, in the handshake era, opens a session.
    pub(super) fn open(target: &Target, shape: Shape, number: u64) -> Result<Self, Error> {
        let stream = TcpStream::connect(target.address)?;
        stream.set_nodelay(true)?;
        let mut session = Self {
            stream,
            inbox: Vec::new(),
            id: None,
            shape,
            request: Vec::new(),
            id_at: 0,
            nonce_at: 0,
            calls: 0,
            nonces: mix(number),
            path: target.path.clone(),
            host: target.address.to_string(),
            token: target.token.as_deref().map_or_else(String::new, |token| {
                format!("authorization: Bearer {token}\r\n")
            }),
        };
        if session.shape.era == Era::Handshake {
            session.initialize()?;
        }
        session.render();
        session.stream.set_nonblocking(true)?;
        Ok(session)
    }

    /// Ends the session at the server, where there is one.
    pub(super) fn close(mut self) -> Result<(), Error> {
        let Some(id) = self.id.take() else {
            return Ok(());
        };
        self.stream.set_nonblocking(false)?;
        self.delete(&id)
    }

    fn delete(&mut self, id: &str) -> Result<(), Error> {
        let head = format!(
            "DELETE {} HTTP/1.1\r\nhost: {}\r\nmcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n{}\r\n",
            self.path, self.host, self.token
        );
        let (status, _, _) = self.exchange(head.as_bytes())?;
        match status {
            200 | 202 | 204 => Ok(()),
            status => Err(Error::Setup(format!("closing was answered with {status}"))),
        }
    }

    fn initialize(&mut self) -> Result<(), Error> {
        let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"mcp-load","version":"1"}}}"#;
        let message = self.post(hello, "");
        let (status, id, body) = self.exchange(&message)?;
        if status != 200 || memmem::find(&body, b"\"result\"").is_none() {
            let body = String::from_utf8_lossy(&body).into_owned();
            return Err(Error::Setup(format!("initialize: {status} {body}")));
        }
        self.id = id;
        let initialized = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
        let message = self.post(initialized, &self.session_headers());
        match self.exchange(&message)?.0 {
            202 => Ok(()),
            status => Err(Error::Setup(format!(
                "notification was answered with {status}"
            ))),
        }
    }

    fn session_headers(&self) -> String {
        let id = self
            .id
            .as_deref()
            .map_or_else(String::new, |id| format!("mcp-session-id: {id}\r\n"));
        format!("mcp-protocol-version: 2025-11-25\r\n{id}")
    }

    fn post(&self, body: &str, headers: &str) -> Vec<u8> {
        format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\n{headers}{}content-length: {}\r\n\r\n{body}",
            self.path,
            self.host,
            self.token,
            body.len()
        )
        .into_bytes()
    }

    /// Sends `message` and waits for the whole answer, on a blocking stream.
    fn exchange(&mut self, message: &[u8]) -> Result<(u16, Option<String>, Vec<u8>), Error> {
        self.stream.set_read_timeout(Some(SETUP))?;
        self.stream.write_all(message)?;
        let mut bytes = Vec::new();
        let mut part = [0; 16 * 1024];
        loop {
            let read = self.stream.read(&mut part)?;
            if read == 0 {
                return Err(Error::Setup("the server hung up".to_owned()));
            }
            bytes.extend_from_slice(&part[..read]);
            if let Some(answer) = Message::parse(&bytes)? {
                let id = answer.header("mcp-session-id").map(str::to_owned);
                let status = answer.status().unwrap_or_default();
                return Ok((status, id, answer.body.into_owned()));
            }
        }
    }

    fn render(&mut self) {
        let Shape { era, tool, bytes } = &self.shape;
        let meta = match era {
            Era::Modern => {
                r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/clientInfo":{"name":"mcp-load","version":"1"}}"#
            }
            Era::Handshake => "",
        };
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{FIRST_ID},"method":"tools/call","params":{{"name":"{tool}","arguments":{{"nonce":"{}","bytes":{bytes}}}{meta}}}}}"#,
            "a".repeat(16)
        );
        let headers = match era {
            Era::Modern => format!(
                "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: {tool}\r\n"
            ),
            Era::Handshake => self.session_headers(),
        };
        self.request = self.post(&body, &headers);
        let start = self.request.len() - body.len();
        let place = |marker: &str| start + body.find(marker).map_or(0, |at| at + marker.len());
        self.id_at = place(r#""id":"#);
        self.nonce_at = place(r#""nonce":""#);
    }

    /// Sends the next call.
    pub(super) fn send(&mut self) -> Result<(), Error> {
        self.calls += 1;
        self.nonces = mix(self.nonces);
        let id = FIRST_ID + self.calls % (FIRST_ID * 8);
        write!(&mut self.request[self.id_at..], "{id}")?;
        self.request[self.nonce_at..self.nonce_at + 16].copy_from_slice(&letters(self.nonces));
        self.inbox.clear();
        match self.stream.write(&self.request) {
            Ok(written) if written == self.request.len() => Ok(()),
            Ok(_) => Err(Error::Unwritten),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(Error::Unwritten),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes what arrived; returns whether the answer is whole, and right.
    pub(super) fn receive(&mut self, scratch: &mut [u8]) -> Result<bool, Error> {
        let read = match self.stream.read(scratch) {
            Ok(0) => return Err(Error::HungUp),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        // Most answers come in one piece and are checked where they are.
        let bytes = if self.inbox.is_empty() {
            &scratch[..read]
        } else {
            self.inbox.extend_from_slice(&scratch[..read]);
            &self.inbox[..]
        };
        match Message::parse(bytes)? {
            Some(answer) => self.check(&answer, bytes.len()).map(|()| true),
            None => {
                if self.inbox.is_empty() {
                    self.inbox.extend_from_slice(&scratch[..read]);
                }
                Ok(false)
            }
        }
    }

    fn check(&self, answer: &Message<'_>, arrived: usize) -> Result<(), Error> {
        let id = &self.request[self.id_at..self.id_at + 10];
        let nonce = &self.request[self.nonce_at..self.nonce_at + 16];
        let has = |parts: &[&[u8]]| memmem::find(&answer.body, &parts.concat()).is_some();
        let right = answer.status() == Some(200)
            && answer.length == arrived
            && answer.body.len() >= self.shape.bytes
            && (has(&[br#""id":"#, id, b","]) || has(&[br#""id":"#, id, b"}"]))
            && has(&[br#""text":""#, nonce])
            && !has(&[br#""isError":true"#]);
        if right {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&answer.body);
        Err(Error::Wrong {
            status: answer.status().unwrap_or_default(),
            expected: String::from_utf8_lossy(nonce).into_owned(),
            answer: said.chars().take(400).collect(),
        })
    }
}

/// Opens `count` sessions over one connection, calls `open` while all are, and
/// closes them.
pub(super) fn handshakes(
    target: &Target,
    count: usize,
    open: &mut dyn FnMut() -> Result<(), Error>,
) -> Result<(), Error> {
    let shape = Shape {
        era: Era::Handshake,
        tool: String::new(),
        bytes: 0,
    };
    let mut session = Session::open(target, shape, 0)?;
    session.stream.set_nonblocking(false)?;
    let mut ids = Vec::with_capacity(count);
    for _ in 1..count {
        ids.extend(session.id.take());
        session.initialize()?;
    }
    ids.extend(session.id.take());
    open()?;
    for id in ids {
        session.delete(&id)?;
    }
    Ok(())
}

/// Writes `number` in letters: among sixteen digits some are a payment card number.
fn letters(number: u64) -> [u8; 16] {
    let bytes = number.to_be_bytes();
    std::array::from_fn(|at| {
        let byte = bytes[at / 2];
        b'a' + if at % 2 == 0 { byte >> 4 } else { byte & 0xf }
    })
}

/// The finalizer of SplitMix64: neighbouring numbers come out far apart.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
