//! Signed tokens in compact form (RFC 7515), read strictly.
//!
//! # Invariants
//!
//! * What two parsers could read differently is refused: duplicate members, padding,
//!   trailing bits, a part too many.
//! * The key decides which algorithms it may be used with, not the token: there is no
//!   algorithm without a key, and none whose key is a shared secret.
//! * Extensions that would change the meaning of a token (`crit`, `b64`, `zip`,
//!   `enc`) are not understood, so such tokens are refused.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use schemars::JsonSchema;
use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, Visitor},
};
use serde_json::{Map, Value};

use super::Wrong;

/// Largest token, in bytes. Heads of requests are bounded as well.
pub(super) const MAX_TOKEN: usize = 16 << 10;

/// A signature algorithm (RFC 7518, RFC 8037). All are asymmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub enum Algorithm {
    /// RSA with PKCS #1 v1.5 and SHA-256.
    #[schemars(rename = "RS256")]
    Rs256,
    /// RSA with PKCS #1 v1.5 and SHA-384.
    #[schemars(rename = "RS384")]
    Rs384,
    /// RSA with PKCS #1 v1.5 and SHA-512.
    #[schemars(rename = "RS512")]
    Rs512,
    /// RSA-PSS with SHA-256.
    #[schemars(rename = "PS256")]
    Ps256,
    /// RSA-PSS with SHA-384.
    #[schemars(rename = "PS384")]
    Ps384,
    /// RSA-PSS with SHA-512.
    #[schemars(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    #[schemars(rename = "ES256")]
    Es256,
    /// ECDSA on P-384 with SHA-384.
    #[schemars(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[schemars(rename = "EdDSA")]
    EdDsa,
}

/// Why a text is not the name of an algorithm that is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AlgorithmError {
    /// It is symmetric, or none.
    #[error(
        "`{0}` is refused: a key that checks such a signature can also make one, or there is none"
    )]
    Symmetric(String),
    /// It is not known.
    #[error("`{0}` is not one of {known}", known = Algorithm::NAMES.join(", "))]
    Unknown(String),
}

impl Algorithm {
    /// Everything that is accepted.
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
    ];

    const NAMES: [&'static str; 9] = [
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA",
    ];

    /// Returns the registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(super) fn find(name: &str) -> Option<Self> {
        // `Ed25519` is the fully specified name of the same algorithm (RFC 9864).
        let name = if name == "Ed25519" { "EdDSA" } else { name };
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

impl TryFrom<String> for Algorithm {
    type Error = AlgorithmError;

    fn try_from(name: String) -> Result<Self, AlgorithmError> {
        let printable = name.chars().take(40).flat_map(char::escape_debug).collect();
        match Self::find(&name) {
            Some(algorithm) => Ok(algorithm),
            None if name.starts_with("HS") || name.eq_ignore_ascii_case("none") => {
                Err(AlgorithmError::Symmetric(printable))
            }
            None => Err(AlgorithmError::Unknown(printable)),
        }
    }
}

/// A JSON object in which no member occurs twice.
#[derive(Debug, Clone, Default)]
pub(super) struct Object(pub(super) Map<String, Value>);

impl Object {
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Returns the seconds of a numeric date. Fractions are permitted (RFC 7519,
    /// section 2) and cut off.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<i64>, Wrong> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let seconds = match (value.as_i64(), value.as_f64()) {
            (Some(whole), _) => Some(whole),
            #[expect(clippy::cast_possible_truncation, reason = "checked against the range")]
            (None, Some(fraction)) if fraction.abs() < 1e15 => Some(fraction.trunc() as i64),
            _ => None,
        };
        seconds
            .map(Some)
            .ok_or(Wrong::Claim("a time that is no number"))
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(de::Error::custom("a member occurs twice"));
                    }
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// The parts of a token. Nothing of it is verified.
#[derive(Debug)]
pub(super) struct Compact<'a> {
    pub(super) algorithm: Algorithm,
    /// `typ` in lower case, without `application/` (RFC 7515, section 4.1.9).
    pub(super) kind: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) header: Object,
    pub(super) payload: Object,
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
}

/// Returns whether `token` has the form of a signed token, whatever is in it.
pub(super) fn is_compact(token: &[u8]) -> bool {
    token.starts_with(b"ey") && token.iter().filter(|byte| **byte == b'.').count() == 2
}

impl<'a> Compact<'a> {
    /// Reads `token`.
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, Wrong> {
        if token.len() > MAX_TOKEN {
            return Err(Wrong::Form("it is too large"));
        }
        let mut dots = token.iter().enumerate().filter(|(_, byte)| **byte == b'.');
        let (Some((first, _)), Some((second, _)), None) = (dots.next(), dots.next(), dots.next())
        else {
            return Err(Wrong::Form("it has not three parts"));
        };
        let decode = |part: &[u8]| {
            let decoded = BASE64_URL_SAFE_NO_PAD.decode(part);
            decoded.map_err(|_| Wrong::Form("a part is no base64url"))
        };
        let read = |part: &[u8]| {
            Object::parse(&decode(part)?).ok_or(Wrong::Form("a part is no plain JSON object"))
        };
        let header = read(&token[..first])?;
        for extension in ["crit", "b64", "zip", "enc"] {
            if header.0.contains_key(extension) {
                return Err(Wrong::Form("it has an extension that is not understood"));
            }
        }
        let algorithm = header.text("alg").and_then(Algorithm::find);
        let short = |text: &str| text.len() <= 256;
        if header.0.get("kid").is_some() && !header.text("kid").is_some_and(short) {
            return Err(Wrong::Form("its key id is no short text"));
        }
        Ok(Self {
            algorithm: algorithm.ok_or(Wrong::Algorithm)?,
            kind: header.text("typ").map(|kind| {
                let kind = kind.to_ascii_lowercase();
                kind.strip_prefix("application/")
                    .map(str::to_owned)
                    .unwrap_or(kind)
            }),
            key_id: header.text("kid").map(str::to_owned),
            payload: read(&token[first + 1..second])?,
            signature: decode(&token[second + 1..])?,
            signed: &token[..second],
            header,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.AA", encode(header), encode(payload))
    }

    fn check(token: &str, expected: Option<&Wrong>) {
        let found = Compact::parse(token.as_bytes());
        assert_eq!(found.err().as_ref(), expected, "{token}");
    }

    #[test]
    fn forms_that_could_be_read_differently_are_refused() {
        let good = token(r#"{"alg":"ES256"}"#, "{}");
        check(&good, None);
        let plain = Wrong::Form("a part is no plain JSON object");
        check(
            &token(r#"{"alg":"ES256","alg":"RS256"}"#, "{}"),
            Some(&plain),
        );
        check(
            &token(r#"{"alg":"ES256"}"#, r#"{"sub":"a","sub":"b"}"#),
            Some(&plain),
        );
        check(&token(r#"{"alg":"ES256"} x"#, "{}"), Some(&plain));
        check(&token(r#"{"alg":"ES256"}"#, "[]"), Some(&plain));
        let parts = Wrong::Form("it has not three parts");
        check(&format!("{good}.AA"), Some(&parts));
        check("a.b", Some(&parts));
        let base64 = Wrong::Form("a part is no base64url");
        check(&format!("{good}="), Some(&base64));
        // Bits beyond the last byte have to be zero, or one token has many spellings.
        check(&format!("{}B", &good[..good.len() - 1]), Some(&base64));
        check(&good.replacen("ey", "e+", 1), Some(&base64));
        check(
            &"a".repeat(MAX_TOKEN + 1),
            Some(&Wrong::Form("it is too large")),
        );
    }

    #[test]
    fn unsigned_and_symmetric_tokens_have_no_algorithm() {
        for name in [
            "none", "None", "nOnE", "HS256", "HS512", "dir", "ES256K", "",
        ] {
            check(
                &token(&format!(r#"{{"alg":"{name}"}}"#), "{}"),
                Some(&Wrong::Algorithm),
            );
        }
        check(&token("{}", "{}"), Some(&Wrong::Algorithm));
        check(
            &token(r#"{"alg":["ES256"]}"#, "{}"),
            Some(&Wrong::Algorithm),
        );
    }

    #[test]
    fn extensions_are_not_understood() {
        for extra in [
            r#""crit":["exp"]"#,
            r#""crit":[]"#,
            r#""b64":false"#,
            r#""zip":"DEF""#,
            r#""enc":"A128GCM""#,
        ] {
            let header = format!(r#"{{"alg":"ES256",{extra}}}"#);
            let expected = Wrong::Form("it has an extension that is not understood");
            check(&token(&header, "{}"), Some(&expected));
        }
    }

    #[test]
    fn media_type_is_read_without_its_tree() {
        for (typ, kind) in [("at+jwt", "at+jwt"), ("application/AT+JWT", "at+jwt")] {
            let token = token(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), "{}");
            let kind_found = Compact::parse(token.as_bytes()).unwrap().kind;
            assert_eq!(kind_found.as_deref(), Some(kind));
        }
    }

    #[test]
    fn algorithms_of_the_configuration_are_asymmetric() {
        let read = |name: &str| Algorithm::try_from(name.to_owned());
        assert_eq!(read("ES256"), Ok(Algorithm::Es256));
        assert!(matches!(read("HS256"), Err(AlgorithmError::Symmetric(_))));
        assert!(matches!(read("none"), Err(AlgorithmError::Symmetric(_))));
        assert!(matches!(read("ES257"), Err(AlgorithmError::Unknown(_))));
    }

    #[test]
    fn dates_are_numbers() {
        let object = Object::parse(br#"{"a":1.9,"b":"1","c":1e300,"d":-5}"#).unwrap();
        assert_eq!(object.seconds("a"), Ok(Some(1)));
        assert_eq!(object.seconds("d"), Ok(Some(-5)));
        assert_eq!(object.seconds("x"), Ok(None));
        assert!(object.seconds("b").is_err() && object.seconds("c").is_err());
    }
}
