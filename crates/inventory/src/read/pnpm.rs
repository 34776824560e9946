//! `pnpm-lock.yaml`, versions 5 to 9, and `yarn.lock` of Yarn 2 and later.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use crate::component::{Component, Ecosystem, Inventory, Origin, Scope};

use super::{Unread, npm};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lock {
    #[serde(default)]
    importers: BTreeMap<String, Importer>,
    #[serde(default)]
    dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    packages: BTreeMap<String, Package>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Importer {
    dependencies: BTreeMap<String, Value>,
    optional_dependencies: BTreeMap<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Package {
    name: Option<String>,
    version: Option<String>,
    dev: bool,
    resolution: BTreeMap<String, Value>,
}

pub(super) fn lock(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let lock: Lock = serde_saphyr::from_str(text)?;
    let importers = lock.importers.values();
    let direct: HashSet<&str> = importers
        .flat_map(|i| i.dependencies.keys().chain(i.optional_dependencies.keys()))
        .chain(lock.dependencies.keys())
        .chain(lock.optional_dependencies.keys())
        .map(String::as_str)
        .collect();
    for (key, package) in &lock.packages {
        let (name, version) = split_key(key);
        let name = package.name.as_deref().or(name);
        let Some(name) = name else {
            into.gap(place, format!("the entry `{key}` names no package"));
            continue;
        };
        let text = |member: &str| package.resolution.get(member).and_then(Value::as_str);
        let origin = if text("type") == Some("git") || text("commit").is_some() {
            Origin::Repository
        } else if text("type") == Some("directory") || text("directory").is_some() {
            Origin::Local
        } else {
            npm::origin(version, text("tarball"))
        };
        let version = package.version.as_deref().or(version);
        let scope = match (package.dev, direct.contains(name)) {
            (true, _) => Scope::Development,
            (false, true) => Scope::Direct,
            (false, false) => Scope::Transitive,
        };
        into.add(
            Component::new(Ecosystem::Npm, name, version, &format!("{place}#{key}"))
                .scoped(scope)
                .from_origin(origin),
        );
    }
    Ok(())
}

/// Splits `/name/1.0.0_peer`, `/name@1.0.0(peer@2)`, and `name@1.0.0`.
fn split_key(key: &str) -> (Option<&str>, Option<&str>) {
    let key = key.split_once('(').map_or(key, |(head, _)| head);
    let old = key.starts_with('/');
    let key = key.strip_prefix('/').unwrap_or(key);
    // The `@` of a scope stands at the start.
    let at = key
        .get(1..)
        .and_then(|rest| rest.find('@'))
        .map(|at| at + 1);
    // In `/a/1.0.0_peer@2.0.0` the `@` belongs to the peer: the name has its slash.
    let slashes = usize::from(key.starts_with('@'));
    if let Some(at) = at.filter(|at| key[..*at].matches('/').count() <= slashes) {
        return (Some(&key[..at]), Some(&key[at + 1..]));
    }
    if !old {
        return (None, None);
    }
    // A peer begins with `_`, behind the version; names may hold one too.
    let mut digit = key.match_indices('/').map(|(at, _)| at + 1);
    let version = digit.find(|at| key[*at..].starts_with(|c: char| c.is_ascii_digit()));
    let peer = version.and_then(|at| key[at..].find('_').map(|end| at + end));
    let key = peer.map_or(key, |end| &key[..end]);
    match key.rsplit_once('/') {
        Some((name, version)) => (Some(name), Some(version)),
        None => (None, None),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Berry {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    resolution: Option<String>,
}

pub(super) fn berry(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let lock: BTreeMap<String, Berry> = serde_saphyr::from_str(text)?;
    for (key, entry) in &lock {
        if key == "__metadata" {
            continue;
        }
        let resolution = entry.resolution.as_deref().unwrap_or(key);
        let at = resolution.get(1..).and_then(|rest| rest.find('@'));
        let Some(at) = at.map(|at| at + 1) else {
            into.gap(place, format!("the entry `{key}` names no package"));
            continue;
        };
        let (name, from) = (&resolution[..at], &resolution[at + 1..]);
        let origin = match from.split_once(':').map(|(scheme, _)| scheme) {
            Some("npm" | "patch") | None => Origin::Registry,
            Some("workspace" | "link" | "portal" | "file") => Origin::Local,
            Some(_) => npm::origin(Some(from), Some(from)),
        };
        // A patched package is what the registry holds, and something else.
        let origin = if from.starts_with("patch:") && from.contains("workspace") {
            Origin::Local
        } else {
            origin
        };
        let place = format!("{place}#{key}");
        let component = Component::new(Ecosystem::Npm, name, entry.version.as_deref(), &place);
        into.add(component.from_origin(origin));
    }
    Ok(())
}
