//! What `cargo auditable` writes into a program: a list of packages as JSON, packed.

use std::{collections::HashSet, io::Read as _};

use serde::Deserialize;

use crate::component::{Component, Ecosystem, Inventory, Origin, Scope};

use super::super::{Unread, shallow};

/// Most bytes of the list after unpacking. A program of 1,000 packages has 100 kB.
const MAX_LIST_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Deserialize)]
struct List {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: String,
    /// `build` for what only ran while it was compiled.
    #[serde(default)]
    kind: Option<String>,
    /// Places in the list.
    #[serde(default)]
    dependencies: Vec<usize>,
    #[serde(default)]
    root: bool,
}

pub(super) fn read(section: &[u8], place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let mut text = String::new();
    let unpacked = flate2::read::ZlibDecoder::new(section).take(MAX_LIST_BYTES + 1);
    let mut unpacked = std::io::BufReader::new(unpacked);
    unpacked.read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LIST_BYTES {
        return Err(Unread(format!(
            "its list of packages has more than {MAX_LIST_BYTES} bytes"
        )));
    }
    shallow(&text)?;
    let list: List = serde_json::from_str(&text)?;
    let roots = list.packages.iter().filter(|package| package.root);
    let direct: HashSet<usize> = roots.flat_map(|root| root.dependencies.clone()).collect();
    for (at, package) in list.packages.iter().enumerate() {
        let origin = match package.source.as_str() {
            "crates.io" => Origin::Registry,
            "git" => Origin::Repository,
            "local" => {
                let own = format!("{} {}", package.name, package.version);
                into.own.push(crate::component::bounded(&own));
                continue;
            }
            _ => Origin::OtherRegistry,
        };
        let scope = if package.kind.as_deref() == Some("build") {
            Scope::Development
        } else if package.root || direct.contains(&at) {
            Scope::Direct
        } else {
            Scope::Transitive
        };
        let version = Some(package.version.as_str());
        into.add(
            Component::new(Ecosystem::Cargo, &package.name, version, place)
                .scoped(scope)
                .from_origin(origin),
        );
    }
    Ok(())
}
