//! Tools of the protocol that a file registers by calls and objects, with what they say.
//!
//! # Invariants
//!
//! * Names and descriptions are what is written out; what is computed is not guessed.

use std::collections::BTreeMap;

use tree_sitter::Node;

use crate::syntax::Document;

/// Calls that register a tool by its name.
const CALLS: [&str; 10] = [
    "tool",
    "registerTool",
    "addTool",
    "AddTool",
    "NewTool",
    "Tool",
    "defineTool",
    "add_tool",
    "registerAppTool",
    "SyncToolSpecification",
];
/// Depth to which an argument is searched for its members.
const DEPTH: usize = 8;

/// A tool that a file registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tool {
    /// Line of its name, from 1.
    pub(crate) line: u32,
    /// What it says of itself.
    pub(crate) description: Option<String>,
}

/// Returns the tools that a parsed file registers, by name.
pub(crate) fn tools(document: &Document) -> BTreeMap<String, Tool> {
    let mut found = BTreeMap::new();
    let is_one = memchr::memmem::find(document.src.as_bytes(), b"ool").is_some();
    if is_one {
        let reader = Reader { src: &document.src };
        reader.walk(document.tree.root_node(), &mut found);
    }
    found
}

/// Returns the text behind `description` in a decorator or an attribute.
pub(crate) fn described(mark: &str) -> Option<String> {
    let (_, rest) = mark.split_once("description")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let rest = rest.trim_start_matches(quote);
    rest.split_once(quote).map(|(text, _)| text.to_owned())
}

struct Reader<'a> {
    src: &'a str,
}

impl Reader<'_> {
    fn text(&self, node: Node<'_>) -> &str {
        &self.src[node.byte_range()]
    }

    fn walk(&self, node: Node<'_>, found: &mut BTreeMap<String, Tool>) {
        match node.kind() {
            "call_expression" | "call" | "method_invocation" | "object_creation_expression" => {
                self.call(node, found);
            }
            "object" | "dictionary" | "composite_literal" => self.object(node, found),
            _ => {}
        }
        let mut cursor = node.walk();
        let children: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
        for child in children {
            self.walk(child, found);
        }
    }

    fn call(&self, node: Node<'_>, found: &mut BTreeMap<String, Tool>) {
        let fields = ["function", "name", "type"];
        let callee = fields.iter().find_map(|one| node.child_by_field_name(one));
        let (Some(callee), Some(list)) = (callee, node.child_by_field_name("arguments")) else {
            return;
        };
        let path = self.text(callee);
        let last = path.rsplit(['.', ':']).next().unwrap_or(path);
        if node.kind() == "method_invocation" && last == "build" {
            self.builder(node, found);
            return;
        }
        // A decorator stands at a function, which is judged as such.
        let is_mark = node.parent().is_some_and(|one| one.kind() == "decorator");
        if is_mark || !CALLS.contains(&last) {
            return;
        }
        let mut cursor = list.walk();
        let arguments: Vec<Node<'_>> = list.named_children(&mut cursor).collect();
        let texts: Vec<(Node<'_>, String)> = arguments
            .iter()
            .take(3)
            .filter_map(|one| self.literal(*one).map(|text| (*one, text)))
            .collect();
        let named = || self.member(list, &["name", "Name"], DEPTH);
        let Some((at, name)) = texts.first().cloned().or_else(named) else {
            return;
        };
        let second = texts.get(1).map(|(_, text)| text.clone());
        let description = second.or_else(|| {
            let keys = ["description", "Description", "WithDescription"];
            self.member(list, &keys, DEPTH).map(|(_, text)| text)
        });
        // A function of the same name that says nothing of a tool.
        if last == "Tool" && description.is_none() {
            return;
        }
        insert(found, name, at, description);
    }

    /// `Tool.builder().name("x").description("y").build()`.
    fn builder(&self, node: Node<'_>, found: &mut BTreeMap<String, Tool>) {
        if !self.text(node).contains("Tool.builder()") {
            return;
        }
        if let Some((at, name)) = self.member(node, &["name"], DEPTH * 2) {
            let description = self.member(node, &["description"], DEPTH * 2);
            insert(found, name, at, description.map(|(_, text)| text));
        }
    }

    /// `{ name: "x", description: "y", inputSchema: … }`.
    fn object(&self, node: Node<'_>, found: &mut BTreeMap<String, Tool>) {
        let schema = ["inputSchema", "input_schema", "InputSchema"];
        let mut cursor = node.walk();
        let has_schema = node.named_children(&mut cursor).any(|pair| {
            let key = self.key(pair);
            key.is_some_and(|key| schema.contains(&key))
        });
        let of_type = node.child_by_field_name("type");
        let is_tool = has_schema
            || of_type.is_some_and(|one| self.text(one).rsplit('.').next() == Some("Tool"));
        if !is_tool {
            return;
        }
        if let Some((at, name)) = self.member(node, &["name", "Name"], 3) {
            let description = self.member(node, &["description", "Description"], 3);
            insert(found, name, at, description.map(|(_, text)| text));
        }
    }

    /// Returns the key of a member of an object, an argument or a call.
    fn key(&self, node: Node<'_>) -> Option<&str> {
        let key = match node.kind() {
            "pair" => node.child_by_field_name("key"),
            "keyed_element" => node.named_child(0),
            "keyword_argument" => node.child_by_field_name("name"),
            "call_expression" => node.child_by_field_name("function"),
            "method_invocation" => node.child_by_field_name("name"),
            _ => None,
        };
        let text = self.text(key?).trim_matches(['"', '\'']);
        text.rsplit(['.', ':']).next()
    }

    /// Returns the first text below `node` that belongs to one of `keys`.
    fn member<'t>(
        &self,
        node: Node<'t>,
        keys: &[&str],
        depth: usize,
    ) -> Option<(Node<'t>, String)> {
        if self.key(node).is_some_and(|key| keys.contains(&key)) {
            let last = node.named_child(node.named_child_count().checked_sub(1)? as u32)?;
            let text = match last.kind() {
                "arguments" | "argument_list" => {
                    last.named_child(0).and_then(|one| self.literal(one))
                }
                _ => self.literal(last),
            };
            if let Some(text) = text {
                return Some((last, text));
            }
        }
        let below = depth.checked_sub(1)?;
        let mut cursor = node.walk();
        let children: Vec<Node<'t>> = node.named_children(&mut cursor).collect();
        // What runs may hold anything.
        let mut parts = children
            .into_iter()
            .filter(|one| !one.kind().contains("function"));
        parts.find_map(|one| self.member(one, keys, below))
    }

    /// Returns a text that is written out, in one piece or several.
    fn literal(&self, node: Node<'_>) -> Option<String> {
        match node.kind() {
            "string"
            | "string_literal"
            | "interpreted_string_literal"
            | "raw_string_literal"
            | "template_string" => {
                let text = self.text(node).trim_matches(['"', '\'', '`']);
                Some(text.to_owned())
            }
            "binary_expression"
            | "concatenated_string"
            | "parenthesized_expression"
            | "literal_element"
            | "binary_operator" => {
                let mut cursor = node.walk();
                let parts = node.named_children(&mut cursor);
                let parts: Option<Vec<String>> = parts.map(|one| self.literal(one)).collect();
                parts
                    .filter(|parts| !parts.is_empty())
                    .map(|parts| parts.concat())
            }
            _ => None,
        }
    }
}

fn insert(
    found: &mut BTreeMap<String, Tool>,
    name: String,
    at: Node<'_>,
    description: Option<String>,
) {
    let line = at.start_position().row as u32 + 1;
    let tool = found.entry(name).or_insert(Tool {
        line,
        description: None,
    });
    if tool.description.is_none() {
        tool.description = description;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{source::Language, syntax};

    fn check(language: Language, text: &str, expected: &[(&str, u32, Option<&str>)]) {
        let document = syntax::parse(language, text.as_bytes()).expect("it is understood");
        let found = tools(&document);
        let found: Vec<(&str, u32, Option<&str>)> = found
            .iter()
            .map(|(name, tool)| (name.as_str(), tool.line, tool.description.as_deref()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn tools_of_calls_and_objects_are_read_in_each_language() {
        check(
            Language::Typescript,
            "server.registerTool('book', { description: 'Books ' + 'a room', inputSchema: {} }, f);",
            &[("book", 1, Some("Books a room"))],
        );
        check(
            Language::Javascript,
            "server.tool(\n  'find', `Finds rooms`, {}, async () => ({ name: 'no', description: 'no' }));",
            &[("find", 2, Some("Finds rooms"))],
        );
        check(
            Language::Typescript,
            "const all = [{ name: 'pay', description: 'Pays', inputSchema: schema }];\nserver.tool(name, f);",
            &[("pay", 1, Some("Pays"))],
        );
        check(
            Language::Python,
            "tools = [types.Tool(name='book', description='Books ' 'it', inputSchema={})]",
            &[("book", 1, Some("Books it"))],
        );
        check(
            Language::Go,
            "package p\nfunc f() { mcp.AddTool(s, &mcp.Tool{Name: \"book\", Description: \"Books\"}, h)\nmcp.NewTool(\"pay\", mcp.WithDescription(\"Pays\")) }",
            &[("book", 2, Some("Books")), ("pay", 3, Some("Pays"))],
        );
        check(
            Language::Java,
            "class A { Object f() { return Tool.builder().name(\"book\").description(\"Books\").build(); }\nObject g() { return new Tool(\"pay\", \"Pays\", s); } }",
            &[("book", 1, Some("Books")), ("pay", 2, Some("Pays"))],
        );
        check(Language::Python, "tool = Tool()\nx = dict(name='a')", &[]);
        let marked = "@mcp.tool(name='a', description='b')\ndef f():\n    pass\n";
        check(Language::Python, marked, &[]);
    }

    #[test]
    fn descriptions_stand_in_marks_too() {
        assert_eq!(
            described("#[tool(name = \"b\", description = \"Books it\")]").as_deref(),
            Some("Books it")
        );
        assert_eq!(
            described("@mcp.tool(description='Books')").as_deref(),
            Some("Books")
        );
        assert_eq!(described("@mcp.tool()"), None);
        assert_eq!(described("@mcp.tool(description=TEXT)"), None);
    }
}
