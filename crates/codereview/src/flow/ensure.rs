//! What a function ensures of its arguments: checks in functions of their own.
//!
//! # Invariants
//!
//! * Something is ensured only if it holds wherever the function ends by itself; leaving by
//!   an exception is the way in which most checks refuse.
//! * A function that answers by what it gives is asked by whether that counts as true.

use super::{
    evaluate::{Frame, key},
    guard::Checks,
    ir::{Argument, Call, Expression, Function, Name, Target},
    named::tells,
    value::Clean,
};

/// What holds of one argument after a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) parameter: u32,
    /// What it is clean of wherever the function ends.
    pub(super) always: Clean,
    /// … and what besides if what it gives counts as true, or as false.
    pub(super) if_true: Clean,
    pub(super) if_false: Clean,
}

/// One end of a function.
#[derive(Debug)]
pub(super) struct Exit {
    /// Whether what it gives counts as true, where that is known.
    truth: Option<bool>,
    /// By parameter, what it is clean of here.
    clean: Vec<Clean>,
    /// … and what besides, for each outcome of what is given.
    said: Vec<(Clean, Clean)>,
}

impl Frame<'_> {
    /// Notes what is checked where the function ends; `value` is what it gives.
    pub(super) fn note_exit(&mut self, value: Option<&Expression>) {
        /// Ends that are compared.
        const MOST: usize = 64;
        if self.inside > 0 || self.parameters.iter().all(Option::is_none) {
            return;
        }
        if self.exits.len() == MOST {
            // Too many to be compared: nothing is ensured.
            self.exits[0].clean.fill(0);
            self.exits[0].said.fill((0, 0));
            return;
        }
        let value = value.map(given);
        let said = value.and_then(|value| self.said(value)).unwrap_or_default();
        let of = |checks: &[(String, Clean)], name: &Option<Name>| {
            let name = name.as_deref();
            let checks = checks.iter().filter(|(key, _)| Some(&**key) == name);
            checks.fold(0, |all, (_, classes)| all | classes)
        };
        let parameters = self.parameters.iter();
        let clean = parameters.clone().map(|name| of(&self.checked, name));
        let said = parameters.map(|name| (of(&said.if_true, name), of(&said.if_false, name)));
        let exit = Exit {
            truth: value.map_or(Some(false), truth),
            clean: clean.collect(),
            said: said.collect(),
        };
        self.exits.push(exit);
    }

    /// Returns what all ends of the function have in common.
    pub(super) fn guards(&self) -> Vec<Guard> {
        let all = |at: usize, wanted: Option<bool>| -> Clean {
            let ends = self.exits.iter();
            let ends = ends.filter(|end| wanted.is_none_or(|wanted| end.truth != Some(!wanted)));
            let held = ends.map(|end| {
                let (if_true, if_false) = end.said[at];
                match wanted {
                    None => end.clean[at],
                    Some(true) => end.clean[at] | if_true,
                    Some(false) => end.clean[at] | if_false,
                }
            });
            held.reduce(|one, other| one & other).unwrap_or(0)
        };
        let guards = (0..self.parameters.len()).map(|at| Guard {
            parameter: at as u32,
            always: all(at, None),
            if_true: all(at, Some(true)),
            if_false: all(at, Some(false)),
        });
        guards
            .filter(|one| one.always | one.if_true | one.if_false != 0)
            .collect()
    }

    /// Returns what a call of a function of the tree says of what is handed over: always, and
    /// by what it gives.
    pub(super) fn ensured(&mut self, call: &Call) -> (Vec<(String, Clean)>, Checks) {
        let mut always = Vec::new();
        let mut checks = Checks::default();
        let value = match &call.callee {
            Expression::Name(_) | Expression::Member(..) => self.evaluate(&call.callee),
            _ => return (always, checks),
        };
        let Some(id) = value.function else {
            return (always, checks);
        };
        let summary = self.program.summary(id);
        if summary.guards.is_empty() {
            return (always, checks);
        }
        let function = self.program.function(id);
        let takes_self = self.takes_self(id);
        for guard in &summary.guards {
            let at = place_of(
                function,
                takes_self,
                &call.arguments,
                guard.parameter as usize,
            );
            let argument = at.and_then(|at| call.arguments.get(at));
            let Some(key) = argument.and_then(|one| key(&one.value)) else {
                continue;
            };
            if guard.always != 0 {
                always.push((key.clone(), guard.always));
            }
            if guard.if_true != 0 {
                checks.if_true.push((key.clone(), guard.if_true));
            }
            if guard.if_false != 0 {
                checks.if_false.push((key, guard.if_false));
            }
        }
        (always, checks)
    }
}

/// Returns the place of the argument for the parameter `at`.
pub(super) fn place_of(
    function: &Function,
    takes_self: bool,
    arguments: &[Argument],
    at: usize,
) -> Option<usize> {
    let parameter = function.parameters.get(at)?;
    if let Target::Name(wanted) = &parameter.target {
        let mut names = arguments.iter();
        if let Some(by_name) = names.position(|one| one.name.as_ref() == Some(wanted)) {
            return Some(by_name);
        }
    }
    let at = at.checked_sub(usize::from(takes_self))?;
    let argument = arguments.get(at)?;
    argument.name.is_none().then_some(at)
}

/// Returns what a statement gives, without the call that marks it as given.
fn given(value: &Expression) -> &Expression {
    match value {
        Expression::Call(call) => match (&call.callee, call.arguments.as_slice()) {
            (Expression::Name(name), [inner]) if &**name == "return" => &inner.value,
            _ => value,
        },
        _ => value,
    }
}

/// Returns whether what is given counts as true; of several values the first tells.
fn truth(value: &Expression) -> Option<bool> {
    match value {
        Expression::Text(text) => Some(!matches!(
            &**text,
            "" | "None" | "False" | "false" | "null" | "undefined" | "nil" | "0"
        )),
        Expression::Items(items) => match items.first() {
            Some(first) => truth(first),
            None => Some(false),
        },
        Expression::Nothing => Some(false),
        Expression::Join(_) => Some(true),
        // `{ valid: false, reason: … }`
        Expression::Fields(fields) => {
            let says = fields.iter().find(|(key, _)| tells(key) == Some(true));
            says.and_then(|(_, value)| truth(value))
        }
        _ => None,
    }
}
