//! The files of a tree, what a change makes of them, and what is written in them twice.
//!
//! # Invariants
//!
//! * Nothing here parses: what is compared are tokens, of lexers of our own.
//! * What is read is hostile: files and time are bounded, and what was skipped is told.

pub mod change;
pub mod copies;
pub mod memory;
pub mod source;
