//! Proof of one entry that stands without the ledger.
//!
//! A [`Proof`] holds the entry, the path from its hash to the root of its chain,
//! the path from there to the joined root, and the signed note over that. Whoever
//! has the public key can check it on another machine, years later; nothing else
//! of the ledger is revealed. A proof may also show that the chain of its seal begins
//! with the chain of an earlier seal: then nothing in front of that was changed.
//! `docs/ledger-format.md` describes the steps.

use airside_base::{Fault, Kind as FaultKind, TenantId, Timestamp};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    encoding::{Fields, entry_hash},
    entry::{Entry, Hash},
    error::ReadError,
    ledger::Ledger,
    merkle,
    note::{self, Verifier},
    seal::{self, Seal, chain_leaf},
    store::Query,
    table::TableError,
    tiles::Tree,
};

/// Largest file that is read as a proof, in bytes.
pub const MAX_PROOF_BYTES: u64 = 4 * 1024 * 1024;
const FORMAT: &str = "airside.proof/1";

/// The file that `airside ledger prove` writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Name and version of this format.
    format: String,
    /// What is proved.
    entry: Proved,
    /// Its place in its chain.
    chain: ChainPlace,
    /// The place of the chain in the seal.
    seal: SealPlace,
    /// What the chain begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    earlier: Option<Earlier>,
}

/// An earlier seal of the same chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Earlier {
    size: u64,
    root: Hash,
    /// From that tree to the chain's (RFC 9162, section 2.1.4.2).
    path: Vec<Hash>,
    seal: SealPlace,
}

/// One entry, with the body in base64 so that every byte survives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proved {
    tenant: TenantId,
    seq: u64,
    time: Timestamp,
    kind: String,
    version: u16,
    subject: String,
    body: String,
    prev: Hash,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainPlace {
    size: u64,
    path: Vec<Hash>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealPlace {
    chains: u64,
    index: u64,
    path: Vec<Hash>,
    note: String,
}

/// What a proof that holds says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Statement {
    /// Whose chain.
    pub tenant: TenantId,
    /// Which entry.
    pub seq: u64,
    /// When it was written.
    pub time: Timestamp,
    /// What happened.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// Its body as text, invalid UTF-8 replaced.
    pub body: String,
    /// Its hash.
    pub hash: Hash,
    /// What the seal covers.
    pub covered: Covered,
    /// What an earlier seal covers, with which that begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earlier: Option<Covered>,
}

/// The beginning of a chain: what a seal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// How many entries.
    pub entries: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// Why an entry could not be proved.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// There is no such entry.
    #[error("the chain of `{tenant}` has no entry {seq}")]
    Absent {
        /// Whose chain.
        tenant: TenantId,
        /// Which entry.
        seq: u64,
    },
    /// The entry is younger than the last seal.
    #[error("entry {seq} is younger than the last seal, which covers {sealed}")]
    Unsealed {
        /// Which entry.
        seq: u64,
        /// What the last seal covers.
        sealed: u64,
    },
    /// No seal covers as many entries.
    #[error("no seal of the chain of `{tenant}` covers {entries} entries")]
    NoSuchSeal {
        /// Whose chain.
        tenant: TenantId,
        /// How many entries.
        entries: u64,
    },
    /// The entries do not have the root that was sealed.
    #[error("the chain of `{tenant}` is not the one that was sealed: verify the ledger")]
    Changed {
        /// Whose chain.
        tenant: TenantId,
    },
    /// The ledger cannot be read.
    #[error("cannot read the ledger")]
    Read(#[source] ReadError),
    /// The seal cannot be read.
    #[error("cannot read the last seal")]
    Seal(#[source] TableError),
}

impl ProveError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Absent { .. } => {
                Fault::new(FaultKind::NotFound, "LED-040", self.to_string())
            }
            Self::Unsealed { .. } => {
                Fault::new(FaultKind::Conflict, "LED-041", self.to_string())
                    .with_hint("chains that have grown are sealed every five seconds while a node runs: try again")
            }
            Self::NoSuchSeal { .. } => {
                Fault::new(FaultKind::NotFound, "LED-150", self.to_string())
                    .with_hint("name a proof of this chain; after a restore to the past, later seals are gone")
            }
            Self::Changed { .. } => {
                Fault::new(FaultKind::Internal, "LED-042", self.to_string())
                    .with_hint("run `airside ledger verify`")
            }
            Self::Read(error) => error.fault(),
            Self::Seal(error) => error.fault(),
        }
    }
}

/// Which step of a proof does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// It is not a proof file of this version.
    #[error("the file is not a proof of the form {FORMAT}: {what}")]
    Form {
        /// What does not fit.
        what: String,
    },
    /// The path from the entry does not fit the chain.
    #[error("the path through the chain does not fit an entry {seq} of {size}")]
    ChainPath {
        /// Which entry.
        seq: u64,
        /// Size of the chain.
        size: u64,
    },
    /// The path from the chain does not fit the seal.
    #[error("the path through the seal does not fit chain {index} of {chains}")]
    SealPath {
        /// Which chain.
        index: u64,
        /// How many.
        chains: u64,
    },
    /// The signature is missing or wrong.
    #[error("the seal does not hold")]
    Note(#[source] note::Error),
    /// The path from an earlier seal does not lead to this one.
    #[error("the chain of {size} entries does not begin with the one of {earlier} entries")]
    Earlier {
        /// What the earlier seal covers.
        earlier: u64,
        /// What the seal covers.
        size: u64,
    },
    /// The signed root is another one: entry, paths and seal do not belong together.
    #[error("the entry is not what was sealed: it was changed, or its paths were")]
    Root,
}

impl CheckError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let fault = |code| Fault::new(FaultKind::Invalid, code, self.to_string());
        match self {
            Self::Form { .. } => {
                fault("LED-043").with_hint("it was cut or is another file: ask for it again")
            }
            Self::ChainPath { .. } | Self::SealPath { .. } | Self::Root => fault("LED-044")
                .with_hint("do not trust this file; ask for the proof again from its source"),
            Self::Earlier { .. } => fault("LED-151").with_hint(
                "keep both files: if both seals hold, the source has changed what it had sealed",
            ),
            Self::Note(_) => fault("LED-045").with_hint(
                "compare the key with the one that `airside ledger key` prints at the source",
            ),
        }
    }
}

/// Proves entry `seq` of the chain of `tenant` by its last seal, and with `since` that
/// the chain begins with the entries that the seal over so many covers.
///
/// Reads a page of entries and a tile for each level of the tree, at most three times.
///
/// # Errors
///
/// When there is no such entry or seal, it is not sealed yet, or the chain is not what
/// was sealed.
pub async fn prove(
    ledger: &Ledger,
    tenant: &TenantId,
    seq: u64,
    since: Option<u64>,
) -> Result<Proof, ProveError> {
    let head = ledger.head(tenant).await.map_err(ProveError::Read)?;
    if seq == 0 || seq > head.seq {
        let tenant = tenant.clone();
        return Err(ProveError::Absent { tenant, seq });
    }
    let seal = seal::last(ledger, tenant).await.map_err(ProveError::Seal)?;
    let seal = match seal {
        Some(seal) if seal.size >= seq => seal,
        other => {
            let sealed = other.map_or(0, |seal| seal.size);
            return Err(ProveError::Unsealed { seq, sealed });
        }
    };
    let earlier = match since {
        Some(entries) => Some(seal_over(ledger, tenant, entries).await?),
        None => None,
    };
    let query = Query::new(tenant.clone()).after(seq - 1).limit(1);
    let found = ledger.read(query).await.map_err(ProveError::Read)?;
    let entry = found.into_iter().next().filter(|entry| {
        let hash = entry_hash(entry, &mut Vec::new());
        entry.seq == seq && entry.hash == hash
    });
    let Some(entry) = entry else {
        let tenant = tenant.clone();
        return Err(ProveError::Changed { tenant });
    };
    let (path, extension) = paths(ledger, &entry, &seal, earlier.as_ref()).await?;
    Ok(Proof {
        format: FORMAT.to_owned(),
        entry: entry.into(),
        chain: ChainPlace {
            size: seal.size,
            path,
        },
        seal: seal.into(),
        earlier: earlier.map(|earlier| Earlier {
            size: earlier.size,
            root: earlier.root,
            path: extension,
            seal: earlier.into(),
        }),
    })
}

/// Returns the seal over so many entries: the first one behind them.
async fn seal_over(ledger: &Ledger, tenant: &TenantId, entries: u64) -> Result<Seal, ProveError> {
    let query = Query::new(tenant.clone()).after(entries).limit(1);
    let found = ledger
        .read(query.kind(seal::SEALED.as_str().to_owned()))
        .await;
    let found = found.map_err(ProveError::Read)?;
    let seal = found.first().and_then(|entry| entry.decode::<Seal>().ok());
    seal.filter(|seal| seal.size == entries && entries > 0)
        .ok_or_else(|| ProveError::NoSuchSeal {
            tenant: tenant.clone(),
            entries,
        })
}

/// Returns the path of `entry` to the root of `seal`, and that of `earlier`.
async fn paths(
    ledger: &Ledger,
    entry: &Entry,
    seal: &Seal,
    earlier: Option<&Seal>,
) -> Result<(Vec<Hash>, Vec<Hash>), ProveError> {
    let (store, tenant) = (ledger.store(), &entry.tenant);
    let (index, size) = (entry.seq - 1, seal.size);
    let siblings = merkle::siblings(index, size);
    let extension = earlier.map_or_else(Vec::new, |e| merkle::extension(e.size, size));
    let leaf = merkle::leaf(entry.hash.as_bytes());
    for tiles in [true, false] {
        let mut tree = match tiles {
            true => Tree::new(store, tenant),
            false => Tree::of_entries(store, tenant),
        };
        let path = tree.roots(&siblings).await.map_err(ProveError::Read)?;
        let steps = tree.roots(&extension).await.map_err(ProveError::Read)?;
        let (Some(path), Some(steps)) = (path, steps) else {
            break;
        };
        let leads = merkle::climb(leaf, index, size, &path) == Some(seal.root);
        let extends = |earlier: &Seal| {
            merkle::extends((earlier.size, earlier.root), (size, seal.root), &steps)
        };
        if leads && earlier.is_none_or(extends) {
            if !tiles {
                tracing::warn!(
                    %tenant,
                    "a tile of a chain is damaged: `airside ledger verify` names it, and a \
                     node makes it again when it starts"
                );
            }
            return Ok((path, steps));
        }
    }
    let tenant = tenant.clone();
    Err(ProveError::Changed { tenant })
}

impl From<Seal> for SealPlace {
    fn from(seal: Seal) -> Self {
        Self {
            chains: seal.chains,
            index: seal.index,
            path: seal.path,
            note: seal.note,
        }
    }
}

impl From<Entry> for Proved {
    fn from(entry: Entry) -> Self {
        Self {
            tenant: entry.tenant,
            seq: entry.seq,
            time: entry.time,
            kind: entry.kind.as_str().to_owned(),
            version: entry.version,
            subject: entry.subject.to_string(),
            body: BASE64_STANDARD.encode(&entry.body),
            prev: entry.prev,
        }
    }
}

impl Proof {
    /// Reads a proof file.
    ///
    /// # Errors
    ///
    /// When it is not one.
    pub fn parse(text: &[u8]) -> Result<Self, CheckError> {
        let proof: Self = serde_json::from_slice(text).map_err(|error| CheckError::Form {
            what: error.to_string(),
        })?;
        if proof.format != FORMAT {
            let what = format!("it says {:?}", proof.format);
            return Err(CheckError::Form { what });
        }
        Ok(proof)
    }

    /// Returns how many entries of the chain its seal covers, if it holds.
    #[must_use]
    pub fn covered(&self) -> u64 {
        self.chain.size
    }

    /// Checks this proof as [`Proof::check`] does, and that its chain begins with what
    /// the seal of `before` covers.
    ///
    /// # Errors
    ///
    /// The first step that does not hold, of either proof.
    pub fn check_extends(&self, before: &Self, key: &Verifier) -> Result<Statement, CheckError> {
        let (old, new) = (before.check(key)?, self.check(key)?);
        if old.tenant == new.tenant && new.earlier == Some(old.covered) {
            return Ok(new);
        }
        Err(CheckError::Earlier {
            earlier: old.covered.entries,
            size: new.covered.entries,
        })
    }

    /// Checks every step with the public key of the ledger.
    ///
    /// # Errors
    ///
    /// The first step that does not hold.
    pub fn check(&self, key: &Verifier) -> Result<Statement, CheckError> {
        let Self {
            entry, chain, seal, ..
        } = self;
        let body = BASE64_STANDARD
            .decode(&entry.body)
            .map_err(|error| CheckError::Form {
                what: error.to_string(),
            })?;
        let body = Bytes::from(body);
        let hash = Fields {
            tenant: &entry.tenant,
            seq: entry.seq,
            time: entry.time,
            kind: &entry.kind,
            version: entry.version,
            subject: &entry.subject,
            body: &body,
            prev: &entry.prev,
        }
        .hash(&mut Vec::new());
        let leaf = merkle::leaf(hash.as_bytes());
        let at = entry.seq.wrapping_sub(1);
        let root =
            merkle::climb(leaf, at, chain.size, &chain.path).ok_or(CheckError::ChainPath {
                seq: entry.seq,
                size: chain.size,
            })?;
        let covered = Covered {
            entries: chain.size,
            root,
        };
        seal.check(&entry.tenant, covered, key)?;
        let earlier = match &self.earlier {
            Some(earlier) => Some(earlier.check(&entry.tenant, covered, key)?),
            None => None,
        };
        Ok(Statement {
            tenant: entry.tenant.clone(),
            seq: entry.seq,
            time: entry.time,
            kind: entry.kind.clone(),
            subject: entry.subject.clone(),
            body: String::from_utf8_lossy(&body).into_owned(),
            hash,
            covered,
            earlier,
        })
    }
}

impl SealPlace {
    /// Checks that `covered` is what was sealed.
    fn check(&self, tenant: &TenantId, covered: Covered, key: &Verifier) -> Result<(), CheckError> {
        let leaf = chain_leaf(tenant, covered.entries, &covered.root);
        let joined = merkle::climb(leaf, self.index, self.chains, &self.path);
        let joined = joined.ok_or(CheckError::SealPath {
            index: self.index,
            chains: self.chains,
        })?;
        let checkpoint = key.open(&self.note).map_err(CheckError::Note)?;
        if checkpoint.root != joined || checkpoint.size != self.chains {
            return Err(CheckError::Root);
        }
        Ok(())
    }
}

impl Earlier {
    /// Checks that it was sealed and that `now` begins with it.
    fn check(
        &self,
        tenant: &TenantId,
        now: Covered,
        key: &Verifier,
    ) -> Result<Covered, CheckError> {
        let before = Covered {
            entries: self.size,
            root: self.root,
        };
        self.seal.check(tenant, before, key)?;
        let (from, to) = ((self.size, self.root), (now.entries, now.root));
        match merkle::extends(from, to, &self.path) {
            true => Ok(before),
            false => Err(CheckError::Earlier {
                earlier: self.size,
                size: now.entries,
            }),
        }
    }
}
