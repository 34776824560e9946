//! JSON Schemas of the tools, from their types.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::RecursiveTransform};
use serde_json::Value;

/// Returns the schema of `T` (2020-12) without references, so that a client needs
/// no resolver, and without the formats that name Rust's number types.
pub(crate) fn of<T: JsonSchema>() -> Arc<JsonObject> {
    let settings = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .with_transform(RecursiveTransform(tidy));
    let schema = settings.into_generator().into_root_schema_for::<T>();
    match schema.to_value() {
        Value::Object(object) => Arc::new(object),
        _ => unreachable!("the schema of a struct is an object"),
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
}
