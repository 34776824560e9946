//! What values are given to.

use std::sync::Arc;

use tree_sitter::Node;

use super::{Lowerer, named};
use crate::flow::ir::{Name, Target};

impl Lowerer<'_> {
    /// Returns what `node` is given to.
    pub(super) fn target(&mut self, node: Node<'_>) -> Target {
        match node.kind() {
            "identifier"
            | "shorthand_property_identifier_pattern"
            | "field_identifier"
            | "property_identifier"
            | "self" => Target::Name(self.name(node)),
            "object_pattern" | "struct_pattern" | "dict_pattern" => {
                let fields = named(node)
                    .into_iter()
                    .map(|child| self.field_target(child));
                Target::Fields(fields.flatten().collect())
            }
            "array_pattern"
            | "tuple_pattern"
            | "pattern_list"
            | "list_pattern"
            | "tuple"
            | "expression_list"
            | "tuple_struct_pattern" => {
                let skip = usize::from(node.kind() == "tuple_struct_pattern");
                let items: Vec<Target> = named(node)
                    .into_iter()
                    .skip(skip)
                    .map(|child| self.target(child))
                    .collect();
                match <[Target; 1]>::try_from(items) {
                    Ok([one]) => one,
                    Err(items) => Target::Items(items),
                }
            }
            "assignment_pattern" | "object_assignment_pattern" => {
                match node.child_by_field_name("left") {
                    Some(left) => self.target(left),
                    None => Target::Nothing,
                }
            }
            "rest_pattern"
            | "mut_pattern"
            | "ref_pattern"
            | "reference_pattern"
            | "list_splat_pattern"
            | "dictionary_splat_pattern"
            | "spread_parameter"
            | "variable_declarator" => match named(node).into_iter().next_back() {
                Some(inner) => self.target(inner),
                None => Target::Nothing,
            },
            "member_expression"
            | "attribute"
            | "subscript"
            | "subscript_expression"
            | "selector_expression"
            | "index_expression"
            | "field_expression"
            | "field_access"
            | "array_access" => Target::Place(self.expression(node)),
            _ => Target::Nothing,
        }
    }

    fn field_target(&mut self, node: Node<'_>) -> Option<(Name, Target)> {
        let key = ["key", "name", "left"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let value = ["value", "pattern"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        Some(match (node.kind(), key, value) {
            ("pair_pattern" | "field_pattern", Some(key), Some(value)) => {
                (self.name(key), self.target(value))
            }
            ("field_pattern", Some(key), None) => (self.name(key), Target::Name(self.name(key))),
            ("object_assignment_pattern", Some(left), _) => {
                (self.name(left), Target::Name(self.name(left)))
            }
            ("rest_pattern", ..) => (Arc::from("*"), self.target(node)),
            (_, _, _) => {
                let name = self.name(node);
                (Arc::clone(&name), Target::Name(name))
            }
        })
    }
}
