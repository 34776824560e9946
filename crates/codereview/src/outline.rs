//! What a file declares: functions with their size, shape and documentation, classes,
//! imports and hosts.

use std::{collections::BTreeSet, sync::OnceLock};

use tree_sitter::Node;

use crate::{
    source::Language,
    syntax::{self, Document},
};

/// Kinds of nodes that declare a function with a name.
const FUNCTIONS: [&str; 7] = [
    "function_definition",
    "function_declaration",
    "generator_function_declaration",
    "method_definition",
    "method_declaration",
    "function_item",
    "constructor_declaration",
];
/// Kinds that declare something with members.
const CLASSES: [&str; 10] = [
    "class_definition",
    "class_declaration",
    "interface_declaration",
    "struct_item",
    "enum_item",
    "trait_item",
    "record_declaration",
    "enum_declaration",
    "type_alias_declaration",
    "abstract_class_declaration",
];
/// Kinds at which the way through a function parts.
const BRANCHES: [&str; 22] = [
    "if_statement",
    "if_expression",
    "elif_clause",
    "for_statement",
    "for_in_statement",
    "for_expression",
    "enhanced_for_statement",
    "while_statement",
    "while_expression",
    "loop_expression",
    "do_statement",
    "except_clause",
    "catch_clause",
    "case_clause",
    "switch_case",
    "expression_case",
    "type_case",
    "match_arm",
    "conditional_expression",
    "ternary_expression",
    "switch_rule",
    "communication_case",
];

/// What the kind of a node says.
const FUNCTION: u8 = 1;
const CLASS: u8 = 2;
const BRANCH: u8 = 4;

/// Returns what each kind of node of a language says, by its number: nodes are many, and
/// names of kinds are long.
fn kinds(language: Language, of: &tree_sitter::Language) -> &'static [u8] {
    static KINDS: [OnceLock<Vec<u8>>; Language::ALL.len()] =
        [const { OnceLock::new() }; Language::ALL.len()];
    KINDS[language as usize].get_or_init(|| {
        let count = u16::try_from(of.node_kind_count()).unwrap_or(u16::MAX);
        let kinds = (0..count).map(|id| of.node_kind_for_id(id).unwrap_or(""));
        let says = |kind, all: &[&str], what| if all.contains(&kind) { what } else { 0 };
        let all = kinds.map(|kind| {
            says(kind, &FUNCTIONS, FUNCTION)
                | says(kind, &CLASSES, CLASS)
                | says(kind, &BRANCHES, BRANCH)
        });
        all.collect()
    })
}

/// Returns whether the kind of `node` says `what`.
fn says(kinds: &[u8], node: Node<'_>, what: u8) -> bool {
    let kind = kinds.get(usize::from(node.kind_id()));
    kind.is_some_and(|kind| kind & what != 0)
}

/// A function or a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) is_function: bool,
    pub(crate) is_public: bool,
    /// Whether a client of the protocol calls it.
    pub(crate) is_tool: bool,
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) parameters: Vec<String>,
    /// What is written between name and body, without white space.
    pub(crate) signature: String,
    pub(crate) documentation: Option<String>,
    pub(crate) complexity: u32,
    pub(crate) nesting: u32,
}

/// What a file declares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) items: Vec<Item>,
    pub(crate) imports: BTreeSet<String>,
    /// Hosts of addresses that are written out.
    pub(crate) hosts: BTreeSet<String>,
}

impl Outline {
    /// Returns what `text` declares; nothing if it is not understood.
    pub(crate) fn of(language: Language, text: &[u8]) -> Self {
        match syntax::parse(language, text) {
            Ok(document) => Self::read(language, &document),
            Err(_) => Self::default(),
        }
    }

    /// Returns what a parsed file declares.
    pub(crate) fn read(language: Language, document: &Document) -> Self {
        let mut reader = Reader {
            document,
            language,
            kinds: kinds(language, &document.tree.language()),
            found: Self::default(),
            classes: Vec::new(),
        };
        reader.walk(document.tree.root_node());
        reader.found
    }
}

struct Reader<'a> {
    document: &'a Document,
    language: Language,
    kinds: &'static [u8],
    found: Outline,
    classes: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, node: Node<'_>) -> &str {
        &self.document.src[node.byte_range()]
    }

    fn walk(&mut self, node: Node<'_>) {
        let kind = node.kind();
        let is_impl = kind == "impl_item";
        let is_class = says(self.kinds, node, CLASS) || is_impl;
        if says(self.kinds, node, FUNCTION) || is_class && !is_impl {
            self.item(node);
        }
        match kind {
            "import_statement"
            | "import_from_statement"
            | "import_declaration"
            | "use_declaration" => {
                let text = self.text(node).split_whitespace().collect::<Vec<_>>();
                let text: String = text.join(" ").chars().take(300).collect();
                self.found.imports.insert(text);
            }
            "string"
            | "string_literal"
            | "interpreted_string_literal"
            | "template_string"
            | "string_fragment" => self.host(node),
            _ => {}
        }
        if is_class {
            let name = ["name", "type"]
                .iter()
                .find_map(|field| node.child_by_field_name(field));
            let name = name.map_or_else(String::new, |name| self.text(name).to_owned());
            self.classes.push(name);
        }
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        for child in children {
            self.walk(child);
        }
        if is_class {
            self.classes.pop();
        }
    }

    fn item(&mut self, node: Node<'_>) {
        let Some(name) = node.child_by_field_name("name") else {
            return;
        };
        let bare = self.text(name).to_owned();
        let body = node.child_by_field_name("body");
        let end = body.map_or(node.end_byte(), |body| body.start_byte());
        let signature: String = self.document.src[node.start_byte()..end]
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect();
        let is_function = says(self.kinds, node, FUNCTION);
        let decorators = self.decorators(node);
        let mut shape = Shape::default();
        if let Some(body) = body.filter(|_| is_function) {
            measure(self.kinds, body, 0, &mut shape);
        }
        let item = Item {
            is_public: self.is_public(node, &bare, &signature),
            is_tool: ["tool", "Tool", "resource", "prompt", "call_tool"]
                .iter()
                .any(|mark| decorators.contains(mark)),
            name: match self.classes.last() {
                Some(class) => format!("{class}.{bare}"),
                None => bare,
            },
            is_function,
            from: node.start_position().row as u32 + 1,
            to: node.end_position().row as u32 + 1,
            parameters: self.parameters(node),
            signature,
            documentation: self.documentation(node, body),
            complexity: shape.branches + 1,
            nesting: shape.deepest,
        };
        self.found.items.push(item);
    }

    /// Returns what stands before a definition as decorator, attribute or annotation.
    fn decorators(&self, node: Node<'_>) -> String {
        let mut found = String::new();
        if let Some(parent) = node
            .parent()
            .filter(|one| one.kind() == "decorated_definition")
        {
            found.push_str(&self.document.src[parent.start_byte()..node.start_byte()]);
        }
        let mut before = node.prev_named_sibling();
        while let Some(one) = before.filter(|one| one.kind() == "attribute_item") {
            found.push_str(self.text(one));
            before = one.prev_named_sibling();
        }
        let mut cursor = node.walk();
        let modifiers = node
            .named_children(&mut cursor)
            .find(|one| one.kind() == "modifiers");
        if let Some(modifiers) = modifiers {
            found.push_str(self.text(modifiers));
        }
        found
    }

    fn is_public(&self, node: Node<'_>, name: &str, signature: &str) -> bool {
        match self.language {
            Language::Python => {
                !name.starts_with('_') && !self.classes.iter().any(|one| one.starts_with('_'))
            }
            Language::Go => name.starts_with(char::is_uppercase),
            Language::Rust => signature.starts_with("pub") && !signature.starts_with("pub("),
            Language::Java => signature.starts_with("public") || signature.contains("public"),
            Language::Javascript | Language::Typescript | Language::Tsx => {
                let exported = |one: Node<'_>| one.kind() == "export_statement";
                let class = node.parent().and_then(|one| one.parent());
                let in_exported = class.and_then(|one| one.parent()).is_some_and(exported);
                let is_hidden = signature.starts_with("private") || name.starts_with('#');
                node.parent().is_some_and(exported) || in_exported && !is_hidden
            }
        }
    }

    fn parameters(&self, node: Node<'_>) -> Vec<String> {
        let Some(list) = node.child_by_field_name("parameters") else {
            return Vec::new();
        };
        let mut cursor = list.walk();
        let names = list.named_children(&mut cursor).filter_map(|one| {
            let name = ["name", "pattern"]
                .iter()
                .find_map(|field| one.child_by_field_name(field));
            let name = name.or_else(|| one.named_child(0)).unwrap_or(one);
            let text = self.text(name);
            let is_name = text.chars().all(|c| c.is_alphanumeric() || c == '_');
            is_name.then(|| text.to_owned())
        });
        names
            .filter(|name| !matches!(&**name, "self" | "cls" | "this"))
            .collect()
    }

    fn documentation(&self, node: Node<'_>, body: Option<Node<'_>>) -> Option<String> {
        if self.language == Language::Python {
            let first = body?.named_child(0)?;
            let text = first
                .named_child(0)
                .filter(|_| first.kind() == "expression_statement")?;
            return (text.kind() == "string").then(|| {
                self.text(text)
                    .trim_matches(['"', '\'', 'r'])
                    .trim()
                    .to_owned()
            });
        }
        let mut at = node;
        if let Some(parent) = node.parent().filter(|one| one.kind() == "export_statement") {
            at = parent;
        }
        let mut lines = Vec::new();
        let mut next = at.start_position().row;
        let mut before = at.prev_sibling();
        while let Some(one) = before {
            match one.kind() {
                "attribute_item" => next = one.start_position().row,
                "comment" | "line_comment" | "block_comment" => {
                    let text = self.text(one);
                    // A comment further up is about something else.
                    if one.end_position().row + 1 < next || text.starts_with("//!") {
                        break;
                    }
                    next = one.start_position().row;
                    lines.push(text.to_owned());
                }
                _ => break,
            }
            before = one.prev_sibling();
        }
        lines.reverse();
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn host(&mut self, node: Node<'_>) {
        let text = self.text(node).to_owned();
        for scheme in ["https://", "http://"] {
            let Some((_, rest)) = text.split_once(scheme) else {
                continue;
            };
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '-'))
                .unwrap_or(rest.len());
            let host = &rest[..end];
            let is_local = host.starts_with("localhost") || host.starts_with("127.");
            let is_example = host.ends_with("example.com") || host.ends_with(".example");
            if host.contains('.') && !is_local && !is_example {
                self.found.hosts.insert(host.to_ascii_lowercase());
            }
        }
    }
}

#[derive(Default)]
struct Shape {
    branches: u32,
    deepest: u32,
}

fn measure(kinds: &[u8], node: Node<'_>, depth: u32, shape: &mut Shape) {
    let kind = node.kind();
    let mut depth = depth;
    if says(kinds, node, BRANCH) {
        let is_case = kind.ends_with("case") || kind == "match_arm" || kind == "elif_clause";
        // To ask for what is around a node is dear.
        let is_chained = || node.parent().is_some_and(|one| one.kind() == "else_clause");
        depth += u32::from(!is_case && !is_chained());
        shape.branches += 1;
        shape.deepest = shape.deepest.max(depth);
    }
    if kind == "boolean_operator"
        || kind == "binary_expression"
            && node
                .child_by_field_name("operator")
                .is_some_and(|one| matches!(one.kind(), "&&" | "||"))
    {
        shape.branches += 1;
    }
    let mut cursor = node.walk();
    let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
    for child in children {
        // A function inside is one of its own.
        if !says(kinds, child, FUNCTION) {
            measure(kinds, child, depth, shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(language: Language, text: &str, expected: &str) {
        let found = Outline::of(language, text.as_bytes());
        let items: Vec<String> = found
            .items
            .iter()
            .map(|item| {
                format!(
                    "{}({}) {} {} {}{}",
                    item.name,
                    item.parameters.join(","),
                    item.complexity,
                    item.nesting,
                    if item.is_public { "public" } else { "private" },
                    if item.documentation.is_some() {
                        " documented"
                    } else {
                        ""
                    },
                )
            })
            .collect();
        assert_eq!(items.join("; "), expected, "{text}");
    }

    #[test]
    fn functions_are_measured_in_each_language() {
        check(
            Language::Python,
            "def f(a, b: int):\n    \"\"\"Says.\"\"\"\n    if a and b:\n        for c in b:\n            pass\n",
            "f(a,b) 4 2 public documented",
        );
        check(
            Language::Typescript,
            "/** Says. */\nexport function f(a: string) { if (a) { return 1 } else if (a) { return 2 } }",
            "f(a) 3 1 public documented",
        );
        check(
            Language::Go,
            "package p\n// F says.\nfunc F(a int) { for { } }",
            "F(a) 2 1 public documented",
        );
        check(
            Language::Rust,
            "/// Says.\n#[must_use]\npub fn f(a: u8) -> u8 { match a { 0 => 1, _ => 2 } }",
            "f(a) 3 0 public documented",
        );
        check(
            Language::Java,
            "class A { /** Says. */ public int f(int a) { return a > 0 ? 1 : 2; } }",
            "A() 1 0 private; A.f(a) 2 1 public documented",
        );
    }

    #[test]
    fn hosts_are_named() {
        let text = b"fetch('https://api.hotel.test/x');";
        let found = Outline::of(Language::Typescript, text);
        assert!(found.hosts.contains("api.hotel.test"));
    }
}
