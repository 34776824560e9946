//! What the MCP servers that ship inside Airside are made of.
//!
//! A server says what it offers by [`Tools`]; [`Server`] speaks the protocol for it, in
//! every revision. [`schema`] and [`arguments`] lead from what a model sends to types,
//! and [`reply`] and [`refuse`] back.
//!
//! # Invariants
//!
//! * This is the only crate that knows rmcp; the others use its types through [`model`].

pub mod arguments;
pub mod schema;
mod server;

pub use rmcp::model;
pub use server::{
    About, Exposure, LIST_TTL_MS, Origin, Server, Tools, document, refuse, reply, text,
};
