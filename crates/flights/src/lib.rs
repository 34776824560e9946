//! Flight search, and the airline of tau-bench for evaluation suites: two MCP servers
//! that ship inside.
//!
//! # Invariants
//!
//! * Nothing outside of memory is written: [`Flights`] only reads, [`Airline`] changes
//!   sandboxes that end with the process.

mod airline;
mod search;

pub use airline::{Airline, MAX_SANDBOXES};
pub use search::Flights;
