//! Functions, classes and variables.

use std::sync::Arc;

use tree_sitter::Node;

use super::{Lowerer, line, named};
use crate::{
    flow::{
        entry::is_clean_kind,
        ir::{Expression, Function, Name, Statement, Target},
    },
    source::Language,
};

impl Lowerer<'_> {
    /// Lowers `node` if it declares something.
    pub(super) fn declaration(&mut self, node: Node<'_>, out: &mut Vec<Statement>) -> bool {
        match node.kind() {
            "function_definition"
            | "function_declaration"
            | "generator_function_declaration"
            | "method_declaration"
            | "method_definition"
            | "function_item"
            | "constructor_declaration" => {
                let at = self.function(node, Vec::new());
                self.bind_inner(at, out);
            }
            "decorated_definition" => self.decorated(node, out),
            "class_definition"
            | "class_declaration"
            | "class"
            | "impl_item"
            | "trait_item"
            | "mod_item"
            | "enum_declaration"
            | "abstract_class_declaration" => self.class(node, out),
            "export_statement" => {
                self.exported += 1;
                for child in named(node) {
                    self.give_out(child);
                    self.statement(child, out);
                }
                self.exported -= 1;
            }
            "import_statement"
            | "import_from_statement"
            | "import_declaration"
            | "use_declaration"
            | "future_import_statement" => self.import(node),
            "lexical_declaration"
            | "variable_declaration"
            | "local_variable_declaration"
            | "field_declaration"
            | "var_declaration"
            | "const_declaration"
            | "var_spec_list" => self.variables(node, out),
            "variable_declarator" | "resource" => {
                let kind = node.child_by_field_name("type").map(|kind| self.kind(kind));
                self.variable(node, kind, out);
            }
            "public_field_definition"
            | "field_definition"
            | "var_spec"
            | "const_spec"
            | "const_item"
            | "static_item" => {
                let kind = node.child_by_field_name("type").map(|kind| self.kind(kind));
                self.variable(node, kind, out);
            }
            "let_declaration" => {
                let kind = node.child_by_field_name("type").map(|kind| self.kind(kind));
                self.variable(node, kind, out);
                if let Some(other) = node.child_by_field_name("alternative") {
                    let body = self.block(Some(other));
                    out.push(Statement::OneOf(vec![body, Vec::new()]));
                }
            }
            "short_var_declaration" | "assignment_statement" => self.several(node, out),
            "type_declaration" => {
                for spec in named(node) {
                    self.record(spec, out);
                }
            }
            "interface_declaration" if self.language == Language::Java => self.class(node, out),
            "type_alias_declaration" | "struct_item" | "interface_declaration" => {
                self.record(node, out);
            }
            "record_declaration" => {
                self.record(node, out);
                self.class(node, out);
            }
            "enum_item" | "type_item" | "package_declaration" | "macro_definition" => {}
            _ => return false,
        }
        true
    }

    fn variables(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let kind = node.child_by_field_name("type").map(|kind| self.kind(kind));
        for child in named(node) {
            match child.kind() {
                "variable_declarator" => self.variable(child, kind.clone(), out),
                "var_spec" | "const_spec" | "var_spec_list" => {
                    self.declaration(child, out);
                }
                _ => {}
            }
        }
    }

    fn decorated(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let mut marks = Vec::new();
        for child in named(node)
            .iter()
            .filter(|child| child.kind() == "decorator")
        {
            for mark in named(*child) {
                marks.push(self.mark(mark));
            }
        }
        let Some(definition) = node.child_by_field_name("definition") else {
            return;
        };
        match definition.kind() {
            "function_definition" => {
                let at = self.function(definition, marks);
                self.bind_inner(at, out);
                self.validated(node, at, out);
            }
            _ => {
                self.statement(definition, out);
            }
        }
    }

    /// `@field_validator("host")`: what is refused there is not in the fields.
    fn validated(&mut self, node: Node<'_>, at: usize, out: &mut Vec<Statement>) {
        let mut refuses = false;
        walk_statements(&self.functions[at].body, &mut |one| {
            refuses |= matches!(one, Statement::Leave);
        });
        if !refuses || self.class.is_empty() {
            return;
        }
        for child in named(node) {
            let call = child.named_child(0).filter(|one| one.kind() == "call");
            let Some(call) = call.filter(|_| child.kind() == "decorator") else {
                continue;
            };
            let mark = self.mark(call);
            if !matches!(
                mark.rsplit('.').next(),
                Some("field_validator" | "validator")
            ) {
                continue;
            }
            let arguments = call.child_by_field_name("arguments").map(named);
            for argument in arguments.unwrap_or_default() {
                if argument.kind() == "string" {
                    let class = self.class.last().map_or("", |class| class);
                    let this = Expression::Name(Arc::from(format!("this.{class}")));
                    let field: Name = Arc::from(self.text(argument).trim_matches(['"', '\'']));
                    out.push(Statement::Let {
                        target: Target::Place(Expression::Member(Box::new(this), field)),
                        kind: Some(Arc::from("int")),
                        value: Expression::Nothing,
                    });
                }
            }
        }
    }

    /// A function inside a function is a value under its name there.
    fn bind_inner(&self, at: usize, out: &mut Vec<Statement>) {
        let function = &self.functions[at];
        if function.is_inner {
            out.push(Statement::Let {
                target: Target::Name(Arc::clone(&function.name)),
                kind: None,
                value: Expression::Function(at),
            });
        }
    }

    /// Returns the dotted path of a decorator or annotation without its arguments.
    fn mark(&self, node: Node<'_>) -> Name {
        let function = ["function", "name"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        self.dotted(function.unwrap_or(node))
    }

    fn class(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let name = ["name", "type"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let is_module = node.kind() == "mod_item";
        if !is_module {
            let name = name.map_or_else(|| Arc::from(""), |name| self.dotted(name));
            let bare = name.split('<').next().unwrap_or("");
            let bare: Name = Arc::from(bare);
            self.unit
                .names
                .entry(Arc::from(format!("{bare}.")))
                .or_insert(0);
            if self.is_list_of_choices(node) {
                out.push(Statement::Let {
                    target: Target::Name(Name::clone(&bare)),
                    kind: None,
                    value: Expression::Name(Arc::from("enum")),
                });
            }
            self.class.push(bare);
        }
        let inner = std::mem::take(&mut self.inner);
        if let Some(body) = node.child_by_field_name("body") {
            let statements = self.statements(body);
            out.extend(statements);
        }
        self.inner = inner;
        if !is_module {
            self.class.pop();
        }
    }

    /// `class Mode(str, Enum)` without methods of its own.
    fn is_list_of_choices(&self, node: Node<'_>) -> bool {
        let bases = node.child_by_field_name("superclasses");
        let is_enum = bases.is_some_and(|bases| {
            named(bases).iter().any(|base| {
                self.text(*base)
                    .rsplit('.')
                    .next()
                    .unwrap_or("")
                    .ends_with("Enum")
            })
        });
        let body = node.child_by_field_name("body");
        let has_methods = body.is_some_and(|body| {
            named(body)
                .iter()
                .any(|one| matches!(one.kind(), "function_definition" | "decorated_definition"))
        });
        self.language == Language::Python && is_enum && !has_methods
    }

    /// Lowers a function and returns its place in the unit.
    pub(super) fn function(&mut self, node: Node<'_>, mut marks: Vec<Name>) -> usize {
        marks.extend(self.attributes(node));
        let name = node.child_by_field_name("name");
        let name: Name = name.map_or_else(|| Arc::from(""), |name| self.name(name));
        let receiver = node.child_by_field_name("receiver");
        let class = match receiver {
            Some(receiver) => Some(self.receiver(receiver)),
            None => self.class.last().cloned(),
        };
        let is_public = self.is_public(node, &name);
        let at = self.functions.len();
        self.functions.push(Function::default());
        let parameters = self.parameters(node, receiver);
        let is_inner = self.inner > 0;
        if !name.is_empty() && !is_inner {
            let key = match &class {
                Some(class) => Arc::from(format!("{class}.{name}")),
                None => Arc::clone(&name),
            };
            self.unit.names.entry(key).or_insert(at);
        }
        self.inner += 1;
        let body = node.child_by_field_name("body");
        let mut statements = match body {
            Some(body) if is_block(body) => self.statements(body),
            Some(body) => vec![Statement::Return(self.given(body, body))],
            None => Vec::new(),
        };
        self.inner -= 1;
        if &*name == "constructor" {
            self.own_parameters(node, &mut statements);
        }
        if self.language == Language::Rust {
            give_last(&mut statements, body.and_then(last));
        }
        self.functions[at] = Function {
            name,
            class,
            parameters,
            body: statements,
            line: line(node),
            is_public,
            is_inner,
            is_part: false,
            marks,
        };
        at
    }

    /// `constructor(private readonly config: Config)` sets a member of the same name.
    fn own_parameters(&self, node: Node<'_>, statements: &mut Vec<Statement>) {
        let list = node.child_by_field_name("parameters");
        let owns = |one: &Node<'_>| {
            let text = self.text(*one);
            ["private ", "public ", "protected ", "readonly "]
                .iter()
                .any(|word| text.starts_with(word))
        };
        for (at, one) in list
            .map(named)
            .unwrap_or_default()
            .iter()
            .filter(|one| owns(one))
            .enumerate()
        {
            let Some(name) = one.child_by_field_name("pattern") else {
                continue;
            };
            let name = self.name(name);
            let this = Box::new(Expression::Name(Arc::from("this")));
            let sets = Statement::Let {
                target: Target::Place(Expression::Member(this, Arc::clone(&name))),
                kind: None,
                value: Expression::Name(name),
            };
            statements.insert(at, sets);
        }
    }

    /// Returns attributes before a Rust function and annotations of a Java method.
    fn attributes(&self, node: Node<'_>) -> Vec<Name> {
        let mut marks = Vec::new();
        match self.language {
            Language::Rust => {
                let mut before = node.prev_named_sibling();
                while let Some(one) =
                    before.filter(|one| one.kind() == "attribute_item" || one.is_extra())
                {
                    if let Some(path) = named(one).first().and_then(|one| one.named_child(0)) {
                        marks.push(self.dotted(path));
                    }
                    before = one.prev_named_sibling();
                }
            }
            Language::Java => {
                let modifiers = named(node)
                    .into_iter()
                    .find(|one| one.kind() == "modifiers");
                for one in modifiers.map(named).unwrap_or_default() {
                    marks.push(self.mark(one));
                }
            }
            _ => {}
        }
        marks
    }

    fn is_public(&self, node: Node<'_>, name: &str) -> bool {
        match self.language {
            Language::Python => !name.starts_with('_'),
            Language::Go => name.starts_with(char::is_uppercase),
            Language::Rust => named(node)
                .iter()
                .any(|one| one.kind() == "visibility_modifier"),
            Language::Java => {
                let modifiers = named(node)
                    .into_iter()
                    .find(|one| one.kind() == "modifiers");
                modifiers.is_some_and(|one| self.text(one).contains("public"))
            }
            Language::Javascript | Language::Typescript | Language::Tsx => {
                let head = &self.text[node.start_byte()..];
                let is_method = node.kind() == "method_definition";
                let is_hidden = head.starts_with("private") || name.starts_with('#');
                self.exported > 0 && !is_method || is_method && !is_hidden
            }
        }
    }

    fn receiver(&self, node: Node<'_>) -> Name {
        let text = self.text(node).trim_matches(['(', ')']);
        let kind = text.rsplit([' ', '*']).next().unwrap_or("");
        Arc::from(kind.split('[').next().unwrap_or(""))
    }

    /// Returns what is written of a type, without white space and the colon before it.
    pub(super) fn kind(&self, node: Node<'_>) -> Name {
        let text = self.dotted(node);
        Arc::from(text.trim_start_matches(':'))
    }

    fn variable(&mut self, node: Node<'_>, kind: Option<Name>, out: &mut Vec<Statement>) {
        let left = ["name", "pattern", "property"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let value = ["value", "initializer"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let own = node.child_by_field_name("type").map(|kind| self.kind(kind));
        let kind = own.or(kind);
        let Some(left) = left else {
            return;
        };
        if let Some(value) = value
            && self.required(left, value)
        {
            return;
        }
        // A named closure is a function like others.
        if let Some(value) = value
            && matches!(value.kind(), "arrow_function" | "function_expression")
            && left.kind().ends_with("identifier")
            && self.inner == 0
        {
            let at = self.function(value, Vec::new());
            let name = self.name(left);
            let key = match self.class.last() {
                Some(class) => Arc::from(format!("{class}.{name}")),
                None => Arc::clone(&name),
            };
            self.unit.names.entry(key).or_insert(at);
            let is_public = self.exported > 0;
            let function = &mut self.functions[at];
            function.name = name;
            function.is_public |= is_public;
            return;
        }
        let value = match value {
            Some(value) if value.kind() == "expression_list" => match named(value).as_slice() {
                [one] => self.expression(*one),
                _ => self.expression(value),
            },
            Some(value) => self.expression(value),
            None if kind.is_none() => return,
            None => Expression::Nothing,
        };
        let target = match (node.kind(), self.class.last()) {
            ("public_field_definition" | "field_definition" | "field_declaration", Some(_)) => {
                self.field_of_class(left)
            }
            ("variable_declarator", Some(_)) if self.inner == 0 => self.field_of_class(left),
            _ => self.target(left),
        };
        out.push(Statement::Let {
            target,
            kind,
            value,
        });
    }

    /// Returns the field `name` of the class that is open: `this.Class` stands for what has
    /// it.
    pub(super) fn field_of_class(&self, name: Node<'_>) -> Target {
        let class = self.class.last().map_or("", |class| class);
        let this = Expression::Name(Arc::from(format!("this.{class}")));
        Target::Place(Expression::Member(Box::new(this), self.name(name)))
    }

    /// Fields of a type whose values cannot carry text: `count: u32`.
    fn fields_of_type(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        for field in named(node) {
            let kind = field
                .child_by_field_name("type")
                .map(|kind| self.kind(kind));
            let is_field = matches!(
                field.kind(),
                "field_declaration" | "property_signature" | "formal_parameter"
            );
            match is_field {
                true if is_clean_kind(kind.as_deref()) => {
                    let mut cursor = field.walk();
                    let names: Vec<Node<'_>> =
                        field.children_by_field_name("name", &mut cursor).collect();
                    for name in names {
                        out.push(Statement::Let {
                            target: self.field_of_class(name),
                            kind: kind.clone(),
                            value: Expression::Nothing,
                        });
                    }
                }
                true => {}
                false => self.fields_of_type(field, out),
            }
        }
    }

    /// A type of which only the fields matter.
    fn record(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let name = node.child_by_field_name("name");
        let body = ["body", "type", "value", "parameters"]
            .iter()
            .find_map(|field| node.child_by_field_name(field));
        let (Some(name), Some(body)) = (name, body) else {
            return;
        };
        let name = self.name(name);
        let before = out.len();
        self.class.push(Arc::clone(&name));
        self.fields_of_type(body, out);
        self.class.pop();
        if out.len() > before {
            self.unit
                .names
                .entry(Arc::from(format!("{name}.")))
                .or_insert(0);
        }
    }

    /// `a, b := f(), g()` and `a, err := f()`.
    fn several(&mut self, node: Node<'_>, out: &mut Vec<Statement>) {
        let (Some(left), Some(right)) = (
            node.child_by_field_name("left"),
            node.child_by_field_name("right"),
        ) else {
            return;
        };
        let (lefts, rights) = (named(left), named(right));
        let operator = node.child_by_field_name("operator");
        let adds = operator.is_some_and(|operator| self.text(operator) == "+=");
        if lefts.len() == rights.len() {
            for (left, right) in lefts.iter().zip(&rights) {
                let mut value = self.expression(*right);
                if adds {
                    value = Expression::Join(vec![self.expression(*left), value]);
                }
                let target = self.target(*left);
                out.push(Statement::Let {
                    target,
                    kind: None,
                    value,
                });
            }
            return;
        }
        let [value] = rights.as_slice() else {
            return;
        };
        let value = self.expression(*value);
        let targets = lefts.iter().map(|left| self.target(*left)).collect();
        out.push(Statement::Let {
            target: Target::Items(targets),
            kind: None,
            value,
        });
    }
}

/// Shows `see` every statement of `body`.
fn walk_statements(body: &[Statement], see: &mut dyn FnMut(&Statement)) {
    for one in body {
        see(one);
        match one {
            Statement::If {
                then, otherwise, ..
            } => {
                walk_statements(then, see);
                walk_statements(otherwise, see);
            }
            Statement::Repeat(body) | Statement::Block(body) => walk_statements(body, see),
            Statement::OneOf(bodies) => {
                for body in bodies {
                    walk_statements(body, see);
                }
            }
            _ => {}
        }
    }
}

fn is_block(node: Node<'_>) -> bool {
    matches!(
        node.kind(),
        "block" | "statement_block" | "constructor_body"
    )
}

fn last(node: Node<'_>) -> Option<Node<'_>> {
    named(node).into_iter().next_back()
}

/// Makes the value of the last expression of a block what the block gives.
pub(super) fn give_last(statements: &mut [Statement], last: Option<Node<'_>>) {
    let ends = last.is_some_and(|last| last.kind() == "expression_statement");
    if ends {
        return;
    }
    if let Some(statement) = statements.last_mut()
        && let Statement::Do(value) = statement
    {
        *statement = Statement::Return(std::mem::take(value));
    }
}
