//! Paths: one file, every file of a folder, an image.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::component::Inventory;

use super::{
    MAX_LOCK_BYTES, bytes, image, named_json, program, reader,
    survey::{Sort, Survey, too_large},
};

/// Deepest folder that is looked into.
const MAX_FOLDERS: usize = 64;
/// Most files that are looked at.
const MAX_FILES: usize = 500_000;
/// Folders that hold copies, caches and what was built.
const SKIPPED: [&str; 6] = [".git", "target", "__pycache__", ".tox", ".cache", "vendor"];

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
    /// It is packed as a whole.
    #[error("{} is packed; unpack it first", path.display())]
    Packed {
        /// The file.
        path: PathBuf,
    },
    /// It is an archive or a program that cannot be used.
    #[error("{}: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No file below it names components.
    #[error("nothing below {} names components", path.display())]
    Nothing {
        /// The folder.
        path: PathBuf,
    },
}

/// Reads what `path` names: a file that names components, a program, an image, or every
/// file below a folder.
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
    let named = path.file_name().and_then(|name| name.to_str());
    let known = named.is_some_and(|name| reader(name).or_else(|| named_json(name)).is_some());
    if !known {
        return unnamed(path);
    }
    let mut inventory = Inventory::default();
    let place = path.to_string_lossy();
    match content(path, MAX_LOCK_BYTES).map_err(unreadable)? {
        Ok(content) => inventory.merge(bytes(&content, &place).unwrap_or_default()),
        Err(size) => inventory.gap(&place, too_large(size, MAX_LOCK_BYTES)),
    }
    inventory.settle();
    Ok(inventory)
}

/// What was read of files that have not changed since: an image takes seconds, and is
/// asked for in every round.
#[derive(Debug, Default)]
pub struct Cache {
    files: HashMap<PathBuf, (u64, SystemTime, Inventory)>,
}

impl Cache {
    /// Reads what `at` names, like [`path`].
    ///
    /// # Errors
    ///
    /// When it cannot be opened or names no components.
    pub fn path(&mut self, at: &Path) -> Result<Inventory, Problem> {
        let stamp = fs::metadata(at).ok().filter(fs::Metadata::is_file);
        let stamp = stamp.and_then(|meta| Some((meta.len(), meta.modified().ok()?)));
        if let (Some((size, changed)), Some(known)) = (stamp, self.files.get(at))
            && (known.0, known.1) == (size, changed)
        {
            return Ok(known.2.clone());
        }
        self.files.remove(at);
        let read = path(at)?;
        if let Some((size, changed)) = stamp {
            let kept = (size, changed, read.clone());
            self.files.insert(at.to_owned(), kept);
        }
        Ok(read)
    }

    /// Forgets all files but those at `paths`.
    pub fn keep(&mut self, paths: &[&Path]) {
        self.files.retain(|path, _| paths.contains(&path.as_path()));
    }
}

/// Reads a file that is known by its first bytes: an image or a program.
fn unnamed(path: &Path) -> Result<Inventory, Problem> {
    let unreadable = |source| Problem::Unreadable {
        path: path.to_owned(),
        source,
    };
    let unusable = |reason: String| Problem::Unusable {
        path: path.to_owned(),
        reason,
    };
    let start = start(path, 512).map_err(unreadable)?;
    let owned = || path.to_owned();
    if program::starts(&start) {
        let size = fs::metadata(path).map_err(unreadable)?.len();
        let content = content(path, program::MAX_BYTES).map_err(unreadable)?;
        let content = content.map_err(|_| unusable(too_large(size, program::MAX_BYTES)))?;
        let read = program::read(&content, &path.to_string_lossy());
        let mut inventory = read
            .ok_or_else(|| unusable("the program does not say what it was built of".to_owned()))?;
        inventory.settle();
        return Ok(inventory);
    }
    if image::is_packed(&start) {
        return Err(Problem::Packed { path: owned() });
    }
    if !image::is_archive(&start) {
        return Err(Problem::Unknown { path: owned() });
    }
    let source = image::Source::archive(path).map_err(unusable)?;
    image::read(&source, path).map_err(unusable)
}

/// Returns the first bytes of a file.
fn start(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(bytes).read_to_end(&mut start)?;
    Ok(start)
}

/// Returns the content of a file, or its size where that is more than `limit`.
fn content(path: &Path, limit: u64) -> io::Result<Result<Vec<u8>, u64>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > limit {
        return Ok(Err(size));
    }
    let mut content = Vec::new();
    // It may grow while it is read.
    file.take(limit).read_to_end(&mut content)?;
    Ok(Ok(content))
}

fn folder(root: &Path) -> Result<Inventory, Problem> {
    if root.join("oci-layout").is_file() && root.join("index.json").is_file() {
        let unusable = |reason| Problem::Unusable {
            path: root.to_owned(),
            reason,
        };
        return image::read(&image::Source::folder(root), root).map_err(unusable);
    }
    let mut survey = Survey::new("", false);
    let mut open = vec![(root.to_owned(), 0)];
    let (mut seen, mut known) = (0, false);
    while let Some((path, depth)) = open.pop() {
        let place = place_of(root, &path);
        let Ok(entries) = fs::read_dir(&path) else {
            survey.gap(&place, "the folder cannot be opened");
            known = true;
            continue;
        };
        if depth > MAX_FOLDERS {
            survey.gap(&place, "it lies too deep; what is in it was not read");
            continue;
        }
        let mut entries: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for entry in entries {
            seen += 1;
            if seen > MAX_FILES {
                let rest = format!("more than {MAX_FILES} files; the rest was not read");
                survey.gap(&place, rest);
                open.clear();
                break;
            }
            // Links lead out of the folder, and in circles.
            let Ok(meta) = fs::symlink_metadata(&entry) else {
                continue;
            };
            if meta.is_dir() {
                let name = entry.file_name().and_then(|name| name.to_str());
                if !name.is_some_and(|name| SKIPPED.contains(&name)) {
                    open.push((entry, depth + 1));
                }
            } else if meta.is_file() {
                known |= file(root, &entry, &meta, &mut survey);
            }
        }
    }
    let (inventory, said) = survey.finish();
    if !known && !said {
        let path = root.to_owned();
        return Err(Problem::Nothing { path });
    }
    Ok(inventory)
}

/// Takes one file in. Returns whether it says something that could not be read.
fn file(root: &Path, path: &Path, meta: &fs::Metadata, survey: &mut Survey) -> bool {
    let place = place_of(root, path);
    let Some(sort) = Sort::of(&place, executable(meta)) else {
        return false;
    };
    if sort == Sort::Program && !start(path, 8).is_ok_and(|start| program::starts(&start)) {
        return false;
    }
    if !sort.has_content() {
        survey.take(&place, sort, &[]);
        return true;
    }
    let limit = sort.limit();
    match content(path, limit) {
        Ok(Ok(content)) => {
            survey.take(&place, sort, &content);
            return false;
        }
        Ok(Err(size)) => survey.gap(&place, too_large(size, limit)),
        Err(error) => survey.gap(&place, format!("it cannot be read: {error}")),
    }
    true
}

#[cfg(unix)]
fn executable(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    meta.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn executable(_: &fs::Metadata) -> bool {
    false
}

/// Returns the path below `root`, its parts apart by `/`.
fn place_of(root: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(root).unwrap_or(path);
    if inside.as_os_str().is_empty() {
        return ".".to_owned();
    }
    let parts: Vec<_> = inside
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}
