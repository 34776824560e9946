//! What people decide about reviewed code, in the ledger: lots of sampled review, findings
//! and the lessons that are owed.
//!
//! # Invariants
//!
//! * Nothing here reads source: what a review has found is given.
//! * What was decided is an entry of its own, with who and why; tables follow from entries.

#[cfg(test)]
mod golden;
pub mod lesson;
pub mod lot;
mod mark;
#[cfg(test)]
mod office;
pub mod page;
pub mod register;
