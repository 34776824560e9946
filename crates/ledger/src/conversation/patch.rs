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

/// Returns the patch that makes `target` out of `present`. A null of `target` that is
/// not in `present` cannot be told by a patch and is left out.
pub(super) fn difference(
    present: &Map<String, Value>,
    target: &Map<String, Value>,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for name in present.keys().filter(|name| !target.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in target {
        match (present.get(name), value) {
            (Some(present), value) if present == value => {}
            (Some(Value::Object(present)), Value::Object(value)) => {
                let inner = difference(present, value);
                patch.insert(name.clone(), Value::Object(inner));
            }
            (_, value) => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    patch
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

    /// Removes what a merge patch cannot say.
    fn without_nulls(value: Value) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.into_iter().filter(|(_, value)| !value.is_null());
                Value::Object(members.map(|(name, v)| (name, without_nulls(v))).collect())
            }
            other => other,
        }
    }

    proptest! {
        #[test]
        fn difference_leads_from_one_state_to_the_other(one in object(), other in object()) {
            let plain = |members| without_nulls(Value::Object(members));
            let (Value::Object(mut one), Value::Object(other)) = (plain(one), plain(other)) else {
                unreachable!("objects stay objects")
            };
            let patch = difference(&one, &other);
            prop_assert_eq!(patch.is_empty(), one == other);
            merge(&mut one, patch);
            prop_assert_eq!(one, other);
        }

        #[test]
        fn merges_as_the_specification_says(target in object(), patch in object()) {
            let expected = model(&Value::Object(target.clone()), &Value::Object(patch.clone()));
            let mut merged = target;
            merge(&mut merged, patch);
            prop_assert_eq!(Value::Object(merged), expected);
        }
    }
}
