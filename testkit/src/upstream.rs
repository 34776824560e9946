//! An MCP server of both eras that costs next to nothing, so that what is
//! measured is what stands before it.
//!
//! One thread, one epoll set, no allocation that grows with the load but the
//! buffers of the connections. It keeps no state: a session id is accepted
//! without having been given.
//!
//! # Invariants
//!
//! * The text of a result begins with the nonce of its call, and is as long as
//!   the call asked, up to [`MAX_RESULT`].
//! * A request that is not understood ends its connection.

use std::{
    collections::HashMap,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::{
    buffer::spare_capacity,
    event::{Timespec, epoll},
    fd::OwnedFd,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::Message;

/// Longest text that a call can ask for.
pub const MAX_RESULT: usize = 1024 * 1024;
/// How many tools are listed. All read; [`EFFECT`] is listed besides.
pub const TOOLS: usize = 20;
/// The tool that changes something.
pub const EFFECT: &str = "book_00";

const LISTENER: u64 = u64::MAX;
/// How often the stop is looked for while nothing arrives.
const IDLE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// The part of a request that decides the answer.
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow, default)]
    params: Params<'a>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Params<'a> {
    #[serde(borrow, default)]
    arguments: Arguments<'a>,
    #[serde(borrow)]
    protocol_version: Option<&'a str>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Arguments<'a> {
    #[serde(default, borrow)]
    nonce: &'a str,
    #[serde(default)]
    bytes: usize,
}

struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

/// A server that has its address and answers once it is run.
pub struct Upstream {
    listener: TcpListener,
    epoll: OwnedFd,
    padding: Vec<u8>,
}

impl Upstream {
    /// Takes `address`.
    ///
    /// # Errors
    ///
    /// When it is in use, or the system has no epoll set to give.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let data = epoll::EventData::new_u64(LISTENER);
        epoll::add(&epoll, &listener, data, epoll::EventFlags::IN)?;
        let words = b"room with a view and breakfast; ";
        let padding = words.iter().copied().cycle().take(MAX_RESULT).collect();
        Ok(Self {
            listener,
            epoll,
            padding,
        })
    }

    /// Returns the address.
    ///
    /// # Errors
    ///
    /// When the system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `stop` is set.
    ///
    /// # Errors
    ///
    /// When the epoll set fails. A connection that fails is dropped.
    pub fn run(&self, stop: &AtomicBool) -> io::Result<()> {
        let mut connections: HashMap<u64, Connection> = HashMap::new();
        let mut next = 0;
        let mut events = Vec::with_capacity(256);
        let mut scratch = vec![0; 256 * 1024];
        while !stop.load(Ordering::Relaxed) {
            epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&IDLE))?;
            for event in events.drain(..) {
                let key = event.data.u64();
                if key == LISTENER {
                    while let Ok((stream, _)) = self.listener.accept() {
                        if let Some(connection) = self.register(stream, next) {
                            connections.insert(next, connection);
                            next += 1;
                        }
                    }
                } else if let Some(connection) = connections.get_mut(&key) {
                    let alive = self.serve(connection, &mut scratch, key, event.flags);
                    if alive.is_none() {
                        connections.remove(&key);
                    }
                }
            }
        }
        Ok(())
    }

    fn register(&self, stream: TcpStream, key: u64) -> Option<Connection> {
        stream.set_nonblocking(true).ok()?;
        stream.set_nodelay(true).ok()?;
        let data = epoll::EventData::new_u64(key);
        epoll::add(&self.epoll, &stream, data, epoll::EventFlags::IN).ok()?;
        Some(Connection {
            stream,
            inbox: Vec::new(),
            outbox: Vec::new(),
        })
    }

    /// Reads, answers and writes; `None` ends the connection.
    fn serve(
        &self,
        connection: &mut Connection,
        scratch: &mut [u8],
        key: u64,
        ready: epoll::EventFlags,
    ) -> Option<()> {
        let waited = !connection.outbox.is_empty();
        if ready.contains(epoll::EventFlags::IN) {
            let read = match connection.stream.read(scratch) {
                Ok(0) => return None,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return None,
            };
            connection.inbox.extend_from_slice(&scratch[..read]);
            let mut taken = 0;
            while let Some(message) = Message::parse(&connection.inbox[taken..]).ok()? {
                self.answer(&message, &mut connection.outbox)?;
                taken += message.length;
            }
            connection.inbox.drain(..taken);
        }
        match connection.stream.write(&connection.outbox) {
            Ok(written) => drop(connection.outbox.drain(..written)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
        let waits = !connection.outbox.is_empty();
        if waits != waited {
            let mut interest = epoll::EventFlags::IN;
            interest.set(epoll::EventFlags::OUT, waits);
            let data = epoll::EventData::new_u64(key);
            epoll::modify(&self.epoll, &connection.stream, data, interest).ok()?;
        }
        Some(())
    }

    fn answer(&self, message: &Message<'_>, out: &mut Vec<u8>) -> Option<()> {
        let method = message.start.split(' ').next()?;
        match method {
            "POST" => {}
            "DELETE" => return empty(out, "200 OK"),
            _ => return empty(out, "405 Method Not Allowed"),
        }
        let request: Request<'_> = serde_json::from_slice(&message.body).ok()?;
        let Some(id) = request.id else {
            return empty(out, "202 Accepted");
        };
        let modern = request.params.meta.is_some_and(|meta| {
            memchr::memmem::find(
                meta.get().as_bytes(),
                b"io.modelcontextprotocol/protocolVersion",
            )
            .is_some()
        });
        match request.method {
            "tools/call" => self.call(id, &request.params.arguments, modern, out),
            "initialize" => {
                let version = request.params.protocol_version.unwrap_or("2025-11-25");
                let version = version.min("2025-11-25");
                let result = format!(
                    r#""protocolVersion":"{version}","capabilities":{{"tools":{{}}}},{SERVER}"#
                );
                respond(out, id, "mcp-session-id: load\r\n", &result)
            }
            "server/discover" => respond(out, id, "", DISCOVERED),
            "tools/list" => respond(out, id, "", &tools(modern)),
            "ping" => respond(out, id, "", ""),
            _ => {
                let error = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"method not found"}}}}"#
                );
                let status = if modern { "404 Not Found" } else { "200 OK" };
                raw(out, status, "", &[error.as_bytes()])
            }
        }
    }

    fn call(
        &self,
        id: &RawValue,
        arguments: &Arguments<'_>,
        modern: bool,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let nonce = arguments.nonce;
        if !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        let padding = arguments.bytes.min(MAX_RESULT).saturating_sub(nonce.len());
        let head = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{nonce}"#
        );
        let tail: &[u8] = if modern {
            br#""}],"isError":false,"resultType":"complete"}}"#
        } else {
            br#""}],"isError":false}}"#
        };
        raw(
            out,
            "200 OK",
            "",
            &[head.as_bytes(), &self.padding[..padding], tail],
        )
    }
}

const SERVER: &str = r#""serverInfo":{"name":"mcp-upstream","version":"1"}"#;
const DISCOVERED: &str = r#""resultType":"complete","supportedVersions":["2025-03-26","2025-06-18","2025-11-25","2026-07-28"],"capabilities":{"tools":{}},"ttlMs":60000,"cacheScope":"public","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"mcp-upstream","version":"1"}}"#;

fn tools(modern: bool) -> String {
    let schema = r#"{"type":"object","properties":{"nonce":{"type":"string","description":"Comes back at the beginning of the result."},"bytes":{"type":"integer","minimum":16,"description":"How long the text of the result is."}},"required":["nonce"]}"#;
    let mut tools: Vec<_> = (0..TOOLS)
        .map(|number| {
            format!(
                r#"{{"name":"look_{number:02}","description":"Looks something up, in the way number {number} of twenty that are alike.","inputSchema":{schema},"annotations":{{"readOnlyHint":true,"openWorldHint":false}}}}"#
            )
        })
        .collect();
    tools.push(format!(
        r#"{{"name":"{EFFECT}","description":"Books something.","inputSchema":{schema},"annotations":{{"readOnlyHint":false,"destructiveHint":true}}}}"#
    ));
    let hints = if modern {
        r#","resultType":"complete","ttlMs":60000,"cacheScope":"public""#
    } else {
        ""
    };
    format!(r#""tools":[{}]{hints}"#, tools.join(","))
}

fn empty(out: &mut Vec<u8>, status: &str) -> Option<()> {
    raw(out, status, "", &[])
}

fn respond(out: &mut Vec<u8>, id: &RawValue, headers: &str, members: &str) -> Option<()> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{{members}}}}}"#);
    raw(out, "200 OK", headers, &[body.as_bytes()])
}

fn raw(out: &mut Vec<u8>, status: &str, headers: &str, body: &[&[u8]]) -> Option<()> {
    let length: usize = body.iter().map(|part| part.len()).sum();
    let kind = match length {
        0 => "",
        _ => "content-type: application/json\r\n",
    };
    write!(
        out,
        "HTTP/1.1 {status}\r\n{kind}{headers}content-length: {length}\r\n\r\n"
    )
    .ok()?;
    for part in body {
        out.extend_from_slice(part);
    }
    Some(())
}
