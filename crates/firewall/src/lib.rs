//! What passes between callers and servers, read by the rules of `airside-screen`.
//!
//! # Invariants
//!
//! * A request is read before it is decided about, and what is taken out of it is gone
//!   then: a permit is for what is sent.
//! * Bytes that nothing is found in pass as they came. Edits touch what was found.
//! * What was found is never recorded ([`Hit`]), nor told to anybody.
//! * Lists of tools are not read here: what servers say of their tools is read when it
//!   changes, not whenever it is asked for.

mod answer;
mod classifier;
pub mod config;
mod firewall;
mod found;
mod leaf;
mod plan;
mod reading;
mod schema;
mod stop;

pub use self::{
    answer::{Answers, Notes},
    firewall::{
        Checked, ConfigError, Firewall, Mirrored, Trial, check, is_secret, random_key, rules,
    },
    found::{Findings, FingerprintKey, Hit, MAX_TOLD},
    plan::Place,
    schema::Schema,
    stop::Stop,
};
