//! Fakes, fixtures and load generation for development; never shipped.
//!
//! * [`fixture`]: the server that the official conformance suite is run against.
//! * [`checkout`]: a payment provider with hosted pages and signed webhooks.
//! * [`upstream`]: a server that costs next to nothing, to measure what stands
//!   before it.
//! * [`opera`]: a hotel system in another house, with troubles on demand.
//! * [`idp`]: an identity provider that misbehaves on demand.
//! * [`pki`]: certificate authorities and what they issue.
//! * [`postgres`]: a real PostgreSQL for tests, one database for each.
//! * [`load`]: the load generator and what it measures.
//! * [`harness`]: starts and stops the built binary.
//! * [`tour`]: runs what a page shows.

pub mod checkout;
pub mod fixture;
pub mod harness;
pub mod idp;
pub mod load;
pub mod opera;
pub mod pki;
pub mod postgres;
pub mod redis;
pub mod s3;
pub mod tour;
pub mod upstream;
mod wire;
