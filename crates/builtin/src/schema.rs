//! JSON Schemas of the tools, from their types.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

/// Returns the schema of `T` (2020-12) without references, so that a client needs
/// no resolver; without the formats that name Rust's number types; and without
/// `null`, which optional members never are in results and need not be in
/// arguments. A member that is mirrored into a header must have one plain type.
#[must_use]
pub fn of<T: JsonSchema>() -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(tidy));
    let schema = settings.into_generator().into_root_schema_for::<T>();
    match schema.to_value() {
        Value::Object(object) => Arc::new(object),
        _ => unreachable!("the schema of a struct is an object"),
    }
}

/// Returns the schema of results of `T`: as [`of`], with what is said about the members
/// of its members left out, and what the number types of Rust can hold. A list of tools
/// is read by every client and most of it would be said once for each tool.
#[must_use]
pub fn of_result<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = (*of::<T>()).clone();
    let members = schema.get_mut("properties").and_then(Value::as_object_mut);
    for member in members.into_iter().flat_map(|members| members.values_mut()) {
        if let Value::Object(member) = member {
            member.values_mut().for_each(hush);
        }
    }
    schema.into()
}

/// Takes descriptions and bounds of numbers out of a schema and everything in it.
fn hush(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            // A member of this name has a schema, not a text.
            if members.get("description").is_some_and(Value::is_string) {
                members.shift_remove("description");
            }
            if members.get("type").is_some_and(|kind| kind == "integer") {
                members.shift_remove("minimum");
                members.shift_remove("maximum");
            }
            members.values_mut().for_each(hush);
        }
        Value::Array(items) => items.iter_mut().for_each(hush),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn tidy(schema: &mut Schema) {
    let rust_number = |format: &Value| {
        let name = format.as_str().unwrap_or_default();
        name.starts_with("int") || name.starts_with("uint") || name == "double"
    };
    if schema.get("format").is_some_and(rust_number) {
        schema.remove("format");
    }
    schema.remove("title");
    drop_null(schema);
    list_constants(schema);
}

/// Turns `oneOf` constants, which schemars makes of an enum with documented
/// variants, into an `enum`: some model APIs read only that.
fn list_constants(schema: &mut Schema) {
    let Some(Value::Array(branches)) = schema.get("oneOf") else {
        return;
    };
    let constant = |branch: &Value| Some(branch.get("const")?.as_str()?.to_owned());
    let Some(names) = branches.iter().map(constant).collect::<Option<Vec<_>>>() else {
        return;
    };
    let about = |branch: &Value| branch.get("description")?.as_str().map(str::to_owned);
    let mut description = match schema.get("description") {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    for (name, about) in names.iter().zip(branches.iter().map(about)) {
        if let Some(about) = about {
            description = format!("{description} {name}: {about}");
        }
    }
    schema.remove("oneOf");
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), names.into());
    schema.insert("description".to_owned(), description.trim().into());
}

fn drop_null(schema: &mut Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let Some(Value::Array(branches)) = schema.get_mut("anyOf") else {
        return;
    };
    branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
    if let [Value::Object(only)] = branches.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            // What is said about the member is nearer than what is said about its type.
            if schema.get(&key).is_none() {
                schema.insert(key, value);
            }
        }
    }
}
