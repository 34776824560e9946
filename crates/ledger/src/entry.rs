//! What is written to the ledger.
//!
//! # Invariants
//!
//! * A [`Draft`] that exists is acceptable: kind, subject and body were checked
//!   when it was made, so a recorded draft can fail only for want of a durable
//!   store, never for its content.
//! * Bodies are kept as the bytes they came as; they are hashed, never reparsed.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use airside_base::{Fault, Kind as FaultKind, TenantId, Timestamp};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
    ser::SerializeStruct as _,
};
use serde_json::value::RawValue;

use crate::encoding::{self, Fields};

/// Longest body of one entry, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Longest subject, in bytes.
pub const MAX_SUBJECT_BYTES: usize = 256;
/// Longest kind, in bytes.
pub const MAX_KIND_BYTES: usize = 64;

/// SHA-256 over the canonical encoding of an entry (`docs/ledger-format.md`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Returns the hash with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the SHA-256 of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        encoding::sha256(bytes)
    }

    /// Returns the 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let wrong = || D::Error::custom("a hash is 64 lower-case hexadecimal digits");
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let mut bytes = [0; 32];
        if text.len() != 2 * bytes.len() {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let (high, low) = (digit(pair[0]), digit(pair[1]));
            *byte = high
                .zip(low)
                .map(|(high, low)| high << 4 | low)
                .ok_or_else(wrong)?;
        }
        Ok(Self(bytes))
    }
}

/// The last entry of a chain. The default is the head of an empty chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize)]
pub struct Head {
    /// Sequence number of that entry; the first entry of a chain has 1.
    pub seq: u64,
    /// Its hash; zero for an empty chain.
    pub hash: Hash,
}

/// What happened, in the past tense and dotted: `call.completed`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(Cow<'static, str>);

impl Kind {
    /// Returns a kind known at compile time.
    ///
    /// # Panics
    ///
    /// When `text` is not a kind; in a `const` this fails the build.
    #[must_use]
    pub const fn new(text: &'static str) -> Self {
        assert!(is_kind(text.as_bytes()), "not a dotted lower-case kind");
        Self(Cow::Borrowed(text))
    }

    /// Returns the kind as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether this is `prefix` itself or lies below it: `call` holds
    /// `call.completed` but not `caller.seen`.
    #[must_use]
    pub fn is_under(&self, prefix: &str) -> bool {
        match self.0.strip_prefix(prefix) {
            Some(rest) => rest.is_empty() || rest.starts_with('.'),
            None => false,
        }
    }
}

/// Two or more segments of `a-z0-9_`, joined by dots, at most 64 bytes.
const fn is_kind(text: &[u8]) -> bool {
    if text.is_empty() || text.len() > MAX_KIND_BYTES {
        return false;
    }
    let mut at = 0;
    let mut dots = 0;
    let mut segment_is_empty = true;
    while at < text.len() {
        match text[at] {
            b'.' if segment_is_empty => return false,
            b'.' => {
                dots += 1;
                segment_is_empty = true;
            }
            b'a'..=b'z' | b'0'..=b'9' | b'_' => segment_is_empty = false,
            _ => return false,
        }
        at += 1;
    }
    dots > 0 && !segment_is_empty
}

impl FromStr for Kind {
    type Err = DraftError;

    fn from_str(text: &str) -> Result<Self, DraftError> {
        if is_kind(text.as_bytes()) {
            return Ok(Self(Cow::Owned(text.to_owned())));
        }
        Err(DraftError::Kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kind({})", self.0)
    }
}

/// Why something cannot become an entry.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// The kind is not two or more dotted segments of `a-z0-9_`.
    #[error("the kind is not of the form `noun.verb`")]
    Kind,
    /// The subject is too long or holds control characters.
    #[error("the subject is longer than {MAX_SUBJECT_BYTES} bytes or holds control characters")]
    Subject,
    /// The body does not serialize.
    #[error("cannot serialize the body")]
    Serialize(#[source] serde_json::Error),
    /// The body is not one JSON object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// The body is longer than [`MAX_BODY_BYTES`].
    #[error("the body has {bytes} bytes, more than {MAX_BODY_BYTES}")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
}

impl DraftError {
    /// What the caller may know.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Kind | Self::Subject | Self::NotAnObject => {
                Fault::new(FaultKind::Invalid, "LED-004", "the entry is malformed")
            }
            Self::Serialize(_) => {
                Fault::new(FaultKind::Internal, "LED-004", "the entry is malformed")
            }
            Self::TooLarge { .. } => {
                Fault::new(FaultKind::TooLarge, "LED-005", "the entry is too large")
            }
        }
        .with_private(self)
    }
}

/// An entry that has no place in a chain yet.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) tenant: TenantId,
    pub(crate) kind: Kind,
    pub(crate) version: u16,
    pub(crate) subject: Arc<str>,
    pub(crate) body: Bytes,
}

impl Draft {
    /// Returns a draft whose body is `body` as JSON.
    ///
    /// `version` numbers the shape of the body within its kind. `subject` is what
    /// the entry is about and can be searched for; it may be empty. Neither may
    /// hold secrets or personal data in clear: entries are never changed.
    ///
    /// # Errors
    ///
    /// When the body is not a JSON object or anything is over its limit.
    pub fn new<T: Serialize + ?Sized>(
        tenant: TenantId,
        kind: Kind,
        version: u16,
        subject: &str,
        body: &T,
    ) -> Result<Self, DraftError> {
        let body = serde_json::to_vec(body).map_err(DraftError::Serialize)?;
        if body.first() != Some(&b'{') {
            return Err(DraftError::NotAnObject);
        }
        Self::checked(tenant, kind, version, subject, body.into())
    }

    /// Returns a draft whose body is this JSON text, byte for byte.
    ///
    /// # Errors
    ///
    /// As [`Draft::new`].
    pub fn from_json(
        tenant: TenantId,
        kind: Kind,
        version: u16,
        subject: &str,
        body: Bytes,
    ) -> Result<Self, DraftError> {
        check_object(&body).map_err(|_| DraftError::NotAnObject)?;
        Self::checked(tenant, kind, version, subject, body)
    }

    fn checked(
        tenant: TenantId,
        kind: Kind,
        version: u16,
        subject: &str,
        body: Bytes,
    ) -> Result<Self, DraftError> {
        if body.len() > MAX_BODY_BYTES {
            return Err(DraftError::TooLarge { bytes: body.len() });
        }
        if subject.len() > MAX_SUBJECT_BYTES || subject.chars().any(char::is_control) {
            return Err(DraftError::Subject);
        }
        Ok(Self {
            tenant,
            kind,
            version,
            subject: subject.into(),
            body,
        })
    }

    /// Returns whose chain it goes to.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns what happened.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Returns the version of the body's shape.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Returns what it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the body as JSON text.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns about how much memory it takes while it waits, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.body.len() + self.subject.len() + size_of::<Self>()
    }
}

/// Returns an error unless `body` is one whole JSON object.
pub(crate) fn check_object(body: &[u8]) -> Result<(), serde_json::Error> {
    let raw: &RawValue = serde_json::from_slice(body)?;
    if raw.get().starts_with('{') {
        return Ok(());
    }
    Err(serde::de::Error::custom("not an object"))
}

/// One entry of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Place in the chain, from 1, without gaps.
    pub seq: u64,
    /// When it was written. Never before the entry in front of it; entries of
    /// one append share it.
    pub time: Timestamp,
    /// Whose chain it is in.
    pub tenant: TenantId,
    /// What happened.
    pub kind: Kind,
    /// Version of the body's shape within its kind.
    pub version: u16,
    /// What it is about; may be empty.
    pub subject: Arc<str>,
    /// One JSON object.
    pub body: Bytes,
    /// Hash of the entry in front of it; zero for the first.
    pub prev: Hash,
    /// Hash of this entry.
    pub hash: Hash,
}

impl Entry {
    /// Returns the head of the chain that ends with this entry.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            seq: self.seq,
            hash: self.hash,
        }
    }

    /// Decodes the body.
    ///
    /// # Errors
    ///
    /// When the body has another shape.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// Replaces the content of `buffer` by the canonical encoding
    /// (`docs/ledger-format.md`), whose SHA-256 is the hash of the entry.
    pub fn encode(&self, buffer: &mut Vec<u8>) {
        Fields::from(self).encode(buffer);
    }

    /// Returns the entry with this canonical encoding, `None` if it is none; its hash
    /// is computed. The body shares the memory of `bytes`.
    #[must_use]
    pub fn from_encoded(bytes: &Bytes) -> Option<Self> {
        encoding::decode(bytes)
    }

    /// Returns about how much memory it takes, in bytes.
    pub(crate) fn weight(&self) -> usize {
        self.body.len() + self.subject.len() + size_of::<Self>()
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let body: &RawValue =
            serde_json::from_slice(&self.body).map_err(serde::ser::Error::custom)?;
        let mut fields = serializer.serialize_struct("Entry", 9)?;
        fields.serialize_field("tenant", &self.tenant)?;
        fields.serialize_field("seq", &self.seq)?;
        fields.serialize_field("time", &self.time)?;
        fields.serialize_field("kind", self.kind.as_str())?;
        fields.serialize_field("version", &self.version)?;
        fields.serialize_field("subject", &*self.subject)?;
        fields.serialize_field("body", body)?;
        fields.serialize_field("prev", &self.prev)?;
        fields.serialize_field("hash", &self.hash)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_dotted_and_lower_case() {
        for good in ["call.completed", "a.b.c", "subject_2.erased"] {
            assert_eq!(good.parse::<Kind>().unwrap().as_str(), good);
        }
        let long = format!("a.{}", "b".repeat(MAX_KIND_BYTES));
        for bad in ["", "call", ".a", "a.", "a..b", "A.b", "a b.c", &long] {
            assert!(bad.parse::<Kind>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prefix_ends_at_a_dot() {
        const KIND: Kind = Kind::new("call.completed");
        assert!(KIND.is_under("call") && KIND.is_under("call.completed"));
        assert!(!KIND.is_under("cal") && !KIND.is_under("call."));
    }

    fn draft(subject: &str, body: &'static str) -> Result<Draft, DraftError> {
        let tenant = TenantId::default();
        Draft::from_json(
            tenant,
            Kind::new("a.b"),
            1,
            subject,
            Bytes::from_static(body.as_bytes()),
        )
    }

    #[test]
    fn only_one_json_object_is_a_body() {
        assert!(draft("", r#"{"price":10.10}"#).is_ok());
        for bad in ["", "[]", "1", "{", "{} {}", "{\"a\":}", "null"] {
            assert!(
                matches!(draft("", bad), Err(DraftError::NotAnObject)),
                "{bad}"
            );
        }
        let number = Draft::new(TenantId::default(), Kind::new("a.b"), 1, "", &7);
        assert!(matches!(number, Err(DraftError::NotAnObject)));
    }

    #[test]
    fn control_characters_in_a_subject_are_refused() {
        assert!(matches!(
            draft("a\u{1b}[2J", "{}"),
            Err(DraftError::Subject)
        ));
    }

    #[test]
    fn body_over_the_limit_is_refused() {
        let body = serde_json::json!({ "a": "x".repeat(MAX_BODY_BYTES) });
        let draft = Draft::new(TenantId::default(), Kind::new("a.b"), 1, "", &body);
        assert!(matches!(draft, Err(DraftError::TooLarge { .. })));
    }
}
