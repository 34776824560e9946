//! Control API of a node: what `airside` commands and the console ask a
//! running node.
//!
//! # Invariants
//!
//! * Every route states the [`Role`] that it needs; there is no way to add one
//!   without. What is not stated is refused.
//! * The Unix socket is for the owner of the data folder and nobody else (folder
//!   0700, socket 0600). Over TCP a caller shows a key and holds the roles that
//!   its groups were granted.
//! * Answers are bounded: pages are limited, streams follow the reader's pace.

pub mod client;
mod config;
mod fault;
mod role;
mod router;
mod serve;
pub mod socket;
mod stream;
pub mod wire;

pub use client::Client;
pub use config::{Config, Grant};
pub use role::{Access, Role};
pub use router::{Endpoint, MAX_PAGE, Node, State, endpoints, router};
pub use serve::{serve_socket, serve_tcp};
