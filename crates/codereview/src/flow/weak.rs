//! Functions whose names promise a check and whose bodies make none.
//!
//! # Invariants
//!
//! * A function is weak only if everything in it was understood: each call in it is one that
//!   compares nothing, and each question is one to a text of the program.

use super::{
    evaluate::Frame,
    ir::{Call, Expression, Function, Test},
    subject::{called, part_of},
    walk::{self, Seen},
};
use crate::source::Language;

/// Calls that compare a value with nothing that bounds it.
const IDLE: [&str; 45] = [
    "abspath",
    "absolute",
    "bool",
    "debug",
    "encode",
    "endswith",
    "error",
    "exists",
    "expanduser",
    "expandvars",
    "format",
    "get",
    "getLogger",
    "getcwd",
    "info",
    "isabs",
    "is_absolute",
    "is_dir",
    "is_file",
    "isdir",
    "isfile",
    "isinstance",
    "join",
    "joinpath",
    "len",
    "lower",
    "lstrip",
    "makedirs",
    "mkdir",
    "normpath",
    "print",
    "raise",
    "realpath",
    "resolve",
    "return",
    "rstrip",
    "str",
    "strip",
    "Path",
    "PurePath",
    "type",
    "split",
    "upper",
    "warning",
    "warn",
];

/// Returns whether nothing in `function` bounds what it is given.
pub(super) fn is_weak(function: &Function) -> bool {
    let mut is_weak = !function.body.is_empty();
    walk::statements(&function.body, &mut |seen| match seen {
        Seen::Expression(Expression::Call(call)) => is_weak &= is_idle(call),
        Seen::Expression(Expression::Function(_)) => is_weak = false,
        Seen::Expression(Expression::Test(test)) => is_weak &= asks_little(test),
        _ => {}
    });
    is_weak
}

fn is_idle(call: &Call) -> bool {
    let Some(name) = called(call) else {
        return false;
    };
    let first = call.arguments.first().map(|one| &one.value);
    let is_fault = name.ends_with("Error") || name.ends_with("Exception");
    is_fault
        || IDLE.contains(&name)
        || name == "startswith" && matches!(first, Some(Expression::Text(_)))
}

/// `"../" in path`, `path is None`, `words[0] in PROGRAMS`
fn asks_little(test: &Test) -> bool {
    let is_known = |one: &Expression| {
        matches!(one, Expression::Text(_) | Expression::Nothing)
            || matches!(one, Expression::Name(name) if matches!(&**name, "None" | "True" | "False"))
    };
    match (&*test.how, test.of.as_slice()) {
        ("!" | "&&" | "||", _) => true,
        ("in" | "not in", [text, _]) => is_known(text) || part_of(text).is_some(),
        (_, [one, other]) => is_known(one) || is_known(other),
        _ => false,
    }
}

impl Frame<'_> {
    /// Returns whether a call is one of a function of the tree that only its name makes a
    /// check.
    pub(super) fn is_weak(&mut self, call: &Call) -> bool {
        if self.program.language(self.unit) != Language::Python {
            return false;
        }
        let callee = match &call.callee {
            callee @ (Expression::Name(_) | Expression::Member(..)) => self.evaluate(callee),
            _ => return false,
        };
        let function = callee.function;
        function.is_some_and(|id| self.program.summary(id).is_weak)
    }
}
