//! What checks on the way have made of a value.

use std::sync::Arc;

use super::{
    evaluate::{Frame, key},
    ir::{Expression, Name},
    value::Value,
};

impl Frame<'_> {
    /// Returns `value` as what was checked of `expression` makes it.
    pub(super) fn judged(&self, expression: &Expression, value: Value) -> Value {
        if value.taints.is_empty() || self.checked.is_empty() {
            return value;
        }
        match key(expression) {
            Some(key) => {
                let classes = self.checked.iter().filter(|(one, _)| covers(one, &key));
                let classes = classes.fold(0, |all, (_, classes)| all | classes);
                self.judged_members(&key, value.cleaned(classes))
            }
            None => value,
        }
    }

    /// A value whose members were checked one by one: `if (!isPublic(context.url)) throw …`.
    fn judged_members(&self, key: &str, value: Value) -> Value {
        let Some(fields) = &value.fields else {
            return value;
        };
        let of_member = |name: &str| {
            let inner = self.checked.iter().filter(|(one, _)| {
                one.strip_prefix(key)
                    .and_then(|rest| rest.strip_prefix('.'))
                    == Some(name)
            });
            inner.fold(0, |all, (_, classes)| all | classes)
        };
        if fields.iter().all(|(name, _)| of_member(name) == 0) {
            return value;
        }
        let fields: Vec<(Name, Value)> = fields
            .iter()
            .map(|(name, field)| (Arc::clone(name), field.clone().cleaned(of_member(name))))
            .collect();
        let only: Vec<Value> = fields.iter().map(|(_, field)| field.clone()).collect();
        let mut judged = Value::mix(&only).holding(Some(fields), None);
        judged.path = value.path;
        judged
    }
}

fn covers(checked: &str, key: &str) -> bool {
    key.strip_prefix(checked)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
