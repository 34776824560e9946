//! Real changes of real tools, real configurations of clients, labelled attacks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod configurations;
mod detection;
mod drift;
mod shared;
