//! Source text in, findings out.
//!
//! # Invariants
//!
//! * The only crate with parsers of source code. Nothing of what is read is executed.
//! * What is read is hostile: files, nesting, findings and time are bounded, and what was
//!   skipped is reported.

use airside_copies::memory;
pub use airside_copies::{change, copies, source};

pub mod baseline;
pub mod brief;
mod checks;
pub mod finding;
mod flow;
pub mod house;
pub mod lesson;
mod outline;
pub mod render;
pub mod review;
pub mod rules;
mod syntax;
