//! Which files share their names, and what imports are in the tree.

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{
    ir::{Name, Unit},
    program::Program,
};
use crate::source::Language;

/// A module of the tree, or something in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inside {
    pub(super) module: u32,
    pub(super) name: Option<Name>,
}

pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(super) fn modules(units: &[Unit]) -> (Vec<Vec<u32>>, Vec<u32>) {
    let mut modules: Vec<Vec<u32>> = Vec::new();
    let mut packages: FxHashMap<(&str, bool), u32> = FxHashMap::default();
    let mut module_of = Vec::with_capacity(units.len());
    for (at, unit) in units.iter().enumerate() {
        let next = modules.len() as u32;
        let module = match unit.language {
            // Files of one folder know each other's names.
            Some(language @ (Language::Go | Language::Java)) => *packages
                .entry((folder(&unit.path), language == Language::Go))
                .or_insert(next),
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
pub(super) fn link(program: &Program<'_>) -> Vec<FxHashMap<Name, Inside>> {
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
