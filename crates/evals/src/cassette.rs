//! Recordings of what models answered, played back without them.
//!
//! # Invariants
//!
//! * A recording is found by the digest of the request in its canonical form: model,
//!   messages, definitions of tools, parameters, and the trial. Ids of calls, which
//!   providers draw, are numbered.
//! * Playing back opens no connection. A request that was not recorded is an error that
//!   says how it differs from the nearest one that was.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::Mutex,
};

use airside_base::BoxFuture;
use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    lines,
    model::{Message, Model, ModelError, Reply, Request},
    state::diff,
};

/// Name of the file of a cassette within its folder.
const FILE: &str = "cassette.jsonl";
/// Differences that a miss names.
const MAX_SHOWN: usize = 5;

/// One recorded answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    key: String,
    lane: String,
    request: Value,
    reply: Reply,
}

/// Plays recorded answers back.
#[derive(Debug)]
pub struct Player {
    replies: Mutex<HashMap<String, VecDeque<Reply>>>,
    requests: Vec<Value>,
}

/// Records what a model answers.
pub struct Recorder<M> {
    model: M,
    file: Mutex<std::fs::File>,
}

impl<M> std::fmt::Debug for Recorder<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Recorder")
    }
}

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the cassette {} cannot be used", .path.display())]
pub struct CassetteError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
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

/// The digest of a JSON value, whatever the order of its members.
pub(crate) fn fingerprint(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let members: BTreeMap<&String, Value> = members
                    .iter()
                    .map(|(name, value)| (name, sorted(value)))
                    .collect();
                json!(members)
            }
            Value::Array(all) => all.iter().map(sorted).collect(),
            other => other.clone(),
        }
    }
    let text = sorted(value).to_string();
    let digest = digest(&SHA256, text.as_bytes());
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn key(request: &Value, lane: &str) -> String {
    fingerprint(&json!([request, lane]))
}

impl Player {
    /// Reads the recordings in `folder`.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn open(folder: &Path) -> Result<Self, CassetteError> {
        let path = folder.join(FILE);
        let failed = |source| CassetteError {
            path: path.clone(),
            source,
        };
        let file = std::fs::File::open(&path).map_err(failed)?;
        let mut replies: HashMap<String, VecDeque<Reply>> = HashMap::new();
        let mut requests = Vec::new();
        let mut file = io::BufReader::new(file);
        while let Some(line) = lines::next(&mut file).map_err(failed)? {
            let entry: Entry =
                serde_json::from_str(&line).map_err(|error| failed(io::Error::other(error)))?;
            replies.entry(entry.key).or_default().push_back(entry.reply);
            requests.push(entry.request);
        }
        Ok(Self {
            replies: Mutex::new(replies),
            requests,
        })
    }

    /// Says how a request differs from the nearest recorded one.
    fn miss(&self, request: &Value) -> String {
        let differences = self.requests.iter().map(|recorded| diff(recorded, request));
        let Some(nearest) = differences.min_by_key(Vec::len) else {
            return "nothing is recorded".to_owned();
        };
        if nearest.is_empty() {
            return "it is recorded for another trial only, or was played already".to_owned();
        }
        let places: Vec<&str> = nearest
            .iter()
            .take(MAX_SHOWN)
            .map(crate::state::Change::path)
            .collect();
        let more = nearest.len().saturating_sub(places.len());
        format!(
            "differs at {} and {more} other places from the nearest",
            places.join(", ")
        )
    }
}

impl Model for Player {
    fn complete<'a>(
        &'a self,
        request: &'a Request,
        lane: &'a str,
    ) -> BoxFuture<'a, Result<Reply, ModelError>> {
        Box::pin(async move {
            let request = canonical(request);
            let key = key(&request, lane);
            let reply = {
                let mut replies = self
                    .replies
                    .lock()
                    .expect("no panic happens while the lock is held");
                replies.get_mut(&key).and_then(VecDeque::pop_front)
            };
            reply.ok_or_else(|| ModelError::NotRecorded(self.miss(&request)))
        })
    }
}

impl<M> Recorder<M> {
    /// Records what `model` answers into `folder`, behind what is there already.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written.
    pub fn new(model: M, folder: &Path) -> Result<Self, CassetteError> {
        let path = folder.join(FILE);
        let open = || -> io::Result<std::fs::File> {
            std::fs::create_dir_all(folder)?;
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
        };
        let file = open().map_err(|source| CassetteError {
            path: path.clone(),
            source,
        })?;
        Ok(Self {
            model,
            file: Mutex::new(file),
        })
    }
}

impl<M: Model> Model for Recorder<M> {
    fn complete<'a>(
        &'a self,
        request: &'a Request,
        lane: &'a str,
    ) -> BoxFuture<'a, Result<Reply, ModelError>> {
        Box::pin(async move {
            let reply = self.model.complete(request, lane).await?;
            let request = canonical(request);
            let entry = Entry {
                key: key(&request, lane),
                lane: lane.to_owned(),
                request,
                reply: reply.clone(),
            };
            let line = serde_json::to_string(&entry);
            let written = line.map_err(io::Error::other).and_then(|line| {
                let mut file = self
                    .file
                    .lock()
                    .expect("no panic happens while the lock is held");
                writeln!(file, "{line}")
            });
            written.map_err(|error| {
                ModelError::Provider(format!("the answer cannot be recorded: {error}"))
            })?;
            Ok(reply)
        })
    }
}
