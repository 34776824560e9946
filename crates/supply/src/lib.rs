//! Adapters between suppliers' interfaces and the inventory.
//!
//! # Invariants
//!
//! * Everything that arrives is hostile: bounded before it is kept, refused whole
//!   when it breaks a rule, never executed.

pub mod alpinebits;
pub mod intake;
