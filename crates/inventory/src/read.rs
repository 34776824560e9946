//! Reads what names components: lock files, build descriptions, SBOMs.
//!
//! # Invariants
//!
//! * Nothing is started, fetched or resolved: a file says what it says.
//! * Every reader is bounded in size and depth before it builds anything.
//! * A file that cannot be read, and an entry that names no exact version, is reported:
//!   as a gap, or as a component without a version.

mod cargo;
mod folder;
mod npm;

use std::path::Path;

use crate::component::Inventory;

pub use folder::{Problem, path};

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
const NAMED: [(&str, Reader); 3] = [
    ("Cargo.lock", cargo::lock),
    ("package-lock.json", npm::lock),
    ("npm-shrinkwrap.json", npm::lock),
];

/// Returns what reads the file called `name`.
fn reader(name: &str) -> Option<Reader> {
    let named = NAMED.iter().find(|(known, _)| *known == name);
    named.map(|(_, reader)| *reader)
}

/// Reads one file from `bytes`; `place` is its name for people.
#[must_use]
pub fn bytes(bytes: &[u8], place: &str) -> Option<Inventory> {
    let name = Path::new(place).file_name()?.to_str()?;
    let read = reader(name)?;
    let mut inventory = Inventory::default();
    let done = match std::str::from_utf8(bytes) {
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

/// Refuses JSON and YAML that nests deeper than any real file, before a parser that
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
mod tests;
