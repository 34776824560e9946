//! Adapters against published messages, against a supplier in another process's clothes,
//! and against a provider that takes payments.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod examples;
mod lost;
mod opera;
mod payment;
mod pushed;
mod swagger;
