//! Reads what names components: lock files, build descriptions, SBOMs, what is
//! installed, compiled programs, images.
//!
//! # Invariants
//!
//! * Nothing is started, fetched or resolved: a file says what it says.
//! * Every reader is bounded in size and depth before it builds anything.
//! * A file that cannot be read, and an entry that names no exact version, is reported:
//!   as a gap, or as a component without a version.

mod cargo;
mod folder;
mod golang;
mod image;
mod installed;
mod java;
mod mcp;
mod npm;
mod pnpm;
mod program;
mod python;
mod sbom;
mod survey;
mod system;
mod yarn;

use std::path::Path;

use crate::component::Inventory;

pub use folder::{Cache, Problem, path};

/// Most bytes of a lock file.
pub const MAX_LOCK_BYTES: u64 = 32 * 1024 * 1024;
/// Deepest nesting of JSON, YAML or TOML.
const MAX_DEPTH: usize = 128;

/// Why one file was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread(pub(crate) String);

impl<E: std::fmt::Display> From<E> for Unread {
    fn from(error: E) -> Self {
        // The first line: parsers draw the place over several.
        let text = error.to_string();
        Self(text.lines().next().unwrap_or_default().to_owned())
    }
}

type Reader = fn(&str, &str, &mut Inventory) -> Result<(), Unread>;

/// Files by their names.
const NAMED: [(&str, Reader); 27] = [
    ("Cargo.lock", cargo::lock),
    ("package-lock.json", npm::lock),
    ("npm-shrinkwrap.json", npm::lock),
    (".package-lock.json", npm::lock),
    ("pnpm-lock.yaml", pnpm::lock),
    ("yarn.lock", yarn::lock),
    ("bun.lock", yarn::bun),
    ("requirements.txt", python::requirements),
    ("poetry.lock", python::lock),
    ("uv.lock", python::lock),
    ("pdm.lock", python::lock),
    ("pylock.toml", python::lock),
    ("Pipfile.lock", python::pipfile),
    ("go.mod", golang::module),
    ("pom.xml", java::pom),
    ("gradle.lockfile", java::gradle),
    ("buildscript-gradle.lockfile", java::gradle),
    ("bom.json", sbom::json),
    ("sbom.json", sbom::json),
    ("mcp.json", mcp::config),
    (".mcp.json", mcp::config),
    ("claude_desktop_config.json", mcp::config),
    ("mcp_config.json", mcp::config),
    ("cline_mcp_settings.json", mcp::config),
    ("mcp_settings.json", mcp::config),
    ("server.json", mcp::settings),
    ("settings.json", mcp::settings),
];

/// Lock files that are there and hold nothing that could be read.
const OPAQUE: [(&str, &str); 1] = [(
    "bun.lockb",
    "it is the binary lock file of Bun; `bun install --save-text-lockfile` writes the other",
)];

/// Returns what reads the file called `name`.
fn reader(name: &str) -> Option<Reader> {
    let named = NAMED.iter().find(|(known, _)| *known == name);
    if let Some((_, reader)) = named {
        return Some(*reader);
    }
    if OPAQUE.iter().any(|(known, _)| *known == name) {
        return Some(opaque);
    }
    let stem = name.strip_suffix(".txt");
    if stem.is_some_and(|s| s.starts_with("requirements") || s.ends_with("requirements")) {
        return Some(python::requirements);
    }
    if name.starts_with("pylock.") && name.ends_with(".toml") {
        return Some(python::lock);
    }
    let sbom = [".cdx.json", ".spdx.json", ".cyclonedx.json", ".sbom.json"];
    if sbom.iter().any(|end| name.ends_with(end)) {
        return Some(sbom::json);
    }
    name.ends_with(".lockfile")
        .then_some(java::gradle as Reader)
}

fn opaque(_: &str, place: &str, _: &mut Inventory) -> Result<(), Unread> {
    let name = Path::new(place).file_name().and_then(|n| n.to_str());
    let why = OPAQUE.iter().find(|(known, _)| Some(*known) == name);
    Err(Unread(
        why.map_or_else(String::new, |(_, why)| (*why).to_owned()),
    ))
}

/// Reads JSON that was named, whatever it is called.
fn named_json(name: &str) -> Option<Reader> {
    name.ends_with(".json").then_some(sbom::json as Reader)
}

/// Reads one file from `bytes`; `place` is its name for people.
#[must_use]
pub fn bytes(bytes: &[u8], place: &str) -> Option<Inventory> {
    let name = Path::new(place).file_name()?.to_str()?;
    let read = reader(name).or_else(|| named_json(name))?;
    let mut inventory = Inventory::default();
    let done = match std::str::from_utf8(bytes) {
        Err(_) if name.ends_with(".lockb") => read("", place, &mut inventory),
        Ok(text) => read(text.trim_start_matches('\u{feff}'), place, &mut inventory),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => inventory.read.push(place.to_owned()),
        Err(Unread(why)) => {
            inventory.components.clear();
            inventory.gap(place, format!("it cannot be read: {why}"));
        }
    }
    inventory.settle();
    Some(inventory)
}

/// Refuses JSON with comments that could nest too deep. Counts every bracket: a quote
/// within a comment must not hide the rest.
fn flat_brackets(text: &str) -> Result<(), Unread> {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > MAX_DEPTH {
        return Err(Unread(format!("it nests deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

/// Refuses JSON that nests deeper than any real file, before a parser that
/// calls itself meets it.
fn shallow(text: &str) -> Result<(), Unread> {
    let (mut depth, mut deepest, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    if deepest > MAX_DEPTH {
        return Err(Unread(format!("it nests deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
