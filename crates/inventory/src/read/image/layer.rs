//! One layer: what it adds, and what it hides of those below.
//!
//! # Invariants
//!
//! * What a layer hides, it hides of the layers below it only: its own files and its
//!   whiteouts may stand in any order (OCI image layer filesystem changeset).

use std::{
    cell::Cell,
    collections::HashMap,
    io::{self, BufRead as _, BufReader, Read},
};

use aws_lc_rs::digest::{Context, SHA256};

use crate::{
    index::hex,
    read::{
        program,
        survey::{Sort, Survey, too_large},
    },
};

use super::{
    Hashed, Source,
    archive::{self, Budget, Item, Kind, Metered},
    manifest::Layer,
};

/// Starts the name of a file that removes another one of the layers below.
const WHITEOUT: &str = ".wh.";
/// Removes all that the layers below have in its folder.
const OPAQUE: &str = ".wh..wh..opq";
/// Most steps from a hard link to what it is another name of.
const MAX_STEPS: usize = 16;

/// Why a layer was not read.
#[derive(Debug)]
pub(super) enum Broken {
    /// The layer alone is unreadable, from some place on.
    Layer(String),
    /// The image cannot be trusted, or is too large.
    Image(String),
}

/// What the layers above say of a path.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// Something is there that is no folder.
    taken: bool,
    /// What the layers below have there, or below it, is gone.
    cut: bool,
}

/// What the layers above hide.
#[derive(Debug, Default)]
pub(super) struct Upper {
    marks: HashMap<String, Mark>,
}

impl Upper {
    /// Tells whether a file at `path` of a lower layer is hidden.
    fn hides(&self, path: &str) -> bool {
        if self.marks.contains_key(path) {
            return true;
        }
        let mut above = path;
        while let Some((folder, _)) = above.rsplit_once('/') {
            let mark = self.marks.get(folder);
            if mark.is_some_and(|mark| mark.taken || mark.cut) {
                return true;
            }
            above = folder;
        }
        self.marks.get("").is_some_and(|root| root.cut)
    }

    fn add(&mut self, marks: HashMap<String, Mark>) {
        for (path, mark) in marks {
            let known = self.marks.entry(path).or_default();
            known.taken |= mark.taken;
            known.cut |= mark.cut;
        }
    }
}

/// Reads a layer into `survey`; what it hides is added to `upper`, unless it is the
/// last one to be read.
pub(super) fn read(
    source: &Source,
    layer: &Layer,
    bottom: bool,
    upper: &mut Upper,
    budget: &mut Budget,
    survey: &mut Survey,
) -> Result<(), Broken> {
    let mut pass = Pass {
        upper,
        survey,
        bottom,
        marks: HashMap::new(),
        links: HashMap::new(),
        wanted: HashMap::new(),
    };
    let done = stream(source, layer, budget, |item, content| {
        pass.entry(item, content)
    });
    let strange = match &done {
        Ok(strange) => *strange,
        Err(_) => 0,
    };
    if !pass.wanted.is_empty() && done.is_ok() {
        let wanted = std::mem::take(&mut pass.wanted);
        linked(source, layer, wanted, budget, pass.survey)?;
    }
    let marks = pass.marks;
    upper.add(marks);
    if strange > 0 {
        let text = format!("{strange} entries have paths that lead out of the image");
        survey.gap("", text);
    }
    done.map(|_| ())
}

/// One reading of a layer.
struct Pass<'a> {
    upper: &'a Upper,
    survey: &'a mut Survey,
    bottom: bool,
    marks: HashMap<String, Mark>,
    /// Hard links and what they are another name of.
    links: HashMap<String, String>,
    /// Files that have to be read under other names, by their own.
    wanted: HashMap<String, Vec<(String, Sort)>>,
}

impl Pass<'_> {
    fn entry(&mut self, item: Item, content: &mut dyn Read) -> io::Result<()> {
        let (folder, name) = match item.path.rsplit_once('/') {
            Some((folder, name)) => (folder, name),
            None => ("", item.path.as_str()),
        };
        if let Some(removed) = name.strip_prefix(WHITEOUT) {
            let path = match (name == OPAQUE, folder) {
                (true, folder) => folder.to_owned(),
                // Notes of the file system that made the layer.
                _ if removed.starts_with(WHITEOUT) => return Ok(()),
                _ if matches!(removed, "" | "." | "..") => return Ok(()),
                (false, "") => removed.to_owned(),
                (false, folder) => format!("{folder}/{removed}"),
            };
            self.mark(path, |mark| mark.cut = true);
            return Ok(());
        }
        let hidden = self.upper.hides(&item.path);
        if item.kind == Kind::Folder {
            self.mark(item.path, |_| {});
            return Ok(());
        }
        self.mark(item.path.clone(), |mark| mark.taken = true);
        if item.kind == Kind::HardLink {
            self.link(&item, hidden);
            return Ok(());
        }
        if hidden {
            return Ok(());
        }
        let sort = Sort::of(&item.path, item.executable);
        match sort.filter(|_| item.kind == Kind::File) {
            Some(sort) => take(self.survey, &[(item.path, sort)], item.size, content),
            None => {
                self.survey.forget(&item.path);
                Ok(())
            }
        }
    }

    fn mark(&mut self, path: String, set: impl FnOnce(&mut Mark)) {
        if !self.bottom {
            set(self.marks.entry(path).or_default());
        }
    }

    fn link(&mut self, item: &Item, hidden: bool) {
        let target = item.target.as_deref().and_then(archive::clean);
        let Some(target) = &target else {
            let why = "it cannot be read: the link leads out of the image";
            self.survey.gap(&item.path, why);
            return;
        };
        let mut target = target;
        for _ in 0..MAX_STEPS {
            match self.links.get(target) {
                Some(further) => target = further,
                None => break,
            }
        }
        let target = target.clone();
        if !hidden && let Some(sort) = Sort::of(&item.path, item.executable) {
            let wanted = self.wanted.entry(target.clone()).or_default();
            wanted.push((item.path.clone(), sort));
        }
        self.links.insert(item.path.clone(), target);
    }
}

/// Reads the files that have other names, under those.
fn linked(
    source: &Source,
    layer: &Layer,
    mut wanted: HashMap<String, Vec<(String, Sort)>>,
    budget: &mut Budget,
    survey: &mut Survey,
) -> Result<(), Broken> {
    stream(source, layer, budget, |item, content| {
        if item.kind != Kind::File {
            return Ok(());
        }
        let Some(names) = wanted.remove(&item.path) else {
            return Ok(());
        };
        take(survey, &names, item.size, content)
    })?;
    for (path, _) in wanted.into_values().flatten() {
        survey.gap(
            &path,
            "it cannot be read: its layer does not hold what it links to",
        );
    }
    Ok(())
}

/// Takes the content of a file in, under each of its names.
fn take(
    survey: &mut Survey,
    names: &[(String, Sort)],
    size: u64,
    content: &mut dyn Read,
) -> io::Result<()> {
    let limit = names.iter().map(|(_, sort)| sort.limit()).max();
    let mut read = Vec::new();
    content.take(8).read_to_end(&mut read)?;
    let is_program = program::starts(&read);
    let useful = names
        .iter()
        .any(|(_, sort)| sort.has_content() && (is_program || *sort != Sort::Program));
    if useful {
        content.take(limit.unwrap_or(0)).read_to_end(&mut read)?;
    }
    for (name, sort) in names {
        if *sort == Sort::Program && !is_program {
            survey.forget(name);
        } else if size > sort.limit() && sort.has_content() {
            survey.forget(name);
            survey.gap(name, too_large(size, sort.limit()));
        } else {
            survey.take(name, *sort, &read);
        }
    }
    Ok(())
}

/// Calls `take` with every entry of a layer, and compares the layer with its digest.
fn stream(
    source: &Source,
    layer: &Layer,
    budget: &mut Budget,
    take: impl FnMut(Item, &mut dyn Read) -> io::Result<()>,
) -> Result<usize, Broken> {
    let blob = source.blob(&layer.blob).map_err(Broken::Image)?;
    let Some(mut blob) = blob else {
        return Err(Broken::Layer("it is not in the archive".to_owned()));
    };
    let left = Cell::new(budget.unpacked_bytes);
    let (read, content) = {
        let start = blob.content.fill_buf();
        let start = start.map_err(|error| Broken::Layer(error.to_string()))?;
        let unpacked = unpack(&[start.first().copied(), start.get(1).copied()], &mut blob);
        let unpacked = unpacked.map_err(|error| Broken::Layer(error.to_string()))?;
        let mut metered = Metered {
            content: unpacked,
            budget: &left,
        };
        let mut content = Unpacked {
            content: &mut metered,
            context: layer.content.as_ref().map(|_| Context::new(&SHA256)),
        };
        let read = tar::Archive::new(&mut content)
            .entries()
            .map_err(archive::Broken::from)
            .and_then(|entries| archive::each(entries, budget, take));
        let content = content.digest();
        (read, content)
    };
    budget.unpacked_bytes = left.get();
    blob.check(layer.digest.as_deref()).map_err(Broken::Image)?;
    if let (Some(Ok(content)), Some(wanted)) = (content, &layer.content)
        && format!("sha256:{content}") != *wanted
    {
        let name = crate::component::bounded(wanted);
        return Err(Broken::Image(format!(
            "the content of layer `{name}` has another digest"
        )));
    }
    read.map_err(|broken| match broken {
        archive::Broken::Damaged(why) => Broken::Layer(why),
        archive::Broken::TooMuch => Broken::Image(broken.to_string()),
    })
}

/// Unpacks a layer by its first bytes.
fn unpack<'a, 'b>(
    start: &[Option<u8>; 2],
    blob: &'a mut Hashed<'b>,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match start {
        [Some(0x1f), Some(0x8b)] => Box::new(flate2::read::MultiGzDecoder::new(blob)),
        [Some(0x28), Some(0xb5)] => {
            let mut decoder = zstd::Decoder::new(blob)?;
            // The window is allocated before a byte comes out.
            decoder.window_log_max(27)?;
            Box::new(decoder)
        }
        _ => Box::new(blob),
    })
}

/// The content of a layer, whose digest is made while it is read.
struct Unpacked<R> {
    content: R,
    context: Option<Context>,
}

impl<R: Read> Unpacked<R> {
    /// Reads the rest and returns the digest, where one is wanted.
    fn digest(mut self) -> Option<io::Result<String>> {
        self.context.as_ref()?;
        let mut rest = BufReader::new(&mut self);
        if let Err(error) = io::copy(&mut rest, &mut io::sink()) {
            return Some(Err(error));
        }
        let context = self.context?;
        Some(Ok(hex(context.finish().as_ref())))
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        if let Some(context) = &mut self.context {
            context.update(&buffer[..read]);
        }
        Ok(read)
    }
}
