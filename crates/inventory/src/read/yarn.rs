//! `yarn.lock` of Yarn 1, whose notation is its own, and `bun.lock`.

use std::collections::BTreeMap;

use jsonc_parser::{ParseOptions, parse_to_serde_value};
use serde::Deserialize;
use serde_json::Value;

use crate::component::{Component, Ecosystem, Inventory, Origin};

use super::{Unread, flat_brackets, npm, pnpm};

pub(super) fn lock(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    let berry = text.lines().any(|line| line.starts_with("__metadata:"));
    if berry {
        return pnpm::berry(text, place, into);
    }
    let mut entry = Entry::default();
    for line in text.lines() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            entry.end(place, into);
            let Some(names) = line.trim_end().strip_suffix(':') else {
                return Err(Unread(format!("the line `{line}` is no entry")));
            };
            let first = names.split(", ").next().unwrap_or_default();
            entry.key = unquoted(first).to_owned();
        } else if let Some(rest) = line.strip_prefix("  ").filter(|l| !l.starts_with(' ')) {
            let (member, value) = rest.split_once(' ').unwrap_or((rest, ""));
            match member {
                "version" => entry.version = Some(unquoted(value).to_owned()),
                "resolved" => entry.resolved = Some(unquoted(value).to_owned()),
                _ => {}
            }
        }
    }
    entry.end(place, into);
    Ok(())
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"')
}

#[derive(Default)]
struct Entry {
    key: String,
    version: Option<String>,
    resolved: Option<String>,
}

impl Entry {
    fn end(&mut self, place: &str, into: &mut Inventory) {
        let entry = std::mem::take(self);
        if entry.key.is_empty() {
            return;
        }
        let at = entry.key.get(1..).and_then(|rest| rest.find('@'));
        let (name, range) = match at {
            Some(at) => (&entry.key[..=at], &entry.key[at + 2..]),
            None => (entry.key.as_str(), ""),
        };
        // `alias@npm:real@^1.0.0`
        let name = match range.strip_prefix("npm:") {
            Some(real) => real
                .get(1..)
                .and_then(|rest| rest.find('@'))
                .map_or(real, |at| &real[..=at]),
            None => name,
        };
        let origin = npm::origin(Some(range), entry.resolved.as_deref());
        let place = format!("{place}#{}", entry.key);
        let component = Component::new(Ecosystem::Npm, name, entry.version.as_deref(), &place);
        into.add(component.from_origin(origin));
    }
}

#[derive(Deserialize)]
struct Bun {
    #[serde(default)]
    packages: BTreeMap<String, Vec<Value>>,
}

pub(super) fn bun(text: &str, place: &str, into: &mut Inventory) -> Result<(), Unread> {
    flat_brackets(text)?;
    let lock: Bun = parse_to_serde_value(text, &ParseOptions::default())?;
    for (key, entry) in &lock.packages {
        let identity = entry.first().and_then(Value::as_str).unwrap_or(key);
        let at = identity.get(1..).and_then(|rest| rest.find('@'));
        let Some(at) = at.map(|at| at + 1) else {
            into.gap(place, format!("the entry `{key}` names no package"));
            continue;
        };
        let (name, version) = (&identity[..at], &identity[at + 1..]);
        let origin = npm::origin(Some(version), None);
        let version = Some(version).filter(|_| origin == Origin::Registry);
        let place = format!("{place}#{key}");
        into.add(Component::new(Ecosystem::Npm, name, version, &place).from_origin(origin));
    }
    Ok(())
}
