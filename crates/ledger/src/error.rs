//! Errors of the ledger's operations.

use std::{sync::Arc, time::Duration};

use airside_base::{Fault, Kind, Timestamp, WithCauses};

use crate::{
    store::{Refusal, StoreError},
    verify::Defect,
};

/// What to do about a full disk.
pub(crate) const ROOM: &str = "make room in its file system: it goes on by itself then, and nothing that was acknowledged is lost";

/// Why the ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its chains cannot be read or do not end with their recorded heads.
    #[error("cannot read the chains of the ledger")]
    Store(#[source] StoreError),
}

impl OpenError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
        }
    }
}

/// Why entries were not appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The queue to the writer is full; nothing was written.
    #[error("the queue of the ledger is full")]
    QueueFull,
    /// The batch can never be accepted; nothing was written.
    #[error("the batch takes {bytes} bytes, more than the queue's {max}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The largest size.
        max: usize,
    },
    /// The ledger is closing; nothing was written.
    #[error("the ledger is closed")]
    Closed,
    /// The writer ended without an answer: the entries may be durable or not.
    #[error("the writer of the ledger ended before it answered")]
    Interrupted,
    /// A document was changed by another in between; nothing was written.
    #[error("the document `{key}` of `{table}` has been changed by another")]
    Stale {
        /// Its table.
        table: &'static str,
        /// Its key.
        key: Arc<str>,
    },
    /// The lease is not held any more; nothing was written.
    #[error("the lease `{name}` is not held any more")]
    Fenced {
        /// Its name.
        name: Arc<str>,
    },
    /// The store did not write; see there what that means.
    #[error("cannot write to the ledger's storage")]
    Store(#[source] StoreError),
    /// The entries are durable here, but the archive has not confirmed them in time.
    #[error("the archive has not confirmed the entries in time")]
    Unarchived,
}

impl AppendError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::QueueFull => Fault::new(
                Kind::Unavailable,
                "LED-001",
                "the ledger cannot keep up at the moment",
            )
            .with_retry_after(Duration::from_secs(1)),
            Self::Closed => Fault::new(Kind::Unavailable, "LED-002", "the ledger is closed"),
            Self::Interrupted => Fault::new(
                Kind::Internal,
                "LED-003",
                "whether the entry was written is unknown",
            ),
            Self::TooLarge { .. } => {
                Fault::new(Kind::TooLarge, "LED-005", "the entry is too large")
            }
            Self::Stale { .. } => Fault::new(
                Kind::Conflict,
                "LED-008",
                "the document has been changed by another",
            )
            .with_hint("read it again and repeat the change"),
            Self::Fenced { .. } => {
                Fault::new(Kind::Conflict, "LED-009", "the lease is not held any more")
            }
            Self::Store(error) => return error.fault(),
            Self::Unarchived => Fault::new(
                Kind::Timeout,
                "LED-061",
                "the entry is written here, but not confirmed by the archive",
            ),
        }
        .with_private(self)
    }
}

impl From<Refusal> for AppendError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stale { table, key } => Self::Stale { table, key },
            Refusal::Fenced { name } => Self::Fenced { name },
        }
    }
}

/// Why entries could not be read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    /// The store did not answer.
    #[error("cannot read from the ledger's storage")]
    Store(#[from] StoreError),
}

impl ReadError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Store(error) => error.fault(),
        }
    }
}

/// Why a lease was not obtained.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another holds it.
    #[error("the lease is held by another until {until}")]
    Taken {
        /// When it ends unless it is renewed.
        until: Timestamp,
    },
    /// The store did not answer.
    #[error("cannot write to the ledger's storage")]
    Store(#[source] StoreError),
}

impl LeaseError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Taken { .. } => {
                Fault::new(Kind::Conflict, "LED-016", "the lease is held by another")
                    .with_private(self)
            }
            Self::Store(error) => error.fault(),
        }
    }
}

/// Why the ledger does not verify.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VerifyError {
    /// The first entry, in the order of chains and numbers, that is wrong.
    #[error("the ledger does not verify")]
    Defect(#[source] Defect),
    /// The store did not answer.
    #[error("cannot read from the ledger's storage")]
    Store(#[source] StoreError),
}

impl VerifyError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Defect(defect) => {
                Fault::new(Kind::Internal, "LED-017", "the ledger does not verify")
                    .with_private(defect)
            }
            Self::Store(error) => error.fault(),
        }
    }
}

impl StoreError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            StoreError::Conflict { .. } => Fault::new(
                Kind::Conflict,
                "LED-007",
                "another writer has continued the chain",
            ),
            StoreError::Refused(_) => Fault::new(
                Kind::Conflict,
                "LED-008",
                "the document has been changed by another",
            ),
            StoreError::Full(_) => Fault::new(
                Kind::Unavailable,
                "LED-006",
                "the ledger has no room for more entries",
            )
            .with_hint(ROOM),
            StoreError::Corrupt { .. } => {
                Fault::new(Kind::Internal, "LED-018", "a stored entry is damaged")
            }
            StoreError::Closed => Fault::new(Kind::Unavailable, "LED-002", "the ledger is closed"),
            StoreError::Failed { .. } => Fault::new(
                Kind::Unavailable,
                "LED-010",
                "the ledger's storage does not work",
            ),
        }
        .with_private(WithCauses(self))
    }
}
