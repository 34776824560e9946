//! Rules about crates and what they depend on.

use std::collections::BTreeSet;

use super::{Repository, Violation};
use crate::{graph::Crate, source::Source};

/// Every crate is in `architecture.toml`, and every entry there is a crate.
pub(super) fn known(repository: &Repository<'_>) -> Vec<Violation> {
    let listed: BTreeSet<_> = repository.architecture.crates.keys().collect();
    let present: BTreeSet<_> = repository.graph.crates.keys().collect();
    let missing = present.difference(&listed).map(|name| {
        Violation::new(
            "crate-known",
            *name,
            "the crate is not in architecture.toml",
            "decide what it may use and add it there, in the same change as its page in ARCHITECTURE.md",
        )
    });
    let gone = listed.difference(&present).map(|name| {
        Violation::new(
            "crate-known",
            *name,
            "architecture.toml lists a crate that is not in the workspace",
            "remove the entry",
        )
    });
    missing.chain(gone).collect()
}

/// A crate is named after its folder, and after what it promises.
pub(super) fn names(repository: &Repository<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, member) in &repository.graph.crates {
        let folder = member.folder.rsplit('/').next().unwrap_or_default();
        let short = name.strip_prefix("airside-").unwrap_or(name);
        if short != folder {
            found.push(Violation::new(
                "crate-name",
                name,
                format!("the crate is in the folder {}", member.folder),
                format!("name it airside-{folder}, or move it"),
            ));
        }
        if repository
            .architecture
            .names
            .forbidden
            .iter()
            .any(|bad| bad == short)
        {
            found.push(Violation::new(
                "crate-name",
                name,
                format!("`{short}` is the name of a drawer"),
                "name the crate after what it promises, or put its parts where they are used",
            ));
        }
    }
    found
}

/// Our crates use each other only as `architecture.toml` says.
pub(super) fn edges(repository: &Repository<'_>) -> Vec<Violation> {
    let ours = &repository.graph.crates;
    let mut found = Vec::new();
    for (name, member) in ours {
        let Some(edges) = repository.architecture.crates.get(name) else {
            continue;
        };
        let mut report = |used: &str, mend: String| {
            let message = format!("must not use {used}");
            found.push(Violation::new(
                "crate-edge",
                format!("{name} -> {used}"),
                message,
                mend,
            ));
        };
        for used in member.normal.iter().filter(|used| ours.contains_key(*used)) {
            if !edges.may_use.contains(used) {
                report(
                    used,
                    format!(
                        "let both meet through the ledger or a port; otherwise add the edge to [crates.{name}] with an ADR"
                    ),
                );
            }
        }
        for used in member.dev.iter().filter(|used| ours.contains_key(*used)) {
            let allowed = [&edges.may_use, &edges.may_use_in_tests];
            let testkit = used == "airside-testkit";
            if !testkit && used != name && !allowed.iter().any(|list| list.contains(used)) {
                report(
                    used,
                    format!(
                        "test against a fake from airside-testkit, or list it under may-use-in-tests of [crates.{name}]"
                    ),
                );
            }
        }
    }
    found
}

/// Dependencies that are restricted stay in their crates.
pub(super) fn restricted(repository: &Repository<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for rule in &repository.architecture.restricted {
        let who = match rule.only.as_slice() {
            [] => "no crate".to_owned(),
            only => format!("only {}", only.join(", ")),
        };
        for (name, member) in &repository.graph.crates {
            let normal = member.normal.contains(&rule.dependency) && !rule.only.contains(name);
            let dev = member.dev.contains(&rule.dependency)
                && !rule.only.contains(name)
                && !rule.in_tests.contains(name);
            if normal || dev {
                found.push(Violation::new(
                    "restricted-dependency",
                    format!("{name} -> {}", rule.dependency),
                    format!(
                        "{who} may use {} directly: {}",
                        rule.dependency, rule.reason
                    ),
                    "use the interface of that crate, or what the reason names",
                ));
            }
        }
    }
    found
}

/// Manifests inherit lints, package fields and versions from the workspace.
pub(super) fn manifests(repository: &Repository<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for member in repository.graph.crates.values() {
        let path = format!("{}/Cargo.toml", member.folder);
        let manifest = repository
            .tree
            .find(&path)
            .map(|text| text.parse::<toml::Table>());
        let Some(Ok(manifest)) = manifest else {
            let mend = "write a manifest that cargo and git know";
            found.push(Violation::new("manifest", path, "cannot be read", mend));
            continue;
        };
        let mut report = |message: String, mend: &str| {
            found.push(Violation::new("manifest", &path, message, mend));
        };
        let inherits = |value: Option<&toml::Value>| {
            value.and_then(|value| value.get("workspace")) == Some(&toml::Value::Boolean(true))
        };
        if !inherits(manifest.get("lints")) {
            report(
                "the lints of the workspace do not apply".to_owned(),
                "add `[lints]` with `workspace = true`",
            );
        }
        for field in ["version", "edition", "rust-version", "license", "publish"] {
            let package = manifest.get("package");
            if !inherits(package.and_then(|package| package.get(field))) {
                report(
                    format!("`{field}` is not inherited"),
                    "write `<field>.workspace = true`",
                );
            }
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let dependencies = manifest.get(table).and_then(toml::Value::as_table);
            for (name, value) in dependencies.into_iter().flatten() {
                if !inherits(Some(value)) {
                    report(
                        format!("`{name}` has a version of its own"),
                        "put the version into [workspace.dependencies] and write `<name>.workspace = true`",
                    );
                }
                if table != "dev-dependencies" && names_test_util(value) {
                    report(
                        format!("`{name}` would ship with what is only for tests"),
                        "ask for `test-util` under [dev-dependencies]",
                    );
                }
            }
        }
        let features = manifest.get("features").and_then(toml::Value::as_table);
        for name in features.into_iter().flat_map(|features| features.keys()) {
            if name != "test-util" {
                report(
                    format!("the feature `{name}` doubles what has to be built and tested"),
                    "decide at run time, or make it a crate; the only feature is `test-util`",
                );
            }
        }
    }
    found
}

/// Returns whether a dependency is asked for with the feature that only tests turn on.
fn names_test_util(dependency: &toml::Value) -> bool {
    let features = dependency.get("features").and_then(toml::Value::as_array);
    let mut features = features.into_iter().flatten();
    features.any(|feature| feature.as_str() == Some("test-util"))
}

/// Every normal dependency is named somewhere in the crate.
pub(super) fn unused(repository: &Repository<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for (name, member) in &repository.graph.crates {
        let words = words_of(repository, member);
        for dependency in &member.normal {
            if !words.contains(dependency.replace('-', "_").as_str()) {
                found.push(Violation::new(
                    "unused-dependency",
                    format!("{name} -> {dependency}"),
                    "no source file of the crate names it",
                    "remove it from Cargo.toml; each dependency is code to compile, audit and update",
                ));
            }
        }
    }
    found
}

/// Every version in the root manifest is somebody's.
pub(super) fn unused_versions(repository: &Repository<'_>) -> Vec<Violation> {
    let root = repository.tree.find("Cargo.toml");
    let root = root.and_then(|text| text.parse::<toml::Table>().ok());
    let versions = root
        .as_ref()
        .and_then(|root| root.get("workspace")?.get("dependencies")?.as_table());
    let manifests: Vec<_> = repository
        .graph
        .crates
        .values()
        .filter_map(|member| {
            repository
                .tree
                .find(&format!("{}/Cargo.toml", member.folder))
        })
        .collect();
    let is_used = |name: &str| {
        manifests.iter().any(|text| {
            text.lines().any(|line| {
                let rest = line.strip_prefix(name);
                rest.is_some_and(|rest| rest.starts_with([' ', '.', '=']))
            })
        })
    };
    let mut found = Vec::new();
    for (name, version) in versions.into_iter().flatten() {
        if !is_used(name) {
            found.push(Violation::new(
                "unused-version",
                name,
                "[workspace.dependencies] has a version that no crate uses",
                "remove it from the Cargo.toml of the workspace",
            ));
        }
        if names_test_util(version) {
            found.push(Violation::new(
                "manifest",
                "Cargo.toml",
                format!("`{name}` would ship with what is only for tests"),
                "ask for `test-util` under [dev-dependencies] of the crate that tests",
            ));
        }
    }
    found
}

/// Returns every word in the shipped code of a crate.
fn words_of<'a>(repository: &'a Repository<'_>, member: &Crate) -> BTreeSet<&'a str> {
    let folder = format!("{}/src/", member.folder);
    let mut words = BTreeSet::new();
    for (path, text) in repository.tree.below(&folder) {
        if path.ends_with(".rs") {
            let source = Source::of(path, text);
            let code = source.code();
            words.extend(
                code.flat_map(|(_, line)| line.split(|c: char| !c.is_alphanumeric() && c != '_')),
            );
        }
    }
    words
}
