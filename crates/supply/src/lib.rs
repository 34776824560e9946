//! Adapters between the inventory and the companies around it: systems of hotels, and
//! those who take payments.
//!
//! # Invariants
//!
//! * Everything that arrives is hostile: bounded before it is kept, refused whole
//!   when it breaks a rule, never executed.

pub mod alpinebits;
mod http;
pub mod intake;
pub mod opera;
pub mod payment;
