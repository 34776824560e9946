//! Syntax trees of all languages to one form.
//!
//! # Invariants
//!
//! * Never fails: what is not understood becomes [`Expression::Mix`] of its parts, which
//!   keeps values from outside in sight.
//! * Recursion is bounded by the depth of the tree (see [`crate::syntax`]).

mod declaration;
mod expression;
mod import;
mod literal;
mod parameter;
mod target;

use std::sync::Arc;

use tree_sitter::Node;

use super::{
    entry::is_clean_kind,
    ir::{Argument, Call, Expression, Function, Name, Statement, Target, Test, Unit},
};
use crate::{source::Language, syntax::Document};

/// Returns the program in `document`.
pub(crate) fn lower(path: &str, language: Language, document: &Document) -> Unit {
    let mut lowerer = Lowerer {
        text: &document.src,
        language,
        unit: Unit {
            path: path.to_owned(),
            language: Some(language),
            ..Unit::default()
        },
        functions: vec![Function::default()],
        class: Vec::new(),
        inner: 0,
        exported: 0,
        given_out: Vec::new(),
    };
    let body = lowerer.statements(document.tree.root_node());
    let mut functions = lowerer.functions;
    for name in &lowerer.given_out {
        let at = lowerer.unit.names.get(name).copied();
        if let Some(function) = at.and_then(|at| functions.get_mut(at)) {
            function.is_public = true;
        }
    }
    functions[0].body = body;
    lowerer.unit.functions = functions.into();
    lowerer.unit
}

struct Lowerer<'a> {
    text: &'a str,
    language: Language,
    unit: Unit,
    functions: Vec<Function>,
    class: Vec<Name>,
    /// Functions that are open.
    inner: usize,
    /// Exporting statements that are open.
    exported: usize,
    /// Names that the file hands to others: `export { run }`, `module.exports = { run }`.
    given_out: Vec<Name>,
}

fn line(node: Node<'_>) -> u32 {
    node.start_position().row as u32 + 1
}

fn end_line(node: Node<'_>) -> u32 {
    node.end_position().row as u32 + 1
}

fn named(node: Node<'_>) -> Vec<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor)
        .filter(|child| !child.is_extra())
        .collect()
}

/// Something of which nothing is known.
fn unknown(node: Node<'_>) -> Expression {
    Expression::Call(Box::new(Call {
        callee: Expression::Nothing,
        arguments: Vec::new(),
        from: line(node),
        to: end_line(node),
        bytes: (node.start_byte(), node.start_byte()),
    }))
}

impl<'a> Lowerer<'a> {
    fn text(&self, node: Node<'_>) -> &'a str {
        &self.text[node.byte_range()]
    }

    fn name(&self, node: Node<'_>) -> Name {
        Arc::from(self.text(node))
    }

    /// Returns a dotted path as `a.b.c`, whatever the language writes between.
    fn dotted(&self, node: Node<'_>) -> Name {
        let text = self.text(node);
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        Arc::from(text.replace("::", "."))
    }

    fn statements(&mut self, node: Node<'_>) -> Vec<Statement> {
        let mut statements = Vec::new();
        for child in named(node) {
            self.statement(child, &mut statements);
        }
        statements
    }

    fn block(&mut self, node: Option<Node<'_>>) -> Vec<Statement> {
        let Some(node) = node else {
            return Vec::new();
        };
        match node.kind() {
            "block" | "statement_block" | "module" | "program" | "class_body" | "suite"
            | "switch_block" | "constructor_body" | "statement_list" => self.statements(node),
            "else_clause" => match node.child_by_field_name("body") {
                Some(body) => self.block(Some(body)),
                None => self.statements(node),
            },
            _ => {
                let mut statements = Vec::new();
                self.statement(node, &mut statements);
                statements
            }
        }
    }

    fn statement(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        if self.declaration(node, out) {
            return;
        }
        match node.kind() {
            "expression_statement" | "go_statement" | "defer_statement" => {
                for child in named(node) {
                    self.expression_statement(child, out);
                }
            }
            "return_statement" | "return_expression" | "yield" => {
                let value = named(node).into_iter().next();
                let given = match value {
                    Some(value) => Statement::Return(self.given(node, value)),
                    None => Statement::Return(Expression::Nothing),
                };
                out.push(match node.kind() {
                    // What follows is reached as well.
                    "yield" => Statement::If {
                        test: Expression::Nothing,
                        then: vec![given],
                        otherwise: Vec::new(),
                    },
                    _ => given,
                });
            }
            "assert_statement" => {
                if let Some(test) = named(node).first() {
                    out.push(Statement::If {
                        test: self.expression(*test),
                        then: Vec::new(),
                        otherwise: vec![Statement::Leave],
                    });
                }
            }
            "raise_statement" | "throw_statement" => {
                for child in named(node) {
                    let value = self.expression(child);
                    out.push(Statement::Do(value));
                }
                out.push(Statement::Leave);
            }
            "break_statement"
            | "continue_statement"
            | "break_expression"
            | "continue_expression" => out.push(Statement::Break),
            "block" | "statement_block" | "statement_list" | "labeled_statement"
            | "unsafe_block" => {
                let body = self.statements(node);
                out.push(Statement::Block(body));
            }
            _ => self.branches(node, out),
        }
    }

    /// What a function gives, as a call of `return`: rules name it as one.
    fn given(&mut self, node: Node<'_>, value: Node<'_>) -> Expression {
        let value = self.expression(value);
        match self.language {
            Language::Python | Language::Javascript | Language::Typescript | Language::Tsx => {
                Expression::Call(Box::new(Call {
                    callee: Expression::Name(Arc::from("return")),
                    arguments: vec![Argument { name: None, value }],
                    from: line(node),
                    to: end_line(node),
                    bytes: (node.start_byte(), node.end_byte()),
                }))
            }
            _ => value,
        }
    }

    /// An expression that stands alone; some languages write assignments so.
    /// Returns whether a call does not come back: `bail!`, `panic`, `process.exit`.
    fn ends_here(&self, node: Node<'_>) -> bool {
        let field = match node.kind() {
            "macro_invocation" => "macro",
            "call_expression" => "function",
            _ => return false,
        };
        let called = node.child_by_field_name(field).map(|one| self.dotted(one));
        let called = called.as_deref().unwrap_or("");
        let last = called.rsplit('.').next().unwrap_or(called);
        match (node.kind(), self.language) {
            ("macro_invocation", _) => matches!(
                last,
                "bail" | "panic" | "unreachable" | "todo" | "unimplemented"
            ),
            (_, Language::Go) => {
                matches!(
                    called,
                    "panic" | "os.Exit" | "log.Fatal" | "log.Fatalf" | "log.Fatalln"
                )
            }
            (_, Language::Rust) => called.ends_with("process.exit"),
            _ => called == "process.exit",
        }
    }

    fn expression_statement(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        match node.kind() {
            "if_expression"
            | "match_expression"
            | "for_expression"
            | "while_expression"
            | "loop_expression"
            | "return_expression"
            | "block"
            | "yield"
            | "break_expression"
            | "continue_expression" => self.statement(node, out),
            "assignment"
            | "augmented_assignment"
            | "assignment_expression"
            | "augmented_assignment_expression"
            | "compound_assignment_expr" => {
                self.assignment(node, out);
            }
            _ => {
                let value = self.expression(node);
                out.push(Statement::Do(value));
                if self.ends_here(node) {
                    out.push(Statement::Leave);
                }
            }
        }
    }

    fn assignment(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let Some(left) = node.child_by_field_name("left") else {
            return;
        };
        let kind = node.child_by_field_name("type").map(|kind| self.kind(kind));
        let is_field = self.language == Language::Python
            && self.inner == 0
            && !self.class.is_empty()
            && left.kind() == "identifier";
        let Some(right) = node.child_by_field_name("right") else {
            if is_field {
                let value = match is_clean_kind(kind.as_deref()) {
                    true => Expression::Nothing,
                    false => unknown(node),
                };
                out.push(Statement::Let {
                    target: self.field_of_class(left),
                    kind,
                    value,
                });
            }
            return;
        };
        if self.export(left, right) {
            return;
        }
        let mut value = self.expression(right);
        let operator = node.child_by_field_name("operator");
        let operator = operator.map_or("=", |operator| self.text(operator));
        if operator != "="
            || node.kind().starts_with("augmented")
            || node.kind().starts_with("compound")
        {
            // What was there stays part of it.
            let before = self.expression(left);
            value = match operator {
                "??=" | "||=" | "&&=" => Expression::Either(vec![before, value]),
                _ => Expression::Join(vec![before, value]),
            };
        }
        let target = match is_field {
            true => self.field_of_class(left),
            false => self.target(left),
        };
        out.push(Statement::Let {
            target,
            kind,
            value,
        });
    }

    fn branches(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        match node.kind() {
            "if_statement" | "if_expression" | "elif_clause" => self.choice(node, out),
            "for_statement" | "for_in_statement" | "for_expression" | "enhanced_for_statement" => {
                self.each(node, out);
            }
            "while_statement" | "while_expression" | "loop_expression" | "do_statement" => {
                let mut body = Vec::new();
                if let Some(test) = node.child_by_field_name("condition") {
                    let test = self.expression(test);
                    body.push(Statement::Do(test));
                }
                body.extend(self.block(node.child_by_field_name("body")));
                out.push(Statement::Repeat(body));
            }
            "try_statement" | "try_with_resources_statement" => self.attempt(node, out),
            "with_statement" => self.with(node, out),
            "switch_statement"
            | "switch_expression"
            | "expression_switch_statement"
            | "type_switch_statement"
            | "select_statement"
            | "match_statement"
            | "match_expression" => self.cases(node, out),
            "assignment" | "augmented_assignment" | "assignment_expression" => {
                self.assignment(node, out);
            }
            "comment"
            | "line_comment"
            | "block_comment"
            | "pass_statement"
            | "empty_statement"
            | "attribute_item"
            | "inner_attribute_item"
            | "package_clause" => {}
            _ => {
                let value = self.expression(node);
                out.push(Statement::Do(value));
            }
        }
    }

    fn choice(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        if let Some(first) = node.child_by_field_name("initializer") {
            self.statement(first, out);
        }
        let test = match node.child_by_field_name("condition") {
            Some(test) => self.expression(test),
            None => Expression::Nothing,
        };
        let then = self.block(node.child_by_field_name("consequence"));
        let mut cursor = node.walk();
        let others: Vec<Node<'_>> = node
            .children_by_field_name("alternative", &mut cursor)
            .collect();
        // Python lists `elif` side by side: each is the alternative of the one before.
        let mut otherwise = Vec::new();
        for other in others.into_iter().rev() {
            let mut this = self.block(Some(other));
            match this.as_mut_slice() {
                [
                    Statement::If {
                        otherwise: rest, ..
                    },
                ] if other.kind() == "elif_clause" => {
                    *rest = std::mem::take(&mut otherwise);
                }
                _ => {}
            }
            otherwise = this;
        }
        out.push(Statement::If {
            test,
            then,
            otherwise,
        });
    }

    fn each(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let mut body = Vec::new();
        let mut head = node;
        for child in named(node) {
            match child.kind() {
                "range_clause" => head = child,
                "for_clause" => {
                    for part in ["initializer", "condition", "update"] {
                        if let Some(part) = child.child_by_field_name(part) {
                            self.statement(part, &mut body);
                        }
                    }
                }
                _ => {}
            }
        }
        let left = ["left", "name", "pattern"]
            .iter()
            .find_map(|field| head.child_by_field_name(field));
        let right = ["right", "value"]
            .iter()
            .find_map(|field| head.child_by_field_name(field));
        if let (Some(left), Some(right)) = (left, right) {
            let value = Expression::Index(Box::new(self.expression(right)), Box::default());
            // `for i, item := range items`: both may carry what is in there.
            let target = match self.target(left) {
                Target::Items(items) if self.language == Language::Go && items.len() == 2 => {
                    items.into_iter().nth(1).unwrap_or_default()
                }
                target => target,
            };
            body.push(Statement::Let {
                target,
                kind: None,
                value,
            });
        } else {
            for part in ["initializer", "init", "condition", "increment", "update"] {
                if let Some(part) = head.child_by_field_name(part) {
                    self.statement(part, &mut body);
                }
            }
        }
        body.extend(self.block(node.child_by_field_name("body")));
        out.push(Statement::Repeat(body));
    }

    fn attempt(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        if let Some(resources) = node.child_by_field_name("resources") {
            for resource in named(resources) {
                self.declaration(resource, out);
            }
        }
        let mut body = self.block(node.child_by_field_name("body"));
        let (mut handlers, mut last) = (Vec::new(), Vec::new());
        for child in named(node) {
            match child.kind() {
                "except_clause" | "catch_clause" | "except_group_clause" => {
                    let handler = child
                        .child_by_field_name("body")
                        .or_else(|| named(child).into_iter().rfind(|one| one.kind() == "block"));
                    handlers.push(self.block(handler));
                }
                "else_clause" => body.extend(self.block(named(child).into_iter().next_back())),
                "finally_clause" => last = self.block(named(child).into_iter().next_back()),
                _ => {}
            }
        }
        out.push(Statement::Attempt {
            body,
            handlers,
            last,
        });
    }

    fn with(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let clause = named(node)
            .into_iter()
            .find(|child| child.kind() == "with_clause");
        for item in clause.map(named).unwrap_or_default() {
            let Some(value) = item.child_by_field_name("value") else {
                continue;
            };
            let parts = named(value);
            match (value.kind(), parts.as_slice()) {
                ("as_pattern", [value, alias, ..]) => {
                    let value = self.expression(*value);
                    let alias = named(*alias).into_iter().next().unwrap_or(*alias);
                    let target = self.target(alias);
                    out.push(Statement::Let {
                        target,
                        kind: None,
                        value,
                    });
                }
                _ => {
                    let value = self.expression(value);
                    out.push(Statement::Do(value));
                }
            }
        }
        let body = self.block(node.child_by_field_name("body"));
        out.push(Statement::Block(body));
    }

    /// `match` of Python: a case of texts says what the subject is.
    fn matched(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let subject = node.child_by_field_name("subject");
        let body = node.child_by_field_name("body");
        let cases: Vec<Node<'_>> = match body {
            Some(body) => named(body).into_iter().collect(),
            None => named(node)
                .into_iter()
                .filter(|one| one.kind() == "case_clause")
                .collect(),
        };
        let mut rest: Vec<Statement> = Vec::new();
        for case in cases.into_iter().rev() {
            let body = self.block(case.child_by_field_name("consequence"));
            let patterns: Vec<Node<'_>> = named(case)
                .into_iter()
                .filter(|one| one.kind() == "case_pattern")
                .collect();
            let texts: Vec<&str> = patterns.iter().map(|one| self.text(*one)).collect();
            let is_any = matches!(texts.as_slice(), [one] if one.trim() == "_");
            let literals = texts
                .iter()
                .flat_map(|one| one.split('|').map(str::trim))
                .map(|one| one.trim_matches(['(', ')']))
                .map(|one| {
                    let quotes = ['"', '\''];
                    one.strip_prefix(quotes)
                        .and_then(|one| one.strip_suffix(quotes))
                });
            let literals: Option<Vec<&str>> = literals.collect();
            let is_guarded = case.child_by_field_name("guard").is_some();
            rest = match (literals, subject) {
                _ if is_any && !is_guarded => body,
                (Some(literals), Some(subject)) if !literals.is_empty() => {
                    let tests = literals.into_iter().map(|text| {
                        let of = vec![self.expression(subject), Expression::Text(Arc::from(text))];
                        Expression::Test(Box::new(Test {
                            how: Arc::from("=="),
                            of,
                        }))
                    });
                    let test = tests.reduce(|one, other| {
                        let of = vec![one, other];
                        Expression::Test(Box::new(Test {
                            how: Arc::from("||"),
                            of,
                        }))
                    });
                    vec![Statement::If {
                        test: test.unwrap_or_default(),
                        then: body,
                        otherwise: rest,
                    }]
                }
                _ => vec![Statement::OneOf(vec![body, rest])],
            };
        }
        if let Some(subject) = subject {
            let subject = self.expression(subject);
            out.push(Statement::Do(subject));
        }
        out.extend(rest);
    }

    fn cases(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        if self.language == Language::Python {
            return self.matched(node, out);
        }
        let subject = ["value", "condition", "subject"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let subject = subject.map(|subject| self.expression(subject));
        if let Some(subject) = subject {
            out.push(Statement::Do(subject));
        }
        let body = ["body", "alternative"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let cases = match body {
            Some(body) if body.kind() != "case_clause" => named(body),
            _ => named(node),
        };
        let mut bodies = vec![Vec::new()];
        for case in cases {
            let mut body = Vec::new();
            match case.kind() {
                "match_arm" => {
                    if let Some(value) = case.child_by_field_name("value") {
                        self.expression_statement(value, &mut body);
                    }
                }
                "switch_case"
                | "switch_default"
                | "expression_case"
                | "default_case"
                | "type_case"
                | "communication_case"
                | "case_clause"
                | "switch_block_statement_group"
                | "switch_rule" => {
                    let test = case.child_by_field_name("value");
                    for child in named(case) {
                        if Some(child) != test && child.kind() != "switch_label" {
                            self.statement(child, &mut body);
                        }
                    }
                }
                _ => continue,
            }
            bodies.push(body);
        }
        out.push(Statement::OneOf(bodies));
    }
}
