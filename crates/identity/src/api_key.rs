//! API keys: long-lived secrets that the operator hands to one caller each.
//!
//! A key is the prefix `airside_` and 256 random bits in base64url. The prefix
//! lets secret scanners recognise a leaked one. Configuration holds its SHA-256
//! only.
//!
//! # Invariants
//!
//! * A key is found by its digest, in a table whose hash function is seeded per
//!   process, and compared in constant time: how long an answer takes says
//!   nothing about which keys exist.
//! * The time that expiry is judged by is the injected clock's.
//! * A caller keeps its name, tenant and groups when its key is replaced, and may show
//!   the former key until the end that was set for it. Evidence tells which one came.

use std::{collections::HashMap, sync::Arc};

use airside_base::{Clock, Redacted, Timestamp, secret_token};
use http::{HeaderValue, header::AUTHORIZATION};

use crate::{
    ApiKeyConfig, Attestation, Caller, CallerKind, Digest, Error, Evidence, Head, Verdict, Verifier,
};

/// What every key starts with.
pub const PREFIX: &str = "airside_";

/// Characters after the prefix: 256 bits in base64url without padding.
const SECRET_CHARS: usize = 43;

/// A fresh key. The secret is shown once and stored nowhere.
#[derive(Debug)]
pub struct Minted {
    /// What the caller sends.
    pub secret: Redacted<String>,
    /// What the configuration holds.
    pub sha256: Digest,
}

/// Returns a fresh key.
#[must_use]
pub fn mint() -> Minted {
    let secret = format!("{PREFIX}{}", secret_token());
    let sha256 = Digest::of(secret.as_bytes());
    Minted {
        secret: Redacted::new(secret),
        sha256,
    }
}

/// Recognises `Authorization: Bearer airside_…`.
#[derive(Debug)]
pub struct ApiKeys {
    keys: HashMap<Digest, Key>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Key {
    caller: Caller,
    not_after: Option<Timestamp>,
}

impl ApiKeys {
    /// Returns a verifier of these keys.
    #[must_use]
    pub fn new(keys: &[ApiKeyConfig], clock: Arc<dyn Clock>) -> Self {
        let mut found = HashMap::new();
        for key in keys {
            let holder = Caller::new(
                CallerKind::ApiKey,
                key.name.clone(),
                key.tenant.clone(),
                Attestation::ApiKey,
                key.groups.clone(),
            );
            let with = |which: &str, digest: Digest, not_after| {
                let checked = [format!("{which} {}", digest.short()), "expiry".to_owned()];
                let caller = holder
                    .clone()
                    .with_evidence(Evidence::new("api_key", checked));
                (digest, Key { caller, not_after })
            };
            found.extend([with("digest", key.sha256, key.not_after)]);
            let previous = key.previous.iter();
            found.extend(previous.map(|previous| {
                let (digest, not_after) = (previous.sha256, Some(previous.not_after));
                with("digest of a previous key", digest, not_after)
            }));
        }
        Self { keys: found, clock }
    }

    /// Returns the holder of the key that a request shows; nobody if it shows none.
    ///
    /// # Errors
    ///
    /// When the key is malformed, unknown or expired.
    pub fn find(&self, head: &Head<'_>) -> Result<Option<Caller>, Error> {
        find_key(head)?.map(|key| self.judge(key)).transpose()
    }

    fn judge(&self, key: &[u8]) -> Result<Caller, Error> {
        let found = self.keys.get(&Digest::of(key)).ok_or(Error::UnknownKey)?;
        match found.not_after {
            Some(not_after) if not_after < self.clock.now() => Err(Error::ExpiredKey {
                name: found.caller.id().to_owned(),
                not_after,
            }),
            _ => Ok(found.caller.clone()),
        }
    }
}

impl Verifier for ApiKeys {
    fn verify(&self, head: &Head<'_>) -> Verdict {
        match self.find(head) {
            Ok(None) => Verdict::Passed,
            Ok(Some(caller)) => Verdict::Claimed(caller.into()),
            Err(error) => Verdict::Refused(error),
        }
    }
}

/// Returns the key of a request, if it claims to have one.
fn find_key<'a>(head: &Head<'a>) -> Result<Option<&'a [u8]>, Error> {
    let mut values = head.headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        // Which one counts would depend on who reads it (RFC 9110, section 5.3).
        let any = head
            .headers
            .get_all(AUTHORIZATION)
            .iter()
            .any(looks_like_ours);
        return if any {
            Err(Error::Malformed("send one `Authorization` header"))
        } else {
            Ok(None)
        };
    }
    let value = value.as_bytes();
    let Some(credentials) = bearer(value) else {
        return if contains(value, PREFIX.as_bytes()) {
            Err(Error::Malformed(
                "send the key as `Authorization: Bearer airside_…`",
            ))
        } else {
            Ok(None)
        };
    };
    let Some(secret) = credentials.strip_prefix(PREFIX.as_bytes()) else {
        return Ok(None);
    };
    let base64url = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    if secret.len() != SECRET_CHARS || !secret.iter().all(base64url) {
        return Err(Error::Malformed(
            "a key is `airside_` and 43 characters of base64url; check that it was copied whole",
        ));
    }
    Ok(Some(credentials))
}

/// Returns the credentials of the `Bearer` scheme. The scheme is
/// case-insensitive (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(b"Bearer".len())?;
    let credentials = rest.trim_ascii_start();
    (scheme.eq_ignore_ascii_case(b"Bearer") && credentials.len() < rest.len())
        .then_some(credentials)
}

fn looks_like_ours(value: &HeaderValue) -> bool {
    contains(value.as_bytes(), PREFIX.as_bytes())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests;
