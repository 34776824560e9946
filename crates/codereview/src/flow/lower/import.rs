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
