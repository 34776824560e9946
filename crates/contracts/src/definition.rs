//! What a server says of one tool.

use std::{collections::BTreeSet, sync::Arc};

use crate::{Digest, Json, Unreadable};

/// Largest definition, in bytes. The largest of 511 published tools has 8 KiB.
pub const MAX_BYTES: usize = 64 << 10;

/// What a server says of one tool: the text that it came as, and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    text: Arc<str>,
    json: Json,
    name: String,
    digest: Digest,
}

/// What a tool says of its effects, with the defaults of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hints {
    /// It only reads.
    pub read_only: bool,
    /// It may destroy.
    pub destructive: bool,
    /// Doing it twice is doing it once.
    pub idempotent: bool,
    /// It deals with the world outside.
    pub open_world: bool,
}

/// A text within a definition that a model or a person may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// The member of the definition that it is in.
    pub member: &'a str,
    /// The text.
    pub text: &'a str,
}

impl Definition {
    /// Reads one item of `tools/list`.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] when it is not an object with a name, too large, or ambiguous.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        if text.len() > MAX_BYTES {
            return Err(Unreadable::Size(MAX_BYTES));
        }
        let json = Json::parse(text)?;
        let name = json.get("name").and_then(Json::as_str);
        let name = name.ok_or(Unreadable::Nameless)?.to_owned();
        let digest = Digest::of(json.canonical().as_bytes());
        Ok(Self {
            text: text.into(),
            json,
            name,
            digest,
        })
    }

    /// Returns what a server says of itself as if it were the definition of a tool
    /// without a name. `result` is that of `server/discover` or `initialize`.
    ///
    /// # Errors
    ///
    /// As [`Definition::read`].
    pub fn of_server(result: &str) -> Result<Self, Unreadable> {
        let json = Json::parse(result)?;
        let mut own = vec![("name", Json::Text(String::new()))];
        let info = json.get("serverInfo");
        let info = info.or_else(|| json.at(&["_meta", "io.modelcontextprotocol/serverInfo"]));
        let protocol = json.get("protocolVersion");
        let members = [
            ("instructions", json.get("instructions")),
            (
                "protocol",
                protocol.or_else(|| json.get("supportedVersions")),
            ),
            ("serverInfo", info),
        ];
        for (key, value) in members {
            own.extend(value.map(|value| (key, value.clone())));
        }
        let own = own.into_iter().map(|(key, value)| (key.to_owned(), value));
        Self::read(&Json::Object(own.collect()).canonical())
    }

    /// Returns the text, byte for byte as it came.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Returns its meaning.
    #[must_use]
    pub fn json(&self) -> &Json {
        &self.json
    }

    /// Returns the name of the tool.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns SHA-256 of the canonical form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the digest that it would have under any other name.
    #[must_use]
    pub fn nameless_digest(&self) -> Digest {
        let mut members = self.json.as_object().cloned().unwrap_or_default();
        members.remove("name");
        Digest::of(Json::Object(members).canonical().as_bytes())
    }

    /// Returns what it says of its effects.
    #[must_use]
    pub fn hints(&self) -> Hints {
        let annotations = self.json.get("annotations");
        let hint = |key: &str, default| {
            let said = annotations.and_then(|all| all.get(key));
            said.and_then(Json::as_bool).unwrap_or(default)
        };
        let read_only = hint("readOnlyHint", false);
        Hints {
            read_only,
            // Both mean something only for tools that do not only read.
            destructive: !read_only && hint("destructiveHint", true),
            idempotent: read_only || hint("idempotentHint", false),
            open_world: hint("openWorldHint", true),
        }
    }

    /// Returns the URIs of the views that it is shown in, sorted.
    #[must_use]
    pub fn views(&self) -> Vec<&str> {
        let places: [&[&str]; 3] = [
            &["_meta", "ui", "resourceUri"],
            &["_meta", "ui/resourceUri"],
            &["_meta", "openai/outputTemplate"],
        ];
        let uris = places
            .iter()
            .filter_map(|path| self.json.at(path)?.as_str());
        let uris: BTreeSet<_> = uris.filter(|uri| uri.starts_with("ui://")).collect();
        uris.into_iter().collect()
    }

    /// Returns every text in it, names of members included.
    #[must_use]
    pub fn texts(&self) -> Vec<Text<'_>> {
        let mut texts = Vec::new();
        for (member, value) in self.json.as_object().into_iter().flatten() {
            collect(member, value, &mut texts);
        }
        texts
    }

    /// Returns the names of all arguments, at any depth.
    #[must_use]
    pub fn arguments(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        if let Some(schema) = self.json.get("inputSchema") {
            arguments(schema, &mut names);
        }
        names
    }
}

fn collect<'a>(member: &'a str, value: &'a Json, texts: &mut Vec<Text<'a>>) {
    match value {
        Json::Text(text) => texts.push(Text { member, text }),
        Json::List(items) => items.iter().for_each(|item| collect(member, item, texts)),
        Json::Object(members) => {
            for (key, value) in members {
                texts.push(Text { member, text: key });
                collect(member, value, texts);
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Whatever stands under `properties`, also within what is not understood.
fn arguments<'a>(schema: &'a Json, names: &mut BTreeSet<&'a str>) {
    match schema {
        Json::Object(members) => {
            for (key, value) in members {
                if matches!(key.as_str(), "properties" | "patternProperties")
                    && let Json::Object(properties) = value
                {
                    names.extend(properties.keys().map(String::as_str));
                }
                arguments(value, names);
            }
        }
        Json::List(items) => items.iter().for_each(|item| arguments(item, names)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Definition {
        Definition::read(text).unwrap()
    }

    #[test]
    fn digest_is_over_the_meaning() {
        let one = read(r#"{"name":"t","description":"a","inputSchema":{"maximum":10.10}}"#);
        let same =
            read(r#"{ "inputSchema": {"maximum": 10.10}, "name": "\u0074", "description": "a" }"#);
        let other = read(r#"{"name":"t","description":"a","inputSchema":{"maximum":10.1}}"#);
        assert_eq!(one.digest(), same.digest());
        assert_ne!(one.digest(), other.digest());
        assert_ne!(one.text(), same.text());
    }

    #[test]
    fn another_name_alone_leaves_the_nameless_digest() {
        let (one, two) = (
            read(r#"{"name":"a","title":"T"}"#),
            read(r#"{"name":"b","title":"T"}"#),
        );
        assert_ne!(one.digest(), two.digest());
        assert_eq!(one.nameless_digest(), two.nameless_digest());
    }

    #[test]
    fn too_large_and_nameless_are_refused() {
        let large = format!(r#"{{"name":"{}"}}"#, "a".repeat(MAX_BYTES));
        assert_eq!(Definition::read(&large), Err(Unreadable::Size(MAX_BYTES)));
        assert_eq!(Definition::read(r#"{"name":1}"#), Err(Unreadable::Nameless));
        assert_eq!(Definition::read("[]"), Err(Unreadable::Nameless));
    }

    #[test]
    fn server_is_what_both_eras_say_of_it() {
        let modern = Definition::of_server(
            r#"{"supportedVersions":["2026-07-28"],"instructions":"i","ttlMs":5,"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"s"}}}"#,
        );
        assert_eq!(
            &**modern.unwrap().text(),
            r#"{"instructions":"i","name":"","protocol":["2026-07-28"],"serverInfo":{"name":"s"}}"#
        );
        let legacy = Definition::of_server(
            r#"{"protocolVersion":"2025-11-25","serverInfo":{"name":"s"},"capabilities":{}}"#,
        );
        assert_eq!(
            &**legacy.unwrap().text(),
            r#"{"name":"","protocol":"2025-11-25","serverInfo":{"name":"s"}}"#
        );
    }

    #[test]
    fn texts_and_arguments_are_found_at_any_depth() {
        let tool = read(
            r#"{"name":"t","inputSchema":{"properties":{"a":{"items":{"properties":{"url":{"enum":["x"]}}}}},"anyOf":[{"properties":{"b":{}}}]}}"#,
        );
        let names: Vec<_> = tool.arguments().into_iter().collect();
        assert_eq!(names, ["a", "b", "url"]);
        assert!(tool.texts().iter().any(|text| text.text == "x"));
        assert!(tool.texts().iter().any(|text| text.text == "url"));
    }
}
