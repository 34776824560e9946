//! What one JSON Schema accepts, compared with another.
//!
//! # Invariants
//!
//! * [`Relation::Incompatible`] whenever it is not sure: a keyword that is not
//!   understood and differs, or a change in both directions.
//! * What describes and does not decide (titles, descriptions, examples) is ignored.
//!
//! It is a comparison of contracts, not of sets: an argument that was not named before
//! and is now counts as accepted in addition, although JSON Schema lets unnamed members
//! pass unless they are forbidden.

use std::collections::{BTreeMap, BTreeSet};

use crate::Json;

/// What a schema accepts in comparison with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// The same.
    Same,
    /// More.
    Widened,
    /// Less.
    Narrowed,
    /// Other things, or nobody can say.
    Incompatible,
}

/// Compares what two schemas accept. None stands for a schema that accepts everything.
pub(crate) fn compare(before: Option<&Json>, after: Option<&Json>) -> Relation {
    let mut seen = Seen::default();
    let everything = Json::Bool(true);
    schema(
        before.unwrap_or(&everything),
        after.unwrap_or(&everything),
        &mut seen,
    );
    match (seen.unknown, seen.wider, seen.narrower) {
        (false, false, false) => Relation::Same,
        (false, true, false) => Relation::Widened,
        (false, false, true) => Relation::Narrowed,
        _ => Relation::Incompatible,
    }
}

#[derive(Default)]
struct Seen {
    wider: bool,
    narrower: bool,
    unknown: bool,
}

impl Seen {
    /// A restriction was there before, is there now, or has changed.
    fn restriction(&mut self, before: bool, after: bool) {
        match (before, after) {
            (true, true) => self.unknown = true,
            (true, false) => self.wider = true,
            (false, true) => self.narrower = true,
            (false, false) => {}
        }
    }

    fn sets<T: Ord>(&mut self, before: &BTreeSet<T>, after: &BTreeSet<T>) {
        self.wider |= after.difference(before).next().is_some();
        self.narrower |= before.difference(after).next().is_some();
    }
}

/// Keywords that describe.
pub(crate) fn describes(keyword: &str) -> bool {
    matches!(
        keyword,
        "title"
            | "description"
            | "examples"
            | "default"
            | "$comment"
            | "$schema"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "contentMediaType"
            | "contentEncoding"
    )
}

/// Keywords with the least and the most that is accepted.
const LOWER: [&str; 5] = [
    "minimum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "minProperties",
];
const UPPER: [&str; 5] = [
    "maximum",
    "exclusiveMaximum",
    "maxLength",
    "maxItems",
    "maxProperties",
];
/// Keywords whose value is a schema; without them everything is accepted there.
const INNER: [&str; 4] = [
    "additionalProperties",
    "items",
    "propertyNames",
    "unevaluatedProperties",
];

type Members = BTreeMap<String, Json>;

fn schema(before: &Json, after: &Json, seen: &mut Seen) {
    let (before, after) = match (before, after) {
        (before, after) if bare(before) == bare(after) => return,
        (Json::Object(before), Json::Object(after)) => (before, after),
        (Json::Bool(true), Json::Object(_)) | (Json::Object(_), Json::Bool(false)) => {
            seen.narrower = true;
            return;
        }
        (Json::Object(_), Json::Bool(true)) | (Json::Bool(false), _) => {
            seen.wider = true;
            return;
        }
        (_, Json::Bool(false)) => {
            seen.narrower = true;
            return;
        }
        _ => {
            seen.unknown = true;
            return;
        }
    };
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut values_compared = false;
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        match key.as_str() {
            key if describes(key) => {}
            "type" => types(old, new, seen),
            "enum" | "const" if !values_compared => {
                values_compared = true;
                values(before, after, seen);
            }
            "enum" | "const" => {}
            key if LOWER.contains(&key) => bound(old, new, seen, |old, new| new < old),
            key if UPPER.contains(&key) => bound(old, new, seen, |old, new| new > old),
            "required" => required(old, new, seen),
            "properties" => properties(old, new, seen),
            key if INNER.contains(&key) => {
                let everything = Json::Bool(true);
                schema(old.unwrap_or(&everything), new.unwrap_or(&everything), seen);
            }
            "anyOf" => alternatives(old, new, seen),
            "pattern" | "format" | "multipleOf" => {
                if old != new {
                    seen.restriction(old.is_some(), new.is_some());
                }
            }
            "uniqueItems" => {
                let on = |value: Option<&Json>| value.and_then(Json::as_bool) == Some(true);
                if on(old) != on(new) {
                    seen.restriction(on(old), on(new));
                }
            }
            _ => {
                let same = old.map(bare) == new.map(bare);
                seen.unknown |= !same;
            }
        }
    }
}

/// Returns a schema without what only describes. Names of members are not keywords.
pub(crate) fn bare(schema: &Json) -> Json {
    match schema {
        Json::Object(members) => {
            let kept = members.iter().filter(|(key, _)| !describes(key));
            let kept = kept.map(|(key, value)| {
                let value = match (key.as_str(), value) {
                    (
                        "properties" | "patternProperties" | "$defs" | "definitions"
                        | "dependentSchemas",
                        Json::Object(named),
                    ) => {
                        let named = named
                            .iter()
                            .map(|(name, inner)| (name.clone(), bare(inner)));
                        Json::Object(named.collect())
                    }
                    ("enum" | "const", value) => value.clone(),
                    ("required", Json::List(names)) => {
                        let mut names = names.clone();
                        names.sort();
                        Json::List(names)
                    }
                    (_, value) => bare(value),
                };
                (key.clone(), value)
            });
            Json::Object(kept.collect())
        }
        Json::List(items) => Json::List(items.iter().map(bare).collect()),
        other => other.clone(),
    }
}

/// The types that are accepted; a number includes integers.
fn types(before: Option<&Json>, after: Option<&Json>, seen: &mut Seen) {
    let read = |value: Option<&Json>| -> Option<BTreeSet<String>> {
        let named = match value {
            None => return Some(ALL_TYPES.iter().map(|name| (*name).to_owned()).collect()),
            Some(Json::Text(name)) => vec![name.clone()],
            Some(Json::List(names)) => {
                let names = names.iter().map(|name| name.as_str().map(str::to_owned));
                names.collect::<Option<Vec<_>>>()?
            }
            Some(_) => return None,
        };
        let mut set: BTreeSet<String> = named.into_iter().collect();
        if !set.iter().all(|name| ALL_TYPES.contains(&name.as_str())) {
            return None;
        }
        if set.contains("number") {
            set.insert("integer".to_owned());
        }
        Some(set)
    };
    match (read(before), read(after)) {
        (Some(before), Some(after)) => seen.sets(&before, &after),
        _ => seen.unknown = true,
    }
}

const ALL_TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];

/// The values that are accepted.
fn values(before: &Members, after: &Members, seen: &mut Seen) {
    let read = |members: &Members| -> Result<Option<BTreeSet<Json>>, ()> {
        match (members.get("enum"), members.get("const")) {
            (None, None) => Ok(None),
            (Some(Json::List(values)), None) => Ok(Some(values.iter().cloned().collect())),
            (None, Some(value)) => Ok(Some(BTreeSet::from([value.clone()]))),
            _ => Err(()),
        }
    };
    match (read(before), read(after)) {
        (Ok(None), Ok(None)) => {}
        (Ok(Some(_)), Ok(None)) => seen.wider = true,
        (Ok(None), Ok(Some(_))) => seen.narrower = true,
        (Ok(Some(before)), Ok(Some(after))) => seen.sets(&before, &after),
        _ => seen.unknown = true,
    }
}

fn bound(
    before: Option<&Json>,
    after: Option<&Json>,
    seen: &mut Seen,
    wider: fn(f64, f64) -> bool,
) {
    let number = |value: &Json| match value {
        Json::Number(text) => text.parse::<f64>().ok().filter(|number| number.is_finite()),
        _ => None,
    };
    match (before, after) {
        (Some(before), Some(after)) => match (number(before), number(after)) {
            (Some(before), Some(after)) if before == after => {}
            (Some(before), Some(after)) if wider(before, after) => seen.wider = true,
            (Some(_), Some(_)) => seen.narrower = true,
            _ => seen.unknown |= before != after,
        },
        (before, after) => seen.restriction(before.is_some(), after.is_some()),
    }
}

fn required(before: Option<&Json>, after: Option<&Json>, seen: &mut Seen) {
    let read = |value: Option<&Json>| match value {
        None | Some(Json::Null) => Some(BTreeSet::new()),
        Some(Json::List(names)) => Some(names.iter().cloned().collect::<BTreeSet<_>>()),
        Some(_) => None,
    };
    match (read(before), read(after)) {
        // More that is required is less that is accepted.
        (Some(before), Some(after)) => seen.sets(&after, &before),
        _ => seen.unknown = true,
    }
}

fn properties(before: Option<&Json>, after: Option<&Json>, seen: &mut Seen) {
    let empty = Json::Object(Members::new());
    let (Json::Object(before), Json::Object(after)) =
        (before.unwrap_or(&empty), after.unwrap_or(&empty))
    else {
        seen.unknown = true;
        return;
    };
    for (name, old) in before {
        match after.get(name) {
            Some(new) => schema(old, new, seen),
            None => seen.narrower = true,
        }
    }
    seen.wider |= after.keys().any(|name| !before.contains_key(name));
}

fn alternatives(before: Option<&Json>, after: Option<&Json>, seen: &mut Seen) {
    let read = |value: &Json| -> Option<BTreeSet<Json>> {
        let items = value.as_list()?;
        Some(items.iter().map(bare).collect())
    };
    match (before, after) {
        (Some(before), Some(after)) => match (read(before), read(after)) {
            (Some(before), Some(after)) => seen.sets(&before, &after),
            _ => seen.unknown = true,
        },
        (before, after) => seen.restriction(before.is_some(), after.is_some()),
    }
}

#[cfg(test)]
mod tests;
