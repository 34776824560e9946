//! The content of a file, read when it is first needed.
//!
//! # Invariants
//!
//! * What is known of a content without reading it was worked out from that content.
//! * A content that is read late is compared with the digest that is known of it. If it is
//!   another one, [`Text::has_moved`] tells: what was concluded so far does not fit together.

use std::{collections::HashSet, fs, io::Read as _, ops::Deref, path::PathBuf, sync::Arc};
use std::{ops::Range, sync::OnceLock};

use aws_lc_rs::digest;
use rustc_hash::{FxBuildHasher, FxHasher};

use super::{Language, known::Stamp, tests_of};
use crate::memory::{Digest, digest_of};

/// Shortest word that can be a name.
const SHORTEST: usize = 3;

/// The content of a file. Reads it when it is first looked into.
#[derive(Debug, Clone, Default)]
pub struct Text {
    bytes: OnceLock<Read>,
    known: Option<Box<Known>>,
}

#[derive(Debug, Clone)]
struct Read {
    bytes: Vec<u8>,
    has_moved: bool,
}

/// What is known of a file that was read before.
#[derive(Debug, Clone)]
struct Known {
    path: PathBuf,
    stamp: Stamp,
    facts: Facts,
}

/// What is known of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) content: Digest,
    /// The id that git gives it, where ids are SHA-1.
    pub(super) blob: [u8; 20],
    pub(super) lines: u32,
    pub(super) tests_from: u32,
    pub(super) words: Words,
}

/// Hashes of the words of a text, four bytes each, in no order.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    pub(super) all: Arc<Vec<u8>>,
    pub(super) range: Range<usize>,
}

impl Words {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.all[self.range.clone()]
    }
}

impl PartialEq for Words {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Words {}

impl Facts {
    pub(super) fn of(bytes: &[u8], language: Option<Language>) -> Self {
        let mut held: HashSet<u32, FxBuildHasher> = HashSet::default();
        let words = words(bytes).map(hash_of).filter(|hash| held.insert(*hash));
        let words: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
        let mut blob = [0; 20];
        let algorithm = &digest::SHA1_FOR_LEGACY_USE_ONLY;
        blob.copy_from_slice(blob_of(bytes, algorithm).as_ref());
        Self {
            content: digest_of(bytes),
            blob,
            lines: memchr::memchr_iter(b'\n', bytes).count() as u32,
            tests_from: language.map_or(u32::MAX, |language| tests_of(language, bytes)),
            words: Words {
                range: 0..words.len(),
                all: Arc::new(words),
            },
        }
    }
}

impl Text {
    /// Returns the content of a file that was read before, if it is the same today.
    pub(super) fn known(path: PathBuf, stamp: Stamp, facts: Facts) -> Self {
        Self {
            bytes: OnceLock::new(),
            known: Some(Box::new(Known { path, stamp, facts })),
        }
    }

    /// Returns the content of a file that was read just now, of which that much is known.
    pub(super) fn read(bytes: Vec<u8>, path: PathBuf, (stamp, facts): (Stamp, Facts)) -> Self {
        let text = Self::from(bytes);
        Self {
            known: Some(Box::new(Known { path, stamp, facts })),
            ..text
        }
    }

    pub(super) fn facts(&self) -> Option<(&Stamp, &Facts)> {
        let known = self.known.as_deref()?;
        Some((&known.stamp, &known.facts))
    }

    /// Returns how many bytes it has.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "of what it stands for, which has it"
    )]
    pub fn len(&self) -> usize {
        match (self.bytes.get(), &self.known) {
            (None, Some(known)) => usize::try_from(known.stamp.size).unwrap_or(usize::MAX),
            _ => self.bytes().len(),
        }
    }

    /// Returns how many lines end in it.
    #[must_use]
    pub fn lines(&self) -> usize {
        match &self.known {
            Some(known) => known.facts.lines as usize,
            None => memchr::memchr_iter(b'\n', self.bytes()).count(),
        }
    }

    /// Returns its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        match &self.known {
            Some(known) => known.facts.content,
            None => digest_of(self.bytes()),
        }
    }

    /// Returns the id that git gives it, in a repository whose ids have so many digits. No
    /// security rests on it: it tells whether a file is the same as before.
    #[must_use]
    pub fn blob_id(&self, digits: usize) -> String {
        match (&self.known, digits) {
            (_, 64) => airside_base::hex(blob_of(self.bytes(), &digest::SHA256).as_ref()),
            (Some(known), _) => airside_base::hex(&known.facts.blob),
            (None, _) => {
                let algorithm = &digest::SHA1_FOR_LEGACY_USE_ONLY;
                airside_base::hex(blob_of(self.bytes(), algorithm).as_ref())
            }
        }
    }

    /// Returns hashes of its words, by [`hash_of`], if it need not be read for that.
    pub fn known_words(&self) -> Option<impl Iterator<Item = u32>> {
        let is_read = self.bytes.get().is_some();
        let known = self.known.as_ref().filter(|_| !is_read)?;
        let hashes = known.facts.words.bytes().as_chunks::<4>().0.iter();
        Some(hashes.map(|hash| u32::from_le_bytes(*hash)))
    }

    /// Returns the first line of tests of a file in this language.
    pub(super) fn tests_from(&self, language: Language) -> u32 {
        match &self.known {
            Some(known) => known.facts.tests_from,
            None => tests_of(language, self.bytes()),
        }
    }

    /// Returns whether it was read, and is not what is known of it.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.bytes.get().is_some_and(|read| read.has_moved)
    }

    fn bytes(&self) -> &Vec<u8> {
        let read = self.bytes.get_or_init(|| {
            let known = self.known.as_deref();
            let bytes = known.and_then(Known::read).unwrap_or_default();
            let is_known = known.is_none_or(|known| digest_of(&bytes) == known.facts.content);
            Read {
                bytes,
                has_moved: !is_known,
            }
        });
        &read.bytes
    }
}

impl Known {
    /// Reads the file again, as far as it was long.
    fn read(&self) -> Option<Vec<u8>> {
        let size = usize::try_from(self.stamp.size).ok()?;
        let file = fs::File::open(&self.path).ok()?;
        let mut bytes = Vec::with_capacity(size);
        // What is longer now has another digest.
        let most = self.stamp.size.saturating_add(1);
        file.take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        let read = Read {
            bytes,
            has_moved: false,
        };
        Self {
            bytes: OnceLock::from(read),
            known: None,
        }
    }
}

impl Deref for Text {
    type Target = Vec<u8>;

    fn deref(&self) -> &Self::Target {
        self.bytes()
    }
}

/// Bytes of words.
const PART: [bool; 256] = {
    let mut part = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let one = byte as u8;
        part[byte] = one.is_ascii_alphanumeric() || one == b'_' || one >= 0x80;
        byte += 1;
    }
    part
};

/// Returns the words of a text that can be names.
pub fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !PART[usize::from(*byte)])
        .filter(|word| word.len() >= SHORTEST && !word[0].is_ascii_digit())
}

/// Returns the hash by which a word is known. Others may have the same.
#[must_use]
pub fn hash_of(word: &[u8]) -> u32 {
    use std::hash::Hasher as _;
    let mut hasher = FxHasher::default();
    hasher.write(word);
    (hasher.finish() >> 32) as u32
}

fn blob_of(content: &[u8], algorithm: &'static digest::Algorithm) -> digest::Digest {
    let mut context = digest::Context::new(algorithm);
    context.update(format!("blob {}\0", content.len()).as_bytes());
    context.update(content);
    context.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_git() {
        // `printf 'hello\n' | git hash-object --stdin`
        let text = Text::from(b"hello\n".to_vec());
        let id = "ce013625030ba8dba906f756967f9e9ca394464a";
        assert_eq!(text.blob_id(40), id);
        assert_eq!(airside_base::hex(&Facts::of(&text, None).blob), id);
    }
}
