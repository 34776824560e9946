//! What conversations are called, and where they have to stay.

use std::{fmt, str::FromStr, sync::Arc};

use airside_base::{Redacted, TenantId};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use crate::personal::token;

/// The right to one conversation: 256 random bits. It has no printable form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handle(Redacted<String>);

/// The text is neither a handle nor an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not the handle or id of a conversation")]
pub struct HandleError;

impl Handle {
    /// Returns the handle as text, to be given to the one who may use it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// Returns what the ledger knows of it.
    #[must_use]
    pub fn id(&self, tenant: &TenantId) -> Id {
        let text = format!("airside.conversation/1\n{tenant}\n{}", self.expose());
        let hash = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()));
        Id(hash.into())
    }

    pub(super) fn generate() -> Self {
        Self(Redacted::new(token()))
    }
}

impl FromStr for Handle {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<Self, HandleError> {
        if is_base64url_of_32_bytes(text) {
            return Ok(Self(Redacted::new(text.to_owned())));
        }
        Err(HandleError)
    }
}

/// Names one conversation in the ledger: a hash of its handle, since whoever reads the
/// ledger must not be able to use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Id(Arc<str>);

impl Id {
    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = HandleError;

    fn from_str(text: &str) -> Result<Self, HandleError> {
        if is_base64url_of_32_bytes(text) {
            return Ok(Self(text.into()));
        }
        Err(HandleError)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_base64url_of_32_bytes(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    text.len() == 43 && text.bytes().all(plain)
}

/// A place where data has to stay: 1 to 32 of `a-z`, `0-9` and `-`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(Arc<str>);

/// The text is not the name of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a region is 1 to 32 of a-z, 0-9 and `-`")]
pub struct RegionError;

impl FromStr for Region {
    type Err = RegionError;

    fn from_str(text: &str) -> Result<Self, RegionError> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(text.into()));
        }
        Err(RegionError)
    }
}

impl TryFrom<String> for Region {
    type Error = RegionError;

    fn try_from(text: String) -> Result<Self, RegionError> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0.as_ref().to_owned()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
