//! An MCP server of a test, as simple as can be.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    thread,
};

use serde_json::{Value, json};

/// What a call is answered with.
pub(crate) struct Reply {
    status: u16,
    media: &'static str,
    body: Body,
}

enum Body {
    /// The member `result` or `error`.
    Message(&'static str, Value),
    Text(String),
}

impl Reply {
    pub(crate) fn result(result: &Value) -> Self {
        Self::message("result", result)
    }

    pub(crate) fn error(error: &Value) -> Self {
        Self::message("error", error)
    }

    fn message(name: &'static str, value: &Value) -> Self {
        Self {
            status: 200,
            media: "application/json",
            body: Body::Message(name, value.clone()),
        }
    }

    /// No message at all.
    pub(crate) fn broken(status: u16, text: &str) -> Self {
        Self {
            status,
            media: "text/plain",
            body: Body::Text(text.to_owned()),
        }
    }

    fn bytes(self, id: &Value) -> Vec<u8> {
        let text = match self.body {
            Body::Message(name, value) => {
                json!({"jsonrpc": "2.0", "id": id, name: value}).to_string()
            }
            Body::Text(text) => text,
        };
        let head = format!(
            "HTTP/1.1 {} Said\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n",
            self.status,
            self.media,
            text.len()
        );
        (head + &text).into_bytes()
    }
}

/// A tool that only reads, under its own word, unless it is called `mail`.
fn tool(&(name, description): &(&str, &str)) -> Value {
    json!({"name": name, "description": description, "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": name != "mail"}})
}

/// Serves `tools`, with what is said of them, until the test ends; `answer` is asked about every call, and ends the
/// connection with none. Returns where it is.
pub(crate) fn serve(
    tools: &[(&str, &str)],
    answer: impl Fn(&Value) -> Option<Reply> + Clone + Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let tools: Vec<Value> = tools.iter().map(tool).collect();
    let accept = move || {
        for stream in listener.incoming().flatten() {
            let (tools, answer) = (tools.clone(), answer.clone());
            thread::Builder::new()
                .spawn(move || attend(&stream, &tools, &answer))
                .expect("a thread starts");
        }
    };
    thread::Builder::new()
        .spawn(accept)
        .expect("a thread starts");
    format!("http://{address}/mcp")
}

fn attend(stream: &TcpStream, tools: &[Value], answer: &impl Fn(&Value) -> Option<Reply>) {
    let mut reader = BufReader::new(stream);
    while let Some(body) = read(&mut reader) {
        let call: Value = serde_json::from_slice(&body).unwrap_or_default();
        let reply = match call["method"].as_str() {
            Some("server/discover") => Some(Reply::result(&json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}}, "ttlMs": 60_000, "cacheScope": "public",
            }))),
            Some("tools/list") => Some(Reply::result(&json!({
                "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public",
                "tools": tools,
            }))),
            Some("tools/call") => answer(&call),
            _ => Some(Reply::result(&json!({}))),
        };
        let Some(reply) = reply else { return };
        let mut stream = stream;
        if stream.write_all(&reply.bytes(&call["id"])).is_err() {
            return;
        }
    }
}

/// Returns the body of the next request.
fn read(reader: &mut BufReader<&TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
