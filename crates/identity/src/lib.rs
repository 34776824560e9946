//! Who is calling.
//!
//! [`Identity::identify`] shows the head of a request to one [`Verifier`] after
//! another. The first that recognises the evidence it is responsible for decides:
//! it claims the request for a [`Caller`] or refuses it.
//!
//! # Invariants
//!
//! * Default deny: a request that nobody claims has no caller.
//! * Evidence that is present and wrong is refused, never passed on. A bad key
//!   does not become an anonymous caller.
//! * What a client says about itself (`User-Agent`, `clientInfo`) is a label and
//!   changes no verdict.
//! * Identity is not permission: what a caller may do is decided by policy.
//! * No IO, no body: only the head is read, so a request can be turned away
//!   before its first body byte.

mod anonymous;
mod api_key;
mod caller;
mod config;
mod digest;
mod error;
mod verifier;

pub use anonymous::AnonymousLoopback;
pub use api_key::{ApiKeys, Minted, PREFIX, mint};
pub use caller::{Attestation, Caller, CallerKind};
pub use config::{ApiKeyConfig, Config, ConfigError, MAX_NAME_BYTES};
pub use digest::{Digest, DigestError};
pub use error::Error;
pub use verifier::{Head, Identity, Verdict, Verifier};

#[cfg(test)]
mod contract;
