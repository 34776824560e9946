//! What one file may know of the others, and a record of what it asked.
//!
//! # Invariants
//!
//! * Everything that evaluation learns beyond its own file comes through a [`View`], and is
//!   written down: what a file gives is a function of itself, the rules, and what is
//!   recorded here. Answers that are missing are recorded as well.

use std::{cell::RefCell, sync::Arc};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    evaluate::Summary,
    ir::{Function, Name},
    program::Program,
    value::{FunctionId, Standing, Value},
};
use crate::{rules::Rules, source::Language};

/// What was asked while one file was looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Modules of which something was asked.
    pub(super) modules: FxHashSet<u32>,
    /// Functions that were looked for by name alone, and what was found.
    pub(super) guesses: FxHashMap<Name, Option<FunctionId>>,
}

/// The program as one file sees it.
pub(super) struct View<'p> {
    program: &'p Program<'p>,
    pub(super) rules: &'p Rules,
    seen: RefCell<Seen>,
}

impl<'p> View<'p> {
    pub(super) fn of(program: &'p Program<'p>, unit: u32) -> Self {
        let mut seen = Seen::default();
        seen.modules.insert(program.module_of[unit as usize]);
        Self {
            program,
            rules: program.rules,
            seen: RefCell::new(seen),
        }
    }

    pub(super) fn seen(self) -> Seen {
        self.seen.into_inner()
    }

    fn ask(&self, module: u32) {
        self.seen.borrow_mut().modules.insert(module);
    }

    pub(super) fn function(&self, id: FunctionId) -> &'p Function {
        self.ask(self.program.module_of[id.0 as usize]);
        self.program.function(id)
    }

    pub(super) fn summary(&self, id: FunctionId) -> Arc<Summary> {
        self.ask(self.program.module_of[id.0 as usize]);
        self.program.state(id.0).summary(id.1)
    }

    pub(super) fn language(&self, unit: u32) -> Language {
        self.program.units[unit as usize]
            .language
            .unwrap_or(Language::Python)
    }

    /// Returns what `name` means in `unit`, outside of its functions.
    pub(super) fn name(&self, unit: u32, name: &Name) -> Value {
        if matches!(&**name, "self" | "this") {
            return Value::at(Arc::from("self"));
        }
        if let Some(value) = self.program.state(unit).globals.get(name) {
            return value.clone();
        }
        let module = self.program.module_of[unit as usize];
        if let Some(value) = self.in_module(module, name) {
            return value;
        }
        if let Some(inside) = self.program.imported[unit as usize].get(name) {
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
        match self.program.units[unit as usize].imports.get(name) {
            Some(path) => Value::at(Arc::clone(path)),
            None => Value::at(Arc::clone(name)),
        }
    }

    /// Returns the function or class `name` of a module.
    fn in_module(&self, module: u32, name: &Name) -> Option<Value> {
        self.ask(module);
        for unit in &self.program.modules[module as usize] {
            if let Some(at) = self.program.units[*unit as usize].names.get(name) {
                return Some(Value {
                    function: Some((*unit, *at as u32)),
                    standing: Standing::Clean,
                    ..Value::default()
                });
            }
            if let Some(value) = self.program.state(*unit).globals.get(name) {
                return Some(value.clone());
            }
        }
        let is_class = self.program.classes[module as usize].contains(name);
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
            return self.of_class(self.program.module_of[unit as usize], class, name);
        }
        let inside = path.strip_prefix('@')?;
        let known = |module: &str| {
            let module = module.parse::<u32>().ok()?;
            ((module as usize) < self.program.modules.len()).then_some(module)
        };
        match inside.split_once('.') {
            None => self.in_module(known(inside)?, name),
            Some((module, class)) => {
                let class = class.trim_end_matches("()");
                self.of_class(known(module)?, class, name)
            }
        }
    }

    fn of_class(&self, module: u32, class: &str, name: &Name) -> Option<Value> {
        self.ask(module);
        let key: Name = Arc::from(format!("{class}.{name}"));
        let class: Name = Arc::from(class);
        for unit in &self.program.modules[module as usize] {
            if let Some(at) = self.program.units[*unit as usize].names.get(&key) {
                return Some(Value {
                    function: Some((*unit, *at as u32)),
                    standing: Standing::Clean,
                    ..Value::default()
                });
            }
            let field = (Arc::clone(&class), Arc::clone(name));
            if let Some(value) = self.program.state(*unit).fields.get(&field) {
                return Some(value.clone());
            }
        }
        None
    }

    /// Returns the only function of this name, if there is one and its name says enough.
    pub(super) fn guess(&self, name: &str) -> Option<FunctionId> {
        let found = self.program.guess(name);
        let mut seen = self.seen.borrow_mut();
        if !seen.guesses.contains_key(name) {
            seen.guesses.insert(Arc::from(name), found);
        }
        found
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
