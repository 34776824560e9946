//! Drives the crate from outside: the client against a server of both eras, and the
//! corpus of the fuzz targets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod client;
mod corpus;
mod server;
