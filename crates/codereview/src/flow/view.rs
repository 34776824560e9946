//! What one file may know of the others, and a record of what it asked.
//!
//! # Invariants
//!
//! * Everything that evaluation learns beyond its own file comes through a [`View`], and is
//!   written down: what a file gives is a function of itself, the rules, and the answers to
//!   the questions that are recorded here. Answers that are missing are recorded as well.

use std::{cell::RefCell, sync::Arc};

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    evaluate::Summary,
    ir::{Function, Name},
    program::Program,
    value::{FunctionId, Value},
};
use crate::{rules::Rules, source::Language};

/// Something that a file may ask of the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Question {
    /// Everything about a file: of its own this is asked each time.
    Whole(u32),
    /// How a function is called, and what it does with its arguments.
    Function(FunctionId),
    /// What a name is in a module.
    Name(u32, Name),
    /// What a member of a class in a module is.
    Member(u32, Name, Name),
}

/// What was asked while one file was looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Modules of which something was asked.
    pub(super) modules: FxHashSet<u32>,
    /// Functions that were looked for by name alone, and what was found.
    pub(super) guesses: FxHashMap<Name, Option<FunctionId>>,
    /// What exactly was asked.
    pub(super) questions: FxHashSet<Question>,
}

impl Seen {
    /// Adds what `other` has asked.
    pub(super) fn join(&mut self, other: Self) {
        self.modules.extend(other.modules);
        self.guesses.extend(other.guesses);
        self.questions.extend(other.questions);
    }
}

/// The program as one file sees it.
pub(super) struct View<'p> {
    program: &'p Program<'p>,
    unit: u32,
    pub(super) rules: &'p Rules,
    seen: RefCell<Seen>,
}

impl<'p> View<'p> {
    pub(super) fn of(program: &'p Program<'p>, unit: u32) -> Self {
        let mut seen = Seen::default();
        seen.modules.insert(program.module_of[unit as usize]);
        seen.questions.insert(Question::Whole(unit));
        Self {
            program,
            unit,
            rules: program.rules,
            seen: RefCell::new(seen),
        }
    }

    pub(super) fn seen(self) -> Seen {
        self.seen.into_inner()
    }

    /// Writes down that something was asked of `module`.
    fn ask(&self, module: u32, question: impl FnOnce() -> Question) {
        let units = &self.program.modules[module as usize];
        // Another file may join a package tomorrow.
        let is_alone = units[..] == [self.unit] && self.language(self.unit) != Language::Go;
        let mut seen = self.seen.borrow_mut();
        // What the file asks of itself alone is known with it.
        if !is_alone {
            seen.modules.insert(module);
            if self.program.recall.is_some() {
                seen.questions.insert(question());
            }
        }
    }

    fn ask_function(&self, id: FunctionId) {
        if id.0 != self.unit {
            let module = self.program.module_of[id.0 as usize];
            self.ask(module, || match self.program.is_named(id) {
                true => Question::Function(id),
                // Its place alone would not tell it from another one.
                false => Question::Whole(id.0),
            });
        }
    }

    pub(super) fn function(&self, id: FunctionId) -> &'p Function {
        self.ask_function(id);
        self.program.function(id)
    }

    pub(super) fn summary(&self, id: FunctionId) -> Arc<Summary> {
        self.ask_function(id);
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
        let module = self.program.module_of[unit as usize];
        if unit != self.unit {
            self.ask(module, || Question::Whole(unit));
        }
        if let Some(value) = self.program.state(unit).globals.get(name) {
            return value.clone();
        }
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
        self.ask(module, || Question::Name(module, Name::clone(name)));
        self.program.in_module(module, name)
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
        let class: Name = Arc::from(class);
        self.ask(module, || {
            Question::Member(module, Name::clone(&class), Name::clone(name))
        });
        self.program.of_class(module, &class, name)
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
