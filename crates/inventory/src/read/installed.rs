//! Installed packages: `site-packages` of Python and `node_modules` of JavaScript.

use serde_json::Value;

use crate::component::{Component, Ecosystem, Inventory, Origin};

use super::{Unread, npm, shallow, survey::folder};

/// A file of an installed package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `METADATA` or `PKG-INFO`: a head of mail with name and version.
    Python,
    /// `direct_url.json`: where a package of Python came from, if not from a registry
    /// (PEP 610).
    Source,
    /// `package.json` of a package in `node_modules`.
    Node,
}

impl Form {
    /// Tells which file of an installed package lies at `path`.
    pub(super) fn of(path: &str) -> Option<Self> {
        let mut parts = path.rsplit('/');
        let name = parts.next()?;
        let above = parts.next().unwrap_or_default();
        match name {
            "METADATA" if above.ends_with(".dist-info") => Some(Self::Python),
            "direct_url.json" if above.ends_with(".dist-info") => Some(Self::Source),
            // Elsewhere it describes the project in whose folder it lies.
            "PKG-INFO" if in_site(path) => {
                let egg = above == "EGG-INFO" || above.ends_with(".egg-info");
                egg.then_some(Self::Python)
            }
            "package.json" => {
                let mut holder = parts.next()?;
                if holder.starts_with('@') {
                    holder = parts.next()?;
                }
                let package = !above.is_empty() && !above.starts_with(['.', '@']);
                (package && holder == "node_modules").then_some(Self::Node)
            }
            // distutils wrote one file where setuptools writes a folder.
            _ if name.ends_with(".egg-info") && in_site(path) => Some(Self::Python),
            _ => None,
        }
    }
}

fn in_site(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "site-packages" || part == "dist-packages")
}

/// Returns the outermost folder of installed packages that `path` lies in.
pub(super) fn tree(path: &str) -> &str {
    let mut end = 0;
    for part in path.split('/') {
        end += part.len();
        if matches!(part, "node_modules" | "site-packages" | "dist-packages") {
            return &path[..end];
        }
        end += 1;
    }
    // A package beside the program that uses it (`pip install --target`).
    folder(folder(path))
}

/// Returns the folder that the package at `path` is installed for.
pub(super) fn project(path: &str) -> &str {
    let tree = tree(path);
    let named = |name: &str| tree == name || tree.ends_with(&format!("/{name}"));
    if ["node_modules", "site-packages", "dist-packages"]
        .iter()
        .any(|name| named(name))
    {
        folder(tree)
    } else {
        tree
    }
}

/// Reads the file of an installed package that names it.
pub(super) fn read(form: Form, content: &[u8], place: &str) -> Inventory {
    let mut inventory = Inventory::default();
    let text = String::from_utf8_lossy(content);
    let done = match form {
        Form::Python => python(&text, place, &mut inventory),
        Form::Node => node(&text, place, &mut inventory),
        Form::Source => Ok(()),
    };
    match done {
        Ok(()) => {}
        Err(Unread(why)) => inventory.gap(place, format!("it cannot be read: {why}")),
    }
    inventory
}

/// Reads the head of a metadata file (core metadata 2.4): fields up to an empty line.
fn python(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let field = |wanted: &str| {
        let head = text.lines().take_while(|line| !line.trim().is_empty());
        let mut fields = head.filter_map(|line| line.split_once(':'));
        let found = fields.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found
            .map(|(_, value)| value.trim())
            .filter(|v| !v.is_empty())
    };
    let name = field("Name").ok_or_else(|| Unread("it names no package".to_owned()))?;
    into.add(Component::new(
        Ecosystem::PyPi,
        name,
        field("Version"),
        place,
    ));
    Ok(())
}

/// Reads where an installed package of Python came from.
pub(super) fn source(content: &[u8]) -> Option<Origin> {
    let text = std::str::from_utf8(content).ok()?;
    shallow(text).ok()?;
    let said: Value = serde_json::from_str(text).ok()?;
    let url = said.get("url").and_then(Value::as_str).unwrap_or_default();
    Some(if said.get("vcs_info").is_some() {
        Origin::Repository
    } else if said.get("dir_info").is_some() {
        Origin::Local
    } else if url.starts_with("file:") {
        // A wheel that somebody carried here. Its name is that of the registry: images
        // are often built so.
        Origin::Registry
    } else {
        Origin::OtherRegistry
    })
}

fn node(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    shallow(text)?;
    let package: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))?;
    let field = |name: &str| package.get(name).and_then(Value::as_str);
    let folder = folder(place);
    let installed_as = folder
        .rsplit_once("node_modules/")
        .map_or(folder, |(_, name)| name);
    let name = field("name").filter(|name| !name.is_empty());
    let version = field("version").filter(|version| !version.is_empty());
    // npm before version 7 wrote where it found the package into it.
    let origin = npm::origin(None, field("_resolved"));
    let component = Component::new(Ecosystem::Npm, name.unwrap_or(installed_as), version, place);
    into.add(component.from_origin(origin));
    Ok(())
}
