//! Checks that make a value harmless, and those that only look like one.

use super::{
    evaluate::{Frame, key},
    ir::{Call, Expression, Test},
    value::{ALL, Clean},
};

/// What a test says of values, for each of its outcomes.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) if_true: Vec<(String, Clean)>,
    pub(super) if_false: Vec<(String, Clean)>,
}

/// Words in the names of functions that check.
const WORDS: [&str; 16] = [
    "valid",
    "sanit",
    "allow",
    "permit",
    "safe",
    "verify",
    "ensure",
    "assert",
    "authoriz",
    "confine",
    "within",
    "inside",
    "restrict",
    "guard",
    "isprivate",
    "check",
];
/// Endings of names that check a shape, not a value.
const SHAPES: [&str; 10] = [
    "args",
    "arguments",
    "params",
    "parameters",
    "schema",
    "input",
    "inputs",
    "request",
    "type",
    "config",
];

/// Words in the names of checks, and the classes that these checks are about. A path that
/// was checked is still no part of a command line.
const SUBJECTS: [(&[&str], &[&str]); 4] = [
    (&["path", "dir", "file", "folder"], &["path-traversal"]),
    (
        &["url", "uri", "host", "origin", "domain", "address"],
        &["ssrf"],
    ),
    (
        &["sql", "query", "table", "column", "identifier"],
        &["sql-injection"],
    ),
    (
        &["shell", "command", "cmd", "flag", "option"],
        &["command-injection", "argument-injection"],
    ),
];

/// Returns what a check of this name makes values clean of.
pub(super) fn cleans(rules: &crate::rules::Rules, name: &str) -> Clean {
    let name = name.to_ascii_lowercase();
    let subjects = SUBJECTS
        .iter()
        .filter(|(words, _)| words.iter().any(|word| name.contains(word)));
    let classes = subjects.flat_map(|(_, classes)| classes.iter());
    let bits = classes.fold(0, |bits, class| bits | rules.class_bit(class));
    match SUBJECTS
        .iter()
        .any(|(words, _)| words.iter().any(|word| name.contains(word)))
    {
        true => bits,
        false => ALL,
    }
}

/// Returns whether a function of this name checks values.
pub(super) fn is_check(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('_', "");
    let shape = SHAPES.iter().any(|end| name.ends_with(end));
    !shape && WORDS.iter().any(|word| name.contains(word))
}

impl Frame<'_> {
    /// A check that stands alone leaves by itself when it fails.
    pub(super) fn note_checks(&mut self, expression: &Expression) {
        let Expression::Call(call) = expression else {
            return;
        };
        let Some(name) = called(call) else {
            return;
        };
        if is_check(name) {
            let keys: Vec<String> = call
                .arguments
                .iter()
                .filter_map(|one| key(&one.value))
                .collect();
            let classes = cleans(self.program.rules, name);
            self.checked
                .extend(keys.into_iter().map(|key| (key, classes)));
        }
    }

    /// Returns what `test` says of values.
    pub(super) fn checks(&mut self, test: &Expression) -> Checks {
        match test {
            Expression::Test(test) => self.of_test(test),
            Expression::Call(call) => self.of_call(call),
            Expression::Mix(parts) if parts.len() == 1 => self.checks(&parts[0]),
            _ => Checks::default(),
        }
    }

    fn of_test(&mut self, test: &Test) -> Checks {
        let of = &test.of;
        match (&*test.how, of.as_slice()) {
            ("!", [inner]) => {
                let inner = self.checks(inner);
                Checks {
                    if_true: inner.if_false,
                    if_false: inner.if_true,
                }
            }
            ("&&", [one, other]) => {
                let (mut one, other) = (self.checks(one), self.checks(other));
                one.if_true.extend(other.if_true);
                Checks {
                    if_true: one.if_true,
                    if_false: Vec::new(),
                }
            }
            ("||", [one, other]) => {
                let (mut one, other) = (self.checks(one), self.checks(other));
                one.if_false.extend(other.if_false);
                Checks {
                    if_true: Vec::new(),
                    if_false: one.if_false,
                }
            }
            ("==" | "===" | "is", [one, other]) => Checks {
                if_true: self.equal(one, other),
                if_false: Vec::new(),
            },
            ("!=" | "!==" | "is not", [one, other]) => Checks {
                if_true: Vec::new(),
                if_false: self.equal(one, other),
            },
            // `x in ALLOWED`, but not `"rm" in x`.
            ("in", [one, list]) if self.is_list(list) => Checks {
                if_true: checked(one),
                if_false: Vec::new(),
            },
            ("not in", [one, list]) if self.is_list(list) => Checks {
                if_true: Vec::new(),
                if_false: checked(one),
            },
            _ => Checks::default(),
        }
    }

    fn equal(&mut self, one: &Expression, other: &Expression) -> Vec<(String, Clean)> {
        match (one, other) {
            (one, Expression::Text(text)) | (Expression::Text(text), one) => {
                let says_nothing = matches!(&**text, "" | "null" | "None" | "undefined" | "nil");
                match says_nothing {
                    true => Vec::new(),
                    false => checked(one),
                }
            }
            _ => Vec::new(),
        }
    }

    /// Returns whether membership in `list` says something: it is not itself from outside.
    fn is_list(&mut self, list: &Expression) -> bool {
        self.evaluate(list).taints.is_empty()
    }

    /// A question to a list or a pattern, `object`.
    fn of_list(&mut self, name: &str, object: &Expression, call: &Call) -> Checks {
        let holds = |of: Option<&Expression>| Checks {
            if_true: of.map(checked).unwrap_or_default(),
            if_false: Vec::new(),
        };
        let value = self.evaluate(object);
        if !value.taints.is_empty() {
            // `x.matches("[a-z]+")` of Java compares the whole text.
            let first = call.arguments.first().map(|one| &one.value);
            let is_whole = name == "matches" && matches!(first, Some(Expression::Text(_)));
            return holds(is_whole.then_some(object));
        }
        let is_anchored = value.text.as_deref().is_none_or(|text| {
            let text = text.trim_matches('/').trim_end_matches(char::is_alphabetic);
            text.starts_with('^') && text.trim_end_matches('/').ends_with('$')
        });
        let last = call.arguments.last().map(|one| &one.value);
        holds(last.filter(|_| name != "test" || is_anchored))
    }

    fn of_call(&mut self, call: &Call) -> Checks {
        let Some(name) = called(call) else {
            return Checks::default();
        };
        let first = call.arguments.first();
        let holds = |keys: Vec<(String, Clean)>| Checks {
            if_true: keys,
            if_false: Vec::new(),
        };
        match (name, &call.callee, first) {
            // `ALLOWED.includes(x)`, `PATTERN.test(x)`; what is asked is not from outside.
            (
                "includes" | "has" | "contains" | "test" | "matches" | "is_match" | "MatchString"
                | "fullmatch" | "contains_key",
                Expression::Member(object, _),
                Some(_),
            ) => self.of_list(name, object, call),
            ("match", Expression::Member(..), Some(_)) if call.arguments.len() == 2 => {
                holds(checked(&call.arguments[1].value))
            }
            // `if x.startswith("-"): raise`
            ("startsWith" | "startswith" | "HasPrefix" | "starts_with", _, Some(first)) if matches!(&first.value, Expression::Text(text) if text.starts_with('-')) =>
            {
                let classes = self.program.rules.class_bit("argument-injection");
                Checks {
                    if_true: Vec::new(),
                    if_false: involved(call, classes),
                }
            }
            // A path below a folder.
            ("startsWith" | "startswith" | "HasPrefix" | "starts_with" | "is_relative_to", ..) => {
                holds(involved(
                    call,
                    self.program.rules.class_bit("path-traversal"),
                ))
            }
            _ if is_check(name) => {
                let keys = call.arguments.iter().filter_map(|one| key(&one.value));
                let classes = cleans(self.program.rules, name);
                let keys: Vec<(String, Clean)> = keys.map(|key| (key, classes)).collect();
                Checks {
                    if_true: keys.clone(),
                    // `if is_unsafe(x): raise`
                    if_false: match name.to_ascii_lowercase() {
                        name if name.contains("unsafe")
                            || name.contains("isprivate")
                            || name.contains("invalid") =>
                        {
                            keys
                        }
                        _ => Vec::new(),
                    },
                }
            }
            _ => Checks::default(),
        }
    }
}

/// Returns what takes part in a call: its arguments and what it is a method of.
fn involved(call: &Call, classes: Clean) -> Vec<(String, Clean)> {
    let arguments = call.arguments.iter();
    let mut keys: Vec<String> = arguments.filter_map(|one| key(&one.value)).collect();
    if let Expression::Member(object, _) = &call.callee {
        keys.extend(object_keys(object));
    }
    keys.into_iter().map(|key| (key, classes)).collect()
}

fn object_keys(object: &Expression) -> Vec<String> {
    match object {
        // `x.resolve().startswith(…)`
        Expression::Call(call) => match &call.callee {
            Expression::Member(object, _) => object_keys(object),
            _ => Vec::new(),
        },
        object => key(object).into_iter().collect(),
    }
}

fn checked(expression: &Expression) -> Vec<(String, Clean)> {
    key(expression).into_iter().map(|key| (key, ALL)).collect()
}

/// Returns the last part of what is called.
pub(super) fn called(call: &Call) -> Option<&str> {
    match &call.callee {
        Expression::Name(name) | Expression::Member(_, name) => Some(name),
        _ => None,
    }
}
