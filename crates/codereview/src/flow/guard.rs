//! Checks that make a value harmless, and those that only look like one.

mod call;

use super::{
    evaluate::{Frame, Hit, key},
    expect,
    ir::{Expression, Name, Test},
    known,
    named::{cleans, is_check, names_fault, names_folder, tells},
    subject::{
        self, called, checked, deep_keys, involved, is_nothing, is_plain, is_split, part_of,
    },
    value::{ALL, Clean},
};
use crate::rules::SCHEME;

/// What a test says of values, for each of its outcomes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Checks {
    pub(super) if_true: Vec<(String, Clean)>,
    pub(super) if_false: Vec<(String, Clean)>,
}

/// Questions to an address, and whether they ask for one that nobody else reaches.
const ADDRESSES: [(&str, bool); 11] = [
    ("is_private", true),
    ("is_loopback", true),
    ("is_link_local", true),
    ("is_reserved", true),
    ("is_multicast", true),
    ("is_unspecified", true),
    ("is_global", false),
    ("isPrivate", true),
    ("isLoopback", true),
    ("IsPrivate", true),
    ("IsLoopback", true),
];

/// Questions to a text whether it is of letters or digits alone.
const LETTERS: [&str; 6] = [
    "isalnum",
    "isalpha",
    "isdigit",
    "isdecimal",
    "isnumeric",
    "isidentifier",
];

/// A pattern that forbids these forbids what ends a command of a shell.
const ENDS_OF_COMMANDS: [char; 5] = [';', '&', '|', '`', '$'];

impl Checks {
    pub(super) fn holds(keys: Vec<(String, Clean)>) -> Self {
        Self {
            if_true: keys,
            if_false: Vec::new(),
        }
    }

    pub(super) fn refuses(keys: Vec<(String, Clean)>) -> Self {
        Self {
            if_true: Vec::new(),
            if_false: keys,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.if_true.is_empty() && self.if_false.is_empty()
    }
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
        let mut found = match name {
            // It fails for a path that is not below the folder.
            "relative_to" => involved(call, self.program.rules.class_bit("path-traversal")),
            name if is_check(name) && !self.is_weak(call) => {
                let classes = cleans(self.program.rules, name);
                let keys = call.arguments.iter().flat_map(|one| deep_keys(&one.value));
                keys.map(|key| (key, classes)).collect()
            }
            _ => Vec::new(),
        };
        let ensured = self.ensured(call).0;
        self.believe(&mut found, &ensured);
        found.extend(ensured);
        let found = self.with_viewed(found);
        self.checked.extend(found);
    }

    /// A decorator that checks does so before the function runs.
    pub(super) fn note_marks(&mut self, marks: &[Name]) {
        for mark in marks {
            let last = mark.rsplit('.').next().unwrap_or(mark);
            if is_check(last) {
                let classes = cleans(self.program.rules, last);
                let names = self.parameters.iter().flatten();
                let found: Vec<_> = names.map(|name| (name.to_string(), classes)).collect();
                self.checked.extend(found);
            }
        }
    }

    /// Returns what the value of a name says of others, if it is a test of them.
    pub(super) fn said(&mut self, value: &Expression) -> Option<Checks> {
        let is_test = match value {
            Expression::Test(_) => true,
            Expression::Call(call) => {
                let is_known = called(call).is_some_and(|name| {
                    is_check(name)
                        || LETTERS.contains(&name)
                        || matches!(
                            name,
                            "some"
                                | "any"
                                | "every"
                                | "all"
                                | "test"
                                | "match"
                                | "exec"
                                | "has"
                                | "includes"
                                | "contains"
                                | "containsKey"
                                | "contains_key"
                                | "MatchString"
                                | "is_match"
                                | "matches"
                                | "fullmatch"
                                | "is_relative_to"
                                | "startswith"
                                | "startsWith"
                        )
                });
                is_known || !self.ensured(call).1.is_empty()
            }
            _ => false,
        };
        let checks = is_test.then(|| self.checks(value));
        checks.filter(|checks| !checks.is_empty())
    }

    /// Keeps what `name` stands for: a test, or a part of another value by which the whole is
    /// judged.
    pub(super) fn stand_for(&mut self, name: &Name, value: &Expression, said: Option<Checks>) {
        self.taken.remove(name);
        if let Expression::Call(call) = value
            && called(call) == Some("getattr")
        {
            self.taken.insert(Name::clone(name), call.bytes);
        }
        if let Some(said) = said {
            self.tests.insert(Name::clone(name), said);
            if let Expression::Call(call) = value {
                let always = self.ensured(call).0;
                self.checked.extend(always);
            }
            return;
        }
        self.note_checks(value);
        let mut at = value;
        loop {
            match at {
                // Each item of what is gone through.
                Expression::Index(object, index) if matches!(**index, Expression::Nothing) => {
                    let class = match &**object {
                        Expression::Call(_) | Expression::Member(..) if !is_plain(object) => {
                            self.program.rules.class_bit("path-traversal")
                        }
                        _ => ALL,
                    };
                    if !matches!(&**object, Expression::Call(_)) || is_split(object) {
                        let keys = deep_keys(object).into_iter();
                        let views = keys.filter(|key| *key != **name);
                        let views = views.map(|of| (Name::clone(name), of, class));
                        self.views.extend(views);
                        return;
                    }
                    at = object;
                }
                Expression::Index(object, _) | Expression::Member(object, _) => at = object,
                // `urlparse(url).hostname or ""`
                Expression::Test(test) if matches!(&*test.how, "||" | "??") => at = &test.of[0],
                Expression::Call(call) => {
                    let bit = match called(call).and_then(known::views) {
                        Some("ssrf") => Some(self.program.rules.host_bits()),
                        Some(class) => Some(self.program.rules.class_bit(class)),
                        // `words = line.split()`
                        None => is_split(at).then(|| self.program.rules.part_bits()),
                    };
                    if let Some(bit) = bit {
                        let mut keys = involved(call, bit);
                        keys.retain(|(key, _)| key != &**name);

                        let views = keys
                            .into_iter()
                            .map(|(of, bit)| (Name::clone(name), of, bit));
                        self.views.extend(views);
                        return;
                    }
                    match &call.callee {
                        Expression::Member(object, _) => at = object,
                        _ => return,
                    }
                }
                _ => return,
            }
        }
    }

    /// `if not isinstance(found, Table): raise`: an attribute that was taken by a name from
    /// outside is of the sort that is meant.
    pub(super) fn refuse_sort(&mut self, test: &Expression) {
        let Expression::Test(test) = test else {
            return;
        };
        if let ("!", [Expression::Call(call)]) = (&*test.how, test.of.as_slice())
            && called(call) == Some("isinstance")
            && let Some(Expression::Name(name)) = call.arguments.first().map(|one| &one.value)
            && let Some(bytes) = self.taken.get(name).copied()
        {
            let unit = self.unit;
            let stays = |hit: &Hit| (hit.unit, hit.bytes) != (unit, bytes);
            self.outcome.hits.retain(stays);
            self.outcome.summary.hits.retain(stays);
        }
    }

    /// Adds to what is checked what it is a part of.
    fn with_viewed(&self, mut found: Vec<(String, Clean)>) -> Vec<(String, Clean)> {
        /// Parts of parts that are followed.
        const MOST: usize = 64;
        let mut at = 0;
        while at < found.len() && found.len() < MOST {
            let (key, classes) = found[at].clone();
            let root = key.split('.').next().unwrap_or(&key);
            if matches!(
                key.rsplit('.').next(),
                Some("protocol" | "scheme" | "Scheme")
            ) {
                let scheme = self.program.rules.class_bit(SCHEME);
                let views = self.views.iter().filter(|(name, ..)| **name == *root);
                let of = views.map(|(_, of, _)| (of.clone(), scheme));
                let of: Vec<(String, Clean)> = of.chain([(root.to_owned(), scheme)]).collect();
                found.extend(of);
            }
            // A member of an item says nothing of the other members, nor of other items; the
            // scheme of an address says nothing of its host.
            let last = key.rsplit('.').next().unwrap_or(root);
            let views = self.views.iter();
            let views = views.filter(|(name, _, bit)| {
                **name == *root && (key == *root || *bit != ALL && !known::says_little(last))
            });
            for (name, of, bit) in views {
                for key in [name.to_string(), of.clone()] {
                    let one = (key, bit & classes);
                    if one.1 != 0 && !found.contains(&one) {
                        found.push(one);
                    }
                }
            }
            at += 1;
        }
        found
    }

    /// Returns what `test` says of values.
    pub(super) fn checks(&mut self, test: &Expression) -> Checks {
        let found = self.raw_checks(test);
        Checks {
            if_true: self.with_viewed(found.if_true),
            if_false: self.with_viewed(found.if_false),
        }
    }

    /// `address.is_private`
    fn of_address(&self, object: &Expression, asked: &str) -> Checks {
        let asked = ADDRESSES.iter().find(|(one, _)| *one == asked);
        let bit = self.program.rules.class_bit("ssrf");
        let keys = deep_keys(object).into_iter().map(|key| (key, bit));
        match asked {
            Some((_, true)) => Checks::refuses(keys.collect()),
            Some((_, false)) => Checks::holds(keys.collect()),
            None => Checks::default(),
        }
    }

    fn raw_checks(&mut self, test: &Expression) -> Checks {
        match test {
            Expression::Name(name) => {
                let said = self.tests.get(name).cloned().unwrap_or_default();
                match names_fault(name) {
                    true => {
                        let mut refused = said.if_true;
                        refused.extend(said.if_false);
                        Checks::refuses(refused)
                    }
                    false => said,
                }
            }
            // `const check = validate(url); if (!check.valid) …`
            Expression::Member(object, member) => match (&**object, tells(member)) {
                (Expression::Name(name), Some(holds)) => {
                    let said = self.tests.get(name).cloned().unwrap_or_default();
                    match holds {
                        true => said,
                        false => Checks::refuses(said.if_true),
                    }
                }
                _ => self.of_address(object, member),
            },
            // `if !allowed[name] { return }`
            Expression::Index(list, one) if self.is_list(list) => Checks::holds(checked(one)),
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
            ("&&", [one, other]) => self.both(one, other),
            ("||", [one, other]) => {
                let refused = self.refused_words(test);
                let (mut one, other) = (self.checks(one), self.checks(other));
                one.if_false.extend(other.if_false);
                one.if_true.retain(|key| other.if_true.contains(key));
                one.if_false.extend(refused);
                one
            }
            // `error is not None`, where the name stands for what a check gave, and
            // `name.match(PATTERN) !== null`.
            ("is" | "is not" | "===" | "!==" | "==" | "!=", [one, none])
                if is_nothing(none) && self.is_of_check(one) =>
            {
                let found = self.checks(&of[0]);
                match test.how.contains("not") || test.how.starts_with('!') {
                    true => found,
                    false => Checks {
                        if_true: found.if_false,
                        if_false: found.if_true,
                    },
                }
            }
            // `ref[0] == "-"`
            ("==" | "===", [Expression::Index(object, _), Expression::Text(text)])
                if text.starts_with('-') =>
            {
                let bit = self.program.rules.class_bit("argument-injection");
                let keys = deep_keys(object).into_iter();
                Checks::refuses(keys.map(|key| (key, bit)).collect())
            }
            // `part == ".."`
            ("==" | "===", [one, Expression::Text(text)]) if &**text == ".." => {
                Checks::refuses(self.parent_of(one))
            }
            // `folder in path.parents`
            ("in" | "not in", [_, Expression::Member(object, parents)])
                if &**parents == "parents" =>
            {
                let bit = self.program.rules.class_bit("path-traversal");
                let keys = deep_keys(object)
                    .into_iter()
                    .map(|key| (key, bit))
                    .collect();
                match &*test.how {
                    "in" => Checks::holds(keys),
                    _ => Checks::refuses(keys),
                }
            }
            ("==" | "===" | "is", [one, other]) => Checks::holds(self.equal(one, other)),
            ("!=" | "!==" | "is not", [one, other]) => Checks::refuses(self.equal(one, other)),
            // `if ".." in name: raise`
            ("in", [Expression::Text(text), one]) if matches!(&**text, ".." | "/") => {
                Checks::refuses(self.parent_of(one))
            }
            // `x in ALLOWED`, but not `"rm" in x`.
            ("in", [one, list]) if self.is_list(list) => Checks::holds(self.asked(one)),
            ("not in", [one, list]) if self.is_list(list) => Checks::refuses(self.asked(one)),
            _ => Checks::default(),
        }
    }

    /// Returns whether that there is nothing in `value` says something of others.
    fn is_of_check(&self, value: &Expression) -> bool {
        match value {
            Expression::Name(name) => self.tests.contains_key(name),
            Expression::Call(call) => {
                matches!(
                    called(call),
                    Some("match" | "exec" | "fullmatch" | "search")
                )
            }
            _ => false,
        }
    }

    fn both(&mut self, one: &Expression, other: &Expression) -> Checks {
        // `if (path && isUnsafe(path)) throw …`: what is not there does no harm.
        let there = subject::present(one);
        let (mut one, other) = (self.checks(one), self.checks(other));
        one.if_true.extend(other.if_true);
        // `if (file !== root && !file.startsWith(root)) throw …`: one of the two holds
        // afterwards, and either will do.
        one.if_false.retain(|key| other.if_false.contains(key));
        let of_there = other.if_false.into_iter();
        one.if_false
            .extend(of_there.filter(|(key, _)| there.contains(key)));
        one
    }

    fn equal(&mut self, one: &Expression, other: &Expression) -> Vec<(String, Clean)> {
        match (one, other) {
            // `os.path.commonpath([folder, path]) == folder`
            (Expression::Call(call), _) | (_, Expression::Call(call))
                if called(call) == Some("commonpath") =>
            {
                involved(call, self.program.rules.class_bit("path-traversal"))
            }
            (one, Expression::Text(text)) | (Expression::Text(text), one) => {
                let says_nothing = matches!(&**text, "" | "null" | "None" | "undefined" | "nil");
                match says_nothing {
                    true => Vec::new(),
                    false => self.asked(one),
                }
            }
            // `file !== folder && !file.startsWith(folder + path.sep)`
            (Expression::Name(_), Expression::Name(folder)) if names_folder(folder) => {
                let bit = self.program.rules.class_bit("path-traversal");
                key(one).map(|key| (key, bit)).into_iter().collect()
            }
            // `path.dirname(file) === folder`
            (Expression::Call(call), _) if called(call) == Some("dirname") => {
                involved(call, self.program.rules.class_bit("path-traversal"))
            }
            // What equals a value that nobody outside chooses is one.
            _ => {
                let (left, right) = (self.evaluate(one), self.evaluate(other));
                match (left.taints.is_empty(), right.taints.is_empty()) {
                    (false, true) => self.asked(one),
                    (true, false) => self.asked(other),
                    _ => Vec::new(),
                }
            }
        }
    }

    /// What a question to `one` is about; of a part that is taken where it is asked for, what it
    /// is a part of: `urlparse(url).hostname`.
    fn asked(&self, one: &Expression) -> Vec<(String, Clean)> {
        /// Parts of parts that are looked through.
        const DEEPEST: usize = 8;
        if let Some(list) = part_of(one) {
            let bits = self.program.rules.part_bits();
            return match list {
                // `command.split()[0]`
                Expression::Call(call) => involved(call, bits),
                // `words[0]`
                _ => {
                    let list = key(list).map(|key| (key, bits));
                    checked(one).into_iter().chain(list).collect()
                }
            };
        }
        let mut at = one;
        for _ in 0..DEEPEST {
            let whole = checked(at);
            if !whole.is_empty() {
                return whole;
            }
            at = match at {
                Expression::Member(object, part) if !known::says_little(part) => object,
                Expression::Index(object, _) => object,
                // `urlparse(url).hostname or ""`
                Expression::Test(test) if matches!(&*test.how, "||" | "??") => &test.of[0],
                Expression::Call(call) => match (called(call).and_then(known::views), &call.callee)
                {
                    (Some("ssrf"), _) => return involved(call, self.program.rules.host_bits()),
                    (None, Expression::Member(object, _)) => object,
                    _ => return Vec::new(),
                },
                _ => return Vec::new(),
            };
        }
        Vec::new()
    }

    /// A path that does not lead up.
    fn parent_of(&self, path: &Expression) -> Vec<(String, Clean)> {
        let bit = self.program.rules.class_bit("path-traversal");
        let keys = deep_keys(path).into_iter();
        keys.map(|key| (key, bit)).collect()
    }

    /// `";" in name or "|" in name or "&" in name`: words that end a command, together.
    fn refused_words(&mut self, test: &Test) -> Vec<(String, Clean)> {
        let mut found: Vec<(String, &str)> = Vec::new();
        let mut open = vec![test];
        while let Some(test) = open.pop() {
            for part in &test.of {
                let Expression::Test(inner) = part else {
                    continue;
                };
                match (&*inner.how, inner.of.as_slice()) {
                    ("||", _) => open.push(inner),
                    ("in", [Expression::Text(text), one]) => {
                        found.extend(key(one).map(|key| (key, &**text)));
                    }
                    _ => {}
                }
            }
        }
        let words: Vec<&str> = found.iter().map(|(_, text)| *text).collect();
        let bits = self.forbids(&words);
        let keys: Vec<(String, Clean)> = found.iter().map(|(key, _)| (key.clone(), bits)).collect();
        match keys.windows(2).all(|pair| pair[0].0 == pair[1].0) && bits != 0 {
            true => keys.into_iter().take(1).collect(),
            false => Vec::new(),
        }
    }

    /// Returns what a text cannot do in which none of `words` is.
    fn forbids(&self, words: &[&str]) -> Clean {
        let has = |end: &str| words.contains(&end);
        let class = |name| self.program.rules.class_bit(name);
        let mut bits = 0;
        if has(";") && has("|") && (has("&") || has("&&")) {
            bits |= class("command-injection");
        }
        if has("..") || has("/") {
            bits |= class("path-traversal");
        }
        bits
    }

    /// A question to a pattern whose text is known: one that bounds the whole text, or one
    /// that finds what must not be in it.
    fn of_pattern(&self, pattern: &str, subject: Vec<String>) -> Checks {
        if expect::bounds(pattern) {
            return Checks::holds(subject.into_iter().map(|key| (key, ALL)).collect());
        }
        if expect::finds_others(pattern) {
            return Checks::refuses(subject.into_iter().map(|key| (key, ALL)).collect());
        }
        let inner = pattern.strip_prefix('/').unwrap_or(pattern);
        let inner = match inner.rsplit_once('/') {
            // `/…/i`: what follows the last slash are flags.
            Some((inner, flags)) if pattern.starts_with('/') && flags.len() < 8 => inner,
            _ => inner,
        };
        // `^https://docs\.example\.com/`
        let host = inner.replace('\\', "");
        let host = host.split_once("://").map(|(_, rest)| rest);
        if inner.starts_with('^') && host.is_some_and(|rest| rest.contains('/')) {
            let bit = self.program.rules.host_bits();
            return Checks::holds(subject.into_iter().map(|key| (key, bit)).collect());
        }
        if ENDS_OF_COMMANDS.iter().all(|end| inner.contains(*end)) && !inner.starts_with('^') {
            let bit = self.program.rules.class_bit("command-injection");
            return Checks::refuses(subject.into_iter().map(|key| (key, bit)).collect());
        }
        if inner.contains("\\.\\.") {
            let bit = self.program.rules.class_bit("path-traversal");
            return Checks::refuses(subject.into_iter().map(|key| (key, bit)).collect());
        }
        Checks::default()
    }

    /// Returns whether membership in `list` says something: it is not itself from outside.
    fn is_list(&mut self, list: &Expression) -> bool {
        self.evaluate(list).taints.is_empty()
    }
}
