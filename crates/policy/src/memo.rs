//! Remembered decisions of one engine.
//!
//! # Why this is sound
//!
//! A decision is a function of the policies and the facts. An engine never
//! changes its policies (a new configuration makes new engines), and the key here
//! is all of the facts that can matter, written so that different facts have
//! different keys. Nothing else enters: Cedar's context is empty, and there is no
//! clock and no counter. A fact that varies with time must be left out of this,
//! and the exhaustive destructuring in [`Key::of`] forces whoever adds one to
//! decide.
//!
//! The name of a tool, resource or prompt can matter only where a policy names one
//! ([`Names::Matter`]): Cedar has no operation that reads an id, so two entities
//! with equal attributes and parents are told apart by comparison with a literal
//! and by nothing else.
//!
//! # Invariants
//!
//! * Bounded: up to [`CAPACITY`] decisions; then all is forgotten and begins anew.
//! * What a client can invent (unknown tools, URIs, prompt names) takes no room:
//!   either its name does not matter, or it is decided each time.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use crate::{Facts, Principal, Target, ToolTraits, permit::Verdict};

/// Most decisions remembered by one engine: some 200 bytes each.
const CAPACITY: usize = 4096;

/// Whether a decision can depend on the name of a tool, resource or prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    /// A policy names one.
    Matter,
    /// No policy does.
    AreAlike,
}

#[derive(Debug, Default)]
pub(crate) struct Memo {
    verdicts: RwLock<HashMap<Key, Verdict>>,
}

impl Memo {
    /// Returns the remembered decision, or makes and remembers it.
    pub(crate) fn recall(
        &self,
        facts: &Facts<'_>,
        names: Names,
        decide: impl FnOnce() -> Verdict,
    ) -> Verdict {
        let Some(key) = Key::of(facts, names) else {
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

/// All facts that can matter, as bytes. Texts carry their length, so no two share a
/// key.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key(Vec<u8>);

impl Key {
    fn of(facts: &Facts<'_>, names: Names) -> Option<Self> {
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
        let name = match target {
            Target::Server => {
                key.byte(0);
                None
            }
            Target::Tool { name, traits } => {
                key.byte(1);
                key.traits(*traits);
                Some((name, traits.known))
            }
            Target::Resource { uri } => {
                key.byte(2);
                Some((uri, false))
            }
            Target::Prompt { name } => {
                key.byte(3);
                Some((name, false))
            }
        };
        match (names, name) {
            (Names::AreAlike, _) | (Names::Matter, None) => {}
            (Names::Matter, Some((name, true))) => key.text(name),
            (Names::Matter, Some((_, false))) => return None,
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
