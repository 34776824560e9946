//! The hotel MCP server that ships inside Airside.
//!
//! Hotels, rates and availability are generated from a seed over the real cities
//! of GeoNames; the semantics of stays, restrictions, taxes and cancellation are
//! those of real distribution.
//!
//! # Invariants
//!
//! * Every value is a function of the seed and its coordinates; nothing is stored.
//! * Money is an integer in minor units; no floating point takes part.
//! * Nothing is written: the three tools only read.

mod app;
pub mod bench;
mod draw;
mod error;
mod levy;
mod money;
mod night;
mod places;
mod prompt;
mod property;
mod quote;
mod reference;
mod server;
mod shop;
mod stay;
pub mod supply;
mod tools;

pub use places::asset;
pub use property::Size;
pub use server::{Exposure, Options, Parts, Travel};
