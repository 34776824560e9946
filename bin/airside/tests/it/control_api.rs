//! Asks the control API as a program that is not ours would.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    path::Path,
};

use serde_json::Value;

/// One request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) key: Option<&'a str>,
    pub(crate) handle: Option<&'a str>,
    pub(crate) body: &'a Value,
}

/// Asks the node that serves `folder`, as the owner of the folder.
pub(crate) fn by_socket(folder: &Path, request: Request<'_>) -> (u16, Value) {
    let stream = UnixStream::connect(folder.join("control.sock")).expect("a node runs");
    exchange(stream, request)
}

/// Asks the control API at `address`.
pub(crate) fn by_tcp(address: SocketAddr, request: Request<'_>) -> (u16, Value) {
    exchange(TcpStream::connect(address).expect("a node runs"), request)
}

/// Returns what `path` answers to the owner of the folder, as text.
pub(crate) fn text_by_socket(folder: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(folder.join("control.sock")).expect("a node runs");
    let head = format!("GET {path} HTTP/1.1\r\nhost: airside\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("the node reads");
    let mut answer = String::new();
    let read = stream.read_to_string(&mut answer);
    read.expect("the node answers");
    answer
}

fn exchange(mut stream: impl Read + Write, request: Request<'_>) -> (u16, Value) {
    let body = request.body.to_string();
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: airside\r\nconnection: close\r\ncontent-length: {}\r\n",
        request.method,
        request.path,
        body.len()
    );
    if let Some(key) = request.key {
        head.push_str(&format!("authorization: Bearer {key}\r\n"));
    }
    if let Some(handle) = request.handle {
        head.push_str(&format!("airside-conversation: {handle}\r\n"));
    }
    write!(stream, "{head}\r\n{body}").expect("the node reads");
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .expect("the node answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    (status.expect("a status"), value)
}
