//! The Merkle tree over one chain, read and kept by tiles.
//!
//! # Invariants
//!
//! * Whatever tiles say, a node of the tree can be computed from entries; what lacks a
//!   tile costs the reading of what is below it.
//! * Tiles are checked where they are used: by the root that follows from them, and as
//!   a whole when a node begins to seal a chain ([`mend`]).

use std::collections::{BTreeMap, HashMap};

use airside_base::TenantId;

use crate::{
    entry::Hash,
    error::ReadError,
    failpoint::{self, Point},
    merkle::{self, Frontier, Range},
    store::{MAX_HASHES, Store, StoreError, TILE_HASHES, Tile},
};

/// Height of one level: 2^8 hashes below each.
const HEIGHT: u32 = 8;
const WIDTH: u64 = TILE_HASHES as u64;
/// The highest level: a tree of 2^63 leaves has no more.
const TOP: u8 = 7;
/// Tiles that are kept in memory before they are stored.
const WAITING: usize = 64;

/// Reads nodes of the tree of one chain.
pub(crate) struct Tree<'a> {
    store: &'a dyn Store,
    tenant: &'a TenantId,
    /// Whether tiles are read.
    tiles: bool,
    seen: HashMap<(u8, u64), Vec<Hash>>,
}

impl<'a> Tree<'a> {
    /// Returns the tree as tiles and entries tell it.
    pub(crate) fn new(store: &'a dyn Store, tenant: &'a TenantId) -> Self {
        Self {
            store,
            tenant,
            tiles: true,
            seen: HashMap::new(),
        }
    }

    /// Returns the tree as entries alone tell it, which have to be read for it.
    pub(crate) fn of_entries(store: &'a dyn Store, tenant: &'a TenantId) -> Self {
        Self {
            tiles: false,
            ..Self::new(store, tenant)
        }
    }

    /// Returns the roots over `ranges`, each of which begins where a subtree of its
    /// size may begin; `None` if the chain is shorter.
    pub(crate) async fn roots(&mut self, ranges: &[Range]) -> Result<Option<Vec<Hash>>, ReadError> {
        let mut roots = Vec::with_capacity(ranges.len());
        for (from, to) in ranges {
            let (mut at, size) = (*from, to - from);
            let mut peaks = Vec::new();
            for height in (0..u64::BITS).rev().filter(|h| size >> h & 1 == 1) {
                let Some(peak) = self.node(height, at >> height).await? else {
                    return Ok(None);
                };
                peaks.push(peak);
                at += 1 << height;
            }
            let edge = Frontier::from_peaks(size, peaks);
            roots.push(edge.expect("a peak for each set bit").root());
        }
        Ok(Some(roots))
    }

    /// Returns the root of the full subtree `number` of this height.
    async fn node(&mut self, height: u32, number: u64) -> Result<Option<Hash>, ReadError> {
        let level = u8::try_from(height / HEIGHT).unwrap_or(TOP);
        let part = height % HEIGHT;
        let first = number << part;
        let begin = usize::try_from(first % WIDTH).expect("below 256");
        let end = begin + (1 << part);
        let place = (level, first / WIDTH);
        if self.seen.get(&place).is_none_or(|seen| seen.len() < end) {
            let Some(read) = self.read(level, first / WIDTH, end).await? else {
                return Ok(None);
            };
            self.seen.insert(place, read);
        }
        Ok(Some(merkle::root(&self.seen[&place][begin..end])))
    }

    /// Returns at least `needed` hashes of one tile.
    async fn read(
        &self,
        level: u8,
        number: u64,
        needed: usize,
    ) -> Result<Option<Vec<Hash>>, ReadError> {
        if level == 0 {
            return self.leaves(number, needed).await;
        }
        let tenant = self.tenant.clone();
        let mut hashes = match self.tiles {
            true => self.store.tile(tenant, level, number).await?,
            false => None,
        }
        .unwrap_or_default();
        while hashes.len() < needed {
            let size = 1 << (HEIGHT * u32::from(level));
            let from = (number * WIDTH + hashes.len() as u64) * size;
            let mut subtree = Frontier::default();
            let mut push = |leaf| subtree.push(leaf);
            if !leaves(self.store, self.tenant, (from, from + size), &mut push).await? {
                return Ok(None);
            }
            hashes.push(subtree.root());
        }
        Ok(Some(hashes))
    }

    async fn leaves(&self, number: u64, needed: usize) -> Result<Option<Vec<Hash>>, ReadError> {
        let from = number * WIDTH;
        let mut found = Vec::with_capacity(TILE_HASHES);
        let mut push = |leaf| found.push(leaf);
        leaves(self.store, self.tenant, (from, from + WIDTH), &mut push).await?;
        Ok((found.len() >= needed).then_some(found))
    }
}

/// Gives the leaves in `range` to `push`; tells whether the chain has them all.
pub(crate) async fn leaves(
    store: &dyn Store,
    tenant: &TenantId,
    (mut from, to): Range,
    push: &mut (dyn FnMut(Hash) + Send),
) -> Result<bool, StoreError> {
    while from < to {
        let limit = usize::try_from(to - from).unwrap_or(usize::MAX);
        let hashes = store.hashes(tenant.clone(), from, limit).await?;
        if hashes.is_empty() {
            return Ok(false);
        }
        from += hashes.len() as u64;
        let leaves = hashes.iter().map(|hash| merkle::leaf(hash.as_bytes()));
        leaves.for_each(&mut *push);
    }
    Ok(true)
}

/// Collects what a growing tree completes into tiles.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    /// The last tile of each level, unless it is full.
    open: BTreeMap<u8, Tile>,
    full: Vec<Tile>,
}

impl Keeper {
    /// Returns one that continues the tiles of a tree of `size` leaves, or `None` if
    /// they are not all there.
    pub(crate) async fn behind(
        store: &dyn Store,
        tenant: &TenantId,
        size: u64,
    ) -> Result<Option<Self>, StoreError> {
        let mut this = Self::default();
        for (level, count) in levels(size) {
            let (number, length) = (count / WIDTH, (count % WIDTH) as usize);
            if length > 0 {
                let found = store.tile(tenant.clone(), level, number).await?;
                let Some(mut hashes) = found.filter(|found| found.len() >= length) else {
                    return Ok(None);
                };
                hashes.truncate(length);
                let tile = Tile {
                    level,
                    number,
                    hashes,
                };
                this.open.insert(level, tile);
            }
        }
        Ok(Some(this))
    }

    /// Takes the root of a full subtree, as [`Frontier::push_noting`] tells it.
    pub(crate) fn note(&mut self, height: u32, number: u64, root: Hash) {
        if let Some(level) = level(height) {
            let tile = self.open.entry(level).or_insert_with(|| Tile {
                level,
                number: number / WIDTH,
                hashes: Vec::new(),
            });
            tile.hashes.push(root);
            if tile.hashes.len() == TILE_HASHES {
                self.full.extend(self.open.remove(&level));
            }
        }
    }

    /// Stores full tiles when many have gathered.
    pub(crate) async fn relieve(
        &mut self,
        store: &dyn Store,
        tenant: &TenantId,
    ) -> Result<(), StoreError> {
        if self.full.len() < WAITING {
            return Ok(());
        }
        keep(store, tenant, std::mem::take(&mut self.full)).await
    }

    /// Stores all tiles.
    pub(crate) async fn finish(
        mut self,
        store: &dyn Store,
        tenant: &TenantId,
    ) -> Result<(), StoreError> {
        self.full.extend(self.open.into_values());
        if self.full.is_empty() {
            return Ok(());
        }
        keep(store, tenant, self.full).await
    }
}

async fn keep(store: &dyn Store, tenant: &TenantId, tiles: Vec<Tile>) -> Result<(), StoreError> {
    store.put_tiles(tenant.clone(), tiles).await?;
    failpoint::reach(Point::TilesKept);
    Ok(())
}

/// Returns the level whose hashes are subtrees of this height, if there is one.
pub(crate) fn level(height: u32) -> Option<u8> {
    let whole = height > 0 && height.is_multiple_of(HEIGHT);
    whole.then(|| u8::try_from(height / HEIGHT).unwrap_or(TOP))
}

/// Returns each level of a tree of `size` leaves with how many hashes it has.
pub(crate) fn levels(size: u64) -> impl Iterator<Item = (u8, u64)> {
    let count = move |level: u8| size >> (HEIGHT * u32::from(level));
    let all = (1..=TOP).map(move |level| (level, count(level)));
    all.take_while(|(_, count)| *count > 0)
}

/// Makes the tiles of the tree with this edge again unless they are complete and lead
/// to it. Reads one hash for 256 entries if they are, else every entry. Returns
/// whether they were.
pub(crate) async fn mend(
    store: &dyn Store,
    tenant: &TenantId,
    edge: &Frontier,
) -> Result<bool, StoreError> {
    if lead_to(store, tenant, edge).await? {
        return Ok(true);
    }
    let (mut frontier, mut keeper) = (Frontier::default(), Keeper::default());
    while frontier.size() < edge.size() {
        let from = frontier.size();
        let page = (from, (from + MAX_HASHES as u64).min(edge.size()));
        let mut push = |leaf| {
            frontier.push_noting(leaf, |height, number, root| {
                keeper.note(height, number, root);
            });
        };
        if !leaves(store, tenant, page, &mut push).await? {
            break;
        }
        keeper.relieve(store, tenant).await?;
    }
    keeper.finish(store, tenant).await?;
    Ok(false)
}

/// Returns whether the tiles are complete up to `edge` and lead to it.
async fn lead_to(
    store: &dyn Store,
    tenant: &TenantId,
    edge: &Frontier,
) -> Result<bool, StoreError> {
    // What the level below says of the present one.
    let mut said: Option<Vec<Hash>> = None;
    for (level, count) in levels(edge.size()) {
        let (mut frontier, mut above, mut at) = (Frontier::default(), Vec::new(), 0);
        while at < count {
            let length = WIDTH.min(count - at) as usize;
            let found = store.tile(tenant.clone(), level, at / WIDTH).await?;
            let Some(hashes) = found.filter(|found| found.len() >= length) else {
                return Ok(false);
            };
            let place = at as usize..at as usize + length;
            if said
                .as_ref()
                .is_some_and(|said| said[place] != hashes[..length])
            {
                return Ok(false);
            }
            if length == TILE_HASHES {
                above.push(merkle::root(&hashes));
            }
            if said.is_none() {
                hashes[..length]
                    .iter()
                    .for_each(|hash| frontier.push(*hash));
            }
            at += WIDTH;
        }
        // The lowest level has everything that the edge says of large subtrees.
        if said.is_none() && !edge.peaks().starts_with(frontier.peaks()) {
            return Ok(false);
        }
        said = Some(above);
    }
    Ok(true)
}
