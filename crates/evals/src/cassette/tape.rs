//! A file of recorded answers, found by what was asked.

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

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    lines,
    state::{Change, diff},
};

/// Differences that a miss names.
const MAX_SHOWN: usize = 5;
/// Misses that are compared with everything that is recorded.
const MAX_COMPARED: usize = 50;

/// One recorded answer.
#[derive(Debug, Serialize, Deserialize)]
struct Entry<R> {
    key: String,
    lane: String,
    request: Value,
    reply: R,
}

/// The part of an entry that it is found by.
#[derive(Deserialize)]
struct Keyed {
    key: String,
}

/// The part of an entry that a request is compared with.
#[derive(Deserialize)]
struct Asked {
    lane: String,
    request: Value,
}

/// A digest of a request and its lane.
type Digest = [u8; 32];

/// Why a cassette cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the cassette {} cannot be used", .path.display())]
pub struct CassetteError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// What was asked is not recorded, and how it differs from what is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missed(pub(super) String);

/// Recorded answers.
#[derive(Debug)]
pub(super) struct Tape {
    path: PathBuf,
    /// Where the answers to a request stand, in the order in which they were given.
    places: Mutex<HashMap<Digest, VecDeque<u64>>>,
    missed: AtomicUsize,
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
    airside_base::hex(digest(&SHA256, sorted(value).to_string().as_bytes()).as_ref())
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

impl Tape {
    /// Reads where answers stand in the file at `path`.
    pub(super) fn open(path: PathBuf) -> Result<Self, CassetteError> {
        match places(&path) {
            Ok(places) => Ok(Self {
                path,
                places: Mutex::new(places),
                missed: AtomicUsize::new(0),
            }),
            Err(source) => Err(CassetteError { path, source }),
        }
    }

    /// Returns the next answer to a request in a lane.
    pub(super) fn play<R: DeserializeOwned>(
        &self,
        request: &Value,
        lane: &str,
    ) -> Result<R, Missed> {
        let place = {
            let mut places = self
                .places
                .lock()
                .expect("no panic happens while the lock is held");
            let of_key = places.get_mut(&found_by(&key(request, lane)));
            of_key.and_then(VecDeque::pop_front)
        };
        match place {
            Some(place) => self.reply(place).map_err(|error| unreadable(&error)),
            None => Err(Missed(self.miss(request, lane))),
        }
    }

    /// Reads the answer at a place.
    fn reply<R: DeserializeOwned>(&self, place: u64) -> io::Result<R> {
        let mut file = BufReader::new(File::open(&self.path)?);
        file.seek(SeekFrom::Start(place))?;
        let line = lines::next(&mut file)?.unwrap_or_default();
        let entry: Entry<R> = serde_json::from_str(&line).map_err(io::Error::other)?;
        Ok(entry.reply)
    }

    /// Returns the fewest differences from a recorded request, one in the same lane
    /// before others; none if nothing is recorded.
    fn nearest(&self, request: &Value, lane: &str) -> io::Result<Option<Vec<Change>>> {
        let mut file = BufReader::new(File::open(&self.path)?);
        let mut nearest: Option<((bool, usize), Vec<Change>)> = None;
        while let Some(line) = lines::next(&mut file)? {
            let asked: Asked = serde_json::from_str(&line).map_err(io::Error::other)?;
            let differences = diff(&asked.request, request);
            let distance = (asked.lane != lane, differences.len());
            if nearest.as_ref().is_none_or(|(least, _)| distance < *least) {
                nearest = Some((distance, differences));
            }
        }
        Ok(nearest.map(|(_, differences)| differences))
    }

    /// Says how a request differs from the nearest recorded one.
    fn miss(&self, request: &Value, lane: &str) -> String {
        if self.missed.fetch_add(1, Ordering::Relaxed) >= MAX_COMPARED {
            return format!("as {MAX_COMPARED} requests before it, which say how they differ");
        }
        let nearest = match self.nearest(request, lane) {
            Ok(Some(nearest)) => nearest,
            Ok(None) => return "nothing is recorded".to_owned(),
            Err(error) => return unreadable(&error).0,
        };
        if nearest.is_empty() {
            return "it is recorded for another trial only, or was played already".to_owned();
        }
        let places: Vec<&str> = nearest.iter().take(MAX_SHOWN).map(Change::path).collect();
        let more = nearest.len().saturating_sub(places.len());
        format!(
            "differs at {} and {more} other places from the nearest",
            places.join(", ")
        )
    }
}

fn unreadable(error: &io::Error) -> Missed {
    Missed(format!("the cassette cannot be read: {error}"))
}

fn places(path: &Path) -> io::Result<HashMap<Digest, VecDeque<u64>>> {
    let mut file = BufReader::new(File::open(path)?);
    let mut places: HashMap<Digest, VecDeque<u64>> = HashMap::new();
    let mut place = 0;
    while let Some(line) = lines::next(&mut file)? {
        let entry: Keyed = serde_json::from_str(&line).map_err(io::Error::other)?;
        places
            .entry(found_by(&entry.key))
            .or_default()
            .push_back(place);
        place = file.stream_position()?;
    }
    Ok(places)
}

/// A file that answers are added to.
#[derive(Debug)]
pub(super) struct Writer(Mutex<File>);

impl Writer {
    /// Opens the file of this name in `folder`, which is made.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, CassetteError> {
        let path = folder.join(name);
        let open = || {
            std::fs::create_dir_all(folder)?;
            std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(&path)
        };
        match open() {
            Ok(file) => Ok(Self(Mutex::new(file))),
            Err(source) => Err(CassetteError { path, source }),
        }
    }

    /// Adds an answer.
    pub(super) fn write<R: Serialize>(
        &self,
        request: Value,
        lane: &str,
        reply: R,
    ) -> io::Result<()> {
        let entry = Entry {
            key: key(&request, lane),
            lane: lane.to_owned(),
            request,
            reply,
        };
        let mut line = serde_json::to_vec(&entry).map_err(io::Error::other)?;
        line.push(b'\n');
        let mut file = self
            .0
            .lock()
            .expect("no panic happens while the lock is held");
        file.write_all(&line)
    }
}
