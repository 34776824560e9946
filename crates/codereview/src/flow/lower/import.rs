//! What a file takes from others, and under which names.

use std::sync::Arc;

use tree_sitter::Node;

use super::{Lowerer, named};
use crate::{flow::ir::Name, source::Language};

impl Lowerer<'_> {
    pub(super) fn import(&mut self, node: Node<'_>) {
        let mut found: Vec<(Name, Name)> = Vec::new();
        match self.language {
            Language::Python => self.python_import(node, &mut found),
            Language::Javascript | Language::Typescript | Language::Tsx => {
                self.script_import(node, &mut found);
            }
            Language::Go => self.go_import(node, &mut found),
            Language::Rust => {
                if let Some(argument) = node.child_by_field_name("argument") {
                    self.rust_import(argument, "", &mut found);
                }
            }
            Language::Java => {
                let path = named(node).into_iter().find(|one| one.kind() != "asterisk");
                if let Some(path) = path.map(|path| self.dotted(path))
                    && let Some((_, last)) = path.rsplit_once('.')
                {
                    found.push((Arc::from(last), Arc::clone(&path)));
                }
            }
        }
        self.unit.imports.extend(found);
    }

    /// `const { run } = require("./run")`: what is required from the tree is an import.
    /// Returns whether `value` is one.
    pub(super) fn required(&mut self, left: Node<'_>, value: Node<'_>) -> bool {
        let Some(module) = self.module_of(value) else {
            return false;
        };
        match left.kind() {
            "identifier" => {
                self.unit.imports.insert(self.name(left), module);
            }
            "object_pattern" => {
                for field in named(left) {
                    let (key, local) = match field.kind() {
                        "pair_pattern" => (
                            field.child_by_field_name("key"),
                            field.child_by_field_name("value"),
                        ),
                        _ => (Some(field), Some(field)),
                    };
                    if let (Some(key), Some(local)) = (key, local) {
                        let path = Arc::from(format!("{module}.{}", self.text(key)));
                        self.unit.imports.insert(self.name(local), path);
                    }
                }
            }
            _ => return false,
        }
        true
    }

    /// Returns the file of the tree that `value` requires: `require("./a")`,
    /// `__importStar(require("./a"))`, `await import("./a")`.
    fn module_of(&self, value: Node<'_>) -> Option<Name> {
        let value = match value.kind() {
            "await_expression" => value.named_child(0)?,
            _ => value,
        };
        if value.kind() != "call_expression" {
            return None;
        }
        let callee = self.text(value.child_by_field_name("function")?);
        let argument = value.child_by_field_name("arguments")?.named_child(0)?;
        match callee {
            "require" | "import" if argument.kind() == "string" => {
                let module = module_name(self.text(argument));
                module.starts_with('.').then_some(module)
            }
            "__importStar"
            | "__importDefault"
            | "tslib_1.__importStar"
            | "tslib_1.__importDefault" => self.module_of(argument),
            _ => None,
        }
    }

    /// Notes the names that `node`, what a file exports, hands to other files.
    pub(super) fn give_out(&mut self, node: Node<'_>) {
        match node.kind() {
            "identifier" | "shorthand_property_identifier" => {
                let name = self.name(node);
                // A name that a tool has shortened says that others do not call it by it.
                if name.len() > 2 {
                    self.given_out.push(name);
                }
            }
            "export_clause" | "object" => {
                for child in named(node) {
                    let inner = match child.kind() {
                        "export_specifier" => child.child_by_field_name("name"),
                        "pair" => child.child_by_field_name("value"),
                        _ => Some(child),
                    };
                    if let Some(inner) = inner
                        && inner.kind() != "object"
                    {
                        self.give_out(inner);
                    }
                }
            }
            _ => {}
        }
    }

    /// `exports.run = async (input) => …` and `module.exports.run = …` at file level are
    /// functions like others. Returns whether this is one.
    pub(super) fn export(&mut self, left: Node<'_>, right: Node<'_>) -> bool {
        if self.inner == 0
            && left.kind() == "member_expression"
            && (self.text(left) == "module.exports" || self.text(left).starts_with("exports."))
        {
            self.give_out(right);
        }
        let is_function = matches!(right.kind(), "arrow_function" | "function_expression");
        if self.inner > 0 || !is_function || left.kind() != "member_expression" {
            return false;
        }
        let object = left.child_by_field_name("object").map(|one| self.text(one));
        let (Some("exports" | "module.exports"), Some(name)) =
            (object, left.child_by_field_name("property"))
        else {
            return false;
        };
        let at = self.function(right, Vec::new());
        let name = self.name(name);
        self.unit.names.entry(Arc::clone(&name)).or_insert(at);
        let function = &mut self.functions[at];
        function.name = name;
        function.is_public = true;
        true
    }

    fn python_import(&mut self, node: Node<'_>, found: &mut Vec<(Name, Name)>) {
        let module = node.child_by_field_name("module_name");
        let prefix = module.map(|module| self.dotted(module));
        let mut cursor = node.walk();
        let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
        for name in names {
            let (path, alias) = match name.kind() {
                "aliased_import" => (
                    name.child_by_field_name("name"),
                    name.child_by_field_name("alias"),
                ),
                _ => (Some(name), None),
            };
            let Some(path) = path.map(|path| self.dotted(path)) else {
                continue;
            };
            let full = match &prefix {
                Some(prefix) if prefix.ends_with('.') => Arc::from(format!("{prefix}{path}")),
                Some(prefix) => Arc::from(format!("{prefix}.{path}")),
                None => Arc::clone(&path),
            };
            match alias {
                Some(alias) => found.push((self.name(alias), full)),
                // `import a.b` gives the name `a`.
                None if prefix.is_none() => {
                    let first = path.split('.').next().unwrap_or("");
                    found.push((Arc::from(first), Arc::from(first)));
                }
                None => found.push((path, full)),
            }
        }
    }

    fn script_import(&mut self, node: Node<'_>, found: &mut Vec<(Name, Name)>) {
        let Some(source) = node.child_by_field_name("source") else {
            return;
        };
        let module = module_name(self.text(source));
        let clause = named(node)
            .into_iter()
            .find(|one| one.kind() == "import_clause");
        for one in clause.map(named).unwrap_or_default() {
            match one.kind() {
                "identifier" => found.push((self.name(one), Arc::clone(&module))),
                "namespace_import" => {
                    if let Some(name) = one.named_child(0) {
                        found.push((self.name(name), Arc::clone(&module)));
                    }
                }
                "named_imports" => {
                    for specifier in named(one) {
                        let Some(name) = specifier.child_by_field_name("name") else {
                            continue;
                        };
                        let alias = specifier.child_by_field_name("alias").unwrap_or(name);
                        let path = Arc::from(format!("{module}.{}", self.text(name)));
                        found.push((self.name(alias), path));
                    }
                }
                _ => {}
            }
        }
    }

    fn go_import(&mut self, node: Node<'_>, found: &mut Vec<(Name, Name)>) {
        for child in named(node) {
            match child.kind() {
                "import_spec_list" => self.go_import(child, found),
                "import_spec" => {
                    let Some(path) = child.child_by_field_name("path") else {
                        continue;
                    };
                    let path = self.text(path).trim_matches(['"', '`']);
                    let last = path
                        .rsplit('/')
                        .find(|part| !is_version(part))
                        .unwrap_or("");
                    let name = child.child_by_field_name("name");
                    let name = name.map_or_else(|| Arc::from(last), |name| self.name(name));
                    found.push((name, Arc::from(path)));
                }
                _ => {}
            }
        }
    }

    fn rust_import(&mut self, node: Node<'_>, prefix: &str, found: &mut Vec<(Name, Name)>) {
        let join = |path: &str| match prefix {
            "" => path.to_owned(),
            prefix => format!("{prefix}.{path}"),
        };
        match node.kind() {
            "identifier" | "scoped_identifier" | "crate" | "self" => {
                let path = join(&self.dotted(node));
                let path = path.strip_suffix(".self").unwrap_or(&path);
                let last = path.rsplit('.').next().unwrap_or("");
                found.push((Arc::from(last), Arc::from(path)));
            }
            "use_as_clause" => {
                if let (Some(path), Some(alias)) = (
                    node.child_by_field_name("path"),
                    node.child_by_field_name("alias"),
                ) {
                    let path = join(&self.dotted(path));
                    found.push((self.name(alias), Arc::from(path)));
                }
            }
            "scoped_use_list" => {
                let path = node.child_by_field_name("path");
                let path = path.map_or_else(|| prefix.to_owned(), |path| join(&self.dotted(path)));
                if let Some(list) = node.child_by_field_name("list") {
                    self.rust_import(list, &path, found);
                }
            }
            "use_list" => {
                for child in named(node) {
                    self.rust_import(child, prefix, found);
                }
            }
            _ => {}
        }
    }
}

/// Returns the name of a module without the scheme of the runtime and its file ending.
fn module_name(quoted: &str) -> Name {
    let text = quoted.trim_matches(['"', '\'', '`']);
    Arc::from(text.strip_prefix("node:").unwrap_or(text))
}

fn is_version(part: &str) -> bool {
    part.strip_prefix('v')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}
