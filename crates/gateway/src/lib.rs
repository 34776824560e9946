//! Request flow of MCP calls: listener, pipeline, upstreams, recording.
//!
//! # Invariants
//!
//! * A call reaches an upstream only inside a `Permit` of the policy engine.
//! * Bodies are forwarded as the bytes they are; whatever changes one edits spans
//!   of it and is switched on by the route.
//! * A call with an effect is recorded durably before it is sent and is never
//!   sent twice by the gateway.
//! * Every queue, table and buffer has a bound, and every wait a deadline.

mod access;
pub mod approval;
mod authorization;
pub mod barrier;
mod body;
mod bridge;
mod cache;
pub mod catalog;
pub mod config;
pub mod contracts;
mod credentials;
mod draining;
pub mod event;
mod faults;
pub mod federation;
mod fetch;
mod head;
mod lines;
mod listen;
mod listener;
pub mod metrics;
mod parting;
mod pipeline;
mod ranges;
mod record;
pub mod replay;
mod session;
mod snapshot;
pub mod tls;
mod trace;
mod upstream;

pub use authorization::Rules;
pub use federation::Shared;
pub use fetch::HttpFetch;
pub use listener::{ServeError, serve};
pub use snapshot::{BuildError, Parts, Snapshot};
pub use upstream::{BodyError, Outbound, State, Status, Upstream};
