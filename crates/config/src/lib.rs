//! The configuration of a node: what a file can say, and whether it is good to use.
//!
//! # Invariants
//!
//! * A [`Loaded`] configuration has passed every check: what is unsafe or cannot work is
//!   refused before anything starts, with file, line and column.
//! * Relative paths in it have been resolved against its file.
//! * No secret is in a [`Problem`]: lines that may hold one are left out.

mod check;
mod config;
mod inventory;
mod load;
mod payments;
mod problem;
mod properties;
mod reference;
mod source;
mod supply;
mod travel;

pub use check::BUILTINS;
pub use config::{
    ArchivePlace, Config, ConversationPlace, DATA_DIR, Hotels, KeysPlace, KmsPlace, LedgerPlace,
    PolicyFiles, TravelServer, Zone,
};
pub use inventory::{Inventory, Mirror, Server};
pub use load::{Loaded, embedded, load, policies};
pub use payments::{Payments, Provider};
pub use problem::{Problem, Problems};
pub use reference::{page, schema};
pub use source::Place;
pub use supply::{HotelSystem, Supply};
pub use travel::{OperaHotel, SupplyKind, TravelSupply};
