//! Why the archive did not do what was asked.

use std::{sync::Arc, time::Duration};

use airside_base::{Fault, Kind, TenantId, Timestamp};
use airside_ledger::{LeaseError, ReadError, vault::VaultError};

use super::s3::AccessError;

/// Why the archive could not be written or read.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The URL names no storage that can be used.
    #[error("`{url}` is not the URL of a storage that can be used")]
    Url {
        /// The URL.
        url: String,
    },
    /// The storage cannot be reached with what was said.
    #[error("cannot reach the storage of the archive")]
    Access(#[source] AccessError),
    /// The storage failed; whether a write happened is unknown.
    #[error("cannot {doing} `{object}`")]
    Storage {
        /// What was attempted.
        doing: &'static str,
        /// With which object.
        object: String,
        /// What the storage says.
        source: Arc<object_store::Error>,
    },
    /// The storage did not answer in time; whether a write happened is unknown.
    #[error("the storage did not answer in time: cannot {doing} `{object}`")]
    Timeout {
        /// What was attempted.
        doing: &'static str,
        /// With which object.
        object: String,
    },
    /// There is no archive.
    #[error("there is no archive")]
    Absent,
    /// The archive was written with another key.
    #[error("the archive was written with key `{written}`, not with `{given}`")]
    WrongKey {
        /// Name of its key.
        written: String,
        /// Name of the given key.
        given: String,
    },
    /// The key cannot be used.
    #[error("cannot use the key of the archive")]
    Vault(#[source] VaultError),
    /// An object is missing.
    #[error("`{object}` is missing")]
    Missing {
        /// The object.
        object: String,
    },
    /// An object is not what was written.
    #[error("`{object}` is damaged: {what}")]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong with it.
        what: String,
    },
    /// An object was written by another version.
    #[error("`{object}` was written by a later version")]
    Version {
        /// The object.
        object: String,
    },
    /// Another has written where this writer was to continue.
    #[error("another writer has written `{object}`")]
    Taken {
        /// The object.
        object: String,
    },
    /// The archive holds other entries than the ledger.
    #[error("the archive has another entry {seq} of `{tenant}` than the ledger")]
    Forked {
        /// Whose chain.
        tenant: TenantId,
        /// The first number that is known to differ.
        seq: u64,
    },
    /// The archive holds entries that the ledger has lost.
    #[error("the archive has entries of `{tenant}` up to {archived}, the ledger up to {local}")]
    Ahead {
        /// Whose chain.
        tenant: TenantId,
        /// The last number in the archive.
        archived: u64,
        /// The last number in the ledger.
        local: u64,
    },
    /// Something cannot be read.
    #[error("the archive is not intact")]
    Broken {
        /// The last manifest up to which everything is intact; 0 if there is none.
        intact: u64,
        /// How many entries are in front of it, and when the last of them was written;
        /// `None` if there are none or nothing in front of it has been read.
        held: Option<(u64, Timestamp)>,
        /// Otherwise: everything that was written before this time is intact.
        before: Option<Timestamp>,
        /// What is wrong behind it.
        source: Box<Error>,
    },
    /// Sealing or reading an object was stopped half-way.
    #[error("work on an object was interrupted")]
    Interrupted(#[source] Arc<tokio::task::JoinError>),
    /// The ledger could not be read.
    #[error("cannot read the ledger")]
    Read(#[from] ReadError),
    /// The right to write could not be obtained.
    #[error("cannot take the lease of the archive")]
    Lease(#[from] LeaseError),
}

/// What tells more of an object that cannot be read.
const WHOLE: &str = "`airside backup verify` tells up to where the archive can be restored";

impl Error {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let told = |kind, code| Fault::new(kind, code, self.to_string());
        match self {
            Self::Url { .. } => told(Kind::Invalid, "LED-050").with_hint(
                "write file:///folder, with the whole path of the folder, or s3://bucket/prefix",
            ),
            Self::Access(error) => error.fault(),
            Self::Storage { source, .. } => told(Kind::Unavailable, "LED-051").with_private(source),
            Self::Timeout { .. } => told(Kind::Timeout, "LED-051"),
            Self::Absent => told(Kind::NotFound, "LED-052")
                .with_hint("look at the URL: an archive has an object `archive.json`"),
            Self::Missing { object } if object == super::ROOT => told(Kind::NotFound, "LED-055")
                .with_hint(
                    "nothing can be read without it: bring it back from a version or a copy of \
                     the storage",
                ),
            Self::WrongKey { .. } => told(Kind::Forbidden, "LED-053")
                .with_hint("name the key file that the archive was written with"),
            Self::Vault(error @ VaultError::File { .. }) => error.fault().with_hint(
                "unless --archive-key or `key-file` in `[archive]` names it, it is looked for in \
                 the data folder; without that key or a copy nothing in the archive can be read",
            ),
            Self::Vault(error) => error.fault(),
            Self::Missing { .. } => told(Kind::NotFound, "LED-055").with_hint(WHOLE),
            Self::Damaged { object, .. } if object == super::ROOT => {
                told(Kind::Internal, "LED-056").with_hint(
                    "nothing can be read without it: bring it back from a version or a copy of \
                     the storage",
                )
            }
            Self::Damaged { .. } => told(Kind::Internal, "LED-056").with_hint(WHOLE),
            Self::Version { .. } => told(Kind::Unsupported, "LED-057").with_hint(
                "use the version of Airside that wrote it, or a later one; nothing was changed",
            ),
            Self::Taken { .. } => told(Kind::Conflict, "LED-058"),
            Self::Forked { .. } => told(Kind::Conflict, "LED-059")
                .with_hint("let this ledger write to an archive of its own"),
            Self::Ahead { .. } => told(Kind::Conflict, "LED-060")
                .with_hint("`airside restore --to latest` brings the archive into a new folder: start with that"),
            Self::Broken {
                intact,
                held,
                before,
                source,
            } => broken((*intact, *held, *before), &source.fault()),
            Self::Interrupted(source) => Fault::new(
                Kind::Internal,
                "LED-102",
                "an object of the archive could not be sealed or read",
            )
            .with_private(source),
            Self::Read(error) => error.fault(),
            Self::Lease(error) => error.fault(),
        }
    }

    /// Returns whether repeating cannot help: an operator has to decide.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Forked { .. }
            | Self::Ahead { .. }
            | Self::Url { .. }
            | Self::Access(_)
            | Self::WrongKey { .. }
            | Self::Version { .. }
            | Self::Missing { .. }
            | Self::Damaged { .. } => true,
            Self::Broken { source, .. } => source.is_final(),
            Self::Storage { .. }
            | Self::Timeout { .. }
            | Self::Absent
            | Self::Vault(_)
            | Self::Taken { .. }
            | Self::Interrupted(_)
            | Self::Read(_)
            | Self::Lease(_) => false,
        }
    }

    pub(super) fn damaged(object: &str, what: impl Into<String>) -> Self {
        Self::Damaged {
            object: object.to_owned(),
            what: what.into(),
        }
    }
}

/// Returns what `fault` of an object means for a restore.
fn broken(
    (intact, held, before): (u64, Option<(u64, Timestamp)>, Option<Timestamp>),
    fault: &Fault,
) -> Fault {
    let text = match held {
        Some((entries, time)) => format!(
            "{}; the {entries} entries in front of it, up to {time}, are intact",
            fault.public()
        ),
        None => format!("{}; everything in front of it is intact", fault.public()),
    };
    let step = Duration::from_micros(1);
    let before = before.and_then(|time| time.checked_sub(step).ok());
    let hint = match (intact, before) {
        (_, Some(time)) => {
            format!("`--to {time}` restores what is in front of it")
        }
        (0, None) => "nothing in front of it can be restored".to_owned(),
        (_, None) => format!("`--to manifest:{intact}` restores what is in front of it"),
    };
    Fault::new(fault.kind(), fault.code(), text).with_hint(hint)
}
