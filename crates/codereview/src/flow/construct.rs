//! Classes of the tree that are made: what their constructors do with what they get.
//!
//! # Invariants
//!
//! * Only members that a constructor sets to one of its parameters as it came are known by
//!   it; what it computes of them is not.

use std::sync::Arc;

use super::{
    evaluate::Frame,
    ir::{Call, Expression, Name, Statement, Target},
    value::{Origin, Value},
};

/// Statements at the beginning of a constructor that are looked at.
const MOST_STATEMENTS: usize = 64;

impl Frame<'_> {
    /// Follows the constructor of the class `callee`: what is handed to it arrives there, and
    /// is in the members that it sets.
    pub(super) fn construct(
        &mut self,
        call: &Call,
        callee: &Value,
        values: &[Value],
        names: &[Option<Name>],
    ) {
        let Some(path) = callee.path.as_deref().filter(|path| path.starts_with('@')) else {
            return;
        };
        let Some((_, class)) = path.split_once('.') else {
            return;
        };
        let class: Name = Arc::from(class);
        let made = [Name::from("constructor"), Arc::clone(&class)]
            .iter()
            .find_map(|name| self.program.member(self.unit, None, path, name)?.function);
        let Some(id) = made else {
            return;
        };
        self.apply(id, call, values, names);
        let function = self.program.function(id);
        for statement in function.body.iter().take(MOST_STATEMENTS) {
            let Some((field, from)) = set_member(statement) else {
                continue;
            };
            let at = function
                .parameters
                .iter()
                .position(|one| matches!(&one.target, Target::Name(name) if name == from));
            let Some(value) = at.and_then(|at| values.get(at)) else {
                continue;
            };
            let mut taints = value.all_taints();
            taints.retain(|taint| taint.origin == Origin::Outside);
            if !taints.is_empty() {
                let kept = Value {
                    taints,
                    ..Value::default()
                };
                let key = (Arc::clone(&class), Arc::clone(field));
                self.outcome.fields.push((key, kept));
            }
        }
    }
}

/// Returns the member and the name of `this.member = name`.
fn set_member(statement: &Statement) -> Option<(&Name, &Name)> {
    let Statement::Let { target, value, .. } = statement else {
        return None;
    };
    match (target, value) {
        (Target::Place(Expression::Member(object, field)), Expression::Name(from)) if matches!(&**object, Expression::Name(name) if matches!(&**name, "this" | "self")) => {
            Some((field, from))
        }
        _ => None,
    }
}
