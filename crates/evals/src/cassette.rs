//! Recordings of what models and tools answered, played back without them.
//!
//! # Invariants
//!
//! * A recording is found by the digest of the request in its canonical form: model,
//!   messages, definitions of tools, parameters, and the trial; of a tool, what was asked
//!   of it in the trial. Ids of calls, which providers draw, are numbered.
//! * What is recorded stays on disk: a player holds where each answer stands.
//! * Playing back opens no connection. A request that was not recorded is an error that
//!   says how it differs from the nearest one that was.

mod stage;
mod tape;

use std::{collections::BTreeMap, fs::File, io, path::Path, sync::Arc};

use airside_base::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub(crate) use self::tape::fingerprint;
use self::tape::{Missed, Tape, Writer};
pub use self::{
    stage::{Played, RecordedStage},
    tape::CassetteError,
};
use crate::model::{Api, Message, Model, ModelError, Reply, Request};

/// Name of the file with the answers of models.
const MODEL: &str = "cassette.jsonl";
/// Name of the file that says who was recorded.
const ABOUT: &str = "about.json";
/// Largest file that says who was recorded, in bytes.
const MAX_ABOUT: u64 = 1 << 20;

/// Who was recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Name of the model.
    pub model: String,
    /// Its wire format.
    pub api: Api,
    /// Its sampling parameters.
    pub params: Map<String, Value>,
}

impl About {
    /// Writes who is recorded in `folder`, which is made.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<(), CassetteError> {
        let path = folder.join(ABOUT);
        let write = || {
            std::fs::create_dir_all(folder)?;
            let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
            std::fs::write(&path, text)
        };
        write().map_err(|source| CassetteError { path, source })
    }

    /// Reads who was recorded in `folder`; none if it does not say.
    ///
    /// # Errors
    ///
    /// When it says so and cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, CassetteError> {
        use io::Read as _;
        let path = folder.join(ABOUT);
        let read = || {
            let file = match File::open(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                file => file?,
            };
            let mut text = Vec::new();
            file.take(MAX_ABOUT).read_to_end(&mut text)?;
            serde_json::from_slice(&text)
                .map(Some)
                .map_err(io::Error::other)
        };
        read().map_err(|source| CassetteError { path, source })
    }
}

/// The form of a request that recordings are found by.
fn canonical(request: &Request) -> Value {
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    let mut number = |id: &str| {
        let next = ids.len();
        *ids.entry(id.to_owned()).or_insert(next)
    };
    let messages: Vec<Value> = request
        .messages
        .iter()
        .map(|message| match message {
            Message::User(text) => json!({ "user": text }),
            Message::Model { text, calls } => {
                let calls: Vec<Value> = calls
                    .iter()
                    .map(|call| json!({ "id": number(&call.id), "name": call.name, "arguments": call.arguments }))
                    .collect();
                json!({ "model": text, "calls": calls })
            }
            Message::Results(results) => {
                let results: Vec<Value> = results
                    .iter()
                    .map(|result| json!({ "id": number(&result.id), "text": result.text, "is_error": result.is_error }))
                    .collect();
                json!({ "results": results })
            }
        })
        .collect();
    let tools: Vec<&Value> = request
        .tools
        .iter()
        .map(crate::tool::Tool::definition)
        .collect();
    json!({
        "model": request.model,
        "system": request.system,
        "messages": messages,
        "tools": tools,
        "params": request.params,
    })
}

/// Plays recorded answers of models back.
#[derive(Debug)]
pub struct Player(Tape);

impl Player {
    /// Reads the recordings in `folder`.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn open(folder: &Path) -> Result<Self, CassetteError> {
        Tape::open(folder.join(MODEL)).map(Self)
    }
}

impl Model for Player {
    fn complete<'a>(
        &'a self,
        request: &'a Request,
        lane: &'a str,
    ) -> BoxFuture<'a, Result<Reply, ModelError>> {
        Box::pin(async move {
            let played = self.0.play(&canonical(request), lane);
            played.map_err(|Missed(why)| ModelError::NotRecorded(why))
        })
    }
}

/// Records what models answer.
#[derive(Debug)]
pub struct Recorder(Arc<Writer>);

impl Recorder {
    /// Records into `folder`, behind what is there already.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn new(folder: &Path) -> Result<Self, CassetteError> {
        let writer = Writer::open(folder, MODEL)?;
        Ok(Self(Arc::new(writer)))
    }

    /// Returns `model`, whose answers are recorded.
    #[must_use]
    pub fn of(&self, model: Box<dyn Model>) -> Box<dyn Model> {
        let writer = self.0.clone();
        Box::new(Recorded { model, writer })
    }
}

/// A model whose answers are recorded.
struct Recorded {
    model: Box<dyn Model>,
    writer: Arc<Writer>,
}

impl Model for Recorded {
    fn complete<'a>(
        &'a self,
        request: &'a Request,
        lane: &'a str,
    ) -> BoxFuture<'a, Result<Reply, ModelError>> {
        Box::pin(async move {
            let reply = self.model.complete(request, lane).await?;
            let written = self.writer.write(canonical(request), lane, &reply);
            written.map_err(|error| {
                ModelError::Provider(format!("the answer cannot be recorded: {error}"))
            })?;
            Ok(reply)
        })
    }
}

#[cfg(test)]
mod tests;
