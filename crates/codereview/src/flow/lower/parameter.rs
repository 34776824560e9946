//! Parameters of functions.

use std::sync::Arc;

use tree_sitter::Node;

use super::{Lowerer, named};
use crate::flow::ir::{Name, Parameter, Target};

impl Lowerer<'_> {
    pub(super) fn parameters(
        &mut self,
        node: Node<'_>,
        receiver: Option<Node<'_>>,
    ) -> Vec<Parameter> {
        let mut parameters = Vec::new();
        if let Some(one) = node.child_by_field_name("parameter") {
            let target = self.target(one);
            parameters.push(Parameter { target, kind: None });
        }
        let lists = receiver
            .into_iter()
            .chain(node.child_by_field_name("parameters"));
        for list in lists {
            if list.kind() == "identifier" {
                let target = self.target(list);
                parameters.push(Parameter { target, kind: None });
                continue;
            }
            for child in named(list) {
                self.parameter(child, &mut parameters);
            }
        }
        parameters
    }

    fn parameter(&mut self, node: Node<'_>, out: &mut Vec<Parameter>) {
        let kind = node.child_by_field_name("type").map(|kind| self.kind(kind));
        let kind = match (node.kind(), node.child_by_field_name("value")) {
            // `name: str = Field(pattern="^[a-z]+$")` says what fits.
            ("typed_default_parameter", Some(value)) if value.kind() == "call" => {
                kind.map(|kind| Arc::from(format!("{kind}={}", self.dotted(value))))
            }
            _ => kind,
        };
        if node.kind() == "parameter_declaration" || node.kind() == "variadic_parameter_declaration"
        {
            // Go: several names of one type.
            let mut cursor = node.walk();
            let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
            let kind = match node.kind() {
                "variadic_parameter_declaration" => Some(rest_of(kind.as_deref())),
                _ => kind,
            };
            for name in &names {
                let target = Target::Name(self.name(*name));
                let kind = kind.clone();
                out.push(Parameter { target, kind });
            }
            if names.is_empty() {
                out.push(Parameter {
                    target: Target::Nothing,
                    kind,
                });
            }
            return;
        }
        let target = ["pattern", "name", "left"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let target = match (node.kind(), target) {
            ("self_parameter", _) => Target::Name(Arc::from("self")),
            (_, Some(target)) => self.target(target),
            ("typed_parameter", None) => match node.named_child(0) {
                Some(name) => self.target(name),
                None => Target::Nothing,
            },
            (_, None) => self.target(node),
        };
        let pattern = node.child_by_field_name("pattern").unwrap_or(node);
        let kind = match pattern.kind() {
            "rest_pattern" | "list_splat_pattern" | "spread_parameter" => {
                Some(rest_of(kind.as_deref()))
            }
            _ => kind,
        };
        out.push(Parameter { target, kind });
    }
}

/// Returns the type of a parameter that takes all arguments from its place on.
fn rest_of(kind: Option<&str>) -> Name {
    Arc::from(format!("...{}", kind.unwrap_or("")))
}
