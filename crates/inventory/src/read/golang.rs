//! `go.mod`. `go.sum` is not read: it lists what was looked at, not what was selected.

use std::collections::HashMap;

use crate::component::{Component, Ecosystem, Inventory, Origin, Scope};

use super::Unread;

/// From this version on the file lists every module of the build.
const COMPLETE_FROM: (u32, u32) = (1, 17);

pub(super) fn module(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let mut block: Option<String> = None;
    let mut required: Vec<(String, String, bool)> = Vec::new();
    let mut replaced: HashMap<String, (String, Option<String>)> = HashMap::new();
    let (mut language, mut toolchain) = (None, None);
    for line in text.lines() {
        let (code, comment) = line.split_once("//").unwrap_or((line, ""));
        let code = code.trim();
        if code.is_empty() {
            continue;
        }
        if code == ")" {
            block = None;
            continue;
        }
        let (verb, rest) = match &block {
            Some(verb) => (verb.clone(), code.to_owned()),
            None => {
                let (verb, rest) = code.split_once([' ', '\t']).unwrap_or((code, ""));
                if rest.trim() == "(" {
                    block = Some(verb.to_owned());
                    continue;
                }
                (verb.to_owned(), rest.trim().to_owned())
            }
        };
        let words: Vec<&str> = rest
            .split_whitespace()
            .map(|w| w.trim_matches('"'))
            .collect();
        match (verb.as_str(), words.as_slice()) {
            ("module", [name, ..]) => {
                into.own.push(crate::component::bounded(name));
                into.product = Some(crate::component::purl(&Ecosystem::Go, name, None));
            }
            ("go", [version, ..]) => language = Some((*version).to_owned()),
            ("toolchain", [version, ..]) => toolchain = Some((*version).to_owned()),
            ("require", [name, version, ..]) => {
                let indirect = comment.trim().starts_with("indirect");
                required.push(((*name).to_owned(), (*version).to_owned(), indirect));
            }
            ("replace", words) => {
                let Some(arrow) = words.iter().position(|w| *w == "=>") else {
                    return Err(Unread("a replacement has no target".to_owned()));
                };
                if let (Some(from), Some(to)) = (words.first(), words.get(arrow + 1)) {
                    let version = words.get(arrow + 2).map(|v| (*v).to_owned());
                    replaced.insert((*from).to_owned(), ((*to).to_owned(), version));
                }
            }
            ("exclude" | "retract" | "tool" | "godebug" | "ignore", _) => {}
            _ => into.gap(place, format!("the line `{code}` is not understood")),
        }
    }
    for (name, version, indirect) in required {
        let scope = if indirect {
            Scope::Transitive
        } else {
            Scope::Direct
        };
        let (name, version, origin) = match replaced.get(&name) {
            Some((to, Some(version))) => (to.clone(), version.clone(), Origin::Registry),
            Some((_, None)) => (name, version, Origin::Local),
            None => (name, version, Origin::Registry),
        };
        into.add(
            Component::new(Ecosystem::Go, &name, Some(&version), place)
                .scoped(scope)
                .from_origin(origin),
        );
    }
    standard_library(language.as_deref(), toolchain.as_deref(), place, into);
    Ok(())
}

fn standard_library(
    language: Option<&str>,
    toolchain: Option<&str>,
    place: &str,
    into: &mut Inventory,
) {
    match toolchain {
        Some(version) => {
            let version = version.strip_prefix("go").unwrap_or(version);
            into.add(Component::new(
                Ecosystem::Go,
                "stdlib",
                Some(version),
                place,
            ));
        }
        // The `go` line is the least version that may build it, not the one that does.
        None => into.add(Component::new(Ecosystem::Go, "stdlib", None, place)),
    }
    let parts: Vec<u32> = language
        .unwrap_or("1.0")
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    if (
        parts.first().copied().unwrap_or(1),
        parts.get(1).copied().unwrap_or(0),
    ) < COMPLETE_FROM
    {
        into.gap(place, "before Go 1.17 the file names no indirect modules");
    }
}
