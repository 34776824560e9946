//! The cases of a suite, each kept as the text of its JSON until it is looked at: what
//! is read of a case takes ten times as much room, and few are looked at at once.

use std::{borrow::Cow, collections::HashMap};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer, de::Visitor, ser::SerializeSeq as _,
};
use serde_json::Value;

use super::Case;

/// Cases in the order of their file.
#[derive(Clone, Default)]
pub struct Cases {
    texts: Vec<Box<str>>,
    /// Places by id; of several with one id, the first.
    places: HashMap<Box<str>, usize>,
}

impl std::fmt::Debug for Cases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} cases", self.texts.len())
    }
}

impl Cases {
    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns the cases in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Case> {
        self.texts.iter().map(|text| read(text))
    }

    /// Returns the case at a place.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Case> {
        self.texts.get(place).map(|text| read(text))
    }

    /// Returns the id of the case at a place.
    #[must_use]
    pub fn id(&self, place: usize) -> Option<String> {
        self.get(place).map(|case| case.id)
    }

    /// Returns the place of the case with this id.
    #[must_use]
    pub fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    /// Returns the case with this id.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Case> {
        self.get(self.place(id)?)
    }

    /// Adds a case that was read from `value`.
    pub(super) fn push(&mut self, id: &str, value: &Value) {
        let place = self.texts.len();
        self.places.entry(id.into()).or_insert(place);
        self.texts.push(value.to_string().into());
    }
}

fn read(text: &str) -> Case {
    serde_json::from_str(text).expect("a case was read from the same value before")
}

impl Serialize for Cases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.len()))?;
        for case in self.iter() {
            all.serialize_element(&case)?;
        }
        all.end()
    }
}

impl<'de> Deserialize<'de> for Cases {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;

        impl<'de> Visitor<'de> for Elements {
            type Value = Cases;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of cases")
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut all: A,
            ) -> Result<Cases, A::Error> {
                let mut cases = Cases::default();
                while let Some(value) = all.next_element::<Value>()? {
                    let case = Case::deserialize(&value).map_err(serde::de::Error::custom)?;
                    cases.push(&case.id, &value);
                }
                Ok(cases)
            }
        }

        deserializer.deserialize_seq(Elements)
    }
}

impl JsonSchema for Cases {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Cases".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        <Vec<Case>>::json_schema(generator)
    }
}
