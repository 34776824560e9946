//! What the chain has made of the hotels, kept in a file so that a start need not read
//! all of it.
//!
//! # Invariants
//!
//! * A snapshot is only a short cut. One that is missing, damaged, of another world or
//!   of a chain that is not the ledger's is ignored, and the chain is read from its
//!   beginning.
//! * It holds every entry up to the one it names, and nothing that is not durable.
//! * A file is replaced as a whole: the next start finds the old one or the new one.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use airside_ledger::{Head, Query, ReadError};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use super::{
    Office,
    block::{Block, Packed},
    fed::Fed,
};
use crate::{night::Day, property::Property};

/// Layout of the file; another one is ignored.
const VERSION: u32 = 1;
/// Most bytes that are read: above what all hotels of the largest world could take.
const MAX_BYTES: u64 = 16 << 30;
/// Pause before a hotel is looked at again that has something under way.
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    world: u64,
    seq: u64,
    hash: String,
}

/// How a hotel differs from what the seed gives.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Hotel(Box<Saved>),
    /// The last line: how many hotels there are.
    End {
        hotels: usize,
    },
}

#[derive(Serialize, Deserialize)]
struct Saved {
    hotel: String,
    first: i64,
    applied: u64,
    rates: Vec<(u32, u32)>,
    taken: Vec<(u32, i16)>,
    rules: Vec<(u32, Packed)>,
    fed: Option<Box<Fed>>,
}

/// Why a snapshot was not written or is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot use the file")]
    File(#[from] io::Error),
    #[error("a line cannot be read or written")]
    Line(#[from] serde_json::Error),
    #[error("it is of another version, world or chain")]
    Other,
    #[error("it does not end as it should")]
    Cut,
    #[error("cannot compare it with the ledger")]
    Ledger(#[from] ReadError),
}

fn different<T: Copy + PartialEq>(now: &[T], seeded: &[T]) -> Vec<(u32, T)> {
    let cells = now.iter().zip(seeded).enumerate();
    let changed = cells.filter(|(_, (now, seeded))| now != seeded);
    changed.map(|(at, (now, _))| (at as u32, *now)).collect()
}

fn put<T: Copy>(cells: &mut [T], changed: &[(u32, T)]) -> Result<(), Error> {
    for (at, value) in changed {
        *cells.get_mut(*at as usize).ok_or(Error::Other)? = *value;
    }
    Ok(())
}

fn seeded(office: &Office, property: &Property, first: i64) -> Block {
    let (world, atlas) = office.hotels.source();
    let end = first.saturating_add(world.size().nights() as i64);
    let days: Vec<_> = (first..end).map(Day::numbered).collect();
    Block::build(world, atlas, property.clone(), &days)
}

impl Saved {
    fn of(office: &Office, block: &Block) -> Self {
        let seeded = seeded(office, &block.property, block.first);
        Self {
            hotel: block.property.code(),
            first: block.first,
            applied: block.applied,
            rates: different(&block.rates, &seeded.rates),
            taken: different(&block.taken, &seeded.taken),
            rules: different(&block.rules, &seeded.rules),
            fed: block.fed.clone(),
        }
    }

    fn restore(self, office: &Office) -> Result<(), Error> {
        let property = office.hotels.find(&self.hotel).ok_or(Error::Other)?;
        // Days of another century would be a very long loop.
        if !(0..1_000_000).contains(&self.first) {
            return Err(Error::Other);
        }
        let mut block = seeded(office, &property, self.first);
        put(&mut block.rates, &self.rates)?;
        put(&mut block.taken, &self.taken)?;
        put(&mut block.rules, &self.rules)?;
        let kept = block.rules.len();
        if !self.fed.as_ref().is_none_or(|fed| fed.is_of(kept)) {
            return Err(Error::Other);
        }
        block.fed = self.fed;
        block.applied = self.applied;
        super::log::with_block(office, &property, |now| *now = block);
        Ok(())
    }
}

/// Writes what `head` and the entries in front of it have made of the hotels. Blocks.
pub(super) fn write(office: &Office, path: &Path, head: Head) -> Result<usize, Error> {
    let draft = path.with_extension("new");
    let mut out = GzEncoder::new(File::create(&draft)?, Compression::fast());
    let header = Header {
        version: VERSION,
        world: office.hotels.world().edition(),
        seq: head.seq,
        hash: head.hash.to_string(),
    };
    line(&mut out, &header)?;
    let mut hotels = 0;
    for shelf in office.hotels.shelves().pinned() {
        for index in 0..shelf.len() {
            let Some(saved) = still(office, &shelf, index) else {
                continue;
            };
            line(&mut out, &Line::Hotel(Box::new(saved)))?;
            hotels += 1;
        }
    }
    line(&mut out, &Line::End { hotels })?;
    out.finish()?.sync_all()?;
    std::fs::rename(&draft, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(hotels)
}

/// Returns one hotel at a moment at which nothing of it is under way, if the chain has
/// changed it at all.
fn still(office: &Office, shelf: &Arc<super::Shelf>, index: usize) -> Option<Saved> {
    loop {
        {
            let block = shelf.read(index, office.hotels.source(), i64::MIN)?;
            if block.applied == 0 {
                return None;
            }
            if block.pending == 0 {
                return Some(Saved::of(office, &block));
            }
        }
        std::thread::park_timeout(PAUSE);
    }
}

fn line(out: &mut impl io::Write, content: &impl Serialize) -> Result<(), Error> {
    serde_json::to_writer(&mut *out, content)?;
    Ok(out.write_all(b"\n")?)
}

/// Puts the hotels into memory as the snapshot has them; returns the entry that it
/// reaches to.
pub(super) async fn load(office: &Office, path: &Path) -> Result<u64, Error> {
    let file = GzDecoder::new(File::open(path)?).take(MAX_BYTES);
    let mut lines = BufReader::with_capacity(1 << 20, file).lines();
    let mut next = || lines.next().ok_or(Error::Cut)?.map_err(Error::from);
    let header: Header = serde_json::from_str(&next()?)?;
    if header.version != VERSION || header.world != office.hotels.world().edition() {
        return Err(Error::Other);
    }
    let before = Query::new(office.chain.clone()).after(header.seq.saturating_sub(1));
    let entries = office.ledger.read(before.limit(1)).await?;
    let same = entries.first().map(|entry| entry.head());
    if !same.is_some_and(|head| head.seq == header.seq && head.hash.to_string() == header.hash) {
        return Err(Error::Other);
    }
    // All of it is read before any of it is used.
    let mut all = Vec::new();
    loop {
        match serde_json::from_str(&next()?)? {
            Line::Hotel(saved) => all.push(saved),
            Line::End { hotels } if hotels == all.len() => break,
            Line::End { .. } => return Err(Error::Cut),
        }
    }
    let hotels = all.len();
    for saved in all {
        saved.restore(office)?;
    }
    tracing::info!(
        hotels,
        seq = header.seq,
        "the inventory begins with its snapshot"
    );
    Ok(header.seq)
}

/// Where a snapshot is kept, and how much has been sold since the last.
#[derive(Debug)]
pub(super) struct Keeper {
    path: PathBuf,
    since: u64,
}

/// Entries after which a snapshot is written: read in well under a second.
const EVERY: u64 = 10_000;

impl Keeper {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, since: 0 }
    }

    /// Notes that entries have come; returns where to write if it is time to.
    pub(super) fn is_due(&mut self, entries: usize) -> Option<PathBuf> {
        self.since += entries as u64;
        (self.since >= EVERY).then(|| {
            self.since = 0;
            self.path.clone()
        })
    }
}
