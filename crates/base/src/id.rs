//! Ids of different things that cannot be mixed up.
//!
//! Two families: *generated* ids are UUIDs of version 7 (RFC 9562, section 5.7),
//! so they sort by time; *names* are chosen by people and appear in
//! configuration, paths and tool prefixes.

use std::{fmt, str::FromStr, sync::Arc};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Clock;

macro_rules! generated {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Returns a fresh id that carries the time of `clock`.
            #[must_use]
            pub fn generate(clock: &dyn Clock) -> Self {
                let now = clock.now();
                let seconds = u64::try_from(now.as_second()).unwrap_or(0);
                let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
                let stamp = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos);
                Self(Uuid::new_v7(stamp))
            }

            /// Returns the id as a number.
            #[must_use]
            pub fn as_u128(&self) -> u128 {
                self.0.as_u128()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    )*};
}

generated! {
    /// One call through the gateway.
    CallId;
    /// One run of one Airside process.
    NodeId;
}

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a name: use 1 to {max} of a-z, 0-9 and `-`, starting with a letter or digit", max = MAX_NAME)]
pub struct NameError {
    /// The refused text, cut to a printable length.
    pub text: String,
}

/// Longest name, in bytes: a DNS label (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 63;

fn check_name(text: &str) -> Result<(), NameError> {
    let head = text
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let tail = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if head && tail && text.len() <= MAX_NAME {
        return Ok(());
    }
    let printable = text.chars().take(40).flat_map(char::escape_debug).collect();
    Err(NameError { text: printable })
}

macro_rules! name {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                check_name(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )*};
}

name! {
    /// One customer of this installation, with a ledger chain of its own.
    TenantId;
    /// One upstream MCP server, as configured.
    ServerId;
}

impl Default for TenantId {
    /// Returns the tenant of an installation that has only one.
    fn default() -> Self {
        Self("default".into())
    }
}

/// Returns 256 random bits as 43 characters of base64url, for values whose
/// knowledge is a right: session ids, API keys, tokens.
#[must_use]
pub fn secret_token() -> String {
    let mut bytes = [0_u8; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system random source answers");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VirtualClock;

    #[test]
    fn generated_ids_sort_by_time() {
        let clock = VirtualClock::new("2026-11-23T12:00:00Z".parse().unwrap());
        let first = CallId::generate(&clock);
        clock.advance(std::time::Duration::from_millis(2));
        assert!(first < CallId::generate(&clock));
        assert_eq!(first.to_string().parse::<CallId>().unwrap(), first);
    }

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "hotels-eu1", "0x"] {
            assert_eq!(good.parse::<ServerId>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", "A", "a b", "a\u{202e}", &"a".repeat(64)] {
            assert!(bad.parse::<ServerId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn refused_name_is_escaped_in_its_error() {
        let error = "\u{1b}[31m".parse::<TenantId>().unwrap_err();
        assert!(!error.to_string().contains('\u{1b}'), "{error}");
    }

    #[test]
    fn secret_tokens_differ() {
        let (one, other) = (secret_token(), secret_token());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
    }
}
