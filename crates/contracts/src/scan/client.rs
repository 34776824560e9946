//! Configurations of clients: Claude Desktop and Code, Cursor, VS Code, Windsurf, Zed and
//! whatever has the same shape.
//!
//! # Invariants
//!
//! * Comments and trailing commas are read as most clients read them; everything else
//!   has to be JSON.
//! * A file that names no servers is not an error, only empty.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Largest file, in bytes.
pub const MAX_BYTES: usize = 4 << 20;
/// Most servers of a file.
const MAX_SERVERS: usize = 1_000;
/// Deepest place where servers are looked for.
const MAX_DEPTH: usize = 6;

/// A server that a client knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name in the file.
    pub name: String,
    /// The line of its name, from 1.
    pub line: Option<usize>,
    /// How it is started or reached.
    pub way: Way,
    /// Tools that are called without asking; `*` for all.
    pub approved: Vec<String>,
}

impl Server {
    /// Returns the program and its arguments, if it is started. Some files write both as
    /// one text.
    #[must_use]
    pub fn command(&self) -> Option<Vec<String>> {
        let Way::Process {
            program, arguments, ..
        } = &self.way
        else {
            return None;
        };
        let is_path = program.contains(['/', '\\']);
        let mut words: Vec<String> = match is_path {
            true => vec![program.clone()],
            false => program.split_whitespace().map(str::to_owned).collect(),
        };
        words.extend(arguments.iter().cloned());
        Some(words)
    }
}

/// How a server is started or reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// As a child process.
    Process {
        /// The program, as it is written.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// Variables of its environment.
        env: BTreeMap<String, String>,
    },
    /// By its URL.
    Remote {
        /// The URL, as it is written.
        url: String,
        /// Headers of every request.
        headers: BTreeMap<String, String>,
    },
    /// Neither is named.
    Unknown,
}

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is too large.
    #[error("it is larger than {MAX_BYTES} bytes")]
    Size,
    /// It is not JSON, with or without comments.
    #[error("it is not JSON: line {line}, column {column}")]
    Syntax {
        /// Where, from 1.
        line: usize,
        /// Where, from 1.
        column: usize,
    },
    /// It names too many servers.
    #[error("it names more than {MAX_SERVERS} servers")]
    Servers,
}

/// Reads the servers that a client knows.
///
/// # Errors
///
/// When the file cannot be read without doubt.
pub fn read(text: &str) -> Result<Vec<Server>, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::Size);
    }
    let plain = without_comments(text);
    let value: Value = serde_json::from_str(&plain).map_err(|error| Error::Syntax {
        line: error.line(),
        column: error.column(),
    })?;
    let mut servers = Vec::new();
    collect(&value, text, 0, &mut servers)?;
    Ok(servers)
}

/// Members that hold servers by their name.
const HOLDERS: [&str; 4] = ["mcpServers", "servers", "context_servers", "mcp_servers"];

fn collect(
    value: &Value,
    text: &str,
    depth: usize,
    servers: &mut Vec<Server>,
) -> Result<(), Error> {
    let Value::Object(members) = value else {
        return Ok(());
    };
    if depth > MAX_DEPTH {
        return Ok(());
    }
    for (key, inner) in members {
        match inner {
            Value::Object(named) if HOLDERS.contains(&key.as_str()) => {
                for (name, entry) in named {
                    if servers.len() == MAX_SERVERS {
                        return Err(Error::Servers);
                    }
                    servers.extend(server(name, entry, text));
                }
            }
            // `mcp` in the settings of VS Code, `projects` in those of Claude Code.
            Value::Object(_) => collect(inner, text, depth + 1, servers)?,
            _ => {}
        }
    }
    Ok(())
}

fn server(name: &str, entry: &Value, text: &str) -> Option<Server> {
    let members = entry.as_object()?;
    let string = |key: &str| members.get(key).and_then(Value::as_str);
    let url = string("url")
        .or_else(|| string("serverUrl"))
        .or_else(|| string("httpUrl"));
    let strings = |key: &str| -> Vec<String> {
        let list = members.get(key).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    // Zed nests program and arguments under `command`.
    let nested = members.get("command").and_then(Value::as_object);
    let program = string("command").or_else(|| nested?.get("path")?.as_str());
    let way = match (program, url) {
        (Some(program), _) => Way::Process {
            program: program.to_owned(),
            arguments: match nested.and_then(|nested| nested.get("args")?.as_array()) {
                Some(list) => list
                    .iter()
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
                None => strings("args"),
            },
            env: map(nested
                .and_then(|nested| nested.get("env"))
                .or(members.get("env"))),
        },
        (None, Some(url)) => Way::Remote {
            url: url.to_owned(),
            headers: map(members.get("headers")),
        },
        (None, None) => Way::Unknown,
    };
    let mut approved = strings("alwaysAllow");
    approved.extend(strings("autoApprove"));
    if members.get("trust") == Some(&Value::Bool(true)) {
        approved.push("*".to_owned());
    }
    Some(Server {
        name: name.to_owned(),
        line: line_of(name, text),
        way,
        approved,
    })
}

fn map(value: Option<&Value>) -> BTreeMap<String, String> {
    let members = value.and_then(Value::as_object);
    let members = members.map_or_else(Map::new, Clone::clone);
    let texts = members.into_iter().filter_map(|(key, value)| match value {
        Value::String(text) => Some((key, text)),
        Value::Number(number) => Some((key, number.to_string())),
        _ => None,
    });
    texts.collect()
}

/// Returns the line on which a member of this name begins.
fn line_of(name: &str, text: &str) -> Option<usize> {
    let quoted = Value::from(name).to_string();
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find(&quoted)?;
        let after = at + quoted.len();
        if text[after..].trim_start().starts_with(':') {
            return Some(1 + text[..at].matches('\n').count());
        }
        from = after;
    }
}

/// Returns `text` with blanks in the place of comments and of commas before a closing
/// bracket, so that places stay the same.
fn without_comments(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let (mut at, mut comma) = (0, None);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                comma = None;
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
                at += 1;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                while at < bytes.len() && bytes[at] != b'\n' {
                    out[at] = b' ';
                    at += 1;
                }
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let end = text[at + 2..]
                    .find("*/")
                    .map_or(bytes.len(), |end| at + 4 + end);
                for byte in &mut out[at..end] {
                    if *byte != b'\n' {
                        *byte = b' ';
                    }
                }
                at = end;
            }
            b',' => {
                comma = Some(at);
                at += 1;
            }
            b'}' | b']' => {
                if let Some(comma) = comma.take() {
                    out[comma] = b' ';
                }
                at += 1;
            }
            byte => {
                if !byte.is_ascii_whitespace() {
                    comma = None;
                }
                at += 1;
            }
        }
    }
    // Blanks took the place of whole characters only.
    String::from_utf8(out).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(text: &str) -> String {
        match read(text) {
            Ok(servers) => {
                let names: Vec<_> = servers
                    .iter()
                    .map(|server| format!("{}@{}", server.name, server.line.unwrap_or(0)))
                    .collect();
                names.join(" ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn servers_are_found_where_clients_keep_them() {
        for (text, expected) in [
            (r#"{"mcpServers":{"a":{"command":"x"}}}"#, "a@1"),
            ("{\"servers\":{\n\"b\":{\"url\":\"https://h\"}}}", "b@2"),
            (
                r#"{"mcp":{"servers":{"c":{"type":"http","url":"https://h"}}}}"#,
                "c@1",
            ),
            (
                r#"{"projects":{"/p":{"mcpServers":{"d":{"command":"x"}}}}}"#,
                "d@1",
            ),
            (
                r#"{"context_servers":{"e":{"command":{"path":"x","args":["y"]}}}}"#,
                "e@1",
            ),
            (r#"{"mcp":[],"other":{"text":"t"}}"#, ""),
            ("[]", ""),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
    }

    #[test]
    fn comments_and_trailing_commas_are_read() {
        let text = "{ // a \"quote\n /* , */ \"mcpServers\": {\n\"a\": {\"command\": \"x//y\", \"args\": [\"1\", ],},\n}, }";
        assert_eq!(names(text), "a@3");
        let Way::Process {
            program, arguments, ..
        } = read(text).unwrap().remove(0).way
        else {
            panic!("it is a process");
        };
        assert_eq!(
            (program.as_str(), arguments),
            ("x//y", vec!["1".to_owned()])
        );
        assert_eq!(names("{,"), "it is not JSON: line 1, column 2");
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in ".{0,200}") {
            let _ = read(&text);
        }

        #[test]
        fn json_stays_what_it_is(text in r#"(\{"mcpServers":\{"[a-z/*,]{1,6}":\{"command":"[/*, a-z]{0,8}"\}\}\})"#) {
            prop_assert_eq!(without_comments(&text), text);
        }
    }
}
