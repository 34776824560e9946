//! JSON Merge Patch (RFC 7396) on bounded values.

use serde_json::{Map, Value};

/// Most levels of objects and arrays in the state of a conversation.
pub(super) const MAX_DEPTH: usize = 32;

/// Applies `patch` to `target` (RFC 7396, section 2).
pub(super) fn merge(target: &mut Map<String, Value>, patch: Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                target.shift_remove(&name);
            }
            Value::Object(patch) => {
                let member = target.entry(name).or_insert(Value::Null);
                if !member.is_object() {
                    *member = Value::Object(Map::new());
                }
                if let Value::Object(member) = member {
                    merge(member, patch);
                }
            }
            value => {
                target.insert(name, value);
            }
        }
    }
}

/// Returns whether `members` have at most `levels` levels below them.
pub(super) fn is_within(members: &Map<String, Value>, levels: usize) -> bool {
    members.values().all(|value| fits(value, levels))
}

fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Object(members) => {
            levels > 0 && members.values().all(|value| fits(value, levels - 1))
        }
        Value::Array(items) => levels > 0 && items.iter().all(|value| fits(value, levels - 1)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn check(target: &Value, patch: &Value, expected: &Value) {
        let mut merged = target.as_object().unwrap().clone();
        merge(&mut merged, patch.as_object().unwrap().clone());
        assert_eq!(Value::Object(merged), *expected, "{target} + {patch}");
    }

    /// The cases of RFC 7396, appendix A, whose target and patch are objects.
    #[test]
    fn examples_of_the_specification_hold() {
        for (target, patch, expected) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (
                json!({"a":{"b":"c"}}),
                json!({"a":{"b":"d","c":null}}),
                json!({"a":{"b":"d"}}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            check(&target, &patch, &expected);
        }
    }

    #[test]
    fn depth_is_counted_in_levels() {
        let level = |value: Value| json!({ "a": value });
        let mut value = json!({});
        for levels in 0..5 {
            let members = value.as_object().unwrap();
            assert!(is_within(members, levels), "{value}");
            assert!(levels == 0 || !is_within(members, levels - 1), "{value}");
            value = level(value);
        }
        assert!(!is_within(json!({ "a": [[1]] }).as_object().unwrap(), 1));
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map("[abc]", inner, 0..3)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::hash_map("[abc]", value(), 0..3)
            .prop_map(|members| members.into_iter().collect())
    }

    /// The specification's pseudo code, on any values.
    fn model(target: &Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else {
            return patch.clone();
        };
        let mut merged = target.as_object().cloned().unwrap_or_default();
        for (name, value) in patch {
            if value.is_null() {
                merged.shift_remove(name);
            } else {
                let prior = merged.get(name).cloned().unwrap_or(Value::Null);
                merged.insert(name.clone(), model(&prior, value));
            }
        }
        Value::Object(merged)
    }

    proptest! {
        #[test]
        fn merges_as_the_specification_says(target in object(), patch in object()) {
            let expected = model(&Value::Object(target.clone()), &Value::Object(patch.clone()));
            let mut merged = target;
            merge(&mut merged, patch);
            prop_assert_eq!(Value::Object(merged), expected);
        }
    }
}
