//! Entries of a tar archive, bounded.
//!
//! # Invariants
//!
//! * Long names and extended headers are read here, up to a limit; the library would
//!   take them whole.
//! * A path is relative, without `.` and `..`: what would lead out of the archive is
//!   left out and counted.

use std::io::{self, Read};

/// Longest path, in bytes (PATH_MAX).
const MAX_PATH_BYTES: usize = 4096;
/// Deepest path.
const MAX_PATH_PARTS: usize = 256;
/// Most bytes of an extended header.
const MAX_HEADER_BYTES: u64 = 1024 * 1024;
/// Most extended headers in a row.
const MAX_HEADERS: usize = 8;

/// What may still be read.
#[derive(Debug)]
pub(super) struct Budget {
    entries: usize,
    /// Bytes of all paths that are kept.
    path_bytes: usize,
    /// Bytes of layers after unpacking.
    pub(super) unpacked_bytes: u64,
}

impl Budget {
    /// Returns one for the archive of an image.
    pub(super) fn entries(entries: usize) -> Self {
        Self {
            entries,
            path_bytes: 16 * 1024 * 1024,
            unpacked_bytes: 0,
        }
    }

    /// Returns one for all layers of an image.
    pub(super) fn layers() -> Self {
        Self {
            entries: 2_000_000,
            path_bytes: 256 * 1024 * 1024,
            unpacked_bytes: 32 * 1024 * 1024 * 1024,
        }
    }

    fn spend(&mut self, path: &str) -> Result<(), Broken> {
        self.entries = self.entries.checked_sub(1).ok_or(Broken::TooMuch)?;
        let left = self.path_bytes.checked_sub(path.len());
        self.path_bytes = left.ok_or(Broken::TooMuch)?;
        Ok(())
    }
}

/// Why an archive was not read to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// It is damaged from here on.
    Damaged(String),
    /// It holds more than is read.
    TooMuch,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Damaged(why) => f.write_str(why),
            Self::TooMuch => f.write_str("it holds more files or bytes than are read"),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What `Metered` says.
            io::ErrorKind::QuotaExceeded => Self::TooMuch,
            _ => Self::Damaged(error.to_string()),
        }
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
    HardLink,
    /// Symbolic links, devices and pipes: they take a place and have no content.
    Other,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Of a link: what it leads to, as it is written.
    pub(super) target: Option<Vec<u8>>,
    pub(super) size: u64,
    pub(super) executable: bool,
    /// Where its content starts in the archive.
    pub(super) position: u64,
}

/// What stands before an entry and is about it.
#[derive(Default)]
struct Ahead {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    headers: usize,
}

/// Calls `take` with every entry, and its content. Returns how many had a path that
/// leads nowhere.
pub(super) fn each<'a, R: Read + 'a>(
    entries: tar::Entries<'a, R>,
    budget: &mut Budget,
    mut take: impl FnMut(Item, &mut dyn Read) -> io::Result<()>,
) -> Result<usize, Broken> {
    let mut strange = 0;
    let mut ahead = Ahead::default();
    for entry in entries.raw(true) {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if ahead.header(kind, &mut entry)? {
            continue;
        }
        let ahead = std::mem::take(&mut ahead);
        let stated = entry.header().entry_size()?;
        if ahead.size.is_some_and(|size| size != stated) {
            let why = "an entry states two sizes, so that what follows cannot be found";
            return Err(Broken::Damaged(why.to_owned()));
        }
        if kind.is_gnu_sparse()
            && let Some(header) = entry.header().as_gnu()
            && header.is_extended()
        {
            let why = "a sparse file hides where the next entry starts";
            return Err(Broken::Damaged(why.to_owned()));
        }
        let path = ahead
            .path
            .unwrap_or_else(|| entry.path_bytes().into_owned());
        let Some(path) = clean(&path) else {
            strange += 1;
            budget.spend("")?;
            continue;
        };
        budget.spend(&path)?;
        let link = ahead
            .link
            .or_else(|| entry.link_name_bytes().map(Into::into));
        let item = Item {
            path,
            kind: match kind {
                tar::EntryType::Regular | tar::EntryType::Continuous => Kind::File,
                tar::EntryType::Directory => Kind::Folder,
                tar::EntryType::Link => Kind::HardLink,
                _ => Kind::Other,
            },
            target: link,
            size: entry.size(),
            executable: entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0),
            position: entry.raw_file_position(),
        };
        take(item, &mut entry)?;
    }
    Ok(strange)
}

impl Ahead {
    /// Takes an entry that is about the next one. Returns whether it was one.
    fn header(&mut self, kind: tar::EntryType, entry: &mut impl Read) -> Result<bool, Broken> {
        let known = kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions();
        if !known {
            return Ok(false);
        }
        self.headers += 1;
        let mut content = Vec::new();
        entry.take(MAX_HEADER_BYTES + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_HEADER_BYTES || self.headers > MAX_HEADERS {
            let why = "an extended header is longer than any real one";
            return Err(Broken::Damaged(why.to_owned()));
        }
        let text = || {
            let end = content.iter().position(|byte| *byte == 0);
            content[..end.unwrap_or(content.len())].to_vec()
        };
        if kind.is_gnu_longname() {
            self.path = Some(text());
        } else if kind.is_gnu_longlink() {
            self.link = Some(text());
        } else if kind.is_pax_local_extensions() {
            for extension in tar::PaxExtensions::new(&content) {
                let extension = extension?;
                let value = extension.value_bytes();
                match extension.key_bytes() {
                    b"path" => self.path = Some(value.to_vec()),
                    b"linkpath" => self.link = Some(value.to_vec()),
                    b"size" => {
                        let number = std::str::from_utf8(value).ok();
                        let number = number.and_then(|text| text.parse().ok());
                        self.size = number.or(Some(u64::MAX));
                    }
                    _ => {}
                }
            }
        }
        Ok(true)
    }
}

/// Returns a path as it is from the root of the archive; `None` when it leads out of
/// it, to the root itself, or is longer than any real one.
pub(super) fn clean(path: &[u8]) -> Option<String> {
    if path.len() > MAX_PATH_BYTES {
        return None;
    }
    let path = String::from_utf8_lossy(path);
    let parts = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".");
    let mut clean = String::with_capacity(path.len());
    for (count, part) in parts.enumerate() {
        if part == ".." || part.contains('\0') || count >= MAX_PATH_PARTS {
            return None;
        }
        if count > 0 {
            clean.push('/');
        }
        clean.push_str(part);
    }
    (!clean.is_empty()).then_some(clean)
}

/// A stream that ends in an error where the budget does.
pub(super) struct Metered<'b, R> {
    pub(super) content: R,
    pub(super) budget: &'b std::cell::Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        let left = self.budget.get().checked_sub(read as u64);
        match left {
            Some(left) => self.budget.set(left),
            None => return Err(io::ErrorKind::QuotaExceeded.into()),
        }
        Ok(read)
    }
}
