//! Recomputes chains.

use std::{collections::BTreeMap, fmt};

use airside_base::{TenantId, Timestamp};
use serde::Serialize;

use crate::{
    encoding::entry_hash,
    entry::{Entry, Hash, Head, check_object},
    error::VerifyError,
    merkle::{self, Frontier},
    seal::{self, Seal, Seals},
    store::{MAX_READ, Query, Store, StoreError, TILE_HASHES, Tip},
    table::Schema as _,
    tiles,
};

/// How far a verification has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Entries checked.
    pub done: u64,
    /// Entries to check.
    pub total: u64,
}

/// What a verification has covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Entries checked.
    pub entries: u64,
    /// The checked head of each chain, to be kept elsewhere and compared later.
    pub heads: Vec<(TenantId, Head)>,
}

/// The first entry that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("entry {seq} of `{tenant}`: {wrong}")]
pub struct Defect {
    /// Whose chain.
    pub tenant: TenantId,
    /// Which entry.
    pub seq: u64,
    /// What is wrong with it.
    pub wrong: Wrong,
}

/// What is wrong with an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wrong {
    /// It is missing.
    Missing,
    /// It does not name the hash of the entry in front of it.
    Prev,
    /// Its content does not have the hash that is stored with it.
    Hash,
    /// It is older than the entry in front of it.
    Time,
    /// It cannot be what was written.
    Encoding(String),
    /// The chain does not end with it as recorded.
    Head,
    /// The chain up to it is not what its seal covers, or the seal is damaged.
    Seal,
    /// The tile of the chain's tree that covers it has another hash.
    Tile {
        /// The tile's level.
        level: u8,
        /// The tile's place in its level.
        number: u64,
    },
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it is missing"),
            Self::Prev => f.write_str("it does not name the hash of the entry in front of it"),
            Self::Hash => f.write_str("its content does not have its hash"),
            Self::Time => f.write_str("it is older than the entry in front of it"),
            Self::Encoding(what) => write!(f, "it is malformed: {what}"),
            Self::Head => f.write_str("the chain does not end with it as recorded"),
            Self::Seal => f.write_str("the chain up to it is not what its last seal says"),
            Self::Tile { level, number } => write!(
                f,
                "tile {number} of level {level} has another hash for what ends with it; \
                 entries are intact up to here, and a node makes the tile again when it starts"
            ),
        }
    }
}

pub(crate) async fn verify(
    store: &dyn Store,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Verified, VerifyError> {
    let chains = match store.chains().await {
        Ok(chains) => chains,
        Err(StoreError::Corrupt { tenant, seq, .. }) => {
            // The end of this chain is wrong; an entry in front may be the reason.
            let tip = Tip::default();
            let mut chain = Chain::new(store, &tenant, tip);
            chain.run(&mut |_| {}).await?;
            let wrong = Wrong::Head;
            return Err(VerifyError::Defect(Defect { tenant, seq, wrong }));
        }
        Err(error) => return Err(VerifyError::Store(error)),
    };
    let total = chains.iter().map(|(_, tip)| tip.head.seq).sum();
    let mut done = 0;
    let mut heads = Vec::with_capacity(chains.len());
    for (tenant, tip) in chains {
        let mut chain = Chain::new(store, &tenant, tip);
        chain
            .run(&mut |checked| {
                done += checked;
                progress(Progress { done, total });
            })
            .await?;
        heads.push((tenant, tip.head));
    }
    Ok(Verified {
        entries: done,
        heads,
    })
}

/// One chain on its way through.
struct Chain<'a> {
    store: &'a dyn Store,
    tenant: &'a TenantId,
    /// Where it has to end; with the default, wherever it does.
    tip: Tip,
    head: Head,
    time: Timestamp,
    buffer: Vec<u8>,
    tree: Frontier,
    /// Roots of subtrees that tiles have to have, as they are completed.
    full: Vec<(u8, u64, Hash)>,
    /// The present tile of each level.
    tiles: BTreeMap<u8, (u64, Vec<Hash>)>,
    seal: Option<Seal>,
}

impl<'a> Chain<'a> {
    fn new(store: &'a dyn Store, tenant: &'a TenantId, tip: Tip) -> Self {
        Self {
            store,
            tenant,
            tip,
            head: Head::default(),
            time: Timestamp::MIN,
            buffer: Vec::new(),
            tree: Frontier::default(),
            full: Vec::new(),
            tiles: BTreeMap::new(),
            seal: None,
        }
    }

    async fn find_seal(&mut self) -> Result<(), VerifyError> {
        let (table, key) = (Seals::NAME, seal::KEY.into());
        let found = self.store.find(table, self.tenant.clone(), key).await;
        if let Some(row) = found.map_err(VerifyError::Store)? {
            let seal: Result<Seal, _> = serde_json::from_slice(&row.body);
            let seal = seal.map_err(|_| self.defect(row.version, Wrong::Seal))?;
            self.seal = Some(seal);
        }
        Ok(())
    }

    async fn run(&mut self, checked: &mut (dyn FnMut(u64) + Send)) -> Result<(), VerifyError> {
        self.find_seal().await?;
        let end = match self.tip.head.seq {
            0 => u64::MAX,
            seq => seq,
        };
        let mut page = MAX_READ as u64;
        while self.head.seq < end {
            let limit = usize::try_from(page.min(end - self.head.seq)).unwrap_or(MAX_READ);
            let query = Query::new(self.tenant.clone())
                .after(self.head.seq)
                .limit(limit);
            let entries = match self.store.read(query).await {
                Ok(entries) => entries,
                Err(StoreError::Corrupt { seq, what, .. }) => {
                    // What lies in front of it is checked first.
                    let before = seq.saturating_sub(self.head.seq + 1);
                    if before == 0 || before >= page {
                        return Err(self.defect(seq, Wrong::Encoding(what)));
                    }
                    page = before;
                    continue;
                }
                Err(error) => return Err(VerifyError::Store(error)),
            };
            if entries.is_empty() {
                break;
            }
            for entry in &entries {
                self.check(entry)?;
            }
            self.check_tiles().await?;
            checked(entries.len() as u64);
            page = MAX_READ as u64;
        }
        if end == u64::MAX {
            return Ok(());
        }
        if self.head.seq < end {
            return Err(self.defect(self.head.seq + 1, Wrong::Missing));
        }
        if self.head != self.tip.head || self.time != self.tip.time {
            return Err(self.defect(end, Wrong::Head));
        }
        Ok(())
    }

    fn check(&mut self, entry: &Entry) -> Result<(), VerifyError> {
        if entry.seq != self.head.seq + 1 {
            return Err(self.defect(self.head.seq + 1, Wrong::Missing));
        }
        if entry.prev != self.head.hash {
            return Err(self.defect(entry.seq, Wrong::Prev));
        }
        if entry_hash(entry, &mut self.buffer) != entry.hash {
            return Err(self.defect(entry.seq, Wrong::Hash));
        }
        if entry.time < self.time {
            return Err(self.defect(entry.seq, Wrong::Time));
        }
        if let Err(error) = check_object(&entry.body) {
            return Err(self.defect(entry.seq, Wrong::Encoding(error.to_string())));
        }
        self.head = entry.head();
        self.time = entry.time;
        let (tree, full) = (&mut self.tree, &mut self.full);
        tree.push_noting(merkle::leaf(entry.hash.as_bytes()), |height, at, root| {
            full.extend(tiles::level(height).map(|level| (level, at, root)));
        });
        match &self.seal {
            Some(seal) if seal.size != entry.seq => Ok(()),
            Some(seal) if seal.frontier != self.tree || seal.root != self.tree.root() => {
                Err(self.defect(entry.seq, Wrong::Seal))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Compares what has been completed with the tiles that are there.
    async fn check_tiles(&mut self) -> Result<(), VerifyError> {
        for (level, at, root) in std::mem::take(&mut self.full) {
            let width = TILE_HASHES as u64;
            let (number, index) = (at / width, (at % width) as usize);
            if self
                .tiles
                .get(&level)
                .is_none_or(|(kept, _)| *kept != number)
            {
                let found = self.store.tile(self.tenant.clone(), level, number).await;
                let found = found.map_err(VerifyError::Store)?;
                let malformed = found.as_ref().is_some_and(Vec::is_empty);
                self.tiles
                    .insert(level, (number, found.unwrap_or_default()));
                if malformed {
                    return Err(self.tile_defect(level, at));
                }
            }
            let (_, kept) = &self.tiles[&level];
            // What is missing is made again; what is there has to be right.
            if kept.get(index).is_some_and(|kept| *kept != root) {
                return Err(self.tile_defect(level, at));
            }
        }
        Ok(())
    }

    fn tile_defect(&self, level: u8, at: u64) -> VerifyError {
        let number = at / TILE_HASHES as u64;
        let covers = 1_u64 << (8 * u32::from(level));
        self.defect((at + 1) * covers, Wrong::Tile { level, number })
    }

    fn defect(&self, seq: u64, wrong: Wrong) -> VerifyError {
        let tenant = self.tenant.clone();
        VerifyError::Defect(Defect { tenant, seq, wrong })
    }
}
