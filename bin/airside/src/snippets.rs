//! What to paste into common MCP clients.
//!
//! Sources: Claude Code `claude mcp add --transport http`; Claude Desktop reads
//! only commands from its file, hence the `mcp-remote` bridge; VS Code
//! `.vscode/mcp.json`; Cursor `~/.cursor/mcp.json`.

use serde_json::{Value, json};

/// One client and what it needs.
pub(crate) struct Snippet {
    pub(crate) client: &'static str,
    pub(crate) place: &'static str,
    pub(crate) text: String,
}

/// Returns snippets for an endpoint.
pub(crate) fn snippets(url: &str) -> Vec<Snippet> {
    let json = |value: Value| value.to_string();
    vec![
        Snippet {
            client: "Claude Code",
            place: "run",
            text: format!("claude mcp add --transport http airside {url}"),
        },
        Snippet {
            client: "Claude Desktop",
            place: "claude_desktop_config.json",
            text: json(json!({"mcpServers": {"airside": {
                "command": "npx", "args": ["-y", "mcp-remote", url]}}})),
        },
        Snippet {
            client: "VS Code",
            place: ".vscode/mcp.json",
            text: json(json!({"servers": {"airside": {"type": "http", "url": url}}})),
        },
        Snippet {
            client: "Cursor",
            place: "~/.cursor/mcp.json",
            text: json(json!({"mcpServers": {"airside": {"url": url}}})),
        },
        Snippet {
            client: "other clients",
            place: "Streamable HTTP",
            text: json(json!({"mcpServers": {"airside": {"type": "streamable-http", "url": url}}})),
        },
    ]
}

/// Returns the snippets as text.
pub(crate) fn text(url: &str) -> String {
    let mut text = String::new();
    for snippet in snippets(url) {
        let Snippet {
            client,
            place,
            text: what,
        } = snippet;
        text.push_str(&format!("{client} ({place}):\n  {what}\n"));
    }
    text
}
