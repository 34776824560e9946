//! Lists of tools that hide what calls run all the same.
//!
//! # Invariants
//!
//! * Only one file is looked at: a handler that hands the call to another file may be
//!   checked there, so nothing is said of it.
//! * The list has to decide by something whose name speaks of permission, and neither the
//!   handler of calls nor anything that it calls may name such a thing.

use std::collections::BTreeSet;

use rustc_hash::FxHashSet;

use super::{
    ir::{Expression, Function, Name, Statement, Unit},
    memory::Match,
    subject::called,
    walk::{self, Seen},
};
use crate::rules::Rules;

/// Words of names that speak of permission.
const WORDS: [&str; 18] = [
    "allow",
    "permit",
    "permission",
    "scope",
    "role",
    "readonly",
    "destructive",
    "enabled",
    "disabled",
    "authoriz",
    "forbid",
    "denied",
    "denyl",
    "blocked",
    "restrict",
    "hidden",
    "visible",
    "cancall",
];
/// Functions that list, and those that call, by name without `_` in lower case.
const LISTS: [&str; 6] = [
    "listtools",
    "handlelisttools",
    "handletoolslist",
    "onlisttools",
    "toolslist",
    "listtoolshandler",
];
const CALLS: [&str; 7] = [
    "calltool",
    "handlecalltool",
    "handletoolscall",
    "handletoolcall",
    "oncalltool",
    "toolscall",
    "calltoolhandler",
];

/// A handler: its body, and where it is.
struct Handler<'u> {
    body: &'u [Statement],
    line: u32,
    class: Option<&'u Name>,
}

/// Returns the handlers of `unit` that run what its list of tools hides.
pub(super) fn find(unit: &Unit, rules: &Rules) -> Vec<Match> {
    let Some(language) = unit.language else {
        return Vec::new();
    };
    let (Some(rule), Some(functions)) = (rules.parity.get(&language), unit.functions.get()) else {
        return Vec::new();
    };
    let file = File { unit, functions };
    let (lists, calls) = file.handlers();
    let mut found = Vec::new();
    for call in &calls {
        let same = |list: &&Handler<'_>| list.class == call.class || lists.len() == 1;
        let Some(list) = lists.iter().find(same) else {
            continue;
        };
        let (hides, runs) = (file.said(list.body), file.said(call.body));
        if !hides.decides || runs.speaks || runs.leaves {
            continue;
        }
        // Both look the tool up in the same place.
        if hides.helpers.intersection(&runs.helpers).next().is_some() {
            continue;
        }
        found.push(Match {
            rule: *rule,
            lines: (call.line, call.line),
            text: format!("call {}", call.line).into_bytes(),
        });
    }
    found
}

/// What a handler says, with everything of the file that it calls.
#[derive(Default)]
struct Said {
    /// Whether something decides that speaks of permission.
    decides: bool,
    /// Whether anything speaks of permission.
    speaks: bool,
    /// Whether the call is handed to another file under a name that promises to run it.
    leaves: bool,
    /// Functions of the file that were called and speak of permission.
    helpers: BTreeSet<Name>,
}

struct File<'u> {
    unit: &'u Unit,
    functions: &'u [Function],
}

impl<'u> File<'u> {
    fn handlers(&self) -> (Vec<Handler<'u>>, Vec<Handler<'u>>) {
        let (mut lists, mut calls) = (Vec::new(), Vec::new());
        for function in self.functions {
            let mut names = vec![bare(&function.name)];
            let marks = function.marks.iter();
            names.extend(marks.map(|mark| bare(mark.rsplit('.').next().unwrap_or(mark))));
            let handler = || Handler {
                body: &function.body,
                line: function.line,
                class: function.class.as_ref(),
            };
            if names.iter().any(|name| LISTS.contains(&name.as_str())) {
                lists.push(handler());
            } else if names.iter().any(|name| CALLS.contains(&name.as_str())) {
                calls.push(handler());
            }
            walk::statements(&function.body, &mut |seen| {
                let Seen::Expression(Expression::Call(call)) = seen else {
                    return;
                };
                let [schema, handler, ..] = call.arguments.as_slice() else {
                    return;
                };
                let schema = match &schema.value {
                    Expression::Name(name)
                    | Expression::Member(_, name)
                    | Expression::Text(name) => name,
                    _ => return,
                };
                let Some(body) = self.body_of(&handler.value) else {
                    return;
                };
                let handler = Handler {
                    body,
                    line: call.from,
                    class: None,
                };
                match &**schema {
                    "ListToolsRequestSchema" | "tools/list" => lists.push(handler),
                    "CallToolRequestSchema" | "tools/call" => calls.push(handler),
                    _ => {}
                }
            });
        }
        (lists, calls)
    }

    fn body_of(&self, handler: &Expression) -> Option<&'u [Statement]> {
        match handler {
            Expression::Function(at) => Some(&self.functions.get(*at)?.body),
            Expression::Name(name) | Expression::Member(_, name) => Some(&self.by_name(name)?.body),
            Expression::Call(call) => match &call.callee {
                // `this.list.bind(this)`
                Expression::Member(inner, last) if &**last == "bind" => self.body_of(inner),
                _ => None,
            },
            _ => None,
        }
    }

    fn by_name(&self, name: &str) -> Option<&'u Function> {
        let of_class = |key: &Name| key.rsplit_once('.').is_some_and(|(_, last)| last == name);
        let at = self.unit.names.get(name).or_else(|| {
            let mut keys: Vec<_> = self
                .unit
                .names
                .iter()
                .filter(|(key, _)| of_class(key))
                .collect();
            keys.sort();
            keys.first().map(|(_, at)| *at)
        })?;
        self.functions.get(*at).filter(|one| !one.name.is_empty())
    }

    fn said(&self, body: &'u [Statement]) -> Said {
        /// Calls of calls that are followed.
        const MOST: usize = 200;
        let mut said = Said::default();
        let mut seen_names: FxHashSet<&str> = FxHashSet::default();
        let mut wanted = vec![(body, None::<Name>)];
        let mut done = 0;
        while let Some((body, of)) = wanted.pop() {
            done += 1;
            if done > MOST {
                break;
            }
            let mut inner = Vec::new();
            let mut speaks = false;
            walk::statements(body, &mut |seen| match seen {
                Seen::Test(test) => said.decides |= names_permission(test),
                Seen::Expression(Expression::Name(name) | Expression::Member(_, name)) => {
                    speaks |= is_permission(name);
                }
                Seen::Expression(Expression::Function(at)) => inner.push(*at),
                Seen::Expression(Expression::Call(call)) => {
                    let Some(name) = called(call) else { return };
                    said.decides |= asks_permission(name);
                    if !seen_names.insert(name) {
                        return;
                    }
                    match self.by_name(name) {
                        Some(function) => {
                            wanted.push((&function.body, Some(Name::clone(&function.name))));
                        }
                        None => said.leaves |= self.runs_elsewhere(&call.callee, name),
                    }
                }
                Seen::Expression(_) => {}
            });
            let bodies = inner.iter().filter_map(|at| self.functions.get(*at));
            wanted.extend(bodies.map(|one| (&*one.body, of.clone())));
            said.speaks |= speaks;
            if speaks {
                said.helpers.extend(of);
            }
        }
        said
    }

    /// Returns whether a function of another file may run the tool, and check it there.
    fn runs_elsewhere(&self, callee: &Expression, name: &str) -> bool {
        let name = bare(name);
        let runs = [
            "call", "execute", "dispatch", "handle", "invoke", "run", "process",
        ];
        let runs = runs.iter().any(|word| name.starts_with(word)) && name.len() > 4;
        let is_imported = match callee {
            Expression::Name(name) => self.unit.imports.contains_key(name),
            Expression::Member(object, _) => {
                matches!(&**object, Expression::Name(name) if self.unit.imports.contains_key(name))
            }
            _ => false,
        };
        runs && is_imported
    }
}

fn names_permission(test: &Expression) -> bool {
    let mut found = false;
    walk::expression(test, &mut |seen| {
        if let Seen::Expression(Expression::Name(name) | Expression::Member(_, name)) = seen {
            found |= is_permission(name);
        }
    });
    found
}

fn is_permission(name: &str) -> bool {
    let name = bare(name);
    WORDS.iter().any(|word| name.contains(word))
}

/// Returns whether a function of this name says whether something is permitted, or leaves out
/// what is not.
fn asks_permission(name: &str) -> bool {
    const VERBS: [&str; 11] = [
        "is", "has", "can", "may", "check", "filter", "allow", "permit", "authoriz", "visible",
        "enabled",
    ];
    let bare = bare(name);
    is_permission(name) && VERBS.iter().any(|verb| bare.starts_with(verb))
}

/// Returns a name without `_`, in lower case.
fn bare(name: &str) -> String {
    name.replace('_', "").to_ascii_lowercase()
}
