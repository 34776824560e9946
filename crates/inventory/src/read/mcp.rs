//! Configurations of MCP clients, and `server.json` of the MCP registry.
//!
//! What a configuration would start is read from its command; nothing is started.

use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde_json::Value;

use crate::component::{Component, Ecosystem, Inventory, Scope, bounded};

use super::{Unread, flat_brackets};

/// Reads a configuration, with comments and trailing commas as editors allow them.
pub(super) fn config(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    flat_brackets(text)?;
    let document: Value = parse_to_serde_value(text, &ParseOptions::default())?;
    if document_known(&document, place, into) {
        return Ok(());
    }
    Err(Unread("it names no MCP servers".to_owned()))
}

/// Reads settings of an editor, which may have nothing to do with MCP.
pub(super) fn settings(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    flat_brackets(text)?;
    let document: Value = parse_to_serde_value(text, &ParseOptions::default())?;
    document_known(&document, place, into);
    Ok(())
}

/// Takes a document in if it names MCP servers.
pub(super) fn document(document: &Value, place: &str, into: &mut Inventory) -> bool {
    document_known(document, place, into)
}

fn document_known(document: &Value, place: &str, into: &mut Inventory) -> bool {
    let schema = document.get("$schema").and_then(Value::as_str);
    let is_server = schema.is_some_and(|s| s.contains("/server.schema.json"))
        || (document.get("name").is_some()
            && document.get("packages").is_some_and(Value::is_array));
    if is_server {
        server(document, place, into);
        return true;
    }
    let places = [
        "/mcpServers",
        "/servers",
        "/mcp/servers",
        "/mcp/mcpServers",
        "/mcp",
        "/context_servers",
    ];
    for at in places {
        let Some(servers) = document.pointer(at).and_then(Value::as_object) else {
            continue;
        };
        let looks = |s: &Value| s.get("command").is_some() || s.get("url").is_some();
        if !servers.is_empty() && !servers.values().any(looks) {
            continue;
        }
        for (name, server) in servers {
            launch(server, &format!("{place}#{name}"), into);
        }
        return true;
    }
    false
}

fn launch(server: &Value, place: &str, into: &mut Inventory) {
    if let Some(url) = server.get("url").or_else(|| server.get("serverUrl")) {
        let host = url.as_str().and_then(|url| url.split("://").nth(1));
        let host = host.map_or("", |rest| {
            rest.split(['/', '?', '#']).next().unwrap_or_default()
        });
        // What stands before the `@` may be a secret.
        let host = host.rsplit('@').next().unwrap_or_default();
        into.gap(
            place,
            format!(
                "the remote server `{}` does not say what it is made of",
                bounded(host)
            ),
        );
        return;
    }
    let mut words: Vec<String> = match server.get("command") {
        Some(Value::String(line)) => line.split_whitespace().map(str::to_owned).collect(),
        Some(Value::Array(words)) => words
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    };
    let arguments = server.get("args").and_then(Value::as_array);
    words.extend(
        arguments
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned),
    );
    match started(&words) {
        Some((ecosystem, package)) => {
            let (name, version) = split(&ecosystem, &package);
            let component = Component::new(ecosystem, &name, version.as_deref(), place);
            into.add(component.scoped(Scope::Direct));
        }
        None => {
            let program = words.first().map_or("nothing", String::as_str);
            into.gap(
                place,
                format!("what `{}` starts is not known", bounded(program)),
            );
        }
    }
}

/// Returns the package that a command line would fetch and start.
fn started(words: &[String]) -> Option<(Ecosystem, String)> {
    let program = words.first()?;
    let program = program.rsplit(['/', '\\']).next().unwrap_or(program);
    let program = program.trim_end_matches(".cmd").trim_end_matches(".exe");
    let rest = &words[1..];
    match program {
        "cmd" => {
            let rest: Vec<String> = rest
                .iter()
                .filter(|w| !w.starts_with('/'))
                .cloned()
                .collect();
            started(&rest)
        }
        "env" => {
            let rest: Vec<String> = rest
                .iter()
                .skip_while(|w| w.contains('='))
                .cloned()
                .collect();
            started(&rest)
        }
        "npx" | "bunx" => Some((Ecosystem::Npm, package(rest, &["-p", "--package"])?)),
        "npm" | "pnpm" | "yarn" | "bun" => {
            let verb = rest.first()?.as_str();
            let rest = &rest[1..];
            matches!(verb, "exec" | "dlx" | "x")
                .then(|| package(rest, &["--package"]))?
                .map(|p| (Ecosystem::Npm, p))
        }
        "uvx" | "pipx" => {
            let rest = rest.strip_prefix(&["run".to_owned()]).unwrap_or(rest);
            Some((Ecosystem::PyPi, package(rest, &["--from", "--spec"])?))
        }
        "uv" => {
            let rest = rest.strip_prefix(&["tool".to_owned(), "run".to_owned()])?;
            Some((Ecosystem::PyPi, package(rest, &["--from"])?))
        }
        "docker" | "podman" => Some((Ecosystem::Oci, image(rest)?)),
        _ => None,
    }
}

/// Returns the first word that is no option, or the value of an option that names it.
fn package(words: &[String], naming: &[&str]) -> Option<String> {
    let mut words = words.iter();
    let mut first = None;
    while let Some(word) = words.next() {
        if naming.contains(&word.as_str()) {
            return words.next().cloned();
        }
        let named = naming
            .iter()
            .find_map(|n| word.strip_prefix(&format!("{n}=")));
        if let Some(package) = named {
            return Some(package.to_owned());
        }
        if matches!(
            word.as_str(),
            "--python" | "--with" | "--index-url" | "--registry" | "-c"
        ) {
            words.next();
        } else if !word.starts_with('-') {
            first = Some(word.clone());
            break;
        }
    }
    first
}

/// Returns the image of `docker run`.
fn image(words: &[String]) -> Option<String> {
    let mut words = words.iter().skip_while(|word| *word != "run").skip(1);
    // Options of `docker run` without a value.
    let flags = [
        "-i",
        "-t",
        "-it",
        "-ti",
        "-d",
        "--rm",
        "--init",
        "--privileged",
        "--read-only",
        "-P",
    ];
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            return Some(word.clone());
        }
        if !flags.contains(&word.as_str()) && !word.contains('=') && !word.starts_with("--pull") {
            words.next();
        }
    }
    None
}

/// Splits a package into its name and the exact version, if it names one.
fn split(ecosystem: &Ecosystem, package: &str) -> (String, Option<String>) {
    let (name, version) = match ecosystem {
        Ecosystem::PyPi => {
            let (name, version) = package
                .split_once("==")
                .or_else(|| package.split_once('@'))
                .map_or((package, None), |(n, v)| (n, Some(v)));
            (name.split('[').next().unwrap_or(name), version)
        }
        Ecosystem::Oci => match package.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            // A tag can be moved.
            None => (package, None),
        },
        _ => {
            let at = package.get(1..).and_then(|rest| rest.find('@'));
            at.map_or((package, None), |at| {
                (&package[..=at], Some(&package[at + 2..]))
            })
        }
    };
    let exact = |v: &&str| {
        v.starts_with("sha256:")
            || (v.starts_with(|c: char| c.is_ascii_digit()) && !v.contains(['*', 'x', ' ']))
    };
    (name.to_owned(), version.filter(exact).map(str::to_owned))
}

/// Reads `server.json` (schema 2025-12-11 and the ones before).
fn server(document: &Value, place: &str, into: &mut Inventory) {
    let text = |value: &Value, names: &[&str]| {
        names
            .iter()
            .find_map(|name| value.get(*name)?.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    into.own.push(bounded(&text(document, &["name"])));
    let packages = document.get("packages").and_then(Value::as_array);
    for package in packages.into_iter().flatten() {
        let kind = text(package, &["registryType", "registry_type", "registry_name"]);
        let ecosystem = match kind.as_str() {
            "npm" => Ecosystem::Npm,
            "pypi" => Ecosystem::PyPi,
            "nuget" => Ecosystem::NuGet,
            "cargo" => Ecosystem::Cargo,
            "oci" | "docker" => Ecosystem::Oci,
            other => Ecosystem::Other(bounded(other)),
        };
        let name = text(package, &["identifier", "name"]);
        let version = text(package, &["version"]);
        // Repositories keep templates such as `${VERSION}`.
        let version = Some(version).filter(|v| !v.is_empty() && !v.contains('$') && v != "latest");
        let component = Component::new(ecosystem, &name, version.as_deref(), place);
        into.add(component.scoped(Scope::Direct));
    }
    let remotes = document.get("remotes").and_then(Value::as_array);
    if remotes.is_some_and(|r| !r.is_empty()) {
        into.gap(place, "its remote servers do not say what they are made of");
    }
}
