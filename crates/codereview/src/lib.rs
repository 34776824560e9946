//! Source text in, findings out; and the sampling of human review.
//!
//! # Invariants
//!
//! * The only crate with parsers of source code. Nothing of what is read is executed.
//! * What is read is hostile: files, nesting, findings and time are bounded, and what was
//!   skipped is reported.

pub mod lot;
