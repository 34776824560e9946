//! What was found, as it may be told.
//!
//! # Invariants
//!
//! * Never what was found: a rule, a place and a fingerprint under a key that nobody
//!   else has.

use std::{borrow::Cow, fmt, sync::Arc};

use airside_screen::Group;
use aws_lc_rs::hmac;
use serde::{Deserialize, Serialize};

use crate::config::Action;

/// Most findings of one call that are told one by one.
pub const MAX_TOLD: usize = 32;

/// A firewall rule that was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hit<'a> {
    /// Id of the rule.
    pub rule: Cow<'a, str>,
    /// What was done: `allow`, `redact`, `flag` or `block`.
    pub action: Cow<'a, str>,
    /// Where it was met, such as `arguments/guest/name`.
    #[serde(rename = "where")]
    pub place: Cow<'a, str>,
    /// Digest by which equal findings are known again.
    pub fingerprint: Cow<'a, str>,
}

/// Keys the fingerprints of what was found.
#[derive(Clone)]
pub struct FingerprintKey(Arc<hmac::Key>);

impl FingerprintKey {
    /// Returns the key that `secret` is.
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// Returns the fingerprint of `text`. A card number has one however it is written
    /// in plain digits.
    pub(crate) fn fingerprint(&self, group: Group, text: &str) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(group.as_str().as_bytes());
        context.update(b"\0");
        match group {
            Group::Card => {
                let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).collect();
                let plain = digits.len() >= 12 && text.is_ascii();
                context.update(if plain { &digits } else { text.as_bytes() });
            }
            _ => context.update(text.as_bytes()),
        }
        let tag = context.sign();
        tag.as_ref()[..12]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }
}

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FingerprintKey")
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) rule: &'static str,
    pub(crate) action: Action,
    pub(crate) place: String,
    pub(crate) fingerprint: String,
}

impl Finding {
    /// Returns it as it stands in records.
    pub(crate) fn hit(self) -> Hit<'static> {
        Hit {
            rule: self.rule.into(),
            action: self.action.as_str().into(),
            place: self.place.into(),
            fingerprint: self.fingerprint.into(),
        }
    }
}

/// What was found in one message or one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    told: Vec<Finding>,
    /// How many more there are.
    more: u64,
}

impl Findings {
    pub(crate) fn push(&mut self, finding: impl FnOnce() -> Finding) {
        match self.told.len() {
            0..MAX_TOLD => self.told.push(finding()),
            _ => self.more += 1,
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.told.len() as u64 + self.more
    }

    /// Returns whether nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Returns how many more were found than are told one by one.
    #[must_use]
    pub fn more(&self) -> u64 {
        self.more
    }

    /// Returns whether a rule of `group` is among them.
    #[must_use]
    pub fn has(&self, group: Group) -> bool {
        let prefix = group.as_str();
        let of_group = |finding: &Finding| {
            finding
                .rule
                .split('.')
                .next()
                .is_some_and(|start| start == prefix)
        };
        self.told.iter().any(of_group)
    }

    /// Returns those that are told one by one, as they stand in records.
    #[must_use]
    pub fn hits(&self) -> Vec<Hit<'static>> {
        self.told.iter().cloned().map(Finding::hit).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_depend_on_the_key_and_not_on_the_notation() {
        let (one, other) = (FingerprintKey::new(b"1"), FingerprintKey::new(b"2"));
        let print = |key: &FingerprintKey, text| key.fingerprint(Group::Card, text);
        let spaced = print(&one, "4111 1111 1111 1111");
        assert_eq!(spaced, print(&one, "4111111111111111"));
        assert_ne!(spaced, print(&other, "4111111111111111"));
        assert_eq!(spaced.len(), 24);
    }
}
