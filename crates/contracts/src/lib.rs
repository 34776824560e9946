//! What servers say of their tools, how that changes, and what is wrong with it.
//!
//! A [`Definition`] is what a server says of one tool, with a digest over its canonical
//! form. [`drift`] names in which ways two of them differ, [`Rules`] what is to be done
//! about each, and [`diff`] shows the difference to a person. [`judge`] decides what becomes
//! of a tool that is seen, [`event`] is what the ledger keeps of it. [`scan`] looks for what
//! is wrong with definitions and with the files by which clients start servers.
//!
//! # Invariants
//!
//! * Everything is a function of its arguments: no clock, no IO, nothing is started.
//! * Texts come from strangers: every one is bounded in size and depth before it is
//!   read, and what cannot be read without doubt is an error, never a guess.
//! * Numbers stay the text they came as: 10.10 is not 10.1.

mod canonical;
mod definition;
pub mod diff;
mod digest;
pub mod drift;
pub mod event;
pub mod judge;
mod rules;
pub mod scan;
mod schema;
mod screened;

pub use canonical::{Json, MAX_DEPTH, Unreadable};
pub use definition::{Definition, Hints, MAX_BYTES, Text};
pub use digest::Digest;
pub use drift::{Class, Drift};
pub use rules::{Action, Rules};
pub use schema::Relation;
pub use screened::{Screened, screened};
