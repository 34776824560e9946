//! Feeds from a mirror: a list of files with their digests, signed, and the files.
//!
//! The list is what `sha256sum * > SHA256SUMS` writes; its signature what `openssl
//! pkeyutl -sign -rawin` makes of it with a key for Ed25519. Whoever runs a mirror needs
//! nothing of ours.
//!
//! # Invariants
//!
//! * No file is taken whose digest is not the listed one, and none that is not listed.
//! * The folder holds the files of one list: they are brought together beside it, and it
//!   is replaced when all are there. A mirror that breaks off changes nothing.
//! * A name is a file name, never a path.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{ED25519, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{component::bounded, index::hex};

/// Name of the list on the mirror.
pub const LIST: &str = "SHA256SUMS";
/// Name of its signature.
pub const SIGNATURE: &str = "SHA256SUMS.sig";
/// Most bytes of the list.
pub const MAX_LIST_BYTES: usize = 1024 * 1024;
/// Most bytes of one file.
pub const MAX_FILE_BYTES: usize = 512 * 1024 * 1024;
/// Most files of a list.
const MAX_FILES: usize = 1000;
/// Longest name of a file, in bytes.
const MAX_NAME_BYTES: usize = 200;
/// What stands before a public key for Ed25519 in DER (RFC 8410, section 4).
const KEY_PREFIX: [u8; 12] = [48, 42, 48, 5, 6, 3, 43, 101, 112, 3, 33, 0];

/// Why nothing was taken from a mirror.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The key is none for Ed25519 in PEM.
    #[error("the key is no public key for Ed25519 in PEM")]
    Key,
    /// The list was signed by nobody, or by somebody else.
    #[error("the signature of `{LIST}` does not fit the key")]
    Signature,
    /// The list cannot be read.
    #[error("line {line} of `{LIST}` {why}")]
    List {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file is not what the list says.
    #[error("`{name}` is not what `{LIST}` says")]
    Content {
        /// The file.
        name: String,
    },
    /// Not all files came.
    #[error("`{name}` did not come")]
    Missing {
        /// One of them.
        name: String,
    },
    /// The folder cannot be written.
    #[error("cannot write the feeds to {}", path.display())]
    Unwritable {
        /// What could not be written.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The key that lists are signed with.
#[derive(Clone, Debug)]
pub struct Key([u8; 32]);

impl Key {
    /// Reads what `openssl pkey -pubout` writes.
    ///
    /// # Errors
    ///
    /// When it is no public key for Ed25519.
    pub fn from_pem(text: &str) -> Result<Self, Refused> {
        let body = text.trim().strip_prefix("-----BEGIN PUBLIC KEY-----");
        let body = body.and_then(|text| text.strip_suffix("-----END PUBLIC KEY-----"));
        let body: String = body.ok_or(Refused::Key)?.split_whitespace().collect();
        let der = STANDARD.decode(body).map_err(|_| Refused::Key)?;
        let key = der.strip_prefix(&KEY_PREFIX).ok_or(Refused::Key)?;
        Ok(Self(key.try_into().map_err(|_| Refused::Key)?))
    }

    /// Checks the signature of a list, as bytes or in Base64.
    ///
    /// # Errors
    ///
    /// When it was not made with this key.
    pub fn check(&self, list: &[u8], signature: &[u8]) -> Result<(), Refused> {
        let raw = match signature.len() {
            64 => signature.to_vec(),
            _ => {
                let decoded = STANDARD.decode(signature.trim_ascii());
                decoded.map_err(|_| Refused::Signature)?
            }
        };
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        key.verify(list, &raw).map_err(|_| Refused::Signature)
    }
}

/// Which files a mirror has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Names and digests.
    files: Vec<(String, String)>,
}

impl Listing {
    /// Reads lines of digest and name, as `sha256sum` writes them.
    ///
    /// # Errors
    ///
    /// When a line is none, or names no plain file.
    pub fn read(text: &[u8]) -> Result<Self, Refused> {
        let refused = |line: usize, why| Refused::List { line, why };
        let text = std::str::from_utf8(text).map_err(|_| refused(1, "is no text"))?;
        let mut files: Vec<(String, String)> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let refused = |why| refused(at + 1, why);
            let (sum, name) = line
                .split_once("  ")
                .or_else(|| line.split_once(" *"))
                .ok_or_else(|| refused("is no digest and name"))?;
            if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(refused("has no digest of SHA-256"));
            }
            let fits = |b: u8| b.is_ascii_alphanumeric() || b"._-+".contains(&b);
            let plain = name.len() <= MAX_NAME_BYTES && name.bytes().all(fits);
            if !plain || name.is_empty() || name.starts_with('.') {
                return Err(refused("names no plain file"));
            }
            // The list may list itself: it was there when it was made.
            if name == LIST || name == SIGNATURE {
                continue;
            }
            if files.iter().any(|(known, _)| known == name) {
                return Err(refused("names a file again"));
            }
            files.push((name.to_owned(), sum.to_ascii_lowercase()));
            if files.len() > MAX_FILES {
                return Err(refused("is one too many"));
            }
        }
        if files.is_empty() {
            return Err(refused(1, "names no file"));
        }
        Ok(Self { files })
    }
}

/// Files of one list on their way into a folder.
#[derive(Debug)]
pub struct Intake {
    folder: PathBuf,
    beside: PathBuf,
    missing: Vec<(String, String)>,
    /// The folder holds something that the list does not.
    extra: bool,
}

impl Intake {
    /// Starts to bring the files of `listing` into `folder`. What lies there already is
    /// kept.
    ///
    /// # Errors
    ///
    /// When the place beside the folder cannot be written.
    pub fn begin(folder: &Path, listing: Listing) -> Result<Self, Refused> {
        let beside = folder.with_extension("new");
        let unwritable = |source| Refused::Unwritable {
            path: beside.clone(),
            source,
        };
        // Left by a process that ended between the two renames.
        let old = folder.with_extension("old");
        if !folder.exists() && old.exists() {
            fs::rename(&old, folder).map_err(unwritable)?;
        }
        clear(&beside).map_err(unwritable)?;
        fs::create_dir_all(&beside).map_err(unwritable)?;
        let (mut missing, mut here) = (Vec::new(), 0);
        for (name, sum) in listing.files {
            let known = folder.join(&name);
            let same = fs::read(&known).is_ok_and(|content| sum_of(&content) == sum);
            if same && keep(&known, &beside.join(&name)).is_ok() {
                here += 1;
            } else {
                missing.push((name, sum));
            }
        }
        let lying = fs::read_dir(folder).map_or(0, Iterator::count);
        Ok(Self {
            folder: folder.to_owned(),
            beside,
            missing,
            extra: lying > here,
        })
    }

    /// Returns the names of files that have to come.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        self.missing.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Takes a file.
    ///
    /// # Errors
    ///
    /// When it is not what the list says, or cannot be written.
    pub fn put(&mut self, name: &str, content: &[u8]) -> Result<(), Refused> {
        let other = || Refused::Content {
            name: bounded(name),
        };
        let listed = self.missing.iter().position(|(listed, _)| listed == name);
        let listed = listed.ok_or_else(other)?;
        if sum_of(content) != self.missing[listed].1 {
            return Err(other());
        }
        let path = self.beside.join(name);
        let written = fs::write(&path, content);
        written.map_err(|source| Refused::Unwritable { path, source })?;
        self.missing.swap_remove(listed);
        self.extra = true;
        Ok(())
    }

    /// Puts the files into the place of the folder. Returns whether anything changed.
    ///
    /// # Errors
    ///
    /// When not all files came, or the folder cannot be replaced.
    pub fn finish(self) -> Result<bool, Refused> {
        if let Some((name, _)) = self.missing.first() {
            let name = name.clone();
            return Err(Refused::Missing { name });
        }
        let swap = || {
            if !self.extra {
                return clear(&self.beside);
            }
            let old = self.folder.with_extension("old");
            clear(&old)?;
            if self.folder.exists() {
                fs::rename(&self.folder, &old)?;
            }
            fs::rename(&self.beside, &self.folder)?;
            clear(&old)
        };
        let swapped = swap();
        swapped.map_err(|source| Refused::Unwritable {
            path: self.folder.clone(),
            source,
        })?;
        Ok(self.extra)
    }
}

fn sum_of(content: &[u8]) -> String {
    hex(digest(&SHA256, content).as_ref())
}

/// Keeps a file with the time it was written, by which the index knows it.
fn keep(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(|_| ()))
}

fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
