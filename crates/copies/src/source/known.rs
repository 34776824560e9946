//! Which files of a tree are what they were when they were read last.
//!
//! # Invariants
//!
//! * A file counts as the same if size, times, inode and device are, to the nanosecond. The
//!   time of its inode is among them: whoever writes a file and sets its time back changes
//!   that one.
//! * A file that was written at the moment a review began, or later, may have been written
//!   again since without a trace: nothing of it is kept (as in git's index, where such files
//!   are *racy*). Moments are those of the file system's clock.
//! * Tree, program and version are part of the key. What cannot be used is told, and all is
//!   read.

use std::{fs::Metadata, io, os::unix::fs::MetadataExt as _, sync::Arc};

use rustc_hash::FxHashMap;

use super::{
    Skip, Tree,
    text::{Facts, Text, Words},
};
use crate::memory::{Digest, Folder, Moment, Reader, Writer, broken, digest_of};

/// Name of the part.
const PART: &str = "tree";
/// Why the content of a file is left out.
const SKIPS: [Skip; 3] = [Skip::Binary, Skip::Minified, Skip::Generated];
/// The least bytes of a record.
const RECORD: usize = 4 + STAMP + 1;
const STAMP: usize = 7 * 8;

/// What tells a file from what it was before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) size: u64,
    modified: Moment,
    changed: Moment,
    inode: u64,
    device: u64,
}

impl Stamp {
    pub(super) fn of(data: &Metadata) -> Self {
        Self {
            size: data.size(),
            modified: (data.mtime(), data.mtime_nsec()),
            changed: (data.ctime(), data.ctime_nsec()),
            inode: data.ino(),
            device: data.dev(),
        }
    }

    /// Returns whether the file was surely not written again after the moment `began`
    /// without a trace.
    fn is_before(&self, began: Moment) -> bool {
        let mut last = self.modified.max(self.changed);
        if self.changed.1 == 0 {
            // Some file systems count in steps of two seconds.
            last.0 = last.0.saturating_add(2);
        }
        last < began
    }
}

/// What a reading of a file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) stamp: Stamp,
    pub(super) found: Result<Facts, Skip>,
}

/// What is known of the files of a tree.
#[derive(Debug)]
pub struct Known {
    key: Digest,
    began: Moment,
    files: FxHashMap<String, Record>,
    /// Whether it is not what is on disk.
    is_new: bool,
    dropped: Option<String>,
}

impl Known {
    /// Reads what `folder` holds of its tree, written by the program `program`.
    pub fn open(folder: &Folder, program: Digest) -> Self {
        let text = format!("tree 1 {} {program:x}", folder.tree());
        let mut known = Self {
            key: digest_of(text.as_bytes()),
            began: folder.began(),
            files: FxHashMap::default(),
            is_new: false,
            dropped: None,
        };
        match known.load(folder) {
            Ok(files) => known.files = files,
            Err(error) => known.dropped = Some(error.to_string()),
        }
        known
    }

    /// Returns why what was there is not used, if so.
    #[must_use]
    pub fn dropped(&self) -> Option<&str> {
        self.dropped.as_deref()
    }

    /// Forgets everything, so that every file is read.
    pub fn forget(&mut self) {
        self.files.clear();
        self.is_new = true;
    }

    pub(super) fn find(&self, path: &str, stamp: &Stamp) -> Option<&Record> {
        let record = self.files.get(path);
        record.filter(|record| record.stamp == *stamp)
    }

    fn load(&self, folder: &Folder) -> io::Result<FxHashMap<String, Record>> {
        let Some(bytes) = folder.load(PART, self.key)? else {
            return Ok(FxHashMap::default());
        };
        let bytes = Arc::new(bytes);
        take(&bytes).ok_or_else(|| broken("it cannot be read"))
    }

    /// Takes over what a reading has given.
    pub(super) fn learn(&mut self, tree: &Tree, left_out: Vec<(String, Record)>) {
        let sources = tree.sources.iter().map(|one| (&one.path, &one.text));
        let papers = tree.papers.iter().map(|one| (&one.path, &one.text));
        let mut files = FxHashMap::default();
        for (path, text) in sources.chain(papers) {
            if let Some((stamp, facts)) = text.facts() {
                let record = Record {
                    stamp: stamp.clone(),
                    found: Ok(facts.clone()),
                };
                files.insert(path.clone(), record);
            }
        }
        files.extend(left_out);
        files.retain(|_, record| record.stamp.is_before(self.began));
        self.is_new |= files != self.files;
        self.files = files;
    }

    /// Writes what is known, if it is not what is there already.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn save(&self, folder: &Folder) -> io::Result<()> {
        if !self.is_new {
            return Ok(());
        }
        let mut out = Writer::default();
        out.count(self.files.len());
        for (path, record) in &self.files {
            put(&mut out, path, record);
        }
        folder.save(PART, self.key, &[&out.0])
    }
}

fn put(out: &mut Writer, path: &str, record: &Record) {
    out.text(path);
    let stamp = &record.stamp;
    out.u64(stamp.size);
    for (seconds, nanos) in [stamp.modified, stamp.changed] {
        out.raw(&seconds.to_le_bytes());
        out.raw(&nanos.to_le_bytes());
    }
    out.u64(stamp.inode);
    out.u64(stamp.device);
    match &record.found {
        Ok(facts) => {
            out.raw(&[0]);
            out.digest(facts.content);
            out.raw(&facts.blob);
            out.u32(facts.lines);
            out.u32(facts.tests_from);
            let words = facts.words.bytes();
            out.count(words.len());
            out.raw(words);
        }
        Err(why) => {
            let at = SKIPS.iter().position(|one| one == why);
            let at = at.expect("only what a content says is written down");
            out.raw(&[at as u8 + 1]);
        }
    }
}

fn take(bytes: &Arc<Vec<u8>>) -> Option<FxHashMap<String, Record>> {
    let mut from = Reader::new(bytes);
    let mut files = FxHashMap::default();
    for _ in 0..from.count(RECORD)? {
        let path = from.text()?.to_owned();
        let size = from.u64()?;
        let mut moment = || Some((from.u64()? as i64, from.u64()? as i64));
        let (modified, changed) = (moment()?, moment()?);
        let stamp = Stamp {
            size,
            modified,
            changed,
            inode: from.u64()?,
            device: from.u64()?,
        };
        let found = match from.raw(1)? {
            [0] => {
                let content = from.digest()?;
                let blob = from.raw(20)?.try_into().ok()?;
                let (lines, tests_from) = (from.u32()?, from.u32()?);
                let len = from.count(1)?;
                let begin = bytes.len() - from.left();
                from.raw(len)?;
                let words = Words {
                    all: Arc::clone(bytes),
                    range: begin..begin + len,
                };
                Ok(Facts {
                    content,
                    blob,
                    lines,
                    tests_from,
                    words,
                })
            }
            [at] => Err(*SKIPS.get(usize::from(*at) - 1)?),
            _ => return None,
        };
        files.insert(path, Record { stamp, found });
    }
    from.is_done().then_some(files)
}

/// Returns whether any of `texts` was read late and had become another one.
pub fn have_moved<'t>(mut texts: impl Iterator<Item = &'t Text>) -> bool {
    texts.any(Text::has_moved)
}

#[cfg(test)]
mod tests;
