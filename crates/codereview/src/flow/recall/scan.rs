//! One review with a memory: what is looked at, and what is written down of it.

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{
    super::{
        ir::{Name, Unit},
        memory::{Blob, Kept, Memory, Trace},
        program::{self, Look, LookOf, Program},
        report::{Parsed, Scan},
    },
    Known, Recall, hash_of,
};
use crate::{
    memory::Digest,
    rules::Rules,
    source::{self, Source},
};

/// Applies `rules` to `sources`, whose contents have `digests`; what `memory` holds is not
/// done again, and what is new is written there. Nothing if it holds what cannot be.
pub(in super::super) fn scan(
    sources: &[Source],
    rules: &Rules,
    (memory, digests): (&mut Memory, &[Digest]),
) -> Option<Scan> {
    let hashes = sources.par_iter().map(|source| hash_of(&source.path));
    let hashes: Vec<u64> = hashes.collect();
    let kept_of = |at: usize| {
        let kept = memory.files.get(&hashes[at])?;
        let is_same = kept.content == digests[at] && kept.language == sources[at].language;
        is_same.then_some(kept)
    };
    let read: Vec<Result<Parsed, Box<Unit>>> = (0..sources.len())
        .into_par_iter()
        .map(|at| match kept_of(at) {
            Some(kept) => Err(Box::new(remembered(&sources[at], kept))),
            None => Ok(Parsed::of(&sources[at], rules)),
        })
        .collect();
    let mut found = Scan::default();
    let (mut units, mut kept, mut places) = (Vec::new(), Vec::new(), Vec::new());
    let mut parsed: FxHashMap<usize, Parsed> = FxHashMap::default();
    for (at, (source, fresh)) in sources.iter().zip(read).enumerate() {
        let unit = match fresh {
            Ok(mut fresh) => {
                found.add(source, rules, &fresh.matches, fresh.skip);
                let unit = fresh.unit.take();
                parsed.insert(at, fresh);
                unit.map(|unit| (unit, None))
            }
            Err(unit) => {
                let one = kept_of(at)?;
                found.add(source, rules, &one.matches, one.skip);
                one.skip.is_none().then_some((*unit, Some(one)))
            }
        };
        if let Some((unit, one)) = unit {
            units.push(unit);
            kept.push(one);
            places.push(at);
        }
    }
    let learned = {
        let contents = places.iter().map(|at| digests[*at]).collect();
        let recall = Recall::of(memory, &units, (kept, contents))?;
        let (program, result) = program::run(&units, rules, Some(&recall));
        found.report(sources, &program, &result.told);
        if recall.is_broken() {
            return None;
        }
        let is_new = |look: &Look| matches!(look.of, LookOf::New(_)) || !look.also.is_empty();
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
    if !source::have_moved(sources.iter().map(|one| &one.text)) {
        // What cannot be written is found again next time.
        let _ = memory.save(files);
    }
    // Nobody has to wait until thousands of names are given back.
    rayon::spawn(move || drop(units));
    Some(found)
}

fn learned(
    recall: &Recall<'_>,
    program: &Program<'_>,
    result: program::Result<'_>,
    is_parsed: impl Fn(usize) -> bool + Sync,
) -> Vec<Learned> {
    let Some(known) = result.known else {
        return Vec::new();
    };
    let looks = result.looks.into_par_iter().enumerate();
    let learned = looks.map(|(unit, looks)| {
        let functions = program.units[unit].functions.get();
        let functions = functions.filter(|_| is_parsed(unit));
        Learned {
            functions: functions.map(|functions| recall.written(functions)),
            header: known.headers[unit],
            link: known.links[unit],
            looks: looks
                .into_iter()
                .map(|look| told_of(&known, look))
                .collect(),
        }
    });
    learned.collect()
}

/// Returns a look without what is of no use any more.
fn told_of(known: &Known<'_>, look: Look) -> Look {
    let LookOf::Kept(trace) = look.of else {
        return look;
    };
    let used = known.of_use(&trace);
    let trace = match used.len() == trace.asked.len() {
        true => trace,
        false => Arc::new(Trace {
            asked: used,
            ..(*trace).clone()
        }),
    };
    Look {
        of: LookOf::Kept(trace),
        ..look
    }
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
            let trace = match look.of {
                LookOf::Kept(trace) => trace,
                LookOf::New(written) => {
                    let before = traces.iter().find(|trace| trace.state == written.state);
                    let mut parts = vec![&*written.questions, &*written.told];
                    parts.extend(before.is_none().then_some(&*written.state_bytes));
                    let blobs = memory.append(&parts)?;
                    let state_blob = before.map_or_else(|| blobs[2], |trace| trace.state_blob);
                    Arc::new(Trace {
                        asked: memory.intern_all(&written.asked.modules),
                        questions: blobs[0],
                        guesses: written.guesses,
                        state: written.state,
                        state_blob,
                        told: blobs[1],
                    })
                }
            };
            let same = traces
                .iter_mut()
                .find(|one| one.questions == trace.questions);
            let trace = match same {
                Some(same) => same,
                None => {
                    traces.push(trace);
                    traces.last_mut().expect("it was pushed just now")
                }
            };
            let mut asked = memory.intern_all(&look.also);
            asked.retain(|at| !trace.asked.contains(at));
            if !asked.is_empty() {
                asked.extend(&trace.asked);
                let fresh = Trace {
                    asked,
                    ..(**trace).clone()
                };
                *trace = Arc::new(fresh);
            }
        }
        kept.traces = traces;
        Ok(())
    }
}
