//! The ledger as its users see it, on both stores.

mod crash;
mod failing;
mod harness;
mod ledger;
mod model;
mod proof;
mod state;
