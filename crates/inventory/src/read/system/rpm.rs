//! Packages of rpm: headers in a table of SQLite.

use super::{
    super::Unread,
    Package, Read,
    sqlite::{Database, Value},
};

/// Tags of a header (rpmtag.h).
mod tag {
    pub(super) const NAME: u32 = 1000;
    pub(super) const VERSION: u32 = 1001;
    pub(super) const RELEASE: u32 = 1002;
    pub(super) const EPOCH: u32 = 1003;
    pub(super) const SOURCE: u32 = 1044;
    pub(super) const FOLDER_OF: u32 = 1116;
    pub(super) const FILES: u32 = 1117;
    pub(super) const FOLDERS: u32 = 1118;
}

/// Most entries of a header; real ones have about 80.
const MAX_ENTRIES: usize = 1024;
/// Most files of one package.
const MAX_FILES: usize = 500_000;

pub(super) fn database(bytes: &[u8]) -> Result<Read, Unread> {
    let mut read = Read::default();
    Database::open(bytes)?.rows("Packages", |row| {
        let Some(Value::Bytes(blob)) = row.get(1) else {
            read.problems.push("a package has no header".to_owned());
            return;
        };
        match Header::read(blob) {
            Some(header) => header.package(&mut read),
            None => read
                .problems
                .push("the header of a package is damaged".to_owned()),
        }
    })?;
    Ok(read)
}

/// A header: an index of tags and the data they point into.
struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn read(blob: &'a [u8]) -> Option<Self> {
        let entries = usize::try_from(number(blob, 0)?).ok()?;
        let size = usize::try_from(number(blob, 4)?).ok()?;
        if entries > MAX_ENTRIES {
            return None;
        }
        let index = blob.get(8..8 + 16 * entries)?;
        let data = blob.get(8 + 16 * entries..)?.get(..size)?;
        Some(Self { index, data })
    }

    /// Returns the data of a tag, and how many values it holds.
    fn find(&self, wanted: u32) -> Option<(&'a [u8], usize)> {
        let mut entries = self.index.chunks_exact(16);
        let entry = entries.find(|entry| number(entry, 0) == Some(wanted))?;
        let from = usize::try_from(number(entry, 8)?).ok()?;
        let count = usize::try_from(number(entry, 12)?).ok()?;
        Some((self.data.get(from..)?, count))
    }

    fn texts(&self, tag: u32) -> impl Iterator<Item = &'a str> + use<'a> {
        let (data, count) = self.find(tag).unwrap_or_default();
        let texts = data.split(|byte| *byte == 0).take(count.min(MAX_FILES));
        texts.map(|text| std::str::from_utf8(text).unwrap_or_default())
    }

    fn package(&self, into: &mut Read) {
        let text = |tag| self.texts(tag).next().unwrap_or_default();
        let (name, version, release) = (text(tag::NAME), text(tag::VERSION), text(tag::RELEASE));
        // Keys that somebody trusts are kept among the packages.
        if name == "gpg-pubkey" {
            return;
        }
        if name.is_empty() || version.is_empty() {
            into.problems
                .push("the header of a package names none".to_owned());
            return;
        }
        let epoch = self.find(tag::EPOCH).and_then(|(data, _)| number(data, 0));
        let epoch = match epoch {
            Some(epoch) if epoch > 0 => format!("{epoch}:"),
            _ => String::new(),
        };
        into.packages.push(Package {
            name: name.to_owned(),
            version: format!("{epoch}{version}-{release}"),
            installed_as: name.to_owned(),
            source: source(text(tag::SOURCE)).to_owned(),
        });
        let folders: Vec<&str> = self.texts(tag::FOLDERS).collect();
        let (indexes, _) = self.find(tag::FOLDER_OF).unwrap_or_default();
        for (file, index) in self.texts(tag::FILES).zip(indexes.chunks_exact(4)) {
            let folder = number(index, 0).and_then(|at| folders.get(usize::try_from(at).ok()?));
            if let Some(folder) = folder {
                into.file(&format!("{folder}{file}"));
            }
        }
    }
}

/// Returns the name in `name-version-release.src.rpm`.
fn source(file: &str) -> &str {
    file.rsplitn(3, '-').nth(2).unwrap_or_default()
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}
