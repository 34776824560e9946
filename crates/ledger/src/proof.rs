//! Proof of one entry that stands without the ledger.
//!
//! A [`Proof`] holds the entry, the path from its hash to the root of its chain,
//! the path from there to the joined root, and the signed note over that. Whoever
//! has the public key can check it on another machine, years later; nothing else
//! of the ledger is revealed. `docs/ledger-format.md` describes the steps.

use airside_base::{Fault, Kind as FaultKind, TenantId, Timestamp};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    encoding::Fields,
    entry::{Entry, Hash},
    error::ReadError,
    ledger::Ledger,
    merkle,
    note::{self, Verifier},
    seal::{self, chain_leaf},
    store::Query,
    table::TableError,
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
    /// Entries of the chain that the seal covers.
    pub covered: u64,
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
            Self::Form { .. } => fault("LED-043"),
            Self::ChainPath { .. } | Self::SealPath { .. } | Self::Root => fault("LED-044")
                .with_hint("do not trust this file; ask for the proof again from its source"),
            Self::Note(_) => fault("LED-045").with_hint(
                "compare the key with the one that `airside ledger key` prints at the source",
            ),
        }
    }
}

/// Proves entry `seq` of the chain of `tenant` by its last seal.
///
/// Reads the hashes of the whole chain up to the seal.
///
/// # Errors
///
/// When there is no such entry, it is not sealed yet, or the chain is not what was
/// sealed.
pub async fn prove(ledger: &Ledger, tenant: &TenantId, seq: u64) -> Result<Proof, ProveError> {
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
    let changed = || ProveError::Changed {
        tenant: tenant.clone(),
    };
    let mut leaves = Vec::new();
    let mut proved = None;
    while (leaves.len() as u64) < seal.size {
        let query = Query::new(tenant.clone()).after(leaves.len() as u64);
        let entries = ledger.read(query).await.map_err(ProveError::Read)?;
        if entries.is_empty() {
            return Err(changed());
        }
        for entry in entries
            .into_iter()
            .take_while(|entry| entry.seq <= seal.size)
        {
            leaves.push(merkle::leaf(entry.hash.as_bytes()));
            if entry.seq == seq {
                proved = Some(entry);
            }
        }
    }
    let entry = proved.ok_or_else(changed)?;
    if merkle::root(&leaves) != seal.root {
        return Err(changed());
    }
    Ok(Proof {
        format: FORMAT.to_owned(),
        entry: entry.into(),
        chain: ChainPlace {
            size: seal.size,
            path: merkle::path(&leaves, seq - 1).ok_or_else(changed)?,
        },
        seal: SealPlace {
            chains: seal.chains,
            index: seal.index,
            path: seal.path,
            note: seal.note,
        },
    })
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
        let leaf = chain_leaf(&entry.tenant, chain.size, &root);
        let joined = merkle::climb(leaf, seal.index, seal.chains, &seal.path).ok_or(
            CheckError::SealPath {
                index: seal.index,
                chains: seal.chains,
            },
        )?;
        let checkpoint = key.open(&seal.note).map_err(CheckError::Note)?;
        if checkpoint.root != joined || checkpoint.size != seal.chains {
            return Err(CheckError::Root);
        }
        Ok(Statement {
            tenant: entry.tenant.clone(),
            seq: entry.seq,
            time: entry.time,
            kind: entry.kind.clone(),
            subject: entry.subject.clone(),
            body: String::from_utf8_lossy(&body).into_owned(),
            hash,
            covered: chain.size,
        })
    }
}
