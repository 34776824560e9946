//! The Chrome DevTools Protocol over a pipe: messages are JSON, each ended by a zero byte.
//!
//! # Invariants
//!
//! * No port is opened: nobody but this process can drive the browser.
//! * Events that are not known are passed over, so that a newer browser breaks nothing.
//! * Bounded: a message has at most [`MAX_MESSAGE`] bytes, at most [`MAX_EVENTS`] wait.

use std::{collections::VecDeque, path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
};

/// Longest message, in bytes.
const MAX_MESSAGE: u64 = 64 << 20;
/// Most events that wait to be looked at.
const MAX_EVENTS: usize = 10_000;
/// Longest wait for the answer to one command.
const ANSWER: Duration = Duration::from_secs(30);
/// Moves the pipes to where the browser wants them, and out of the way of its own output.
const PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#;

/// A browser that is driven.
#[derive(Debug)]
pub(crate) struct Cdp {
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
    events: VecDeque<Value>,
}

impl Cdp {
    /// Starts the browser with a profile in `folder`.
    pub(crate) fn launch(browser: &Path, folder: &Path, is_root: bool) -> Result<Self, String> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", PIPES])
            .arg(browser)
            .args([
                "--headless",
                "--remote-debugging-pipe",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                // What a frame of another origin may is the same in one process, and its
                // content is found without a session of its own.
                "--disable-site-isolation-trials",
                "--disable-features=IsolateSandboxedIframes,IsolateOrigins,site-per-process",
            ])
            .arg(format!("--user-data-dir={}", folder.display()));
        if is_root {
            // Chromium refuses its own sandbox to root.
            command.arg("--no-sandbox");
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let failed = |what: &str| format!("{} does not start: {what}", browser.display());
        let mut child = command
            .spawn()
            .map_err(|error| failed(&error.to_string()))?;
        let input = child.stdin.take().ok_or_else(|| failed("no pipe"))?;
        let output = child.stdout.take().ok_or_else(|| failed("no pipe"))?;
        Ok(Self {
            _child: child,
            input,
            output: BufReader::new(output),
            next: 0,
            events: VecDeque::new(),
        })
    }

    /// Sends a command whose answer nobody waits for: what it causes comes as events.
    pub(crate) async fn post(
        &mut self,
        session: &str,
        method: &str,
        params: Value,
    ) -> Result<(), String> {
        self.next += 1;
        let message = json!({
            "id": self.next, "method": method, "params": params, "sessionId": session,
        });
        self.write(&message).await
    }

    async fn write(&mut self, message: &Value) -> Result<(), String> {
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let sent = self.input.write_all(&bytes).await;
        sent.map_err(|error| format!("the browser is gone: {error}"))
    }

    /// Sends a command and returns its result. Events that come before it wait.
    pub(crate) async fn send(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        self.write(&message).await?;
        let answer = async {
            loop {
                let mut message = self.read().await?;
                if message.get("id").and_then(Value::as_u64) != Some(id) {
                    self.keep(message);
                    continue;
                }
                if let Some(error) = message.get("error") {
                    let text = error.get("message").and_then(Value::as_str);
                    return Err(format!("{method}: {}", text.unwrap_or("refused")));
                }
                return Ok(message["result"].take());
            }
        };
        let answer = tokio::time::timeout(ANSWER, answer).await;
        answer.map_err(|_| format!("{method}: the browser does not answer"))?
    }

    /// Returns the next event that waits, or that comes within `patience`.
    pub(crate) async fn event(&mut self, patience: Duration) -> Result<Option<Value>, String> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        // Only the wait for the first byte is cut short: a message is read whole.
        let ready = tokio::time::timeout(patience, self.output.fill_buf()).await;
        match ready {
            Err(_) => Ok(None),
            Ok(_) => self.read().await.map(Some),
        }
    }

    fn keep(&mut self, message: Value) {
        if message.get("method").is_some() && self.events.len() < MAX_EVENTS {
            self.events.push_back(message);
        }
    }

    async fn read(&mut self) -> Result<Value, String> {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.output).take(MAX_MESSAGE);
        let read = limited.read_until(0, &mut bytes).await;
        read.map_err(|error| format!("the browser is gone: {error}"))?;
        if bytes.pop() != Some(0) {
            return Err("the browser is gone".to_owned());
        }
        serde_json::from_slice(&bytes)
            .map_err(|error| format!("the browser said nonsense: {error}"))
    }
}
