//! Remembered decisions of one engine.
//!
//! # Why this is sound
//!
//! A decision is a function of the policies and the facts. An engine never
//! changes its policies (a new configuration makes new engines), and the key here
//! is *all* of the facts, written so that different facts have different keys.
//! Nothing else enters: Cedar's context is empty, and there is no clock and no
//! counter. A fact that varies with time must be left out of this, and the
//! exhaustive destructuring in [`Key::of`] forces whoever adds one to decide.
//!
//! # Invariants
//!
//! * Bounded: only targets from a bounded set (the server, and tools it lists) are
//!   remembered, up to [`CAPACITY`]; then all is forgotten and begins anew. What a
//!   client can invent (unknown tools, URIs, prompt names) is decided each time.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use crate::{Facts, Principal, Target, ToolTraits, permit::Verdict};

/// Most decisions remembered by one engine: some 200 bytes each.
const CAPACITY: usize = 4096;

#[derive(Debug, Default)]
pub(crate) struct Memo {
    verdicts: RwLock<HashMap<Key, Verdict>>,
}

impl Memo {
    /// Returns the remembered decision, or makes and remembers it.
    pub(crate) fn recall(&self, facts: &Facts<'_>, decide: impl FnOnce() -> Verdict) -> Verdict {
        let Some(key) = Key::of(facts) else {
            return decide();
        };
        // A poisoned map is still right: entries are inserted whole.
        let known = self.verdicts.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(verdict) = known.get(&key) {
            return verdict.clone();
        }
        drop(known);
        let verdict = decide();
        let mut known = self
            .verdicts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(key, verdict.clone());
        verdict
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.verdicts.read().unwrap().len()
    }
}

/// All facts as bytes. Texts carry their length, so no two facts share a key.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key(Vec<u8>);

impl Key {
    fn of(facts: &Facts<'_>) -> Option<Self> {
        let Facts {
            principal,
            action,
            target,
        } = facts;
        let Principal {
            kind,
            id,
            tenant,
            attestation,
            groups,
        } = principal;
        let mut key = Self(Vec::with_capacity(192));
        key.byte(*action as u8);
        match target {
            Target::Server => key.byte(0),
            Target::Tool { name, traits } if traits.known => {
                key.byte(1);
                key.traits(*traits);
                key.text(name);
            }
            Target::Tool { .. } | Target::Resource { .. } | Target::Prompt { .. } => return None,
        }
        key.byte(*attestation);
        key.text(kind);
        key.text(id);
        key.text(tenant.as_str());
        groups.iter().for_each(|group| key.text(group));
        Some(key)
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn text(&mut self, text: &str) {
        self.0.extend_from_slice(&text.len().to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn traits(&mut self, traits: ToolTraits) {
        let ToolTraits {
            known,
            read_only,
            destructive,
            idempotent,
            open_world,
        } = traits;
        let bits = [known, read_only, destructive, idempotent, open_world];
        self.byte(bits.iter().fold(0, |bits, bit| bits << 1 | u8::from(*bit)));
    }
}

#[cfg(test)]
mod tests;
