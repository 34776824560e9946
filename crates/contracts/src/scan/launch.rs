//! How servers are started and reached.

use std::collections::BTreeMap;

use airside_base::Finding;
use airside_screen::{Group, Groups, card::About};
use url::{Host, Url};

use super::{
    client::{Server, Way},
    pinned::unpinned,
    rule,
};

/// Returns what is wrong with the way in which a client starts or reaches `server`.
/// `file` is where that stands.
#[must_use]
pub fn launches(file: &str, server: &Server) -> Vec<Finding> {
    let mut found = Vec::new();
    match &server.way {
        Way::Process { env, .. } => {
            let words = server.command().unwrap_or_default();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let mut judge = Judge {
                server: &server.name,
                found: &mut found,
            };
            judge.shell(&words);
            judge.versions(&words);
            judge.container(&words);
            judge.binds(&words, env.values().map(String::as_str));
            judge.addresses(&words);
            judge.checks(&words, env);
            judge.hidden(
                words
                    .iter()
                    .copied()
                    .chain(env.values().map(String::as_str)),
            );
            judge.secrets(
                &words,
                env.iter()
                    .map(|(key, value)| (key.as_str(), value.as_str())),
            );
        }
        Way::Remote {
            url,
            headers,
            signs_in,
        } => {
            let mut judge = Judge {
                server: &server.name,
                found: &mut found,
            };
            let names = headers.keys().map(|name| name.to_lowercase());
            let shown = names.into_iter().any(|name| {
                name == "authorization" || name.contains("key") || name.contains("token")
            });
            judge.remote(url, *signs_in || shown);
            judge.hidden(headers.values().map(String::as_str).chain([url.as_str()]));
            judge.secrets(
                &[url.as_str()],
                headers
                    .iter()
                    .map(|(key, value)| (key.as_str(), value.as_str())),
            );
        }
        Way::Unknown => found.push(rule("unreadable").finding(
            &server.name,
            "neither a program nor a URL is named".to_owned(),
            "way",
        )),
    }
    if server.approved.iter().any(|tool| tool == "*") {
        found.push(rule("auto-approved").finding(
            &server.name,
            "all its tools are called without asking".to_owned(),
            "*",
        ));
    }
    found
        .into_iter()
        .map(|finding| finding.at(file, server.line))
        .collect()
}

/// The name of a program without its folder and ending.
pub(super) fn base(program: &str) -> String {
    let name = program
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or(program)
        .to_lowercase();
    let ended = [".exe", ".cmd", ".bat"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    ended.unwrap_or(&name).to_owned()
}

/// The command that another one only prepares for.
fn behind<'w>(words: &'w [&'w str]) -> &'w [&'w str] {
    let named = |at: usize| words.get(at).map(|word| base(word));
    let (options, assigns): (&[&str], _) = match (named(0).as_deref(), named(1).as_deref()) {
        (Some("uv"), Some("run")) => (&["--with", "--python", "-p", "--directory"], false),
        (Some("env"), _) => (&["-u", "-C"], true),
        _ => return words,
    };
    let mut at = if assigns { 1 } else { 2 };
    while let Some(word) = words.get(at) {
        match *word {
            word if options.contains(&word) => at += 2,
            word if word.starts_with('-') || assigns && word.contains('=') => at += 1,
            _ => break,
        }
    }
    words.get(at..).unwrap_or_default()
}

struct Judge<'a> {
    server: &'a str,
    found: &'a mut Vec<Finding>,
}

impl Judge<'_> {
    fn add(&mut self, id: &str, message: String, what: &str) {
        self.found
            .push(rule(id).finding(self.server, message, what));
    }

    fn shell(&mut self, words: &[&str]) {
        let Some((program, arguments)) = behind(words).split_first() else {
            return;
        };
        let name = base(program);
        let code = match name.as_str() {
            "sh" | "bash" | "dash" | "zsh" | "fish" | "ksh" => Some("-c"),
            "cmd" => Some("/c"),
            "powershell" | "pwsh" => Some("-command"),
            "python" | "python3" => Some("-c"),
            "node" | "bun" | "deno" | "ruby" | "perl" => Some("-e"),
            _ => None,
        };
        let has = |flag: &str| arguments.iter().any(|word| word.eq_ignore_ascii_case(flag));
        // `cmd /c npx …` is how npm's programs are started on Windows.
        let npx = name == "cmd" && arguments.get(1).is_some_and(|next| base(next) == "npx");
        if let Some(flag) = code
            && has(flag)
            && !npx
        {
            self.add("shell-launch", format!("`{name} {flag}` runs a text"), flag);
        }
        let pipes = ["$(", "`", "&&", "||", "| sh", "| bash", "|sh", "|bash"];
        let piped = words
            .iter()
            .find(|word| pipes.iter().any(|pipe| word.contains(pipe)));
        if piped.is_some() {
            self.add(
                "shell-launch",
                "an argument is a command line of its own".to_owned(),
                "pipe",
            );
        }
    }

    fn versions(&mut self, words: &[&str]) {
        for found in unpinned(words) {
            self.add(
                "unpinned",
                format!("`{found}` names no exact version"),
                &found,
            );
        }
    }

    fn container(&mut self, words: &[&str]) {
        if !words.first().is_some_and(|word| is_engine(word)) {
            return;
        }
        let dangerous = words.iter().find(|word| {
            matches!(
                **word,
                "--privileged"
                    | "--net=host"
                    | "--network=host"
                    | "--pid=host"
                    | "--cap-add=ALL"
                    | "--cap-add=SYS_ADMIN"
                    | "seccomp=unconfined"
                    | "--security-opt=seccomp=unconfined"
            ) || word.contains("docker.sock")
                || word.contains("source=/,")
                || word.contains("src=/,")
                || word.contains("podman.sock")
                || ["/:", "~:", "~/:", "$HOME:", "${HOME}:"]
                    .iter()
                    .any(|root| word.starts_with(root))
        });
        let host = words.windows(2).find(|pair| {
            let host = matches!(pair[0], "--net" | "--network" | "--pid") && pair[1] == "host";
            host || pair[0] == "--cap-add" && matches!(pair[1], "ALL" | "SYS_ADMIN")
        });
        let found = dangerous.copied().or(host.map(|pair| pair[0]));
        if let Some(word) = found {
            self.add("privileged-container", format!("`{word}`"), word);
        }
        // Without an address the engine publishes a port on all of them.
        for pair in words.windows(2) {
            let published = match pair[0] {
                "-p" | "--publish" => Some(pair[1]),
                _ => pair[1]
                    .strip_prefix("--publish=")
                    .or_else(|| pair[1].strip_prefix("-p")),
            };
            let Some(port) =
                published.filter(|port| port.starts_with(|c: char| c.is_ascii_digit()))
            else {
                continue;
            };
            if port.matches(':').count() <= 1 && !port.starts_with("127.") {
                self.add(
                    "broad-bind",
                    format!("port {port} is published on every address"),
                    port,
                );
            }
        }
    }

    fn binds<'w>(&mut self, words: &[&'w str], values: impl Iterator<Item = &'w str>) {
        let all = words.iter().copied().chain(values);
        let broad = |text: &str| {
            text.split(['=', ',', ' ']).any(|part| {
                part == "0.0.0.0"
                    || part == "::"
                    || part == "[::]"
                    || part.starts_with("0.0.0.0:")
                    || part.starts_with("[::]:")
                    || part.contains("//0.0.0.0")
                    // As Go has it.
                    || part.strip_prefix(':').is_some_and(is_port)
            })
        };
        for text in all {
            if broad(text) {
                self.add(
                    "broad-bind",
                    "an argument or variable names 0.0.0.0 or ::".to_owned(),
                    "bind",
                );
                return;
            }
        }
    }

    /// What switches protection off.
    fn checks(&mut self, words: &[&str], env: &BTreeMap<String, String>) {
        let flags = ["--insecure", "--no-verify-ssl", "--skip-tls-verify"];
        let off = words.iter().find(|word| flags.contains(word));
        let is = |name: &str, values: &[&str]| {
            let value = env.get(name).map(|value| value.to_lowercase());
            value.is_some_and(|value| values.contains(&value.as_str()))
        };
        let tls = [
            ("NODE_TLS_REJECT_UNAUTHORIZED", ["0", "false"]),
            ("PYTHONHTTPSVERIFY", ["0", "false"]),
        ];
        let tls = tls.into_iter().find(|(name, values)| is(name, values));
        if let Some(word) = off.copied().or(tls.map(|(name, _)| name)) {
            self.add(
                "unchecked-certificate",
                format!("`{word}` accepts every certificate"),
                word,
            );
        }
        if words.contains(&"--allow-http") {
            self.add(
                "plain-http",
                "`--allow-http` lets calls travel in the clear".to_owned(),
                "--allow-http",
            );
        }
        if is("DANGEROUSLY_OMIT_AUTH", &["1", "true"]) {
            self.add(
                "no-authentication",
                "`DANGEROUSLY_OMIT_AUTH` lets anybody in".to_owned(),
                "DANGEROUSLY_OMIT_AUTH",
            );
        }
    }

    /// Characters that people do not see, in what is started or reached, and in its name.
    fn hidden<'w>(&mut self, mut texts: impl Iterator<Item = &'w str>) {
        let groups = Groups::NONE.with(Group::Hidden);
        let hides = |text: &str| !airside_screen::text(text, groups, &|| About::Nothing).is_empty();
        if hides(self.server) || texts.any(hides) {
            self.add(
                "hidden-text",
                "its name, command, address or a value has characters that people do not see"
                    .to_owned(),
                "entry",
            );
        }
    }

    /// URLs among the arguments, such as those of programs that carry calls elsewhere.
    fn addresses(&mut self, words: &[&str]) {
        for word in words {
            if let Ok(url) = Url::parse(word)
                && url.scheme() == "http"
                && !is_loopback(&url)
            {
                let host = url.host_str().unwrap_or_default();
                self.add(
                    "plain-http",
                    format!("calls to {host} are not encrypted"),
                    host,
                );
            }
        }
    }

    /// `shown` says that the client has credentials for it.
    fn remote(&mut self, text: &str, shown: bool) {
        let Ok(url) = Url::parse(text) else {
            // Clients fill in variables when they start.
            if !text.contains('$') {
                self.add("unreadable", "the URL cannot be read".to_owned(), "url");
            }
            return;
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        let local = is_loopback(&url);
        if url.scheme() == "http" && !local {
            self.add(
                "plain-http",
                format!("calls to {host} are not encrypted"),
                &host,
            );
        }
        if matches!(url.host(), Some(Host::Ipv4(ip)) if ip.is_unspecified()) {
            self.add(
                "broad-bind",
                "the server is reached at 0.0.0.0".to_owned(),
                "bind",
            );
        }
        if shown {
            return;
        }
        match local {
            true => self.add(
                "dns-rebinding",
                format!("{host} asks for no credentials: a page in a browser may reach it unless the server checks Host and Origin"),
                "local",
            ),
            false => self.add(
                "no-authentication",
                format!("the file has no credentials for {host}; unless the client signs in, anybody can use it"),
                &host,
            ),
        }
    }

    fn secrets<'w>(&mut self, words: &[&str], named: impl Iterator<Item = (&'w str, &'w str)>) {
        let secret = |text: &str| {
            let groups = Groups::NONE.with(Group::Secret);
            airside_screen::text(text, groups, &|| About::Nothing)
                .into_iter()
                .next()
        };
        let mut place = Vec::new();
        for (at, word) in words.iter().enumerate() {
            let by_name = word
                .split_once('=')
                .is_some_and(|(name, value)| is_literal_secret(name, value));
            let after =
                at > 0 && words[at - 1].starts_with('-') && is_literal_secret(words[at - 1], word);
            // A header, as programs that carry calls elsewhere take it.
            let header = word
                .split_once(':')
                .is_some_and(|(name, value)| is_secret_header(name, value));
            let in_url = Url::parse(word).is_ok_and(|url| {
                url.password()
                    .is_some_and(|password| is_literal_secret("password", password))
            });
            if secret(word).is_some() || by_name || after || header || in_url {
                place.push((format!("argument {at}"), (*word).to_owned()));
            }
        }
        for (name, value) in named {
            let header = is_secret_header(name, value);
            if secret(value).is_some() || header || is_literal_secret(name, value) {
                place.push((format!("`{name}`"), value.to_owned()));
            }
        }
        for (place, value) in place {
            self.add("secret", format!("{place} is a secret in clear"), &value);
        }
    }
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether a header with this value shows a secret.
fn is_secret_header(name: &str, value: &str) -> bool {
    // Behind its scheme.
    let bare = value.trim().rsplit(' ').next().unwrap_or(value);
    name.trim().eq_ignore_ascii_case("authorization") && is_literal_secret("token", bare)
}

/// Whether a value under this name is a secret and not a place for one.
fn is_literal_secret(name: &str, value: &str) -> bool {
    let name = name.to_lowercase();
    let words = [
        "token",
        "secret",
        "password",
        "passwd",
        "api_key",
        "apikey",
        "api-key",
        "access_key",
        "private_key",
    ];
    let endings = ["_key", "-key", "_pat", "_pass", "_credentials"];
    let named = words.iter().any(|word| name.contains(word))
        || endings.iter().any(|end| name.ends_with(end)) && !name.contains("public");
    let value = value.trim();
    let lower = value.to_lowercase();
    let placeholders = [
        "your",
        "example",
        "changeme",
        "xxxx",
        "...",
        "placeholder",
        "replace",
        "insert",
        "dummy",
    ];
    let placeholder = value.len() < 8
        || value.starts_with(['$', '<', '{', '/', '~', '%'])
        || value.contains("${")
        || placeholders.iter().any(|word| lower.contains(word))
        || lower.starts_with("http");
    named && !placeholder && value.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

pub(super) fn is_engine(word: &str) -> bool {
    matches!(base(word).as_str(), "docker" | "podman" | "nerdctl")
}

#[cfg(test)]
mod tests;
