//! Names of tools as models may write them.

use std::collections::{BTreeMap, BTreeSet};

use super::Request;
use crate::tool::Tool;

/// Longest name that every wire format takes.
const MAX_NAME: usize = 64;

/// Names on the wire and what they stand for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    /// By name on the wire.
    meant: BTreeMap<String, String>,
    /// By name of the tool.
    wire: BTreeMap<String, String>,
}

impl Names {
    /// Returns names for `tools` that hold only letters, digits, `_` and `-`, so that no
    /// two tools share one.
    pub(crate) fn of(tools: &[Tool]) -> Self {
        let mut names = Self::default();
        let mut used: BTreeSet<String> = BTreeSet::new();
        for tool in tools {
            let plain: String = tool
                .name()
                .chars()
                .map(
                    |c| match c.is_ascii_alphanumeric() || c == '_' || c == '-' {
                        true => c,
                        false => '_',
                    },
                )
                .take(MAX_NAME)
                .collect();
            let mut name = plain.clone();
            let mut number = 2;
            while !used.insert(name.clone()) {
                let tail = format!("_{number}");
                let head: String = plain.chars().take(MAX_NAME - tail.len()).collect();
                name = head + &tail;
                number += 1;
            }
            names.wire.insert(tool.name().to_owned(), name.clone());
            names.meant.insert(name, tool.name().to_owned());
        }
        names
    }

    /// Returns the tool that a model means, or what it wrote.
    pub(crate) fn meant(&self, wire: &str) -> String {
        self.meant
            .get(wire)
            .cloned()
            .unwrap_or_else(|| wire.to_owned())
    }

    /// Returns the name under which a model knows a tool.
    pub(crate) fn on_wire(&self, tool: &str) -> String {
        self.wire
            .get(tool)
            .cloned()
            .unwrap_or_else(|| tool.to_owned())
    }

    /// Returns the request with names of tools as on the wire.
    pub(crate) fn apply(&self, request: &Request) -> Request {
        let mut request = request.clone();
        request.tools = request
            .tools
            .iter()
            .filter_map(|tool| {
                if self.on_wire(tool.name()) == tool.name() {
                    return Some(tool.clone());
                }
                let mut definition = tool.definition().clone();
                definition["name"] = self.on_wire(tool.name()).into();
                Tool::read(definition)
            })
            .collect();
        for message in &mut request.messages {
            if let super::Message::Model { calls, .. } = message {
                for call in calls {
                    call.name = self.on_wire(&call.name);
                }
            }
        }
        request
    }
}
