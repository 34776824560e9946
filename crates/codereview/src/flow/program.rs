//! All files together: which name means which function, and rounds until nothing is new.

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    evaluate::{self, Outcome, Summary},
    ir::{Function, Name, Unit},
    value::{FunctionId, Standing, Value},
};
use crate::{rules::Rules, source::Language};

/// Calls of calls that are followed.
const MOST_ROUNDS: usize = 8;
/// Arrivals that are kept for one function.
const MOST_HITS: usize = 24;

/// The files that may call one another.
pub(super) struct Program<'a> {
    pub(super) units: &'a [Unit],
    pub(super) rules: &'a Rules,
    /// Files that share their names: a package of Go, else one file each.
    modules: Vec<Vec<u32>>,
    module_of: Vec<u32>,
    /// What imported names stand for, where that is in the tree.
    imported: Vec<FxHashMap<Name, Inside>>,
    classes: Vec<FxHashSet<Name>>,
    /// Functions whose name is that of no other.
    unique: FxHashMap<Name, Option<FunctionId>>,
    known: Known,
}

/// A module of the tree, or something in one.
#[derive(Debug, Clone)]
struct Inside {
    module: u32,
    name: Option<Name>,
}

/// What earlier rounds have shown.
#[derive(Default)]
struct Known {
    summaries: Vec<Vec<Arc<Summary>>>,
    globals: Vec<FxHashMap<Name, Value>>,
    fields: FxHashMap<(u32, Name, Name), Value>,
}

/// What is known at the end.
pub(super) struct Result {
    pub(super) outcomes: Vec<Vec<Outcome>>,
}

/// Looks at all functions until nothing new is learned.
pub(super) fn run<'a>(units: &'a [Unit], rules: &'a Rules) -> (Program<'a>, Result) {
    let mut program = Program::new(units, rules);
    let mut outcomes: Vec<Vec<Outcome>> = (0..units.len())
        .into_par_iter()
        .map(|unit| program.look(unit as u32, |_| true))
        .map(|found| found.into_iter().map(|(_, outcome)| outcome).collect())
        .collect();
    program.learn(&outcomes);
    let mut wanted: FxHashSet<FunctionId> = all(units);
    for _ in 0..MOST_ROUNDS {
        let again: Vec<Vec<(usize, Outcome)>> = (0..units.len())
            .into_par_iter()
            .map(|unit| program.look(unit as u32, |at| wanted.contains(&(unit as u32, at as u32))))
            .collect();
        let mut changed: FxHashSet<FunctionId> = FxHashSet::default();
        for (unit, found) in again.into_iter().enumerate() {
            for (at, outcome) in found {
                if *program.known.summaries[unit][at] != outcome.summary {
                    changed.insert((unit as u32, at as u32));
                }
                outcomes[unit][at] = outcome;
            }
        }
        program.learn(&outcomes);
        wanted = callers(&outcomes, &changed);
        if wanted.is_empty() {
            break;
        }
    }
    (program, Result { outcomes })
}

fn all(units: &[Unit]) -> FxHashSet<FunctionId> {
    let ids = units.iter().enumerate();
    ids.flat_map(|(unit, one)| (0..one.functions.len()).map(move |at| (unit as u32, at as u32)))
        .collect()
}

fn callers(outcomes: &[Vec<Outcome>], of: &FxHashSet<FunctionId>) -> FxHashSet<FunctionId> {
    let mut found = FxHashSet::default();
    for (unit, functions) in outcomes.iter().enumerate() {
        for (at, outcome) in functions.iter().enumerate() {
            if outcome.calls.iter().any(|call| of.contains(call)) {
                found.insert((unit as u32, at as u32));
            }
        }
    }
    found
}

impl<'a> Program<'a> {
    fn new(units: &'a [Unit], rules: &'a Rules) -> Self {
        let (modules, module_of) = modules(units);
        let mut classes = vec![FxHashSet::default(); modules.len()];
        let mut unique: FxHashMap<Name, Option<FunctionId>> = FxHashMap::default();
        for (unit, one) in units.iter().enumerate() {
            for (name, at) in &one.names {
                let mut bare = name;
                let last: Name;
                if let Some((class, method)) = name.rsplit_once('.') {
                    classes[module_of[unit] as usize].insert(Arc::from(class));
                    last = Arc::from(method);
                    bare = &last;
                }
                let id = (unit as u32, *at as u32);
                unique
                    .entry(Arc::clone(bare))
                    .and_modify(|one| *one = None)
                    .or_insert(Some(id));
            }
        }
        let mut program = Self {
            units,
            rules,
            modules,
            module_of,
            imported: Vec::new(),
            classes,
            unique,
            known: Known {
                summaries: units
                    .iter()
                    .map(|unit| vec![Arc::default(); unit.functions.len()])
                    .collect(),
                globals: vec![FxHashMap::default(); units.len()],
                fields: FxHashMap::default(),
            },
        };
        program.imported = link(&program);
        program
    }

    fn look(&self, unit: u32, wanted: impl Fn(usize) -> bool) -> Vec<(usize, Outcome)> {
        let functions = &self.units[unit as usize].functions;
        let mut found = Vec::new();
        for (at, function) in functions.iter().enumerate() {
            if !wanted(at) {
                continue;
            }
            // Inner functions are looked at where they stand.
            let outcome = match function.is_inner {
                true => Outcome::default(),
                false => evaluate::function(self, (unit, at as u32)),
            };
            found.push((at, outcome));
        }
        found
    }

    fn learn(&mut self, outcomes: &[Vec<Outcome>]) {
        for (unit, functions) in outcomes.iter().enumerate() {
            for (at, outcome) in functions.iter().enumerate() {
                let mut summary = outcome.summary.clone();
                summary.hits.truncate(MOST_HITS);
                self.known.summaries[unit][at] = Arc::new(summary);
                for ((class, field), value) in &outcome.fields {
                    let key = (unit as u32, Arc::clone(class), Arc::clone(field));
                    match self.known.fields.get_mut(&key) {
                        Some(known) if known == value => {}
                        Some(known) => known.join(value.clone()),
                        None => {
                            self.known.fields.insert(key, value.clone());
                        }
                    }
                }
            }
            if let Some(body) = functions.first() {
                self.known.globals[unit].clone_from(&body.globals);
            }
        }
    }

    pub(super) fn function(&self, (unit, at): FunctionId) -> &'a Function {
        &self.units[unit as usize].functions[at as usize]
    }

    pub(super) fn summary(&self, (unit, at): FunctionId) -> Arc<Summary> {
        Arc::clone(&self.known.summaries[unit as usize][at as usize])
    }

    pub(super) fn language(&self, unit: u32) -> Language {
        self.units[unit as usize]
            .language
            .unwrap_or(Language::Python)
    }

    /// Returns what `name` means in `unit`, outside of its functions.
    pub(super) fn name(&self, unit: u32, name: &Name) -> Value {
        if matches!(&**name, "self" | "this") {
            return Value::at(Arc::from("self"));
        }
        if let Some(value) = self.known.globals[unit as usize].get(name) {
            return value.clone();
        }
        let module = self.module_of[unit as usize];
        if let Some(value) = self.in_module(module, name) {
            return value;
        }
        if let Some(inside) = self.imported[unit as usize].get(name) {
            let found = match &inside.name {
                Some(name) => self.in_module(inside.module, name),
                None => self
                    .in_module(inside.module, name)
                    .or_else(|| Some(Value::at(Arc::from(format!("@{}", inside.module))))),
            };
            if let Some(found) = found {
                return found;
            }
        }
        match self.units[unit as usize].imports.get(name) {
            Some(path) => Value::at(Arc::clone(path)),
            None => Value::at(Arc::clone(name)),
        }
    }

    /// Returns the function or class `name` of a module.
    fn in_module(&self, module: u32, name: &Name) -> Option<Value> {
        for unit in &self.modules[module as usize] {
            if let Some(at) = self.units[*unit as usize].names.get(name) {
                return Some(Value {
                    function: Some((*unit, *at as u32)),
                    standing: Standing::Clean,
                    ..Value::default()
                });
            }
            if let Some(value) = self.known.globals[*unit as usize].get(name) {
                return Some(value.clone());
            }
        }
        let is_class = self.classes[module as usize].contains(name);
        is_class.then(|| Value::at(Arc::from(format!("@{module}.{name}"))))
    }

    /// Returns the member `name` of what `path` names, if that is in the tree.
    pub(super) fn member(
        &self,
        unit: u32,
        class: Option<&Name>,
        path: &str,
        name: &Name,
    ) -> Option<Value> {
        if path == "self" {
            let class = class?;
            return self.of_class(self.module_of[unit as usize], class, name);
        }
        let inside = path.strip_prefix('@')?;
        match inside.split_once('.') {
            None => self.in_module(inside.parse().ok()?, name),
            Some((module, class)) => {
                let class = class.trim_end_matches("()");
                self.of_class(module.parse().ok()?, class, name)
            }
        }
    }

    fn of_class(&self, module: u32, class: &str, name: &Name) -> Option<Value> {
        let key: Name = Arc::from(format!("{class}.{name}"));
        let class: Name = Arc::from(class);
        for unit in &self.modules[module as usize] {
            if let Some(at) = self.units[*unit as usize].names.get(&key) {
                return Some(Value {
                    function: Some((*unit, *at as u32)),
                    standing: Standing::Clean,
                    ..Value::default()
                });
            }
            let field = (*unit, Arc::clone(&class), Arc::clone(name));
            if let Some(value) = self.known.fields.get(&field) {
                return Some(value.clone());
            }
        }
        None
    }

    /// Returns the only function of this name, if there is one and its name says enough.
    pub(super) fn guess(&self, name: &str) -> Option<FunctionId> {
        const SHORTEST: usize = 6;
        if name.len() < SHORTEST {
            return None;
        }
        self.unique.get(name).copied().flatten()
    }

    /// Returns the path that the type `kind`, as written in `unit`, stands for.
    pub(super) fn full(&self, unit: u32, kind: &str) -> String {
        let (first, rest) = kind.split_once('.').unwrap_or((kind, ""));
        let first: Name = Arc::from(first);
        let value = self.name(unit, &first);
        let path = value.path.as_deref().unwrap_or(&first).to_owned();
        match rest {
            "" => path,
            rest => format!("{path}.{rest}"),
        }
    }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn modules(units: &[Unit]) -> (Vec<Vec<u32>>, Vec<u32>) {
    let mut modules: Vec<Vec<u32>> = Vec::new();
    let mut packages: FxHashMap<&str, u32> = FxHashMap::default();
    let mut module_of = Vec::with_capacity(units.len());
    for (at, unit) in units.iter().enumerate() {
        let next = modules.len() as u32;
        let module = match unit.language {
            Some(Language::Go) => *packages.entry(folder(&unit.path)).or_insert(next),
            _ => next,
        };
        if module == next {
            modules.push(Vec::new());
        }
        modules[module as usize].push(at as u32);
        module_of.push(module);
    }
    (modules, module_of)
}

/// Finds for each file what its imports are in the tree.
fn link(program: &Program<'_>) -> Vec<FxHashMap<Name, Inside>> {
    let mut by_stem: FxHashMap<&str, Vec<u32>> = FxHashMap::default();
    for (at, unit) in program.units.iter().enumerate() {
        by_stem.entry(stem(&unit.path)).or_default().push(at as u32);
    }
    let mut folders: FxHashMap<&str, u32> = FxHashMap::default();
    for (at, unit) in program.units.iter().enumerate() {
        if unit.language == Some(Language::Go) {
            folders.insert(folder(&unit.path), at as u32);
        }
    }
    let index = Index {
        program,
        by_stem,
        folders,
    };
    let units = program.units.par_iter();
    units.map(|unit| index.imports(unit)).collect()
}

/// Returns the path without its ending, up to `index` and `__init__`, which stand for the
/// folder.
fn stem(path: &str) -> &str {
    let bare = path.rsplit_once('.').map_or(path, |(bare, _)| bare);
    for whole in ["/index", "/__init__", "/mod"] {
        if let Some(folder) = bare.strip_suffix(whole) {
            return folder.rsplit('/').next().unwrap_or(folder);
        }
    }
    bare.rsplit('/').next().unwrap_or(bare)
}

struct Index<'p> {
    program: &'p Program<'p>,
    by_stem: FxHashMap<&'p str, Vec<u32>>,
    folders: FxHashMap<&'p str, u32>,
}

impl Index<'_> {
    fn imports(&self, unit: &Unit) -> FxHashMap<Name, Inside> {
        let mut found = FxHashMap::default();
        for (local, path) in &unit.imports {
            let inside = match unit.language {
                Some(Language::Go) => self.package(path),
                Some(Language::Python) => self.python(&unit.path, path),
                Some(Language::Rust | Language::Java) => {
                    self.split(&path.replace("crate.", "").replace('.', "/"), unit)
                }
                _ => self.script(&unit.path, path),
            };
            if let Some(inside) = inside {
                found.insert(Arc::clone(local), inside);
            }
        }
        found
    }

    fn package(&self, path: &str) -> Option<Inside> {
        let fits = |folder: &&&str| {
            !folder.is_empty()
                && path
                    .strip_suffix(**folder)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        let folder = self
            .folders
            .keys()
            .filter(fits)
            .max_by_key(|folder| folder.len())?;
        Some(Inside {
            module: self.program.module_of[self.folders[folder] as usize],
            name: None,
        })
    }

    fn python(&self, from: &str, path: &str) -> Option<Inside> {
        let dots = path.bytes().take_while(|byte| *byte == b'.').count();
        let rest = path[dots..].replace('.', "/");
        let unit = Unit {
            path: from.to_owned(),
            language: Some(Language::Python),
            ..Unit::default()
        };
        if dots == 0 {
            return self.split(&rest, &unit);
        }
        let mut base = folder(from);
        for _ in 1..dots {
            base = folder(base);
        }
        let full = join(base, &rest);
        self.split_exact(&full, &unit)
    }

    fn script(&self, from: &str, path: &str) -> Option<Inside> {
        let unit = Unit {
            path: from.to_owned(),
            language: Some(Language::Typescript),
            ..Unit::default()
        };
        let (module, name) = match (path.rsplit_once('.'), bare_script(path)) {
            (_, Some(whole)) => (whole, None),
            (Some((module, name)), None)
                if !name.contains('/') && !module.is_empty() && !module.ends_with('.') =>
            {
                (bare_script(module).unwrap_or(module), Some(name))
            }
            _ => (path, None),
        };
        let name: Option<Name> = name.map(Arc::from);
        let (full, is_exact) = match module.starts_with('.') {
            true => (normal(&join(folder(from), module)), true),
            false => (module.trim_start_matches(['@', '~', '/']).to_owned(), false),
        };
        if !is_exact && !module.starts_with(['@', '~', '/']) {
            return None;
        }
        let module = self.file(&full, is_exact, &unit)?;
        Some(Inside { module, name })
    }

    /// Finds `a/b/c` as a file, or as `c` in the file `a/b`.
    fn split(&self, path: &str, unit: &Unit) -> Option<Inside> {
        self.found(path, false, unit)
    }

    fn split_exact(&self, path: &str, unit: &Unit) -> Option<Inside> {
        self.found(path, true, unit)
    }

    fn found(&self, path: &str, is_exact: bool, unit: &Unit) -> Option<Inside> {
        let in_java = unit.language == Some(Language::Java);
        if let Some(module) = self.file(path, is_exact, unit) {
            // A class of Java is the file of its name.
            let last = path.rsplit('/').next().unwrap_or(path);
            let name = in_java.then(|| Arc::from(last));
            return Some(Inside { module, name });
        }
        let (before, last) = path.rsplit_once('/')?;
        let module = self.file(before, is_exact, unit)?;
        Some(Inside {
            module,
            name: Some(Arc::from(last)),
        })
    }

    fn file(&self, path: &str, is_exact: bool, from: &Unit) -> Option<u32> {
        let last = path.rsplit('/').next().unwrap_or(path);
        let family = |language: Option<Language>| match language {
            Some(Language::Javascript | Language::Tsx) => Some(Language::Typescript),
            language => language,
        };
        let mut best: Option<(usize, u32)> = None;
        for at in self.by_stem.get(last)? {
            let unit = &self.program.units[*at as usize];
            if family(unit.language) != family(from.language) {
                continue;
            }
            let bare = unit
                .path
                .rsplit_once('.')
                .map_or(&*unit.path, |(bare, _)| bare);
            let bare = ["/index", "/__init__", "/mod"]
                .iter()
                .find_map(|whole| bare.strip_suffix(whole))
                .unwrap_or(bare);
            let fits = match is_exact {
                true => bare == path,
                false => bare
                    .strip_suffix(path)
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('/')),
            };
            if fits {
                // The nearest of several.
                let near = bare
                    .bytes()
                    .zip(from.path.bytes())
                    .take_while(|(a, b)| a == b)
                    .count();
                if best.is_none_or(|(so_far, _)| near > so_far) {
                    best = Some((near, *at));
                }
            }
        }
        best.map(|(_, at)| self.program.module_of[at as usize])
    }
}

fn bare_script(path: &str) -> Option<&str> {
    [".js", ".ts", ".mjs", ".cjs", ".jsx", ".tsx"]
        .iter()
        .find_map(|ending| path.strip_suffix(ending))
}

fn join(folder: &str, rest: &str) -> String {
    match (folder, rest) {
        ("", rest) => rest.to_owned(),
        (folder, "") => folder.to_owned(),
        (folder, rest) => format!("{folder}/{rest}"),
    }
}

/// Returns a path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
