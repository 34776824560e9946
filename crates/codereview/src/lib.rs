//! Source text in, findings out; and the sampling of human review.
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
#[cfg(test)]
mod golden;
pub mod house;
pub mod lesson;
pub mod lot;
mod outline;
pub mod page;
pub mod register;
pub mod render;
pub mod review;
pub mod rules;
pub mod source;
mod syntax;

/// Returns `bytes` in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
