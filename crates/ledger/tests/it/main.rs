//! The ledger as its users see it, on both stores.

mod conversation;
mod crash;
mod erasure;
mod failing;
mod harness;
mod ledger;
mod model;
mod proof;
mod state;
