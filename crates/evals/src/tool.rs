//! Tools as a server lists them, and ways to name several at once.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use crate::{matcher::Scope, path};

/// A tool, as `tools/list` shows it. Every request to a model carries all of them, so a
/// copy shares the definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Tool {
    name: String,
    definition: Arc<Value>,
}

impl Tool {
    /// Returns the tool with this definition, if it has a name.
    #[must_use]
    pub fn read(definition: Value) -> Option<Self> {
        let name = definition.get("name")?.as_str()?.to_owned();
        let definition = Arc::new(definition);
        Some(Self { name, definition })
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns everything that the server says about it.
    #[must_use]
    pub fn definition(&self) -> &Value {
        &self.definition
    }

    /// Returns its description, or an empty text.
    #[must_use]
    pub fn description(&self) -> &str {
        let text = self.definition.get("description").and_then(Value::as_str);
        text.unwrap_or_default()
    }

    /// Returns the schema of its arguments; anything goes where there is none.
    #[must_use]
    pub fn input_schema(&self) -> Cow<'_, Value> {
        match self.definition.get("inputSchema") {
            Some(schema) => Cow::Borrowed(schema),
            None => Cow::Owned(json!({ "type": "object" })),
        }
    }

    /// Returns whether the server says that it only reads. Absent means no (MCP, tool
    /// annotations).
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.member("annotations.readOnlyHint") == Value::Bool(true)
    }

    /// Returns a member of the definition, with the defaults that the protocol gives to
    /// absent annotations.
    fn member(&self, name: &str) -> Value {
        if let Some(value) = path::find(&self.definition, name) {
            return value.clone();
        }
        match name {
            "annotations.readOnlyHint" | "annotations.idempotentHint" => Value::Bool(false),
            "annotations.destructiveHint" | "annotations.openWorldHint" => Value::Bool(true),
            _ => Value::Null,
        }
    }
}

/// Which tools are meant.
#[derive(Debug, Clone)]
pub struct Selector {
    written: Value,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Name(String),
    Glob(Vec<String>),
    Set(String),
    AnyOf(Vec<Selector>),
    AllOf(Vec<Selector>),
    Not(Box<Selector>),
    Where(Vec<(String, crate::matcher::Matcher)>),
}

/// Why something does not name tools.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It is not one of the forms.
    #[error("name a tool, `$set`, a list of them, or an object with any_of, all_of, not or where")]
    Form,
    /// A condition on the definition is wrong.
    #[error(transparent)]
    Where(#[from] crate::matcher::MatcherError),
}

/// Named sets of tools, and the tools that there are.
#[derive(Debug, Clone, Copy)]
pub struct Tools<'a> {
    /// What servers list.
    pub all: &'a [Tool],
    /// Sets of the suite.
    pub sets: &'a BTreeMap<String, Selector>,
}

/// Deepest nesting of selectors, and of sets that name sets.
const MAX_DEPTH: usize = 16;

impl Selector {
    /// Returns whether `name` is one of the tools that are meant.
    #[must_use]
    pub fn selects(&self, name: &str, tools: Tools<'_>) -> bool {
        self.selects_within(name, tools, 0)
    }

    fn selects_within(&self, name: &str, tools: Tools<'_>, depth: usize) -> bool {
        if depth > MAX_DEPTH {
            return false;
        }
        let below = |one: &Self| one.selects_within(name, tools, depth + 1);
        match &self.test {
            Test::Name(wanted) => wanted == name,
            Test::Glob(parts) => is_glob(parts, name),
            Test::Set(set) => tools.sets.get(set).is_some_and(below),
            Test::AnyOf(all) => all.iter().any(below),
            Test::AllOf(all) => all.iter().all(below),
            Test::Not(one) => !below(one),
            Test::Where(members) => {
                let tool = tools.all.iter().find(|tool| tool.name == name);
                let scope = Scope::default();
                tool.is_some_and(|tool| {
                    members
                        .iter()
                        .all(|(member, wanted)| wanted.holds(Some(&tool.member(member)), &scope))
                })
            }
        }
    }

    /// Returns the sets that it refers to.
    pub(crate) fn sets(&self) -> Vec<&str> {
        match &self.test {
            Test::Set(name) => vec![name],
            Test::AnyOf(all) | Test::AllOf(all) => all.iter().flat_map(Self::sets).collect(),
            Test::Not(one) => one.sets(),
            Test::Name(_) | Test::Glob(_) | Test::Where(_) => Vec::new(),
        }
    }

    /// Returns a selector of one tool.
    pub(crate) fn name(name: &str) -> Self {
        Self {
            written: Value::String(name.to_owned()),
            test: Test::Name(name.to_owned()),
        }
    }

    /// Returns the tool that is meant, if it is one by its name.
    #[must_use]
    pub fn only_name(&self) -> Option<&str> {
        match &self.test {
            Test::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Returns a selector of several tools.
    pub(crate) fn any_of(names: &[&str]) -> Self {
        Self {
            written: json!(names),
            test: Test::AnyOf(names.iter().map(|name| Self::name(name)).collect()),
        }
    }

    /// Returns the selector as people read it.
    pub(crate) fn shown(&self) -> String {
        match &self.written {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

fn is_glob(parts: &[String], name: &str) -> bool {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return false;
    };
    let Some(mut rest) = name.strip_prefix(first.as_str()) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part.as_str()) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last.as_str())
}

impl TryFrom<Value> for Selector {
    type Error = SelectorError;

    fn try_from(written: Value) -> Result<Self, SelectorError> {
        read(written, 0)
    }
}

fn read(written: Value, depth: usize) -> Result<Selector, SelectorError> {
    if depth > MAX_DEPTH {
        return Err(SelectorError::Form);
    }
    let several = |all: &Value| -> Result<Vec<Selector>, SelectorError> {
        match all {
            Value::Array(all) => all.iter().map(|one| read(one.clone(), depth + 1)).collect(),
            one => Ok(vec![read(one.clone(), depth + 1)?]),
        }
    };
    let test = match &written {
        Value::String(text) => match text.strip_prefix('$') {
            Some(set) => Test::Set(set.to_owned()),
            None if text.contains('*') => Test::Glob(text.split('*').map(str::to_owned).collect()),
            None if !text.is_empty() => Test::Name(text.clone()),
            None => return Err(SelectorError::Form),
        },
        list @ Value::Array(_) => Test::AnyOf(several(list)?),
        Value::Object(fields) if fields.len() == 1 => {
            let (key, operand) = fields.iter().next().ok_or(SelectorError::Form)?;
            match (key.as_str(), operand) {
                ("any_of", all) => Test::AnyOf(several(all)?),
                ("all_of", all) => Test::AllOf(several(all)?),
                ("not", one) => Test::Not(Box::new(read(one.clone(), depth + 1)?)),
                ("where", Value::Object(members)) => {
                    let read = |(name, one): (&String, &Value)| {
                        Ok((
                            name.clone(),
                            crate::matcher::Matcher::try_from(one.clone())?,
                        ))
                    };
                    Test::Where(
                        members
                            .iter()
                            .map(read)
                            .collect::<Result<_, SelectorError>>()?,
                    )
                }
                _ => return Err(SelectorError::Form),
            }
        }
        _ => return Err(SelectorError::Form),
    };
    Ok(Selector { written, test })
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Selector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::try_from(Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Selector {
    fn schema_name() -> Cow<'static, str> {
        "Selector".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Tools: a name, a pattern with `*`, `$set`, a list of these, or a condition on what servers say of them.",
            "anyOf": [
                { "type": "string" },
                { "type": "array", "items": { "$ref": "#/$defs/Selector" } },
                { "type": "object", "maxProperties": 1, "minProperties": 1, "additionalProperties": false, "properties": {
                    "any_of": { "$ref": "#/$defs/Selector" },
                    "all_of": { "$ref": "#/$defs/Selector" },
                    "not": { "$ref": "#/$defs/Selector" },
                    "where": { "type": "object", "additionalProperties": { "$ref": "#/$defs/Matcher" } },
                } },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(selector: Value, selected: &[&str]) {
        let definitions = [
            json!({"name": "search_hotels", "annotations": {"readOnlyHint": true}}),
            json!({"name": "get_hotel", "annotations": {"readOnlyHint": true}}),
            json!({"name": "book_hotel", "annotations": {"readOnlyHint": false}}),
            json!({"name": "new_tool"}),
        ];
        let all: Vec<Tool> = definitions.into_iter().filter_map(Tool::read).collect();
        let writes = Selector::try_from(json!({"where": {"annotations.readOnlyHint": false}}));
        let sets = BTreeMap::from([("writes".to_owned(), writes.unwrap())]);
        let tools = Tools {
            all: &all,
            sets: &sets,
        };
        let selector = Selector::try_from(selector).unwrap();
        let names = all.iter().map(Tool::name);
        let is: Vec<&str> = names.filter(|name| selector.selects(name, tools)).collect();
        assert_eq!(is, selected);
    }

    #[test]
    fn tools_are_named_in_several_ways() {
        check(json!("get_hotel"), &["get_hotel"]);
        check(json!("*_hotel"), &["get_hotel", "book_hotel"]);
        check(json!("s*_*s"), &["search_hotels"]);
        check(json!(["get_hotel", "book_*"]), &["get_hotel", "book_hotel"]);
        check(json!({"not": "*hotel*"}), &["new_tool"]);
        check(json!({"all_of": ["$writes", "*hotel*"]}), &["book_hotel"]);
    }

    #[test]
    fn a_tool_that_says_nothing_writes() {
        check(json!("$writes"), &["book_hotel", "new_tool"]);
    }
}
