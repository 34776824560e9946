//! The hotel MCP server that ships inside Airside.
//!
//! Hotels are generated from a seed over the real cities of GeoNames, with a first
//! stock of rooms, rates and restrictions; what is sold is kept in the ledger. The
//! semantics of stays, restrictions, taxes and cancellation are those of real
//! distribution.
//!
//! # Invariants
//!
//! * What is for sale is a function of the seed and of the inventory's chain in the
//!   ledger; nothing else is stored.
//! * Money is an integer in minor units; no floating point takes part.
//! * A room is sold once, and only to somebody who agreed to its terms.

mod app;
pub mod bench;
mod booking;
mod counter;
mod draw;
mod error;
pub mod house;
mod inventory;
mod levy;
mod memory;
mod money;
mod night;
pub mod payment;
mod places;
mod policy;
mod prompt;
mod property;
mod quote;
mod reference;
mod server;
mod shop;
mod stay;
pub mod supply;
mod tools;
mod ucp;

pub use booking::{Bookings, HOLD, KeyUses, Prices, Sessions, Settlements, Travellers};
pub use inventory::{Homes, Reservations};
pub use places::asset;
pub use property::Size;
pub use server::{Options, Parts, Travel};
