//! In which ways a definition has changed.
//!
//! # Invariants
//!
//! * Every change has at least one class: definitions with different digests never have
//!   none.
//! * Hints count as what they mean, not as what is written: `readOnlyHint: false` and
//!   no hint are the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use crate::{
    Definition, Json, Relation,
    schema::{self, compare},
};

/// A way in which a definition can change, the harmless ones first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Titles, icons, examples, hints that change nothing, metadata.
    Annotations,
    /// Other words for the same thing.
    Description,
    /// The server has another version, or speaks other revisions.
    Release,
    /// Whether the tool may run as a task.
    Execution,
    /// More is accepted than before.
    SchemaWidened,
    /// Less is accepted than before.
    SchemaNarrowed,
    /// Other things are accepted, or nobody can say.
    SchemaIncompatible,
    /// The shape of results.
    Output,
    /// A tool is there that was not.
    ToolAdded,
    /// A tool is gone.
    ToolRemoved,
    /// A tool has another name.
    ToolRenamed,
    /// The view that the tool is shown in, or its content.
    View,
    /// The tool claims fewer effects than before.
    HintsRelaxed,
    /// The tool admits more effects than before.
    HintsWeakened,
    /// How the tool is to be authorized.
    Security,
    /// The server calls itself something else.
    Identity,
    /// An argument through which data could leave.
    Sink,
    /// Text that speaks to the model instead of describing the tool.
    Instructions,
}

impl Class {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Annotations,
        Self::Description,
        Self::Release,
        Self::Execution,
        Self::SchemaWidened,
        Self::SchemaNarrowed,
        Self::SchemaIncompatible,
        Self::Output,
        Self::ToolAdded,
        Self::ToolRemoved,
        Self::ToolRenamed,
        Self::View,
        Self::HintsRelaxed,
        Self::HintsWeakened,
        Self::Security,
        Self::Identity,
        Self::Sink,
        Self::Instructions,
    ];

    /// Returns its name, as it is configured and written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Annotations => "annotations",
            Self::Description => "description",
            Self::Release => "release",
            Self::Execution => "execution",
            Self::SchemaWidened => "schema-widened",
            Self::SchemaNarrowed => "schema-narrowed",
            Self::SchemaIncompatible => "schema-incompatible",
            Self::Output => "output",
            Self::ToolAdded => "tool-added",
            Self::ToolRemoved => "tool-removed",
            Self::ToolRenamed => "tool-renamed",
            Self::View => "view",
            Self::HintsRelaxed => "hints-relaxed",
            Self::HintsWeakened => "hints-weakened",
            Self::Security => "security",
            Self::Identity => "identity",
            Self::Sink => "sink",
            Self::Instructions => "instructions",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The classes of one change; none if nothing has changed.
pub type Drift = BTreeSet<Class>;

/// Returns in which ways the tool `after` differs from `before`. What screens find in
/// its texts, and the content of its views, are the caller's to add.
#[must_use]
pub fn of_tool(before: &Definition, after: &Definition) -> Drift {
    let mut drift = Drift::new();
    if before.digest() == after.digest() {
        return drift;
    }
    let member = |key| (before.json().get(key), after.json().get(key));
    let (old, new) = member("inputSchema");
    match compare(old, new) {
        Relation::Same => {}
        Relation::Widened => drop(drift.insert(Class::SchemaWidened)),
        Relation::Narrowed => drop(drift.insert(Class::SchemaNarrowed)),
        Relation::Incompatible => drop(drift.insert(Class::SchemaIncompatible)),
    }
    if is_reworded(before, after) {
        drift.insert(Class::Description);
    }
    let (old, new) = member("outputSchema");
    if compare(old, new) != Relation::Same {
        drift.insert(Class::Output);
    }
    if member("execution").0 != member("execution").1 {
        drift.insert(Class::Execution);
    }
    let schemes = |tool: &Definition| {
        let json = tool.json();
        (
            json.get("securitySchemes").cloned(),
            json.at(&["_meta", "securitySchemes"]).cloned(),
        )
    };
    if schemes(before) != schemes(after) {
        drift.insert(Class::Security);
    }
    let view = |tool: &Definition| tool.json().at(&["_meta", "ui"]).cloned();
    if before.views() != after.views() || view(before) != view(after) {
        drift.insert(Class::View);
    }
    hints(before, after, &mut drift);
    let known = before.arguments();
    if after
        .arguments()
        .iter()
        .any(|name| !known.contains(name) && is_sink(name))
    {
        drift.insert(Class::Sink);
    }
    if before.name() != after.name() {
        drift.insert(Class::ToolRenamed);
    }
    if drift.is_empty() {
        drift.insert(Class::Annotations);
    }
    drift
}

/// Returns in which ways a server that says `after` of itself differs from `before`.
#[must_use]
pub fn of_server(before: &Definition, after: &Definition) -> Drift {
    let mut drift = Drift::new();
    if before.digest() == after.digest() {
        return drift;
    }
    let same = |path: &[&str]| before.json().at(path) == after.json().at(path);
    if !same(&["serverInfo", "name"]) {
        drift.insert(Class::Identity);
    }
    if !same(&["instructions"]) {
        drift.insert(Class::Description);
    }
    if !same(&["serverInfo", "version"]) || !same(&["protocol"]) {
        drift.insert(Class::Release);
    }
    if drift.is_empty() {
        drift.insert(Class::Annotations);
    }
    drift
}

fn hints(before: &Definition, after: &Definition, drift: &mut Drift) {
    let (before, after) = (before.hints(), after.hints());
    // A tool that reads and one that writes: what they say of the rest has no meaning
    // for the one that reads.
    let more = (before.read_only && !after.read_only)
        || (!before.destructive && after.destructive && !before.read_only)
        || (!before.open_world && after.open_world);
    let fewer = (!before.read_only && after.read_only)
        || (before.destructive && !after.destructive && !after.read_only)
        || (before.open_world && !after.open_world);
    if more {
        drift.insert(Class::HintsWeakened);
    }
    if fewer {
        drift.insert(Class::HintsRelaxed);
    }
}

/// Whether something that is there before and after is described in other words.
fn is_reworded(before: &Definition, after: &Definition) -> bool {
    let said = |tool: &Definition| tool.json().get("description").cloned();
    if said(before) != said(after) {
        return true;
    }
    let described = |tool: &Definition| {
        let mut described = BTreeMap::new();
        for key in ["inputSchema", "outputSchema"] {
            if let Some(schema) = tool.json().get(key) {
                descriptions(schema, &mut vec![key.to_owned()], &mut described);
            }
        }
        described
    };
    let (before, after) = (described(before), described(after));
    let changed = |(path, text): (&Vec<String>, &Option<String>)| {
        before.get(path).is_some_and(|old| old != text)
    };
    after.iter().any(changed)
}

/// Finds the description of every schema within `schema`.
fn descriptions(
    schema: &Json,
    path: &mut Vec<String>,
    found: &mut BTreeMap<Vec<String>, Option<String>>,
) {
    match schema {
        Json::Object(members) => {
            let text = members.get("description").and_then(Json::as_str);
            found.insert(path.clone(), text.map(str::to_owned));
            for (key, value) in members.iter().filter(|(key, _)| !schema::describes(key)) {
                path.push(key.clone());
                match (key.as_str(), value) {
                    ("properties" | "patternProperties" | "$defs", Json::Object(named)) => {
                        for (name, inner) in named {
                            path.push(name.clone());
                            descriptions(inner, path, found);
                            path.pop();
                        }
                    }
                    _ => descriptions(value, path, found),
                }
                path.pop();
            }
        }
        Json::List(items) => {
            for (index, item) in items.iter().enumerate() {
                path.push(index.to_string());
                descriptions(item, path, found);
                path.pop();
            }
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => {}
    }
}

/// Words in the names of arguments that say where something goes or what is run.
const SINKS: [&str; 27] = [
    "bcc",
    "callback",
    "cc",
    "cmd",
    "command",
    "destination",
    "email",
    "emails",
    "endpoint",
    "exec",
    "forward",
    "hook",
    "host",
    "hostname",
    "notify",
    "proxy",
    "recipient",
    "recipients",
    "redirect",
    "script",
    "shell",
    "sink",
    "upload",
    "uri",
    "url",
    "urls",
    "webhook",
];

/// Returns whether an argument of this name can be where data goes.
#[must_use]
pub fn is_sink(name: &str) -> bool {
    // Where mail goes is often just `to`.
    name.eq_ignore_ascii_case("to")
        || words(name)
            .iter()
            .any(|word| SINKS.binary_search(&word.as_str()).is_ok())
}

/// Cuts `callbackUrl`, `callback_url` and `CALLBACK-URL` into the same words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            words.push(String::new());
            lower_before = false;
            continue;
        }
        if c.is_uppercase() && lower_before {
            words.push(String::new());
        }
        lower_before = c.is_lowercase();
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[cfg(test)]
mod tests;
