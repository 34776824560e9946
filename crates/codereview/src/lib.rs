//! Source text in, findings out.
//!
//! # Invariants
//!
//! * The only crate with parsers of source code. Nothing of what is read is executed.
//! * What is read is hostile: files, nesting, findings and time are bounded, and what was
//!   skipped is reported.

pub mod baseline;
pub mod brief;
pub mod change;
mod checks;
pub mod copies;
pub mod finding;
mod flow;
pub mod house;
pub mod lesson;
mod memory;
mod outline;
pub mod render;
pub mod review;
pub mod rules;
pub mod source;
mod syntax;
