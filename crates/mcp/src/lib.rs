//! MCP wire codec: envelope, revisions, streams, client. It forwards bytes and models no results.
//!
//! # Invariants
//!
//! * No policy: what may happen is decided elsewhere.
//! * Everything that is read has a bound, and nothing recurses over input.
//! * What is not understood is kept as it came.

pub mod body;
pub mod client;
pub mod codes;
mod envelope;
pub mod era;
mod failure;
pub mod header;
mod json;
mod limits;
mod members;
mod principal;
pub mod raw;
pub mod reply;
mod revision;
mod splice;
pub mod sse;

pub use body::{Body, BoxError, Local};
pub use client::Client;
pub use envelope::{
    Call, Incoming, Meta, ParseError, Reason, Response, error_body, name_member, reparse,
    result_body,
};
pub use era::{Era, Session};
pub use failure::Failure;
pub use header::{Mismatch, ParamHeaders};
pub use limits::{Limits, MAX_MESSAGE};
pub use principal::Principal;
pub use revision::Revision;
pub use splice::{removals, splice};
