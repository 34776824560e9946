//! JSON text seen as spans, so that a change touches only the bytes it means.
//!
//! # Invariants
//!
//! * Nothing is re-encoded: values are slices of the text they came in, and
//!   [`Edits`] copies every byte outside the edited spans.
//! * A member that occurs twice in one object is never looked up: readers that
//!   pick different ones must not be able to disagree with us.

use std::{borrow::Cow, fmt, ops::Range};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// The text is not the JSON value it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not well-formed JSON of the expected kind")]
pub struct Malformed;

/// One member of an object. `value` is a slice of the object's text.
#[derive(Debug)]
pub struct Member<'a> {
    /// Its name.
    pub key: Cow<'a, str>,
    /// What stands behind the colon.
    pub value: &'a str,
}

/// Returns the members of the object `text`, in order.
pub fn members(text: &str) -> Result<Vec<Member<'_>>, Malformed> {
    serde_json::from_str::<Object<'_>>(text)
        .map(|object| object.0)
        .map_err(|_| Malformed)
}

/// Returns the elements of the array `text`, in order.
pub fn elements(text: &str) -> Result<Vec<&str>, Malformed> {
    serde_json::from_str::<Vec<&RawValue>>(text)
        .map(|array| array.into_iter().map(RawValue::get).collect())
        .map_err(|_| Malformed)
}

/// Returns the value of the only member `key` of the object `text`.
pub fn find<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    only(&members(text).ok()?, key)
}

/// Returns the value of `key` unless it is absent or occurs twice.
pub fn only<'a>(members: &[Member<'a>], key: &str) -> Option<&'a str> {
    let mut found = members.iter().filter(|member| member.key == key);
    let first = found.next()?;
    found.next().is_none().then_some(first.value)
}

/// Follows `path` through nested objects.
pub fn at<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(text, |text, key| find(text, key))
}

/// Returns the text of a JSON string.
pub fn string(value: &str) -> Option<String> {
    serde_json::from_str(value).ok()
}

/// Returns the JSON string that means `text`.
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Returns where `part`, a slice of `whole`, lies in it.
///
/// # Panics
///
/// When `part` is not a slice of `whole`.
pub fn span(whole: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr().addr()).wrapping_sub(whole.as_ptr().addr());
    assert!(
        start <= whole.len() && part.len() <= whole.len() - start,
        "the part is a slice of the whole"
    );
    start..start + part.len()
}

/// Changes to a text, applied together.
#[derive(Debug, Default)]
pub struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Puts `text` in the place of `part`, a slice of `whole`.
    pub fn replace(&mut self, whole: &str, part: &str, text: String) {
        self.0.push((span(whole, part), text));
    }

    /// Puts `text` in the place of `range`.
    pub fn put(&mut self, range: Range<usize>, text: String) {
        self.0.push((range, text));
    }

    /// Adds the member `"key":value` to the object `object`, a slice of `whole`.
    pub fn add_member(&mut self, whole: &str, object: &str, key: &str, value: &str) {
        let open = span(whole, object).start + 1;
        let empty = object[1..].trim_start().starts_with('}');
        let comma = if empty { "" } else { "," };
        let text = format!("{}:{value}{comma}", quote(key));
        self.0.push((open..open, text));
    }

    /// Returns whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns `whole` with the changes. Spans must not overlap; several
    /// insertions at one place keep their order.
    pub fn apply(mut self, whole: &str) -> String {
        self.0.sort_by_key(|(range, _)| range.start);
        let added: usize = self.0.iter().map(|(_, text)| text.len()).sum();
        let mut out = String::with_capacity(whole.len() + added);
        let mut from = 0;
        for (range, text) in &self.0 {
            out.push_str(&whole[from..range.start]);
            out.push_str(text);
            from = range.end;
        }
        out.push_str(&whole[from..]);
        out
    }
}

/// Returns `bytes` as text.
pub fn text(bytes: &Bytes) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

struct Object<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Object<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    let value = value.get();
                    members.push(Member { key, value });
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn edit_touches_only_its_span() {
        let text = r#"{ "price": 10.10, "na\u006de" : "x", "z": 1e400 }"#;
        let name = find(text, "name").unwrap();
        let mut edits = Edits::default();
        edits.replace(text, name, quote("wx_x"));
        assert_eq!(
            edits.apply(text),
            r#"{ "price": 10.10, "na\u006de" : "wx_x", "z": 1e400 }"#
        );
    }

    #[test]
    fn repeated_member_is_not_found() {
        assert_eq!(find(r#"{"a":1,"\u0061":2}"#, "a"), None);
    }

    #[test]
    fn member_is_added_to_empty_and_full_objects() {
        for (object, expected) in [
            ("{}", r#"{"k":1}"#),
            ("{ }", r#"{"k":1 }"#),
            (r#"{"a":2}"#, r#"{"k":1,"a":2}"#),
        ] {
            let mut edits = Edits::default();
            edits.add_member(object, object, "k", "1");
            assert_eq!(edits.apply(object), expected);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = members(&text);
            let _ = elements(&text);
            let _ = at(&text, &["a", "b"]);
        }

        #[test]
        fn quoted_text_reads_back(text in any::<String>()) {
            prop_assert_eq!(string(&quote(&text)), Some(text));
        }
    }
}
