//! Folders: every file in them that names components.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::component::Inventory;

use super::{MAX_LOCK_BYTES, bytes, named_json, reader};

/// Deepest folder that is looked into.
const MAX_FOLDERS: usize = 32;
/// Most files that are looked at.
const MAX_FILES: usize = 500_000;
/// Folders that hold copies, caches and what was built.
const SKIPPED: [&str; 8] = [
    ".git",
    "node_modules",
    "target",
    ".venv",
    "__pycache__",
    ".tox",
    ".cache",
    "vendor",
];

/// Why a path cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// It cannot be opened.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a file of no known sort.
    #[error("{} is no file that names components", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// No file below it names components.
    #[error("nothing below {} names components", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads what `path` names: one file, or every file below a folder.
///
/// # Errors
///
/// When it cannot be opened or names no components.
pub fn path(path: &Path) -> Result<Inventory, Problem> {
    let unreadable = |source| Problem::Unreadable {
        path: path.to_owned(),
        source,
    };
    let meta = fs::metadata(path).map_err(unreadable)?;
    if meta.is_dir() {
        return folder(path);
    }
    let mut inventory = Inventory::default();
    let named = path.file_name().and_then(|name| name.to_str());
    let known = named.is_some_and(|name| reader(name).or_else(|| named_json(name)).is_some());
    if !known {
        let path = path.to_owned();
        return Err(Problem::Unknown { path });
    }
    take(path, &path.to_string_lossy(), &mut inventory)?;
    inventory.settle();
    Ok(inventory)
}

/// Reads one file into `into`. Returns whether it is of a known sort.
fn file(path: &Path, place: &str, into: &mut Inventory) -> Result<bool, Problem> {
    let name = path.file_name().and_then(|name| name.to_str());
    if name.and_then(reader).is_none() {
        return Ok(false);
    }
    take(path, place, into)?;
    Ok(true)
}

fn take(path: &Path, place: &str, into: &mut Inventory) -> Result<(), Problem> {
    let unreadable = |source| Problem::Unreadable {
        path: path.to_owned(),
        source,
    };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MAX_LOCK_BYTES {
        into.gap(
            place,
            format!("it has {size} bytes, more than {MAX_LOCK_BYTES}"),
        );
        return Ok(());
    }
    let content = fs::read(path).map_err(unreadable)?;
    if let Some(read) = bytes(&content, place) {
        into.merge(read);
    }
    Ok(())
}

fn folder(root: &Path) -> Result<Inventory, Problem> {
    let mut inventory = Inventory::default();
    let mut open = vec![(root.to_owned(), 0)];
    let (mut seen, mut known) = (0, 0);
    while let Some((path, depth)) = open.pop() {
        let place = place_of(root, &path);
        let Ok(entries) = fs::read_dir(&path) else {
            inventory.gap(&place, "the folder cannot be opened");
            continue;
        };
        let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries {
            seen += 1;
            if seen > MAX_FILES {
                inventory.gap(
                    &place,
                    format!("more than {MAX_FILES} files; the rest was not read"),
                );
                open.clear();
                break;
            }
            // Links lead out of the folder, and in circles.
            let Ok(meta) = fs::symlink_metadata(&entry) else {
                continue;
            };
            let name = entry
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            if meta.is_dir() {
                if !SKIPPED.contains(&name) && depth < MAX_FOLDERS {
                    open.push((entry, depth + 1));
                }
            } else if meta.is_file() {
                let place = place_of(root, &entry);
                match file(&entry, &place, &mut inventory) {
                    Ok(read) => known += usize::from(read),
                    Err(error) => inventory.gap(&place, error.to_string()),
                }
            }
        }
    }
    if known == 0 && inventory.gaps.is_empty() {
        let path = root.to_owned();
        return Err(Problem::Nothing { path });
    }
    inventory.settle();
    Ok(inventory)
}

fn place_of(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    if inside.as_os_str().is_empty() {
        ".".to_owned()
    } else {
        inside.to_string_lossy().into_owned()
    }
}
