//! Implementations of the [`Store`](crate::store::Store) port.

pub mod memory;
pub mod postgres;
pub mod sqlite;
