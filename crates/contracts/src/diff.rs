//! A change as a person reads it.

use serde::{Deserialize, Serialize};

use crate::Json;

/// Most differences that are shown.
pub const MAX: usize = 200;

/// One place in which two values differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where, as a JSON pointer (RFC 6901).
    pub path: String,
    /// What stood there, as canonical JSON; none if nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What stands there now, as canonical JSON; none if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Returns where `after` differs from `before`, at most [`MAX`] places.
#[must_use]
pub fn between(before: Option<&Json>, after: Option<&Json>) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(before, after, &mut String::new(), &mut found);
    found
}

fn walk(
    before: Option<&Json>,
    after: Option<&Json>,
    path: &mut String,
    found: &mut Vec<Difference>,
) {
    if before == after || found.len() >= MAX {
        return;
    }
    match (before, after) {
        (Some(Json::Object(old)), Some(Json::Object(new))) => {
            let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                let length = path.len();
                path.push('/');
                path.push_str(&key.replace('~', "~0").replace('/', "~1"));
                walk(old.get(key), new.get(key), path, found);
                path.truncate(length);
            }
        }
        (Some(Json::List(old)), Some(Json::List(new))) if old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                let length = path.len();
                path.push('/');
                path.push_str(&index.to_string());
                walk(Some(old), Some(new), path, found);
                path.truncate(length);
            }
        }
        _ => found.push(Difference {
            path: path.clone(),
            before: before.map(Json::canonical),
            after: after.map(Json::canonical),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_and_values_shown() {
        let read = |text: &str| Json::parse(text).unwrap();
        let (before, after) = (
            read(r#"{"a/b":{"x":1,"y":[1,2]},"gone":"g"}"#),
            read(r#"{"a/b":{"x":1.0,"y":[1,3]},"new":[1]}"#),
        );
        let shown: Vec<_> = between(Some(&before), Some(&after))
            .into_iter()
            .map(|d| format!("{} {:?} {:?}", d.path, d.before, d.after))
            .collect();
        assert_eq!(
            shown,
            [
                r#"/a~1b/x Some("1") Some("1.0")"#,
                r#"/a~1b/y/1 Some("2") Some("3")"#,
                r#"/gone Some("\"g\"") None"#,
                r#"/new None Some("[1]")"#,
            ]
        );
        assert!(between(Some(&before), Some(&before)).is_empty());
    }

    #[test]
    fn number_of_differences_is_bounded() {
        let list = |prefix: &str| {
            let members = (0..1000).map(|n| (format!("{n}"), Json::Text(prefix.to_owned())));
            Json::Object(members.collect())
        };
        assert_eq!(between(Some(&list("a")), Some(&list("b"))).len(), MAX);
    }
}
