//! Holds arguments to the schema of their tool.
//!
//! # Invariants
//!
//! * A schema comes from a server and is hostile: it is bounded in size and nesting, refers
//!   to nothing outside of itself, and its patterns are matched in linear time.
//! * What does not fit is told by place and rule, without the value.

use std::{
    error::Error,
    fmt,
    sync::{Arc, OnceLock},
};

use airside_base::ServerId;
use jsonschema::{Draft, PatternOptions, Retrieve, Uri, Validator};
use serde_json::Value;

/// Largest schema that is compiled, in bytes.
const MAX_BYTES: usize = 256 << 10;
/// Largest compiled pattern, in bytes.
const MAX_PATTERN: usize = 1 << 20;
/// Most violations that are told.
const MAX_TOLD: usize = 5;
/// Longest text of a violation, in characters.
const MAX_TEXT: usize = 200;

/// The schema of a tool, compiled when it is first needed.
pub struct Schema {
    text: Box<str>,
    compiled: OnceLock<Option<Validator>>,
}

impl Schema {
    /// Returns the schema that `text` is.
    #[must_use]
    pub fn new(text: &str) -> Arc<Self> {
        Arc::new(Self {
            text: text.into(),
            compiled: OnceLock::new(),
        })
    }

    /// Returns how `arguments` break the schema; empty if they do not, or if it cannot
    /// be used, which is logged once.
    pub(crate) fn violations(
        &self,
        arguments: &[u8],
        server: Option<&ServerId>,
        tool: Option<&str>,
    ) -> Vec<String> {
        let compiled = self.compiled.get_or_init(|| {
            compile(&self.text)
                .inspect_err(|reason| {
                    tracing::warn!(
                        server.id = server.map(tracing::field::display),
                        tool,
                        reason = %reason,
                        "the schema of a tool cannot be used: its arguments are not checked"
                    );
                })
                .ok()
        });
        let Some(validator) = compiled else {
            return Vec::new();
        };
        let Ok(arguments) = serde_json::from_slice::<Value>(arguments) else {
            return vec!["/: a number is out of range".to_owned()];
        };
        if validator.is_valid(&arguments) {
            return Vec::new();
        }
        let errors = validator.iter_errors(&arguments).take(MAX_TOLD);
        let told = errors.map(|error| {
            let place = error.instance_path().to_string();
            let place = if place.is_empty() { "/" } else { &place };
            let text = format!("{place}: {}", error.masked());
            text.chars().take(MAX_TEXT).collect()
        });
        told.collect()
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

fn compile(text: &str) -> Result<Validator, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("it has more than {MAX_BYTES} bytes"));
    }
    // Nesting is bounded by the parser.
    let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let patterns = PatternOptions::regex()
        .size_limit(MAX_PATTERN)
        .dfa_size_limit(MAX_PATTERN);
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_retriever(Nowhere)
        .with_pattern_options(patterns)
        .should_validate_formats(false)
        .build(&schema)
        .map_err(|error| error.masked().to_string())
}

/// Nothing outside of the schema is read.
struct Nowhere;

impl Retrieve for Nowhere {
    fn retrieve(&self, _: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        Err("references to other documents are not followed".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &str, arguments: &str, expected: &[&str]) {
        let violations = Schema::new(schema).violations(arguments.as_bytes(), None, Some("t"));
        assert_eq!(violations, expected, "{schema} {arguments}");
    }

    const ROOM: &str = r##"{"type":"object","required":["nights"],"additionalProperties":false,
        "properties":{"nights":{"type":"integer","minimum":1},"guest":{"$ref":"#/$defs/guest"}},
        "$defs":{"guest":{"type":"object","properties":{"code":{"type":"string","pattern":"^[A-Z]{3}$"}}}}}"##;

    #[test]
    fn violations_are_told_by_place_and_without_values() {
        check(ROOM, r#"{"nights":2,"guest":{"code":"ABC"}}"#, &[]);
        check(
            ROOM,
            r#"{"nights":"4111111111111111"}"#,
            &["/nights: value is not of type \"integer\""],
        );
        check(
            ROOM,
            r#"{"nights":1e400}"#,
            &["/: a number is out of range"],
        );
        check(r##"{"$ref":"#"}"##, "{}", &[]);
        check(
            ROOM,
            r#"{"guest":{"code":"abc"}}"#,
            &[
                "/guest/code: value does not match \"^[A-Z]{3}$\"",
                "/: \"nights\" is a required property",
            ],
        );
    }

    #[test]
    fn hostile_schemas_are_not_used() {
        for schema in [
            r#"{"$ref":"https://example.com/schema.json"}"#,
            r#"{"$ref":"file:///etc/passwd"}"#,
            r#"{"type":"object","properties":{"a":{"pattern":"(?=x)"}}}"#,
            r#"{"properties":{"a":{"pattern":"((a{1,1000}){1,1000}){1,1000}"}}}"#,
            r#"{"type":5}"#,
            "nonsense",
            &format!("{}1{}", "[".repeat(5000), "]".repeat(5000)),
            &format!(r#"{{"description":"{}"}}"#, "x".repeat(MAX_BYTES)),
        ] {
            check(schema, r#"{"a":"b"}"#, &[]);
        }
    }

    #[test]
    fn schemas_that_refer_to_themselves_end() {
        let list =
            r##"{"type":"object","properties":{"next":{"$ref":"#"},"n":{"type":"integer"}}}"##;
        check(list, r#"{"next":{"next":{"n":1}}}"#, &[]);
        check(
            list,
            r#"{"next":{"next":{"n":"x"}}}"#,
            &["/next/next/n: value is not of type \"integer\""],
        );
    }
}
