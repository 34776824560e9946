//! One run of the child process: its pipes, the requests in flight, its end.

use std::{
    collections::HashMap,
    process::{ExitStatus, Stdio as Pipe},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use airside_base::Clock;
use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::{Notify, mpsc, watch},
    time::timeout,
};

use super::{
    Options, State,
    message::{self, Line},
    session,
    silence::Silence,
};
use crate::Error;

/// Lines that wait to be written. Callers wait when it is full.
const WRITE_QUEUE: usize = 256;
/// Messages that wait for the reader of one answer; one place is kept for the answer.
const READ_QUEUE: usize = 64;
/// Open streams of news.
const MAX_LISTENERS: usize = 1024;
/// Part of standard error that is logged: lines of one run, characters of one line.
const LOGGED_LINES: usize = 200;
const LOGGED_CHARS: usize = 500;
/// First and longest pause before the process is started again, and how long it must
/// have run for the pause to be the first again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const SETTLED: Duration = Duration::from_secs(60);
/// Time the process gets to end by itself after its input was closed, and again
/// after it was told to.
const GRACE: Duration = Duration::from_secs(2);

/// The revision family that the process speaks.
pub(super) enum Era {
    /// Stateless. Holds the text of `supportedVersions`.
    Modern { supported: String },
    /// With a handshake, which we have done once for all callers. Holds the text of
    /// the result and the revision agreed on.
    Legacy { greeting: String, revision: String },
}

/// What comes back for one request.
pub(super) enum Message {
    Note(Bytes),
    Answer(Bytes),
}

struct Pending {
    own_id: String,
    own_token: Option<String>,
    /// The handshake-era session it belongs to, for its cancellation.
    scope: Option<String>,
    messages: mpsc::Sender<Message>,
}

/// A process that runs.
pub(super) struct Live {
    lines: mpsc::Sender<Bytes>,
    /// None once the process has ended.
    pending: Mutex<Option<HashMap<u64, Pending>>>,
    next: AtomicU64,
    listeners: Mutex<Vec<mpsc::Sender<Bytes>>>,
    era: OnceLock<Era>,
    clock: Arc<dyn Clock>,
    silence: Mutex<Silence>,
    /// Told when the process has said nothing for too long.
    wedged: Notify,
    /// Lines that were no messages.
    noise: AtomicU64,
}

/// One request in flight. Dropping it cancels the request.
pub(super) struct Flight {
    live: Arc<Live>,
    id: u64,
    /// On [`Clock::monotonic`].
    began: Duration,
    messages: mpsc::Receiver<Message>,
}

impl Flight {
    /// Returns the next message; none when the process has ended or the answer was
    /// given or could not be kept up with.
    pub(super) async fn next(&mut self) -> Option<Message> {
        self.messages.recv().await
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if self.live.forget(self.id) {
            self.live.given_up(self.began);
            let line = format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{}}}}}\n",
                self.id
            );
            // A full queue means that the process does not read: the answer, should
            // it ever come, is then dropped on arrival.
            let _ = self.live.lines.try_send(Bytes::from(line));
        }
    }
}

impl Live {
    fn new(lines: mpsc::Sender<Bytes>, clock: Arc<dyn Clock>) -> Self {
        Self {
            lines,
            pending: Mutex::new(Some(HashMap::new())),
            next: AtomicU64::new(1),
            listeners: Mutex::new(Vec::new()),
            era: OnceLock::new(),
            clock,
            silence: Mutex::default(),
            wedged: Notify::new(),
            noise: AtomicU64::new(0),
        }
    }

    /// Returns what the process speaks.
    pub(super) fn era(&self) -> &Era {
        self.era
            .get()
            .expect("a process is ready only after its greeting")
    }

    /// Sends the request `text` of a caller.
    pub(super) async fn submit(
        self: &Arc<Self>,
        text: &str,
        scope: Option<String>,
    ) -> Result<Flight, Error> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let out = message::outgoing(text, id).ok_or_else(|| broken("the request has no id"))?;
        let (sender, messages) = mpsc::channel(READ_QUEUE);
        let pending = Pending {
            own_id: out.own_id,
            own_token: out.own_token,
            scope,
            messages: sender,
        };
        let began = self.clock.monotonic();
        self.silence().asked(began);
        match self.requests().as_mut() {
            Some(requests) => requests.insert(id, pending),
            None => return Err(ended()),
        };
        let flight = Flight {
            live: Arc::clone(self),
            id,
            began,
            messages,
        };
        self.write(out.line).await?;
        Ok(flight)
    }

    /// Writes one line.
    pub(super) async fn write(&self, line: Bytes) -> Result<(), Error> {
        self.lines.send(line).await.map_err(|_| ended())
    }

    /// Cancels the request that `scope` knows by the raw id `own_id`.
    pub(super) fn cancel(&self, scope: Option<&str>, own_id: &str) {
        let mut requests = self.requests();
        let Some(requests) = requests.as_mut() else {
            return;
        };
        let found = (requests.iter())
            .find(|(_, call)| call.own_id == own_id && call.scope.as_deref() == scope)
            .map(|(id, _)| *id);
        if let Some(id) = found {
            requests.remove(&id);
            let line = format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id}}}}}\n"
            );
            let _ = self.lines.try_send(Bytes::from(line));
        }
    }

    /// Returns what the server says about itself from now on.
    pub(super) fn listen(&self) -> Option<mpsc::Receiver<Bytes>> {
        let (sender, receiver) = mpsc::channel(READ_QUEUE);
        let mut listeners = self.listeners.lock().expect("the lock is not poisoned");
        listeners.retain(|listener| !listener.is_closed());
        if listeners.len() >= MAX_LISTENERS || self.requests().is_none() {
            return None;
        }
        listeners.push(sender);
        Some(receiver)
    }

    /// Asks something of ours and returns the whole answer.
    async fn ask(self: &Arc<Self>, method: &str, params: &str) -> Option<String> {
        let text =
            format!("{{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"{method}\",\"params\":{params}}}");
        let mut flight = self.submit(&text, None).await.ok()?;
        loop {
            match flight.next().await? {
                Message::Note(_) => {}
                Message::Answer(bytes) => return String::from_utf8(bytes.into()).ok(),
            }
        }
    }

    /// Takes one line from the process.
    fn take(&self, line: &[u8], program: &str) {
        let classified = std::str::from_utf8(line).map(message::classify);
        if !matches!(classified, Ok(Line::Noise)) {
            self.silence().heard();
        }
        let (Ok(classified), Ok(line)) = (classified, std::str::from_utf8(line)) else {
            return self.hears_noise(line.len(), program);
        };
        match classified {
            Line::Answer { id } => self.answered(id, line),
            Line::Note { id } => self.noted(id, line),
            Line::News { method } => self.tell(&method, line),
            Line::Ask { id, method } => self.asked(&id, &method),
            Line::Noise => self.hears_noise(line.len(), program),
        }
    }

    /// Tells the log of a line that is no message: it may be an answer that is broken.
    fn hears_noise(&self, bytes: usize, program: &str) {
        let lines = self.noise.fetch_add(1, Ordering::Relaxed) + 1;
        if lines.is_power_of_two() {
            tracing::warn!(
                program,
                bytes,
                lines,
                hint = "only messages belong on standard output, logs on standard error",
                "the server's process wrote a line that is no message; it was ignored"
            );
        }
    }

    /// Takes note that a request which `began` then is not waited for any more.
    fn given_up(&self, began: Duration) {
        let is_wedged = self.silence().given_up(began, self.clock.monotonic());
        if is_wedged {
            self.wedged.notify_one();
        }
    }

    fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().expect("the lock is not poisoned")
    }

    fn answered(&self, id: u64, line: &str) {
        let Some(call) = self.requests().as_mut().and_then(|calls| calls.remove(&id)) else {
            return;
        };
        if let Some(bytes) = message::answer(line, &call.own_id) {
            // `noted` never takes the last place, so there is room.
            let _ = call.messages.try_send(Message::Answer(bytes));
        }
    }

    fn noted(&self, id: u64, line: &str) {
        let mut requests = self.requests();
        let Some(requests) = requests.as_mut() else {
            return;
        };
        let Some(call) = requests.get(&id) else {
            return;
        };
        let Some(bytes) = message::note(line, &call.own_id, call.own_token.as_deref()) else {
            return;
        };
        if call.messages.capacity() > 1 {
            let _ = call.messages.try_send(Message::Note(bytes));
        } else if call.own_token.is_none() {
            // The reader of a subscription that misses one change must not go on
            // as if it knew all: its stream ends and it subscribes anew.
            tracing::warn!("a stream that was read too slowly was ended");
            requests.remove(&id);
        }
    }

    /// News name things and carry no content of anybody's call; log messages may.
    fn tell(&self, method: &str, line: &str) {
        if !method.ends_with("/list_changed") && method != "notifications/resources/updated" {
            return;
        }
        let bytes = Bytes::copy_from_slice(line.as_bytes());
        let mut listeners = self.listeners.lock().expect("the lock is not poisoned");
        listeners.retain(|listener| listener.try_send(bytes.clone()).is_ok());
    }

    fn asked(&self, id: &str, method: &str) {
        let body = match method {
            "ping" => "\"result\":{}",
            _ => "\"error\":{\"code\":-32601,\"message\":\"this client serves no requests\"}",
        };
        let line = message::one_line(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{body}}}"));
        let _ = self.lines.try_send(line);
    }

    /// Ends everything in flight.
    fn close(&self) {
        *self.requests() = None;
        self.listeners
            .lock()
            .expect("the lock is not poisoned")
            .clear();
    }

    /// Forgets a request; returns whether it was still in flight.
    fn forget(&self, id: u64) -> bool {
        let mut requests = self.requests();
        (requests.as_mut()).is_some_and(|requests| requests.remove(&id).is_some())
    }

    fn requests(&self) -> MutexGuard<'_, Option<HashMap<u64, Pending>>> {
        self.pending.lock().expect("the lock is not poisoned")
    }
}

fn ended() -> Error {
    broken("the server's process has ended")
}

pub(super) fn broken(why: &'static str) -> Error {
    Error::Broken { source: why.into() }
}

/// How one run of the process ended.
enum End {
    Stopped,
    /// It ended, or broke the rules. `greeted`: whether it had come up.
    Over {
        greeted: bool,
    },
}

/// Starts the process again and again until `stop` resolves.
pub(super) async fn keep_running(
    options: &Options,
    clock: &Arc<dyn Clock>,
    state: &watch::Sender<State>,
    stop: impl Future<Output = ()>,
) {
    tokio::pin!(stop);
    let mut pause = FIRST_PAUSE;
    // Some handshake-era servers end at a request they do not know.
    let mut probe = true;
    loop {
        state.send_replace(State::Starting);
        let started = clock.monotonic();
        let end = run(options, probe, (clock, state), stop.as_mut()).await;
        match end {
            End::Stopped => break,
            End::Over { greeted: false } if probe => {
                probe = false;
                continue;
            }
            End::Over { greeted } => probe = !greeted || probe,
        }
        state.send_replace(State::Down);
        if clock.monotonic().saturating_sub(started) >= SETTLED {
            pause = FIRST_PAUSE;
        }
        tracing::warn!(program = %options.program, pause_ms = pause.as_millis(), "the server's process is started again after a pause");
        tokio::select! {
            () = stop.as_mut() => break,
            () = clock.sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    state.send_replace(State::Down);
}

async fn run(
    options: &Options,
    probe: bool,
    (clock, state): (&Arc<dyn Clock>, &watch::Sender<State>),
    stop: impl Future<Output = ()>,
) -> End {
    let mut child = match spawn(options) {
        Ok(child) => child,
        Err(error) => {
            tracing::error!(program = %options.program, %error, "the server's process cannot be started");
            return End::Over { greeted: true };
        }
    };
    let (lines, queue) = mpsc::channel(WRITE_QUEUE);
    let live = Arc::new(Live::new(lines, Arc::clone(clock)));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let stopped = tokio::select! {
        () = stop => true,
        () = read_lines(stdout, options.max_line_bytes, |line| live.take(line, &options.program)) => false,
        () = write_lines(stdin, queue) => false,
        () = log_stderr(stderr, &options.program) => false,
        () = greet(&live, probe, state) => false,
        () = live.wedged.notified() => {
            tracing::warn!(program = %options.program, "the server's process says nothing while requests wait; it is ended");
            false
        }
    };
    let greeted = live.era.get().is_some();
    if !stopped {
        // Nobody may start a call on a process that is being ended.
        state.send_replace(State::Starting);
    }
    live.close();
    end(child, &options.program).await;
    if stopped {
        End::Stopped
    } else {
        End::Over { greeted }
    }
}

fn spawn(options: &Options) -> std::io::Result<Child> {
    let mut command = Command::new(&options.program);
    command
        .args(&options.arguments)
        .env_clear()
        .envs(
            options
                .env
                .iter()
                .map(|(name, value)| (name, value.expose())),
        )
        .stdin(Pipe::piped())
        .stdout(Pipe::piped())
        .stderr(Pipe::piped())
        // A group of its own, so that what it starts can be ended with it.
        .process_group(0)
        .kill_on_drop(true);
    if let Some(directory) = &options.directory {
        command.current_dir(directory);
    }
    command.spawn()
}

/// Finds out what the process speaks; does not return when it can be spoken to.
async fn greet(live: &Arc<Live>, probe: bool, state: &watch::Sender<State>) {
    let Some(era) = session::greet(live, probe, |method, params| live.ask(method, params)).await
    else {
        return;
    };
    let _ = live.era.set(era);
    state.send_replace(State::Ready(Arc::clone(live)));
    std::future::pending::<()>().await;
}

/// Reads lines of at most `max` bytes until the end.
async fn read_lines(
    source: Option<impl AsyncRead + Unpin>,
    max: usize,
    mut take: impl FnMut(&[u8]),
) {
    let Some(source) = source else { return };
    let mut reader = BufReader::with_capacity(64 << 10, source);
    let mut line = Vec::new();
    loop {
        let chunk = match reader.fill_buf().await {
            Ok(chunk) if !chunk.is_empty() => chunk,
            Ok(_) | Err(_) => return,
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        if line.len() + part.len() > max {
            tracing::error!(limit = max, "the process wrote a line that is too long");
            return;
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            take(&line);
            line.clear();
            line.shrink_to(64 << 10);
        }
    }
}

async fn write_lines(sink: Option<ChildStdin>, mut queue: mpsc::Receiver<Bytes>) {
    let Some(mut sink) = sink else { return };
    while let Some(line) = queue.recv().await {
        if sink.write_all(&line).await.is_err() || sink.flush().await.is_err() {
            return;
        }
    }
}

/// Logs the beginning of what the process says on standard error; never returns,
/// since a process may close it and go on.
async fn log_stderr(source: Option<impl AsyncRead + Unpin>, program: &str) {
    let Some(source) = source else { return };
    let mut reader = BufReader::new(source);
    let (mut logged, mut line) = (0, Vec::new());
    loop {
        let chunk = match reader.fill_buf().await {
            Ok(chunk) if !chunk.is_empty() => chunk,
            Ok(_) | Err(_) => break,
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        let room = LOGGED_CHARS.saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() && logged < LOGGED_LINES {
            logged += 1;
            let text = String::from_utf8_lossy(&line);
            tracing::debug!(program, text = %text.escape_debug(), "standard error of the process");
        }
        if end.is_some() {
            line.clear();
        }
    }
    std::future::pending::<()>().await;
}

/// Ends the process and what it started. Its standard input is closed already.
async fn end(mut child: Child, program: &str) {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let mut status = timeout(GRACE, child.wait()).await;
    if status.is_err() {
        signal(group, Signal::TERM);
        status = timeout(GRACE, child.wait()).await;
    }
    // Also where the process itself has ended: its descendants may not have.
    signal(group, Signal::KILL);
    let status = match status {
        Ok(status) => status,
        Err(_) => child.wait().await,
    };
    let status = status
        .as_ref()
        .map_or_else(ToString::to_string, ExitStatus::to_string);
    tracing::info!(program, %status, "the server's process has ended");
}

fn signal(group: Option<Pid>, signal: Signal) {
    if let Some(group) = group {
        // Fails only when nothing of the group is left.
        let _ = kill_process_group(group, signal);
    }
}
