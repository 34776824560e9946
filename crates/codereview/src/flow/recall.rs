//! Between a program of today and what earlier reviews have learned.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    codec::{Coded as _, In, Names, Out},
    ir::{Function, Name, Unit},
    link,
    memory::{Blob, Digest, Kept, Memory, Trace, digest_of},
    program::{self, Look, Program},
    report::{Parsed, Scan},
    state::State,
    told::Told,
    value::FunctionId,
    view::Seen,
};
use crate::{
    rules::Rules,
    source::{Language, Source},
};

/// What is remembered of the files of today.
pub(super) struct Recall<'a> {
    memory: &'a Memory,
    names: Names<'a>,
    /// By file, what is kept if its content is the same.
    kept: Vec<Option<&'a Kept>>,
    /// Whether something was not what its digest says.
    is_broken: AtomicBool,
}

/// A look that is to be written down.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) asked: Vec<(u64, Digest)>,
    pub(super) guesses: Vec<(Name, Option<(u64, Name)>)>,
    pub(super) state: Digest,
    pub(super) state_bytes: Vec<u8>,
    pub(super) told: Vec<u8>,
}

/// Digests of what is known in a round.
pub(super) struct Known<'a> {
    recall: &'a Recall<'a>,
    /// Of each file before it was looked at, and of its imports.
    pub(super) headers: Vec<Digest>,
    pub(super) links: Vec<Digest>,
    modules: Vec<Digest>,
    /// By place in [`Memory::asked`], whether that is what is known now.
    holds: Vec<bool>,
}

/// Returns the hash by which a path is known.
pub(super) fn hash_of(path: &str) -> u64 {
    digest_of(path.as_bytes()) as u64
}

impl<'a> Recall<'a> {
    /// Returns what `memory` holds of `units`; nothing if two of them cannot be told apart.
    pub(super) fn of(
        memory: &'a Memory,
        units: &'a [Unit],
        kept: Vec<Option<&'a Kept>>,
    ) -> Option<Self> {
        let mut names = Names {
            program: units,
            keys: units.par_iter().map(keys).collect(),
            ..Names::default()
        };
        for (at, unit) in units.iter().enumerate() {
            let hash = hash_of(&unit.path);
            names.units.push(hash);
            let before = names.unit_of.insert(hash, at as u32);
            before.is_none().then_some(())?;
        }
        let (modules, _) = link::modules(units);
        for (at, module) in modules.iter().enumerate() {
            let first = &units[module[0] as usize];
            let hash = match first.language {
                Some(Language::Go) => hash_of(&format!("{}/*.go", link::folder(&first.path))),
                _ => names.units[module[0] as usize],
            };
            names.modules.push(hash);
            let before = names.module_of.insert(hash, at as u32);
            before.is_none().then_some(())?;
        }
        Some(Self {
            memory,
            names,
            kept,
            is_broken: AtomicBool::new(false),
        })
    }

    pub(super) fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    fn read<T>(&self, blob: Blob, take: impl Fn(&mut In<'_>) -> Option<T>) -> Option<T> {
        let bytes = self.memory.bytes(blob);
        let found = bytes.and_then(|bytes| {
            let mut from = In::new(&bytes, &self.names);
            take(&mut from).filter(|_| from.is_done())
        });
        if found.is_none() {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        found
    }

    pub(super) fn state(&self, blob: Blob) -> State {
        self.read(blob, State::take).unwrap_or_default()
    }

    pub(super) fn told(&self, trace: &Trace) -> Option<Told> {
        self.read(trace.told, Told::take)
    }

    pub(super) fn functions(&self, unit: u32) -> Vec<Function> {
        let kept = self.kept[unit as usize];
        let found = kept.and_then(|kept| self.read(kept.functions, super::codec::Coded::take));
        found.unwrap_or_default()
    }

    /// Returns the bytes of the functions of `unit`.
    pub(super) fn written(&self, functions: &[Function]) -> Vec<u8> {
        let mut out = Out::new(&self.names);
        out.number(functions.len() as u64);
        functions.iter().for_each(|one| one.put(&mut out));
        out.bytes
    }

    pub(super) fn begin(&'a self, program: &Program<'_>) -> Known<'a> {
        let units = 0..program.units.len() as u32;
        let found: Vec<_> = units
            .into_par_iter()
            .map(|unit| {
                let link = self.link(program, unit);
                let header = match self.kept[unit as usize] {
                    Some(kept) => kept.header,
                    None => self.header(program, unit),
                };
                (header, link)
            })
            .collect();
        let mut known = Known {
            recall: self,
            headers: Vec::with_capacity(found.len()),
            links: Vec::with_capacity(found.len()),
            modules: vec![0; program.modules.len()],
            holds: Vec::new(),
        };
        for (header, link) in found {
            known.headers.push(header);
            known.links.push(link);
        }
        let all = (0..program.modules.len() as u32).collect();
        known.learn(program, &all);
        known
    }

    /// Returns the digest of what others see of a file without looking into it.
    fn header(&self, program: &Program<'_>, unit: u32) -> Digest {
        let one = &program.units[unit as usize];
        let mut names: Vec<(&Name, &usize)> = one.names.iter().collect();
        names.sort_unstable_by_key(|(name, _)| *name);
        let mut out = Out::new(&self.names);
        for (name, at) in names {
            name.put(&mut out);
            let function = program.function((unit, *at as u32));
            function.name.put(&mut out);
            function.class.put(&mut out);
            function.is_inner.put(&mut out);
            function.parameters.put(&mut out);
        }
        digest_of(&out.bytes)
    }

    /// Returns the digest of what the imports of a file are in the tree.
    fn link(&self, program: &Program<'_>, unit: u32) -> Digest {
        let imported = &program.imported[unit as usize];
        let mut all: Vec<_> = imported.iter().collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        let mut out = Out::new(&self.names);
        for (name, inside) in all {
            name.put(&mut out);
            out.hash(self.names.modules[inside.module as usize]);
            inside.name.put(&mut out);
        }
        digest_of(&out.bytes)
    }
}

impl Known<'_> {
    /// Takes over what a round has shown of the modules in `changed`.
    pub(super) fn learn(&mut self, program: &Program<'_>, changed: &FxHashSet<u32>) {
        for module in changed {
            let mut bytes = Vec::new();
            for unit in &program.modules[*module as usize] {
                bytes.extend(self.recall.names.units[*unit as usize].to_le_bytes());
                bytes.extend(self.headers[*unit as usize].to_le_bytes());
                bytes.extend(program.digest(*unit).to_le_bytes());
            }
            self.modules[*module as usize] = digest_of(&bytes);
        }
        let names = &self.recall.names;
        let holds = self.recall.memory.asked.iter().map(|(module, digest)| {
            let at = names.module_of.get(module);
            at.is_some_and(|at| self.modules[*at as usize] == *digest)
        });
        self.holds = holds.collect();
    }

    /// Returns the modules that a look asked.
    pub(super) fn modules_of(&self, trace: &Trace) -> Vec<u32> {
        let names = &self.recall.names;
        let asked = trace.asked.iter().filter_map(|at| {
            let (module, _) = self.recall.memory.asked[*at as usize];
            names.module_of.get(&module).copied()
        });
        asked.collect()
    }

    /// Returns an earlier look at `unit` that would show the same today.
    pub(super) fn find(&self, program: &Program<'_>, unit: u32) -> Option<Arc<Trace>> {
        let kept = self.recall.kept[unit as usize]?;
        if kept.link != self.links[unit as usize] {
            return None;
        }
        let holds = |trace: &&Arc<Trace>| {
            trace.asked.iter().all(|at| self.holds[*at as usize])
                && trace.guesses.iter().all(|(name, before)| {
                    let now = program.guess(name).map(|id| self.named(id));
                    match (before, now) {
                        (None, None) => true,
                        (Some((path, key)), Some((now, Some(named)))) => {
                            *path == now && key == named
                        }
                        _ => false,
                    }
                })
        };
        kept.traces.iter().find(holds).map(Arc::clone)
    }

    fn named(&self, id: FunctionId) -> (u64, Option<&Name>) {
        let path = self.recall.names.units[id.0 as usize];
        (path, self.recall.names.keys[id.0 as usize].get(&id.1))
    }

    /// Returns what a look at `unit` asked and gave, to be written down.
    pub(super) fn write(&self, unit: u32, state: &State, told: &Told, seen: &Seen) -> Written {
        let names = &self.recall.names;
        let mut asked: Vec<(u64, Digest)> = seen
            .modules
            .iter()
            .map(|module| {
                let at = *module as usize;
                (names.modules[at], self.modules[at])
            })
            .collect();
        asked.sort_unstable();
        let guesses = seen.guesses.iter().map(|(name, found)| {
            let found = found.and_then(|id| {
                let (path, key) = self.named(id);
                Some((path, Name::clone(key?)))
            });
            (Name::clone(name), found)
        });
        let mut guesses: Vec<_> = guesses.collect();
        guesses.sort_unstable();
        let mut bytes = Out::new(names);
        state.put(&mut bytes, unit);
        let digest = match *state == State::default() {
            true => 0,
            false => digest_of(&bytes.bytes),
        };
        let mut out = Out::new(names);
        told.put(&mut out);
        Written {
            asked,
            guesses,
            state: digest,
            state_bytes: bytes.bytes,
            told: out.bytes,
        }
    }
}

/// Returns the names by which functions of `unit` are known, by their places.
fn keys(unit: &Unit) -> FxHashMap<u32, Name> {
    let mut keys: FxHashMap<u32, Name> = FxHashMap::default();
    for (name, at) in &unit.names {
        let key = keys.entry(*at as u32).or_insert_with(|| Name::clone(name));
        // The first of several, whatever the order of the map.
        if name < key {
            *key = Name::clone(name);
        }
    }
    keys
}

/// Returns the digest of each content and the hash of each path.
fn identities(sources: &[Source]) -> (Vec<Digest>, Vec<u64>) {
    sources
        .par_iter()
        .map(|source| (digest_of(&source.text), hash_of(&source.path)))
        .unzip()
}

/// Applies `rules` to `sources`; what `memory` holds is not done again, and what is new is
/// written there. Nothing if it holds what cannot be.
pub(super) fn scan(sources: &[Source], rules: &Rules, memory: &mut Memory) -> Option<Scan> {
    let (digests, hashes) = identities(sources);
    let kept_of = |at: usize| {
        let kept = memory.files.get(&hashes[at])?;
        let is_same = kept.content == digests[at] && kept.language == sources[at].language;
        is_same.then_some(kept)
    };
    let read: Vec<Option<Parsed>> = (0..sources.len())
        .into_par_iter()
        .map(|at| match kept_of(at) {
            Some(_) => None,
            None => Some(Parsed::of(&sources[at], rules)),
        })
        .collect();
    let mut found = Scan::default();
    let (mut units, mut kept, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let mut parsed: FxHashMap<usize, Parsed> = FxHashMap::default();
    for (at, (source, fresh)) in sources.iter().zip(read).enumerate() {
        let unit = match fresh {
            Some(mut fresh) => {
                found.add(source, rules, &fresh.matches, fresh.skip);
                let unit = fresh.unit.take();
                parsed.insert(at, fresh);
                unit.map(|unit| (unit, None))
            }
            None => {
                let one = kept_of(at)?;
                found.add(source, rules, &one.matches, one.skip);
                one.skip
                    .is_none()
                    .then(|| (remembered(source, one), Some(one)))
            }
        };
        if let Some((unit, one)) = unit {
            units.push(unit);
            kept.push(one);
            places.push(at);
        }
    }
    let learned = {
        let recall = Recall::of(memory, &units, kept)?;
        let (program, result) = program::run(&units, rules, Some(&recall));
        found.report(sources, &program, &result.told);
        if recall.is_broken() {
            return None;
        }
        let is_new = |look: &Look| matches!(look, Look::New(_));
        if parsed.is_empty()
            && sources.len() == memory.files.len()
            && !result.looks.iter().flatten().any(is_new)
        {
            return Some(found);
        }
        learned(&recall, &program, result, |unit| {
            parsed.contains_key(&places[unit])
        })
    };
    let mut files = FxHashMap::default();
    let mut learned: FxHashMap<usize, (usize, Learned)> = places
        .into_iter()
        .zip(learned.into_iter().enumerate())
        .collect();
    for (at, source) in sources.iter().enumerate() {
        let learned = learned.remove(&at);
        let mut one = match parsed.remove(&at) {
            Some(fresh) => {
                let unit = learned.as_ref().map(|(unit, _)| &units[*unit]);
                kept_anew(source, digests[at], fresh, unit)
            }
            None => memory.files.remove(&hashes[at])?,
        };
        if let Some((_, learned)) = learned {
            learned.into_kept(&mut one, memory).ok()?;
        }
        files.insert(hashes[at], one);
    }
    // What cannot be written is found again next time.
    let _ = memory.save(files);
    Some(found)
}

fn learned(
    recall: &Recall<'_>,
    program: &Program<'_>,
    result: program::Result,
    is_parsed: impl Fn(usize) -> bool + Sync,
) -> Vec<Learned> {
    let known = recall.begin(program);
    let looks = result.looks.into_par_iter().enumerate();
    let learned = looks.map(|(unit, looks)| {
        let functions = program.units[unit].functions.get();
        let functions = functions.filter(|_| is_parsed(unit));
        Learned {
            functions: functions.map(|functions| recall.written(functions)),
            header: known.headers[unit],
            link: known.links[unit],
            looks,
        }
    });
    learned.collect()
}

/// Returns a file as it is remembered, without looking into it.
fn remembered(source: &Source, kept: &Kept) -> Unit {
    Unit {
        path: source.path.clone(),
        language: Some(source.language),
        names: kept.names.iter().cloned().collect(),
        imports: kept.imports.iter().cloned().collect(),
        ..Unit::default()
    }
}

fn kept_anew(source: &Source, content: Digest, parsed: Parsed, unit: Option<&Unit>) -> Kept {
    Kept {
        content,
        language: source.language,
        skip: parsed.skip,
        matches: parsed.matches,
        names: unit.map_or_else(Vec::new, |unit| {
            let names = unit.names.iter();
            names.map(|(name, at)| (Name::clone(name), *at)).collect()
        }),
        imports: unit.map_or_else(Vec::new, |unit| {
            let imports = unit.imports.iter();
            imports
                .map(|(name, path)| (Name::clone(name), Name::clone(path)))
                .collect()
        }),
        functions: Blob::default(),
        header: 0,
        link: 0,
        traces: Vec::new(),
    }
}

/// What a review learned of one file.
struct Learned {
    functions: Option<Vec<u8>>,
    header: Digest,
    link: Digest,
    looks: Vec<Look>,
}

impl Learned {
    fn into_kept(self, kept: &mut Kept, memory: &mut Memory) -> std::io::Result<()> {
        (kept.header, kept.link) = (self.header, self.link);
        if let Some(functions) = &self.functions {
            kept.functions = memory.append(&[functions])?[0];
        }
        let mut traces: Vec<Arc<Trace>> = Vec::new();
        for look in self.looks {
            let trace = match look {
                Look::Kept(trace) => trace,
                Look::New(written) => {
                    let before = traces.iter().find(|trace| trace.state == written.state);
                    let state_blob = match before {
                        Some(trace) => trace.state_blob,
                        None => memory.append(&[&written.state_bytes])?[0],
                    };
                    Arc::new(Trace {
                        asked: memory.intern_all(&written.asked),
                        guesses: written.guesses,
                        state: written.state,
                        state_blob,
                        told: memory.append(&[&written.told])?[0],
                    })
                }
            };
            if !traces.contains(&trace) {
                traces.push(trace);
            }
        }
        kept.traces = traces;
        Ok(())
    }
}
