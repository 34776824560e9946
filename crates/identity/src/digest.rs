//! SHA-256 digests of secrets.

use std::{fmt, str::FromStr};

use aws_lc_rs::{constant_time::verify_slices_are_equal, digest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// SHA-256 of a secret, written as 64 hexadecimal digits.
///
/// It is equal only to itself, found out in constant time. A secret with 256
/// random bits cannot be guessed from its digest, so no salt and no slow hash is
/// needed.
#[derive(Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^[0-9a-fA-F]{64}$"))]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected SHA-256 as 64 hexadecimal digits, found {found} characters{}", bad_digit(*.digit))]
pub struct DigestError {
    /// How many characters were found.
    pub found: usize,
    /// Whether one of them is no hexadecimal digit.
    pub digit: bool,
}

fn bad_digit(digit: bool) -> &'static str {
    if digit {
        ", one of them no hexadecimal digit"
    } else {
        ""
    }
}

impl Digest {
    /// Returns the digest of `secret`.
    #[must_use]
    pub fn of(secret: &[u8]) -> Self {
        let digest = digest::digest(&digest::SHA256, secret);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest.as_ref());
        Self(bytes)
    }

    /// Returns the first eight digits: enough to tell the keys of one caller apart, and
    /// nothing to find a key by.
    #[must_use]
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(8);
        text
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Digest {}

impl std::hash::Hash for Digest {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        // Eight of 32 uniformly distributed bytes place an entry as well as all.
        state.write(&self.0[..8]);
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let refused = |digit| DigestError {
            found: text.chars().count(),
            digit,
        };
        let text = text.as_bytes();
        let mut bytes = [0; 32];
        let nibble = |at: usize| {
            let digit = text.get(at).map(|byte| char::from(*byte).to_digit(16));
            match digit {
                Some(Some(value)) => u8::try_from(value).map_err(|_| refused(true)),
                Some(None) => Err(refused(true)),
                None => Err(refused(false)),
            }
        };
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = nibble(2 * at)? << 4 | nibble(2 * at + 1)?;
        }
        if text.len() != 64 {
            return Err(refused(false));
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn known_digest_is_computed_and_read() {
        assert_eq!(Digest::of(b"abc").to_string(), ABC);
        assert_eq!(ABC.parse(), Ok(Digest::of(b"abc")));
        assert_eq!(ABC.to_uppercase().parse(), Ok(Digest::of(b"abc")));
        assert_ne!(Digest::of(b"abc"), Digest::of(b"abd"));
        assert_eq!(Digest::of(b"abc").short(), "ba7816bf");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            &ABC[1..],
            &format!("{ABC}0"),
            &ABC.replace('a', "g"),
            &"é".repeat(32),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }
}
