//! What changed in the systems behind the tools.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One change of a document, with a JSON pointer (RFC 6901) to its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
pub enum Change {
    /// Something is there that was not.
    Add {
        /// Where.
        path: String,
        /// What.
        value: Value,
    },
    /// Something is different.
    Replace {
        /// Where.
        path: String,
        /// What was there.
        #[serde(default)]
        old: Value,
        /// What is there.
        value: Value,
    },
    /// Something is gone.
    Remove {
        /// Where.
        path: String,
        /// What was there.
        #[serde(default)]
        old: Value,
    },
}

impl Change {
    /// Returns the place of the change.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Add { path, .. } | Self::Replace { path, .. } | Self::Remove { path, .. } => path,
        }
    }

    /// Returns what is there now, if anything.
    #[must_use]
    pub fn value(&self) -> Option<&Value> {
        match self {
            Self::Add { value, .. } | Self::Replace { value, .. } => Some(value),
            Self::Remove { .. } => None,
        }
    }
}

/// Returns whether `pattern` covers `path`. A `*` stands for one segment; a pattern
/// covers everything below it.
#[must_use]
pub fn covers(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    pattern.split('/').all(|wanted| {
        segments
            .next()
            .is_some_and(|is| wanted == "*" || wanted == is)
    })
}

/// Returns whether `pattern` is exactly about `path`, `*` standing for one segment.
#[must_use]
pub fn names(pattern: &str, path: &str) -> bool {
    pattern.split('/').count() == path.split('/').count() && covers(pattern, path)
}

/// Returns what turns `before` into `after`. Objects are compared member by member and
/// lists element by element; anything else is replaced as a whole.
#[must_use]
pub fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(before, after, &mut String::new(), &mut changes);
    changes
}

fn compare(before: &Value, after: &Value, path: &mut String, changes: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => members(old, new, path, changes),
        (Value::Array(old), Value::Array(new)) => elements(old, new, path, changes),
        _ if before == after => {}
        _ => changes.push(Change::Replace {
            path: path.clone(),
            old: before.clone(),
            value: after.clone(),
        }),
    }
}

fn members(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    path: &mut String,
    changes: &mut Vec<Change>,
) {
    for (name, before) in old {
        within(path, name, |path| match new.get(name) {
            Some(after) => compare(before, after, path, changes),
            None => changes.push(Change::Remove {
                path: path.clone(),
                old: before.clone(),
            }),
        });
    }
    for (name, value) in new {
        if !old.contains_key(name) {
            within(path, name, |path| {
                changes.push(Change::Add {
                    path: path.clone(),
                    value: value.clone(),
                });
            });
        }
    }
}

fn elements(old: &[Value], new: &[Value], path: &mut String, changes: &mut Vec<Change>) {
    let common = old.len().min(new.len());
    let pairs = old.iter().zip(new).enumerate();
    for (index, (before, after)) in pairs {
        within(path, &index.to_string(), |path| {
            compare(before, after, path, changes);
        });
    }
    // From the end, so that carrying them out in order moves no place.
    for (index, before) in old.iter().enumerate().skip(common).rev() {
        within(path, &index.to_string(), |path| {
            changes.push(Change::Remove {
                path: path.clone(),
                old: before.clone(),
            });
        });
    }
    for (index, value) in new.iter().enumerate().skip(common) {
        within(path, &index.to_string(), |path| {
            changes.push(Change::Add {
                path: path.clone(),
                value: value.clone(),
            });
        });
    }
}

fn within(path: &mut String, name: &str, work: impl FnOnce(&mut String)) {
    let length = path.len();
    path.push('/');
    path.push_str(&name.replace('~', "~0").replace('/', "~1"));
    work(path);
    path.truncate(length);
}

/// Carries out `changes` on `document`, as far as its places exist. Lists grow at
/// their end; what is removed from a list leaves no gap.
pub fn apply(document: &mut Value, changes: &[Change]) {
    for change in changes {
        let path = change.path();
        match change {
            Change::Add { value, .. } | Change::Replace { value, .. } => put(document, path, value),
            Change::Remove { .. } => take(document, path),
        }
    }
}

fn put(document: &mut Value, path: &str, value: &Value) {
    let Some((parent, name)) = path.rsplit_once('/') else {
        *document = value.clone();
        return;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.insert(name, value.clone());
        }
        Some(Value::Array(elements)) => match name.parse::<usize>() {
            Ok(index) if index < elements.len() => elements[index] = value.clone(),
            _ => elements.push(value.clone()),
        },
        _ => {}
    }
}

fn take(document: &mut Value, path: &str) {
    let Some((parent, name)) = path.rsplit_once('/') else {
        *document = Value::Null;
        return;
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match document.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.shift_remove(&name);
        }
        Some(Value::Array(elements)) => {
            if let Some(index) = name.parse::<usize>().ok().filter(|i| *i < elements.len()) {
                elements.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn documents() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..9_i64).prop_map(Value::from),
            "[a-z~/]{0,3}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop::collection::btree_map("[a-c~/]{1,2}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn changes_lead_from_one_document_to_the_other(before in documents(), after in documents()) {
            let changes = diff(&before, &after);
            let mut replayed = before.clone();
            apply(&mut replayed, &changes);
            prop_assert_eq!(&replayed, &after);
            prop_assert_eq!(changes.is_empty(), before == after);
        }
    }

    #[test]
    fn a_star_stands_for_one_segment() {
        assert!(covers("/mails/*", "/mails/4"));
        assert!(covers("/mails/*", "/mails/4/subject"));
        assert!(!covers("/mails/*", "/mails"));
        assert!(names("/mails/*", "/mails/4"));
        assert!(!names("/mails/*", "/mails/4/subject"));
    }

    #[test]
    fn lists_are_compared_by_position() {
        let changes = diff(&json!({"a": [1, 2]}), &json!({"a": [1, 3, 4]}));
        let paths: Vec<&str> = changes.iter().map(Change::path).collect();
        assert_eq!(paths, ["/a/1", "/a/2"]);
    }
}
