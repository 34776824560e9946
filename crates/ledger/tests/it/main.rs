//! The ledger as its users see it, on both stores.

mod harness;
mod ledger;
