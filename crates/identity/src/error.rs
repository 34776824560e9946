//! Why a caller could not be identified.

use airside_base::{Fault, Kind, Timestamp};

use crate::{TokenError, certificate, signature};

/// Why a caller could not be identified.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No verifier recognised any evidence.
    #[error("the request carries no evidence of who is calling")]
    Nobody,
    /// There is an API key, but not in the form that is accepted.
    #[error("the API key is malformed: {0}")]
    Malformed(&'static str),
    /// The key has the right form and is not configured.
    #[error("the API key is not known")]
    UnknownKey,
    /// The key is configured and its time is over.
    #[error("the API key `{name}` expired at {not_after}")]
    ExpiredKey {
        /// The configured name of the key.
        name: String,
        /// Last moment at which it was accepted.
        not_after: Timestamp,
    },
    /// The request came over loopback, but on behalf of somebody else.
    #[error(
        "the request came through a proxy (header `{header}`), so its loopback peer proves nothing"
    )]
    Proxied {
        /// The header that gave it away.
        header: &'static str,
    },
    /// The evidence covers another body than the one that came.
    #[error("the body is not the one that the evidence of the caller covers")]
    Body,
    /// There is a client certificate, and it is not accepted.
    #[error(transparent)]
    Certificate(#[from] certificate::Error),
    /// There is a signature, and it is not accepted.
    #[error(transparent)]
    Signature(#[from] signature::Error),
    /// There is an access token, and it is not accepted.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The access token lacks scopes that the operation needs.
    #[error("the access token lacks one of the scopes `{needed}`")]
    Scope {
        /// All scopes of the operation, with blanks between.
        needed: String,
    },
}

impl Error {
    /// Returns what the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let unauthenticated = |code, public| Fault::new(Kind::Unauthenticated, code, public);
        match self {
            Self::Nobody => unauthenticated("ID-001", "the request does not say who is calling")
                .with_hint(
                    "send `Authorization: Bearer airside_…` with an API key of this installation",
                ),
            Self::Malformed(what) => {
                unauthenticated("ID-002", "the API key is malformed").with_hint(*what)
            }
            Self::UnknownKey => unauthenticated("ID-003", "the API key is not valid here")
                .with_hint("ask the operator of this installation for a key"),
            Self::ExpiredKey { .. } => unauthenticated("ID-004", "the API key has expired")
                .with_hint("ask the operator of this installation for a new key")
                .with_private(self),
            Self::Proxied { .. } => unauthenticated(
                "ID-005",
                "anonymous access is for direct connections from the same machine",
            )
            .with_hint("call the gateway without a proxy, or send an API key")
            .with_private(self),
            Self::Body => unauthenticated("ID-020", "the body is not the one that was signed")
                .with_hint("send the very bytes whose digest was signed"),
            Self::Certificate(error) => error.fault(),
            Self::Signature(error) => error.fault(),
            Self::Token(error) => error.fault(),
            Self::Scope { needed } => Fault::new(
                Kind::Forbidden,
                "ID-034",
                "the access token does not permit this operation",
            )
            .with_hint(format!("ask for a token with the scopes: {needed}")),
        }
    }

    /// Returns the error code of the challenge that an answer has to carry, empty where
    /// there is nothing to say (RFC 6750, section 3.1); none if it carries none.
    pub(crate) fn challenge(&self) -> Option<&'static str> {
        match self {
            Self::Nobody | Self::Proxied { .. } | Self::Certificate(_) | Self::Signature(_) => {
                Some("")
            }
            Self::Malformed(_) | Self::Body => Some("invalid_request"),
            Self::UnknownKey | Self::ExpiredKey { .. } => Some("invalid_token"),
            Self::Scope { .. } => Some("insufficient_scope"),
            Self::Token(error) => error.challenge(),
        }
    }
}
