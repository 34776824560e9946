//! Tools that are recorded, and tools out of a recording.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use airside_base::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::tape::{CassetteError, Missed, Tape, Writer};
use crate::{
    agent::Toolbox,
    tool::Tool,
    toolbox::{Stage, Visit},
    trace::{Answer, Call},
    view::{Deed, Observed},
};

/// Name of the file with what tools answered.
const ANSWERS: &str = "tools.jsonl";
/// Name of the file with what the server said of itself and its tools.
const SERVER: &str = "server.json";
/// Largest file with what a server said, in bytes.
const MAX_SERVER: u64 = 64 << 20;

/// What a server said of itself.
#[derive(Serialize, Deserialize)]
struct Said {
    version: Value,
    tools: Vec<Value>,
}

/// A server whose tools are recorded.
pub struct RecordedStage {
    stage: Box<dyn Stage>,
    writer: Writer,
}

impl std::fmt::Debug for RecordedStage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordedStage")
    }
}

impl RecordedStage {
    /// Records what `stage` answers into `folder`, behind what is there already.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn new(stage: Box<dyn Stage>, folder: &Path) -> Result<Self, CassetteError> {
        let writer = Writer::open(folder, ANSWERS)?;
        let path = folder.join(SERVER);
        let said = Said {
            version: stage.version().clone(),
            tools: stage
                .tools()
                .iter()
                .map(Tool::definition)
                .cloned()
                .collect(),
        };
        let text = serde_json::to_vec(&said).map_err(io::Error::other);
        let written = text.and_then(|text| std::fs::write(&path, text));
        written.map_err(|source| CassetteError { path, source })?;
        Ok(Self { stage, writer })
    }
}

impl Stage for RecordedStage {
    fn tools(&self) -> &[Tool] {
        self.stage.tools()
    }

    fn version(&self) -> &Value {
        self.stage.version()
    }

    fn open<'a>(&'a self, visit: Visit<'a>) -> Box<dyn Toolbox + 'a> {
        Box::new(Recorded {
            toolbox: self.stage.open(visit),
            writer: &self.writer,
            lane: visit.lane,
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.stage.close()
    }
}

/// The tools of a conversation that are recorded.
struct Recorded<'a> {
    toolbox: Box<dyn Toolbox + 'a>,
    writer: &'a Writer,
    lane: &'a str,
}

impl Recorded<'_> {
    /// Keeps what came of a request, failures too: they are played again.
    fn keep<T: Serialize>(&self, request: Value, came: Result<T, String>) -> Result<T, String> {
        let written = self.writer.write(request, self.lane, &came);
        written.map_err(|error| format!("the answer cannot be recorded: {error}"))?;
        came
    }
}

fn calling(tool: &str, arguments: &Value) -> Value {
    json!({ "call": tool, "arguments": arguments })
}

fn agreeing(tool: &str) -> Value {
    json!({ "agree": tool })
}

fn viewing(deeds: &[Deed]) -> Value {
    json!({ "view": deeds })
}

fn resetting() -> Value {
    json!({ "reset": true })
}

fn looking() -> Value {
    json!({ "state": true })
}

impl Toolbox for Recorded<'_> {
    fn call<'a>(
        &'a self,
        words: &'a str,
        tool: &'a str,
        arguments: &'a Value,
    ) -> BoxFuture<'a, Result<Answer, String>> {
        Box::pin(async move {
            let answer = self.toolbox.call(words, tool, arguments).await;
            self.keep(calling(tool, arguments), answer)
        })
    }

    fn agree<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<Call, String>> {
        Box::pin(async move {
            let call = self.toolbox.agree(tool).await;
            self.keep(agreeing(tool), call)
        })
    }

    fn view<'a>(
        &'a self,
        deeds: &'a [Deed],
    ) -> BoxFuture<'a, Result<(Vec<Call>, Observed), String>> {
        Box::pin(async move {
            let seen = self.toolbox.view(deeds).await;
            self.keep(viewing(deeds), seen)
        })
    }

    fn reset(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            let reset = self.toolbox.reset().await;
            self.keep(resetting(), reset)
        })
    }

    fn state(&self) -> BoxFuture<'_, Result<Option<Value>, String>> {
        Box::pin(async move {
            let state = self.toolbox.state().await;
            self.keep(looking(), state)
        })
    }
}

/// A server out of a recording.
#[derive(Debug)]
pub struct Played {
    tape: Tape,
    version: Value,
    tools: Vec<Tool>,
}

impl Played {
    /// Reads the recordings in `folder`.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or hold no tools.
    pub fn open(folder: &Path) -> Result<Self, CassetteError> {
        let path = folder.join(SERVER);
        let read = || {
            let mut text = Vec::new();
            File::open(&path)?.take(MAX_SERVER).read_to_end(&mut text)?;
            serde_json::from_slice(&text).map_err(io::Error::other)
        };
        let said: Said = read().map_err(|source| CassetteError {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            tape: Tape::open(folder.join(ANSWERS))?,
            version: said.version,
            tools: said.tools.into_iter().filter_map(Tool::read).collect(),
        })
    }
}

impl Stage for Played {
    fn tools(&self) -> &[Tool] {
        &self.tools
    }

    fn version(&self) -> &Value {
        &self.version
    }

    fn open<'a>(&'a self, visit: Visit<'a>) -> Box<dyn Toolbox + 'a> {
        Box::new(PlayedTools {
            tape: &self.tape,
            lane: visit.lane,
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// The tools of a conversation out of a recording.
struct PlayedTools<'a> {
    tape: &'a Tape,
    lane: &'a str,
}

impl PlayedTools<'_> {
    fn play<'a, T: DeserializeOwned + Send + 'a>(
        &self,
        request: &Value,
    ) -> BoxFuture<'a, Result<T, String>> {
        let played = self.tape.play::<Result<T, String>>(request, self.lane);
        let came = played.unwrap_or_else(|Missed(why)| {
            Err(format!("no recording of what a tool was asked: {why}"))
        });
        Box::pin(std::future::ready(came))
    }
}

impl Toolbox for PlayedTools<'_> {
    fn call<'a>(
        &'a self,
        _words: &'a str,
        tool: &'a str,
        arguments: &'a Value,
    ) -> BoxFuture<'a, Result<Answer, String>> {
        self.play(&calling(tool, arguments))
    }

    fn agree<'a>(&'a self, tool: &'a str) -> BoxFuture<'a, Result<Call, String>> {
        self.play(&agreeing(tool))
    }

    fn view<'a>(
        &'a self,
        deeds: &'a [Deed],
    ) -> BoxFuture<'a, Result<(Vec<Call>, Observed), String>> {
        self.play(&viewing(deeds))
    }

    fn reset(&self) -> BoxFuture<'_, Result<(), String>> {
        self.play(&resetting())
    }

    fn state(&self) -> BoxFuture<'_, Result<Option<Value>, String>> {
        self.play(&looking())
    }
}
