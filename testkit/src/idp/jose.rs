//! Keys that sign tokens of tests, and proofs of possession.

use airside_base::secret_token;
use aws_lc_rs::{
    digest, hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
        ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256,
        RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA with PKCS #1.
    Rs256,
    /// RSA-PSS.
    Ps256,
    /// P-256.
    Es256,
    /// P-384.
    Es384,
    /// Ed25519.
    EdDsa,
    /// A shared secret, which a gateway must not accept.
    Hs256,
}

enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

/// A key that signs.
pub struct Signer {
    kind: Kind,
    id: String,
    private: Private,
}

impl Signer {
    /// Returns a new key.
    ///
    /// # Panics
    ///
    /// When the system has no randomness.
    #[must_use]
    pub fn new(kind: Kind, id: &str) -> Self {
        let ec = |curve| Private::Ec(EcdsaKeyPair::generate(curve).expect("a key can be made"));
        let private = match kind {
            Kind::Rs256 | Kind::Ps256 => {
                Private::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key can be made"))
            }
            Kind::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Kind::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Kind::EdDsa => Private::Ed(Ed25519KeyPair::generate().expect("a key can be made")),
            Kind::Hs256 => Private::Secret(secret_token().into_bytes()),
        };
        Self::with(kind, id, private)
    }

    /// Returns a shared secret as a key, such as one that was published for another use.
    #[must_use]
    pub fn secret(id: &str, secret: &[u8]) -> Self {
        Self::with(Kind::Hs256, id, Private::Secret(secret.to_vec()))
    }

    fn with(kind: Kind, id: &str, private: Private) -> Self {
        Self {
            kind,
            id: id.to_owned(),
            private,
        }
    }

    /// Returns the public key, with its id.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut jwk = self.bare();
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Returns the public key with what identifies it and nothing else.
    ///
    /// # Panics
    ///
    /// Never: the library writes what this reads.
    #[must_use]
    pub fn bare(&self) -> Value {
        let b64 = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        match &self.private {
            Private::Rsa(key) => {
                let (modulus, exponent) = integers(key.public_key().as_ref());
                json!({"kty": "RSA", "n": b64(modulus), "e": b64(exponent)})
            }
            Private::Ec(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.kind == Kind::Es256 {
                    "P-256"
                } else {
                    "P-384"
                };
                json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)})
            }
            Private::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().as_ref())})
            }
            Private::Secret(secret) => json!({"kty": "oct", "k": b64(secret)}),
        }
    }

    /// Returns the thumbprint of the public key (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let jwk = self.bare();
        // The members in the order of their names.
        let sorted: std::collections::BTreeMap<_, _> =
            jwk.as_object().into_iter().flatten().collect();
        let text = json!(sorted).to_string();
        BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
    }

    /// Returns a token of `header` and `claims`. `alg` and `kid` are set unless they
    /// are there; null takes one away.
    ///
    /// # Panics
    ///
    /// When `header` is no object.
    #[must_use]
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let mut full = json!({"alg": self.algorithm(), "kid": self.id});
        let full = full.as_object_mut().expect("written as an object");
        for (name, value) in header.as_object().expect("a header is an object") {
            match value {
                Value::Null => drop(full.remove(name)),
                value => drop(full.insert(name.clone(), value.clone())),
            }
        }
        let header = Value::Object(full.clone()).to_string();
        self.sign_text(&header, &claims.to_string())
    }

    /// Returns a token of these very texts.
    #[must_use]
    pub fn sign_text(&self, header: &str, claims: &str) -> String {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", part(header), part(claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.signature(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// Returns whether this key has signed `token`.
    #[must_use]
    pub(super) fn has_signed(&self, token: &str) -> bool {
        let Some((message, signature)) = token.rsplit_once('.') else {
            return false;
        };
        let Ok(signature) = BASE64_URL_SAFE_NO_PAD.decode(signature) else {
            return false;
        };
        let (public, algorithm): (&[u8], &'static dyn VerificationAlgorithm) = match &self.private {
            Private::Rsa(key) if self.kind == Kind::Ps256 => {
                (key.public_key().as_ref(), &RSA_PSS_2048_8192_SHA256)
            }
            Private::Rsa(key) => (key.public_key().as_ref(), &RSA_PKCS1_2048_8192_SHA256),
            Private::Ec(key) if self.kind == Kind::Es256 => {
                (key.public_key().as_ref(), &ECDSA_P256_SHA256_FIXED)
            }
            Private::Ec(key) => (key.public_key().as_ref(), &ECDSA_P384_SHA384_FIXED),
            Private::Ed(key) => (key.public_key().as_ref(), &ED25519),
            Private::Secret(_) => return false,
        };
        UnparsedPublicKey::new(algorithm, public)
            .verify(message.as_bytes(), &signature)
            .is_ok()
    }

    fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::Rs256 => "RS256",
            Kind::Ps256 => "PS256",
            Kind::Es256 => "ES256",
            Kind::Es384 => "ES384",
            Kind::EdDsa => "EdDSA",
            Kind::Hs256 => "HS256",
        }
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                let signed = match self.kind {
                    Kind::Ps256 => key.sign(&RSA_PSS_SHA256, &random, message, &mut signature),
                    _ => key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature),
                };
                signed.expect("the key can sign");
                signature
            }
            Private::Ec(key) => {
                let signature = key.sign(&random, message).expect("the key can sign");
                signature.as_ref().to_vec()
            }
            Private::Ed(key) => key.sign(message).as_ref().to_vec(),
            Private::Secret(secret) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
        }
    }
}

/// Returns modulus and exponent of an `RSAPublicKey` in DER.
fn integers(der: &[u8]) -> (&[u8], &[u8]) {
    /// Splits the contents of the first value from what follows it.
    fn value(der: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = match der[1] {
            0x82 => (usize::from(der[2]) << 8 | usize::from(der[3]), &der[4..]),
            0x81 => (usize::from(der[2]), &der[3..]),
            short => (usize::from(short), &der[2..]),
        };
        rest.split_at(length)
    }
    let (sequence, _) = value(der);
    let (modulus, rest) = value(sequence);
    let (exponent, _) = value(rest);
    (modulus.strip_prefix(&[0]).unwrap_or(modulus), exponent)
}

/// Returns the digest of a token as a proof names it.
#[must_use]
pub fn ath(token: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, token.as_bytes()))
}

/// Returns a proof of possession of `key` for one POST of `token` to `url`, with `more`
/// claims, which may replace its own; null takes one away.
#[must_use]
pub fn proof(key: &Signer, url: &str, token: &str, now: i64, more: Value) -> String {
    let mut claims = json!({
        "jti": secret_token(), "htm": "POST", "htu": url, "iat": now, "ath": ath(token),
    });
    if let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more) {
        for (name, value) in more {
            match value {
                Value::Null => drop(claims.remove(&name)),
                value => drop(claims.insert(name, value)),
            }
        }
    }
    key.sign(
        &json!({"typ": "dpop+jwt", "kid": null, "jwk": key.bare()}),
        &claims,
    )
}
