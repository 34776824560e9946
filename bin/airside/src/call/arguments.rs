//! Turns `key=value` into the arguments of a tool, by the tool's input schema.
//!
//! # Invariants
//!
//! * Pure: the schema comes from a server and is treated as hostile. References
//!   are followed inside the schema only and to a bounded depth.
//! * What the schema does not settle is left to the server to refuse.

use airside_base::{Fault, Kind};
use serde_json::{Map, Value};

use crate::text::{nearest, printable};

/// Deepest chain of references and alternatives that is followed.
const MAX_DEPTH: usize = 16;

/// Why an argument cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("the tool has no argument `{key}`")]
    Unknown {
        key: String,
        near: Option<String>,
        known: Vec<String>,
    },
    #[error("`{key}` takes {wanted}, not `{given}`")]
    Type {
        key: String,
        wanted: &'static str,
        given: String,
    },
    #[error("`{key}` cannot be `{given}`")]
    Choice {
        key: String,
        given: String,
        near: Option<String>,
        choices: Vec<String>,
    },
    #[error("the arguments are not one JSON object: {0}")]
    NotAnObject(String),
    #[error("the argument `{key}` is missing")]
    Missing { key: String, wanted: &'static str },
}

impl Error {
    /// What the user may know.
    pub(crate) fn fault(&self) -> Fault {
        let fault = Fault::new(Kind::Invalid, "CLI-008", self.to_string());
        match self {
            Self::Unknown { near, known, .. } => fault.with_hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "the tool takes no arguments".to_owned(),
                None => format!("it takes: {}", known.join(", ")),
            }),
            Self::Type { key, .. } => {
                fault.with_hint(format!("see `airside tools` for what `{key}` means"))
            }
            Self::Choice { near, choices, .. } => fault.with_hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("use one of: {}", choices.join(", ")),
            }),
            Self::NotAnObject(_) => {
                fault.with_hint("write it as --arguments '{\"key\": \"value\"}'")
            }
            Self::Missing { key, wanted } => fault.with_hint(format!("add {key}=… ({wanted})")),
        }
    }
}

/// Returns the arguments that `json` and `pairs` describe; pairs win.
pub(crate) fn build(
    schema: &Value,
    json: Option<&str>,
    pairs: &[(String, String)],
) -> Result<Map<String, Value>, Error> {
    let mut arguments = match json {
        Some(text) => serde_json::from_str(text).map_err(|e| Error::NotAnObject(e.to_string()))?,
        None => Map::new(),
    };
    let root = Schema { root: schema };
    let mut given = std::collections::HashSet::new();
    for (key, text) in pairs {
        let path = root.split(schema, key);
        let again = !given.insert(key.as_str());
        insert(&root, schema, &mut arguments, &path, (key, text), again)?;
    }
    match root.missing(schema, &arguments) {
        Some((key, wanted)) => Err(Error::Missing { key, wanted }),
        None => Ok(arguments),
    }
}

fn insert(
    root: &Schema<'_>,
    schema: &Value,
    into: &mut Map<String, Value>,
    path: &[&str],
    (key, text): (&str, &str),
    again: bool,
) -> Result<(), Error> {
    let (name, rest) = path.split_first().expect("a path has a first part");
    let property = root.property(schema, name, key)?;
    if !rest.is_empty() {
        let child = into
            .entry((*name).to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(child) = child else {
            return Err(wrong_type(key, "an object", text));
        };
        return insert(root, property, child, rest, (key, text), again);
    }
    let value = root.read(property, key, text)?;
    match (into.get_mut(*name), value) {
        (Some(Value::Array(items)), Value::Array(more)) if again => items.extend(more),
        (_, value) => {
            into.insert((*name).to_owned(), value);
        }
    }
    Ok(())
}

/// A schema with the document that its references point into.
struct Schema<'a> {
    root: &'a Value,
}

impl<'a> Schema<'a> {
    /// Follows references and picks the alternative that is not null.
    fn settle(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..MAX_DEPTH {
            if let Some(Value::String(reference)) = schema.get("$ref") {
                let target = reference
                    .strip_prefix('#')
                    .and_then(|pointer| self.root.pointer(pointer));
                match target {
                    Some(target) => schema = target,
                    None => return schema,
                }
                continue;
            }
            let choices = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key));
            let Some(Value::Array(choices)) = choices else {
                return schema;
            };
            let mut real = choices
                .iter()
                .filter(|choice| choice.get("type") != Some(&Value::String("null".into())));
            match (real.next(), real.next()) {
                (Some(only), None) => schema = only,
                _ => return schema,
            }
        }
        schema
    }

    fn properties(&self, schema: &'a Value) -> Option<&'a Map<String, Value>> {
        self.settle(schema).get("properties")?.as_object()
    }

    /// Splits a key at its dots unless the whole of it is a property.
    fn split<'k>(&self, schema: &'a Value, key: &'k str) -> Vec<&'k str> {
        match self.properties(schema) {
            Some(properties) if !properties.contains_key(key) => key.split('.').collect(),
            _ => vec![key],
        }
    }

    fn property(&self, schema: &'a Value, name: &str, key: &str) -> Result<&'a Value, Error> {
        static ANYTHING: Value = Value::Bool(true);
        let settled = self.settle(schema);
        let properties = self.properties(schema);
        if let Some(property) = properties.and_then(|properties| properties.get(name)) {
            return Ok(property);
        }
        match settled.get("additionalProperties") {
            Some(Value::Bool(false)) => {}
            Some(other) => return Ok(other),
            // Servers drop what they do not know, which hides a misspelt key:
            // only a schema without any properties takes everything.
            None if properties.is_none() => return Ok(&ANYTHING),
            None => {}
        }
        let names = || properties.into_iter().flatten().map(|(name, _)| name);
        Err(Error::Unknown {
            key: printable(key),
            near: nearest(name, names().map(String::as_str)).map(printable),
            known: names().map(|name| printable(name)).collect(),
        })
    }

    fn missing(
        &self,
        schema: &'a Value,
        arguments: &Map<String, Value>,
    ) -> Option<(String, &'static str)> {
        let required = self.settle(schema).get("required")?.as_array()?;
        let key = required
            .iter()
            .filter_map(Value::as_str)
            .find(|key| !arguments.contains_key(*key))?;
        let property = self.properties(schema).and_then(|all| all.get(key));
        let wanted = property.map_or("a value", |property| self.wanted(property));
        Some((printable(key), wanted))
    }

    fn types(&self, schema: &'a Value) -> Vec<&'a str> {
        match self.settle(schema).get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    fn wanted(&self, schema: &'a Value) -> &'static str {
        let types = self.types(schema);
        match types.iter().find(|name| **name != "null") {
            Some(&"string") => "a text",
            Some(&"integer") => "a whole number",
            Some(&"number") => "a number",
            Some(&"boolean") => "true or false",
            Some(&"array") => "a list (a,b,c or JSON)",
            Some(&"object") => "an object (JSON)",
            _ => "a value",
        }
    }

    fn read(&self, schema: &'a Value, key: &str, text: &str) -> Result<Value, Error> {
        let settled = self.settle(schema);
        let types = self.types(schema);
        let mut real = types.iter().filter(|name| **name != "null");
        let (first, more) = (real.next(), real.next());
        if text == "null" && types.contains(&"null") {
            return Ok(Value::Null);
        }
        let wanted = self.wanted(schema);
        let read = match (first, more) {
            (Some(&"string"), None) => Some(Value::String(text.to_owned())),
            (Some(&"integer"), None) => {
                parse(text).filter(|value| value.is_i64() || value.is_u64())
            }
            (Some(&"number"), None) => parse(text).filter(Value::is_number),
            (Some(&"boolean"), None) => parse(text).filter(Value::is_boolean),
            (Some(&"object"), None) => parse(text).filter(Value::is_object),
            (Some(&"array"), None) => Some(self.list(settled, key, text)?),
            // Not settled by the schema: what reads as JSON is JSON.
            _ => Some(parse(text).unwrap_or_else(|| Value::String(text.to_owned()))),
        };
        let value = read.ok_or_else(|| wrong_type(key, wanted, text))?;
        check_choice(settled, key, &value)?;
        Ok(value)
    }

    fn list(&self, schema: &'a Value, key: &str, text: &str) -> Result<Value, Error> {
        let text = text.trim();
        if text.starts_with('[') {
            let list = parse(text).filter(Value::is_array);
            return list.ok_or_else(|| wrong_type(key, "a list (a,b,c or JSON)", text));
        }
        static ANYTHING: Value = Value::Bool(true);
        let item = schema.get("items").unwrap_or(&ANYTHING);
        if text.is_empty() {
            return Ok(Value::Array(Vec::new()));
        }
        // One object per use of the key, since objects contain commas.
        let parts: Vec<&str> = if text.starts_with('{') {
            vec![text]
        } else {
            text.split(',').map(str::trim).collect()
        };
        let items = parts.iter().map(|part| self.read(item, key, part));
        Ok(Value::Array(items.collect::<Result<_, _>>()?))
    }
}

fn check_choice(schema: &Value, key: &str, value: &Value) -> Result<(), Error> {
    let Some(choices) = schema.get("enum").and_then(Value::as_array) else {
        return Ok(());
    };
    if choices.contains(value) {
        return Ok(());
    }
    let shown = |value: &Value| match value {
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    };
    let choices: Vec<String> = choices.iter().map(shown).collect();
    let given = shown(value);
    Err(Error::Choice {
        key: printable(key),
        near: nearest(&given, choices.iter().map(String::as_str)).map(str::to_owned),
        given,
        choices,
    })
}

fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn wrong_type(key: &str, wanted: &'static str, given: &str) -> Error {
    Error::Type {
        key: printable(key),
        wanted,
        given: printable(given),
    }
}

#[cfg(test)]
mod tests;
