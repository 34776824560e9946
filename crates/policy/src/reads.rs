//! What policies read of the circumstances of a call.
//!
//! # Invariants
//!
//! * Whatever is not understood counts as read, so that a memory that relies on this
//!   never takes two different questions for one.

use std::collections::BTreeSet;

use cedar_policy::Policy;
use serde_json::Value;

/// What one or several policies read of `context`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Everything, as far as anybody can tell.
    pub(crate) whole: bool,
    /// The moment itself, which never comes again.
    pub(crate) instant: bool,
    /// Date, weekday, hour or minute.
    pub(crate) calendar: bool,
    /// `context.region`.
    pub(crate) region: bool,
    /// `context.risk`.
    pub(crate) risk: bool,
    /// `context.intent`.
    pub(crate) intent: bool,
    /// The arguments of these names.
    pub(crate) arguments: BTreeSet<String>,
    /// All arguments.
    pub(crate) every_argument: bool,
}

impl Reads {
    /// Returns what `policy` reads.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut reads = Self::default();
        match policy.to_json() {
            Ok(json) => reads.walk(&json),
            Err(_) => reads.whole = true,
        }
        reads
    }

    /// Adds what `other` reads.
    pub(crate) fn join(&mut self, other: Self) {
        let Self {
            whole,
            instant,
            calendar,
            region,
            risk,
            intent,
            arguments,
            every_argument,
        } = other;
        self.whole |= whole;
        self.instant |= instant;
        self.calendar |= calendar;
        self.region |= region;
        self.risk |= risk;
        self.intent |= intent;
        self.arguments.extend(arguments);
        self.every_argument |= every_argument;
    }

    /// Returns whether a decision can depend on the circumstances at all.
    pub(crate) fn anything(&self) -> bool {
        *self != Self::default()
    }

    /// Returns whether it can depend on what differs from call to call. The region
    /// is that of the node.
    pub(crate) fn varies(&self) -> bool {
        let region = false;
        Self {
            region,
            ..self.clone()
        }
        .anything()
    }

    pub(crate) fn instant(&self) -> bool {
        self.whole || self.instant
    }

    pub(crate) fn calendar(&self) -> bool {
        self.whole || self.calendar
    }

    pub(crate) fn region(&self) -> bool {
        self.whole || self.region
    }

    pub(crate) fn risk(&self) -> bool {
        self.whole || self.risk
    }

    pub(crate) fn intent(&self) -> bool {
        self.whole || self.intent
    }

    /// Returns whether the argument `name` is read.
    pub(crate) fn argument(&self, name: &str) -> bool {
        self.whole || self.every_argument || self.arguments.contains(name)
    }

    fn walk(&mut self, json: &Value) {
        if let Some(path) = path(json) {
            return self.note(&path);
        }
        match json {
            Value::Object(members) => members.values().for_each(|member| self.walk(member)),
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn note(&mut self, path: &[&str]) {
        match path {
            ["time", "epoch_s", ..] | ["time"] => {
                self.instant = true;
                self.calendar = true;
            }
            ["time", ..] => self.calendar = true,
            ["region", ..] => self.region = true,
            ["risk", ..] => self.risk = true,
            ["intent", ..] => self.intent = true,
            ["arguments", name, ..] => {
                self.arguments.insert((*name).to_owned());
            }
            ["arguments"] => self.every_argument = true,
            _ => self.whole = true,
        }
    }
}

/// Returns the attributes that lead from `context` to what `json` reads, if it reads
/// there: the JSON form of policies writes `context.a.b` as
/// `{".": {"left": {".": {"left": {"Var": "context"}, "attr": "a"}}, "attr": "b"}}`.
fn path(json: &Value) -> Option<Vec<&str>> {
    let members = json.as_object()?;
    let (kind, inner) = members.iter().next().filter(|_| members.len() == 1)?;
    match kind.as_str() {
        "Var" => (inner == "context").then(Vec::new),
        "." | "has" => {
            let mut path = path(inner.get("left")?)?;
            match inner.get("attr")? {
                Value::String(name) => path.push(name),
                Value::Array(names) => {
                    for name in names {
                        path.push(name.as_str()?);
                    }
                }
                _ => return None,
            }
            Some(path)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(condition: &str, expected: &Reads) {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let policy = Policy::parse(None, &text).unwrap();
        assert_eq!(&Reads::of(&policy), expected, "{condition}");
    }

    #[test]
    fn what_is_read_is_found() {
        let none = Reads::default();
        check("principal.attestation >= 20 && resource.known", &none);
        check("resource.labels.contains(\"context\")", &none);
        check(
            "context.time.hour < 8",
            &Reads {
                calendar: true,
                ..none.clone()
            },
        );
        let instant = Reads {
            calendar: true,
            instant: true,
            ..none.clone()
        };
        check("context.time.epoch_s > 5", &instant);
        check(
            "context.region == \"eu\"",
            &Reads {
                region: true,
                ..none.clone()
            },
        );
        check(
            "!(context.risk.untrusted && true)",
            &Reads {
                risk: true,
                ..none.clone()
            },
        );
        let amount = Reads {
            arguments: ["amount".to_owned()].into(),
            ..none.clone()
        };
        check(
            "context.arguments has amount && context.arguments.amount > 5",
            &amount,
        );
        check("context has arguments.amount", &amount);
        check(
            "[context.arguments].contains(context.arguments)",
            &Reads {
                every_argument: true,
                ..none.clone()
            },
        );
        check(
            "if true then {a: context}.a == context else false",
            &Reads {
                whole: true,
                ..none
            },
        );
    }

    #[test]
    fn only_the_region_does_not_vary() {
        let region = Reads {
            region: true,
            ..Reads::default()
        };
        assert!(region.anything() && !region.varies());
        assert!(
            Reads {
                risk: true,
                ..region
            }
            .varies()
        );
    }
}
