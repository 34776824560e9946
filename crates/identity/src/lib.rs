//! Who is calling.
//!
//! [`Identity::identify`] shows the head of a request to one [`Verifier`] after
//! another. Credentials name the [`Caller`]; what the connection and signatures prove
//! names it where there are none, and otherwise supports it with further evidence.
//!
//! # Invariants
//!
//! * Default deny: a request that nobody claims has no caller.
//! * Evidence that is present and wrong is refused, never passed on. A bad key
//!   does not become an anonymous caller.
//! * What a client says about itself (`User-Agent`, `clientInfo`) is a label and
//!   changes no verdict.
//! * Identity is not permission: what a caller may do is decided by policy.
//! * Only the head is read, so a request can be turned away before its first body
//!   byte. Where evidence covers the body, the [`Claim`] keeps its digest and gives
//!   the caller away only for that body.
//! * A judgement that needs no IO is made at once; the others ask elsewhere first
//!   ([`Identified::Later`]), bounded in time and number.
//! * What goes into entries ([`Evidence`], [`Caller::id`]) holds no secrets and no
//!   personal data.

mod anonymous;
mod api_key;
mod caller;
pub mod certificate;
mod config;
mod digest;
mod error;
mod evidence;
mod fetch;
mod proxy;
mod range;
pub mod signature;
mod token;
mod verifier;

pub use anonymous::AnonymousLoopback;
pub use api_key::{ApiKeys, Minted, PREFIX, mint};
pub use caller::{Attestation, Caller, CallerKind, Claims};
pub use certificate::{CertificateConfig, Certificates, LoadError, PeerCertificate};
pub use config::{
    ApiKeyConfig, Config, ConfigError, MAX_NAME_BYTES, MAX_PREVIOUS, PreviousKeyConfig,
};
pub use digest::{Digest, DigestError};
pub use error::Error;
pub use evidence::{BodyDigest, Claim, Evidence};
pub use fetch::{Fetch, FetchError, FetchRequest, Fetched, Reach, is_loopback};
pub use proxy::{AddressHeader, CertificateHeader, Proxies, ProxyConfig, ProxyError};
pub use range::{Changed, IpRangeConfig, IpRanges, RangeError};
pub use signature::{
    AgentConfig, HttpSignatures, SignatureConfig, SignatureError, SigningKeyConfig,
};
pub use token::{
    Algorithm, AlgorithmError, Dpop, IntrospectionConfig, IssuerConfig, RESOURCE_METADATA,
    ResourceConfig, ScopeConfig, TokenConfigError, TokenError, TrustDomainConfig,
};
pub use verifier::{Head, Identified, Identity, Inquiry, Outside, Verdict, Verifier};

#[cfg(test)]
mod contract;
