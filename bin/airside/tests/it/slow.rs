//! An MCP server with a tool that answers when it is told to, and a hostile one.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

use serde_json::{Value, json};

/// The server, and both ends of its tool `wait`. Its tool `shout` answers at once
/// with what terminals act on.
pub(crate) struct Slow {
    pub(crate) url: String,
    arrived: Receiver<()>,
    go: SyncSender<()>,
}

impl Slow {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (arrive, arrived) = sync_channel(8);
        let (go, going) = sync_channel(8);
        let going = Arc::new(Mutex::new(going));
        let accept = move || {
            for stream in listener.incoming().flatten() {
                let (arrive, going) = (arrive.clone(), going.clone());
                let serve = move || serve(&stream, &arrive, &going);
                thread::Builder::new()
                    .spawn(serve)
                    .expect("a thread starts");
            }
        };
        thread::Builder::new()
            .spawn(accept)
            .expect("a thread starts");
        Self {
            url: format!("http://{address}/mcp"),
            arrived,
            go,
        }
    }

    /// Waits until a call has arrived.
    pub(crate) fn arrived(&self) {
        self.arrived.recv().expect("the server lives");
    }

    /// Lets one call end.
    pub(crate) fn release(&self) {
        self.go.send(()).expect("the server lives");
    }
}

/// What would clear a screen, colour it, ring, reorder and hide.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;b\u{7}\u{9b}31m\u{202e}c\u{200b}\u{e0041}\r";

fn tool(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description, "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": true}})
}

fn serve(stream: &TcpStream, arrive: &SyncSender<()>, going: &Mutex<Receiver<()>>) {
    let mut reader = BufReader::new(stream);
    while let Some(body) = read(&mut reader) {
        let call: Value = serde_json::from_slice(&body).unwrap_or_default();
        let result = match call["method"].as_str() {
            Some("server/discover") => json!({
                "resultType": "complete", "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}}, "ttlMs": 60_000, "cacheScope": "public",
            }),
            Some("tools/list") => json!({
                "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public",
                "tools": [tool("wait", "Waits."), tool("shout", HOSTILE)],
            }),
            Some("tools/call") if call["params"]["name"] == "shout" => json!({
                "resultType": "complete", "content": [{"type": "text", "text": HOSTILE}],
                "isError": call["params"]["arguments"]["fail"] == true,
                "structuredContent": {HOSTILE: HOSTILE, "list": [{HOSTILE: HOSTILE}]},
            }),
            Some("tools/call") => {
                let _ = arrive.send(());
                let gone = going.lock().expect("no panic holds it").recv();
                if gone.is_err() {
                    return;
                }
                json!({"resultType": "complete", "content": [{"type": "text", "text": "waited"}]})
            }
            _ => json!({}),
        };
        let reply = json!({"jsonrpc": "2.0", "id": call["id"], "result": result}).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            reply.len()
        );
        let mut stream = stream;
        if stream.write_all((head + &reply).as_bytes()).is_err() {
            return;
        }
    }
}

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
