//! What the screen finds in the texts of a definition.

use airside_screen::{Found, Group};
use serde_json::Value;

use crate::{Definition, Digest};

/// A rule that a text of a definition meets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Screened {
    /// Id of the rule.
    pub rule: &'static str,
    /// What the rule finds, for people.
    pub about: &'static str,
    /// Where in the definition, as a JSON pointer (RFC 6901).
    pub place: String,
    /// Digest of what was found, by which equal findings are known again.
    pub fingerprint: String,
}

/// Returns what in a definition speaks to a model, hides, or does harm where it is
/// interpreted.
#[must_use]
pub fn screened(definition: &Definition) -> Vec<Screened> {
    // What it means and not how it is written: numbers do not matter here.
    let value: Value = serde_json::from_str(definition.text()).unwrap_or_default();
    let found = airside_screen::definition(&value);
    let speaks = |found: &Found| {
        matches!(
            found.hit.rule.group,
            Group::Hidden | Group::Instruction | Group::Payload
        )
    };
    found
        .into_iter()
        .filter(speaks)
        .map(|found| {
            let text = value.pointer(&found.pointer).and_then(Value::as_str);
            // Where a name of a member was read, the place is that of its value.
            let part = text.and_then(|text| text.get(found.hit.span.clone()));
            let part = part.unwrap_or(&found.pointer);
            Screened {
                rule: found.hit.rule.id,
                about: found.hit.rule.about,
                fingerprint: Digest::of(part.as_bytes()).short(),
                place: found.pointer,
            }
        })
        .collect()
}
