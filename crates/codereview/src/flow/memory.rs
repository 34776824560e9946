//! What earlier reviews have learned of the way of values, on disk.
//!
//! # Invariants
//!
//! * What is kept of a file holds for its content alone; what a look at it gave holds for
//!   what it asked and was answered ([`Trace`]). Either is compared before it is used.
//! * Rules, version and program that wrote it are part of the key. Another key, a wrong
//!   digest or bytes that cannot be read: all of it is dropped, which is told.
//! * Bounded: beyond [`MOST_BYTES`] it begins anew, and what nothing refers to is swept out
//!   when it is more than half.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::PathBuf,
    sync::Arc,
};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{
    codec::{Coded, In, Names, Out, put_digest, take_digest},
    ir::Name,
};
use crate::{
    memory::{Digest, Folder, MOST_BYTES, broken, digest_of, digest_of_many},
    source::{Language, Skip},
};

/// Bytes from which on sweeping is worth it.
const SWEEP_BYTES: u64 = 64 << 20;
const HEAD: &[u8; 8] = b"airside3";
/// How the head of any version begins.
const OURS: &[u8] = b"airside";

/// A module, and the digest of what was known of it.
pub(super) type Seen = (u64, Digest);

/// Bytes in the file beside the index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Blob {
    at: u64,
    len: u32,
    digest: Digest,
}

/// A match of a pattern, by the number of its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) rule: usize,
    pub(super) lines: (u32, u32),
    pub(super) text: Vec<u8>,
}

/// What is kept of one file.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) content: Digest,
    pub(super) language: Language,
    pub(super) skip: Option<Skip>,
    pub(super) matches: Vec<Match>,
    pub(super) names: Vec<(Name, usize)>,
    pub(super) imports: Vec<(Name, Name)>,
    pub(super) functions: Blob,
    /// Of what others see of it before it was looked at.
    pub(super) header: Digest,
    /// Of what its imports are in the tree.
    pub(super) link: Digest,
    pub(super) traces: Vec<Arc<Trace>>,
}

/// One look at a file: what it asked, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trace {
    /// Modules that were asked, and the digest of what was known of each, by place in
    /// [`Memory::asked`]. Of one module there are several if its answers were the same.
    pub(super) asked: Vec<u32>,
    /// Functions that were looked for by name alone: file and name of what was found.
    pub(super) guesses: Vec<(Name, Option<(u64, Name)>)>,
    /// What exactly was asked, with digests of the answers.
    pub(super) questions: Blob,
    pub(super) state: Digest,
    pub(super) state_blob: Blob,
    pub(super) told: Blob,
}

/// What earlier reviews have learned.
#[derive(Debug)]
pub(crate) struct Memory {
    key: Digest,
    index: PathBuf,
    /// Of two generations in turns.
    parts: [PathBuf; 2],
    generation: u64,
    blobs: Option<File>,
    end: u64,
    pub(super) files: FxHashMap<u64, Kept>,
    pub(super) asked: Vec<(u64, Digest)>,
    known: FxHashMap<(u64, Digest), u32>,
    /// Why what was there was dropped.
    dropped: Option<String>,
}

impl Memory {
    /// Opens what is kept in `folder`, by a program and rules that `key` stands for.
    pub(crate) fn open(folder: &Folder, key: Digest) -> Self {
        let mut memory = Self {
            key,
            index: folder.part("index"),
            parts: [folder.part("0"), folder.part("1")],
            generation: 0,
            blobs: None,
            end: 0,
            files: FxHashMap::default(),
            asked: Vec::new(),
            known: FxHashMap::default(),
            dropped: None,
        };
        if let Err(error) = memory.load() {
            memory.drop_all();
            if error.kind() != io::ErrorKind::NotFound {
                memory.dropped = Some(error.to_string());
            }
        }
        memory
    }

    /// Returns why what was there is not used, if so.
    pub(crate) fn dropped(&self) -> Option<&str> {
        self.dropped.as_deref()
    }

    /// Forgets everything.
    pub(super) fn forget(&mut self, why: &str) {
        self.drop_all();
        self.dropped = Some(why.to_owned());
    }

    fn drop_all(&mut self) {
        self.files.clear();
        self.asked.clear();
        self.known.clear();
        if self.blobs.take().is_some() {
            // What cannot be removed is overwritten by the next generation but one.
            let _ = fs::remove_file(self.blobs_path(self.generation));
        }
        self.end = 0;
    }

    fn blobs_path(&self, generation: u64) -> &PathBuf {
        &self.parts[usize::from(generation % 2 == 1)]
    }

    fn load(&mut self) -> io::Result<()> {
        let size = fs::metadata(&self.index)?.len();
        if size > MOST_BYTES {
            return Err(broken("it is too large"));
        }
        let bytes = fs::read(&self.index)?;
        if bytes.starts_with(OURS) && !bytes.starts_with(HEAD) {
            // Of another version: not worth a note.
            return Ok(());
        }
        let (body, sum) = bytes
            .split_last_chunk::<16>()
            .ok_or_else(|| broken("it is cut"))?;
        if digest_of_many(body) != Digest::from_le_bytes(*sum) {
            return Err(broken("its digest is another one"));
        }
        let names = Names::default();
        let mut from = In::new(body, &names);
        self.read(&mut from)
            .ok_or_else(|| broken("it cannot be read"))?;
        let blobs = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.blobs_path(self.generation))?;
        if blobs.metadata()?.len() < self.end {
            return Err(broken("a part is missing"));
        }
        self.blobs = Some(blobs);
        Ok(())
    }

    fn read(&mut self, from: &mut In<'_>) -> Option<()> {
        for byte in HEAD {
            (from.byte()? == *byte).then_some(())?;
        }
        let key = take_digest(from)?;
        self.generation = from.number()?;
        self.end = from.number()?;
        if key != self.key {
            // Other rules, another program: not worth a note.
            self.end = 0;
            return Some(());
        }
        for _ in 0..from.number()? {
            let one = (from.hash()?, take_digest(from)?);
            self.known.insert(one, self.asked.len() as u32);
            self.asked.push(one);
        }
        let most = self.asked.len() as u32;
        let mut files = Vec::new();
        for _ in 0..from.number()? {
            files.push((from.hash()?, from.raw()?));
        }
        let files = files.into_par_iter().map(|(path, bytes)| {
            let names = Names::default();
            let mut from = In::new(bytes, &names);
            let kept = take_kept(&mut from, most)?;
            from.is_done().then_some((path, kept))
        });
        let files: Vec<(u64, Kept)> = files.collect::<Option<_>>()?;
        self.files = files.into_iter().collect();
        from.is_done().then_some(())
    }

    /// Returns the number of what was known of a module.
    fn intern(&mut self, one: (u64, Digest)) -> u32 {
        let next = self.asked.len() as u32;
        let at = *self.known.entry(one).or_insert(next);
        if at == next {
            self.asked.push(one);
        }
        at
    }

    /// Returns the numbers of all of them, each once.
    pub(super) fn intern_all(&mut self, all: &[Seen]) -> Vec<u32> {
        let mut numbers: Vec<u32> = all.iter().map(|one| self.intern(*one)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    /// Returns the bytes of a blob, if they are what was written.
    pub(super) fn bytes(&self, blob: Blob) -> Option<Vec<u8>> {
        let mut bytes = vec![0; blob.len as usize];
        let file = self.blobs.as_ref()?;
        file.read_exact_at(&mut bytes, blob.at).ok()?;
        (digest_of(&bytes) == blob.digest).then_some(bytes)
    }

    /// Writes what is new and what was learned of `files`; what is not among them is gone.
    pub(super) fn save(&mut self, files: FxHashMap<u64, Kept>) -> io::Result<()> {
        self.files = files;
        let used = self.blobs_in_use();
        let live: u64 = used.iter().map(|blob| u64::from(blob.len)).sum();
        if self.end > SWEEP_BYTES && live * 2 < self.end {
            self.sweep()?;
        }
        if self.end > MOST_BYTES {
            self.drop_all();
        }
        let names = Names::default();
        let mut out = Out::new(&names);
        self.write(&mut out);
        let sum = digest_of_many(&out.bytes);
        out.bytes.extend(sum.to_le_bytes());
        // Whole or not at all: another name first.
        let fresh = self.index.with_extension("fresh");
        fs::write(&fresh, &out.bytes)?;
        fs::rename(fresh, &self.index)
    }

    fn write(&self, out: &mut Out<'_>) {
        out.bytes.extend(HEAD);
        put_digest(out, self.key);
        out.number(self.generation);
        out.number(self.end);
        // Only what a trace refers to.
        let mut number = vec![u32::MAX; self.asked.len()];
        let mut used = Vec::new();
        let traces = self.files.values().flat_map(|kept| &kept.traces);
        for at in traces.flat_map(|trace| &trace.asked) {
            let slot = &mut number[*at as usize];
            if *slot == u32::MAX {
                *slot = used.len() as u32;
                used.push(self.asked[*at as usize]);
            }
        }
        out.number(used.len() as u64);
        for (module, digest) in used {
            out.hash(module);
            put_digest(out, digest);
        }
        out.number(self.files.len() as u64);
        let files = self.files.par_iter().map(|(path, kept)| {
            let names = Names::default();
            let mut out = Out::new(&names);
            put_kept(&mut out, kept, &number);
            (*path, out.bytes)
        });
        let files: Vec<(u64, Vec<u8>)> = files.collect();
        out.bytes
            .reserve(files.iter().map(|(_, one)| one.len() + 16).sum());
        for (path, bytes) in files {
            out.hash(path);
            out.number(bytes.len() as u64);
            out.bytes.extend(bytes);
        }
    }

    fn blobs_in_use(&self) -> Vec<Blob> {
        let mut all = Vec::new();
        for kept in self.files.values() {
            if kept.functions != Blob::default() {
                all.push(kept.functions);
            }
            for trace in &kept.traces {
                all.extend([trace.questions, trace.state_blob, trace.told]);
            }
        }
        all.sort_unstable_by_key(|blob| blob.at);
        all.dedup();
        all
    }

    /// Appends `parts` and returns where they are.
    pub(super) fn append(&mut self, parts: &[&[u8]]) -> io::Result<Vec<Blob>> {
        if self.blobs.is_none() {
            self.generation += 1;
            self.end = 0;
            let path = self.blobs_path(self.generation);
            let file = fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(path)?;
            self.blobs = Some(file);
        }
        let file = self.blobs.as_mut().expect("it was opened just now");
        io::Seek::seek(file, io::SeekFrom::Start(self.end))?;
        let most = parts.iter().map(|part| part.len()).sum::<usize>();
        let mut writer = io::BufWriter::with_capacity(most.min(1 << 20), &mut *file);
        let mut blobs = Vec::with_capacity(parts.len());
        for part in parts {
            writer.write_all(part)?;
            let len = u32::try_from(part.len()).map_err(|_| broken("it is too large"))?;
            blobs.push(Blob {
                at: self.end,
                len,
                digest: digest_of(part),
            });
            self.end += u64::from(len);
        }
        writer.flush()?;
        Ok(blobs)
    }

    /// Copies what is referred to into a file of its own.
    fn sweep(&mut self) -> io::Result<()> {
        let used = self.blobs_in_use();
        let mut parts = Vec::with_capacity(used.len());
        for blob in &used {
            parts.push(self.bytes(*blob).ok_or_else(|| broken("a part is wrong"))?);
        }
        let before = self.blobs_path(self.generation).clone();
        self.blobs = None;
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let moved = self.append(&parts)?;
        let moved: FxHashMap<u64, Blob> = used.iter().map(|blob| blob.at).zip(moved).collect();
        let place = |blob: &mut Blob| {
            if let Some(fresh) = moved.get(&blob.at).filter(|_| *blob != Blob::default()) {
                *blob = *fresh;
            }
        };
        for kept in self.files.values_mut() {
            place(&mut kept.functions);
            for trace in &mut kept.traces {
                let mut fresh = (**trace).clone();
                place(&mut fresh.questions);
                place(&mut fresh.state_blob);
                place(&mut fresh.told);
                *trace = Arc::new(fresh);
            }
        }
        fs::remove_file(before)
    }
}

fn put_blob(out: &mut Out<'_>, blob: Blob) {
    out.number(blob.at);
    blob.len.put(out);
    put_digest(out, blob.digest);
}

fn take_blob(from: &mut In<'_>) -> Option<Blob> {
    Some(Blob {
        at: from.number()?,
        len: u32::take(from)?,
        digest: take_digest(from)?,
    })
}

fn put_kept(out: &mut Out<'_>, kept: &Kept, number: &[u32]) {
    put_digest(out, kept.content);
    let language = Language::ALL.iter().position(|one| *one == kept.language);
    language.unwrap_or(0).put(out);
    let skip = kept
        .skip
        .and_then(|skip| SKIPS.iter().position(|one| *one == skip));
    skip.put(out);
    out.number(kept.matches.len() as u64);
    for one in &kept.matches {
        one.rule.put(out);
        one.lines.0.put(out);
        one.lines.1.put(out);
        out.number(one.text.len() as u64);
        out.bytes.extend(&one.text);
    }
    kept.names.put(out);
    kept.imports.put(out);
    put_blob(out, kept.functions);
    put_digest(out, kept.header);
    put_digest(out, kept.link);
    out.number(kept.traces.len() as u64);
    for trace in &kept.traces {
        out.number(trace.asked.len() as u64);
        for at in &trace.asked {
            number[*at as usize].put(out);
        }
        out.number(trace.guesses.len() as u64);
        for (name, found) in &trace.guesses {
            name.put(out);
            out.byte(u8::from(found.is_some()));
            if let Some((path, key)) = found {
                out.hash(*path);
                key.put(out);
            }
        }
        put_blob(out, trace.questions);
        put_digest(out, trace.state);
        put_blob(out, trace.state_blob);
        put_blob(out, trace.told);
    }
}

/// Why a file that was parsed is left out.
const SKIPS: [Skip; 2] = [Skip::Syntax, Skip::TooSlow];

fn take_kept(from: &mut In<'_>, most: u32) -> Option<Kept> {
    let content = take_digest(from)?;
    let language = *Language::ALL.get(usize::take(from)?)?;
    let skip = match <Option<usize> as Coded>::take(from)? {
        Some(at) => Some(*SKIPS.get(at)?),
        None => None,
    };
    let mut matches = Vec::new();
    for _ in 0..from.number()? {
        matches.push(Match {
            rule: usize::take(from)?,
            lines: (u32::take(from)?, u32::take(from)?),
            text: from.raw()?.to_vec(),
        });
    }
    let (names, imports) = (Coded::take(from)?, Coded::take(from)?);
    let functions = take_blob(from)?;
    let (header, link) = (take_digest(from)?, take_digest(from)?);
    let mut traces = Vec::new();
    for _ in 0..from.number()? {
        traces.push(Arc::new(take_trace(from, most)?));
    }
    Some(Kept {
        content,
        language,
        skip,
        matches,
        names,
        imports,
        functions,
        header,
        link,
        traces,
    })
}

fn take_trace(from: &mut In<'_>, most: u32) -> Option<Trace> {
    let asked: Vec<u32> = Coded::take(from)?;
    asked.iter().all(|at| *at < most).then_some(())?;
    let mut guesses = Vec::new();
    for _ in 0..from.number()? {
        let name = Name::take(from)?;
        let found = match bool::take(from)? {
            true => Some((from.hash()?, Name::take(from)?)),
            false => None,
        };
        guesses.push((name, found));
    }
    Some(Trace {
        asked,
        guesses,
        questions: take_blob(from)?,
        state: take_digest(from)?,
        state_blob: take_blob(from)?,
        told: take_blob(from)?,
    })
}
