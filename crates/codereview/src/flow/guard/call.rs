//! What calls say of values: questions to lists and patterns, beginnings, functions that
//! check.

use super::{Checks, LETTERS};
use crate::{
    flow::{
        evaluate::{Frame, key},
        expect,
        ir::{Call, Expression, Name, Statement, Target},
        named::{cleans, is_check},
        subject::{beginning, called, checked, deep_keys, involved, is_parts_of_path},
        value::{ALL, Clean},
    },
    source::Language,
};

impl Frame<'_> {
    /// A question to a list or a pattern, `object`.
    fn of_list(&mut self, name: &str, object: &Expression, call: &Call) -> Checks {
        let first = call.arguments.first().map(|one| &one.value);
        let value = self.evaluate(object);
        if !value.taints.is_empty() {
            return match (name, first) {
                // `x.matches("[a-z]+")` of Java compares the whole text.
                ("matches", Some(Expression::Text(_))) => Checks::holds(checked(object)),
                ("match", Some(Expression::Text(text))) => {
                    self.of_pattern(text, key(object).into_iter().collect())
                }
                ("match", Some(pattern)) => {
                    let pattern = self.evaluate(pattern).text;
                    self.of_pattern(
                        pattern.as_deref().unwrap_or(""),
                        key(object).into_iter().collect(),
                    )
                }
                // `name.includes("..")`
                ("includes" | "contains", Some(Expression::Text(text))) if &**text == ".." => {
                    Checks::refuses(self.parent_of(object))
                }
                _ => Checks::default(),
            };
        }
        let subject = call.arguments.last().map(|one| &one.value);
        let is_pattern = matches!(
            name,
            "test" | "match" | "MatchString" | "is_match" | "search" | "exec"
        );
        let is_python = self.program.language(self.unit) == Language::Python;
        match (&value.text, is_pattern) {
            (Some(pattern), true)
                if name == "match" && is_python && expect::bounds_from_start(pattern) =>
            {
                Checks::holds(subject.map(checked).unwrap_or_default())
            }
            (Some(pattern), true) => {
                let pattern = Name::clone(pattern);
                self.of_pattern(&pattern, subject.and_then(key).into_iter().collect())
            }
            (_, true) if name == "search" => Checks::default(),
            _ => Checks::holds(subject.map(checked).unwrap_or_default()),
        }
    }

    /// `roots.some((root) => file.startsWith(root))` says what its closure says.
    fn of_some(&mut self, call: &Call) -> Checks {
        let at = match call.arguments.first().map(|one| &one.value) {
            Some(Expression::Function(at)) => at,
            // `any(file.is_relative_to(root) for root in roots)`
            Some(Expression::Block(body)) => {
                return match body.last() {
                    Some(Statement::Return(Expression::Items(items))) => {
                        let found = items.first().map(|item| self.of_each(body, item));
                        found.unwrap_or_default()
                    }
                    _ => Checks::default(),
                };
            }
            _ => return Checks::default(),
        };
        let function = self.program.function((self.unit, *at as u32));
        match function.body.last() {
            Some(Statement::Return(value)) => match value {
                Expression::Call(call) if called(call) == Some("return") => {
                    self.checks(&call.arguments[0].value)
                }
                value => self.checks(value),
            },
            _ => Checks::default(),
        }
    }

    /// Returns whether what a schema asks of a value leaves nothing open.
    pub(in crate::flow) fn refines(&mut self, call: &Call) -> bool {
        let Some(Expression::Function(at)) = call.arguments.first().map(|one| &one.value) else {
            return false;
        };
        let function = self.program.function((self.unit, *at as u32));
        let name = function.parameters.first().map(|one| &one.target);
        let Some(Target::Name(name)) = name else {
            return false;
        };
        let said = self.of_some(call).if_true;
        said.iter()
            .any(|(key, classes)| **key == **name && *classes == ALL)
    }

    /// What `any(item for …)` says; of `any(letter in name for letter in ";|&")` that the
    /// text has none of a list.
    fn of_each(&mut self, body: &[Statement], item: &Expression) -> Checks {
        if let Expression::Test(test) = item
            && let ("in", [Expression::Name(letter), text]) = (&*test.how, test.of.as_slice())
            && let Some(list) = body.iter().find_map(|one| match one {
                Statement::Let {
                    target: Target::Name(name),
                    value: Expression::Index(list, _),
                    ..
                } if name == letter => Some(list),
                _ => None,
            })
        {
            let list = self.evaluate(list);
            let items = list.items.iter().flat_map(|items| items.iter());
            let mut words: Vec<Name> = items.filter_map(|item| item.text.clone()).collect();
            let letters = list.text.iter().flat_map(|text| text.chars());
            words.extend(letters.map(|letter| Name::from(letter.to_string())));
            let words: Vec<&str> = words.iter().map(|word| &**word).collect();
            let bits = self.forbids(&words);
            let keys = deep_keys(text).into_iter().map(|key| (key, bits));
            return Checks::refuses(keys.filter(|_| bits != 0).collect());
        }
        self.checks(item)
    }

    pub(super) fn of_call(&mut self, call: &Call) -> Checks {
        let mut found = self.of_name(call);
        let (always, ensured) = self.ensured(call);
        let known = always.iter().chain(&ensured.if_true);
        let known = known.chain(&ensured.if_false).cloned().collect::<Vec<_>>();
        self.believe(&mut found.if_true, &known);
        self.believe(&mut found.if_false, &known);
        for (key, classes) in always {
            found.if_true.push((key.clone(), classes));
            found.if_false.push((key, classes));
        }
        found.if_true.extend(ensured.if_true);
        found.if_false.extend(ensured.if_false);
        found
    }

    /// What a function does with an address says more than its name: that it asks where the
    /// address leads, and has no list of hosts.
    pub(super) fn believe(&self, named: &mut [(String, Clean)], known: &[(String, Clean)]) {
        let rules = self.program.rules;
        let (asked, listed) = (rules.class_bit("ssrf"), rules.host_bits());
        for (key, classes) in named {
            let of_key = known.iter().filter(|(one, _)| one == key);
            let is_asked = of_key.fold(0, |all, (_, classes)| all | classes) & listed == asked;
            if is_asked && asked != listed {
                *classes &= !(listed & !asked);
            }
        }
    }

    fn of_name(&mut self, call: &Call) -> Checks {
        let Some(name) = called(call) else {
            return Checks::default();
        };
        let first = call.arguments.first();
        let path_bit = self.program.rules.class_bit("path-traversal");
        match (name, &call.callee, first) {
            // `path.components().any(|part| matches!(part, Component::ParentDir))`
            ("any", Expression::Member(object, _), _) if is_parts_of_path(object) => {
                Checks::refuses(self.parent_of(object))
            }
            // `name.isalnum()`
            (letters, Expression::Member(object, _), None) if LETTERS.contains(&letters) => {
                let keys = deep_keys(object).into_iter();
                Checks::holds(keys.map(|key| (key, ALL)).collect())
            }
            ("some" | "every" | "any" | "all", ..) => self.of_some(call),
            // `PATTERN.matcher(x).matches()`
            ("matches", Expression::Member(object, _), None) => match &**object {
                Expression::Call(inner) if called(inner) == Some("matcher") => {
                    let subject = inner.arguments.first().map(|one| &one.value);
                    Checks::holds(subject.map(checked).unwrap_or_default())
                }
                _ => Checks::default(),
            },
            // `re.match(PATTERN, x)`
            (
                "match" | "search" | "fullmatch" | "MatchString",
                Expression::Member(..),
                Some(pattern),
            ) if call.arguments.len() >= 2 => {
                let pattern = self.evaluate(&pattern.value);
                let subject = key(&call.arguments[1].value).into_iter().collect();
                let is_python = self.program.language(self.unit) == Language::Python;
                match (name, &pattern.text) {
                    ("match", Some(text)) if is_python && expect::bounds_from_start(text) => {
                        Checks::holds(checked(&call.arguments[1].value))
                    }
                    ("fullmatch", _) => Checks::holds(checked(&call.arguments[1].value)),
                    (_, Some(text)) => self.of_pattern(text, subject),
                    // One of a list of patterns.
                    ("match" | "MatchString", None) if pattern.taints.is_empty() => {
                        Checks::holds(checked(&call.arguments[1].value))
                    }
                    _ => Checks::default(),
                }
            }
            // `ALLOWED.includes(x)`, `PATTERN.test(x)`; what is asked is not from outside.
            (
                "includes" | "has" | "contains" | "test" | "matches" | "match" | "is_match"
                | "MatchString" | "fullmatch" | "contains_key" | "search" | "containsKey" | "get"
                | "exec",
                Expression::Member(object, _),
                Some(_),
            ) => self.of_list(name, object, call),
            // `strings.Contains(name, "..")`
            ("Contains", _, Some(one)) if matches!(call.arguments.get(1).map(|one| &one.value), Some(Expression::Text(text)) if &**text == "..") => {
                Checks::refuses(self.parent_of(&one.value))
            }
            ("IsLocal", _, Some(one)) => Checks::holds(self.parent_of(&one.value)),
            (
                "startsWith" | "startswith" | "HasPrefix" | "starts_with" | "is_relative_to"
                | "is_relative",
                ..,
            ) => self.of_prefix(call, path_bit),
            _ if is_check(name) && self.is_weak(call) => Checks::default(),
            _ if is_check(name) => self.of_check(name, call),
            _ => self.of_sort(name, call),
        }
    }

    /// `isUrl(source)`: what is an address is no path, and the other way round.
    fn of_sort(&self, name: &str, call: &Call) -> Checks {
        let name = name.to_ascii_lowercase().replace('_', "");
        if !matches!(
            &*name,
            "isurl" | "ishttpurl" | "isremote" | "isremoteurl" | "isweburl"
        ) {
            return Checks::default();
        }
        let bit = |class| self.program.rules.class_bit(class);
        Checks {
            if_true: involved(call, bit("path-traversal")),
            if_false: involved(call, bit("ssrf")),
        }
    }

    fn of_prefix(&mut self, call: &Call, path_bit: Clean) -> Checks {
        let prefix = call.arguments.last().map(|one| &one.value);
        match prefix {
            // `if x.startswith("-"): raise`
            Some(Expression::Text(text)) if text.starts_with('-') => {
                let classes = self.program.rules.class_bit("argument-injection");
                Checks::refuses(involved(call, classes))
            }
            // `path.relative(folder, file).startsWith("..")`; of a path as it came it says
            // nothing.
            Some(prefix) if beginning(prefix).is_some_and(|text| text.starts_with("..")) => {
                let mut keys = involved(call, path_bit);
                keys.retain(|(key, _)| self.views.iter().any(|(name, ..)| **name == **key));
                Checks::refuses(keys)
            }
            // `url.startsWith("https://api.example.com/")`
            Some(Expression::Text(text)) if text.contains("://") => {
                let rest = text.split_once("://").map_or("", |(_, rest)| rest);
                match rest.contains('/') {
                    true => Checks::holds(involved(call, self.program.rules.host_bits())),
                    false => Checks::default(),
                }
            }
            // A path below a folder.
            _ => Checks::holds(involved(call, path_bit)),
        }
    }

    fn of_check(&self, name: &str, call: &Call) -> Checks {
        let keys = call.arguments.iter().filter_map(|one| key(&one.value));
        let classes = cleans(self.program.rules, name);
        let keys: Vec<(String, Clean)> = keys.map(|key| (key, classes)).collect();
        let name = name.to_ascii_lowercase().replace('_', "");
        // `if is_unsafe(x): raise`
        let is_negative = [
            "unsafe",
            "isprivate",
            "invalid",
            "forbidden",
            "blocked",
            "disallowed",
            "denied",
            "isinternal",
        ];
        Checks {
            if_true: keys.clone(),
            if_false: match is_negative.iter().any(|word| name.contains(word)) {
                true => keys,
                false => Vec::new(),
            },
        }
    }
}
