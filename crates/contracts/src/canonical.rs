//! JSON as it means, without the ways in which it can be written.
//!
//! # Invariants
//!
//! * Two texts have the same canonical form exactly if they differ in white space, in
//!   the order of members and in escapes only. As in RFC 8785, but numbers keep their
//!   text and members are ordered by code point: nothing is lost that a reader of the
//!   original could see.
//! * A member that occurs twice is an error: readers would pick different ones.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Deepest nesting that is read.
pub const MAX_DEPTH: usize = 48;

/// Why a text is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not JSON.
    #[error("it is not well-formed JSON")]
    Syntax,
    /// It is nested too deeply.
    #[error("it is nested deeper than {MAX_DEPTH} levels")]
    Depth,
    /// A member occurs twice.
    #[error("the member `{0}` occurs twice")]
    Repeated(String),
    /// It is too large.
    #[error("it is larger than {0} bytes")]
    Size(usize),
    /// It is not an object with a name.
    #[error("it is not an object with a name")]
    Nameless,
}

/// A JSON value whose numbers are the text that they came as.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Object(BTreeMap<String, Json>),
}

impl Json {
    /// Reads `text`.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when it is not JSON, too deep, or means different things to
    /// different readers.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        read(text, MAX_DEPTH)
    }

    /// Returns the canonical text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => out.push_str(&quoted(text)),
            Self::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    out.push_str(&quoted(key));
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// Returns a member of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// Returns what `path` leads to through nested objects.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Returns the text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the value of a Boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Returns the items of an array.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// Returns the members of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn read(text: &str, depth: usize) -> Result<Json, Unreadable> {
    let text = text.trim_ascii();
    let deeper = || depth.checked_sub(1).ok_or(Unreadable::Depth);
    match text.as_bytes().first() {
        Some(b'{') => {
            let depth = deeper()?;
            let members: Members<'_> =
                serde_json::from_str(text).map_err(|_| Unreadable::Syntax)?;
            let mut object = BTreeMap::new();
            for (key, value) in members.0 {
                let value = read(value.get(), depth)?;
                if object.contains_key(&*key) {
                    return Err(Unreadable::Repeated(key.into_owned()));
                }
                object.insert(key.into_owned(), value);
            }
            Ok(Json::Object(object))
        }
        Some(b'[') => {
            let depth = deeper()?;
            let items: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|_| Unreadable::Syntax)?;
            let items = items.into_iter().map(|item| read(item.get(), depth));
            Ok(Json::List(items.collect::<Result<_, _>>()?))
        }
        Some(b'"') => serde_json::from_str(text)
            .map(Json::Text)
            .map_err(|_| Unreadable::Syntax),
        _ => scalar(text),
    }
}

fn scalar(text: &str) -> Result<Json, Unreadable> {
    match text {
        "null" => Ok(Json::Null),
        "true" => Ok(Json::Bool(true)),
        "false" => Ok(Json::Bool(false)),
        // Its syntax is checked; its magnitude is not, since it stays text.
        _ => match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Ok(Json::Number(text.to_owned())),
            Err(_) => Err(Unreadable::Syntax),
        },
    }
}

struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                    members.push((Cow::Owned(key), value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match Json::parse(text) {
            Ok(json) => json.canonical(),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn only_the_ways_of_writing_are_lost() {
        check(
            r#" { "b" : 1 , "a" : [ true , null ] } "#,
            r#"{"a":[true,null],"b":1}"#,
        );
        check(r#"{"a":"\u0041\/"}"#, r#"{"a":"A/"}"#);
        check("10.10", "10.10");
        check("1e400", "1e400");
        check("-0", "-0");
    }

    #[test]
    fn what_readers_could_take_differently_is_refused() {
        check(r#"{"a":1,"\u0061":2}"#, "the member `a` occurs twice");
        check("{", "it is not well-formed JSON");
        check("01", "it is not well-formed JSON");
        check("", "it is not well-formed JSON");
        let deep = "[".repeat(MAX_DEPTH + 1) + &"]".repeat(MAX_DEPTH + 1);
        check(&deep, "it is nested deeper than 48 levels");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = Json::parse(&text);
        }

        #[test]
        fn canonical_text_is_its_own_canonical_text(text in r#"[\[\]{}":,0-9a-e. \\]{0,60}"#) {
            if let Ok(json) = Json::parse(&text) {
                let canonical = json.canonical();
                prop_assert_eq!(Json::parse(&canonical).unwrap().canonical(), canonical);
            }
        }
    }
}
