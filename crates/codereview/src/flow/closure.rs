//! Functions inside functions, followed where they stand.
//!
//! # Invariants
//!
//! * A closure that is given the same again, with the same around it, is not followed again:
//!   following it changes nothing outside but what was already noted.

use std::{rc::Rc, sync::Arc};

use rustc_hash::FxHashSet;

use super::{
    entrance, entry,
    evaluate::{Frame, MOST_CLOSURES},
    guard::Checks,
    ir::{Expression, Name, Parameter, Target},
    value::{ALL, Clean, Standing, Value},
    walk::{self, Seen},
};
use crate::source::Language;

/// Runs of one closure that are remembered.
const MOST_RUNS: usize = 8;

/// What a closure gave for what it was given.
#[derive(Debug)]
pub(super) struct Run {
    values: Vec<Value>,
    clean: Vec<Name>,
    is_answer: bool,
    around: Around,
    gives: Value,
}

/// What a closure sees of the function around it.
#[derive(Debug, PartialEq)]
struct Around {
    names: Vec<Option<Value>>,
    tests: Vec<Option<Checks>>,
    checked: Vec<(String, Clean)>,
    views: Vec<(Name, String, Clean)>,
}

impl Frame<'_> {
    /// A function that stands here: entered now if its marks say that it is a tool.
    pub(super) fn closure(&mut self, at: usize) -> Value {
        let function = self.program.function((self.unit, at as u32));
        self.inner.entry(at).or_insert(false);
        if entry::is_tool(&function.marks) {
            self.enter_closure(at, &[]);
        }
        Value {
            function: Some((self.unit, at as u32)),
            standing: Standing::Clean,
            ..Value::default()
        }
    }

    /// Follows a closure of this function whose arguments come from outside; `clean` are
    /// parameters that the description of the tool bounds.
    pub(super) fn enter_closure(&mut self, at: usize, clean: &[Name]) {
        let function = self.program.function((self.unit, at as u32));
        let what = format!("an argument enters at `{}`", display(&function.name));
        let taint = self.outside(function.line, &what);
        let is_script = matches!(
            self.program.language(self.unit),
            Language::Javascript | Language::Typescript | Language::Tsx
        );
        let values: Vec<Value> = function
            .parameters
            .iter()
            .enumerate()
            .map(|(at, parameter)| match entry::is_outside(parameter) {
                // What a handler of a script gets besides its input comes from its library.
                true if self.is_bounded_kind(parameter.kind.as_ref()) => Value::clean(),
                true if at == 0 || !is_script => Value::tainted(taint.clone()),
                _ => self.typed(parameter.kind.as_ref()),
            })
            .collect();
        let before = self.answers_at.replace(self.closures + 1);
        self.run_closure(at, values, clean);
        self.answers_at = before;
    }

    /// Returns whether what is returned here is what a tool answers.
    pub(super) fn is_answer(&self) -> bool {
        self.answers_at == Some(self.closures)
    }

    /// Follows a closure of this function with these arguments.
    pub(super) fn run_closure(&mut self, at: usize, values: Vec<Value>, clean: &[Name]) -> Value {
        if self.closures >= MOST_CLOSURES {
            return Value::mix(&values).guessed();
        }
        let function = self.program.function((self.unit, at as u32));
        self.inner.insert(at, true);
        let around = self.around(at);
        let is_answer = self.answers_at == Some(self.closures + 1);
        let same = |run: &&Run| {
            (run.is_answer, &*run.clean) == (is_answer, clean)
                && run.values == values
                && run.around == around
        };
        if let Some(run) = self.runs.get(&at).and_then(|runs| runs.iter().find(same)) {
            return run.gives.clone();
        }
        self.closures += 1;
        let names = Rc::clone(&self.names);
        let checked = self.checked.clone();
        let held_if = std::mem::take(&mut self.held_if);
        let mut given = values.iter().cloned();
        for parameter in &function.parameters {
            let mut value = given.next().unwrap_or_default();
            if value.taints.is_empty() && entry::is_request_kind(parameter.kind.as_deref()) {
                value = self.typed(parameter.kind.as_ref());
                value.taints = vec![self.outside(function.line, "a request enters")];
            }
            if clean.iter().any(|name| name.contains('.')) && !value.taints.is_empty() {
                let clean: Vec<&str> = clean.iter().map(|name| &**name).collect();
                value = entrance::bound(value, &clean);
                self.assign(&parameter.target, value);
            } else {
                self.assign(&parameter.target, value);
                for name in clean {
                    self.clean_inside(&parameter.target, name);
                }
            }
            self.clean_members(parameter);
        }
        let gives = self.inner_block(&function.body);
        self.names = names;
        self.checked = checked;
        self.held_if = held_if;
        self.closures -= 1;
        let runs = self.runs.entry(at).or_default();
        if runs.len() == MOST_RUNS {
            runs.remove(0);
        }
        runs.push(Run {
            values,
            clean: clean.to_vec(),
            is_answer,
            around,
            gives: gives.clone(),
        });
        gives
    }

    /// Returns what the closure at `at` sees of what is around it.
    fn around(&mut self, at: usize) -> Around {
        let free = self.free_names(at);
        self.steps = self.steps.saturating_add(free.len() as u32 / 8);
        let is_free = |key: &str| {
            let root = key.split('.').next().unwrap_or(key);
            free.iter().any(|name| **name == *root)
        };
        let mut names: Vec<Option<Value>> = free
            .iter()
            .map(|name| self.names.get(name).cloned())
            .collect();
        if free.iter().any(|name| matches!(&**name, "self" | "this")) {
            let mut fields: Vec<(&Name, &Value)> = self
                .names
                .iter()
                .filter(|(name, _)| name.starts_with("self."))
                .collect();
            fields.sort_by_key(|(name, _)| *name);
            names.extend(fields.into_iter().map(|(_, value)| Some(value.clone())));
        }
        let checked = self.checked.iter().filter(|(key, _)| is_free(key));
        let views = self.views.iter();
        let views = views.filter(|(name, of, _)| is_free(name) || is_free(of));
        Around {
            tests: free
                .iter()
                .map(|name| self.tests.get(name).cloned())
                .collect(),
            checked: checked.cloned().collect(),
            views: views.cloned().collect(),
            names,
        }
    }

    /// Returns the names in the closure at `at` and in those inside it, without parameters.
    fn free_names(&mut self, at: usize) -> Rc<[Name]> {
        if let Some(free) = self.free.get(&at) {
            return Rc::clone(free);
        }
        let mut seen: FxHashSet<Name> = FxHashSet::default();
        let mut free: Vec<Name> = Vec::new();
        let mut own: FxHashSet<&Name> = FxHashSet::default();
        let (mut open, mut visited) = (vec![at], FxHashSet::default());
        while let Some(at) = open.pop() {
            if !visited.insert(at) {
                continue;
            }
            let function = self.program.function((self.unit, at as u32));
            own.extend(
                function
                    .parameters
                    .iter()
                    .filter_map(|one| match &one.target {
                        Target::Name(name) => Some(name),
                        _ => None,
                    }),
            );
            walk::statements(&function.body, &mut |one| match one {
                Seen::Expression(Expression::Name(name)) if seen.insert(Name::clone(name)) => {
                    free.push(Name::clone(name));
                }
                Seen::Expression(Expression::Function(inner)) => open.push(*inner),
                _ => {}
            });
        }
        // Where an inner closure names its parameter as the function around names something,
        // too much would be left out.
        if visited.len() == 1 {
            free.retain(|name| !own.contains(name));
        }
        // Names of fields: of Java without `this`.
        if self.program.language(self.unit) == Language::Java {
            let fields: Vec<Name> = free
                .iter()
                .map(|name| Arc::from(format!("self.{name}")))
                .collect();
            free.extend(fields);
        }
        let free: Rc<[Name]> = Rc::from(free);
        self.free.insert(at, Rc::clone(&free));
        free
    }

    /// Closures that nobody calls here are called by somebody whose values are not known.
    pub(super) fn follow_rest(&mut self) {
        let mut left: Vec<usize> = self
            .inner
            .iter()
            .filter(|(_, ran)| !**ran)
            .map(|(at, _)| *at)
            .collect();
        left.sort_unstable();
        for at in left {
            let function = self.program.function((self.unit, at as u32));
            // Those of the body of a file are looked at by themselves.
            if !function.is_part {
                let values = vec![Value::default(); function.parameters.len()];
                self.run_closure(at, values, &[]);
            }
        }
    }

    /// Members of a parameter that its type says cannot carry text: `{ count: number }`.
    pub(super) fn clean_members(&mut self, parameter: &Parameter) {
        let Some(kind) = parameter
            .kind
            .as_deref()
            .filter(|kind| kind.starts_with('{'))
        else {
            return;
        };
        for member in kind.trim_matches(['{', '}']).split([';', ',']) {
            if let Some((name, kind)) = member.split_once(':')
                && entry::is_clean_kind(Some(kind))
            {
                let name: Name = Arc::from(name.trim_end_matches('?'));
                self.clean_inside(&parameter.target, &name);
            }
        }
    }

    fn clean_inside(&mut self, target: &Target, name: &Name) {
        match target {
            Target::Fields(fields) => {
                for (_, target) in fields.iter().filter(|(key, _)| key == name) {
                    self.assign(target, Value::clean());
                }
            }
            Target::Name(whole) => self.checked.push((format!("{whole}.{name}"), ALL)),
            _ => {}
        }
    }
}

fn display(name: &str) -> &str {
    match name {
        "" => "the handler",
        name => name,
    }
}
