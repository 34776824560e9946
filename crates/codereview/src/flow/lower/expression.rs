//! Expressions.

use std::sync::Arc;

use tree_sitter::Node;

use super::{Lowerer, end_line, line, named};
use crate::{
    flow::{
        entry,
        ir::{Argument, Call, Expression, Name, Statement, Test},
    },
    source::Language,
};

impl Lowerer<'_> {
    pub(super) fn expression(&mut self, node: Node<'_>) -> Expression {
        if let Some(literal) = self.literal(node) {
            return literal;
        }
        match node.kind() {
            "identifier"
            | "import"
            | "type_identifier"
            | "self"
            | "this"
            | "super"
            | "property_identifier"
            | "field_identifier"
            | "shorthand_property_identifier"
            | "package_identifier" => Expression::Name(self.name(node)),
            "scoped_identifier" | "scoped_type_identifier" => self.path(node),
            "attribute"
            | "member_expression"
            | "selector_expression"
            | "field_expression"
            | "field_access" => self.member(node),
            "subscript"
            | "subscript_expression"
            | "index_expression"
            | "array_access"
            | "slice_expression" => self.element(node),
            "call"
            | "call_expression"
            | "new_expression"
            | "method_invocation"
            | "object_creation_expression"
            | "explicit_constructor_invocation" => self.call(node),
            "macro_invocation" => self.macro_call(node),
            "arrow_function"
            | "function_expression"
            | "lambda"
            | "lambda_expression"
            | "func_literal"
            | "closure_expression"
            | "generator_function"
            | "function" => {
                let is_part = self.inner == 0
                    && node.parent().is_some_and(|parent| {
                        matches!(parent.kind(), "pair" | "array" | "variable_declarator")
                    });
                let at = self.function(node, Vec::new());
                self.functions[at].is_inner = true;
                self.functions[at].is_part = is_part;
                Expression::Function(at)
            }
            "assignment_expression" | "named_expression" | "augmented_assignment_expression" => {
                let left = ["left", "name"]
                    .iter()
                    .find_map(|field| node.child_by_field_name(field));
                let right = ["right", "value"]
                    .iter()
                    .find_map(|field| node.child_by_field_name(field));
                match (left, right) {
                    (Some(left), Some(right)) => {
                        let value = self.expression(right);
                        Expression::Bind(Box::new((self.target(left), value)))
                    }
                    _ => self.mix(node),
                }
            }
            "block" | "statement_block" | "if_expression" | "match_expression"
            | "switch_expression" | "unsafe_block" | "async_block" => self.inner_block(node),
            _ => self.operation(node),
        }
    }

    fn operation(&mut self, node: Node<'_>) -> Expression {
        match node.kind() {
            "await"
            | "await_expression"
            | "parenthesized_expression"
            | "as_expression"
            | "satisfies_expression"
            | "non_null_expression"
            | "try_expression"
            | "reference_expression"
            | "type_cast_expression"
            | "spread_element"
            | "list_splat"
            | "dictionary_splat"
            | "expression_statement"
            | "type_assertion"
            | "type_conversion_expression"
            | "pointer_expression"
            | "variadic_argument" => {
                let inner = match node.kind() {
                    "type_assertion" => named(node).into_iter().next_back(),
                    _ => named(node).into_iter().next(),
                };
                match inner {
                    Some(inner) => self.expression(inner),
                    None => Expression::Nothing,
                }
            }
            // `limit, ok := arguments["limit"].(float64)`
            "type_assertion_expression"
                if node
                    .child_by_field_name("type")
                    .is_some_and(|kind| entry::is_clean_kind(Some(self.text(kind)))) =>
            {
                Expression::Nothing
            }
            "cast_expression" | "type_assertion_expression" => {
                let inner = ["value", "operand"]
                    .iter()
                    .find_map(|field| node.child_by_field_name(field));
                inner.map_or(Expression::Nothing, |inner| self.expression(inner))
            }
            "unary_expression" | "not_operator" | "unary_operator" | "update_expression" => {
                self.unary(node)
            }
            "binary_expression"
            | "binary_operator"
            | "boolean_operator"
            | "comparison_operator"
            | "instanceof_expression" => self.binary(node),
            "conditional_expression" | "ternary_expression" => self.conditional(node),
            // `(0, module.run)(…)`, as compilers write calls of imported functions.
            "sequence_expression" => {
                let mut parts = self.expressions(node);
                match parts.as_slice() {
                    [Expression::Text(_), _] => parts.swap_remove(1),
                    _ => Expression::Mix(parts),
                }
            }
            "let_condition" => {
                let value = node.child_by_field_name("value");
                let pattern = node.child_by_field_name("pattern");
                match (pattern, value) {
                    (Some(pattern), Some(value)) => {
                        let value = self.expression(value);
                        Expression::Bind(Box::new((self.target(pattern), value)))
                    }
                    _ => Expression::Nothing,
                }
            }
            "list_comprehension"
            | "set_comprehension"
            | "generator_expression"
            | "dictionary_comprehension" => self.comprehension(node),
            _ => self.mix(node),
        }
    }

    fn mix(&mut self, node: Node<'_>) -> Expression {
        let mut parts = self.expressions(node);
        match parts.len() {
            0 => Expression::Nothing,
            1 => parts.remove(0),
            _ => Expression::Mix(parts),
        }
    }

    pub(super) fn expressions(&mut self, node: Node<'_>) -> Vec<Expression> {
        let children = named(node).into_iter();
        children.map(|child| self.expression(child)).collect()
    }

    fn inner_block(&mut self, node: Node<'_>) -> Expression {
        let mut statements = Vec::new();
        match node.kind() {
            "block" | "statement_block" | "async_block" | "unsafe_block" => {
                let inner = match node.kind() {
                    "block" | "statement_block" => Some(node),
                    _ => named(node).into_iter().find(|one| one.kind() == "block"),
                };
                if let Some(inner) = inner {
                    statements = self.statements(inner);
                    super::declaration::give_last(&mut statements, named(inner).last().copied());
                }
            }
            _ => self.statement(node, &mut statements),
        }
        Expression::Block(statements)
    }

    /// `a::b::c`
    fn path(&mut self, node: Node<'_>) -> Expression {
        let text = self.dotted(node);
        let mut parts = text.split('.');
        let first = Expression::Name(Arc::from(parts.next().unwrap_or("")));
        parts.fold(first, |path, part| {
            Expression::Member(Box::new(path), Arc::from(part))
        })
    }

    fn member(&mut self, node: Node<'_>) -> Expression {
        let object = ["object", "operand", "value"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let name = ["attribute", "property", "field"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        match (object, name) {
            (Some(object), Some(name)) => {
                Expression::Member(Box::new(self.expression(object)), self.name(name))
            }
            _ => self.mix(node),
        }
    }

    fn element(&mut self, node: Node<'_>) -> Expression {
        let mut children = named(node).into_iter();
        let Some(object) = children.next() else {
            return Expression::Nothing;
        };
        let object = Box::new(self.expression(object));
        let index = match children.next() {
            Some(index) => self.expression(index),
            None => Expression::Nothing,
        };
        Expression::Index(object, Box::new(index))
    }

    fn call(&mut self, node: Node<'_>) -> Expression {
        let callee = match node.kind() {
            "method_invocation" => {
                let name = node.child_by_field_name("name");
                let name: Name = name.map_or_else(|| Arc::from(""), |name| self.name(name));
                match node.child_by_field_name("object") {
                    Some(object) => Expression::Member(Box::new(self.expression(object)), name),
                    None => Expression::Name(name),
                }
            }
            _ => {
                let callee = ["function", "constructor", "type"]
                    .iter()
                    .find_map(|field| node.child_by_field_name(field));
                match callee {
                    Some(callee) if callee.kind() == "generic_function" => {
                        let inner = callee.child_by_field_name("function").unwrap_or(callee);
                        self.expression(inner)
                    }
                    Some(callee) if callee.kind() == "generic_type" => {
                        let inner = callee.named_child(0).unwrap_or(callee);
                        self.expression(inner)
                    }
                    Some(callee) => self.expression(callee),
                    None => Expression::Nothing,
                }
            }
        };
        let arguments = match node.child_by_field_name("arguments") {
            Some(list) if list.kind() == "template_string" => vec![Argument {
                name: None,
                value: self.expression(list),
            }],
            Some(list) if list.kind() == "generator_expression" => vec![Argument {
                name: None,
                value: self.expression(list),
            }],
            Some(list) => self.arguments(list),
            None => Vec::new(),
        };
        Expression::Call(Box::new(Call {
            callee,
            arguments,
            from: line(node),
            to: end_line(node),
            bytes: (node.start_byte(), node.end_byte()),
        }))
    }

    fn arguments(&mut self, list: Node<'_>) -> Vec<Argument> {
        let mut arguments = Vec::new();
        for child in named(list) {
            let (name, value) = match child.kind() {
                "keyword_argument" => (
                    child
                        .child_by_field_name("name")
                        .map(|name| self.name(name)),
                    child.child_by_field_name("value").unwrap_or(child),
                ),
                "dictionary_splat" => (Some(Arc::from("**")), child),
                _ => (None, child),
            };
            let value = self.expression(value);
            arguments.push(Argument { name, value });
        }
        arguments
    }

    /// A macro's arguments are words, not a tree: names and texts in them are kept.
    fn macro_call(&mut self, node: Node<'_>) -> Expression {
        let name = node.child_by_field_name("macro");
        let name = name.map_or_else(|| Arc::from(""), |name| self.dotted(name));
        let tree = named(node)
            .into_iter()
            .find(|one| one.kind() == "token_tree");
        let mut parts = Vec::new();
        if let Some(tree) = tree {
            self.words(tree, &mut parts);
        }
        match &*name {
            "format" | "concat" | "vec" | "json" => Expression::Join(parts),
            _ => Expression::Call(Box::new(Call {
                callee: Expression::Name(Arc::from(format!("{name}!"))),
                arguments: parts
                    .into_iter()
                    .map(|value| Argument { name: None, value })
                    .collect(),
                from: line(node),
                to: end_line(node),
                bytes: (node.start_byte(), node.end_byte()),
            })),
        }
    }

    /// Adds what stands between the brackets of a macro.
    fn words(&mut self, tree: Node<'_>, parts: &mut Vec<Expression>) {
        let mut cursor = tree.walk();
        let children: Vec<Node<'_>> = tree.children(&mut cursor).collect();
        let mut at = 0;
        while let Some(child) = children.get(at) {
            at += 1;
            match child.kind() {
                "token_tree" => self.words(*child, parts),
                "identifier" | "self" => {
                    let name = Expression::Name(self.name(*child));
                    let value = self.chain(name, &children, &mut at);
                    parts.push(value);
                }
                "string_literal" => self.pieces(*child, parts),
                _ => {}
            }
        }
    }

    /// `input.count`, `Content::text(page)`: what follows a name between the brackets of a
    /// macro, where only words are known.
    fn chain(&mut self, first: Expression, children: &[Node<'_>], at: &mut usize) -> Expression {
        let mut value = first;
        while let Some(child) = children.get(*at) {
            let next = children.get(*at + 1);
            match (child.kind(), next.map(Node::kind)) {
                ("." | "::", Some("identifier")) => {
                    let name = next.map_or_else(|| Arc::from(""), |next| self.name(*next));
                    value = Expression::Member(Box::new(value), name);
                    *at += 2;
                }
                ("." | "::", Some("await")) => *at += 2,
                ("?", _) => *at += 1,
                ("token_tree", _) if self.text(*child).starts_with('(') => {
                    let mut inner = Vec::new();
                    self.words(*child, &mut inner);
                    let arguments = inner.into_iter();
                    value = Expression::Call(Box::new(Call {
                        callee: value,
                        arguments: arguments
                            .map(|value| Argument { name: None, value })
                            .collect(),
                        from: line(*child),
                        to: end_line(*child),
                        bytes: (child.start_byte(), child.end_byte()),
                    }));
                    *at += 1;
                }
                _ => break,
            }
        }
        value
    }

    /// `{name}` inside a format text is a part like others.
    fn pieces(&self, node: Node<'_>, parts: &mut Vec<Expression>) {
        let text = self.text(node).trim_matches('"');
        for (at, piece) in text.split(['{', '}']).enumerate() {
            let is_name = at % 2 == 1;
            let name = piece.split(':').next().unwrap_or("");
            if is_name && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) {
                parts.push(Expression::Name(Arc::from(name)));
            } else if !is_name && !piece.is_empty() {
                parts.push(Expression::Text(Arc::from(piece)));
            }
        }
    }

    fn unary(&mut self, node: Node<'_>) -> Expression {
        let operator = node.child(0).map_or("", |first| self.text(first));
        let inner = ["argument", "operand"]
            .iter()
            .find_map(|field| node.child_by_field_name(field))
            .or_else(|| named(node).into_iter().next_back());
        let Some(inner) = inner else {
            return Expression::Nothing;
        };
        let value = self.expression(inner);
        match operator {
            "!" | "not" | "-" | "+" | "~" | "typeof" | "++" | "--" => {
                let how = if operator == "not" { "!" } else { operator };
                Expression::Test(Box::new(Test {
                    how: Arc::from(how),
                    of: vec![value],
                }))
            }
            _ => value,
        }
    }

    fn binary(&mut self, node: Node<'_>) -> Expression {
        let mut left = node.child_by_field_name("left");
        let right = node.child_by_field_name("right");
        if left.is_none() {
            left = node.named_child(0);
        }
        let operator = match node.child_by_field_name("operator") {
            Some(operator) => self.text(operator),
            None => node.child(1).map_or("", |one| self.text(one)),
        };
        if node.kind() == "comparison_operator" {
            let mut cursor = node.walk();
            let how: Vec<&str> = node
                .children(&mut cursor)
                .filter(|one| !one.is_named())
                .map(|one| self.text(one))
                .collect();
            let how = Arc::from(how.join(" "));
            let of = self.expressions(node);
            return Expression::Test(Box::new(Test { how, of }));
        }
        let mut of = Vec::new();
        for side in left.into_iter().chain(right) {
            of.push(self.expression(side));
        }
        match operator {
            "+" | "%" => {
                // A chain of additions is one text.
                let mut parts = Vec::new();
                for part in of {
                    match part {
                        Expression::Join(inner) if operator == "+" => parts.extend(inner),
                        part => parts.push(part),
                    }
                }
                Expression::Join(parts)
            }
            "||" | "??" | "or" | "and" => match self.language {
                Language::Python | Language::Javascript | Language::Typescript | Language::Tsx => {
                    let how = if operator == "or" { "||" } else { operator };
                    let how = if how == "and" { "&&" } else { how };
                    Expression::Test(Box::new(Test {
                        how: Arc::from(how),
                        of,
                    }))
                }
                _ => Expression::Test(Box::new(Test {
                    how: Arc::from(operator),
                    of,
                })),
            },
            // `folder / name`
            "/" if self.language == Language::Python && of.len() == 2 => {
                let mut of = of.into_iter();
                let (left, right) = (of.next().unwrap_or_default(), of.next());
                Expression::Call(Box::new(Call {
                    callee: Expression::Member(Box::new(left), Arc::from("joinpath")),
                    arguments: right
                        .into_iter()
                        .map(|value| Argument { name: None, value })
                        .collect(),
                    from: line(node),
                    to: end_line(node),
                    bytes: (node.start_byte(), node.end_byte()),
                }))
            }
            operator => Expression::Test(Box::new(Test {
                how: Arc::from(operator),
                of,
            })),
        }
    }

    fn conditional(&mut self, node: Node<'_>) -> Expression {
        let parts = named(node);
        let [one, two, three] = parts.as_slice() else {
            return self.mix(node);
        };
        // Python writes the test in the middle.
        let (test, yes, no) = match node.kind() {
            "conditional_expression" => (two, one, three),
            _ => (one, two, three),
        };
        let test = self.expression(*test);
        let yes = self.expression(*yes);
        let no = self.expression(*no);
        Expression::Block(vec![Statement::If {
            test,
            then: vec![Statement::Return(yes)],
            otherwise: vec![Statement::Return(no)],
        }])
    }

    fn comprehension(&mut self, node: Node<'_>) -> Expression {
        let mut statements = Vec::new();
        for child in named(node) {
            match child.kind() {
                "for_in_clause" => {
                    let (Some(left), Some(right)) = (
                        child.child_by_field_name("left"),
                        child.child_by_field_name("right"),
                    ) else {
                        continue;
                    };
                    let value = self.expression(right);
                    statements.push(Statement::Let {
                        target: self.target(left),
                        kind: None,
                        value: Expression::Index(Box::new(value), Box::default()),
                    });
                }
                "if_clause" => {
                    // What is left out is not reached.
                    statements.push(Statement::If {
                        test: self.expression(child),
                        then: Vec::new(),
                        otherwise: vec![Statement::Leave],
                    });
                }
                _ => {}
            }
        }
        let body = node.child_by_field_name("body");
        if let Some(body) = body {
            let value = self.expression(body);
            statements.push(Statement::Return(Expression::Items(vec![value])));
        }
        Expression::Block(statements)
    }
}
