//! Between a program of today and what earlier reviews have learned.

mod scan;

pub(super) use scan::scan;

use std::{
    hash::BuildHasher as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use rayon::prelude::*;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::{
    codec::{Coded, In, Names, Out, put_digest, take_digest},
    ir::{Function, Name, Unit},
    link,
    memory::{Blob, Kept, Memory, Seen, Trace},
    program::Program,
    state::State,
    told::Told,
    value::FunctionId,
    view::{Question, Seen as Asking},
};
use crate::{
    memory::{Digest, digest_of},
    source::Language,
};

/// What is remembered of the files of today.
pub(super) struct Recall<'a> {
    memory: &'a Memory,
    names: Names<'a>,
    /// By file, what is kept if its content is the same.
    kept: Vec<Option<&'a Kept>>,
    /// By file, the digest of its content.
    contents: Vec<Digest>,
    /// Whether something was not what its digest says.
    is_broken: AtomicBool,
}

/// A look that is to be written down.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) asked: Arc<Asked>,
    pub(super) guesses: Vec<(Name, Option<(u64, Name)>)>,
    pub(super) questions: Vec<u8>,
    pub(super) state: Digest,
    pub(super) state_bytes: Vec<u8>,
    pub(super) told: Vec<u8>,
}

/// What a look asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Modules, and the digest of what was known of each.
    modules: Vec<(u64, Digest)>,
    /// Questions, and the digest of each answer.
    questions: Vec<(Question, Digest)>,
}

/// Digests of what is known in a round.
pub(super) struct Known<'a> {
    recall: &'a Recall<'a>,
    /// Of each file before it was looked at, and of its imports.
    pub(super) headers: Vec<Digest>,
    pub(super) links: Vec<Digest>,
    modules: Vec<Digest>,
    /// By place in [`Memory::asked`], the module of today, if there is one.
    module_of: Vec<Option<u32>>,
    /// By module, its places in [`Memory::asked`].
    places: Vec<Vec<u32>>,
    /// By place in [`Memory::asked`], whether that is what is known now, and whether it was
    /// in any round.
    holds: Vec<bool>,
    held: Vec<bool>,
    /// Answers that were given in this round.
    given: [Mutex<FxHashMap<Question, Digest>>; GIVEN],
}

/// Parts of the answers that are given, so that threads seldom wait for one another.
const GIVEN: usize = 16;

/// Returns the hash by which a path is known.
pub(super) fn hash_of(path: &str) -> u64 {
    digest_of(path.as_bytes()) as u64
}

impl<'a> Recall<'a> {
    /// Returns what `memory` holds of `units`; nothing if two of them cannot be told apart.
    pub(super) fn of(
        memory: &'a Memory,
        units: &'a [Unit],
        (kept, contents): (Vec<Option<&'a Kept>>, Vec<Digest>),
    ) -> Option<Self> {
        let mut names = Names {
            program: units,
            keys: units.par_iter().map(keys).collect(),
            units: units.par_iter().map(|unit| hash_of(&unit.path)).collect(),
            ..Names::default()
        };
        for (at, hash) in names.units.iter().enumerate() {
            let before = names.unit_of.insert(*hash, at as u32);
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
            contents,
            is_broken: AtomicBool::new(false),
        })
    }

    /// Returns whether a function is known by a name.
    pub(super) fn is_named(&self, (unit, at): FunctionId) -> bool {
        self.names.keys[unit as usize].contains_key(&at)
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
        let asked = self.memory.asked.par_iter();
        let module_of = asked.map(|(module, _)| self.names.module_of.get(module).copied());
        let module_of: Vec<Option<u32>> = module_of.collect();
        let mut places = vec![Vec::new(); program.modules.len()];
        for (at, module) in module_of.iter().enumerate() {
            if let Some(module) = module {
                places[*module as usize].push(at as u32);
            }
        }
        let mut known = Known {
            recall: self,
            headers: Vec::with_capacity(found.len()),
            links: Vec::with_capacity(found.len()),
            modules: vec![0; program.modules.len()],
            holds: vec![false; module_of.len()],
            module_of,
            places,
            held: vec![false; self.memory.asked.len()],
            given: Default::default(),
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
            put_head(&mut out, program.function((unit, *at as u32)));
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
            let now = digest_of(&bytes);
            self.modules[*module as usize] = now;
            for at in &self.places[*module as usize] {
                let at = *at as usize;
                self.holds[at] = self.recall.memory.asked[at].1 == now;
                self.held[at] |= self.holds[at];
            }
        }
        self.given = Default::default();
    }

    /// Returns the modules that a look asked.
    pub(super) fn modules_of(&self, trace: &Trace) -> Vec<u32> {
        let asked = trace.asked.iter();
        let asked = asked.filter_map(|at| self.module_of[*at as usize]);
        let mut modules: Vec<u32> = asked.collect();
        modules.sort_unstable();
        modules.dedup();
        modules
    }

    /// Returns the numbers of what is still of use of what `trace` asked, and of what else
    /// was seen.
    pub(super) fn of_use(&self, trace: &Trace) -> Vec<u32> {
        let asked = &self.recall.memory.asked;
        let is_held = |at: &&u32| self.held[**at as usize];
        let held: FxHashSet<u64> = trace
            .asked
            .iter()
            .filter(is_held)
            .map(|at| asked[*at as usize].0)
            .collect();
        let mut used = trace.asked.clone();
        // Of a module that was asked something always stays.
        used.retain(|at| self.held[*at as usize] || !held.contains(&asked[*at as usize].0));
        used
    }

    /// Returns an earlier look at `unit` that would show the same today, and what is known
    /// now of modules that it had to ask again.
    pub(super) fn find(&self, program: &Program<'_>, unit: u32) -> Option<(Arc<Trace>, Vec<Seen>)> {
        let traces = || self.traces(program, unit);
        // Questions cost more than digests.
        if let Some(found) = traces().find(|trace| self.asks_anew(trace, &[]).is_empty()) {
            return Some((Arc::clone(found), Vec::new()));
        }
        traces().find_map(|trace| Some((Arc::clone(trace), self.holds_still(program, trace, &[])?)))
    }

    /// Returns whether the last look at `unit` would show the same; and what is known now of
    /// modules that it had to ask again. Of `also` it was found to before.
    pub(super) fn still(
        &self,
        program: &Program<'_>,
        unit: u32,
        (last, also): (&Arc<Trace>, &[Seen]),
    ) -> Option<Vec<Seen>> {
        let holds = |trace: &&Arc<Trace>| self.asks_anew(trace, &[]).is_empty();
        if self.asks_anew(last, also).is_empty() {
            return Some(Vec::new());
        }
        // One that needs not be asked is as good.
        match self.traces(program, unit).find(holds) {
            Some(_) => None,
            None => self.holds_still(program, last, also),
        }
    }

    /// Returns the earlier looks at `unit` whose names mean the same today.
    fn traces<'t>(
        &'t self,
        program: &'t Program<'_>,
        unit: u32,
    ) -> impl Iterator<Item = &'t Arc<Trace>> {
        let kept = self.recall.kept[unit as usize];
        let kept = kept.filter(|kept| kept.link == self.links[unit as usize]);
        let guessed = move |trace: &&Arc<Trace>| {
            trace.guesses.iter().all(|(name, before)| {
                let now = program.guess(name).map(|id| self.named(id));
                match (before, now) {
                    (None, None) => true,
                    (Some((path, key)), Some((now, Some(named)))) => *path == now && key == named,
                    _ => false,
                }
            })
        };
        kept.into_iter()
            .flat_map(|kept| &kept.traces)
            .filter(guessed)
    }

    /// Returns what is known of a module now.
    fn now(&self, module: u64) -> Option<Digest> {
        let at = self.recall.names.module_of.get(&module)?;
        Some(self.modules[*at as usize])
    }

    /// Returns the modules that `trace` asked of which other things are known now than when
    /// its questions were answered so.
    fn asks_anew(&self, trace: &Trace, also: &[Seen]) -> FxHashSet<u64> {
        let asked = &self.recall.memory.asked;
        let mut anew = FxHashSet::default();
        for at in trace.asked.iter().filter(|at| !self.holds[**at as usize]) {
            anew.insert(asked[*at as usize].0);
        }
        if anew.is_empty() {
            return anew;
        }
        for at in trace.asked.iter().filter(|at| self.holds[**at as usize]) {
            anew.remove(&asked[*at as usize].0);
        }
        for (module, before) in also {
            if self.now(*module) == Some(*before) {
                anew.remove(module);
            }
        }
        anew
    }

    /// Returns what is known now of the modules in `anew`.
    fn seen(&self, anew: &FxHashSet<u64>) -> Vec<Seen> {
        let seen = anew
            .iter()
            .filter_map(|module| Some((*module, self.now(*module)?)));
        seen.collect()
    }

    /// Returns whether everything that a kept look asked is answered the same, and what is
    /// known now of modules that were asked; names alone mean the same in all rounds of a
    /// review.
    fn holds_still(
        &self,
        program: &Program<'_>,
        trace: &Trace,
        also: &[Seen],
    ) -> Option<Vec<Seen>> {
        let anew = self.asks_anew(trace, also);
        if anew.is_empty() {
            return Some(Vec::new());
        }
        let bytes = match self.recall.memory.bytes(trace.questions) {
            Some(bytes) => bytes,
            None => {
                self.recall.is_broken.store(true, Ordering::Relaxed);
                return None;
            }
        };
        // What names something that is gone is not answered the same.
        let mut from = In::new(&bytes, &self.recall.names);
        let mut all = || -> Option<bool> {
            for _ in 0..from.number()? {
                let module = from.hash()?;
                let raw = from.raw()?;
                let before = take_digest(&mut from)?;
                if !anew.contains(&module) {
                    continue;
                }
                let question = Question::take(&mut In::new(raw, &self.recall.names))?;
                if self.answer(program, &question) != before {
                    return Some(false);
                }
            }
            Some(true)
        };
        all().unwrap_or(false).then(|| self.seen(&anew))
    }

    /// Returns whether everything that a look of this review asked is answered the same, and
    /// what is known now of modules that were asked.
    pub(super) fn answers(
        &self,
        program: &Program<'_>,
        asked: &Asked,
        also: &[Seen],
    ) -> Option<Vec<Seen>> {
        let names = &self.recall.names;
        let mut anew: FxHashSet<u64> = asked.modules.iter().map(|(module, _)| *module).collect();
        for (module, before) in asked.modules.iter().chain(also) {
            if self.now(*module) == Some(*before) {
                anew.remove(module);
            }
        }
        let mut questions = asked.questions.iter();
        let holds = questions.all(|(question, before)| {
            let module = names.modules[question.module(program) as usize];
            !anew.contains(&module) || self.answer(program, question) == *before
        });
        holds.then(|| self.seen(&anew))
    }

    /// Returns the digest of the answer to a question, which many may ask.
    fn answer(&self, program: &Program<'_>, question: &Question) -> Digest {
        let part = &self.given[FxBuildHasher.hash_one(question) as usize % GIVEN];
        let lock = || part.lock().expect("nothing panics that holds it");
        if let Some(given) = lock().get(question) {
            return *given;
        }
        let answer = self.answer_anew(program, question);
        lock().insert(question.clone(), answer);
        answer
    }

    fn answer_anew(&self, program: &Program<'_>, question: &Question) -> Digest {
        let mut out = Out::new(&self.recall.names);
        match question {
            Question::Whole(unit) => {
                put_digest(&mut out, self.recall.contents[*unit as usize]);
                put_digest(&mut out, program.digest(*unit));
            }
            Question::Function(id) => {
                put_head(&mut out, program.function(*id));
                program.state(id.0).summary(id.1).put(&mut out);
            }
            Question::Name(module, name) => program.in_module(*module, name).put(&mut out),
            Question::Member(module, class, name) => {
                program.of_class(*module, class, name).put(&mut out);
            }
        }
        digest_of(&out.bytes)
    }

    fn named(&self, id: FunctionId) -> (u64, Option<&Name>) {
        let path = self.recall.names.units[id.0 as usize];
        (path, self.recall.names.keys[id.0 as usize].get(&id.1))
    }

    /// Returns what a look at `unit` asked and gave, to be written down.
    pub(super) fn write(
        &self,
        program: &Program<'_>,
        unit: u32,
        (state, told): (&State, &Told),
        seen: &Asking,
    ) -> Written {
        let names = &self.recall.names;
        let questions = seen.questions.iter();
        let mut questions: Vec<(Question, Digest)> = questions
            .map(|one| (one.clone(), self.answer(program, one)))
            .collect();
        questions.sort_unstable();
        let mut bytes_of_questions = Out::new(names);
        bytes_of_questions.number(questions.len() as u64);
        for (question, answer) in &questions {
            let out = &mut bytes_of_questions;
            out.hash(names.modules[question.module(program) as usize]);
            let raw = out.of(question);
            out.number(raw.len() as u64);
            out.bytes.extend(raw);
            put_digest(out, *answer);
        }
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
            asked: Arc::new(Asked {
                modules: asked,
                questions,
            }),
            guesses,
            questions: bytes_of_questions.bytes,
            state: digest,
            state_bytes: bytes.bytes,
            told: out.bytes,
        }
    }
}

/// Writes what others see of a function without looking into it.
fn put_head(out: &mut Out<'_>, function: &Function) {
    function.name.put(out);
    function.class.put(out);
    function.is_inner.put(out);
    function.parameters.put(out);
}

impl Question {
    fn module(&self, program: &Program<'_>) -> u32 {
        match self {
            Self::Whole(unit) | Self::Function((unit, _)) => program.module_of[*unit as usize],
            Self::Name(module, _) | Self::Member(module, ..) => *module,
        }
    }
}

impl Coded for Question {
    fn put(&self, out: &mut Out<'_>) {
        match self {
            Self::Whole(unit) => {
                out.byte(0);
                out.unit(*unit);
            }
            Self::Function(id) => {
                out.byte(1);
                id.put(out);
            }
            Self::Name(module, name) => {
                out.byte(2);
                out.module(*module);
                name.put(out);
            }
            Self::Member(module, class, name) => {
                out.byte(3);
                out.module(*module);
                class.put(out);
                name.put(out);
            }
        }
    }

    fn take(from: &mut In<'_>) -> Option<Self> {
        Some(match from.byte()? {
            0 => Self::Whole(from.unit()?),
            1 => Self::Function(Coded::take(from)?),
            2 => Self::Name(from.module()?, Coded::take(from)?),
            3 => Self::Member(from.module()?, Coded::take(from)?, Coded::take(from)?),
            _ => return None,
        })
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
