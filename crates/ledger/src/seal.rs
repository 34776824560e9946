//! Signed checkpoints over all chains.
//!
//! A seal joins the heads of the chains that have grown since the last one: each
//! chain is a Merkle tree over the hashes of its entries, the joined tree has one
//! leaf for each chain, and its root is signed. Every chain gets an entry
//! `chain.sealed` with its part, so that a tenant can prove its own entries and
//! learns nothing of the others but their number.
//!
//! # Invariants
//!
//! * A seal covers only durable entries.
//! * One node seals at a time: the entries depend on a lease.
//! * The right edge of each tree is kept with its last seal, so sealing costs what
//!   is new, not what is there. The tiles of the tree (`tiles`) are stored before the
//!   seal that they lead to, so that proofs do not read the whole chain either.

use std::{
    collections::HashSet,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use airside_base::{Clock, NodeId, OnFailure, Redacted, Supervisor, TenantId, Trouble};
use serde::{Deserialize, Serialize};

use crate::{
    batch::Batch,
    entry::{Draft, DraftError, Hash, Kind},
    error::{AppendError, LeaseError, ReadError},
    failpoint::{self, Point},
    ledger::{Lease, Ledger},
    merkle::{self, Frontier},
    note::{Checkpoint, Signer},
    store::{MAX_HASHES, StoreError},
    table::{Column, Fact, Schema, Table, TableError, Versioned},
    tiles::{self, Keeper},
};

/// What a sealed chain gets.
pub const SEALED: Kind = Kind::new("chain.sealed");
/// Chains that one seal joins; more get another seal. Bounds the path in each entry.
const MAX_CHAINS: usize = 1024;
/// The lease of the node that seals.
const LEASE: &str = "seal";
/// How long it is held without renewal.
const LEASE_TTL: Duration = Duration::from_secs(30);
/// How often chains that have grown are sealed.
pub const INTERVAL: Duration = Duration::from_secs(5);

/// The part of one chain in a seal: the body of [`SEALED`], version 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Entries of the chain that are covered: all from 1 to this one.
    pub size: u64,
    /// Root of the tree over their hashes.
    pub root: Hash,
    /// The right edge of that tree.
    pub frontier: Frontier,
    /// How many chains were joined.
    pub chains: u64,
    /// Which of them this one is, counted from 0.
    pub index: u64,
    /// Path from its leaf to the joined root.
    pub path: Vec<Hash>,
    /// The signed note over the joined root.
    pub note: String,
}

/// The last seal of each chain.
#[derive(Debug)]
pub struct Seals;

/// There is one document in each chain.
pub(crate) const KEY: &str = "last";

impl Schema for Seals {
    const NAME: &'static str = "seals";
    type Document = Seal;
    const COLUMNS: &'static [Column<Seal>] = &[];

    fn key(fact: Fact<'_>) -> Option<String> {
        (*fact.kind == SEALED && fact.version == 1).then(|| KEY.to_owned())
    }

    fn fold(prior: Option<Seal>, fact: Fact<'_>) -> Option<Seal> {
        serde_json::from_slice(fact.body).ok().or(prior)
    }
}

/// Returns the content of the leaf of a chain in the joined tree. A tenant is a
/// DNS label, so the lines cannot run into each other.
pub(crate) fn chain_leaf(tenant: &TenantId, size: u64, root: &Hash) -> Hash {
    merkle::leaf(format!("airside.ledger.chain/1\n{tenant}\n{size}\n{root}\n").as_bytes())
}

/// Why nothing could be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The last seals or the new entries cannot be read.
    #[error("cannot read what is to be sealed")]
    Read(#[source] ReadError),
    /// The last seals cannot be read, or the new ones not be written.
    #[error("cannot keep the seal")]
    Table(#[source] TableError),
    /// The seals cannot be written.
    #[error("cannot append the seal")]
    Append(#[source] AppendError),
    /// The seal is no acceptable entry.
    #[error("cannot draft the seal")]
    Draft(#[source] DraftError),
    /// The lease could not be taken.
    #[error("cannot take the lease to seal")]
    Lease(#[source] LeaseError),
    /// A chain is shorter than its last seal says.
    #[error(
        "the chain of `{tenant}` has been cut: it is shorter than its seal over {sealed} entries"
    )]
    Cut {
        /// Whose chain.
        tenant: TenantId,
        /// What the seal covers.
        sealed: u64,
    },
}

/// Seals chains as they grow.
#[derive(Debug)]
pub struct Sealer {
    ledger: Ledger,
    seals: Table<Seals>,
    signer: Signer,
    node: NodeId,
    /// Chains whose tiles have been found complete.
    tiled: Mutex<HashSet<TenantId>>,
}

/// A chain on its way into a seal.
struct Part {
    tenant: TenantId,
    prior: Option<Versioned<Seal>>,
    frontier: Frontier,
}

impl Sealer {
    /// Returns a sealer that signs with `signer` as `node`.
    #[must_use]
    pub fn new(ledger: Ledger, signer: Signer, node: NodeId) -> Self {
        let seals = Table::new(ledger.clone());
        Self {
            ledger,
            seals,
            signer,
            node,
            tiled: Mutex::default(),
        }
    }

    /// Seals every [`INTERVAL`] until `supervisor` stops.
    pub fn start(self, clock: Arc<dyn Clock>, supervisor: &Supervisor) {
        let stop = supervisor.clone();
        supervisor.spawn("ledger-seal", OnFailure::Log, async move {
            let mut trouble = Trouble::default();
            loop {
                let rest = clock.sleep(INTERVAL);
                futures_util::future::select(std::pin::pin!(stop.stopping()), rest).await;
                if stop.is_stopping() {
                    return;
                }
                match self.seal().await {
                    Ok(_) | Err(SealError::Lease(LeaseError::Taken { .. })) => {
                        if let Some(unsaid) = trouble.over() {
                            tracing::info!(unsaid, "the ledger is sealed again");
                        }
                    }
                    Err(error) => {
                        if let Some(unsaid) = trouble.again(clock.monotonic()) {
                            let error = &error as &dyn std::error::Error;
                            tracing::error!(error, unsaid, "cannot seal the ledger");
                        }
                    }
                }
            }
        });
    }

    /// Seals the chains that have grown; returns how many.
    ///
    /// # Errors
    ///
    /// When another node holds the lease, a chain has been cut, or the ledger does
    /// not answer; see [`SealError`].
    pub async fn seal(&self) -> Result<usize, SealError> {
        let mut grown = Vec::new();
        for (tenant, head) in self.ledger.heads().await.map_err(SealError::Read)? {
            let prior = self
                .seals
                .find(&tenant, KEY)
                .await
                .map_err(SealError::Table)?;
            let sealed = prior.as_ref().map_or(0, |prior| prior.document.size);
            if head.seq < sealed {
                return Err(SealError::Cut { tenant, sealed });
            }
            if let Some(prior) = &prior {
                self.mend(&tenant, &prior.document).await?;
            }
            // Its own seal is the one entry that need not be sealed at once.
            let own = u64::from(prior.is_some());
            if head.seq > sealed + own {
                grown.push((tenant, prior, head.seq));
            }
        }
        if grown.is_empty() {
            return Ok(0);
        }
        let lease = self.ledger.lease(LEASE, self.node, LEASE_TTL).await;
        let lease = lease.map_err(SealError::Lease)?;
        let mut parts = Vec::with_capacity(grown.len());
        for (tenant, prior, to) in grown {
            parts.push(self.extend(tenant, prior, to).await?);
        }
        let sealed = parts.len();
        while !parts.is_empty() {
            let rest = parts.split_off(parts.len().min(MAX_CHAINS));
            self.append(parts, &lease).await?;
            parts = rest;
        }
        Ok(sealed)
    }

    /// Checks the tiles of a chain, once; a restored chain has none.
    async fn mend(&self, tenant: &TenantId, seal: &Seal) -> Result<(), SealError> {
        if self.tiled().contains(tenant) {
            return Ok(());
        }
        let mended = tiles::mend(self.ledger.store(), tenant, &seal.frontier).await;
        if !mended.map_err(read)? {
            let entries = seal.size;
            tracing::info!(%tenant, entries, "the tiles of a chain have been made again");
        }
        self.tiled().insert(tenant.clone());
        Ok(())
    }

    fn tiled(&self) -> MutexGuard<'_, HashSet<TenantId>> {
        self.tiled
            .lock()
            .expect("no panic happens while the lock is held")
    }

    /// Brings the tree of one chain up to entry `to`.
    async fn extend(
        &self,
        tenant: TenantId,
        prior: Option<Versioned<Seal>>,
        to: u64,
    ) -> Result<Part, SealError> {
        let mut frontier = prior
            .as_ref()
            .map(|prior| prior.document.frontier.clone())
            .unwrap_or_default();
        let store = self.ledger.store();
        let kept = Keeper::behind(store, &tenant, frontier.size()).await;
        let mut keeper = kept.map_err(read)?;
        if keeper.is_none() {
            // Somebody has removed tiles: the next seal makes them again.
            self.tiled().remove(&tenant);
        }
        while frontier.size() < to {
            let from = frontier.size();
            let page = (from, to.min(from + MAX_HASHES as u64));
            let mut push = |leaf| {
                frontier.push_noting(leaf, |height, number, root| {
                    if let Some(keeper) = &mut keeper {
                        keeper.note(height, number, root);
                    }
                });
            };
            let there = tiles::leaves(store, &tenant, page, &mut push).await;
            if !there.map_err(read)? {
                let sealed = frontier.size();
                return Err(SealError::Cut { tenant, sealed });
            }
            if let Some(keeper) = &mut keeper {
                keeper.relieve(store, &tenant).await.map_err(read)?;
            }
        }
        if let Some(keeper) = keeper {
            keeper.finish(store, &tenant).await.map_err(read)?;
        }
        Ok(Part {
            tenant,
            prior,
            frontier,
        })
    }

    async fn append(&self, parts: Vec<Part>, lease: &Lease) -> Result<(), SealError> {
        let leaves: Vec<Hash> = parts
            .iter()
            .map(|part| chain_leaf(&part.tenant, part.frontier.size(), &part.frontier.root()))
            .collect();
        let chains = leaves.len() as u64;
        let note = self.signer.sign(&Checkpoint {
            origin: self.signer.name().to_owned(),
            size: chains,
            root: merkle::root(&leaves),
        });
        let mut batch = Batch::new();
        batch.fence(lease);
        for (index, part) in (0..).zip(parts) {
            let seal = Seal {
                size: part.frontier.size(),
                root: part.frontier.root(),
                frontier: part.frontier,
                chains,
                index,
                path: merkle::path(&leaves, index).expect("the leaf is one of them"),
                note: note.clone(),
            };
            let draft = Draft::new(part.tenant, SEALED, 1, "", &seal).map_err(SealError::Draft)?;
            self.seals
                .change(&mut batch, part.prior, vec![draft])
                .map_err(SealError::Table)?;
        }
        failpoint::reach(Point::SealSigned);
        let receipt = self.ledger.commit(batch).await;
        receipt.map_err(SealError::Append)?;
        failpoint::reach(Point::SealWritten);
        Ok(())
    }
}

fn read(error: StoreError) -> SealError {
    SealError::Read(ReadError::Store(error))
}

/// Returns the last seal of the chain of `tenant`.
pub(crate) async fn last(ledger: &Ledger, tenant: &TenantId) -> Result<Option<Seal>, TableError> {
    let seals: Table<Seals> = Table::new(ledger.clone());
    let found = seals.find(tenant, KEY).await?;
    Ok(found.map(|found| found.document))
}

/// Returns the key that is kept in `file`, making both if they are missing. Its
/// name is derived from the key, so that notes of two installations differ.
///
/// # Errors
///
/// When the file cannot be read or written, or holds no key.
pub fn load_signer(file: &Path) -> io::Result<Signer> {
    match fs::read(file) {
        Ok(secret) => Signer::load(&Redacted::new(secret))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (signer, secret) = Signer::generate();
            write_secret(file, secret.expose())?;
            Ok(signer)
        }
        Err(error) => Err(error),
    }
}

/// Writes a file for this user alone: whole and durable, or not at all.
fn write_secret(file: &Path, secret: &[u8]) -> io::Result<()> {
    let fresh = file.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut handle = options.open(&fresh)?;
    io::Write::write_all(&mut handle, secret)?;
    handle.sync_all()?;
    failpoint::reach(Point::SealKeyWritten);
    fs::rename(&fresh, file)?;
    match file.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
