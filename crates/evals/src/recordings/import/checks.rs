//! Checks of others, put together one by one into what is expected.
//!
//! # Invariants
//!
//! * Every check that was added has to hold: several of one kind are joined, none takes
//!   the place of another.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    expect::Expect,
    matcher::{Matcher, is_operator},
};

/// What is expected of one case or turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Checks {
    /// Tools of which the first call is.
    pub(super) first: Vec<Value>,
    /// Tools that all calls are of.
    pub(super) only: Vec<Value>,
    /// Tools that are not called.
    pub(super) never: Vec<Value>,
    /// Calls that are made.
    pub(super) at_least: Vec<Value>,
    /// Calls that are made, and no others of their tools.
    pub(super) exactly: Vec<Value>,
    /// Tools one after the other.
    pub(super) order: Vec<Vec<Value>>,
    /// How often tools are called, by name.
    pub(super) count: BTreeMap<String, Vec<Value>>,
    /// Most calls.
    pub(super) max: Option<u64>,
    /// Fewest calls.
    pub(super) min: usize,
    /// No call is made.
    pub(super) none: bool,
    /// No call ends with an error.
    pub(super) no_errors: bool,
    /// Texts in the answer.
    pub(super) contains: Vec<String>,
    /// Texts that are not in it.
    pub(super) contains_none: Vec<String>,
    /// What the answer as a whole is.
    pub(super) is: Vec<Value>,
    /// There is an answer.
    pub(super) not_empty: bool,
    /// What it may cost.
    pub(super) budget: Map<String, Value>,
}

/// Most calls that a case may demand.
const MAX_CALLS: usize = 200;

impl Checks {
    /// Expects that `tool` is called so often.
    pub(super) fn count(&mut self, tool: &str, range: &Value) {
        let count = self.count.entry(tool.to_owned()).or_default();
        count.push(json!({ "range": range }));
    }

    /// Limits a cost; the lower of two limits holds.
    pub(super) fn limit(&mut self, name: &str, most: &Value) {
        let lower = |old: &Value| old.as_f64() <= most.as_f64();
        if !self.budget.get(name).is_some_and(lower) {
            self.budget.insert(name.to_owned(), most.clone());
        }
    }

    /// Returns the checks as an expectation.
    ///
    /// # Errors
    ///
    /// Why they cannot be written.
    pub(super) fn expect(mut self) -> Result<Expect, String> {
        if self.min > MAX_CALLS || self.at_least.len() > MAX_CALLS {
            return Err(format!("more than {MAX_CALLS} calls are demanded"));
        }
        let made = self.at_least.len().max(self.exactly.len());
        for _ in made..self.min {
            self.at_least.push(json!({ "tool": "*" }));
        }
        let mut calls = Map::new();
        let one = |all: Vec<Value>, join: &str| match <[Value; 1]>::try_from(all) {
            Ok([one]) => one,
            Err(all) => json!({ join: all }),
        };
        for (name, all, join) in [
            ("first", self.first, "all_of"),
            ("only", self.only, "all_of"),
            ("never", self.never, "any_of"),
        ] {
            if !all.is_empty() {
                calls.insert(name.to_owned(), one(all, join));
            }
        }
        if !self.exactly.is_empty() {
            calls.insert("exactly".to_owned(), self.exactly.into());
        }
        let mut set = |name: &str, there: bool, value: Value| {
            if there {
                calls.insert(name.to_owned(), value);
            }
        };
        set("at_least", !self.at_least.is_empty(), self.at_least.into());
        set("order", !self.order.is_empty(), json!(self.order));
        set("max", self.max.is_some(), json!(self.max));
        set("none", self.none, true.into());
        set("no_errors", self.no_errors, true.into());
        let count: Map<String, Value> = self
            .count
            .into_iter()
            .map(|(tool, all)| (tool, one(all, "all_of")))
            .collect();
        set("count", !count.is_empty(), count.into());
        let mut answer = Map::new();
        let mut set = |name: &str, there: bool, value: Value| {
            if there {
                answer.insert(name.to_owned(), value);
            }
        };
        set(
            "contains_all",
            !self.contains.is_empty(),
            json!(self.contains),
        );
        let none = json!(self.contains_none);
        set("contains_none", !self.contains_none.is_empty(), none);
        set("not_empty", self.not_empty, true.into());
        set("is", !self.is.is_empty(), one(self.is, "all_of"));
        let mut expect = Map::new();
        for (name, part) in [
            ("calls", calls),
            ("answer", answer),
            ("budget", self.budget),
        ] {
            if !part.is_empty() {
                expect.insert(name.to_owned(), part.into());
            }
        }
        serde_json::from_value(expect.into()).map_err(|error| error.to_string())
    }
}

/// How arguments of others are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nested {
    /// Members that are not named may be there.
    Open,
    /// There are no others.
    Closed,
}

/// Returns a matcher for a value as it is. None where it cannot be written: an open
/// object with a member that has the name of an operator.
pub(super) fn literal(value: &Value, nested: Nested) -> Option<Value> {
    match (value, nested) {
        (Value::Object(members), Nested::Open) => {
            if members.is_empty() {
                return Some(json!({ "type": "object" }));
            }
            let of = |(name, one): (&String, &Value)| Some((name.clone(), literal(one, nested)?));
            let open: Value = members
                .iter()
                .map(of)
                .collect::<Option<Map<_, _>>>()?
                .into();
            // A member with the name of an operator would be read as one.
            let is_read = members.keys().all(|name| !is_operator(name));
            is_read.then_some(open)
        }
        (Value::Array(all), Nested::Open) => {
            let all: Option<Vec<Value>> = all.iter().map(|one| literal(one, nested)).collect();
            Some(json!({ "list": all? }))
        }
        (other, _) => Some(json!({ "eq": other })),
    }
}

/// Returns a matcher of texts, and of nothing that is read from them.
pub(super) fn of_text(test: &Value) -> Value {
    json!({ "all_of": [{ "type": "string" }, test] })
}

/// Returns whether a regular expression of others can be used.
///
/// # Errors
///
/// Why not.
pub(super) fn pattern(written: &str) -> Result<Value, String> {
    let test = json!({ "regex": written });
    match Matcher::try_from(test.clone()) {
        Ok(_) => Ok(test),
        Err(_) => Err(
            "the regular expression needs looking around or back, which is not bounded in time"
                .to_owned(),
        ),
    }
}
