//! What a suite expects of a conversation.
//!
//! Everything here is data: it is read from a file, or made by an importer, and graded
//! by one function for all of them.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de};
use serde_json::Value;

use crate::{matcher::Matcher, state::Change, tool::Selector};

/// What is expected of a conversation or of one turn of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Which tools are called, and how.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<Calls>,
    /// What changes in the systems behind the tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The last thing that the model says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Text>,
    /// Everything that the model says, each message by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub said: Option<Text>,
    /// What it may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// What the view of a tool calls on behalf of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Vec<CallSpec>>,
}

impl Expect {
    /// Returns whether nothing is expected at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_none()
            && self.state.is_none()
            && self.answer.is_none()
            && self.said.is_none()
            && self.budget.is_none()
            && self.bridge.is_none()
    }

    /// Returns this expectation with the parts of `defaults` that it does not name.
    #[must_use]
    pub fn or(mut self, defaults: &Self) -> Self {
        self.calls = match (self.calls, &defaults.calls) {
            (Some(mut own), Some(defaults)) => {
                own.no_errors |= defaults.no_errors;
                own.max = own.max.or(defaults.max);
                own.never = own.never.or_else(|| defaults.never.clone());
                Some(own)
            }
            (own, defaults) => own.or_else(|| defaults.clone()),
        };
        self.state = self.state.or_else(|| defaults.state.clone());
        self.answer = self.answer.or_else(|| defaults.answer.clone());
        self.said = self.said.or_else(|| defaults.said.clone());
        self.budget = self.budget.or(defaults.budget);
        self
    }
}

/// Which tools are called, and how.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// No tool is called: the model asks back or declines.
    pub none: bool,
    /// The first call is of one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Selector>,
    /// All calls are of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Selector>,
    /// No call is of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub never: Option<Selector>,
    /// Each is met by a call of its own; other calls are fine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub at_least: Vec<CallSpec>,
    /// Each is met by a call of its own, and the tools named here are called no more
    /// often than that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exactly: Option<Vec<CallSpec>>,
    /// Groups of tools: all of one are called before the first of the next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Vec<Selector>>,
    /// Most calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
    /// How often tools are called, by name: a matcher of the number.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub count: BTreeMap<String, Matcher>,
    /// No call ends with an error.
    pub no_errors: bool,
    /// How the last call of a tool ends, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub status: BTreeMap<String, Status>,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// With a result.
    Ok,
    /// With an error of the tool.
    Error,
}

/// One call that is expected.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallSpec {
    /// The tool.
    pub tool: Selector,
    /// Its arguments by name. Those that are not named may be anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, Matcher>,
    /// What arguments are that `args` does not name.
    #[serde(default)]
    pub unknown_args: Unknown,
    /// How it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// What it returns: the structured part of the result, or its text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Matcher>,
}

/// What becomes of arguments that an expectation does not name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// They may be there.
    #[default]
    Allow,
    /// They must not be there.
    Forbid,
}

/// What changes in the systems behind the tools: `unchanged`, or a mapping.
#[derive(Debug, Clone, Default, Serialize)]
pub struct State(pub StateFields);

impl JsonSchema for State {
    fn schema_name() -> Cow<'static, str> {
        "State".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fields = generator.subschema_for::<StateFields>();
        json_schema!({ "anyOf": [{ "const": "unchanged" }, fields] })
    }
}

/// Changes that are expected, allowed or forbidden.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StateFields {
    /// Nothing changes.
    pub unchanged: bool,
    /// Places (JSON pointers, `*` for any segment) and what is there afterwards.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub changed: BTreeMap<String, Matcher>,
    /// What is new.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<Added>,
    /// What is gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Removed>,
    /// Places that may change besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_changed: Vec<String>,
    /// Places where one new thing each may be besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_added: Vec<String>,
    /// Nothing changes but what is named here.
    pub nothing_else: bool,
    /// Places that are not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// The changes are these, in any order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<BTreeMap<String, Value>>>")]
    pub same_as: Option<Vec<Change>>,
}

/// Something new.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Added {
    /// Where, `*` standing for any segment.
    pub path: String,
    /// Which of the new things there are meant. All, unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub among: Option<Matcher>,
    /// What it has to be.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub is: Option<Matcher>,
    /// How many of those that are meant there have to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exactly: Option<usize>,
    /// Only the first of those that are meant is looked at.
    #[serde(default)]
    pub first: bool,
}

/// Something that is gone.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Removed {
    /// Where, `*` standing for any segment.
    pub path: String,
    /// What it was.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub was: Option<Matcher>,
}

impl<'de> Deserialize<'de> for State {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = State;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`unchanged` or a mapping of changes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<State, E> {
                match text {
                    "unchanged" => Ok(State(StateFields {
                        unchanged: true,
                        ..StateFields::default()
                    })),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<State, A::Error> {
                let fields = de::value::MapAccessDeserializer::new(map);
                StateFields::deserialize(fields).map(State)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// What is said.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Text {
    /// All of these texts are in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains_all: Vec<String>,
    /// One of these texts is in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains_any: Vec<String>,
    /// None of these texts is in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub contains_none: Vec<String>,
    /// A regular expression that is found in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<Matcher>,
    /// Something that the text as a whole, or the JSON that it is, has to satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<Matcher>,
    /// Saved values that it has to state, as numbers, amounts or texts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<Mention>,
    /// Texts are compared without regard to case and to commas.
    pub fold: bool,
    /// Something is said at all.
    pub not_empty: bool,
}

/// A saved value that has to be stated.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mention {
    /// The saved value, with dots and indices for a part of it.
    pub from: String,
}

/// What a conversation or turn may cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Budget {
    /// Most requests to the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Most tokens, in and out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Most US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// Most milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
}
