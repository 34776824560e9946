//! All files together: which name means which function, and rounds until nothing is new.
//!
//! # Invariants
//!
//! * In each round every file is looked at with what the round before has shown. A file
//!   whose answers would be the same is left out, which changes nothing but the time.
//! * What was learned in an earlier review is used where everything that a look asked is
//!   answered the same, and only there.

use std::sync::{Arc, OnceLock};

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    evaluate::{self, Outcome},
    ir::{Function, Name, Unit},
    link::{self, Inside},
    memory::{Blob, Seen, Trace},
    recall::{Asked, Known, Recall, Written},
    state::State,
    told::Told,
    value::{FunctionId, Standing, Value},
    view::{Seen as Asking, View},
};
use crate::{memory::Digest, rules::Rules};

/// Calls of calls that are followed.
const MOST_ROUNDS: usize = 8;
/// Functions of a file that one thread evaluates.
const TOGETHER: usize = 32;

/// The files that may call one another.
pub(super) struct Program<'a> {
    pub(super) units: &'a [Unit],
    pub(super) rules: &'a Rules,
    /// Files that share their names: a package of Go, else one file each.
    pub(super) modules: Vec<Vec<u32>>,
    pub(super) module_of: Vec<u32>,
    /// What imported names stand for, where that is in the tree.
    pub(super) imported: Vec<FxHashMap<Name, Inside>>,
    pub(super) classes: Vec<FxHashSet<Name>>,
    /// Functions whose name is that of no other.
    unique: FxHashMap<&'a str, Option<FunctionId>>,
    states: Vec<Slot>,
    pub(super) recall: Option<&'a Recall<'a>>,
}

/// What is known of a file, or where it is written.
#[derive(Debug, Default)]
struct Slot {
    cell: OnceLock<Arc<State>>,
    digest: Digest,
    stored: Option<Blob>,
}

/// What a look at a file gave.
enum Found {
    /// With what is known now of modules that it had to ask again, and all that it asked.
    Kept(Arc<Trace>, Vec<Seen>, Vec<u32>),
    Looked(Box<Looked>),
}

struct Looked {
    state: State,
    told: Told,
    modules: Vec<u32>,
    written: Option<Written>,
}

/// The last look at a file.
enum Last {
    Kept(Arc<Trace>),
    New(Arc<Asked>),
}

/// What is known at the end, by file.
pub(super) struct Result<'a> {
    pub(super) told: Vec<Told>,
    /// What each look asked and gave, in the order of rounds.
    pub(super) looks: Vec<Vec<Look>>,
    pub(super) known: Option<Known<'a>>,
}

/// A look at a file, and what else was known of modules that it asked when its questions
/// were answered the same.
pub(super) struct Look {
    pub(super) of: LookOf,
    pub(super) also: Vec<Seen>,
}

/// A look, kept from an earlier review or new.
pub(super) enum LookOf {
    Kept(Arc<Trace>),
    New(Written),
}

/// Looks at all files until nothing new is learned.
pub(super) fn run<'a>(
    units: &'a [Unit],
    rules: &'a Rules,
    recall: Option<&'a Recall<'a>>,
) -> (Program<'a>, Result<'a>) {
    let mut program = Program::new(units, rules, recall);
    let mut known = recall.map(|recall| recall.begin(&program));
    let mut told: Vec<Option<Told>> = units.iter().map(|_| None).collect();
    let mut last: Vec<Option<Last>> = units.iter().map(|_| None).collect();
    let mut looks: Vec<Vec<Look>> = units.iter().map(|_| Vec::new()).collect();
    let mut asked: Vec<Vec<u32>> = vec![Vec::new(); units.len()];
    let mut wanted: Vec<u32> = (0..units.len() as u32).collect();
    for _ in 0..=MOST_ROUNDS {
        let found: Vec<Found> = wanted
            .par_iter()
            .map(|unit| program.look(*unit, known.as_ref()))
            .collect();
        let mut changed: FxHashSet<u32> = FxHashSet::default();
        for (unit, found) in wanted.iter().zip(found) {
            let at = *unit as usize;
            let (slot, look) = match found {
                Found::Kept(trace, also, modules) => {
                    asked[at] = modules;
                    (told[at], last[at]) = (None, Some(Last::Kept(Arc::clone(&trace))));
                    let slot = Slot {
                        digest: trace.state,
                        stored: Some(trace.state_blob),
                        ..Slot::default()
                    };
                    let of = LookOf::Kept(trace);
                    (slot, Some(Look { of, also }))
                }
                Found::Looked(looked) => {
                    asked[at] = looked.modules;
                    let written = looked.written.as_ref();
                    let new = written.map(|written| Last::New(Arc::clone(&written.asked)));
                    (told[at], last[at]) = (Some(looked.told), new);
                    let slot = Slot {
                        digest: looked.written.as_ref().map_or(0, |written| written.state),
                        stored: None,
                        cell: OnceLock::from(Arc::new(looked.state)),
                    };
                    let of = looked.written.map(LookOf::New);
                    (
                        slot,
                        of.map(|of| Look {
                            of,
                            also: Vec::new(),
                        }),
                    )
                }
            };
            if program.differs(*unit, &slot) {
                changed.insert(program.module_of[at]);
            }
            program.states[at] = slot;
            looks[at].extend(look);
        }
        if changed.is_empty() {
            break;
        }
        if let Some(known) = &mut known {
            known.learn(&program, &changed);
        }
        let stale = program.stale(&asked, &changed);
        wanted = match &known {
            Some(known) => program.ask_again(known, &stale, (&last, &mut looks)),
            None => stale,
        };
    }
    let told = told.into_par_iter().zip(last).map(|(told, last)| {
        let kept = || match last? {
            Last::Kept(trace) => recall?.told(&trace),
            Last::New(_) => None,
        };
        told.or_else(kept).unwrap_or_default()
    });
    let told = told.collect();
    let result = Result { told, looks, known };
    (program, result)
}

impl<'a> Program<'a> {
    fn new(units: &'a [Unit], rules: &'a Rules, recall: Option<&'a Recall<'a>>) -> Self {
        let (modules, module_of) = link::modules(units);
        let (classes, unique) = rayon::join(
            || classes(units, (modules.len(), &module_of)),
            || unique(units),
        );
        let mut program = Self {
            units,
            rules,
            modules,
            module_of,
            imported: Vec::new(),
            classes,
            unique,
            states: units.iter().map(|_| Slot::default()).collect(),
            recall,
        };
        program.imported = link::link(&program);
        program
    }

    /// Returns the files that have asked a module in `changed` by `asked`.
    fn stale(&self, asked: &[Vec<u32>], changed: &FxHashSet<u32>) -> Vec<u32> {
        let mut is_changed = vec![false; self.modules.len()];
        for module in changed {
            is_changed[*module as usize] = true;
        }
        let is_stale = |asked: &Vec<u32>| asked.iter().any(|module| is_changed[*module as usize]);
        let all = asked.par_iter().enumerate();
        let stale = all.filter(|(_, asked)| is_stale(asked));
        stale.map(|(unit, _)| unit as u32).collect()
    }

    /// Returns those of `stale` that would be answered otherwise than at their last look:
    /// whoever would be answered the same would give the same.
    fn ask_again(
        &self,
        known: &Known<'_>,
        stale: &[u32],
        (last, looks): (&[Option<Last>], &mut [Vec<Look>]),
    ) -> Vec<u32> {
        let same = |unit: &u32| {
            let at = *unit as usize;
            let also = looks[at].last().map_or(&[][..], |look| &look.also);
            match last[at].as_ref()? {
                Last::Kept(trace) => known.still(self, *unit, (trace, also)),
                Last::New(asked) => known.answers(self, asked, also),
            }
        };
        let same: Vec<Option<Vec<Seen>>> = stale.par_iter().map(same).collect();
        let mut wanted = Vec::new();
        for (unit, same) in stale.iter().zip(same) {
            match (same, looks[*unit as usize].last_mut()) {
                (Some(seen), Some(look)) => look.also.extend(seen),
                _ => wanted.push(*unit),
            }
        }
        wanted
    }

    /// Looks at one file, unless an earlier look holds.
    fn look(&self, unit: u32, known: Option<&Known<'_>>) -> Found {
        if let Some(known) = known
            && let Some((trace, also)) = known.find(self, unit)
        {
            let modules = known.modules_of(&trace);
            return Found::Kept(trace, also, modules);
        }
        let functions = self.functions(unit);
        let (mut outcomes, seen) = self.evaluate(unit, functions);
        let state = State::after(self.state(unit), &mut outcomes);
        let told = Told::of(functions, outcomes);
        let written = known.map(|known| known.write(self, unit, (&state, &told), &seen));
        Found::Looked(Box::new(Looked {
            state,
            told,
            modules: seen.modules.into_iter().collect(),
            written,
        }))
    }

    /// Evaluates `functions` of a file, of a large one with several threads: where little is
    /// looked at, one file would hold up the round.
    fn evaluate(&self, unit: u32, functions: &[Function]) -> (Vec<Outcome>, Asking) {
        let parts = functions.par_chunks(TOGETHER).enumerate();
        let parts = parts.map(|(part, functions)| {
            let view = View::of(self, unit);
            let all = functions.iter().zip(part * TOGETHER..);
            let outcomes = all.map(|(one, at)| match one.is_inner && !one.is_part {
                // Inner functions are looked at where they stand.
                true => Outcome::default(),
                false => evaluate::function(&view, (unit, at as u32)),
            });
            (outcomes.collect::<Vec<Outcome>>(), view.seen())
        });
        let none = || (Vec::new(), View::of(self, unit).seen());
        let joined = parts.reduce_with(|mut one, other| {
            one.0.extend(other.0);
            one.1.join(other.1);
            one
        });
        joined.unwrap_or_else(none)
    }

    fn differs(&self, unit: u32, fresh: &Slot) -> bool {
        let slot = &self.states[unit as usize];
        match self.recall {
            Some(_) => slot.digest != fresh.digest,
            None => fresh
                .cell
                .get()
                .is_some_and(|fresh| **fresh != *self.state(unit)),
        }
    }

    /// Returns what is known of `unit`.
    pub(super) fn state(&self, unit: u32) -> &State {
        let slot = &self.states[unit as usize];
        slot.cell.get_or_init(|| match (self.recall, slot.stored) {
            (Some(recall), Some(blob)) => Arc::new(recall.state(blob)),
            _ => Arc::default(),
        })
    }

    /// Returns the digest of what is known of `unit`; of nothing, zero.
    pub(super) fn digest(&self, unit: u32) -> Digest {
        self.states[unit as usize].digest
    }

    pub(super) fn functions(&self, unit: u32) -> &'a [Function] {
        let one = &self.units[unit as usize];
        one.functions.get_or_init(|| match self.recall {
            Some(recall) => recall.functions(unit),
            None => Vec::new(),
        })
    }

    pub(super) fn function(&self, (unit, at): FunctionId) -> &'a Function {
        static NONE: OnceLock<Function> = OnceLock::new();
        let found = self.functions(unit).get(at as usize);
        found.unwrap_or_else(|| NONE.get_or_init(Function::default))
    }

    /// Returns the function or class `name` of a module.
    pub(super) fn in_module(&self, module: u32, name: &Name) -> Option<Value> {
        for unit in &self.modules[module as usize] {
            if let Some(at) = self.units[*unit as usize].names.get(name) {
                return Some(known_function((*unit, *at as u32)));
            }
            if let Some(value) = self.state(*unit).globals.get(name) {
                return Some(value.clone());
            }
        }
        let is_class = self.classes[module as usize].contains(name);
        is_class.then(|| Value::at(Arc::from(format!("@{module}.{name}"))))
    }

    /// Returns the member `name` of a class of a module.
    pub(super) fn of_class(&self, module: u32, class: &Name, name: &Name) -> Option<Value> {
        let key: Name = Arc::from(format!("{class}.{name}"));
        for unit in &self.modules[module as usize] {
            if let Some(at) = self.units[*unit as usize].names.get(&key) {
                return Some(known_function((*unit, *at as u32)));
            }
            let field = (Name::clone(class), Name::clone(name));
            if let Some(value) = self.state(*unit).fields.get(&field) {
                return Some(value.clone());
            }
        }
        None
    }

    /// Returns whether a function is known by a name; where nothing is kept, none is asked.
    pub(super) fn is_named(&self, id: FunctionId) -> bool {
        self.recall.is_none_or(|recall| recall.is_named(id))
    }

    /// Returns the only function of this name, if there is one and its name says enough.
    pub(super) fn guess(&self, name: &str) -> Option<FunctionId> {
        const SHORTEST: usize = 6;
        if name.len() < SHORTEST {
            return None;
        }
        self.unique.get(name).copied().flatten()
    }
}

/// Returns the classes of each module.
fn classes(units: &[Unit], (modules, module_of): (usize, &[u32])) -> Vec<FxHashSet<Name>> {
    let mut classes = vec![FxHashSet::default(); modules];
    for (unit, module) in units.iter().zip(module_of) {
        let classes: &mut FxHashSet<Name> = &mut classes[*module as usize];
        for (class, _) in unit.names.keys().filter_map(|name| name.rsplit_once('.')) {
            if !classes.contains(class) {
                classes.insert(Arc::from(class));
            }
        }
    }
    classes
}

/// Returns the functions of each bare name; none where there are several.
fn unique(units: &[Unit]) -> FxHashMap<&str, Option<FunctionId>> {
    let mut unique: FxHashMap<&str, Option<FunctionId>> = FxHashMap::default();
    for (unit, one) in units.iter().enumerate() {
        for (name, at) in &one.names {
            let bare = name.rsplit_once('.').map_or(&**name, |(_, method)| method);
            let id = (unit as u32, *at as u32);
            unique
                .entry(bare)
                .and_modify(|one| *one = None)
                .or_insert(Some(id));
        }
    }
    unique
}

fn known_function(id: FunctionId) -> Value {
    Value {
        function: Some(id),
        standing: Standing::Clean,
        ..Value::default()
    }
}
