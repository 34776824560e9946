//! Configurations of clients: Claude Desktop and Code, Cursor, VS Code, Windsurf, Cline,
//! Zed, Gemini, Codex, OpenCode, Amp, Goose in JSON, bundles for Claude Desktop and whatever
//! has the same shape.
//!
//! # Invariants
//!
//! * Comments and trailing commas are read as most clients read them; everything else
//!   has to be JSON, or TOML where the name of the file says so.
//! * A file that names no servers is not an error, only empty.
//! * The work is linear in the length of the file.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

/// Largest file, in bytes.
pub const MAX_BYTES: usize = 4 << 20;
/// Most servers of a file.
const MAX_SERVERS: usize = 1_000;
/// Deepest place where servers are looked for.
const MAX_DEPTH: usize = 6;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// JSON, with or without comments.
    Json,
    /// TOML, as Codex has it.
    Toml,
}

impl Form {
    /// Returns the form of a file of this name.
    #[must_use]
    pub fn of(file: &str) -> Self {
        let ending = file.rsplit_once('.').map(|(_, ending)| ending);
        match ending.is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) {
            true => Self::Toml,
            false => Self::Json,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
        }
    }
}

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
        /// The client takes credentials from elsewhere, or signs in.
        signs_in: bool,
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
    /// It is not written as it should be.
    #[error("it is not {}: line {line}, column {column}", form.as_str())]
    Syntax {
        /// How it should be written.
        form: Form,
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
pub fn read(text: &str, form: Form) -> Result<Vec<Server>, Error> {
    if text.len() > MAX_BYTES {
        return Err(Error::Size);
    }
    let (value, lines) = match form {
        Form::Json => {
            let plain = without_comments(text.trim_start_matches('\u{feff}'));
            (json(&plain)?, lines_of_json(&plain))
        }
        Form::Toml => (toml(text)?, lines_of_toml(text)),
    };
    let mut found = Found {
        lines,
        servers: Vec::new(),
    };
    found.collect(&value, 0)?;
    if let Value::Object(members) = &value
        && found.servers.is_empty()
    {
        // Some clients take the servers without anything around them.
        let bare = members.iter().filter(|(_, entry)| is_server(entry));
        found.named(bare)?;
    }
    Ok(found.servers)
}

fn json(text: &str) -> Result<Value, Error> {
    serde_json::from_str(text).map_err(|error| Error::Syntax {
        form: Form::Json,
        line: error.line(),
        column: error.column(),
    })
}

fn toml(text: &str) -> Result<Value, Error> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let last = before.rsplit('\n').next().unwrap_or(before);
        Error::Syntax {
            form: Form::Toml,
            line: 1 + before.matches('\n').count(),
            column: 1 + last.chars().count(),
        }
    })
}

/// Members that hold servers by their name, or as a list.
const HOLDERS: [&str; 6] = [
    "mcpServers",
    "servers",
    "context_servers",
    "mcp_servers",
    "amp.mcpServers",
    "modelContextProtocolServers",
];
/// Members that hold servers beside other things.
const MIXED: [&str; 2] = ["mcp", "extensions"];
/// Members of which a server has at least one.
const WAYS: [&str; 6] = ["command", "cmd", "url", "uri", "serverUrl", "httpUrl"];

/// Whether the entry is a server.
fn is_server(entry: &Value) -> bool {
    let text = |value: &Value| value.is_string() || value.is_array() || value.is_object();
    WAYS.iter().any(|way| entry.get(way).is_some_and(text))
}

struct Found {
    /// Lines of members, by their names.
    lines: HashMap<String, usize>,
    servers: Vec<Server>,
}

impl Found {
    fn collect(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let Value::Object(members) = value else {
            return Ok(());
        };
        if depth > MAX_DEPTH {
            return Ok(());
        }
        for (key, inner) in members {
            let key = key.as_str();
            match inner {
                Value::Object(named) if HOLDERS.contains(&key) => self.named(named)?,
                Value::Array(list) if HOLDERS.contains(&key) => self.list(list)?,
                // The manifest of a bundle.
                Value::Object(_) if key == "mcp_config" => self.add("mcp_config", inner)?,
                Value::Object(named) if MIXED.contains(&key) => {
                    self.named(named.iter().filter(|(_, entry)| is_server(entry)))?;
                    self.collect(inner, depth + 1)?;
                }
                // `projects` in the settings of Claude Code.
                Value::Object(_) => self.collect(inner, depth + 1)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn named<'v>(
        &mut self,
        entries: impl IntoIterator<Item = (&'v String, &'v Value)>,
    ) -> Result<(), Error> {
        for (name, entry) in entries {
            self.add(name, entry)?;
        }
        Ok(())
    }

    fn list(&mut self, entries: &[Value]) -> Result<(), Error> {
        for (at, entry) in entries.iter().enumerate() {
            match entry.get("name").and_then(Value::as_str) {
                Some(name) => self.add(name, entry)?,
                None => self.add(&at.to_string(), entry)?,
            }
        }
        Ok(())
    }

    fn add(&mut self, name: &str, entry: &Value) -> Result<(), Error> {
        if self.servers.len() == MAX_SERVERS {
            return Err(Error::Servers);
        }
        let members = entry.as_object();
        self.servers.extend(members.map(|members| Server {
            name: name.to_owned(),
            line: self.lines.get(name).copied(),
            way: way(members),
            approved: approved(members),
        }));
        Ok(())
    }
}

fn way(members: &Map<String, Value>) -> Way {
    // Some clients nest everything that is about reaching it.
    let inner = members.get("transport").and_then(Value::as_object);
    let get = |key: &str| members.get(key).or_else(|| inner?.get(key));
    let string = |key: &str| get(key).and_then(Value::as_str);
    let command = get("command");
    // Zed nests program and arguments under `command`.
    let nested = command.and_then(Value::as_object);
    let mut line = match command {
        Some(Value::Array(words)) => texts(words),
        _ => Vec::new(),
    };
    let program = string("command")
        .or_else(|| string("cmd"))
        .or_else(|| nested?.get("path")?.as_str());
    line.extend(program.map(str::to_owned));
    let own = |key: &str| nested.and_then(|nested| nested.get(key)).or(get(key));
    let words = own("args").and_then(Value::as_array);
    line.extend(words.map(|words| texts(words)).unwrap_or_default());
    let url = ["url", "serverUrl", "httpUrl", "uri"];
    let url = url.iter().find_map(|key| string(key));
    let mut words = line.into_iter();
    let has_program = program.is_some() || matches!(command, Some(Value::Array(_)));
    match (words.next().filter(|_| has_program), url) {
        (Some(program), _) => Way::Process {
            program,
            arguments: words.collect(),
            env: maps(["env", "envs", "environment"].map(own)),
        },
        (None, Some(url)) => Way::Remote {
            url: url.to_owned(),
            headers: maps(["headers", "http_headers"].map(get)),
            signs_in: CREDENTIALS.iter().any(|key| get(key).is_some()),
        },
        (None, None) => Way::Unknown,
    }
}

/// Members by which a client is told where credentials come from.
const CREDENTIALS: [&str; 6] = [
    "bearer_token_env_var",
    "env_http_headers",
    "headersHelper",
    "authProviderType",
    "oauth",
    "auth",
];

fn approved(members: &Map<String, Value>) -> Vec<String> {
    let lists = ["alwaysAllow", "autoApprove"].map(|key| members.get(key));
    let lists = lists.into_iter().flatten().filter_map(Value::as_array);
    let mut approved: Vec<String> = lists.flat_map(|list| texts(list)).collect();
    let all = |key: &str| members.get(key) == Some(&Value::Bool(true));
    if all("trust") || all("autoApprove") {
        approved.push("*".to_owned());
    }
    approved
}

fn texts(list: &[Value]) -> Vec<String> {
    let texts = list.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn maps<const N: usize>(values: [Option<&Value>; N]) -> BTreeMap<String, String> {
    let members = values.into_iter().flatten().filter_map(Value::as_object);
    let texts = members.flatten().filter_map(|(key, value)| match value {
        Value::String(text) => Some((key.clone(), text.clone())),
        Value::Number(number) => Some((key.clone(), number.to_string())),
        _ => None,
    });
    texts.collect()
}

/// Returns the lines on which members of these names begin first, from 1.
fn lines_of_json(text: &str) -> HashMap<String, usize> {
    let (mut lines, mut line, mut rest) = (HashMap::new(), 1, text);
    while let Some(at) = rest.find(['"', '\n']) {
        let after = &rest[at + 1..];
        if rest[at..].starts_with('\n') {
            (line, rest) = (line + 1, after);
            continue;
        }
        let end = end_of_string(after.as_bytes());
        let (inside, behind) = (&after[..end], after.get(end + 1..).unwrap_or_default());
        if behind.trim_start().starts_with(':') {
            let quoted = &rest[at..(at + end + 2).min(rest.len())];
            if let Ok(name) = serde_json::from_str(quoted) {
                lines.entry(name).or_insert(line);
            }
        }
        line += inside.matches('\n').count();
        rest = behind;
    }
    lines
}

/// Returns where the quote that closes a string is, or the end.
fn end_of_string(bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

fn lines_of_toml(text: &str) -> HashMap<String, usize> {
    let mut lines = HashMap::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        let name = match line.strip_prefix('[') {
            Some(table) => {
                let table = table.trim_matches(['[', ']']).trim();
                table.split_once('.').map_or(table, |(_, name)| name)
            }
            None => line.split_once('=').map_or("", |(name, _)| name),
        };
        let name = name.trim().trim_matches(['"', '\'']);
        lines.entry(name.to_owned()).or_insert(at + 1);
    }
    lines
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
                at += 2 + end_of_string(&bytes[at + 1..]);
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
        match read(text, Form::Json) {
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
            (
                r#"{"mcp":{"f":{"type":"local","command":["x","y"]}}}"#,
                "f@1",
            ),
            (r#"{"amp.mcpServers":{"g":{"command":"x"}}}"#, "g@1"),
            (
                r#"{"experimental":{"modelContextProtocolServers":[{"name":"h","transport":{"type":"stdio","command":"x"}}]}}"#,
                "h@0",
            ),
            (
                r#"{"name":"b","server":{"mcp_config":{"command":"x"}}}"#,
                "mcp_config@1",
            ),
            (r#"{"extensions":{"i":{"cmd":"x"},"j":{"on":true}}}"#, "i@1"),
            (r#"{"k":{"command":"x"},"l":{"text":"t"}}"#, "k@1"),
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
        } = read(text, Form::Json).unwrap().remove(0).way
        else {
            panic!("it is a process");
        };
        assert_eq!(
            (program.as_str(), arguments),
            ("x//y", vec!["1".to_owned()])
        );
        assert_eq!(names("{,"), "it is not JSON: line 1, column 2");
    }

    #[test]
    fn servers_of_codex_are_read_from_toml() {
        let text = "model = \"m\"\n[mcp_servers.a]\ncommand = \"npx\"\nargs = [\"-y\", \"x\"]\nenv = { K = \"v\" }\n\n[mcp_servers.\"b c\"]\nurl = \"https://h\"\nbearer_token_env_var = \"T\"\n";
        let servers = read(text, Form::of("~/.codex/config.toml")).unwrap();
        let lines: Vec<_> = servers
            .iter()
            .map(|server| (server.name.as_str(), server.line))
            .collect();
        assert_eq!(lines, [("a", Some(2)), ("b c", Some(7))]);
        assert_eq!(servers[0].command().unwrap(), ["npx", "-y", "x"]);
        let Way::Remote { signs_in, .. } = servers[1].way else {
            panic!("it is reached");
        };
        assert!(signs_in);
        let broken = read("a = 1\nb = [", Form::Toml).unwrap_err();
        assert!(broken.to_string().starts_with("it is not TOML: line 2"));
    }

    #[test]
    fn programs_and_arguments_are_read_as_clients_write_them() {
        for entry in [
            r#"{"command":"x","args":["y","z"]}"#,
            r#"{"command":["x","y","z"]}"#,
            r#"{"cmd":"x","args":["y","z"]}"#,
            r#"{"command":{"path":"x","args":["y","z"]}}"#,
            r#"{"transport":{"type":"stdio","command":"x","args":["y","z"]}}"#,
            r#"{"command":"x y","args":["z"]}"#,
        ] {
            let text = format!(r#"{{"mcpServers":{{"s":{entry}}}}}"#);
            let servers = read(&text, Form::Json).unwrap();
            assert_eq!(servers[0].command().unwrap(), ["x", "y", "z"], "{entry}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(?s).{0,200}") {
            let _ = read(&text, Form::Json);
            let _ = read(&text, Form::Toml);
        }

        /// What looks like a configuration is read to its end, and what is found in it judged.
        #[test]
        fn arbitrary_configurations_never_panic(
            words in proptest::collection::vec("[-a-z0-9./:@=$~ \u{202e}]{0,12}", 0..6),
            key in "(mcpServers|servers|mcp|extensions|mcp_servers|x)",
            way in "(command|cmd|url|uri|transport|type)",
            value in "[ -~]{0,20}",
        ) {
            let entry = serde_json::json!({
                way: value.clone(), "args": words, "env": {"API_TOKEN": value}, "headers": {"k": value},
            });
            let file = serde_json::json!({ key: {"s": entry} });
            for server in read(&file.to_string(), Form::Json).unwrap() {
                for finding in crate::scan::launches("f", &server) {
                    prop_assert!(!finding.message.is_empty());
                }
            }
        }

        #[test]
        fn json_stays_what_it_is(text in r#"(\{"mcpServers":\{"[a-z/*,]{1,6}":\{"command":"[/*, a-z]{0,8}"\}\}\})"#) {
            prop_assert_eq!(without_comments(&text), text);
        }
    }
}
