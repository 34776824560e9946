//! The gateway's own signature towards authorisation servers (`private_key_jwt`,
//! RFC 7523, section 3).

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde_json::json;

/// How long an assertion is good, in seconds.
const LIFETIME_S: i64 = 60;

/// A private key that assertions are signed with.
pub(super) enum SigningKey {
    Ed25519(Box<Ed25519KeyPair>),
    P256(Box<EcdsaKeyPair>),
    P384(Box<EcdsaKeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// Reads a key from PEM of PKCS #8; none if it is something else.
    pub(super) fn read(pem: &[u8]) -> Option<Self> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem).ok()?;
        let der = key.secret_pkcs8_der();
        let p256 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
        let p384 = || EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, der);
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            return Some(Self::Ed25519(Box::new(pair)));
        }
        if let Ok(pair) = p256() {
            return Some(Self::P256(Box::new(pair)));
        }
        if let Ok(pair) = p384() {
            return Some(Self::P384(Box::new(pair)));
        }
        let pair = RsaKeyPair::from_pkcs8(der).ok()?;
        Some(Self::Rsa(Box::new(pair)))
    }

    /// Returns the assertion of `client` for `audience` at `now`, in seconds.
    pub(super) fn assertion(
        &self,
        client: &str,
        audience: &str,
        kid: Option<&str>,
        now: i64,
    ) -> Option<String> {
        let mut head = json!({ "alg": self.algorithm(), "typ": "JWT" });
        if let Some(kid) = kid {
            head["kid"] = json!(kid);
        }
        let claims = json!({
            "iss": client,
            "sub": client,
            "aud": audience,
            "jti": airside_base::secret_token(),
            "iat": now,
            "exp": now + LIFETIME_S,
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&head), encode(&claims));
        let signature = self.sign(signed.as_bytes())?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
            Self::P384(_) => "ES384",
            Self::Rsa(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match self {
            Self::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Self::P256(pair) | Self::P384(pair) => {
                let signature = pair.sign(&random, message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .ok()?;
                Some(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use airside_testkit::pki::pem;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, KeyPair as _,
        RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
    };
    use aws_lc_rs::{encoding::AsDer as _, rsa::KeySize};
    use serde_json::Value;

    use super::*;

    fn check(der: &[u8], public: &[u8], algorithm: &'static dyn VerificationAlgorithm, name: &str) {
        let key = SigningKey::read(pem("PRIVATE KEY", der).as_bytes()).unwrap();
        let text = key.assertion("airside", "https://as.example/token", Some("k1"), 1000);
        let text = text.unwrap();
        let parts: Vec<_> = text.split('.').collect();
        let read = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(
            read(parts[0]),
            json!({"alg": name, "typ": "JWT", "kid": "k1"})
        );
        let claims = read(parts[1]);
        assert_eq!(
            (&claims["iss"], &claims["sub"]),
            (&json!("airside"), &json!("airside"))
        );
        assert_eq!(claims["aud"], "https://as.example/token");
        assert_eq!(
            (&claims["iat"], &claims["exp"]),
            (&json!(1000), &json!(1060))
        );
        let again = key.assertion("airside", "https://as.example/token", None, 1000);
        assert_ne!(
            read(again.unwrap().split('.').nth(1).unwrap())["jti"],
            claims["jti"]
        );
        let signed = text.rsplit_once('.').unwrap().0;
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        let key = UnparsedPublicKey::new(algorithm, public);
        assert!(key.verify(signed.as_bytes(), &signature).is_ok(), "{name}");
    }

    #[test]
    fn assertions_are_signed_with_each_kind_of_key() {
        let pair = Ed25519KeyPair::generate().unwrap();
        let der = pair.to_pkcs8().unwrap();
        check(der.as_ref(), pair.public_key().as_ref(), &ED25519, "EdDSA");
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        check(
            der.as_ref(),
            pair.public_key().as_ref(),
            &ECDSA_P256_SHA256_FIXED,
            "ES256",
        );
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        let der = pair.to_pkcs8v1().unwrap();
        check(
            der.as_ref(),
            pair.public_key().as_ref(),
            &ECDSA_P384_SHA384_FIXED,
            "ES384",
        );
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = pair.as_der().unwrap();
        let public = pair.public_key().as_ref();
        check(der.as_ref(), public, &RSA_PKCS1_2048_8192_SHA256, "RS256");
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        assert!(SigningKey::read(b"").is_none());
        assert!(SigningKey::read(pem("PRIVATE KEY", b"x").as_bytes()).is_none());
        assert!(SigningKey::read(pem("PUBLIC KEY", b"x").as_bytes()).is_none());
    }
}
