//! Continuous backup of the ledger, and recovery to any moment.
//!
//! # Invariants
//!
//! * [`Archiver`] copies entries to a storage elsewhere as they come; what is in an
//!   [`Archive`] is never changed by a writer.
//! * [`restore`](mod@restore) brings back the ledger as it was at a moment, into an
//!   empty store of any kind, and checks every entry on the way.
//! * [`drill`](mod@drill) does so again and again, so that it works on the day it is
//!   needed.
//!
//! No SQL: the crate reads and writes ledgers through their port.

mod archive;
pub mod drill;
pub mod restore;

pub use archive::{
    Access, AccessError, Archive, Archiver, Contents, Done, Error, KeyAt, Kms, KmsKey, Objects,
    Options, SWEPT, Schedule, Shipped, State, Status, Swept, Tail, Upkeep, UpkeepError, Watch,
};
