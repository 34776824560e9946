//! Accepted values of the Berkeley function-calling leaderboard as matchers.
//!
//! The leaderboard compares types as Python has them: an integer is taken for a float
//! only where the argument itself is one. Where an accepted value has another type than
//! the schema says (the name of a variable), this type is taken too, and values are then
//! compared as they are.

use serde_json::{Map, Value};

use crate::matcher::{Matcher, Test, Type};

/// The value of a parameter that may be left out.
fn may_be_left_out(values: &[Value]) -> bool {
    values.iter().any(|value| value == "")
}

/// A matcher that nothing satisfies.
pub(super) fn never() -> Matcher {
    Matcher::made(Test::Either(Vec::new()))
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
    if expected == Type::Float {
        types.push(Type::Integer);
    }
    let is_variable = accepted.is_some_and(|accepted| accepted != expected);
    let compared = match (is_variable, expected, nested) {
        (true, ..) => made(Test::In(values.to_vec())),
        (_, Type::Object, _) => either(values, |value| value.as_object().map(object)),
        (_, Type::List, Some(Type::Object)) => either(values, list_of_objects),
        (_, Type::String | Type::List, _) => made(Test::Loose(values.to_vec())),
        _ => made(Test::In(values.to_vec())),
    };
    let of_expected = match nested {
        Some(nested) => made(Test::All(vec![
            made(Test::OneOfTypes(types)),
            elements(nested, values),
        ])),
        None => made(Test::OneOfTypes(types)),
    };
    let typed = match accepted {
        Some(accepted) if is_variable => made(Test::Either(vec![
            of_expected,
            made(Test::OneOfTypes(vec![accepted])),
        ])),
        _ => of_expected,
    };
    let is = made(Test::All(vec![typed, compared]));
    match required || !may_be_left_out(values) {
        true => made(Test::All(vec![made(Test::Not(Box::new(missing()))), is])),
        false => made(Test::Either(vec![missing(), is])),
    }
}

fn made(test: Test) -> Matcher {
    Matcher::made(test)
}

/// Holds where the argument is not there at all; `null` is there.
fn missing() -> Matcher {
    made(Test::All(vec![
        made(Test::Absent),
        made(Test::Not(Box::new(made(Test::OneOfTypes(vec![
            Type::Null,
        ]))))),
    ]))
}

fn either(values: &[Value], read: impl Fn(&Value) -> Option<Matcher>) -> Matcher {
    made(Test::Either(values.iter().filter_map(read).collect()))
}

/// The type that the leaderboard takes a schema's type for.
fn python(kind: &str) -> Type {
    match kind {
        "integer" => Type::Integer,
        "float" | "number" => Type::Float,
        "boolean" => Type::Boolean,
        "array" | "tuple" => Type::List,
        "dict" | "object" => Type::Object,
        _ => Type::String,
    }
}

fn type_of(value: &Value) -> Type {
    match value {
        Value::Null => Type::Null,
        Value::Bool(_) => Type::Boolean,
        Value::Number(number) if number.is_f64() => Type::Float,
        Value::Number(_) => Type::Integer,
        Value::String(_) => Type::String,
        Value::Array(_) => Type::List,
        Value::Object(_) => Type::Object,
    }
}

fn type_of_first(values: &[Value]) -> Option<Type> {
    values.iter().find(|value| *value != "").map(type_of)
}

/// Every element has the type of the schema, or that of the elements of one of the
/// accepted lists.
fn elements(nested: Type, values: &[Value]) -> Matcher {
    let one = |value: &Value| match value.as_array() {
        None => Some(made(Test::Always)),
        Some(list) => {
            let mut types = vec![nested];
            types.extend(type_of_first(list));
            Some(made(Test::Each(Box::new(made(Test::OneOfTypes(types))))))
        }
    };
    either(values, one)
}

/// An object whose members each have one of their accepted values.
fn object(accepted: &Map<String, Value>) -> Matcher {
    let member = |(name, values): (&String, &Value)| {
        let values = match values {
            Value::Array(values) => values.clone(),
            one => vec![one.clone()],
        };
        let is = made(Test::Loose(values.clone()));
        let is = match may_be_left_out(&values) {
            true => made(Test::Either(vec![missing(), is])),
            false => is,
        };
        (name.clone(), is)
    };
    made(Test::Object {
        members: accepted.iter().map(member).collect(),
        closed: true,
    })
}

fn list_of_objects(value: &Value) -> Option<Matcher> {
    // What may be left out may also be empty.
    if value == "" {
        return Some(made(Test::List(Vec::new())));
    }
    let list = value.as_array()?;
    let objects: Option<Vec<Matcher>> =
        list.iter().map(|one| one.as_object().map(object)).collect();
    Some(made(Test::List(objects?)))
}
