//! Public keys of issuers and clients (RFC 7517, RFC 8037).
//!
//! # Invariants
//!
//! * A key knows the algorithms that its type permits. A token that names another one
//!   is not verified with it, so a public key is never used as a shared secret.
//! * Keys that cannot be used are left out of a set, not an error of the set: an
//!   issuer may publish what only others understand.

use aws_lc_rs::{
    digest,
    rsa::PublicKeyComponents,
    signature::{
        self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RsaParameters,
        UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;

use super::{
    Wrong,
    jose::{Algorithm, Compact, Object},
};

/// Keys of a set that are read.
const MAX_KEYS: usize = 64;

/// Keys without a matching id that are tried for a token without one.
const MAX_TRIED: usize = 4;

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    /// The one algorithm that its owner restricts it to.
    only: Option<Algorithm>,
    public: Public,
    thumbprint: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl Key {
    /// Reads a key; nothing if it is none that verifies signatures here.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let bytes = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
        let point = |size: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            (x.len() == size && y.len() == size).then(|| [&[4][..], &x, &y].concat())
        };
        let (public, canonical) = match (text("kty")?, text("crv")) {
            ("RSA", _) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                let bits = modulus.len() * 8;
                if !(2048..=8192).contains(&bits) || exponent.len() > 8 {
                    return None;
                }
                let canonical = format!(
                    r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
                    text("e")?,
                    text("n")?
                );
                (Public::Rsa { modulus, exponent }, canonical)
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let public = match curve {
                    "P-256" => Public::P256(point(32)?),
                    _ => Public::P384(point(48)?),
                };
                let (x, y) = (text("x")?, text("y")?);
                let canonical = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#);
                (public, canonical)
            }
            ("OKP", Some("Ed25519")) => {
                let point = bytes("x").filter(|point| point.len() == 32)?;
                let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, text("x")?);
                (Public::Ed25519(point), canonical)
            }
            _ => return None,
        };
        let only = match text("alg") {
            Some(name) => Some(Algorithm::find(name)?),
            None => None,
        };
        let thumbprint = digest::digest(&digest::SHA256, canonical.as_bytes());
        let key = Self {
            id: text("kid").map(str::to_owned),
            only,
            public,
            thumbprint: BASE64_URL_SAFE_NO_PAD.encode(thumbprint),
        };
        let usable = only.is_none_or(|only| key.public.verifier(only).is_some());
        usable.then_some(key)
    }

    /// Reads a key that a client puts into its own proof. It has to be public only.
    pub(super) fn read_own(value: &Value) -> Option<Self> {
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        match private.iter().any(|name| value.get(name).is_some()) {
            true => None,
            false => Self::read(value),
        }
    }

    /// Returns the SHA-256 thumbprint in base64url (RFC 7638).
    pub(super) fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    fn permits(&self, algorithm: Algorithm) -> bool {
        self.only.is_none_or(|only| only == algorithm) && self.public.verifier(algorithm).is_some()
    }

    /// Checks the signature of `token`.
    pub(super) fn verify(&self, token: &Compact<'_>) -> Result<(), Wrong> {
        if !self.permits(token.algorithm) {
            return Err(Wrong::Signature);
        }
        let verifier = self
            .public
            .verifier(token.algorithm)
            .ok_or(Wrong::Signature)?;
        verifier.verify(&self.public, token.signed, &token.signature)
    }
}

enum By {
    Rsa(&'static RsaParameters),
    Point(&'static dyn VerificationAlgorithm),
}

impl Public {
    fn verifier(&self, algorithm: Algorithm) -> Option<By> {
        match (self, algorithm) {
            (Self::Rsa { .. }, Algorithm::Rs256) => {
                Some(By::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256))
            }
            (Self::Rsa { .. }, Algorithm::Rs384) => {
                Some(By::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384))
            }
            (Self::Rsa { .. }, Algorithm::Rs512) => {
                Some(By::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512))
            }
            (Self::Rsa { .. }, Algorithm::Ps256) => {
                Some(By::Rsa(&signature::RSA_PSS_2048_8192_SHA256))
            }
            (Self::Rsa { .. }, Algorithm::Ps384) => {
                Some(By::Rsa(&signature::RSA_PSS_2048_8192_SHA384))
            }
            (Self::Rsa { .. }, Algorithm::Ps512) => {
                Some(By::Rsa(&signature::RSA_PSS_2048_8192_SHA512))
            }
            (Self::P256(_), Algorithm::Es256) => Some(By::Point(&ECDSA_P256_SHA256_FIXED)),
            (Self::P384(_), Algorithm::Es384) => Some(By::Point(&ECDSA_P384_SHA384_FIXED)),
            (Self::Ed25519(_), Algorithm::EdDsa) => Some(By::Point(&ED25519)),
            _ => None,
        }
    }
}

impl By {
    fn verify(&self, key: &Public, signed: &[u8], signature: &[u8]) -> Result<(), Wrong> {
        let verified = match (self, key) {
            (Self::Rsa(parameters), Public::Rsa { modulus, exponent }) => PublicKeyComponents {
                n: modulus,
                e: exponent,
            }
            .verify(parameters, signed, signature),
            (
                Self::Point(algorithm),
                Public::P256(point) | Public::P384(point) | Public::Ed25519(point),
            ) => UnparsedPublicKey::new(*algorithm, point).verify(signed, signature),
            _ => return Err(Wrong::Signature),
        };
        verified.map_err(|_| Wrong::Signature)
    }
}

/// The keys of an issuer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Keys(Vec<Key>);

impl Keys {
    /// Reads a key set; nothing if it is none, or has no usable key.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let set = Object::parse(bytes)?;
        let listed = set.0.get("keys")?.as_array()?;
        let signs = |value: &&Value| {
            let uses = value.get("use").and_then(Value::as_str);
            // SPIFFE marks the keys of its tokens so (SPIFFE JWT-SVID, section 6).
            uses.is_none_or(|uses| uses == "sig" || uses == "jwt-svid")
        };
        let keys = listed.iter().filter(signs).filter_map(Key::read);
        let keys: Vec<_> = keys.take(MAX_KEYS).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// Checks the signature of `token` with the key it names.
    pub(super) fn verify(&self, token: &Compact<'_>) -> Result<(), Wrong> {
        let id = token.key_id.as_deref();
        let candidates = self.0.iter().filter(|key| match (id, key.id.as_deref()) {
            (Some(id), Some(known)) => id == known,
            // A key without an id can be anybody's; a token without one, any key's.
            _ => true,
        });
        let mut fitting = candidates
            .filter(|key| key.permits(token.algorithm))
            .take(MAX_TRIED)
            .peekable();
        if fitting.peek().is_none() {
            return Err(Wrong::UnknownKey);
        }
        if fitting.any(|key| key.verify(token).is_ok()) {
            return Ok(());
        }
        // Without the very id, the right key may be one that is not known yet.
        let named = self
            .0
            .iter()
            .any(|key| id.is_some() && key.id.as_deref() == id);
        Err(if named {
            Wrong::Signature
        } else {
            Wrong::UnknownKey
        })
    }
}

#[cfg(test)]
mod tests;
