//! Recordings of what models answered, played back without them.
//!
//! # Invariants
//!
//! * A recording is found by the digest of the request in its canonical form: model,
//!   messages, definitions of tools, parameters, and the trial. Ids of calls, which
//!   providers draw, are numbered.
//! * What is recorded stays on disk: a player holds where each answer stands.
//! * Playing back opens no connection. A request that was not recorded is an error that
//!   says how it differs from the nearest one that was.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    fs::File,
    io::{self, BufReader, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
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

/// Misses that are compared with everything that is recorded.
const MAX_COMPARED: usize = 50;

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
    path: PathBuf,
    /// Where the answers to a request stand, in the order in which they were given.
    places: Mutex<HashMap<Digest, VecDeque<u64>>>,
    missed: AtomicUsize,
}

/// A digest of a request and its lane.
type Digest = [u8; 32];

/// The part of an entry that it is found by.
#[derive(Deserialize)]
struct Keyed {
    key: String,
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
    hex(digest(&SHA256, sorted(value).to_string().as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(request: &Value, lane: &str) -> String {
    fingerprint(&json!([request, lane]))
}

/// What a key is found by: keys of a file may be any text.
fn found_by(key: &str) -> Digest {
    let mut found_by = Digest::default();
    found_by.copy_from_slice(digest(&SHA256, key.as_bytes()).as_ref());
    found_by
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
        let mut file = BufReader::new(File::open(&path).map_err(failed)?);
        let mut places: HashMap<Digest, VecDeque<u64>> = HashMap::new();
        let mut place = 0;
        while let Some(line) = lines::next(&mut file).map_err(failed)? {
            let entry: Keyed =
                serde_json::from_str(&line).map_err(|error| failed(io::Error::other(error)))?;
            let of_key = places.entry(found_by(&entry.key)).or_default();
            of_key.push_back(place);
            place = file.stream_position().map_err(failed)?;
        }
        Ok(Self {
            path,
            places: Mutex::new(places),
            missed: AtomicUsize::new(0),
        })
    }

    /// Reads the answer at a place.
    fn reply(&self, place: u64) -> io::Result<Reply> {
        let mut file = BufReader::new(File::open(&self.path)?);
        file.seek(SeekFrom::Start(place))?;
        let line = lines::next(&mut file)?.unwrap_or_default();
        let entry: Entry = serde_json::from_str(&line).map_err(io::Error::other)?;
        Ok(entry.reply)
    }

    /// Returns the fewest differences from a recorded request; none if nothing is
    /// recorded.
    fn nearest(&self, request: &Value) -> io::Result<Option<Vec<crate::state::Change>>> {
        let mut file = BufReader::new(File::open(&self.path)?);
        let mut nearest: Option<Vec<_>> = None;
        while let Some(line) = lines::next(&mut file)? {
            let entry: Entry = serde_json::from_str(&line).map_err(io::Error::other)?;
            let differences = diff(&entry.request, request);
            let fewest = nearest.as_ref().map_or(usize::MAX, Vec::len);
            if differences.len() < fewest {
                nearest = Some(differences);
            }
        }
        Ok(nearest)
    }

    /// Says how a request differs from the nearest recorded one.
    fn miss(&self, request: &Value) -> String {
        if self.missed.fetch_add(1, Ordering::Relaxed) >= MAX_COMPARED {
            return format!("as {MAX_COMPARED} requests before it, which say how they differ");
        }
        let nearest = match self.nearest(request) {
            Ok(Some(nearest)) => nearest,
            Ok(None) => return "nothing is recorded".to_owned(),
            Err(error) => return format!("and the cassette cannot be read: {error}"),
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
            let place = {
                let mut places = self
                    .places
                    .lock()
                    .expect("no panic happens while the lock is held");
                places
                    .get_mut(&found_by(&key))
                    .and_then(VecDeque::pop_front)
            };
            match place {
                Some(place) => self.reply(place).map_err(|error| {
                    ModelError::NotRecorded(format!("the cassette cannot be read: {error}"))
                }),
                None => Err(ModelError::NotRecorded(self.miss(&request))),
            }
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
