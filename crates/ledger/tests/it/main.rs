//! The ledger as its users see it, on both stores.

mod archive;
mod crash;
mod drill;
mod failing;
mod harness;
mod ledger;
mod model;
mod proof;
mod restore;
mod state;
