//! `package-lock.json` of npm, versions 1 to 3.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;

use crate::component::{Component, Ecosystem, Inventory, Origin, Scope};

use super::{MAX_DEPTH, Unread, shallow};

#[derive(Deserialize)]
struct Lock {
    name: Option<String>,
    #[serde(default)]
    packages: Option<BTreeMap<String, Package>>,
    #[serde(default)]
    dependencies: Option<BTreeMap<String, Dependency>>,
}

/// An entry of version 2 and 3, keyed by its place in `node_modules`.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Package {
    /// The real name, where the folder has another (an alias).
    name: Option<String>,
    version: Option<String>,
    resolved: Option<Value>,
    link: bool,
    dev: bool,
    dev_optional: bool,
    dependencies: BTreeMap<String, Value>,
    optional_dependencies: BTreeMap<String, Value>,
    dev_dependencies: BTreeMap<String, Value>,
}

/// An entry of version 1, nested as the folders are.
#[derive(Deserialize)]
struct Dependency {
    version: Option<String>,
    #[serde(default)]
    resolved: Option<Value>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    dependencies: Option<BTreeMap<String, Dependency>>,
}

pub(super) fn lock(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    shallow(text)?;
    let lock: Lock = serde_json::from_str(text)?;
    match lock.packages {
        Some(packages) => flat(&packages, place, into),
        None => {
            into.own.extend(lock.name);
            nested(&lock.dependencies.unwrap_or_default(), 0, place, into);
        }
    }
    Ok(())
}

fn flat(packages: &BTreeMap<String, Package>, place: &str, into: &mut Inventory) {
    let root = packages.get("");
    let direct: HashSet<&str> = root
        .into_iter()
        .flat_map(|r| r.dependencies.keys().chain(r.optional_dependencies.keys()))
        .chain(root.into_iter().flat_map(|r| r.dev_dependencies.keys()))
        .map(String::as_str)
        .collect();
    let accepted = accepted(packages);
    for (key, package) in packages {
        let Some((_, folder)) = key.rsplit_once("node_modules/") else {
            // The root, and workspaces beside it.
            let name = package.name.as_deref().unwrap_or(key);
            if !name.is_empty() {
                into.own.push(name.to_owned());
            }
            continue;
        };
        if package.link {
            continue;
        }
        let name = package.name.as_deref().unwrap_or(folder);
        let resolved = package.resolved.as_ref().and_then(Value::as_str);
        let scope = if package.dev || package.dev_optional {
            Scope::Development
        } else if direct.contains(folder) && key.matches("node_modules/").count() == 1 {
            Scope::Direct
        } else {
            Scope::Transitive
        };
        let version = package.version.as_deref();
        let mut component =
            Component::new(Ecosystem::Npm, name, version, &format!("{place}#{key}"))
                .scoped(scope)
                .from_origin(origin(version, resolved));
        component.accepted = accepted.get(key.as_str()).cloned().unwrap_or_default();
        into.add(component);
    }
}

/// Collects which versions the packages above each entry accept. A name means the
/// nearest folder on the way up, as Node.js resolves it.
fn accepted(packages: &BTreeMap<String, Package>) -> HashMap<&str, Vec<String>> {
    let mut found: HashMap<&str, Vec<String>> = HashMap::new();
    for (key, package) in packages {
        let wanted = package
            .dependencies
            .iter()
            .chain(&package.optional_dependencies)
            .chain(&package.dev_dependencies);
        for (name, range) in wanted {
            let Some(range) = range.as_str() else {
                continue;
            };
            let mut at = key.as_str();
            loop {
                let folder = if at.is_empty() {
                    format!("node_modules/{name}")
                } else {
                    format!("{at}/node_modules/{name}")
                };
                if let Some((target, _)) = packages.get_key_value(&folder) {
                    let list = found.entry(target).or_default();
                    if list.len() < 64 && !list.iter().any(|known| known == range) {
                        list.push(crate::component::bounded(range));
                    }
                    break;
                }
                if at.is_empty() {
                    break;
                }
                at = at.rfind("/node_modules/").map_or("", |end| &at[..end]);
            }
        }
    }
    found
}

fn nested(
    dependencies: &BTreeMap<String, Dependency>,
    depth: usize,
    place: &str,
    into: &mut Inventory,
) {
    for (folder, dependency) in dependencies {
        let written = dependency.version.as_deref();
        // An alias is written as `npm:real-name@1.2.3`.
        let aliased = written
            .and_then(|version| version.strip_prefix("npm:"))
            .and_then(|rest| rest.rsplit_once('@'));
        let (name, version) = match aliased {
            Some((name, version)) => (name, Some(version)),
            None => (folder.as_str(), written),
        };
        let resolved = dependency.resolved.as_ref().and_then(Value::as_str);
        let origin = origin(version, resolved);
        let scope = if dependency.dev {
            Scope::Development
        } else {
            Scope::Unstated
        };
        let version =
            version.filter(|_| matches!(origin, Origin::Registry | Origin::OtherRegistry));
        into.add(
            Component::new(Ecosystem::Npm, name, version, &format!("{place}#{folder}"))
                .scoped(scope)
                .from_origin(origin),
        );
        match &dependency.dependencies {
            Some(inner) if depth < MAX_DEPTH => nested(inner, depth + 1, place, into),
            _ => {}
        }
    }
}

/// Tells where a package comes from by what the lock file says of it.
pub(super) fn origin(version: Option<&str>, resolved: Option<&str>) -> Origin {
    for text in [resolved, version].into_iter().flatten() {
        let git = text.starts_with("git") || text.starts_with("github:") || text.contains(".git#");
        if git || text.contains("codeload.github.com") {
            return Origin::Repository;
        }
        if text.starts_with("file:") || text.starts_with("link:") || text.starts_with("workspace:")
        {
            return Origin::Local;
        }
    }
    match resolved {
        Some(url) if url.starts_with("http") => {
            let public = [
                "registry.npmjs.org/",
                "registry.yarnpkg.com/",
                "registry.npmjs.com/",
            ];
            if public.iter().any(|host| url.contains(host)) || url.contains("/-/") {
                Origin::Registry
            } else {
                // A tarball from somewhere: its name is what its author chose.
                Origin::OtherRegistry
            }
        }
        _ => Origin::Registry,
    }
}
