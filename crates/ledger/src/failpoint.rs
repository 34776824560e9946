//! Named points at which a test build can be made to die.
//!
//! # Invariants
//!
//! * Every point of the durable paths is in this one list, those of other crates
//!   included, so a test that goes through `Point::ALL` misses none.
//! * A build without the feature `test-util` contains nothing of it: [`reach`] is
//!   empty there, and points have no names. `cargo xtask check` refuses a
//!   dependency that would turn the feature on in what ships.
//! * What happens at a point is the test's matter; nothing here ends a process.

macro_rules! points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        /// A moment between two steps that have to survive a crash between them.
        #[derive(Clone, Copy)]
        #[cfg_attr(feature = "test-util", derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord))]
        pub enum Point {
            $($(#[$doc])* $point,)*
        }

        #[cfg(feature = "test-util")]
        impl Point {
            /// Every point, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$point,)*];

            /// Returns its name: the part of the product, a dot, and the moment.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

points! {
    /// A group has its numbers and hashes; the store knows nothing of it.
    SequencerSealed = "sequencer.sealed",
    /// The store has committed a group; nobody has been told.
    SequencerCommitted = "sequencer.committed",
    /// Some of a group have been told, the others not.
    SequencerAnswering = "sequencer.answering",
    /// The file of the ledger exists; it has no tables.
    SqliteCreated = "sqlite.created",
    /// The transaction has begun and changed nothing.
    SqliteBegun = "sqlite.begun",
    /// The heads of the chains have moved; the entries are not there.
    SqliteHeadMoved = "sqlite.head-moved",
    /// Everything is written; the transaction is not committed.
    SqliteWritten = "sqlite.written",
    /// The transaction is committed; the writer thread has not answered.
    SqliteCommitted = "sqlite.committed",
    /// The store is being closed; the write-ahead log is not in the file.
    SqliteClosing = "sqlite.closing",
    /// A commit of one statement is about to be sent.
    PostgresAsking = "postgres.asking",
    /// The transaction has begun and changed nothing.
    PostgresBegun = "postgres.begun",
    /// Heads and entries are written, documents are not.
    PostgresAppended = "postgres.appended",
    /// Everything is written; the transaction is not committed.
    PostgresWritten = "postgres.written",
    /// The commit is done; the store has not answered.
    PostgresCommitted = "postgres.committed",
    /// A lease is held; nothing has been done under it.
    LeaseHeld = "lease.held",
    /// The joined root is signed; no chain has its seal.
    SealSigned = "seal.signed",
    /// The seals are durable; the sealer does not know.
    SealWritten = "seal.written",
    /// Tiles of a chain's tree are stored; the sealer does not know.
    TilesKept = "tiles.kept",
    /// The key of the seals is in a file that does not have its name yet.
    SealKeyWritten = "seal.key-written",
    /// The key of a vault is in a file that does not have its name yet.
    VaultKeyWritten = "vault.key-written",
    /// A person's key is durable; nothing has been sealed with it.
    KeyKept = "keys.kept",
    /// The wish to erase is durable; no key is destroyed.
    ErasureBegun = "erasure.begun",
    /// The keys are destroyed; no entry says so.
    ErasureDestroyed = "erasure.destroyed",
    /// The entry about the erasure is durable; nobody has been told.
    ErasureRecorded = "erasure.recorded",
    /// The key of a conversation is destroyed; the entry about its end is not there.
    ConversationDestroyed = "conversation.destroyed",
    /// The object that says that here is an archive is written; nothing else is.
    ArchiveRootPut = "archive.root-put",
    /// The end of the archive is known to be a part of the ledger.
    ArchiveResumed = "archive.resumed",
    /// Entries are durable here and on their way; no object has them.
    ArchiveCollected = "archive.collected",
    /// The storage has a segment; no manifest names it.
    ArchiveSegmentPut = "archive.segment-put",
    /// The storage has a manifest; the archiver does not know.
    ArchiveManifestPut = "archive.manifest-put",
    /// Small segments are merged; the storage does not have the result.
    MergeSealed = "merge.sealed",
    /// The storage has a part of a snapshot; no index names it.
    SnapshotPartPut = "snapshot.part-put",
    /// The storage has an index; no manifest names it.
    IndexPut = "index.put",
    /// Some of what is superseded has been deleted.
    SweepDeleted = "sweep.deleted",
    /// The target of a restore is known to be empty.
    RestoreBegun = "restore.begun",
    /// The target has a part of what is restored.
    RestorePart = "restore.part",
    /// The target has everything but the list of who has been erased since.
    RestoreReplayed = "restore.replayed",
    /// The target has everything; nobody has been told.
    RestoreDone = "restore.done",
    /// A drill is over; no entry tells its outcome.
    DrillOver = "drill.over",
}

/// Tells the test that a thread has come to `point`.
#[cfg(feature = "test-util")]
pub fn reach(point: Point) {
    if let Some(hook) = HOOK.get() {
        hook(point);
    }
}

/// Does nothing in what ships.
#[cfg(not(feature = "test-util"))]
#[inline(always)]
pub fn reach(_point: Point) {}

#[cfg(feature = "test-util")]
type Hook = Box<dyn Fn(Point) + Send + Sync>;

#[cfg(feature = "test-util")]
static HOOK: std::sync::OnceLock<Hook> = std::sync::OnceLock::new();

/// Calls `hook` at every point from now on, in the whole process. It is kept for
/// good: a second one is not taken.
///
/// # Errors
///
/// When there is one already.
#[cfg(feature = "test-util")]
pub fn install(hook: impl Fn(Point) + Send + Sync + 'static) -> Result<(), Installed> {
    HOOK.set(Box::new(hook)).map_err(|_| Installed)
}

/// A hook had been installed before.
#[cfg(feature = "test-util")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the process has a hook at its fail points already")]
pub struct Installed;

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_say_where_they_are() {
        let mut names: Vec<_> = Point::ALL.iter().map(|point| point.name()).collect();
        let listed = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), listed);
        for name in names {
            let parts = name.split_once('.');
            let word = |part: &str| {
                let known = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
                !part.is_empty() && part.bytes().all(known)
            };
            assert!(
                parts.is_some_and(|(one, two)| word(one) && word(two)),
                "{name}"
            );
        }
    }
}
