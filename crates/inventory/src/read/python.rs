//! Lock files of Python: requirements, Poetry, uv, PDM, pylock (PEP 751), Pipenv.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::component::{Component, Ecosystem, Inventory, Origin, Scope};

use super::{Unread, shallow};

/// Reads requirements. A line without an exact version gives a component without one.
pub(super) fn requirements(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let mut joined = String::new();
    let mut number = 0;
    for (at, line) in text.lines().enumerate() {
        if joined.is_empty() {
            number = at + 1;
        }
        if let Some(start) = line.strip_suffix('\\') {
            joined.push_str(start);
            if joined.len() <= 1 << 20 {
                continue;
            }
        }
        joined.push_str(line.trim_end_matches('\\'));
        requirement(&joined, &format!("{place}:{number}"), into);
        joined.clear();
    }
    requirement(&joined, &format!("{place}:{number}"), into);
    Ok(())
}

fn requirement(line: &str, place: &str, into: &mut Inventory) {
    let line = match line.find(" #") {
        Some(at) => &line[..at],
        None => line,
    };
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return;
    }
    if let Some(option) = line.strip_prefix('-') {
        let (name, value) = option.split_once([' ', '=']).unwrap_or((option, ""));
        match name {
            "r" | "-requirement" | "c" | "-constraint" => {
                into.gap(
                    place,
                    format!(
                        "it includes `{}`, which is read only if it is named or lies in the folder",
                        value.trim()
                    ),
                );
            }
            "e" | "-editable" => from_url(value.trim(), place, into),
            _ => {}
        }
        return;
    }
    let line = line.split_once(" --hash").map_or(line, |(head, _)| head);
    let line = line.split_once(';').map_or(line, |(head, _)| head).trim();
    if let Some((name, url)) = line.split_once(" @ ") {
        let name = name.split('[').next().unwrap_or_default().trim();
        into.add(
            Component::new(Ecosystem::PyPi, name, None, place).from_origin(of_url(url.trim())),
        );
        return;
    }
    if line.contains("://") || line.starts_with('.') || line.starts_with('/') {
        from_url(line, place, into);
        return;
    }
    let end = line
        .find(|c: char| !c.is_alphanumeric() && !"-_.".contains(c))
        .unwrap_or(line.len());
    let (name, rest) = line.split_at(end);
    if name.is_empty() {
        into.gap(place, "the line is no requirement");
        return;
    }
    let rest = rest.trim();
    let rest = match rest.strip_prefix('[') {
        Some(extras) => extras.split_once(']').map_or("", |(_, rest)| rest).trim(),
        None => rest,
    };
    let exact = rest
        .strip_prefix("===")
        .or_else(|| rest.strip_prefix("=="))
        .map(str::trim)
        .filter(|version| !version.contains([',', '*', ' ']));
    let component = Component::new(Ecosystem::PyPi, name, exact, place);
    into.add(component.scoped(Scope::Unstated));
}

fn from_url(url: &str, place: &str, into: &mut Inventory) {
    let name = url
        .split_once("egg=")
        .map(|(_, name)| name.split(['&', '[']).next().unwrap_or_default());
    match name {
        Some(name) => {
            into.add(Component::new(Ecosystem::PyPi, name, None, place).from_origin(of_url(url)));
        }
        None if of_url(url) == Origin::Local => into.own.push(crate::component::bounded(url)),
        None => into.gap(place, "the address names no package"),
    }
}

fn of_url(url: &str) -> Origin {
    let schemes = ["git+", "hg+", "svn+", "bzr+"];
    if schemes.iter().any(|scheme| url.starts_with(scheme)) {
        Origin::Repository
    } else if url.contains("://") && !url.starts_with("file:") {
        Origin::OtherRegistry
    } else {
        Origin::Local
    }
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
    /// PEP 751 has the plural.
    #[serde(default)]
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    source: Option<BTreeMap<String, toml::Value>>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    groups: Option<Vec<String>>,
    #[serde(default)]
    git: Option<String>,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    vcs: Option<toml::Value>,
    #[serde(default)]
    directory: Option<toml::Value>,
    #[serde(default)]
    archive: Option<toml::Value>,
}

/// Reads `poetry.lock`, `uv.lock`, `pdm.lock` and `pylock.toml`, which list packages
/// alike and differ in how they write the source.
pub(super) fn lock(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let lock: Lock = toml::from_str(text)?;
    for package in lock.package.iter().chain(&lock.packages) {
        let origin = package.origin();
        let development = package.category.as_deref() == Some("dev")
            || package.groups.as_ref().is_some_and(|groups| {
                !groups.is_empty() && groups.iter().all(|g| g != "main" && g != "default")
            });
        let scope = if development {
            Scope::Development
        } else {
            Scope::Unstated
        };
        into.add(
            Component::new(
                Ecosystem::PyPi,
                &package.name,
                package.version.as_deref(),
                place,
            )
            .scoped(scope)
            .from_origin(origin),
        );
    }
    Ok(())
}

impl Package {
    fn origin(&self) -> Origin {
        if self.git.is_some() || self.vcs.is_some() {
            return Origin::Repository;
        }
        if self.path.is_some() || self.directory.is_some() {
            return Origin::Local;
        }
        if self.url.is_some() || self.archive.is_some() {
            return Origin::OtherRegistry;
        }
        let Some(source) = &self.source else {
            return Origin::Registry;
        };
        let text = |member: &str| source.get(member).and_then(toml::Value::as_str);
        match text("type") {
            Some("git") => return Origin::Repository,
            Some("directory" | "file") => return Origin::Local,
            Some("url" | "legacy") => return Origin::OtherRegistry,
            _ => {}
        }
        if text("git").is_some() {
            Origin::Repository
        } else if ["editable", "virtual", "directory", "path"]
            .iter()
            .any(|member| source.contains_key(*member))
        {
            Origin::Local
        } else if text("url").is_some()
            || text("registry").is_some_and(|url| !url.contains("pypi.org/"))
        {
            Origin::OtherRegistry
        } else {
            Origin::Registry
        }
    }
}

#[derive(Deserialize)]
struct Pipfile {
    #[serde(default)]
    default: BTreeMap<String, Value>,
    #[serde(default)]
    develop: BTreeMap<String, Value>,
}

pub(super) fn pipfile(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    shallow(text)?;
    let lock: Pipfile = serde_json::from_str(text)?;
    let all = lock.default.iter().map(|entry| (entry, Scope::Unstated));
    let all = all.chain(lock.develop.iter().map(|entry| (entry, Scope::Development)));
    for ((name, entry), scope) in all {
        let version = entry.get("version").and_then(Value::as_str);
        let version = version.and_then(|v| v.strip_prefix("=="));
        let origin = if entry.get("git").is_some() {
            Origin::Repository
        } else if entry.get("path").is_some() {
            Origin::Local
        } else {
            Origin::Registry
        };
        let component = Component::new(Ecosystem::PyPi, name, version, place);
        into.add(component.scoped(scope).from_origin(origin));
    }
    Ok(())
}
