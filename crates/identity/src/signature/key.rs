//! Keys that signatures are verified with.

use aws_lc_rs::{
    digest, hmac,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PSS_2048_8192_SHA512,
        RsaPublicKeyComponents, UnparsedPublicKey,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::Deserialize;

/// Largest modulus of a key, in bytes.
const MAX_MODULUS: usize = 1024;

/// How a message is signed: those of RFC 9421, section 3.3, without the RSA padding of
/// PKCS #1 v1.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// EdDSA over Curve25519.
    Ed25519,
    /// ECDSA over P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA over P-384 with SHA-384.
    EcdsaP384Sha384,
    /// RSA with PSS and SHA-512.
    RsaPssSha512,
    /// HMAC with SHA-256, for secrets that both sides know.
    HmacSha256,
}

impl Algorithm {
    /// Returns the name in the registry.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::EcdsaP256Sha256 => "ecdsa-p256-sha256",
            Self::EcdsaP384Sha384 => "ecdsa-p384-sha384",
            Self::RsaPssSha512 => "rsa-pss-sha512",
            Self::HmacSha256 => "hmac-sha256",
        }
    }
}

/// A key.
pub(crate) struct Key {
    pub(crate) algorithm: Algorithm,
    material: Material,
    /// Seconds between which it is good.
    not_before: Option<i64>,
    not_after: Option<i64>,
}

enum Material {
    Public(UnparsedPublicKey<Vec<u8>>),
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Shared(Box<hmac::Key>),
}

impl Key {
    /// Returns the key with a public part, as `SubjectPublicKeyInfo` or as the algorithm
    /// writes it.
    pub(crate) fn public(algorithm: Algorithm, bytes: Vec<u8>) -> Option<Self> {
        let public = match algorithm {
            Algorithm::Ed25519 => UnparsedPublicKey::new(&ED25519, bytes),
            Algorithm::EcdsaP256Sha256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, bytes),
            Algorithm::EcdsaP384Sha384 => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, bytes),
            Algorithm::RsaPssSha512 => UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA512, bytes),
            Algorithm::HmacSha256 => return None,
        };
        Some(Self::new(algorithm, Material::Public(public)))
    }

    /// Returns the key of a secret.
    pub(crate) fn shared(secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self::new(Algorithm::HmacSha256, Material::Shared(Box::new(key)))
    }

    const fn new(algorithm: Algorithm, material: Material) -> Self {
        Self {
            algorithm,
            material,
            not_before: None,
            not_after: None,
        }
    }

    /// Returns whether it is good at `now`, in seconds.
    pub(crate) fn is_good_at(&self, now: i64) -> bool {
        self.not_before.is_none_or(|from| from <= now)
            && self.not_after.is_none_or(|until| now <= until)
    }

    /// Returns whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Public(key) => key.verify(message, signature).is_ok(),
            Material::Rsa(key) => key
                .verify(&RSA_PSS_2048_8192_SHA512, message, signature)
                .is_ok(),
            Material::Shared(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

/// The members of a JSON Web Key that are looked at.
#[derive(Debug, Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    nbf: Option<i64>,
    exp: Option<i64>,
}

impl Jwk {
    /// Returns the key with its thumbprint (RFC 7638); none if it is of another kind
    /// or for another use.
    pub(crate) fn key(&self) -> Option<(String, Key)> {
        if self.usage.as_deref().is_some_and(|usage| usage != "sig") {
            return None;
        }
        let crv = self.crv.as_deref();
        let (algorithm, alg, material, canonical) = match (self.kty.as_str(), crv) {
            ("OKP", Some("Ed25519")) => {
                let x = self.x.as_deref()?;
                let key = UnparsedPublicKey::new(&ED25519, sized(x, 32)?);
                let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
                let alg: &[&str] = &["EdDSA", "Ed25519"];
                (Algorithm::Ed25519, alg, Material::Public(key), canonical)
            }
            ("EC", Some(curve @ ("P-256" | "P-384"))) => {
                let (x, y) = (self.x.as_deref()?, self.y.as_deref()?);
                let (algorithm, alg, size): (_, &[&str], _) = match curve {
                    "P-256" => (Algorithm::EcdsaP256Sha256, &["ES256"], 32),
                    _ => (Algorithm::EcdsaP384Sha384, &["ES384"], 48),
                };
                // The point, not compressed (SEC 1, section 2.3.3).
                let mut point = vec![4];
                point.extend(sized(x, size)?);
                point.extend(sized(y, size)?);
                let key = Key::public(algorithm, point)?;
                let canonical = format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#);
                (algorithm, alg, key.material, canonical)
            }
            ("RSA", _) => {
                let (n, e) = (self.n.as_deref()?, self.e.as_deref()?);
                let key = RsaPublicKeyComponents {
                    n: decoded(n).filter(|n| n.len() <= MAX_MODULUS)?,
                    e: decoded(e).filter(|e| e.len() <= 8)?,
                };
                let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
                let alg: &[&str] = &["PS512"];
                (Algorithm::RsaPssSha512, alg, Material::Rsa(key), canonical)
            }
            _ => return None,
        };
        if self
            .alg
            .as_deref()
            .is_some_and(|named| !alg.contains(&named))
        {
            return None;
        }
        // Only what has been decoded is in it: nothing that would need escapes.
        let thumbprint = digest::digest(&digest::SHA256, canonical.as_bytes());
        let mut key = Key::new(algorithm, material);
        (key.not_before, key.not_after) = (self.nbf.map(seconds), self.exp.map(seconds));
        Some((URL_SAFE_NO_PAD.encode(thumbprint), key))
    }
}

/// Some directories give milliseconds. As seconds that would be in the year 5138.
fn seconds(time: i64) -> i64 {
    if time > 100_000_000_000 {
        time / 1000
    } else {
        time
    }
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn sized(text: &str, size: usize) -> Option<Vec<u8>> {
    decoded(text).filter(|bytes| bytes.len() == size)
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Key").field(&self.algorithm).finish()
    }
}
