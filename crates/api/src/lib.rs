//! Control API of a node: what `airside` commands and the console ask a
//! running node.
//!
//! # Invariants
//!
//! * Every route states what it needs ([`Needs`]); there is no way to add one
//!   without. What is not stated is refused.
//! * The key of an upstream server opens the routes of conversations and no others,
//!   there only those that this server began, for the tenant of the key.
//! * The Unix socket is for the owner of the data folder and nobody else (folder
//!   0700, socket 0600). Over TCP a caller shows a key and holds the roles that
//!   its groups were granted.
//! * Answers are bounded: pages are limited, streams follow the reader's pace.

mod alpinebits;
pub mod approvals;
mod asked;
pub mod client;
mod config;
mod contracts;
mod conversations;
mod evals;
mod fault;
pub mod findings;
pub mod limits;
mod opera;
mod payments;
mod persons;
mod review;
mod role;
mod router;
mod serve;
pub mod socket;
mod stream;
pub mod wire;

pub use alpinebits::{Delivery, Receipt};
pub use client::Client;
pub use config::{Config, Grant, UpstreamKey};
pub use opera::Pushed;
pub use persons::Persons;
pub use review::{Part, Reach, Review};
pub use role::{Access, Callers, Needs, Role};
pub use router::{Endpoint, MAX_PAGE, Node, State, endpoints, router};
pub use serve::{serve_socket, serve_tcp};
