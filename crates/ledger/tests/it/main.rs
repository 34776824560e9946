//! The ledger as its users see it, on both stores.

mod archive;
mod conversation;
mod crash;
mod drill;
mod erasure;
mod failing;
mod harness;
mod ledger;
mod model;
mod proof;
mod restore;
mod state;
