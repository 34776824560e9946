//! What cargo resolved: the crates of the workspace and their direct dependencies.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

/// The crates of the workspace by package name.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) crates: BTreeMap<String, Crate>,
}

/// One crate of the workspace. Dependencies are package names, so that renaming one
/// in a manifest hides nothing.
#[derive(Debug, Default)]
pub(crate) struct Crate {
    /// Its folder, relative to the root.
    pub(crate) folder: String,
    /// Normal and build dependencies.
    pub(crate) normal: BTreeSet<String>,
    /// Dependencies of tests, examples and benchmarks.
    pub(crate) dev: BTreeSet<String>,
}

impl Graph {
    /// Asks cargo. The lock file has to be up to date.
    pub(crate) fn resolve(root: &Path) -> Result<Self> {
        let output = Command::new(std::env::var("CARGO").as_deref().unwrap_or("cargo"))
            .args(["metadata", "--format-version", "1", "--locked"])
            .current_dir(root)
            .output()
            .context("cannot run cargo metadata")?;
        ensure!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self::parse(&output.stdout)
    }

    /// Reads the output of `cargo metadata --format-version 1`.
    pub(crate) fn parse(json: &[u8]) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_slice(json).context("cannot read the output of cargo metadata")?;
        let packages: HashMap<_, _> = metadata
            .packages
            .iter()
            .map(|p| (p.id.as_str(), p))
            .collect();
        let named = |id: &str| -> Result<&Package> {
            packages
                .get(id)
                .copied()
                .with_context(|| format!("cargo metadata lacks the package {id}"))
        };
        let members: BTreeSet<_> = metadata.workspace_members.iter().collect();
        let mut graph = Self::default();
        for node in metadata
            .resolve
            .nodes
            .iter()
            .filter(|node| members.contains(&node.id))
        {
            let package = named(&node.id)?;
            let folder = Path::new(&package.manifest_path)
                .parent()
                .and_then(|folder| folder.strip_prefix(&metadata.workspace_root).ok())
                .context("a member of the workspace is outside of it")?;
            let mut member = Crate {
                folder: folder.to_string_lossy().into_owned(),
                ..Crate::default()
            };
            for dependency in &node.deps {
                let name = &named(&dependency.pkg)?.name;
                for kind in &dependency.dep_kinds {
                    let set = match kind.kind.as_deref() {
                        Some("dev") => &mut member.dev,
                        _ => &mut member.normal,
                    };
                    set.insert(name.clone());
                }
            }
            graph.crates.insert(package.name.clone(), member);
        }
        Ok(graph)
    }

    /// Returns the crate whose folder holds `path`.
    pub(crate) fn owner(&self, path: &str) -> Option<(&str, &Crate)> {
        self.crates
            .iter()
            .find(|(_, member)| {
                path.strip_prefix(&member.folder)
                    .is_some_and(|rest| rest.starts_with('/'))
            })
            .map(|(name, member)| (name.as_str(), member))
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    workspace_root: String,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_told_apart_by_kind_and_named_as_packages() {
        let json = r#"{
            "workspace_root": "/w",
            "workspace_members": ["a 0.1.0"],
            "packages": [
                {"id": "a 0.1.0", "name": "airside-a", "manifest_path": "/w/crates/a/Cargo.toml"},
                {"id": "b 1", "name": "real-name", "manifest_path": "/registry/b/Cargo.toml"},
                {"id": "c 1", "name": "c", "manifest_path": "/registry/c/Cargo.toml"}
            ],
            "resolve": {"nodes": [
                {"id": "a 0.1.0", "deps": [
                    {"name": "renamed", "pkg": "b 1", "dep_kinds": [{"kind": null}, {"kind": "dev"}]},
                    {"name": "c", "pkg": "c 1", "dep_kinds": [{"kind": "build"}]}
                ]},
                {"id": "b 1", "deps": []}
            ]}
        }"#;
        let graph = Graph::parse(json.as_bytes()).unwrap();
        let member = &graph.crates["airside-a"];
        assert_eq!(member.folder, "crates/a");
        assert_eq!(member.normal, ["c", "real-name"].map(str::to_owned).into());
        assert_eq!(member.dev, ["real-name"].map(str::to_owned).into());
        assert_eq!(
            graph.owner("crates/a/src/lib.rs").map(|(name, _)| name),
            Some("airside-a")
        );
        assert!(graph.owner("crates/ab/src/lib.rs").is_none());
    }
}
