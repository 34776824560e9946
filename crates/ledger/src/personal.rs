//! Values about a person, encrypted where they stand in the body of an entry.
//!
//! # Invariants
//!
//! * A value in clear never serializes outside of [`Keys::draft`](crate::keys::Keys::draft):
//!   a draft made in another way is an error, so nothing personal reaches a store
//!   in clear by mistake.
//! * What is stored names a pseudonym, a purpose, a key and a place; it opens only
//!   with this key and only where it was sealed.
//! * Neither form of [`Personal`] nor [`Opened`] prints its value.
//!
//! The stored form is described in `docs/ledger-format.md`.

use std::{borrow::Cow, cell::RefCell, fmt, marker::PhantomData, str::FromStr, sync::Arc};

use airside_base::{TenantId, secret_token};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::Error as _,
    ser::{Error as _, SerializeMap as _},
};
use serde_json::{Map, Value};

use crate::entry::Kind;

#[cfg(test)]
mod tests;

/// Version of the stored form and of what is authenticated with it.
const VERSION: u8 = 1;
/// The member that tells a stored personal value from other objects.
const MARK: &str = "personal";
/// Shortest and longest id of a subject, in bytes.
const SUBJECT_BYTES: std::ops::RangeInclusive<usize> = 8..=64;

/// A person under a pseudonym. It stays in the ledger for ever, so it has to be
/// made up ([`SubjectId::generate`]), never derived from a name or an address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SubjectId(Arc<str>);

/// The text is not the id of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a subject is 8 to 64 of A-Z, a-z, 0-9, `-` and `_`")]
pub struct SubjectIdError;

impl SubjectId {
    /// Returns a fresh random id.
    #[must_use]
    pub fn generate() -> Self {
        Self(token().into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SubjectId {
    type Err = SubjectIdError;

    fn from_str(text: &str) -> Result<Self, SubjectIdError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if SUBJECT_BYTES.contains(&text.len()) && text.bytes().all(plain) {
            return Ok(Self(text.into()));
        }
        Err(SubjectIdError)
    }
}

impl<'de> Deserialize<'de> for SubjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SubjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectId({self})")
    }
}

/// Returns 256 random bits that no command takes for one of its options.
pub(crate) fn token() -> String {
    loop {
        let token = secret_token();
        if !token.starts_with('-') {
            return token;
        }
    }
}

/// What a value is kept for. Each purpose has keys of its own, so that an erasure
/// can spare what the law requires to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To serve the person: erased when the person asks for it.
    Service,
    /// To fulfil a legal duty, such as tax records: erased when the duty ends.
    Law,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 2] = [Self::Service, Self::Law];

    /// Returns the purpose as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Law => "law",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Purpose {
    type Err = UnknownPurpose;

    fn from_str(text: &str) -> Result<Self, UnknownPurpose> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == text);
        known.ok_or(UnknownPurpose)
    }
}

/// The text is not a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a purpose is `service` or `law`")]
pub struct UnknownPurpose;

/// What one data key is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot {
    /// Whose installation.
    pub tenant: TenantId,
    /// About whom.
    pub subject: SubjectId,
    /// What for.
    pub purpose: Purpose,
    /// Which part of it, such as one conversation; empty for the rest.
    pub scope: Arc<str>,
}

/// Names one data key, for ever.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Arc<str>);

impl KeyId {
    pub(crate) fn generate() -> Self {
        // 132 random bits.
        Self(secret_token()[..22].into())
    }

    pub(crate) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// Returns the id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A value about a person, as a member of an event or a document.
pub struct Personal<T>(Form<T>);

enum Form<T> {
    Clear(Box<Clear<T>>),
    Sealed(Sealed, PhantomData<fn() -> T>),
}

#[derive(Clone)]
struct Clear<T> {
    owner: Owner,
    value: T,
}

/// Who and what for: a [`Slot`] whose tenant is the draft's.
#[derive(Clone)]
pub(crate) struct Owner {
    pub(crate) subject: SubjectId,
    pub(crate) purpose: Purpose,
    pub(crate) scope: Arc<str>,
}

/// A personal value as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sealed {
    personal: u8,
    pub(crate) subject: SubjectId,
    pub(crate) purpose: Purpose,
    /// The kind of the entry and the JSON Pointer (RFC 6901) of the value in its body.
    pub(crate) at: String,
    pub(crate) key: KeyId,
    #[serde(with = "base64_text")]
    pub(crate) data: Vec<u8>,
}

mod base64_text {
    use std::borrow::Cow;

    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&*text);
        bytes.map_err(|_| D::Error::custom("not base64url"))
    }
}

impl Sealed {
    pub(crate) fn new(owner: &Owner, at: String, key: KeyId, data: Vec<u8>) -> Self {
        Self {
            personal: VERSION,
            subject: owner.subject.clone(),
            purpose: owner.purpose,
            at,
            key,
            data,
        }
    }

    /// Returns the personal value that `value` is, if it is one.
    pub(crate) fn recognize(value: &Value) -> Option<Self> {
        let members = value.as_object()?;
        if !members.contains_key(MARK) {
            return None;
        }
        let sealed = Self::deserialize(value).ok()?;
        (sealed.personal == VERSION).then_some(sealed)
    }
}

/// Returns what is authenticated with a value: everything that says where it is.
pub(crate) fn context(tenant: &TenantId, owner: (&SubjectId, Purpose), at: &str) -> Vec<u8> {
    let (subject, purpose) = owner;
    let fields = [tenant.as_str(), subject.as_str(), purpose.as_str(), at];
    framed("airside.ledger.personal", &fields)
}

/// Returns `fields` behind `domain`, each with its length in front.
pub(crate) fn framed(domain: &str, fields: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(domain.as_bytes());
    bytes.push(VERSION);
    for field in fields {
        let length = u32::try_from(field.len()).expect("fields of an entry are short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(field.as_bytes());
    }
    bytes
}

impl<T> Personal<T> {
    /// Returns `value` in clear, to be sealed when its draft is made.
    #[must_use]
    pub fn new(subject: SubjectId, purpose: Purpose, value: T) -> Self {
        Self::scoped(subject, purpose, "".into(), value)
    }

    /// Returns `value` in clear, to be sealed by the key of one part of a purpose.
    pub(crate) fn scoped(subject: SubjectId, purpose: Purpose, scope: Arc<str>, value: T) -> Self {
        let owner = Owner {
            subject,
            purpose,
            scope,
        };
        Self(Form::Clear(Box::new(Clear { owner, value })))
    }

    /// Returns about whom it is.
    #[must_use]
    pub fn subject(&self) -> &SubjectId {
        match &self.0 {
            Form::Clear(clear) => &clear.owner.subject,
            Form::Sealed(sealed, _) => &sealed.subject,
        }
    }

    /// Returns what it is kept for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        match &self.0 {
            Form::Clear(clear) => clear.owner.purpose,
            Form::Sealed(sealed, _) => sealed.purpose,
        }
    }

    pub(crate) fn sealed(&self) -> Option<&Sealed> {
        match &self.0 {
            Form::Clear(_) => None,
            Form::Sealed(sealed, _) => Some(sealed),
        }
    }
}

impl<T: Clone> Clone for Personal<T> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Form::Clear(clear) => Form::Clear(clear.clone()),
            Form::Sealed(sealed, mark) => Form::Sealed(sealed.clone(), *mark),
        })
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match &self.0 {
            Form::Clear(_) => "in clear",
            Form::Sealed(..) => "sealed",
        };
        write!(
            f,
            "Personal({form}, {}, {})",
            self.subject(),
            self.purpose()
        )
    }
}

impl<'de, T> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sealed = Sealed::deserialize(deserializer)?;
        if sealed.personal == VERSION {
            return Ok(Self(Form::Sealed(sealed, PhantomData)));
        }
        Err(D::Error::custom("a personal value of an unknown version"))
    }
}

thread_local! {
    /// The values of the draft that this thread is serializing.
    static SEALING: RefCell<Option<Sealing>> = const { RefCell::new(None) };
}

/// A body on its way into a draft: every personal value has been taken out and left
/// a placeholder, an object with one unguessable name.
struct Sealing {
    token: String,
    taken: Vec<Taken>,
}

/// A value that has been taken out.
pub(crate) struct Taken {
    pub(crate) owner: Owner,
    pub(crate) text: Vec<u8>,
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let clear = match &self.0 {
            Form::Clear(clear) => clear,
            Form::Sealed(sealed, _) => return sealed.serialize(serializer),
        };
        // Taken away meanwhile: a personal value within this one is an error.
        let Some(mut sealing) = SEALING.take() else {
            return Err(S::Error::custom("a personal value is not sealed"));
        };
        // Its message may quote the value.
        let text = serde_json::to_vec(&clear.value)
            .map_err(|_| S::Error::custom("cannot serialize a personal value"));
        let token = sealing.token.clone();
        let number = sealing.taken.len();
        let taken = text.map(|text| {
            sealing.taken.push(Taken {
                owner: clear.owner.clone(),
                text,
            });
        });
        SEALING.set(Some(sealing));
        taken?;
        let mut placeholder = serializer.serialize_map(Some(1))?;
        placeholder.serialize_entry(&token, &number)?;
        placeholder.end()
    }
}

/// A body whose personal values have been taken out.
pub(crate) struct Body {
    value: Value,
    token: String,
    pub(crate) taken: Vec<Taken>,
}

impl Body {
    /// Serializes `body`, taking out what is personal.
    pub(crate) fn take_apart<B: Serialize + ?Sized>(body: &B) -> Result<Self, serde_json::Error> {
        let token = secret_token();
        let outer = SEALING.replace(Some(Sealing {
            token: token.clone(),
            taken: Vec::new(),
        }));
        let value = serde_json::to_value(body);
        let sealing = SEALING.replace(outer);
        let taken = sealing.map_or_else(Vec::new, |sealing| sealing.taken);
        Ok(Self {
            value: value?,
            token,
            taken,
        })
    }

    /// Puts `seal(value, place)` in place of every value that was taken out. Returns
    /// nothing if one of them has no place, as when a part of the body was
    /// serialized into a text.
    pub(crate) fn put_together(
        self,
        kind: &Kind,
        mut seal: impl FnMut(&Taken, String) -> Sealed,
    ) -> Option<Value> {
        let Self {
            mut value,
            token,
            taken,
        } = self;
        let mut placed = 0;
        visit(&mut value, kind.as_str(), &mut |value, at| {
            let number = value.as_object().filter(|members| members.len() == 1);
            let number = number.and_then(|members| members.get(&token)?.as_u64());
            let taken = number.and_then(|number| taken.get(usize::try_from(number).ok()?))?;
            placed += 1;
            serde_json::to_value(seal(taken, at.to_owned())).ok()
        });
        (placed == taken.len()).then_some(value)
    }
}

/// Calls `change` for every object within `value`, from the outside in, with its
/// place; puts what is returned instead of it.
pub(crate) fn visit(
    value: &mut Value,
    at: &str,
    change: &mut dyn FnMut(&Value, &str) -> Option<Value>,
) {
    match value {
        Value::Object(_) => {
            if let Some(changed) = change(value, at) {
                *value = changed;
            } else if let Value::Object(members) = value {
                visit_members(members, at, change);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                visit(item, &format!("{at}/{index}"), change);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn visit_members(
    members: &mut Map<String, Value>,
    at: &str,
    change: &mut dyn FnMut(&Value, &str) -> Option<Value>,
) {
    for (name, member) in members {
        if member.is_object() || member.is_array() {
            let name = name.replace('~', "~0").replace('/', "~1");
            visit(member, &format!("{at}/{name}"), change);
        }
    }
}

/// A personal value after an attempt to open it.
#[derive(Clone, PartialEq, Eq)]
pub enum Opened<T> {
    /// The value.
    Clear(T),
    /// It has been erased and cannot be read by anybody any more.
    Erased,
}

impl<T> Opened<T> {
    /// Returns the value unless it has been erased.
    #[must_use]
    pub fn clear(self) -> Option<T> {
        match self {
            Self::Clear(value) => Some(value),
            Self::Erased => None,
        }
    }

    /// Returns a reference to the value unless it has been erased.
    #[must_use]
    pub fn as_clear(&self) -> Option<&T> {
        match self {
            Self::Clear(value) => Some(value),
            Self::Erased => None,
        }
    }
}

impl<T> fmt::Debug for Opened<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Clear(_) => "Clear([redacted])",
            Self::Erased => "Erased",
        })
    }
}
