//! Container images as archives: OCI layouts and what `docker save` writes. No daemon
//! and no registry is asked.
//!
//! # Invariants
//!
//! * Nothing is unpacked to disk. Layers are read from the last to the first, so that a
//!   file that a later layer replaced or removed is never opened.
//! * A blob whose content is not what its digest says makes the image unreadable.
//! * Work is bounded before it is done: entries, bytes after unpacking, layers, images,
//!   lengths and depths of paths.
//! * Links are not followed. A hard link is another name of a file of its own layer.

mod archive;
mod layer;
mod manifest;

use std::{
    cell::RefCell,
    collections::HashMap,
    fs::File,
    io::{self, BufReader, Read, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{Context, SHA256};

use crate::{
    component::{Ecosystem, Inventory, bounded, purl},
    index::hex,
};

use self::manifest::Image;
use super::survey::Survey;

/// Most files of an archive.
const MAX_BLOBS: usize = 100_000;
/// Most bytes of a document in it.
const MAX_DOCUMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Most images of an archive: one for each platform.
const MAX_IMAGES: usize = 16;
/// Most layers of an image. Docker stops at 127.
const MAX_LAYERS: usize = 512;

/// Tells whether a file that starts so is packed with gzip, zstd, xz or bzip2.
pub(super) fn is_packed(start: &[u8]) -> bool {
    let magic: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh"];
    magic.iter().any(|magic| start.starts_with(magic))
}

/// Tells whether a file that starts so is a tar archive.
pub(super) fn is_archive(start: &[u8]) -> bool {
    let Some(head) = start.get(..512) else {
        return false;
    };
    let header = tar::Header::from_byte_slice(head);
    let stated = header.cksum().ok();
    // The sum of all bytes, its own place counted as blanks.
    let sum: u32 = head
        .iter()
        .enumerate()
        .map(|(at, byte)| match at {
            148..156 => 32,
            _ => u32::from(*byte),
        })
        .sum();
    stated == Some(sum)
}

/// Where the blobs of an image lie.
pub(super) enum Source {
    /// In a tar archive: where each starts, and its size.
    Archive {
        file: RefCell<File>,
        blobs: HashMap<String, (u64, u64)>,
    },
    /// In a folder of the OCI layout.
    Folder(PathBuf),
}

impl Source {
    /// Lists what is in an archive.
    pub(super) fn archive(path: &Path) -> Result<Self, String> {
        let told = |error: io::Error| format!("the archive cannot be read: {error}");
        let file = File::open(path).map_err(told)?;
        let mut blobs = HashMap::new();
        let mut tar = tar::Archive::new(&file);
        let entries = tar.entries_with_seek().map_err(told)?;
        let mut budget = archive::Budget::entries(MAX_BLOBS);
        let mut same = Vec::new();
        archive::each(entries, &mut budget, |item, _| {
            if item.kind == archive::Kind::File {
                blobs.insert(item.path, (item.position, item.size));
            } else if let Some(target) = &item.target
                && let Some(target) = target.strip_prefix(b"../").and_then(archive::clean)
            {
                same.push((item.path, target));
            }
            Ok(())
        })
        .map_err(|broken| format!("the archive cannot be read: {broken}"))?;
        // Docker before version 25 wrote a layer that comes twice as a link to the first,
        // `../ID/layer.tar` in the folder `ID`.
        for (path, target) in same {
            if path.matches('/').count() == 1
                && let Some(blob) = blobs.get(&target).copied()
            {
                blobs.entry(path).or_insert(blob);
            }
        }
        let file = RefCell::new(file);
        Ok(Self::Archive { file, blobs })
    }

    /// Takes a folder of the OCI layout.
    pub(super) fn folder(path: &Path) -> Self {
        Self::Folder(path.to_owned())
    }

    /// Opens a blob; `None` when there is none of that name.
    fn open(&self, name: &str) -> io::Result<Option<(Box<dyn Read + '_>, u64)>> {
        match self {
            Self::Archive { file, blobs } => {
                let Some((position, size)) = blobs.get(name).copied() else {
                    return Ok(None);
                };
                let mut file = file.borrow().try_clone()?;
                file.seek(SeekFrom::Start(position))?;
                Ok(Some((Box::new(file.take(size)), size)))
            }
            Self::Folder(root) => {
                // A name is a digest or a fixed word; nothing else leads anywhere.
                if name.split('/').any(|part| part == ".." || part.is_empty()) {
                    return Ok(None);
                }
                let file = match File::open(root.join(name)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(error),
                };
                let size = file.metadata()?.len();
                Ok(Some((Box::new(file.take(size)), size)))
            }
        }
    }

    /// Reads a document; `None` when there is none of that name. With a digest, its
    /// content has to be that.
    fn document(&self, name: &str, digest: Option<&str>) -> Result<Option<Vec<u8>>, String> {
        let told = |error: io::Error| format!("`{name}` cannot be read: {error}");
        let Some((content, size)) = self.open(name).map_err(told)? else {
            return Ok(None);
        };
        if size > MAX_DOCUMENT_BYTES {
            return Err(format!("`{name}` has more than {MAX_DOCUMENT_BYTES} bytes"));
        }
        let mut hashed = Hashed::new(content);
        let mut bytes = Vec::new();
        hashed.read_to_end(&mut bytes).map_err(told)?;
        hashed.check(digest)?;
        Ok(Some(bytes))
    }

    /// Opens a blob to be read and compared with its digest.
    fn blob(&self, name: &str) -> Result<Option<Hashed<'_>>, String> {
        let told = |error: io::Error| format!("`{name}` cannot be read: {error}");
        let open = self.open(name).map_err(told)?;
        Ok(open.map(|(content, _)| Hashed::new(content)))
    }
}

/// A blob whose digest is made while it is read.
struct Hashed<'a> {
    content: BufReader<Box<dyn Read + 'a>>,
    context: Context,
}

impl<'a> Hashed<'a> {
    fn new(content: Box<dyn Read + 'a>) -> Self {
        Self {
            content: BufReader::with_capacity(1 << 17, content),
            context: Context::new(&SHA256),
        }
    }

    /// Reads the rest and compares all of it with `digest`.
    fn check(mut self, digest: Option<&str>) -> Result<(), String> {
        let Some(digest) = digest else {
            return Ok(());
        };
        let Some(wanted) = digest.strip_prefix("sha256:") else {
            return Err(format!("`{}` is no digest that is known", bounded(digest)));
        };
        let mut rest = [0; 1 << 14];
        loop {
            match self.read(&mut rest) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => return Err(format!("`{digest}` cannot be read: {error}")),
            }
        }
        if hex(self.context.finish().as_ref()) == wanted {
            return Ok(());
        }
        Err(format!("the content of `{digest}` has another digest"))
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        self.context.update(&buffer[..read]);
        Ok(read)
    }
}

/// Reads the images of `source`, which people know as `path`.
pub(super) fn read(source: &Source, path: &Path) -> Result<Inventory, String> {
    let mut images = manifest::images(source)?;
    let place = path.to_string_lossy();
    let mut inventory = Inventory::default();
    if images.len() > MAX_IMAGES {
        let more = images.len() - MAX_IMAGES;
        inventory.gap(
            &place,
            format!("{more} images cannot be read: there are too many"),
        );
        images.truncate(MAX_IMAGES);
    }
    let several = images.len() > 1;
    for image in &images {
        let prefix = match several {
            true => format!("{place}#{}:/", image.title()),
            false => format!("{place}#/"),
        };
        let mut survey = Survey::new(&prefix, true);
        if image.platform.starts_with("windows") {
            survey.gap("", "images of Windows cannot be read");
        }
        layers(source, image, &mut survey)?;
        let (read, _) = survey.finish();
        inventory.merge(read);
    }
    let name = path.file_stem().and_then(|name| name.to_str());
    // Several images are several products.
    inventory.product = match images.as_slice() {
        [image] => {
            let name = image.name.as_deref().or(name).unwrap_or("image");
            Some(purl(&Ecosystem::Oci, name, image.digest.as_deref()))
        }
        _ => None,
    };
    let named = images.iter().filter_map(|image| image.name.as_deref());
    inventory.own.extend(named.map(bounded));
    inventory.settle();
    Ok(inventory)
}

/// Reads the layers of an image, the last first.
fn layers(source: &Source, image: &Image, survey: &mut Survey) -> Result<(), String> {
    if image.layers.len() > MAX_LAYERS {
        return Err(format!("an image has more than {MAX_LAYERS} layers"));
    }
    let mut upper = layer::Upper::default();
    let mut budget = archive::Budget::layers();
    for (at, found) in image.layers.iter().enumerate().rev() {
        let number = at + 1;
        let bottom = at == 0;
        match layer::read(source, found, bottom, &mut upper, &mut budget, survey) {
            Ok(()) => {}
            Err(layer::Broken::Image(why)) => return Err(why),
            Err(layer::Broken::Layer(why)) => {
                survey.gap("", format!("layer {number} cannot be read: {why}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
