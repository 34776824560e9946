//! `Cargo.lock`, versions 1 to 4.

use std::collections::HashSet;

use serde::Deserialize;

use crate::component::{Component, Ecosystem, Inventory, Origin, Scope};

use super::Unread;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
    /// Version 1 kept the root apart in its earliest form.
    root: Option<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
}

/// The two addresses of the registry that advisories speak of.
const REGISTRY: [&str; 2] = [
    "registry+https://github.com/rust-lang/crates.io-index",
    "sparse+https://index.crates.io/",
];

pub(super) fn lock(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let lock: Lock = toml::from_str(text)?;
    let packages: Vec<&Package> = lock.root.iter().chain(&lock.package).collect();
    // Packages without a source are those of the workspace; what they name is direct.
    let direct: HashSet<&str> = packages
        .iter()
        .filter(|package| package.source.is_none())
        .flat_map(|package| &package.dependencies)
        .map(|name| name.split(' ').next().unwrap_or_default())
        .collect();
    for package in packages {
        let Some(source) = &package.source else {
            into.own
                .push(format!("{} {}", package.name, package.version));
            continue;
        };
        let origin = if REGISTRY.contains(&source.as_str()) {
            Origin::Registry
        } else if source.starts_with("git+") {
            Origin::Repository
        } else {
            Origin::OtherRegistry
        };
        let scope = if direct.contains(package.name.as_str()) {
            Scope::Direct
        } else {
            Scope::Transitive
        };
        into.add(
            Component::new(
                Ecosystem::Cargo,
                &package.name,
                Some(&package.version),
                place,
            )
            .scoped(scope)
            .from_origin(origin),
        );
    }
    Ok(())
}
