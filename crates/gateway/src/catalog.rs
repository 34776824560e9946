//! What tools an upstream server has, as Airside itself has read it.
//!
//! # Invariants
//!
//! * What a server says of its tools is a claim. It is used to ask for *less*
//!   ceremony (a tool that says it only reads) only where policy trusts the server;
//!   a tool that is not in the catalogue counts as one with effects.
//! * A catalogue is bounded in pages, tools and bytes. What is over the bound is
//!   left out, and so counts as unknown.

use std::{collections::HashMap, sync::Arc, time::Duration};

use airside_base::ServerId;
use airside_firewall::Schema;
use airside_mcp::{header::ParamHeaders, raw, reply::List};
use airside_policy::Contract;

use crate::federation::merge;

/// Largest number of pages that are read.
pub(crate) const MAX_PAGES: usize = 64;
/// Largest number of tools that are remembered.
const MAX_TOOLS: usize = 4096;
/// Largest size of all pages together, in bytes.
pub(crate) const MAX_BYTES: usize = 8 << 20;
/// Bounds of how long a catalogue is used before it is read again.
const MIN_AGE: Duration = Duration::from_secs(10);
const MAX_AGE: Duration = Duration::from_secs(3600);
/// How long one is used that does not say.
const DEFAULT_AGE: Duration = Duration::from_secs(300);

/// What a server says of the effects of a tool (`ToolAnnotations`; the defaults are
/// the specification's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether the tool is in the server's catalogue.
    pub known: bool,
    /// `readOnlyHint`.
    pub read_only: bool,
    /// `destructiveHint`.
    pub destructive: bool,
    /// `idempotentHint`.
    pub idempotent: bool,
    /// `openWorldHint`.
    pub open_world: bool,
    /// Where its definition stands.
    pub contract: Contract,
}

impl Facts {
    /// Returns what is assumed of a tool that is not in the catalogue.
    #[must_use]
    pub const fn unknown() -> Self {
        Self {
            known: false,
            read_only: false,
            destructive: true,
            idempotent: false,
            open_world: true,
            contract: Contract::Unknown,
        }
    }

    /// Returns what holds for methods that only read by definition.
    #[must_use]
    pub const fn reading() -> Self {
        Self {
            known: true,
            read_only: true,
            destructive: false,
            idempotent: true,
            open_world: true,
            contract: Contract::Unknown,
        }
    }

    /// Reads the annotations of a tool, the text of one item of `tools/list`.
    pub(crate) fn of_tool(text: &str) -> Self {
        let annotations = raw::find(text, "annotations");
        let members = annotations
            .and_then(|text| raw::members(text).ok())
            .unwrap_or_default();
        let hint = |key, default| match raw::only(&members, key) {
            Some("true") => true,
            Some("false") => false,
            _ => default,
        };
        let read_only = hint("readOnlyHint", false);
        Self {
            known: true,
            read_only,
            // Both hints mean something only for tools that do not only read.
            destructive: !read_only && hint("destructiveHint", true),
            idempotent: read_only || hint("idempotentHint", false),
            open_world: hint("openWorldHint", true),
            contract: Contract::Unknown,
        }
    }
}

/// One tool of a catalogue.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) facts: Facts,
    /// Arguments that clients mirror into headers; none if there are none.
    pub(crate) params: Option<Arc<ParamHeaders>>,
    /// What its arguments have to fit.
    pub(crate) schema: Option<Arc<Schema>>,
}

/// The tools of one server.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    tools: HashMap<String, Tool>,
    /// How long it may be used.
    age: Duration,
}

impl Catalog {
    /// Returns the catalogue in `pages`, the texts of the `result` members of all
    /// pages of `tools/list`.
    pub(crate) fn read(server: &ServerId, pages: &[String]) -> Self {
        let mut tools = HashMap::new();
        let mut ttl_ms = u64::MAX;
        for result in pages {
            ttl_ms = ttl_ms.min(merge::Freshness::of(result).ttl_ms);
            for item in merge::items(List::Tools, server, result) {
                if tools.len() >= MAX_TOOLS {
                    tracing::warn!(server.id = %server, limit = MAX_TOOLS, "the server has more tools than are remembered");
                    break;
                }
                let tool = read_tool(server, &item.name, item.text);
                // Two tools of one name: which one is called nobody knows.
                if tools.insert(item.name.clone(), tool).is_some() {
                    let facts = Facts::unknown();
                    tools.insert(
                        item.name,
                        Tool {
                            facts,
                            params: None,
                            schema: None,
                        },
                    );
                }
            }
        }
        let age = match ttl_ms {
            0 | u64::MAX => DEFAULT_AGE,
            ms => Duration::from_millis(ms).clamp(MIN_AGE, MAX_AGE),
        };
        Self { tools, age }
    }

    /// Returns what is known of a tool.
    pub(crate) fn find(&self, name: &str) -> Option<&Tool> {
        self.tools.get(name)
    }

    /// Returns how long it may be used.
    pub(crate) const fn age(&self) -> Duration {
        self.age
    }
}

/// Reads the definition of a tool.
pub(crate) fn read_tool(server: &ServerId, name: &str, text: &str) -> Tool {
    let schema = raw::find(text, "inputSchema");
    let params = schema.map(|schema| ParamHeaders::from_input_schema(schema.as_bytes()));
    let params = match params {
        Some(Ok(params)) if !params.is_empty() => Some(Arc::new(params)),
        Some(Ok(_)) | None => None,
        Some(Err(error)) => {
            tracing::warn!(
                server.id = %server, tool = %name, %error,
                "the tool's header annotations are not valid and are not checked"
            );
            None
        }
    };
    Tool {
        facts: Facts::of_tool(text),
        params,
        schema: schema.map(Schema::new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tool: &str, expected: Facts) {
        let page = format!(r#"{{"tools":[{tool}],"ttlMs":1}}"#);
        let catalog = Catalog::read(&"a".parse().unwrap(), &[page]);
        let facts = catalog
            .find("t")
            .map_or(Facts::unknown(), |tool| tool.facts);
        assert_eq!(facts, expected, "{tool}");
        assert_eq!(catalog.age(), MIN_AGE);
    }

    #[test]
    fn hints_have_the_defaults_of_the_specification() {
        let plain = Facts {
            known: true,
            ..Facts::unknown()
        };
        check(r#"{"name":"t"}"#, plain);
        check(
            r#"{"name":"t","annotations":{"readOnlyHint":"yes"}}"#,
            plain,
        );
        check(
            r#"{"name":"t","annotations":{"readOnlyHint":true,"readOnlyHint":true}}"#,
            plain,
        );
        check(
            r#"{"name":"t","annotations":{"destructiveHint":false,"idempotentHint":true,"openWorldHint":false}}"#,
            Facts {
                known: true,
                read_only: false,
                destructive: false,
                idempotent: true,
                open_world: false,
                contract: Contract::Unknown,
            },
        );
        check(
            r#"{"name":"t","annotations":{"readOnlyHint":true}}"#,
            Facts::reading(),
        );
    }

    #[test]
    fn tool_listed_twice_counts_as_unknown() {
        check(
            r#"{"name":"t","annotations":{"readOnlyHint":true}},{"name":"t"}"#,
            Facts::unknown(),
        );
    }
}
