//! Every component known, every vulnerability decided, every deadline kept.
//!
//! # Invariants
//!
//! * Matching and decisions are functions of their arguments: the same inventory, feeds
//!   and context give the same bytes, so that a decision can be made again years later.
//! * Nothing found in a scanned file is executed, resolved or fetched.
//! * What was not looked at is said. "No findings" means that everything was assessed.

pub mod advisory;
pub mod audit;
pub mod callers;
pub mod component;
pub mod decision;
pub mod event;
pub mod exploit;
pub mod export;
pub mod feeds;
pub mod index;
pub mod matching;
pub mod mitigation;
pub mod plan;
pub mod read;
pub mod reconcile;
pub mod remedy;
pub mod scan;
pub mod state;
pub mod version;
pub mod vex;

#[cfg(test)]
mod rules;
