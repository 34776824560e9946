//! What is wrong with definitions and with the files by which clients start servers.
//!
//! [`client::read`] reads the configuration of a client, [`launches`] judges how it
//! starts and reaches servers, [`tools()`] what servers say of their tools, beside each
//! other.
//!
//! # Invariants
//!
//! * Nothing is started, resolved or asked: all of it is text.
//! * No finding holds a secret: it tells where one is, and a digest of it.

pub mod client;
mod launch;
mod pinned;
mod rule;
mod tools;

pub use self::{
    launch::launches,
    rule::{RULES, rule},
    tools::{Offer, tools},
};
