//! Adapters against published messages, and against a provider that takes payments.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod examples;
mod payment;
