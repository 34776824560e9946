//! Texts, numbers, lists and objects.

use std::sync::Arc;

use tree_sitter::Node;

use super::{Lowerer, named};
use crate::flow::ir::{Expression, Name};

impl Lowerer<'_> {
    /// Lowers `node` if it is a literal.
    pub(super) fn literal(&mut self, node: Node<'_>) -> Option<Expression> {
        Some(match node.kind() {
            "string"
            | "string_literal"
            | "interpreted_string_literal"
            | "raw_string_literal"
            | "template_string"
            | "concatenated_string"
            | "char_literal"
            | "rune_literal"
            | "character_literal"
            | "text_block" => self.quoted(node),
            "template_substitution" | "interpolation" => match node.named_child(0) {
                Some(inner) => self.expression(inner),
                None => Expression::Nothing,
            },
            "integer"
            | "float"
            | "number"
            | "int_literal"
            | "float_literal"
            | "integer_literal"
            | "decimal_integer_literal"
            | "decimal_floating_point_literal"
            | "true"
            | "false"
            | "none"
            | "null"
            | "undefined"
            | "nil"
            | "boolean_literal"
            | "null_literal"
            | "True"
            | "False"
            | "None" => Expression::Text(self.name(node)),
            "regex" => Expression::Text(self.name(node)),
            "class_literal" | "unit_expression" | "type_arguments" | "ellipsis" => {
                Expression::Nothing
            }
            "list" | "array" | "tuple" | "set" | "array_expression" | "tuple_expression"
            | "array_initializer" | "expression_list" => Expression::Items(self.expressions(node)),
            "array_creation_expression" => match node.child_by_field_name("value") {
                Some(value) => self.expression(value),
                None => Expression::Nothing,
            },
            "dictionary" | "object" => self.fields(node),
            "struct_expression" => match node.child_by_field_name("body") {
                Some(body) => self.fields(body),
                None => Expression::Nothing,
            },
            "composite_literal" => match node.child_by_field_name("body") {
                Some(body) => self.composite(body),
                None => Expression::Nothing,
            },
            "literal_value" => self.composite(node),
            "literal_element" => match node.named_child(0) {
                Some(inner) => self.expression(inner),
                None => Expression::Nothing,
            },
            "jsx_element" | "jsx_self_closing_element" | "jsx_fragment" => {
                Expression::Mix(self.expressions(node))
            }
            _ => return None,
        })
    }

    fn quoted(&mut self, node: Node<'_>) -> Expression {
        let inner = named(node);
        let parts: Vec<Node<'_>> = inner
            .iter()
            .copied()
            .filter(|one| {
                matches!(
                    one.kind(),
                    "interpolation" | "template_substitution" | "string" | "string_interpolation"
                )
            })
            .collect();
        if parts.is_empty() {
            let text = self.text(node);
            if let [first, .., last] = inner.as_slice()
                && (first.kind(), last.kind()) == ("string_start", "string_end")
            {
                return Expression::Text(Arc::from(
                    &self.text[first.end_byte()..last.start_byte()],
                ));
            }
            let begin = text.find(['"', '\'', '`']).unwrap_or(0);
            let text = text[begin..].trim_matches(['"', '\'', '`', '#']);
            return Expression::Text(Arc::from(text));
        }
        let mut joined = Vec::new();
        let mut at = match node.kind() {
            "template_string" => node.start_byte() + 1,
            _ => inner.first().map_or(node.start_byte(), Node::start_byte),
        };
        for part in inner {
            match part.kind() {
                "interpolation" | "template_substitution" | "string" | "string_interpolation" => {
                    // What stands between texts that are put together is not in them.
                    if part.start_byte() > at && node.kind() != "concatenated_string" {
                        joined.push(Expression::Text(Arc::from(
                            &self.text[at..part.start_byte()],
                        )));
                    }
                    match self.expression(part) {
                        Expression::Join(inner) if part.kind() == "string" => joined.extend(inner),
                        value => joined.push(value),
                    }
                    at = part.end_byte();
                }
                "string_start" => at = part.end_byte(),
                "string_end" => {
                    if part.start_byte() > at {
                        joined.push(Expression::Text(Arc::from(
                            &self.text[at..part.start_byte()],
                        )));
                    }
                    at = part.end_byte();
                }
                _ => {}
            }
        }
        let end = node.end_byte().saturating_sub(1);
        if end > at && node.kind() == "template_string" {
            joined.push(Expression::Text(Arc::from(&self.text[at..end])));
        }
        Expression::Join(joined)
    }

    fn key(&self, node: Node<'_>) -> Name {
        Arc::from(self.text(node).trim_matches(['"', '\'', '`']))
    }

    fn fields(&mut self, node: Node<'_>) -> Expression {
        let mut fields: Vec<(Name, Expression)> = Vec::new();
        for child in named(node) {
            match child.kind() {
                "pair" | "field_initializer" => {
                    let key = ["key", "field", "name"]
                        .iter()
                        .find_map(|field| child.child_by_field_name(field));
                    let (Some(key), Some(value)) = (key, child.child_by_field_name("value")) else {
                        continue;
                    };
                    let value = self.expression(value);
                    fields.push((self.key(key), value));
                }
                "shorthand_property_identifier" => {
                    let name = self.name(child);
                    fields.push((Arc::clone(&name), Expression::Name(name)));
                }
                "shorthand_field_initializer" => {
                    if let Some(name) = child.named_child(0) {
                        let name = self.name(name);
                        fields.push((Arc::clone(&name), Expression::Name(name)));
                    }
                }
                "method_definition" => {
                    let is_part = self.inner == 0;
                    let at = self.function(child, Vec::new());
                    self.functions[at].is_inner = true;
                    self.functions[at].is_part = is_part;
                    let name = Arc::clone(&self.functions[at].name);
                    fields.push((name, Expression::Function(at)));
                }
                _ => {
                    let value = self.expression(child);
                    fields.push((Arc::from("*"), value));
                }
            }
        }
        Expression::Fields(fields)
    }

    /// What Go writes between braces after a type.
    fn composite(&mut self, node: Node<'_>) -> Expression {
        let (mut fields, mut items) = (Vec::new(), Vec::new());
        for child in named(node) {
            match child.kind() {
                "keyed_element" => {
                    let parts = named(child);
                    if let [key, value] = parts.as_slice() {
                        let key = self.key(*key);
                        let value = self.expression(*value);
                        fields.push((key, value));
                    }
                }
                _ => items.push(self.expression(child)),
            }
        }
        match fields.is_empty() {
            true => Expression::Items(items),
            false => Expression::Fields(fields),
        }
    }
}
