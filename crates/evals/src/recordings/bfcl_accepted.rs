//! Accepted values of the Berkeley function-calling leaderboard as matchers.
//!
//! The leaderboard compares types as Python has them: an integer is taken for a float
//! only where the argument itself is one. Where an accepted value has another type than
//! the schema says (the name of a variable), this type is taken too, and values are then
//! compared as they are.

use serde_json::{Map, Value, json};

use crate::matcher::Matcher;

/// The value of a parameter that may be left out.
fn may_be_left_out(values: &[Value]) -> bool {
    values.iter().any(|value| value == "")
}

/// A matcher that nothing satisfies.
pub(super) fn never() -> Matcher {
    read(json!({ "any_of": [] }))
}

fn read(written: Value) -> Matcher {
    Matcher::try_from(written).expect("operators that are put together here take what they get")
}

/// What the argument with this schema has to be.
pub(super) fn argument(schema: &Value, values: &[Value], required: bool) -> Matcher {
    let kind = schema.get("type").and_then(Value::as_str).unwrap_or("any");
    let expected = python(kind);
    let nested = matches!(kind, "array" | "tuple")
        .then(|| schema.pointer("/items/type").and_then(Value::as_str))
        .flatten()
        .map(python);
    let accepted = type_of_first(values);
    let mut types = vec![expected];
    if expected == "float" {
        types.push("integer");
    }
    let is_variable = accepted.is_some_and(|accepted| accepted != expected);
    let compared = match (is_variable, expected, nested) {
        (true, ..) => json!({ "in": values }),
        (_, "object", _) => either(values, |value| value.as_object().map(object)),
        (_, "list", Some("object")) => either(values, list_of_objects),
        (_, "string" | "list", _) => json!({ "loose": values }),
        _ => json!({ "in": values }),
    };
    let of_expected = match nested {
        Some(nested) => json!({ "all_of": [{ "type": types }, elements(nested, values)] }),
        None => json!({ "type": types }),
    };
    let typed = match accepted {
        Some(accepted) if is_variable => json!({ "any_of": [of_expected, { "type": accepted }] }),
        _ => of_expected,
    };
    let is = json!({ "all_of": [typed, compared] });
    read(match required || !may_be_left_out(values) {
        true => json!({ "all_of": [{ "not": missing() }, is] }),
        false => json!({ "any_of": [missing(), is] }),
    })
}

/// Holds where the argument is not there at all; `null` is there.
fn missing() -> Value {
    json!({ "all_of": [{ "absent": true }, { "not": { "type": "null" } }] })
}

fn either(values: &[Value], of: impl Fn(&Value) -> Option<Value>) -> Value {
    let all: Vec<Value> = values.iter().filter_map(of).collect();
    json!({ "any_of": all })
}

/// The type that the leaderboard takes a schema's type for.
fn python(kind: &str) -> &'static str {
    match kind {
        "integer" => "integer",
        "float" | "number" => "float",
        "boolean" => "boolean",
        "array" | "tuple" => "list",
        "dict" | "object" => "object",
        _ => "string",
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    }
}

fn type_of_first(values: &[Value]) -> Option<&'static str> {
    values.iter().find(|value| *value != "").map(type_of)
}

/// Every element has the type of the schema, or that of the elements of one of the
/// accepted lists.
fn elements(nested: &str, values: &[Value]) -> Value {
    let one = |value: &Value| match value.as_array() {
        None => Some(json!({ "all_of": [] })),
        Some(list) => {
            let mut types = vec![nested];
            types.extend(type_of_first(list));
            Some(json!({ "each": { "type": types } }))
        }
    };
    either(values, one)
}

/// An object whose members each have one of their accepted values.
fn object(accepted: &Map<String, Value>) -> Value {
    let member = |(name, values): (&String, &Value)| {
        let values = match values {
            Value::Array(values) => values.clone(),
            one => vec![one.clone()],
        };
        let is = json!({ "loose": values });
        let is = match may_be_left_out(&values) {
            true => json!({ "any_of": [missing(), is] }),
            false => is,
        };
        (name.clone(), is)
    };
    let members: Map<String, Value> = accepted.iter().map(member).collect();
    json!({ "object": members })
}

fn list_of_objects(value: &Value) -> Option<Value> {
    // What may be left out may also be empty.
    if value == "" {
        return Some(json!({ "list": [] }));
    }
    let list = value.as_array()?;
    let objects: Option<Vec<Value>> = list.iter().map(|one| one.as_object().map(object)).collect();
    Some(json!({ "list": objects? }))
}
