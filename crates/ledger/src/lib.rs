//! Append-only, hash-chained log with views and tables: the only home of durable state.
//!
//! # Invariants
//!
//! * One chain per tenant. Each entry names the hash of the one in front of it
//!   (`docs/ledger-format.md`), so a changed, missing or inserted entry is found
//!   by [`Ledger::verify`]. A chain cut off at its end together with its recorded
//!   head is not: that takes a witness outside.
//! * Time never steps backwards within a chain, whatever the clock does, and
//!   entries of one append share it: all entries up to a time are whole appends.
//! * An acknowledged append is durable. A recorded draft is durable with a later
//!   group commit and is retried until it is; if it has to be given up at the end
//!   of the process, its loss is logged.
//! * Documents of a [`Table`] change only by folding an entry, in the transaction
//!   that writes this entry, so they can always be folded again from the log.
//! * Every queue is bounded; a full one is an error for the caller.
//!
//! SQL occurs in [`stores`] and nowhere else in the workspace.

mod batch;
pub mod conversation;
mod encoding;
mod entry;
pub mod erasure;
mod error;
pub mod export;
pub mod failpoint;
mod follow;
pub mod keys;
mod ledger;
mod merkle;
pub mod note;
pub mod personal;
pub mod proof;
mod queue;
mod reached;
mod recent;
pub mod seal;
mod sequencer;
pub mod store;
pub mod stores;
mod table;
mod tiles;
pub mod vault;
mod verify;
mod view;

pub use batch::{Batch, Receipt};
pub use entry::{
    Draft, DraftError, Entry, Hash, Head, Kind, MAX_BODY_BYTES, MAX_KIND_BYTES, MAX_SUBJECT_BYTES,
};
pub use error::{AppendError, LeaseError, OpenError, ReadError, VerifyError};
pub use follow::Follower;
pub use ledger::{Lease, Ledger, Options};
pub use queue::Place;
pub use reached::{Reach, Reached};
pub use recent::Recent;
pub use store::{Cell, Query, Store, StoreError};
pub use table::{Column, Fact, Schema, Table, TableError, Versioned};
pub use verify::{Defect, Progress, Verified, Wrong};
pub use view::{Fold, View};
