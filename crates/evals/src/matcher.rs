//! What a value has to be: literals, and operators that compare by meaning.
//!
//! A matcher is written as the value itself (`adults: 2`) or as an object whose keys
//! are operators (`city: { place: Boston }`). Several operators in one object all have
//! to hold. An object without operators describes members, others being allowed.
//!
//! # Invariants
//!
//! * A matcher is read once, with everything that can be wrong about it reported then;
//!   matching cannot fail, only hold or not.
//! * What is not there is matched too: `absent` holds for it, `any` does not.

mod compile;
mod day;
mod equal;
mod place;

use std::{borrow::Cow, collections::BTreeMap};

use jiff::civil::Date;
use regex::Regex;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use self::{compile::MatcherError, day::parse_day};
pub(crate) use self::{compile::is_operator, equal::money};
use self::{day::When, place::Place};

/// What a value has to be.
#[derive(Debug, Clone)]
pub struct Matcher {
    /// As it was written.
    written: Value,
    test: Test,
}

/// What the matchers of one expectation may refer to.
#[derive(Debug, Clone, Default)]
pub struct Scope<'a> {
    /// The day on which the conversation takes place.
    pub today: Option<Date>,
    /// Values that earlier turns saved, by name.
    pub saved: Cow<'a, BTreeMap<String, Value>>,
    /// The arguments or members beside the value that is matched.
    pub beside: Option<&'a Value>,
}

/// The type of a JSON value, told as strictly as JSON can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    String,
    /// Without a decimal point.
    Integer,
    /// With a decimal point.
    Float,
    Number,
    Boolean,
    List,
    Object,
    Null,
}

#[derive(Debug, Clone)]
pub(crate) enum Test {
    Equal(Value),
    In(Vec<Value>),
    /// Texts without regard to case, blanks and punctuation, also within a list.
    Loose(Vec<Value>),
    IgnoreCase(String),
    Pattern(Regex),
    Contains(Vec<String>, Quantity, Case),
    Number {
        near: f64,
        tolerance: f64,
    },
    Range(Option<f64>, Option<f64>),
    Money {
        amount: f64,
        currency: Option<String>,
    },
    Day(When),
    MonthDay(String),
    DayAfter {
        than: String,
        max_days: Option<i64>,
    },
    Length(Option<f64>, Option<f64>),
    Place(Place),
    Set(Vec<Matcher>),
    List(Vec<Matcher>),
    Each(Box<Matcher>),
    Object {
        members: Vec<(String, Matcher)>,
        closed: bool,
    },
    OneOfTypes(Vec<Type>),
    From(String),
    NotFrom(String),
    Absent,
    Any,
    Not(Box<Matcher>),
    All(Vec<Matcher>),
    Either(Vec<Matcher>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    All,
    Any,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Kept,
    Ignored,
}

impl Matcher {
    /// Returns whether `value`, or its absence, is what was asked for.
    #[must_use]
    pub fn holds(&self, value: Option<&Value>, scope: &Scope<'_>) -> bool {
        self.test.holds(value, scope)
    }

    /// Returns the matcher as it was written.
    #[must_use]
    pub fn written(&self) -> &Value {
        &self.written
    }

    /// Returns a matcher from its parts, for suites that a program makes.
    pub(crate) fn made(test: Test) -> Self {
        Self {
            written: Value::Null,
            test,
        }
    }

    /// Returns the first place below `value` where the matcher does not hold, as a path
    /// of members.
    pub(crate) fn objection(&self, value: Option<&Value>, scope: &Scope<'_>) -> Option<String> {
        if self.holds(value, scope) {
            return None;
        }
        if let (Test::Object { members, .. }, Some(value @ Value::Object(fields))) =
            (&self.test, value)
        {
            let scope = scope.within(value);
            for (name, matcher) in members {
                if let Some(below) = matcher.objection(fields.get(name), &scope) {
                    let path = match below.is_empty() {
                        true => name.clone(),
                        false => format!("{name}.{below}"),
                    };
                    return Some(path);
                }
            }
        }
        Some(String::new())
    }
}

impl<'a> Scope<'a> {
    /// Returns the scope of the members of `object`.
    fn within<'b>(&'b self, object: &'b Value) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope {
            today: self.today,
            saved: Cow::Borrowed(&self.saved),
            beside: Some(object),
        }
    }

    /// Returns what `name` stands for: a saved value or, with dots and indices behind
    /// the name, a part of it.
    pub(crate) fn find_saved(&self, name: &str) -> Option<&Value> {
        let (root, rest) = match name.find(['.', '[']) {
            Some(at) => name.split_at(at),
            None => (name, ""),
        };
        crate::path::find(self.saved.get(root)?, rest)
    }
}

impl Test {
    fn holds(&self, value: Option<&Value>, scope: &Scope<'_>) -> bool {
        match self {
            Self::Absent => return value.is_none_or(Value::is_null),
            Self::Not(inner) => return !inner.holds(value, scope),
            Self::All(all) => return all.iter().all(|one| one.holds(value, scope)),
            Self::Either(any) => return any.iter().any(|one| one.holds(value, scope)),
            Self::NotFrom(name) => {
                let source = scope.find_saved(name);
                return !source.is_some_and(|source| equal::stems(value, source));
            }
            _ => {}
        }
        let Some(value) = value else { return false };
        self.holds_for(value, scope)
    }

    fn holds_for(&self, value: &Value, scope: &Scope<'_>) -> bool {
        match self {
            Self::Equal(wanted) => equal::same(wanted, value),
            Self::In(all) => all.iter().any(|one| equal::same(one, value)),
            Self::Loose(all) => all.iter().any(|one| equal::loose(one, value)),
            Self::IgnoreCase(wanted) => equal::text(value).to_lowercase() == *wanted,
            Self::Pattern(pattern) => pattern.is_match(&equal::text(value)),
            Self::Contains(parts, quantity, case) => {
                equal::contains(value, parts, *quantity, *case)
            }
            Self::Number { near, tolerance } => {
                equal::number(value).is_some_and(|is| (is - near).abs() <= *tolerance)
            }
            Self::Range(low, high) => {
                equal::number(value).is_some_and(|is| within(is, *low, *high))
            }
            Self::Money { amount, currency } => {
                equal::is_money(value, *amount, currency.as_deref(), scope.beside)
            }
            Self::Length(low, high) => {
                equal::length(value).is_some_and(|is| within(is, *low, *high))
            }
            Self::OneOfTypes(types) => types.iter().any(|one| one.is(value)),
            Self::From(name) => scope
                .find_saved(name)
                .is_some_and(|source| equal::same(source, value) || equal::loose(source, value)),
            Self::Any => !value.is_null(),
            _ => self.holds_by_meaning(value, scope),
        }
    }

    fn holds_by_meaning(&self, value: &Value, scope: &Scope<'_>) -> bool {
        match self {
            Self::Day(when) => when.holds(value, scope.today),
            Self::MonthDay(wanted) => parse_day(&equal::text(value))
                .is_some_and(|day| day.strftime("%m-%d").to_string() == *wanted),
            Self::DayAfter { than, max_days } => {
                day::is_after(value, than, *max_days, scope.beside, scope.today)
            }
            Self::Place(place) => place.holds(value),
            Self::Set(wanted) => matches_all(wanted, value, scope),
            Self::List(wanted) => value.as_array().is_some_and(|elements| {
                let mut pairs = wanted.iter().zip(elements);
                elements.len() == wanted.len() && pairs.all(|(one, is)| one.holds(Some(is), scope))
            }),
            Self::Each(wanted) => value
                .as_array()
                .is_some_and(|all| all.iter().all(|is| wanted.holds(Some(is), scope))),
            Self::Object { members, closed } => {
                let Some(fields) = value.as_object() else {
                    return false;
                };
                let scope = scope.within(value);
                let known = |name: &String| members.iter().any(|(known, _)| known == name);
                (!closed || fields.keys().all(known))
                    && members
                        .iter()
                        .all(|(name, one)| one.holds(fields.get(name), &scope))
            }
            _ => false,
        }
    }
}

fn within(value: f64, low: Option<f64>, high: Option<f64>) -> bool {
    low.is_none_or(|low| value >= low) && high.is_none_or(|high| value <= high)
}

/// Whether every element is one of `wanted` and the other way round, in any order.
fn matches_all(wanted: &[Matcher], value: &Value, scope: &Scope<'_>) -> bool {
    let Some(elements) = value.as_array() else {
        return false;
    };
    let fits = |one: usize, is: usize| wanted[one].holds(Some(&elements[is]), scope);
    let pairs = crate::assignment::assign(wanted.len(), elements.len(), fits);
    elements.len() == wanted.len() && pairs.iter().all(Option::is_some)
}

impl Type {
    fn is(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Float => value.is_f64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::Null => value.is_null(),
        }
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.written.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Value::deserialize(deserializer)?;
        Self::try_from(written).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Matcher {
    fn schema_name() -> Cow<'static, str> {
        "Matcher".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A value, or operators that it has to satisfy.",
            "anyOf": [
                { "type": ["string", "number", "boolean", "null", "array"] },
                { "type": "object", "properties": compile::operators() },
            ],
        })
    }
}

#[cfg(test)]
mod tests;
