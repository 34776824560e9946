//! What earlier reviews of a tree have learned, as files of one folder.
//!
//! # Invariants
//!
//! * One review at a time: who does not get the lock does without.
//! * A part is read whole or not at all: its head, the key of the program that wrote it and
//!   a digest of its content are compared first. Another key is nothing to tell; anything
//!   else that does not fit is told, and the part is learned again.
//! * Reading is bounded by the bytes that there are: what is promised is not reserved.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use airside_base::hex;
use aws_lc_rs::digest;
use rayon::prelude::*;

/// Most bytes of one part.
pub const MOST_BYTES: u64 = 1 << 30;
const HEAD: &[u8; 8] = b"airside2";
/// Bytes of a part that are digested together.
const CHUNK: usize = 1 << 20;

/// A digest that a change of what it is about does not survive.
pub type Digest = u128;

/// Returns the digest of `bytes`.
pub fn digest_of(bytes: &[u8]) -> Digest {
    let full = digest::digest(&digest::SHA256, bytes);
    let (first, _) = full
        .as_ref()
        .split_first_chunk::<16>()
        .expect("a digest has 32 bytes");
    Digest::from_le_bytes(*first)
}

/// Returns a digest of `bytes` that several threads make.
pub fn digest_of_many(bytes: &[u8]) -> Digest {
    let parts = bytes.par_chunks(CHUNK);
    let parts: Vec<[u8; 16]> = parts.map(|part| digest_of(part).to_le_bytes()).collect();
    digest_of(parts.as_flattened())
}

/// Returns that what is there cannot be used.
pub fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// The folder of one tree, held as long as this is there.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    stem: String,
    began: Moment,
    _lock: File,
}

/// Seconds and nanoseconds since 1970, by the clock of a file system.
pub(crate) type Moment = (i64, i64);

impl Folder {
    /// Opens what is kept of the tree at `root` in `folder`. Nothing if the folder cannot be
    /// used or somebody else uses it.
    pub fn open(folder: &Path, root: &Path) -> Result<Self, String> {
        let failed = |error: io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(failed)?;
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let stem = hex(&digest_of(root.as_os_str().as_encoded_bytes()).to_le_bytes());
        let mut lock = File::create(folder.join(format!("{stem}.lock"))).map_err(failed)?;
        lock.try_lock()
            .map_err(|_| format!("{}: another review uses it", folder.display()))?;
        // Its time is that of the file system, which is behind that of the system.
        lock.write_all(b"\n").map_err(failed)?;
        let data = lock.metadata().map_err(failed)?;
        Ok(Self {
            path: folder.to_owned(),
            stem,
            began: (data.mtime(), data.mtime_nsec()),
            _lock: lock,
        })
    }

    /// Returns what stands for the tree that this is about.
    pub(crate) fn tree(&self) -> &str {
        &self.stem
    }

    /// Returns when it was opened.
    pub(crate) fn began(&self) -> Moment {
        self.began
    }

    /// Returns where the part `name` is.
    pub fn part(&self, name: &str) -> PathBuf {
        self.path.join(format!("{}.{name}", self.stem))
    }

    /// Returns the content of a part; nothing if there is none, or one of another key.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is not what was written.
    pub fn load(&self, name: &str, key: Digest) -> io::Result<Option<Vec<u8>>> {
        let path = self.part(name);
        let size = match fs::metadata(&path) {
            Ok(data) => data.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if size > MOST_BYTES {
            return Err(broken("it is too large"));
        }
        let mut bytes = fs::read(path)?;
        let (body, sum) = bytes
            .split_last_chunk::<16>()
            .ok_or_else(|| broken("it is cut"))?;
        let mut head = Reader::new(body);
        let is_ours = head.raw(HEAD.len()).is_some_and(|head| head == HEAD);
        let (true, Some(wrote)) = (is_ours, head.digest()) else {
            return Err(broken("it is something else"));
        };
        if digest_of_many(body) != Digest::from_le_bytes(*sum) {
            return Err(broken("its digest is another one"));
        }
        if wrote != key {
            return Ok(None);
        }
        bytes.truncate(bytes.len() - 16);
        bytes.drain(..HEAD.len() + 16);
        Ok(Some(bytes))
    }

    /// Writes a part that is made of `parts`, whole or not at all.
    ///
    /// # Errors
    ///
    /// When it is too large or cannot be written.
    pub fn save(&self, name: &str, key: Digest, parts: &[&[u8]]) -> io::Result<()> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let mut bytes = Vec::with_capacity(len + HEAD.len() + 32);
        bytes.extend(HEAD);
        bytes.extend(key.to_le_bytes());
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        let sum = digest_of_many(&bytes);
        bytes.extend(sum.to_le_bytes());
        if bytes.len() as u64 > MOST_BYTES {
            return Err(broken("it would be too large"));
        }
        let fresh = self.part(&format!("{name}.fresh"));
        fs::write(&fresh, &bytes)?;
        fs::rename(fresh, self.part(name))
    }
}

/// Bytes that are read, all of them checked.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn raw(&mut self, len: usize) -> Option<&'b [u8]> {
        let (raw, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(raw)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn digest(&mut self) -> Option<Digest> {
        self.array().map(Digest::from_le_bytes)
    }

    /// Returns how many things of `each` bytes follow, if so many bytes do.
    pub(crate) fn count(&mut self, each: usize) -> Option<usize> {
        let count = usize::try_from(self.u32()?).ok()?;
        (count.checked_mul(each)? <= self.0.len()).then_some(count)
    }

    pub(crate) fn text(&mut self) -> Option<&'b str> {
        let len = self.count(1)?;
        std::str::from_utf8(self.raw(len)?).ok()
    }

    /// Returns how many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bytes that are written, to be read by [`Reader`].
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.raw(&number.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.raw(&number.to_le_bytes());
    }

    pub(crate) fn digest(&mut self, digest: Digest) {
        self.raw(&digest.to_le_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.u32(
            u32::try_from(count)
                .expect("what is counted lies in memory, in parts of a tree of bounded size"),
        );
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len());
        self.raw(text.as_bytes());
    }
}
