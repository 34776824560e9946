//! Real changes of real tools.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod drift;
mod shared;
