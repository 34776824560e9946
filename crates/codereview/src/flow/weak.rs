//! Functions whose names promise a check and whose bodies make none.
//!
//! # Invariants
//!
//! * A function is weak only if everything in it was understood: each call in it is one that
//!   compares nothing, and each question is one to a text of the program.

use super::{
    evaluate::Frame,
    expect,
    ir::{Call, Expression, Function, Statement, Test},
    subject::{called, part_of},
    value::FunctionId,
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
        let callee = match &call.callee {
            callee @ (Expression::Name(_) | Expression::Member(..)) => self.evaluate(callee),
            _ => return false,
        };
        let is_python = self.program.language(self.unit) == Language::Python;
        callee.function.is_some_and(|id| match is_python {
            true => self.program.summary(id).is_weak,
            false => self.is_one_open_question(id),
        })
    }

    /// Returns whether a function is one question that leaves the host of an address open:
    /// `const isValidUrl = (url) => url.startsWith("http")`.
    pub(super) fn is_one_open_question(&self, id: FunctionId) -> bool {
        match self.program.function(id).body.as_slice() {
            [Statement::Return(question)] => self.leaves_open(id.0, question),
            _ => false,
        }
    }

    fn leaves_open(&self, unit: u32, question: &Expression) -> bool {
        let call = match question {
            Expression::Test(test) => {
                let joins = matches!(&*test.how, "&&" | "||");
                return joins && test.of.iter().all(|one| self.leaves_open(unit, one));
            }
            Expression::Call(call) => call,
            _ => return false,
        };
        match (called(call), &call.callee, call.arguments.as_slice()) {
            (Some("return"), Expression::Name(_), [inner]) => self.leaves_open(unit, &inner.value),
            (Some("test"), Expression::Member(pattern, _), [_]) => {
                let text = match &**pattern {
                    Expression::Text(text) => Some(text.clone()),
                    Expression::Name(name) => self.program.name(unit, name).text,
                    _ => None,
                };
                text.is_some_and(|text| expect::is_open(&text))
            }
            (Some("startsWith" | "includes"), Expression::Member(..), [one, ..])
            | (Some("HasPrefix"), Expression::Member(..), [_, one]) => is_scheme(&one.value),
            _ => false,
        }
    }
}

/// Returns whether a text names a protocol and no host.
fn is_scheme(text: &Expression) -> bool {
    match text {
        Expression::Text(text) => {
            matches!(&**text, "http" | "https" | "http://" | "https://" | "://")
        }
        _ => false,
    }
}
