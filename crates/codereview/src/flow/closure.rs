//! Functions inside functions, followed where they stand.

use std::sync::Arc;

use super::{
    entry,
    evaluate::{Frame, MOST_CLOSURES},
    ir::{Name, Parameter, Target},
    value::{ALL, Standing, Value},
};
use crate::source::Language;

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
        self.closures += 1;
        let names = self.names.clone();
        let checked = self.checked.clone();
        let mut values = values.into_iter();
        for parameter in &function.parameters {
            let value = values.next().unwrap_or_default();
            self.assign(&parameter.target, value);
            for name in clean {
                self.clean_inside(&parameter.target, name);
            }
            self.clean_members(parameter);
        }
        let value = self.inner_block(&function.body);
        self.names = names;
        self.checked = checked;
        self.closures -= 1;
        value
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
